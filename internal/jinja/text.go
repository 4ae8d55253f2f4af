package jinja

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gogemma/gemma4/internal/python"
)

// The methods of strings and the filters that share them. All of them look at plain text and keep marks where they are.

// strip removes the given characters, spaces if chars is undefined or none, from the chosen ends.
func (r *run) strip(s string, chars value, left, right bool) (value, error) {
	in := python.IsSpace
	if set, ok := chars.(string); ok {
		if err := r.alloc(8 * int64(len(set))); err != nil {
			return nil, err
		}
		if err := r.work(8 * len(s)); err != nil {
			return nil, err
		}
		runes := map[rune]bool{}
		for _, c := range r.marks.plain(set) {
			runes[c] = true
		}
		in = func(c rune) bool { return runes[c] }
	} else if _, missing := chars.(undefined); chars != nil && !missing {
		return nil, fmt.Errorf("strip: characters are %s, expected a string", describe(chars))
	}
	if err := r.work(len(s)); err != nil {
		return nil, err
	}
	plainIn := func(c rune) bool { return in(r.marks.plainRune(c)) }
	if left {
		s = strings.TrimLeftFunc(s, plainIn)
	}
	if right {
		s = strings.TrimRightFunc(s, plainIn)
	}
	return s, nil
}

// convert replaces every character of s, the i-th by f(i, c); what becomes of a marked one is marked.
func (r *run) convert(s string, f func(i int, c rune) string) (string, error) {
	if err := r.makeText(3 * int64(len(s))); err != nil {
		return "", err
	}
	return r.marks.convert(s, f), nil
}

// split cuts s at a separator, at runs of space if sep is undefined or none; at most limit times unless it is negative.
func (r *run) split(s string, sep value, limit int64, fromRight bool) (value, error) {
	a, err := r.align(s)
	if err != nil {
		return nil, err
	}
	var parts []string
	cut := func(from, to int) error {
		parts = append(parts, a.cut(from, to))
		return r.alloc(2 * valueBytes)
	}
	if limit < 0 {
		limit = int64(len(s)) + 1
	}
	switch text, ok := sep.(string); {
	case ok && text == "":
		return nil, errors.New("split: an empty separator")
	case ok:
		err = splitText(a.plain, r.marks.plain(text), limit, fromRight, cut)
	default:
		if _, missing := sep.(undefined); sep != nil && !missing {
			return nil, fmt.Errorf("split: the separator is %s, expected a string", describe(sep))
		}
		err = splitSpace(a.plain, limit, fromRight, cut)
	}
	if err != nil {
		return nil, err
	}
	l := &list{items: make([]value, len(parts))}
	for i, part := range parts {
		l.items[pick(fromRight, len(parts)-1-i, i)] = part
	}
	return l, nil
}

// splitText calls cut for what is between the separators in s, from the chosen end.
func splitText(s, sep string, limit int64, fromRight bool, cut func(from, to int) error) error {
	from, to := 0, len(s)
	for ; limit > 0; limit-- {
		var i int
		if fromRight {
			i = strings.LastIndex(s[:to], sep)
		} else if i = strings.Index(s[from:], sep); i >= 0 {
			i += from
		}
		if i < 0 {
			break
		}
		var err error
		if fromRight {
			err = cut(i+len(sep), to)
			to = i
		} else {
			err = cut(from, i)
			from = i + len(sep)
		}
		if err != nil {
			return err
		}
	}
	return cut(from, to)
}

// splitSpace calls cut for the words of s, from the chosen end; past the limit, for the rest as it is.
func splitSpace(s string, limit int64, fromRight bool, cut func(from, to int) error) error {
	trim := strings.TrimLeftFunc
	if fromRight {
		trim = strings.TrimRightFunc
	}
	for rest := trim(s, python.IsSpace); rest != ""; limit-- {
		at := len(s) - len(rest) // where rest begins, if words are taken from the left
		var err error
		switch {
		case limit <= 0 && fromRight:
			return cut(0, len(rest))
		case limit <= 0:
			return cut(at, len(s))
		case fromRight:
			i := strings.LastIndexFunc(rest, python.IsSpace)
			if i >= 0 {
				_, n := utf8.DecodeRuneInString(rest[i:])
				i += n
			} else {
				i = 0
			}
			err = cut(i, len(rest))
			rest = trim(rest[:i], python.IsSpace)
		default:
			i := strings.IndexFunc(rest, python.IsSpace)
			if i < 0 {
				i = len(rest)
			}
			err = cut(at, at+i)
			rest = trim(rest[i:], python.IsSpace)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lines cuts s at its line breaks.
func (r *run) lines(s string, keep bool) (value, error) {
	a, err := r.align(s)
	if err != nil {
		return nil, err
	}
	l := &list{}
	for from := 0; from < len(a.plain); {
		rest := a.plain[from:]
		end, next := len(rest), len(rest)
		if i := strings.IndexAny(rest, "\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029"); i >= 0 {
			_, n := utf8.DecodeRuneInString(rest[i:])
			end, next = i, i+n
			if strings.HasPrefix(rest[i:], "\r\n") {
				next++
			}
		}
		if err := r.alloc(2 * valueBytes); err != nil {
			return nil, err
		}
		l.items = append(l.items, a.cut(from, from+pick(keep, next, end)))
		from += next
	}
	return l, nil
}

// replace puts new in the place of the first n old ones, of all if n is negative.
func (r *run) replace(s, old, new string, n int64) (value, error) {
	a, err := r.align(s)
	if err != nil {
		return nil, err
	}
	old = r.marks.plain(old)
	if old == "" {
		return r.insert(s, new, n)
	}
	count := int64(strings.Count(a.plain, old))
	if n >= 0 {
		count = min(count, n)
	}
	if err := r.makeText(int64(len(s)) + count*int64(len(new))); err != nil {
		return nil, err
	}
	var b strings.Builder
	from := 0
	for ; count > 0; count-- {
		i := from + strings.Index(a.plain[from:], old)
		b.WriteString(a.cut(from, i))
		b.WriteString(new)
		from = i + len(old)
	}
	b.WriteString(a.cut(from, len(a.plain)))
	return b.String(), nil
}

// insert puts text before the first n characters of s and, if there are fewer, at its end.
func (r *run) insert(s, text string, n int64) (value, error) {
	count := int64(utf8.RuneCountInString(s)) + 1
	if n >= 0 {
		count = min(count, n)
	}
	if err := r.makeText(int64(len(s)) + count*int64(len(text))); err != nil {
		return nil, err
	}
	var b strings.Builder
	for _, c := range s {
		if count > 0 {
			b.WriteString(text)
			count--
		}
		b.WriteRune(c)
	}
	if count > 0 {
		b.WriteString(text)
	}
	return b.String(), nil
}

// find returns the place of the first or last sub in s, counted in characters; -1 if there is none.
func (r *run) find(s, sub string, last bool) (int64, error) {
	if err := r.work(len(s)); err != nil {
		return 0, err
	}
	s, sub = r.marks.plain(s), r.marks.plain(sub)
	i := strings.Index(s, sub)
	if last {
		i = strings.LastIndex(s, sub)
	}
	if i < 0 {
		return -1, nil
	}
	return int64(utf8.RuneCountInString(s[:i])), nil
}

// pad fills s with a character to a width; left says how much of the filling, of two parts, goes to its left.
func (r *run) pad(s string, width value, fill string, left int) (value, error) {
	n, ok := integer(width)
	if !ok {
		return nil, fmt.Errorf("a width that is %s, expected an integer", describe(width))
	}
	if err := r.work(len(s) + len(fill)); err != nil {
		return nil, err
	}
	if utf8.RuneCountInString(fill) != 1 {
		return nil, errors.New("fill: expected one character")
	}
	missing := n - int64(utf8.RuneCountInString(s))
	if missing <= 0 {
		return s, nil
	}
	if missing > r.max.text {
		return nil, r.limit("a text of %d characters, more than %d bytes", n, r.max.text)
	}
	if err := r.makeText(int64(len(s)) + missing*int64(len(fill))); err != nil {
		return nil, err
	}
	before := missing * int64(left) / 2
	if left == 1 && missing%2 == 1 && n%2 == 1 {
		before++ // where Python puts the odd one
	}
	return strings.Repeat(fill, int(before)) + s + strings.Repeat(fill, int(missing-before)), nil
}

// indent puts spaces before every line but the first, as the filter's arguments say.
func (r *run) indent(s string, width value, first, blank bool) (value, error) {
	prefix, ok := width.(string)
	if !ok {
		n, ok := integer(width)
		if !ok {
			return nil, fmt.Errorf("indent: the width is %s, expected an integer or a string", describe(width))
		}
		v, _, err := r.repeat(" ", n)
		if err != nil {
			return nil, err
		}
		prefix = v.(string)
	}
	v, err := r.lines(s+"\n", false)
	if err != nil {
		return nil, err
	}
	b := &buffer{run: r}
	for i, line := range v.(*list).items {
		if i > 0 {
			err = b.write("\n")
		}
		if err == nil && pick(i == 0, first, blank || line != "") {
			err = b.write(prefix)
		}
		if err == nil {
			err = b.write(line.(string))
		}
		if err != nil {
			return nil, err
		}
	}
	return b.String(), nil
}

// every reports whether s is not empty and all of its characters are of a kind.
func (r *run) every(s string, kind func(rune) bool) (value, error) {
	if err := r.work(len(s)); err != nil {
		return nil, err
	}
	for _, c := range s {
		if !kind(r.marks.plainRune(c)) {
			return false, nil
		}
	}
	return s != "", nil
}

// indent is the filter of that name.
func indent(r *run, v value, a []value) (value, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("indent: %s, expected a string", describe(v))
	}
	return r.indent(s, or(a[0], int64(4)), truth(a[1]), truth(a[2]))
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

func encodeURL(r *run, v value, _ []value) (value, error) {
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
}

func countWords(r *run, s string, _ []value) (value, error) {
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
}

// printFormat is the filter format: Python's % with arguments in its place.
func printFormat(r *run, v value, a arguments) (value, error) {
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

func truncateText(r *run, v value, a []value) (value, error) {
	text, err := textArguments("truncate", v)
	if err != nil {
		return nil, err
	}
	return r.truncate(text[0], a)
}

// truncate cuts s to a length, between words unless they may be killed, and adds an end.
func (r *run) truncate(s string, a []value) (value, error) {
	length, err := intArgument("truncate", a[0], 255)
	if err != nil {
		return nil, err
	}
	leeway, err := intArgument("truncate", a[3], 5)
	if err != nil {
		return nil, err
	}
	end := "..."
	if given(a[2]) {
		text, err := textArguments("truncate", a[2])
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
