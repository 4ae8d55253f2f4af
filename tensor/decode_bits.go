package tensor

// Formats of one and two bits per value, least significant bits first, with one half as scale in front. No level has kernels of its own
// for them: their rows are decoded.

func decodeQ1_0(dst []float32, src []byte) {
	for ; len(dst) >= 128; dst, src = dst[128:], src[18:] {
		y, b := (*[128]float32)(dst), (*[18]byte)(src)
		d := f16(b[0:])
		for i, q := range b[2:] {
			for j := range 8 {
				y[8*i+j] = d * float32(int32(q>>j&1)*2-1)
			}
		}
	}
}

func decodeQ2_0(dst []float32, src []byte) {
	for ; len(dst) >= 64; dst, src = dst[64:], src[18:] {
		pairs(dst[:64], src[:18])
	}
}

func decodeQ2_0_128(dst []float32, src []byte) {
	for ; len(dst) >= 128; dst, src = dst[128:], src[34:] {
		pairs(dst[:128], src[:34])
	}
}

// pairs decodes one block of two bits per value: codes 0 to 3 stand for −1 to 2.
func pairs(y []float32, b []byte) {
	d := f16(b)
	for i, q := range b[2:] {
		for j := range 4 {
			y[4*i+j] = d * float32(int32(q>>(2*j)&3)-1)
		}
	}
}
