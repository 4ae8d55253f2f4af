package model

import (
	"math/rand/v2"
	"slices"

	"github.com/gogemma/gemma4/tensor"
)

// Attend returns the attention of one layer alone: rows positions behind depth others, whose keys and values are random. Copies of
// the layer take turns until they fill more than a processor's cache holds, as a model's layers do. With plain a tied layer keeps
// whole keys.
func Attend(m *Model, l LayerConfig, f tensor.Format, plain bool, depth, rows int) func() {
	r := rand.New(rand.NewPCG(1, 1))
	gaussian := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return x
	}
	size := l.KVHeads * l.HeadDim
	sample := gaussian(4096 + size)
	var caches []*kv
	for bytes := 0; bytes < 128<<20; {
		c := newKV(&l, f, plain)
		c.reserve(0, depth+rows)
		for pos := range depth + rows {
			from := pos * 37 % 4096
			c.put(m.kernels, pos, slices.Clone(sample[from:][:size]), slices.Clone(sample[from:][:size]))
		}
		caches = append(caches, c)
		if l.Sliding {
			bytes += (m.Window + rows) * l.KVHeads * (c.kSize + c.vSize)
		} else {
			bytes += (depth + rows) * l.KVHeads * (c.kSize + c.vSize)
		}
	}
	s, p := &Sequence{m: m, cache: caches[:1]}, m.NewPass()
	chunk := &Chunk{Sequence: s}
	running := &layer{LayerConfig: l}
	for i := range rows {
		p.positions = append(p.positions, position{chunk: chunk, pos: depth + i, end: depth + i + 1})
	}
	p.q, p.att = gaussian(rows*l.Heads*l.HeadDim), make([]float32, rows*l.Heads*l.HeadDim)
	for i := range p.q {
		p.q[i] /= 16
	}
	return func() {
		p.attend(running)
		caches = append(caches[1:], caches[0])
		s.cache = caches[:1]
	}
}

// NewAttentionModel returns a model that can attend and nothing else.
func NewAttentionModel(k *tensor.Kernels, workers, window int) *Model {
	m := &Model{Config: Config{Window: window}, kernels: k, pool: tensor.NewPool(workers)}
	m.layers = []layer{{kNorm: make([]float32, 512)}}
	return m
}
