package tensor

import "math"

// FromF16 returns the value of an IEEE 754 half: 1 sign bit, 5 exponent bits, 10 fraction bits. It is exact; a NaN
// becomes quiet and keeps its payload, as processors do it. There is no branch in it for the processor to guess wrong.
func FromF16(h uint16) float32 {
	m := uint32(h & 0x7FFF)
	// float32's exponent is biased by 127-15 = 112 more. Exponent 31 stands for Inf and NaN, in float32 255 = 31+2·112.
	bits := m<<13 + 112<<23 + (m+0x400)>>15*(112<<23) | (m+0x3FF)>>15<<22
	// A subnormal is m·2⁻²⁴, the unit of float32 between 0.5 and 1.
	small := math.Float32bits(math.Float32frombits(m|0x3F000000) - 0.5)
	if m < 0x400 {
		bits = small
	}
	return math.Float32frombits(bits | uint32(h&0x8000)<<16)
}

// ToF16 rounds x to the nearest half, ties to even. What rounds to 2¹⁶ or more becomes infinite. A NaN stays one: it
// becomes quiet and keeps the upper bits of its payload, as processors do it.
func ToF16(x float32) uint16 {
	bits := math.Float32bits(x)
	sign := uint16(bits >> 16 & 0x8000)
	bits &= 0x7FFFFFFF
	switch {
	case bits < 113<<23: // below 2⁻¹⁴: adding 0.5 rounds to the subnormals' unit, 2⁻²⁴
		return sign | uint16(math.Float32bits(math.Float32frombits(bits)+0.5))
	case bits < 143<<23:
		// Half of the last place that stays, less one unless that place is odd. A carry runs into the exponent, up to Inf.
		return sign | uint16((bits-112<<23+0xFFF+bits>>13&1)>>13)
	case bits <= 255<<23:
		return sign | 0x7C00
	}
	return sign | 0x7E00 | uint16(bits>>13&0x1FF)
}

// FromBF16 returns the value of a bfloat16, the upper half of a float32.
func FromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// ToBF16 rounds x to the nearest bfloat16, ties to even; subnormals are kept. What rounds to 2¹²⁸ becomes infinite. A
// NaN stays one: it becomes quiet and keeps the upper bits of its payload.
func ToBF16(x float32) uint16 {
	bits := math.Float32bits(x)
	if bits&0x7FFFFFFF > 255<<23 {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7FFF + bits>>16&1) >> 16)
}
