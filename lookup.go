package gemma4

import (
	"cmp"
	"context"
	"slices"

	"github.com/gogemma/gemma4/internal/suffix"
)

// lookup guesses that what followed the end of the text when it occurred before follows again.
type lookup struct {
	index *suffix.Automaton
	texts []string // of a Draft, which the index begins with
	n     int      // positions of the session's text that it goes on with; below 0: it holds something else
}

func newLookup() *lookup { return &lookup{index: suffix.New(), n: -1} }

// follow lets the index hold the text.
func (l *lookup) follow(_ context.Context, g *generation) {
	s, texts := g.s, g.o.Draft.Texts
	if l.n < 0 || l.n > len(s.ids) || !slices.Equal(texts, l.texts) {
		l.index.Reset()
		l.n, l.texts = 0, slices.Clone(texts)
		for _, text := range texts {
			for _, id := range s.m.tok.Encode(text, false) {
				l.index.Add(id)
			}
			l.index.Break()
		}
	}
	for _, x := range s.ids[l.n:] {
		l.index.Add(idOf(x))
	}
	l.n = len(s.ids)
}

func (l *lookup) guess(_ context.Context, g *generation, _ *pace, n int, dst []int32, probs []float64) ([]int32, []float64) {
	if length, _ := l.index.Match(); length >= cmp.Or(g.o.Draft.Match, leastMatch) {
		dst = l.index.Continue(dst, n)
	}
	return dst, probs
}

func (l *lookup) rewound(n int) {
	if n < l.n {
		l.n = -1
	}
}

func (l *lookup) close() { l.index = nil }

// guess asks the caller.
type guess struct{ text []int32 }

func (x *guess) follow(_ context.Context, g *generation) {
	for _, id := range g.s.ids[len(x.text):] {
		x.text = append(x.text, idOf(id))
	}
}

func (x *guess) guess(_ context.Context, g *generation, _ *pace, n int, dst []int32, probs []float64) ([]int32, []float64) {
	ids := g.o.Draft.Guess(x.text, n)
	return append(dst, ids[:min(n, len(ids))]...), probs
}

func (x *guess) rewound(n int) { x.text = x.text[:min(n, len(x.text))] }

func (x *guess) close() { x.text = nil }
