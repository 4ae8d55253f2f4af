//go:build amd64 || arm64

package kernels

import (
	"math/bits"
	"sync"
	"unsafe"

	"github.com/gogemma/gemma4/tensor"
)

// scoresLoop is tensor.Kernels.Scores in assembly, for at least one query and an even number of keys of keyBytes bytes, rowBytes from one
// to the next, and weighLoop is Weigh, for at least one query and one value; dim is a multiple of 32 above 0. They prefetch what lies ahead
// bytes behind each key or value.
//
// scoresMany and weighMany, which a level may have besides, make floats of each key or value once for all queries: of up to keysLen numbers
// of keys, or of up to panelLen values. At each step, two keys' 32 numbers by a tile of queries, scoresMany fetches what is so many bytes
// further.
type (
	scoresLoop     func(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
	scoresManyLoop func(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count int, next uintptr, step int)
	weighLoop      func(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
)

// fetch is what products fetch in passing: so many bytes further with each step. It is an address, as it may lie behind its object.
type fetch struct {
	next uintptr
	step int
}

// fetching spreads what lies at next over so many steps; without any, the same line of what is multiplied is fetched again and again.
func fetching(next []byte, steps int, instead unsafe.Pointer) fetch {
	if len(next) == 0 {
		return fetch{next: uintptr(instead)}
	}
	return fetch{uintptr(unsafe.Pointer(&next[0])), len(next) / steps}
}

// skip goes on behind what steps have fetched.
func (f *fetch) skip(steps int) { f.next += uintptr(steps * f.step) }

// tiles returns how many tiles n rows are multiplied in: of most rows and, for what is left, of powers of two.
func tiles(n, most int) int { return n/most + bits.OnesCount(uint(n%most)) }

// portable is the table of the functions that loops leave their rest to. Nobody changes it.
var portable = sync.OnceValue(tensor.Portable)

// attention puts loops for a format into the table; scoresMany has tiles of so many queries.
func attention(k *tensor.Kernels, f tensor.Format, scores scoresLoop, scoresMany scoresManyLoop, tile int, weigh, weighMany weighLoop) {
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
		if scoresMany != nil && n > queries && count > 0 && dim > 0 && dim <= keysLen/2 {
			_ = dst[(n-1)*stride+count-1]
			fetch := fetching(next, count/2*dim/32*tiles(n, tile), unsafe.Pointer(&keys[0]))
			for i := 0; i < n; i += manyQueries {
				some := min(manyQueries, n-i)
				for j, m := 0, keysLen/dim&^1; j < count; j += m {
					m = min(m, count-j)
					scoresMany(&dst[i*stride+j], stride, &q[i*dim], some, dim, &keys[j*rowBytes], rowBytes, m, fetch.next, fetch.step)
					fetch.skip(m / 2 * dim / 32 * tiles(some, tile))
				}
			}
			return
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

// keysLen is how many numbers of keys are made floats at a time: they stay in the first cache, beside the queries of a tile.
const keysLen = 4096

// panelLen is how many values are made floats at a time, and manyQueries how many queries go over them in one call.
const panelLen, manyQueries = 64, 128

// distance returns how many bytes behind a block the next one lies, or in front of it; 0 if there is none.
func distance(block, next []byte) int {
	if len(next) == 0 {
		return 0
	}
	return int(uintptr(unsafe.Pointer(unsafe.SliceData(next))) - uintptr(unsafe.Pointer(unsafe.SliceData(block))))
}
