//go:build unix

package gemma4

import (
	"fmt"
	"math"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fence makes slices of which one end lies where memory ends: behind it, or in front of it, a page faults.
type fence struct {
	t     *testing.T
	front bool
}

func fences(t *testing.T, test func(fence)) {
	test(fence{t, false})
	test(fence{t, true})
}

func (f fence) bytes(n int) []byte {
	page := unix.Getpagesize()
	room := (n + page - 1) / page * page
	m, err := unix.Mmap(-1, 0, room+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { unix.Munmap(m) })
	for _, p := range [][]byte{m[:page], m[page+room:]} {
		if err := unix.Mprotect(p, unix.PROT_NONE); err != nil {
			f.t.Fatal(err)
		}
	}
	if f.front {
		return m[page : page+n : page+n]
	}
	return m[page+room-n : page+room : page+room]
}

func (f fence) floats(x []float32) []float32 {
	b := f.bytes(4 * len(x))
	y := unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(x))
	copy(y, x)
	return y
}

func (f fence) copyOf(b []byte) []byte {
	c := f.bytes(len(b))
	copy(c, b)
	return c
}

func bits(x float32) uint32 { return math.Float32bits(x) }

// equal fails unless all numbers have the same bits, or are NaN both.
func equal(t *testing.T, got, want []float32, what string, args ...any) {
	t.Helper()
	for i := range want {
		if bits(got[i]) != bits(want[i]) && !(got[i] != got[i] && want[i] != want[i]) {
			t.Fatalf("%s: number %d of %d is %g (%#x), want %g (%#x)", fmt.Sprintf(what, args...), i, len(want), got[i], bits(got[i]), want[i], bits(want[i]))
		}
	}
}
