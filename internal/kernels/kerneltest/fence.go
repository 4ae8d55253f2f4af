package kerneltest

import (
	"testing"
	"unsafe"

	"github.com/gogemma/gemma4/tensor"
)

// Fence makes slices of which one end lies where memory ends: behind it, or in front of it, a page faults (on Unix).
type Fence struct {
	T     *testing.T
	Front bool
}

// Fences runs a test with either.
func Fences(t *testing.T, test func(Fence)) {
	test(Fence{t, false})
	test(Fence{t, true})
}

// Bytes returns n zeros.
func (f Fence) Bytes(n int) []byte {
	f.T.Helper()
	return Guarded[byte](f.T, n, !f.Front)
}

// Floats copies x.
func (f Fence) Floats(x []float32) []float32 {
	f.T.Helper()
	y := Guarded[float32](f.T, len(x), !f.Front)
	copy(y, x)
	return y
}

// Q8 copies x.
func (f Fence) Q8(x []tensor.Q8) []tensor.Q8 {
	f.T.Helper()
	y := Guarded[tensor.Q8](f.T, len(x), !f.Front)
	copy(y, x)
	return y
}

// CopyOf copies b.
func (f Fence) CopyOf(b []byte) []byte {
	f.T.Helper()
	c := f.Bytes(len(b))
	copy(c, b)
	return c
}

// Guarded returns n zeros that end, or begin, where memory may not be touched.
func Guarded[T any](t *testing.T, n int, atEnd bool) []T {
	t.Helper()
	var zero T
	return Place[T](Pages(t, n*int(unsafe.Sizeof(zero))), n, atEnd)
}

// Place returns the last, or first, n values of memory, cleared.
func Place[T any](memory []byte, n int, atEnd bool) []T {
	var zero T
	size := n * int(unsafe.Sizeof(zero))
	if atEnd {
		memory = memory[len(memory)-size:]
	}
	clear(memory[:size])
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(memory))), n)[:n:n]
}
