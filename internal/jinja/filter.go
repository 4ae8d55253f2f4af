package jinja

import (
	"errors"
	"fmt"
	"maps"
	"unicode/utf8"
)

// standardFilters are the filters of Jinja that chat templates use.
func standardFilters(t *tables) operations {
	all := operations{
		"format":     printFormat,
		"map":        t.mapFilter,
		"select":     t.selectFilter("select", false, true),
		"reject":     t.selectFilter("reject", false, false),
		"selectattr": t.selectFilter("selectattr", true, true),
		"rejectattr": t.selectFilter("rejectattr", true, false),
	}
	for _, filters := range []operations{textFilters(), numberFilters(), valueFilters(), sequenceFilters()} {
		maps.Copy(all, filters)
	}
	for _, name := range []string{"random", "striptags", "urlize", "wordwrap", "xmlattr"} {
		all[name] = func(*run, value, arguments) (value, error) {
			return nil, fmt.Errorf("filter %s of Jinja is not supported in chat templates", name)
		}
	}
	return all
}

func textFilters() operations {
	o := operations{}
	o.text("trim", "chars", 0, func(r *run, s string, a []value) (value, error) { return r.strip(s, a[0], true, true) })
	o.text("upper", "", 0, func(r *run, s string, _ []value) (value, error) { return r.upper(s) })
	o.text("lower", "", 0, func(r *run, s string, _ []value) (value, error) { return r.lower(s) })
	o.text("title", "", 0, func(r *run, s string, _ []value) (value, error) { return r.words(s) })
	o.text("capitalize", "", 0, func(r *run, s string, _ []value) (value, error) { return r.recase(s, true, nothing) })
	o.text("replace", "old new count", 2, replaceText)
	o.text("center", "width", 0, func(r *run, s string, a []value) (value, error) { return r.pad(s, or(a[0], int64(80)), " ", 1) })
	o.value("indent", "width first blank", 0, indent)
	o.text("string safe", "", 0, func(_ *run, s string, _ []value) (value, error) { return s, nil })
	o.text("escape e forceescape", "", 0, escapeHTML)
	o.value("truncate", "length killwords end leeway", 0, truncateText)
	o.value("urlencode", "", 0, encodeURL)
	o.text("wordcount", "", 0, countWords)
	return o
}

func numberFilters() operations {
	o := operations{}
	o.value("int", "default base", 0, toInteger)
	o.value("float", "default", 0, toFloat)
	o.value("abs", "", 0, absolute)
	o.value("round", "precision method", 0, round)
	o.value("filesizeformat", "binary", 0, fileSize)
	return o
}

// valueFilters are those of any value.
func valueFilters() operations {
	o := operations{}
	o.value("default d", "default_value boolean", 0, func(_ *run, v value, a []value) (value, error) {
		if given(v) && (!truth(a[1]) || truth(v)) {
			return v, nil
		}
		return or(a[0], ""), nil
	})
	o.value("length count", "", 0, func(_ *run, v value, _ []value) (value, error) {
		n, err := length(v)
		return int64(n), err
	})
	o.value("tojson", "ensure_ascii indent separators sort_keys", 0, toJSON)
	o.value("items", "", 0, dictItems)
	o.value("dictsort", "case_sensitive by reverse", 0, sortDict)
	o.value("pprint", "", 0, prettyPrint)
	o.value("attr", "name", 1, attribute)
	return o
}

// sequenceFilters are those of what a loop goes through.
func sequenceFilters() operations {
	o := operations{}
	o.value("first", "", 0, func(r *run, v value, _ []value) (value, error) { return r.end(v, false) })
	o.value("last", "", 0, func(r *run, v value, _ []value) (value, error) { return r.end(v, true) })
	o.value("reverse", "", 0, reverse)
	o.value("groupby", "attribute default case_sensitive", 1, groupBy)
	o.items("list", "", 0, func(_ *run, items []value, _ []value) (value, error) { return &list{items: items}, nil })
	o.items("join", "d attribute", 0, joinItems)
	o.items("sum", "attribute start", 0, sum)
	o.items("sort", "reverse case_sensitive attribute", 0, sortItems)
	o.items("unique", "case_sensitive attribute", 0, unique)
	o.items("min", "case_sensitive attribute", 0,
		func(r *run, items []value, a []value) (value, error) { return r.extreme("min", items, a) })
	o.items("max", "case_sensitive attribute", 0,
		func(r *run, items []value, a []value) (value, error) { return r.extreme("max", items, a) })
	o.items("batch", "linecount fill_with", 1, batch)
	o.items("slice", "slices fill_with", 1, slice)
	return o
}

// dictItems is the filter items: the entries of an object, one by one.
func dictItems(r *run, v value, _ []value) (value, error) {
	switch v := v.(type) {
	case *dict:
		l, err := r.pairs(v)
		l.view = generator
		return l, err
	case undefined:
		return newGenerator(nil), nil
	}
	return nil, fmt.Errorf("items: %s, expected an object", describe(v))
}

func sortDict(r *run, v value, a []value) (value, error) {
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
}

func prettyPrint(r *run, v value, _ []value) (value, error) {
	b := &buffer{run: r, sorted: true}
	err := b.repr(v, false, 0)
	if err == nil && utf8.RuneCountInString(b.String()) > 80 {
		err = errors.New("pprint: more than 80 characters, which would take several lines")
	}
	return b.String(), err
}

func attribute(r *run, v value, a []value) (value, error) {
	name, err := textArguments("attr", a[0])
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
}
