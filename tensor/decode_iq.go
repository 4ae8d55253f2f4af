package tensor

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// The codebook formats, see grids.go. Super-blocks of 256 values; scales belong to 8, 16 or 32 values. Signs are stored
// as a bit each, or seven bits for eight signs: the eighth is such that an even number of them is negative.
//
// In IQ2 and IQ3_XXS the scale of a group is a half of an odd number.

func decodeIQ2_XXS(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[66:] {
		y, b := (*[256]float32)(dst), (*[66]byte)(src)
		d := f16(b[0:])
		for g := range 8 { // 32 values: four indices, then four times seven signs and a scale
			index, meta := b[2+8*g:6+8*g], binary.LittleEndian.Uint32(b[6+8*g:])
			levels := levels4(&iq2Levels, d*(float32(meta>>28)+0.5)/4, 0)
			for i, k := range index {
				lookup(y[32*g+8*i:], &levels, uint32(iq2xxsGrid[k]), 2, evenSigns(meta>>(7*i&31)))
			}
		}
	}
}

func decodeIQ2_XS(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[74:] {
		y, b := (*[256]float32)(dst), (*[74]byte)(src)
		d := f16(b[0:])
		for g := range 16 { // 16 values: two indices of nine bits, each below seven signs
			levels := levels4(&iq2Levels, d*(float32(nibble(b[66:74], g))+0.5)/4, 0)
			for i := range 2 {
				k := binary.LittleEndian.Uint16(b[2+4*g+2*i:])
				lookup(y[16*g+8*i:], &levels, uint32(iq2xsGrid[k&511]), 2, evenSigns(uint32(k>>9)))
			}
		}
	}
}

func decodeIQ2_S(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[82:] {
		y, b := (*[256]float32)(dst), (*[82]byte)(src)
		d, index, signs, high := f16(b[0:]), b[2:34], b[34:66], b[66:74]
		for g := range 16 { // 16 values: two indices of ten bits, two bytes of signs
			levels := levels4(&iq2Levels, d*(float32(nibble(b[74:82], g))+0.5)/4, 0)
			for i := 2 * g; i < 2*g+2; i++ {
				k := uint32(index[i]) | uint32(high[i/4])<<(8-i%4*2)&0x300
				lookup(y[8*i:], &levels, uint32(iq2sGrid[k]), 2, signs[i])
			}
		}
	}
}

func decodeIQ3_XXS(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[98:] {
		y, b := (*[256]float32)(dst), (*[98]byte)(src)
		d := f16(b[0:])
		for g := range 8 { // 32 values: eight indices; four times seven signs and a scale
			index, meta := b[2+8*g:10+8*g], binary.LittleEndian.Uint32(b[66+4*g:])
			levels := levels8(&iq3xxsLevels, d*(float32(meta>>28)+0.5)/2)
			for i := range 4 {
				codes := uint32(iq3xxsGrid[index[2*i]]) | uint32(iq3xxsGrid[index[2*i+1]])<<12
				lookup(y[32*g+8*i:], &levels, codes, 3, evenSigns(meta>>(7*i&31)))
			}
		}
	}
}

func decodeIQ3_S(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[110:] {
		y, b := (*[256]float32)(dst), (*[110]byte)(src)
		d, index, high, signs := f16(b[0:]), b[2:66], b[66:74], b[74:106]
		for g := range 8 { // 32 values: eight indices of nine bits, four bytes of signs
			levels := levels8(&iq3sLevels, d*float32(1+2*nibble(b[106:110], g)))
			for i := range 4 {
				top := uint32(high[g]) << 8 >> (2 * i)
				k0, k1 := uint32(index[8*g+2*i])|top&0x100, uint32(index[8*g+2*i+1])|top>>1&0x100
				lookup(y[32*g+8*i:], &levels, uint32(iq3sGrid[k0])|uint32(iq3sGrid[k1])<<12, 3, signs[4*g+i])
			}
		}
	}
}

// The values of IQ1 are -1, 0 and 1 shifted by an eighth up or down.

func decodeIQ1_S(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[50:] {
		y, b := (*[256]float32)(dst), (*[50]byte)(src)
		d := f16(b[0:])
		for g := range 8 { // 32 values: four low bytes of an index; their upper three bits, a scale, the shift's sign
			index, high := b[2+4*g:6+4*g], uint32(binary.LittleEndian.Uint16(b[34+2*g:]))
			levels := levels4(&iq1Levels, d*float32(high>>12&7*2+1), eighth(high>>15))
			for i, k := range index {
				lookup(y[32*g+8*i:], &levels, uint32(iq1sGrid[uint32(k)|high>>(3*i&31)<<8&0x700]), 2, 0)
			}
		}
	}
}

func decodeIQ1_M(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[56:] {
		y, b := (*[256]float32)(dst), (*[56]byte)(src)
		// Four words with four 3-bit scales each; their upper four bits make up the half.
		words := binary.LittleEndian.Uint64(b[48:])
		d := FromF16(uint16(words>>12&0xF | words>>24&0xF0 | words>>36&0xF00 | words>>48&0xF000))
		for i, k := range b[:32] { // 8 values: the low byte of an index; its upper three bits and the shift's sign
			scale, high := words>>(i/8*16+i%8/2*3&63)&7, uint32(nibble(b[32:48], i))
			levels := levels4(&iq1Levels, d*float32(2*scale+1), eighth(high>>3))
			lookup(y[8*i:], &levels, uint32(iq1sGrid[uint32(k)|high<<8&0x700]), 2, 0)
		}
	}
}

// The values of IQ4 are one table of 16, denser around zero. Nibbles lie as in Q4_0.

func decodeIQ4_NL(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[18:] {
		y, b := (*[32]float32)(dst), (*[18]byte)(src)
		table := scaledTable(&iq4Values, f16(b[0:]))
		nibbles(y[:], b[2:], &table)
	}
}

func decodeIQ4_XS(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[136:] {
		y, b := (*[256]float32)(dst), (*[136]byte)(src)
		d, high := f16(b[0:]), binary.LittleEndian.Uint16(b[2:])
		for g := range 8 { // 6-bit scales: the upper two bits of all of them, then the low nibbles
			scale := int32(nibble(b[4:8], g)) | int32(high>>(2*g&15)&3)<<4
			table := scaledTable(&iq4Values, d*float32(scale-32))
			nibbles(y[32*g:32*g+32], b[8+16*g:24+16*g], &table)
		}
	}
}

// nibble returns the i-th four bits of b, the low ones of a byte first.
func nibble(b []byte, i int) byte { return b[i/2] >> (i % 2 * 4) & 15 }

// eighth returns the shift of IQ1, downwards for a sign of 1.
func eighth(sign uint32) float32 { return 0.125 - 0.25*float32(sign&1) }

// evenSigns completes the low seven bits of index to eight signs with even parity.
func evenSigns(index uint32) byte {
	index &= 127
	return byte(index | uint32(bits.OnesCount8(byte(index)))<<7)
}

// levels4 returns the bits of d·(level + shift) for each level.
func levels4(levels *[4]float32, d, shift float32) (table [8]uint32) {
	for i, v := range levels {
		table[i] = math.Float32bits(d * (v + shift))
	}
	return table
}

// levels8 returns the bits of d·level for each level.
func levels8(levels *[8]float32, d float32) (table [8]uint32) {
	for i, v := range levels {
		table[i] = math.Float32bits(d * v)
	}
	return table
}

// lookup writes eight values to y: the level whose number is in the next two or three bits of codes, lowest first,
// negative where the next bit of signs is set.
func lookup(y []float32, levels *[8]uint32, codes uint32, width int, signs byte) {
	mask, sign := uint32(1)<<width-1, uint32(signs)
	out := (*[8]float32)(y)
	for i := range out {
		out[i] = math.Float32frombits(levels[codes&mask&7] ^ sign<<31)
		codes >>= width & 31
		sign >>= 1
	}
}
