package kernels

import (
	"unsafe"

	"github.com/gogemma/gemma4/tensor"
)

func rowsAVX512(k *tensor.Kernels, near bool) {
	ahead := rows512Ahead
	if near {
		ahead = rows512Near
	}
	for i, f := range rowFormats {
		k.Rows[f.format] = rowKernel512(f, i, ahead)
	}
	k.FloatRows[tensor.F16] = func(dst []float32, stride int, w []byte, rowBytes, rows int, x []float32, cols, n int) {
		floatRowKernel512(dst, stride, w, rowBytes, rows, x, cols, n, 0, ahead)
	}
	k.FloatRows[tensor.BF16] = func(dst []float32, stride int, w []byte, rowBytes, rows int, x []float32, cols, n int) {
		floatRowKernel512(dst, stride, w, rowBytes, rows, x, cols, n, 1, ahead)
	}
}

// rows512 is a call of multiplyRows512.
type rows512 struct {
	dst            *float32
	stride         int // floats from one token's results to the next
	w              *byte
	rowBytes, rows int
	x              *tensor.Q8
	xBytes, n      int // from one token's activations to the next; tokens

	table  *byte // see table512
	kernel int   // index of the format
	offset byte  // see rowFormat
	size   int   // bytes of a super, 256 columns
	full   int   // supers of a row
	tail   int   // bytes of a row behind them
	xtail  int   // blocks of 32 activations for that
	depth  int   // supers that are taken at a time
	group  int   // rows whose supers, 64 at most, follow each other
	ahead  int   // bytes from the weights that are read to those that are prefetched, see rows512Near
	burst  int   // bytes prefetched at the start
	first  byte  // one token's sums are stored by four: which of the first four belong to rows, the last ones; 15 from then on
}

// multiplyRows512 computes a tensor.RowKernel of 1 to 8 tokens, and of at least a row and a column.
//
//go:noescape
func multiplyRows512(c *rows512)

// What the frames of the two kernels have room for.
const (
	rows512Depth      = 64   // supers of the activations of all tokens
	rows512Turn       = 48   // and where rows take turns, so that sums go through the first-level cache as well
	rows512Sums       = 1024 // sums at rest
	floatRows512Steps = 192  // steps of the activations of all tokens
	floatRows512Sums  = 640  // sums at rest
	floatRows512Depth = 96   // steps of one token's activations
)

// Weights are fetched into the second-level cache, not the first, which can wait for 24 lines on Zen 4: too few for the memory's speed.
// From 8 to 24 KB ahead are about as good there. On Zen 5 what is fetched so is as slow as what is not, and the first-level cache is the
// place: 2 to 8 KB ahead are about as good, and bit 0 says that it is meant. Several rows at a time, and rows that take turns, are read
// with gaps; some rows ahead are best for them.
const (
	rows512Ahead  = 12 << 10  // bytes
	rows512Near   = 4<<10 | 1 // bytes, and the first-level cache
	rows512Rows   = 4         // rows
	rows512ByCall = 512 << 10 // bytes of weights that a call takes: some tens of microseconds
)

// rowKernel512 returns the kernel of a format, which fetches weights rows512Ahead or rows512Near.
func rowKernel512(format rowFormat, kernel, ahead int) tensor.RowKernel {
	f := format.format
	book := codebook(func() []byte { return table512(f) })
	size := f.RowBytes(256)
	return func(dst []float32, stride int, w []byte, rowBytes, rows int, x []tensor.Q8, units, n int) {
		if rows == 0 || n == 0 {
			return
		}
		w, x = w[:rows*rowBytes], x[:n*units]
		_ = dst[(n-1)*stride+rows-1]
		if rowBytes == 0 {
			clearResults(dst, stride, rows, n)
			return
		}
		full, tail := rowBytes/size, rowBytes%size
		xtail := tail / f.BlockBytes() * f.BlockLen() / 32
		if units != tensor.Q8Len(256*full+32*xtail) {
			panic("gemma4: weights and activations of different lengths")
		}
		c := rows512{
			stride: stride, rowBytes: rowBytes, xBytes: units * int(unsafe.Sizeof(tensor.Q8{})),
			table: book(), kernel: kernel, offset: format.offset512, size: size, full: full, tail: tail, xtail: xtail,
		}
		for t := 0; t < n; t += c.n {
			c.n, c.depth, c.group, c.ahead = min(n-t, 8), rows512Depth/min(n-t, 8), 1, ahead
			step := max(1, rows512ByCall/rowBytes)
			if full+min(tail, 1) > c.depth { // rows take turns
				c.depth, c.ahead, step = rows512Turn/c.n, rows512Rows*rowBytes|ahead&1, min(step, rows512Sums/c.n)
			} else if tail == 0 {
				c.group = rows512Depth / full
			}
			for r := 0; r < rows; r += step {
				c.dst, c.w, c.x = &dst[t*stride+r], &w[r*rowBytes], &x[t*units]
				c.rows = min(step, rows-r)
				c.burst = min(rows512Ahead, c.rows*rowBytes)
				c.first = 15 << ((4 - c.rows%4) % 4)
				multiplyRows512(&c)
			}
		}
	}
}

// table512 returns what the kernels of the formats with codebooks look up, in planes: bit j of a level's number, of all levels of an
// entry in one byte (IQ1, IQ2) or half of one (IQ3). TQ1_0's digits have two bits each.
func table512(f tensor.Format) []byte {
	if f == tensor.TQ1_0 { // four digits of 256 bytes; the fifth, the first and, at the top, the third
		table := make([]byte, 512)
		for b := range 256 {
			for i, rest := 0, b; i < 5; i, rest = i+1, 3*rest&255 {
				table[b+i/4*256] |= byte(3 * rest >> 8 << (i % 4 * 2))
			}
			table[256+b] |= table[b]&3<<2 | table[b]&0x30<<2
		}
		return table
	}
	grid := tensor.Codebook(f)
	if grid == nil {
		return nil
	}
	table := make([]byte, 2*len(grid)+2)
	for i, codes := range grid {
		var planes [3]byte
		switch f {
		case tensor.IQ3_XXS, tensor.IQ3_S: // planes 0 and 1 of all entries, then plane 2
			for j := range 12 {
				planes[j%3] |= byte(codes>>j&1) << (j / 3)
			}
			table[i], table[len(grid)+i] = planes[0]|planes[1]<<4, planes[2]
			continue
		}
		for j := range 16 {
			planes[j%2] |= byte(codes>>j&1) << (j / 2)
		}
		if f == tensor.IQ1_S || f == tensor.IQ1_M {
			table[2*i], table[2*i+1] = planes[1], planes[0]
			continue
		}
		table[i], table[len(grid)+i] = planes[0], planes[1] // plane 0 of all entries, then plane 1
	}
	return table
}

// floatRows512 is a call of multiplyFloatRows512.
type floatRows512 struct {
	dst            *float32
	stride         int // floats from one token's results to the next
	w              *byte
	rowBytes, rows int
	x              *float32
	xBytes, n      int // from one token's activations to the next; tokens

	bf16  int // or else f16
	full  int // steps of a row, 32 columns
	tail  int // columns behind them
	depth int // steps that are taken at a time
	ahead int // bytes from the weights that are read to those that are prefetched, see rows512Near
	burst int // bytes prefetched at the start
}

// multiplyFloatRows512 computes a tensor.FloatRowKernel of 1 to 8 tokens, and of at least a row and a column.
//
//go:noescape
func multiplyFloatRows512(c *floatRows512)

func floatRowKernel512(dst []float32, stride int, w []byte, rowBytes, rows int, x []float32, cols, n, bf16, ahead int) {
	if rows == 0 || n == 0 {
		return
	}
	w, x = w[:rows*rowBytes], x[:n*cols]
	_ = dst[(n-1)*stride+rows-1]
	if cols == 0 {
		clearResults(dst, stride, rows, n)
		return
	}
	_ = w[2*cols-1]
	full := cols / 32
	c := floatRows512{stride: stride, rowBytes: rowBytes, xBytes: 4 * cols, bf16: bf16, full: full, tail: cols % 32}
	for t := 0; t < n; t += c.n {
		c.n, c.depth, c.ahead = min(n-t, 8), full, ahead
		step := max(1, rows512ByCall/rowBytes)
		switch {
		case c.n > 1:
			c.depth, c.ahead = min(full, floatRows512Steps/c.n), rows512Rows*rowBytes
		case full > 2*floatRows512Depth: // else weights and activations do not fit the first-level cache
			c.depth, c.ahead = floatRows512Depth, rowBytes
		}
		if full > c.depth {
			step = min(step, floatRows512Sums/c.n)
		}
		for r := 0; r < rows; r += step {
			c.dst, c.w, c.x = &dst[t*stride+r], &w[r*rowBytes], &x[t*cols]
			c.rows = min(step, rows-r)
			c.burst = min(rows512Ahead, c.rows*rowBytes)
			multiplyFloatRows512(&c)
		}
	}
}
