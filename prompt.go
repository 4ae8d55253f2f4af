package gemma4

import (
	"slices"
	"sort"

	"github.com/gogemma/gemma4/model"
)

// prompt is a text before it is read.
type prompt struct {
	ids    []identity
	images []span // in it, ascending, each of which a session reads as a whole
}

type span struct{ first, end int } // positions first to end-1

// prompt returns the text that an input turns an existing one into.
func (m *Model) prompt(text []identity, in []Input) (p prompt) {
	p.ids = slices.Clone(text)
	for _, x := range in {
		first := len(p.ids)
		if p.ids = m.graph.Identities(p.ids, x); x.Image {
			p.images = append(p.images, span{first, len(p.ids)})
		}
	}
	return p
}

// known returns how many positions at the beginning have a known identity.
func (p *prompt) known() int { return model.CommonLen(p.ids, p.ids) }

// border returns the last position up to n that does not lie within an image.
func (p *prompt) border(n int) int {
	if i := sort.Search(len(p.images), func(i int) bool { return p.images[i].end > n }); i < len(p.images) {
		return min(n, p.images[i].first)
	}
	return n
}

// begin returns the last position up to n where a session can begin to read the text: it is not within an image, and reach, which tells the
// same of keys and values, allows it.
func (p *prompt) begin(n int, reach func(n int) int) int {
	for n = max(0, n); ; {
		b := p.border(reach(n))
		if b == n {
			return n
		}
		n = b
	}
}

// match returns how much of another text, which reach tells of, a session can begin with to read this one, and how many positions the two
// have in common, both up to most.
func (p *prompt) match(ids []identity, reach func(n int) int, most int) (n, common int) {
	common = p.border(min(model.CommonLen(ids, p.ids), most))
	return p.begin(common, reach), common
}

// after returns what is left of a prompt after its first n positions, which do not end within an image.
func (m *Model) after(in []Input, n int) []Input {
	if n > 0 {
		_, in = m.graph.Cut(in, n)
	}
	return in
}

// endsTurn reports whether a token ends a turn.
func (m *Model) endsTurn(x identity) bool {
	id, ok := x.Token()
	return ok && m.tok.IsEnd(id)
}

// appendTokens appends the ids of a text that has only tokens.
func appendTokens(dst []int32, text []identity) []int32 {
	for _, x := range text {
		dst = append(dst, int32(x)) // below 0 it is a caller's mistake, which the graph reports
	}
	return dst
}

// idOf returns the id of a token, or embedded for an embedding.
func idOf(x identity) int32 {
	if id, ok := x.Token(); ok {
		return id
	}
	return embedded
}
