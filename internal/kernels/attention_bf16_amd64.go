package kernels

import (
	"unsafe"

	"github.com/gogemma/gemma4/tensor"
)

// attentionBF16 fills in attention with products of VDPBF16PS.
func attentionBF16(k *tensor.Kernels) {
	a := tensor.PairAttention()
	a.PackQueries = func(dst []uint16, q []float32, stride, n, dim int) {
		if n == 0 || dim == 0 {
			return
		}
		_, _ = dst[n*tensor.Packed(dim)-1], q[(n-1)*stride+dim-1]
		packQueriesBF16(&dst[0], &q[0], stride, n, dim)
	}
	for f, pack := range map[tensor.Format][2]func(dst *uint16, rows *byte, rowBytes, count, dim int){
		tensor.F32:  {packKeysF32BF16, packValuesF32BF16},
		tensor.F16:  {packKeysF16BF16, packValuesF16BF16},
		tensor.Q8_0: {packKeysQ8_0BF16, packValuesQ8_0BF16},
		tensor.Q4_0: {packKeysQ4_0BF16, packValuesQ4_0BF16},
	} {
		a.PackKeys[f] = stripPacker(f, pack[0], func(dim int) int { return tensor.Packed(dim) * tensor.Strip })
		a.PackValues[f] = stripPacker(f, pack[1], tensor.PackedValues)
	}
	loops := [...]multiplyLoop{multiply1BF16, multiply2BF16, multiply3BF16, multiply4BF16}
	a.Scores = func(dst []float32, q []uint16, n int, keys []uint16, dim int, next []byte) {
		size := tensor.Packed(dim)
		if n == 0 {
			return
		}
		_, _, _ = dst[n*tensor.Strip-1], q[n*size-1], keys[size*tensor.Strip-1]
		pairs := (dim + 1) / 2
		f := fetching(next, tiles(n, pairQueries)*pairs, unsafe.Pointer(&keys[0]))
		for i := 0; i < n; i += callQueries {
			some := min(callQueries, n-i)
			multiply4BF16(&dst[i*tensor.Strip], tensor.Strip, &q[i*size], size, &keys[0], some, pairs, 4, 0, 0xFFFF, f.next, f.step)
			f.skip(tiles(some, pairQueries) * pairs)
		}
	}
	a.Softmax = softmax
	a.Weigh = func(dst []float32, stride int, factor []float32, weights, values []uint16, dim int, next []byte) {
		n := len(factor)
		if n == 0 || dim == 0 {
			return
		}
		_, _, _ = dst[(n-1)*stride+dim-1], weights[n*tensor.Strip-1], values[tensor.PackedValues(dim)-1]
		rescale(k, dst, stride, factor, dim)
		const pairs = tensor.Strip / 2
		f := fetching(next, ceilDiv(dim, 64)*tiles(n, pairQueries)*pairs, unsafe.Pointer(&values[0]))
		for d := 0; d < dim; d += 64 {
			columns := min(64, dim-d)
			multiply, last := loops[ceilDiv(columns, 16)-1], uint32(0xFFFF)>>(-columns&15)
			for i := 0; i < n; i += callQueries {
				some := min(callQueries, n-i)
				multiply(&dst[i*stride+d], stride, &weights[i*tensor.Strip], tensor.Strip, &values[d*tensor.Strip], some, pairs,
					ceilDiv(columns, 16), 0xFFFF, last, f.next, f.step)
				f.skip(tiles(some, pairQueries) * pairs)
			}
		}
	}
	k.Attention = a
}

// rescale scales rows of dst by factors.
func rescale(k *tensor.Kernels, dst []float32, stride int, factor []float32, dim int) {
	for i, f := range factor {
		if f != 1 {
			row := dst[i*stride:][:dim]
			k.Scale(row, row, f)
		}
	}
}

// pairQueries is how many queries a tile of the assembly has at most.
const pairQueries = 6

// callQueries is how many queries a call of the assembly takes at most: of 512 numbers that is a tenth of a millisecond.
const callQueries = 384

// stripPacker makes a packer of a strip's keys or values of a loop that sets size(dim) numbers.
func stripPacker(f tensor.Format, pack func(dst *uint16, rows *byte, rowBytes, count, dim int), size func(dim int) int) func(
	dst []uint16, rows []byte, rowBytes, count, dim int) {
	return func(dst []uint16, rows []byte, rowBytes, count, dim int) {
		if dim == 0 {
			return
		}
		_ = dst[size(dim)-1]
		if count == 0 {
			clear(dst[:size(dim)])
			return
		}
		_ = rows[(count-1)*rowBytes+f.RowBytes(dim)-1]
		pack(&dst[0], &rows[0], rowBytes, min(count, tensor.Strip), dim)
	}
}

// softmax is tensor.OnlineSoftmax. The assembly takes 16 queries at a time.
func softmax(weights []uint16, scores, top, sum, factor []float32) {
	n := len(top)
	if n == 0 {
		return
	}
	const size = tensor.Strip
	_, _, _, _ = weights[n*size-1], scores[n*size-1], sum[n-1], factor[n-1]
	whole := n &^ 15
	for i := 0; i < whole; i += callQueries {
		softmaxBF16(&weights[i*size], &scores[i*size], &top[i], &sum[i], &factor[i], min(callQueries, whole-i))
	}
	if whole == n {
		return
	}
	var room struct {
		weights          [16 * size]uint16
		scores           [16 * size]float32
		top, sum, factor [16]float32
	}
	copy(room.scores[:], scores[whole*size:n*size])
	copy(room.top[:], top[whole:])
	copy(room.sum[:], sum[whole:n])
	softmaxBF16(&room.weights[0], &room.scores[0], &room.top[0], &room.sum[0], &room.factor[0], 16)
	copy(weights[whole*size:n*size], room.weights[:])
	copy(top[whole:], room.top[:])
	copy(sum[whole:n], room.sum[:])
	copy(factor[whole:n], room.factor[:])
}

//go:noescape
func packQueriesBF16(dst *uint16, q *float32, stride, n, dim int)

// multiplyLoop sets dst [n, 16·vectors] to the products of rows a [n, 2·pairs] and of b [pairs, 16·vectors, 2], or adds them to what dst
// has where add is 0xFFFF, not 0. Of the last vector there is what last has bits for. For each pair of a tile of rows what lies at next is
// fetched, and next goes on by step bytes.
type multiplyLoop func(dst *float32, stride int, a *uint16, aStride int, b *uint16, n, pairs, vectors int, add, last uint32, next uintptr,
	step int)

//go:noescape
func multiply1BF16(dst *float32, stride int, a *uint16, aStride int, b *uint16, n, pairs, vectors int, add, last uint32, next uintptr,
	step int)

//go:noescape
func multiply2BF16(dst *float32, stride int, a *uint16, aStride int, b *uint16, n, pairs, vectors int, add, last uint32, next uintptr,
	step int)

//go:noescape
func multiply3BF16(dst *float32, stride int, a *uint16, aStride int, b *uint16, n, pairs, vectors int, add, last uint32, next uintptr,
	step int)

//go:noescape
func multiply4BF16(dst *float32, stride int, a *uint16, aStride int, b *uint16, n, pairs, vectors int, add, last uint32, next uintptr,
	step int)

//go:noescape
func softmaxBF16(weights *uint16, scores, top, sum, factor *float32, n int)

//go:noescape
func packKeysF32BF16(dst *uint16, keys *byte, rowBytes, count, dim int)

//go:noescape
func packKeysF16BF16(dst *uint16, keys *byte, rowBytes, count, dim int)

//go:noescape
func packKeysQ8_0BF16(dst *uint16, keys *byte, rowBytes, count, dim int)

//go:noescape
func packKeysQ4_0BF16(dst *uint16, keys *byte, rowBytes, count, dim int)

//go:noescape
func packValuesF32BF16(dst *uint16, values *byte, rowBytes, count, dim int)

//go:noescape
func packValuesF16BF16(dst *uint16, values *byte, rowBytes, count, dim int)

//go:noescape
func packValuesQ8_0BF16(dst *uint16, values *byte, rowBytes, count, dim int)

//go:noescape
func packValuesQ4_0BF16(dst *uint16, values *byte, rowBytes, count, dim int)
