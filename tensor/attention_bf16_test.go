package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// gather lets queries [n, dim] attend to keys and values [count, dim] strip by strip. Query i sees those from low[i] on.
func gather(k *AttentionKernels, q, keys, values []float32, dim int, low []int) []float32 {
	n, count := len(low), len(keys)/dim
	packed, scores, weights := make([]uint16, n*Packed(dim)), make([]float32, n*Strip), make([]uint16, n*Strip)
	packedKeys, packedValues := make([]uint16, Packed(dim)*Strip), make([]uint16, PackedValues(dim))
	top, sum, factor, out := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n*dim)
	for i := range top {
		top[i] = float32(math.Inf(-1))
	}
	k.PackQueries(packed, q, dim, n, dim)
	for at := 0; at < count; at += Strip {
		some := min(Strip, count-at)
		k.PackKeys[F32](packedKeys, bytesOf(keys[at*dim:]), 4*dim, some, dim)
		k.PackValues[F32](packedValues, bytesOf(values[at*dim:]), 4*dim, some, dim)
		k.Scores(scores, packed, n, packedKeys, dim, nil)
		first := n // queries that see something of the strip are the last ones
		for i := range n {
			for j := range Strip {
				if j >= some || at+j < low[i] {
					scores[i*Strip+j] = float32(math.Inf(-1))
				} else {
					first = min(first, i)
				}
			}
		}
		k.Softmax(weights[first*Strip:], scores[first*Strip:], top[first:], sum[first:], factor)
		k.Weigh(out[first*dim:], dim, factor[:n-first], weights[first*Strip:], packedValues, dim, nil)
	}
	for i := range out {
		out[i] /= sum[i/dim]
	}
	return out
}

func bytesOf(x []float32) []byte {
	b := make([]byte, 4*len(x))
	if err := F32.Encode(b, x); err != nil {
		panic(err)
	}
	return b
}

// What queries gather is that of softmax(q·k)·v, up to the bound of AttentionKernels, where one position has nearly all of the weight and
// where all have about as much.
func TestAttentionOfBF16IsWithinItsBound(t *testing.T) {
	for name, k := range map[string]*AttentionKernels{"pairs": PairAttention(), "tiles": TileAttention()} {
		r := rand.New(rand.NewPCG(1, 30))
		for _, c := range []struct {
			dim, count int
			spread     float64 // of the scores
		}{{8, 64, 0}, {64, 200, 1}, {72, 130, 3}, {33, 129, 10}, {256, 65, 0.3}, {256, 300, 5}} {
			t.Run(fmt.Sprintf("%s/%d of %d, spread %g", name, c.count, c.dim, c.spread), func(t *testing.T) {
				const n = 5
				random := func(n int, deviation float64) []float32 {
					x := make([]float32, n)
					for i := range x {
						x[i] = float32(r.NormFloat64() * deviation)
					}
					return x
				}
				q, keys, values := random(n*c.dim, c.spread/math.Sqrt(float64(c.dim))), random(c.count*c.dim, 1), random(c.count*c.dim, 1)
				low := []int{c.count - 1, c.count - 2, c.count / 2, 1, 0}
				got := gather(k, q, keys, values, c.dim, low)
				for i := range n {
					const u = 0x1p-8
					off, total := 0.0, 0.0
					weights := make([]float64, c.count)
					for j := low[i]; j < c.count; j++ {
						var score, size float64
						for d := range c.dim {
							p := float64(q[i*c.dim+d]) * float64(keys[j*c.dim+d])
							score += p
							size += math.Abs(p)
						}
						off = max(off, (2*u+float64(c.dim)*0x1p-24)*size)
						weights[j] = math.Exp(score)
						total += weights[j]
					}
					for d := range c.dim {
						var want, size float64
						for j, w := range weights {
							p := w / total * float64(values[j*c.dim+d])
							want += p
							size += math.Abs(p)
						}
						if diff := math.Abs(float64(got[i*c.dim+d]) - want); !(diff <= 1.02*(math.Expm1(2*off)+3*u)*size) {
							t.Fatalf("query %d, number %d is %g, want %g: %g of what it may be off", i, d, got[i*c.dim+d], want,
								diff/((math.Expm1(2*off)+3*u)*size))
						}
					}
				}
			})
		}
	}
}

// Weights add up to what their sum says, so that a value shared by all positions stays what it is.
func TestSharedValuesStay(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 30))
	const dim, count = 32, 150
	q, keys, values := make([]float32, dim), make([]float32, count*dim), make([]float32, count*dim)
	for i := range keys {
		keys[i], values[i] = float32(r.NormFloat64()), 1.5
	}
	for i := range q { // all positions have a weight that counts
		q[i] = float32(r.NormFloat64() / 10)
	}
	for i, v := range gather(PairAttention(), q, keys, values, dim, []int{0}) {
		if math.Abs(float64(v)-1.5) > 150*0x1p-24 {
			t.Errorf("number %d is %g", i, v)
		}
	}
}

func TestPowersOfTwo(t *testing.T) {
	for i := range 200000 {
		x := -float64(i) / 1500
		got, want := float64(power(float32(x))), math.Exp2(float64(float32(x)))
		if want < 0x1p-126 {
			continue
		}
		if math.Abs(got/want-1) > 4e-6 {
			t.Fatalf("2^%g is %g, want %g", x, got, want)
		}
	}
	if power(0) != 1 || power(float32(math.Inf(-1))) != 0 {
		t.Errorf("2⁰ is %g, 2^−Inf is %g", power(0), power(float32(math.Inf(-1))))
	}
}
