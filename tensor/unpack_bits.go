package tensor

import "encoding/binary"

// Formats of one and two bits per weight, least significant bits first, with one half as scale in front. No level has kernels of its own
// for them: their rows are decoded.

// The bit 0 stands for −1, 1 for 1.
func unpackQ1_0(s *SuperBlock, src []byte) {
	for i := 0; len(src) >= 18; i, src = i+128, src[18:] {
		s.setScale(i, 128, f16(src))
		for j, b := range src[2:18] {
			binary.LittleEndian.PutUint64(s.bytes()[i+8*j:], less(2*eachBit(b), 1))
		}
	}
}

// The codes 0 to 3 stand for −1 to 2. A block has n weights.
func unpackQ2_0(s *SuperBlock, src []byte, n int) {
	size := 2 + n/4
	for i := 0; len(src) >= size; i, src = i+n, src[size:] {
		s.setScale(i, n, f16(src))
		for j, b := range src[2:size] {
			q := s.Q[i+4*j : i+4*j+4]
			q[0], q[1], q[2], q[3] = int8(b&3)-1, int8(b>>2&3)-1, int8(b>>4&3)-1, int8(b>>6)-1
		}
	}
}
