package gemma4

import (
	"fmt"
	"os"
	"slices"

	"github.com/gogemma/gemma4/tensor"
)

// levels are the names that GEMMA4_CPU may have, on any machine.
var levels = []string{"portable", "avx2", "avx512", "amx", "neon", "dotprod", "i8mm"}

// BestKernels returns the fastest inner loops that this machine runs. The environment variable GEMMA4_CPU caps the choice at
// portable, avx2, avx512 or amx, or at neon, dotprod or i8mm. So far every level is the portable one.
func BestKernels() (*tensor.Kernels, error) {
	if level := os.Getenv("GEMMA4_CPU"); level != "" && !slices.Contains(levels, level) {
		return nil, fmt.Errorf("GEMMA4_CPU is %q, expected one of %v", level, levels)
	}
	return tensor.Portable(), nil
}

func (l Loader) kernels() (*tensor.Kernels, error) {
	best, err := BestKernels()
	if err == nil && l.Exact {
		best = tensor.Portable()
	}
	return best, err
}
