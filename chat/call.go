package chat

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// CallError tells where a tool call that the model wrote breaks the format.
type CallError struct {
	Offset   int    // in bytes, from the <|tool_call> that begins the call
	Expected string // what could stand there
	Found    string // what does
}

func (e *CallError) Error() string {
	return fmt.Sprintf("chat: tool call: byte %d: expected %s, found %s", e.Offset, e.Expected, e.Found)
}

// callReader reads a call in Gemma 4's format and writes its arguments as JSON:
//
//	call:NAME{key:value,…}
//
// A key is bare; a value is a string between two <|"|>, a JSON number, true, false, null (or None, as older templates write it), an
// object or an array. Whatever stands between two <|"|> is text. Of a key that comes again the last value counts, as in JSON: a grammar
// cannot tell keys apart that a schema does not name.
//
// Models do not always keep to this format. A lax reader also takes what can only be meant in one way: see mend.go.
type callReader struct {
	raw     string
	pos     int
	markers []int // offsets in raw of the markers that have not been read
	json    strings.Builder
	void    []span // of json, entries whose keys come again

	lax     bool
	closed  bool   // by <tool_call|>
	closers []byte // of the brackets that are open
}

// readCall reads a call from its <|tool_call> on; markers are the offsets of those after it, and closed says that <tool_call|> ended it. A
// call that only a lax reader understands is mended. The time is linear.
func readCall(raw string, markers []int, closed bool) (*Call, error) {
	if err := validText("call", raw); err != nil {
		return nil, &CallError{Offset: 0, Expected: "text", Found: err.Error()}
	}
	c := &callReader{raw: raw, pos: len(callOpen), markers: markers}
	call, err := c.call()
	if err != nil {
		if call, err = mendCall(raw, markers, closed); err != nil {
			return nil, err
		}
	}
	if _, err := decodeObject(call.Arguments); err != nil { // numbers without end
		return nil, &CallError{Offset: 0, Expected: "arguments within bounds", Found: err.Error()}
	}
	return call, nil
}

func (c *callReader) call() (*Call, error) {
	name, err := c.name()
	if err != nil {
		return nil, err
	}
	if err := c.object(); err != nil {
		return nil, err
	}
	return c.finish(name)
}

// begin passes the word with which every call begins.
func (c *callReader) begin() error {
	if c.space(); c.atMarkup() || !strings.HasPrefix(c.raw[c.pos:], "call:") {
		return c.missing("call:")
	}
	c.pos += len("call:")
	return nil
}

// finish returns the call, if nothing follows its arguments.
func (c *callReader) finish(name string) (*Call, error) {
	if c.space(); c.pos < len(c.raw) {
		return nil, c.missing(callClose)
	}
	return &Call{Name: name, Arguments: c.arguments()}, nil
}

// arguments returns the JSON that was written, without what is void.
func (c *callReader) arguments() json.RawMessage {
	text, at := []byte(c.json.String()), 0
	if len(c.void) == 0 {
		return text
	}
	slices.SortFunc(c.void, func(a, b span) int { return a.from - b.from })
	var kept []byte
	for _, s := range c.void {
		if s.from >= at { // not within another
			kept = append(kept, text[at:s.from]...)
			at = s.to
		}
	}
	return append(kept, text[at:]...)
}

// missing is the error that something else stands at the position than expected.
func (c *callReader) missing(expected string) error {
	found := "the end"
	switch {
	case c.atMarkup():
		found = "markup"
		if c.atQuote() {
			found = quote
		}
	case c.pos < len(c.raw):
		r, n := utf8.DecodeRuneInString(c.raw[c.pos:])
		if found = fmt.Sprintf("%q", r); r == utf8.RuneError && n == 1 {
			found = fmt.Sprintf("byte %#x", c.raw[c.pos])
		}
	}
	return &CallError{Offset: c.pos, Expected: expected, Found: found}
}

func (c *callReader) atMarkup() bool { return len(c.markers) > 0 && c.markers[0] == c.pos }

func (c *callReader) atQuote() bool { return c.atMarkup() && strings.HasPrefix(c.raw[c.pos:], quote) }

// space passes over white space, which only a lax reader allows.
func (c *callReader) space() {
	for c.lax && c.pos < len(c.raw) && strings.IndexByte(space, c.raw[c.pos]) >= 0 && !c.atMarkup() {
		c.pos++
	}
}

// accept passes a character of syntax, if it is the next.
func (c *callReader) accept(char byte) bool {
	if c.space(); c.pos < len(c.raw) && c.raw[c.pos] == char && !c.atMarkup() {
		c.pos++
		return true
	}
	return false
}

// ahead returns the text from the position to the next marker.
func (c *callReader) ahead() string {
	if len(c.markers) > 0 {
		return c.raw[c.pos:c.markers[0]]
	}
	return c.raw[c.pos:]
}

// word passes and returns the text up to a marker or one of the characters that end it.
func (c *callReader) word(end string) string {
	word := c.ahead()
	if i := strings.IndexAny(word, end); i >= 0 {
		word = word[:i]
	}
	c.pos += len(word)
	return word
}

func (c *callReader) name() (string, error) {
	if err := c.begin(); err != nil {
		return "", err
	}
	if name := c.word("{"); name != "" && strings.TrimSpace(name) == name {
		return name, nil
	}
	return "", c.missing("the name of a function")
}

// object reads from { to }.
func (c *callReader) object() error {
	if !c.accept('{') {
		return c.missing("{")
	}
	return c.members('{', '}', c.entry())
}

// entry returns a reader of the entries of one object: a key and its value at each call.
func (c *callReader) entry() func() error {
	written := map[string]*span{} // with the commas behind
	last := new(span)
	return func() error {
		last.to = c.json.Len()
		c.space()
		key, err := c.key()
		if err != nil {
			return err
		}
		if before := written[key]; before != nil {
			c.void = append(c.void, *before)
		}
		last = &span{from: c.json.Len()}
		written[key] = last
		if !c.accept(':') && !(c.lax && c.accept('=')) {
			return c.missing(":")
		}
		c.quote(key)
		c.json.WriteByte(':')
		return c.value()
	}
}

func (c *callReader) key() (string, error) {
	if c.lax {
		return c.laxKey()
	}
	at := c.pos
	key := c.word(":,{}[]")
	if key == "" || strings.TrimSpace(key) != key || strings.IndexByte("\"'", key[0]) >= 0 || strings.Contains(key, "=") {
		c.pos = at
		return "", c.missing("a key")
	}
	return key, nil
}

// members reads what follows an opening bracket, with commas in between, up to the closing one.
func (c *callReader) members(opening, closing byte, member func() error) error {
	if c.closers = append(c.closers, closing); len(c.closers) > maxJSONDepth {
		return &CallError{Offset: c.pos, Expected: fmt.Sprintf("nesting to %d at most", maxJSONDepth), Found: "more"}
	}
	defer func() { c.closers = c.closers[:len(c.closers)-1] }()
	inList := opening == '['
	c.json.WriteByte(pick[byte](inList, '[', '{'))
	for first := true; !c.accept(closing); first = false {
		if !first {
			switch comma := c.accept(','); {
			case comma && c.lax && c.accept(closing): // a comma too many
				c.json.WriteByte(pick[byte](inList, ']', '}'))
				return nil
			case !comma && !(c.lax && !inList && c.afterText() && c.beforeKey()):
				return c.missing("a comma or " + string(closing))
			}
			c.json.WriteByte(',')
		}
		if err := member(); err != nil {
			return err
		}
	}
	c.json.WriteByte(pick[byte](inList, ']', '}'))
	return nil
}

func (c *callReader) value() error {
	c.space()
	switch {
	case c.atQuote():
		s, err := c.text()
		if err != nil {
			return err
		}
		c.quote(s)
		return nil
	case c.atMarkup() || c.pos == len(c.raw):
		return c.missing("a value")
	case c.raw[c.pos] == '{':
		return c.object()
	case c.raw[c.pos] == '[':
		c.pos++
		return c.members('[', ']', c.value)
	case c.lax:
		return c.laxValue()
	}
	at := c.pos
	word := c.word(",:{}[]")
	if !c.constant(word) {
		if c.pos = at; word == "" {
			return c.missing("a value")
		}
		return &CallError{Offset: at, Expected: "a value", Found: fmt.Sprintf("%.60q", word)}
	}
	return nil
}

// constant writes a number or one of the words that stand for a value.
func (c *callReader) constant(word string) bool {
	switch {
	case word == "None":
		word = "null"
	case c.lax && (word == "True" || word == "False"):
		word = strings.ToLower(word)
	case word == "true" || word == "false" || word == "null" || isNumber(word):
	default:
		return false
	}
	c.json.WriteString(word)
	return true
}

// text reads a string from its <|"|> to the next. A lax reader reads on to the one that ends the string, but over no marker of a call.
func (c *callReader) text() (string, error) {
	start := c.pos + len(quote)
	from := start
	var s strings.Builder
	for c.markers = c.markers[1:]; len(c.markers) > 0; {
		if c.pos = c.markers[0]; !c.atQuote() {
			c.markers = c.markers[1:]
			continue
		}
		s.WriteString(c.raw[from:c.pos])
		c.pos += len(quote)
		c.markers = c.markers[1:]
		if !c.lax || c.ends() {
			if from > start && hasCall(c.raw[start:c.pos]) {
				break
			}
			return s.String(), nil
		}
		s.WriteByte('"')
		from = c.pos
	}
	if end, ok := c.unclosed(from); ok && len(c.markers) == 0 && !hasCall(c.raw[start:]) {
		s.WriteString(c.raw[from:end])
		c.pos = end
		return s.String(), nil
	}
	c.pos = len(c.raw)
	return "", c.missing(quote)
}

func hasCall(s string) bool { return strings.Contains(s, callOpen) || strings.Contains(s, callClose) }

// quote writes a string of JSON.
func (c *callReader) quote(s string) {
	text, _ := marshal(s) // a string has no error
	c.json.Write(text)
}

// isNumber reports whether s is a number of JSON.
func isNumber(s string) bool {
	digits := func() bool {
		rest := strings.TrimLeft(s, "0123456789")
		some := len(rest) < len(s)
		s = rest
		return some
	}
	s = strings.TrimPrefix(s, "-")
	if strings.HasPrefix(s, "0") {
		s = s[1:]
	} else if !digits() {
		return false
	}
	if strings.HasPrefix(s, ".") {
		if s = s[1:]; !digits() {
			return false
		}
	}
	if strings.HasPrefix(s, "e") || strings.HasPrefix(s, "E") {
		s = s[1:]
		if strings.HasPrefix(s, "+") || strings.HasPrefix(s, "-") {
			s = s[1:]
		}
		if !digits() {
			return false
		}
	}
	return s == ""
}
