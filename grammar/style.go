package grammar

import (
	"fmt"
	"strings"
)

// A style is how values are spelled: as JSON in one layout, or as the arguments of Gemma's calls.
type style struct {
	colon, comma string
	indent       string // of each level, on lines of their own; "" is one line
	call         bool   // keys are bare, and strings stand between quote tokens
	quote        int32
}

// A Layout says where white space stands in JSON. There is none elsewhere.
type Layout uint8

// The layouts.
const (
	Spaced   Layout = iota // one blank after each colon and comma: {"a": 1, "b": [2, 3]}
	Compact                // none: {"a":1,"b":[2,3]}
	Indented               // lines, each level two blanks further in
)

func (l Layout) style() style {
	switch l {
	case Compact:
		return style{colon: ":", comma: ","}
	case Indented:
		return style{colon: ": ", comma: ",", indent: "  "}
	}
	return style{colon: ": ", comma: ", "}
}

// maxIndent is the depth to which values stand on lines of their own; deeper ones stand on one line.
const maxIndent = 12

// speller writes what values are made of.
type speller struct {
	*builder
	style
	one  *expr // any character of a string
	rest *expr // any string's content
	free *body // any value
}

func newSpeller(s style) *speller {
	w := &speller{builder: newBuilder(), style: s}
	w.one = w.char(anyRune)
	w.rest = w.repeat(w.one, 0, -1)
	return w
}

func (w *speller) repeat(e *expr, min, max int32) *expr { return w.arena.repeat(e, min, max) }

func (w *speller) text(s string) *body { return bytesBody(w.literal(s)) }

// escapes are the characters that JSON has short escapes for.
var escapes = map[rune]string{'"': `\"`, '\\': `\\`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`}

// escape spells a character that cannot stand for itself in a string of JSON.
func escape(c rune) string {
	if s, ok := escapes[c]; ok {
		return s
	}
	return fmt.Sprintf(`\u%04x`, c)
}

// escaped are the characters that JSON's strings hold as escapes.
var escaped = runes{0, 0x1F, '"', '"', '\\', '\\', space, space}

// char spells one character of a set within a string.
func (w *speller) char(set runes) *expr {
	if w.call {
		return w.utf8(set)
	}
	e := w.utf8(set.without(escaped))
	var list []string
	for i := 0; i < len(escaped); i += 2 {
		for c := escaped[i]; c <= escaped[i+1]; c++ {
			if set.has(c) {
				list = append(list, escape(c))
			}
		}
	}
	return w.alt(e, w.literals(list))
}

// content spells a string, without what stands around it.
func (w *speller) content(s string) (string, error) {
	if w.call {
		if strings.ContainsRune(s, space) {
			return "", fmt.Errorf("the vocabulary cannot write %q", s)
		}
		return s, nil
	}
	var b strings.Builder
	for _, c := range s {
		if escaped.has(c) {
			b.WriteString(escape(c))
		} else {
			b.WriteRune(c)
		}
	}
	return b.String(), nil
}

// str puts a string's content between its quotes.
func (w *speller) str(content *expr) *body {
	if w.call {
		return w.seq(tokenBody(w.quote), bytesBody(content), tokenBody(w.quote))
	}
	return bytesBody(w.cat(w.literal(`"`), content, w.literal(`"`)))
}

// key writes a key and its colon.
func (w *speller) key(content *expr) *body {
	if w.call {
		return bytesBody(w.cat(content, w.literal(w.colon)))
	}
	return bytesBody(w.cat(w.literal(`"`), content, w.literal(`"`+w.colon)))
}

// bareKeys are the keys that the arguments of a call can have beside those that are named.
var bareKeys = runes{'$', '$', '-', '.', '0', '9', 'A', 'Z', '_', '_', 'a', 'z'}

// keys returns what a key may hold.
func (w *speller) keys() *expr {
	if w.call {
		return w.repeat(w.utf8(bareKeys), 1, 64)
	}
	return w.rest
}

// isBare reports whether a key can stand in the arguments of a call.
func isBare(name string) bool {
	return name != "" && !strings.ContainsAny(name, ":,{}[]=<>") && strings.TrimSpace(name) == name && !strings.ContainsAny(name[:1], `"'`)
}

// A frame is what stands around the members or elements at a depth.
type frame struct{ open, comma, end, empty string }

func (w *speller) frame(brackets string, depth int) frame {
	f := frame{brackets[:1], w.comma, brackets[1:], brackets}
	if w.indent != "" {
		if depth >= maxIndent {
			f.comma += " "
			return f
		}
		line := "\n" + strings.Repeat(w.indent, depth+1)
		f.open += line
		f.comma += line
		f.end = "\n" + strings.Repeat(w.indent, depth) + f.end
	}
	return f
}

// list writes elements between brackets: at least min, at most max unless max < 0.
func (w *speller) list(f frame, element *body, min, max int32) *body {
	more := func(n int32) int32 {
		if n > 0 {
			return n - 1
		}
		return n
	}
	empty := w.text(f.empty)
	if max == 0 {
		return empty
	}
	some := w.seq(w.text(f.open), element, repeat(w.seq(w.text(f.comma), element), more(min), more(max)), w.text(f.end))
	if max == 1 {
		some = w.seq(w.text(f.open), element, w.text(f.end))
	}
	if min > 0 {
		return some
	}
	return choice(empty, some)
}

// any writes any value.
func (w *speller) any(depth int) *body {
	if w.indent != "" && depth < maxIndent {
		return ruleBody(w.anyRule(depth))
	}
	if w.free == nil {
		w.free = ruleBody(w.anyRule(depth))
	}
	return w.free
}

func (w *speller) anyRule(depth int) int32 {
	r := w.rule(nil)
	inner := ruleBody(r)
	if w.indent != "" && depth < maxIndent {
		inner = w.any(depth + 1)
	}
	object := w.list(w.frame("{}", depth), w.seq(w.key(w.keys()), inner), 0, -1)
	array := w.list(w.frame("[]", depth), inner, 0, -1)
	plain := w.alt(w.decimals(numberRange{}), w.literals([]string{"true", "false", "null"}))
	w.bodies[r] = choice(object, array, w.str(w.rest), bytesBody(plain))
	return r
}

// JSON returns the grammar of any value of JSON in a layout; with objects, of any object.
func JSON(v *Vocabulary, layout Layout, objects bool) (*Grammar, error) {
	g, err := v.cache.get(key{[]byte("JSON"), {byte(layout), bit(objects)}}, func() (*Grammar, error) {
		w := newSpeller(layout.style())
		root := w.any(0)
		if objects {
			root = w.list(w.frame("{}", 0), w.seq(w.key(w.keys()), w.any(1)), 0, -1)
		}
		return v.grammar(w.builder, root)
	})
	if err != nil {
		return nil, fmt.Errorf("grammar: %w", err)
	}
	return g, nil
}
