//go:build amd64 && unix

package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/klauspost/cpuid/v2"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/tensor"
)

// What the avx2 level of this machine does is tested with all levels. On a machine with AVX-VNNI that is one of two variants; here
// they are compared with each other.

// variantsAVX2 are the tables without and with AVX-VNNI.
func variantsAVX2() (plain, vnni *tensor.Kernels) {
	plain, vnni = &tensor.Kernels{Name: "AVX2"}, &tensor.Kernels{Name: "AVX-VNNI"}
	rowsAVX2(plain, false)
	rowsAVX2(vnni, true)
	return plain, vnni
}

// TestRowVariantsOfAVX2Agree takes random and extreme weights and activations, in rows and tiles of all shapes, where memory ends
// and begins. Sums that are extreme do not overflow 16 bits in one of the variants: that would show.
func TestRowVariantsOfAVX2Agree(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVXVNNI) {
		t.Skip("no AVX-VNNI")
	}
	plain, vnni := variantsAVX2()
	r := rand.New(rand.NewPCG(5, 9))
	activations := []func(i int) float32{
		func(int) float32 { return float32(r.NormFloat64()) },
		func(int) float32 { return 1 },
		func(int) float32 { return -1 },
		func(i int) float32 { return float32(1 - 2*(i&1)) },
		func(i int) float32 { return float32(1 - i>>1&1*2) },
		func(i int) float32 { return float32(i % 33 * (i % 5)) },
		func(int) float32 { return kerneltest.Edges[r.IntN(len(kerneltest.Edges))] },
	}
	for _, format := range rowFormats {
		f := format.format
		for _, c := range []struct{ rows, blocks, n int }{
			{1, 1, 1}, {3, 2, 2}, {8, 3, 3}, {17, 8, 4}, {9, 9, 5}, {5, 13, 6}, {7, 16, 7}, {16, 7, 8}, {23, 10, 12}, {6, 5, 16},
			{12, 4, 19}, {2, 96, 3},
		} {
			cols := c.blocks * f.BlockLen()
			size := f.RowBytes(cols)
			for i, activation := range activations {
				w := kerneltest.Blocks(r, f, c.rows, cols)
				if i%2 == 1 { // one byte throughout, but for the scales
					fill := []byte{0, 0x7F, 0x80, 0xFF, 0x88, 0xF0, 0x0F}[r.IntN(7)]
					for j := range w {
						w[j] = fill
					}
					kerneltest.Tame(f, w, r)
				}
				x := make([]float32, c.n*cols)
				for j := range x {
					x[j] = activation(j)
				}
				q, units := quantized(x, c.n)
				kerneltest.Fences(t, func(fence kerneltest.Fence) {
					w, q := fence.CopyOf(w), fence.Q8(q)
					got, want := fence.Floats(make([]float32, c.n*c.rows)), make([]float32, c.n*c.rows)
					plain.Rows[f](got, c.rows, w, size, c.rows, q, units, c.n)
					vnni.Rows[f](want, c.rows, w, size, c.rows, q, units, c.n)
					one := fence.Floats(make([]float32, 1))
					for j := range got {
						if !kerneltest.Alike(got[j], want[j]) {
							t.Fatalf("%v, %d rows of %d, %d tokens, activations %d: product %d is %v, with AVX-VNNI %v", f, c.rows, cols,
								c.n, i, j, got[j], want[j])
						}
						row, token := j%c.rows, j/c.rows
						plain.Rows[f](one, 1, w[row*size:(row+1)*size], size, 1, q[token*units:(token+1)*units], units, 1)
						if !kerneltest.Alike(got[j], one[0]) {
							t.Fatalf("%v, %d rows of %d, %d tokens, activations %d: product %d is %v in company and %v alone", f, c.rows,
								cols, c.n, i, j, got[j], one[0])
						}
					}
				})
			}
		}
	}
}

// TestRowKernelsAreExactInIntegers takes scales that are powers of two and activations that quantise to themselves: every sum
// is an integer, and a product that overflowed would be far off.
func TestRowKernelsAreExactInIntegers(t *testing.T) {
	plain, vnni := variantsAVX2()
	tables := []*tensor.Kernels{plain}
	if cpuid.CPU.Supports(cpuid.AVXVNNI) {
		tables = append(tables, vnni)
	}
	ref := tensor.PortableRows()
	r := rand.New(rand.NewPCG(6, 9))
	for _, format := range rowFormats {
		f := format.format
		const rows, n = 9, 5
		cols := 3 * 256
		if f.BlockLen() == 32 {
			cols += 32
		}
		size := f.RowBytes(cols)
		for _, fill := range []int{0, 0x77, 0x7F, 0x80, 0x88, 0xFF, -1} {
			w := make([]byte, rows*size)
			for i := range w {
				w[i] = byte(fill)
				if fill < 0 {
					w[i] = byte(r.Uint32())
				}
			}
			fillScales(f, w, 0x3C00)
			if f == tensor.MXFP4 {
				for i := 0; i < len(w); i += 17 {
					w[i] = 128
				}
			}
			x := make([]float32, n*cols)
			for i := range x {
				x[i] = float32(127 * (1 - 2*(i/cols%2))) // all 127, or all -127
				if i/cols > 1 && i%32 != 0 {
					x[i] = float32(r.IntN(255) - 127)
				}
			}
			q, units := quantized(x, n)
			want := make([]float32, n*rows)
			ref.Rows[f](want, rows, w, size, rows, q, units, n)
			for _, k := range tables {
				got := make([]float32, n*rows)
				k.Rows[f](got, rows, w, size, rows, q, units, n)
				sameRows(t, fmt.Sprintf("%s, %v of %#x", k.Name, f, fill), got, want, rows, rows, n)
			}
		}
	}
}

// TestRowKernelsOnSmallStacks runs them where the stack has to grow for their frames.
func TestRowKernelsOnSmallStacks(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(7, 9))
		const cols, rows, n = 512, 8, 4
		w := kerneltest.Blocks(r, tensor.Q4_K, rows, cols)
		q, units := quantized(kerneltest.Gaussian(r, n*cols), n)
		for m := 1; m <= n; m += 3 {
			want := make([]float32, m*rows)
			k.Rows[tensor.Q4_K](want, rows, w, len(w)/rows, rows, q[:m*units], units, m)
			for range 20 {
				done := make(chan []float32)
				go func() {
					got := make([]float32, m*rows)
					k.Rows[tensor.Q4_K](got, rows, w, len(w)/rows, rows, q[:m*units], units, m)
					done <- got
				}()
				for i, v := range <-done {
					if v != want[i] {
						t.Fatalf("product %d of %d tokens is %v on a new stack, want %v", i, m, v, want[i])
					}
				}
			}
		}
	})
}

// BenchmarkRowVariantsOfAVX2 reports the best throughput of many passes over weights in the second cache, in GB/s.
func BenchmarkRowVariantsOfAVX2(b *testing.B) {
	const cols, rows, most = 1536, 40, 16
	r := rand.New(rand.NewPCG(8, 9))
	plain, vnni := variantsAVX2()
	x := kerneltest.Gaussian(r, most*cols)
	q, units := quantized(x, most)
	dst := make([]float32, most*rows)
	for _, k := range []*tensor.Kernels{plain, vnni} {
		if k == vnni && !cpuid.CPU.Supports(cpuid.AVXVNNI) {
			continue
		}
		for _, f := range tensor.Formats() {
			if k.Rows[f] == nil && k.FloatRows[f] == nil {
				continue
			}
			size := f.RowBytes(cols)
			w := kerneltest.Blocks(r, f, rows, cols)
			for _, n := range []int{1, 2, 4, 8, 16} {
				b.Run(fmt.Sprintf("%v/%s/n=%d", f, k.Name, n), func(b *testing.B) {
					best := time.Hour
					for b.Loop() {
						start := time.Now()
						if k.Rows[f] != nil {
							k.Rows[f](dst, rows, w, size, rows, q[:n*units], units, n)
						} else {
							k.FloatRows[f](dst, rows, w, size, rows, x[:n*cols], cols, n)
						}
						best = min(best, time.Since(start))
					}
					b.ReportMetric(float64(len(w))/float64(best.Nanoseconds()), "best-GB/s")
				})
			}
		}
	}
}
