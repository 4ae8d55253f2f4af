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
	fields map[reflect.Type][]field
}

// NewPartial returns what tells that of a type.
func NewPartial(t reflect.Type) *Partial { return &Partial{t, map[reflect.Type][]field{}} }

// Of returns JSON for as much of a value as a text, the beginning of its JSON, makes certain, or nil if that is nothing.
//
// Open objects, lists and strings are closed. Numbers and literals count once something follows them, and what a type's methods read, or
// what is one of a few values, once it is whole. So a longer beginning has all that a shorter one has, and more members, elements and
// characters.
func (p *Partial) Of(text string) []byte {
	c := copier{Partial: p, in: text}
	c.value(p.typ, false)
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
	shape := free
	if t != nil {
		var pointed bool
		t, pointed = pointee(t)
		shape = shapeOf(t, pointed)
	}
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
			if f := p.field(t, p.out[from:value-1]); f != nil {
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

// field returns the field of a struct that a key is of, or nil.
func (p *Partial) field(t reflect.Type, key []byte) *field {
	list, ok := p.fields[t]
	if !ok {
		list = fields(t)
		p.fields[t] = list
	}
	var name string
	if json.Unmarshal(key, &name) != nil {
		return nil
	}
	for i := range list {
		if list[i].name == name {
			return &list[i]
		}
	}
	return nil
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
