package quant

import (
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/tensor"
)

// best returns the best level that the machine runs.
func best() level {
	switch {
	case machine.Supports(machine.AVX512...):
		return avx512
	case machine.Supports(machine.AVX2...):
		return avx2
	}
	return portable
}

// The loops by level: what xPortable says. On AVX2 those of IQ4 are portable: its permutations are too narrow for the tables.

func (t *trials) linear(x, w []float32, inverse, least float32) {
	w = w[:len(x)]
	switch {
	case t.level == portable || len(x) == 0:
		t.linearPortable(x, w, inverse, least)
	case t.level == avx2:
		linearAVX2(t, &x[0], &w[0], len(x), inverse, least)
	default:
		linearAVX512(t, &x[0], &w[0], len(x), inverse, least)
	}
}

func (t *trials) nonlinear(x, w []float32, inverse float32) {
	w = w[:len(x)]
	if t.level < avx512 || len(x) == 0 {
		t.nonlinearPortable(x, w, inverse)
		return
	}
	nonlinearAVX512(t, &cells.border[0], &x[0], &w[0], len(x), inverse)
}

func (t *trials) closest() int {
	switch t.level {
	case portable:
		return t.closestPortable()
	case avx2:
		return closestAVX2(t)
	}
	return closestAVX512(t)
}

func (t *trials) closestAffine(bound float32) int {
	switch t.level {
	case portable:
		return t.closestAffinePortable(bound)
	case avx2:
		return closestAffineAVX2(t, bound)
	}
	return closestAffineAVX512(t, bound)
}

func (l level) codes(q []uint8, x []float32, inverse, least, low, high float32) {
	q = q[:len(x)]
	switch {
	case l == portable || len(x) == 0 || len(x)%16 != 0:
		codesPortable(q, x, inverse, least, low, high)
	case l == avx2:
		codesAVX2(&q[0], &x[0], len(x), inverse, least, low, high)
	default:
		codesAVX512(&q[0], &x[0], len(x), inverse, least, low, high)
	}
}

func (l level) tableCodes(q []uint8, x []float32, inverse float32) {
	q = q[:len(x)]
	if l < avx512 || len(x) == 0 || len(x)%16 != 0 {
		tableCodesPortable(q, x, inverse)
		return
	}
	tableCodesAVX512(&q[0], &cells.border[0], &lowCodes[0], &x[0], len(x), inverse)
}

func (l level) residue(x, w []float32, step, inverse, least, low, high float32) (r residue) {
	w = w[:len(x)]
	switch {
	case l == portable || len(x) == 0 || len(x)%16 != 0:
		r.setPortable(x, w, step, inverse, least, low, high)
	case l == avx2:
		residueAVX2(&r, &x[0], &w[0], len(x), step, inverse, least, low, high)
	default:
		residueAVX512(&r, &x[0], &w[0], len(x), step, inverse, least, low, high)
	}
	return r
}

func (l level) tableResidue(x, w []float32, step, inverse float32) (r residue) {
	w = w[:len(x)]
	if l < avx512 || len(x) == 0 || len(x)%16 != 0 {
		r.setTablePortable(x, w, step, inverse)
		return r
	}
	tableResidueAVX512(&r, &cells.border[0], &x[0], &w[0], len(x), step, inverse)
	return r
}

func (l level) weigh(w, x []float32, twice float32) {
	w = w[:len(x)]
	switch {
	case l == portable || len(x) == 0 || len(x)%16 != 0:
		weighPortable(w, x, twice)
	case l == avx2:
		weighAVX2(&w[0], &x[0], len(x), twice)
	default:
		weighAVX512(&w[0], &x[0], len(x), twice)
	}
}

// peak returns the largest magnitude of x, as bits.
func (l level) peak(x []float32) uint32 {
	n := len(x) &^ 15
	switch {
	case l == portable || n == 0:
		return peakPortable(x)
	case l == avx2:
		return max(peakAVX2(&x[0], n), peakPortable(x[n:]))
	}
	return max(peakAVX512(&x[0], n), peakPortable(x[n:]))
}

// round encodes x in a format that has no search: what Format.Encode does.
func (l level) round(f tensor.Format, dst []byte, x []float32) error {
	n := len(x) &^ 15
	if l == portable || n == 0 {
		return f.Encode(dst, x)
	}
	dst = dst[:f.RowBytes(len(x))]
	wide := l >= avx512
	switch {
	case f == tensor.F16 && wide:
		encodeF16AVX512(&dst[0], &x[0], n)
	case f == tensor.F16:
		encodeF16AVX2(&dst[0], &x[0], n)
	case f == tensor.BF16 && wide:
		encodeBF16AVX512(&dst[0], &x[0], n)
	case f == tensor.BF16:
		encodeBF16AVX2(&dst[0], &x[0], n)
	case f == tensor.Q8_0 && wide:
		encodeQ8_0AVX512(&dst[0], &x[0], n/32)
	case f == tensor.Q8_0:
		encodeQ8_0AVX2(&dst[0], &x[0], n/32)
	case f == tensor.Q4_0 && wide:
		encodeQ4_0AVX512(&dst[0], &x[0], n/32)
	case f == tensor.Q4_0:
		encodeQ4_0AVX2(&dst[0], &x[0], n/32)
	default:
		n = 0
	}
	if n == len(x) {
		return nil
	}
	return f.Encode(dst[f.RowBytes(n):], x[n:])
}

//go:noescape
func peakAVX2(x *float32, n int) uint32

//go:noescape
func encodeF16AVX2(dst *byte, x *float32, n int)

//go:noescape
func encodeBF16AVX2(dst *byte, x *float32, n int)

//go:noescape
func encodeQ8_0AVX2(dst *byte, x *float32, blocks int)

//go:noescape
func encodeQ4_0AVX2(dst *byte, x *float32, blocks int)

//go:noescape
func linearAVX2(t *trials, x, w *float32, n int, inverse, least float32)

//go:noescape
func closestAVX2(t *trials) int

//go:noescape
func closestAffineAVX2(t *trials, bound float32) int

//go:noescape
func codesAVX2(q *uint8, x *float32, n int, inverse, least, low, high float32)

//go:noescape
func residueAVX2(r *residue, x, w *float32, n int, step, inverse, least, low, high float32)

//go:noescape
func weighAVX2(w, x *float32, n int, twice float32)

//go:noescape
func linearAVX512(t *trials, x, w *float32, n int, inverse, least float32)

//go:noescape
func nonlinearAVX512(t *trials, tables, x, w *float32, n int, inverse float32)

//go:noescape
func closestAVX512(t *trials) int

//go:noescape
func closestAffineAVX512(t *trials, bound float32) int

//go:noescape
func codesAVX512(q *uint8, x *float32, n int, inverse, least, low, high float32)

//go:noescape
func tableCodesAVX512(q *uint8, tables *float32, codes *uint8, x *float32, n int, inverse float32)

//go:noescape
func residueAVX512(r *residue, x, w *float32, n int, step, inverse, least, low, high float32)

//go:noescape
func tableResidueAVX512(r *residue, tables, x, w *float32, n int, step, inverse float32)

//go:noescape
func weighAVX512(w, x *float32, n int, twice float32)

//go:noescape
func peakAVX512(x *float32, n int) uint32

//go:noescape
func encodeF16AVX512(dst *byte, x *float32, n int)

//go:noescape
func encodeBF16AVX512(dst *byte, x *float32, n int)

//go:noescape
func encodeQ8_0AVX512(dst *byte, x *float32, blocks int)

//go:noescape
func encodeQ4_0AVX512(dst *byte, x *float32, blocks int)
