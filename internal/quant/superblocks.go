package quant

import (
	"encoding/binary"
	"math"
)

// searchK encodes a row as Q4_K or Q5_K: blocks of eight groups of 32, each with a scale and a minimum of six bits in units of the block's.
func searchK(l level, dst []byte, src []float32, columns importance, bits int) {
	size, top := 144, float32(15)
	if bits == 5 {
		size, top = 176, 31
	}
	t, units := newUnsigned(l, top, 0.2), newUnsigned(l, 63, 0.1)
	var w [256]float32
	var q [256]uint8
	for at := 0; at < len(src); at, dst = at+256, dst[size:] {
		x := src[at : at+256]
		columns.weigh(l, w[:], x, at, meanSquare(x))
		var d, m, weights [8]float32
		for g := range 8 {
			d[g], m[g] = t.affine(x[32*g:32*g+32], w[32*g:32*g+32], 0)
			d[g], m[g] = max(d[g], 0), -m[g]
			weights[g] = t.weights
		}
		unitD := putHalf(dst[0:], units.unsigned(d[:], weights[:]))
		unitM := putHalf(dst[2:], units.unsigned(m[:], weights[:]))
		inverseD, inverseM := reciprocal(unitD), reciprocal(unitM)
		var scale, least [8]uint8
		for g := range 8 {
			x, w := x[32*g:32*g+32], w[32*g:32*g+32]
			s, m := round(float32(d[g]*inverseD), 0, 63), round(float32(m[g]*inverseM), 0, 63)
			step, from := unitD*float32(s), unitM*float32(m)
			s, m = l.residue(x, w, step, reciprocal(step), from, 0, top).settle(weights[g], unitD, unitM, s, m)
			l.codes(q[32*g:32*g+32], x, reciprocal(unitD*float32(s)), unitM*float32(m), 0, top)
			scale[g], least[g] = uint8(s), uint8(m)
		}
		packPairs(dst[4:16], &scale, &least)
		packed := dst[16:size]
		if bits == 5 {
			for i := range 32 {
				var plane uint8
				for g := range 8 {
					plane |= q[32*g+i] >> 4 << g
				}
				packed[i] = plane
			}
			packed = packed[32:]
		}
		for g := range 4 {
			for i := range 32 {
				packed[32*g+i] = q[64*g+i]&15 | q[64*g+32+i]<<4
			}
		}
	}
}

// settle returns the scale, at most 1 from the given one, and the minimum that leave the least error with the codes as they are: both have
// been rounded, and what one of them lost the other can make good in part. Weights is Σ w.
func (r residue) settle(weights, unitD, unitM float32, scale, least int) (bestScale, bestLeast int) {
	inverse := reciprocal(unitM)
	lowest := float32(math.Inf(1))
	for s := max(0, scale-1); s <= min(63, scale+1); s++ {
		d := unitD * float32(s-scale)
		m := least + round(float32((float32(d*r.codes)-r.rest)/weights*inverse), float32(-least), float32(63-least))
		more := unitM * float32(m-least)
		// Σ w·(left − d·code + more)², less Σ w·left²
		e := float32(d*(float32(d*r.squares)-2*r.products)) + float32(more*(float32(more*weights)+2*(r.rest-float32(d*r.codes))))
		if e < lowest {
			lowest, bestScale, bestLeast = e, s, m
		}
	}
	return bestScale, bestLeast
}

// packPairs writes eight scales and eight minimums of six bits to 12 bytes.
func packPairs(dst []byte, scale, least *[8]uint8) {
	for g := range 4 {
		dst[g] = scale[g] | scale[4+g]>>4<<6
		dst[4+g] = least[g] | least[4+g]>>4<<6
		dst[8+g] = scale[4+g]&15 | least[4+g]<<4
	}
}

// searchQ6_K encodes a row as Q6_K: blocks of 16 groups of 16, each with a scale of eight bits in units of the block's.
func searchQ6_K(l level, dst []byte, src []float32, columns importance) {
	t, units := newSymmetric(l, 32), newSymmetric(l, 128)
	var w [256]float32
	var q [256]uint8
	for at := 0; at < len(src); at, dst = at+256, dst[210:] {
		x := src[at : at+256]
		columns.weigh(l, w[:], x, at, meanSquare(x))
		var d, weights [16]float32
		for g := range 16 {
			d[g] = t.symmetric(x[16*g:16*g+16], w[16*g:16*g+16])
			weights[g] = t.weights
		}
		unit := putHalf(dst[208:], units.symmetric(d[:], weights[:]))
		inverse := reciprocal(unit)
		for g := range 16 {
			x, w := x[16*g:16*g+16], w[16*g:16*g+16]
			s := round(float32(d[g]*inverse), -128, 127)
			step := unit * float32(s)
			more := l.residue(x, w, step, reciprocal(step), 0, -32, 31).scale()
			s = min(max(s+round(float32(more*inverse), -1, 1), -128), 127)
			dst[192+g] = byte(s)
			l.codes(q[16*g:16*g+16], x, reciprocal(unit*float32(s)), 0, -32, 31)
		}
		for h := range 2 {
			low, high, q := dst[64*h:64*h+64], dst[128+32*h:160+32*h], q[128*h:128*h+128]
			for i := range 32 {
				low[i] = q[i]&15 | q[i+64]<<4
				low[i+32] = q[i+32]&15 | q[i+96]<<4
				high[i] = q[i]>>4 | q[i+32]>>4<<2 | q[i+64]>>4<<4 | q[i+96]>>4<<6
			}
		}
	}
}

// searchIQ4_XS encodes a row as IQ4_XS: blocks of eight groups of 32, each with a scale of six bits in units of the block's.
func searchIQ4_XS(l level, dst []byte, src []float32, columns importance) {
	t, units := newTabled(l), newSymmetric(l, 32)
	var w [256]float32
	var q [32]uint8
	for at := 0; at < len(src); at, dst = at+256, dst[136:] {
		x := src[at : at+256]
		columns.weigh(l, w[:], x, at, meanSquare(x))
		var d, weights [8]float32
		for g := range 8 {
			d[g] = t.tabled(x[32*g:32*g+32], w[32*g:32*g+32])
			for _, v := range w[32*g : 32*g+32] {
				weights[g] += v
			}
		}
		unit := putHalf(dst, units.symmetric(d[:], weights[:]))
		inverse := reciprocal(unit)
		var high uint16
		var low uint32
		for g := range 8 {
			x, w := x[32*g:32*g+32], w[32*g:32*g+32]
			s := round(float32(d[g]*inverse), -32, 31)
			step := unit * float32(s)
			more := l.tableResidue(x, w, step, reciprocal(step)).scale()
			s = min(max(s+round(float32(more*inverse), -1, 1), -32), 31)
			low |= uint32(s+32) & 15 << (4 * g)
			high |= uint16(s+32) >> 4 << (2 * g)
			l.tableCodes(q[:], x, reciprocal(unit*float32(s)))
			packNibbles(dst[8+16*g:], q[:])
		}
		binary.LittleEndian.PutUint16(dst[2:], high)
		binary.LittleEndian.PutUint32(dst[4:], low)
	}
}
