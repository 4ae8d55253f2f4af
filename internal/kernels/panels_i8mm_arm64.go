package kernels

import (
	"unsafe"

	"github.com/gogemma/gemma4/tensor"
)

// The panels of processors with SMMLA. A scale for each 32 weights and one for each 32 activations would take a third of its issue slots.
// So here a scale belongs to 96 activations, and with it their midrange, which makes up for it: the error is that of a scale for each 32.
// Weights remain the integers of the file, with a scale for each 32 or 16.
//
// In a product of a row and a token, the midranges, times the sums of the weights that they meet, are a product of their own, of a depth
// of a 48th, and so are the offsets of weights, times the sums of 32 activations. BFMMLA takes these, as columns four deep in BF16. A
// midrange is a number in BF16; a sum of weights is two of them, because one would add a tenth to the error of a whole model.

// span is 96 activations, mid + scale·q; behind the end they are zeros.
type span struct {
	q     [spanLen]int8 // −127 … 127
	scale float32       // 0 if all is mid, but for less than 2⁻¹⁰⁰; NaN if something is not finite
}

const (
	spanLen   = 96
	spanSize  = int(unsafe.Sizeof(span{}))
	packSpans = 64 * packUnits / spanLen
)

// spanColumns are what columns hold of a token's spans: mid, half the least plus half the largest number, in BF16, twice; and the negative
// sums of 32 of q each, times the scale.
type spanColumns struct {
	mids [2 * packSpans]float32
	sums [3 * packSpans]float32
}

func spansLen(n int) int { return (n + spanLen - 1) / spanLen }

// A strip is of four vectors, and holds a span after another: eight values of the four vectors, the next eight and so on, and behind
// these, each number twice, as it is needed beside the products: for tokens the scale, t0 t1 t0 t1 t2 t3 t2 t3; for rows the scales,
// r0 r0 r1 r1 r2 r2 r3 r3, and last −1.5·2²³ times their sum.
const tokenSpan = 4*spanLen + 32

func rowSpan(k kind) int {
	if k == groups {
		return 4*spanLen + 6*32 + 32
	}
	return 4*spanLen + 3*32 + 32
}

// midColumns and offsetColumns return the columns that the midranges and the offsets of so many spans take.
func midColumns(spans int) int    { return (2*spans + 3) / 4 }
func offsetColumns(spans int) int { return (3*spans + 3) / 4 }

func rowColumns(k kind, spans int) int {
	if k == mins {
		return midColumns(spans) + offsetColumns(spans)
	}
	return midColumns(spans)
}

// finer returns by how many bits the weights of a format can be shifted to use eight, and what is subtracted first where they have a
// minimum, to make 128 after the shift. The kernel rounds to about an integer: with these bits that is nothing.
func finer(f tensor.Format) (shift, centre int) {
	switch f {
	case tensor.TQ1_0, tensor.TQ2_0, tensor.Q3_K:
		return 5, 0
	case tensor.Q4_0:
		return 4, 0
	case tensor.Q4_1, tensor.Q4_K:
		return 4, 8
	case tensor.Q5_0, tensor.IQ1_S, tensor.IQ1_M, tensor.IQ3_S, tensor.MXFP4, tensor.NVFP4:
		return 3, 0
	case tensor.Q5_1, tensor.Q5_K:
		return 3, 16
	case tensor.Q6_K:
		return 2, 0
	case tensor.IQ2_XXS, tensor.IQ2_XS, tensor.IQ2_S, tensor.IQ3_XXS:
		return 1, 0
	}
	return 0, 0
}

// unpackFiner sets the units of a row to (q − centre) << shift, as finer has them, of other kinds than plain with scales that are as much
// smaller, or returns false: that is left for the interleaving.
func unpackFiner(f tensor.Format, dst []unit, row []byte) bool {
	_ = dst[tensor.Q8Len(len(row)/f.BlockBytes()*f.BlockLen())-1]
	switch f {
	case tensor.Q4_0:
		unpackFinerQ40(&row[0], len(row), &dst[0])
	case tensor.Q4_1:
		unpackFinerQ41(&row[0], len(row), &dst[0])
	case tensor.Q4_K:
		unpackFinerQ4K(&row[0], len(row), &dst[0])
	case tensor.Q6_K:
		unpackFinerQ6K(&row[0], len(row), &dst[0])
	default:
		shift, _ := finer(f)
		unpack(f, dst, row)
		return shift == 0
	}
	return true
}

// spanPanels: a strip of tokens begins with its columns, a panel with those of its pairs of strips; midranges come first.
func spanPanels(quantize quantizer) *tensor.PanelKernels {
	tokens := func(cols int) int {
		n := spansLen(cols)
		return 32*(midColumns(n)+offsetColumns(n)) + n*tokenSpan
	}
	k := &tensor.PanelKernels{
		Height: stripsHeight,
		XTile:  4,
		XBytes: func(n, cols int) int { return (n + 3) / 4 * tokens(cols) },
		PackX: func(dst []byte, x []float32, n, cols, from, to int) {
			for t := from; t < to; t += 4 {
				m := min(4, to-t)
				packTokenSpans(dst[t/4*tokens(cols):][:tokens(cols)], x[t*cols:(t+m)*cols], m, cols)
			}
		},
		WBytes: func(cols int) int {
			n := spansLen(cols)
			return panelHeader + stripsHeight/8*64*rowColumns(mins, n) + stripsHeight/4*n*rowSpan(groups)
		},
		PackFloats: func(dst []byte, w []float32, rows, cols int) {
			packRowSpans(quantize, dst, tensor.F32, nil, 0, w, rows, cols)
		},
		Multiply: multiplyPanelOfSpans,
	}
	packFormats(k, func(f tensor.Format, dst, w []byte, rowBytes, rows, cols int) {
		packRowSpans(quantize, dst, f, w, rowBytes, nil, rows, cols)
	})
	return k
}

// packTokenSpans makes a strip of up to four tokens.
func packTokenSpans(dst []byte, x []float32, tokens, cols int) {
	n := spansLen(cols)
	mids, sums := dst[:32*midColumns(n)], dst[32*midColumns(n):][:32*offsetColumns(n)]
	dst = dst[len(mids)+len(sums):]
	if tokens < 4 {
		clear(mids)
		clear(sums)
	}
	var q [4][packSpans]span
	for from := 0; from < n; from += packSpans {
		m := min(packSpans, n-from)
		for t := range tokens {
			token := x[t*cols : (t+1)*cols]
			var c spanColumns
			quantizeSpans(q[t][:m], &c, token[from*spanLen:min((from+m)*spanLen, cols)])
			spreadBF16(&mids[8*t], 32, &c.mids[0], midColumns(m))
			spreadBF16(&sums[8*t], 32, &c.sums[0], offsetColumns(m))
		}
		mids, sums = mids[32*midColumns(m):], sums[32*offsetColumns(m):]
		size := m * tokenSpan
		interleaveTokenSpans(&dst[:size][0], &q[0][0], packSpans*spanSize, m)
		dst = dst[size:]
	}
}

// packRowSpans makes a panel from rows of a format, or from floats.
func packRowSpans(quantize quantizer, dst []byte, f tensor.Format, w []byte, rowBytes int, floats []float32, rows, cols int) {
	k, n := kindOf(f), spansLen(cols)
	shift, centre := finer(f)
	dst[0] = byte(k)
	pair := 64 * rowColumns(k, n)
	columns := dst[panelHeader:][:stripsHeight/8*pair]
	dst = dst[panelHeader+len(columns):]
	var q [4][packUnits]unit
	isFiner := false
	for r := 0; r < stripsHeight; r += 4 {
		if r+4 > rows {
			clear(q[max(0, rows-r):])
		}
		at := r/8*pair + r%8*8 // of the first row in the columns
		for from := 0; from < cols; from += 64 * packUnits {
			to := min(from+64*packUnits, cols)
			units, m := tensor.Q8Len(to-from), spansLen(to-from)
			for i := range max(0, min(4, rows-r)) {
				u := q[i][:]
				if floats != nil {
					isFiner = true
					quantize.round(u, floats[(r+i)*cols+from:(r+i)*cols+to])
				} else {
					isFiner = unpackFiner(f, u, w[(r+i)*rowBytes:][f.RowBytes(from):f.RowBytes(to)])
					if end := &u[units-1]; (to-from)%64 != 0 { // activations end with zeros, which are no zeros next to a midrange
						clear(end.q[32:])
						clear(end.scale[2:])
						clear(end.min[2:])
					}
				}
				clear(u[units:])
			}
			size := m * rowSpan(k)
			out, mids := &dst[:size][0], &columns[at+64*midColumns(from/spanLen)]
			switch {
			case k == groups && isFiner:
				interleaveHalfSpans(out, mids, &q[0][0], packUnits*unitSize, m, shift)
			case k == groups:
				interleaveFinerHalfSpans(out, mids, &q[0][0], packUnits*unitSize, m, shift)
			case k == plain && isFiner:
				interleaveRowSpans(out, mids, &q[0][0], packUnits*unitSize, m, shift)
			case k == plain:
				interleaveFinerSpans(out, mids, &q[0][0], packUnits*unitSize, m, shift)
			case isFiner:
				interleaveMinSpans(out, mids, &q[0][0], packUnits*unitSize, m, shift)
			default:
				interleaveFinerMinSpans(out, mids, &q[0][0], packUnits*unitSize, m, shift)
			}
			if k == mins {
				scaledCentre := float32(centre) // of scales as they are
				if isFiner {
					scaledCentre = 128
				}
				offsets := columns[at+64*(midColumns(n)+offsetColumns(from/spanLen)):]
				for i := range q {
					putOffsets(&offsets[8*i], &q[i][0], offsetColumns(m), scaledCentre)
				}
			}
			dst = dst[size:]
		}
	}
}

func multiplyPanelOfSpans(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int, _ []byte) {
	spans, k := spansLen(cols), kind(w[0])
	if rows == 0 || spans == 0 {
		return
	}
	pairs, columns := (rows+7)/8, rowColumns(k, spans)
	tokenColumns := 32 * (midColumns(spans) + offsetColumns(spans))
	wc := w[panelHeader:][:stripsHeight/8*64*columns]
	w = w[panelHeader+len(wc):][:pairs*2*spans*rowSpan(k)]
	var rest ragged
	for t := 0; t < n; t += 4 {
		xc := x[t/4*(tokenColumns+spans*tokenSpan):][:tokenColumns+spans*tokenSpan]
		x, d := xc[tokenColumns:], dst[t*stride:]
		tokens := 4
		if n-t <= 2 {
			tokens = 2
		}
		to, step := rest.place(d, stride, rows, tokens, n-t)
		switch {
		case k == groups && tokens == 2:
			multiplyHalfSpans2(to, step, &w[0], &x[0], spans, pairs, &wc[0], &xc[0], columns)
		case k == groups:
			multiplyHalfSpans(to, step, &w[0], &x[0], spans, pairs, &wc[0], &xc[0], columns)
		case tokens == 2:
			multiplySpans2(to, step, &w[0], &x[0], spans, pairs, &wc[0], &xc[0], columns)
		default:
			multiplySpans(to, step, &w[0], &x[0], spans, pairs, &wc[0], &xc[0], columns)
		}
		rest.copyTo(d, stride, rows, tokens, n-t)
	}
}

// quantizeSpans sets dst to x, filled up with zeros, and the columns' numbers of as many spans.
func quantizeSpans(dst []span, c *spanColumns, x []float32) {
	n := len(x) / spanLen
	if n > 0 {
		quantizeSpansI8MM(&dst[0], &c.mids[0], &c.sums[0], &x[0], n)
		x = x[n*spanLen:]
	}
	if len(x) > 0 {
		var pad [spanLen]float32
		copy(pad[:], x)
		quantizeSpansI8MM(&dst[n], &c.mids[2*n], &c.sums[3*n], &pad[0], 1)
	}
}

// quantizeSpansI8MM sets at least one span to 96 numbers each, and two mids and three sums of each.
//
//go:noescape
func quantizeSpansI8MM(dst *span, mids, sums, x *float32, spans int)

// putOffsets sets words of four negative offsets in BF16, every 64th byte one, of two units each. There is at least one.
//
//go:noescape
func putOffsets(dst *byte, src *unit, words int, centre float32)

// interleaveTokenSpans makes a strip of four tokens, next bytes apart, at least one span long.
//
//go:noescape
func interleaveTokenSpans(dst *byte, src *span, next, spans int)

// interleaveRowSpans makes a strip of four rows, next bytes apart, at least one span long, of weights that are as fine as they can be, and
// their part of the columns of a pair of strips. interleaveFinerSpans shifts them first. interleaveHalfSpans and interleaveFinerHalfSpans
// are for weights with a scale for each 16, interleaveMinSpans and interleaveFinerMinSpans for weights with minimums.
//
//go:noescape
func interleaveRowSpans(dst, columns *byte, src *unit, next, spans, shift int)

//go:noescape
func interleaveFinerSpans(dst, columns *byte, src *unit, next, spans, shift int)

//go:noescape
func interleaveHalfSpans(dst, columns *byte, src *unit, next, spans, shift int)

//go:noescape
func interleaveFinerHalfSpans(dst, columns *byte, src *unit, next, spans, shift int)

//go:noescape
func interleaveMinSpans(dst, columns *byte, src *unit, next, spans, shift int)

//go:noescape
func interleaveFinerMinSpans(dst, columns *byte, src *unit, next, spans, shift int)

// The unpackers of units that are finer, see units_finer_arm64.s.

//go:noescape
func unpackFinerQ40(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackFinerQ41(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackFinerQ4K(w *byte, rowBytes int, dst *unit)

//go:noescape
func unpackFinerQ6K(w *byte, rowBytes int, dst *unit)

// multiplySpans and multiplyHalfSpans multiply pairs of strips of rows with a strip of four tokens, and their columns wc and xc. There
// is at least one of each. multiplySpans2 and multiplyHalfSpans2 take two of the tokens.
//
//go:noescape
func multiplySpans(dst *float32, stride int, w, x *byte, spans, pairs int, wc, xc *byte, columns int)

//go:noescape
func multiplyHalfSpans(dst *float32, stride int, w, x *byte, spans, pairs int, wc, xc *byte, columns int)

//go:noescape
func multiplySpans2(dst *float32, stride int, w, x *byte, spans, pairs int, wc, xc *byte, columns int)

//go:noescape
func multiplyHalfSpans2(dst *float32, stride int, w, x *byte, spans, pairs int, wc, xc *byte, columns int)
