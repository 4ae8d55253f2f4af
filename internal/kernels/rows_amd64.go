package kernels

import (
	"sync"
	"unsafe"

	"github.com/gogemma/gemma4/tensor"
)

//go:generate go -C ../.. run ./internal/cmd/asm

// rowFormat is a format of the row kernels.
type rowFormat struct {
	format    tensor.Format
	offset512 byte // at avx512: makes values unsigned; 1 where they are, as with a minimum
}

// codebook makes what a row kernel looks up when it is first needed. Formats that look nothing up get no bytes: nil.
func codebook(bytes func() []byte) func() *byte {
	return sync.OnceValue(func() *byte { return unsafe.SliceData(bytes()) })
}

// clearResults stores the products of rows without columns.
func clearResults(dst []float32, stride, rows, n int) {
	for t := range n {
		clear(dst[t*stride:][:rows])
	}
}
