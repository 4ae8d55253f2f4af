package model

import (
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/tensor"
)

// ahead is what a pass reads from disk before it is needed, where memory is too small for all experts ([Options.Resident]): the experts
// that a layer has chosen, all at once rather than page by page as they are touched, and those that the next layer will choose, while this
// one is computed. What stays in memory is the system's choice: it keeps what was used of late.
//
// The next layer's router tells from this layer's residual which experts that layer is likely to choose: the residual changes little from
// layer to layer. To read one that is not chosen takes the disk from those that are. So they are read only if those of their rank came
// true before.
type ahead struct {
	list     []stretch
	foretold mixture
	next     int         // the layer that it is of; 0: of none
	likely   []bool      // [experts] those to be read
	records  [2][]record // of single tokens and of prompts, [used] by rank
}

// stretch is a part of a tensor.
type stretch struct {
	t        *gguf.Tensor
	from, to int64
}

// record is how often what was foretold came true.
type record struct{ told, right int }

const (
	recordLength = 512 // where the past begins to count half
	recordLeast  = 32  // told before it is relied on
)

// add counts one more.
func (r *record) add(right bool) {
	if r.told == recordLength {
		r.told, r.right = r.told/2, r.right/2
	}
	r.told++
	if right {
		r.right++
	}
}

// holds reports whether nine of ten came true.
func (r *record) holds() bool { return r.told >= recordLeast && 10*r.right >= 9*r.told }

// stretches appends an expert's matrices of the first products, or of the last.
func (x *experts) stretches(list []stretch, e int, last bool) []stretch {
	for i, t := range x.stacks {
		if t != nil && last == (i == 0) {
			size := t.Size / int64(len(x.down))
			list = append(list, stretch{t, int64(e) * size, int64(e+1) * size})
		}
	}
	return list
}

// fetchExperts begins to read the experts that a layer has chosen, in the order in which they are needed, and behind them those that the
// next layer is likely to choose.
func (p *Pass) fetchExperts(l *layer) {
	if p.m.fetch == nil || p.err != nil {
		return
	}
	a, m := &p.ahead, &p.moe
	a.judge(p, l)
	a.list = a.list[:0]
	for _, last := range [...]bool{false, true} {
		for e := range p.m.Experts {
			if m.first[e] < m.first[e+1] {
				a.list = l.experts.stretches(a.list, e, last)
			}
		}
	}
	a.next = 0
	if next := l.index + 1; next < len(p.m.layers) && p.m.layers[next].experts != nil && p.observe == nil {
		p.foretell(&p.m.layers[next])
	}
	p.each(len(a.list), l, (*Pass).fetchStretch)
}

// fetchStretch begins to read a stretch. Where that fails, it is read when it is touched.
func (p *Pass) fetchStretch(_ *layer, i int) {
	x := p.ahead.list[i]
	p.m.fetch(x.t, x.from, x.to)
}

// foretell chooses the next layer's experts by the residual as it is, and lists what is likely to be needed of them if memory holds
// it beside this layer's.
func (p *Pass) foretell(next *layer) {
	a, n := &p.ahead, len(p.positions)
	p.moe, a.foretold = a.foretold, p.moe
	m := &p.moe
	grow(&m.in, n*p.m.Width)
	grow(&m.prob, n*p.m.Experts)
	m.reserve(n*p.m.ExpertsUsed, p.m.Experts)
	p.norm(n, m.in, p.x, next.experts.routerNorm)
	p.regions.multiply(tensor.Product{Dst: m.prob, X: m.in, N: n, W: next.experts.router})
	p.each(n, next, (*Pass).choose)
	p.moe, a.foretold = a.foretold, p.moe
	if p.err != nil {
		return
	}
	a.next = next.index
	if len(a.likely) == 0 {
		a.likely = make([]bool, p.m.Experts)
	}
	clear(a.likely)
	for r := range a.record(p) {
		if !a.record(p)[r].holds() {
			continue
		}
		for i := range n {
			a.likely[a.foretold.expert[i*p.m.ExpertsUsed+r]] = true
		}
	}
	now := len(a.list)
	for _, last := range [...]bool{false, true} {
		for e, likely := range a.likely {
			if likely {
				a.list = next.experts.stretches(a.list, e, last)
			}
		}
	}
	var bytes int64
	for _, x := range a.list {
		bytes += x.to - x.from
	}
	if bytes > p.m.room/2 {
		a.list = a.list[:now]
	}
}

// judge counts what came true of that which was foretold of a layer.
func (a *ahead) judge(p *Pass, l *layer) {
	if a.next == 0 || a.next != l.index {
		return
	}
	m, used := &p.moe, p.m.ExpertsUsed
	for i := range len(p.positions) {
		for r := range used {
			e := a.foretold.expert[i*used+r]
			a.record(p)[r].add(m.first[e] < m.first[e+1])
		}
	}
}

// record returns the record of the pass's role.
func (a *ahead) record(p *Pass) []record {
	r := &a.records[0]
	if p.role == tensor.Panels {
		r = &a.records[1]
	}
	if len(*r) == 0 {
		*r = make([]record, p.m.ExpertsUsed)
	}
	return *r
}
