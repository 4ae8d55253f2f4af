package kernels

import (
	"github.com/klauspost/cpuid/v2"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/tensor"
)

// machineLevels returns the levels that the machine runs, each over those below, or the one that an emulator, which is slow, has it run.
func machineLevels() (levels []*tensor.Kernels) {
	has := machine.Supports
	steps := []struct {
		name string
		runs bool
		fill func(*tensor.Kernels)
	}{
		{"avx2", has(machine.AVX2...), func(k *tensor.Kernels) { AVX2(k, has(cpuid.AVXVNNI)) }},
		{"avx512", has(machine.AVX512...), func(k *tensor.Kernels) { AVX512(k, machine.FetchesNear()) }},
		{"bf16", has(machine.BF16...), BF16},
		{"amx", has(machine.AMX...) && machine.PermitTiles(), AMX},
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
