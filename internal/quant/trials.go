package quant

import "math"

// tries is how many scales are tried for a block.
const tries = 32

// A trials is scales that are tried on the same weights, and how well each fits them, which follows from a few sums over the codes that it
// gives them. Here x are the weights, counted from a least value if they have one, and w is what each counts.
type trials struct {
	ratio     [tries]float32 // what the largest weight is mapped to, before it is rounded
	low, high float32        // the least and the largest code
	level     level

	codes    [tries]float32 // Σ w·code
	squares  [tries]float32 // Σ w·code²
	products [tries]float32 // Σ w·code·x
	step     [tries]float32 // the scale that fits the codes best
	least    [tries]float32 // what is best added to all, if weights have a least value
	weights  float32        // Σ w
	sum      float32        // Σ w·x
}

// A level is a set of instructions, in ascending order. All give the same bits.
type level uint8

const (
	portable level = iota
	avx2
	avx512
)

// magic added to a float32 of at most 2²² and subtracted again rounds to an integer, ties to even.
const magic = 3 << 22

// linearPortable sets the sums for x − least and codes that are ratio·inverse·x, rounded and kept within low and high. There are as many w
// as x. Where low is 0, least is no larger than any of x and inverse is positive; where it is not, sums of codes are 0: they are of no use.
func (t *trials) linearPortable(x, w []float32, inverse, least float32) {
	w = w[:len(x)]
	t.weights, t.sum = 0, 0
	for i, v := range x {
		t.weights += w[i]
		t.sum += float32(w[i] * (v - least))
	}
	low, high := t.low, t.high
	for c, ratio := range &t.ratio {
		inverse := ratio * inverse
		var codes, squares, products float32
		for i, v := range x {
			v -= least
			code := float32(v * inverse)
			if code < low {
				code = low
			}
			if code > high {
				code = high
			}
			code = code + magic - magic
			share := float32(w[i] * code)
			codes += share
			squares += float32(share * code)
			products += float32(share * v)
		}
		if low < 0 {
			codes = 0
		}
		t.codes[c], t.squares[c], t.products[c] = codes, squares, products
	}
}

// nonlinearPortable sets squares and products for codes of IQ4: for the value nearest to ratio·inverse·x in place of the code.
func (t *trials) nonlinearPortable(x, w []float32, inverse float32) {
	w = w[:len(x)]
	for c, ratio := range &t.ratio {
		inverse := ratio * inverse
		var squares, products float32
		for i, v := range x {
			value := values[nearest(float32(v*inverse))&15]
			share := float32(w[i] * value)
			squares += float32(share * value)
			products += float32(share * v)
		}
		t.squares[c], t.products[c] = squares, products
	}
}

// closestPortable sets the steps and returns the trial that leaves the least error: Σ w·x² less products²/squares. It is -1 if none has a
// code but 0.
func (t *trials) closestPortable() (best int) {
	best = -1
	var most float32
	for c, squares := range &t.squares {
		if squares <= 0 {
			t.step[c] = 0
			continue
		}
		products := t.products[c]
		t.step[c] = products / squares
		if gain := products * t.step[c]; gain > most {
			most, best = gain, c
		}
	}
	return best
}

// closestAffinePortable sets steps and least values, none above bound, which is not negative, and returns the trial that leaves the least
// error. It is -1 if none has a code but 0.
func (t *trials) closestAffinePortable(bound float32) (best int) {
	best = -1
	var most float32
	for c := range t.step {
		t.step[c], t.least[c] = 0, 0
		codes, squares, products := t.codes[c], t.squares[c], t.products[c]
		if squares <= 0 {
			continue
		}
		all, mean := float32(t.weights*squares), float32(codes*codes)
		det := all - mean
		if det > float32(flat*all) {
			t.least[c] = (float32(squares*t.sum) - float32(codes*products)) / det
			if t.least[c] > bound {
				t.least[c] = bound
			}
		}
		rest := products - float32(t.least[c]*codes)
		t.step[c] = rest / squares
		// By so much Σ w·(x − step·code − least)² is less than Σ w·x².
		gain := float32(t.step[c]*rest) + float32(t.least[c]*(t.sum+t.sum-float32(t.least[c]*t.weights)))
		if gain > most {
			most, best = gain, c
		}
	}
	return best
}

// flat is how much of Σ w·Σ w·code² must be variance for it to tell the step from the least value. Else all that counts has one code.
const flat = 1e-5

// codesPortable sets q to (x + least)·inverse, rounded and kept within low and high, less low.
func codesPortable(q []uint8, x []float32, inverse, least, low, high float32) {
	q = q[:len(x)]
	for i, v := range x {
		q[i] = uint8(round(float32((v+least)*inverse), low, high) - int(low))
	}
}

// A residue is what is left of weights when step·code − least is taken from them.
type residue struct {
	codes    float32 // Σ w·code
	squares  float32 // Σ w·code²
	rest     float32 // Σ w·left
	products float32 // Σ w·left·code
}

// setPortable sets r for codes that are (x + least)·inverse, rounded and kept within low and high. Sums have 16 lanes, and so there are a
// multiple of 16 weights.
func (r *residue) setPortable(x, w []float32, step, inverse, least, low, high float32) {
	var codes, squares, rest, products [16]float32
	for i, v := range x {
		code := float32(round(float32((v+least)*inverse), low, high))
		share := float32(w[i] * code)
		left := (v + least) - float32(step*code)
		codes[i%16] += share
		squares[i%16] += float32(share * code)
		rest[i%16] += float32(w[i] * left)
		products[i%16] += float32(share * left)
	}
	r.codes, r.squares, r.rest, r.products = total(&codes), total(&squares), total(&rest), total(&products)
}

// setTablePortable sets r for the values of IQ4 nearest to inverse·x in place of codes, without codes and rest.
func (r *residue) setTablePortable(x, w []float32, step, inverse float32) {
	var squares, products [16]float32
	for i, v := range x {
		value := values[nearest(float32(v*inverse))&15]
		share := float32(w[i] * value)
		squares[i%16] += float32(share * value)
		products[i%16] += float32(share * (v - float32(step*value)))
	}
	*r = residue{squares: total(&squares), products: total(&products)}
}

// total adds up lanes, halves to halves.
func total(lanes *[16]float32) float32 {
	for n := 8; n > 0; n /= 2 {
		for i := range n {
			lanes[i] += lanes[n+i]
		}
	}
	return lanes[0]
}

// weighPortable sets w to √(twice + x²).
func weighPortable(w, x []float32, twice float32) {
	w = w[:len(x)]
	for i, v := range x {
		w[i] = float32(math.Sqrt(float64(twice + float32(v*v))))
	}
}

// round returns v rounded to an integer, ties to even, and kept within low and high.
func round(v, low, high float32) int {
	if v < low {
		v = low
	}
	if v > high {
		v = high
	}
	return int(v + magic - magic)
}
