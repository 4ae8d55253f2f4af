package quant

import (
	"encoding/binary"

	"github.com/gogemma/gemma4/tensor"
)

// searchBlocks encodes a row as Q4_0 or Q5_0 (affine false), Q4_1 or Q5_1 (affine true).
func searchBlocks(l level, dst []byte, src []float32, columns importance, bits int, affine bool) {
	half := float32(int(1) << (bits - 1))
	t := newSymmetric(l, half)
	if affine {
		t = newUnsigned(l, 2*half-1, 0.2)
	}
	var w [32]float32
	var q [32]uint8
	mean := meanSquare(src)
	for at := 0; at < len(src); at += 32 {
		x := src[at : at+32]
		columns.weigh(l, w[:], x, at, mean)
		var inverse, least float32
		if affine {
			d, m := t.affine(x, w[:], largestHalf)
			inverse, least = reciprocal(putHalf(dst, d)), putHalf(dst[2:], m)
			dst = dst[4:]
		} else {
			inverse = reciprocal(putHalf(dst, t.symmetric(x, w[:])))
			dst = dst[2:]
		}
		l.codes(q[:], x, inverse, -least, t.low, t.high)
		if bits == 5 {
			binary.LittleEndian.PutUint32(dst, fifths(q[:]))
			dst = dst[4:]
		}
		packNibbles(dst, q[:])
		dst = dst[16:]
	}
}

// searchIQ4_NL encodes a row as IQ4_NL.
func searchIQ4_NL(l level, dst []byte, src []float32, columns importance) {
	t := newTabled(l)
	var w [32]float32
	var q [32]uint8
	for at := 0; at < len(src); at, dst = at+32, dst[18:] {
		x := src[at : at+32]
		columns.weigh(l, w[:], x, at, meanSquare(x))
		inverse := reciprocal(putHalf(dst, t.tabled(x, w[:])))
		l.tableCodes(q[:], x, inverse)
		packNibbles(dst[2:], q[:])
	}
}

// largestHalf is the largest number that F16 holds.
const largestHalf = 65504

// putHalf writes the half nearest to v that is no infinity, and returns it.
func putHalf(b []byte, v float32) float32 {
	h := tensor.ToF16(min(max(v, -largestHalf), largestHalf))
	binary.LittleEndian.PutUint16(b, h)
	return tensor.FromF16(h)
}

// packNibbles writes the low four bits of 32 codes to 16 bytes: those of the first 16 below those of the others.
func packNibbles(dst []byte, q []uint8) {
	dst, low, high := dst[:16], q[:16], q[16:32]
	for i := range dst {
		dst[i] = low[i]&15 | high[i]<<4
	}
}

// fifths returns the fifth bits of 32 codes.
func fifths(q []uint8) (bits uint32) {
	for i, c := range q[:32] {
		bits |= uint32(c>>4&1) << i
	}
	return bits
}
