package jinja

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gogemma/gemma4/internal/python"
)

// stringMethods are those of Python's str that chat templates use.
func stringMethods() operations {
	all := operations{"format": formatText}
	for _, methods := range []operations{cutMethods(), searchMethods(), caseMethods(), paddingMethods(), kindMethods()} {
		maps.Copy(all, methods)
	}
	return all
}

// cutMethods take text apart, and join it.
func cutMethods() operations {
	o := operations{}
	o.text("strip", "chars", 0, func(r *run, s string, a []value) (value, error) { return r.strip(s, a[0], true, true) })
	o.text("lstrip", "chars", 0, func(r *run, s string, a []value) (value, error) { return r.strip(s, a[0], true, false) })
	o.text("rstrip", "chars", 0, func(r *run, s string, a []value) (value, error) { return r.strip(s, a[0], false, true) })
	for _, fromRight := range []bool{false, true} {
		o.text(pick(fromRight, "rsplit", "split"), "sep maxsplit", 0, func(r *run, s string, a []value) (value, error) {
			limit, err := intArgument("split", a[1], -1)
			if err != nil {
				return nil, err
			}
			return r.split(s, a[0], limit, fromRight)
		})
		o.text(pick(fromRight, "rpartition", "partition"), "sep", 1, func(r *run, s string, a []value) (value, error) {
			return r.partition(s, a[0], fromRight)
		})
		o.text(pick(fromRight, "removesuffix", "removeprefix"), "prefix", 1, func(r *run, s string, a []value) (value, error) {
			return r.remove(s, a[0], fromRight)
		})
	}
	o.text("splitlines", "keepends", 0, func(r *run, s string, a []value) (value, error) { return r.lines(s, truth(a[0])) })
	o.text("replace", "old new count", 2, replaceText)
	o.text("join", "items", 1, func(r *run, s string, a []value) (value, error) { return r.joinAll(a[0], s, true) })
	o.text("format_map", "mapping", 1, func(r *run, s string, a []value) (value, error) {
		d, ok := a[0].(*dict)
		if !ok {
			return nil, fmt.Errorf("format_map: %s, expected an object", describe(a[0]))
		}
		return r.format(s, nil, d)
	})
	return o
}

// searchMethods look for text in text.
func searchMethods() operations {
	o := operations{}
	for _, fromRight := range []bool{false, true} {
		for _, must := range []bool{false, true} {
			name := pick(fromRight, "r", "") + pick(must, "index", "find")
			o.text(name, "sub start end", 1, func(r *run, s string, a []value) (value, error) {
				sub, err := textArguments(name, a[0])
				if err != nil {
					return nil, err
				}
				part, skipped, err := r.within(s, a[1], a[2])
				i := int64(-1)
				if err == nil && skipped >= 0 {
					i, err = r.find(part, sub[0], fromRight)
				}
				if err == nil && i < 0 && must {
					err = errors.New(name + ": not found")
				}
				return pick(i < 0, i, i+skipped), err
			})
		}
		o.text(pick(fromRight, "endswith", "startswith"), "prefix start end", 1, func(r *run, s string, a []value) (value, error) {
			part, skipped, err := r.within(s, a[1], a[2])
			if err != nil {
				return nil, err
			}
			has, err := r.affix(part, a[0], fromRight)
			return pick[value](skipped < 0, false, has), err
		})
	}
	o.text("count", "sub start end", 1, func(r *run, s string, a []value) (value, error) {
		sub, err := textArguments("count", a[0])
		if err != nil {
			return nil, err
		}
		part, skipped, err := r.within(s, a[1], a[2])
		if err != nil || skipped < 0 {
			return int64(0), err
		}
		return int64(strings.Count(r.marks.plain(part), r.marks.plain(sub[0]))), r.work(len(s))
	})
	return o
}

func caseMethods() operations {
	o := operations{}
	o.text("upper", "", 0, func(r *run, s string, _ []value) (value, error) { return r.upper(s) })
	o.text("lower", "", 0, func(r *run, s string, _ []value) (value, error) { return r.lower(s) })
	o.text("title", "", 0, func(r *run, s string, _ []value) (value, error) { return r.recase(s, true, uncased) })
	o.text("capitalize", "", 0, func(r *run, s string, _ []value) (value, error) { return r.recase(s, true, nothing) })
	o.text("swapcase", "", 0, func(r *run, s string, _ []value) (value, error) { return r.swapCase(s) })
	o.text("islower", "", 0, func(r *run, s string, _ []value) (value, error) { return r.cased(s, python.IsUpper) })
	o.text("isupper", "", 0, func(r *run, s string, _ []value) (value, error) { return r.cased(s, python.IsLower) })
	o.text("istitle", "", 0, func(r *run, s string, _ []value) (value, error) { return python.IsTitle(r.marks.plain(s)), nil })
	return o
}

// paddingMethods fill text up to a width.
func paddingMethods() operations {
	o := operations{}
	for i, name := range []string{"ljust", "center", "rjust"} {
		o.text(name, "width fillchar", 1, func(r *run, s string, a []value) (value, error) {
			fill, err := textArguments(name, or(a[1], " "))
			if err != nil {
				return nil, err
			}
			return r.pad(s, a[0], fill[0], i)
		})
	}
	o.text("zfill", "width", 1, zeroFill)
	o.text("expandtabs", "tabsize", 0, func(r *run, s string, a []value) (value, error) {
		size, err := intArgument("expandtabs", a[0], 8)
		if err != nil {
			return nil, err
		}
		return r.expandTabs(s, size)
	})
	return o
}

// kindMethods say of which kind all characters of a text are.
func kindMethods() operations {
	o := operations{}
	for name, kind := range map[string]func(rune) bool{
		"isalpha": unicode.IsLetter, "isdigit": python.IsDigit, "isdecimal": unicode.IsDigit, "isnumeric": python.IsNumeric,
		"isspace": python.IsSpace, "isalnum": func(c rune) bool { return unicode.IsLetter(c) || python.IsNumeric(c) },
	} {
		o.text(name, "", 0, func(r *run, s string, _ []value) (value, error) { return r.every(s, kind) })
	}
	o.text("isascii", "", 0, func(r *run, s string, _ []value) (value, error) {
		return strings.IndexFunc(r.marks.plain(s), func(c rune) bool { return c > unicode.MaxASCII }) < 0, nil
	})
	o.text("isprintable", "", 0, func(r *run, s string, _ []value) (value, error) {
		return strings.IndexFunc(r.marks.plain(s), func(c rune) bool { return !unicode.IsPrint(c) }) < 0, nil
	})
	o.text("isidentifier", "", 0, func(r *run, s string, _ []value) (value, error) {
		s = r.marks.plain(s)
		return s != "" && !unicode.IsDigit([]rune(s[:min(len(s), 4)])[0]) && strings.TrimLeftFunc(s, isNameRune) == "", nil
	})
	return o
}

// formatText is the method format.
func formatText(r *run, v value, a arguments) (value, error) {
	named, err := dictOf(r, arguments{names: a.names, named: a.named})
	if err != nil {
		return nil, err
	}
	return r.format(v.(string), a.positional, named.(*dict))
}

// zeroFill puts zeros between the sign of a number and its digits.
func zeroFill(r *run, s string, a []value) (value, error) {
	first, n := utf8.DecodeRuneInString(s)
	if sign := r.marks.plainRune(first); sign != '+' && sign != '-' {
		return r.pad(s, a[0], "0", 2)
	}
	width, err := intArgument("zfill", a[0], 0)
	if err != nil {
		return nil, err
	}
	digits, err := r.pad(s[n:], max(width, 1)-1, "0", 2)
	if err != nil {
		return nil, err
	}
	return r.join(s[:n], digits.(string))
}

// remove takes a text off the beginning or the end of s, if it is there.
func (r *run) remove(s string, affix value, fromRight bool) (value, error) {
	has, err := r.affix(s, affix, fromRight)
	if err != nil || has == false {
		return s, err
	}
	whole, err := r.align(s)
	if err != nil {
		return nil, err
	}
	n := len(r.marks.plain(affix.(string)))
	if fromRight {
		return whole.cut(0, len(whole.plain)-n), nil
	}
	return whole.cut(n, len(whole.plain)), nil
}

// within is s[start:end], and how many characters come before, or −1 if s ends before start: nothing is found there, not even
// an empty text. start and end may be undefined.
func (r *run) within(s string, start, end value) (part string, skipped int64, err error) {
	if !given(start) && !given(end) {
		return s, 0, nil
	}
	n := utf8.RuneCountInString(s)
	from, err := bound(pick(given(start), start, nil), n, 0, false)
	if err != nil {
		return "", 0, err
	}
	to, err := bound(pick(given(end), end, nil), n, n, false)
	if err != nil {
		return "", 0, err
	}
	v, err := r.slice(s, int64(from), int64(to), nil)
	part, _ = v.(string)
	if first, _ := integer(start); first > int64(n) || to < from {
		return part, -1, err
	}
	return part, int64(from), err
}

func (r *run) expandTabs(s string, size int64) (value, error) {
	b := &buffer{run: r}
	column := int64(0)
	for _, c := range s {
		switch r.marks.plainRune(c) {
		case '\t':
			if size <= 0 {
				continue
			}
			v, _, err := r.repeat(" ", size-column%size)
			if err == nil {
				err = b.write(v.(string))
			}
			if err != nil {
				return nil, err
			}
			column += size - column%size
			continue
		case '\n', '\r':
			column = -1
		}
		if err := b.write(python.Character(c)); err != nil {
			return nil, err
		}
		column++
	}
	return b.String(), nil
}

// cased reports whether s has letters of a case, none of them of the other one.
func (r *run) cased(s string, other func(rune) bool) (value, error) {
	some := false
	for _, c := range s {
		c = r.marks.plainRune(c)
		if other(c) {
			return false, r.work(len(s))
		}
		some = some || python.IsUpper(c) || python.IsLower(c)
	}
	return some, r.work(len(s))
}

// affix reports whether s begins or ends with a string, or with one of a tuple.
func (r *run) affix(s string, v value, end bool) (value, error) {
	options := []value{v}
	if l, ok := v.(*list); ok && l.tuple {
		options = l.items
	}
	all, err := textArguments(pick(end, "endswith", "startswith"), options...)
	if err != nil {
		return nil, err
	}
	if err := r.work(len(s)); err != nil {
		return nil, err
	}
	s = r.marks.plain(s)
	for _, option := range all {
		if err := r.work(len(option)); err != nil {
			return nil, err
		}
		if option = r.marks.plain(option); end && strings.HasSuffix(s, option) || !end && strings.HasPrefix(s, option) {
			return true, nil
		}
	}
	return false, nil
}

func (r *run) partition(s string, sep value, fromRight bool) (value, error) {
	text, err := textArguments("partition", sep)
	if err != nil {
		return nil, err
	}
	v, err := r.split(s, sep, 1, fromRight)
	if err != nil {
		return nil, err
	}
	parts := v.(*list).items
	switch {
	case len(parts) == 2:
		// The separator as it stands in s, marks and all.
		found := s[len(parts[0].(string)) : len(s)-len(parts[1].(string))]
		return &list{items: []value{parts[0], found, parts[1]}, tuple: true}, r.work(len(text[0]))
	case fromRight:
		return &list{items: []value{"", "", s}, tuple: true}, nil
	default:
		return &list{items: []value{s, "", ""}, tuple: true}, nil
	}
}

func replaceText(r *run, s string, a []value) (value, error) {
	text, err := textArguments("replace", a[0], a[1])
	if err != nil {
		return nil, err
	}
	n, err := intArgument("replace", a[2], -1)
	if err != nil {
		return nil, err
	}
	return r.replace(s, text[0], text[1], n)
}

// joinAll puts a separator between the texts of items; strict refuses items that are no strings.
func (r *run) joinAll(v value, sep string, strict bool) (value, error) {
	items, err := r.iterate(v)
	if err != nil {
		return nil, err
	}
	b := &buffer{run: r}
	for i, item := range items {
		if i > 0 {
			if err := b.write(sep); err != nil {
				return nil, err
			}
		}
		if _, ok := item.(string); strict && !ok {
			return nil, fmt.Errorf("join: %s, expected a string", describe(item))
		}
		if err := b.repr(item, true, 0); err != nil {
			return nil, err
		}
	}
	return b.String(), nil
}

func dictMethods() operations {
	o := operations{}
	o.value("get", "key default", 1, func(r *run, v value, a []value) (value, error) {
		key, err := r.hash(a[0])
		if err != nil {
			return nil, err
		}
		if item, ok := v.(*dict).get(key); ok {
			return item, nil
		}
		return or(a[1], nil), nil
	})
	o.value("items", "", 0, func(r *run, v value, _ []value) (value, error) {
		l, err := r.pairs(v.(*dict))
		l.view = "dict_items"
		return l, err
	})
	o.value("keys", "", 0, func(r *run, v value, _ []value) (value, error) {
		items, err := r.iterate(v)
		return &list{items: items, view: "dict_keys"}, err
	})
	o.value("values", "", 0, func(_ *run, v value, _ []value) (value, error) {
		return &list{items: v.(*dict).values, view: "dict_values"}, nil
	})
	o.value("copy", "", 0, itself)
	return o
}

// itself is the copy of what never changes.
func itself(_ *run, v value, _ []value) (value, error) { return v, nil }

// pairs returns a dict's entries as tuples.
func (r *run) pairs(d *dict) (*list, error) {
	if err := r.makeList(8 * int64(len(d.keys))); err != nil {
		return &list{}, err
	}
	return d.pairs(), nil
}

func listMethods() operations {
	o := operations{}
	o.value("copy", "", 0, itself)
	o.value("index", "value", 1, func(r *run, v value, a []value) (value, error) {
		for i, item := range v.(*list).items {
			if same, err := r.equal(item, a[0], 0); same || err != nil {
				return int64(i), err
			}
		}
		return nil, errors.New("index: not found")
	})
	o.value("count", "value", 1, func(r *run, v value, a []value) (value, error) {
		n := int64(0)
		for _, item := range v.(*list).items {
			same, err := r.equal(item, a[0], 0)
			if err != nil {
				return nil, err
			}
			n += pick[int64](same, 1, 0)
		}
		return n, nil
	})
	return o
}
