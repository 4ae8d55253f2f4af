package jinja

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func reverse(r *run, v value, _ []value) (value, error) {
	if s, ok := v.(string); ok {
		return r.slice(s, nil, nil, int64(-1))
	}
	items, err := r.iterate(v)
	if err != nil {
		return nil, fmt.Errorf("reverse: %w", err)
	}
	l, isList := v.(*list)
	v, err = r.slice(&list{items: items}, nil, nil, int64(-1))
	if err == nil && !(isList && l.view == generator) {
		v.(*list).view = generator
	}
	return v, err
}

func joinItems(r *run, items []value, a []value) (value, error) {
	sep, err := r.text(or(a[0], ""))
	if err != nil {
		return nil, err
	}
	keys, err := r.keys(items, a[1], nil)
	if err != nil {
		return nil, err
	}
	return r.joinAll(&list{items: keys}, sep, false)
}

func sum(r *run, items []value, a []value) (value, error) {
	keys, err := r.keys(items, a[0], nil)
	if err != nil {
		return nil, err
	}
	total := or(a[1], int64(0))
	if _, ok := total.(string); ok {
		return nil, errors.New("sum: a start that is a string, expected | join")
	}
	if err := r.count(int64(len(keys))); err != nil { // adding numbers alone costs nothing
		return nil, err
	}
	for _, key := range keys {
		if total, err = r.calculate("+", total, key); err != nil {
			return nil, err
		}
	}
	return total, nil
}

func sortItems(r *run, items []value, a []value) (value, error) {
	keys, err := r.paths(items, a[2], r.caseOf(a[1]))
	if err != nil {
		return nil, err
	}
	sorted, err := r.sort(items, keys, truth(a[0]))
	return &list{items: sorted}, err
}

// extreme is the filter min or max.
func (r *run) extreme(name string, items []value, a []value) (value, error) {
	keys, err := r.keys(items, a[1], r.caseOf(a[0]))
	if err != nil || len(items) == 0 {
		return undefined{name + " of nothing"}, err
	}
	best := 0
	for i := 1; i < len(keys); i++ {
		order, err := r.compare(keys[i], keys[best], 0)
		if err != nil {
			return nil, err
		}
		if name == "min" && order < 0 || name == "max" && order > 0 {
			best = i
		}
	}
	return items[best], nil
}

// caseOf returns what strings are compared by: themselves if capitals count, which is nil, else their lower case.
func (r *run) caseOf(sensitive value) func(string) (string, error) {
	if truth(sensitive) {
		return nil
	}
	return r.lower
}

// groupBy returns tuples of an attribute's value, grouper, and the items that have it, list.
func groupBy(r *run, v value, a []value) (value, error) {
	items, err := r.iterate(v)
	if err != nil {
		return nil, fmt.Errorf("groupby: %w", err)
	}
	lower := r.caseOf(a[2])
	groupers, err := r.keys(items, a[0], nil)
	if err != nil {
		return nil, err
	}
	groupers = slices.Clone(groupers)
	keys := make([]value, len(groupers))
	for i := range groupers {
		if !given(groupers[i]) && given(a[1]) {
			groupers[i] = a[1]
		}
		keys[i] = groupers[i]
		if s, ok := keys[i].(string); ok && lower != nil {
			if keys[i], err = lower(s); err != nil {
				return nil, err
			}
		}
	}
	at := make([]value, len(items))
	for i := range at {
		at[i] = int64(i)
	}
	if err := r.makeList(10 * int64(len(items))); err != nil {
		return nil, err
	}
	sorted, err := r.sort(at, keys, false)
	if err != nil {
		return nil, err
	}
	out := &list{}
	var last value
	for i, v := range sorted {
		at := v.(int64)
		same := i > 0
		if same {
			if same, err = r.equal(last, keys[at], 0); err != nil {
				return nil, err
			}
		}
		if last = keys[at]; !same {
			group := &list{items: []value{groupers[at], &list{}}, tuple: true, fields: []string{"grouper", "list"}}
			out.items = append(out.items, group)
		}
		group := out.items[len(out.items)-1].(*list).items[1].(*list)
		group.items = append(group.items, items[at])
	}
	return out, nil
}

// slice cuts items into so many columns.
func slice(r *run, items []value, a []value) (value, error) {
	n, err := intArgument("slice", a[0], 0)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, errors.New("division by zero")
	}
	n = max(n, 0)
	if err := r.makeList(min(n, 1<<32)*3 + int64(len(items))*2); err != nil {
		return nil, err
	}
	out := newGenerator(nil)
	for i := range n {
		size := int64(len(items)) / (n - i)
		longer := int64(len(items))%(n-i) > 0
		if longer {
			size++
		}
		column := slices.Clone(items[:size])
		items = items[size:]
		if !longer && given(a[1]) && a[1] != nil {
			column = append(column, a[1])
		}
		out.items = append(out.items, &list{items: column})
	}
	return out, nil
}

// end returns the first or the last of what a loop goes through.
func (r *run) end(v value, last bool) (value, error) {
	if l, ok := v.(*list); ok && l.view == generator {
		if last {
			return nil, errors.New("a generator has no last item, expected | list before")
		}
		if len(l.items) == 0 {
			return undefined{"an item of nothing"}, nil
		}
		return l.take(1)[0], nil
	}
	items, err := r.iterate(v)
	switch {
	case err != nil:
		return nil, err
	case len(items) == 0:
		return undefined{"an item of nothing"}, nil
	}
	return items[pick(last, len(items)-1, 0)], nil
}

// keys returns what items are sorted, grouped or summed by: the attribute (a.b.0), or the item itself; lower maps strings.
func (r *run) keys(items []value, attribute value, lower func(string) (string, error)) ([]value, error) {
	if (!given(attribute) || attribute == nil) && lower == nil {
		return items, nil
	}
	if err := r.makeList(int64(len(items))); err != nil {
		return nil, err
	}
	keys := make([]value, len(items))
	for i, item := range items {
		var err error
		if keys[i], err = r.path(item, attribute); err != nil {
			return nil, err
		}
		if s, ok := keys[i].(string); ok && lower != nil {
			if keys[i], err = lower(s); err != nil {
				return nil, err
			}
		}
	}
	return keys, nil
}

// path follows an attribute such as a.b.0.
func (r *run) path(v, attribute value) (value, error) {
	if !given(attribute) || attribute == nil {
		return v, nil
	}
	if _, ok := integer(attribute); ok {
		return r.item(v, attribute)
	}
	s, ok := attribute.(string)
	if !ok {
		return nil, fmt.Errorf("attribute: %s, expected a string or an integer", describe(attribute))
	}
	if err := r.work(len(s)); err != nil {
		return nil, err
	}
	for part := range strings.SplitSeq(r.marks.plain(s), ".") {
		if err := r.step(); err != nil {
			return nil, err
		}
		var key value = part
		if n, err := strconv.ParseInt(part, 10, 64); err == nil {
			key = n
		}
		var err error
		if v, err = r.item(v, key); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// paths is keys for an attribute that may be several with commas between them. Each is a list, so that equals need no order.
func (r *run) paths(items []value, attribute value, lower func(string) (string, error)) ([]value, error) {
	names := []value{attribute}
	if s, ok := attribute.(string); ok {
		s = r.marks.plain(s)
		if err := r.makeList(2 * int64(strings.Count(s, ","))); err != nil {
			return nil, err
		}
		names = nil
		for name := range strings.SplitSeq(s, ",") {
			names = append(names, name)
		}
	}
	all := make([]value, len(items))
	for i := range all {
		all[i] = &list{}
	}
	for _, name := range names {
		keys, err := r.keys(items, name, lower)
		if err == nil {
			err = r.makeList(2 * int64(len(items)))
		}
		if err != nil {
			return nil, err
		}
		for i := range all {
			all[i].(*list).items = append(all[i].(*list).items, keys[i])
		}
	}
	return all, nil
}

// sort returns items in the order of their keys; items with the same key stay in theirs.
func (r *run) sort(items, keys []value, reverse bool) ([]value, error) {
	if err := r.makeList(2 * int64(len(items))); err != nil {
		return nil, err
	}
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	var failed error
	slices.SortStableFunc(order, func(a, b int) int {
		if failed != nil {
			return 0
		}
		c, err := r.compare(keys[a], keys[b], 0)
		failed = err
		return pick(reverse, -c, c)
	})
	sorted := make([]value, len(items))
	for i, at := range order {
		sorted[i] = items[at]
	}
	return sorted, failed
}

// dictSort returns a dict's entries as tuples, sorted by key (0) or value (1).
func (r *run) dictSort(d *dict, caseSensitive bool, by int, reverse bool) (*list, error) {
	pairs, err := r.pairs(d)
	if err != nil {
		return nil, err
	}
	keys, err := r.keys(pairs.items, int64(by), r.caseOf(caseSensitive))
	if err != nil {
		return nil, err
	}
	sorted, err := r.sort(pairs.items, keys, reverse)
	return &list{items: sorted}, err
}

func unique(r *run, items []value, a []value) (value, error) {
	keys, err := r.keys(items, a[1], r.caseOf(a[0]))
	if err != nil {
		return nil, err
	}
	if err := r.makeList(int64(len(items))); err != nil {
		return nil, err
	}
	seen, out := &list{}, newGenerator(nil)
	for i, key := range keys {
		known, err := r.contains(seen, key)
		if err != nil {
			return nil, err
		}
		if !known {
			seen.items = append(seen.items, key)
			out.items = append(out.items, items[i])
		}
	}
	return out, nil
}

func batch(r *run, items []value, a []value) (value, error) {
	n, err := intArgument("batch", a[0], 0)
	if err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, fmt.Errorf("batch: %d items, expected at least 1", n)
	}
	if err := r.makeList(4 * int64(len(items))); err != nil {
		return nil, err
	}
	out := newGenerator(nil)
	for len(items) > 0 {
		size := int(min(n, int64(len(items))))
		row := slices.Clone(items[:size])
		items = items[size:]
		if missing := n - int64(size); missing > 0 && given(a[1]) && a[1] != nil {
			fill, _, err := r.repeat(&list{items: []value{a[1]}}, missing)
			if err != nil {
				return nil, err
			}
			row = append(row, fill.(*list).items...)
		}
		out.items = append(out.items, &list{items: row})
	}
	return out, nil
}

// mapFilter applies a filter to every item, or takes an attribute of it.
func (t *tables) mapFilter(r *run, v value, a arguments) (value, error) {
	items, err := r.iterateTrue(v)
	if err != nil {
		return nil, fmt.Errorf("map: %w", err)
	}
	if err := r.makeList(int64(len(items))); err != nil {
		return nil, err
	}
	var apply func(item value) (value, error)
	if len(a.positional) > 0 {
		name, _ := a.positional[0].(string)
		name = r.marks.plain(name)
		f, ok := t.filters[name]
		if !ok {
			return nil, fmt.Errorf("map: unknown filter %.40q", name)
		}
		rest := arguments{a.positional[1:], a.names, a.named}
		if err := r.enter(); err != nil { // map('map', 'map', …)
			return nil, err
		}
		defer r.leave()
		apply = func(item value) (value, error) { return f(r, item, rest) }
	} else {
		bound, err := a.bind("map", []string{"attribute", "default"}, 1)
		if err != nil {
			return nil, err
		}
		apply = func(item value) (value, error) {
			v, err := r.path(item, bound[0])
			if err == nil && !given(v) && given(bound[1]) {
				v = bound[1]
			}
			return v, err
		}
	}
	out := newGenerator(make([]value, len(items)))
	for i, item := range items {
		if err := r.step(); err != nil {
			return nil, err
		}
		if out.items[i], err = apply(item); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// selectFilter keeps the items, or those whose attribute, passes a test (keep) or does not.
func (t *tables) selectFilter(name string, byAttribute, keep bool) operation {
	return func(r *run, v value, a arguments) (value, error) {
		items, err := r.iterateTrue(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		var attribute value = undefined{}
		if byAttribute {
			if len(a.positional) == 0 {
				return nil, fmt.Errorf("%s needs an attribute", name)
			}
			attribute, a.positional = a.positional[0], a.positional[1:]
		}
		test := func(_ *run, v value, _ arguments) (bool, error) { return truth(v), nil }
		if len(a.positional) > 0 {
			word, _ := a.positional[0].(string)
			word = r.marks.plain(word)
			f, ok := t.tests[word]
			if !ok {
				return nil, fmt.Errorf("%s: unknown test %.40q", name, word)
			}
			test, a.positional = f, a.positional[1:]
		}
		if err := r.makeList(int64(len(items))); err != nil {
			return nil, err
		}
		out := newGenerator(nil)
		for _, item := range items {
			if err := r.step(); err != nil {
				return nil, err
			}
			v, err := r.path(item, attribute)
			if err != nil {
				return nil, err
			}
			yes, err := test(r, v, a)
			if err != nil {
				return nil, err
			}
			if yes == keep {
				out.items = append(out.items, item)
			}
		}
		return out, nil
	}
}
