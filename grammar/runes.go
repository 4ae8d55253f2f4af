package grammar

import (
	"slices"
	"unicode/utf8"
)

// runes is a set of characters: pairs of bounds, ascending, inclusive, apart.
type runes []rune

// maxRune is the last character.
const maxRune = utf8.MaxRune

// space is what the vocabulary writes for a blank: text of a model never holds it.
const space = '\u2581'

var anyRune = runes{0, maxRune}

// without returns the characters of r that are not in other.
func (r runes) without(other runes) runes {
	var rest runes
	for i := 0; i < len(r); i += 2 {
		lo, hi := r[i], r[i+1]
		for j := 0; j < len(other) && lo <= hi; j += 2 {
			if other[j+1] < lo || other[j] > hi {
				continue
			}
			if other[j] > lo {
				rest = append(rest, lo, other[j]-1)
			}
			lo = other[j+1] + 1
		}
		if lo <= hi {
			rest = append(rest, lo, hi)
		}
	}
	return rest
}

func (r runes) has(c rune) bool {
	for i := 0; i < len(r); i += 2 {
		if c >= r[i] && c <= r[i+1] {
			return true
		}
	}
	return false
}

// normal sorts the pairs and joins those that touch.
func (r runes) normal() runes {
	type pair struct{ lo, hi rune }
	var pairs []pair
	for i := 0; i < len(r); i += 2 {
		pairs = append(pairs, pair{r[i], r[i+1]})
	}
	slices.SortFunc(pairs, func(a, b pair) int { return int(a.lo) - int(b.lo) })
	var joined runes
	for _, p := range pairs {
		if n := len(joined); n > 0 && p.lo <= joined[n-1]+1 {
			joined[n-1] = max(joined[n-1], p.hi)
			continue
		}
		joined = append(joined, p.lo, p.hi)
	}
	return joined
}

// utf8 returns one character of r, in UTF-8. Surrogates are no characters, and U+2581 cannot be written.
func (a *arena) utf8(r runes) *expr {
	e := a.none
	r = r.without(runes{0xD800, 0xDFFF, space, space})
	for i := 0; i < len(r); i += 2 {
		lo := r[i]
		for _, last := range []rune{0x7F, 0x7FF, 0xFFFF, maxRune} {
			if hi := min(last, r[i+1]); lo <= hi {
				var from, to [utf8.UTFMax]byte
				n := utf8.EncodeRune(from[:], lo)
				utf8.EncodeRune(to[:], hi)
				e = a.alt(e, a.between(from[:n], to[:n]))
				lo = hi + 1
			}
		}
	}
	return e
}

// between returns the strings of continuation bytes from lo to hi, which have one length.
func (a *arena) between(lo, hi []byte) *expr {
	if len(lo) == 0 {
		return a.empty
	}
	if lo[0] == hi[0] {
		return a.branch([]edge{{lo[0], lo[0], a.between(lo[1:], hi[1:])}})
	}
	first, last := make([]byte, len(lo)-1), make([]byte, len(lo)-1)
	for i := range first {
		first[i], last[i] = 0x80, 0xBF
	}
	edges := []edge{{lo[0], lo[0], a.between(lo[1:], last)}}
	if lo[0]+1 < hi[0] {
		edges = append(edges, edge{lo[0] + 1, hi[0] - 1, a.between(first, last)})
	}
	return a.branch(append(edges, edge{hi[0], hi[0], a.between(first, hi[1:])}))
}
