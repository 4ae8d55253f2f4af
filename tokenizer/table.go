package tokenizer

import "math/bits"

// A table is a hash table with linear probing whose entries lie elsewhere, in a list: a slot holds an entry's number, and the owner
// compares entries. Four bytes a slot keep the tables of the real vocabulary in a processor's caches, and the bits of the hash in a slot
// avoid looking at most of the wrong entries.
type table []slot

// newTable returns a table for n entries: a power of two of slots, at most half of which they fill.
func newTable(n int) table { return make(table, 1<<bits.Len(uint(max(2*n, 2)-1))) }

// first returns the place where the search for a hash begins.
func (t table) first(hash uint64) uint32 { return uint32(hash) & uint32(len(t)-1) }

// next returns the place where the search continues.
func (t table) next(place uint32) uint32 { return (place + 1) & uint32(len(t)-1) }

// A slot is the number of an entry plus one, and above it the top bits of its hash. Zero is an empty slot.
type slot uint32

// numberBits is enough for [maxEntries] tokens and two new symbols for each of as many merges.
const numberBits = 22

func newSlot(hash uint64, number int32) slot {
	return slot(hash>>(32+numberBits))<<numberBits | slot(number+1)
}

// may reports whether the slot can be that of an entry with this hash.
func (s slot) may(hash uint64) bool { return s>>numberBits == slot(hash>>(32+numberBits)) }

func (s slot) number() int32 { return int32(s&(1<<numberBits-1)) - 1 }
