package model

import (
	"math"

	"github.com/gogemma/gemma4/tensor"
)

// Where the kernels have attention by products of bf16, a prefill takes it, unless the cache is F32. Strips begin at the same absolute
// positions, but all of a strip's scores count, those of positions that a query does not see as −Inf: what a query gathers depends on
// where in the sequence it is, not on who goes with it. A strip's keys and values are packed for all queries of a tile, so tiles are
// larger.

// packedQueries bounds the numbers of a tile's queries: with a strip beside them they stay in the second cache.
const packedQueries = 64 << 10

// packs is a worker's scratch of attention by products of bf16.
type packs struct {
	queries, keys, values, weights []uint16
	scores, factor                 []float32 // of a strip: [queries, tensor.Strip], [queries]
}

// reserve makes room for n queries.
func (s *packs) reserve(n, dim int) {
	growTo(&s.queries, n*tensor.Packed(dim))
	growTo(&s.keys, (dim+2*32)*tensor.Strip) // in two parts, each filled up
	growTo(&s.values, tensor.PackedValues(dim))
	growTo(&s.weights, n*tensor.Strip)
	grow(&s.scores, n*tensor.Strip)
	grow(&s.factor, n)
}

// gather adds to what queries from to to-1 have gathered what they gather from a strip, whose keys and values are packed. Query i does not
// see positions of the strip outside of what seen returns. Maxima are of powers of two. The keys and values that come next are fetched.
func (s *packs) gather(k *tensor.AttentionKernels, p *partial, from, to int, nextKeys, nextValues []byte, seen func(i int) (lo, hi int)) {
	n := to - from
	scores := s.scores[:n*tensor.Strip]
	k.Scores(scores, s.queries[from*tensor.Packed(p.dim):], n, s.keys, p.dim, nextKeys)
	for i := range n {
		lo, hi := seen(from + i)
		row := scores[i*tensor.Strip:][:tensor.Strip]
		blind(row[:lo])
		blind(row[hi:])
	}
	k.Softmax(s.weights, scores, p.max[from:to], p.sum[from:to], s.factor[:n])
	k.Weigh(p.out[from*p.dim:], p.dim, s.factor[:n], s.weights, s.values, p.dim, nextValues)
}

func blind(scores []float32) {
	for i := range scores {
		scores[i] = float32(math.Inf(-1))
	}
}

// natural makes maxima of powers of two those of powers of e.
func (p *partial) natural(n int) {
	for i := range p.max[:n] {
		p.max[i] *= math.Ln2
	}
}

// bf16 returns the kernels of attention by products of bf16, or nil if the pass attends to a cache in floats.
func (a *attendRegion) bf16(c *kv) *tensor.AttentionKernels {
	if a.p.role != tensor.Panels || c.format == tensor.F32 {
		return nil
	}
	return a.p.kernels.Attention
}

// splitBF16 sets p to what a tile gathers from positions first to end-1, of one split, on head h.
func (a *attendRegion) splitBF16(k *tensor.AttentionKernels, w *attentionScratch, p *partial, t *tile, h, first, end int) {
	s, c, tiled, group, dim := &w.packs, t.cache, a.p.positions[t.from:t.to], a.group(), a.l.HeadDim
	n := len(tiled) * group
	s.reserve(n, dim)
	for i := range tiled {
		q := a.p.q[((t.from+i)*a.l.Heads+h*group)*dim:][:group*dim]
		k.PackQueries(s.queries[i*group*tensor.Packed(dim):], q, dim, group, dim)
	}
	for pos := first &^ (tensor.Strip - 1); pos < end; pos += tensor.Strip {
		from, to := len(tiled), 0 // of those that see something of the strip: they follow one another
		for i := range tiled {
			if lo, hi := a.seen(&tiled[i], pos, tensor.Strip); lo < hi {
				from, to = min(from, i), i+1
			}
		}
		if from >= to {
			continue
		}
		c.pack(k, s, pos, min(tensor.Strip, end-pos), h)
		var nextKeys, nextValues []byte
		if next := pos + tensor.Strip; next+tensor.Strip <= t.end {
			nextKeys, nextValues = c.at(next, tensor.Strip, h)
		}
		s.gather(k, p, from*group, to*group, nextKeys, nextValues, func(i int) (lo, hi int) {
			return a.seen(&tiled[i/group], pos, tensor.Strip)
		})
	}
	p.natural(n)
}

// pack packs n keys and values of head h from the beginning of a strip on.
func (c *kv) pack(k *tensor.AttentionKernels, s *packs, pos, n, h int) {
	keys, values := c.at(pos, n, h)
	k.PackKeys[c.format](s.keys, keys, c.kSize, n, c.rotated)
	if c.tied() {
		rest := c.dim - c.rotated
		k.PackKeys[c.format](s.keys[c.rotated*tensor.Strip:], values[c.kSize:], c.vSize, n, rest)
		clear(s.keys[c.dim*tensor.Strip : tensor.Packed(c.dim)*tensor.Strip])
	}
	k.PackValues[c.format](s.values, values, c.vSize, n, c.dim)
}

// growTo gives a buffer at least n elements. What it held is lost if it grows.
func growTo(buf *[]uint16, n int) {
	if len(*buf) < n {
		*buf = make([]uint16, n)
	}
}
