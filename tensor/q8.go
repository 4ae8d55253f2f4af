package tensor

import "math"

// Q8 is 64 activations in 8 bits, a unit, as two halves of 32 with a scale each: the operand of the rows arithmetic. What is not
// the values is there for each four of them, since that is what the dot-product instructions of all machines add up.
type Q8 struct {
	Q      [64]int8    // −127 … 127
	Scale  [16]float32 // of Q[4i] … Q[4i+3]: the largest magnitude of their half over 127
	NegSum [16]int32   // −(Q[4i] + … + Q[4i+3]): what weights with an offset have to be corrected by
}

// Q8Len returns how many Q8 hold a row of n activations.
func Q8Len(n int) int { return (n + 63) / 64 }

// quantize sets dst to x, filled up with zeros. A half is scaled by its largest magnitude and rounded to even; one whose
// largest magnitude is below 2⁻¹⁰⁰ becomes zeros with scale 0, one with a value that is not finite has the scale NaN.
func quantize(dst []Q8, x []float32) {
	for i := range dst[:Q8Len(len(x))] {
		u := &dst[i]
		for b := range 2 {
			from := min(64*i+32*b, len(x))
			v := x[from:min(from+32, len(x))]
			var top float32
			for _, a := range v {
				if a = float32(math.Abs(float64(a))); a > top || a != a {
					top = a
				}
			}
			scale, inv := top/127, float32(0)
			if top < 0x1p-100 {
				scale = 0
			} else {
				inv = 127 / top
			}
			if math.IsInf(float64(top), 0) || top != top {
				scale, inv = float32(math.NaN()), 0
			}
			q := u.Q[32*b : 32*b+32]
			clear(q)
			for j, a := range v {
				if inv != 0 {
					q[j] = int8(math.RoundToEven(float64(a * inv)))
				}
			}
			for l := range 8 {
				u.Scale[8*b+l] = scale
				u.NegSum[8*b+l] = -(int32(q[4*l]) + int32(q[4*l+1]) + int32(q[4*l+2]) + int32(q[4*l+3]))
			}
		}
	}
}
