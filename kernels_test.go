package gemma4

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gogemma/gemma4/tensor"
)

// Every kernel of every level that this machine runs is compared with the portable function of its arithmetic, on random
// and edge inputs, at lengths that reach every tail and at odd addresses.

// lengths reach every tail of an unrolled loop.
var lengths = []int{1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 96, 100, 127, 128, 129, 255, 256, 257, 511, 512, 1000, 1536}

// emulated is the level that an emulator has this machine run, if any.
var emulated func() *tensor.Kernels

// levels are those to test: the machine's or, under an emulator, which is slow, the portable and the emulated one.
func levels() []*tensor.Kernels {
	if emulated != nil {
		return []*tensor.Kernels{tensor.Portable(), emulated()}
	}
	return Levels()
}

// aboveLevels runs a test for each level above the portable one.
func aboveLevels(t *testing.T, test func(t *testing.T, k *tensor.Kernels)) {
	for _, k := range levels()[1:] {
		t.Run(k.Name, func(t *testing.T) { test(t, k) })
	}
}

func gaussian(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// within fails unless got is want up to the tolerance, NaN being equal to NaN.
func within(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) && math.IsNaN(want) || got == want {
		return
	}
	if !(math.Abs(got-want) <= tolerance) {
		t.Fatalf("%s is %g, want %g ± %g", what, got, want, tolerance)
	}
}

// blocks returns random valid rows of a format: scales are finite and of ordinary size.
func blocks(r *rand.Rand, f tensor.Format, rows, cols int) []byte {
	n := rows * f.RowBytes(cols)
	w := make([]byte, n)
	values := make([]float32, rows*cols)
	for try := 0; try < 1000; try++ {
		for i := range w {
			w[i] = byte(r.Uint32())
		}
		tame(f, w, r)
		f.Decode(values, w)
		ok := true
		for _, v := range values {
			if !(math.Abs(float64(v)) < 1e4) {
				ok = false
				break
			}
		}
		if ok {
			return w
		}
	}
	panic(fmt.Sprintf("no valid rows of %v in 1000 tries", f))
}

// tame sets the scales of blocks to half floats between 2⁻⁸ and 1, positive or negative.
func tame(f tensor.Format, w []byte, r *rand.Rand) {
	size := f.BlockBytes()
	half := func(b []byte) {
		h := tensor.ToF16(float32(math.Exp2(-8*r.Float64())) * float32(1-2*r.IntN(2)))
		b[0], b[1] = byte(h), byte(h>>8)
	}
	for ; len(w) >= size; w = w[size:] {
		b := w[:size]
		switch f {
		case tensor.F16:
			half(b)
		case tensor.BF16:
			h := tensor.ToBF16(float32(r.NormFloat64()))
			b[0], b[1] = byte(h), byte(h>>8)
		case tensor.F32:
			v := math.Float32bits(float32(r.NormFloat64()))
			b[0], b[1], b[2], b[3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
		case tensor.Q4_1, tensor.Q5_1, tensor.Q4_K, tensor.Q5_K:
			half(b)
			half(b[2:])
		case tensor.Q2_K:
			half(b[80:])
			half(b[82:])
		case tensor.Q3_K, tensor.Q6_K, tensor.TQ1_0, tensor.TQ2_0:
			half(b[size-2:])
		case tensor.MXFP4:
			b[0] = byte(115 + r.IntN(16))
		case tensor.NVFP4:
			for i := range 4 {
				b[i] = byte(r.IntN(0x60))
			}
		case tensor.IQ1_M:
			h := tensor.ToF16(float32(math.Exp2(-8 * r.Float64())))
			for i := range 4 {
				b[49+2*i] = b[49+2*i]&15 | byte(h>>(4*i)&15)<<4
			}
		default:
			half(b)
		}
	}
}

// allFormats are all weight formats.
func allFormats() (list []tensor.Format) {
	for f := tensor.F32; f <= tensor.Q2_0; f++ {
		if f.Valid() {
			list = append(list, f)
		}
	}
	return list
}

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
		for _, f := range allFormats() {
			if k.Rows[f] == nil {
				continue
			}
			bl := f.BlockLen()
			for _, c := range []struct{ rows, blocks, n int }{
				{1, 1, 1}, {2, 1, 2}, {3, 2, 3}, {4, 3, 4}, {5, 5, 5}, {7, 8, 8}, {9, 3, 9}, {16, 4, 16}, {17, 7, 17}, {33, 2, 1},
			} {
				cols, size := c.blocks*bl, f.RowBytes(c.blocks*bl)
				w := shifted(blocks(r, f, c.rows, cols), r.IntN(64))
				x := gaussian(r, c.n*cols)
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
						within(t, fmt.Sprintf("%v, %d rows of %d, row %d, token %d of %d", f, c.rows, cols, rr, i, c.n),
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
		for _, f := range allFormats() {
			if k.FloatRows[f] == nil {
				continue
			}
			for _, cols := range lengths {
				for _, c := range []struct{ rows, n int }{{1, 1}, {2, 3}, {5, 4}, {8, 9}} {
					size := f.RowBytes(cols)
					w := shifted(blocks(r, f, c.rows, cols), r.IntN(64))
					x := gaussian(r, c.n*cols)
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
							within(t, fmt.Sprintf("%v, %d columns, row %d, token %d", f, cols, rr, i), float64(got[i*stride+rr]), want,
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

// TestRooflineLoops: the sum reads every byte, and rounds are counted.
func TestRooflineLoops(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(3, 9))
		k.Sum(nil)
		for _, n := range []int{1, 255, 256, 257, 1000, 4096} {
			b := make([]byte, n)
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			before := k.Sum(b)
			for i := range b {
				b[i]++
				if k.Sum(b) == before {
					t.Fatalf("byte %d of %d is not read", i, n)
				}
				b[i]--
			}
			if k.Sum(b) != before {
				t.Fatalf("two sums of the same %d bytes differ", n)
			}
		}
		if one, ten := k.Burn(1), k.Burn(10); one <= 0 || ten != 10*one {
			t.Errorf("one round is %d multiply-adds, ten are %d", one, ten)
		}
	})
}
