package quant

import "math"

// tiny is less than a half can tell from 0.
const tiny = 1e-9

// best returns the scale that leaves the least error, Σ w·x² less products²/squares; 0 if no code is anything but 0.
func (t *trials) best() (scale float32) {
	var most float32
	for c, squares := range &t.squares {
		if squares <= 0 {
			continue
		}
		products := t.products[c]
		d := products / squares
		if gain := products * d; gain > most {
			most, scale = gain, d
		}
	}
	return scale
}

// symmetric returns the d for which d·code is nearest to x, weighed by w, where codes are integers from -top to top-1. The weight of
// largest magnitude goes to about -top or to about top-1.
func (t *trials) symmetric(x, w []float32, top float32) float32 {
	most := peak(x)
	if math.Abs(float64(most)) < tiny {
		return 0
	}
	for c := 0; c < tries; c += 2 {
		more := float32(float32(c-tries/2) * 0.2)
		t.inverse[c] = -(top + more) / most
		t.inverse[c+1] = (top - 1 + more) / most
	}
	t.linear(x, w, -top, top-1)
	return t.best()
}

// unsigned returns the d for which d·code is nearest to x, none of which is negative, weighed by w, where codes are integers from 0 to top.
func (t *trials) unsigned(x, w []float32, top float32) float32 {
	most := peak(x)
	if most < tiny {
		return 0
	}
	for c := range t.inverse {
		t.inverse[c] = (top + float32(float32(c-tries/2)*0.1)) / most
	}
	t.linear(x, w, 0, top)
	return t.best()
}

// tabled returns the d for which d·value is nearest to x, weighed by w, where values are those of IQ4. The weight of largest magnitude goes
// to about the first or the last of them.
func (t *trials) tabled(x, w []float32) float32 {
	most := peak(x)
	if math.Abs(float64(most)) < tiny {
		return 0
	}
	for c := 0; c < tries; c += 2 {
		more := float32(c - tries/2)
		t.inverse[c] = (values[0] - more) / most
		t.inverse[c+1] = (values[15] + more) / most
	}
	t.nonlinear(x, w)
	return t.best()
}

// affine returns the step d and the least value m for which d·code+m is nearest to x, of 32 weights at most, weighed by w, where codes are
// integers from 0 to top and m is no larger than bound.
func (t *trials) affine(x, w []float32, top, bound float32) (d, m float32) {
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
		return 0, low
	}
	// From here on all is counted from low, so that what differs between trials is not lost beside what does not.
	bound -= low
	var room [32]float32
	above := room[:len(x)]
	var weights, sum float32
	for i, v := range x {
		above[i] = v - low
		weights += w[i]
		sum += float32(w[i] * above[i])
	}
	for c := range t.inverse {
		t.inverse[c] = (top + float32(float32(c-tries/2)*0.2)) / (high - low)
	}
	t.linear(above, w, 0, top)
	var most float32
	for c := range t.inverse {
		codes, squares, products := t.codes[c], t.squares[c], t.products[c]
		if squares <= 0 {
			continue
		}
		var least float32 // stays 0 where all that counts has one code, so that nothing tells the step from the least value
		all, mean := float32(weights*squares), float32(codes*codes)
		if det := all - mean; det > 1e-5*all {
			least = min((float32(squares*sum)-float32(codes*products))/det, bound)
		}
		step := (products - float32(least*codes)) / squares
		// By so much is Σ w·(above − step·code − least)² less than Σ w·above².
		gain := float32(step*(products-float32(least*codes))) + float32(least*(2*sum-float32(least*weights)))
		if gain > most {
			most, d, m = gain, step, least
		}
	}
	return d, low + m
}
