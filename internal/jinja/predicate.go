package jinja

import (
	"errors"
	"fmt"
	"strings"
)

// predicates are tests by their names.
type predicates map[string]predicate

// is adds a test of a value alone.
func (p predicates) is(name string, f func(v value) bool) {
	p[name] = func(_ *run, v value, a arguments) (bool, error) {
		_, err := a.bind(name, nil, 0)
		return f(v), err
	}
}

// with adds a test with one argument, under all of its names.
func (p predicates) with(names string, f func(r *run, v, other value) (bool, error)) {
	for name := range strings.FieldsSeq(names) {
		p[name] = func(r *run, v value, a arguments) (bool, error) {
			bound, err := a.bind(name, []string{"other"}, 1)
			if err != nil {
				return false, err
			}
			return f(r, v, bound[0])
		}
	}
}

// standardTests are the tests of Jinja.
func standardTests() predicates {
	p := predicates{
		"filter": knownTo(func(t *tables, name string) bool { return t.filters[name] != nil }),
		"test":   knownTo(func(t *tables, name string) bool { return t.tests[name] != nil }),
		"even":   func(r *run, v value, _ arguments) (bool, error) { return divisible(r, v, int64(2)) },
		"odd":    odd,
		"lower":  byMethod("islower"),
		"upper":  byMethod("isupper"),
	}
	p.kinds()
	p.with("sameas", (*run).sameAs)
	p.with("in", func(r *run, v, holder value) (bool, error) { return r.contains(holder, v) })
	for op, names := range map[string]string{
		"==": "== eq equalto", "!=": "!= ne", "<": "< lt lessthan", "<=": "<= le", ">": "> gt greaterthan", ">=": ">= ge",
	} {
		p.with(names, func(r *run, v, other value) (bool, error) { return r.relate(op, v, other) })
	}
	p.with("divisibleby", divisible)
	return p
}

// kinds adds the tests of what a value is.
func (p predicates) kinds() {
	p.is("defined", given)
	p.is("undefined", func(v value) bool { return !given(v) })
	p.is("none", func(v value) bool { return v == nil })
	p.is("boolean", func(v value) bool { _, ok := v.(bool); return ok })
	p.is("true", func(v value) bool { return v == true })
	p.is("false", func(v value) bool { return v == false })
	p.is("number", func(v value) bool { _, ok := numeric(v); return ok })
	p.is("integer", func(v value) bool { return numberForm(v) == 'i' })
	p.is("float", func(v value) bool { return numberForm(v) == 'f' })
	p.is("string", func(v value) bool { _, ok := v.(string); return ok })
	p.is("mapping", func(v value) bool { _, ok := v.(*dict); return ok })
	p.is("sequence", func(v value) bool {
		l, ok := v.(*list)
		return isSequence(v) && (!ok || l.indexed())
	})
	p.is("iterable", isSequence)
	p.is("callable", func(v value) bool {
		switch v.(type) {
		case *function, *loop, undefined: // the last fails when it is called
			return true
		}
		return false
	})
}

// knownTo tests whether the tables know a name.
func knownTo(known func(t *tables, name string) bool) predicate {
	return func(r *run, v value, _ arguments) (bool, error) {
		s, _ := v.(string)
		return known(r.tables, r.marks.plain(s)), nil
	}
}

// byMethod is the test that a method of strings makes of a value's text.
func byMethod(method string) predicate {
	return func(r *run, v value, a arguments) (bool, error) {
		s, err := r.text(v)
		if err != nil {
			return false, err
		}
		yes, err := r.tables.methods["string"][method](r, s, a)
		return yes == true, err
	}
}

func divisible(_ *run, v, by value) (bool, error) {
	n, ok := numeric(v)
	m, okay := numeric(by)
	if !ok || !okay {
		return false, errors.New("divisibleby: expected numbers")
	}
	rest, err := arithmetic("%", n, m)
	return !truth(rest), err
}

func odd(_ *run, v value, _ arguments) (bool, error) {
	n, ok := numeric(v)
	if !ok {
		return false, fmt.Errorf("odd: %s, expected a number", describe(v))
	}
	rest, err := arithmetic("%", n, num{i: 2, f: 2})
	return rest == int64(1) || rest == 1.0, err
}

// numberForm is 'i' for an integer, 'f' for a float, 0 for anything else.
func numberForm(v value) byte {
	switch v := v.(type) {
	case int64:
		return 'i'
	case float64:
		return 'f'
	case number:
		return pick[byte](isInteger(v), 'i', 'f')
	}
	return 0
}

// isSequence holds for all that has a length; in Jinja this is true of an undefined value too.
func isSequence(v value) bool {
	switch v.(type) {
	case string, *list, *dict, undefined:
		return true
	}
	return false
}

// sameAs is Python's is: the same object, or the same small value.
func (r *run) sameAs(v, other value) (bool, error) {
	switch v.(type) {
	case *list, *dict, *namespace, *function, *loop:
		return v == other, nil
	}
	if fmt.Sprintf("%T", v) != fmt.Sprintf("%T", other) {
		return false, nil
	}
	return r.equal(v, other, 0)
}
