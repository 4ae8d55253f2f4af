package tokenizer

import (
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
)

// A table is a hash table with linear probing whose entries lie elsewhere, in a list: a slot holds an entry's number, and the owner
// compares entries. Four bytes a slot keep the tables of the real vocabulary in a processor's caches, and the bits of the hash in a slot
// avoid looking at most of the wrong entries.
type table []slot

// newTable returns a table for n entries: a power of two of slots, at most half of which they fill.
func newTable(n int) table {
	t := make(table, 1<<bits.Len(uint(max(2*n, 2)-1)))
	clear(t) // memory that is read before it is written costs two page faults
	return t
}

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

// enter gives the entries from … to-1 their slots; other goroutines may enter others meanwhile. Of equal entries the one with the lowest
// number stays.
func (t table) enter(from, to int, hash func(number int32) uint64, equal func(number, other int32) bool) {
	var hashes [64]uint64
	for ; from < to; from += len(hashes) {
		some := hashes[:min(to-from, len(hashes))]
		for i := range some {
			some[i] = hash(int32(from + i))
			t.load(t.first(some[i])) // the processor waits for memory once, not for each of them
		}
		for i, h := range some {
			for place := t.first(h); !t.settle(place, int32(from+i), h, equal); place = t.next(place) {
			}
		}
	}
}

// settle reports whether the slot at a place is the entry's now, or that of an equal one with a lower number. Slots are never emptied, and
// change hands between equal entries alone: those all meet at one place.
func (t table) settle(place uint32, number int32, hash uint64, equal func(number, other int32) bool) bool {
	for {
		x := t.load(place)
		if x != 0 {
			if !x.may(hash) || !equal(number, x.number()) {
				return false
			}
			if x.number() < number {
				return true
			}
		}
		if t.swap(place, x, newSlot(hash, number)) {
			return true
		}
	}
}

func (t table) load(place uint32) slot { return slot(atomic.LoadUint32((*uint32)(&t[place]))) }

func (t table) swap(place uint32, old, new slot) bool {
	return atomic.CompareAndSwapUint32((*uint32)(&t[place]), uint32(old), uint32(new))
}

// mostShares is how many processors share the work of making tables at most.
const mostShares = 8

// share lets some processors work on n things, each on those from … to-1.
func share(n int, work func(i, from, to int)) {
	shares := min(runtime.GOMAXPROCS(0), mostShares)
	var wait sync.WaitGroup
	for i := range shares {
		wait.Go(func() { work(i, n*i/shares, n*(i+1)/shares) })
	}
	wait.Wait()
}
