package python

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Quote is repr of a string.
func Quote(s string) string {
	quote := QuoteFor(s)
	var b strings.Builder
	b.WriteRune(quote)
	for _, r := range s {
		b.WriteString(Escape(r, quote))
	}
	b.WriteRune(quote)
	return b.String()
}

// QuoteFor returns the sign that stands around a string in its repr.
func QuoteFor(s string) rune {
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		return '"'
	}
	return '\''
}

// Escape returns a character as it stands in the repr of a string between two quotes.
func Escape(r, quote rune) string {
	switch {
	case r == quote || r == '\\':
		return `\` + Character(r)
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r == ' ' || unicode.IsPrint(r):
		return Character(r)
	}
	return code(r)
}

// ASCII is ascii of what is a repr already.
func ASCII(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
		} else {
			b.WriteString(code(r))
		}
	}
	return b.String()
}

// code writes a character by its number.
func code(r rune) string {
	kind, digits := 'x', 2
	switch {
	case r > 0xffff:
		kind, digits = 'U', 8
	case r > 0xff:
		kind, digits = 'u', 4
	}
	b := make([]byte, 2, 10)
	b[0], b[1] = '\\', byte(kind)
	for digits--; digits >= 0; digits-- {
		b = append(b, "0123456789abcdef"[r>>(4*digits)&0xf])
	}
	return string(b)
}
