package quant

import (
	"encoding/binary"
	"math"
)

// searchK encodes a row as Q4_K or Q5_K: blocks of eight groups of 32, each with a scale and a minimum of six bits in units of the block's.
func searchK(dst []byte, src []float32, columns importance, bits int) {
	var t trials
	var w [256]float32
	var q [256]uint8
	size, top := 144, float32(15)
	if bits == 5 {
		size, top = 176, 31
	}
	for at := 0; at < len(src); at, dst = at+256, dst[size:] {
		x := src[at : at+256]
		columns.weigh(w[:], x, at, meanSquare(x))
		var d, m, weights [8]float32
		for g := range 8 {
			v := w[32*g : 32*g+32]
			d[g], m[g] = t.affine(x[32*g:32*g+32], v, top, 0)
			m[g] = -m[g]
			for _, v := range v {
				weights[g] += v
			}
		}
		unitD := putHalf(dst[0:], t.unsigned(d[:], weights[:], 63))
		unitM := putHalf(dst[2:], t.unsigned(m[:], weights[:], 63))
		inverseD, inverseM := reciprocal(unitD), reciprocal(unitM)
		var scale, least [8]uint8
		for g := range 8 {
			x, w, q := x[32*g:32*g+32], w[32*g:32*g+32], q[32*g:32*g+32]
			s, l := round(float32(d[g]*inverseD), 0, 63), round(float32(m[g]*inverseM), 0, 63)
			affineCodes(q, x, unitD*float32(s), unitM*float32(l), top)
			s, l = settle(q, x, w, unitD, unitM, s)
			affineCodes(q, x, unitD*float32(s), unitM*float32(l), top)
			scale[g], least[g] = uint8(s), uint8(l)
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

// affineCodes sets q to the codes of x between 0 and top, where x is about step·code − least.
func affineCodes(q []uint8, x []float32, step, least, top float32) {
	inverse := reciprocal(step)
	q = q[:len(x)]
	for i, v := range x {
		q[i] = uint8(round(float32((v+least)*inverse), 0, top))
	}
}

// settle returns the scale, at most 1 from the given one, and the minimum that leave the least error with the codes as they are: both have
// been rounded, and what one of them lost the other can make good in part.
func settle(q []uint8, x, w []float32, unitD, unitM float32, given int) (scale, least int) {
	q, w = q[:len(x)], w[:len(x)]
	var weights, sum, codes, squares, products float64
	for i, v := range x {
		weight, code := float64(w[i]), float64(q[i])
		share := float64(weight * code)
		weights += weight
		sum += float64(weight * float64(v))
		codes += share
		squares += float64(share * code)
		products += float64(share * float64(v))
	}
	inverse := reciprocal(unitM)
	lowest := math.Inf(1)
	for s := max(0, given-1); s <= min(63, given+1); s++ {
		d := float64(unitD) * float64(s)
		l := round(float32(float32((float64(d*codes)-sum)/weights)*inverse), 0, 63)
		m := float64(unitM) * float64(l)
		// Σ w·(d·code − m − x)², less Σ w·x²
		e := float64(d*(float64(d*squares)-2*products)) + float64(m*(float64(m*weights)+2*sum-float64(2*d*codes)))
		if e < lowest {
			lowest, scale, least = e, s, l
		}
	}
	return scale, least
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
func searchQ6_K(dst []byte, src []float32, columns importance) {
	var t trials
	var w [256]float32
	var q [256]uint8
	for at := 0; at < len(src); at, dst = at+256, dst[210:] {
		x := src[at : at+256]
		columns.weigh(w[:], x, at, meanSquare(x))
		var d [16]float32
		for g := range 16 {
			d[g] = t.symmetric(x[16*g:16*g+16], w[16*g:16*g+16], 32)
		}
		unit := putHalf(dst[208:], peak(d[:])/-128)
		inverse := reciprocal(unit)
		for g := range 16 {
			s := round(float32(d[g]*inverse), -128, 127)
			dst[192+g] = byte(s)
			inverse := reciprocal(unit * float32(s))
			for i := 16 * g; i < 16*g+16; i++ {
				q[i] = uint8(round(float32(x[i]*inverse), -32, 31) + 32)
			}
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
func searchIQ4_XS(dst []byte, src []float32, columns importance) {
	var t trials
	var w [256]float32
	var q [32]uint8
	for at := 0; at < len(src); at, dst = at+256, dst[136:] {
		x := src[at : at+256]
		columns.weigh(w[:], x, at, meanSquare(x))
		var d [8]float32
		for g := range 8 {
			d[g] = t.tabled(x[32*g:32*g+32], w[32*g:32*g+32])
		}
		unit := putHalf(dst, peak(d[:])/-32)
		inverse := reciprocal(unit)
		var high uint16
		var low uint32
		for g := range 8 {
			s := round(float32(d[g]*inverse), -32, 31)
			low |= uint32(s+32) & 15 << (4 * g)
			high |= uint16(s+32) >> 4 << (2 * g)
			inverse := reciprocal(unit * float32(s))
			for i, v := range x[32*g : 32*g+32] {
				q[i] = nearest(float32(v * inverse))
			}
			packNibbles(dst[8+16*g:], q[:])
		}
		binary.LittleEndian.PutUint16(dst[2:], high)
		binary.LittleEndian.PutUint32(dst[4:], low)
	}
}
