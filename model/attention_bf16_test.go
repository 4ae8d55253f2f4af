package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gogemma/gemma4/tensor"
)

// TestAttentionOfBF16 lets a prompt attend by products of bf16, some splits deep: each position gathers the same bits alone as with
// others, by one worker as by several, and what it gathers is close to what floats give, which caches in F32 and decode keep. Scores rise
// and fall along the text.
func TestAttentionOfBF16(t *testing.T) {
	const depth, rows, window = 540, 70, 200
	floats := tensor.Portable()
	kernels := *floats
	kernels.Attention = tensor.PairAttention()
	for _, c := range []struct {
		name   string
		layer  LayerConfig
		format tensor.Format
		image  int // positions before the end of one, which see each other
	}{
		{"global", LayerConfig{Heads: 4, KVHeads: 2, HeadDim: 40}, tensor.F16, 0},
		{"global, one group", LayerConfig{Heads: 3, KVHeads: 1, HeadDim: 32}, tensor.Q8_0, 0},
		{"sliding", LayerConfig{Heads: 4, KVHeads: 2, HeadDim: 64, Sliding: true}, tensor.Q4_0, 0},
		{"sliding, an image", LayerConfig{Heads: 2, KVHeads: 2, HeadDim: 32, Sliding: true}, tensor.F16, 50},
		{"tied", LayerConfig{Heads: 4, KVHeads: 2, HeadDim: 96, Turned: 16}, tensor.F16, 0},
		{"F32", LayerConfig{Heads: 4, KVHeads: 2, HeadDim: 32}, tensor.F32, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := layer{LayerConfig: c.layer}
			dim, width := l.HeadDim, l.Heads*l.HeadDim
			r := rand.New(rand.NewPCG(1, 31))
			random := func(n int) []float32 {
				x := make([]float32, n)
				for i := range x {
					x[i] = float32(r.NormFloat64() / math.Sqrt(math.Sqrt(float64(dim))))
				}
				return x
			}
			cache := newKV(&l.LayerConfig, c.format, false)
			if err := cache.reserve(0, depth+rows); err != nil {
				t.Fatal(err)
			}
			for pos := range depth + rows {
				k, v := random(l.KVHeads*dim), random(l.KVHeads*dim)
				for h := range l.KVHeads {
					k[h*dim] = float32(pos) / 100
				}
				cache.put(&kernels, pos, k, v)
			}
			q := random(rows * width)
			for i := range rows * l.Heads {
				q[i*dim] = float32(1 - i%2*2)
				cache.arrange(&kernels, q[i*dim:(i+1)*dim])
			}
			attend := func(k *tensor.Kernels, workers, from, to int, role tensor.Arithmetic) []float32 {
				m := NewAttentionModel(k, workers, window)
				defer m.Close()
				p, chunk := m.NewPass(), &Chunk{Sequence: &Sequence{m: m, cache: []*kv{cache}}}
				for i := from; i < to; i++ {
					end := i + 1
					if i < c.image {
						end = c.image
					}
					p.positions = append(p.positions, position{chunk: chunk, pos: depth + i, end: depth + end})
				}
				p.role, p.q, p.att = role, slices.Clone(q[from*width:to*width]), make([]float32, (to-from)*width)
				p.attend(&l)
				return p.att
			}
			got, want := attend(&kernels, 1, 0, rows, tensor.Panels), attend(floats, 3, 0, rows, tensor.Panels)
			for i, v := range want {
				if d := math.Abs(float64(got[i] - v)); !(d < 0.03) {
					t.Fatalf("number %d is %g, in floats %g", i, got[i], v)
				}
			}
			if slices.Equal(got, want) != (c.format == tensor.F32) {
				t.Errorf("the prompt attends in floats: %v", c.format != tensor.F32)
			}
			if !slices.Equal(attend(&kernels, 3, 0, rows, tensor.Rows), want) {
				t.Error("a decode does not attend in floats")
			}
			for _, part := range [][2]int{{0, rows}, {0, 1}, {7, 31}, {60, rows}} {
				alone := attend(&kernels, 3, part[0], part[1], tensor.Panels)
				for i, v := range alone {
					if want := got[part[0]*width+i]; v != want {
						t.Fatalf("positions %v: number %d is %g, with all others %g", fmt.Sprint(part), i, v, want)
					}
				}
			}
		})
	}
}
