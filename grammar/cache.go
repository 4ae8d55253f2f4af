package grammar

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gogemma/gemma4/internal/machine"
)

// A cache keeps the grammars of a vocabulary by what they were made of, and bounds what all of its grammars remember.
type cache struct {
	limit int64        // bytes
	step  int          // bytes that a grammar finds out before they are counted
	taken atomic.Int64 // bytes, about, of grammars and what they have found out

	mu      sync.Mutex
	seed    maphash.Seed
	entries map[uint64][]*entry // by hash of their keys
	count   int                 // of those that are made
	clock   int64               // of requests
}

// An entry is a grammar, or why there is none.
type entry struct {
	hash uint64
	key  key
	make func() (*Grammar, error) // once
	made bool
	g    *Grammar
	size int64
	used int64 // when it was asked for
}

// A key is what a grammar is made of: front end, options and texts.
type key [][]byte

// Bounds on a cache.
const (
	maxMemory   = 64 << 20 // on a machine with that much to spare
	minMemory   = 8 << 20
	maxGrammars = 512
)

func newCache() *cache {
	c := &cache{limit: maxMemory, step: 64 << 10, seed: maphash.MakeSeed(), entries: map[uint64][]*entry{}}
	if free := machine.Available(); free > 0 {
		c.limit = min(max(free/64, minMemory), maxMemory)
	}
	return c
}

// bit is a key's part for an option.
func bit(on bool) byte {
	if on {
		return 1
	}
	return 0
}

func (k key) equal(other key) bool { return slices.EqualFunc(k, other, bytes.Equal) }

// hash looks at the ends of parts and their lengths: half a megabyte of tools is compared in far less time than it is hashed.
func (k key) hash(seed maphash.Seed) (h uint64) {
	for _, part := range k {
		n := min(len(part), 200)
		h = 31*(31*(31*h+uint64(len(part)))+maphash.Bytes(seed, part[:n])) + maphash.Bytes(seed, part[len(part)-n:])
	}
	return h
}

// clone copies the parts, which belong to the caller.
func (k key) clone() (key, int64) {
	own := make(key, len(k))
	size := int64(0)
	for i, part := range k {
		own[i] = bytes.Clone(part)
		size += int64(len(part)) + 24
	}
	return own, size
}

// get returns the grammar of a key, which is built if it is not known. Those who ask for one that is being built wait for it. Errors are
// kept as well: what is refused after much work is refused at once the next time.
func (c *cache) get(k key, build func() (*Grammar, error)) (*Grammar, error) {
	hash := k.hash(c.seed)
	c.mu.Lock()
	c.clock++
	for _, e := range c.entries[hash] {
		if e.key.equal(k) {
			e.used = c.clock
			c.mu.Unlock()
			return e.make()
		}
	}
	e := &entry{hash: hash, make: sync.OnceValues(build), used: c.clock}
	e.key, e.size = k.clone()
	c.entries[hash] = append(c.entries[hash], e)
	c.mu.Unlock()
	g, err := e.make()
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.g = g; g != nil {
		e.size += int64(g.arena.size + g.vocabulary.size/8 + 16<<10)
	}
	e.made = true
	c.count++
	c.taken.Add(e.size)
	c.trim()
	return g, err
}

// trim makes room where there is too much: it forgets, of the grammars that were asked for first, what was found out about them, then the
// grammars, until half of the bound is free. What is being worked with stays.
func (c *cache) trim() {
	if c.taken.Load() <= c.limit && c.count <= maxGrammars {
		return
	}
	var all []*entry
	for _, list := range c.entries {
		for _, e := range list {
			if e.made {
				all = append(all, e)
			}
		}
	}
	slices.SortFunc(all, func(a, b *entry) int { return cmp.Compare(a.used, b.used) })
	for _, drop := range []bool{false, true} {
		for _, e := range all {
			if c.taken.Load() <= c.limit/2 && !(drop && c.count > maxGrammars/2) {
				break
			}
			if e.g != nil {
				if !e.g.mu.TryLock() {
					continue
				}
				e.g.flush()
				e.g.mu.Unlock()
			}
			if drop {
				c.taken.Add(-e.size)
				c.count--
				c.entries[e.hash] = slices.DeleteFunc(c.entries[e.hash], func(x *entry) bool { return x == e })
				if len(c.entries[e.hash]) == 0 {
					delete(c.entries, e.hash)
				}
			}
		}
	}
}

// A memory counts, in its cache too, what one grammar has found out.
type memory struct {
	cache *cache
	bytes atomic.Int64
}

// set says how much it is.
func (m *memory) set(n int) { m.cache.taken.Add(int64(n) - m.bytes.Swap(int64(n))) }

// remember counts what the grammar has found out, and forgets where that is too much.
func (g *Grammar) remember() {
	g.told = g.arena.used
	g.memory.set(g.told)
	c := g.vocabulary.cache
	if c.taken.Load() <= c.limit {
		return
	}
	c.mu.Lock()
	c.trim()
	c.mu.Unlock()
	if c.taken.Load() > c.limit {
		g.flush()
	}
}
