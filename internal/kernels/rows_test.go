package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/tensor"
)

// shifted copies b to an address that is the given number of bytes past an aligned one.
func shifted(b []byte, by int) []byte {
	buf := make([]byte, len(b)+64)
	copy(buf[by:], b)
	return buf[by : by+len(b) : by+len(b)]
}

func TestRowKernels(t *testing.T) {
	ref := tensor.PortableRows()
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(1, 9))
		for _, f := range kerneltest.Formats() {
			if k.Rows[f] == nil {
				continue
			}
			bl := f.BlockLen()
			for _, c := range []struct{ rows, blocks, n int }{
				{1, 1, 1}, {2, 1, 2}, {3, 2, 3}, {4, 3, 4}, {5, 5, 5}, {7, 8, 8}, {9, 3, 9}, {16, 4, 16}, {17, 7, 17}, {33, 2, 1},
			} {
				cols, size := c.blocks*bl, f.RowBytes(c.blocks*bl)
				w := shifted(kerneltest.Blocks(r, f, c.rows, cols), r.IntN(64))
				x := kerneltest.Gaussian(r, c.n*cols)
				units := tensor.Q8Len(cols)
				q := make([]tensor.Q8, c.n*units)
				for i := range c.n {
					ref.Quantize(q[i*units:(i+1)*units], x[i*cols:(i+1)*cols])
				}
				stride := c.rows + 3
				got, want := make([]float32, c.n*stride), make([]float32, c.n*stride)
				k.Rows[f](got, stride, w, size, c.rows, q, units, c.n)
				ref.Rows[f](want, stride, w, size, c.rows, q, units, c.n)

				row := make([]float32, cols)
				one := make([]float32, 1)
				for rr := range c.rows {
					f.Decode(row, w[rr*size:(rr+1)*size])
					for i := range c.n {
						// Each of the cols/4 lane products is rounded a few times, and sums of at most cols/32 of them are
						// taken per lane: (cols/32 + 8) · 2⁻²⁴ of the sum of magnitudes bounds it amply. Minimums are products
						// of their own, so their magnitude counts as well.
						scale := 0.0
						for j, v := range row {
							scale += math.Abs(float64(v) * float64(x[i*cols+j]))
						}
						tol := (float64(cols)/32 + 8) * 0x1p-23 * (scale + 32)
						kerneltest.Within(t, fmt.Sprintf("%v, %d rows of %d, row %d, token %d of %d", f, c.rows, cols, rr, i, c.n),
							float64(got[i*stride+rr]), float64(want[i*stride+rr]), tol)
						// Alone it has the same bits.
						k.Rows[f](one, 1, w[rr*size:(rr+1)*size], size, 1, q[i*units:(i+1)*units], units, 1)
						if math.Float32bits(one[0]) != math.Float32bits(got[i*stride+rr]) {
							t.Fatalf("%v: row %d, token %d is %v in company and %v alone", f, rr, i, got[i*stride+rr], one[0])
						}
					}
				}
				for i := range c.n { // nothing else was written
					for j := c.rows; j < stride; j++ {
						if got[i*stride+j] != 0 {
							t.Fatalf("%v: wrote behind %d rows", f, c.rows)
						}
					}
				}
			}
		}
	})
}

func TestFloatRowKernels(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(2, 9))
		for _, f := range kerneltest.Formats() {
			if k.FloatRows[f] == nil {
				continue
			}
			for _, cols := range kerneltest.Lengths {
				for _, c := range []struct{ rows, n int }{{1, 1}, {2, 3}, {5, 4}, {8, 9}} {
					size := f.RowBytes(cols)
					w := shifted(kerneltest.Blocks(r, f, c.rows, cols), r.IntN(64))
					x := kerneltest.Gaussian(r, c.n*cols)
					stride := c.rows + 1
					got, one := make([]float32, c.n*stride), make([]float32, 1)
					k.FloatRows[f](got, stride, w, size, c.rows, x, cols, c.n)
					row := make([]float32, cols)
					for rr := range c.rows {
						f.Decode(row, w[rr*size:(rr+1)*size])
						for i := range c.n {
							want, scale := 0.0, 0.0
							for j, v := range row {
								p := float64(v) * float64(x[i*cols+j])
								want += p
								scale += math.Abs(p)
							}
							kerneltest.Within(t, fmt.Sprintf("%v, %d columns, row %d, token %d", f, cols, rr, i), float64(got[i*stride+rr]), want,
								(float64(cols)/32+8)*0x1p-23*scale)
							k.FloatRows[f](one, 1, w[rr*size:(rr+1)*size], size, 1, x[i*cols:(i+1)*cols], cols, 1)
							if math.Float32bits(one[0]) != math.Float32bits(got[i*stride+rr]) {
								t.Fatalf("%v: row %d, token %d is %v in company and %v alone", f, rr, i, got[i*stride+rr], one[0])
							}
						}
					}
				}
			}
		}
	})
}
