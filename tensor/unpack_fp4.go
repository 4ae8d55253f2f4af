package tensor

import "math"

// The 4-bit floats of the OCP microscaling formats: a sign, two exponent bits and one fraction bit, here doubled to
// make them integers. Nibbles lie as in Q4_0, in runs of 32 (MXFP4) or 16 weights (NVFP4) with a scale each.

var fp4Values = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

func unpackMXFP4(s *SuperBlock, src []byte) {
	for i := 0; len(src) >= 17; i, src = i+32, src[17:] {
		s.setScale(i, 32, e8m0Half(src[0]))
		lookupNibbles(s.Q[i:i+32], src[1:17], &fp4Values)
	}
}

func unpackNVFP4(s *SuperBlock, src []byte) {
	for i := 0; len(src) >= 36; i, src = i+64, src[36:] {
		for g, e := range src[:4] {
			s.setScale(i+16*g, 16, e4m3Half(e))
			lookupNibbles(s.Q[i+16*g:i+16*g+16], src[4+8*g:12+8*g], &fp4Values)
		}
	}
}

// lookupNibbles sets q to the values of the low four bits of all bytes of src, then of the high ones; len(q) == 2·len(src).
func lookupNibbles(q []int8, src []byte, values *[16]int8) {
	low, high := q[:len(src)], q[len(src):]
	high = high[:len(src)]
	for i, b := range src {
		low[i], high[i] = values[b&15], values[b>>4]
	}
}

// e8m0Half returns 2^(e-128), half the scale that e stands for. The two smallest are subnormal.
func e8m0Half(e byte) float32 {
	if e < 2 {
		return math.Float32frombits(1 << 21 << e)
	}
	return math.Float32frombits(uint32(e-1) << 23)
}

// e4m3Half returns half of an unsigned float with four exponent bits and three fraction bits. 0x7F, where the standard
// has NaN, counts as 0. The exponent of a byte above 0x7F, which no writer makes, has five bits.
func e4m3Half(e byte) float32 {
	switch {
	case e == 0x7F:
		return 0
	case e < 8:
		return float32(e) / 1024
	}
	return math.Float32frombits(uint32(e)<<20 + (127-8)<<23)
}
