package jinja

import (
	"errors"
	"fmt"
	"slices"
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

// signature is what a macro, or the block of a call, takes: its parameters, with the defaults of those that have one.
type signature struct {
	names    []string
	defaults []expression // eval is nil without a default
	extras
}

// extras are the variables of a macro besides its parameters, if its body names them: they hold what no parameter takes.
type extras struct{ varargs, kwargs, caller bool }

func (e *extras) note(name string) {
	switch name {
	case "varargs":
		e.varargs = true
	case "kwargs":
		e.kwargs = true
	case "caller":
		e.caller = true
	}
}

// signature parses what follows an opening parenthesis, up to the closing one.
func (p *parser) signature() (signature, error) {
	var sig signature
	for !p.accept(")") {
		if len(sig.names) > 0 {
			if err := p.expect(","); err != nil {
				return sig, err
			}
			if p.accept(")") {
				break
			}
		}
		name, err := p.name("the name of a parameter")
		if err != nil {
			return sig, err
		}
		if len(sig.names) == maxParameters {
			return sig, fmt.Errorf("%w: more than %d parameters", ErrLimit, maxParameters)
		}
		var e expression
		if p.accept("=") {
			if e, err = p.expression(); err != nil {
				return sig, err
			}
		} else if n := len(sig.defaults); n > 0 && sig.defaults[n-1].eval != nil {
			return sig, fmt.Errorf("parameter %q without a default after one that has one", name)
		}
		sig.names, sig.defaults = append(sig.names, name), append(sig.defaults, e)
	}
	return sig, nil
}

// definition parses the body of a macro and completes its signature.
func (p *parser) definition(sig *signature, open, end string) (statements, error) {
	if err := p.close(); err != nil {
		return nil, err
	}
	if i := slices.Index(sig.names, "caller"); i >= 0 && sig.defaults[i].eval == nil {
		return nil, errors.New("parameter caller without a default")
	}
	outer := p.extras
	p.extras = extras{}
	body, err := p.apart(open, end)
	sig.extras, p.extras = p.extras, outer
	return body, err
}

// macro makes the function that runs a body with parameters, in scopes within the one where it was defined.
func (sig signature) macro(name string, body statements, around *scope) *function {
	return &function{name: "macro " + name, call: func(r *run, a arguments) (value, error) {
		if err := r.enter(); err != nil {
			return nil, err
		}
		defer r.leave()
		s := around.inner()
		if sig.caller && !slices.Contains(sig.names, "caller") {
			var caller value
			if a, caller = a.take("caller"); given(caller) {
				s.set("caller", caller)
			}
		}
		a, err := sig.collect(r, s, a)
		if err != nil {
			return nil, err
		}
		bound, err := a.bind(name, sig.names, 0)
		if err != nil {
			return nil, err
		}
		for i, param := range sig.names {
			if !given(bound[i]) && sig.defaults[i].eval != nil {
				if bound[i], err = sig.defaults[i].eval(r, s); err != nil {
					return nil, err
				}
			}
			s.set(param, bound[i])
		}
		return r.capture(func() error {
			_, err := body.exec(r, s)
			return err
		})
	}}
}

// collect moves the arguments that no parameter takes into varargs and kwargs.
func (sig signature) collect(r *run, s *scope, a arguments) (arguments, error) {
	if n := len(sig.names); sig.varargs {
		n = min(len(a.positional), n)
		s.set("varargs", &list{items: a.positional[n:], tuple: true})
		a.positional = a.positional[:n]
	}
	if !sig.kwargs {
		return a, nil
	}
	kept, kwargs := arguments{positional: a.positional}, newDict()
	for i, name := range a.names {
		if slices.Contains(sig.names, name) {
			kept.names, kept.named = append(kept.names, name), append(kept.named, a.named[i])
		} else if err := r.put(kwargs, name, a.named[i]); err != nil {
			return a, err
		}
	}
	s.set("kwargs", kwargs)
	return kept, nil
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

func (p *parser) macro() (action, error) {
	name, err := p.name("the name of the macro")
	if err != nil {
		return nil, err
	}
	if err := p.expect("("); err != nil {
		return nil, err
	}
	sig, err := p.signature()
	if err != nil {
		return nil, err
	}
	body, err := p.definition(&sig, "macro", "endmacro")
	return func(r *run, s *scope) (flow, error) {
		if err := r.alloc(objectBytes); err != nil {
			return proceed, err
		}
		s.set(name, sig.macro(name, body, s))
		return proceed, nil
	}, err
}

// callBlock parses a call of a macro that gets the block as its function caller.
func (p *parser) callBlock() (action, error) {
	var sig signature
	var err error
	if p.accept("(") {
		if sig, err = p.signature(); err != nil {
			return nil, err
		}
	}
	f, err := p.callee()
	if err != nil {
		return nil, err
	}
	if err := p.expect("("); err != nil {
		return nil, err
	}
	args, err := p.arguments()
	if err != nil {
		return nil, err
	}
	body, err := p.definition(&sig, "call", "endcall")
	return func(r *run, s *scope) (flow, error) {
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
		a.names = append(slices.Clip(a.names), "caller")
		a.named = append(a.named, sig.macro("caller", body, s))
		out, err := r.call(v, a)
		if err != nil {
			return proceed, err
		}
		return proceed, r.out.repr(out, true, 0)
	}, err
}

// callee parses the name of what is called, with its attributes.
func (p *parser) callee() (expression, error) {
	if p.current().kind != kindName {
		return expression{}, p.missing("the name of a macro")
	}
	e, err := p.primary()
	for err == nil && p.accept(".") {
		e, err = p.attribute(e)
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
