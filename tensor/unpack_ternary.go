package tensor

import "encoding/binary"

// The ternary formats: weights −1, 0 and 1 in blocks of 256 with one half as scale.

func unpackTQ1_0(s *SuperBlock, src []byte) {
	for ; len(src) >= 54; src = src[54:] {
		s.setScale(0, 256, f16(src[52:]))
		trits(s.bytes()[:160], src[:32])
		trits(s.bytes()[160:240], src[32:48])
		trits(s.bytes()[240:], src[48:52])
	}
}

// trits unpacks base-3 digits, most significant first. A byte is a fraction of 256, so that tripling it moves the next
// digit above the byte. All bytes yield their first digit, then all their second, until q is full. Four bytes go at once, the even ones
// apart from the odd ones, so that there is room above each.
func trits(q, src []byte) {
	const evens = 0x00FF00FF
	for i := 0; i < len(src); i += 4 {
		w := binary.LittleEndian.Uint32(src[i:])
		even, odd := w&evens, w>>8&evens
		for at := i; at < len(q); at += len(src) {
			even, odd = 3*even, 3*odd
			digits := even>>8&evens | odd&^evens
			binary.LittleEndian.PutUint32(q[at:], uint32(less(uint64(digits), 1)))
			even, odd = even&evens, odd&evens
		}
	}
}

func unpackTQ2_0(s *SuperBlock, src []byte) {
	for ; len(src) >= 66; src = src[66:] {
		s.setScale(0, 256, f16(src[64:]))
		planes(s.bytes(), src[:64], 32, 2, 0, 1)
	}
}
