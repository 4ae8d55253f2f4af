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

// TestRowKernels compares with the algorithm of tensor.PortableRows, in the level's order, bit for bit.
func TestRowKernels(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(1, 9))
		for _, f := range tensor.Formats() {
			if k.Rows[f] == nil {
				continue
			}
			bl := f.BlockLen()
			for _, c := range []struct{ rows, blocks, n int }{
				{1, 1, 1}, {2, 1, 2}, {3, 2, 3}, {4, 3, 4}, {5, 5, 5}, {3, 9, 6}, {2, 4, 7}, {7, 8, 8}, {9, 3, 9}, {16, 4, 16}, {17, 7, 17},
				{33, 2, 1}, {10, 13, 3}, {2, 21, 1}, {1, 32, 2},
			} {
				cols, size := c.blocks*bl, f.RowBytes(c.blocks*bl)
				w := shifted(kerneltest.Blocks(r, f, c.rows, cols), r.IntN(64))
				x := kerneltest.Gaussian(r, c.n*cols)
				q, units := quantized(x, c.n)
				stride := c.rows + 3
				got, want := make([]float32, c.n*stride), make([]float32, c.n*stride)
				k.Rows[f](got, stride, w, size, c.rows, q, units, c.n)
				inOrder(k.Name, f)(want, stride, w, size, c.rows, q, units, c.n)
				sameRows(t, shape(f, c.rows, cols, c.n), got, want, stride, c.rows, c.n)
				one := make([]float32, 1)
				for rr := range c.rows {
					for i := range c.n {
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
		for _, f := range tensor.Formats() {
			if k.FloatRows[f] == nil {
				continue
			}
			for _, cols := range kerneltest.Lengths {
				for _, c := range []struct{ rows, n int }{{1, 1}, {2, 3}, {5, 4}, {3, 5}, {2, 6}, {1, 7}, {8, 9}} {
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
							kerneltest.Within(t, fmt.Sprintf("%v, %d columns, row %d, token %d", f, cols, rr, i), float64(got[i*stride+rr]),
								want,
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
