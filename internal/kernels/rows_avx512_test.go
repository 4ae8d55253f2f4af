//go:build amd64 && unix

package kernels

import (
	"math/rand/v2"
	"testing"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/tensor"
)

// TestRowsAreTheSameWhereverTheyAreFetched compares the variants of avx512, of which a processor runs one, in rows that follow each other
// and rows that take turns, where memory ends and begins.
func TestRowsAreTheSameWhereverTheyAreFetched(t *testing.T) {
	if !machine.Supports(machine.AVX512...) {
		t.Skip("no AVX-512")
	}
	var far, near tensor.Kernels
	rowsAVX512(&far, false)
	rowsAVX512(&near, true)
	r := rand.New(rand.NewPCG(7, 9))
	for _, c := range []struct{ rows, cols, n int }{
		{1, 256, 1}, {9, 512, 1}, {40, 2048, 1}, {5, 17408, 1}, {7, 768, 2}, {11, 6144, 3}, {13, 2048, 4}, {6, 6144, 8}, {3, 1024, 9},
	} {
		for f := range tensor.Format(len(far.Rows)) {
			if far.Rows[f] == nil && far.FloatRows[f] == nil {
				continue
			}
			size := f.RowBytes(c.cols)
			w, x := kerneltest.Blocks(r, f, c.rows, c.cols), kerneltest.Gaussian(r, c.n*c.cols)
			q, units := quantized(x, c.n)
			kerneltest.Fences(t, func(fence kerneltest.Fence) {
				w, x, q := fence.CopyOf(w), fence.Floats(x), fence.Q8(q)
				got, want := fence.Floats(make([]float32, c.n*c.rows)), make([]float32, c.n*c.rows)
				if far.Rows[f] != nil {
					far.Rows[f](want, c.rows, w, size, c.rows, q, units, c.n)
					near.Rows[f](got, c.rows, w, size, c.rows, q, units, c.n)
				} else {
					far.FloatRows[f](want, c.rows, w, size, c.rows, x, c.cols, c.n)
					near.FloatRows[f](got, c.rows, w, size, c.rows, x, c.cols, c.n)
				}
				for i := range got {
					if !kerneltest.Alike(got[i], want[i]) {
						t.Fatalf("%v, %d rows of %d, %d tokens: product %d is %v, fetched into the second-level cache %v", f, c.rows,
							c.cols, c.n, i, got[i], want[i])
					}
				}
			})
		}
	}
}
