package kernels

import (
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
		floatRowKernelAVX2(false, dst, stride, w, rowBytes, rows, x, cols, n)
	}
	k.FloatRows[tensor.BF16] = func(dst []float32, stride int, w []byte, rowBytes, rows int, x []float32, cols, n int) {
		floatRowKernelAVX2(true, dst, stride, w, rowBytes, rows, x, cols, n)
	}
}

const (
	rowSupers    = 96       // super-blocks of 256 columns that the frame of rowsOneAVX2 holds
	rowCallBytes = 1 << 20  // bytes of weights, times tokens of floats, that a call goes through: far less than a millisecond
	rowPassBytes = 64 << 10 // bytes of weights that three tokens pass over after three others: they stay in the second cache
	rowPassCols  = 2048     // columns up to which that is of use: three tokens stay in the first; longer rows take turns
	rowAhead     = 7 << 10  // bytes from the weights of F16 and BF16 that are read to those that are prefetched
	turnTokens   = 4        // of a row that takes turns
	turnCols     = 4 << 10  // columns of a turn, times tokens: half of the first cache
	turnLanes    = 128      // rows that take several turns together, times tokens
	turnAhead    = 4        // rows from the weights that are read to those that are prefetched
)

// rowKernelAVX2 returns the row kernel of a format: it checks the arguments and cuts the work to what the assembly takes at once. Rows
// that are too wide for it, wider than any of Gemma 4, go to wide.
func rowKernelAVX2(format rowFormat, kind int, wide tensor.RowKernel) tensor.RowKernel {
	f := format.format
	superBytes := f.RowBytes(256)
	book := codebook(func() []byte { return tensor.CodebookValues(f) })
	return func(dst []float32, stride int, w []byte, rowBytes, rows int, x []tensor.Q8, units, n int) {
		if rows <= 0 || n <= 0 {
			return
		}
		w, x, dst = w[:rows*rowBytes], x[:n*units], dst[:(n-1)*stride+rows]
		supers := ceilDiv(rowBytes, superBytes)
		if supers == 0 || supers > rowSupers {
			wide(dst, stride, w, rowBytes, rows, x, units, n)
			return
		}
		if units != tensor.Q8Len(rowBytes/f.BlockBytes()*f.BlockLen()) {
			panic("gemma4: activations are not as long as rows")
		}
		m := rowsSeveral{stride: stride, rowBytes: rowBytes, xBytes: units * int(unsafe.Sizeof(x[0])), kind: kind, table: book()}
		if n == 1 {
			c, done := rowsOne{x: &x[0], units: units, kind: kind, table: m.table}, 0
			full, tail, blocks := rowBytes/superBytes, rowBytes%superBytes, rowBytes/f.BlockBytes()
			if full == 0 || tail == 0 || f.BlockLen() != 32 {
				c.apart(full, tail)
			} else {
				if c.together(blocks) {
					done = rows - rows%c.period
					c.multiply(dst[:done], w, rowBytes)
				}
				c.inPlace(full, blocks%8, tail-superBytes, x)
			}
			c.multiply(dst[done:], w[done*rowBytes:], rowBytes)
			return
		}
		for t := 0; t < n; t += severalTokens {
			m.n = min(severalTokens, n-t)
			if supers > severalDigests/m.n {
				m.turns(dst[t*stride:], w, rows, x[t*units:], units, superBytes)
			} else {
				m.rowsOf(dst[t*stride:], w, rows, x[t*units:], units, superBytes)
			}
		}
	}
}

const (
	severalTokens  = 8       // tokens of a call of rowsSeveralAVX2
	severalDigests = 64      // super-blocks of a row, a turn, times tokens: what its frame holds
	severalLanes   = 512     // rows that take several turns together, times tokens
	severalSupers  = 2048    // super-blocks of a call otherwise: a small part of a millisecond
	severalAhead   = 6 << 10 // bytes from the weights that are read to those that are prefetched
)

// rowsSeveral is a call of rowsSeveralAVX2: a turn of some rows with several tokens.
type rowsSeveral struct {
	dst               *float32
	stride            int // floats from one token's results to the next
	w                 *byte
	rowBytes, rows    int
	x                 *tensor.Q8
	xBytes, units, n  int // from one token's activations to the next; units from x to a token's end; tokens
	kind              int
	table             *byte    // the format's
	full, tail, ahead int      // super-blocks of the turn, and bytes behind them; bytes to what is prefetched
	lanes             *float32 // [rows, tokens, 8] and 7 tokens more, where they rest; nil: there is one turn
	first, last       bool     // turn
}

// rowsSeveralAVX2 computes dst[r] for 1 to 8 tokens, at least a row, and as many super-blocks of it as there is room for their digests.
//
//go:noescape
func rowsSeveralAVX2(c *rowsSeveral)

// rowsOf computes the products of rows that take one turn.
func (c rowsSeveral) rowsOf(dst []float32, w []byte, rows int, x []tensor.Q8, units, superBytes int) {
	c.full, c.tail, c.first, c.last, c.ahead, c.lanes = c.rowBytes/superBytes, c.rowBytes%superBytes, true, true, severalAhead, nil
	c.x, c.units = &x[0], units
	step := severalSupers / ceilDiv(c.rowBytes, superBytes)
	for r := 0; r < rows; r += step {
		c.dst, c.w, c.rows = &dst[r], &w[r*c.rowBytes], min(step, rows-r)
		rowsSeveralAVX2(&c)
	}
}

// turns computes those of longer rows.
func (c rowsSeveral) turns(dst []float32, w []byte, rows int, x []tensor.Q8, units, superBytes int) {
	var lanes [(severalLanes + severalTokens - 1) * 8]float32
	c.lanes = &lanes[0]
	full, tail := c.rowBytes/superBytes, c.rowBytes%superBytes
	supers := ceilDiv(c.rowBytes, superBytes)
	turn := ceilDiv(supers, ceilDiv(supers, severalDigests/c.n)) // turns are as long as each other
	c.ahead = max(1, severalAhead/(turn*superBytes)) * c.rowBytes
	step := ceilDiv(rows, ceilDiv(rows, severalLanes/c.n)) // and so are calls
	for r := 0; r < rows; r += step {
		c.dst, c.rows = &dst[r], min(step, rows-r)
		for s := 0; s < supers; s += turn {
			c.w, c.x, c.units = &w[r*c.rowBytes+s*superBytes], &x[4*s], units-4*s
			c.full, c.tail, c.first, c.last = min(full-s, turn), 0, s == 0, s+turn >= supers
			if c.last {
				c.tail = tail
			}
			rowsSeveralAVX2(&c)
		}
	}
}

// rowsOne is a call of rowsOneAVX2: some rows with one token.
//
// Rows that end within a super-block are taken in one of three ways. Such as follow each other may do so without regard to where
// super-blocks begin: some of these belong to two rows, none is read in part, and after a period it begins anew. But a period has digests
// of its own, and if they are many they do not stay in the first cache beside weights from memory. Then the row's last 256 columns are
// read, of which the first have been multiplied already. Rows shorter than that, and those of blocks of 64, are copied to where zeros
// follow.
type rowsOne struct {
	dst    *float32
	w      *byte
	rows   int // at least one
	x      *tensor.Q8
	units  int  // of x; behind them are zeros,
	again  bool // or the same once more,
	placed bool // or end
	end    [4]tensor.Q8
	kind   int
	table  *byte // the format's
	copied int   // bytes of a row behind its super-blocks that are copied
	shift  int   // bytes from the end of a row's super-blocks to the beginning of its last
	period int   // rows that begin and end with a super-block
	supers int   // of them
	turns  [rowTurns]rowTurn
}

// rowTurn is a row of a period. Vectors have the places of lanes in Y0.
type rowTurn struct {
	full int       // super-blocks that are its own alone
	last bool      // there is one behind them, of which it has some lanes
	ends bool      // the period
	own  [8]int32  // −1 for its lanes
	turn *[8]int32 // where in Y0 lies what comes to each place before that; nil: the other lanes are the next row's, and it stays
	back *[8]int32 // where in Y0 lies what comes to each place in the end
}

const (
	rowTurns   = 4  // rows of a period at most
	rowDigests = 12 // super-blocks of a period at most
)

// rowsOneAVX2 computes dst[r] for one token. 1 ≤ supers ≤ rowSupers.
//
//go:noescape
func rowsOneAVX2(c *rowsOne)

// multiply computes the products of rows that follow each other.
func (c *rowsOne) multiply(dst []float32, w []byte, rowBytes int) {
	for step := max(1, rowCallBytes/(rowBytes*c.period)) * c.period; len(dst) > 0; {
		c.dst, c.w, c.rows = &dst[0], &w[0], min(step, len(dst))
		rowsOneAVX2(c)
		dst, w = dst[c.rows:], w[c.rows*rowBytes:]
	}
}

// apart is for rows of super-blocks and a tail that is copied.
func (c *rowsOne) apart(full, tail int) {
	c.copied, c.period, c.supers = tail, 1, full+min(tail, 1)
	c.turns[0] = rowTurn{full: full, ends: true}
}

// together is for rows of so many blocks of 32 that share super-blocks. It returns whether that is worth it.
func (c *rowsOne) together(blocks int) bool {
	c.period = [8]int{2: 4, 4: 2, 6: 4}[blocks%8] // with odd ones a row would begin within a unit
	c.supers = blocks * c.period / 8
	if c.period == 0 || c.supers > rowDigests {
		return false
	}
	c.again = true
	lane := 0 // of a row's first block
	for i := range c.period {
		left := blocks - (8-lane)%8
		c.turns[i] = rowTurn{
			full: left / 8, last: left%8 > 0, ends: left%8 == 0, own: lanes(0, left%8), back: &turned[lane],
		}
		lane = left % 8
	}
	return true
}

// inPlace is for rows with so many blocks behind their super-blocks. The last 256 columns of x go to end, zeros for those that have been
// multiplied.
func (c *rowsOne) inPlace(full, blocks, shift int, x []tensor.Q8) {
	for b := range blocks {
		from, at := &x[4*full+b/2], 8-blocks+b
		to, i, j := &c.end[at/2], b%2, at%2
		copy(to.Q[32*j:][:32], from.Q[32*i:])
		copy(to.Scale[8*j:][:8], from.Scale[8*i:])
		copy(to.NegSum[8*j:][:8], from.NegSum[8*i:])
	}
	c.units, c.again, c.placed, c.shift, c.period, c.supers = 4*full, false, true, shift, 1, full+1
	c.turns[0] = rowTurn{
		full: full, last: true, ends: true, own: lanes(8-blocks, 8), turn: &turned[blocks], back: &turned[8-blocks],
	}
}

// turned are the places of lanes by and on, for the places of lanes 0 and on. Those of lanes 0 to 7 are 0 4 1 5 2 6 3 7.
var turned = [8][8]int32{
	{0, 1, 2, 3, 4, 5, 6, 7},
	{4, 5, 6, 7, 1, 2, 3, 0},
	{1, 2, 3, 0, 5, 6, 7, 4},
	{5, 6, 7, 4, 2, 3, 0, 1},
	{2, 3, 0, 1, 6, 7, 4, 5},
	{6, 7, 4, 5, 3, 0, 1, 2},
	{3, 0, 1, 2, 7, 4, 5, 6},
	{7, 4, 5, 6, 0, 1, 2, 3},
}

// lanes returns −1 in the places of lanes from to to-1.
func lanes(from, to int) (v [8]int32) {
	for i := from; i < to; i++ {
		v[turned[i][0]] = -1
	}
	return v
}

// floatRows is a call of rowsF16AVX2 or rowsBF16AVX2: a turn of some rows.
type floatRows struct {
	dst            *float32
	stride         int // floats from one token's results to the next
	w              *byte
	rowBytes, rows int
	x              *float32
	xBytes, n      int      // from one token's activations to the next; tokens
	cols, ahead    int      // columns of the turn; bytes from the weights that are read to those that are prefetched
	lanes          *float32 // [rows, tokens, 32], where they rest; nil: there is one turn
	first, last    bool     // turn
}

// rowsF16AVX2 and rowsBF16AVX2 are for rows, cols and n of at least 1.
//
//go:noescape
func rowsF16AVX2(c *floatRows)

//go:noescape
func rowsBF16AVX2(c *floatRows)

// multiply makes the call.
func (c *floatRows) multiply(bf16 bool) {
	if bf16 {
		rowsBF16AVX2(c)
	} else {
		rowsF16AVX2(c)
	}
}

// floatRowKernelAVX2 checks the arguments of a float row kernel and cuts the work to calls of well under a millisecond.
func floatRowKernelAVX2(bf16 bool, dst []float32, stride int, w []byte, rowBytes, rows int, x []float32, cols, n int) {
	if rows <= 0 || n <= 0 {
		return
	}
	dst = dst[:(n-1)*stride+rows]
	if cols == 0 {
		clearResults(dst, stride, rows, n)
		return
	}
	w, x = w[:rows*rowBytes], x[:n*cols]
	_ = w[2*cols-1]
	c := floatRows{stride: stride, rowBytes: rowBytes, xBytes: 4 * cols}
	if n > 1 && cols > rowPassCols {
		for t := 0; t < n; t += c.n {
			c.n = ceilDiv(n-t, ceilDiv(n-t, turnTokens)) // groups are as large as each other
			c.turns(bf16, dst[t*stride:], w, rows, x[t*cols:], cols)
		}
		return
	}
	step, few := max(4, rowCallBytes/(rowBytes*n)&^3), n
	if n > 4 {
		step, few = max(4, rowPassBytes/rowBytes&^3), 3
	}
	c.cols, c.ahead, c.first, c.last = cols, rowAhead, true, true
	for r := 0; r < rows; r += step {
		for t := 0; t < n; t += few {
			c.dst, c.w, c.x, c.rows, c.n = &dst[t*stride+r], &w[r*rowBytes], &x[t*cols], min(step, rows-r), min(few, n-t)
			c.multiply(bf16)
		}
	}
}

// turns computes the products of long rows with a few tokens: of all rows so many columns that the activations stay in the first cache.
func (c floatRows) turns(bf16 bool, dst []float32, w []byte, rows int, x []float32, cols int) {
	var lanes [turnLanes * 32]float32
	c.lanes = &lanes[0]
	turn := turnCols / c.n &^ 31
	step := ceilDiv(rows, ceilDiv(rows, turnLanes/c.n)) // calls are as long as each other
	c.ahead = turnAhead * c.rowBytes
	for r := 0; r < rows; r += step {
		c.dst, c.rows = &dst[r], min(step, rows-r)
		for from := 0; from < cols; from += turn {
			c.w, c.x, c.cols = &w[r*c.rowBytes+2*from], &x[from], min(turn, cols-from)
			c.first, c.last = from == 0, from+turn >= cols
			c.multiply(bf16)
		}
	}
}
