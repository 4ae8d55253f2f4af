package chat

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// expression is a parsed expression: what computes it, and how deep its operators nest.
type expression struct {
	eval  func(r *run, s *scope) (value, error)
	depth int
}

// grammar parses what stands inside of tags, by Jinja's rules of precedence. gonja's parser hands it the tokens.
type grammar struct {
	p     *parser.Parser
	depth int
	table *tables
}

// wrap makes an expression over others. The depth of the whole is bounded, so that neither a chain of operators nor
// brackets can make the evaluation deep.
func (g *grammar) wrap(eval func(r *run, s *scope) (value, error), over ...expression) (expression, error) {
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

// missing is the error for a token that cannot stand where it does.
func (g *grammar) missing(expected string) error {
	t := g.p.Current()
	if t == nil || t.Type == tokens.EOF {
		return fmt.Errorf("the tag ends, expected %s", expected)
	}
	return fmt.Errorf("%q, expected %s", t.Val, expected)
}

func (g *grammar) expect(kind tokens.Type, text string) error {
	if g.p.Match(kind) == nil {
		return g.missing(text)
	}
	return nil
}

func (g *grammar) end() error {
	if !g.p.End() {
		return g.missing("the end of the tag")
	}
	return nil
}

// nest guards the parser's own recursion.
func (g *grammar) nest(parse func() (expression, error)) (expression, error) {
	if g.depth++; g.depth > maxNesting {
		return expression{}, fmt.Errorf("%w: operators nested deeper than %d", ErrLimit, maxNesting)
	}
	defer func() { g.depth-- }()
	return parse()
}

// tuple parses one expression, or several with commas between them as a tuple.
func (g *grammar) tuple() (expression, error) {
	first, err := g.expression()
	if err != nil || g.p.Current(tokens.Comma) == nil {
		return first, err
	}
	items := []expression{first}
	for g.p.Match(tokens.Comma) != nil {
		if g.p.End() || g.p.Current(tokens.RightParenthesis) != nil {
			break
		}
		item, err := g.expression()
		if err != nil {
			return expression{}, err
		}
		items = append(items, item)
	}
	return g.list(items, true)
}

// expression parses: or ["if" or ["else" expression]].
func (g *grammar) expression() (expression, error) {
	return g.nest(func() (expression, error) {
		e, err := g.or()
		for err == nil && g.p.MatchName("if") != nil {
			var condition expression
			if condition, err = g.or(); err != nil {
				break
			}
			other, _ := g.constant(undefined{"the value of an if without else"})
			if g.p.MatchName("else") != nil {
				if other, err = g.expression(); err != nil {
					break
				}
			}
			yes := e
			e, err = g.wrap(func(r *run, s *scope) (value, error) {
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

func (g *grammar) or() (expression, error) {
	return g.logic(tokens.Or, true, func() (expression, error) { return g.logic(tokens.And, false, g.not) })
}

// logic parses a chain of "and" or "or": the first operand whose truth is stop is the result, else the last.
func (g *grammar) logic(kind tokens.Type, stop bool, operand func() (expression, error)) (expression, error) {
	left, err := operand()
	for err == nil && g.p.Match(kind) != nil {
		a := left
		var b expression
		if b, err = operand(); err != nil {
			break
		}
		left, err = g.wrap(func(r *run, s *scope) (value, error) {
			v, err := a.eval(r, s)
			if err != nil || truth(v) == stop {
				return v, err
			}
			return b.eval(r, s)
		}, a, b)
	}
	return left, err
}

func (g *grammar) not() (expression, error) {
	if g.p.Match(tokens.Not) == nil {
		return g.comparison()
	}
	e, err := g.nest(g.not)
	if err != nil {
		return e, err
	}
	return g.wrap(func(r *run, s *scope) (value, error) {
		v, err := e.eval(r, s)
		return !truth(v), err
	}, e)
}

// comparison parses a chain such as a < b <= c, which means a < b and b <= c.
func (g *grammar) comparison() (expression, error) {
	first, err := g.sum()
	if err != nil {
		return first, err
	}
	var operators []tokens.Type
	operands := []expression{first}
	for {
		var op tokens.Type
		switch t := g.p.Current(tokens.Equals, tokens.Ne, tokens.LowerThan, tokens.LowerThanOrEqual, tokens.GreaterThan,
			tokens.GreaterThanOrEqual, tokens.In); {
		case t != nil:
			op = t.Type
		case g.p.Current(tokens.Not) != nil && g.p.Peek(tokens.In) != nil:
			op = tokens.Not
			g.p.Consume()
		default:
			if len(operators) == 0 {
				return first, nil
			}
			return g.wrap(func(r *run, s *scope) (value, error) {
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
		g.p.Consume()
		e, err := g.sum()
		if err != nil {
			return e, err
		}
		operators = append(operators, op)
		operands = append(operands, e)
	}
}

func (g *grammar) sum() (expression, error) {
	return g.binary(g.concat, tokens.Addition, tokens.Subtraction)
}

func (g *grammar) concat() (expression, error) { return g.binary(g.product, tokens.Tilde) }

func (g *grammar) product() (expression, error) {
	return g.binary(g.power, tokens.Multiply, tokens.Division, tokens.FloorDivision, tokens.Modulo)
}

func (g *grammar) power() (expression, error) {
	return g.binary(func() (expression, error) { return g.unary(true) }, tokens.Power)
}

// binary parses a chain of operators that bind from the left.
func (g *grammar) binary(operand func() (expression, error), kinds ...tokens.Type) (expression, error) {
	left, err := operand()
	for err == nil {
		op := g.p.Match(kinds...)
		if op == nil {
			break
		}
		a := left
		var b expression
		if b, err = operand(); err != nil {
			break
		}
		left, err = g.wrap(func(r *run, s *scope) (value, error) {
			x, err := a.eval(r, s)
			if err != nil {
				return nil, err
			}
			y, err := b.eval(r, s)
			if err != nil {
				return nil, err
			}
			return r.calculate(op.Type, x, y)
		}, a, b)
	}
	return left, err
}

func (g *grammar) unary(filters bool) (expression, error) {
	var e expression
	var err error
	if op := g.p.Match(tokens.Subtraction, tokens.Addition); op != nil {
		var x expression
		if x, err = g.nest(func() (expression, error) { return g.unary(false) }); err != nil {
			return x, err
		}
		e, err = g.wrap(func(r *run, s *scope) (value, error) {
			v, err := x.eval(r, s)
			if err != nil {
				return nil, err
			}
			if f, ok := v.(float64); ok && op.Type == tokens.Subtraction {
				return -f, nil // 0 - f would lose the sign of 0
			}
			return r.calculate(op.Type, int64(0), v)
		}, x)
	} else if e, err = g.primary(); err == nil {
		e, err = g.postfix(e)
	}
	for err == nil && filters {
		switch {
		case g.p.Match(tokens.Pipe) != nil:
			e, err = g.filter(e)
		case g.p.Match(tokens.Is) != nil:
			e, err = g.test(e)
		case g.p.Match(tokens.LeftParenthesis) != nil:
			e, err = g.call(e)
		default:
			return e, nil
		}
	}
	return e, err
}

func (g *grammar) constant(v value) (expression, error) {
	return g.wrap(func(*run, *scope) (value, error) { return v, nil })
}

func (g *grammar) primary() (expression, error) {
	t := g.p.Match(tokens.Name, tokens.String, tokens.Integer, tokens.Float, tokens.LeftParenthesis, tokens.LeftBracket,
		tokens.LeftBrace)
	if t == nil {
		return expression{}, g.missing("a value")
	}
	switch t.Type {
	case tokens.String:
		var text strings.Builder
		for ; t != nil; t = g.p.Match(tokens.String) {
			text.WriteString(t.Val)
		}
		return g.constant(text.String())
	case tokens.Integer:
		n, err := strconv.ParseInt(t.Val, 10, 64)
		if err != nil {
			return expression{}, fmt.Errorf("number %s does not fit 64 bits", t.Val)
		}
		return g.constant(n)
	case tokens.Float:
		f, _ := strconv.ParseFloat(t.Val, 64) // out of range: the infinity that comes with the error
		return g.constant(f)
	case tokens.LeftParenthesis:
		if g.p.Match(tokens.RightParenthesis) != nil {
			return g.list(nil, true)
		}
		e, err := g.tuple()
		if err != nil {
			return e, err
		}
		return e, g.expect(tokens.RightParenthesis, ")")
	case tokens.LeftBracket:
		items, err := g.items(tokens.RightBracket, "]")
		if err != nil {
			return expression{}, err
		}
		return g.list(items, false)
	case tokens.LeftBrace:
		return g.dict()
	}
	switch t.Val {
	case "true", "True":
		return g.constant(true)
	case "false", "False":
		return g.constant(false)
	case "none", "None":
		return g.constant(nil)
	}
	return g.wrap(func(r *run, s *scope) (value, error) {
		for depth := int64(0); s != nil; s, depth = s.outer, depth+1 {
			if v, ok := s.get(t.Val); ok {
				return v, r.count(depth / 4)
			}
		}
		if f, ok := r.tables.globals[t.Val]; ok {
			return f, nil
		}
		return undefined{t.Val}, nil
	})
}

// items parses expressions with commas between them up to the closing bracket.
func (g *grammar) items(closing tokens.Type, text string) ([]expression, error) {
	var items []expression
	for g.p.Match(closing) == nil {
		if len(items) > 0 {
			if err := g.expect(tokens.Comma, "a comma or "+text); err != nil {
				return nil, err
			}
			if g.p.Match(closing) != nil {
				break
			}
		}
		item, err := g.expression()
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func (g *grammar) list(items []expression, tuple bool) (expression, error) {
	return g.wrap(func(r *run, s *scope) (value, error) {
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

func (g *grammar) dict() (expression, error) {
	var keys, values []expression
	for g.p.Match(tokens.RightBrace) == nil {
		if len(keys) > 0 {
			if err := g.expect(tokens.Comma, "a comma or }"); err != nil {
				return expression{}, err
			}
			if g.p.Match(tokens.RightBrace) != nil {
				break
			}
		}
		key, err := g.expression()
		if err != nil {
			return key, err
		}
		if err := g.expect(tokens.Colon, "a colon"); err != nil {
			return expression{}, err
		}
		v, err := g.expression()
		if err != nil {
			return v, err
		}
		keys, values = append(keys, key), append(values, v)
	}
	return g.wrap(func(r *run, s *scope) (value, error) {
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

// postfix parses attributes, items, slices and calls behind a value.
func (g *grammar) postfix(e expression) (expression, error) {
	var err error
	for err == nil {
		switch x := e; {
		case g.p.Match(tokens.Dot) != nil:
			e, err = g.attribute(x)
		case g.p.Match(tokens.LeftBracket) != nil:
			e, err = g.subscript(x)
		case g.p.Match(tokens.LeftParenthesis) != nil:
			e, err = g.call(x)
		default:
			return e, nil
		}
	}
	return e, err
}

// word matches a name, keywords among them, as after a dot.
func (g *grammar) word() *tokens.Token {
	return g.p.Match(tokens.Name, tokens.And, tokens.Or, tokens.Not, tokens.In, tokens.Is)
}

func (g *grammar) attribute(x expression) (expression, error) {
	if t := g.p.Match(tokens.Integer); t != nil {
		n, err := strconv.ParseInt(t.Val, 10, 64)
		if err != nil {
			return expression{}, fmt.Errorf("number %s does not fit 64 bits", t.Val)
		}
		key, _ := g.constant(n)
		return g.item(x, key)
	}
	t := g.word()
	if t == nil {
		return expression{}, g.missing("the name of an attribute")
	}
	return g.wrap(func(r *run, s *scope) (value, error) {
		v, err := x.eval(r, s)
		if err != nil {
			return nil, err
		}
		return r.attribute(v, t.Val)
	}, x)
}

func (g *grammar) item(x, key expression) (expression, error) {
	return g.wrap(func(r *run, s *scope) (value, error) {
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
func (g *grammar) subscript(x expression) (expression, error) {
	var bounds [3]expression
	colons := 0
	for i := 0; ; {
		if g.p.Current(tokens.Colon, tokens.RightBracket) == nil {
			e, err := g.tuple()
			if err != nil {
				return e, err
			}
			bounds[i] = e
		}
		if i == 2 || g.p.Match(tokens.Colon) == nil {
			break
		}
		colons++
		i++
	}
	if err := g.expect(tokens.RightBracket, "]"); err != nil {
		return expression{}, err
	}
	if colons == 0 {
		if bounds[0].eval == nil {
			return expression{}, fmt.Errorf("an index without a value")
		}
		return g.item(x, bounds[0])
	}
	for i := range bounds {
		if bounds[i].eval == nil {
			bounds[i], _ = g.constant(nil)
		}
	}
	return g.wrap(func(r *run, s *scope) (value, error) {
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
}

func (a callArguments) all() []expression {
	return append(append([]expression{}, a.positional...), a.named...)
}

func (a callArguments) eval(r *run, s *scope) (arguments, error) {
	positional, err := evalAll(a.positional, r, s)
	if err != nil {
		return arguments{}, err
	}
	named, err := evalAll(a.named, r, s)
	return arguments{positional, a.names, named}, err
}

// arguments parses what stands behind an opening parenthesis, up to the closing one.
func (g *grammar) arguments() (callArguments, error) {
	var a callArguments
	for first := true; g.p.Match(tokens.RightParenthesis) == nil; first = false {
		if !first {
			if err := g.expect(tokens.Comma, "a comma or )"); err != nil {
				return a, err
			}
			if g.p.Match(tokens.RightParenthesis) != nil {
				break
			}
		}
		if g.p.Current(tokens.Multiply, tokens.Power) != nil {
			return a, fmt.Errorf("%q: arguments cannot be unpacked here", g.p.Current().Val)
		}
		if len(a.named) > maxParameters {
			return a, fmt.Errorf("%w: more than %d named arguments", ErrLimit, maxParameters)
		}
		if name := g.p.Current(tokens.Name); name != nil && g.p.Peek(tokens.Assign) != nil {
			g.p.Consume()
			g.p.Consume()
			e, err := g.expression()
			if err != nil {
				return a, err
			}
			a.names, a.named = append(a.names, name.Val), append(a.named, e)
			continue
		}
		if len(a.named) > 0 {
			return a, g.missing("a named argument after a named one")
		}
		e, err := g.expression()
		if err != nil {
			return a, err
		}
		a.positional = append(a.positional, e)
	}
	return a, nil
}

func (g *grammar) call(f expression) (expression, error) {
	args, err := g.arguments()
	if err != nil {
		return expression{}, err
	}
	return g.wrap(func(r *run, s *scope) (value, error) {
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

// filter parses the name and the arguments of a filter behind "|".
func (g *grammar) filter(x expression) (expression, error) {
	t := g.word()
	if t == nil {
		return expression{}, g.missing("the name of a filter")
	}
	f, ok := g.table.filters[t.Val]
	if !ok {
		return expression{}, fmt.Errorf("unknown filter %q", t.Val)
	}
	var args callArguments
	if g.p.Match(tokens.LeftParenthesis) != nil {
		var err error
		if args, err = g.arguments(); err != nil {
			return expression{}, err
		}
	}
	return g.wrap(func(r *run, s *scope) (value, error) {
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

// test parses the name and the arguments of a test behind "is".
func (g *grammar) test(x expression) (expression, error) {
	negated := g.p.Match(tokens.Not) != nil
	t := g.p.Match(tokens.Name, tokens.In)
	if t == nil {
		return expression{}, g.missing("the name of a test")
	}
	f, ok := g.table.tests[t.Val]
	if !ok {
		return expression{}, fmt.Errorf("unknown test %q", t.Val)
	}
	var args callArguments
	var err error
	switch {
	case g.p.Match(tokens.LeftParenthesis) != nil:
		args, err = g.arguments()
	case g.p.CurrentName("if", "else", "recursive") != nil:
	case g.p.Current(tokens.Name, tokens.String, tokens.Integer, tokens.Float, tokens.LeftBracket, tokens.LeftBrace) != nil:
		// An argument without parentheses, as in: is divisibleby 3.
		var e expression
		if e, err = g.primary(); err == nil {
			e, err = g.postfix(e)
		}
		args.positional = []expression{e}
	}
	if err != nil {
		return expression{}, err
	}
	return g.wrap(func(r *run, s *scope) (value, error) {
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
