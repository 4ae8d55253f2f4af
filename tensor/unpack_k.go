package tensor

import "encoding/binary"

// Blocks of 256 weights, of which each 16 or 32 have a small integer as scale, and some another as minimum, which a half of the block
// multiplies. The bits of the weights lie in planes, see planes.

func unpackQ2_K(s *SuperBlock, src []byte) {
	for ; len(src) >= 84; src = src[84:] {
		planes(s.bytes(), src[16:80], 32, 2, 0, 0)
		d, dmin := f16(src[80:]), f16(src[82:])
		for g, b := range src[:16] { // scale in the low four bits, minimum in the high four
			s.Scale[g], s.Min[g] = d*float32(b&15), dmin*float32(b>>4)
		}
	}
}

func unpackQ3_K(s *SuperBlock, src []byte) {
	for ; len(src) >= 110; src = src[110:] {
		planes(s.bytes(), src[32:96], 32, 2, 0, 0)
		planes(s.bytes(), src[0:32], 32, 1, 2, 4)
		// Sixteen 6-bit scales: 8 bytes of low halves as in unpackNibbles, then 4 bytes whose four planes are the upper bits.
		low, top := binary.LittleEndian.Uint64(src[96:]), binary.LittleEndian.Uint32(src[104:])
		var scales [16]byte
		binary.LittleEndian.PutUint64(scales[0:], low&(0x0F*ones)|(uint64(top)|uint64(top)>>2<<32)&(3*ones)<<4)
		binary.LittleEndian.PutUint64(scales[8:], low>>4&(0x0F*ones)|(uint64(top)>>4|uint64(top)>>6<<32)&(3*ones)<<4)
		d := f16(src[108:])
		for g, b := range scales {
			s.Scale[g] = d * float32(int32(b)-32)
		}
	}
}

func unpackQ4_K(s *SuperBlock, src []byte) {
	for ; len(src) >= 144; src = src[144:] {
		planes(s.bytes(), src[16:144], 32, 4, 0, 0)
		sixBitPairs(s, f16(src[0:]), f16(src[2:]), src[4:16])
	}
}

func unpackQ5_K(s *SuperBlock, src []byte) {
	for ; len(src) >= 176; src = src[176:] {
		planes(s.bytes(), src[48:176], 32, 4, 0, 0)
		planes(s.bytes(), src[16:48], 32, 1, 4, 0)
		sixBitPairs(s, f16(src[0:]), f16(src[2:]), src[4:16])
	}
}

func unpackQ6_K(s *SuperBlock, src []byte) {
	for ; len(src) >= 210; src = src[210:] {
		planes(s.bytes(), src[0:128], 64, 4, 0, 0)
		planes(s.bytes(), src[128:192], 32, 2, 4, 32)
		d := f16(src[208:])
		for g, b := range src[192:208] {
			s.Scale[g] = d * float32(int8(b))
		}
	}
}

// planes sets the 256 bytes of q to their low bits, as many as up says, with bits of src above them and less zero. src is a sequence of
// runs; each run of that many bytes holds 8/bits planes, the lowest bits of all its bytes first. A plane is the bits of run consecutive
// weights. Eight bytes go at once.
func planes(q *[256]byte, src []byte, run, bits, up int, zero uint64) {
	mask, keep := uint64(1<<bits-1)*ones, uint64(1<<up-1)*ones
	at := 0
	for ; len(src) >= run; src = src[run:] {
		for shift := 0; shift < 8; shift += bits {
			for i := 0; i < run; i += 8 {
				v := q[at : at+8 : at+8]
				w := binary.LittleEndian.Uint64(src[i:]) >> (shift & 7) & mask << (up & 7)
				binary.LittleEndian.PutUint64(v, less(binary.LittleEndian.Uint64(v)&keep|w, zero))
				at += 8
			}
		}
	}
}

// sixBitPairs unpacks the 12 bytes of eight 6-bit scales, of d, and eight 6-bit minimums, of dmin, of Q4_K and Q5_K: four scales and four
// minimums in the low six bits of bytes 0–3 and 4–7; the others have their low four bits in bytes 8–11, scales below and
// minimums above, and their upper two on top of the first ones.
func sixBitPairs(s *SuperBlock, d, dmin float32, b []byte) {
	for g := range 4 {
		first, second, both := b[g], b[4+g], b[8+g]
		s.setScale(32*g, 32, d*float32(first&63))
		s.setMin(32*g, 32, dmin*float32(second&63))
		s.setScale(32*g+128, 32, d*float32(both&15|first>>6<<4))
		s.setMin(32*g+128, 32, dmin*float32(both>>4|second>>6<<4))
	}
}
