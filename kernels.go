package gemma4

import (
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/tensor"
)

// levelNames are the names that GEMMA4_CPU may have, on any machine. Those of one architecture are in ascending order.
var levelNames = []string{"portable", "avx2", "avx512", "bf16", "amx", "neon", "dotprod", "i8mm"}

// Levels returns the tables of inner loops that this machine runs, the slowest first. The first is tensor.Portable(). The tables are the
// caller's own; what they point to must not be changed.
func Levels() []*tensor.Kernels {
	levels := []*tensor.Kernels{tensor.Portable()}
	for _, level := range levelsWith(machine.Supports) {
		levels = append(levels, copyOf(level))
	}
	return levels
}

// level returns a function for a table that is built when first asked for, once per process, and never changed: callers get copies.
func level(name string, build func() *tensor.Kernels) func() *tensor.Kernels {
	return sync.OnceValue(func() *tensor.Kernels {
		k := build()
		k.Name = name
		return k
	})
}

func copyOf(k *tensor.Kernels) *tensor.Kernels {
	c := *k
	return &c
}

// BestKernels returns the fastest inner loops that this machine runs. The environment variable GEMMA4_CPU caps the choice at
// portable, avx2, avx512, bf16 or amx, or at neon, dotprod or i8mm; anything else is an error.
func BestKernels() (*tensor.Kernels, error) {
	levels := Levels()
	best := levels[len(levels)-1]
	name := os.Getenv("GEMMA4_CPU")
	if name == "" {
		return best, nil
	}
	limit := slices.Index(levelNames, name)
	if limit < 0 {
		return nil, fmt.Errorf("gemma4: GEMMA4_CPU is %q, expected one of %v", name, levelNames)
	}
	best = levels[0]
	for _, k := range levels[1:] {
		if slices.Index(levelNames, k.Name) <= limit {
			best = k
		}
	}
	return best, nil
}

func (l Loader) kernels() (*tensor.Kernels, error) {
	best, err := BestKernels()
	if err == nil && l.Exact {
		best = best.Exact()
	}
	return best, err
}

// mixing puts a Hadamard transform of units of 64 numbers into the table.
func mixing(k *tensor.Kernels, loop func(x *float32, units int)) {
	portable := k.Hadamard
	k.Hadamard = func(x []float32) {
		if len(x)%64 != 0 {
			portable(x)
		} else if len(x) > 0 {
			loop(&x[0], len(x)/64)
		}
	}
}

// callLen bounds the numbers that one call of assembly takes, so that it takes well under a millisecond.
const callLen = 1 << 15

// encoder makes an encoder of a loop over blocks.
func encoder(f tensor.Format, loop func(dst *byte, x *float32, blocks int)) func(dst []byte, x []float32) {
	values, size := f.BlockLen(), f.BlockBytes()
	return func(dst []byte, x []float32) {
		for len(x) >= values {
			n := min(len(x), callLen) / values
			_ = dst[size*n-1]
			loop(&dst[0], &x[0], n)
			dst, x = dst[size*n:], x[values*n:]
		}
	}
}
