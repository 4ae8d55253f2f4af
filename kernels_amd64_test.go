package gemma4

import "github.com/gogemma/gemma4/internal/kernels/kerneltest"

func init() {
	if kerneltest.Emulated() {
		emulated = amx
	}
}
