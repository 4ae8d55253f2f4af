package kernels

import (
	"unsafe"

	"github.com/gogemma/gemma4/tensor"
)

// The panels arithmetic of ARM: activations in 8 bits as in rows, Q8, or in spans where there is SMMLA; weights as the integers that
// they are in the file, with the scales of their blocks, so that a product with Q8 differs from that of rows by rounding alone. Only
// Q2_K, with a minimum for each 16 weights, is decoded and rounded to 8 bits like activations.

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
	packFormats(k, func(f tensor.Format, dst, w []byte, rowBytes, rows, cols int) {
		dst[0] = byte(kindOf(f))
		units := tensor.Q8Len(cols)
		out := view[unit](dst[panelHeader:], height*units)
		for r := range rows {
			unpack(f, out[r*units:(r+1)*units], w[r*rowBytes:(r+1)*rowBytes])
		}
		clear(out[rows*units:])
	})
	return k
}

func multiplyUnits(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int, _ []byte) {
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

const stripsHeight = 32 // rows of a panel of strips, or of columns of floats

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
	packFormats(k, func(f tensor.Format, dst, w []byte, rowBytes, rows, cols int) {
		packRowStrips(quantize, dst, f, w, rowBytes, nil, rows, cols)
	})
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

func multiplyStrips(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int, _ []byte) {
	blocks, k := 2*tensor.Q8Len(cols), kind(w[0])
	if rows == 0 || blocks == 0 {
		return
	}
	pairs := (rows + 7) / 8
	w = w[panelHeader:][:pairs*2*blocks*stripRowBlock[k]]
	var rest ragged
	for t := 0; t < n; t += 4 {
		x, d := x[t/4*blocks*stripTokenBlock:][:blocks*stripTokenBlock], dst[t*stride:]
		to, step := rest.place(d, stride, rows, 4, n-t)
		multiplyStrip(k, to, step, &w[0], &x[0], blocks, pairs)
		rest.copyTo(d, stride, rows, 4, n-t)
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

// ragged holds the products of a tile that is not whole.
type ragged [8 * stripsHeight]float32

// place returns where the products of a tile of so many tokens go, and their stride: to dst, if it has n tokens, at least as many, and its
// rows come in eights, else to the array, for copyTo.
func (p *ragged) place(dst []float32, stride, rows, tokens, n int) (to *float32, step int) {
	if n < tokens || rows%8 != 0 {
		return &p[0], stripsHeight
	}
	_ = dst[(tokens-1)*stride+rows-1]
	return &dst[0], stride
}

// copyTo moves the products from the array to dst, if place has had them put there.
func (p *ragged) copyTo(dst []float32, stride, rows, tokens, n int) {
	if n < tokens || rows%8 != 0 {
		for i := range min(tokens, n) {
			copy(dst[i*stride:][:rows], p[i*stripsHeight:])
		}
	}
}

// packFormats puts the packer of rows of a format into a table, for all formats whose units panels know.
func packFormats(k *tensor.PanelKernels, pack func(f tensor.Format, dst, w []byte, rowBytes, rows, cols int)) {
	for _, f := range unpacked {
		if kindOf(f) != groupMins {
			k.PackW[f] = func(dst, w []byte, rowBytes, rows, cols int) { pack(f, dst, w, rowBytes, rows, cols) }
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
