package quant

import (
	"encoding/binary"
	"math"

	"github.com/gogemma/gemma4/tensor"
)

// The formats of 32 weights without a search. Codes are rounded by the scale as it was before it became a half, halves go up, as with
// ggml's reference quantisers.

// roundQ4_1 maps a block's least weight to 0 and its largest to 15.
func roundQ4_1(dst []byte, src []float32) {
	for ; len(src) >= 32; src, dst = src[32:], dst[20:] {
		x, b := (*[32]float32)(src), (*[20]byte)(dst)
		low, d := span(x, 15)
		binary.LittleEndian.PutUint16(b[0:], tensor.ToF16(d))
		binary.LittleEndian.PutUint16(b[2:], tensor.ToF16(low))
		inverse := reciprocal(d)
		for i := range 16 {
			first, second := shifted(x[i], low, inverse), shifted(x[i+16], low, inverse)
			b[4+i] = byte(min(15, first) | min(15, second)<<4)
		}
	}
}

// roundQ5_1 maps a block's least weight to 0 and its largest to 31.
func roundQ5_1(dst []byte, src []float32) {
	for ; len(src) >= 32; src, dst = src[32:], dst[24:] {
		x, b := (*[32]float32)(src), (*[24]byte)(dst)
		low, d := span(x, 31)
		binary.LittleEndian.PutUint16(b[0:], tensor.ToF16(d))
		binary.LittleEndian.PutUint16(b[2:], tensor.ToF16(low))
		inverse := reciprocal(d)
		var fifth uint32
		for i := range 16 {
			first, second := uint32(shifted(x[i], low, inverse)), uint32(shifted(x[i+16], low, inverse))
			b[8+i] = byte(first&15 | second&15<<4)
			fifth |= first>>4&1<<i | second>>4&1<<(i+16)
		}
		binary.LittleEndian.PutUint32(b[4:], fifth)
	}
}

// span returns the least of 32 weights and the step that divides what lies between it and the largest.
func span(x *[32]float32, steps float32) (low, d float32) {
	low, high := x[0], x[0]
	for _, v := range x[1:] {
		if v < low {
			low = v
		}
		if v > high {
			high = v
		}
	}
	return low, (high - low) / steps
}

// shifted returns the code of v above low, rounded half up.
func shifted(v, low, inverse float32) int32 { return int32(float32((v-low)*inverse) + 0.5) }

// roundQ5_0 maps the weight of largest magnitude in a block, whatever its sign, to -16.
func roundQ5_0(dst []byte, src []float32) {
	for ; len(src) >= 32; src, dst = src[32:], dst[22:] {
		x, b := (*[32]float32)(src), (*[22]byte)(dst)
		d := peak(x[:]) / -16
		binary.LittleEndian.PutUint16(b[0:], tensor.ToF16(d))
		inverse := reciprocal(d)
		var fifth uint32
		for i := range 16 {
			first := min(31, uint32(int32(float32(x[i]*inverse)+16.5)))
			second := min(31, uint32(int32(float32(x[i+16]*inverse)+16.5)))
			b[6+i] = byte(first&15 | second&15<<4)
			fifth |= first>>4<<i | second>>4<<(i+16)
		}
		binary.LittleEndian.PutUint32(b[2:], fifth)
	}
}

// peakPortable returns the largest magnitude of x, as bits: without the sign, those of floats are in the order of their magnitudes.
func peakPortable(x []float32) (most uint32) {
	for _, v := range x {
		most = max(most, math.Float32bits(v)&^(1<<31))
	}
	return most
}

// peak returns the first weight of largest magnitude.
func peak(x []float32) float32 {
	var most, at uint32 // without the sign, the bits of floats are in the order of their magnitudes
	for _, v := range x {
		bits := math.Float32bits(v)
		if bits&^(1<<31) > most {
			most, at = bits&^(1<<31), bits
		}
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
