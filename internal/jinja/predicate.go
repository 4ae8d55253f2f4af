package jinja

import (
	"errors"
	"fmt"
)

func standardTests() map[string]predicate {
	tests := map[string]predicate{}
	// is adds a test of the value alone.
	is := func(name string, f func(v value) bool) {
		tests[name] = func(_ *run, v value, a arguments) (bool, error) {
			_, err := a.bind(name, nil, 0)
			return f(v), err
		}
	}
	// with adds a test with one argument, under all of its names.
	with := func(f func(r *run, v, other value) (bool, error), names ...string) {
		for _, name := range names {
			tests[name] = func(r *run, v value, a arguments) (bool, error) {
				bound, err := a.bind(name, []string{"other"}, 1)
				if err != nil {
					return false, err
				}
				return f(r, v, bound[0])
			}
		}
	}
	is("defined", given)
	is("undefined", func(v value) bool { return !given(v) })
	is("none", func(v value) bool { return v == nil })
	is("boolean", func(v value) bool { _, ok := v.(bool); return ok })
	is("true", func(v value) bool { return v == true })
	is("false", func(v value) bool { return v == false })
	is("number", func(v value) bool { _, ok := numeric(v); return ok })
	is("integer", func(v value) bool { return numberForm(v) == 'i' })
	is("float", func(v value) bool { return numberForm(v) == 'f' })
	is("string", func(v value) bool { _, ok := v.(string); return ok })
	is("mapping", func(v value) bool { _, ok := v.(*dict); return ok })
	is("sequence", func(v value) bool {
		l, ok := v.(*list)
		return isSequence(v) && (!ok || l.indexed())
	})
	is("iterable", isSequence)
	is("callable", func(v value) bool {
		switch v.(type) {
		case *function, *loop, undefined: // the last fails when it is called
			return true
		}
		return false
	})
	named := func(name string, known func(r *run, name string) bool) {
		tests[name] = func(r *run, v value, _ arguments) (bool, error) {
			s, _ := v.(string)
			return known(r, r.marks.plain(s)), nil
		}
	}
	named("filter", func(r *run, name string) bool { return r.tables.filters[name] != nil })
	named("test", func(r *run, name string) bool { return r.tables.tests[name] != nil })
	with((*run).sameAs, "sameas")
	with(func(r *run, v, holder value) (bool, error) { return r.contains(holder, v) }, "in")
	for op, names := range map[string][]string{
		"==": {"==", "eq", "equalto"}, "!=": {"!=", "ne"},
		"<": {"<", "lt", "lessthan"}, "<=": {"<=", "le"},
		">": {">", "gt", "greaterthan"}, ">=": {">=", "ge"},
	} {
		with(func(r *run, v, other value) (bool, error) { return r.relate(op, v, other) }, names...)
	}
	divisible := func(_ *run, v, by value) (bool, error) {
		n, ok := numeric(v)
		m, okay := numeric(by)
		if !ok || !okay {
			return false, errors.New("divisibleby: expected numbers")
		}
		rest, err := arithmetic("%", n, m)
		return !truth(rest), err
	}
	with(divisible, "divisibleby")
	tests["even"] = func(r *run, v value, _ arguments) (bool, error) { return divisible(r, v, int64(2)) }
	tests["odd"] = func(_ *run, v value, _ arguments) (bool, error) {
		n, ok := numeric(v)
		if !ok {
			return false, fmt.Errorf("odd: %s, expected a number", describe(v))
		}
		rest, err := arithmetic("%", n, num{i: 2, f: 2})
		return rest == int64(1) || rest == 1.0, err
	}
	for name, method := range map[string]string{"lower": "islower", "upper": "isupper"} {
		tests[name] = func(r *run, v value, a arguments) (bool, error) {
			s, err := r.text(v)
			if err != nil {
				return false, err
			}
			yes, err := r.tables.methods["string"][method](r, s, a)
			return yes == true, err
		}
	}
	return tests
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
