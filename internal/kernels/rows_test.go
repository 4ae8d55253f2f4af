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
				{33, 2, 1}, {5, 9, 1}, {6, 3, 1}, {7, 8, 1}, {10, 13, 3}, {2, 21, 1}, {1, 32, 2},
				{9, 10, 1}, {5, 12, 1}, {15, 14, 1}, {9, 22, 1}, {3, 34, 1}, // rows that end within 256 columns
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

// TestRowKernelsOfSeveralTokens takes every number of tokens that a kernel has a way of its own for, and some more, with rows that take it
// several turns, and more of them than a turn has.
func TestRowKernelsOfSeveralTokens(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(3, 9))
		for _, f := range tensor.Formats() {
			if k.Rows[f] == nil {
				continue
			}
			bl := f.BlockLen()
			type multiplied struct{ rows, cols, n int }
			cases := []multiplied{{8, 4096 + bl, 4}, {129, bl, 4}}
			for n := 1; n <= 17; n++ {
				cases = append(cases, multiplied{8 + n%2, max(bl, 32*(3+n%5)/bl*bl), n})
			}
			for _, c := range cases {
				size := f.RowBytes(c.cols)
				w := shifted(kerneltest.Blocks(r, f, c.rows, c.cols), r.IntN(64))
				q, units := quantized(kerneltest.Gaussian(r, c.n*c.cols), c.n)
				stride := c.rows + 1
				got, want := make([]float32, c.n*stride), make([]float32, c.n*stride)
				k.Rows[f](got, stride, w, size, c.rows, q, units, c.n)
				inOrder(k.Name, f)(want, stride, w, size, c.rows, q, units, c.n)
				sameRows(t, shape(f, c.rows, c.cols, c.n), got, want, stride, c.rows, c.n)
				for i := range c.n {
					if got[i*stride+c.rows] != 0 {
						t.Fatalf("%s: wrote behind the rows", shape(f, c.rows, c.cols, c.n))
					}
				}
			}
		}
	})
}

// fillScales sets the half floats of a format's blocks, and nothing in a format that has none.
func fillScales(f tensor.Format, w []byte, h uint16) {
	at := map[tensor.Format][]int{
		tensor.Q4_0: {0}, tensor.Q4_1: {0, 2}, tensor.Q5_0: {0}, tensor.Q5_1: {0, 2}, tensor.Q8_0: {0}, tensor.Q2_K: {80, 82},
		tensor.Q3_K: {108},
		tensor.Q4_K: {0, 2}, tensor.Q5_K: {0, 2}, tensor.Q6_K: {208}, tensor.IQ4_NL: {0}, tensor.IQ4_XS: {0}, tensor.TQ2_0: {64},
		tensor.TQ1_0: {52}, tensor.IQ1_S: {0}, tensor.IQ2_XXS: {0}, tensor.IQ2_XS: {0}, tensor.IQ2_S: {0}, tensor.IQ3_XXS: {0},
		tensor.IQ3_S: {0},
	}[f]
	for size := f.BlockBytes(); len(w) >= size; w = w[size:] {
		for _, i := range at {
			w[i], w[i+1] = byte(h), byte(h>>8)
		}
		for i := 0; i < 4 && f == tensor.IQ1_M; i++ {
			w[49+2*i] = w[49+2*i]&15 | byte(h>>(4*i)&15)<<4
		}
	}
}
