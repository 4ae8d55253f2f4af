package kernels

import (
	"testing"

	"github.com/gogemma/gemma4/tensor"
)

// Every kernel of every level that this machine runs is compared with the portable function of its arithmetic, on random and edge inputs,
// at lengths that reach every tail and at odd addresses.

// levels are the tables to test: the portable one and, over it, what this machine runs of this package.
func levels() []*tensor.Kernels {
	return append([]*tensor.Kernels{tensor.Portable()}, machineLevels()...)
}

// aboveLevels runs a test for each level above the portable one.
func aboveLevels(t *testing.T, test func(t *testing.T, k *tensor.Kernels)) {
	for _, k := range levels()[1:] {
		t.Run(k.Name, func(t *testing.T) { test(t, k) })
	}
}

// cacheFormats are those that keys and values may have.
var cacheFormats = []tensor.Format{tensor.F32, tensor.F16, tensor.Q8_0, tensor.Q4_0}
