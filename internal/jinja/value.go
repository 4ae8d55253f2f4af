package jinja

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/gogemma/gemma4/internal/python"
)

// value is a value of a template: nil (none), undefined, bool, int64, float64, number, string, *list, *dict, *namespace,
// *function or *loop. Lists and dicts never change once made, as in Jinja's immutable sandbox, so no value can hold
// itself except through a namespace.
type value any

// undefined is what a missing variable, attribute or item gives; what names it in errors.
type undefined struct{ what string }

// number is a number as JSON wrote it.
type number string

// list is a Python list or tuple, or one of the sequences that view names.
type list struct {
	items  []value
	tuple  bool
	view   string   // dict_keys, dict_values, dict_items, generator, or a range as Python writes it
	fields []string // the names of a tuple's items, where they have some
}

// generator is the view of what is made one by one: it is always true, has no length, and what was taken from it is gone.
const generator = "generator"

func newGenerator(items []value) *list { return &list{items: items, view: generator} }

// indexed reports whether the list has items by number.
func (l *list) indexed() bool { return l.view == "" || strings.HasPrefix(l.view, "range") }

// take returns the items of a list, or the first n of them; a generator has them no more.
func (l *list) take(n int) []value {
	items := l.items
	if l.view == generator {
		l.items = items[n:]
	}
	return items[:n]
}

// dict keeps its keys in the order of insertion: text, numbers, booleans and none. index has them as hash makes them.
type dict struct {
	keys   []value
	values []value
	index  map[any]int
}

// namespace is Jinja's only object that a template can change.
type namespace struct{ vars map[string]value }

func newDict() *dict { return &dict{index: map[any]int{}} }

// get returns the value at a key as hash makes it; for text that is the plain text.
func (d *dict) get(key any) (value, bool) {
	if i, ok := d.index[key]; ok {
		return d.values[i], true
	}
	return nil, false
}

// set adds a key that hash makes hashed of; a key that is there keeps its place and gets the new value.
func (d *dict) set(key value, hashed any, v value) {
	if i, ok := d.index[hashed]; ok {
		d.values[i] = v
		return
	}
	d.index[hashed] = len(d.keys)
	d.keys = append(d.keys, key)
	d.values = append(d.values, v)
}

// hash makes of a value what finds it in a dict: the same for all that are equal.
func (r *run) hash(v value) (any, error) {
	switch text := v.(type) {
	case nil:
		return nil, nil
	case string:
		if hasMarkLead(text) {
			v = r.marks.plain(text)
		}
		return v, r.work(len(text))
	}
	n, ok := numeric(v)
	switch {
	case !ok:
		return nil, fmt.Errorf("%s as a key, expected a string, a number, a boolean or none", describe(v))
	case n.float && n.wide == nil && n.f == math.Trunc(n.f) && math.Abs(n.f) < 1<<63:
		return int64(n.f), nil
	case n.wide != nil:
		return number(n.wide.String()), nil
	case n.float && !math.IsInf(n.f, 0) && n.f == math.Trunc(n.f):
		return number(exactNumber(n).Text('f', 0)), nil
	case n.float:
		return n.f, nil
	}
	return n.i, nil
}

// pairs returns the dict as a list of tuples.
func (d *dict) pairs() *list {
	l := &list{items: make([]value, len(d.keys))}
	for i, k := range d.keys {
		l.items[i] = &list{items: []value{k, d.values[i]}, tuple: true}
	}
	return l
}

func typeName(v value) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case undefined:
		return "undefined"
	case bool:
		return "boolean"
	case int64, number:
		return "number"
	case float64:
		return "number"
	case string:
		return "string"
	case *list:
		if v.tuple {
			return "tuple"
		}
		return "list"
	case *dict:
		return "object"
	case *namespace:
		return "namespace"
	case *function:
		return "function"
	case *cycler:
		return "cycler"
	default:
		return "loop"
	}
}

// truth is Python's bool(v).
func truth(v value) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case *list:
		return len(v.items) > 0 || v.view == generator
	case *dict:
		return len(v.keys) > 0
	}
	if n, ok := numeric(v); ok {
		return n.f != 0
	}
	return true
}

// num is a number to calculate with: an integer unless float is set. f always holds the value.
type num struct {
	i     int64
	f     float64
	float bool
	wide  *big.Int // an integer beyond 64 bits, of which f is an approximation: it can be compared, not calculated with
}

// numeric returns v as a number; booleans count as 0 and 1, as in Python.
func numeric(v value) (num, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return num{i: 1, f: 1}, true
		}
		return num{}, true
	case int64:
		return num{i: v, f: float64(v)}, true
	case float64:
		return num{f: v, float: true}, true
	case number:
		if isInteger(v) {
			if i, err := strconv.ParseInt(string(v), 10, 64); err == nil {
				return num{i: i, f: float64(i)}, true
			}
		}
		f, _ := strconv.ParseFloat(string(v), 64) // out of range: the infinity that comes with the error
		n := num{f: f, float: true}
		if isInteger(v) {
			n.wide, _ = new(big.Int).SetString(string(v), 10)
		}
		return n, true
	}
	return num{}, false
}

func isInteger(n number) bool { return !strings.ContainsAny(string(n), ".eE") }

// integer returns v as an integer, for indices and counts.
func integer(v value) (int64, bool) {
	n, ok := numeric(v)
	return n.i, ok && !n.float
}

// text is Python's str(v).
func (r *run) text(v value) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	b := &buffer{run: r}
	err := b.repr(v, true, 0)
	return b.String(), err
}

// repr appends Python's repr(v); with str set, str(v), which differs for strings and undefined.
func (b *buffer) repr(v value, str bool, depth int) error {
	if err := b.run.step(); err != nil {
		return err
	}
	if depth > maxDepth {
		return b.run.limit("a value nested deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case nil:
		return b.write("None")
	case undefined:
		if str {
			return nil
		}
		return b.write("Undefined")
	case bool:
		return b.write(pick(v, "True", "False"))
	case int64:
		return b.write(strconv.FormatInt(v, 10))
	case float64:
		return b.write(python.FormatFloat(v))
	case number:
		return b.write(b.run.marks.markText(string(v)))
	case string:
		if str {
			return b.write(v)
		}
		return b.write(b.run.marks.quotePython(v))
	case *list:
		return b.reprList(v, depth)
	case *dict:
		return b.reprDict(v, depth)
	}
	return errors.New(describe(v) + " has no text of its own")
}

func (b *buffer) reprDict(d *dict, depth int) error {
	if b.sorted {
		pairs, err := b.run.dictSort(d, true, 0, false)
		if err != nil {
			return err
		}
		d = &dict{}
		for _, pair := range pairs.items {
			items := pair.(*list).items
			d.keys, d.values = append(d.keys, items[0]), append(d.values, items[1])
		}
	}
	for i, k := range d.keys {
		if err := b.write(pick(i == 0, "{", ", ")); err != nil {
			return err
		}
		if err := b.repr(k, false, depth+1); err != nil {
			return err
		}
		if err := b.write(": "); err != nil {
			return err
		}
		if err := b.repr(d.values[i], false, depth+1); err != nil {
			return err
		}
	}
	return b.write(pick(len(d.keys) == 0, "{}", "}"))
}

func (b *buffer) reprList(l *list, depth int) error {
	switch {
	case l.view == generator:
		return errors.New("a generator has no text of its own, expected | list or | join")
	case l.view != "" && l.indexed():
		return b.write(l.view)
	}
	open, end := "[", "]"
	if l.view != "" {
		open, end = l.view+"([", "])"
	}
	if l.tuple {
		open, end = "(", ")"
		if len(l.items) == 1 {
			end = ",)"
		}
	}
	if err := b.write(open); err != nil {
		return err
	}
	for i, item := range l.items {
		if i > 0 {
			if err := b.write(", "); err != nil {
				return err
			}
		}
		if err := b.repr(item, false, depth+1); err != nil {
			return err
		}
	}
	return b.write(end)
}

// quotePython is Python's repr of a string: what stands for itself there keeps its mark.
func (m *marks) quotePython(s string) string {
	if !hasMarkLead(s) {
		return python.Quote(s)
	}
	quote := python.QuoteFor(m.plain(s))
	var b strings.Builder
	b.WriteRune(quote)
	for _, r := range s {
		p := m.plainRune(r)
		escaped := python.Escape(p, quote)
		if own := python.Character(p); p != r && strings.HasSuffix(escaped, own) {
			escaped = strings.TrimSuffix(escaped, own) + python.Character(r)
		}
		b.WriteString(escaped)
	}
	b.WriteRune(quote)
	return b.String()
}

// equal is Python's a == b.
func (r *run) equal(a, b value, depth int) (bool, error) {
	if err := r.step(); err != nil {
		return false, err
	}
	if depth > maxDepth {
		return false, r.limit("a value nested deeper than %d", maxDepth)
	}
	switch a := a.(type) {
	case nil:
		return b == nil, nil
	case undefined:
		_, ok := b.(undefined)
		return ok, nil
	case string:
		b, ok := b.(string)
		if !ok {
			return false, nil
		}
		if err := r.work(len(a) + len(b)); err != nil {
			return false, err
		}
		return r.marks.plain(a) == r.marks.plain(b), nil
	case *list:
		b, ok := b.(*list)
		if !ok || a.tuple != b.tuple || len(a.items) != len(b.items) || a.indexed() != b.indexed() || a.view == "" != (b.view == "") {
			return false, nil
		}
		if a.view == generator {
			return a == b, nil
		}
		for i := range a.items {
			if same, err := r.equal(a.items[i], b.items[i], depth+1); !same || err != nil {
				return false, err
			}
		}
		return true, nil
	case *dict:
		b, ok := b.(*dict)
		if !ok || len(a.keys) != len(b.keys) {
			return false, nil
		}
		for key, i := range a.index {
			other, ok := b.get(key)
			if !ok {
				return false, nil
			}
			if same, err := r.equal(a.values[i], other, depth+1); !same || err != nil {
				return false, err
			}
		}
		return true, nil
	}
	if n, ok := numeric(a); ok {
		if m, ok := numeric(b); ok {
			if x, ok := a.(number); ok && a == b {
				return x != "", nil // alike as written, integers beyond 64 bits included
			}
			return compareNumbers(n, m) == 0, nil
		}
		return false, nil
	}
	return a == b, nil
}

// compare is -1, 0 or 1 for Python's order of a and b; an error where Python has none.
func (r *run) compare(a, b value, depth int) (int, error) {
	if err := r.step(); err != nil {
		return 0, err
	}
	if depth > maxDepth {
		return 0, r.limit("a value nested deeper than %d", maxDepth)
	}
	if n, ok := numeric(a); ok {
		if m, ok := numeric(b); ok {
			return compareNumbers(n, m), nil
		}
	}
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(r.marks.plain(a), r.marks.plain(b)), r.work(len(a) + len(b))
		}
	case *list:
		b, ok := b.(*list)
		if !ok || a.tuple != b.tuple || a.view != "" || b.view != "" {
			break
		}
		for i := range min(len(a.items), len(b.items)) {
			if same, err := r.equal(a.items[i], b.items[i], depth+1); err != nil {
				return 0, err
			} else if !same {
				return r.compare(a.items[i], b.items[i], depth+1)
			}
		}
		return compareInts(int64(len(a.items)), int64(len(b.items))), nil
	}
	return 0, fmt.Errorf("cannot order %s and %s", describe(a), describe(b))
}

func compareNumbers(a, b num) int {
	if !a.float && !b.float {
		return compareInts(a.i, b.i)
	}
	if a.wide != nil || b.wide != nil {
		return exactNumber(a).Cmp(exactNumber(b))
	}
	if a.float != b.float && math.Abs(a.f) >= 1<<53 && !math.IsInf(a.f, 0) && !math.IsInf(b.f, 0) {
		return exactNumber(a).Cmp(exactNumber(b))
	}
	switch {
	case a.f < b.f:
		return -1
	case a.f == b.f:
		return 0
	default: // also NaN: equal to nothing
		return 1
	}
}

func exactNumber(n num) *big.Float {
	if n.wide != nil {
		return new(big.Float).SetInt(n.wide)
	}
	if n.float {
		return big.NewFloat(pick(math.IsNaN(n.f), math.MaxFloat64, n.f))
	}
	return new(big.Float).SetInt64(n.i)
}

func compareInts(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a == b:
		return 0
	default:
		return 1
	}
}

// describe names a value in an error, by its name if it is undefined, else by its type.
func describe(v value) string {
	if u, ok := v.(undefined); ok {
		if u.what != "" {
			return u.what + ", which is undefined"
		}
		return "an undefined value"
	}
	return "a value of type " + typeName(v)
}

func pick[T any](condition bool, yes, no T) T {
	if condition {
		return yes
	}
	return no
}
