package tensor

// The ternary formats: values -1, 0 and 1 in blocks of 256 with one half as scale.

func decodeTQ1_0(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[54:] {
		y, b := (*[256]float32)(dst), (*[54]byte)(src)
		d := f16(b[52:])
		trits(y[:160], b[:32], d)
		trits(y[160:240], b[32:48], d)
		trits(y[240:], b[48:52], d)
	}
}

// trits decodes base-3 digits, most significant first. A byte is a fraction of 256, so that tripling it moves the next
// digit above the byte. All bytes yield their first digit, then all their second, until y is full.
func trits(y []float32, src []byte, d float32) {
	var rest [32]byte
	copy(rest[:], src)
	for ; len(y) >= len(src); y = y[len(src):] {
		for i := range src {
			v := uint32(rest[i&31]) * 3
			y[i] = d * float32(int32(v>>8)-1)
			rest[i&31] = byte(v)
		}
	}
}

func decodeTQ2_0(dst []float32, src []byte) {
	for ; len(dst) >= 256; dst, src = dst[256:], src[66:] {
		y, b := (*[256]float32)(dst), (*[66]byte)(src)
		var q [256]byte
		planes(&q, b[:64], 32, 2, 0)
		scaled(y[:], q[:], f16(b[64:]), 1)
	}
}
