package kernels

import (
	"encoding/binary"

	"github.com/gogemma/gemma4/tensor"
)

// Panels of floats, in exact products: columns of eight rows, times columns of eight tokens.

func floatPanels() *tensor.PanelKernels {
	column := func(n, cols int) int { return (n + 7) / 8 * 8 * cols * 4 } // bytes of n vectors
	return &tensor.PanelKernels{
		Height: stripsHeight,
		XTile:  8,
		XBytes: column,
		PackX: func(dst []byte, x []float32, n, cols, from, to int) {
			packColumns(view[float32](dst[column(from, cols):], column(to-from, cols)/4), x[from*cols:to*cols], to-from, cols)
		},
		WBytes: func(cols int) int { return column(stripsHeight, cols) },
		PackFloats: func(dst []byte, w []float32, rows, cols int) {
			size := column(rows, cols)
			packColumns(view[float32](dst, size/4), w, rows, cols)
			clear(dst[size:])
		},
		Multiply: func(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int, _ []byte) {
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
	var rest ragged
	for t := 0; t < n; t += 8 {
		x, d := x[t/8*size:][:size], dst[t*stride:]
		to, step := rest.place(d, stride, rows, 8, n-t)
		multiplyTile(to, step, &w[0], &x[0], columns, strips, bf16)
		rest.copyTo(d, stride, rows, 8, n-t)
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
		Height: stripsHeight,
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
		WBytes: func(cols int) int { return panelHeader + max(floats.WBytes(cols), column(stripsHeight, cols)) },
		PackFloats: func(dst []byte, w []float32, rows, cols int) {
			dst[0] = 0
			floats.PackFloats(dst[panelHeader:], w, rows, cols)
		},
		Multiply: func(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int, _ []byte) {
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
		for r := 0; r < stripsHeight; r += 8 {
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
			spreadBF16(&dst[8*t], 64, &token[0], whole)
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

// transposeNEON writes number k of four vectors, next numbers apart, to dst[8·k].
//
//go:noescape
func transposeNEON(dst, src *float32, next, cols int)

// multiplyFloatsNEON multiplies columns of eight rows each with columns of eight tokens. There is at least one strip and one column.
//
//go:noescape
func multiplyFloatsNEON(dst *float32, stride int, w, x *byte, columns, strips int)

// multiplyBF16 does the same with columns that are four deep.
//
//go:noescape
func multiplyBF16(dst *float32, stride int, w, x *byte, columns, strips int)

// spreadWords copies words of eight bytes, one to every 64th byte. There is at least one.
//
//go:noescape
func spreadWords(dst, src *byte, words int)

// spreadBF16 does the same with words of four floats, which it rounds, one to every so many bytes.
//
//go:noescape
func spreadBF16(dst *byte, pitch int, src *float32, words int)
