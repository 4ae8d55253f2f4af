package chat

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// statement is a piece of a template: text, an output or a block.
type statement interface {
	exec(r *run, s *scope) (flow, error)
}

// flow says how a statement ended.
type flow uint8

const (
	proceed flow = iota
	breakLoop
	continueLoop
)

// block is a sequence of statements.
type block []statement

func (b block) exec(r *run, s *scope) (flow, error) {
	for _, st := range b {
		if err := r.step(); err != nil {
			return proceed, err
		}
		if f, err := st.exec(r, s); f != proceed || err != nil {
			return f, err
		}
	}
	return proceed, nil
}

// textBlock is text between tags.
type textBlock string

func (t textBlock) exec(r *run, _ *scope) (flow, error) { return proceed, r.out.write(string(t)) }

// tagNode is any other statement, at its line. It is a node of gonja's tree too.
type tagNode struct {
	at  *tokens.Token
	run func(r *run, s *scope) (flow, error)
}

func (t *tagNode) Position() *tokens.Token { return t.at }
func (t *tagNode) String() string          { return t.at.Val }

func (t *tagNode) exec(r *run, s *scope) (flow, error) {
	f, err := t.run(r, s)
	return f, atLine(t.at.Line, err)
}

// program is a parsed template.
type program struct {
	body   block
	tables *tables
	used   map[rune]bool // see lexer.used
}

// parse reads a template: the lexer cuts it into tokens, gonja's parser finds the blocks, and grammar reads the tags.
func parse(source string) (*program, error) {
	l, err := lex(source)
	if err != nil {
		return nil, fmt.Errorf("chat: template: %w", err)
	}
	d := &document{table: newTables()}
	p := parser.NewParser("template", tokens.NewStream(l.tokens), config.New(), nil, d)
	d.parser = p
	var body block
	err = guard(func() error {
		root, err := p.Parse()
		if err == nil {
			body, err = statements(root.Nodes)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("chat: template: %w", clean(err))
	}
	return &program{body: body, tables: d.table, used: l.used}, nil
}

// clean takes off what gonja wraps around an error that names its line already.
func clean(err error) error {
	var known *lineError
	if errors.As(err, &known) {
		return known
	}
	var syntax *parser.SyntaxError
	if errors.As(err, &syntax) {
		return &lineError{syntax.Line, errors.New(syntax.Message)}
	}
	return err
}

// statements makes a block of gonja's nodes.
func statements(list []nodes.Node) (block, error) {
	var b block
	for _, n := range list {
		switch n := n.(type) {
		case nil:
		case *nodes.Data:
			b = append(b, textBlock(n.Data.Val))
		case *nodes.ControlStructureBlock:
			b = append(b, n.ControlStructure.(*tagNode))
		default:
			return nil, fmt.Errorf("unexpected %T", n)
		}
	}
	return b, nil
}

// document reads the blocks of a template. It is what gonja's parser asks for the meaning of a tag's name.
type document struct {
	parser *parser.Parser
	table  *tables
	depth  int
	loops  int
}

// Get returns the parser of the tag of that name. There is one for every name: an unknown one's reports the error.
func (d *document) Get(name string) (parser.ControlStructureParser, bool) {
	parsers := map[string]func(t *tag) error{
		outputTag: (*tag).output, "if": (*tag).ifTag, "for": (*tag).forTag, "set": (*tag).set, "macro": (*tag).macro,
		"call": (*tag).call, "filter": (*tag).filter, "with": (*tag).with, "generation": (*tag).generation,
		"break": (*tag).breakTag, "continue": (*tag).continueTag,
	}
	return func(_, args *parser.Parser) (nodes.ControlStructure, error) {
		at := args.Current()
		line := d.parser.Current().Line
		if at.Type != tokens.EOF {
			line = at.Line
		}
		t := &tag{d: d, g: &grammar{p: args, table: d.table}, node: &tagNode{at: &tokens.Token{Val: name, Line: line}}}
		parse, ok := parsers[name]
		if !ok {
			return nil, atLine(line, unknownTag(name))
		}
		if d.depth++; d.depth > maxNesting {
			return nil, atLine(line, fmt.Errorf("%w: blocks nested deeper than %d", ErrLimit, maxNesting))
		}
		defer func() { d.depth-- }()
		if err := parse(t); err != nil {
			return nil, atLine(line, err)
		}
		return t.node, nil
	}, true
}

func unknownTag(name string) error {
	switch name {
	case "include", "import", "from", "extends", "block":
		return fmt.Errorf("%q: a template cannot use other templates or files", name)
	}
	return fmt.Errorf("unknown tag %q, or out of place", name)
}

// tag is one tag while it is parsed: its arguments, and the node to fill.
type tag struct {
	d    *document
	g    *grammar
	node *tagNode
}

// body parses up to one of the end tags and returns which, with its arguments.
func (t *tag) body(ends ...string) (block, string, *grammar, error) {
	w, args, err := t.d.parser.WrapUntil(ends...)
	if err != nil {
		if err = clean(err); t.d.parser.End() {
			var known *lineError
			if errors.As(err, &known) && strings.HasPrefix(known.err.Error(), "Unexpected EOF") {
				err = fmt.Errorf("%q does not end, expected %s", t.node.at.Val, ends[len(ends)-1])
			}
		}
		return nil, "", nil, err
	}
	b, err := statements(w.Nodes)
	return b, w.EndTag, &grammar{p: args, table: t.d.table}, err
}

// whole is body for a tag with one end that takes no arguments.
func (t *tag) whole(end string) (block, error) {
	b, _, g, err := t.body(end)
	if err != nil {
		return nil, err
	}
	return b, g.end()
}

// apart is whole for a body whose text is kept apart: no break leads out of it.
func (t *tag) apart(end string) (block, error) {
	loops := t.d.loops
	t.d.loops = 0
	b, err := t.whole(end)
	t.d.loops = loops
	return b, err
}

func (t *tag) output() error {
	e, err := t.g.tuple()
	if err != nil {
		return err
	}
	t.node.run = func(r *run, s *scope) (flow, error) {
		v, err := e.eval(r, s)
		if err != nil {
			return proceed, err
		}
		if text, ok := v.(string); ok {
			return proceed, r.out.write(text)
		}
		return proceed, r.out.repr(v, true, 0)
	}
	return t.g.end()
}

func (t *tag) ifTag() error {
	type branch struct {
		condition expression
		body      block
	}
	var branches []branch
	var other block
	for g, end := t.g, "elif"; end != "endif"; {
		var b branch
		var err error
		isElse := end == "else"
		if !isElse {
			if b.condition, err = g.tuple(); err != nil {
				return err
			}
		}
		if err := g.end(); err != nil {
			return err
		}
		if isElse {
			b.body, end, g, err = t.body("endif")
			other = b.body
		} else {
			b.body, end, g, err = t.body("elif", "else", "endif")
			branches = append(branches, b)
			branches[len(branches)-1].body = b.body
		}
		if err != nil {
			return err
		}
		if end == "endif" {
			if err := g.end(); err != nil {
				return err
			}
		}
	}
	t.node.run = func(r *run, s *scope) (flow, error) {
		for _, b := range branches {
			v, err := b.condition.eval(r, s)
			if err != nil {
				return proceed, err
			}
			if truth(v) {
				return b.body.exec(r, s)
			}
		}
		return other.exec(r, s)
	}
	return nil
}

// target is what an assignment assigns to: a name, a namespace's attribute, or several targets.
type target struct {
	name      string
	attribute string
	parts     []target
}

// targets parses "a", "a.b" (if attributes may be set), "a, b" or "(a, b)".
func (t *tag) targets(attributes bool) (target, error) {
	one, err := t.target(attributes)
	if err != nil || t.g.p.Current(tokens.Comma) == nil {
		return one, err
	}
	parts := []target{one}
	for t.g.p.Match(tokens.Comma) != nil {
		if t.g.p.Current(tokens.In, tokens.Assign, tokens.RightParenthesis) != nil {
			break
		}
		next, err := t.target(attributes)
		if err != nil {
			return target{}, err
		}
		parts = append(parts, next)
	}
	return target{parts: parts}, nil
}

func (t *tag) target(attributes bool) (target, error) {
	if t.g.p.Match(tokens.LeftParenthesis) != nil {
		var inside target
		_, err := t.g.nest(func() (e expression, err error) {
			inside, err = t.targets(attributes)
			return e, err
		})
		if err != nil {
			return target{}, err
		}
		return inside, t.g.expect(tokens.RightParenthesis, ")")
	}
	name := t.g.p.Match(tokens.Name)
	if name == nil {
		return target{}, t.g.missing("a name")
	}
	switch name.Val {
	case "true", "True", "false", "False", "none", "None":
		return target{}, fmt.Errorf("%q cannot be assigned to", name.Val)
	}
	out := target{name: name.Val}
	if attributes && t.g.p.Match(tokens.Dot) != nil {
		attribute := t.g.word()
		if attribute == nil {
			return target{}, t.g.missing("the name of an attribute")
		}
		out.attribute = attribute.Val
	}
	return out, nil
}

func (t target) assign(r *run, s *scope, v value) error {
	switch {
	case t.parts != nil:
		items, err := r.iterate(v)
		if err != nil {
			return err
		}
		if len(items) != len(t.parts) {
			return fmt.Errorf("%d values for %d names", len(items), len(t.parts))
		}
		for i, part := range t.parts {
			if err := part.assign(r, s, items[i]); err != nil {
				return err
			}
		}
		return nil
	case t.attribute == "":
		s.set(t.name, v)
		return nil
	}
	var holder value
	for found := false; s != nil && !found; s = s.outer {
		holder, found = s.get(t.name)
	}
	ns, ok := holder.(*namespace)
	if !ok {
		return fmt.Errorf("%s.%s cannot be set, expected %s to be a namespace", t.name, t.attribute, t.name)
	}
	ns.vars[t.attribute] = v
	return nil
}

func (t *tag) set() error {
	to, err := t.targets(true)
	if err != nil {
		return err
	}
	if t.g.p.Match(tokens.Assign) != nil {
		e, err := t.g.tuple()
		if err != nil {
			return err
		}
		t.node.run = func(r *run, s *scope) (flow, error) {
			v, err := e.eval(r, s)
			if err != nil {
				return proceed, err
			}
			return proceed, to.assign(r, s, v)
		}
		return t.g.end()
	}
	filters, err := t.filters(t.g.p.Match(tokens.Pipe) != nil)
	if err != nil {
		return err
	}
	body, err := t.apart("endset")
	t.node.run = func(r *run, s *scope) (flow, error) {
		v, err := captureBlock(r, s, body, filters)
		if err != nil {
			return proceed, err
		}
		return proceed, to.assign(r, s, v)
	}
	return err
}

// captured is the name of the variable that holds the text which filters of a block act on.
const captured = "{%"

// filters parses "a | b | c" up to the end of the tag; without any the text stays as it is.
func (t *tag) filters(any bool) (expression, error) {
	e, err := t.g.wrap(func(_ *run, s *scope) (value, error) {
		v, _ := s.get(captured)
		return v, nil
	})
	for more := any; more && err == nil; more = t.g.p.Match(tokens.Pipe) != nil {
		e, err = t.g.filter(e)
	}
	if err != nil {
		return e, err
	}
	return e, t.g.end()
}

func captureBlock(r *run, s *scope, body block, filters expression) (value, error) {
	inner := s.inner()
	text, err := r.capture(func() error {
		_, err := body.exec(r, inner)
		return err
	})
	if err != nil {
		return nil, err
	}
	inner.set(captured, text)
	return filters.eval(r, inner)
}

func (t *tag) filter() error {
	filters, err := t.filters(true)
	if err != nil {
		return err
	}
	body, err := t.apart("endfilter")
	t.node.run = func(r *run, s *scope) (flow, error) {
		v, err := captureBlock(r, s, body, filters)
		if err != nil {
			return proceed, err
		}
		return proceed, r.out.repr(v, true, 0)
	}
	return err
}

func (t *tag) with() error {
	type binding struct {
		to target
		e  expression
	}
	var bindings []binding
	for !t.g.p.End() {
		if len(bindings) > 0 {
			if err := t.g.expect(tokens.Comma, "a comma"); err != nil {
				return err
			}
		}
		to, err := t.target(false)
		if err != nil {
			return err
		}
		if err := t.g.expect(tokens.Assign, "="); err != nil {
			return err
		}
		e, err := t.g.expression()
		if err != nil {
			return err
		}
		bindings = append(bindings, binding{to, e})
	}
	body, err := t.whole("endwith")
	t.node.run = func(r *run, s *scope) (flow, error) {
		inner := s.inner()
		for _, b := range bindings {
			v, err := b.e.eval(r, s)
			if err != nil {
				return proceed, err
			}
			if err := b.to.assign(r, inner, v); err != nil {
				return proceed, err
			}
		}
		return body.exec(r, inner)
	}
	return err
}

// generation marks, for training, what the model itself wrote; here it is just its body.
func (t *tag) generation() error {
	if err := t.g.end(); err != nil {
		return err
	}
	body, err := t.whole("endgeneration")
	t.node.run = func(r *run, s *scope) (flow, error) { return body.exec(r, s) }
	return err
}

func (t *tag) breakTag() error    { return t.jump(breakLoop) }
func (t *tag) continueTag() error { return t.jump(continueLoop) }

func (t *tag) jump(f flow) error {
	if t.d.loops == 0 {
		return fmt.Errorf("%q outside of a loop", t.node.at.Val)
	}
	t.node.run = func(*run, *scope) (flow, error) { return f, nil }
	return t.g.end()
}
