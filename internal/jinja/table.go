package jinja

import (
	"fmt"
	"strings"
)

// operation is a filter or a method: it makes a value of another with arguments. predicate is a test.
type (
	operation func(r *run, v value, a arguments) (value, error)
	predicate func(r *run, v value, a arguments) (bool, error)
)

// operations are filters or methods by their names.
type operations map[string]operation

// value adds an operation of any value under its names; see fixed.
func (o operations) value(names, parameters string, required int, f func(r *run, v value, a []value) (value, error)) {
	for name := range strings.FieldsSeq(names) {
		o[name] = fixed(name, parameters, required, f)
	}
}

// text adds an operation of text, which gets str(v).
func (o operations) text(names, parameters string, required int, f func(r *run, s string, a []value) (value, error)) {
	o.value(names, parameters, required, func(r *run, v value, a []value) (value, error) {
		s, err := r.text(v)
		if err != nil {
			return nil, err
		}
		return f(r, s, a)
	})
}

// items adds an operation of what a loop goes through.
func (o operations) items(name, parameters string, required int, f func(r *run, items []value, a []value) (value, error)) {
	o.value(name, parameters, required, func(r *run, v value, a []value) (value, error) {
		items, err := r.iterate(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return f(r, items, a)
	})
}

// tables say what the names of filters, tests, methods and globals mean. A template knows these and no others.
type tables struct {
	filters operations
	tests   predicates
	methods map[string]operations // by typeName
	globals map[string]value
}

func newTables() *tables {
	t := &tables{}
	t.methods = map[string]operations{
		"string": stringMethods(), "object": dictMethods(), "list": listMethods(), "tuple": listMethods(),
	}
	t.tests = standardTests()
	t.filters = standardFilters(t)
	t.globals = map[string]value{
		"range":           &function{name: "range", call: rangeOf},
		"namespace":       &function{name: "namespace", call: newNamespace},
		"dict":            &function{name: "dict", call: dictOf},
		"joiner":          &function{name: "joiner", call: newJoiner},
		"cycler":          &function{name: "cycler", call: newCycler},
		"raise_exception": &function{name: "raise_exception", call: raise},
		"strftime_now":    &function{name: "strftime_now", call: clock},
	}
	return t
}

// fixed makes an operation of a function that gets its arguments by position, in the order of its parameters: undefined where not given.
func fixed(name, parameters string, required int, f func(r *run, v value, a []value) (value, error)) operation {
	names := strings.Fields(parameters)
	return func(r *run, v value, a arguments) (value, error) {
		bound, err := a.bind(name, names, required)
		if err != nil {
			return nil, err
		}
		if err := r.look(append(bound, v)...); err != nil {
			return nil, err
		}
		return f(r, v, bound)
	}
}

// look counts a look at all of some texts.
func (r *run) look(values ...value) error {
	n := 0
	for _, v := range values {
		if s, ok := v.(string); ok {
			n += len(s)
		}
	}
	return r.work(n)
}

func given(v value) bool {
	_, missing := v.(undefined)
	return !missing
}

// or returns an optional argument.
func or(v, otherwise value) value { return pick(given(v), v, otherwise) }

// intArgument returns an optional integer argument.
func intArgument(what string, v value, otherwise int64) (int64, error) {
	if !given(v) || v == nil {
		return otherwise, nil
	}
	n, ok := integer(v)
	if !ok {
		return 0, fmt.Errorf("%s: %s, expected an integer", what, describe(v))
	}
	return n, nil
}

// textArguments returns arguments that must be strings.
func textArguments(what string, a ...value) ([]string, error) {
	out := make([]string, len(a))
	for i, v := range a {
		s, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("%s: %s, expected a string", what, describe(v))
		}
		out[i] = s
	}
	return out, nil
}
