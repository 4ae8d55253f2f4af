package model

import (
	"math"

	"github.com/gogemma/gemma4/tensor"
)

// mixture is the scratch of the expert block. A slot is one (row, choice) pair; slots are sorted by expert, so that each
// expert's weights are read once for all its rows.
type mixture struct {
	in       []float32 // [rows, width] the router's input, then the experts'
	prob     []float32 // [rows, experts]
	expert   []int     // [rows, used] chosen experts, best first
	weight   []float32 // [rows, used] their share
	slot     []int     // [rows, used] where their output lies
	first    []int     // [experts + 1] first slot of each expert
	x        []float32 // [slots, width] input, gathered
	hidden   []float32 // [slots, 2 · expertWidth] gate and up
	act      []float32 // [slots, expertWidth]
	y        []float32 // [slots, width] output
	products []tensor.Product
}

// addExperts: out = norm(out) + norm(sum of the chosen experts' MLPs). Their input is the residual, as the dense MLP's.
func (s *Session) addExperts(l *layer) {
	m, x, n := &s.moe, l.experts, len(s.rows)
	d, used := s.m.Width, s.m.ExpertsUsed
	s.route(l)
	s.norm(n, m.in, s.x, x.preNorm)
	grow(&m.x, n*used*d)
	s.each(n, l, (*Session).gather)

	f := s.m.ExpertWidth
	grow(&m.hidden, n*used*2*f)
	grow(&m.act, n*used*f)
	grow(&m.y, n*used*d)
	m.products = m.products[:0]
	for e := range s.m.Experts {
		from, to := m.first[e], m.first[e+1]
		if from == to {
			continue
		}
		p := tensor.Product{Dst: m.hidden[from*2*f:], X: m.x[from*d:], N: to - from, Stride: 2 * f}
		if x.gateUp != nil {
			p.W = x.gateUp[e]
			m.products = append(m.products, p)
			continue
		}
		up := p
		p.W, up.W, up.Dst = x.gate[e], x.up[e], p.Dst[f:]
		m.products = append(m.products, p, up)
	}
	s.multiply(m.products...)
	s.each(n*used, l, (*Session).activateExpert)

	m.products = m.products[:0]
	for e := range s.m.Experts {
		if from, to := m.first[e], m.first[e+1]; from < to {
			m.products = append(m.products, tensor.Product{Dst: m.y[from*d:], X: m.act[from*f:], N: to - from, W: x.down[e]})
		}
	}
	s.multiply(m.products...)
	clear(m.products)
	s.each(n, l, (*Session).combine)
}

// route chooses each row's experts and sorts the slots by expert.
func (s *Session) route(l *layer) {
	m, x, n := &s.moe, l.experts, len(s.rows)
	d, e, used := s.m.Width, s.m.Experts, s.m.ExpertsUsed
	grow(&m.in, n*d)
	grow(&m.prob, n*e)
	grow(&m.weight, n*used)
	if len(m.expert) < n*used {
		m.expert, m.slot = make([]int, n*used), make([]int, n*used)
	}
	if len(m.first) < e+1 {
		m.first = make([]int, e+1)
	}
	s.norm(n, m.in, s.x, nil)
	s.each(n, l, (*Session).scaleRouter)
	s.multiply(tensor.Product{Dst: m.prob, X: m.in, N: n, W: x.router})
	s.each(n, l, (*Session).choose)
	if s.err != nil {
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
		m.slot[i] = m.first[c]
		m.first[c]++
	}
	copy(m.first[1:], m.first[:e]) // each had moved on to the next one's first
	m.first[0] = 0
}

// scaleRouter: router's input = norm(x) / √width · scale.
func (s *Session) scaleRouter(l *layer, i int) {
	d := s.m.Width
	inv := float32(1 / math.Sqrt(float64(d)))
	in := s.moe.in[i*d : (i+1)*d]
	for j, scale := range l.experts.routerScale {
		in[j] *= inv * scale
	}
}

// choose turns row i's scores into probabilities and keeps the best; of equal ones the first.
func (s *Session) choose(_ *layer, i int) {
	m, e, used := &s.moe, s.m.Experts, s.m.ExpertsUsed
	prob := m.prob[i*e : (i+1)*e]
	top := prob[0]
	for _, p := range prob {
		top = max(top, p)
	}
	s.kernels.ExpSum(prob, top)
	chosen, weight := m.expert[i*used:(i+1)*used], m.weight[i*used:(i+1)*used]
	for j := range chosen {
		best := 0
		for c, p := range prob {
			if p > prob[best] {
				best = c
			}
		}
		chosen[j], weight[j] = best, prob[best]
		prob[best] = -1
	}
	// The division is the model's, and keeps its bits. It could be left out: the experts' sum goes through an RMS norm, for which a
	// factor is as good as none, but for Eps.
	var sum float32
	for _, w := range weight {
		sum += w
	}
	for j := range weight {
		weight[j] /= sum
	}
}

// gather copies row i's input to its slots.
func (s *Session) gather(_ *layer, i int) {
	m, d, used := &s.moe, s.m.Width, s.m.ExpertsUsed
	for _, slot := range m.slot[i*used : (i+1)*used] {
		copy(m.x[slot*d:(slot+1)*d], m.in[i*d:(i+1)*d])
	}
}

// activateExpert: act = gelu(gate) ⊙ up of one slot.
func (s *Session) activateExpert(_ *layer, slot int) {
	m, f := &s.moe, s.m.ExpertWidth
	gate, up := m.hidden[slot*2*f:][:f], m.hidden[slot*2*f+f:][:f]
	s.kernels.GELU(gate, up)
	copy(m.act[slot*f:(slot+1)*f], gate)
}

// combine: out = norm(out) + norm(Σ share · expert's output), for row i.
func (s *Session) combine(l *layer, i int) {
	m, x, k := &s.moe, l.experts, s.kernels
	d, used := s.m.Width, s.m.ExpertsUsed
	sum := m.in[i*d : (i+1)*d]
	clear(sum)
	for j := range used {
		slot := m.slot[i*used+j]
		k.AddScaled(sum, m.y[slot*d:(slot+1)*d], m.weight[i*used+j])
	}
	out := s.out[i*d : (i+1)*d]
	k.RMSNorm(out, out, x.denseNorm, s.m.Eps)
	k.RMSNorm(sum, sum, x.postNorm, s.m.Eps)
	k.AddScaled(out, sum, 1)
}
