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
	// Kind says which of the other fields holds something.
	Kind Kind
	// Text is the piece, for Text and Thought.
	Text string
	// Call is the call, for ToolCall. Its ID is call_1, call_2 … within one answer.
	Call *Call
	// Err is set on a Text that was meant to be a call: a [*CallError]. Text is then the whole call, as written.
	Err error
}

// Parser splits an answer into thought, text and tool calls while the model writes it. The zero value is ready to use, for one answer to
// a prompt that leaves nothing open; else see [Parser.Prompt].
//
// A thought stands between <|channel> and <channel|>; its label ("thought" and a line break) and the line break at its end are left out.
// A call stands between <|tool_call> and <tool_call|>, which are text within a string of its arguments; a call also ends a thought.
// <turn|>, <|tool_response> and <eos> end the answer, and a call in it; what is pushed after them is ignored. Other markers of the
// format mean nothing in an answer and are left out, but for <|"|>, which stands for a quote. Markers of which the format knows nothing
// are passed on as text.
type Parser struct {
	// InThought says that the prompt has opened a thought, label and all, which the model goes on with.
	//
	// Deprecated: [Parser.Prompt] takes the prompt itself, and knows what it leaves open.
	InThought bool

	mode mode
	held string // what may be the beginning of a label, or the line break at the end of the thought
	open int    // calls begun
	call *writing
}

type mode uint8

const (
	unstarted mode = iota // InThought has not been looked at
	inText                // of the answer
	inLabel               // of a thought
	inThought             // after the label
	inCall
	ended
)

// formatMarkup are the markers of Gemma 4's format.
var formatMarkup = []string{
	bos, eos, turnOpen, turnClose, channelOpen, channelClose, callOpen, callClose, responseOpen, responseClose,
	toolOpen, toolClose, quote, think, "<|image|>", "<|audio|>", "<|video|>", "<|image>", "<image|>", "<|audio>", "<audio|>",
}

// Markup returns the markers of Gemma 4's format, those of pictures and sounds among them.
func Markup() []string { return slices.Clone(formatMarkup) }

// Ended reports whether the answer is over: after one of the markers that end it, or after Close.
func (p *Parser) Ended() bool { return p.mode == ended }

// Within returns what is open: a thought or a call that has begun and not ended, else Text.
func (p *Parser) Within() Kind {
	switch {
	case p.mode == inCall:
		return ToolCall
	case p.mode == inLabel || p.mode == inThought || p.mode == unstarted && p.InThought:
		return Thought
	}
	return Text
}

// Prompt takes the pieces of the prompt before the first Push, at least those from its last <|turn> on, as Push takes those of the answer.
// The answer goes on with what they leave open, a thought or a call.
func (p *Parser) Prompt(text string, markup bool) {
	if markup && slices.Contains([]string{turnOpen, turnClose, responseOpen, responseClose, eos}, text) {
		*p = Parser{}
		return
	}
	p.Push(text, markup)
	if p.mode == inThought {
		p.held = "" // it is not new
	}
	p.open = pick(p.mode == inCall, 1, 0)
}

// Push takes the next piece of the answer and returns the events that it completes; markup tells that the piece is a marker. A piece may
// be text of any length, in whole characters.
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
		events := p.finish(false)
		p.mode = ended
		return events
	case callOpen, callClose:
		switch {
		case p.mode == inCall && p.call.holds():
		case text == callOpen:
			thought := p.mode == inThought || p.mode == inLabel
			events := p.finish(true)
			p.mode, p.call = inCall, &writing{raw: []byte(callOpen), thought: thought}
			p.open++
			return events
		case p.mode == inCall:
			return p.endCall(closed)
		default:
			return nil
		}
	case channelOpen, channelClose:
		if p.mode == inCall {
			break
		}
		var events []Event
		if p.mode != inText {
			events = p.finish(true)
		}
		p.mode = pick(text == channelOpen, inLabel, inText)
		return events
	}
	if p.mode == inCall {
		p.call.mark(text)
		return nil
	}
	switch {
	case text == quote:
		return p.text(`"`)
	case slices.Contains(formatMarkup, text):
		return nil
	}
	return p.text(text)
}

// Close ends the answer and returns what was held back: a call that is cut off as text with an error.
func (p *Parser) Close() []Event {
	var events []Event
	for p.mode == inCall {
		events = append(events, p.endCall(cutOff)...)
	}
	events = append(events, p.flush()...)
	p.mode = ended
	return events
}

// text takes text, in which nothing is a marker.
func (p *Parser) text(text string) []Event {
	switch p.mode {
	case inCall:
		p.call.text(text)
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

// finish ends a call, by what follows it, and a thought; the thought's last line break is left out if a marker ends it.
func (p *Parser) finish(byMarker bool) []Event {
	var events []Event
	for p.mode == inCall {
		events = append(events, p.endCall(followed)...)
	}
	if byMarker && p.held == "\n" {
		p.held = ""
	}
	return append(events, p.flush()...)
}

// flush ends a thought as it stands.
func (p *Parser) flush() []Event {
	if p.mode == ended {
		return nil
	}
	events := event(Thought, p.held)
	p.held = ""
	p.mode = inText
	return events
}

// endCall ends a call. What is no call may have taken the end of a call, or the beginning of another, for text of a string that was
// never closed: then what follows that is read again.
func (p *Parser) endCall(by ending) []Event {
	w := p.call
	p.mode, p.call = inText, nil
	call, err := readCall(string(w.raw), w.markers, by == closed)
	if err == nil && by == cutOff {
		err = &CallError{Offset: len(w.raw), Expected: callClose, Found: "the end"}
	}
	if err == nil {
		call.Mended = call.Mended || w.thought || by == followed
		call.ID = "call_" + strconv.Itoa(p.open)
		return []Event{{Kind: ToolCall, Call: call}}
	}
	text := string(w.raw)
	if len(w.inner) == 0 {
		return []Event{{Kind: Text, Text: text + pick(by == closed, callClose, ""), Err: err}}
	}
	i := w.inner[0]
	cut := w.markers[i]
	if strings.HasPrefix(text[cut:], callClose) {
		cut, i = w.ends[i], i+1
	}
	events := []Event{{Kind: Text, Text: text[:cut], Err: err}}
	for ; i < len(w.markers); i++ {
		events = append(events, p.Push(text[cut:w.markers[i]], false)...)
		events = append(events, p.Push(text[w.markers[i]:w.ends[i]], true)...)
		cut = w.ends[i]
	}
	events = append(events, p.Push(text[cut:], false)...)
	if by == closed {
		events = append(events, p.Push(callClose, true)...)
	}
	return events
}

// ending is what ended a call.
type ending uint8

const (
	closed   ending = iota // its closing marker
	followed               // a marker that can only follow a call
	cutOff
)

// writing is a call while it is written.
type writing struct {
	raw     []byte // from <|tool_call> on
	markers []int  // offsets in raw of the markup after that …
	ends    []int  // … and of what follows it
	inner   []int  // of markers, those of calls in strings
	quoted  bool   // between two <|"|>
	depth   int    // of brackets outside of strings
	thought bool   // it began in one
}

func (w *writing) text(s string) {
	w.raw = append(w.raw, s...)
	for i := 0; i < len(s) && !w.quoted; i++ {
		switch s[i] {
		case '{', '[', '(':
			w.depth++
		case '}', ']', ')':
			w.depth--
		}
	}
}

func (w *writing) mark(text string) {
	switch text {
	case quote:
		w.quoted = !w.quoted
	case callOpen, callClose:
		w.inner = append(w.inner, len(w.markers))
	}
	w.markers = append(w.markers, len(w.raw))
	w.raw = append(w.raw, text...)
	w.ends = append(w.ends, len(w.raw))
}

// holds reports whether a marker of calls that comes next is text of a string. It is if a string is open and has such a marker already, or
// if it does not end in the brackets that would close the call: then only its closing <|"|> was left out.
func (w *writing) holds() bool {
	if !w.quoted || len(w.inner) > 0 {
		return w.quoted
	}
	depth := w.depth
	for i := len(w.raw) - 1; depth > 0; i-- {
		switch w.raw[i] {
		case '}', ']', ')':
			depth--
		case ' ', '\n', '\r', '\t':
		default:
			return true
		}
	}
	return false
}

// ParseText splits a complete answer, in which it takes for a marker whatever reads like one of markup; nil stands for [Markup]. Pieces of
// one kind that follow each other are one event.
func ParseText(text string, markup []string) []Event {
	if markup == nil {
		markup = formatMarkup
	}
	var p Parser
	var events []Event
	add := func(more []Event) { events = append(events, more...) }
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
	return join(events)
}

// join joins events of one kind that follow each other.
func join(events []Event) []Event {
	var joined []Event
	var text strings.Builder
	for i, e := range events {
		if e.Kind != ToolCall && e.Err == nil {
			text.WriteString(e.Text)
			if i+1 < len(events) && events[i+1].Kind == e.Kind && events[i+1].Err == nil {
				continue
			}
			e.Text = text.String()
			text.Reset()
		}
		joined = append(joined, e)
	}
	return joined
}

// finder finds the longest of many markers at a place.
type finder struct {
	texts   map[string]bool
	lengths [256][]int // of the texts that begin with a byte, the longest first
}

func newFinder(texts []string) *finder {
	f := &finder{texts: make(map[string]bool, len(texts))}
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

// Answer makes the assistant's message of the events of an answer.
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
