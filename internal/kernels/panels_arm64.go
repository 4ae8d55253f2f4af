package kernels

import (
	"encoding/binary"
	"sync"
	"unsafe"

	"github.com/gogemma/gemma4/tensor"
)

// The panels arithmetic of ARM: activations in 8 bits as in rows, Q8, or in spans where there is SMMLA; weights as the integers that
// they are in the file, with the scales of their blocks, so that a product with Q8 differs from that of rows by rounding alone. Only
// Q2_K, with a minimum for each 16 weights, is decoded and rounded to 8 bits like activations.

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

// A panel begins with its kind.
const panelHeader = 16

// panelsNEON are rows of units: on ARMv8.0 a row kernel is as quick as its multiplications, but for the decoding.
func panelsNEON(quantize quantizer) *tensor.PanelKernels {
	const height = 16
	k := &tensor.PanelKernels{
		Height: height,
		XTile:  1,
		XBytes: func(n, cols int) int { return n * tensor.Q8Len(cols) * q8Size },
		PackX: func(dst []byte, x []float32, n, cols, from, to int) {
			units := tensor.Q8Len(cols)
			for t := from; t < to; t++ {
				quantize(view[tensor.Q8](dst[t*units*q8Size:], units), x[t*cols:(t+1)*cols])
			}
		},
		WBytes: func(cols int) int { return panelHeader + height*tensor.Q8Len(cols)*unitSize },
		PackFloats: func(dst []byte, w []float32, rows, cols int) {
			dst[0] = byte(plain)
			units := tensor.Q8Len(cols)
			out := view[unit](dst[panelHeader:], height*units)
			for r := range rows {
				for from := 0; from < cols; from += 64 * packUnits {
					quantize.round(out[r*units+from/64:], w[r*cols+from:r*cols+min(from+64*packUnits, cols)])
				}
			}
			clear(out[rows*units:])
		},
		Multiply: multiplyUnits,
	}
	for _, f := range unpacked {
		if kindOf(f) == groupMins {
			continue
		}
		k.PackW[f] = func(dst []byte, w []byte, rowBytes, rows, cols int) {
			dst[0] = byte(kindOf(f))
			units := tensor.Q8Len(cols)
			out := view[unit](dst[panelHeader:], height*units)
			for r := range rows {
				unpack(f, out[r*units:(r+1)*units], w[r*rowBytes:(r+1)*rowBytes])
			}
			clear(out[rows*units:])
		}
	}
	return k
}

func multiplyUnits(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int) {
	units := tensor.Q8Len(cols)
	if rows == 0 || units == 0 {
		return
	}
	wu, q := view[unit](w[panelHeader:], rows*units), view[tensor.Q8](x, n*units)
	for t := 0; t < n; t += 4 {
		m := min(4, n-t)
		d := dst[t*stride:]
		_ = d[(m-1)*stride+rows-1]
		switch kind(w[0]) {
		case plain:
			rowsUnitsNEON(&d[0], stride, &wu[0], units*unitSize, rows, &q[t*units], units, m)
		case mins:
			rowsMinUnitsNEON(&d[0], stride, &wu[0], units*unitSize, rows, &q[t*units], units, m)
		case groups:
			rowsGroupUnitsNEON(&d[0], stride, &wu[0], units*unitSize, rows, &q[t*units], units, m)
		}
	}
}

// A strip is four vectors, rows or tokens. Of each block of 32 values it holds the first four values of the four vectors, the
// second four and so on, and behind these the vectors' numbers, as floats: of tokens the scales, and the negative sums of the
// values times these; of rows the scales, −1.5·2²³ times these, and then the minimums, or both numbers of the second group of 16.
const stripTokenBlock = 128 + 2*16 // bytes of a block

var stripRowBlock = [kinds]int{plain: 128 + 2*16, mins: 128 + 3*16, groups: 128 + 4*16}

const stripsHeight = 32 // rows of a panel of strips

func stripPanels(quantize quantizer) *tensor.PanelKernels {
	tokens := func(cols int) int { return 2 * tensor.Q8Len(cols) * stripTokenBlock }
	k := &tensor.PanelKernels{
		Height: stripsHeight,
		XTile:  4,
		XBytes: func(n, cols int) int { return (n + 3) / 4 * tokens(cols) },
		PackX: func(dst []byte, x []float32, n, cols, from, to int) {
			for t := from; t < to; t += 4 {
				m := min(4, to-t)
				packTokenStrip(quantize, dst[t/4*tokens(cols):][:tokens(cols)], x[t*cols:(t+m)*cols], m, cols)
			}
		},
		WBytes: func(cols int) int { return panelHeader + stripsHeight/4*2*tensor.Q8Len(cols)*stripRowBlock[groups] },
		PackFloats: func(dst []byte, w []float32, rows, cols int) {
			packRowStrips(quantize, dst, tensor.F32, nil, 0, w, rows, cols)
		},
		Multiply: multiplyStrips,
	}
	for _, f := range unpacked {
		if kindOf(f) == groupMins {
			continue
		}
		k.PackW[f] = func(dst []byte, w []byte, rowBytes, rows, cols int) {
			packRowStrips(quantize, dst, f, w, rowBytes, nil, rows, cols)
		}
	}
	return k
}

// packTokenStrip makes a strip of up to four tokens.
func packTokenStrip(quantize quantizer, dst []byte, x []float32, tokens, cols int) {
	var q [4][packUnits]tensor.Q8
	for from := 0; from < cols; from += 64 * packUnits {
		to := min(from+64*packUnits, cols)
		for i := range tokens {
			quantize.local(&q[i], x[i*cols+from:i*cols+to])
		}
		units := tensor.Q8Len(to - from)
		size := 2 * units * stripTokenBlock
		interleaveTokens4(&dst[:size][0], &q[0][0], packUnits*q8Size, units)
		dst = dst[size:]
	}
}

// packRowStrips makes a panel from rows of a format, or from floats.
func packRowStrips(quantize quantizer, dst []byte, f tensor.Format, w []byte, rowBytes int, floats []float32, rows, cols int) {
	k := kindOf(f)
	dst[0] = byte(k)
	dst = dst[panelHeader:]
	var q [4][packUnits]unit
	for r := 0; r < stripsHeight; r += 4 {
		if r+4 > rows {
			clear(q[max(0, rows-r):])
		}
		for from := 0; from < cols; from += 64 * packUnits {
			to := min(from+64*packUnits, cols)
			for i := range max(0, min(4, rows-r)) {
				if floats != nil {
					quantize.round(q[i][:], floats[(r+i)*cols+from:(r+i)*cols+to])
				} else {
					unpack(f, q[i][:], w[(r+i)*rowBytes:][f.RowBytes(from):f.RowBytes(to)])
				}
			}
			units := tensor.Q8Len(to - from)
			size := 2 * units * stripRowBlock[k]
			interleave(k, &dst[:size][0], &q[0][0], packUnits*unitSize, units)
			dst = dst[size:]
		}
	}
}

func interleave(k kind, dst *byte, src *unit, next, units int) {
	switch k {
	case plain:
		interleaveRows4(dst, src, next, units)
	case mins:
		interleaveMinRows4(dst, src, next, units)
	case groups:
		interleaveGroupRows4(dst, src, next, units)
	}
}

func multiplyStrips(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int) {
	blocks, k := 2*tensor.Q8Len(cols), kind(w[0])
	if rows == 0 || blocks == 0 {
		return
	}
	pairs := (rows + 7) / 8
	w = w[panelHeader:][:pairs*2*blocks*stripRowBlock[k]]
	for t := 0; t < n; t += 4 {
		x, d := x[t/4*blocks*stripTokenBlock:][:blocks*stripTokenBlock], dst[t*stride:]
		if n-t >= 4 && rows%8 == 0 {
			_ = d[3*stride+rows-1]
			multiplyStrip(k, &d[0], stride, &w[0], &x[0], blocks, pairs)
			continue
		}
		var out [4][stripsHeight]float32
		multiplyStrip(k, &out[0][0], stripsHeight, &w[0], &x[0], blocks, pairs)
		for i := range min(4, n-t) {
			copy(d[i*stride:][:rows], out[i][:])
		}
	}
}

func multiplyStrip(k kind, dst *float32, stride int, w, x *byte, blocks, pairs int) {
	switch k {
	case plain:
		multiplyStripsDotprod(dst, stride, w, x, blocks, pairs)
	case mins:
		multiplyMinStripsDotprod(dst, stride, w, x, blocks, pairs)
	case groups:
		multiplyGroupStripsDotprod(dst, stride, w, x, blocks, pairs)
	}
}

// Panels of floats, in exact products: columns of eight rows, times columns of eight tokens.
const floatsHeight = 32

func floatPanels() *tensor.PanelKernels {
	column := func(n, cols int) int { return (n + 7) / 8 * 8 * cols * 4 } // bytes of n vectors
	return &tensor.PanelKernels{
		Height: floatsHeight,
		XTile:  8,
		XBytes: column,
		PackX: func(dst []byte, x []float32, n, cols, from, to int) {
			packColumns(view[float32](dst[column(from, cols):], column(to-from, cols)/4), x[from*cols:to*cols], to-from, cols)
		},
		WBytes: func(cols int) int { return column(floatsHeight, cols) },
		PackFloats: func(dst []byte, w []float32, rows, cols int) {
			size := column(rows, cols)
			packColumns(view[float32](dst, size/4), w, rows, cols)
			clear(dst[size:])
		},
		Multiply: func(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int) {
			multiplyColumns(dst, stride, w, rows, x, n, cols, false)
		},
	}
}

// multiplyColumns multiplies columns of eight rows with columns of eight tokens: of floats, one deep, or of BF16, four deep.
func multiplyColumns(dst []float32, stride int, w []byte, rows int, x []byte, n, columns int, bf16 bool) {
	size := 32 * columns
	if bf16 {
		size = 64 * columns
	}
	if rows == 0 || size == 0 {
		return
	}
	strips := (rows + 7) / 8
	w = w[:strips*size]
	for t := 0; t < n; t += 8 {
		x, d := x[t/8*size:][:size], dst[t*stride:]
		if n-t >= 8 && rows%8 == 0 {
			_ = d[7*stride+rows-1]
			multiplyTile(&d[0], stride, &w[0], &x[0], columns, strips, bf16)
			continue
		}
		var out [8][floatsHeight]float32
		multiplyTile(&out[0][0], floatsHeight, &w[0], &x[0], columns, strips, bf16)
		for i := range min(8, n-t) {
			copy(d[i*stride:][:rows], out[i][:])
		}
	}
}

func multiplyTile(dst *float32, stride int, w, x *byte, columns, strips int, bf16 bool) {
	if bf16 {
		multiplyBF16(dst, stride, w, x, columns, strips)
	} else {
		multiplyFloatsNEON(dst, stride, w, x, columns, strips)
	}
}

// bf16Panels are floatPanels but for weights in BF16: these are multiplied with activations that are rounded to BF16 too, to the nearest,
// ties to even. Of a token both forms are packed, the floats first.
//
// BFMMLA adds four products in two steps. Unless FPCR.EBF is set, which it is not, products are exact, two are added, and their sum is
// added to the total; both sums are rounded to odd in 24 bits, and what is subnormal counts as 0. So, apart from that, a product of n
// columns is off by at most (n/2 + 2)·2⁻²³ times the sum of magnitudes.
func bf16Panels() *tensor.PanelKernels {
	floats := floatPanels()
	column := func(n, cols int) int { return (n + 7) / 8 * 64 * ((cols + 3) / 4) } // bytes of n vectors
	k := &tensor.PanelKernels{
		Height: floatsHeight,
		XTile:  8,
		XBytes: func(n, cols int) int { return floats.XBytes(n, cols) + column(n, cols) },
		PackX: func(dst []byte, x []float32, n, cols, from, to int) {
			floats.PackX(dst, x, n, cols, from, to)
			dst = dst[floats.XBytes(n, cols)+column(from, cols):]
			for t := from; t < to; t += 8 {
				packTokensBF16(dst[:column(8, cols)], x[t*cols:min(t+8, to)*cols], cols)
				dst = dst[column(8, cols):]
			}
		},
		WBytes: func(cols int) int { return panelHeader + max(floats.WBytes(cols), column(floatsHeight, cols)) },
		PackFloats: func(dst []byte, w []float32, rows, cols int) {
			dst[0] = 0
			floats.PackFloats(dst[panelHeader:], w, rows, cols)
		},
		Multiply: func(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int) {
			bf16 := w[0] == 1
			if bf16 {
				x, cols = x[floats.XBytes(n, cols):], (cols+3)/4
			}
			multiplyColumns(dst, stride, w[panelHeader:], rows, x, n, cols, bf16)
		},
	}
	k.PackW[tensor.BF16] = func(dst []byte, w []byte, rowBytes, rows, cols int) {
		dst[0] = 1
		dst = dst[panelHeader:]
		for r := 0; r < floatsHeight; r += 8 {
			packRowsBF16(dst[:column(8, cols)], w[min(r, rows)*rowBytes:min(r+8, rows)*rowBytes], rowBytes, cols)
			dst = dst[column(8, cols):]
		}
	}
	return k
}

// packRowsBF16 makes columns, four deep, of up to eight rows; the others become zeros, and so does what is missing of the last column.
func packRowsBF16(dst, w []byte, rowBytes, cols int) {
	rows, whole := 0, cols/4
	if rowBytes > 0 {
		rows = len(w) / rowBytes
	}
	if rows < 8 || whole*64 < len(dst) {
		clear(dst)
	}
	for r := range rows {
		row := w[r*rowBytes:][:2*cols]
		if whole > 0 {
			spreadWords(&dst[8*r], &row[0], whole)
		}
		if len(row) > 8*whole {
			copy(dst[64*whole+8*r:], row[8*whole:])
		}
	}
}

// packTokensBF16 does the same with tokens, which it rounds.
func packTokensBF16(dst []byte, x []float32, cols int) {
	tokens, whole := 0, cols/4
	if cols > 0 {
		tokens = len(x) / cols
	}
	if tokens < 8 || whole*64 < len(dst) {
		clear(dst)
	}
	for t := range tokens {
		token := x[t*cols:][:cols]
		if whole > 0 {
			spreadBF16(&dst[8*t], &token[0], whole)
		}
		for i, v := range token[4*whole:] {
			binary.LittleEndian.PutUint16(dst[64*whole+8*t+2*i:], tensor.ToBF16(v))
		}
	}
}

// packColumns makes columns of eight vectors each; those that are missing at the end become zeros.
func packColumns(dst, x []float32, vectors, cols int) {
	for i := 0; i < vectors && cols > 0; i += 4 {
		out := dst[i/8*8*cols+i%8:]
		if m := vectors - i; m < 4 {
			for j := range cols {
				for v := range 4 {
					out[8*j+v] = 0
					if v < m {
						out[8*j+v] = x[(i+v)*cols+j]
					}
				}
			}
		} else {
			transposeNEON(&out[0], &x[i*cols], cols, cols)
		}
		if i+4 >= vectors && i%8 == 0 {
			for j := range cols {
				clear(out[8*j+4 : 8*j+8])
			}
		}
	}
}

// view returns b as n values of T, which must fit.
func view[T any](b []byte, n int) []T {
	if n == 0 {
		return nil
	}
	var v T
	_ = b[n*int(unsafe.Sizeof(v))-1]
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), n)
}

// rowsUnitsNEON, rowsMinUnitsNEON and rowsGroupUnitsNEON are row kernels over units.
//
//go:noescape
func rowsUnitsNEON(dst *float32, stride int, w *unit, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsMinUnitsNEON(dst *float32, stride int, w *unit, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsGroupUnitsNEON(dst *float32, stride int, w *unit, rowBytes, rows int, x *tensor.Q8, units, n int)

// interleaveTokens4 makes a strip of four tokens, next bytes apart, at least one unit long, for SDOT.
//
//go:noescape
func interleaveTokens4(dst *byte, src *tensor.Q8, next, units int)

// The others make strips of four rows of each kind.

//go:noescape
func interleaveRows4(dst *byte, src *unit, next, units int)

//go:noescape
func interleaveMinRows4(dst *byte, src *unit, next, units int)

//go:noescape
func interleaveGroupRows4(dst *byte, src *unit, next, units int)

// multiplyStripsDotprod and the like multiply pairs of strips of rows with a strip of four tokens, all of so many blocks of 32. There
// is at least one pair and one block.

//go:noescape
func multiplyStripsDotprod(dst *float32, stride int, w, x *byte, blocks, pairs int)

//go:noescape
func multiplyMinStripsDotprod(dst *float32, stride int, w, x *byte, blocks, pairs int)

//go:noescape
func multiplyGroupStripsDotprod(dst *float32, stride int, w, x *byte, blocks, pairs int)

// transposeNEON writes number k of four vectors, next numbers apart, to dst[8·k].
//
//go:noescape
func transposeNEON(dst, src *float32, next, cols int)

// multiplyFloatsNEON multiplies columns of eight rows each with columns of eight tokens. There is at least one panel and one column.
//
//go:noescape
func multiplyFloatsNEON(dst *float32, stride int, w, x *byte, cols, panels int)

// multiplyBF16 does the same with columns that are four deep.
//
//go:noescape
func multiplyBF16(dst *float32, stride int, w, x *byte, columns, panels int)

// spreadWords copies words of eight bytes, one to every 64th byte. There is at least one.
//
//go:noescape
func spreadWords(dst, src *byte, words int)

// spreadBF16 does the same with words of four floats, which it rounds.
//
//go:noescape
func spreadBF16(dst *byte, src *float32, words int)

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
