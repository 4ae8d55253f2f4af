package model

import (
	"math/rand/v2"
	"slices"

	"github.com/gogemma/gemma4/tensor"
)

// Attend returns a function that runs the attention of one layer alone: n positions after depth others, whose keys and values are random.
// It goes round copies of the layer, which together are larger than a processor's cache, as a model's layers are. With wholeKeys a tied
// layer keeps all of its keys.
func Attend(m *Model, l LayerConfig, f tensor.Format, wholeKeys bool, depth, n int) func() {
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
		c := newKV(&l, f, wholeKeys)
		c.reserve(0, depth+n)
		for pos := range min(depth+n, 4096) {
			from := pos * 37 % 4096
			c.put(m.kernels, pos, slices.Clone(sample[from:][:size]), slices.Clone(sample[from:][:size]))
		}
		for i := 4096 / pageLen; i < len(c.pages); i++ { // it goes on like that
			c.pages[i-4096/pageLen].copyTo(c.pages[i])
		}
		caches = append(caches, c)
		if l.Sliding {
			bytes += (m.Window + n) * l.KVHeads * (c.kSize + c.vSize)
		} else {
			bytes += (depth + n) * l.KVHeads * (c.kSize + c.vSize)
		}
	}
	s, p := &Sequence{m: m, cache: caches[:1]}, m.NewPass()
	chunk := &Chunk{Sequence: s}
	running := &layer{LayerConfig: l}
	if n > 1 {
		p.role = tensor.Panels
	}
	for i := range n {
		p.positions = append(p.positions, position{chunk: chunk, pos: depth + i, end: depth + i + 1})
	}
	p.q, p.att = gaussian(n*l.Heads*l.HeadDim), make([]float32, n*l.Heads*l.HeadDim)
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
	return m
}

// Gaze returns a function that lets all of n patches attend to all, in one layer of a tower.
func Gaze(k *tensor.Kernels, workers, n, heads, dim int) (gaze, end func()) {
	s := &Sight{}
	s.regions = newRegions[Sight, visionLayer](s, tensor.NewPool(workers), k, heads*dim, 1e-6)
	s.gaze.s = s
	s.gaze.reserve(n, heads, dim)
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, 4*dim)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return func() {
		for i := range n {
			for h := range heads {
				s.gaze.put(k, h, i, x[i*7%dim:][:dim], x[i*3%dim+dim:][:dim], x[i%dim+2*dim:][:dim])
			}
		}
		s.gaze.run()
	}, func() { s.pool.Close() }
}
