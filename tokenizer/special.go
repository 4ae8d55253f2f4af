package tokenizer

import (
	"slices"
	"sort"
	"strings"
)

// specials are the tokens of the kinds Unknown, Control and UserDefined, sorted by text.
type specials struct {
	ids     []int32
	shorter []int32    // for each of ids, the place of the longest other one that its text begins with, or none
	first   [257]int32 // those that begin with byte b lie in ids[first[b]:first[b+1]]
}

// addSpecials sorts the special tokens. Of those with the same text it takes the first.
func (t *Tokenizer) addSpecials() {
	s := &t.specials
	for id, kind := range t.kinds {
		if !special(int64(kind)) {
			continue
		}
		if text := t.symbols.at(int32(id)); text != "" && t.symbols.find(text) == int32(id) {
			s.ids = append(s.ids, int32(id))
		}
	}
	slices.SortFunc(s.ids, func(a, b int32) int { return strings.Compare(t.symbols.at(a), t.symbols.at(b)) })
	for i, id := range s.ids {
		// Any other special token that this text begins with is the one before it, or that one begins with it, too.
		before := int32(i - 1)
		for before != none && !strings.HasPrefix(t.symbols.at(id), t.symbols.at(s.ids[before])) {
			before = s.shorter[before]
		}
		s.shorter = append(s.shorter, before)
	}
	for b := range s.first {
		s.first[b] = int32(sort.Search(len(s.ids), func(i int) bool { return int(t.symbols.at(s.ids[i])[0]) >= b }))
	}
}

// special reports whether tokens of a kind are looked for in the text before any merging.
func special(kind int64) bool {
	return kind == int64(Unknown) || kind == int64(Control) || kind == int64(UserDefined)
}

// A cut says which special tokens count.
type cut struct {
	special bool // the kinds Unknown and Control too, not UserDefined alone
	literal bool // no markup
}

func (t *Tokenizer) cuts(id int32, c cut) bool {
	return (c.special || t.kinds[id] == UserDefined) && !(c.literal && t.markup(id))
}

// match returns the longest special token that the text begins with, and its length; none and 0 if there is none. The steps it takes grow
// with the logarithm of their number, plus at most one for each byte of the longest.
func (t *Tokenizer) match(text string, c cut) (id int32, length int) {
	s := &t.specials
	from, to := int(s.first[text[0]]), int(s.first[int(text[0])+1])
	place := int32(from + sort.Search(to-from, func(i int) bool { return t.symbols.at(s.ids[from+i]) > text }) - 1)
	if place < int32(from) {
		return none, 0
	}
	// The last token that does not sort after the text begins with every token that the text begins with.
	last := t.symbols.at(s.ids[place])
	common := 0
	for common < min(len(last), len(text)) && last[common] == text[common] {
		common++
	}
	for ; place != none; place = s.shorter[place] {
		id := s.ids[place]
		if n := len(t.symbols.at(id)); n <= common && t.cuts(id, c) {
			return id, n
		}
	}
	return none, 0
}
