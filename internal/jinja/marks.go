package jinja

import (
	"errors"
	"iter"
	"strings"
	"unicode/utf8"
)

// marks keeps apart what literal strings say and what the template says.
//
// Before a run, every traced rune of a literal string is replaced by a rune of its own that occurs nowhere else. The template
// passes these marks on like any character; wherever it looks at text (to compare, search, split, count …) it sees the plain
// rune. After the run, the marks become plain runes again, and Run tells where they stood. So the text is the same
// with and without marks, by construction, whatever the template does with it.
type marks struct {
	mark map[rune]rune // plain to mark
	orig map[rune]rune // mark to plain
}

// markRanges are where marks come from: noncharacters, which Unicode reserves for use inside of programs, and characters
// for private use. In UTF-8 they begin with one of the bytes of hasMarkLead.
var markRanges = [...]struct{ from, to rune }{{0xFDD0, 0xFDEF}, {0xE000, 0xF8FF}, {0xF0000, 0xFFFFD}}

func mayBeMark(r rune) bool {
	for _, m := range markRanges {
		if r >= m.from && r <= m.to {
			return true
		}
	}
	return false
}

// hasMarkLead reports whether s could hold a mark.
func hasMarkLead(s string) bool {
	return strings.IndexByte(s, 0xEF) >= 0 || strings.IndexByte(s, 0xEE) >= 0 || strings.IndexByte(s, 0xF3) >= 0
}

// newMarks chooses a mark for every rune of trace; used are runes that cannot serve.
func newMarks(trace string, used map[rune]bool) (*marks, error) {
	m := &marks{mark: map[rune]rune{}, orig: map[rune]rune{}}
	free := func(yield func(rune) bool) {
		for _, candidates := range markRanges {
			for r := candidates.from; r <= candidates.to; r++ {
				if !used[r] && !yield(r) {
					return
				}
			}
		}
	}
	next, stop := iter.Pull(free)
	defer stop()
	for _, r := range trace {
		if m.mark[r] != 0 {
			continue
		}
		mark, ok := next()
		if !ok {
			return nil, errors.New("every character for private use is in use, none is left to mark text with")
		}
		m.mark[r], m.orig[mark] = mark, r
	}
	return m, nil
}

// note adds the runes of s that could be taken for marks.
func note(s string, used map[rune]bool) {
	if hasMarkLead(s) {
		for _, r := range s {
			if mayBeMark(r) {
				used[r] = true
			}
		}
	}
}

// noteAll is note for all text of a variable.
func noteAll(v any, used map[rune]bool) {
	switch v := v.(type) {
	case string:
		note(v, used)
	case Safe:
		note(string(v), used)
	case []any:
		for _, item := range v {
			noteAll(item, used)
		}
	case Object:
		for _, e := range v {
			note(e.Key, used)
			noteAll(e.Value, used)
		}
	}
}

// markText returns s with marks in place of the runes that occur in markup.
func (m *marks) markText(s string) string {
	if len(m.mark) == 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if mark, ok := m.mark[r]; ok {
			return mark
		}
		return r
	}, s)
}

// plainRune returns the rune that r stands for.
func (m *marks) plainRune(r rune) rune {
	if mayBeMark(r) {
		if orig, ok := m.orig[r]; ok {
			return orig
		}
	}
	return r
}

// plain returns s with the runes that its marks stand for.
func (m *marks) plain(s string) string {
	if len(m.orig) == 0 || !hasMarkLead(s) {
		return s
	}
	return strings.Map(m.plainRune, s)
}

// convert puts f of every rune of s, the i-th, plain, in its place. What becomes of a marked rune is marked again if it is traced.
func (m *marks) convert(s string, f func(i int, r rune) string) string {
	var b strings.Builder
	b.Grow(len(s))
	i := 0
	for _, r := range s {
		if p := m.plainRune(r); p != r {
			b.WriteString(m.markText(f(i, p)))
		} else {
			b.WriteString(f(i, r))
		}
		i++
	}
	return b.String()
}

// unmark takes the marks out of a text and tells where they stood.
func (m *marks) unmark(s string) (text string, literal []int) {
	if len(m.orig) == 0 || !hasMarkLead(s) {
		return s, nil
	}
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		orig := m.plainRune(r)
		if orig != r {
			literal = append(literal, b.Len())
		}
		b.WriteRune(orig)
	}
	return b.String(), literal
}

// aligned is text in its plain form that can be cut in its marked one.
type aligned struct {
	text  string // marked
	plain string
	at    []int32 // offset in text of each byte of plain, and its length; nil where text is plain
}

func (r *run) align(s string) (aligned, error) {
	if len(r.marks.orig) == 0 || !hasMarkLead(s) {
		return aligned{text: s, plain: s}, r.work(len(s))
	}
	if err := r.alloc(5 * int64(len(s))); err != nil {
		return aligned{}, err
	}
	a := aligned{text: s, at: make([]int32, 0, len(s)+1)}
	var b strings.Builder
	for i, c := range s {
		p := r.marks.plainRune(c)
		for n := range utf8.RuneLen(p) {
			// Inside a rune nothing is ever cut; the offsets only need to be there.
			a.at = append(a.at, int32(i+pick(p == c, n, 0)))
		}
		b.WriteRune(p)
	}
	a.at = append(a.at, int32(len(s)))
	a.plain = b.String()
	return a, nil
}

// cut returns the marked text of plain[from:to].
func (a aligned) cut(from, to int) string {
	if a.at == nil {
		return a.text[from:to]
	}
	return a.text[a.at[from]:a.at[to]]
}
