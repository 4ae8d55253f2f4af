package gemma4

import (
	"errors"
	"fmt"

	"github.com/gogemma/gemma4/grammar"
)

// constraint holds a generation to a grammar. A nil one allows everything.
type constraint struct {
	state grammar.State // before the next token
	few   []float32     // room for the logits of few ids
}

// errOther is returned for a grammar that does not fit the model.
var errOther = errors.New("gemma4: the Grammar is for the vocabulary of another model: this one's grammars are made with Model.Vocabulary")

// constrain returns the constraint of a generation that begins at the state given, or otherwise at the beginning of a grammar, if there is
// one.
func (m *Model) constrain(g *grammar.Grammar, from *grammar.State) (*constraint, error) {
	switch {
	case from != nil:
		g = from.Grammar()
	case g == nil:
		return nil, nil
	}
	if g.Vocabulary().Tokenizer() != m.tok {
		return nil, errOther
	}
	c := &constraint{state: g.Start()}
	if from != nil {
		c.state = *from
	}
	return c, nil
}

// accept goes on to the state after a token that the mask allows.
func (c *constraint) accept(id int32) {
	if c != nil {
		c.state, _ = c.state.Accept(id)
	}
}

// pick chooses the next token.
func (g *generation) pick() (int32, error) {
	s, c := g.s, g.constraint
	if c == nil {
		return g.sampler.Sample(s.logits, len(s.ids))
	}
	mask := c.state.Mask()
	if err := c.state.Err(); err != nil {
		return 0, err
	}
	if mask.Len() == 0 {
		return 0, fmt.Errorf("the grammar lets nothing follow here, not even the end")
	}
	if mask.Bits() != nil {
		return g.sampler.SampleBits(s.logits, mask.Bits(), len(s.ids))
	}
	c.few = c.few[:0]
	for _, id := range mask.IDs() {
		c.few = append(c.few, s.logits[id])
	}
	return g.sampler.SampleIDs(c.few, mask.IDs(), len(s.ids))
}
