package main

import "github.com/gogemma/gemma4/tensor"

// routines are the functions that a format's products consist of.
type routines struct {
	name         string // as in rowsQ40NEON
	unpacked     int    // weights of a turn of its unpacker
	finer        bool   // at i8mm its unpacker makes weights as fine as they can be
	kind         string // of the strips of rows, as in interleaveMinRows4
	strips, span string // the functions that multiply strips at dotprod and spans at i8mm
	interleave   string // spans
	units        string // the function that multiplies units at neon
}

var formats = map[tensor.Format]routines{
	tensor.Q4_0: {"Q40", 64, true, "", "multiplyStripsDotprod", "multiplySpans", "interleaveRowSpans", "rowsUnitsNEON"},
	tensor.Q8_0: {"Q80", 64, false, "", "multiplyStripsDotprod", "multiplySpans", "interleaveRowSpans", "rowsUnitsNEON"},
	tensor.Q4_K: {"Q4K", 64, true, "Min", "multiplyMinStripsDotprod", "multiplySpans", "interleaveMinSpans", "rowsMinUnitsNEON"},
	tensor.Q6_K: {"Q6K", 128, true, "Group", "multiplyGroupStripsDotprod", "multiplyHalfSpans", "interleaveHalfSpans",
		"rowsGroupUnitsNEON"},
}

// panelCost is what products of prompts take, in cycles: of packing 32 weights, of packing 32 activations, and of multiplying 32 weights
// with two tokens or four.
type panelCost struct{ weights, tokens, two, four float64 }

// panels returns what products with a format take at a level. The loops within super-blocks count, what comes once for each does not.
func (c *counter) panels(level, cpu string, f tensor.Format) (p panelCost) {
	r, known := formats[f]
	turn := func(function string) float64 { return c.turn(kernels+function, cpu, 4).taken }
	unpack := func(function string) float64 { return turn(function+r.name) * 32 / float64(r.unpacked) }
	short := func(function string) float64 { return c.turnOf(kernels+function, cpu, 4, shortest).taken }
	switch {
	case !known: // floats
		p.four = turn("multiplyFloatsNEON") * 32 * 4 / 64
		p.two = p.four
	case level == "neon":
		p.weights = unpack("unpack")
		p.tokens = c.turn(vectors+"quantizeNEON", cpu, 0).taken / 2
		p.four = turn(r.units) / 2
		p.two = c.turn(kernels+r.units, cpu, 2).taken / 2
	case level == "dotprod":
		p.weights = unpack("unpack") + turn("interleave"+r.kind+"Rows4")/8
		p.tokens = c.turn(vectors+"quantizeNEON", cpu, 0).taken/2 + turn("interleaveTokens4")/8
		p.four = turn(r.strips) / 8
		p.two = p.four
	case level == "i8mm":
		unpacker := "unpack"
		if r.finer {
			unpacker += "Finer"
		}
		p.weights = unpack(unpacker) + turn(r.interleave)/24
		p.tokens = turn("quantizeSpansI8MM")/3 + turn("interleaveTokenSpans")/12 + turn("spreadBF16")*5/12
		columns := 1.0 / 6 // of eight rows' 24 blocks of 32
		if r.kind == "Min" {
			p.weights += turn("putOffsets") / 4
			columns += 1.0 / 4
		}
		columns /= 8
		p.four = turn(r.span)/24 + short(r.span)*columns
		p.two = turn(r.span+"2")/24 + short(r.span+"2")*columns
	}
	return p
}

// product returns the cycles that n tokens take with a matrix.
func (p *panelCost) product(rows, cols, n int) float64 {
	weights := float64(rows) * float64(cols) / 32
	tiles := float64(n/4) * p.four
	switch n % 4 {
	case 1, 2:
		tiles += p.two
	case 3:
		tiles += p.four
	}
	return weights*(p.weights+tiles) + float64(n)*float64(cols)/32*p.tokens
}
