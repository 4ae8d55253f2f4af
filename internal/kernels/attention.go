//go:build amd64 || arm64

package kernels

import (
	"sync"
	"unsafe"

	"github.com/gogemma/gemma4/tensor"
)

// scoresLoop is tensor.Kernels.Scores in assembly, for at least one query and an even number of keys of keyBytes bytes, rowBytes from one
// to the next, and weighLoop is Weigh, for at least one query and one value; dim is a multiple of 32 above 0. They prefetch what lies ahead
// bytes behind each key or value.
//
// weighMany, which a level may have besides, makes floats of each value once for all queries, of up to panelLen values.
type (
	scoresLoop func(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
	weighLoop  func(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
)

// portable is the table of the functions that loops leave their rest to. Nobody changes it.
var portable = sync.OnceValue(tensor.Portable)

// attention puts loops for a format into the table.
func attention(k *tensor.Kernels, f tensor.Format, scores scoresLoop, weigh, weighMany weighLoop) {
	portableScores, portableWeigh := portable().Scores[f], portable().Weigh[f]
	k.Scores[f] = func(dst []float32, stride int, q []float32, n int, keys []byte, rowBytes, count int, next []byte) {
		dim := len(q) / max(n, 1)
		if dim%32 != 0 || count%2 != 0 {
			portableScores(dst, stride, q, n, keys, rowBytes, count, next)
			return
		}
		size := f.RowBytes(dim)
		if count > 0 {
			_ = keys[:(count-1)*rowBytes+size]
		}
		ahead := distance(keys, next)
		for i := 0; i < n && dim > 0 && count > 0; i += queries {
			m := min(queries, n-i)
			d := dst[i*stride : (i+m-1)*stride+count]
			scores(&d[0], stride, &q[i*dim], m, dim, &keys[0], rowBytes, count, ahead, size)
		}
	}
	k.Weigh[f] = func(dst []float32, n int, w []float32, stride int, values []byte, count int, next []byte) {
		dim := len(dst) / max(n, 1)
		if dim%32 != 0 {
			portableWeigh(dst, n, w, stride, values, count, next)
			return
		}
		size := f.RowBytes(dim)
		_ = values[:size*count]
		ahead := distance(values, next)
		if n == 0 || dim == 0 || count == 0 {
			return
		}
		_ = w[(n-1)*stride+count-1]
		if n <= queries || weighMany == nil {
			for i := 0; i < n; i += queries {
				weigh(&dst[i*dim], min(queries, n-i), dim, &w[i*stride], stride, &values[0], size, count, ahead)
			}
			return
		}
		for j := 0; j < count; j += panelLen {
			for i := 0; i < n; i += manyQueries {
				weighMany(&dst[i*dim], min(manyQueries, n-i), dim, &w[i*stride+j], stride, &values[j*size], size, min(panelLen, count-j),
					ahead)
			}
		}
	}
}

// queries is how many queries go over a block at a time: they stay in the first cache.
const queries = 8

// panelLen is how many values are made floats at a time, and manyQueries how many queries go over them in one call.
const panelLen, manyQueries = 64, 128

// distance returns how many bytes behind a block the next one lies, or in front of it; 0 if there is none.
func distance(block, next []byte) int {
	if len(next) == 0 {
		return 0
	}
	return int(uintptr(unsafe.Pointer(unsafe.SliceData(next))) - uintptr(unsafe.Pointer(unsafe.SliceData(block))))
}
