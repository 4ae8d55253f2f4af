//go:build !amd64 && !arm64

package gemma4

import (
	"github.com/klauspost/cpuid/v2"

	"github.com/gogemma/gemma4/tensor"
)

// levelsWith: where there is no assembly the portable loops are all there is.
func levelsWith(func(...cpuid.FeatureID) bool) []*tensor.Kernels { return nil }
