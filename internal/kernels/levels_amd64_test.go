package kernels

import (
	"github.com/klauspost/cpuid/v2"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/tensor"
)

// machineLevels returns the levels that the machine runs, each over those below, or the one that an emulator, which is slow, has it run.
func machineLevels() (levels []*tensor.Kernels) {
	has := cpuid.CPU.Supports
	steps := []struct {
		name string
		runs bool
		fill func(*tensor.Kernels)
	}{
		{"avx2", has(cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.BMI2), func(k *tensor.Kernels) { AVX2(k, has(cpuid.AVXVNNI)) }},
		{"avx512", has(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512VL, cpuid.AVX512DQ, cpuid.AVX512VNNI, cpuid.AVX512VBMI, cpuid.GFNI),
			AVX512},
		{"amx", has(cpuid.AMXTILE, cpuid.AMXBF16, cpuid.AVX512BF16) && machine.PermitTiles(), AMX},
	}
	k := *tensor.Portable()
	for _, s := range steps {
		if !s.runs && !kerneltest.Emulated() {
			break
		}
		k.Name = s.name
		s.fill(&k)
		level := k
		levels = append(levels, &level)
	}
	if kerneltest.Emulated() {
		return levels[len(levels)-1:]
	}
	return levels
}
