//go:build unix

package gemma4

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gogemma/gemma4/tensor"
)

// TestAttentionKernels compares every level, the portable one too, with sums in float64, and each result with what a call for it
// alone gives.
func TestAttentionKernels(t *testing.T) {
	dims, counts := []int{8, 32, 40, 64, 96, 256, 512}, []int{0, 1, 2, 3, 4, 14, 64}
	if testing.Short() {
		dims, counts = []int{8, 32, 96, 256}, []int{0, 1, 2, 5, 14}
	}
	for _, k := range Levels() {
		for _, cache := range cacheFormats {
			format := cache.format
			t.Run(fmt.Sprintf("%s/%v", k.Name, format), func(t *testing.T) {
				r := rand.New(rand.NewPCG(11, 21))
				fences(t, func(f fence) {
					for _, dim := range dims {
						if dim%format.BlockLen() != 0 {
							continue
						}
						for _, n := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 16} {
							for _, count := range counts {
								kv := blocks(r, format, max(count, 1), dim)[:count*format.RowBytes(dim)]
								c := attentionCase{format: format, dim: dim, n: n, count: count, stride: count + r.IntN(3), kv: f.copyOf(kv)}
								c.rowBytes = format.RowBytes(dim)
								c.scores(t, k, f, r)
								c.weigh(t, k, f, r)
								if count > 0 { // keys that are the ends of longer rows
									c.rowBytes += format.RowBytes(format.BlockLen() * r.IntN(5))
									longer := blocks(r, format, 1, c.rowBytes*count/format.RowBytes(format.BlockLen())*format.BlockLen())
									c.kv = f.copyOf(longer[c.rowBytes-format.RowBytes(dim):])
									c.scores(t, k, f, r)
								}
							}
						}
					}
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
func (c *attentionCase) grid(f fence, r *rand.Rand) []float32 {
	return f.floats(gaussian(r, max(0, (c.n-1)*c.stride+c.count)))
}

func (c *attentionCase) scores(t *testing.T, k *tensor.Kernels, f fence, r *rand.Rand) {
	if c.count%2 != 0 {
		return
	}
	q, got := f.floats(gaussian(r, c.n*c.dim)), c.grid(f, r)
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
			// A product goes through dim/4 fused sums at most, those of one lane, and eight or less to the end; portable ones are rounded as well.
			within(t, fmt.Sprintf("score %d of query %d, %v", j, i, c), float64(got[at]), want, (float64(c.dim)/4+9)*0x1p-24*1.01*scale)
			touched[at] = true

			pair := []float32{before[at], before[at]} // the key twice, one query
			k.Scores[c.format](pair, 2, query, 1, slices.Concat(c.row(j), c.row(j)), len(c.row(j)), 2, nil)
			equal(t, got[at:at+1], pair[:1], "score %d of query %d with and without others, %v", j, i, c)
		}
	}
	for at, ok := range touched {
		if !ok && got[at] != before[at] {
			t.Fatalf("number %d between the scores has changed, %v", at, c)
		}
	}
}

func (c *attentionCase) weigh(t *testing.T, k *tensor.Kernels, f fence, r *rand.Rand) {
	w, got := c.grid(f, r), f.floats(gaussian(r, c.n*c.dim))
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
		within(t, fmt.Sprintf("sum %d, %v", i, c), float64(got[i]), want[i], float64(c.count+1)*0x1p-23*1.01*scale[i])
	}
	for i := range c.n {
		alone := slices.Clone(before[i*c.dim : (i+1)*c.dim])
		for j := range c.count { // value by value
			k.Weigh[c.format](alone, 1, w[i*c.stride+j:][:1], 1, c.row(j), 1, nil)
		}
		equal(t, got[i*c.dim:(i+1)*c.dim], alone, "sums of query %d with and without others, %v", i, c)
	}
}

func TestAttentionKernelsAllocateNothing(t *testing.T) {
	for _, k := range Levels() {
		r := rand.New(rand.NewPCG(10, 21))
		const n, dim, count = 8, 64, 4
		q, w := gaussian(r, n*dim), make([]float32, n*count)
		for _, cache := range cacheFormats {
			format := cache.format
			kv := blocks(r, format, count, dim)
			if a := testing.AllocsPerRun(10, func() {
				k.Scores[format](w, count, q, n, kv, format.RowBytes(dim), count, nil)
				k.Weigh[format](q, n, w, count, kv, count, nil)
				k.Hadamard(q)
				k.EncodeRow(format, kv, q[:count*dim])
			}); a != 0 {
				t.Errorf("%s, %v: %v allocations", k.Name, format, a)
			}
		}
	}
}

// TestHadamardKernels: to the last bit, but for which NaN, on lengths that the portable function is left with as well.
func TestHadamardKernels(t *testing.T) {
	ref := tensor.Portable()
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(13, 21))
		fences(t, func(f fence) {
			for _, n := range []int{0, 8, 32, 64, 96, 128, 192, 512} {
				check := func(x []float32) {
					got, want := f.floats(x), slices.Clone(x)
					k.Hadamard(got)
					ref.Hadamard(want)
					equal(t, got, want, "%v mixed", x)
				}
				for e := -149; e < 128; e += 12 {
					x := gaussian(r, n)
					for i := range x {
						x[i] = float32(math.Ldexp(float64(x[i]), e))
					}
					check(x)
				}
				for i := range n { // one alone, and among others
					x := make([]float32, n)
					x[i] = -1
					check(x)
					x = gaussian(r, n)
					x[i] = []float32{math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}[i%4]
					check(x)
				}
			}
		})
	})
}

// TestEncodeBlockKernels: to the letter, on numbers that lie halfway between two steps or next to it, on scales that are subnormal or
// whose inverse is infinite, and on what is not finite, at each place.
func TestEncodeBlockKernels(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		for _, c := range []struct {
			format tensor.Format
			steps  float32 // up to the largest magnitude
		}{{tensor.Q8_0, 127}, {tensor.Q4_0, 8}} {
			t.Run(c.format.String(), func(t *testing.T) { testEncode(t, k, c.format, c.steps) })
		}
	})
}

func testEncode(t *testing.T, k *tensor.Kernels, format tensor.Format, steps float32) {
	r := rand.New(rand.NewPCG(12, 21))
	fences(t, func(f fence) {
		var room [2][]byte
		var in []float32
		check := func(x []float32) {
			t.Helper()
			size := format.RowBytes(len(x))
			if len(in) != len(x) {
				in, room[0], room[1] = f.floats(x), f.bytes(size), make([]byte, size)
			}
			copy(in, x)
			for i := range size {
				room[0][i], room[1][i] = 99, 99
			}
			if err := k.EncodeRow(format, room[0], in); err != nil {
				t.Fatal(err)
			}
			if err := format.Encode(room[1], x); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(room[0], room[1]) {
				t.Fatalf("%v became %v, want %v", x, room[0], room[1])
			}
		}
		for _, n := range []int{0, 32, 64, 96, 512} {
			for range 50 {
				check(gaussian(r, n))
			}
		}
		x := make([]float32, 32)
		for e := -149; e < 128; e++ { // all scales
			for range 4 {
				for i := range x {
					x[i] = float32(math.Ldexp(r.Float64()*2-1, e))
				}
				check(x)
			}
		}
		for _, top := range []float32{steps, -2 * steps, steps * 0x1p-100, steps * 0x1p-140, -steps * 0x1p100, 1, 100, 0x1p-120} {
			high := max(top, -top)
			for shift := -2; shift <= 2; shift++ { // halves, and up to two units in the last place beside them
				for from := -steps; from < steps; from += 31 {
					x[0] = top
					for i := range x[1:] {
						v := (from + float32(i) + 0.5) * (top / steps)
						x[i+1] = max(-high, min(high, math.Float32frombits(bits(v)+uint32(shift))))
					}
					check(x)
				}
			}
		}
		for i := range x { // the largest magnitude with both signs, and zeros of both
			for j := range x {
				copy(x, gaussian(r, 32))
				x[i], x[j] = 9, -9
				check(x)
				clear(x)
				x[i], x[j] = float32(math.Copysign(0, -1)), 0
				check(x)
			}
		}
		for i := range x { // one of them alone, and among others
			for _, v := range []float32{0, 1, -1, float32(math.Copysign(0, -1)), 0x1p-149, math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), math.Float32frombits(0xFF800001)} {
				clear(x)
				x[i] = v
				check(x)
				three := gaussian(r, 96)
				three[32+i] = v
				check(three)
			}
		}
	})
}
