package tensor

// A cache's keys and values are decoded a little at a time, so that the room for it lies on the stack.

// decodeLen is how many numbers are decoded at a time, whole blocks of all formats that a cache may have.
const decodeLen = 64

// scoresOf returns Kernels.Scores for a format. A query goes past the decoded keys by dot, so many at a time.
func scoresOf(f Format) func(dst []float32, stride int, q []float32, n int, keys []byte, rowBytes, count int, _ []byte) {
	return func(dst []float32, stride int, q []float32, n int, keys []byte, rowBytes, count int, _ []byte) {
		dim := len(q) / max(n, 1)
		size := f.RowBytes(dim)
		var room [decodeLen]float32
		for j := range count {
			for at := 0; at < dim; at += decodeLen {
				v := room[:min(decodeLen, dim-at)]
				f.decode(v, keys[j*rowBytes+f.RowBytes(at):j*rowBytes+size])
				for i := range n {
					dst[i*stride+j] += dot(q[i*dim+at:][:len(v)], v)
				}
			}
		}
	}
}

// weighOf returns Kernels.Weigh for a format.
func weighOf(f Format) func(dst []float32, n int, w []float32, stride int, values []byte, count int, _ []byte) {
	return func(dst []float32, n int, w []float32, stride int, values []byte, count int, _ []byte) {
		dim := len(dst) / max(n, 1)
		size := f.RowBytes(dim)
		var room [decodeLen]float32
		for j := range count {
			for at := 0; at < dim; at += decodeLen {
				v := room[:min(decodeLen, dim-at)]
				f.decode(v, values[j*size+f.RowBytes(at):(j+1)*size])
				for i := range n {
					addScaled(dst[i*dim+at:][:len(v)], v, w[i*stride+j])
				}
			}
		}
	}
}
