package model

import "github.com/gogemma/gemma4/tensor"

// mixture is the scratch of the experts. A slot is one (position, choice) pair; slots are sorted by expert, so that each expert's weights
// are read once for all its positions.
type mixture struct {
	in       []float32 // [positions, width] the router's input
	own      []float32 // [positions, width] the experts' input, then the sum of what they yield
	prob     []float32 // [positions, experts]
	expert   []int     // [positions, used] chosen experts, best first
	weight   []float32 // [positions, used] their share
	slot     []int     // [positions, used] where their output lies
	first    []int     // [experts + 1] first slot of each expert
	of       []int     // [slots] the position
	starts   []int     // of products: the first slot
	x        []float32 // [slots, width] input, gathered for experts with several
	hidden   []float32 // [slots, 2 · expertWidth] gate and up
	act      []float32 // [slots, expertWidth]
	y        []float32 // [slots, width] output
	products []tensor.Product
}

// mix: x += norm(norm(mlp(norm(x))) + norm(Σ share · expert(norm(x)))), with a norm of x for the dense MLP, one for the router and one for
// the experts. Products that do not depend on each other share a region: those that begin the dense MLP with the router's, and that which
// ends it with those that begin the experts.
func (p *Pass) mix(l *layer) {
	m, x, n := &p.moe, l.experts, len(p.positions)
	d, e, used, f := p.m.Width, p.m.Experts, p.m.ExpertsUsed, p.m.ExpertWidth
	grow(&m.in, n*d)
	grow(&m.own, n*d)
	p.each(n, l, (*Pass).normInputs)
	grow(&p.gate, n*l.MLPWidth)
	grow(&p.up, n*l.MLPWidth)
	grow(&m.prob, n*e)
	p.multiply(
		tensor.Product{Dst: p.gate, X: p.h, N: n, W: l.gate},
		tensor.Product{Dst: p.up, X: p.h, N: n, W: l.up},
		tensor.Product{Dst: m.prob, X: m.in, N: n, W: x.router})
	m.reserve(n*used, e)
	p.each(n, l, (*Pass).choose)
	p.gelu(p.gate[:n*l.MLPWidth], p.up[:n*l.MLPWidth])
	p.sortSlots()
	p.fetchExperts(l)
	if n > 1 {
		grow(&m.x, n*used*d)
		p.each(n, l, (*Pass).gather)
	}

	grow(&m.hidden, n*used*2*f)
	grow(&m.act, n*used*f)
	grow(&m.y, n*used*d)
	m.products, m.starts = append(m.products[:0], tensor.Product{Dst: p.out, X: p.gate, N: n, W: l.down}), m.starts[:0]
	for e := range p.m.Experts {
		from, to := m.first[e], m.first[e+1]
		if from == to {
			continue
		}
		m.starts = append(m.starts, from)
		gate := tensor.Product{Dst: m.hidden[from*2*f:], X: m.own[m.of[from]*d:], N: to - from, Stride: 2 * f}
		if to-from > 1 {
			gate.X = m.x[from*d:]
		}
		if x.gateUp != nil {
			gate.W = x.gateUp[e]
			m.products = append(m.products, gate)
			continue
		}
		up := gate
		gate.W, up.W, up.Dst = x.gate[e], x.up[e], gate.Dst[f:]
		m.products, m.starts = append(m.products, gate, up), append(m.starts, from)
	}
	p.multiplyOf((*Pass).ofDenseOrSlot, m.products...)
	p.each(n*used, l, (*Pass).activateExpert)

	clear(m.products)
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

// normInputs norms the residual of position i for the dense MLP, the router and the experts.
func (p *Pass) normInputs(l *layer, i int) {
	m, x, k, d, eps := &p.moe, l.experts, p.kernels, p.m.Width, p.m.Eps
	from, to := i*d, (i+1)*d
	k.RMSNorm(p.h[from:to], p.x[from:to], l.mlpNorm, eps)
	k.RMSNorm(m.in[from:to], p.x[from:to], x.routerNorm, eps)
	k.RMSNorm(m.own[from:to], p.x[from:to], x.preNorm, eps)
}

// reserve makes room for so many slots of so many experts, but for what is computed of them.
func (m *mixture) reserve(slots, experts int) {
	grow(&m.weight, slots)
	if len(m.expert) < slots {
		m.expert, m.slot, m.of = make([]int, slots), make([]int, slots), make([]int, slots)
	}
	if len(m.first) < experts+1 {
		m.first = make([]int, experts+1)
	}
}

// sortSlots sorts the slots of all positions by their experts.
func (p *Pass) sortSlots() {
	m, e, used := &p.moe, p.m.Experts, p.m.ExpertsUsed
	clear(m.first)
	if p.err != nil {
		return
	}
	chosen := m.expert[:len(p.positions)*used]
	for _, c := range chosen {
		m.first[c+1]++
	}
	for c := range e {
		m.first[c+1] += m.first[c]
	}
	for i, c := range chosen {
		m.slot[i], m.of[m.first[c]] = m.first[c], i/used
		m.first[c]++
	}
	copy(m.first[1:], m.first[:e]) // each had moved on to the next one's first
	m.first[0] = 0
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

// gather copies position i's input to its slots, but for those of experts that have no other: their product takes it from where it is.
func (p *Pass) gather(_ *layer, i int) {
	m, d, used := &p.moe, p.m.Width, p.m.ExpertsUsed
	for j := i * used; j < (i+1)*used; j++ {
		if e, slot := m.expert[j], m.slot[j]; m.first[e+1]-m.first[e] > 1 {
			copy(m.x[slot*d:(slot+1)*d], m.own[i*d:(i+1)*d])
		}
	}
}

// activateExpert: act = gelu(gate) ⊙ up of one slot.
func (p *Pass) activateExpert(_ *layer, slot int) {
	m, f := &p.moe, p.m.ExpertWidth
	gate, up := m.hidden[slot*2*f:][:f], m.hidden[slot*2*f+f:][:f]
	p.kernels.GELU(gate, up)
	copy(m.act[slot*f:(slot+1)*f], gate)
}

// combine: x += norm(norm(out) + norm(Σ share · expert's output)), for position i. Where the layer ends here, its scale multiplies x.
func (p *Pass) combine(l *layer, i int) {
	m, x, k := &p.moe, l.experts, p.kernels
	d, used := p.m.Width, p.m.ExpertsUsed
	sum := m.own[i*d : (i+1)*d]
	clear(sum)
	for j := range used {
		slot := m.slot[i*used+j]
		k.AddScaled(sum, m.y[slot*d:(slot+1)*d], m.weight[i*used+j])
	}
	out := p.out[i*d : (i+1)*d]
	k.RMSNorm(out, out, x.denseNorm, p.m.Eps)
	k.AddNorm(out, sum, x.postNorm, p.m.Eps)
	residual := p.x[i*d : (i+1)*d]
	k.AddNorm(residual, out, l.postMLPNorm, p.m.Eps)
	if scale := p.scaleBehindMLP(l); scale != 1 {
		k.Scale(residual, residual, scale)
	}
}
