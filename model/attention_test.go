package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gogemma/gemma4/tensor"
)

// TestAttentionIsItsFormula compares with softmax(q·k)·v in float64, several blocks and segments deep. Along the text the scores of even
// heads rise and those of odd ones fall, so that the largest so far changes in nearly every block, or never.
func TestAttentionIsItsFormula(t *testing.T) {
	const depth, rows, window, dim = 1200, 9, 300, 8
	for _, workers := range []int{1, 3} {
		m := NewAttentionModel(tensor.Portable(), workers, window)
		t.Cleanup(func() { m.Close() })
		for _, sliding := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d workers, sliding %v", workers, sliding), func(t *testing.T) {
				l := layer{LayerConfig: LayerConfig{Heads: 4, KVHeads: 2, HeadDim: dim, Sliding: sliding}}
				r := rand.New(rand.NewPCG(1, 2))
				gaussian := func() []float32 {
					x := make([]float32, l.Heads*dim)
					for i := range x {
						x[i] = float32(r.NormFloat64())
					}
					return x
				}
				c := newKV(&l.LayerConfig, tensor.F32, false)
				if err := c.reserve(0, depth+rows); err != nil {
					t.Fatal(err)
				}
				var keys, values [][]float32
				for pos := range depth + rows {
					k, v := gaussian()[:l.KVHeads*dim], gaussian()[:l.KVHeads*dim]
					for h := range l.KVHeads {
						k[h*dim] = float32(pos) / 100
					}
					c.put(m.kernels, pos, k, v)
					keys, values = append(keys, k), append(values, v)
				}
				p, chunk := m.NewPass(), &Chunk{Sequence: &Sequence{m: m, cache: []*kv{c}}}
				for i := range rows {
					p.positions = append(p.positions, position{chunk: chunk, pos: depth + i, end: depth + i + 1})
					q := gaussian()
					for h := range l.Heads {
						q[h*dim] = float32(1 - h%2*2)
					}
					p.q = append(p.q, q...)
				}
				p.att = make([]float32, len(p.q))
				p.attend(&l)
				for i := range p.att {
					row, h := i/dim/l.Heads, i/dim%l.Heads
					from, kv := 0, h/(l.Heads/l.KVHeads)*dim
					if sliding {
						from = depth + row - window + 1
					}
					var sum, out float64
					for pos := from; pos <= depth+row; pos++ {
						score := -12.0 // keeps the exponential small
						for j, q := range p.q[i/dim*dim:][:dim] {
							score += float64(q) * float64(keys[pos][kv+j])
						}
						sum += math.Exp(score)
						out += math.Exp(score) * float64(values[pos][kv+i%dim])
					}
					if d := math.Abs(float64(p.att[i]) - out/sum); !(d < 1e-5) {
						t.Fatalf("row %d, head %d: %g, want %g", row, h, p.att[i], out/sum)
					}
				}
			})
		}
	}
}
