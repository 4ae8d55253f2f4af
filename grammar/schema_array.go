package grammar

import "slices"

// maxUnique bounds the values of which an array may hold each once.
const maxUnique = 6

// array returns the body of the arrays that meet the facts, or nil if none does.
func (c *compiler) array(f *facts, depth int) (*body, error) {
	least, most := f.minItems, f.maxItems
	if most >= 0 && least > most {
		return nil, nil
	}
	if slices.ContainsFunc(f.notEnum, func(v *value) bool { return v.kind == '[' && len(v.list) == 0 }) {
		least = max(least, 1)
	}
	first, rest := c.elements(f)
	frame := c.frame("[]", depth)
	if f.unique != nil && most != 0 && most != 1 {
		b, err := c.unique(f, first, rest, depth)
		if b != nil || err != nil {
			return b, err
		}
		if err := c.unsupported(f.unique, "uniqueItems", "elements that are not a few known values"); err != nil {
			return nil, err
		}
	}
	more, err := c.value(rest, depth+1)
	if err != nil {
		return nil, err
	}
	if len(first) == 0 {
		return c.list(frame, more, least, most), nil
	}
	// From the end: what may follow when n elements have been written.
	n := int32(len(first))
	if most >= 0 {
		n = min(n, most)
	}
	again := repeat(c.seq(c.text(frame.comma), more), max(least-n, 0), -1)
	if most >= 0 {
		again.max = most - n
	}
	after := c.seq(again, c.text(frame.end))
	for n--; n >= 0; n-- {
		v, err := c.value(first[n], depth+1)
		if err != nil {
			return nil, err
		}
		start, end := frame.comma, frame.end
		if n == 0 {
			start, end = frame.open, frame.empty
		}
		here := c.seq(c.text(start), v, after)
		if n >= least {
			here = choice(c.text(end), here)
		}
		after = here
	}
	return after, nil
}

// elements returns the schemas of the first elements, each by its place, and of the others.
func (c *compiler) elements(f *facts) (first [][]*value, rest []*value) {
	type lists struct {
		first []*value
		rest  *value
	}
	var all []lists
	for _, s := range f.arrays {
		var l lists
		items := s.get("items")
		switch {
		case items != nil && items.kind == '[':
			l = lists{items.list, s.get("additionalItems")}
		case s.get("prefixItems") != nil && !c.old:
			l = lists{s.get("prefixItems").list, items}
		default:
			l.rest = items
		}
		all = append(all, l)
	}
	n := 0
	for _, l := range all {
		n = max(n, len(l.first))
	}
	first = make([][]*value, n)
	for _, l := range all {
		for i := range first {
			if i < len(l.first) {
				first[i] = append(first[i], l.first[i])
			} else if l.rest != nil {
				first[i] = append(first[i], l.rest)
			}
		}
		if l.rest != nil {
			rest = append(rest, l.rest)
		}
	}
	return first, rest
}

// unique returns the body of arrays that hold each of a few known values once at most, or nil if that is not what they hold.
func (c *compiler) unique(f *facts, first [][]*value, rest []*value, depth int) (*body, error) {
	if len(first) > 0 {
		return nil, nil
	}
	cases, err := c.cases(rest)
	if err != nil {
		return nil, err
	}
	var values []*value
	for _, x := range cases {
		if !x.hasEnum {
			return nil, nil
		}
		for _, v := range x.enum {
			ok, err := c.holds(x, v)
			if err != nil {
				return nil, err
			}
			if ok && !slices.ContainsFunc(values, v.equal) {
				values = append(values, v)
			}
		}
	}
	if len(values) > maxUnique {
		return nil, nil
	}
	written := make([]*body, len(values))
	for i, v := range values {
		if written[i], err = c.write(v, depth+1); err != nil {
			return nil, err
		}
	}
	frame := c.frame("[]", depth)
	after := make([]*body, 1<<len(values)) // by the set of those that have been written
	for set := len(after) - 1; set >= 0; set-- {
		n, start, end := int32(0), frame.comma, frame.end
		for i := range values {
			n += int32(set >> i & 1)
		}
		if n == 0 {
			start, end = frame.open, frame.empty
		}
		var list []*body
		if n >= f.minItems {
			list = append(list, c.text(end))
		}
		for i, b := range written {
			if set>>i&1 == 0 && (f.maxItems < 0 || n < f.maxItems) {
				list = append(list, c.seq(c.text(start), b, after[set|1<<i]))
			}
		}
		after[set] = choice(append(list, bytesBody(c.none))...)
	}
	return after[0], nil
}
