package model

import (
	"math"
	"sync/atomic"
)

// Attention walks the cache in blocks with a running maximum, so that no matrix of all scores exists. A query keeps the largest
// score m so far, the sum l of exp(score − m) and the sum o of exp(score − m) · value; a larger score rescales both.
//
// The query heads of a group share keys and values, and so do the rows of a prompt: they go over a block together. What a query
// gathers does not depend on who goes with it. Blocks and segments start at absolute positions, and segments are merged in order,
// so that one worker doing all of them and several doing one each give the same bits.

// rowBlock is how many rows of a prompt go over the cache together.
const rowBlock = 8

// attention is the region that attends: rows × heads of keys and values, × segments when there are few rows.
type attention struct {
	s       *Session
	l       *layer
	split   bool // a chunk is one segment of one row; else all segments of rowBlock rows
	size    int  // positions of a segment
	first   int  // first segment that any row sees
	count   int  // segments
	end     int  // behind the last position that any row sees
	workers []attentionScratch
	parts   []partial      // [rows, kvHeads, segments] when split
	left    []atomic.Int32 // [rows, kvHeads] segments that are not done yet: who does the last one merges all
}

// attentionScratch is one worker's.
type attentionScratch struct {
	q      []float32 // [queries, head size] of several rows and one of several groups, or as tied layers have them
	scores []float32 // [queries, block]
	part   partial   // of the segment at work
	sum    partial   // of the segments so far
}

// partial is what queries, [rows, group], have gathered from some positions.
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

// attend sets s.att to the values that the queries s.q gather from the running layer's cache.
func (s *Session) attend(l *layer) {
	a := &s.attn
	a.l = l
	if len(a.workers) < s.m.pool.Workers() {
		a.workers = make([]attentionScratch, s.m.pool.Workers())
	}
	n, heads := len(s.rows), l.KVHeads
	from, to := a.visible(0, n)
	a.size = segment
	if l.Sliding {
		a.size = slidingSegment
	}
	a.first, a.count, a.end = from/a.size, (to-1)/a.size-from/a.size+1, to
	a.split = n*heads < 2*s.m.pool.Workers() && a.count > 1
	if !a.split {
		s.run((n+rowBlock-1)/rowBlock*heads, a)
		return
	}
	if need := n * heads * a.count; len(a.parts) < need {
		a.parts = append(a.parts, make([]partial, need-len(a.parts))...)
	}
	if len(a.left) < n*heads {
		a.left = make([]atomic.Int32, n*heads)
	}
	for i := range n * heads {
		a.left[i].Store(int32(a.count))
	}
	s.run(n*heads*a.count, a)
}

// visible returns the positions that rows from to to-1 see in the running layer: the lowest, and the end.
func (a *attention) visible(from, to int) (first, end int) {
	first = math.MaxInt
	for _, r := range a.s.rows[from:to] {
		lo, hi := a.span(r)
		first, end = min(first, lo), max(end, hi)
	}
	return first, end
}

// span returns the positions lo to hi-1 that a row sees in the running layer.
func (a *attention) span(r row) (lo, hi int) {
	if !a.l.Sliding {
		return 0, r.pos + 1
	}
	return max(0, r.pos-a.s.m.Window+1), r.end
}

// seen returns which of count positions from pos on, lo to hi-1, a row sees.
func (a *attention) seen(r row, pos, count int) (lo, hi int) {
	lo, hi = a.span(r)
	return max(lo-pos, 0), min(hi-pos, count)
}

// Do is called by the pool.
func (a *attention) Do(worker, chunk int) {
	s, w := a.s, &a.workers[worker]
	group, dim, heads := a.l.Heads/a.l.KVHeads, a.l.HeadDim, a.l.KVHeads
	if a.split {
		i := chunk / a.count
		row, h := i/heads, i%heads
		a.segment(w, &a.parts[chunk], row, row+1, h, a.first+chunk%a.count)
		if a.left[i].Add(-1) == 0 {
			w.sum.reset(group, dim)
			for j := range a.count {
				a.merge(&w.sum, &a.parts[i*a.count+j], group)
			}
			a.finish(&w.sum, row, row+1, h)
		}
		return
	}
	from, h := chunk/heads*rowBlock, chunk%heads
	to := min(from+rowBlock, len(s.rows))
	w.sum.reset((to-from)*group, dim)
	first, end := a.visible(from, to)
	for seg := first / a.size; seg*a.size < end; seg++ {
		a.segment(w, &w.part, from, to, h, seg)
		a.merge(&w.sum, &w.part, (to-from)*group)
	}
	a.finish(&w.sum, from, to, h)
}

// segment sets p to what rows from to to-1 gather from one segment of head h.
func (a *attention) segment(w *attentionScratch, p *partial, from, to, h, seg int) {
	s := a.s
	n := (to - from) * a.l.Heads / a.l.KVHeads
	p.reset(n, a.l.HeadDim)
	grow(&w.scores, n*block)
	q := a.queries(w, from, to, h)
	first, end := a.visible(from, to)
	first, end = max(first, seg*a.size), min(end, (seg+1)*a.size)
	for pos := first &^ 1; pos < end; { // an even number of keys, as Scores has it
		until := min((end+1)&^1, (pos/block+1)*block)
		next := until
		if next >= end && a.split { // this worker's next segment, as far as can be told
			next = (seg + s.m.pool.Workers()) * a.size
		}
		a.block(w, p, q, from, to, h, pos, until, next)
		pos = until
	}
}

// queries returns those of rows from to to-1 that attend to head h: what meets keys [rows, group, turned], then what meets the rest
// of the values in tied layers.
func (a *attention) queries(w *attentionScratch, from, to, h int) []float32 {
	s, c := a.s, a.s.cache[a.l.index]
	group, row := a.l.Heads/a.l.KVHeads, a.l.Heads*c.dim
	size := group * c.dim
	if !c.tied() && (size == row || to == from+1) {
		return s.q[from*row+h*size:][:(to-from)*size]
	}
	grow(&w.q, rowBlock*size)
	keys := w.q[:0]
	rest := w.q[(to-from)*group*c.turned:][:0]
	for i := range (to - from) * group {
		q := s.q[(from+i/group)*row+h*size+i%group*c.dim:][:c.dim]
		keys, rest = append(keys, q[:c.turned]...), append(rest, q[c.turned:]...)
	}
	return w.q[:(to-from)*size]
}

// block lets queries gather from positions pos to end-1 of one block. All scores are computed; those of positions that a row does not
// see, which may hold anything, go nowhere. What lies from next on, if there is so much, is fetched meanwhile.
func (a *attention) block(w *attentionScratch, p *partial, q []float32, from, to, h, pos, end, next int) {
	s, kern, cache := a.s, a.s.kernels, a.s.cache[a.l.index]
	group, dim, size := a.l.Heads/a.l.KVHeads, p.dim, cache.vSize
	n, count := (to-from)*group, end-pos
	keys, values := cache.rows(pos, count, h)
	var nextKeys, nextValues []byte
	if next+count <= a.end && next%block+count <= block {
		nextKeys, nextValues = cache.rows(next, count, h)
	}
	weights := w.scores[:n*block]
	clear(weights)
	if cache.tied() {
		t := n * cache.turned
		kern.Scores[cache.format](weights, block, q[:t], n, keys, cache.kSize, count, nextKeys)
		kern.Scores[cache.format](weights, block, q[t:], n, values[cache.kSize:], size, count, nextValues)
		nextKeys = nextValues // which are fetched by halves
	} else {
		kern.Scores[cache.format](weights, block, q, n, keys, size, count, values)
	}
	whole := true
	for i, r := range s.rows[from:to] {
		lo, hi := a.seen(r, pos, count)
		whole = whole && lo == 0 && hi == count
		for j := i * group; j < (i+1)*group && lo < hi; j++ {
			x := weights[j*block+lo : j*block+hi]
			a.raise(p, j, kern.Max(x))
			p.sum[j] += kern.ExpSum(x, p.max[j])
		}
	}
	if whole {
		kern.Weigh[cache.format](p.out[:n*dim], n, weights, block, values, count, nextKeys)
		return
	}
	for i, r := range s.rows[from:to] {
		if lo, hi := a.seen(r, pos, count); lo < hi {
			out := p.out[i*group*dim : (i+1)*group*dim]
			kern.Weigh[cache.format](out, group, weights[i*group*block+lo:], block, values[lo*size:hi*size], hi-lo, nextKeys)
		}
	}
}

// raise raises the maximum of query i to top, if that is larger.
func (a *attention) raise(p *partial, i int, top float32) {
	if !(top > p.max[i]) {
		return
	}
	f := exp(p.max[i] - top)
	p.max[i] = top
	p.sum[i] *= f
	out := p.out[i*p.dim : (i+1)*p.dim]
	a.s.kernels.Scale(out, out, f)
}

// merge adds to sum what n queries gathered from later positions.
func (a *attention) merge(sum, part *partial, n int) {
	dim := sum.dim
	for i := range n {
		if part.sum[i] == 0 {
			continue // nothing was visible there
		}
		a.raise(sum, i, part.max[i])
		f := exp(part.max[i] - sum.max[i])
		sum.sum[i] += part.sum[i] * f
		a.s.kernels.AddScaled(sum.out[i*dim:(i+1)*dim], part.out[i*dim:(i+1)*dim], f)
	}
}

// finish writes what the queries of rows from to to-1 on head h have gathered.
func (a *attention) finish(p *partial, from, to, h int) {
	s, dim := a.s, p.dim
	group := a.l.Heads / a.l.KVHeads
	for i := range (to - from) * group {
		dst := s.att[((from+i/group)*a.l.Heads+h*group+i%group)*dim:][:dim]
		s.kernels.Scale(dst, p.out[i*dim:(i+1)*dim], 1/p.sum[i])
		s.cache[a.l.index].restore(s.kernels, dst)
	}
}

func exp(x float32) float32 { return float32(math.Exp(float64(x))) }
