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

// StartThought returns the state before a thought after which the grammar's text begins: see [State.AfterThought].
func (g *Grammar) StartThought(begun bool) (State, error) { return g.Start().AfterThought(begun) }

// AfterThought returns the state before a thought after which the text goes on from s. Begun says that the prompt has opened the thought:
// it goes on until <channel|>, the one token that leads out of it.
func (s State) AfterThought(begun bool) (State, error) {
	t, err := s.g.vocabulary.thoughts()
	if err != nil {
		return State{}, fmt.Errorf("grammar: %w", err)
	}
	thought := t.whole
	if begun {
		thought = t.begun
	}
	before := thought.Start()
	before.then = &s
	return before, nil
}

// InThought reports whether the state lies in a thought, or before one that must come.
func (s State) InThought() bool { return s.then != nil && s.or == nil }

// Or returns the state before either text, that of s or that of other, which is of the same vocabulary. The first token decides between
// them; if both allow it, s is meant.
func (s State) Or(other State) State {
	if s.or != nil {
		other = s.or.Or(other)
	}
	s.or = &other
	return s
}

// alone returns the state without what may be begun instead.
func (s State) alone() State {
	s.or = nil
	return s
}
