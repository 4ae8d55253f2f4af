package gemma4

import (
	"unicode"
	"unicode/utf8"
)

// agreed returns how many bytes at the beginning of two texts of whole words are the same words.
func agreed(a, b string) int {
	n := 0
	for i, r := range a {
		if other, size := utf8.DecodeRuneInString(b[min(i, len(b)):]); other != r || size == 0 {
			break
		} else if n = i + size; n == len(b) {
			break
		}
	}
	for n > 0 && !(wordEnd(a, n) && wordEnd(b, n)) {
		_, size := utf8.DecodeLastRuneInString(a[:n])
		n -= size
	}
	return n
}

// wordEnds returns where words end before the end of a text.
func wordEnds(s string) (ends []int) {
	for i := range s {
		if i > 0 && wordEnd(s, i) {
			ends = append(ends, i)
		}
	}
	return ends
}

// wordEnd reports whether a word ends before byte n of a text.
func wordEnd(s string, n int) bool {
	before, _ := utf8.DecodeLastRuneInString(s[:n])
	after, size := utf8.DecodeRuneInString(s[n:])
	switch {
	case unicode.IsSpace(before):
		return false
	case size == 0 || unicode.IsSpace(after):
		return true
	}
	return !unicode.IsPunct(after) && (unspaced(before) || unspaced(after))
}

// unspaced reports whether a letter is of a script that has no spaces between words.
func unspaced(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}
