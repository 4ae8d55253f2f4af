package tensor

import (
	"encoding/binary"
	"math/bits"
)

// The codebook formats, see grids.go. Blocks of 256 weights; scales belong to 16 or 32 weights. Signs are stored
// as a bit each, or seven bits for eight signs: the eighth is such that an even number of them is negative.
//
// In IQ2 and IQ3_XXS a scale is a half of an odd number, times a half of the block.

func unpackIQ2_XXS(s *SuperBlock, src []byte) {
	book := iq2xxsBook()
	for ; len(src) >= 66; src = src[66:] {
		d := f16(src)
		for g := range 8 { // 32 weights: four indices, then four times seven signs and a scale
			index, meta := src[2+8*g:6+8*g], binary.LittleEndian.Uint32(src[6+8*g:])
			s.setScale(32*g, 32, d*(float32(meta>>28)+0.5)/4)
			for i, k := range index {
				s.setSigned(32*g+8*i, book[k], evenSigns(meta>>(7*i&31)))
			}
		}
	}
}

func unpackIQ2_XS(s *SuperBlock, src []byte) {
	book := iq2xsBook()
	for ; len(src) >= 74; src = src[74:] {
		d := f16(src)
		for g := range 16 { // 16 weights: two indices of nine bits, each below seven signs
			s.Scale[g] = d * (float32(nibble(src[66:74], g)) + 0.5) / 4
			for i := range 2 {
				k := binary.LittleEndian.Uint16(src[2+4*g+2*i:])
				s.setSigned(16*g+8*i, book[k&511], evenSigns(uint32(k>>9)))
			}
		}
	}
}

func unpackIQ2_S(s *SuperBlock, src []byte) {
	book := iq2sBook()
	for ; len(src) >= 82; src = src[82:] {
		d, index, signs, high := f16(src), src[2:34], src[34:66], src[66:74]
		for g := range 16 { // 16 weights: two indices of ten bits, two bytes of signs
			s.Scale[g] = d * (float32(nibble(src[74:82], g)) + 0.5) / 4
			for i := 2 * g; i < 2*g+2; i++ {
				k := uint32(index[i]) | uint32(high[i/4])<<(8-i%4*2)&0x300
				s.setSigned(8*i, book[k], signs[i])
			}
		}
	}
}

func unpackIQ3_XXS(s *SuperBlock, src []byte) {
	book := iq3xxsBook()
	for ; len(src) >= 98; src = src[98:] {
		d := f16(src)
		for g := range 8 { // 32 weights: eight indices; four times seven signs and a scale
			index, meta := src[2+8*g:10+8*g], binary.LittleEndian.Uint32(src[66+4*g:])
			s.setScale(32*g, 32, d*(float32(meta>>28)+0.5)/2)
			for i := range 4 {
				s.setSigned(32*g+8*i, book[index[2*i]]|book[index[2*i+1]]<<32, evenSigns(meta>>(7*i&31)))
			}
		}
	}
}

func unpackIQ3_S(s *SuperBlock, src []byte) {
	book := iq3sBook()
	for ; len(src) >= 110; src = src[110:] {
		d, index, high, signs := f16(src), src[2:66], src[66:74], src[74:106]
		for g := range 8 { // 32 weights: eight indices of nine bits, four bytes of signs
			s.setScale(32*g, 32, d*float32(1+2*nibble(src[106:110], g)))
			for i := range 4 {
				top := uint32(high[g]) << 8 >> (2 * i)
				k0, k1 := uint32(index[8*g+2*i])|top&0x100, uint32(index[8*g+2*i+1])|top>>1&0x100
				s.setSigned(32*g+8*i, book[k0]|book[k1]<<32, signs[4*g+i])
			}
		}
	}
}

// The weights of IQ1 are −1, 0 and 1 shifted by an eighth up or down: here eight times that, and the scale an eighth.

func unpackIQ1_S(s *SuperBlock, src []byte) {
	book := iq1sBook()
	for ; len(src) >= 50; src = src[50:] {
		d := f16(src)
		for g := range 8 { // 32 weights: four low bytes of an index; their upper three bits, a scale, the shift's sign
			index, high := src[2+4*g:6+4*g], uint32(binary.LittleEndian.Uint16(src[34+2*g:]))
			s.setScale(32*g, 32, d*float32(high>>12&7*2+1)/8)
			for i, k := range index {
				s.setShifted(32*g+8*i, book[uint32(k)|high>>(3*i&31)<<8&0x700], high>>15)
			}
		}
	}
}

func unpackIQ1_M(s *SuperBlock, src []byte) {
	book := iq1sBook()
	for ; len(src) >= 56; src = src[56:] {
		// Four words with four 3-bit scales each; their upper four bits make up the half.
		words := binary.LittleEndian.Uint64(src[48:])
		d := FromF16(uint16(words>>12&0xF | words>>24&0xF0 | words>>36&0xF00 | words>>48&0xF000))
		for i, k := range src[:32] { // 8 weights: the low byte of an index; its upper three bits and the shift's sign
			s.Scale[i/2] = d * float32(2*(words>>(i/8*16+i%8/2*3&63)&7)+1) / 8
			high := uint32(nibble(src[32:48], i))
			s.setShifted(8*i, book[uint32(k)|high<<8&0x700], high>>3)
		}
	}
}

// The weights of IQ4 are one table of 16, denser around zero. Nibbles lie as in Q4_0.

func unpackIQ4_NL(s *SuperBlock, src []byte) {
	for i := 0; len(src) >= 18; i, src = i+32, src[18:] {
		s.setScale(i, 32, f16(src))
		lookupNibbles(s.Q[i:i+32], src[2:18], &iq4Values)
	}
}

func unpackIQ4_XS(s *SuperBlock, src []byte) {
	for ; len(src) >= 136; src = src[136:] {
		scalesIQ4_XS(s, src)
		for g := range 8 {
			lookupNibbles(s.Q[32*g:32*g+32], src[8+16*g:24+16*g], &iq4Values)
		}
	}
}

// scalesIQ4_XS sets the scales of a block: six bits less 32, first the upper two of all of them, then the low nibbles.
func scalesIQ4_XS(s *SuperBlock, src []byte) {
	d, high := f16(src), binary.LittleEndian.Uint16(src[2:])
	for g := range 8 {
		scale := int32(nibble(src[4:8], g)) | int32(high>>(2*g&15)&3)<<4
		s.setScale(32*g, 32, d*float32(scale-32))
	}
}

// nibble returns the i-th four bits of b, the low ones of a byte first.
func nibble(b []byte, i int) byte { return b[i/2] >> (i % 2 * 4) & 15 }

// evenSigns completes the low seven bits of index to eight signs with even parity.
func evenSigns(index uint32) byte {
	index &= 127
	return byte(index | uint32(bits.OnesCount8(byte(index)))<<7)
}

// setSigned sets eight weights from the i-th to the bytes of magnitudes, none of them 0, negative where the bit of signs is set.
func (s *SuperBlock) setSigned(i int, magnitudes uint64, signs byte) {
	minus := eachBit(signs)
	binary.LittleEndian.PutUint64(s.bytes()[i:], (magnitudes^0xFF*minus)+minus)
}

// setShifted sets eight weights from the i-th to the bytes of values less 9, plus 1, or minus 1 if the sign is 1.
func (s *SuperBlock) setShifted(i int, values uint64, sign uint32) {
	binary.LittleEndian.PutUint64(s.bytes()[i:], less(values, 8+2*uint64(sign)))
}
