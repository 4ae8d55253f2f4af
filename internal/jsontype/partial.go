package jsontype

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A Partial tells what the beginnings of a type's JSON make certain.
type Partial struct {
	typ    reflect.Type
	shapes map[reflect.Type]pointedShape
	fields map[reflect.Type]map[string]field
}

// A pointedShape is what a type, or what it points to, is read from.
type pointedShape struct {
	shape
	to reflect.Type
}

// NewPartial returns what tells that of a type.
func NewPartial(t reflect.Type) *Partial {
	return &Partial{t, map[reflect.Type]pointedShape{}, map[reflect.Type]map[string]field{}}
}

// Of returns JSON for as much of a value as a text, the beginning of its JSON, makes certain, or nil if that is nothing.
//
// Open objects, lists and strings are closed. Numbers and literals count once something follows them, and what a type's methods read, or
// what is one of a few values, once it is whole. So a longer beginning has all that a shorter one has, and more members, elements and
// characters.
func (p *Partial) Of(text string) []byte {
	c := copier{Partial: p, in: text}
	if c.value(p.typ, false); len(c.out) == 0 {
		return nil
	}
	return c.out
}

type copier struct {
	*Partial
	in  string
	at  int
	out []byte
}

// value copies a value of a type, nil for any, and reports whether it is whole; if it is not, as much of it as is certain. Atomic says
// that this is nothing, or in a list, nothing of an element.
func (p *copier) value(t reflect.Type, atomic bool) bool {
	t, shape := p.shapeOf(t)
	elements := false
	switch shape {
	case free:
		t = nil
	case list:
		elements, atomic = atomic, false
	case text, mapped, object:
	case known:
		if len(special[t]) == 0 {
			t = nil
			break
		}
		fallthrough
	default:
		atomic = true
	}
	from := len(p.out)
	whole := false
	switch p.next() {
	case '{':
		whole = p.members('{', '}', func() bool { return p.member(t, shape) })
	case '[':
		var element reflect.Type
		if shape == list {
			element = t.Elem()
		}
		whole = p.members('[', ']', func() bool { return p.value(element, elements) })
	case '"':
		whole = p.string()
	default:
		whole = p.literal()
	}
	if !whole && atomic {
		p.out = p.out[:from]
	}
	return whole
}

// next returns the next byte that is no white space, or 0 at the end.
func (p *copier) next() byte {
	for ; p.at < len(p.in); p.at++ {
		if c := p.in[p.at]; c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c
		}
	}
	return 0
}

// take copies the next byte if it is c.
func (p *copier) take(c byte) bool {
	if p.next() != c {
		return false
	}
	p.at++
	p.out = append(p.out, c)
	return true
}

// members copies what stands between brackets.
func (p *copier) members(open, shut byte, one func() bool) (whole bool) {
	p.take(open)
	if p.take(shut) {
		return true
	}
	for {
		from := len(p.out)
		whole := one()
		if len(p.out) == from { // nothing is certain of it, not even that it is there
			p.out = bytes.TrimSuffix(p.out, []byte{','})
		}
		if !whole {
			break
		}
		if p.take(shut) {
			return true
		}
		if !p.take(',') {
			break
		}
	}
	p.out = append(p.out, shut)
	return false
}

// member copies a key and its value.
func (p *copier) member(t reflect.Type, shape shape) (whole bool) {
	from := len(p.out)
	if p.next() == '"' && p.string() && p.take(':') {
		value := len(p.out)
		var inner reflect.Type
		atomic := false
		switch shape {
		case mapped:
			inner = t.Elem()
		case object:
			if f, ok := p.field(t, p.out[from:value-1]); ok {
				_, few := f.tag.Lookup("enum")
				inner, atomic = f.typ, few || f.quoted
			}
		}
		if whole = p.value(inner, atomic); len(p.out) > value {
			return whole
		}
	}
	p.out = p.out[:from]
	return false
}

// shapeOf returns what a type, nil for any, is read from, and the type without pointers.
func (p *Partial) shapeOf(t reflect.Type) (reflect.Type, shape) {
	if t == nil {
		return nil, free
	}
	s, ok := p.shapes[t]
	if !ok {
		to, pointed := pointee(t)
		s = pointedShape{shapeOf(to, pointed), to}
		p.shapes[t] = s
	}
	return s.to, s.shape
}

// field returns the field of a struct that a key is of.
func (p *Partial) field(t reflect.Type, key []byte) (field, bool) {
	all, ok := p.fields[t]
	if !ok {
		all = map[string]field{}
		for _, f := range fields(t) {
			all[f.name] = f
		}
		p.fields[t] = all
	}
	if bytes.IndexByte(key, '\\') < 0 {
		f, ok := all[string(key[1:len(key)-1])]
		return f, ok
	}
	var name string
	if json.Unmarshal(key, &name) != nil {
		return field{}, false
	}
	f, ok := all[name]
	return f, ok
}

// string copies a string.
func (p *copier) string() (whole bool) {
	p.take('"')
	for p.at < len(p.in) {
		n := 0
		switch c := p.in[p.at]; {
		case c == '"':
			return p.take('"')
		case c == '\\':
			n = escape(p.in[p.at:])
		case c < ' ': // it cannot stand there
		case c < utf8.RuneSelf:
			n = 1
		case utf8.FullRuneInString(p.in[p.at:]):
			_, n = utf8.DecodeRuneInString(p.in[p.at:])
		}
		if n == 0 {
			break
		}
		p.out = append(p.out, p.in[p.at:p.at+n]...)
		p.at += n
	}
	p.out = append(p.out, '"')
	return false
}

// escape returns the length of the escape that a text begins with, or 0 if it is not whole. Two that are one character are one.
func escape(s string) int {
	unit := func(s string) (rune, bool) {
		if len(s) < 6 || s[:2] != `\u` {
			return 0, false
		}
		n, err := strconv.ParseUint(s[2:6], 16, 16)
		return rune(n), err == nil
	}
	if len(s) < 2 {
		return 0
	}
	if s[1] != 'u' {
		return 2
	}
	switch c, ok := unit(s); {
	case !ok:
		return 0
	case !utf16.IsSurrogate(c) || c >= 0xDC00:
		return 6
	case len(s) < 12 && (len(s) < 7 || s[6] == '\\' && (len(s) < 8 || s[7] == 'u')):
		return 0 // the second half may come
	}
	return 6
}

// literal copies a number or another literal that something follows.
func (p *copier) literal() (whole bool) {
	n := strings.IndexFunc(p.in[p.at:], func(c rune) bool {
		return !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == 'E' || c == '+' || c == '-' || c == '.')
	})
	if n <= 0 {
		return false
	}
	p.out = append(p.out, p.in[p.at:p.at+n]...)
	p.at += n
	return true
}
