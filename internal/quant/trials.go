package quant

import "math"

// tries is how many scales are tried for a block.
const tries = 32

// A trials is scales that are tried on the same weights: how well each fits follows from three sums over the codes it gives them.
type trials struct {
	inverse  [tries]float32 // 1/scale
	codes    [tries]float32 // Σ w·code
	squares  [tries]float32 // Σ w·code²
	products [tries]float32 // Σ w·code·x
}

// magic added to a float32 of at most 2²² and subtracted again rounds to an integer, ties to even.
const magic = 3 << 22

// linear sets the sums for codes that are inverse·x, rounded and kept within low and high. There are as many w as x.
func (t *trials) linear(x, w []float32, low, high float32) {
	w = w[:len(x)]
	for c, inverse := range &t.inverse {
		var codes, squares, products float32
		for i, v := range x {
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
		t.codes[c], t.squares[c], t.products[c] = codes, squares, products
	}
}

// nonlinear sets squares and products for codes of IQ4: for the value nearest to inverse·x in place of the code.
func (t *trials) nonlinear(x, w []float32) {
	w = w[:len(x)]
	for c, inverse := range &t.inverse {
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

// values are what the codes of IQ4 stand for.
var values = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// cells cut what lies between -128 and 128 into pieces of 8, so short that the nearest of values changes at most once in each: behind the
// border, from first to the next. Where it does not change the border is 128.
var cells = struct {
	first  [32]uint8
	border [32]float32
}{
	[32]uint8{0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 8, 9, 9, 10, 11, 11, 12, 12, 13, 13, 14, 14, 14, 15, 15, 15},
	[32]float32{
		128, -115.5, 128, 128, -93.5, 128, -74, 128, -57, 128, -42, 128, -28.5, 128, -16, -4.5,
		7, 128, 19, 31.5, 128, 45.5, 128, 61, 128, 79, 128, 128, 101, 128, 128, 128,
	},
}

// nearest returns the code whose value is nearest to v.
func nearest(v float32) uint8 {
	if v < -128 {
		v = -128
	}
	if v > 127 {
		v = 127
	}
	i := int(v*0.125+16) & 31
	// 1 if v is above the border: the sign of their difference, since a branch would be guessed wrong too often.
	return cells.first[i] + uint8(math.Float32bits(cells.border[i]-v)>>31)
}
