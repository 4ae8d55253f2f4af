package jinja

import (
	"fmt"
)

// forLoop is a parsed for.
type forLoop struct {
	to        target
	over      expression
	condition expression // eval is nil without one
	recursive bool
	body      statements
	other     statements // runs if no round came to its end: as in Jinja, one left by break or continue does not count
}

// loop is the variable of that name in the body of a for.
type loop struct {
	*forLoop
	scope *scope // around the loop
	items []value
	index int
	depth int
	seen  value // by loop.changed
}

func (p *parser) loop() (action, error) {
	f := &forLoop{}
	var err error
	if f.to, err = p.targets(false); err != nil {
		return nil, err
	}
	if err := p.expect("in"); err != nil {
		return nil, err
	}
	// A condition here filters; that of an if expression would need an else.
	if f.over, err = p.sequence(); err != nil {
		return nil, err
	}
	if p.accept("if") {
		if f.condition, err = p.expression(); err != nil {
			return nil, err
		}
	}
	f.recursive = p.accept("recursive")
	if err := p.close(); err != nil {
		return nil, err
	}
	p.loops++
	body, end, err := p.body("for", "else", "endfor")
	p.loops--
	if err != nil {
		return nil, err
	}
	if f.body = body; end == "else" {
		if err := p.close(); err != nil {
			return nil, err
		}
		if f.other, _, err = p.body("for", "endfor"); err != nil {
			return nil, err
		}
	}
	return func(r *run, s *scope) (flow, error) {
		v, err := f.over.eval(r, s)
		if err != nil {
			return proceed, err
		}
		return f.run(r, s, v, 1)
	}, p.close()
}

// sequence parses what a for goes over: an expression without "if", or several with commas.
func (p *parser) sequence() (expression, error) {
	return p.nest(func() (expression, error) {
		first, err := p.or()
		if err != nil || !p.at(",") {
			return first, err
		}
		items := []expression{first}
		for p.accept(",") {
			item, err := p.or()
			if err != nil {
				return expression{}, err
			}
			items = append(items, item)
		}
		return p.list(items, true)
	})
}

func (f *forLoop) run(r *run, s *scope, over value, depth int) (flow, error) {
	items, err := r.iterate(over)
	if err != nil {
		return proceed, err
	}
	if f.condition.eval != nil {
		if items, err = f.filter(r, s, items); err != nil {
			return proceed, err
		}
	}
	l := &loop{forLoop: f, scope: s, items: items, depth: depth, seen: undefined{}}
	ended := false
rounds:
	for i, item := range items {
		if err := r.step(); err != nil {
			return proceed, err
		}
		l.index = i
		inner := s.inner()
		inner.set("loop", l)
		if err := f.to.assign(r, inner, item); err != nil {
			return proceed, err
		}
		switch fl, err := f.body.exec(r, inner); {
		case err != nil:
			return proceed, err
		case fl == breakLoop:
			break rounds
		case fl == proceed:
			ended = true
		}
	}
	if ended {
		return proceed, nil
	}
	return f.other.exec(r, s.inner())
}

// filter keeps the items for which the condition holds.
func (f *forLoop) filter(r *run, s *scope, items []value) ([]value, error) {
	if err := r.makeList(int64(len(items))); err != nil {
		return nil, err
	}
	var kept []value
	for _, item := range items {
		inner := s.inner()
		if err := f.to.assign(r, inner, item); err != nil {
			return nil, err
		}
		v, err := f.condition.eval(r, inner)
		if err != nil {
			return nil, err
		}
		if truth(v) {
			kept = append(kept, item)
		}
	}
	return kept, nil
}

// attribute returns loop.index and the like.
func (l *loop) attribute(name string) value {
	item := func(i int) value {
		if i < 0 || i >= len(l.items) {
			return undefined{"loop." + name}
		}
		return l.items[i]
	}
	n := len(l.items)
	switch name {
	case "index":
		return int64(l.index + 1)
	case "index0":
		return int64(l.index)
	case "revindex":
		return int64(n - l.index)
	case "revindex0":
		return int64(n - l.index - 1)
	case "first":
		return l.index == 0
	case "last":
		return l.index == n-1
	case "length":
		return int64(n)
	case "depth":
		return int64(l.depth)
	case "depth0":
		return int64(l.depth - 1)
	case "previtem":
		return item(l.index - 1)
	case "nextitem":
		return item(l.index + 1)
	case "cycle":
		return &function{name: "loop.cycle", call: func(_ *run, a arguments) (value, error) {
			if len(a.positional) == 0 {
				return nil, fmt.Errorf("loop.cycle without values")
			}
			return a.positional[l.index%len(a.positional)], nil
		}}
	case "changed":
		return &function{name: "loop.changed", call: func(r *run, a arguments) (value, error) {
			now := &list{items: a.positional, tuple: true}
			same, err := r.equal(l.seen, now, 0)
			l.seen = now
			return !same, err
		}}
	}
	return undefined{"loop." + name}
}

// again is a call of loop itself: the same loop over other items, one level deeper.
func (l *loop) again(r *run, a arguments) (value, error) {
	if !l.recursive {
		return nil, fmt.Errorf("loop is called, but its for is not recursive")
	}
	v, err := a.bind("loop", []string{"items"}, 1)
	if err != nil {
		return nil, err
	}
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	return r.capture(func() error {
		_, err := l.run(r, l.scope, v[0], l.depth+1)
		return err
	})
}
