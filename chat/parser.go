package chat

import (
	"slices"
	"strconv"
	"strings"
)

// Kind says what an [Event] holds.
type Kind uint8

// The kinds of events.
const (
	Text     Kind = iota // a piece of the answer
	Thought              // a piece of the thought before it
	ToolCall             // a whole tool call
)

// String returns the kind's name.
func (k Kind) String() string {
	names := [...]string{"text", "thought", "tool call"}
	if int(k) < len(names) {
		return names[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// Event is a piece of what the model wrote.
type Event struct {
	Kind Kind
	// Text is the piece, for Text and Thought.
	Text string
	// Call is the call, for ToolCall. Its ID is call_1, call_2 … within one answer.
	Call *Call
	// Err is set on a Text that was meant to be a call: a [*CallError]. Text is then the whole call, as written.
	Err error
}

// Parser splits what the model writes into thought, text and tool calls, while it is written. The zero value is ready to
// use, for one answer.
//
// A thought stands between <|channel> and <channel|>; its label ("thought" and a line break) and the line break at its
// end are left out. A call stands between <|tool_call> and <tool_call|>, which no string of its arguments can hold; it
// ends a thought too. <turn|>, <|tool_response> and <eos> end the answer; what is pushed after them is ignored. Other
// markup, and markup where it has no meaning, is passed on as text.
type Parser struct {
	// InThought says that the prompt has opened a thought, label and all, which the model goes on with.
	InThought bool

	mode  mode
	held  string // the beginning of a label, or a line break that may end the thought
	raw   []byte // of a call, from <|tool_call> on
	marks []int  // offsets in raw of markup after that
	open  int    // calls begun
}

type mode uint8

const (
	unstarted mode = iota
	inText         // of the answer
	inLabel        // of a thought
	inThought      // behind the label
	inCall
	ended
)

// Ended reports whether the answer is over: after one of the tokens that end it, or after Close.
func (p *Parser) Ended() bool { return p.mode == ended }

// Push takes the next piece of what the model wrote and returns what can be said of it; markup tells that the piece is
// one token of markup. A piece may be any part of the text, but no less than whole characters.
func (p *Parser) Push(text string, markup bool) []Event {
	if p.mode == unstarted {
		p.mode = pick(p.InThought, inThought, inText)
	}
	switch {
	case p.mode == ended || text == "":
		return nil
	case !markup:
		return p.text(text)
	}
	switch text {
	case turnClose, eos, responseOpen:
		events := p.flush()
		p.mode = ended
		return events
	case callOpen:
		events := p.finish()
		p.mode = inCall
		p.raw = append([]byte{}, callOpen...)
		p.marks = nil
		p.open++
		return events
	case callClose:
		if p.mode == inCall {
			call, err := readCall(string(p.raw), p.marks)
			p.raw = append(p.raw, callClose...)
			return p.called(call, err)
		}
	case channelOpen:
		if p.mode == inText {
			p.mode = inLabel
			return nil
		}
	case channelClose:
		if p.mode == inLabel || p.mode == inThought {
			return p.finish()
		}
	}
	if p.mode == inCall {
		p.marks = append(p.marks, len(p.raw))
	}
	return p.text(text)
}

// Close ends the answer and returns what was held back: a call that is cut off comes out as text with an error.
func (p *Parser) Close() []Event {
	events := p.flush()
	p.mode = ended
	return events
}

// text takes text in which no markup has a meaning.
func (p *Parser) text(text string) []Event {
	switch p.mode {
	case inCall:
		p.raw = append(p.raw, text...)
		return nil
	case inLabel:
		text = p.held + text
		p.held = ""
		if strings.HasPrefix(thoughtLabel, text) && text != thoughtLabel {
			p.held = text
			return nil
		}
		p.mode = inThought
		return p.text(strings.TrimPrefix(text, thoughtLabel))
	case inThought:
		text = p.held + text
		p.held = ""
		if strings.HasSuffix(text, "\n") {
			text, p.held = text[:len(text)-1], "\n"
		}
		return event(Thought, text)
	}
	return event(Text, text)
}

func event(k Kind, text string) []Event {
	if text == "" {
		return nil
	}
	return []Event{{Kind: k, Text: text}}
}

// finish ends a thought where the model ends it, and a call where it does not.
func (p *Parser) finish() []Event {
	if p.held == "\n" {
		p.held = ""
	}
	return p.flush()
}

// flush ends what is open as it stands.
func (p *Parser) flush() []Event {
	if p.mode == inCall {
		_, err := readCall(string(p.raw), p.marks)
		if err == nil {
			err = &CallError{Offset: len(p.raw), Expected: callClose, Found: "the end"}
		}
		return p.called(nil, err)
	}
	events := event(Thought, p.held)
	p.held = ""
	p.mode = inText
	return events
}

// called ends a call.
func (p *Parser) called(call *Call, err error) []Event {
	raw := string(p.raw)
	p.mode, p.raw, p.marks = inText, nil, nil
	if err != nil {
		return []Event{{Kind: Text, Text: raw, Err: err}}
	}
	call.ID = "call_" + strconv.Itoa(p.open)
	return []Event{{Kind: ToolCall, Call: call}}
}

// ParseText splits a complete answer in which every text of markup is taken for markup; nil means Gemma 4's own. Pieces
// of one kind that follow each other are one event.
func ParseText(text string, markup []string) []Event {
	if markup == nil {
		markup = []string{
			bos, eos, turnOpen, turnClose, channelOpen, channelClose, callOpen, callClose, responseOpen, responseClose,
			toolOpen, toolClose, quote, think, "<|image|>", "<|audio|>", "<|video|>", "<|image>", "<image|>", "<|audio>", "<audio|>",
		}
	}
	var p Parser
	var events []Event
	add := func(more []Event) {
		for _, e := range more {
			last := len(events) - 1
			if last >= 0 && e.Kind != ToolCall && e.Err == nil && events[last].Kind == e.Kind && events[last].Err == nil {
				events[last].Text += e.Text
				continue
			}
			events = append(events, e)
		}
	}
	find := newFinder(markup)
	from := 0
	for at := 0; at < len(text); {
		n := find.at(text[at:])
		if n == 0 {
			at++
			continue
		}
		add(p.Push(text[from:at], false))
		add(p.Push(text[at:at+n], true))
		at += n
		from = at
	}
	add(p.Push(text[from:], false))
	add(p.Close())
	return events
}

// finder finds the longest of many texts that begins at a place.
type finder struct {
	texts   map[string]bool
	lengths [256][]int // of the texts that begin with a byte, the longest first
}

func newFinder(texts []string) *finder {
	f := &finder{texts: map[string]bool{}}
	for _, text := range texts {
		if text == "" || f.texts[text] {
			continue
		}
		f.texts[text] = true
		if lengths := &f.lengths[text[0]]; !slices.Contains(*lengths, len(text)) {
			*lengths = append(*lengths, len(text))
		}
	}
	for _, lengths := range f.lengths {
		slices.Sort(lengths)
		slices.Reverse(lengths)
	}
	return f
}

// at returns the length of the longest text with which s begins, or 0.
func (f *finder) at(s string) int {
	for _, n := range f.lengths[s[0]] {
		if n <= len(s) && f.texts[s[:n]] {
			return n
		}
	}
	return 0
}

// Answer makes the assistant's message out of the events of an answer.
func Answer(events []Event) Message {
	m := Message{Role: "assistant"}
	var content, reasoning strings.Builder
	for _, e := range events {
		switch e.Kind {
		case Text:
			content.WriteString(e.Text)
		case Thought:
			reasoning.WriteString(e.Text)
		case ToolCall:
			m.ToolCalls = append(m.ToolCalls, *e.Call)
		}
	}
	m.Content, m.Reasoning = content.String(), reasoning.String()
	return m
}
