package chat

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// CallError says where a tool call that the model wrote is malformed.
type CallError struct {
	Offset   int    // in bytes, from the <|tool_call> that begins the call
	Expected string // what could stand there
	Found    string // what does
}

func (e *CallError) Error() string {
	return fmt.Sprintf("chat: tool call: byte %d: expected %s, found %s", e.Offset, e.Expected, e.Found)
}

// callReader reads a call as Gemma 4 writes it and writes its arguments as JSON:
//
//	call:NAME{key:value,…}
//
// A key is bare or between <|"|> tokens, a value a string between them, a JSON number, true, false, null (also None, as
// the published template writes it), an object or an array. Space between these is allowed. What stands between two
// <|"|> is text, whatever it is.
type callReader struct {
	raw   string
	pos   int
	marks []int // offsets of the markup in raw that has not been read
	json  strings.Builder
	depth int
}

// readCall reads a call from its <|tool_call> to its end; marks are the offsets of the markup in between. The time is
// linear.
func readCall(raw string, marks []int) (*Call, error) {
	c := &callReader{raw: raw, pos: len(callOpen), marks: marks}
	name, err := c.name()
	if err != nil {
		return nil, err
	}
	if err := c.object(); err != nil {
		return nil, err
	}
	if c.skipSpace(); c.pos < len(raw) {
		return nil, c.missing(callClose)
	}
	return &Call{Name: name, Arguments: json.RawMessage(c.json.String())}, nil
}

// missing is the error for what stands at the position.
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

func (c *callReader) atMarkup() bool { return len(c.marks) > 0 && c.marks[0] == c.pos }

func (c *callReader) atQuote() bool { return c.atMarkup() && strings.HasPrefix(c.raw[c.pos:], quote) }

func (c *callReader) skipSpace() {
	for c.pos < len(c.raw) && strings.IndexByte(" \n\r\t", c.raw[c.pos]) >= 0 && !c.atMarkup() {
		c.pos++
	}
}

// accept consumes a character of syntax.
func (c *callReader) accept(char byte) bool {
	if c.skipSpace(); c.pos < len(c.raw) && c.raw[c.pos] == char && !c.atMarkup() {
		c.pos++
		return true
	}
	return false
}

// word consumes text up to markup or one of the characters that end it, and returns it without the space around it.
func (c *callReader) word(end string) string {
	c.skipSpace()
	stop := len(c.raw)
	if len(c.marks) > 0 {
		stop = c.marks[0]
	}
	word := c.raw[c.pos:stop]
	if i := strings.IndexAny(word, end); i >= 0 {
		word = word[:i]
	}
	c.pos += len(word)
	return strings.TrimRight(word, " \n\r\t")
}

func (c *callReader) name() (string, error) {
	if c.skipSpace(); c.atMarkup() || !strings.HasPrefix(c.raw[c.pos:], "call:") {
		return "", c.missing("call:")
	}
	c.pos += len("call:")
	if name := c.word("{"); name != "" {
		return name, nil
	}
	return "", c.missing("the name of a function")
}

// object reads from { to }.
func (c *callReader) object() error {
	if !c.accept('{') {
		return c.missing("{")
	}
	seen := map[string]bool{}
	c.json.WriteByte('{')
	return c.members('}', "}", func() error {
		c.skipSpace()
		at := c.pos
		var key string
		if c.atQuote() {
			var err error
			if key, err = c.text(); err != nil {
				return err
			}
		} else if key = c.word(":,{}[]"); key == "" {
			return c.missing("a key")
		}
		if seen[key] {
			return &CallError{Offset: at, Expected: "a new key", Found: fmt.Sprintf("%q again", key)}
		}
		seen[key] = true
		if !c.accept(':') {
			return c.missing(":")
		}
		c.quote(key)
		c.json.WriteByte(':')
		return c.value()
	})
}

// members reads what is behind an opening bracket, with commas in between, up to the closing one.
func (c *callReader) members(closing byte, text string, member func() error) error {
	if c.depth++; c.depth > maxJSONDepth {
		return &CallError{Offset: c.pos, Expected: fmt.Sprintf("nesting to %d at most", maxJSONDepth), Found: "more"}
	}
	defer func() { c.depth-- }()
	for first := true; ; first = false {
		if first && c.accept(closing) {
			break
		}
		if err := member(); err != nil {
			return err
		}
		if c.accept(closing) {
			break
		}
		if !c.accept(',') {
			return c.missing("a comma or " + text)
		}
		c.json.WriteByte(',')
	}
	c.json.WriteByte(closing)
	return nil
}

func (c *callReader) value() error {
	c.skipSpace()
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
		c.json.WriteByte('[')
		return c.members(']', "]", c.value)
	}
	at := c.pos
	word := c.word(",:{}[]")
	switch {
	case word == "None":
		word = "null"
	case word == "true" || word == "false" || word == "null" || isNumber(word):
	default:
		c.pos = at
		if word == "" {
			return c.missing("a value")
		}
		return &CallError{Offset: at, Expected: "a value", Found: fmt.Sprintf("%.60q", word)}
	}
	c.json.WriteString(word)
	return nil
}

// text reads a string from its <|"|> to the next.
func (c *callReader) text() (string, error) {
	from := c.pos + len(quote)
	for c.marks = c.marks[1:]; len(c.marks) > 0; c.marks = c.marks[1:] {
		if c.pos = c.marks[0]; c.atQuote() {
			s := c.raw[from:c.pos]
			c.pos += len(quote)
			c.marks = c.marks[1:]
			return s, nil
		}
	}
	c.pos = len(c.raw)
	return "", c.missing(quote)
}

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
