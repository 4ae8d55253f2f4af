package jinja

import (
	"fmt"
)

// statement is a part of a template: text, or a tag with what belongs to it.
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

// statements are the body of a tag, or a whole template.
type statements []statement

func (b statements) exec(r *run, s *scope) (flow, error) {
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

// text is text between tags.
type text string

func (t text) exec(r *run, _ *scope) (flow, error) { return proceed, r.out.write(string(t)) }

// action is what a tag does when it is run.
type action func(r *run, s *scope) (flow, error)

// tag is any other statement, at its line.
type tag struct {
	line int
	run  action
}

func (t tag) exec(r *run, s *scope) (flow, error) {
	f, err := t.run(r, s)
	if err != nil {
		err = atLine(t.line, err)
	}
	return f, err
}

func (p *parser) output() (action, error) {
	e, err := p.tuple()
	if err != nil {
		return nil, err
	}
	return func(r *run, s *scope) (flow, error) {
		v, err := e.eval(r, s)
		if err != nil {
			return proceed, err
		}
		if text, ok := v.(string); ok {
			return proceed, r.out.write(text)
		}
		return proceed, r.out.repr(v, true, 0)
	}, p.close()
}

func (p *parser) conditional() (action, error) {
	type branch struct {
		condition expression
		body      statements
	}
	var branches []branch
	var other statements
	for end := "elif"; end != "endif"; {
		var b branch
		var err error
		if end == "elif" {
			if b.condition, err = p.tuple(); err != nil {
				return nil, err
			}
		}
		if err := p.close(); err != nil {
			return nil, err
		}
		if end == "else" {
			if other, _, err = p.body("if", "endif"); err != nil {
				return nil, err
			}
			break
		}
		if b.body, end, err = p.body("if", "elif", "else", "endif"); err != nil {
			return nil, err
		}
		branches = append(branches, b)
	}
	return func(r *run, s *scope) (flow, error) {
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
	}, p.close()
}

// target is what an assignment assigns to: a name, a namespace's attribute, or several targets.
type target struct {
	name      string
	attribute string
	parts     []target
}

// targets parses "a", "a.b" (if attributes may be set), "a, b" or "(a, b)".
func (p *parser) targets(attributes bool) (target, error) {
	one, err := p.target(attributes)
	if err != nil || !p.at(",") {
		return one, err
	}
	parts := []target{one}
	for p.accept(",") {
		if p.at("in", "=", ")") {
			break
		}
		next, err := p.target(attributes)
		if err != nil {
			return target{}, err
		}
		parts = append(parts, next)
	}
	return target{parts: parts}, nil
}

func (p *parser) target(attributes bool) (target, error) {
	if p.accept("(") {
		var inside target
		_, err := p.nest(func() (e expression, err error) {
			inside, err = p.targets(attributes)
			return e, err
		})
		if err != nil {
			return target{}, err
		}
		return inside, p.expect(")")
	}
	name, err := p.name("a name")
	if err != nil {
		return target{}, err
	}
	switch name {
	case "true", "True", "false", "False", "none", "None":
		return target{}, fmt.Errorf("%q cannot be assigned to", name)
	}
	to := target{name: name}
	if attributes && p.accept(".") {
		to.attribute, err = p.word("the name of an attribute")
	}
	return to, err
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

func (p *parser) set() (action, error) {
	to, err := p.targets(true)
	if err != nil {
		return nil, err
	}
	if p.accept("=") {
		e, err := p.tuple()
		if err != nil {
			return nil, err
		}
		return func(r *run, s *scope) (flow, error) {
			v, err := e.eval(r, s)
			if err != nil {
				return proceed, err
			}
			return proceed, to.assign(r, s, v)
		}, p.close()
	}
	filters, err := p.filters(p.accept("|"))
	if err != nil {
		return nil, err
	}
	body, err := p.apart("set", "endset")
	return func(r *run, s *scope) (flow, error) {
		v, err := captureBody(r, s, body, filters)
		if err != nil {
			return proceed, err
		}
		return proceed, to.assign(r, s, v)
	}, err
}

// captured is the name of the variable that holds the text which filters of a block act on.
const captured = "{%"

// filters parses "a | b | c" up to the end of the tag; without any the text stays as it is.
func (p *parser) filters(any bool) (expression, error) {
	e, err := p.wrap(func(_ *run, s *scope) (value, error) {
		v, _ := s.get(captured)
		return v, nil
	})
	for more := any; more && err == nil; more = p.accept("|") {
		e, err = p.filter(e)
	}
	if err != nil {
		return e, err
	}
	return e, p.close()
}

func captureBody(r *run, s *scope, body statements, filters expression) (value, error) {
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

func (p *parser) filterBlock() (action, error) {
	filters, err := p.filters(true)
	if err != nil {
		return nil, err
	}
	body, err := p.apart("filter", "endfilter")
	return func(r *run, s *scope) (flow, error) {
		v, err := captureBody(r, s, body, filters)
		if err != nil {
			return proceed, err
		}
		return proceed, r.out.repr(v, true, 0)
	}, err
}

func (p *parser) with() (action, error) {
	type binding struct {
		to target
		e  expression
	}
	var bindings []binding
	for !p.atClose() {
		if len(bindings) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		to, err := p.target(false)
		if err != nil {
			return nil, err
		}
		if err := p.expect("="); err != nil {
			return nil, err
		}
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		bindings = append(bindings, binding{to, e})
	}
	p.next()
	body, err := p.whole("with", "endwith")
	return func(r *run, s *scope) (flow, error) {
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
	}, err
}

// generation marks, for training, what the model itself wrote; here it is just its body.
func (p *parser) generation() (action, error) {
	if err := p.close(); err != nil {
		return nil, err
	}
	body, err := p.whole("generation", "endgeneration")
	return body.exec, err
}

func (p *parser) jump(name string, f flow) (action, error) {
	if p.loops == 0 {
		return nil, fmt.Errorf("%q outside of a loop", name)
	}
	return func(*run, *scope) (flow, error) { return f, nil }, p.close()
}
