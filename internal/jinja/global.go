package jinja

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

func rangeOf(r *run, a arguments) (value, error) {
	v, err := a.bind("range", []string{"start", "stop", "step"}, 1)
	if err != nil {
		return nil, err
	}
	var n [3]int64
	for i, otherwise := range []int64{0, 0, 1} {
		if n[i], err = intArgument("range", v[i], otherwise); err != nil {
			return nil, err
		}
	}
	start, stop, step := n[0], n[1], n[2]
	if !given(v[1]) {
		start, stop = 0, start
	}
	if step == 0 {
		return nil, errors.New("range: the step is 0")
	}
	size := (float64(stop) - float64(start)) / float64(step)
	if size > maxRange {
		return nil, r.limit("a range of %.0f numbers, more than %d", math.Ceil(size), maxRange)
	}
	if err := r.makeList(2 * int64(max(math.Ceil(size), 0))); err != nil {
		return nil, err
	}
	l := &list{view: fmt.Sprintf("range(%d, %d)", start, stop)}
	if step != 1 {
		l.view = fmt.Sprintf("range(%d, %d, %d)", start, stop, step)
	}
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		l.items = append(l.items, i)
		if (i > 0) == (step > 0) && (i+step > 0) != (step > 0) {
			break // past the last of 64 bits
		}
	}
	return l, nil
}

func newNamespace(r *run, a arguments) (value, error) {
	if err := r.alloc(objectBytes); err != nil {
		return nil, err
	}
	ns := &namespace{vars: map[string]value{}}
	d, err := dictOf(r, a)
	if err != nil {
		return nil, err
	}
	for i, k := range d.(*dict).keys {
		if name, ok := k.(string); ok {
			ns.vars[r.marks.plain(name)] = d.(*dict).values[i]
		}
	}
	return ns, nil
}

func dictOf(r *run, a arguments) (value, error) {
	d := newDict()
	if len(a.positional) > 1 {
		return nil, errors.New("dict takes at most 1 argument")
	}
	for _, v := range a.positional {
		if from, ok := v.(*dict); ok {
			v = from.pairs()
		}
		pairs, err := r.iterate(v)
		if err != nil {
			return nil, fmt.Errorf("dict: %w", err)
		}
		for _, p := range pairs {
			pair, err := r.iterate(p)
			if err == nil && len(pair) != 2 {
				err = fmt.Errorf("%d values, expected a key and a value", len(pair))
			}
			if err != nil {
				return nil, fmt.Errorf("dict: %w", err)
			}
			if err := r.put(d, pair[0], pair[1]); err != nil {
				return nil, err
			}
		}
	}
	for i, name := range a.names {
		if err := r.put(d, name, a.named[i]); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// newJoiner makes a function that returns a separator, but nothing the first time.
func newJoiner(r *run, a arguments) (value, error) {
	v, err := a.bind("joiner", []string{"sep"}, 0)
	if err == nil {
		err = r.alloc(objectBytes)
	}
	if err != nil {
		return nil, err
	}
	used := false
	return &function{name: "joiner", call: func(_ *run, a arguments) (value, error) {
		if _, err := a.bind("joiner", nil, 0); err != nil || !used {
			used = true
			return "", err
		}
		return pick[value](given(v[0]), v[0], ", "), nil
	}}, nil
}

// cycler goes round its items.
type cycler struct {
	items []value
	pos   int
}

func newCycler(r *run, a arguments) (value, error) {
	if len(a.positional) == 0 || len(a.names) > 0 {
		return nil, errors.New("cycler: expected values, without names")
	}
	return &cycler{items: a.positional}, r.alloc(objectBytes)
}

func (c *cycler) attribute(name string) (value, bool) {
	method := func(f func() value) (value, bool) {
		return &function{name: "cycler." + name, call: func(_ *run, a arguments) (value, error) {
			_, err := a.bind(name, nil, 0)
			return f(), err
		}}, true
	}
	switch name {
	case "current":
		return c.items[c.pos], true
	case "pos":
		return int64(c.pos), true
	case "items":
		return &list{items: c.items, tuple: true}, true
	case "next":
		return method(func() value {
			v := c.items[c.pos]
			c.pos = (c.pos + 1) % len(c.items)
			return v
		})
	case "reset":
		return method(func() value { c.pos = 0; return nil })
	}
	return nil, false
}

func raise(r *run, a arguments) (value, error) {
	v, err := a.bind("raise_exception", []string{"message"}, 1)
	if err != nil {
		return nil, err
	}
	s, err := r.text(v[0])
	if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w by the template: %s", ErrRefused, r.marks.plain(s))
}

// clock is strftime_now: the time of day in the directives of C's strftime that say something of their own.
func clock(r *run, a arguments) (value, error) {
	v, err := a.bind("strftime_now", []string{"format"}, 1)
	if err != nil {
		return nil, err
	}
	format, err := textArguments("strftime_now", v[0])
	if err != nil {
		return nil, err
	}
	layouts := map[byte]string{
		'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'd': "02", 'm': "01", 'y': "06", 'Y': "2006", 'H': "15",
		'I': "03", 'M': "04", 'S': "05", 'p': "PM", 'j': "002", 'Z': "MST", 'z': "-0700", 'F': "2006-01-02", 'T': "15:04:05",
	}
	now := time.Now()
	b := &buffer{run: r}
	for s := format[0]; s != ""; {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			return b.String() + s, b.write(s)
		}
		if err := b.write(s[:i]); err != nil {
			return nil, err
		}
		if s = s[i+1:]; s == "" {
			return nil, errors.New("strftime_now: the format ends in %")
		}
		layout, ok := layouts[s[0]]
		text := now.Format(layout)
		if s[0] == '%' {
			text, ok = "%", true
		}
		if !ok {
			return nil, fmt.Errorf("strftime_now: unknown directive %%%c", s[0])
		}
		if err := b.write(text); err != nil {
			return nil, err
		}
		s = s[1:]
	}
	return b.String(), nil
}
