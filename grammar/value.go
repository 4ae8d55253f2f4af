package grammar

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A value is one of JSON, with the order of its members and its place kept.
type value struct {
	kind   byte // one of { [ " 0 t f n
	text   string
	names  []string       // of members
	places map[string]int // of many members, once they were looked for
	list   []*value       // members or elements
	parent *value
	index  int  // in the parent's list
	made   bool // by a rewriting: its place is its parent's
}

// Bounds on a schema's text.
const (
	maxSchema  = 4 << 20
	maxNesting = 500
)

// parseJSON reads one value.
func parseJSON(text []byte) (*value, error) {
	if len(text) > maxSchema {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrLimit, len(text), maxSchema)
	}
	if !utf8.Valid(text) {
		return nil, errors.New("invalid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	at := func(err error) error {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("byte %d: %w", d.InputOffset(), err)
	}
	v, err := parseValue(d, 0)
	if err != nil {
		return nil, at(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, at(errors.New("expected the end of the text"))
	}
	return v, nil
}

func parseValue(d *json.Decoder, depth int) (*value, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("%w: values nested deeper than %d", ErrLimit, maxNesting)
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case nil:
		return &value{kind: 'n'}, nil
	case bool:
		return constant(t), nil
	case string:
		return &value{kind: '"', text: t}, nil
	case json.Number:
		return &value{kind: '0', text: t.String()}, nil
	}
	v := &value{kind: byte(t.(json.Delim))}
	seen := map[string]int{} // places of members
	for d.More() {
		name := ""
		if v.kind == '{' {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			name = key.(string)
		}
		x, err := parseValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		if v.kind == '{' {
			if i, twice := seen[name]; twice {
				x.parent, x.index = v, i // the last counts
				v.list[i] = x
				continue
			}
			seen[name] = len(v.list)
		}
		v.put(name, x)
	}
	_, err = d.Token()
	return v, err
}

func constant(b bool) *value {
	if b {
		return &value{kind: 't'}
	}
	return &value{kind: 'f'}
}

func (v *value) put(name string, x *value) {
	if v.kind == '{' {
		v.names = append(v.names, name)
	}
	x.parent, x.index = v, len(v.list)
	v.list = append(v.list, x)
}

// get returns a member, or nil.
func (v *value) get(name string) *value {
	if v == nil || v.kind != '{' {
		return nil
	}
	if len(v.names) > 20 {
		if len(v.places) != len(v.names) {
			v.places = make(map[string]int, len(v.names))
			for i, n := range v.names {
				v.places[n] = i
			}
		}
		if i, ok := v.places[name]; ok {
			return v.list[i]
		}
		return nil
	}
	for i, n := range v.names {
		if n == name {
			return v.list[i]
		}
	}
	return nil
}

// pointer returns the value's place as a JSON pointer, with # for the whole.
func (v *value) pointer() string {
	var parts []string
	for ; v.parent != nil; v = v.parent {
		if v.made {
			continue
		}
		part := strconv.Itoa(v.index)
		if v.parent.kind == '{' {
			part = v.parent.names[v.index]
			part = strings.ReplaceAll(strings.ReplaceAll(part, "~", "~0"), "/", "~1")
		}
		parts = append(parts, "/"+part)
	}
	var s strings.Builder
	s.WriteByte('#')
	for i := len(parts) - 1; i >= 0; i-- {
		s.WriteString(parts[i])
	}
	return s.String()
}

// equal compares as JSON Schema does: numbers by value, objects in any order.
func (v *value) equal(w *value) bool {
	if v.kind != w.kind || len(v.list) != len(w.list) {
		return false
	}
	switch v.kind {
	case '0':
		a, b := rational(v.text), rational(w.text)
		if a == nil || b == nil {
			return v.text == w.text
		}
		return a.Cmp(b) == 0
	case '{':
		for i, name := range v.names {
			if x := w.get(name); x == nil || !v.list[i].equal(x) {
				return false
			}
		}
		return true
	case '[':
		for i := range v.list {
			if !v.list[i].equal(w.list[i]) {
				return false
			}
		}
		return true
	}
	return v.text == w.text
}
