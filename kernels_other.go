//go:build !amd64 && !arm64

package gemma4

import (
	"github.com/klauspost/cpuid/v2"

	"github.com/gogemma/gemma4/tensor"
)

// levelsWith returns nothing: without assembly there are only the portable loops.
func levelsWith(func(...cpuid.FeatureID) bool) []*tensor.Kernels { return nil }
