//go:build amd64 && unix

package gemma4

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/gogemma/gemma4/tensor"
)

// saturated returns activations whose values are all of the largest magnitude, in units that end where memory ends.
func (f fence) saturated(r *rand.Rand, units int) []tensor.Q8 {
	b := f.bytes(units * int(unsafe.Sizeof(tensor.Q8{})))
	q := unsafe.Slice((*tensor.Q8)(unsafe.Pointer(unsafe.SliceData(b))), units)
	x := make([]float32, 64)
	for i := range q {
		sign := float32(1 - 2*r.IntN(2))
		for j := range x {
			x[j] = sign * float32(math.Exp2(float64(i%5)))
		}
		tensor.Portable().Quantize(q[i:i+1], x)
	}
	return q
}

// TestRowKernelsAtTheEdges: weights, activations and results end, or begin, where memory does; all bits of the weights are
// set, none are, or they are random; activations are saturated.
func TestRowKernelsAtTheEdges(t *testing.T) {
	ref := tensor.PortableRows()
	fills := map[string]func(*rand.Rand) byte{
		"ones": func(*rand.Rand) byte { return 0xff }, "zeros": func(*rand.Rand) byte { return 0 }, "random": func(r *rand.Rand) byte { return byte(r.Uint32()) },
	}
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		fences(t, func(edge fence) {
			r := rand.New(rand.NewPCG(4, 9))
			for _, f := range allFormats() {
				if k.Rows[f] == nil {
					continue
				}
				for fill, next := range fills {
					for _, c := range []struct{ rows, blocks, n int }{{1, 1, 1}, {2, 3, 1}, {3, 5, 2}, {5, 2, 4}, {4, 9, 7}, {9, 1, 17}} {
						cols, size := c.blocks*f.BlockLen(), f.RowBytes(c.blocks*f.BlockLen())
						w := edge.bytes(c.rows * size)
						for i := range w {
							w[i] = next(r)
						}
						tame(f, w, r)
						units := tensor.Q8Len(cols)
						x := edge.saturated(r, c.n*units)
						if cols%64 != 0 { // what fills the last unit up is zero
							for i := range c.n {
								u := &x[(i+1)*units-1]
								clear(u.Q[32:])
								clear(u.Scale[8:])
								clear(u.NegSum[8:])
							}
						}
						got := edge.floats(make([]float32, c.n*c.rows))
						want := make([]float32, c.n*c.rows)
						k.Rows[f](got, c.rows, w, size, c.rows, x, units, c.n)
						ref.Rows[f](want, c.rows, w, size, c.rows, x, units, c.n)
						row := make([]float32, cols)
						for rr := range c.rows {
							f.Decode(row, w[rr*size:(rr+1)*size])
							scale := 0.0
							for _, v := range row {
								scale += math.Abs(float64(v)) * 16
							}
							for i := range c.n { // as in TestRowKernels; minimums may be as large as what they are taken from
								within(t, fmt.Sprintf("%v of %s, %+v, row %d, token %d", f, fill, c, rr, i), float64(got[i*c.rows+rr]),
									float64(want[i*c.rows+rr]), (float64(cols)/32+8)*0x1p-23*(scale+float64(cols)*1024))
							}
						}
					}
				}
			}
		})
	})
}
