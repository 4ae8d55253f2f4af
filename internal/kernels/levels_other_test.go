//go:build !amd64 && !arm64

package kernels

import "github.com/gogemma/gemma4/tensor"

func machineLevels() []*tensor.Kernels { return nil }
