package quant

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/gogemma/gemma4/tensor"
)

// Exactness counts what [Grid] found, in blocks of 32 weights.
type Exactness struct {
	Blocks    int // all of them
	OnGrid    int // those whose codes are exact
	Identical int // those of them that decode to the same BF16, zeros of either sign being the same
	Zero      int // those of them that are all zero
}

// Add counts what another call found.
func (e *Exactness) Add(f Exactness) {
	e.Blocks += f.Blocks
	e.OnGrid += f.OnGrid
	e.Identical += f.Identical
	e.Zero += f.Zero
}

// Trained reports whether the blocks counted come from quantisation-aware training: more than half of those that are not all zero lie on a
// grid. By chance none does.
func (e Exactness) Trained() bool { return 2*(e.OnGrid-e.Zero) > e.Blocks-e.Zero }

// Grid writes src, whole rows of n weights as a checkpoint holds them in BF16, to dst as Q4_0. Where the 32 weights of a block lie on a
// grid of 4 bits, as quantisation-aware training leaves them, their codes are found without error: they are integers from -8 to 7 times
// a step, and the weight of largest magnitude may be on any level from 1 to 8, of either sign.
//
// A block is on a grid if the multiples of one step, rounded to BF16, are its weights; they may have been rounded to F16 on the way. Of the
// halves near the step the block gets one that gives back exactly its weights, rounded to BF16, if there is one, else the nearest to the
// step that fits best. Any other block is written as [Encode] does it. Errors are those of Encode.
func Grid(dst []byte, src []float32, n int) (Exactness, error) {
	if err := Encode(tensor.Q4_0, dst, src, n, nil); err != nil {
		return Exactness{}, err
	}
	var e Exactness
	for ; len(src) >= 32; src, dst = src[32:], dst[18:] {
		e.count((*[18]byte)(dst), (*[32]float32)(src))
	}
	return e, nil
}

// Count returns what Grid would about src, whole blocks of 32 weights, without writing anything: for samples of a matrix. Weights that
// are not finite are on no grid.
func Count(src []float32) (Exactness, error) {
	if len(src)%32 != 0 {
		return Exactness{}, fmt.Errorf("quant: %d weights, want a multiple of 32", len(src))
	}
	var e Exactness
	var b [18]byte
	for ; len(src) >= 32; src = src[32:] {
		e.count(&b, (*[32]float32)(src))
	}
	return e, nil
}

// count counts a block and, if it is on a grid, writes it.
func (e *Exactness) count(b *[18]byte, x *[32]float32) {
	e.Blocks++
	g, ok := findGrid(x)
	if !ok {
		return
	}
	e.OnGrid++
	if g.level == 0 {
		e.Zero++
	}
	d, identical := g.scale(x)
	if identical {
		e.Identical++
	}
	binary.LittleEndian.PutUint16(b[0:], d)
	for i := range 16 {
		b[2+i] = byte(g.code[i]+8) | byte(g.code[i+16]+8)<<4
	}
}

// A grid is what 32 weights are multiples of.
type grid struct {
	code      [32]int8
	level     int     // the magnitude of the largest code, 0 if all are 0
	low, high float64 // the step lies between them
	step      float64 // the one that fits best, in least squares
	turned    bool    // the codes have the signs that go with a negative step
}

// findGrid returns the coarsest grid that x lies on.
func findGrid(x *[32]float32) (g grid, ok bool) {
	place := tensor.ToBF16(peak(x[:])) &^ (1 << 15)
	if place == 0 {
		return g, true
	}
	if place >= 0x7F80 { // infinite, or a NaN
		return g, false
	}
	most := float64(tensor.FromBF16(place))
	for g.level = 1; g.level <= 8; g.level++ {
		if g.fits(x, float64(g.level)/most) {
			return g, true
		}
	}
	return g, false
}

// fits reports whether the weights are multiples of one step, whose reciprocal is known as well as BF16 tells it, and sets the grid to
// it.
func (g *grid) fits(x *[32]float32, inverse float64) bool {
	g.low, g.high = 0, math.Inf(1)
	const slack = 0.5 + 1./16 // of what BF16 can tell apart; F16 is eight times as fine
	plus8, minus8 := false, false
	var products, squares float64
	for i, v := range x {
		place := tensor.ToBF16(v) &^ (1 << 15)
		value := float64(tensor.FromBF16(place))
		k := int(value*inverse + 0.5)
		if k == 0 {
			if place != 0 {
				return false
			}
			g.code[i] = 0
			continue
		}
		less, more := value-float64(tensor.FromBF16(place-1)), float64(tensor.FromBF16(place+1))-value
		g.low, g.high = max(g.low, (value-slack*less)*shares[k]), min(g.high, (value+slack*more)*shares[k])
		if g.low > g.high {
			return false
		}
		products += value * float64(k)
		squares += float64(k * k)
		g.code[i] = int8(k)
		if v < 0 {
			g.code[i] = int8(-k)
			minus8 = minus8 || k == 8
		} else {
			plus8 = plus8 || k == 8
		}
	}
	if plus8 && minus8 { // there is one code of that magnitude
		return false
	}
	g.step = products / squares
	if g.turned = plus8; g.turned {
		for i := range g.code {
			g.code[i] = -g.code[i]
		}
	}
	return true
}

// shares are the reciprocals of codes. 9 is one that no weight has, but rounding might.
var shares = [...]float64{0, 1, 1. / 2, 1. / 3, 1. / 4, 1. / 5, 1. / 6, 1. / 7, 1. / 8, 1. / 9}

// scale returns the half to write for the step, and whether it gives back x.
func (g *grid) scale(x *[32]float32) (d uint16, identical bool) {
	nearest := toHalf(g.step)
	// If a half lies between low and high, the one nearest to their middle does. At their ends, a neighbour may be better.
	middle := toHalf((g.low + g.high) / 2)
	for _, d := range [...]uint16{nearest, middle, middle + 1, max(middle, 1) - 1} {
		if d = g.signed(d); g.gives(x, d) {
			return d, true
		}
	}
	return g.signed(nearest), false
}

// toHalf returns the half nearest to a step, the largest one for those beyond it.
func toHalf(step float64) uint16 { return min(tensor.ToF16(float32(step)), 0x7BFF) }

func (g *grid) signed(d uint16) uint16 {
	if g.turned {
		return d | 1<<15
	}
	return d
}

// gives reports whether the codes times d are x when rounded to BF16.
func (g *grid) gives(x *[32]float32, d uint16) bool {
	step := tensor.FromF16(d)
	for i, v := range x {
		got, want := tensor.ToBF16(step*float32(g.code[i])), tensor.ToBF16(v)
		if got != want && (got|want)&^(1<<15) != 0 {
			return false
		}
	}
	return true
}
