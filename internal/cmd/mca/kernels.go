package main

import (
	"fmt"

	"github.com/gogemma/gemma4/tensor"
)

// Where the functions are.
const (
	vectors = "github.com/gogemma/gemma4."
	kernels = "github.com/gogemma/gemma4/internal/kernels."
)

// panels stands for the format of those.
const panels = ^tensor.Format(0)

// loops are the functions to look at, each with a processor, the format that is read, the number of tokens and the multiply-adds of a
// turn of its largest inner loop, and the most that the processor could issue in a cycle.
var loops = []struct {
	function, cpu        string
	format               tensor.Format
	tokens, macs, atMost int
}{
	{"rowsQ40NEON", "cortex-a72", tensor.Q4_0, 1, 128, 8},
	{"severalQ40NEON", "cortex-a72", tensor.Q4_0, 4, 512, 8},
	{"rowsQ41NEON", "cortex-a72", tensor.Q4_1, 1, 64, 8},
	{"rowsQ50NEON", "cortex-a72", tensor.Q5_0, 1, 64, 8},
	{"rowsQ51NEON", "cortex-a72", tensor.Q5_1, 1, 64, 8},
	{"rowsQ80NEON", "cortex-a72", tensor.Q8_0, 1, 64, 8},
	{"rowsQ2KNEON", "cortex-a72", tensor.Q2_K, 1, 64, 8},
	{"rowsQ3KNEON", "cortex-a72", tensor.Q3_K, 1, 64, 8},
	{"rowsQ4KNEON", "cortex-a72", tensor.Q4_K, 1, 64, 8},
	{"rowsQ5KNEON", "cortex-a72", tensor.Q5_K, 1, 64, 8},
	{"rowsQ6KNEON", "cortex-a72", tensor.Q6_K, 1, 128, 8},
	{"rowsIQ1SNEON", "cortex-a72", tensor.IQ1_S, 1, 64, 8},
	{"rowsIQ1MNEON", "cortex-a72", tensor.IQ1_M, 1, 64, 8},
	{"rowsIQ2XXSNEON", "cortex-a72", tensor.IQ2_XXS, 1, 64, 8},
	{"rowsIQ2XSNEON", "cortex-a72", tensor.IQ2_XS, 1, 64, 8},
	{"rowsIQ2SNEON", "cortex-a72", tensor.IQ2_S, 1, 64, 8},
	{"rowsIQ3XXSNEON", "cortex-a72", tensor.IQ3_XXS, 1, 64, 8},
	{"rowsIQ3SNEON", "cortex-a72", tensor.IQ3_S, 1, 64, 8},
	{"rowsIQ4NLNEON", "cortex-a72", tensor.IQ4_NL, 1, 64, 8},
	{"rowsIQ4XSNEON", "cortex-a72", tensor.IQ4_XS, 1, 64, 8},
	{"rowsTQ10NEON", "cortex-a72", tensor.TQ1_0, 1, 256, 8},
	{"rowsTQ20NEON", "cortex-a72", tensor.TQ2_0, 1, 64, 8},
	{"rowsMXFP4NEON", "cortex-a72", tensor.MXFP4, 1, 64, 8},
	{"rowsNVFP4NEON", "cortex-a72", tensor.NVFP4, 1, 64, 8},
	{"floatRowsF16NEON", "cortex-a72", tensor.F16, 1, 16, 4},
	{"floatRowsBF16NEON", "cortex-a72", tensor.BF16, 1, 16, 4},
	{"rowsQ40Dotprod", "neoverse-n1", tensor.Q4_0, 1, 128, 32},
	{"severalQ40Dotprod", "neoverse-n1", tensor.Q4_0, 4, 512, 32},
	{"rowsQ41Dotprod", "neoverse-n1", tensor.Q4_1, 1, 64, 32},
	{"rowsQ50Dotprod", "neoverse-n1", tensor.Q5_0, 1, 64, 32},
	{"rowsQ51Dotprod", "neoverse-n1", tensor.Q5_1, 1, 64, 32},
	{"rowsQ80Dotprod", "neoverse-n1", tensor.Q8_0, 1, 64, 32},
	{"rowsQ2KDotprod", "neoverse-n1", tensor.Q2_K, 1, 64, 32},
	{"rowsQ3KDotprod", "neoverse-n1", tensor.Q3_K, 1, 64, 32},
	{"rowsQ4KDotprod", "neoverse-n1", tensor.Q4_K, 1, 64, 32},
	{"rowsQ5KDotprod", "neoverse-n1", tensor.Q5_K, 1, 64, 32},
	{"rowsQ6KDotprod", "neoverse-n1", tensor.Q6_K, 1, 128, 32},
	{"rowsIQ1SDotprod", "neoverse-n1", tensor.IQ1_S, 1, 64, 32},
	{"rowsIQ1MDotprod", "neoverse-n1", tensor.IQ1_M, 1, 64, 32},
	{"rowsIQ2XXSDotprod", "neoverse-n1", tensor.IQ2_XXS, 1, 64, 32},
	{"rowsIQ2XSDotprod", "neoverse-n1", tensor.IQ2_XS, 1, 64, 32},
	{"rowsIQ2SDotprod", "neoverse-n1", tensor.IQ2_S, 1, 64, 32},
	{"rowsIQ3XXSDotprod", "neoverse-n1", tensor.IQ3_XXS, 1, 64, 32},
	{"rowsIQ3SDotprod", "neoverse-n1", tensor.IQ3_S, 1, 64, 32},
	{"rowsIQ4NLDotprod", "neoverse-n1", tensor.IQ4_NL, 1, 64, 32},
	{"rowsIQ4XSDotprod", "neoverse-n1", tensor.IQ4_XS, 1, 64, 32},
	{"rowsTQ10Dotprod", "neoverse-n1", tensor.TQ1_0, 1, 256, 32},
	{"rowsTQ20Dotprod", "neoverse-n1", tensor.TQ2_0, 1, 64, 32},
	{"rowsMXFP4Dotprod", "neoverse-n1", tensor.MXFP4, 1, 64, 32},
	{"rowsNVFP4Dotprod", "neoverse-n1", tensor.NVFP4, 1, 64, 32},
	{"floatRowsF16NEON", "neoverse-n1", tensor.F16, 1, 16, 8},
	{"floatRowsBF16NEON", "neoverse-n1", tensor.BF16, 1, 16, 8},
	{"scoresF32NEON", "cortex-a72", panels, 8, 512, 4},
	{"scoresF32NEON", "neoverse-n1", panels, 8, 512, 8},
	{"scoresF16NEON", "cortex-a72", panels, 8, 512, 4},
	{"scoresF16NEON", "neoverse-n1", panels, 8, 512, 8},
	{"scoresQ8_0NEON", "cortex-a72", panels, 8, 512, 4},
	{"scoresQ8_0NEON", "neoverse-n1", panels, 8, 512, 8},
	{"weighF32NEON", "cortex-a72", panels, 8, 64, 4},
	{"weighF32NEON", "neoverse-n1", panels, 8, 64, 8},
	{"weighF16NEON", "cortex-a72", panels, 8, 64, 4},
	{"weighF16NEON", "neoverse-n1", panels, 8, 64, 8},
	{"weighQ8_0NEON", "cortex-a72", panels, 8, 64, 4},
	{"weighQ8_0NEON", "neoverse-n1", panels, 8, 64, 8},
	{"rowsUnitsNEON", "cortex-a72", panels, 4, 256, 8},
	{"multiplyFloatsNEON", "cortex-a72", panels, 8, 64, 4},
	{"multiplyFloatsNEON", "neoverse-n1", panels, 8, 64, 8},
	{"multiplyStripsDotprod", "neoverse-n1", panels, 4, 1024, 32},
	{"multiplyMinStripsDotprod", "neoverse-n1", panels, 4, 1024, 32},
	{"multiplyGroupStripsDotprod", "neoverse-n1", panels, 4, 1024, 32},
	{"multiplySpans", "neoverse-n2", panels, 4, 3072, 64},
	{"multiplyHalfSpans", "neoverse-n2", panels, 4, 3072, 64},
	{"multiplySpans2", "neoverse-n2", panels, 2, 1536, 64},
	{"multiplyHalfSpans2", "neoverse-n2", panels, 2, 1536, 64},
	{"multiplyBF16", "neoverse-n2", panels, 8, 256, 32},
}

// steps are formats whose row kernels are looked at for every number of tokens, with the columns of a turn, at levels with a processor,
// the tokens that its kernels for several take at once, and the most that it could multiply in a cycle.
var (
	steps = []struct {
		name    string
		format  tensor.Format
		columns int
	}{{"Q40", tensor.Q4_0, 128}, {"Q80", tensor.Q8_0, 64}, {"Q4K", tensor.Q4_K, 64}, {"Q6K", tensor.Q6_K, 128}}

	stepLevels = []struct {
		name, cpu      string
		tokens, atMost int
	}{{"NEON", "cortex-a72", 4, 8}, {"Dotprod", "neoverse-n1", 8, 32}, {"Dotprod", "neoverse-v1", 8, 64}}
)

// elements are functions on numbers one by one, four a turn: the softmax of attention, the activation of an MLP, and the bounds of a
// projector's products.
var elements = []string{"expSumNEON", "geluNEON", "clampNEON"}

func printKernels(c *counter) {
	fmt.Println("| kernel | processor | tokens | cycles per 32 weights | bytes per cycle | multiply-adds per cycle | share of the peak |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, l := range loops {
		rate := float64(l.macs) / c.turn(kernels+l.function, l.cpu, l.tokens).taken
		perBlock, bytes := 32*float64(l.tokens)/rate, "-"
		if l.format != panels {
			bytes = fmt.Sprintf("%.2f", float64(l.format.RowBytes(256))/8/perBlock)
		}
		fmt.Printf("| %s | %s | %d | %.1f | %s | %.1f | %.0f%% |\n", l.function, l.cpu, l.tokens, perBlock, bytes, rate,
			100*rate/float64(l.atMost))
	}
}

func printElements(c *counter) {
	fmt.Println("| function | processor | cycles per number |")
	fmt.Println("|---|---|---|")
	for _, function := range elements {
		for _, cpu := range []string{"cortex-a72", "neoverse-n1"} {
			fmt.Printf("| %s | %s | %.2f |\n", function, cpu, c.turn(vectors+function, cpu, 0).taken/4)
		}
	}
}

// printSteps prints the cycles per 32 weights of steps, four tokens also by the kernels for few, and the least that four would take if
// nothing had to be waited for but the multiplications, or but any unit.
func printSteps(c *counter) {
	fmt.Println("| format | processor | 1 token | 2 | 3 | 4, as few | 4 | 8 | 4 : 1 | 8 : 1 | 4: multiplications | 4: any unit |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|---|---|")
	for _, level := range stepLevels {
		for _, f := range steps {
			fmt.Printf("| %v | %s ", f.format, level.cpu)
			perBlock := 32 / float64(f.columns)
			var taken [6]float64
			var least float64
			for i, step := range []struct {
				kernel        string
				tokens, times int
			}{
				{"rows", 1, 1}, {"rows", 2, 1}, {"rows", 3, 1}, {"rows", 4, 1},
				{"several", level.tokens, 8 / level.tokens}, {"several", 4, 1},
			} {
				turn := c.turn(kernels+step.kernel+f.name+level.name, level.cpu, step.tokens)
				taken[i], least = turn.taken*perBlock*float64(step.times), turn.least*perBlock
			}
			one, eight, four := taken[0], taken[4], taken[5]
			fmt.Printf("| %.1f | %.1f | %.1f | %.1f | %.1f | %.1f | %.2f | %.2f | %.1f | %.1f |\n", one, taken[1], taken[2], taken[3],
				four, eight, four/one, eight/one, 4*32/float64(level.atMost), least)
		}
	}
}
