package model

import (
	"math"
	"sync/atomic"

	"github.com/gogemma/gemma4/tensor"
)

// Attention walks the cache in strips with a running maximum, so that no matrix of all scores exists. A query keeps the largest score m so
// far, the sum l of exp(score − m) and the sum o of exp(score − m) · value; a larger score rescales both.
//
// The query heads of a group share keys and values, and so do the positions of one sequence: those of a tile go over a strip together. What
// a query gathers does not depend on who goes with it. Strips and splits start at absolute positions of the sequence, and splits are merged
// in order, so that one worker doing all of them and several doing one each give the same bits.

// windowAhead says whether the window ends what a position of a picture sees ahead, too. Sources differ, where a picture has more tokens
// than the window: the one that published engines follow, and the golden data with it, bounds only what lies behind; the maker's other
// code bounds both. When weights are at hand that tell, this is the place to decide it.
const windowAhead = false

// tileLen is how many positions of a sequence go over its cache together, at most; more do by products of bf16 (attention_bf16.go).
const tileLen = 8

// tile is some positions of one sequence that attend together.
type tile struct {
	from, to int // among Pass.positions
	cache    *kv
	low, end int // what any of them sees of the sequence: positions low to end-1
	first    int // split of those
	count    int // splits
	part     int // where its partial results begin, if each split is a job of its own; else −1
}

// job is what a worker does at a time: one split of a tile on one head of keys and values, or all of them.
type job struct{ tile, head, split int }

// attendRegion is the region that attends: the jobs of one layer. A [tensor.Task] is told no more than a worker and a job, so what else the
// jobs need is in fields: attend sets them for each layer.
type attendRegion struct {
	p       *Pass
	l       *layer
	size    int // positions of a split
	tiles   []tile
	jobs    []job
	first   int // of the jobs that run
	workers []attentionScratch
	parts   []partial      // of tiles that are shared by workers [heads, splits]
	left    []atomic.Int32 // [tiles, heads] splits not done yet: whoever does the last one merges all
}

// attentionScratch is one worker's.
type attentionScratch struct {
	q      []float32 // [queries, head size] of several positions where there are several groups, or as tied layers have them
	scores []float32 // [queries, stripLen]
	packs  packs     // of products of bf16
	part   partial   // of the split at work
	sum    partial   // of the splits so far
}

// partial is what queries, [positions, group], have gathered from some positions.
type partial struct {
	dim      int
	max, sum []float32 // [queries]
	out      []float32 // [queries, head size]
}

func (p *partial) reset(queries, dim int) {
	grow(&p.max, queries)
	grow(&p.sum, queries)
	grow(&p.out, queries*dim)
	p.dim = dim
	for i := range queries {
		p.max[i] = float32(math.Inf(-1))
	}
	clear(p.sum[:queries])
	clear(p.out[:queries*dim])
}

// attend sets p.att to the values that the queries p.q gather from their sequences' caches of a layer.
func (p *Pass) attend(l *layer) {
	a, workers := &p.attn, p.pool.Workers()
	if len(a.workers) < workers {
		a.workers = make([]attentionScratch, workers)
	}
	a.l, a.size = l, splitLen
	if l.Sliding {
		a.size = slidingSplitLen
	}
	splits, ops := 0, int64(0)
	a.tiles = a.tiles[:0]
	for from := 0; from < len(p.positions); {
		t := a.tile(from)
		a.tiles = append(a.tiles, t)
		splits += t.count * l.KVHeads
		ops += 2 * int64(t.to-t.from) * int64(t.end-t.low) * int64(l.Heads*l.HeadDim)
		from = t.to
	}
	if n := len(a.tiles) * l.KVHeads; len(a.left) < n {
		a.left = make([]atomic.Int32, n)
	}
	parts := 0
	a.jobs = a.jobs[:0]
	for i := range a.tiles {
		t := &a.tiles[i]
		if workers > 1 && t.count > 1 && 2*workers*t.count > splits { // otherwise there are enough jobs as it is
			t.part = parts
			parts += l.KVHeads * t.count
		}
		for h := range l.KVHeads {
			if t.part < 0 {
				a.jobs = append(a.jobs, job{i, h, 0})
				continue
			}
			a.left[i*l.KVHeads+h].Store(int32(t.count))
			for s := range t.count {
				a.jobs = append(a.jobs, job{i, h, s})
			}
		}
	}
	if len(a.parts) < parts {
		a.parts = append(a.parts, make([]partial, parts-len(a.parts))...)
	}
	p.runLong(len(a.jobs), ops, &a.first, a)
}

// tile returns the tile that begins with position from of the pass.
func (a *attendRegion) tile(from int) tile {
	all := a.p.positions
	c := all[from].chunk
	t := tile{from: from, to: from, cache: c.Sequence.cache[a.l.Source], low: math.MaxInt, part: -1}
	for t.to < min(len(all), from+a.tileLen(t.cache)) && all[t.to].chunk == c {
		lo, hi := a.span(&all[t.to])
		t.low, t.end = min(t.low, lo), max(t.end, hi)
		t.to++
	}
	t.first = t.low / a.size
	t.count = (t.end-1)/a.size - t.first + 1
	return t
}

// tileLen returns how many positions of a tile go over a cache.
func (a *attendRegion) tileLen(c *kv) int {
	if a.bf16(c) == nil {
		return tileLen
	}
	return min(max(tileLen, packedQueries/(a.group()*c.dim)), stripLen)
}

// span returns the positions lo to hi-1 of its sequence that a position sees.
func (a *attendRegion) span(r *position) (lo, hi int) {
	if !a.l.Sliding {
		return 0, min(r.pos+1, r.end)
	}
	if hi = r.end; windowAhead {
		hi = min(hi, r.pos+a.p.m.Window)
	}
	return max(0, r.pos-a.p.m.Window+1), hi
}

// seen returns which of count positions from pos on, lo to hi-1, a position sees.
func (a *attendRegion) seen(r *position, pos, count int) (lo, hi int) {
	lo, hi = a.span(r)
	return max(lo-pos, 0), min(hi-pos, count)
}

// Do is called by the pool.
func (a *attendRegion) Do(worker, i int) {
	w, j := &a.workers[worker], a.jobs[a.first+i]
	t := &a.tiles[j.tile]
	n := (t.to - t.from) * a.group()
	if t.part < 0 {
		w.sum.reset(n, a.l.HeadDim)
		for s := range t.count {
			a.split(w, &w.part, t, j.head, s)
			a.merge(&w.sum, &w.part, n)
		}
		a.finish(&w.sum, t, j.head)
		return
	}
	parts := a.parts[t.part+j.head*t.count:][:t.count]
	a.split(w, &parts[j.split], t, j.head, j.split)
	if a.left[j.tile*a.l.KVHeads+j.head].Add(-1) == 0 {
		w.sum.reset(n, a.l.HeadDim)
		for s := range parts {
			a.merge(&w.sum, &parts[s], n)
		}
		a.finish(&w.sum, t, j.head)
	}
}

// group returns how many query heads share a head of keys and values.
func (a *attendRegion) group() int { return a.l.Heads / a.l.KVHeads }

// split sets p to what a tile gathers from one of its splits on head h.
func (a *attendRegion) split(w *attentionScratch, p *partial, t *tile, h, s int) {
	n := (t.to - t.from) * a.group()
	p.reset(n, a.l.HeadDim)
	s += t.first
	first, end := s*a.size, min(t.end, (s+1)*a.size)
	if s == t.first {
		first = t.low
	}
	if k := a.bf16(t.cache); k != nil {
		a.splitBF16(k, w, p, t, h, first, end)
		return
	}
	grow(&w.scores, n*stripLen)
	q := a.queries(w, t, h)
	for pos := first &^ 1; pos < end; { // an even number of keys, as Scores has it
		until := min((end+1)&^1, (pos/stripLen+1)*stripLen)
		next := until
		if next >= end && t.part >= 0 { // this worker's next split, as far as can be told
			next = (s + a.p.pool.Workers()) * a.size
		}
		a.strip(w, p, q, t, h, pos, until, next)
		pos = until
	}
}

// queries returns those of a tile that attend to head h: what meets the keys [positions, group, rotated], then, in tied layers, what meets
// the rest of the values.
func (a *attendRegion) queries(w *attentionScratch, t *tile, h int) []float32 {
	c, count := t.cache, t.to-t.from
	group, width := a.group(), a.l.Heads*c.dim
	size := group * c.dim
	if !c.tied() && (size == width || count == 1) {
		return a.p.q[t.from*width+h*size:][:count*size]
	}
	grow(&w.q, tileLen*size)
	keys := w.q[:0]
	rest := w.q[count*group*c.rotated:][:0]
	for i := range count * group {
		q := a.p.q[(t.from+i/group)*width+h*size+i%group*c.dim:][:c.dim]
		keys, rest = append(keys, q[:c.rotated]...), append(rest, q[c.rotated:]...)
	}
	return w.q[:count*size]
}

// strip lets queries gather from positions pos to end-1 of one strip. All scores are computed; those of positions that a query does not
// see, which may hold anything, go nowhere. What lies from next on, if there is that much, is fetched meanwhile.
func (a *attendRegion) strip(w *attentionScratch, p *partial, q []float32, t *tile, h, pos, end, next int) {
	kern, cache, tiled := a.p.kernels, t.cache, a.p.positions[t.from:t.to]
	group, dim, size := a.group(), p.dim, cache.vSize
	n, count := len(tiled)*group, end-pos
	keys, values := cache.at(pos, count, h)
	var nextKeys, nextValues []byte
	if next+count <= t.end && next%stripLen+count <= stripLen {
		nextKeys, nextValues = cache.at(next, count, h)
	}
	weights := w.scores[:n*stripLen]
	clear(weights)
	if cache.tied() {
		k := n * cache.rotated
		kern.Scores[cache.format](weights, stripLen, q[:k], n, keys, cache.kSize, count, nextKeys)
		kern.Scores[cache.format](weights, stripLen, q[k:], n, values[cache.kSize:], size, count, nextValues)
		nextKeys = nextValues // the two products fetch half of it each
	} else {
		kern.Scores[cache.format](weights, stripLen, q, n, keys, size, count, values)
	}
	whole := true
	for i := range tiled {
		lo, hi := a.seen(&tiled[i], pos, count)
		whole = whole && lo == 0 && hi == count
		for j := i * group; j < (i+1)*group && lo < hi; j++ {
			x := weights[j*stripLen+lo : j*stripLen+hi]
			p.raise(kern, j, kern.Max(x))
			p.sum[j] += kern.ExpSum(x, p.max[j])
		}
	}
	if whole {
		kern.Weigh[cache.format](p.out[:n*dim], n, weights, stripLen, values, count, nextKeys)
		return
	}
	for i := range tiled {
		if lo, hi := a.seen(&tiled[i], pos, count); lo < hi {
			out := p.out[i*group*dim : (i+1)*group*dim]
			kern.Weigh[cache.format](out, group, weights[i*group*stripLen+lo:], stripLen, values[lo*size:hi*size], hi-lo, nextKeys)
		}
	}
}

// raise raises the maximum of query i to top if that is larger.
func (p *partial) raise(k *tensor.Kernels, i int, top float32) {
	if !(top > p.max[i]) {
		return
	}
	f := exp(p.max[i] - top)
	p.max[i] = top
	p.sum[i] *= f
	out := p.out[i*p.dim : (i+1)*p.dim]
	k.Scale(out, out, f)
}

// merge adds to sum what n queries have gathered from later positions.
func (a *attendRegion) merge(sum, part *partial, n int) {
	dim := sum.dim
	for i := range n {
		if part.sum[i] == 0 {
			continue // nothing was visible there
		}
		sum.raise(a.p.kernels, i, part.max[i])
		f := exp(part.max[i] - sum.max[i])
		sum.sum[i] += part.sum[i] * f
		a.p.kernels.AddScaled(sum.out[i*dim:(i+1)*dim], part.out[i*dim:(i+1)*dim], f)
	}
}

// finish writes what the queries of a tile on head h have gathered.
func (a *attendRegion) finish(p *partial, t *tile, h int) {
	dim, group, k := p.dim, a.group(), a.p.kernels
	for i := range (t.to - t.from) * group {
		dst := a.p.att[((t.from+i/group)*a.l.Heads+h*group+i%group)*dim:][:dim]
		k.Scale(dst, p.out[i*dim:(i+1)*dim], 1/p.sum[i])
		t.cache.restore(k, dst)
	}
}

func exp(x float32) float32 { return float32(math.Exp(float64(x))) }
