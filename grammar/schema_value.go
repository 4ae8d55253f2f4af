package grammar

import (
	"slices"
	"unicode/utf8"
)

// allows reports whether all schemas allow a value.
func (c *compiler) allows(schemas []*value, v *value) (bool, error) {
	cases, err := c.cases(schemas)
	if err != nil {
		return false, err
	}
	for _, f := range cases {
		if f.hasEnum && !slices.ContainsFunc(f.enum, v.equal) {
			continue
		}
		if ok, err := c.holds(f, v); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// holds reports whether a value meets facts, whatever their enum says.
func (c *compiler) holds(f *facts, v *value) (bool, error) {
	if slices.ContainsFunc(f.notEnum, v.equal) {
		return false, nil
	}
	switch v.kind {
	case 'n':
		return f.types&null != 0, nil
	case 't', 'f':
		return f.types&boolean != 0, nil
	case '0':
		return c.holdsNumber(f, v)
	case '"':
		n := int32(utf8.RuneCountInString(v.text))
		content, err := c.content(v.text)
		if err != nil || f.types&text == 0 || n < f.minLength || f.maxLength >= 0 && n > f.maxLength {
			return false, nil
		}
		return !slices.ContainsFunc(f.strings, func(e *expr) bool { return !c.matches(e, content) }), nil
	case '[':
		n := int32(len(v.list))
		if f.types&array == 0 || n < f.minItems || f.maxItems >= 0 && n > f.maxItems {
			return false, nil
		}
		if f.unique != nil {
			for i, x := range v.list {
				if slices.ContainsFunc(v.list[:i], x.equal) {
					return false, nil
				}
			}
		}
		first, rest := c.elements(f)
		for i, x := range v.list {
			schemas := rest
			if i < len(first) {
				schemas = first[i]
			}
			if ok, err := c.allows(schemas, x); !ok || err != nil {
				return false, err
			}
		}
		return true, nil
	}
	n := int32(len(v.list))
	if f.types&object == 0 || n < f.minProps || f.maxProps >= 0 && n > f.maxProps {
		return false, nil
	}
	for _, name := range f.required {
		if v.get(name) == nil {
			return false, nil
		}
	}
	for i, name := range v.names {
		schemas, err := c.schemasOf(f, name)
		if err != nil {
			return false, err
		}
		if ok, err := c.allows(schemas, v.list[i]); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (c *compiler) holdsNumber(f *facts, v *value) (bool, error) {
	r := rational(v.text)
	if r == nil {
		return false, nil
	}
	if r.IsInt() && f.types&integer == 0 || !r.IsInt() && f.types&fraction == 0 {
		return false, nil
	}
	b := f.number
	if b.lo != nil && (r.Cmp(b.lo) < 0 || r.Cmp(b.lo) == 0 && b.loOpen) ||
		b.hi != nil && (r.Cmp(b.hi) > 0 || r.Cmp(b.hi) == 0 && b.hiOpen) {
		return false, nil
	}
	for _, s := range f.multiples {
		m := rational(s.get("multipleOf").text)
		if m == nil || m.Sign() <= 0 {
			if err := c.invalid(s, "multipleOf", "a positive number"); err != nil {
				return false, err
			}
			continue
		}
		if !m.Quo(r, m).IsInt() {
			return false, nil
		}
	}
	return true, nil
}
