package kernels

import (
	"math"
	"runtime"
	"unsafe"

	"github.com/gogemma/gemma4/tensor"
)

// several is a row kernel in assembly for several tokens: it adds the products of so many bytes of at least one row to the row's lanes,
// see rows_several_arm64.h.
type several func(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

const (
	severalUnits = 32  // units of a row that a call takes: their activations stay in the first cache
	severalRows  = 128 // rows of a call, for which activations are rearranged once: a call takes far less than a millisecond
	severalLeast = 8   // rows that are worth it
)

// 64 activations of four tokens, for SDOT: four values of each token in turn, the tokens' scales of both halves, and their negative sums
// of 16 values, as floats.
const stripUnit = 4*64 + 2*16 + 4*16

const stripBytes = severalUnits * stripUnit

// severalWay is how a level multiplies with several tokens.
type severalWay struct {
	least, most int // tokens of a call
	// rearrange makes the kernel's x of so many units of n tokens, next units apart; of Q4_0 with so many whole fours of blocks.
	rearrange func(dst []byte, x []tensor.Q8, next, units, fours, n int)
	// sum sets the products of rows with n tokens to what their lanes add up to.
	sum func(dst []float32, stride int, lanes []float32, rows, n int)
}

// multiply is a row kernel for least to most tokens. What it works on lies on the stack, where four tokens are spared the room of eight,
// which would have to be cleared.
func (way *severalWay) multiply(k formatRows, dst []float32, stride int, w []byte, rowBytes, rows int, x []tensor.Q8, units, n int) {
	if n <= 4 {
		way.multiplyFour(k, dst, stride, w, rowBytes, rows, x, units, n)
		return
	}
	way.multiplyEight(k, dst, stride, w, rowBytes, rows, x, units, n)
}

//go:noinline
func (way *severalWay) multiplyFour(k formatRows, dst []float32, stride int, w []byte, rowBytes, rows int, x []tensor.Q8, units, n int) {
	var lanes [severalRows * 16]float32
	var room [severalUnits * 4 * unitSize]byte
	way.multiplyIn(hidden(lanes[:]), hidden(room[:]), k, dst, stride, w, rowBytes, rows, x, units, n)
	runtime.KeepAlive(&lanes)
	runtime.KeepAlive(&room)
}

//go:noinline
func (way *severalWay) multiplyEight(k formatRows, dst []float32, stride int, w []byte, rowBytes, rows int, x []tensor.Q8, units, n int) {
	var lanes [severalRows * 32]float32
	var room [2 * stripBytes]byte
	way.multiplyIn(hidden(lanes[:]), hidden(room[:]), k, dst, stride, w, rowBytes, rows, x, units, n)
	runtime.KeepAlive(&lanes)
	runtime.KeepAlive(&room)
}

// hidden returns a slice of the stack that function values can be handed, see quantizer.local. It must be kept alive.
func hidden[T any](s []T) []T {
	address := uintptr(unsafe.Pointer(&s[0]))
	return unsafe.Slice(*(**T)(unsafe.Pointer(&address)), len(s))
}

// multiplyIn multiplies with the lanes of severalRows rows, and room for x of severalUnits.
func (way *severalWay) multiplyIn(lanes []float32, room []byte, k formatRows,
	dst []float32, stride int, w []byte, rowBytes, rows int, x []tensor.Q8, units, n int) {
	w, x = w[:rows*rowBytes], x[:n*units]
	turn := k.format.RowBytes(64 * severalUnits)
	for r := 0; r < rows; r += severalRows {
		m := min(severalRows, rows-r)
		clear(lanes)
		for at, first := 0, 0; at < rowBytes; at, first = at+turn, first+severalUnits {
			bytes := min(turn, rowBytes-at)
			if r == 0 || rowBytes > turn {
				fours := 0
				if k.format == tensor.Q4_0 {
					fours = bytes / 72
				}
				way.rearrange(room, x[first:], units, min(severalUnits, units-first), fours, n)
			}
			k.several(&lanes[0], &w[r*rowBytes+at], rowBytes, bytes, m, &room[0], stripBytes, n)
		}
		way.sum(dst[r:], stride, lanes, m, n)
	}
}

// neonSeveral takes a token's unit after the other's. Their scales are those of the lanes. Of Q4_0 the first of two units has the scales
// of four blocks, and −8 times their sums in the place of minimums.
var neonSeveral = severalWay{
	least: 4,
	most:  4,
	rearrange: func(dst []byte, x []tensor.Q8, next, units, fours, n int) {
		d := view[unit](dst, 4*units)
		for t := range n {
			for i := range units {
				s, u := &x[t*next+i], &d[4*i+t]
				u.q, u.scale = s.Q, [4]float32(s.Scale[6:])
				for j := range u.min {
					u.min[j] = float32(s.NegSum[4*j] + s.NegSum[4*j+1] + s.NegSum[4*j+2] + s.NegSum[4*j+3])
				}
			}
			for i := range fours {
				u, v := &d[8*i+t], &d[8*i+4+t]
				sums := [4]float32{u.min[0] + u.min[1], u.min[2] + u.min[3], v.min[0] + v.min[1], v.min[2] + v.min[3]}
				u.scale = [4]float32{u.scale[0], u.scale[2], v.scale[0], v.scale[2]}
				for j, sum := range sums {
					u.min[j] = math.Float32frombits(uint32(8 * int32(sum)))
				}
			}
		}
	},
	sum: func(dst []float32, stride int, lanes []float32, rows, n int) {
		for t := range n {
			d := dst[t*stride:][:rows]
			for r := range d {
				l := (*[4]float32)(lanes[16*r+4*t:])
				d[r] = (l[0] + l[1]) + (l[2] + l[3])
			}
		}
	},
}

// dotprodSeveral takes strips of four tokens.
var dotprodSeveral = severalWay{
	least: 3,
	most:  8,
	rearrange: func(dst []byte, x []tensor.Q8, next, units, _, n int) {
		for t := 0; t < n; t += 4 {
			_ = x[(n-1)*next+units-1]
			interleaveStrip(&dst[t/4*stripBytes], &x[t*next], next*q8Size, units, min(4, n-t))
		}
	},
	sum: func(dst []float32, stride int, lanes []float32, rows, n int) {
		strips := (n + 3) / 4
		for t := range n {
			d := dst[t*stride:][:rows]
			for r := range d {
				l := (*[13]float32)(lanes[(strips*r+t/4)*16+t%4:])
				d[r] = (l[0] + l[4]) + (l[8] + l[12])
			}
		}
	},
}

// interleaveStrip makes a strip of up to four tokens, next bytes apart, at least one unit long.
//
//go:noescape
func interleaveStrip(dst *byte, src *tensor.Q8, next, units, n int)

// The kernels of each level.

//go:noescape
func severalQ40NEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalQ50NEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalQ80NEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalQ4KNEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalQ5KNEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalQ6KNEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalIQ4NLNEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalIQ4XSNEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalMXFP4NEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalQ41NEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalQ51NEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalQ2KNEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalQ3KNEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalTQ10NEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalTQ20NEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalNVFP4NEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalIQ2XXSNEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalIQ2XSNEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalIQ2SNEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalIQ3XXSNEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalIQ3SNEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalIQ1SNEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalIQ1MNEON(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalQ40Dotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalQ50Dotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalQ80Dotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalQ4KDotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalQ5KDotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalQ6KDotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalIQ4NLDotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalIQ4XSDotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalMXFP4Dotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalQ41Dotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalQ51Dotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalQ2KDotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalQ3KDotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalTQ10Dotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalTQ20Dotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalNVFP4Dotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalIQ2XXSDotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalIQ2XSDotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalIQ2SDotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalIQ3XXSDotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalIQ3SDotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalIQ1SDotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)

//go:noescape
func severalIQ1MDotprod(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)
