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

// enter fills the table with the texts that were added, as many as it has room for. Of those that are equal find returns the first.
func (s *symbols) enter() {
	s.used = len(s.ends)
	share(len(s.ends), func(_, from, to int) {
		hash := func(n int32) uint64 { return maphash.String(s.seed, s.at(n)) }
		s.table.enter(from, to, hash, func(n, other int32) bool { return s.at(n) == s.at(other) })
	})
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

// A search finds many texts. It looks for some at a time, so that the processor waits once for what it needs of the tables' memory, not
// once for each.
type search struct {
	symbols *symbols
	n       int
	texts   [64]string
	hashes  [64]uint64
	found   [64]*int32
	touched byte // keeps what is read from being left out
}

// add asks for the symbol with this text, or none, which is in found after flush.
func (x *search) add(text string, found *int32) {
	x.texts[x.n], x.hashes[x.n], x.found[x.n] = text, maphash.String(x.symbols.seed, text), found
	if x.n++; x.n == len(x.texts) {
		x.flush()
	}
}

// flush answers what was asked.
func (x *search) flush() {
	s := x.symbols
	var slots [len(x.texts)]slot
	for i, hash := range x.hashes[:x.n] {
		slots[i] = s.table[s.first(hash)]
	}
	var begin [len(x.texts)]uint32
	for i := range slots[:x.n] {
		if n := slots[i].number(); n > 0 {
			begin[i] = s.ends[n-1]
		}
	}
	arena := s.arena.String()
	for _, at := range begin[:x.n] {
		if int(at) < len(arena) {
			x.touched ^= arena[at]
		}
	}
	for i, text := range x.texts[:x.n] {
		*x.found[i], _ = s.probe(text, x.hashes[i])
	}
	x.n = 0
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
