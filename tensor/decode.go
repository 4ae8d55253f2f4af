package tensor

import (
	"encoding/binary"
	"math"
)

// The decoders are the specification of the formats: kernels in assembly are compared with them. Each takes whole
// blocks, fields in the order in which they lie in the file, all numbers little endian.
//
// The products are exact: a half has 11 significant bits, a block's scale and a value together at most 12, a float32 has
// 24. So a result is rounded at most once, where a minimum is added or subtracted, and its bits depend neither on the
// order of the factors nor on whether an architecture fuses multiplication and addition, as arm64 does.

func decodeF32(dst []float32, src []byte) {
	for ; len(dst) >= 2; dst, src = dst[2:], src[8:] {
		w := binary.LittleEndian.Uint64(src)
		dst[0] = math.Float32frombits(uint32(w))
		dst[1] = math.Float32frombits(uint32(w >> 32))
	}
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

// decodeF16 guesses that a half is normal, as nearly all are in weights and caches: twice as fast as FromF16.
func decodeF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for i := range dst {
		h := binary.LittleEndian.Uint16(src[2*i : 2*i+2])
		if h&0x7FFF-0x400 < 0x7800 {
			// Widening puts the sign on top; the mask takes away its copies above the exponent.
			dst[i] = math.Float32frombits(uint32(int32(int16(h)))<<13&0x8FFFE000 + 112<<23)
		} else {
			dst[i] = FromF16(h)
		}
	}
}

func decodeBF16(dst []float32, src []byte) {
	for ; len(dst) >= 4; dst, src = dst[4:], src[8:] {
		w := binary.LittleEndian.Uint64(src)
		dst[0] = math.Float32frombits(uint32(w) << 16)
		dst[1] = math.Float32frombits(uint32(w) & 0xFFFF0000)
		dst[2] = math.Float32frombits(uint32(w>>32) << 16)
		dst[3] = math.Float32frombits(uint32(w>>32) & 0xFFFF0000)
	}
	for i := range dst {
		dst[i] = FromBF16(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

// f16 reads a half.
func f16(b []byte) float32 { return FromF16(binary.LittleEndian.Uint16(b)) }

// Blocks of 32. The low four bits of byte i belong to value i, the high four to value i+16; the fifth bits of Q5 are
// one little-endian word. Q4_0, Q5_0 and Q8_0 are d·q with q centred on 0, Q4_1 and Q5_1 are d·q + m.

func decodeQ4_0(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[18:] {
		y, b := (*[32]float32)(dst), (*[18]byte)(src)
		d := f16(b[0:])
		for i, q := range b[2:] {
			y[i] = d * float32(int32(q&15)-8)
			y[i+16] = d * float32(int32(q>>4)-8)
		}
	}
}

func decodeQ4_1(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[20:] {
		y, b := (*[32]float32)(dst), (*[20]byte)(src)
		d, m := f16(b[0:]), f16(b[2:])
		for i, q := range b[4:] {
			y[i] = float32(d*float32(q&15)) + m
			y[i+16] = float32(d*float32(q>>4)) + m
		}
	}
}

func decodeQ5_0(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[22:] {
		y, b := (*[32]float32)(dst), (*[22]byte)(src)
		d, high := f16(b[0:]), binary.LittleEndian.Uint32(b[2:])
		for i, q := range b[6:] {
			y[i] = d * float32(int32(q&15|byte(high<<4)&16)-16)
			y[i+16] = d * float32(int32(q>>4|byte(high>>12)&16)-16)
			high >>= 1
		}
	}
}

func decodeQ5_1(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[24:] {
		y, b := (*[32]float32)(dst), (*[24]byte)(src)
		d, m, high := f16(b[0:]), f16(b[2:]), binary.LittleEndian.Uint32(b[4:])
		for i, q := range b[8:] {
			y[i] = float32(d*float32(q&15|byte(high<<4)&16)) + m
			y[i+16] = float32(d*float32(q>>4|byte(high>>12)&16)) + m
			high >>= 1
		}
	}
}

func decodeQ8_0(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[34:] {
		y, b := (*[32]float32)(dst), (*[34]byte)(src)
		d := f16(b[0:])
		for i, q := range b[2:] {
			y[i] = d * float32(int8(q))
		}
	}
}
