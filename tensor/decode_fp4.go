package tensor

import "math"

// The 4-bit floats of the OCP microscaling formats: a sign, two exponent bits and one fraction bit, here doubled to
// make them integers. Nibbles lie as in Q4_0, in runs of 32 (MXFP4) or 16 values (NVFP4) with a scale each.

var fp4Values = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

func decodeMXFP4(dst []float32, src []byte) {
	for ; len(dst) >= 32; dst, src = dst[32:], src[17:] {
		y, b := (*[32]float32)(dst), (*[17]byte)(src)
		table := scaledTable(&fp4Values, e8m0Half(b[0]))
		nibbles(y[:], b[1:], &table)
	}
}

func decodeNVFP4(dst []float32, src []byte) {
	for ; len(dst) >= 64; dst, src = dst[64:], src[36:] {
		y, b := (*[64]float32)(dst), (*[36]byte)(src)
		for g, e := range b[:4] {
			table := scaledTable(&fp4Values, e4m3Half(e))
			nibbles(y[16*g:16*g+16], b[4+8*g:12+8*g], &table)
		}
	}
}

// e8m0Half returns 2^(e-128), half the scale that e stands for. The two smallest are subnormal.
func e8m0Half(e byte) float32 {
	if e < 2 {
		return math.Float32frombits(1 << 21 << e)
	}
	return math.Float32frombits(uint32(e-1) << 23)
}

// e4m3Half returns half of an unsigned float with four exponent bits and three fraction bits. 0x7F, where the standard
// has NaN, counts as 0. The exponent of a byte above 0x7F, which no writer makes, has five bits.
func e4m3Half(e byte) float32 {
	switch {
	case e == 0x7F:
		return 0
	case e < 8:
		return float32(e) / 1024
	}
	return math.Float32frombits(uint32(e)<<20 + (127-8)<<23)
}

// scaledTable returns d times each of the 16 values that a nibble can stand for.
func scaledTable(values *[16]int8, d float32) (table [16]float32) {
	for i, v := range values {
		table[i] = d * float32(v)
	}
	return table
}

// nibbles looks up the low four bits of all bytes of q in the table, then the high ones. y has two values per byte.
func nibbles(y []float32, q []byte, table *[16]float32) {
	low, high := y[:len(q)], y[len(q):2*len(q)]
	for i, v := range q {
		low[i] = table[v&15]
		high[i] = table[v>>4]
	}
}
