package tensor

import (
	"encoding/binary"
	"unsafe"
)

// SuperBlock is 256 weights of a row as integers: weight i is Scale[i/16]·Q[i] − Min[i/16]. It is how every quantised format is seen by
// arithmetic in integers; most formats give one scale to 32 weights or more, which is repeated here.
type SuperBlock struct {
	Q     [256]int8   // a row's next weights, 0 behind its end
	Scale [16]float32 // of each group of 16
	Min   [16]float32 // likewise; 0 in formats that have none
}

// bytes returns Q for work on eight of them at once.
func (s *SuperBlock) bytes() *[256]byte { return (*[256]byte)(unsafe.Pointer(&s.Q)) }

// setScale sets the scale of n weights from the i-th, whole groups of 16.
func (s *SuperBlock) setScale(i, n int, d float32) {
	for g := i / 16; g < (i+n)/16; g++ {
		s.Scale[g] = d
	}
}

// setMin does so for the minimum.
func (s *SuperBlock) setMin(i, n int, m float32) {
	for g := i / 16; g < (i+n)/16; g++ {
		s.Min[g] = m
	}
}

// Unpack sets s to the first 256 weights of src, or to all it has if these are fewer: the others are 0. src is whole blocks; Unpack panics
// if f is F32, F16, BF16 or not valid.
//
// Any bytes are weights, as they are for [Format.Decode], which computes Scale·Q − Min in float32. All of Scale and Min are exact.
func (f Format) Unpack(s *SuperBlock, src []byte) {
	if size := f.RowBytes(256); len(src) >= size {
		src = src[:size]
		s.Min = [16]float32{}
	} else {
		*s = SuperBlock{}
	}
	// Not a table of functions: s would move to the heap.
	switch f {
	case Q4_0:
		unpackQ4_0(s, src)
	case Q4_1:
		unpackQ4_1(s, src)
	case Q5_0:
		unpackQ5_0(s, src)
	case Q5_1:
		unpackQ5_1(s, src)
	case Q8_0:
		unpackQ8_0(s, src)
	case Q2_K:
		unpackQ2_K(s, src)
	case Q3_K:
		unpackQ3_K(s, src)
	case Q4_K:
		unpackQ4_K(s, src)
	case Q5_K:
		unpackQ5_K(s, src)
	case Q6_K:
		unpackQ6_K(s, src)
	case IQ1_S:
		unpackIQ1_S(s, src)
	case IQ1_M:
		unpackIQ1_M(s, src)
	case IQ2_XXS:
		unpackIQ2_XXS(s, src)
	case IQ2_XS:
		unpackIQ2_XS(s, src)
	case IQ2_S:
		unpackIQ2_S(s, src)
	case IQ3_XXS:
		unpackIQ3_XXS(s, src)
	case IQ3_S:
		unpackIQ3_S(s, src)
	case IQ4_NL:
		unpackIQ4_NL(s, src)
	case IQ4_XS:
		unpackIQ4_XS(s, src)
	case TQ1_0:
		unpackTQ1_0(s, src)
	case TQ2_0:
		unpackTQ2_0(s, src)
	case MXFP4:
		unpackMXFP4(s, src)
	case NVFP4:
		unpackNVFP4(s, src)
	case Q1_0:
		unpackQ1_0(s, src)
	case Q2_0:
		unpackQ2_0(s, src, 64)
	case Q2_0_128:
		unpackQ2_0(s, src, 128)
	default:
		panic("tensor: " + f.String() + " has no integers to unpack")
	}
}

// Blocks of 32. The low four bits of byte i belong to weight i, the high four to weight i+16; the fifth bits of Q5 are one
// little-endian word. Q4_0, Q5_0 and Q8_0 are d·q with q centred on 0, Q4_1 and Q5_1 are d·q + m.

func unpackQ4_0(s *SuperBlock, src []byte) {
	for i := 0; len(src) >= 18; i, src = i+32, src[18:] {
		s.setScale(i, 32, f16(src))
		unpackNibbles(s.bytes()[i:], src[2:18], 0, 8)
	}
}

func unpackQ4_1(s *SuperBlock, src []byte) {
	for i := 0; len(src) >= 20; i, src = i+32, src[20:] {
		s.setScale(i, 32, f16(src))
		s.setMin(i, 32, -f16(src[2:]))
		unpackNibbles(s.bytes()[i:], src[4:20], 0, 0)
	}
}

func unpackQ5_0(s *SuperBlock, src []byte) {
	for i := 0; len(src) >= 22; i, src = i+32, src[22:] {
		s.setScale(i, 32, f16(src))
		unpackNibbles(s.bytes()[i:], src[6:22], binary.LittleEndian.Uint32(src[2:]), 16)
	}
}

func unpackQ5_1(s *SuperBlock, src []byte) {
	for i := 0; len(src) >= 24; i, src = i+32, src[24:] {
		s.setScale(i, 32, f16(src))
		s.setMin(i, 32, -f16(src[2:]))
		unpackNibbles(s.bytes()[i:], src[8:24], binary.LittleEndian.Uint32(src[4:]), 0)
	}
}

func unpackQ8_0(s *SuperBlock, src []byte) {
	for i := 0; len(src) >= 34; i, src = i+32, src[34:] {
		s.setScale(i, 32, f16(src))
		copy(s.bytes()[i:i+32], src[2:34])
	}
}

// unpackNibbles sets 32 bytes of q to the low four bits of 16 bytes of src, then the high ones, with a bit each of fifth above them and
// less zero. Eight go at once.
func unpackNibbles(q, src []byte, fifth uint32, zero uint64) {
	to, from := (*[32]byte)(q), (*[16]byte)(src)
	for i := 0; i < 16; i += 8 {
		w := binary.LittleEndian.Uint64(from[i:])
		low := w&(15*ones) | eachBit(byte(fifth>>i))<<4
		high := w>>4&(15*ones) | eachBit(byte(fifth>>(16+i)))<<4
		binary.LittleEndian.PutUint64(to[i:], less(low, zero))
		binary.LittleEndian.PutUint64(to[16+i:], less(high, zero))
	}
}

// ones has a one in each byte: times a byte it repeats that byte.
const ones = 0x0101010101010101

// less takes n, at most 128, from eight bytes that are below 128.
func less(w, n uint64) uint64 { return (w | 0x80*ones) - n*ones ^ 0x80*ones }

// eachBit returns the bits of b, the lowest first, as eight bytes of 0 or 1.
func eachBit(b byte) uint64 { return (uint64(b)*ones&0x8040201008040201 + 0x7F*ones) >> 7 & ones }
