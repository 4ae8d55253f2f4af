package tensor

import (
	"encoding/binary"
	"math"
)

func encodeF32(dst []byte, src []float32) {
	for i, x := range src {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(x))
	}
}

func encodeF16(dst []byte, src []float32) {
	for i, x := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], ToF16(x))
	}
}

func encodeBF16(dst []byte, src []float32) {
	for i, x := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], ToBF16(x))
	}
}

// encodeQ8_0 maps the largest magnitude of a block to 127. The values are divided by the scale as it was before it was
// rounded to a half, as ggml does it.
func encodeQ8_0(dst []byte, src []float32) {
	for ; len(src) >= 32; src, dst = src[32:], dst[34:] {
		x, b := (*[32]float32)(src), (*[34]byte)(dst)
		d := float32(math.Abs(float64(peak(x)))) / 127
		binary.LittleEndian.PutUint16(b[0:], ToF16(d))
		if d != d {
			clear(b[2:])
			continue
		}
		inverse := reciprocal(d)
		for i, v := range x {
			scaled := float64(float32(v * inverse))
			b[2+i] = byte(int32(scaled + math.Copysign(0.5, scaled))) // half away from zero; exact, since 64 bits wide
		}
	}
}

// encodeQ4_0 maps the number of largest magnitude in a block, whatever its sign, to -8, the end of the range that has
// one value more.
func encodeQ4_0(dst []byte, src []float32) {
	for ; len(src) >= 32; src, dst = src[32:], dst[18:] {
		x, b := (*[32]float32)(src), (*[18]byte)(dst)
		d := peak(x) / -8
		binary.LittleEndian.PutUint16(b[0:], ToF16(d))
		if d != d {
			clear(b[2:])
			continue
		}
		inverse := reciprocal(d)
		for i := range 16 {
			// The inner conversions keep the product from being fused with the sum. 0 stands for -8, 8.5 rounds to nearest.
			low, high := int32(float32(x[i]*inverse)+8.5), int32(float32(x[i+16]*inverse)+8.5)
			b[2+i] = byte(min(15, low) | min(15, high)<<4)
		}
	}
}

// peak returns the first number of largest magnitude, or NaN if one of them is not finite.
func peak(x *[32]float32) float32 {
	var most, at uint32 // without the sign, the bits of floats are in the order of their magnitudes
	for _, v := range x {
		bits := math.Float32bits(v)
		if bits&0x7FFFFFFF > most {
			most, at = bits&0x7FFFFFFF, bits
		}
	}
	if most >= 255<<23 {
		return float32(math.NaN())
	}
	return math.Float32frombits(at)
}

// reciprocal returns 1/d, or 0 where that would be infinite: such a small d is 0 when it is rounded to a half.
func reciprocal(d float32) float32 {
	if r := 1 / d; !math.IsInf(float64(r), 0) {
		return r
	}
	return 0
}
