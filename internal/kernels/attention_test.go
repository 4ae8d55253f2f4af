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

// TestAttentionKernels compares every level, the portable one too, with sums in float64, and each result with what a call for it
// alone gives.
func TestAttentionKernels(t *testing.T) {
	dims, counts := []int{8, 32, 40, 64, 96, 256, 512}, []int{0, 1, 2, 3, 4, 14, 64, 130}
	if testing.Short() {
		dims, counts = []int{8, 32, 96, 256}, []int{0, 1, 2, 5, 14, 66}
	}
	for _, k := range levels() {
		for _, format := range cacheFormats {
			t.Run(fmt.Sprintf("%s/%v", k.Name, format), func(t *testing.T) {
				r := rand.New(rand.NewPCG(11, 21))
				kerneltest.Fences(t, func(f kerneltest.Fence) {
					both := func(dim, n, count int) {
						kv := kerneltest.Blocks(r, format, max(count, 1), dim)[:count*format.RowBytes(dim)]
						c := attentionCase{format: format, dim: dim, n: n, count: count, stride: count + r.IntN(3), kv: f.CopyOf(kv)}
						c.rowBytes = format.RowBytes(dim)
						c.scores(t, k, f, r)
						c.weigh(t, k, f, r)
						if count > 0 { // keys that are the ends of longer rows
							c.rowBytes += format.RowBytes(format.BlockLen() * r.IntN(5))
							longer := kerneltest.Blocks(r, format, 1, c.rowBytes*count/format.RowBytes(format.BlockLen())*format.BlockLen())
							c.kv = f.CopyOf(longer[c.rowBytes-format.RowBytes(dim):])
							c.scores(t, k, f, r)
						}
					}
					for _, dim := range dims {
						if dim%format.BlockLen() != 0 {
							continue
						}
						for _, n := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 16} {
							for _, count := range counts {
								both(dim, n, count)
							}
						}
					}
					both(32, 131, 130) // more queries than a call of any loop takes
					both(2048, 9, 6)   // as many numbers as a panel has room for twice
					both(2080, 9, 4)   // and more
				})
			})
		}
	}
}

// attentionCase is keys or values, and how many queries go over them.
type attentionCase struct {
	format                tensor.Format
	dim, n, count, stride int
	rowBytes              int // from a key to the next
	kv                    []byte
}

func (c *attentionCase) String() string {
	return fmt.Sprintf("%d queries of %d over %d in %v", c.n, c.dim, c.count, c.format)
}

func (c *attentionCase) row(j int) []byte {
	return c.kv[j*c.rowBytes:][:c.format.RowBytes(c.dim)]
}

// grid returns random numbers in rows of the case's stride, of which the last is shorter.
func (c *attentionCase) grid(f kerneltest.Fence, r *rand.Rand) []float32 {
	return f.Floats(kerneltest.Gaussian(r, max(0, (c.n-1)*c.stride+c.count)))
}

func (c *attentionCase) scores(t *testing.T, k *tensor.Kernels, f kerneltest.Fence, r *rand.Rand) {
	if c.count%2 != 0 {
		return
	}
	q, got := f.Floats(kerneltest.Gaussian(r, c.n*c.dim)), c.grid(f, r)
	before := slices.Clone(got)
	k.Scores[c.format](got, c.stride, q, c.n, c.kv, c.rowBytes, c.count, c.kv)
	key := make([]float32, c.dim)
	touched := make([]bool, len(got))
	for j := range c.count {
		c.format.Decode(key, c.row(j))
		for i := range c.n {
			at, query := i*c.stride+j, q[i*c.dim:(i+1)*c.dim]
			want := float64(before[at])
			scale := math.Abs(want)
			for d, v := range key {
				want += float64(query[d]) * float64(v)
				scale += math.Abs(float64(query[d]) * float64(v))
			}
			// A product goes through dim/4 fused sums at most, those of one lane, and eight or less to the end; portable ones are rounded
			// as well.
			kerneltest.Within(t, fmt.Sprintf("score %d of query %d, %v", j, i, c), float64(got[at]), want,
				(float64(c.dim)/4+9)*0x1p-24*1.01*scale)
			touched[at] = true

			pair := []float32{before[at], before[at]} // the key twice, one query
			k.Scores[c.format](pair, 2, query, 1, slices.Concat(c.row(j), c.row(j)), len(c.row(j)), 2, nil)
			kerneltest.Equal(t, got[at:at+1], pair[:1], "score %d of query %d with and without others, %v", j, i, c)
		}
	}
	for at, ok := range touched {
		if !ok && got[at] != before[at] {
			t.Fatalf("number %d between the scores has changed, %v", at, c)
		}
	}
}

func (c *attentionCase) weigh(t *testing.T, k *tensor.Kernels, f kerneltest.Fence, r *rand.Rand) {
	w, got := c.grid(f, r), f.Floats(kerneltest.Gaussian(r, c.n*c.dim))
	before := slices.Clone(got)
	k.Weigh[c.format](got, c.n, w, c.stride, c.kv, c.count, c.kv)
	want, scale := make([]float64, len(got)), make([]float64, len(got))
	for i, v := range before {
		want[i], scale[i] = float64(v), math.Abs(float64(v))
	}
	value := make([]float32, c.dim)
	for j := range c.count {
		c.format.Decode(value, c.row(j))
		for i := range c.n {
			for d, v := range value {
				p := float64(w[i*c.stride+j]) * float64(v)
				want[i*c.dim+d] += p
				scale[i*c.dim+d] += math.Abs(p)
			}
		}
	}
	for i := range want {
		kerneltest.Within(t, fmt.Sprintf("sum %d, %v", i, c), float64(got[i]), want[i], float64(c.count+1)*0x1p-23*1.01*scale[i])
	}
	for i := range c.n {
		alone := slices.Clone(before[i*c.dim : (i+1)*c.dim])
		for j := range c.count { // value by value
			k.Weigh[c.format](alone, 1, w[i*c.stride+j:][:1], 1, c.row(j), 1, nil)
		}
		kerneltest.Equal(t, got[i*c.dim:(i+1)*c.dim], alone, "sums of query %d with and without others, %v", i, c)
	}
}

func TestAttentionKernelsAllocateNothing(t *testing.T) {
	for _, k := range levels() {
		r := rand.New(rand.NewPCG(10, 21))
		const n, dim, count = 8, 64, 4
		q, w := kerneltest.Gaussian(r, n*dim), make([]float32, n*count)
		for _, format := range cacheFormats {
			kv := kerneltest.Blocks(r, format, count, dim)
			if a := testing.AllocsPerRun(10, func() {
				k.Scores[format](w, count, q, n, kv, format.RowBytes(dim), count, nil)
				k.Weigh[format](q, n, w, count, kv, count, nil)
			}); a != 0 {
				t.Errorf("%s, %v: %v allocations", k.Name, format, a)
			}
		}
	}
}
