package chat

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// What a lax reader takes besides the format, as models write it:
//
//	{key: 1}  {"key":1}  {<|"|>key<|"|>:1}  {key=1}    white space, quotes around a key, another sign
//	{key:"text"}  {key:'text'}  {key:text}             other quotes (JSON's escapes between ", none between '), or none
//	{key:text<|"|>}  {key:<|"|>text}<tool_call|>       the opening or, before the end of the call, the closing one left out
//	{key:<|"|>a<|"|>b<|"|>}                            a <|"|> that ends nothing stands for a quote
//	{a:<|"|>x<|"|>b:1}  {a:1,}                         a comma left out after a string, one too many
//	{key:True}                                         Python's words
//	call:f(key:1)  call:f                              round brackets, none
//	{"name":"f","arguments":{"key":1}}                 the call as JSON
//
// What could be meant in two ways is an error.

// mendCall reads a call with a lax reader.
func mendCall(raw string, markers []int, closed bool) (*Call, error) {
	c := &callReader{raw: raw, pos: len(callOpen), markers: markers, lax: true, closed: closed}
	if len(markers) == 0 {
		if call := jsonCall(raw[len(callOpen):]); call != nil {
			return call, nil
		}
	}
	call, err := c.laxCall()
	if err != nil {
		return nil, err
	}
	call.Mended = true
	return call, nil
}

// jsonCall reads a call that is a JSON object, or returns nil.
func jsonCall(text string) *Call {
	var j struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	}
	if json.Unmarshal([]byte(text), &j) != nil || j.Name == "" {
		return nil
	}
	call := &Call{Name: j.Name, Arguments: j.Arguments, Mended: true}
	if call.validate() != nil {
		return nil
	}
	call.Arguments = call.arguments()
	return call
}

func (c *callReader) laxCall() (*Call, error) {
	if err := c.begin(); err != nil {
		return nil, err
	}
	c.space()
	at := c.pos
	name := strings.TrimRight(c.word("{("), space)
	if name == "" || strings.ContainsAny(name, space) {
		c.pos = at
		return nil, c.missing("the name of a function")
	}
	var err error
	switch {
	case c.pos == len(c.raw) && c.closed:
		c.json.WriteString("{}")
	case c.accept('('):
		err = c.members('(', ')', c.entry())
	default:
		err = c.object()
	}
	if err != nil {
		return nil, err
	}
	return c.finish(name)
}

// laxKey reads a key, bare or in quotes of any kind, which are not part of it.
func (c *callReader) laxKey() (string, error) {
	at := c.pos
	if c.atQuote() {
		c.pos += len(quote)
		c.markers = c.markers[1:]
		key := c.ahead()
		if c.pos += len(key); !c.atQuote() {
			return "", c.missing(quote)
		}
		c.pos += len(quote)
		c.markers = c.markers[1:]
		return key, nil
	}
	if text := c.ahead(); text != "" && (text[0] == '"' || text[0] == '\'') {
		key, n := quotedText(text, ":=")
		if n == 0 {
			return "", c.missing("a key")
		}
		c.pos += n
		return key, nil
	}
	key := strings.TrimRight(c.word(":=,{}[]"), space)
	if key == "" {
		c.pos = at
		return "", c.missing("a key")
	}
	return key, nil
}

// quotedText reads the text between " or ' with which s begins, and returns how long that is with its quotes, 0 if there is none. After it
// comes, past white space, one of the characters of next, or the end.
func quotedText(s, next string) (text string, n int) {
	follows := func(rest string) bool {
		rest = strings.TrimLeft(rest, space)
		return rest == "" || strings.IndexByte(next, rest[0]) >= 0
	}
	for i := 1; i < len(s); i++ {
		switch {
		case s[0] == '"' && s[i] == '\\':
			i++
		case s[i] != s[0]:
		case s[0] == '\'' && follows(s[i+1:]):
			return s[1:i], i + 1
		case s[0] == '"':
			if json.Unmarshal([]byte(s[:i+1]), &text) == nil && follows(s[i+1:]) {
				return text, i + 1
			}
			return "", 0
		}
	}
	return "", 0
}

// What looks like the beginning of an entry.
var (
	nextKey    = regexp.MustCompile(`^\s*["']?[\p{L}_][\p{L}\p{N}_.-]*["']?\s*[:=]`)
	commaKey   = regexp.MustCompile(`,\s*["']?[\p{L}_][\p{L}\p{N}_.-]*["']?\s*[:=]`)
	withoutKey = regexp.MustCompile(`\s[\p{L}_][\p{L}\p{N}_.-]*[:=]`) // a comma left out
)

// closing returns the characters that may end a value.
func (c *callReader) closing() string { return "," + string(c.closers[len(c.closers)-1]) }

// laxValue reads a value that is neither a string of the format nor an object or a list.
func (c *callReader) laxValue() error {
	at := c.pos
	text := c.ahead()
	doubt := func() error {
		return &CallError{Offset: at, Expected: "a value", Found: fmt.Sprintf("%.60q", text)}
	}
	if text[0] == '"' || text[0] == '\'' {
		s, n := quotedText(text, c.closing())
		if n == 0 {
			return doubt()
		}
		c.pos += n
		c.quote(s)
		return nil
	}
	// Up to the next comma or bracket.
	word := text
	end := strings.IndexAny(text, c.closing())
	if end >= 0 {
		word = text[:end]
	}
	word = strings.TrimSpace(word)
	if end >= 0 && c.constant(word) {
		c.pos += len(word)
		return nil
	}
	if len(c.markers) > 0 && strings.HasPrefix(c.raw[c.markers[0]:], quote) && !strings.ContainsAny(lastOf(text), ":=,[{(") {
		// The text ends in a <|"|> without one before it.
		if commaKey.MatchString(text) || withoutKey.MatchString(text) || strings.ContainsAny(text, "{}[]") ||
			c.closing() == ",]" && strings.Contains(text, ",") {
			return doubt()
		}
		c.pos = c.markers[0] + len(quote)
		c.markers = c.markers[1:]
		if !c.ends() {
			return doubt()
		}
		c.quote(strings.TrimSpace(text))
		return nil
	}
	if word == "" || end < 0 {
		return c.missing("a value")
	}
	if withoutKey.MatchString(word) || strings.ContainsAny(word, "{}[]\"") || strings.HasPrefix(word, ":") {
		return doubt()
	}
	c.pos += len(word)
	c.quote(word)
	return nil
}

// lastOf returns the last character of s that is not white space, if it is among the last 64.
func lastOf(s string) string {
	s = strings.TrimRight(s[max(len(s)-64, 0):], space)
	return s[max(len(s)-1, 0):]
}

// afterText reports whether what was read last is a string between two <|"|>.
func (c *callReader) afterText() bool {
	return strings.HasSuffix(strings.TrimRight(c.raw[:c.pos], space), quote)
}

// beforeKey reports whether what follows is the key of an entry.
func (c *callReader) beforeKey() bool { return nextKey.MatchString(c.ahead()) }

// ends reports whether the <|"|> before the position ends a string, judged by what follows it.
func (c *callReader) ends() bool {
	rest := strings.TrimLeft(c.ahead(), space)
	if rest == "" {
		return len(c.markers) == 0
	}
	return strings.IndexByte(",}])", rest[0]) >= 0 && (rest[0] != ')' || c.closers[0] == ')') || c.beforeKey()
}

// unclosed finds the end of a string whose closing <|"|> was left out at the end of the call, which closes all open brackets.
func (c *callReader) unclosed(from int) (end int, ok bool) {
	if !c.lax || !c.closed {
		return 0, false
	}
	rest := c.raw[from:]
	for _, closer := range c.closers {
		rest = strings.TrimRight(rest, space)
		if !strings.HasSuffix(rest, string(closer)) {
			return 0, false
		}
		rest = rest[:len(rest)-1]
	}
	return from + len(rest), true
}
