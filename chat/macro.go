package chat

import (
	"errors"
	"fmt"

	"github.com/nikolalohinski/gonja/v2/tokens"
)

// function is anything that can be called: a macro, a method, a global.
type function struct {
	name string
	call func(r *run, a arguments) (value, error)
}

// arguments are what a call, a filter or a test is given.
type arguments struct {
	positional []value
	names      []string
	named      []value
}

// bind puts arguments in the order of their names; those not given are undefined. The first of them, as many as
// required says, must be given.
func (a arguments) bind(what string, names []string, required int) ([]value, error) {
	if len(a.positional) > len(names) {
		return nil, fmt.Errorf("%s takes at most %d arguments, not %d", what, len(names), len(a.positional))
	}
	bound := make([]value, len(names))
	given := make([]bool, len(names))
	for i, name := range names {
		bound[i] = undefined{name}
	}
	for i, v := range a.positional {
		bound[i], given[i] = v, true
	}
next:
	for i, name := range a.names {
		for j := range names {
			if names[j] != name {
				continue
			}
			if given[j] {
				return nil, fmt.Errorf("%s is given its argument %s twice", what, name)
			}
			bound[j], given[j] = a.named[i], true
			continue next
		}
		return nil, fmt.Errorf("%s has no argument %s", what, name)
	}
	for i := range required {
		if !given[i] {
			return nil, fmt.Errorf("%s needs its argument %s", what, names[i])
		}
	}
	return bound, nil
}

// parameters are those of a macro or of the block of a call, with the defaults of those that have one.
type parameters struct {
	names    []string
	defaults []expression // eval is nil without a default
}

func (t *tag) parameters() (parameters, error) {
	var p parameters
	for t.g.p.Match(tokens.RightParenthesis) == nil {
		if len(p.names) > 0 {
			if err := t.g.expect(tokens.Comma, "a comma or )"); err != nil {
				return p, err
			}
			if t.g.p.Match(tokens.RightParenthesis) != nil {
				break
			}
		}
		name := t.g.p.Match(tokens.Name)
		if name == nil {
			return p, t.g.missing("the name of a parameter")
		}
		if len(p.names) == maxParameters {
			return p, fmt.Errorf("%w: more than %d parameters", ErrLimit, maxParameters)
		}
		var e expression
		if t.g.p.Match(tokens.Assign) != nil {
			var err error
			if e, err = t.g.expression(); err != nil {
				return p, err
			}
		}
		p.names, p.defaults = append(p.names, name.Val), append(p.defaults, e)
	}
	return p, nil
}

// macro makes the function that runs a body with parameters, in scopes within the one where it was defined.
func (p parameters) macro(name string, body block, around *scope) *function {
	return &function{name: "macro " + name, call: func(r *run, a arguments) (value, error) {
		if err := r.enter(); err != nil {
			return nil, err
		}
		defer r.leave()
		s := around.inner()
		a, caller := a.take("caller")
		bound, err := a.bind(name, p.names, 0)
		if err != nil {
			return nil, err
		}
		for i, param := range p.names {
			if _, missing := bound[i].(undefined); missing && p.defaults[i].eval != nil {
				if bound[i], err = p.defaults[i].eval(r, s); err != nil {
					return nil, err
				}
			}
			s.set(param, bound[i])
		}
		if given(caller) {
			s.set("caller", caller)
		}
		return r.capture(func() error {
			_, err := body.exec(r, s)
			return err
		})
	}}
}

// take removes a named argument; it returns undefined if there is none.
func (a arguments) take(name string) (arguments, value) {
	for i := range a.names {
		if a.names[i] == name {
			rest := arguments{positional: a.positional}
			rest.names = append(append(rest.names, a.names[:i]...), a.names[i+1:]...)
			rest.named = append(append(rest.named, a.named[:i]...), a.named[i+1:]...)
			return rest, a.named[i]
		}
	}
	return a, undefined{name}
}

func (t *tag) macro() error {
	name := t.g.p.Match(tokens.Name)
	if name == nil {
		return t.g.missing("the name of the macro")
	}
	if err := t.g.expect(tokens.LeftParenthesis, "("); err != nil {
		return err
	}
	p, err := t.parameters()
	if err != nil {
		return err
	}
	if err := t.g.end(); err != nil {
		return err
	}
	body, err := t.apart("endmacro")
	t.node.run = func(r *run, s *scope) (flow, error) {
		if err := r.alloc(objectBytes); err != nil {
			return proceed, err
		}
		s.set(name.Val, p.macro(name.Val, body, s))
		return proceed, nil
	}
	return err
}

// call parses a call of a macro that gets the block as its function caller.
func (t *tag) call() error {
	var p parameters
	var err error
	if t.g.p.Match(tokens.LeftParenthesis) != nil {
		if p, err = t.parameters(); err != nil {
			return err
		}
	}
	f, err := t.g.callee()
	if err != nil {
		return err
	}
	if err := t.g.expect(tokens.LeftParenthesis, "("); err != nil {
		return err
	}
	args, err := t.g.arguments()
	if err != nil {
		return err
	}
	if err := t.g.end(); err != nil {
		return err
	}
	body, err := t.apart("endcall")
	t.node.run = func(r *run, s *scope) (flow, error) {
		v, err := f.eval(r, s)
		if err != nil {
			return proceed, err
		}
		a, err := args.eval(r, s)
		if err != nil {
			return proceed, err
		}
		if err := r.alloc(objectBytes); err != nil {
			return proceed, err
		}
		a.names = append(a.names[:len(a.names):len(a.names)], "caller")
		a.named = append(a.named, p.macro("caller", body, s))
		out, err := r.call(v, a)
		if err != nil {
			return proceed, err
		}
		return proceed, r.out.repr(out, true, 0)
	}
	return err
}

// callee parses the name of what is called, with its attributes.
func (g *grammar) callee() (expression, error) {
	if g.p.Current(tokens.Name) == nil {
		return expression{}, g.missing("the name of a macro")
	}
	e, err := g.primary()
	for err == nil && g.p.Match(tokens.Dot) != nil {
		e, err = g.attribute(e)
	}
	return e, err
}

// call calls a value.
func (r *run) call(v value, a arguments) (value, error) {
	switch f := v.(type) {
	case *function:
		return f.call(r, a)
	case *loop:
		return f.again(r, a)
	case undefined:
		return nil, fmt.Errorf("%s, and cannot be called", describe(f))
	}
	return nil, errors.New(describe(v) + " cannot be called")
}
