package jinja

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

func standardFilters(t *tables) map[string]operation {
	filters := map[string]operation{}
	// add adds a filter of any value; text one of text; items one of what a loop goes through.
	add := func(name, names string, required int, f func(r *run, v value, a []value) (value, error)) {
		filters[name] = fixed(name, names, required, f)
	}
	text := func(name, names string, required int, f func(r *run, s string, a []value) (value, error)) {
		filters[name] = onText(name, names, required, f)
	}
	items := func(name, names string, required int, f func(r *run, items []value, a []value) (value, error)) {
		add(name, names, required, func(r *run, v value, a []value) (value, error) {
			items, err := r.iterate(v)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			return f(r, items, a)
		})
	}

	text("trim", "chars", 0, func(r *run, s string, a []value) (value, error) { return r.strip(s, a[0], true, true) })
	text("upper", "", 0, func(r *run, s string, _ []value) (value, error) { return r.upper(s) })
	text("lower", "", 0, func(r *run, s string, _ []value) (value, error) { return r.lower(s) })
	text("title", "", 0, func(r *run, s string, _ []value) (value, error) { return r.capitalize(s, separator) })
	text("capitalize", "", 0, func(r *run, s string, _ []value) (value, error) { return r.capitalize(s, nothing) })
	text("replace", "old new count", 2, replaceText)
	text("center", "width", 0, func(r *run, s string, a []value) (value, error) {
		return r.pad(s, pick[value](given(a[0]), a[0], int64(80)), " ", 1)
	})
	text("indent", "width first blank", 0, func(r *run, s string, a []value) (value, error) {
		return r.indent(s, pick[value](given(a[0]), a[0], int64(4)), truth(a[1]), truth(a[2]))
	})
	text("string", "", 0, func(_ *run, s string, _ []value) (value, error) { return s, nil })
	text("safe", "", 0, func(_ *run, s string, _ []value) (value, error) { return s, nil })
	text("escape", "", 0, escapeHTML)
	text("e", "", 0, escapeHTML)
	filters["format"] = func(r *run, v value, a arguments) (value, error) {
		s, err := r.text(v)
		if err != nil {
			return nil, err
		}
		if len(a.names) > 0 {
			return nil, errors.New("format: named values are not supported here")
		}
		return r.printf(s, &list{items: a.positional, tuple: true})
	}

	for _, name := range []string{"default", "d"} {
		add(name, "default_value boolean", 0, func(_ *run, v value, a []value) (value, error) {
			if given(v) && (!truth(a[1]) || truth(v)) {
				return v, nil
			}
			return pick[value](given(a[0]), a[0], ""), nil
		})
	}
	for _, name := range []string{"length", "count"} {
		add(name, "", 0, func(r *run, v value, _ []value) (value, error) {
			n, err := length(v)
			return int64(n), err
		})
	}
	add("int", "default base", 0, toInteger)
	add("float", "default", 0, toFloat)
	add("abs", "", 0, func(_ *run, v value, _ []value) (value, error) {
		n, ok := numeric(v)
		switch {
		case !ok:
			return nil, fmt.Errorf("abs: %s, expected a number", describe(v))
		case n.float:
			return math.Abs(n.f), nil
		case n.i == math.MinInt64:
			return nil, errOverflow
		}
		return max(n.i, -n.i), nil
	})
	add("round", "precision method", 0, round)
	add("tojson", "ensure_ascii indent separators sort_keys", 0, toJSON)
	add("items", "", 0, func(r *run, v value, _ []value) (value, error) {
		switch v := v.(type) {
		case *dict:
			return r.pairs(v)
		case undefined:
			return &list{}, nil
		}
		return nil, fmt.Errorf("items: %s, expected an object", describe(v))
	})
	add("dictsort", "case_sensitive by reverse", 0, func(r *run, v value, a []value) (value, error) {
		d, ok := v.(*dict)
		if !ok {
			return nil, fmt.Errorf("dictsort: %s, expected an object", describe(v))
		}
		by := 0
		switch {
		case given(a[1]) && a[1] == "value":
			by = 1
		case given(a[1]) && a[1] != "key":
			return nil, errors.New(`dictsort: by must be "key" or "value"`)
		}
		return r.dictSort(d, truth(a[0]), by, truth(a[2]))
	})
	add("first", "", 0, func(r *run, v value, _ []value) (value, error) { return r.end(v, false) })
	add("last", "", 0, func(r *run, v value, _ []value) (value, error) { return r.end(v, true) })
	items("list", "", 0, func(_ *run, items []value, _ []value) (value, error) { return &list{items: items}, nil })
	add("reverse", "", 0, func(r *run, v value, _ []value) (value, error) {
		s, isText := v.(string)
		if isText {
			v, err := r.slice(s, nil, nil, int64(-1))
			return v, err
		}
		items, err := r.iterate(v)
		if err != nil {
			return nil, fmt.Errorf("reverse: %w", err)
		}
		return r.slice(&list{items: items}, nil, nil, int64(-1))
	})
	items("join", "d attribute", 0, func(r *run, items []value, a []value) (value, error) {
		sep := ""
		if given(a[0]) {
			var err error
			if sep, err = r.text(a[0]); err != nil {
				return nil, err
			}
		}
		keys, err := r.keys(items, a[1], nil)
		if err != nil {
			return nil, err
		}
		return r.joinAll(&list{items: keys}, sep, false)
	})
	items("sum", "attribute start", 0, func(r *run, items []value, a []value) (value, error) {
		keys, err := r.keys(items, a[0], nil)
		if err != nil {
			return nil, err
		}
		total := pick[value](given(a[1]), a[1], int64(0))
		for _, key := range keys {
			if total, err = r.calculate("+", total, key); err != nil {
				return nil, err
			}
		}
		return total, nil
	})
	items("sort", "reverse case_sensitive attribute", 0, func(r *run, items []value, a []value) (value, error) {
		keys, err := r.keys(items, a[2], pick[func(string) (string, error)](truth(a[1]), nil, r.lower))
		if err != nil {
			return nil, err
		}
		sorted, err := r.sort(items, keys, truth(a[0]))
		return &list{items: sorted}, err
	})
	items("unique", "case_sensitive attribute", 0, unique)
	for _, name := range []string{"min", "max"} {
		items(name, "case_sensitive attribute", 0, func(r *run, items []value, a []value) (value, error) {
			keys, err := r.keys(items, a[1], pick[func(string) (string, error)](truth(a[0]), nil, r.lower))
			if err != nil || len(items) == 0 {
				return undefined{name + " of nothing"}, err
			}
			best := 0
			for i := range keys {
				order, err := r.compare(keys[i], keys[best], 0)
				if err != nil {
					return nil, err
				}
				if name == "min" && order < 0 || name == "max" && order > 0 {
					best = i
				}
			}
			return items[best], nil
		})
	}
	items("batch", "linecount fill_with", 1, batch)
	filters["map"] = t.mapFilter
	filters["select"] = t.selectFilter("select", false, true)
	filters["reject"] = t.selectFilter("reject", false, false)
	filters["selectattr"] = t.selectFilter("selectattr", true, true)
	filters["rejectattr"] = t.selectFilter("rejectattr", true, false)
	return filters
}

func escapeHTML(r *run, s string, _ []value) (value, error) {
	b := &buffer{run: r}
	escapes := map[rune]string{'&': "&amp;", '<': "&lt;", '>': "&gt;", '"': "&#34;", '\'': "&#39;"}
	from := 0
	for i, c := range s {
		p := r.marks.plainRune(c)
		escaped, ok := escapes[p]
		if !ok {
			continue
		}
		if p != c {
			escaped = r.marks.markText(escaped)
		}
		if err := b.write(s[from:i] + escaped); err != nil {
			return nil, err
		}
		from = i + len(string(c))
	}
	err := b.write(s[from:])
	return b.String(), err
}

func toInteger(r *run, v value, a []value) (value, error) {
	otherwise := pick[value](given(a[0]), a[0], int64(0))
	base, err := count("int", a[1], 10)
	if err != nil {
		return nil, err
	}
	if s, ok := v.(string); ok {
		s = strings.TrimFunc(r.marks.plain(s), isSpace)
		if base < 2 || base > 36 {
			return otherwise, nil
		}
		if n, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), int(base), 64); err == nil {
			return n, nil
		}
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || math.Abs(f) >= 1<<62 || math.IsNaN(f) {
			return otherwise, nil
		}
		return int64(f), nil
	}
	n, ok := numeric(v)
	switch {
	case !ok:
		return otherwise, nil
	case !n.float:
		return n.i, nil
	case math.Abs(n.f) < 1<<62:
		return int64(n.f), nil
	}
	return otherwise, nil
}

func toFloat(r *run, v value, a []value) (value, error) {
	if s, ok := v.(string); ok {
		if f, err := strconv.ParseFloat(strings.TrimFunc(r.marks.plain(s), isSpace), 64); err == nil {
			return f, nil
		}
	} else if n, ok := numeric(v); ok {
		return n.f, nil
	}
	return pick[value](given(a[0]), a[0], 0.0), nil
}

func round(_ *run, v value, a []value) (value, error) {
	n, ok := numeric(v)
	if !ok {
		return nil, fmt.Errorf("round: %s, expected a number", describe(v))
	}
	digits, err := count("round", a[0], 0)
	if err != nil {
		return nil, err
	}
	if !n.float && digits >= 0 && !given(a[1]) {
		return v, nil
	}
	scale := math.Pow(10, float64(min(max(digits, -400), 400)))
	f := math.RoundToEven
	switch {
	case !given(a[1]) || a[1] == "common":
		if digits >= 0 { // correctly rounded, as Python's round
			f, _ := strconv.ParseFloat(strconv.FormatFloat(n.f, 'f', int(min(digits, 400)), 64), 64)
			return f, nil
		}
	case a[1] == "ceil":
		f = math.Ceil
	case a[1] == "floor":
		f = math.Floor
	default:
		return nil, errors.New(`round: the method must be "common", "ceil" or "floor"`)
	}
	return f(n.f*scale) / scale, nil
}

// end returns the first or the last of what a loop goes through.
func (r *run) end(v value, last bool) (value, error) {
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
	keys, err := r.keys(pairs.items, int64(by), pick[func(string) (string, error)](caseSensitive, nil, r.lower))
	if err != nil {
		return nil, err
	}
	sorted, err := r.sort(pairs.items, keys, reverse)
	return &list{items: sorted}, err
}

func unique(r *run, items []value, a []value) (value, error) {
	keys, err := r.keys(items, a[1], pick[func(string) (string, error)](truth(a[0]), nil, r.lower))
	if err != nil {
		return nil, err
	}
	if err := r.makeList(int64(len(items))); err != nil {
		return nil, err
	}
	seen, out := &list{}, &list{}
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
	n, err := count("batch", a[0], 0)
	if err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, fmt.Errorf("batch: %d items, expected at least 1", n)
	}
	if err := r.makeList(4 * int64(len(items))); err != nil {
		return nil, err
	}
	out := &list{}
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
	out := &list{items: make([]value, len(items))}
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
		out := &list{}
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

// toJSON writes JSON as Python's json.dumps does, with the arguments of the transformers library's filter.
func toJSON(r *run, v value, a []value) (value, error) {
	j := &jsonWriter{buffer: buffer{run: r}, comma: ", ", colon: ": ", ascii: given(a[0]) && truth(a[0]), sorted: truth(a[3])}
	if given(a[1]) && a[1] != nil {
		n, err := count("tojson", a[1], 0)
		if err != nil {
			return nil, err
		}
		if n > 100 {
			return nil, r.limit("tojson: an indent of %d, more than 100", n)
		}
		j.indent, j.pretty, j.comma = strings.Repeat(" ", int(max(n, 0))), true, ","
	}
	if given(a[2]) && a[2] != nil {
		l, ok := a[2].(*list)
		if !ok || len(l.items) != 2 {
			return nil, errors.New("tojson: expected two separators")
		}
		text, err := texts("tojson", l.items...)
		if err != nil {
			return nil, err
		}
		j.comma, j.colon = text[0], text[1]
	}
	err := j.value(v, 0)
	return j.String(), err
}

// jsonWriter is the state of toJSON.
type jsonWriter struct {
	buffer
	comma, colon, indent  string
	pretty, ascii, sorted bool
}

func (j *jsonWriter) value(v value, depth int) error {
	if err := j.run.step(); err != nil {
		return err
	}
	if depth > maxDepth {
		return j.run.limit("a value nested deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case nil:
		return j.write("null")
	case bool:
		return j.write(pick(v, "true", "false"))
	case int64:
		return j.write(strconv.FormatInt(v, 10))
	case number:
		return j.write(j.run.marks.markText(string(v)))
	case float64:
		return j.write(formatFloat(v))
	case string:
		return j.write(j.run.marks.quoteJSON(v, j.ascii))
	case *list:
		return j.collection("[", "]", len(v.items), depth, func(i int) error { return j.value(v.items[i], depth+1) })
	case *dict:
		at := make([]int, len(v.keys))
		for i := range at {
			at[i] = i
		}
		if j.sorted {
			if err := j.run.work(64 * len(at)); err != nil {
				return err
			}
			slices.SortFunc(at, func(a, b int) int {
				return strings.Compare(j.run.marks.plain(v.keys[a]), j.run.marks.plain(v.keys[b]))
			})
		}
		return j.collection("{", "}", len(at), depth, func(i int) error {
			if err := j.write(j.run.marks.quoteJSON(v.keys[at[i]], j.ascii) + j.colon); err != nil {
				return err
			}
			return j.value(v.values[at[i]], depth+1)
		})
	}
	return fmt.Errorf("tojson: %s is no JSON", describe(v))
}

func (j *jsonWriter) collection(open, end string, n, depth int, item func(i int) error) error {
	if err := j.write(open); err != nil {
		return err
	}
	line := func(depth int) error {
		if !j.pretty || n == 0 {
			return nil
		}
		return j.write("\n" + strings.Repeat(j.indent, depth))
	}
	for i := range n {
		if i > 0 {
			if err := j.write(j.comma); err != nil {
				return err
			}
		}
		if err := line(depth + 1); err != nil {
			return err
		}
		if err := item(i); err != nil {
			return err
		}
	}
	if err := line(depth); err != nil {
		return err
	}
	return j.write(end)
}

// quoteJSON writes a string as JSON.
func (m *marks) quoteJSON(s string, ascii bool) string {
	escapes := map[rune]string{'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`}
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		p := m.plainRune(c)
		switch escaped, ok := escapes[p]; {
		case ok:
			b.WriteString(escaped)
		case p < ' ', ascii && p == unicode.MaxASCII, ascii && p > unicode.MaxASCII && p <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, p)
		case ascii && p > 0xffff:
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(p-0x10000)>>10, 0xdc00+(p-0x10000)&0x3ff)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
