package model

import "math"

// Attention walks the cache in blocks with a running maximum, so that no matrix of all scores exists. Per query head it
// keeps the largest score m so far, the sum l of exp(score − m) and the sum o of exp(score − m) · v; a larger score
// rescales both. Positions are taken in blocks and segments that start at absolute positions, and segments are merged in
// order: one worker doing all of them and several doing one each give the same bits.

// rowBlock is how many rows share a pass over the cache, so that keys and values are decoded once for all of them.
const rowBlock = 8

// attention is the region that attends: rows × heads of keys and values, × segments when there are few rows.
type attention struct {
	s       *Session
	split   bool // a chunk is one segment of one row; else all segments of rowBlock rows
	merging bool // second region of a split: merge the segments
	first   int  // first segment that any row sees
	count   int  // segments
	workers []attentionScratch
	parts   []partial // [rows, kvHeads, segments] when split
}

// attentionScratch is one worker's.
type attentionScratch struct {
	k, v   []float32 // [block, head size] decoded
	scores [block]float32
	part   [rowBlock]partial // of the segment at work
	sum    [rowBlock]partial // of the segments so far
}

// partial is the state of the query heads of one row that share keys and values.
type partial struct {
	max, sum []float32 // [group]
	out      []float32 // [group, head size]
}

func (p *partial) reset(group, dim int) {
	if cap(p.max) < group || cap(p.out) < group*dim {
		p.max, p.sum, p.out = make([]float32, group), make([]float32, group), make([]float32, group*dim)
	}
	p.max, p.sum, p.out = p.max[:group], p.sum[:group], p.out[:group*dim] // layers differ
	for i := range p.max {
		p.max[i] = float32(math.Inf(-1))
	}
	clear(p.sum)
	clear(p.out)
}

// attend sets s.att to the values that the queries s.q gather from the running layer's cache.
func (s *Session) attend() {
	a := &s.attn
	if len(a.workers) < s.m.pool.Workers() {
		a.workers = make([]attentionScratch, s.m.pool.Workers())
	}
	n, heads := len(s.rows), s.l.KVHeads
	from, to := s.visible(0, n)
	a.first, a.count = from/segment, (to-1)/segment-from/segment+1
	a.merging = false
	a.split = n*heads < 2*s.m.pool.Workers() && a.count > 1
	if !a.split {
		s.run((n+rowBlock-1)/rowBlock*heads, a)
		return
	}
	if need := n * heads * a.count; len(a.parts) < need {
		a.parts = append(a.parts, make([]partial, need-len(a.parts))...)
	}
	s.run(n*heads*a.count, a)
	a.merging = true
	s.run(n*heads, a)
}

// visible returns the positions that rows from to to-1 see in the running layer: the lowest, and the end.
func (s *Session) visible(from, to int) (first, end int) {
	first = math.MaxInt
	for _, r := range s.rows[from:to] {
		lo, hi := s.span(r)
		first, end = min(first, lo), max(end, hi)
	}
	return first, end
}

// span returns the positions lo to hi-1 that a row sees in the running layer.
func (s *Session) span(r row) (lo, hi int) {
	if !s.l.Sliding {
		return 0, r.pos + 1
	}
	return max(0, r.pos-s.m.Window+1), r.end
}

// Do is called by the pool.
func (a *attention) Do(worker, chunk int) {
	s, w := a.s, &a.workers[worker]
	group, dim, heads := s.l.Heads/s.l.KVHeads, s.l.HeadDim, s.l.KVHeads
	switch {
	case a.merging:
		sum := &w.sum[0]
		sum.reset(group, dim)
		for i := range a.count {
			sum.merge(&a.parts[chunk*a.count+i], dim)
		}
		a.finish(chunk/heads, chunk%heads, sum)
	case a.split:
		part := &a.parts[chunk]
		part.reset(group, dim)
		rowHead := chunk / a.count
		row := rowHead / heads
		a.segment(w, row, row+1, rowHead%heads, a.first+chunk%a.count, a.parts[chunk:chunk+1])
	default:
		from := chunk / heads * rowBlock
		to, h := min(from+rowBlock, len(s.rows)), chunk%heads
		for i := range to - from {
			w.sum[i].reset(group, dim)
		}
		first, end := s.visible(from, to)
		for seg := first / segment; seg*segment < end; seg++ {
			for i := range to - from {
				w.part[i].reset(group, dim)
			}
			a.segment(w, from, to, h, seg, w.part[:])
			for i := range to - from {
				w.sum[i].merge(&w.part[i], dim)
			}
		}
		for i := range to - from {
			a.finish(from+i, h, &w.sum[i])
		}
	}
}

// segment attends rows from to to-1 to one segment of the keys and values of head h.
func (a *attention) segment(w *attentionScratch, from, to, h, seg int, parts []partial) {
	s := a.s
	cache, dim := s.cache[s.i], s.l.HeadDim
	grow(&w.k, block*dim)
	grow(&w.v, block*dim)
	first, end := s.visible(from, to)
	first, end = max(first, seg*segment), min(end, (seg+1)*segment)
	for pos := first; pos < end; {
		next := min(end, (pos/block+1)*block)
		kb, vb := cache.rows(pos, next-pos, h)
		k, v := w.k[:(next-pos)*dim], w.v[:(next-pos)*dim]
		s.m.kernels.DecodeRow(cache.format, k, kb)
		s.m.kernels.DecodeRow(cache.format, v, vb)
		for i, r := range s.rows[from:to] {
			lo, hi := s.span(r)
			lo, hi = max(lo, pos)-pos, min(hi, next)-pos
			if lo < hi {
				a.block(w, &parts[i], from+i, h, k[lo*dim:hi*dim], v[lo*dim:hi*dim], w.scores[:hi-lo])
			}
		}
		pos = next
	}
}

// block adds decoded keys and values [len(scores), head size] to what the query heads of one row have gathered.
func (a *attention) block(w *attentionScratch, p *partial, row, h int, k, v, scores []float32) {
	s, kern := a.s, a.s.m.kernels
	group, dim := s.l.Heads/s.l.KVHeads, s.l.HeadDim
	for g := range group {
		q := s.q[(row*s.l.Heads+h*group+g)*dim:][:dim]
		top := p.max[g]
		kern.ScoreKeys(scores, q, k)
		for _, score := range scores {
			top = max(top, score)
		}
		out := p.out[g*dim : (g+1)*dim]
		p.rescale(g, top, out)
		p.sum[g] += kern.ExpSum(scores, top)
		kern.AddValues(out, v, scores)
	}
}

// rescale raises the maximum of head g to top.
func (p *partial) rescale(g int, top float32, out []float32) {
	if top == p.max[g] {
		return
	}
	f := exp(p.max[g] - top)
	p.max[g] = top
	p.sum[g] *= f
	for i := range out {
		out[i] *= f
	}
}

// merge adds what another partial gathered from later positions.
func (p *partial) merge(q *partial, dim int) {
	for g, top := range q.max {
		if math.IsInf(float64(top), -1) {
			continue // nothing was visible there
		}
		out, add := p.out[g*dim:(g+1)*dim], q.out[g*dim:(g+1)*dim]
		p.rescale(g, max(top, p.max[g]), out)
		f := exp(top - p.max[g])
		p.sum[g] += q.sum[g] * f
		for i, v := range add {
			out[i] += v * f
		}
	}
}

// finish writes the gathered values of one row's heads.
func (a *attention) finish(row, h int, p *partial) {
	s, dim := a.s, a.s.l.HeadDim
	group := s.l.Heads / s.l.KVHeads
	for g := range group {
		dst := s.att[(row*s.l.Heads+h*group+g)*dim:][:dim]
		inv := 1 / p.sum[g]
		for i, v := range p.out[g*dim : (g+1)*dim] {
			dst[i] = v * inv
		}
	}
}

func exp(x float32) float32 { return float32(math.Exp(float64(x))) }
