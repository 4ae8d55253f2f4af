package validate

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
)

// An instance is a value of JSON with the order of its members.
type instance struct {
	text string // as it is spelled, of what has no parts
	open byte   // { or [, else 0
	keys []string
	list []*instance
}

// parse reads a text that is JSON in the layout of the grammars.
func parse(text string) *instance {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var value func() *instance
	value = func() *instance {
		start := d.InputOffset()
		token, _ := d.Token()
		open, ok := token.(json.Delim)
		if !ok {
			return &instance{text: strings.TrimLeft(text[start:d.InputOffset()], " ,:")}
		}
		x := &instance{open: byte(open)}
		for d.More() {
			if open == '{' {
				start := d.InputOffset()
				d.Token()
				x.keys = append(x.keys, strings.TrimLeft(text[start:d.InputOffset()], " ,"))
			}
			x.list = append(x.list, value())
		}
		d.Token()
		return x
	}
	return value()
}

// String writes the instance in the layout of the grammars.
func (x *instance) String() string {
	if x.open == 0 {
		return x.text
	}
	var b strings.Builder
	b.WriteByte(x.open)
	for i, y := range x.list {
		if i > 0 {
			b.WriteString(", ")
		}
		if x.open == '{' {
			b.WriteString(x.keys[i] + ": ")
		}
		b.WriteString(y.String())
	}
	b.WriteByte(x.open + 2)
	return b.String()
}

// change leaves out a part of the instance, writes an element twice or puts another value in a place.
func (x *instance) change(r *rand.Rand) {
	n := len(x.list)
	if n == 0 || r.IntN(4) == 0 {
		*x = *parse([]string{`null`, `true`, `0`, `-7`, `1.5`, `""`, `"a"`, `[]`, `{}`, `[0]`, `"1.0.0"`, `100`}[r.IntN(12)])
		return
	}
	i := r.IntN(n)
	switch r.IntN(4) {
	case 0:
		x.list = slices.Delete(x.list, i, i+1)
		if x.open == '{' {
			x.keys = slices.Delete(x.keys, i, i+1)
		}
	case 1:
		if x.open == '[' {
			x.list = slices.Insert(x.list, i, x.list[i])
		}
	default:
		x.list[i].change(r)
	}
}

// orders returns the number of ways to order the members of all objects, up to a bound.
func (x *instance) orders(bound int) int {
	n := 1
	for i, y := range x.list {
		if n *= y.orders(bound); x.open == '{' {
			n *= i + 1
		}
		if n > bound {
			return bound
		}
	}
	return n
}
