package kernels

import "github.com/gogemma/gemma4/tensor"

// decodeUnits returns a decoder by way of units.
func decodeUnits(f tensor.Format) func(dst []float32, src []byte) {
	k := kindOf(f)
	expand := func(dst *float32, u *unit, n int) {
		if k == mins || k == groupMins {
			expandMinsNEON(dst, u, n)
		} else {
			expandNEON(dst, u, n)
		}
	}
	return func(dst []float32, src []byte) {
		src = src[:f.RowBytes(len(dst))]
		var u [packUnits]unit
		for len(dst) >= 64 {
			n := min(len(dst)/64, packUnits)
			size := f.RowBytes(64 * n)
			unpack(f, u[:], src[:size])
			expand(&dst[0], &u[0], n)
			dst, src = dst[64*n:], src[size:]
		}
		if len(dst) > 0 {
			var pad [64]float32
			unpack(f, u[:], src)
			expand(&pad[0], &u[0], 1)
			copy(dst, pad[:])
		}
	}
}
