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
// step that fits best; with a step that no half is near, too large or too small, it is on no grid. Any other block is written as [Encode]
// does it. Errors are those of Encode.
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
	var g grid
	if !g.find(x) {
		return
	}
	d, identical := g.scale()
	if half := float64(tensor.FromF16(d &^ (1 << 15))); !identical && math.Abs(half-g.step) > g.step/16 {
		return // no half is near a step as large, or as small
	}
	e.OnGrid++
	if g.level == 0 {
		e.Zero++
	}
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
	place     [32]uint16 // magnitudes in BF16
	code      [32]int8
	level     int     // the magnitude of the largest code, 0 if all are 0
	low, high float64 // the step lies between them
	step      float64 // the one that fits best, in least squares
	turned    bool    // the codes have the signs that go with a negative step
}

// find sets g, which is new, to the coarsest grid that x lies on, and reports whether there is one.
func (g *grid) find(x *[32]float32) bool {
	var top uint16
	for i, v := range x {
		place := tensor.ToBF16(v) &^ (1 << 15)
		top = max(top, place)
		g.place[i] = place
	}
	if top == 0 {
		return true
	}
	if top >= 0x7F80 { // infinite, or a NaN
		return false
	}
	largest := float64(tensor.FromBF16(top))
	for g.level = 1; g.level <= 8; g.level++ {
		if g.fits(float64(g.level) / largest) {
			return g.sign(x)
		}
	}
	return false
}

// fits reports whether the weights are multiples of one step, whose reciprocal is known as well as BF16 tells it, and sets codes without
// signs and the bounds of the step.
func (g *grid) fits(inverse float64) bool {
	// What a weight may have been before it was rounded to BF16, as bits of float32: a half of what BF16 tells apart, and a sixteenth, as
	// it may have been rounded to F16 on the way.
	const slack = 1<<15 + 1<<12
	low, high := 0.0, math.Inf(1)
	for i, place := range &g.place {
		bits := uint32(place) << 16
		k := int(float64(float64(math.Float32frombits(bits))*inverse)+0.5) & 15
		g.code[i] = int8(k)
		if least := float64(math.Float32frombits(bits-slack)) * atLeast[k]; least > low { // a NaN, which 0 makes, is not
			low = least
		}
		if most := float64(math.Float32frombits(bits+slack)) * atMost[k]; most < high {
			high = most
		}
		// The second: code 0, but the weight is not. Both are rarely so, and branches that are guessed right cost nothing.
		if low > high || (k-1)>>31&int(place) != 0 {
			return false
		}
	}
	g.low, g.high = low, high
	return true
}

// atLeast and atMost are what a weight of a code is multiplied with for bounds of the step. Code 0 bounds nothing; 9 is one that no weight
// has, but rounding might.
var (
	atLeast = [16]float64{0, 1, 1. / 2, 1. / 3, 1. / 4, 1. / 5, 1. / 6, 1. / 7, 1. / 8, 1. / 9}
	atMost  = [16]float64{math.MaxFloat64, 1, 1. / 2, 1. / 3, 1. / 4, 1. / 5, 1. / 6, 1. / 7, 1. / 8, 1. / 9}
)

// sign gives the codes their signs, and reports whether it can: there is one code of magnitude 8, and if it is positive all are turned. It
// also finds the step that fits best.
func (g *grid) sign(x *[32]float32) bool {
	var products, squares float64
	var least, most int8
	for i, code := range &g.code {
		k := float64(code)
		products += float64(float64(tensor.FromBF16(g.place[i])) * k)
		squares += float64(k * k)
		minus := int8(int32(math.Float32bits(x[i])) >> 31)
		code = (code ^ minus) - minus
		g.code[i] = code
		least, most = min(least, code), max(most, code)
	}
	g.step, g.turned = products/squares, most == 8
	if g.turned {
		if least == -8 {
			return false
		}
		for i := range g.code {
			g.code[i] = -g.code[i]
		}
	}
	return true
}

// scale returns the half to write for the step, and whether it gives back the weights.
func (g *grid) scale() (d uint16, identical bool) {
	nearest := toHalf(g.step)
	// If a half lies between low and high, the one nearest to their middle does. At their ends, a neighbour may be better.
	middle := toHalf((g.low + g.high) / 2)
	d = nearest
	for _, half := range [...]uint16{nearest, middle, middle + 1, max(middle, 1) - 1} {
		if g.gives(half) {
			d, identical = half, true
			break
		}
	}
	if g.turned {
		d |= 1 << 15
	}
	return d, identical
}

// toHalf returns the half nearest to a step, the largest one for those beyond it.
func toHalf(step float64) uint16 { return min(tensor.ToF16(float32(step)), 0x7BFF) }

// gives reports whether the codes times a half are the weights when they are rounded to BF16.
func (g *grid) gives(half uint16) bool {
	var places [16]uint16
	step := tensor.FromF16(half)
	for k := range places[:9] {
		places[k] = tensor.ToBF16(step * float32(k))
	}
	for i, code := range &g.code {
		if places[max(code, -code)&15] != g.place[i] {
			return false
		}
	}
	return true
}
