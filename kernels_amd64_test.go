package gemma4

import (
	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/tensor"
)

func init() {
	if kerneltest.Emulated() {
		emulated = func() *tensor.Kernels { return copyOf(amx()) }
	}
}
