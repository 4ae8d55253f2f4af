package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/tensor"
)

// TestSeveralTokensAtTheEdges multiplies rows of one byte throughout, with scales of every kind, by tokens that are the largest, zero,
// tiny, huge, or no numbers, all at once.
func TestSeveralTokensAtTheEdges(t *testing.T) {
	const cols = 512
	tokens := []func(i int) float32{
		func(int) float32 { return 1 },
		func(i int) float32 { return float32(1 - 2*(i&1)) },
		func(int) float32 { return 0 },
		func(i int) float32 { return 0x1p-99 * float32(i%7-3) },
		func(i int) float32 { return 0x1p60 * float32(i%5-2) },
		func(i int) float32 { return [2]float32{1, float32(math.NaN())}[i/(cols-1)] },
		func(i int) float32 { return [2]float32{float32(math.Inf(1)), -1}[min(i, 1)] },
		func(i int) float32 { return [2]float32{float32(i), 0}[min(i/32, 1)] },
	}
	fills := []byte{0, 1, 0x08, 0x7F, 0x80, 0x88, 0xFE, 0xFF}
	x := make([]float32, len(tokens)*cols)
	for i := range x {
		x[i] = tokens[i/cols](i % cols)
	}
	q, units := quantized(x, len(tokens))
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		for _, f := range tensor.Formats() {
			if k.Rows[f] == nil {
				continue
			}
			size := f.RowBytes(cols)
			w := make([]byte, len(fills)*size)
			for _, h := range []uint16{0, 0x8000, 1, 0x83FF, 0x0400, 0x3C00, 0xBC00, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00} {
				for i := range w {
					w[i] = fills[i/size]
				}
				fillScales(f, w, h)
				got, want := make([]float32, len(tokens)*len(fills)), make([]float32, len(tokens)*len(fills))
				k.Rows[f](got, len(fills), w, size, len(fills), q, units, len(tokens))
				inOrder(k.Name, f)(want, len(fills), w, size, len(fills), q, units, len(tokens))
				sameRows(t, fmt.Sprintf("%v, scale %#x", f, h), got, want, len(fills), len(fills), len(tokens))
			}
		}
	})
}

// TestSeveralTokensReadNoFurther takes rows and activations that begin and end where memory does.
func TestSeveralTokensReadNoFurther(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(4, 31))
		for _, f := range tensor.Formats() {
			if k.Rows[f] == nil {
				continue
			}
			bl := f.BlockLen()
			for _, c := range []struct{ rows, cols, n int }{{8, 256, 4}, {9, 512 + bl, 3}, {8, 2048 + bl, 5}, {8, bl, 8}} {
				size := f.RowBytes(c.cols)
				q, units := quantized(kerneltest.Gaussian(r, c.n*c.cols), c.n)
				w := kerneltest.Blocks(r, f, c.rows, c.cols)
				want := make([]float32, c.n*c.rows)
				inOrder(k.Name, f)(want, c.rows, w, size, c.rows, q, units, c.n)
				kerneltest.Fences(t, func(fence kerneltest.Fence) {
					got := fence.Floats(make([]float32, len(want)))
					k.Rows[f](got, c.rows, fence.CopyOf(w), size, c.rows, fence.Q8(q), units, c.n)
					sameRows(t, shape(f, c.rows, c.cols, c.n), got, want, c.rows, c.rows, c.n)
				})
			}
		}
	})
}
