package gemma4

import (
	"github.com/klauspost/cpuid/v2"

	"github.com/gogemma/gemma4/tensor"
)

// machineLevels returns the levels above the portable one, in ascending order. cpuid counts a feature only if the operating
// system saves the registers it needs.
func machineLevels() []*tensor.Kernels {
	var levels []*tensor.Kernels
	if !cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.BMI2) {
		return nil
	}
	levels = append(levels, avx2())
	if cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512VL, cpuid.AVX512DQ, cpuid.AVX512VNNI, cpuid.AVX512VBMI, cpuid.GFNI) {
		levels = append(levels, avx512())
		if supportsAMX() {
			levels = append(levels, amx())
		}
	}
	return levels
}

// avx2 is the level of x86 since 2013: AVX2, FMA and F16C.
func avx2() *tensor.Kernels {
	k := tensor.Portable()
	k.Name = "avx2"
	rooflineAVX2(k)
	elementsAVX2(k)
	attentionAVX2(k)
	rowsAVX2(k)
	panelsAVX2(k)
	return k
}

// avx512 is the level of servers since 2019 and AMD since Zen 4: AVX-512 with VNNI, VBMI and GFNI.
func avx512() *tensor.Kernels {
	k := avx2()
	k.Name = "avx512"
	rooflineAVX512(k)
	elementsAVX512(k)
	attentionAVX512(k)
	rowsAVX512(k)
	panelsAVX512(k)
	return k
}

// amx is the level of Xeons since 2023: avx512, and tiles of bf16.
func amx() *tensor.Kernels {
	k := avx512()
	k.Name = "amx"
	panelsAMX(k)
	return k
}
