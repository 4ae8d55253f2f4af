package kernels

import (
	"math"
	"unsafe"

	"github.com/gogemma/gemma4/tensor"
)

// rowsAVX2 fills in the rows arithmetic for AVX2, with the dot product instruction of AVX-VNNI where the machine has it. Both
// give the same bits.
func rowsAVX2(k *tensor.Kernels, vnni bool) {
	kind := 0 // the assembly's table has the formats twice, for AVX2 and for AVX-VNNI
	if vnni {
		kind = len(rowFormats)
	}
	wide := tensor.PortableRows().Rows
	for i, f := range rowFormats {
		k.Rows[f.format] = rowKernelAVX2(f, kind+i, wide[f.format])
	}
	k.FloatRows[tensor.F16] = func(dst []float32, stride int, w []byte, rowBytes, rows int, x []float32, cols, n int) {
		floatRowKernelAVX2(rowsF16AVX2, dst, stride, w, rowBytes, rows, x, cols, n)
	}
	k.FloatRows[tensor.BF16] = func(dst []float32, stride int, w []byte, rowBytes, rows int, x []float32, cols, n int) {
		floatRowKernelAVX2(rowsBF16AVX2, dst, stride, w, rowBytes, rows, x, cols, n)
	}
}

const (
	rowSupers    = 96       // super-blocks of 256 columns that the frames of the assembly hold
	rowShares    = 24 << 10 // bytes of shares that the frame of rowsManyAVX2 holds
	rowTokens    = 16       // tokens of a call of rowsManyAVX2
	rowCallBytes = 1 << 20  // bytes of weights, times tokens, that a call goes through: far less than a millisecond
	rowPassBytes = 64 << 10 // bytes of weights that two tokens pass over one after the other: they stay in the cache
)

// rowKernelAVX2 returns the row kernel of a format: it checks the arguments and cuts the work to what the assembly takes at
// once. One or two tokens, and very few rows of tiles, go token by token; the bits are the same. Rows that are too wide for it, wider
// than any of Gemma 4, go to wide.
func rowKernelAVX2(format rowFormat, kind int, wide tensor.RowKernel) tensor.RowKernel {
	f := format.format
	superBytes, shareBytes := f.RowBytes(256), 32
	if format.halves {
		shareBytes = 64
	}
	several := math.MaxInt // tokens from which on it is rowsSeveralVNNI
	if kind >= len(rowFormats) && !format.wide {
		several = 3
		if format.halves || f == tensor.Q8_0 { // others are read twice in less time
			several = 2
		}
	}
	book := codebook(func() []byte { return tensor.CodebookValues(f) })
	return func(dst []float32, stride int, w []byte, rowBytes, rows int, x []tensor.Q8, units, n int) {
		if rows <= 0 || n <= 0 {
			return
		}
		full, tail := rowBytes/superBytes, rowBytes%superBytes
		supers := ceilDiv(rowBytes, superBytes)
		w, x, dst = w[:rows*rowBytes], x[:n*units], dst[:(n-1)*stride+rows]
		if supers == 0 || supers > rowSupers {
			wide(dst, stride, w, rowBytes, rows, x, units, n)
			return
		}
		if units != tensor.Q8Len(rowBytes/f.BlockBytes()*f.BlockLen()) {
			panic("gemma4: activations are not as long as rows")
		}
		if n >= several {
			for t := 0; t < n; t += severalTokens {
				m := min(severalTokens, n-t)
				multiplySeveral(kind, dst[t*stride:], stride, w, rowBytes, rows, x[t*units:], units, m, superBytes)
			}
			return
		}
		table := book()
		odd := shareBytes == 64 && units%2 == 1 // NVFP4 alone, as tiles of halves take two units at a time
		batch := min(rowTokens, rowShares/(supers*shareBytes)&^3)
		for t := 0; t < n; t += batch {
			m := min(batch, n-t)
			step := max(8, rowCallBytes/(rowBytes*m)&^7)
			if m == 2 {
				step = max(8, rowPassBytes/rowBytes&^7)
			}
			for r := 0; r < rows; r += step {
				c := min(step, rows-r)
				if m > 2 && c > 4 && !odd {
					rowsManyAVX2(kind, &dst[t*stride+r], stride, &w[r*rowBytes], rowBytes, c, &x[t*units], units, m, full, tail, table)
					continue
				}
				for i := t; i < t+m; i++ {
					rowsOneAVX2(kind, &dst[i*stride+r], &w[r*rowBytes], rowBytes, c, &x[i*units], units, full, tail, table)
				}
			}
		}
	}
}

const (
	severalTokens = 8         // tokens of a call of rowsSeveralVNNI
	severalSupers = 8         // super-blocks that its frame holds: a turn of a row
	severalRows   = 64        // rows that take several turns together
	severalBytes  = 512 << 10 // bytes of weights that a call takes: less than a tenth of a millisecond
	severalAhead  = 8 << 10   // bytes from the weights that are read to those that are prefetched
)

// rowsVNNI is a call of rowsSeveralVNNI: a turn of some rows with several tokens.
type rowsVNNI struct {
	dst               *float32
	stride            int // floats from one token's results to the next
	w                 *byte
	rowBytes, rows    int
	x                 *tensor.Q8
	xBytes, units, n  int // from one token's activations to the next; units from x to a token's end; tokens
	kind              int
	full, tail, ahead int      // super-blocks of the turn, and bytes behind them; bytes to what is prefetched
	lanes             *float32 // [rows, 8 tokens, 8] where they rest; nil: there is one turn
	first, last       bool     // turn
}

// rowsSeveralVNNI computes dst[r] for 1 to 8 tokens, at least a row, and 1 to 8 super-blocks of it.
//
//go:noescape
func rowsSeveralVNNI(c *rowsVNNI)

// multiplySeveral does it for rows of any number and length.
func multiplySeveral(kind int, dst []float32, stride int, w []byte, rowBytes, rows int, x []tensor.Q8, units, n, superBytes int) {
	full, tail := rowBytes/superBytes, rowBytes%superBytes
	c := rowsVNNI{stride: stride, rowBytes: rowBytes, xBytes: units * int(unsafe.Sizeof(x[0])), n: n, kind: kind}
	step, turns := max(severalRows, severalBytes/rowBytes&^1), 1
	var lanes [severalRows * 8 * 8]float32
	c.ahead = severalAhead
	if supers := full + min(tail, 1); supers > severalSupers {
		step, turns = severalRows, ceilDiv(supers, severalSupers)
		c.lanes, c.ahead = &lanes[0], 4*rowBytes
	}
	for r := 0; r < rows; r += step {
		c.dst, c.rows = &dst[r], min(step, rows-r)
		for turn := range turns {
			s := turn * severalSupers
			c.w, c.x, c.units = &w[r*rowBytes+s*superBytes], &x[4*s], units-4*s
			c.full, c.tail, c.first, c.last = min(full-s, severalSupers), 0, turn == 0, turn == turns-1
			if c.last {
				c.tail = tail
			}
			rowsSeveralVNNI(&c)
		}
	}
}

// rowsOneAVX2 computes dst[r] for one token. A row is full super-blocks and tail bytes more. 1 ≤ units ≤ 4·rowSupers, rows ≥ 1.
//
//go:noescape
func rowsOneAVX2(kind int, dst *float32, w *byte, rowBytes, rows int, x *tensor.Q8, units, full, tail int, table *byte)

// rowsManyAVX2 does it for n tokens, 1 ≤ n ≤ rowTokens.
//
//go:noescape
func rowsManyAVX2(kind int, dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n, full, tail int, table *byte)

// floatRowKernelAVX2 checks the arguments of a float row kernel and cuts the work to calls of well under a millisecond.
func floatRowKernelAVX2(rowsOf func(dst *float32, stride int, w *byte, rowBytes, rows int, x *float32, cols, n int),
	dst []float32, stride int, w []byte, rowBytes, rows int, x []float32, cols, n int) {
	if rows <= 0 || n <= 0 {
		return
	}
	dst = dst[:(n-1)*stride+rows]
	if cols == 0 {
		clearResults(dst, stride, rows, n)
		return
	}
	w, x = w[:rows*rowBytes], x[:n*cols]
	step := max(4, rowCallBytes/(rowBytes*n)&^3)
	for r := 0; r < rows; r += step {
		rowsOf(&dst[r], stride, &w[r*rowBytes], rowBytes, min(step, rows-r), &x[0], cols, n)
	}
}

// rowsF16AVX2 and rowsBF16AVX2 are float row kernels for rows, cols and n of at least 1.
//
//go:noescape
func rowsF16AVX2(dst *float32, stride int, w *byte, rowBytes, rows int, x *float32, cols, n int)

//go:noescape
func rowsBF16AVX2(dst *float32, stride int, w *byte, rowBytes, rows int, x *float32, cols, n int)
