package tensor

import "encoding/binary"

// Super-blocks of 256 values, cut into groups of 16 or 32 with a small integer scale (and minimum) each, which one half
// multiplies. The bits of the values lie in planes, see planes.

func decodeQ2_K(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[84:] {
		y, b := (*[256]float32)(dst), (*[84]byte)(src)
		var q [256]byte
		planes(&q, b[16:80], 32, 2, 0)
		d, dmin := f16(b[80:]), f16(b[82:])
		for g, s := range b[:16] { // scale in the low four bits, minimum in the high four
			affine(y[16*g:16*g+16], q[16*g:16*g+16], d*float32(s&15), dmin*float32(s>>4))
		}
	}
}

func decodeQ3_K(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[110:] {
		y, b := (*[256]float32)(dst), (*[110]byte)(src)
		var q [256]byte
		planes(&q, b[32:96], 32, 2, 0)
		planes(&q, b[0:32], 32, 1, 2)
		// Sixteen 6-bit scales: 8 bytes of low halves as in nibbles, then 4 bytes whose four planes are the upper bits.
		low, top := binary.LittleEndian.Uint64(b[96:]), binary.LittleEndian.Uint32(b[104:])
		var scales [16]byte
		binary.LittleEndian.PutUint64(scales[0:], low&(0x0F*ones)|(uint64(top)|uint64(top)>>2<<32)&(3*ones)<<4)
		binary.LittleEndian.PutUint64(scales[8:], low>>4&(0x0F*ones)|(uint64(top)>>4|uint64(top)>>6<<32)&(3*ones)<<4)
		d := f16(b[108:])
		for g, s := range scales {
			scaled(y[16*g:16*g+16], q[16*g:16*g+16], d*float32(int32(s)-32), 4)
		}
	}
}

func decodeQ4_K(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[144:] {
		y, b := (*[256]float32)(dst), (*[144]byte)(src)
		var q [256]byte
		planes(&q, b[16:144], 32, 4, 0)
		d, dmin := f16(b[0:]), f16(b[2:])
		scales, mins := sixBitPairs(b[4:16])
		for g := range 8 {
			affine(y[32*g:32*g+32], q[32*g:32*g+32], d*float32(scales[g]), dmin*float32(mins[g]))
		}
	}
}

func decodeQ5_K(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[176:] {
		y, b := (*[256]float32)(dst), (*[176]byte)(src)
		var q [256]byte
		planes(&q, b[48:176], 32, 4, 0)
		planes(&q, b[16:48], 32, 1, 4)
		d, dmin := f16(b[0:]), f16(b[2:])
		scales, mins := sixBitPairs(b[4:16])
		for g := range 8 {
			affine(y[32*g:32*g+32], q[32*g:32*g+32], d*float32(scales[g]), dmin*float32(mins[g]))
		}
	}
}

func decodeQ6_K(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[210:] {
		y, b := (*[256]float32)(dst), (*[210]byte)(src)
		var q [256]byte
		planes(&q, b[0:128], 64, 4, 0)
		planes(&q, b[128:192], 32, 2, 4)
		d := f16(b[208:])
		for g, s := range b[192:208] {
			scaled(y[16*g:16*g+16], q[16*g:16*g+16], d*float32(int8(s)), 32)
		}
	}
}

// ones has a one in each byte: times a byte it repeats that byte.
const ones = 0x0101010101010101

// planes adds bits to the 256 values in q, shifted left by up. src is a sequence of runs; each run of that many bytes
// holds 8/bits planes, the lowest bits of all its bytes first. A plane is the bits of run consecutive values. Eight
// bytes go at once.
func planes(q *[256]byte, src []byte, run, bits, up int) {
	mask := uint64(1<<bits-1) * ones
	at := 0
	for ; len(src) >= run; src = src[run:] {
		for shift := 0; shift < 8; shift += bits {
			for i := 0; i < run; i += 8 {
				v := q[at : at+8 : at+8]
				w := binary.LittleEndian.Uint64(src[i:]) >> (shift & 7) & mask << (up & 7)
				binary.LittleEndian.PutUint64(v, binary.LittleEndian.Uint64(v)|w)
				at += 8
			}
		}
	}
}

// sixBitPairs unpacks the 12 bytes of eight 6-bit scales and eight 6-bit minima of Q4_K and Q5_K: four scales and four
// minima in the low six bits of bytes 0–3 and 4–7; the others have their low four bits in bytes 8–11, scales below and
// minima above, and their upper two on top of the first ones.
func sixBitPairs(b []byte) (scales, mins [8]byte) {
	s, m, both := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])
	const low4, low6, top2 = 0x0F0F0F0F, 0x3F3F3F3F, 0x30303030
	binary.LittleEndian.PutUint32(scales[0:], s&low6)
	binary.LittleEndian.PutUint32(scales[4:], both&low4|s>>2&top2)
	binary.LittleEndian.PutUint32(mins[0:], m&low6)
	binary.LittleEndian.PutUint32(mins[4:], both>>4&low4|m>>2&top2)
	return scales, mins
}

// scaled writes d·(q - zero) to y, which is as long as q.
func scaled(y []float32, q []byte, d float32, zero int32) {
	y = y[:len(q)]
	for i, v := range q {
		y[i] = d * float32(int32(v)-zero)
	}
}

// affine writes d·q - m to y, which is as long as q.
func affine(y []float32, q []byte, d, m float32) {
	y = y[:len(q)]
	for i, v := range q {
		y[i] = float32(d*float32(v)) - m
	}
}
