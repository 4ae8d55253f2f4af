//go:build amd64 && unix

package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/tensor"
)

// TestRowKernelsReadNoFurther takes rows of every length, wide ones too, that end and begin where memory does.
func TestRowKernelsReadNoFurther(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(1, 31))
		for _, f := range tensor.Formats() {
			if k.Rows[f] == nil {
				continue
			}
			bl := f.BlockLen()
			for _, c := range []struct{ rows, cols, n int }{
				{1, bl, 1}, {3, 3 * bl, 2}, {700, bl, 1}, {700, 2 * bl, 3}, {2, 256, 8}, {5, 2048, 4}, {3, 2048 + 256 - bl, 8},
				{19, 2048 + bl, 9},
				{7, 2048 + 256, 2}, {33, 4096, 8}, {2, 16384 + 256, 1}, {3, 16384 + 2*bl, 1}, {5, 16384, 5}, {4, 2 * 16384, 1}, {0, 256, 1},
				{3, 0, 2}, {67, 2048 + 512, 3},
				{3, 8192, 2}, {2, 8192 + 256, 2}, {70, 2048 + 512, 8}, {5, 3072 + bl, 6}, {9, 3072, 7}, {171, 6144, 6}, {83, 6144, 1},
				{11, 22 * bl, 1}, {9, 26 * bl, 1}, {7, 66 * bl, 1},
			} {
				if c.cols%bl != 0 {
					continue
				}
				size := f.RowBytes(c.cols)
				x := kerneltest.Gaussian(r, c.n*c.cols)
				q, units := quantized(x, c.n)
				w := kerneltest.Blocks(r, f, c.rows, c.cols)
				want := make([]float32, c.n*c.rows)
				inOrder(k.Name, f)(want, c.rows, w, size, c.rows, q, units, c.n)
				kerneltest.Fences(t, func(fence kerneltest.Fence) {
					w, q, got := fence.CopyOf(w), fence.Q8(q), fence.Floats(make([]float32, len(want)))
					k.Rows[f](got, c.rows, w, size, c.rows, q, units, c.n)
					what := shape(f, c.rows, c.cols, c.n)
					sameRows(t, what, got, want, c.rows, c.rows, c.n)
					one := fence.Floats(make([]float32, 1))
					for i := range got {
						if row, token := i%c.rows, i/c.rows; row < 20 {
							k.Rows[f](one, 1, w[row*size:(row+1)*size], size, 1, q[token*units:(token+1)*units], units, 1)
							if math.Float32bits(one[0]) != math.Float32bits(got[i]) {
								t.Fatalf("%s: product %d is %v in company and %v alone", what, i, got[i], one[0])
							}
						}
					}
				})
			}
		}
	})
}

// TestRowKernelsAtTheEdges takes blocks of one byte throughout, with scales of every kind, times activations that are the largest,
// zero, tiny, huge, or no numbers.
func TestRowKernelsAtTheEdges(t *testing.T) {
	const cols, rows = 512, 2
	activations := map[string]func(i int) float32{
		"ones":      func(int) float32 { return 1 },
		"signs":     func(i int) float32 { return float32(1 - 2*(i&1)) },
		"zeros":     func(int) float32 { return 0 },
		"tiny":      func(i int) float32 { return 0x1p-99 * float32(i%7-3) },
		"huge":      func(i int) float32 { return 0x1p60 * float32(i%5-2) },
		"NaN":       func(i int) float32 { return [2]float32{1, float32(math.NaN())}[i/(cols-1)] },
		"Inf":       func(i int) float32 { return [2]float32{float32(math.Inf(1)), 1}[min(i, 1)] },
		"one block": func(i int) float32 { return [2]float32{float32(i), 0}[min(i/32, 1)] },
	}
	halves := []uint16{0, 0x8000, 1, 0x83FF, 0x0400, 0x3C00, 0xBC00, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00}
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		for _, f := range tensor.Formats() {
			if k.Rows[f] == nil {
				continue
			}
			size := f.RowBytes(cols)
			w := make([]byte, rows*size)
			for name, activation := range activations {
				x := make([]float32, cols)
				for i := range x {
					x[i] = activation(i)
				}
				q, units := quantized(x, 1)
				for _, fill := range []byte{0, 1, 0x08, 0x7F, 0x80, 0x88, 0xFE, 0xFF} {
					for _, h := range halves {
						for i := range w {
							w[i] = fill
						}
						fillScales(f, w, h)
						got, want := make([]float32, rows), make([]float32, rows)
						k.Rows[f](got, rows, w, size, rows, q, units, 1)
						inOrder(k.Name, f)(want, rows, w, size, rows, q, units, 1)
						sameRows(t, fmt.Sprintf("%v of %#x, scale %#x, times %s", f, fill, h, name), got, want, rows, rows, 1)
					}
				}
			}
		}
	})
}

// TestFloatRowKernelsReadNoFurther does the same for floats, strange ones too.
func TestFloatRowKernelsReadNoFurther(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(2, 31))
		for _, f := range tensor.Formats() {
			if k.FloatRows[f] == nil {
				continue
			}
			for _, c := range []struct{ rows, cols, n int }{
				{1, 1, 1}, {2, 31, 3}, {3, 32, 8}, {4, 33, 4}, {700, 3, 1}, {700, 65, 2}, {7, 768, 8}, {33, 800, 8}, {33, 785, 9},
				{2, 6144 + 17, 1},
				{150, 6144 + 33, 1}, {5, 3072 + 96, 2}, {3, 20000, 5}, {93, 3072, 7}, {3, 1536, 6}, {0, 32, 1}, {3, 0, 2},
			} {
				for _, odd := range []bool{false, true} {
					size := f.RowBytes(c.cols)
					w, x := kerneltest.Blocks(r, f, c.rows, c.cols), kerneltest.Gaussian(r, c.n*c.cols)
					if odd {
						for range c.rows * c.cols / 100 {
							w[r.IntN(len(w))] = [...]byte{0, 0x7C, 0x7F, 0x80, 0xFC, 0xFF}[r.IntN(6)]
						}
						for i := range x {
							if r.IntN(1000) == 0 {
								x[i] = kerneltest.Edges[r.IntN(len(kerneltest.Edges))]
							}
						}
					}
					kerneltest.Fences(t, func(fence kerneltest.Fence) {
						w, x, got := fence.CopyOf(w), fence.Floats(x), fence.Floats(make([]float32, c.n*c.rows))
						k.FloatRows[f](got, c.rows, w, size, c.rows, x, c.cols, c.n)
						row, one := make([]float32, c.cols), fence.Floats(make([]float32, 1))
						for rr := range c.rows {
							f.Decode(row, w[rr*size:(rr+1)*size])
							for i := range c.n {
								want, m := 0.0, 0.0
								for j, v := range row {
									p := float64(v) * float64(x[i*c.cols+j])
									want += p
									m += math.Abs(p)
								}
								g := got[i*c.rows+rr]
								what := fmt.Sprintf("%v, %d rows of %d, row %d, token %d of %d", f, c.rows, c.cols, rr, i, c.n)
								if m < 0x1p120 { // else sums may overflow
									kerneltest.Within(t, what, float64(g), want, (float64(c.cols)/32+8)*0x1p-23*m+0x1p-140)
								} else if math.IsNaN(want) && g == g {
									t.Fatalf("%s is %v, want NaN", what, g)
								}
								if rr < 20 {
									k.FloatRows[f](one, 1, w[rr*size:(rr+1)*size], size, 1, x[i*c.cols:(i+1)*c.cols], c.cols, 1)
									if !kerneltest.Alike(one[0], g) {
										t.Fatalf("%s is %v in company and %v alone", what, g, one[0])
									}
								}
							}
						}
					})
				}
			}
		}
	})
}

// TestRowKernelsAllocateNothing calls each once more.
func TestRowKernelsAllocateNothing(t *testing.T) {
	const cols, rows, n = 2304, 5, 9
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(3, 31))
		x, dst := kerneltest.Gaussian(r, n*cols), make([]float32, n*rows)
		q, units := quantized(x, n)
		for _, f := range tensor.Formats() {
			if k.Rows[f] == nil && k.FloatRows[f] == nil {
				continue
			}
			w := kerneltest.Blocks(r, f, rows, cols)
			size := len(w) / rows
			if a := testing.AllocsPerRun(10, func() {
				if k.Rows[f] != nil {
					k.Rows[f](dst, rows, w, size, rows, q, units, n)
				} else {
					k.FloatRows[f](dst, rows, w, size, rows, x, cols, n)
				}
			}); a != 0 {
				t.Errorf("%v: %v allocations", f, a)
			}
		}
	})
}
