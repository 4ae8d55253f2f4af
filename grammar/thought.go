package grammar

import (
	"errors"
	"fmt"
)

// thoughts are the grammars of a thought with its opening marker and without.
type thoughts struct{ whole, begun *Grammar }

// newThoughts makes the grammars of thoughts: any text in its markers, which the model writes itself.
func newThoughts(v *Vocabulary) (*thoughts, error) {
	open, ok1 := v.tokenizer.ID("<|channel>")
	shut, ok2 := v.tokenizer.ID("<channel|>")
	if !ok1 || !ok2 || v.texts[open] != "" || v.texts[shut] != "" {
		return nil, errors.New("<|channel> and <channel|> are no special tokens of the vocabulary")
	}
	build := func(begun bool) (*Grammar, error) {
		b := newBuilder()
		rest := b.seq(bytesBody(b.arena.repeat(b.utf8(anyRune), 0, -1)), tokenBody(shut))
		if !begun {
			rest = b.seq(tokenBody(open), bytesBody(b.literal("thought\n")), rest)
		}
		return v.grammar(b, rest)
	}
	whole, err := build(false)
	if err != nil {
		return nil, err
	}
	begun, err := build(true)
	return &thoughts{whole, begun}, err
}

// StartThought returns the state before a thought after which the grammar's text begins. Begun says that the prompt has opened the thought:
// it goes on until <channel|>, the one token that leads out of it.
func (g *Grammar) StartThought(begun bool) (State, error) {
	t, err := g.vocabulary.thoughts()
	if err != nil {
		return State{}, fmt.Errorf("grammar: %w", err)
	}
	thought := t.whole
	if begun {
		thought = t.begun
	}
	s := thought.Start()
	s.then = g
	return s, nil
}

// InThought reports whether the state lies before the end of a thought.
func (s State) InThought() bool { return s.then != nil }
