package quant

import "math"

// tiny is less than a half can tell from 0.
const tiny = 1e-9

// newSymmetric returns trials of scales for codes from -top to top-1.
func newSymmetric(l level, top float32) (t trials) {
	t.level, t.low, t.high = l, -top, top-1
	for c := 0; c < tries; c += 2 {
		more := float32(float32(c-tries/2) * 0.2)
		t.ratio[c], t.ratio[c+1] = t.low-more, t.high+more
	}
	return t
}

// symmetric returns the d for which d·code is nearest to x, weighed by w. The weight of largest magnitude goes to about the least code or
// to about the largest. Codes of the best trial are those of the scale tried; those of the scale that fits may fit another one better.
func (t *trials) symmetric(x, w []float32) float32 {
	most := peak(x)
	if math.Abs(float64(most)) < tiny {
		return 0
	}
	t.linear(x, w, 1/most, 0)
	d := t.scale()
	return d + t.level.residue(x, w, d, reciprocal(d), 0, t.low, t.high).scale()
}

// scale returns the scale of the trial that leaves the least error.
func (t *trials) scale() float32 {
	if best := t.closest(); best >= 0 {
		return t.step[best]
	}
	return 0
}

// newUnsigned returns trials of scales for codes from 0 to top.
func newUnsigned(l level, top, apart float32) (t trials) {
	t.level, t.high = l, top
	for c := range t.ratio {
		t.ratio[c] = top + float32(float32(c-tries/2)*apart)
	}
	return t
}

// unsigned returns the d for which d·code is nearest to x, none of which is negative, weighed by w.
func (t *trials) unsigned(x, w []float32) float32 {
	most := peak(x)
	if most < tiny {
		return 0
	}
	t.linear(x, w, 1/most, 0)
	return t.scale()
}

// affine returns the step d and the least value m for which d·code+m is nearest to x, weighed by w; m is no larger than bound.
func (t *trials) affine(x, w []float32, bound float32) (d, m float32) {
	low, high := x[0], x[0]
	for _, v := range x[1:] {
		if v < low {
			low = v
		}
		if v > high {
			high = v
		}
	}
	low = min(low, bound)
	if high-low < tiny {
		t.weights = 0
		for _, v := range w {
			t.weights += v
		}
		return 0, low
	}
	// Counted from low, what differs between trials is not lost beside what does not.
	t.linear(x, w, 1/(high-low), low)
	best := t.closestAffine(bound - low)
	if best < 0 {
		return 0, low
	}
	d, m = t.step[best], low+t.least[best]
	for range 2 {
		moreD, moreM := t.level.residue(x, w, d, reciprocal(d), -m, 0, t.high).affine(t.weights, bound-m)
		d, m = d+moreD, m+moreM
	}
	return d, m
}

// scale returns what to add to the step for the codes to fit best.
func (r residue) scale() float32 {
	if r.squares <= 0 {
		return 0
	}
	return r.products / r.squares
}

// affine returns what to add to the step and to the least value, at most bound, for the codes to fit best. Weights is Σ w.
func (r residue) affine(weights, bound float32) (d, m float32) {
	all, mean := float32(weights*r.squares), float32(r.codes*r.codes)
	det := all - mean
	if !(det > float32(flat*all)) {
		return 0, 0
	}
	m = min((float32(r.squares*r.rest)-float32(r.codes*r.products))/det, bound)
	return (r.products - float32(m*r.codes)) / r.squares, m
}

// newTabled returns trials of scales for the values of IQ4.
func newTabled(l level) (t trials) {
	t.level = l
	for c := 0; c < tries; c += 2 {
		more := float32(c - tries/2)
		t.ratio[c], t.ratio[c+1] = values[0]-more, values[15]+more
	}
	return t
}

// tabled returns the d for which d·value is nearest to x, weighed by w. The weight of largest magnitude goes to about the first of values
// or to about the last.
func (t *trials) tabled(x, w []float32) float32 {
	most := peak(x)
	if math.Abs(float64(most)) < tiny {
		return 0
	}
	t.nonlinear(x, w, 1/most)
	d := t.scale()
	return d + t.level.tableResidue(x, w, d, reciprocal(d)).scale()
}
