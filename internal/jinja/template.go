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
	body   block
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

// Entry is an entry of an [Object]: nil, a bool, an int, a json.Number, a string, a [Safe], a []any or an Object.
type Entry struct {
	Key   string
	Value any
}

// Safe is a string that counts as the template's own text. All other strings of variables, and the keys of objects, are literal.
type Safe string

// Limits bound a run; zero stands for [Steps], [Memory] and [Text].
type Limits struct {
	Steps  int64 // expressions and statements, and 64 bytes of text handled
	Memory int64 // bytes allocated, freed or not
	Text   int64 // bytes of any one text, the output among them
}

// The limits of a run whose variables are small.
const (
	Steps  = 4 << 20
	Memory = 64 << 20
	Text   = 16 << 20
)

// Options are those of a run.
type Options struct {
	Trace  string // the runes for Output.Literal
	Limits Limits
}

// Output is what a template makes.
type Output struct {
	Text string
	// Literal holds, in ascending order, the byte offsets in Text of the runes of Options.Trace that come from literal strings.
	Literal []int
}

// Run runs the template with variables. Text does not depend on o.Trace. Errors name the line; those of a limit wrap [ErrLimit],
// those of ctx its cause.
func (t *Template) Run(ctx context.Context, variables Object, o Options) (Output, error) {
	used := map[rune]bool{}
	if o.Trace != "" {
		for r := range t.used {
			used[r] = true
		}
		noteAll(variables, used)
	}
	m, err := newMarks(o.Trace, used)
	if err != nil {
		return Output{}, err
	}
	r := &run{ctx: ctx, marks: m, tables: t.tables, max: Limits{
		Steps:  pick(o.Limits.Steps > 0, o.Limits.Steps, Steps),
		Memory: pick(o.Limits.Memory > 0, o.Limits.Memory, Memory),
		Text:   pick(o.Limits.Text > 0, o.Limits.Text, Text),
	}}
	r.out = &buffer{run: r}
	s := &scope{}
	for _, e := range variables {
		v, err := m.value(e.Value, 0)
		if err != nil {
			return Output{}, fmt.Errorf("variable %.40q: %w", e.Key, err)
		}
		s.set(e.Key, v)
	}
	if _, err := t.body.exec(r, s); err != nil {
		return Output{}, err
	}
	return m.output(r.out.String()), nil
}

// value makes the value of a variable, with its literal strings marked.
func (m *marks) value(x any, depth int) (value, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: a value nested deeper than %d", ErrLimit, maxDepth)
	}
	switch v := x.(type) {
	case nil, bool:
		return x, nil
	case int:
		return int64(v), nil
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
