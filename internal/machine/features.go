package machine

import (
	"slices"

	"github.com/klauspost/cpuid/v2"
)

// What a level needs beside what those below it do. Nobody changes these lists.
var (
	AVX2   = []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.BMI2}
	AVX512 = []cpuid.FeatureID{
		cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512VL, cpuid.AVX512DQ, cpuid.AVX512VNNI, cpuid.AVX512VBMI, cpuid.GFNI,
	}
	BF16    = []cpuid.FeatureID{cpuid.AVX512BF16}
	AMX     = []cpuid.FeatureID{cpuid.AMXTILE, cpuid.AMXBF16}
	Dotprod = []cpuid.FeatureID{cpuid.ASIMDDP}
	I8MM    = []cpuid.FeatureID{cpuid.I8MM, cpuid.BF16}
)

// asked are the features that kernels ask for, on any processor, in the order in which processors got them.
var asked = slices.Concat(AVX2, []cpuid.FeatureID{cpuid.AVXVNNI}, AVX512, BF16, AMX, []cpuid.FeatureID{cpuid.ASIMD}, Dotprod, I8MM)

// Supports reports whether the processor has all of these features, and the system saves the registers that they need.
func Supports(features ...cpuid.FeatureID) bool {
	for _, f := range features {
		if !supports(f) {
			return false
		}
	}
	return true
}

// FetchesNear reports whether memory is read fastest where it is fetched into the first-level cache, not the second: AMD since Zen 5.
func FetchesNear() bool { return cpuid.CPU.IsVendor(cpuid.AMD) && cpuid.CPU.Family >= 0x1A }

// Features returns the names of the features that kernels ask for and this machine has.
func Features() (names []string) {
	for _, f := range asked {
		if Supports(f) {
			names = append(names, f.String())
		}
	}
	return names
}

// Processor returns the name that the processor gives itself, empty if it has none.
func Processor() string { return cpuid.CPU.BrandName }
