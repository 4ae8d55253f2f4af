package grammar

import (
	"fmt"
	"slices"
)

// A member is a property that has a name, or the properties whose names meet some patterns.
type member struct {
	name    string
	key     *expr // of those without a name
	schemas []*value
	must    bool
}

// never reports whether a schema says that the member cannot be.
func (m member) never() bool {
	return slices.ContainsFunc(m.schemas, func(s *value) bool { return s.kind == 'f' })
}

// object returns the body of the objects that meet the facts, or nil if none does.
func (c *compiler) object(f *facts, depth int) (*body, error) {
	named, free, err := c.members(f)
	if err != nil {
		return nil, err
	}
	w := objectWriter{compiler: c, facts: f, frame: c.frame("{}", depth)}
	if slices.ContainsFunc(named, func(m member) bool { return m.must && m.never() }) {
		return nil, nil
	}
	for _, m := range named {
		if m.never() {
			continue
		}
		key, err := c.name(c.place(f), m.name)
		if err != nil {
			if m.must || !c.call {
				return nil, err
			}
			if err := c.drop(err); err != nil {
				return nil, err
			}
			continue
		}
		v, err := c.compile(m.schemas, depth+1)
		if err != nil {
			return nil, err
		}
		if v.kind == bodyBytes && v.e == c.none {
			if m.must {
				return nil, nil
			}
			continue
		}
		first, more := c.seq(c.text(w.frame.open), key, v), c.seq(c.text(w.frame.comma), key, v)
		w.named, w.first, w.more = append(w.named, m), append(w.first, first), append(w.more, more)
	}
	var others []*body
	for _, m := range free {
		v, err := c.value(m.schemas, depth+1)
		if err != nil {
			return nil, err
		}
		others = append(others, c.seq(c.key(m.key), v))
	}
	if len(others) > 0 {
		w.free = choice(others...)
	}
	return w.write()
}

// place returns a schema to name in errors about the facts.
func (c *compiler) place(f *facts) *value { return c.first(f.objects) }

// value compiles what may be any value to one rule.
func (c *compiler) value(schemas []*value, depth int) (*body, error) {
	if len(schemas) == 0 || len(schemas) == 1 && (schemas[0].kind == 't' || schemas[0].kind == '{' && len(schemas[0].list) == 0) {
		return c.any(depth), nil
	}
	return c.compile(schemas, depth)
}

// members returns the properties by name, in their order, and those that have none.
func (c *compiler) members(f *facts) (named, free []member, err error) {
	seen := map[string]bool{}
	add := func(name string) error {
		if seen[name] {
			return nil
		}
		seen[name] = true
		schemas, err := c.schemasOf(f, name)
		if err == nil {
			named = append(named, member{name: name, schemas: schemas, must: slices.Contains(f.required, name)})
		}
		return err
	}
	for _, s := range f.objects {
		if p := s.get("properties"); p != nil && p.kind == '{' {
			for _, name := range p.names {
				if err := add(name); err != nil {
					return nil, nil, err
				}
			}
		}
	}
	for _, name := range f.required {
		if err := add(name); err != nil {
			return nil, nil, err
		}
	}
	free, err = c.others(f, named)
	return named, free, err
}

// schemasOf returns the schemas for a property by its name.
func (c *compiler) schemasOf(f *facts, name string) ([]*value, error) {
	var list []*value
	for _, s := range f.objects {
		found := false
		if x := s.get("properties").get(name); x != nil {
			list, found = append(list, x), true
		}
		if p := s.get("patternProperties"); p != nil {
			for i, text := range p.names {
				e, err := c.namePattern(p, text)
				if err != nil {
					return nil, err
				}
				if e == nil { // loosened
					found = true
				} else if content, err := c.content(name); err == nil && c.matches(e, content) {
					list, found = append(list, p.list[i]), true
				}
			}
		}
		if x := s.get("additionalProperties"); x != nil && !found {
			list = append(list, x)
		}
	}
	if len(f.names) > 0 {
		allowed, err := c.allowedNames(f)
		if err != nil {
			return nil, err
		}
		if content, err := c.content(name); err != nil || !c.matches(allowed, content) {
			list = append(list, constant(false))
		}
	}
	return list, nil
}

// namePattern returns the keys that a pattern matches, or nil if it was loosened.
func (c *compiler) namePattern(at *value, text string) (*expr, error) {
	e, err := c.pattern(text)
	if err != nil {
		return nil, c.unsupported(at.parent, "patternProperties", err.Error())
	}
	return e, nil
}

// allowedNames returns the keys that propertyNames allows.
func (c *compiler) allowedNames(f *facts) (*expr, error) {
	cases, err := c.cases(f.names)
	if err != nil {
		return nil, err
	}
	e := c.none
	for _, x := range cases {
		switch {
		case x.types&text == 0:
		case x.hasEnum:
			for _, v := range x.enum {
				ok, err := c.holds(x, v)
				if err != nil {
					return nil, err
				}
				if content, err := c.content(v.text); ok && v.kind == '"' && err == nil {
					e = c.alt(e, c.literal(content))
				}
			}
		default:
			e = c.alt(e, c.stringOf(x))
		}
	}
	return e, nil
}

// others returns the properties that have no name, by the patterns that their keys match.
func (c *compiler) others(f *facts, named []member) ([]member, error) {
	closed := false
	type pattern struct {
		text string
		e    *expr
	}
	var patterns []pattern
	for _, s := range f.objects {
		more := s.get("additionalProperties")
		if more != nil && more.kind == 'f' && s.get("patternProperties") == nil ||
			more == nil && c.options.Closed && s.get("properties") != nil && s.get("patternProperties") == nil {
			closed = true
		}
		p := s.get("patternProperties")
		if p == nil {
			continue
		}
		for _, text := range p.names {
			e, err := c.namePattern(p, text)
			if err != nil {
				return nil, err
			}
			if e != nil && !slices.ContainsFunc(patterns, func(x pattern) bool { return x.text == text }) {
				patterns = append(patterns, pattern{text, e})
			}
		}
	}
	if closed || f.maxProps == 0 {
		return nil, nil
	}
	if len(patterns) > maxPatterns {
		if err := c.unsupported(c.place(f), "patternProperties", fmt.Sprintf("more than %d patterns", maxPatterns)); err != nil {
			return nil, err
		}
		patterns = nil
	}
	keys := c.keys()
	if len(f.names) > 0 {
		allowed, err := c.allowedNames(f)
		if err != nil {
			return nil, err
		}
		keys = c.and(keys, allowed)
	}
	var names []string
	for _, m := range named {
		if s, err := c.content(m.name); err == nil {
			names = append(names, s)
		}
	}
	if len(names) > 0 {
		keys = c.and(keys, c.not(c.literals(names)))
	}
	var list []member
	for set := range 1 << len(patterns) {
		m := member{key: keys}
		for i, p := range patterns {
			if set>>i&1 == 1 {
				m.key = c.and(m.key, p.e)
			} else {
				m.key = c.and(m.key, c.not(p.e))
			}
		}
		if !c.isAlive(m.key) {
			continue
		}
		for _, s := range f.objects {
			found := false
			if p := s.get("patternProperties"); p != nil {
				for j, text := range p.names {
					i := slices.IndexFunc(patterns, func(x pattern) bool { return x.text == text })
					if i >= 0 && set>>i&1 == 1 {
						m.schemas, found = append(m.schemas, p.list[j]), true
					}
				}
			}
			if x := s.get("additionalProperties"); !found && x != nil {
				m.schemas = append(m.schemas, x)
			} else if !found && c.options.Closed && s.get("patternProperties") != nil {
				m.schemas = append(m.schemas, constant(false))
			}
		}
		if !m.never() {
			list = append(list, m)
		}
	}
	return list, nil
}

// An objectWriter writes members in their order: a chain of what may follow after each.
type objectWriter struct {
	*compiler
	facts       *facts
	frame       frame
	named       []member
	first, more []*body // each of named with its key, as the first member and as a later one
	free        *body   // any other member, or nil
}

func (w *objectWriter) write() (*body, error) {
	f := w.facts
	least, most := f.minProps, f.maxProps
	if most >= 0 && least > most {
		return nil, nil
	}
	if most >= int32(len(w.named)) && w.free == nil {
		most = -1
	}
	needed, possible := int32(0), int32(len(w.named))
	for _, m := range w.named {
		if m.must {
			needed++
		}
	}
	if least <= needed {
		least = 0
	}
	count := max(least, most, 0) // how far members are counted
	if len(w.named) == 0 && least <= 1 {
		return w.dictionary(least, most)
	}
	if count > maxCountedNames || least > possible+1 && w.free != nil {
		why := "so many members among named ones cannot be counted"
		if least > 0 {
			why = "members that are not named can repeat, and are not counted"
		}
		keyword := "minProperties"
		if most > least {
			keyword = "maxProperties"
		}
		if err := w.unsupported(w.place(f), keyword, why); err != nil {
			return nil, err
		}
		least, most, count = 0, -1, 0
	}
	// after[n] is what may follow when n members have been written; 0 and count stand for themselves, and for more.
	if count == 0 {
		count = 1
	}
	after := make([]*body, count+1)
	for n := range after {
		after[n] = w.tail(int32(n), least, most)
	}
	for i := len(w.named) - 1; i >= 0; i-- {
		before := make([]*body, count+1)
		for n := range before {
			list := make([]*body, 0, 2)
			if most < 0 || int32(n) < most {
				here := w.more[i]
				if n == 0 {
					here = w.first[i]
				}
				list = append(list, &body{kind: bodySeq, list: []*body{here, after[min(n+1, int(count))]}})
			}
			if !w.named[i].must {
				list = append(list, after[n])
			}
			before[n] = choice(list...)
		}
		after = before
	}
	return after[0], nil
}

// tail is what may follow the named members when n have been written.
func (w *objectWriter) tail(n, least, most int32) *body {
	end, start := w.frame.end, w.frame.comma
	if n == 0 {
		end, start = w.frame.empty, w.frame.open
	}
	var list []*body
	if n >= least {
		list = append(list, w.text(end))
	}
	if left := most - n; w.free != nil && n+1 >= least && (most < 0 || left > 0) {
		again := repeat(w.seq(w.text(w.frame.comma), w.free), 0, -1)
		if most >= 0 {
			again.max = left - 1
		}
		list = append(list, w.seq(w.text(start), w.free, again, w.text(w.frame.end)))
	}
	if len(list) == 0 {
		return bytesBody(w.none)
	}
	return choice(list...)
}

// dictionary writes an object without named members.
func (w *objectWriter) dictionary(least, most int32) (*body, error) {
	if w.free == nil {
		if least > 0 {
			return nil, nil
		}
		return w.text(w.frame.empty), nil
	}
	return w.list(w.frame, w.free, least, most), nil
}
