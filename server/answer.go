package server

import (
	"iter"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// answer is one of the answers to a request, as far as it has been written.
type answer struct {
	events  []chat.Event
	calls   int
	written int            // tokens,
	thought int            // and of these, of thoughts, with what opens and closes them
	result  *gemma4.Result // how it went; nil: it has not ended

	place place // of the next token
}

// place is what a token is part of.
type place uint8

const (
	inText place = iota
	inThought
	inCall
	marker // none of these
)

// message returns the answer as a message, with calls whose IDs are those that streams tell.
func (a *answer) message() chat.Message { return chat.Answer(a.events) }

// delta is what a piece adds to an answer. Streams and whole answers are made of the same ones.
type delta struct {
	*answer                   // as it is with the piece
	choice     int            // which answer
	chat.Event                // a piece of text or thought, which may be empty, or a call
	call       int            // of a call: its number in the answer, from 0
	tokens     []gemma4.Token // of the text, with the piece's own; those that a text held back come with the text
	ended      bool           // the answer has a result, and the delta nothing else but tokens
}

// deltas returns what pieces add to answers. Calls get IDs that nothing else has, with a protocol's prefix.
func (c *call) deltas(pieces iter.Seq2[gemma4.Piece, error], prefix string) iter.Seq2[delta, error] {
	tok := c.s.m.Tokenizer()
	id := func(text string) int32 {
		id, ok := tok.ID(text)
		if !ok {
			return -1
		}
		return id
	}
	places := map[int32]place{id("<|channel>"): inThought, id("<|tool_call>"): inCall, id("<channel|>"): inText, id("<tool_call|>"): inText}
	delete(places, -1)
	special := map[int32]bool{}
	for _, text := range chat.Markup() {
		special[id(text)] = true
	}
	delete(special, id(`<|"|>`)) // it stands for a quote
	return func(yield func(delta, error) bool) {
		var answers []*answer
		held := map[int][]gemma4.Token{}
		for p, err := range pieces {
			if err != nil {
				yield(delta{}, err)
				return
			}
			for len(answers) <= p.Choice {
				answers = append(answers, new(answer))
			}
			a := answers[p.Choice]
			d := delta{answer: a, choice: p.Choice, Event: p.Event, ended: p.Result != nil}
			if p.Err != nil { // a call that broke off: what there is of it is no text
				c.s.log.Warn("call left out", "request", c.id, "error", p.Err)
				d.Event = chat.Event{}
			}
			if p.Kind == chat.Thought && a.place == inText { // the prompt has opened it
				a.place = inThought
			}
			if p.ID >= 0 {
				if a.take(p.ID, places, special) == inText && p.Kind != chat.ToolCall {
					held[p.Choice] = append(held[p.Choice], p.Token)
				}
			}
			if d.Call != nil {
				called := *d.Call
				called.ID = newID(prefix)
				d.Call, d.call = &called, a.calls
				a.calls++
			}
			if d.ended || d.Kind == chat.Text && d.Text != "" {
				d.tokens, held[p.Choice] = held[p.Choice], nil
			}
			a.result = p.Result
			a.events = append(a.events, d.Event)
			if !yield(d, nil) {
				return
			}
		}
	}
}

// take counts a token and returns what it is part of.
func (a *answer) take(id int32, places map[int32]place, special map[int32]bool) place {
	a.written++
	was := a.place
	to, moves := places[id]
	if moves {
		a.place = to
	}
	if was == inThought || moves && to == inThought {
		a.thought++
	}
	if moves || special[id] && was == inText {
		return marker
	}
	return was
}

// collect returns whole answers.
func collect(deltas iter.Seq2[delta, error]) (answers []*answer, tokens [][]gemma4.Token, err error) {
	for d, err := range deltas {
		if err != nil {
			return nil, nil, err
		}
		for len(answers) <= d.choice {
			answers, tokens = append(answers, nil), append(tokens, nil)
		}
		answers[d.choice] = d.answer
		tokens[d.choice] = append(tokens[d.choice], d.tokens...)
	}
	return answers, tokens, nil
}

// finish returns why an answer has ended, in OpenAI's words: tool_calls if it ends in calls, length if it was cut off, stop otherwise.
func (a *answer) finish() string {
	switch r := a.result; {
	case r == nil, r.Reason != gemma4.ReasonEnd && r.Reason != gemma4.ReasonStop:
		return "length"
	case a.calls > 0:
		return "tool_calls"
	}
	return "stop"
}
