package main

import (
	"slices"
	"testing"

	"github.com/gogemma/gemma4/internal/fit"
	"github.com/gogemma/gemma4/tensor"
)

// listed is a function with a loop of two turns' code, around it another one, and one behind both that branches on the tokens in R7.
const listed = `
0000000000000ff0 <f.abi0>:
    ff0:      	mov	x1, x0
    ff4:      	mov	x1, x0
    ff8:      	mov	x1, x0
    ffc:      	mov	x1, x0
    1000:      	mov	x1, x0
    1004:      	ldr	q0, [x1]
    1008:      	subs	x2, x2, #0x1
    100c:      	b.ne	0x1004 <f.abi0+0x4>
    1010:      	subs	x3, x3, #0x1
    1014:      	b.ne	0xff0 <f.abi0>
    1018:      	ldr	q1, [x1]
    101c:      	cmp	x7, #0x2
    1020:      	b.lt	0x102c <f.abi0+0x2c>
    1024:      	ldr	q2, [x1]
    1028:      	ldr	q3, [x1]
    102c:      	subs	x4, x4, #0x1
    1030:      	b.ne	0x1018 <f.abi0+0x18>
    1034:      	ret
`

func TestInnerLoopsAreFound(t *testing.T) {
	for _, c := range []struct {
		tokens int
		which  choice
		want   []string
	}{
		{1, shortest, []string{"ldr\tq0, [x1]", "subs\tx2, x2, #0x1", "b.ne ."}},
		{1, longest, []string{"ldr\tq1, [x1]", "cmp\tx7, #0x2", "b.lt .", "subs\tx4, x4, #0x1", "b.ne ."}},
		{2, longest, []string{"ldr\tq1, [x1]", "cmp\tx7, #0x2", "b.lt .", "ldr\tq2, [x1]", "ldr\tq3, [x1]", "subs\tx4, x4, #0x1",
			"b.ne ."}},
	} {
		got, err := parse(listed).innerLoop(c.tokens, c.which)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%d tokens: %q (%v), want %q", c.tokens, got, err, c.want)
		}
	}
	if _, err := parse("no code").innerLoop(1, longest); err == nil {
		t.Error("a loop in nothing")
	}
}

func TestTokensLeftOverTakeTheTileThatHoldsThem(t *testing.T) {
	p := panelCost{weights: 1000, tokens: 100, two: 1, four: 10}
	for n, tiles := range []float64{0, 1, 1, 10, 10, 11, 11, 20, 20, 21} {
		if got, want := p.product(32, 64, n), 64*(1000+tiles)+float64(n)*2*100; got != want {
			t.Errorf("%d tokens: %g cycles, want %g", n, got, want)
		}
	}
}

// TestPartsOfAStepAddUp: on a processor that does a turn of anything in 64 cycles.
func TestPartsOfAStepAddUp(t *testing.T) {
	s, err := fit.Size(boardModel, boardMix)
	if err != nil {
		t.Fatal(err)
	}
	b := &boards[0]
	c := &counter{always: &cycles{64, 64}}
	d, p := c.decode(b, s, s.DecodeWork(boardTokens, tensor.F16)), c.prompt(b, s, s.PromptWork(boardTokens, 0, tensor.F16))
	ops, floats := 0.0, 0.0
	for q, n := range s.DecodeWork(boardTokens, tensor.F16).Products {
		ops += n
		for _, m := range q.Matrices {
			if m.Format == tensor.BF16 {
				floats += float64(m.Rows*m.Cols*m.Count) * n / weights(&q)
			}
		}
	}
	// A turn of Q4_0's and Q6_K's row kernels is 128 multiply-adds, of floats' 16.
	if want := (ops-floats)/2 + floats*4; d.products < 0.999*want || d.products > 1.001*want {
		t.Errorf("products of a token take %g cycles, want %g", d.products, want)
	}
	if least := s.PromptOps(boardTokens) * boardTokens / 16; p.products < least { // a turn of the strips is 1024
		t.Errorf("products of a prompt take %g cycles, at least %g are expected", p.products, least)
	}
	for i, x := range d.list() {
		if y := p.list()[i]; x < 0 || y < 0 || x == 0 && y == 0 {
			t.Errorf("part %d takes %g and %g cycles", i, x, y)
		}
	}
	if c.err != nil {
		t.Error(c.err)
	}
}
