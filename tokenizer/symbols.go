package tokenizer

import (
	"hash/maphash"
	"strings"
	"unicode/utf8"
)

// texts is a list of strings in one block of memory. The zero value is empty.
type texts struct {
	arena strings.Builder
	ends  []uint32 // where each text ends in the arena
}

// grow makes room for n texts of size bytes together.
func (x *texts) grow(n, size int) {
	x.arena.Grow(size)
	x.ends = make([]uint32, 0, n)
}

// add appends a text. Together they must stay below 4 GiB, which [vocabulary.check] sees to.
func (x *texts) add(text string) {
	x.arena.WriteString(text)
	x.ends = append(x.ends, uint32(x.arena.Len()))
}

// addSpaced appends the text with spaces for U+2581, or an empty one where it has none.
func (x *texts) addSpaced(text string) {
	start := x.arena.Len()
	before, after, found := strings.Cut(text, string(space))
	for found {
		x.arena.WriteString(before)
		x.arena.WriteByte(' ')
		before, after, found = strings.Cut(after, string(space))
	}
	if x.arena.Len() == start {
		before = ""
	}
	x.add(before)
}

// at returns a text of the list. It shares the list's memory.
func (x *texts) at(i int32) string {
	var start uint32
	if i > 0 {
		start = x.ends[i-1]
	}
	return x.arena.String()[start:x.ends[i]]
}

// symbols gives each text a number, and finds the number of a text in a hash table. The hash is seeded at random, so that no file can be
// made whose texts all collide.
type symbols struct {
	texts
	seed maphash.Seed
	table
	used int // slots
}

// grow makes room for n texts of size bytes together.
func (s *symbols) grow(n, size int) {
	s.texts.grow(n, size)
	s.seed = maphash.MakeSeed()
	s.table = newTable(n)
}

// find returns the symbol with this text, or none.
func (s *symbols) find(text string) int32 {
	symbol, _ := s.probe(text, maphash.String(s.seed, text))
	return symbol
}

// probe returns the symbol with this text, or none and the place where it belongs.
func (s *symbols) probe(text string, hash uint64) (symbol int32, place uint32) {
	for place = s.first(hash); s.table[place] != 0; place = s.next(place) {
		if x := s.table[place]; x.may(hash) && s.at(x.number()) == text {
			return x.number(), place
		}
	}
	return none, place
}

// add gives the text the next number. If it has one already, find keeps returning that.
func (s *symbols) add(text string) {
	if n := int32(len(s.ends)); s.intern(text) != n {
		s.texts.add(text)
	}
}

// intern returns the number of the text, which gets the next one if it has none.
func (s *symbols) intern(text string) int32 {
	hash := maphash.String(s.seed, text)
	symbol, place := s.probe(text, hash)
	if symbol != none {
		return symbol
	}
	symbol = int32(len(s.ends))
	s.texts.add(text)
	s.table[place] = newSlot(hash, symbol)
	if s.used++; s.used > len(s.table)/4*3 {
		s.double()
	}
	return symbol
}

func (s *symbols) double() {
	old := s.table
	s.table = make(table, 2*len(old))
	for _, x := range old {
		if x == 0 {
			continue
		}
		hash := maphash.String(s.seed, s.at(x.number()))
		place := s.first(hash)
		for s.table[place] != 0 {
			place = s.next(place)
		}
		s.table[place] = x
	}
}

// runes holds the symbols of single characters, in pages of 256.
type runes [(utf8.MaxRune + 1) / 256]*[256]uint32 // the symbol + 1: zero is none

// find returns the symbol of the character, or none.
func (p *runes) find(r rune) int32 {
	if page := p[r>>8]; page != nil {
		return int32(page[r&255]) - 1
	}
	return none
}

// add enters the symbol if it is a single character that has no symbol yet.
func (p *runes) add(text string, symbol int32) {
	r, n := utf8.DecodeRuneInString(text)
	if n == 0 || n < len(text) {
		return
	}
	page := p[r>>8]
	if page == nil {
		page = new([256]uint32)
		p[r>>8] = page
	}
	if page[r&255] == 0 {
		page[r&255] = uint32(symbol + 1)
	}
}
