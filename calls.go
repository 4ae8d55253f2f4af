package gemma4

import (
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/grammar"
)

// calls returns the grammar of what an answer may call and, unless the options have a Grammar, of the text before. It is nil if the answer
// is held to no such grammar.
func (o ChatOptions) calls(m *Model) (*grammar.Grammar, error) {
	c := o.Calls
	chosen := c.Choice != grammar.Auto || len(c.Only) > 0 || c.Single
	switch {
	case o.FreeCalls && chosen:
		return nil, errors.New("gemma4: FreeCalls beside Calls: calls that are free obey no choice")
	case o.FreeCalls && o.Grammar != nil && len(o.Tools) > 0:
		return nil, errors.New("gemma4: FreeCalls beside a Grammar: with one, calls are held to their tools, too")
	case o.FreeCalls || len(o.Tools) == 0 && !chosen || c.Choice == grammar.None && o.Grammar != nil:
		return nil, nil
	}
	if c.Choice == grammar.Auto && o.Grammar != nil {
		c.Choice = grammar.Required // or the Grammar's text: see obey
	}
	tools := make([]grammar.Tool, len(o.Tools))
	for i, t := range o.Tools {
		tools[i] = grammar.Tool{Name: t.Name, Parameters: t.Parameters, Strict: t.Strict}
	}
	g, err := grammar.Calls(m.Vocabulary(), tools, c)
	switch {
	case err != nil && chosen:
		return nil, fmt.Errorf("gemma4: %w", err)
	case err != nil:
		return nil, fmt.Errorf("gemma4: %w (FreeCalls lets calls break their form)", err)
	}
	return g, nil
}

// obey returns the state from which an answer goes on, after the text that it has already, with what a prompt leaves open, nil if anything
// may come, and what of the tools' schemas is not enforced.
func (o ChatOptions) obey(m *Model, open chat.Kind, said string) (begin *grammar.State, loosened []string, err error) {
	calls, err := o.calls(m)
	if err != nil {
		return nil, nil, err
	}
	var s grammar.State
	free := false // the answer may be any text
	switch text := o.Grammar; {
	case text == nil && calls == nil:
		return nil, nil, nil
	case text != nil && text.Vocabulary().Tokenizer() != m.tok:
		return nil, nil, errOther
	case calls == nil:
		s, loosened = text.Start(), text.Loosened()
	case text == nil || o.Calls.Choice == grammar.Required:
		s, loosened, free = calls.Start(), calls.Loosened(), o.Calls.Choice != grammar.Required
	default:
		s, loosened = calls.Start().Or(text.Start()), slices.Concat(calls.Loosened(), text.Loosened())
	}
	switch {
	case open == chat.ToolCall:
		return nil, nil, errors.New("gemma4: the prompt leaves a call open, with which no grammar can go on (FreeCalls does without)")
	case open == chat.Thought:
		s, err = s.AfterThought(true)
	case said != "":
		s, err = goOn(s, said)
	case o.Thinking:
		var thought grammar.State
		if thought, err = s.AfterThought(false); !free {
			s = thought
		} else if err == nil {
			s = s.Or(thought) // models need not think where anything goes
		} else {
			err = nil // nor can those without the markers
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("gemma4: %w", err)
	}
	return &s, loosened, nil
}

// goOn returns the state behind a text.
func goOn(s grammar.State, text string) (grammar.State, error) {
	after, ok := s.AcceptText(text)
	if !ok {
		wrong := sort.Search(len(text), func(n int) bool {
			_, ok := s.AcceptText(text[:n+1])
			return !ok
		})
		return s, fmt.Errorf("the answer to continue breaks its grammar from byte %d on: %.60q", wrong, text[wrong:])
	}
	return after, nil
}
