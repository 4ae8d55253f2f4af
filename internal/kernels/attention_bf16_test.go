//go:build unix

package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/tensor"
)

// strips are tests of attention by products of bf16: of a level, and of the portable one that it must equal.
type strips struct {
	level     string
	got, want *tensor.AttentionKernels
}

// eachStrips runs a test for the levels that have such attention.
func eachStrips(t *testing.T, test func(t *testing.T, k strips)) {
	some := false
	for _, l := range levels() {
		if l.Attention == nil {
			continue
		}
		k := strips{l.Name, l.Attention, tensor.PairAttention()}
		if l.Name == "amx" {
			k.want = tensor.TileAttention()
		}
		some = true
		t.Run(l.Name, func(t *testing.T) { test(t, k) })
	}
	if !some {
		t.Skip("no level here multiplies bf16 in attention")
	}
}

// stripDims are sizes of heads: those of models, and what reaches each tail.
var stripDims = []int{1, 2, 8, 15, 16, 17, 31, 32, 33, 40, 48, 63, 64, 65, 72, 96, 112, 128, 144, 256, 512}

// The same numbers are packed in the same places, whatever lies beside them, in front or behind.
func TestTilePacking(t *testing.T) {
	eachStrips(t, func(t *testing.T, k strips) {
		r := rand.New(rand.NewPCG(1, 13))
		kerneltest.Fences(t, func(f kerneltest.Fence) {
			for _, dim := range stripDims {
				for _, n := range []int{0, 1, 2, 3, 15, 16, 17, 33, 63, 64} {
					stride := dim + r.IntN(3)
					q := f.Floats(kerneltest.Strange(r, max(0, (n-1)*stride+dim)*min(n, 1)))
					got, want := numbers(f, r, n*tensor.Packed(dim)), make([]uint16, n*tensor.Packed(dim))
					k.got.PackQueries(got, q, stride, n, dim)
					k.want.PackQueries(want, q, stride, n, dim)
					equalBF16(t, got, want, "%d queries of %d", n, dim)
					for _, format := range cacheFormats {
						if dim%format.BlockLen() != 0 {
							continue
						}
						size := format.RowBytes(dim)
						rowBytes := size + format.BlockBytes()*r.IntN(3)
						rows := make([]byte, max(0, (n-1)*rowBytes+size)*min(n, 1))
						for i := range rows {
							rows[i] = byte(r.Uint32())
						}
						if format == tensor.F32 {
							for i, v := range kerneltest.Strange(r, len(rows)/4) {
								b := math.Float32bits(v)
								rows[4*i], rows[4*i+1], rows[4*i+2], rows[4*i+3] = byte(b), byte(b>>8), byte(b>>16), byte(b>>24)
							}
						}
						rows = f.CopyOf(rows)
						got, want := numbers(f, r, tensor.Packed(dim)*tensor.Strip), make([]uint16, tensor.Packed(dim)*tensor.Strip)
						k.got.PackKeys[format](got, rows, rowBytes, n, dim)
						k.want.PackKeys[format](want, rows, rowBytes, n, dim)
						equalBF16(t, got, want, "%d keys of %d in %v", n, dim, format)
						got, want = numbers(f, r, tensor.PackedValues(dim)), make([]uint16, tensor.PackedValues(dim))
						k.got.PackValues[format](got, rows, rowBytes, n, dim)
						k.want.PackValues[format](want, rows, rowBytes, n, dim)
						equalBF16(t, got, want, "%d values of %d in %v", n, dim, format)
					}
				}
			}
		})
	})
}

// Products have the bits of the portable function, whatever goes together, also where they are huge, tiny or not numbers.
func TestTileAttention(t *testing.T) {
	eachStrips(t, func(t *testing.T, k strips) {
		r := rand.New(rand.NewPCG(2, 13))
		counts := []int{0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 15, 16, 17, 33}
		dims := stripDims
		if testing.Short() || kerneltest.Emulated() {
			counts, dims = []int{0, 1, 5, 12, 17}, []int{1, 8, 17, 33, 64, 72, 144, 256}
		}
		kerneltest.Fences(t, func(f kerneltest.Fence) {
			next := f.Bytes(100)
			for _, dim := range dims {
				for _, n := range counts {
					wild := r.IntN(2) == 0
					q, keys := someBF16(f, r, n*tensor.Packed(dim), wild), someBF16(f, r, tensor.Packed(dim)*tensor.Strip, wild)
					for i := range n {
						clear(q[i*tensor.Packed(dim)+dim : (i+1)*tensor.Packed(dim)])
					}
					for i := range keys { // what a pair lacks
						if i%2+i/(2*tensor.Strip)*2 >= dim {
							keys[i] = 0
						}
					}
					got, want := f.Floats(kerneltest.Odds(r, n*tensor.Strip)), make([]float32, n*tensor.Strip)
					k.got.Scores(got, q, n, keys, dim, next)
					k.want.Scores(want, q, n, keys, dim, nil)
					kerneltest.Equal(t, got, want, "scores of %d queries of %d", n, dim)

					stride := dim + r.IntN(3)*9
					w, values := someBF16(f, r, n*tensor.Strip, wild), someBF16(f, r, tensor.PackedValues(dim), wild)
					factor := f.Floats(make([]float32, n))
					for i := range factor {
						factor[i] = []float32{1, 1, 0, 0.3, 1e-30}[r.IntN(5)]
					}
					got = f.Floats(kerneltest.Odds(r, max(0, (n-1)*stride+dim)*min(n, 1)))
					want = slices.Clone(got)
					k.got.Weigh(got, stride, factor, w, values, dim, next)
					k.want.Weigh(want, stride, factor, w, values, dim, nil)
					kerneltest.Equal(t, got, want, "sums of %d queries of %d", n, dim)
				}
			}
		})
	})
}

// Weights, maxima and sums have the bits of the portable function.
func TestTileSoftmax(t *testing.T) {
	eachStrips(t, func(t *testing.T, k strips) {
		r := rand.New(rand.NewPCG(3, 13))
		kerneltest.Fences(t, func(f kerneltest.Fence) {
			for _, n := range []int{0, 1, 2, 15, 16, 17, 31, 32, 40, 100} {
				for try := range 20 {
					scores := f.Floats(kerneltest.Gaussian(r, n*tensor.Strip))
					top, sum := f.Floats(kerneltest.Gaussian(r, n)), f.Floats(make([]float32, n))
					for i := range n {
						row, spread := scores[i*tensor.Strip:(i+1)*tensor.Strip], math.Exp2(float64(r.IntN(12)-2))
						for j := range row {
							row[j] *= float32(spread)
							if r.IntN(4) == 0 && try%2 == 0 {
								row[j] = float32(math.Round(float64(row[j])*4) / 8)
							}
						}
						for range try % 4 * 8 {
							row[r.IntN(len(row)-1)] = float32(math.Inf(-1))
						}
						if sum[i] = r.Float32() * 100; r.IntN(3) == 0 {
							top[i], sum[i] = float32(math.Inf(-1)), 0
						}
					}
					got, want := numbers(f, r, n*tensor.Strip), make([]uint16, n*tensor.Strip)
					factor, wantFactor := f.Floats(make([]float32, n)), make([]float32, n)
					wantTop, wantSum := slices.Clone(top), slices.Clone(sum)
					k.got.Softmax(got, scores, top, sum, factor)
					k.want.Softmax(want, scores, wantTop, wantSum, wantFactor)
					kerneltest.Equal(t, top, wantTop, "maxima of %d", n)
					kerneltest.Equal(t, factor, wantFactor, "factors of %d", n)
					equalBF16(t, got, want, "weights of %d", n)
					kerneltest.Equal(t, sum, wantSum, "sums of %d", n)
				}
			}
		})
	})
}

func TestTileAttentionAllocatesNothing(t *testing.T) {
	eachStrips(t, func(t *testing.T, k strips) {
		r := rand.New(rand.NewPCG(4, 13))
		const n, dim = 19, 72
		q, out, kv := kerneltest.Gaussian(r, n*dim), make([]float32, n*dim), kerneltest.Blocks(r, tensor.F32, tensor.Strip, dim)
		packed, keys, values := make([]uint16, n*tensor.Packed(dim)), make([]uint16, tensor.Packed(dim)*tensor.Strip),
			make([]uint16, tensor.PackedValues(dim))
		scores, w := make([]float32, n*tensor.Strip), make([]uint16, n*tensor.Strip)
		top, sum, factor := make([]float32, n), make([]float32, n), make([]float32, n)
		if a := testing.AllocsPerRun(10, func() {
			k.got.PackQueries(packed, q, dim, n, dim)
			k.got.PackKeys[tensor.F32](keys, kv, 4*dim, tensor.Strip, dim)
			k.got.PackValues[tensor.F32](values, kv, 4*dim, tensor.Strip, dim)
			k.got.Scores(scores, packed, n, keys, dim, kv)
			k.got.Softmax(w, scores, top, sum, factor)
			k.got.Weigh(out, dim, factor, w, values, dim, kv)
		}); a != 0 {
			t.Errorf("%v allocations", a)
		}
	})
}

// numbers returns n numbers of any bits.
func numbers(f kerneltest.Fence, r *rand.Rand, n int) []uint16 {
	x := kerneltest.Guarded[uint16](f.T, n, !f.Front)
	for i := range x {
		x[i] = uint16(r.Uint32())
	}
	return x
}

// someBF16 returns n numbers of ordinary size, or wild ones.
func someBF16(f kerneltest.Fence, r *rand.Rand, n int, wild bool) []uint16 {
	x := numbers(f, r, n)
	for i := range x {
		if v := float32(r.NormFloat64()); !wild || r.IntN(20) > 0 {
			x[i] = tensor.ToBF16(v)
		} else if r.IntN(3) > 0 {
			x[i] = tensor.ToBF16(v * float32(math.Exp2(float64(r.IntN(100)-100))))
		}
	}
	return x
}

// equalBF16 fails unless all numbers have the same bits, any NaN being as good as another.
func equalBF16(t *testing.T, got, want []uint16, what string, args ...any) {
	t.Helper()
	for i := range want {
		if x, y := tensor.FromBF16(got[i]), tensor.FromBF16(want[i]); !kerneltest.Alike(x, y) {
			t.Fatalf("%s: number %d of %d is %g (%#x), want %g (%#x)", fmt.Sprintf(what, args...), i, len(want), x, got[i], y, want[i])
		}
	}
}
