package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Frequent returns the n ids, ascending, that text uses most, as far as a vocabulary tells by itself, or all if there are no more: markup
// and bytes, then the results of merges and single characters. Training made merges in the order of their counts, and the vocabulary has
// both in this order; each gets the share that it has of the whole vocabulary. Reserved ids (<unused0>, <unused1>, …) come last.
func (t *Tokenizer) Frequent(n int) []int32 {
	merged := make([]bool, t.Size())
	for _, m := range t.merges.list {
		if m.into != none && int(m.into) < len(merged) {
			merged[m.into] = true
		}
	}
	var ids, words, characters, reserved []int32
	for id := range int32(t.Size()) {
		switch text := t.Text(id); {
		case strings.HasPrefix(text, "<unused"):
			reserved = append(reserved, id)
		case t.kinds[id] == Normal && merged[id]:
			words = append(words, id)
		case t.kinds[id] == Normal && utf8.RuneCountInString(text) == 1:
			characters = append(characters, id)
		default:
			ids = append(ids, id)
		}
	}
	if left, all := max(0, n-len(ids)), len(words)+len(characters); left < all {
		share := left * len(characters) / all
		words, characters = words[:left-share], characters[:share]
	}
	ids = slices.Concat(ids, words, characters, reserved)
	ids = ids[:min(len(ids), max(0, n))]
	slices.Sort(ids)
	return ids
}
