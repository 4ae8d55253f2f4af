package kernels

import (
	"sync"
	"unsafe"

	"github.com/gogemma/gemma4/tensor"
)

// unit is 64 weights in 8 bits, with the scale and the minimum of each of four lanes: 16 weights have lane i/16, and where the
// scale belongs to 32 weights, two lanes have the same one.
type unit struct {
	q     [64]int8
	scale [4]float32
	min   [4]float32
}

const (
	unitSize  = int(unsafe.Sizeof(unit{}))
	q8Size    = int(unsafe.Sizeof(tensor.Q8{}))
	packUnits = 12 // units that are packed together: three super-blocks, eight spans
)

// kind is what units hold.
type kind byte

const (
	plain  kind = iota // a scale for each 32 weights
	mins               // and a minimum
	groups             // a scale for each 16 weights
	kinds
	groupMins // and a minimum, which panels do not know
)

// kindOf tells which kind of units unpack makes of a format.
func kindOf(f tensor.Format) kind {
	switch f {
	case tensor.Q4_1, tensor.Q5_1, tensor.Q4_K, tensor.Q5_K:
		return mins
	case tensor.Q3_K, tensor.Q6_K, tensor.IQ2_XS, tensor.IQ2_S, tensor.IQ1_M, tensor.NVFP4:
		return groups
	case tensor.Q2_K:
		return groupMins
	}
	return plain
}

// unpacked are the formats that unpack knows.
var unpacked = [...]tensor.Format{
	tensor.Q4_0, tensor.Q4_1, tensor.Q5_0, tensor.Q5_1, tensor.Q8_0, tensor.Q2_K, tensor.Q3_K, tensor.Q4_K, tensor.Q5_K, tensor.Q6_K,
	tensor.IQ1_S, tensor.IQ1_M, tensor.IQ2_XXS, tensor.IQ2_XS, tensor.IQ2_S, tensor.IQ3_XXS, tensor.IQ3_S, tensor.IQ4_NL, tensor.IQ4_XS,
	tensor.TQ1_0, tensor.TQ2_0, tensor.MXFP4, tensor.NVFP4,
}

// The codebooks as weights: eight for each index, four of IQ3. The assembly looks them up by these names.
var iq1Weights, iq2xxsWeights, iq2xsWeights, iq2sWeights, iq3xxsWeights, iq3sWeights []byte

// makeCodebooks comes before every call of assembly that looks something up.
var makeCodebooks = sync.OnceFunc(func() {
	iq1Weights = tensor.CodebookValues(tensor.IQ1_S)
	for i := range iq1Weights {
		iq1Weights[i] -= 9
	}
	iq2xxsWeights = tensor.CodebookValues(tensor.IQ2_XXS)
	iq2xsWeights = tensor.CodebookValues(tensor.IQ2_XS)
	iq2sWeights = tensor.CodebookValues(tensor.IQ2_S)
	iq3xxsWeights = tensor.CodebookValues(tensor.IQ3_XXS)
	iq3sWeights = tensor.CodebookValues(tensor.IQ3_S)
})

// unpack sets the units of a row. It is no table, so that arguments do not escape.
func unpack(f tensor.Format, dst []unit, row []byte) {
	_ = dst[tensor.Q8Len(len(row)/f.BlockBytes()*f.BlockLen())-1]
	if tensor.Codebook(f) != nil {
		makeCodebooks()
	}
	switch f {
	case tensor.Q4_0:
		unpackQ40(&row[0], len(row), &dst[0])
	case tensor.Q5_0:
		unpackQ50(&row[0], len(row), &dst[0])
	case tensor.Q8_0:
		unpackQ80(&row[0], len(row), &dst[0])
	case tensor.Q4_K:
		unpackQ4K(&row[0], len(row), &dst[0])
	case tensor.Q5_K:
		unpackQ5K(&row[0], len(row), &dst[0])
	case tensor.Q6_K:
		unpackQ6K(&row[0], len(row), &dst[0])
	case tensor.IQ4_NL:
		unpackIQ4NL(&row[0], len(row), &dst[0])
	case tensor.IQ4_XS:
		unpackIQ4XS(&row[0], len(row), &dst[0])
	case tensor.MXFP4:
		unpackMXFP4(&row[0], len(row), &dst[0])
	case tensor.Q4_1:
		unpackQ41(&row[0], len(row), &dst[0])
	case tensor.Q5_1:
		unpackQ51(&row[0], len(row), &dst[0])
	case tensor.Q2_K:
		unpackQ2K(&row[0], len(row), &dst[0])
	case tensor.Q3_K:
		unpackQ3K(&row[0], len(row), &dst[0])
	case tensor.TQ1_0:
		unpackTQ10(&row[0], len(row), &dst[0])
	case tensor.TQ2_0:
		unpackTQ20(&row[0], len(row), &dst[0])
	case tensor.NVFP4:
		unpackNVFP4(&row[0], len(row), &dst[0])
	case tensor.IQ2_XXS:
		unpackIQ2XXS(&row[0], len(row), &dst[0])
	case tensor.IQ2_XS:
		unpackIQ2XS(&row[0], len(row), &dst[0])
	case tensor.IQ2_S:
		unpackIQ2S(&row[0], len(row), &dst[0])
	case tensor.IQ3_XXS:
		unpackIQ3XXS(&row[0], len(row), &dst[0])
	case tensor.IQ3_S:
		unpackIQ3S(&row[0], len(row), &dst[0])
	case tensor.IQ1_S:
		unpackIQ1S(&row[0], len(row), &dst[0])
	case tensor.IQ1_M:
		unpackIQ1M(&row[0], len(row), &dst[0])
	}
}

// quantizer is tensor.Kernels.Quantize, which the table that the panels are for has got already.
type quantizer func(dst []tensor.Q8, x []float32)

// local quantises to the caller's stack. The compiler must take what a function value is handed for kept, and would move it to the heap;
// functions of a table keep nothing.
func (f quantizer) local(dst *[packUnits]tensor.Q8, x []float32) {
	address := uintptr(unsafe.Pointer(dst))
	hidden := *(**[packUnits]tensor.Q8)(unsafe.Pointer(&address))
	f(hidden[:tensor.Q8Len(len(x))], x)
}

// round sets the units of a row of numbers, up to packUnits of them.
func (f quantizer) round(dst []unit, row []float32) {
	var q [packUnits]tensor.Q8
	f.local(&q, row)
	for i := range tensor.Q8Len(len(row)) {
		dst[i] = unit{q: q[i].Q, scale: [4]float32(q[i].Scale[6:])}
	}
}

// The unpackers, see rows_arm64.h.

//go:noescape
func unpackQ40(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackQ50(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackQ80(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackQ4K(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackQ5K(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackQ6K(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackIQ4NL(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackIQ4XS(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackMXFP4(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackQ41(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackQ51(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackQ2K(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackQ3K(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackTQ10(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackTQ20(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackNVFP4(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackIQ2XXS(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackIQ2XS(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackIQ2S(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackIQ3XXS(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackIQ3S(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackIQ1S(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackIQ1M(w *byte, rowBytes int, dst *unit)

// expandNEON sets dst to what at least one unit stands for, expandMinsNEON where there are minimums.
//
//go:noescape
func expandNEON(dst *float32, src *unit, units int)

//go:noescape
func expandMinsNEON(dst *float32, src *unit, units int)
