package grammar

import (
	"fmt"
	"slices"
	"strings"
)

// Keywords that say what must not be, or only if something else is, become choices between schemas that say what must be.

// made returns a schema made for a place, of keywords and values.
func made(at *value, pairs ...any) *value {
	v := &value{kind: '{'}
	for ; len(pairs) > 0; pairs = pairs[2:] {
		var x *value
		switch y := pairs[1].(type) {
		case *value: // stays where it is
			v.names, v.list = append(v.names, pairs[0].(string)), append(v.list, y)
			continue
		case string:
			x = &value{kind: '"', text: y, made: true}
		case bool:
			x = constant(y)
		case []*value:
			x = &value{kind: '[', list: y, made: true}
		}
		v.put(pairs[0].(string), x)
	}
	v.parent, v.made = at, true
	return v
}

func texts(list ...string) []*value {
	var all []*value
	for _, s := range list {
		all = append(all, &value{kind: '"', text: s})
	}
	return all
}

// annotations say nothing about which values are allowed.
var annotations = map[string]bool{"title": true, "description": true, "default": true, "examples": true, "$comment": true, "$schema": true,
	"$id": true, "id": true, "deprecated": true, "readOnly": true, "writeOnly": true, "$defs": true, "definitions": true,
	"contentEncoding": true, "contentMediaType": true, "$anchor": true}

// negate returns schemas of which one holds for every value that x does not allow.
func (c *compiler) negate(s, x *value) ([]*value, error) {
	return c.rewrite(s, x, func() ([]*value, error) { return c.negation(s, x, 0) })
}

// rewrite does what makes schemas of x once only, so that schemas which lead back to themselves come to an end.
func (c *compiler) rewrite(s, x *value, do func() ([]*value, error)) ([]*value, error) {
	key := [2]*value{s, x}
	if list, ok := c.rewritten[key]; ok {
		return list, nil
	}
	list, err := do()
	if err == nil {
		c.rewritten[key] = list
	}
	return list, err
}

func (c *compiler) negation(s, x *value, depth int) ([]*value, error) {
	switch {
	case x.kind == 't':
		return []*value{}, nil
	case x.kind == 'f':
		return []*value{constant(true)}, nil
	case x.kind != '{':
		return []*value{constant(true)}, c.invalid(s, "not", "a schema")
	case depth > 20:
		return nil, &keywordError{"not", s.pointer(), "nested too deeply", ErrUnsupported}
	}
	refuse := func(keyword string) ([]*value, error) {
		return nil, &keywordError{"not", s.pointer(), "what " + keyword + " excludes cannot be told", ErrUnsupported}
	}
	list := []*value{}
	for i, name := range x.names {
		y := x.list[i]
		switch name {
		case "type":
			var t types
			for _, n := range append(y.list[:len(y.list):len(y.list)], y) {
				t |= typeNames[n.text]
			}
			var rest []string
			for _, n := range []string{"null", "boolean", "string", "array", "object"} {
				if t&typeNames[n] == 0 {
					rest = append(rest, n)
				}
			}
			switch t & (integer | fraction) {
			case 0:
				rest = append(rest, "number")
			case integer:
				rest = append(rest, "!fraction")
			}
			list = append(list, made(s, "type", texts(rest...)))
		case "enum", "const":
			values := y.list
			if name == "const" {
				values = []*value{y}
			}
			for _, v := range values {
				if len(v.list) > 0 {
					return refuse(name)
				}
			}
			list = append(list, made(s, "!enum", values))
		case "required":
			for _, n := range y.list {
				none := made(s, n.text, false)
				list = append(list, made(s, "type", "object", "properties", none))
			}
		case "properties":
			for j, n := range y.names {
				inner, err := c.negation(s, y.list[j], depth+1)
				if err != nil {
					return nil, err
				}
				one := made(s, n, made(s, "anyOf", inner))
				list = append(list, made(s, "type", "object", "properties", one, "required", texts(n)))
			}
		case "not":
			list = append(list, y)
		case "anyOf":
			one := made(s)
			var all []*value
			for _, z := range y.list {
				inner, err := c.negation(s, z, depth+1)
				if err != nil {
					return nil, err
				}
				all = append(all, made(s, "anyOf", inner))
			}
			one.put("allOf", &value{kind: '[', list: all, made: true})
			list = append(list, one)
		case "allOf":
			for _, z := range y.list {
				inner, err := c.negation(s, z, depth+1)
				if err != nil {
					return nil, err
				}
				list = append(list, inner...)
			}
		case "format":
			if _, known := formats[y.text]; known { // of which the expression holds a part only
				return refuse(name)
			}
		case "pattern":
			list = append(list, made(s, "type", "string", "!pattern", y))
		case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum":
			other := map[string]string{"minimum": "exclusiveMaximum", "maximum": "exclusiveMinimum", "exclusiveMinimum": "maximum",
				"exclusiveMaximum": "minimum"}[name]
			if y.kind != '0' || x.get("exclusiveMinimum") != nil && x.get("exclusiveMinimum").kind != '0' ||
				x.get("exclusiveMaximum") != nil && x.get("exclusiveMaximum").kind != '0' {
				return refuse(name)
			}
			list = append(list, made(s, "type", "number", other, y))
		case "minLength", "minItems", "minProperties", "maxLength", "maxItems", "maxProperties":
			r := rational(y.text)
			if r == nil || !r.IsInt() || !r.Num().IsInt64() || r.Sign() < 0 {
				return refuse(name)
			}
			n, other := r.Num().Int64()+1, "min"+name[3:]
			if strings.HasPrefix(name, "min") {
				n, other = n-2, "max"+name[3:]
			}
			if n < 0 {
				continue
			}
			of := map[string]string{"Length": "string", "Items": "array", "Properties": "object"}[name[3:]]
			list = append(list, made(s, "type", of, other, &value{kind: '0', text: fmt.Sprint(n)}))
		case "$ref":
			to, err := c.resolve(x, y)
			if err != nil {
				return nil, err
			}
			inner, err := c.negation(s, to, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, inner...)
		default:
			if !annotations[name] {
				return refuse(name)
			}
		}
	}
	return list, nil
}

// conditional rewrites if, then and else. It returns nil if they say nothing.
func (c *compiler) conditional(s, x *value) ([]*value, error) {
	then, other := s.get("then"), s.get("else")
	if then == nil && other == nil {
		return nil, nil
	}
	not, err := c.negate(s, x)
	if err != nil {
		if err := c.unsupported(s, "if", "what it excludes cannot be told"); err != nil {
			return nil, err
		}
		return nil, nil
	}
	list := []*value{made(s, "allOf", both(x, then))}
	for _, n := range not {
		list = append(list, made(s, "allOf", both(n, other)))
	}
	return list, nil
}

func both(a, b *value) []*value {
	if b == nil {
		return []*value{a}
	}
	return []*value{a, b}
}

// dependencies rewrites what one property asks of others.
func (c *compiler) dependencies(x *value) [][]*value {
	var choices [][]*value
	for i, name := range x.names {
		y := x.list[i]
		if known, ok := c.rewritten[[2]*value{x, y}]; ok {
			choices = append(choices, known)
			continue
		}
		absent := made(x, "properties", made(x, name, false))
		present := made(x, "required", texts(name))
		more := made(x, "type", "object", "allOf", []*value{present, y})
		if y.kind == '[' || y.kind == '"' {
			all := append(texts(name), y.list...)
			if y.kind == '"' {
				all = append(all, y)
			}
			more = made(x, "type", "object", "required", all)
		}
		list := []*value{absent, more, made(x, "type", texts(others...))}
		c.rewritten[[2]*value{x, y}] = list
		choices = append(choices, list)
	}
	return choices
}

// others are the types that have no members.
var others = []string{"null", "boolean", "number", "string", "array"}

// unevaluated takes what is left over for what is additional, where nothing but the schema itself says what is not.
func (c *compiler) unevaluated(s *value, name string, x *value) error {
	for _, other := range []string{"$ref", "allOf", "anyOf", "oneOf", "if", "not", "dependentSchemas", "$dynamicRef", "contains"} {
		if s.get(other) != nil {
			return c.unsupported(s, name, "together with "+other)
		}
	}
	if name == "unevaluatedItems" {
		return c.unsupported(s, name, "use items")
	}
	if s.get("additionalProperties") == nil {
		s.put("additionalProperties", x)
	}
	return nil
}

// exclusive rewrites oneOf: where two of its schemas can hold together, each says that the others do not.
func (c *compiler) exclusive(s, x *value) ([]*value, error) {
	if x.kind != '[' {
		return []*value{constant(true)}, c.invalid(s, "oneOf", "an array")
	}
	cases := make([][]*facts, len(x.list))
	var pairs []any
	for _, name := range []string{"type", "required"} {
		if v := s.get(name); v != nil {
			pairs = append(pairs, name, v)
		}
	}
	base := made(s, pairs...) // what holds for all of them
	for i, y := range x.list {
		if c.depth++; c.depth > maxSchemaDepth/10 {
			c.depth--
			return nil, c.unsupported(s, "oneOf", "nested too deeply")
		}
		all, err := c.cases([]*value{base, y})
		c.depth--
		if err != nil {
			return nil, err
		}
		cases[i] = all
	}
	list := make([]*value, len(x.list))
	for i, y := range x.list {
		all := []*value{y}
		for j := range x.list {
			if i == j || c.apart(cases[i], cases[j], 0) {
				continue
			}
			not, err := c.negate(s, x.list[j])
			if err != nil {
				why := fmt.Sprintf("its schemas %d and %d can hold together", min(i, j), max(i, j))
				if err := c.unsupported(s, "oneOf", why); err != nil {
					return nil, err
				}
				return x.list, nil
			}
			all = append(all, made(s, "anyOf", not))
		}
		if list[i] = y; len(all) > 1 {
			list[i] = made(s, "allOf", all)
		}
	}
	return list, nil
}

// apart reports whether no value meets a case of each list, as far as that is easily seen.
func (c *compiler) apart(a, b []*facts, depth int) bool {
	if len(a)*len(b) > 1000 {
		return false
	}
	for _, f := range a {
		for _, g := range b {
			if !c.apartFacts(f, g, depth) {
				return false
			}
		}
	}
	return true
}

func (c *compiler) apartFacts(f, g *facts, depth int) bool {
	if f.hasEnum || g.hasEnum {
		if !f.hasEnum {
			f, g = g, f
		}
		for _, v := range f.enum {
			if g.hasEnum && !slices.ContainsFunc(g.enum, v.equal) {
				continue
			}
			one, err1 := c.holds(f, v)
			two, err2 := c.holds(g, v)
			if err1 != nil || err2 != nil || one && two {
				return false
			}
		}
		return true
	}
	common := f.types & g.types
	switch {
	case common&(null|boolean) != 0:
		return false
	case common&(integer|fraction) != 0 && !apartNumbers(f.number, g.number):
		return false
	case common&text != 0 && c.isAlive(c.and(c.stringOf(f), c.stringOf(g))):
		return false
	case common&array != 0 && !(f.maxItems >= 0 && f.maxItems < g.minItems || g.maxItems >= 0 && g.maxItems < f.minItems):
		return false
	case common&object != 0 && !c.apartObjects(f, g, depth) && !c.apartObjects(g, f, depth):
		return false
	}
	return true
}

func apartNumbers(a, b numberRange) bool {
	below := func(a, b numberRange) bool {
		if a.hi == nil || b.lo == nil {
			return false
		}
		n := a.hi.Cmp(b.lo)
		return n < 0 || n == 0 && (a.hiOpen || b.loOpen)
	}
	return below(a, b) || below(b, a)
}

// apartObjects reports whether a property that f asks for cannot be in an object of both.
func (c *compiler) apartObjects(f, g *facts, depth int) bool {
	if depth > 3 {
		return false
	}
	for _, name := range f.required {
		x, err1 := c.schemasOf(f, name)
		y, err2 := c.schemasOf(g, name)
		if err1 != nil || err2 != nil {
			return false
		}
		a, err1 := c.cases(x)
		b, err2 := c.cases(y)
		if err1 == nil && err2 == nil && c.apart(a, b, depth+1) {
			return true
		}
	}
	return false
}
