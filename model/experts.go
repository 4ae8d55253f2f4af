package model

import (
	"math"

	"github.com/gogemma/gemma4/tensor"
)

// mixture is the scratch of the experts. A slot is one (position, choice) pair; slots are sorted by expert, so that each expert's weights
// are read once for all its positions.
type mixture struct {
	in       []float32 // [positions, width] the router's input, then the experts'
	prob     []float32 // [positions, experts]
	expert   []int     // [positions, used] chosen experts, best first
	weight   []float32 // [positions, used] their share
	slot     []int     // [positions, used] where their output lies
	first    []int     // [experts + 1] first slot of each expert
	of       []int     // [slots] the position
	starts   []int     // of products: the first slot
	x        []float32 // [slots, width] input, gathered
	hidden   []float32 // [slots, 2 · expertWidth] gate and up
	act      []float32 // [slots, expertWidth]
	y        []float32 // [slots, width] output
	products []tensor.Product
}

// addExperts: out = norm(out) + norm(sum of the chosen experts' MLPs). Their input is the residual, like that of the dense MLP.
func (p *Pass) addExperts(l *layer) {
	m, x, n := &p.moe, l.experts, len(p.positions)
	d, used := p.m.Width, p.m.ExpertsUsed
	p.route(l)
	p.norm(n, m.in, p.x, x.preNorm)
	grow(&m.x, n*used*d)
	p.each(n, l, (*Pass).gather)

	f := p.m.ExpertWidth
	grow(&m.hidden, n*used*2*f)
	grow(&m.act, n*used*f)
	grow(&m.y, n*used*d)
	m.products, m.starts = m.products[:0], m.starts[:0]
	for e := range p.m.Experts {
		from, to := m.first[e], m.first[e+1]
		if from == to {
			continue
		}
		m.starts = append(m.starts, from)
		gate := tensor.Product{Dst: m.hidden[from*2*f:], X: m.x[from*d:], N: to - from, Stride: 2 * f}
		if x.gateUp != nil {
			gate.W = x.gateUp[e]
			m.products = append(m.products, gate)
			continue
		}
		up := gate
		gate.W, up.W, up.Dst = x.gate[e], x.up[e], gate.Dst[f:]
		m.products, m.starts = append(m.products, gate, up), append(m.starts, from)
	}
	p.multiplyOf((*Pass).ofSlot, m.products...)
	p.each(n*used, l, (*Pass).activateExpert)

	m.products, m.starts = m.products[:0], m.starts[:0]
	for e := range p.m.Experts {
		if from, to := m.first[e], m.first[e+1]; from < to {
			m.starts = append(m.starts, from)
			m.products = append(m.products, tensor.Product{Dst: m.y[from*d:], X: m.act[from*f:], N: to - from, W: x.down[e]})
		}
	}
	p.multiplyOf((*Pass).ofSlot, m.products...)
	clear(m.products)
	p.each(n, l, (*Pass).combine)
}

// route chooses each position's experts and sorts the slots by expert.
func (p *Pass) route(l *layer) {
	m, x, n := &p.moe, l.experts, len(p.positions)
	d, e, used := p.m.Width, p.m.Experts, p.m.ExpertsUsed
	grow(&m.in, n*d)
	grow(&m.prob, n*e)
	grow(&m.weight, n*used)
	if len(m.expert) < n*used {
		m.expert, m.slot, m.of = make([]int, n*used), make([]int, n*used), make([]int, n*used)
	}
	if len(m.first) < e+1 {
		m.first = make([]int, e+1)
	}
	p.norm(n, m.in, p.x, nil)
	p.each(n, l, (*Pass).scaleRouter)
	p.multiply(tensor.Product{Dst: m.prob, X: m.in, N: n, W: x.router})
	p.each(n, l, (*Pass).choose)
	if p.err != nil {
		clear(m.first)
		return
	}
	clear(m.first)
	for _, c := range m.expert[:n*used] {
		m.first[c+1]++
	}
	for c := range e {
		m.first[c+1] += m.first[c]
	}
	for i, c := range m.expert[:n*used] {
		m.slot[i], m.of[m.first[c]] = m.first[c], i/used
		m.first[c]++
	}
	copy(m.first[1:], m.first[:e]) // each had moved on to the next one's first
	m.first[0] = 0
}

// scaleRouter: router's input = norm(x) / √width · scale.
func (p *Pass) scaleRouter(l *layer, i int) {
	d := p.m.Width
	inv := float32(1 / math.Sqrt(float64(d)))
	in := p.moe.in[i*d : (i+1)*d]
	for j, scale := range l.experts.routerScale {
		in[j] *= inv * scale
	}
}

// choose makes position i's scores probabilities and keeps the best; of equal ones, the first.
func (p *Pass) choose(_ *layer, i int) {
	m, e, used := &p.moe, p.m.Experts, p.m.ExpertsUsed
	prob := m.prob[i*e : (i+1)*e]
	top := prob[0]
	for _, x := range prob {
		top = max(top, x)
	}
	p.kernels.ExpSum(prob, top)
	chosen, weight := m.expert[i*used:(i+1)*used], m.weight[i*used:(i+1)*used]
	for j := range chosen {
		best := 0
		for c, x := range prob {
			if x > prob[best] {
				best = c
			}
		}
		chosen[j], weight[j] = best, prob[best]
		prob[best] = -1
	}
	// The division is part of the model, and leaving it out would change bits, if little else: the experts' sum goes through an RMS norm,
	// which undoes any factor, but for Eps.
	var sum float32
	for _, w := range weight {
		sum += w
	}
	for j := range weight {
		weight[j] /= sum
	}
}

// gather copies position i's input to its slots.
func (p *Pass) gather(_ *layer, i int) {
	m, d, used := &p.moe, p.m.Width, p.m.ExpertsUsed
	for _, slot := range m.slot[i*used : (i+1)*used] {
		copy(m.x[slot*d:(slot+1)*d], m.in[i*d:(i+1)*d])
	}
}

// activateExpert: act = gelu(gate) ⊙ up of one slot.
func (p *Pass) activateExpert(_ *layer, slot int) {
	m, f := &p.moe, p.m.ExpertWidth
	gate, up := m.hidden[slot*2*f:][:f], m.hidden[slot*2*f+f:][:f]
	p.kernels.GELU(gate, up)
	copy(m.act[slot*f:(slot+1)*f], gate)
}

// combine: out = norm(out) + norm(Σ share · expert's output), for position i.
func (p *Pass) combine(l *layer, i int) {
	m, x, k := &p.moe, l.experts, p.kernels
	d, used := p.m.Width, p.m.ExpertsUsed
	sum := m.in[i*d : (i+1)*d]
	clear(sum)
	for j := range used {
		slot := m.slot[i*used+j]
		k.AddScaled(sum, m.y[slot*d:(slot+1)*d], m.weight[i*used+j])
	}
	out := p.out[i*d : (i+1)*d]
	k.RMSNorm(out, out, x.denseNorm, p.m.Eps)
	k.RMSNorm(sum, sum, x.postNorm, p.m.Eps)
	k.AddScaled(out, sum, 1)
}
