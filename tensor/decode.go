package tensor

import (
	"encoding/binary"
	"math"
)

// decode is Decode without its checks. There is no table of functions here: what is handed to one of them moves to the heap.
//
// What multiplies is exact: a half has 11 significant bits, a block's scale and a weight together at most 12, a float32 has
// 24. So a result is rounded at most once, where a minimum is subtracted, and its bits depend neither on the order of the factors nor on
// whether an architecture fuses multiplication and addition, as arm64 does.
func (f Format) decode(dst []float32, src []byte) {
	switch f {
	case F32:
		decodeF32(dst, src)
	case F16:
		decodeF16(dst, src)
	case BF16:
		decodeBF16(dst, src)
	case Q4_0:
		decodeQ4_0(dst, src)
	case Q4_1:
		decodeQ4_1(dst, src)
	case Q8_0:
		decodeQ8_0(dst, src)
	case IQ4_NL:
		decodeIQ4_NL(dst, src)
	case IQ4_XS:
		decodeIQ4_XS(dst, src)
	default:
		f.decodeIntegers(dst, src)
	}
}

// decodeIntegers decodes a format by unpacking it.
func (f Format) decodeIntegers(dst []float32, src []byte) {
	var s SuperBlock
	for size := f.RowBytes(256); len(dst) > 0; src = src[min(size, len(src)):] {
		n := min(len(dst), 256)
		f.Unpack(&s, src[:f.RowBytes(n)])
		for g := range n / 16 {
			y, q, d, m := (*[16]float32)(dst[16*g:]), s.bytes()[16*g:16*g+16], s.Scale[g], s.Min[g]
			for i := 0; i < 16; i += 4 { // four weights from one load
				w := binary.LittleEndian.Uint32(q[i:])
				y[i] = float32(d*float32(int8(w))) - m
				y[i+1] = float32(d*float32(int8(w>>8))) - m
				y[i+2] = float32(d*float32(int8(w>>16))) - m
				y[i+3] = float32(d*float32(int8(w>>24))) - m
			}
		}
		dst = dst[n:]
	}
}

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

// Some formats are decoded directly, which takes half to three quarters of the time: those that weights have most often, and those of
// caches, where a few blocks are decoded at a time.

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

func decodeQ8_0(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[34:] {
		y, b := (*[32]float32)(dst), (*[34]byte)(src)
		d := f16(b[0:])
		for i, q := range b[2:] {
			y[i] = d * float32(int8(q))
		}
	}
}

func decodeIQ4_NL(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[18:] {
		decodeNibbles((*[32]float32)(dst), (*[16]byte)(src[2:]), f16(src))
	}
}

func decodeIQ4_XS(dst []float32, src []byte) {
	var s SuperBlock
	for ; len(dst) >= 256; dst, src = dst[256:], src[136:] {
		scalesIQ4_XS(&s, src)
		for g := range 8 {
			decodeNibbles((*[32]float32)(dst[32*g:]), (*[16]byte)(src[8+16*g:]), s.Scale[2*g])
		}
	}
}

// decodeNibbles sets y to d times the values of the low four bits of all bytes of q in IQ4's table, then of the high ones.
func decodeNibbles(y *[32]float32, q *[16]byte, d float32) {
	var table [16]float32
	for i, v := range iq4Values {
		table[i] = d * float32(v)
	}
	for i, v := range q {
		y[i] = table[v&15]
		y[i+16] = table[v>>4]
	}
}
