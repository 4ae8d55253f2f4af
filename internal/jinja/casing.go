package jinja

import (
	"strings"
	"unicode/utf8"

	"github.com/gogemma/gemma4/internal/python"
)

func (r *run) upper(s string) (string, error) {
	return r.convert(s, func(_ int, c rune) string { return python.UpperRune(c) })
}

func (r *run) lower(s string) (string, error) { return r.recase(s, false, nothing) }

func (r *run) swapCase(s string) (string, error) {
	lower, err := r.lowering(s)
	if err != nil {
		return "", err
	}
	return r.convert(s, func(i int, c rune) string {
		to := lower(i, c)
		if python.IsLower(c) {
			return python.UpperRune(c)
		} else if python.IsUpper(c) {
			return to
		}
		return python.Character(c)
	})
}

// recase makes s lower, but a capital of its first character if first is set, and of every character after one for which apart holds.
func (r *run) recase(s string, first bool, apart func(rune) bool) (string, error) {
	lower, err := r.lowering(s)
	if err != nil {
		return "", err
	}
	return r.convert(s, func(i int, c rune) string {
		to := lower(i, c)
		if first {
			to = python.TitleRune(c)
		}
		first = apart(c)
		return to
	})
}

// words is the filter title: a word, which follows a space or an opening sign, begins with a capital, and the rest of it is lower.
func (r *run) words(s string) (string, error) {
	b := &buffer{run: r}
	for s != "" {
		_, n := utf8.DecodeRuneInString(s)
		first, err := r.upper(s[:n])
		if err != nil {
			return "", err
		}
		s = s[n:]
		end := len(s)
		if separator(r.marks.plainRune([]rune(first)[0])) {
			end = 0
		} else if i := strings.IndexFunc(s, func(c rune) bool { return separator(r.marks.plainRune(c)) }); i >= 0 {
			end = i
		}
		rest, err := r.lower(s[:end])
		if err == nil {
			err = b.write(first + rest)
		}
		if err != nil {
			return "", err
		}
		s = s[end:]
	}
	return b.String(), nil
}

// lowering returns what makes character i of s, plain c, lower.
func (r *run) lowering(s string) (func(i int, c rune) string, error) {
	if !strings.Contains(s, "Σ") && (len(r.marks.orig) == 0 || !hasMarkLead(s)) {
		return func(_ int, c rune) string { return python.LowerRune(c) }, nil
	}
	if err := r.alloc(5 * int64(len(s))); err != nil {
		return nil, err
	}
	text := []rune(r.marks.plain(s))
	return func(i int, _ rune) string { return python.LowerAt(text, i) }, nil
}

// What comes before a word, for the method title and for the filter of that name; nothing does.
func uncased(c rune) bool   { return !python.IsCased(c) }
func separator(c rune) bool { return python.IsSpace(c) || strings.ContainsRune("-({[<", c) }
func nothing(rune) bool     { return false }
