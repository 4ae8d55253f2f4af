//go:build !amd64 && !arm64

package gemma4

import "github.com/gogemma/gemma4/tensor"

// machineLevels: where there is no assembly the portable loops are all there is.
func machineLevels() []*tensor.Kernels { return nil }
