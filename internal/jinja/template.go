package jinja

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrLimit is wrapped by the errors of templates that ask for more steps, depth, memory or output than they may have.
var ErrLimit = errors.New("limit exceeded")

// ErrRefused is wrapped by the error of a template that calls raise_exception, with its message in the error's text, and by that
// of a template that wants other templates or files.
var ErrRefused = errors.New("refused")

// Template is a parsed template. It is safe for several goroutines.
type Template struct {
	body   statements
	tables *tables
	used   map[rune]bool // runes of the template that cannot mark text
}

// Parse reads a template. Errors name the line.
func Parse(source string) (*Template, error) {
	l, err := lex(source)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: l.tokens, tables: newTables()}
	body, _, err := p.body("")
	if err != nil {
		return nil, err
	}
	return &Template{body: body, tables: p.tables, used: l.used}, nil
}

// Object is an object of JSON, its keys in their order; of several entries with one key the last counts.
type Object []Entry

// Put adds an entry.
func (o *Object) Put(key string, v any) { *o = append(*o, Entry{key, v}) }

// Get returns the value at a key.
func (o Object) Get(key string) (v any, ok bool) {
	for i := len(o) - 1; i >= 0; i-- {
		if o[i].Key == key {
			return o[i].Value, true
		}
	}
	return nil, false
}

// Entry is an entry of an [Object]: nil, a bool, a json.Number, a string, a [Safe], a []any or an Object.
type Entry struct {
	Key   string
	Value any
}

// Safe is a string that counts as the template's own text. All other strings of variables, and the keys of objects, are literal.
type Safe string

// Run runs the template with variables. literal are, in ascending order, the byte offsets in text of the runes of trace that come from
// literal strings; text does not depend on trace. Errors name the line; those of a limit wrap [ErrLimit], those of ctx its cause.
func (t *Template) Run(ctx context.Context, variables Object, trace string) (text string, literal []int, err error) {
	used := map[rune]bool{}
	if trace != "" {
		for r := range t.used {
			used[r] = true
		}
		noteAll(variables, used)
	}
	m, err := newMarks(trace, used)
	if err != nil {
		return "", nil, err
	}
	r := &run{ctx: ctx, marks: m, tables: t.tables, max: limitsFor(variables)}
	r.out = &buffer{run: r}
	s := &scope{}
	for _, e := range variables {
		v, err := m.value(e.Value, 0)
		if err != nil {
			return "", nil, fmt.Errorf("variable %.40q: %w", e.Key, err)
		}
		s.set(e.Key, v)
	}
	if _, err := t.body.exec(r, s); err != nil {
		return "", nil, err
	}
	text, literal = m.unmark(r.out.String())
	return text, literal, nil
}

// value makes the value of a variable, with its literal strings marked.
func (m *marks) value(x any, depth int) (value, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: a value nested deeper than %d", ErrLimit, maxDepth)
	}
	switch v := x.(type) {
	case nil, bool:
		return x, nil
	case json.Number:
		return number(v), nil
	case string:
		if len(m.mark) == 0 {
			return x, nil
		}
		return m.markText(v), nil
	case Safe:
		return string(v), nil
	case []any:
		l := &list{items: make([]value, len(v))}
		for i := range v {
			var err error
			if l.items[i], err = m.value(v[i], depth+1); err != nil {
				return nil, err
			}
		}
		return l, nil
	case Object:
		d := &dict{keys: make([]value, 0, len(v)), values: make([]value, 0, len(v)), index: make(map[any]int, len(v))}
		for _, e := range v {
			item, err := m.value(e.Value, depth+1)
			if err != nil {
				return nil, err
			}
			var hashed value = e.Key
			key := hashed
			if len(m.mark) > 0 {
				key = m.markText(e.Key)
			}
			d.set(key, hashed, item)
		}
		return d, nil
	}
	return nil, fmt.Errorf("a value of type %T", x)
}
