package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/gogemma/gemma4/internal/fit"
	"github.com/gogemma/gemma4/tensor"
)

// board is a machine that nobody here has.
type board struct {
	name       string
	level, cpu string
	cores      float64
	hertz      float64
	bytes      float64 // that it reads from memory in a second
}

// The Pi 5's Cortex-A76 is what neoverse-n1 is made of; llvm-mca has the model of a Cortex-A57 for its name. Its memory is taken to give
// 10 GB/s of the 17 that it could; that of a Pi 4 has been measured to give 4.8 (STREAM's triad, www.sci-pi.org.uk/bench/stream.html).
var boards = []board{
	{"Raspberry Pi 5", "dotprod", "neoverse-n1", 4, 2.4e9, 10e9},
	{"Raspberry Pi 4", "neon", "cortex-a72", 4, 1.8e9, 4.8e9},
}

// What is foretold: a prompt of so many tokens, and a token behind as many.
const (
	boardModel, boardMix = "e2b", "q4_0"
	boardTokens          = 512
)

// wholeShare is the part of the inner loops' rate that whole prompts reach, as measured on x86: the share of the multiply peak that
// `gemma4 bench -synth e2b:q4_0 -p 512` prints over that of BenchmarkInnerLoops in internal/kernels, at the lower of the levels avx2 and
// avx512.
const wholeShare = 0.66

// parts are the cycles that the parts of a step take, of all cores together.
type parts struct {
	products  float64 // inner loops of products
	packing   float64 // of weights, and of activations to panels
	quantise  float64 // activations for rows
	attention float64
	softmax   float64
	gelu      float64
	norms     float64 // with what is added to the residual
	rope      float64
}

func (p *parts) list() []float64 {
	return []float64{p.products, p.packing, p.quantise, p.attention, p.softmax, p.gelu, p.norms, p.rope}
}

func (p *parts) sum() (sum float64) {
	for _, x := range p.list() {
		sum += x
	}
	return sum
}

// printBoards prints how fast boards would be: by the inner loops alone, times the share of them that is reached elsewhere, and by all
// parts, none of which waits for memory; and what the parts take of that.
func printBoards(c *counter) {
	s, err := fit.Size(boardModel, boardMix)
	if err != nil {
		c.err = cmp.Or(c.err, err)
		return
	}
	fmt.Println("| board | level | step | multiply-adds per token | bytes per token | tokens/s by inner loops | × share reached | " +
		"by all parts | by memory | foretold |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|")
	var shares [][]string
	for _, b := range boards {
		work := s.PromptWork(boardTokens, 0, tensor.F16)
		p := c.prompt(&b, s, work)
		rate := b.cores * b.hertz * boardTokens
		inner, all := rate/p.products, rate/p.sum()
		fmt.Printf("| %s | %s | prompt of %d | %.2f G | - | %.0f | %.0f | %.0f | - | %.0f |\n", b.name, b.level, boardTokens,
			s.PromptOps(boardTokens)/1e9, inner, inner*wholeShare, all, min(inner*wholeShare, all))
		shares = append(shares, share(b.name, "prompt", &p))

		work = s.DecodeWork(boardTokens, tensor.F16)
		p = c.decode(&b, s, work)
		read := float64(s.DecodeBytes(boardTokens, tensor.F16))
		ops := 0.0
		for _, n := range work.Products {
			ops += n
		}
		rate = b.cores * b.hertz
		memory := b.bytes / read
		loops := p.products + p.attention // what reads
		// While it is read it is multiplied; the rest is done by one core, one part after the other.
		whole := 1 / (max(loops/rate, 1/memory) + (p.sum()-loops)/b.hertz)
		fmt.Printf("| %s | %s | decode | %.2f G | %.3f G | %.1f | - | %.1f | %.2f | %.2f |\n", b.name, b.level, ops/1e9, read/1e9,
			rate/p.products, rate/p.sum(), memory, whole)
		shares = append(shares, share(b.name, "decode", &p))
	}
	fmt.Println("\n| board | step | products | packing | quantising | attention | softmax | GELU | norms | rope |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|")
	for _, row := range shares {
		fmt.Print("|")
		for _, x := range row {
			fmt.Printf(" %s |", x)
		}
		fmt.Println()
	}
}

// share returns a row that says what each part takes.
func share(board, step string, p *parts) []string {
	row := []string{board, step}
	for _, x := range p.list() {
		row = append(row, fmt.Sprintf("%.1f%%", 100*x/p.sum()))
	}
	return row
}

// inOrder calls f with the products of a step, always in the same order, so that sums have the same bits.
func inOrder(w *fit.Work, f func(p fit.Product, ops float64)) {
	order := func(a, b fit.Product) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) }
	for _, p := range slices.SortedFunc(maps.Keys(w.Products), order) {
		f(p, w.Products[p])
	}
}

// prompt returns what a prompt takes. Its matrices are taken to have the size that fit measures.
func (c *counter) prompt(b *board, s *fit.Shape, w *fit.Work) (p parts) {
	inOrder(w, func(q fit.Product, ops float64) {
		m := q.Matrices[0]
		cost := c.panels(b.level, b.cpu, m.Format)
		times := ops / (float64(q.Tokens) * float64(m.Rows) * float64(m.Cols))
		all := cost.product(m.Rows, m.Cols, q.Tokens)
		bare := (&panelCost{two: cost.two, four: cost.four}).product(m.Rows, m.Cols, q.Tokens)
		p.products += times * bare
		p.packing += times * (all - bare)
	})
	c.elements(&p, b, s, w, boardTokens)
	return p
}

// decode returns what a token takes that is written.
func (c *counter) decode(b *board, s *fit.Shape, w *fit.Work) (p parts) {
	suffix := map[string]string{"neon": "NEON", "dotprod": "Dotprod"}[b.level]
	quantize := c.turn(vectors+"quantizeNEON", b.cpu, 0).taken / 64
	inOrder(w, func(q fit.Product, ops float64) {
		times, read := ops/weights(&q), 0
		for _, m := range q.Matrices {
			blocks := times * float64(m.Rows) * float64(m.Cols) * float64(m.Count) / 32
			switch r, known := formats[m.Format]; {
			case m.Count == 0:
			case known:
				columns := 64.0
				for _, l := range loops {
					if l.function == "rows"+r.name+suffix {
						columns = float64(l.macs)
					}
				}
				p.products += blocks * c.turn(kernels+"rows"+r.name+suffix, b.cpu, 1).taken * 32 / columns
				if read != m.Cols { // matrices of a region share what they read
					read = m.Cols
					p.quantise += times * float64(m.Cols) * quantize
				}
			default:
				p.products += blocks * c.turn(kernels+"floatRows"+m.Format.String()+"NEON", b.cpu, 1).taken * 32 / 16
			}
		}
	})
	c.elements(&p, b, s, w, 1)
	return p
}

// weights returns how many a product has.
func weights(q *fit.Product) (n float64) {
	for _, m := range q.Matrices {
		n += float64(m.Rows) * float64(m.Cols) * float64(m.Count)
	}
	return n
}

// elements adds what is done beside products.
func (c *counter) elements(p *parts, b *board, s *fit.Shape, w *fit.Work, tokens int) {
	turn := func(function string, numbers float64) float64 { return c.turn(function, b.cpu, 8).taken / numbers }
	score, weigh := turn(kernels+"scoresF16NEON", 512), turn(kernels+"weighF16NEON", 64)
	exp := turn(vectors+"expSumNEON", 4)
	for a, ops := range w.Attention {
		p.attention += ops / 2 * (score + weigh)
		p.softmax += ops / 2 / float64(a.HeadDim) * exp
	}
	p.gelu = w.GELU * turn(vectors+"geluNEON", 4)
	p.norms = w.Norm * (turn(vectors+"dotNEON", 16) + turn(vectors+"scaleByNEON", 4) + turn(vectors+"addScaledNEON", 16))
	for i := range s.Layers {
		l := &s.Layers[i]
		n, heads := tokens, l.Heads
		if i < s.Owners {
			heads += l.KVHeads
		}
		if i >= s.Owners-1 {
			n = 1
		}
		p.rope += float64(n*heads*l.HeadDim) / 2 * turn(vectors+"rotateNEON", 4)
	}
}
