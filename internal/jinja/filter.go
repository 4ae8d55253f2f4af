package jinja

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gogemma/gemma4/internal/python"
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
	text("title", "", 0, func(r *run, s string, _ []value) (value, error) { return r.words(s) })
	text("capitalize", "", 0, func(r *run, s string, _ []value) (value, error) { return r.recase(s, true, nothing) })
	text("replace", "old new count", 2, replaceText)
	text("center", "width", 0, func(r *run, s string, a []value) (value, error) {
		return r.pad(s, pick[value](given(a[0]), a[0], int64(80)), " ", 1)
	})
	add("indent", "width first blank", 0, func(r *run, v value, a []value) (value, error) {
		s, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("indent: %s, expected a string", describe(v))
		}
		return r.indent(s, pick[value](given(a[0]), a[0], int64(4)), truth(a[1]), truth(a[2]))
	})
	text("string", "", 0, func(_ *run, s string, _ []value) (value, error) { return s, nil })
	text("safe", "", 0, func(_ *run, s string, _ []value) (value, error) { return s, nil })
	text("escape", "", 0, escapeHTML)
	text("e", "", 0, escapeHTML)
	text("forceescape", "", 0, escapeHTML)
	add("truncate", "length killwords end leeway", 0, func(r *run, v value, a []value) (value, error) {
		text, err := texts("truncate", v)
		if err != nil {
			return nil, err
		}
		return r.truncate(text[0], a)
	})
	add("urlencode", "", 0, func(r *run, v value, _ []value) (value, error) {
		switch v.(type) {
		case *list, *dict:
			return nil, fmt.Errorf("urlencode: %s, expected a string", describe(v))
		}
		s, err := r.text(v)
		if err != nil {
			return nil, err
		}
		b := &buffer{run: r}
		for _, c := range s {
			text := python.Character(c)
			p := r.marks.plainRune(c)
			if p >= utf8.RuneSelf || !isNameRune(p) && !strings.ContainsRune(".-~/", p) {
				text = ""
				for _, octet := range []byte(python.Character(p)) {
					text += fmt.Sprintf("%%%02X", octet)
				}
			}
			if err := b.write(text); err != nil {
				return nil, err
			}
		}
		return b.String(), nil
	})
	text("wordcount", "", 0, func(r *run, s string, _ []value) (value, error) {
		n, inWord := int64(0), false
		for _, c := range s {
			c = r.marks.plainRune(c)
			was := inWord
			inWord = c == '_' || unicode.IsLetter(c) || unicode.IsNumber(c)
			if inWord && !was {
				n++
			}
		}
		return n, nil
	})
	filters["format"] = func(r *run, v value, a arguments) (value, error) {
		s, err := r.text(v)
		if err != nil {
			return nil, err
		}
		if len(a.names) == 0 {
			return r.printf(s, &list{items: a.positional, tuple: true})
		}
		if len(a.positional) > 0 {
			return nil, errors.New("format: values with and without names")
		}
		named := newDict()
		for i, name := range a.names {
			if err := r.put(named, name, a.named[i]); err != nil {
				return nil, err
			}
		}
		return r.printf(s, named)
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
		case n.wide != nil:
			return nil, errOverflow
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
			l, err := r.pairs(v)
			l.view = generator
			return l, err
		case undefined:
			return newGenerator(nil), nil
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
	add("groupby", "attribute default case_sensitive", 1, groupBy)
	add("pprint", "", 0, func(r *run, v value, _ []value) (value, error) {
		b := &buffer{run: r, sorted: true}
		err := b.repr(v, false, 0)
		if err == nil && utf8.RuneCountInString(b.String()) > 80 {
			err = errors.New("pprint: more than 80 characters, which would take several lines")
		}
		return b.String(), err
	})
	add("attr", "name", 1, func(r *run, v value, a []value) (value, error) {
		name, err := texts("attr", a[0])
		if err == nil && !given(v) {
			err = errors.New(describe(v) + ", and has no attributes")
		}
		if err != nil {
			return nil, err
		}
		if item, ok := r.member(v, r.marks.plain(name[0])); ok {
			return item, nil
		}
		return undefined{"an attribute"}, nil
	})
	add("filesizeformat", "binary", 0, fileSize)
	for _, name := range []string{"random", "striptags", "urlize", "wordwrap", "xmlattr"} {
		filters[name] = func(*run, value, arguments) (value, error) {
			return nil, fmt.Errorf("filter %s of Jinja is not supported in chat templates", name)
		}
	}
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
		l, isList := v.(*list)
		v, err = r.slice(&list{items: items}, nil, nil, int64(-1))
		if err == nil && !(isList && l.view == generator) {
			v.(*list).view = generator
		}
		return v, err
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
	})
	items("sort", "reverse case_sensitive attribute", 0, func(r *run, items []value, a []value) (value, error) {
		keys, err := r.paths(items, a[2], pick[func(string) (string, error)](truth(a[1]), nil, r.lower))
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
		})
	}
	items("batch", "linecount fill_with", 1, batch)
	items("slice", "slices fill_with", 1, slice)
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

// toInteger is the filter int: what Python's int makes of the value, or its float.
func toInteger(r *run, v value, a []value) (value, error) {
	otherwise := pick[value](given(a[0]), a[0], int64(0))
	base, err := count("int", a[1], 10)
	if err != nil {
		return nil, err
	}
	if s, ok := v.(string); ok {
		s = r.marks.plain(s)
		n, err := python.ParseInt(s, base)
		if errors.Is(err, strconv.ErrRange) {
			return nil, errOverflow
		} else if err == nil {
			return n, nil
		}
		f, err := python.ParseFloat(s)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return otherwise, nil
		}
		v = f
	}
	n, ok := numeric(v)
	switch {
	case !given(v):
		return nil, errors.New("int: " + describe(v))
	case !ok || math.IsNaN(n.f):
		return otherwise, nil
	case !n.float:
		return n.i, nil
	}
	i, ok := truncate(n.f)
	if !ok {
		return nil, errOverflow
	}
	return i, nil
}

func toFloat(r *run, v value, a []value) (value, error) {
	if s, ok := v.(string); ok {
		if f, err := python.ParseFloat(r.marks.plain(s)); err == nil {
			return f, nil
		}
	} else if n, ok := numeric(v); ok {
		return n.f, nil
	} else if !given(v) {
		return nil, errors.New("float: " + describe(v))
	}
	return pick[value](given(a[0]), a[0], 0.0), nil
}

func round(r *run, v value, a []value) (value, error) {
	n, ok := numeric(v)
	if !ok {
		return nil, fmt.Errorf("round: %s, expected a number", describe(v))
	}
	if n.wide != nil {
		return nil, errOverflow
	}
	digits, err := count("round", a[0], 0)
	if err != nil {
		return nil, err
	}
	method := "common"
	if given(a[1]) {
		text, err := texts("round", a[1])
		if err != nil {
			return nil, err
		}
		method = r.marks.plain(text[0])
	}
	digits = min(max(digits, -400), 400)
	scale := math.Pow(10, float64(digits))
	whole := func(f func(float64) float64) (value, error) {
		scaled := n.f * scale
		if scale == 0 || math.IsInf(scaled, 0) || math.IsNaN(scaled) {
			return nil, fmt.Errorf("round: %s to %d digits is out of range", python.FormatFloat(n.f), digits)
		}
		return (f(scaled) + 0) / scale, nil // the sum is no negative zero, as Python's integer is none
	}
	switch {
	case method == "ceil":
		return whole(math.Ceil)
	case method == "floor":
		return whole(math.Floor)
	case method != "common":
		return nil, errors.New(`round: the method must be "common", "ceil" or "floor"`)
	case !n.float && digits >= 0:
		return n.i, nil
	case math.IsNaN(n.f) || math.IsInf(n.f, 0):
		return n.f, nil
	case digits >= 0: // correctly rounded, as Python's round
		f, _ := strconv.ParseFloat(strconv.FormatFloat(n.f, 'f', int(digits), 64), 64)
		return f, nil
	}
	return roundTens(n, -digits)
}

// roundTens rounds a number to a multiple of 10**digits, half to even.
func roundTens(n num, digits int64) (value, error) {
	exact := new(big.Rat).SetInt64(n.i)
	if n.float {
		exact.SetFloat64(n.f)
	}
	tens := new(big.Int).Exp(big.NewInt(10), big.NewInt(digits), nil)
	exact.Quo(exact, new(big.Rat).SetInt(tens))
	two := big.NewInt(2)
	// floor(x + 1/2), one less where that is a tie with an odd result.
	twice := new(big.Int).Add(new(big.Int).Mul(exact.Num(), two), exact.Denom())
	whole, rest := new(big.Int).DivMod(twice, new(big.Int).Mul(exact.Denom(), two), new(big.Int))
	if rest.Sign() == 0 && whole.Bit(0) == 1 {
		whole.Sub(whole, big.NewInt(1))
	}
	whole.Mul(whole, tens)
	if n.float {
		f, _ := new(big.Float).SetInt(whole).Float64()
		return math.Copysign(f, n.f), nil
	}
	if !whole.IsInt64() {
		return nil, errOverflow
	}
	return whole.Int64(), nil
}

// truncate cuts s to a length, between words unless they may be killed, and puts an end behind it.
func (r *run) truncate(s string, a []value) (value, error) {
	length, err := count("truncate", a[0], 255)
	if err != nil {
		return nil, err
	}
	leeway, err := count("truncate", a[3], 5)
	if err != nil {
		return nil, err
	}
	end := "..."
	if given(a[2]) {
		text, err := texts("truncate", a[2])
		if err != nil {
			return nil, err
		}
		end = text[0]
	}
	keep := length - int64(utf8.RuneCountInString(end))
	if keep < 0 || leeway < 0 {
		return nil, fmt.Errorf("truncate: a length of %d with a leeway of %d, expected at least that of the end and 0", length, leeway)
	}
	if int64(utf8.RuneCountInString(s))-length <= leeway {
		return s, nil
	}
	v, err := r.slice(s, nil, keep, nil)
	if err != nil {
		return nil, err
	}
	if !truth(a[1]) {
		l, err := r.split(v.(string), " ", 1, true)
		if err != nil {
			return nil, err
		}
		v = l.(*list).items[0]
	}
	return r.join(v.(string), end)
}

func fileSize(_ *run, v value, a []value) (value, error) {
	n, ok := numeric(v)
	if s, isText := v.(string); isText {
		f, err := python.ParseFloat(s)
		n, ok = num{f: f}, err == nil
	}
	if !ok {
		return nil, fmt.Errorf("filesizeformat: %s, expected a number", describe(v))
	}
	base, ending := 1000.0, "B"
	if truth(a[0]) {
		base, ending = 1024, "iB"
	}
	switch {
	case n.f == 1:
		return "1 Byte", nil
	case n.f < base:
		i, ok := truncate(n.f)
		if !ok {
			return nil, errOverflow
		}
		return strconv.FormatInt(i, 10) + " Bytes", nil
	}
	unit := base
	const prefixes = "kMGTPEZY"
	for i := range prefixes {
		if unit *= base; n.f < unit || i == len(prefixes)-1 {
			prefix := pick(truth(a[0]), strings.ToUpper(prefixes[i:i+1]), prefixes[i:i+1])
			size := base * n.f / unit
			if math.IsNaN(size) || math.IsInf(size, 0) {
				return python.FormatFloat(size) + " " + prefix + ending, nil
			}
			return strconv.FormatFloat(size, 'f', 1, 64) + " " + prefix + ending, nil
		}
	}
	return nil, nil
}

// groupBy returns tuples of an attribute's value, grouper, and the items that have it, list.
func groupBy(r *run, v value, a []value) (value, error) {
	items, err := r.iterate(v)
	if err != nil {
		return nil, fmt.Errorf("groupby: %w", err)
	}
	var lower func(string) (string, error)
	if !truth(a[2]) {
		lower = r.lower
	}
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
	n, err := count("slice", a[0], 0)
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

// toJSON writes JSON as Python's json.dumps does, with the arguments of the transformers library's filter.
func toJSON(r *run, v value, a []value) (value, error) {
	j := &jsonWriter{buffer: buffer{run: r}, comma: ", ", colon: ": ", ascii: given(a[0]) && truth(a[0]), sorted: truth(a[3])}
	if given(a[1]) && a[1] != nil {
		indent, ok := a[1].(string)
		if !ok {
			n, err := count("tojson", a[1], 0)
			if err != nil {
				return nil, err
			}
			if n > 100 {
				return nil, r.limit("tojson: an indent of %d, more than 100", n)
			}
			indent = strings.Repeat(" ", int(max(n, 0)))
		}
		if len(indent) > 100 {
			return nil, r.limit("tojson: an indent of %d bytes, more than 100", len(indent))
		}
		j.indent, j.pretty, j.comma = indent, true, ","
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
		switch {
		case math.IsNaN(v):
			return j.write("NaN")
		case math.IsInf(v, 0):
			return j.write(pick(v > 0, "Infinity", "-Infinity"))
		}
		return j.write(python.FormatFloat(v))
	case string:
		return j.write(j.run.marks.quoteJSON(v, j.ascii))
	case *list:
		if v.view != "" {
			break
		}
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
			var failed error
			slices.SortStableFunc(at, func(a, b int) int {
				order, err := j.run.compare(v.keys[a], v.keys[b], 0)
				failed = cmp.Or(failed, err)
				return order
			})
			if failed != nil {
				return failed
			}
		}
		return j.collection("{", "}", len(at), depth, func(i int) error {
			if err := j.key(v.keys[at[i]]); err != nil {
				return err
			}
			return j.value(v.values[at[i]], depth+1)
		})
	}
	return fmt.Errorf("tojson: %s is no JSON", describe(v))
}

// key writes a key, which is text in JSON whatever it is.
func (j *jsonWriter) key(k value) error {
	quotes := ""
	if _, ok := k.(string); !ok {
		quotes = `"`
	}
	if err := j.write(quotes); err != nil {
		return err
	}
	if err := j.value(k, 0); err != nil {
		return err
	}
	return j.write(quotes + j.colon)
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
