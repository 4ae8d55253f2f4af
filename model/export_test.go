package model

import (
	"math/rand/v2"
	"slices"

	"github.com/gogemma/gemma4/tensor"
)

// Attend returns the attention of one layer alone: rows positions behind depth others, whose keys and values are random.
// With plain a tied layer keeps whole keys.
func Attend(m *Model, l LayerConfig, f tensor.Format, plain bool, depth, rows int) func() {
	r := rand.New(rand.NewPCG(1, 1))
	gaussian := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return x
	}
	c := newKV(&l, f, plain)
	c.reserve(0, depth+rows)
	sample := gaussian(4096 + l.KVHeads*l.HeadDim)
	for pos := range depth + rows {
		from := pos * 37 % 4096
		key, value := slices.Clone(sample[from:][:l.KVHeads*l.HeadDim]), slices.Clone(sample[from:][:l.KVHeads*l.HeadDim])
		c.put(m.kernels, pos, key, value)
	}
	s := &Session{m: m, cache: []*kv{c}}
	s.l = &layer{LayerConfig: l}
	for i := range rows {
		s.rows = append(s.rows, row{pos: depth + i, end: depth + i + 1})
	}
	s.q, s.att = gaussian(rows*l.Heads*l.HeadDim), make([]float32, rows*l.Heads*l.HeadDim)
	for i := range s.q {
		s.q[i] /= 16
	}
	s.attn.s = s
	return s.attend
}

// NewAttentionModel returns a model that can attend and nothing else.
func NewAttentionModel(k *tensor.Kernels, workers, window int) *Model {
	m := &Model{Config: Config{Window: window}, kernels: k, pool: tensor.NewPool(workers)}
	m.layers = []layer{{kNorm: make([]float32, 512)}}
	return m
}
