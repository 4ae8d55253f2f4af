package jinja

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// expression is a parsed expression: what computes it, and how deep its operators nest.
type expression struct {
	eval  func(r *run, s *scope) (value, error)
	depth int
}

// wrap makes an expression over others. The depth of the whole is bounded, so that neither a chain of operators nor
// brackets can make the evaluation deep.
func (p *parser) wrap(eval func(r *run, s *scope) (value, error), over ...expression) (expression, error) {
	depth := 0
	for _, e := range over {
		depth = max(depth, e.depth)
	}
	if depth++; depth > 2*maxNesting {
		return expression{}, fmt.Errorf("%w: operators nested deeper than %d", ErrLimit, 2*maxNesting)
	}
	return expression{depth: depth, eval: func(r *run, s *scope) (value, error) {
		if err := r.step(); err != nil {
			return nil, err
		}
		return eval(r, s)
	}}, nil
}

// nest guards the parser's own recursion.
func (p *parser) nest(parse func() (expression, error)) (expression, error) {
	if p.depth++; p.depth > maxNesting {
		return expression{}, fmt.Errorf("%w: operators nested deeper than %d", ErrLimit, maxNesting)
	}
	defer func() { p.depth-- }()
	return parse()
}

// tuple parses one expression, or several with commas between them as a tuple.
func (p *parser) tuple() (expression, error) {
	first, err := p.expression()
	if err != nil || !p.at(",") {
		return first, err
	}
	items := []expression{first}
	for p.accept(",") {
		if p.atClose() || p.at(")", "]", "=") {
			break
		}
		item, err := p.expression()
		if err != nil {
			return expression{}, err
		}
		items = append(items, item)
	}
	return p.list(items, true)
}

// expression parses: or ["if" or ["else" expression]].
func (p *parser) expression() (expression, error) {
	return p.nest(func() (expression, error) {
		e, err := p.or()
		for err == nil && p.accept("if") {
			var condition expression
			if condition, err = p.or(); err != nil {
				break
			}
			other, _ := p.constant(undefined{"the value of an if without else"})
			if p.accept("else") {
				if other, err = p.expression(); err != nil {
					break
				}
			}
			yes := e
			e, err = p.wrap(func(r *run, s *scope) (value, error) {
				c, err := condition.eval(r, s)
				if err != nil {
					return nil, err
				}
				return pick(truth(c), yes, other).eval(r, s)
			}, yes, condition, other)
		}
		return e, err
	})
}

func (p *parser) or() (expression, error) {
	return p.logic("or", true, func() (expression, error) { return p.logic("and", false, p.not) })
}

// logic parses a chain of "and" or "or": the first operand whose truth is stop is the result, else the last.
func (p *parser) logic(op string, stop bool, operand func() (expression, error)) (expression, error) {
	left, err := operand()
	for err == nil && p.accept(op) {
		a := left
		var b expression
		if b, err = operand(); err != nil {
			break
		}
		left, err = p.wrap(func(r *run, s *scope) (value, error) {
			v, err := a.eval(r, s)
			if err != nil || truth(v) == stop {
				return v, err
			}
			return b.eval(r, s)
		}, a, b)
	}
	return left, err
}

func (p *parser) not() (expression, error) {
	if !p.accept("not") {
		return p.comparison()
	}
	e, err := p.nest(p.not)
	if err != nil {
		return e, err
	}
	return p.wrap(func(r *run, s *scope) (value, error) {
		v, err := e.eval(r, s)
		return !truth(v), err
	}, e)
}

// comparison parses a chain such as a < b <= c, which means a < b and b <= c.
func (p *parser) comparison() (expression, error) {
	first, err := p.sum()
	if err != nil {
		return first, err
	}
	var operators []string
	operands := []expression{first}
	for {
		op := p.current().text
		switch {
		case p.at("==", "!=", "<", "<=", ">", ">=", "in"):
		case p.at("not") && p.ahead().text == "in":
			op = "not in"
			p.next()
		default:
			if len(operators) == 0 {
				return first, nil
			}
			return p.wrap(func(r *run, s *scope) (value, error) {
				left, err := first.eval(r, s)
				if err != nil {
					return nil, err
				}
				for i, op := range operators {
					right, err := operands[i+1].eval(r, s)
					if err != nil {
						return nil, err
					}
					if ok, err := r.relate(op, left, right); err != nil || !ok {
						return false, err
					}
					left = right
				}
				return true, nil
			}, operands...)
		}
		p.next()
		e, err := p.sum()
		if err != nil {
			return e, err
		}
		operators = append(operators, op)
		operands = append(operands, e)
	}
}

func (p *parser) sum() (expression, error) {
	return p.binary(p.concat, "+", "-")
}

func (p *parser) concat() (expression, error) { return p.binary(p.product, "~") }

func (p *parser) product() (expression, error) {
	return p.binary(p.power, "*", "/", "//", "%")
}

func (p *parser) power() (expression, error) {
	return p.binary(func() (expression, error) { return p.unary(true) }, "**")
}

// binary parses a chain of operators that bind from the left.
func (p *parser) binary(operand func() (expression, error), operators ...string) (expression, error) {
	left, err := operand()
	for err == nil {
		op := p.current().text
		if !p.accept(operators...) {
			break
		}
		a := left
		var b expression
		if b, err = operand(); err != nil {
			break
		}
		left, err = p.wrap(func(r *run, s *scope) (value, error) {
			x, err := a.eval(r, s)
			if err != nil {
				return nil, err
			}
			y, err := b.eval(r, s)
			if err != nil {
				return nil, err
			}
			return r.calculate(op, x, y)
		}, a, b)
	}
	return left, err
}

func (p *parser) unary(filters bool) (expression, error) {
	var e expression
	var err error
	if op := p.current().text; p.accept("-", "+") {
		var x expression
		if x, err = p.nest(func() (expression, error) { return p.unary(false) }); err != nil {
			return x, err
		}
		e, err = p.wrap(func(r *run, s *scope) (value, error) {
			v, err := x.eval(r, s)
			if err != nil {
				return nil, err
			}
			if f, ok := v.(float64); ok && op == "-" {
				return -f, nil // 0 - f would lose the sign of 0
			}
			return r.calculate(op, int64(0), v)
		}, x)
	} else if e, err = p.primary(); err == nil {
		e, err = p.postfix(e)
	}
	for err == nil && filters {
		switch {
		case p.accept("|"):
			e, err = p.filter(e)
		case p.accept("is"):
			e, err = p.test(e)
		case p.accept("("):
			e, err = p.call(e)
		default:
			return e, nil
		}
	}
	return e, err
}

func (p *parser) constant(v value) (expression, error) {
	return p.wrap(func(*run, *scope) (value, error) { return v, nil })
}

func (p *parser) primary() (expression, error) {
	t := p.current()
	if t.kind == kindOperator && !p.at("(", "[", "{") || t.kind == kindClose {
		return expression{}, p.missing("a value")
	}
	p.next()
	switch t.kind {
	case kindString:
		text := t.text
		if p.current().kind == kindString {
			var b strings.Builder
			for b.WriteString(text); p.current().kind == kindString; p.next() {
				b.WriteString(p.current().text)
			}
			text = b.String()
		}
		return p.constant(text)
	case kindInteger:
		n, err := parseInt(t.text)
		if err != nil {
			return expression{}, err
		}
		return p.constant(n)
	case kindFloat:
		f, _ := strconv.ParseFloat(t.text, 64) // out of range: the infinity that comes with the error
		return p.constant(f)
	}
	switch t.text {
	case "(":
		if p.accept(")") {
			return p.list(nil, true)
		}
		e, err := p.tuple()
		if err != nil {
			return e, err
		}
		return e, p.expect(")")
	case "[":
		items, err := p.items("]")
		if err != nil {
			return expression{}, err
		}
		return p.list(items, false)
	case "{":
		return p.dict()
	case "true", "True":
		return p.constant(true)
	case "false", "False":
		return p.constant(false)
	case "none", "None":
		return p.constant(nil)
	}
	p.extras.note(t.text)
	return p.wrap(func(r *run, s *scope) (value, error) {
		for depth := int64(0); s != nil; s, depth = s.outer, depth+1 {
			if v, ok := s.get(t.text); ok {
				return v, r.count(depth / 4)
			}
		}
		if f, ok := r.tables.globals[t.text]; ok {
			return f, nil
		}
		return undefined{t.text}, nil
	})
}

// items parses expressions with commas between them up to the closing bracket.
func (p *parser) items(closing string) ([]expression, error) {
	var items []expression
	for !p.accept(closing) {
		if len(items) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
			if p.accept(closing) {
				break
			}
		}
		item, err := p.expression()
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func (p *parser) list(items []expression, tuple bool) (expression, error) {
	return p.wrap(func(r *run, s *scope) (value, error) {
		if err := r.makeList(int64(len(items))); err != nil {
			return nil, err
		}
		values, err := evalAll(items, r, s)
		return &list{items: values, tuple: tuple}, err
	}, items...)
}

func evalAll(items []expression, r *run, s *scope) ([]value, error) {
	values := make([]value, len(items))
	for i, item := range items {
		v, err := item.eval(r, s)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

func (p *parser) dict() (expression, error) {
	var keys, values []expression
	for !p.accept("}") {
		if len(keys) > 0 {
			if err := p.expect(","); err != nil {
				return expression{}, err
			}
			if p.accept("}") {
				break
			}
		}
		key, err := p.expression()
		if err != nil {
			return key, err
		}
		if err := p.expect(":"); err != nil {
			return expression{}, err
		}
		v, err := p.expression()
		if err != nil {
			return v, err
		}
		keys, values = append(keys, key), append(values, v)
	}
	return p.wrap(func(r *run, s *scope) (value, error) {
		d := newDict()
		for i := range keys {
			key, err := keys[i].eval(r, s)
			if err != nil {
				return nil, err
			}
			v, err := values[i].eval(r, s)
			if err != nil {
				return nil, err
			}
			if err := r.put(d, key, v); err != nil {
				return nil, err
			}
		}
		return d, nil
	}, append(keys, values...)...)
}

// postfix parses attributes, items, slices and calls after a value.
func (p *parser) postfix(e expression) (expression, error) {
	var err error
	for err == nil {
		switch x := e; {
		case p.accept("."):
			e, err = p.attribute(x)
		case p.accept("["):
			e, err = p.subscript(x)
		case p.accept("("):
			e, err = p.call(x)
		default:
			return e, nil
		}
	}
	return e, err
}

func (p *parser) attribute(x expression) (expression, error) {
	if t := p.current(); t.kind == kindInteger {
		p.next()
		n, err := parseInt(t.text)
		if err != nil {
			return expression{}, err
		}
		key, _ := p.constant(n)
		return p.item(x, key)
	}
	name, err := p.word("the name of an attribute")
	if err != nil {
		return expression{}, err
	}
	return p.wrap(func(r *run, s *scope) (value, error) {
		v, err := x.eval(r, s)
		if err != nil {
			return nil, err
		}
		return r.attribute(v, name)
	}, x)
}

func (p *parser) item(x, key expression) (expression, error) {
	return p.wrap(func(r *run, s *scope) (value, error) {
		v, err := x.eval(r, s)
		if err != nil {
			return nil, err
		}
		k, err := key.eval(r, s)
		if err != nil {
			return nil, err
		}
		return r.item(v, k)
	}, x, key)
}

// subscript parses [key] or [from:to:step].
func (p *parser) subscript(x expression) (expression, error) {
	var bounds [3]expression
	colons := 0
	for i := 0; ; {
		if !p.at(":", "]") {
			e, err := p.tuple()
			if err != nil {
				return e, err
			}
			bounds[i] = e
		}
		if i == 2 || !p.accept(":") {
			break
		}
		colons++
		i++
	}
	if err := p.expect("]"); err != nil {
		return expression{}, err
	}
	if colons == 0 {
		if bounds[0].eval == nil {
			return expression{}, fmt.Errorf("an index without a value")
		}
		return p.item(x, bounds[0])
	}
	for i := range bounds {
		if bounds[i].eval == nil {
			bounds[i], _ = p.constant(nil)
		}
	}
	return p.wrap(func(r *run, s *scope) (value, error) {
		v, err := x.eval(r, s)
		if err != nil {
			return nil, err
		}
		at, err := evalAll(bounds[:], r, s)
		if err != nil {
			return nil, err
		}
		return r.slice(v, at[0], at[1], at[2])
	}, append(bounds[:], x)...)
}

// callArguments are the parsed arguments of a call, filter or test.
type callArguments struct {
	positional []expression
	names      []string
	named      []expression
	list, dict expression // unpacked with * and **; eval is nil without
}

func (a callArguments) all() []expression {
	return append(append([]expression{a.list, a.dict}, a.positional...), a.named...)
}

func (a callArguments) eval(r *run, s *scope) (arguments, error) {
	positional, err := evalAll(a.positional, r, s)
	if err != nil {
		return arguments{}, err
	}
	named, err := evalAll(a.named, r, s)
	if err != nil {
		return arguments{}, err
	}
	return a.unpack(r, s, arguments{positional, a.names, named})
}

// unpack adds the arguments that are unpacked from a list and a dict.
func (a callArguments) unpack(r *run, s *scope, to arguments) (arguments, error) {
	if a.list.eval != nil {
		v, err := a.list.eval(r, s)
		if err != nil {
			return to, err
		}
		items, err := r.iterate(v)
		if err == nil {
			err = r.makeList(int64(len(items)))
		}
		if err != nil {
			return to, err
		}
		to.positional = append(to.positional, items...)
	}
	if a.dict.eval == nil {
		return to, nil
	}
	v, err := a.dict.eval(r, s)
	if err != nil {
		return to, err
	}
	d, ok := v.(*dict)
	if !ok {
		return to, fmt.Errorf("**: %s, expected an object", describe(v))
	}
	if n := len(a.names) + len(d.keys); n > maxParameters {
		return to, r.limit("%d named arguments, more than %d", n, maxParameters)
	}
	to.names = slices.Clip(to.names)
	for i, k := range d.keys {
		name, ok := k.(string)
		if !ok {
			return to, fmt.Errorf("**: %s as a key, expected a string", describe(k))
		}
		to.names, to.named = append(to.names, r.marks.plain(name)), append(to.named, d.values[i])
	}
	return to, nil
}

// arguments parses what follows an opening parenthesis, up to the closing one.
func (p *parser) arguments() (callArguments, error) {
	var a callArguments
	for first := true; !p.accept(")"); first = false {
		if !first {
			if err := p.expect(","); err != nil {
				return a, err
			}
			if p.accept(")") {
				break
			}
		}
		if unpacked := pick(p.at("*"), &a.list, &a.dict); p.at("*", "**") {
			if p.next(); unpacked.eval != nil || a.dict.eval != nil {
				return a, fmt.Errorf("arguments unpacked twice, or a list after a dict")
			}
			var err error
			if *unpacked, err = p.expression(); err != nil {
				return a, err
			}
			continue
		}
		if a.dict.eval != nil {
			return a, p.missing("no argument after an unpacked dict")
		}
		if len(a.named) > maxParameters {
			return a, fmt.Errorf("%w: more than %d named arguments", ErrLimit, maxParameters)
		}
		if name := p.current(); name.kind == kindName && p.ahead().text == "=" && p.ahead().kind == kindOperator {
			p.next()
			p.next()
			e, err := p.expression()
			if err != nil {
				return a, err
			}
			a.names, a.named = append(a.names, name.text), append(a.named, e)
			continue
		}
		if len(a.named) > 0 || a.list.eval != nil {
			return a, p.missing("a named argument after a named one")
		}
		e, err := p.expression()
		if err != nil {
			return a, err
		}
		a.positional = append(a.positional, e)
	}
	return a, nil
}

func (p *parser) call(f expression) (expression, error) {
	args, err := p.arguments()
	if err != nil {
		return expression{}, err
	}
	return p.wrap(func(r *run, s *scope) (value, error) {
		v, err := f.eval(r, s)
		if err != nil {
			return nil, err
		}
		a, err := args.eval(r, s)
		if err != nil {
			return nil, err
		}
		return r.call(v, a)
	}, append(args.all(), f)...)
}

// filter parses the name and the arguments of a filter after "|".
func (p *parser) filter(x expression) (expression, error) {
	name, err := p.word("the name of a filter")
	if err != nil {
		return expression{}, err
	}
	f, ok := p.tables.filters[name]
	if !ok {
		return expression{}, fmt.Errorf("unknown filter %q", name)
	}
	var args callArguments
	if p.accept("(") {
		if args, err = p.arguments(); err != nil {
			return expression{}, err
		}
	}
	return p.wrap(func(r *run, s *scope) (value, error) {
		v, err := x.eval(r, s)
		if err != nil {
			return nil, err
		}
		a, err := args.eval(r, s)
		if err != nil {
			return nil, err
		}
		return f(r, v, a)
	}, append(args.all(), x)...)
}

// test parses the name and the arguments of a test after "is".
func (p *parser) test(x expression) (expression, error) {
	negated := p.accept("not")
	name, err := p.word("the name of a test")
	if err != nil {
		return expression{}, err
	}
	f, ok := p.tables.tests[name]
	if !ok {
		return expression{}, fmt.Errorf("unknown test %q", name)
	}
	var args callArguments
	switch next := p.current().kind; {
	case p.accept("("):
		args, err = p.arguments()
	case p.at("if", "else", "recursive"):
	case next == kindName || next == kindString || next == kindInteger || next == kindFloat || p.at("[", "{"):
		// An argument without parentheses, as in: is divisibleby 3.
		var e expression
		if e, err = p.primary(); err == nil {
			e, err = p.postfix(e)
		}
		args.positional = []expression{e}
	}
	if err != nil {
		return expression{}, err
	}
	return p.wrap(func(r *run, s *scope) (value, error) {
		v, err := x.eval(r, s)
		if err != nil {
			return nil, err
		}
		a, err := args.eval(r, s)
		if err != nil {
			return nil, err
		}
		yes, err := f(r, v, a)
		return yes != negated, err
	}, append(args.all(), x)...)
}

func parseInt(digits string) (int64, error) {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("number %.40s does not fit 64 bits", digits)
	}
	return n, nil
}
