package jinja

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"
)

// relate computes a comparison.
func (r *run) relate(op string, a, b value) (bool, error) {
	switch op {
	case "==":
		return r.equal(a, b, 0)
	case "!=":
		same, err := r.equal(a, b, 0)
		return !same, err
	case "in":
		return r.contains(b, a)
	case "not in":
		in, err := r.contains(b, a)
		return !in, err
	}
	if isNaN(a) || isNaN(b) {
		return false, nil
	}
	order, err := r.compare(a, b, 0)
	switch op {
	case "<":
		return order < 0, err
	case "<=":
		return order <= 0, err
	case ">":
		return order > 0, err
	default:
		return order >= 0, err
	}
}

func isNaN(v value) bool {
	f, ok := v.(float64)
	return ok && math.IsNaN(f)
}

// contains is Python's v in holder.
func (r *run) contains(holder, v value) (bool, error) {
	switch h := holder.(type) {
	case string:
		s, ok := v.(string)
		if !ok {
			return false, fmt.Errorf("%s in a string, expected a string", describe(v))
		}
		if err := r.work(len(h) + len(s)); err != nil {
			return false, err
		}
		return strings.Contains(r.marks.plain(h), r.marks.plain(s)), nil
	case *list:
		for i, item := range h.items {
			if same, err := r.equal(item, v, 0); same || err != nil {
				h.take(i + 1)
				return same, err
			}
		}
		h.take(len(h.items))
		return false, nil
	case *dict:
		key, err := r.hash(v)
		if err != nil {
			return false, err
		}
		_, found := h.get(key)
		return found, nil
	case undefined:
		return false, nil
	}
	return false, fmt.Errorf("in: %s holds nothing", describe(holder))
}

// calculate computes an operator of arithmetic, on text and lists too where Python does.
func (r *run) calculate(op string, a, b value) (value, error) {
	if op == "~" {
		x, err := r.text(a)
		if err != nil {
			return nil, err
		}
		y, err := r.text(b)
		if err != nil {
			return nil, err
		}
		return r.join(x, y)
	}
	if s, ok := a.(string); ok && op == "%" {
		return r.printf(s, b)
	}
	x, isX := numeric(a)
	y, isY := numeric(b)
	if isX && isY {
		return arithmetic(op, x, y)
	}
	switch op {
	case "+":
		switch a := a.(type) {
		case string:
			if b, ok := b.(string); ok {
				return r.join(a, b)
			}
		case *list:
			if b, ok := b.(*list); ok && a.tuple == b.tuple && a.view == "" && b.view == "" {
				if err := r.makeList(int64(len(a.items)) + int64(len(b.items))); err != nil {
					return nil, err
				}
				return &list{items: append(append([]value{}, a.items...), b.items...), tuple: a.tuple}, nil
			}
		}
	case "*":
		if isX && !x.float {
			a, b, y, isY = b, a, x, true
		}
		if isY && !y.float {
			if v, ok, err := r.repeat(a, y.i); ok {
				return v, err
			}
		}
	}
	return nil, fmt.Errorf("%s between %s and %s", op, describe(a), describe(b))
}

func (r *run) join(a, b string) (value, error) {
	if err := r.makeText(int64(len(a)) + int64(len(b))); err != nil {
		return nil, err
	}
	return a + b, nil
}

// repeat is a text or a list times n; ok is false for other values.
func (r *run) repeat(v value, n int64) (_ value, ok bool, err error) {
	n = min(max(n, 0), math.MaxInt32)
	switch v := v.(type) {
	case string:
		if err := r.makeText(int64(len(v)) * n); err != nil {
			return nil, true, err
		}
		if v == "" {
			return "", true, nil
		}
		return strings.Repeat(v, int(n)), true, nil
	case *list:
		if v.view != "" {
			break
		}
		if err := r.makeList(int64(len(v.items)) * n); err != nil {
			return nil, true, err
		}
		out := &list{tuple: v.tuple}
		if len(v.items) > 0 {
			out.items = make([]value, 0, len(v.items)*int(n))
			for range n {
				out.items = append(out.items, v.items...)
			}
		}
		return out, true, nil
	}
	return nil, false, nil
}

var errOverflow = errors.New("an integer beyond 64 bits")

func arithmetic(op string, a, b num) (value, error) {
	if a.wide != nil || b.wide != nil {
		return nil, errOverflow
	}
	if zero := b.f == 0; zero && (op == "/" || op == "//" || op == "%") {
		return nil, errors.New("division by zero")
	}
	if a.float || b.float || op == "/" {
		switch op {
		case "+":
			return a.f + b.f, nil
		case "-":
			return a.f - b.f, nil
		case "*":
			return a.f * b.f, nil
		case "/":
			if !a.float && !b.float && max(a.i, -a.i, b.i, -b.i) > 1<<53 { // rounded once, as in Python
				f, _ := big.NewRat(a.i, b.i).Float64()
				return f, nil
			}
			return a.f / b.f, nil
		case "//":
			q, _ := divide(a.f, b.f)
			return q, nil
		case "%":
			_, m := divide(a.f, b.f)
			return m, nil
		default:
			return powerFloat(a.f, b.f)
		}
	}
	switch op {
	case "+":
		if sum := a.i + b.i; (sum > a.i) == (b.i > 0) {
			return sum, nil
		}
	case "-":
		if difference := a.i - b.i; (difference < a.i) == (b.i > 0) {
			return difference, nil
		}
	case "*":
		if product, ok := multiply(a.i, b.i); ok {
			return product, nil
		}
	case "//":
		if a.i == math.MinInt64 && b.i == -1 {
			return nil, errOverflow
		}
		q := a.i / b.i
		if a.i%b.i != 0 && (a.i < 0) != (b.i < 0) {
			q--
		}
		return q, nil
	case "%":
		if b.i == -1 {
			return int64(0), nil
		}
		m := a.i % b.i
		if m != 0 && (m < 0) != (b.i < 0) {
			m += b.i
		}
		return m, nil
	default:
		return power(a, b)
	}
	return nil, errOverflow
}

// divide is Python's divmod of floats: the remainder is exact and has the sign of b.
func divide(a, b float64) (quotient, remainder float64) {
	m := math.Mod(a, b)
	q := (a - m) / b
	if m == 0 {
		m = math.Copysign(0, b)
	} else if (b < 0) != (m < 0) {
		m += b
		q--
	}
	if q == 0 {
		return math.Copysign(0, a/b), m
	}
	floor := math.Floor(q)
	if q-floor > 0.5 {
		floor++
	}
	return floor, m
}

func powerFloat(a, b float64) (value, error) {
	f := math.Pow(a, b)
	switch {
	case a == 0 && b < 0:
		return nil, errors.New("division by zero")
	case math.IsNaN(f) && !math.IsNaN(a) && !math.IsNaN(b):
		return nil, errors.New("** has no real result")
	case math.IsInf(f, 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0):
		return nil, errors.New("** is too large for a float")
	}
	return f, nil
}

func multiply(a, b int64) (int64, bool) {
	if a == 0 || b == 0 {
		return 0, true
	}
	product := a * b
	ok := product/b == a && !(a == -1 && b == math.MinInt64) && !(b == -1 && a == math.MinInt64)
	return product, ok
}

func power(a, b num) (value, error) {
	if b.i < 0 {
		if a.i == 0 {
			return nil, errors.New("division by zero")
		}
		return math.Pow(a.f, b.f), nil
	}
	result, base := int64(1), a.i
	for n := b.i; n > 0; n >>= 1 {
		var ok bool
		if n&1 == 1 {
			if result, ok = multiply(result, base); !ok {
				return nil, errOverflow
			}
		}
		if n > 1 {
			if base, ok = multiply(base, base); !ok {
				return nil, errOverflow
			}
		}
	}
	return result, nil
}

// attribute is v.name: a method or another attribute first, then an item.
func (r *run) attribute(v value, name string) (value, error) {
	if _, ok := v.(undefined); ok {
		return nil, fmt.Errorf("%s, and has no attribute %s", describe(v), name)
	}
	if a, ok := r.member(v, name); ok {
		return a, nil
	}
	if d, ok := v.(*dict); ok {
		if item, ok := d.get(name); ok {
			return item, nil
		}
	}
	return undefined{name}, nil
}

// member returns an attribute that is no item.
func (r *run) member(v value, name string) (value, bool) {
	switch v := v.(type) {
	case *namespace:
		item, ok := v.vars[name]
		return item, ok
	case *list:
		if i := slices.Index(v.fields, name); i >= 0 {
			return v.items[i], true
		}
		if v.view != "" && !v.indexed() {
			return nil, false
		}
	case *cycler:
		return v.attribute(name)
	case *function:
		macro, ok := strings.CutPrefix(v.name, "macro ")
		return macro, ok && name == "name"
	case *loop:
		item := v.attribute(name)
		_, missing := item.(undefined)
		return item, !missing
	}
	m, ok := r.tables.methods[typeName(v)][name]
	if !ok {
		return nil, false
	}
	return &function{name: "method " + name, call: func(r *run, a arguments) (value, error) { return m(r, v, a) }}, true
}

// item is v[key]: an item first, then an attribute.
func (r *run) item(v, key value) (value, error) {
	if _, ok := v.(undefined); ok {
		return nil, fmt.Errorf("%s, and has no items", describe(v))
	}
	if s, ok := key.(string); ok {
		if err := r.work(len(s)); err != nil {
			return nil, err
		}
		s = r.marks.plain(s)
		if d, ok := v.(*dict); ok {
			if item, ok := d.get(s); ok {
				return item, nil
			}
		}
		if a, ok := r.member(v, s); ok {
			return a, nil
		}
		return undefined{s}, nil
	}
	if d, ok := v.(*dict); ok {
		key, err := r.hash(key)
		if err != nil {
			return undefined{"an item"}, nil
		}
		if item, ok := d.get(key); ok {
			return item, nil
		}
		return undefined{"an item"}, nil
	}
	i, ok := integer(key)
	if !ok {
		return undefined{"an item"}, nil
	}
	switch v := v.(type) {
	case *list:
		if !v.indexed() {
			break
		}
		if i < 0 {
			i += int64(len(v.items))
		}
		if i >= 0 && i < int64(len(v.items)) {
			return v.items[i], nil
		}
	case string:
		if err := r.work(len(v)); err != nil {
			return nil, err
		}
		if i < 0 {
			i += int64(utf8.RuneCountInString(v))
		}
		if i < 0 {
			break
		}
		for at, c := range v {
			if i == 0 {
				return v[at : at+utf8.RuneLen(c)], nil
			}
			i--
		}
	}
	return undefined{fmt.Sprintf("item %d", i)}, nil
}

// slice is v[from:to:step].
func (r *run) slice(v, from, to, step value) (value, error) {
	var items []value
	var runes []rune
	var n int
	switch v := v.(type) {
	case *list:
		if !v.indexed() {
			return nil, fmt.Errorf("a %s cannot be sliced", v.view)
		}
		items = v.items
		n = len(items)
	case string:
		if err := r.alloc(4 * int64(len(v))); err != nil {
			return nil, err
		}
		runes = []rune(v)
		n = len(runes)
	case undefined:
		return nil, fmt.Errorf("%s, and cannot be sliced", describe(v))
	default:
		return nil, errors.New(describe(v) + " cannot be sliced")
	}
	by := int64(1)
	if step != nil {
		var ok bool
		if by, ok = integer(step); !ok || by == 0 {
			return nil, errors.New("the step of a slice must be an integer that is not 0")
		}
	}
	first, err := bound(from, n, pick(by > 0, 0, n-1), by < 0)
	if err != nil {
		return nil, err
	}
	last, err := bound(to, n, pick(by > 0, n, -1), by < 0)
	if err != nil {
		return nil, err
	}
	if err := r.makeList(int64(n)); err != nil {
		return nil, err
	}
	var picked []value
	var text []rune
	for i := int64(first); by > 0 && i < int64(last) || by < 0 && i > int64(last); i += by {
		if items != nil {
			picked = append(picked, items[i])
		} else {
			text = append(text, runes[i])
		}
		if i > math.MaxInt64-by && by > 0 || i < math.MinInt64-by && by < 0 {
			break
		}
	}
	if l, ok := v.(*list); ok {
		return &list{items: picked, tuple: l.tuple}, nil
	}
	return string(text), r.makeText(int64(len(text)))
}

// bound clips a bound of a slice of n items as Python does.
func bound(v value, n, missing int, backwards bool) (int, error) {
	if v == nil {
		return missing, nil
	}
	i, ok := integer(v)
	if !ok {
		return 0, fmt.Errorf("a slice from or to %s, expected integers", describe(v))
	}
	if i < 0 {
		i += int64(n)
	}
	low, high := int64(0), int64(n)
	if backwards {
		low, high = -1, int64(n-1)
	}
	return int(min(max(i, low), high)), nil
}

// iterate returns what a loop over v goes through.
func (r *run) iterate(v value) ([]value, error) {
	switch v := v.(type) {
	case *list:
		return v.take(len(v.items)), nil
	case undefined:
		return nil, nil
	case *dict:
		if err := r.makeList(int64(len(v.keys))); err != nil {
			return nil, err
		}
		items := make([]value, len(v.keys))
		copy(items, v.keys)
		return items, nil
	case string:
		n := utf8.RuneCountInString(v)
		if err := r.makeList(2 * int64(n)); err != nil {
			return nil, err
		}
		items := make([]value, 0, n)
		for at, c := range v {
			items = append(items, v[at:at+utf8.RuneLen(c)])
		}
		return items, nil
	}
	return nil, errors.New(describe(v) + " is no sequence")
}

// iterateTrue is iterate for the filters that take any false value for an empty sequence.
func (r *run) iterateTrue(v value) ([]value, error) {
	if !truth(v) {
		return nil, nil
	}
	return r.iterate(v)
}

// length is the filter of that name.
func length(v value) (int, error) {
	switch v := v.(type) {
	case *list:
		if v.view == generator {
			return 0, errors.New("a generator has no length, expected | list before")
		}
		return len(v.items), nil
	case *dict:
		return len(v.keys), nil
	case string:
		return utf8.RuneCountInString(v), nil
	case undefined:
		return 0, nil
	}
	return 0, errors.New(describe(v) + " has no length")
}

// put adds an entry to a dict.
func (r *run) put(d *dict, key, v value) error {
	hashed, err := r.hash(key)
	if err != nil {
		return err
	}
	text, _ := key.(string)
	if err := r.alloc(int64(pairBytes + len(text))); err != nil {
		return err
	}
	d.set(key, hashed, v)
	return nil
}
