package tokenizer

import (
	"math/bits"
	"math/rand/v2"
)

// merges finds what two adjacent symbols become. The hash is seeded at random, so that no file can be made whose pairs all collide.
type merges struct {
	list []merge // by rank: the lowest goes first
	table
	seed [2]uint64
}

// A merge joins two symbols into one, or into none: a text that is not a token and that nothing merges with.
type merge struct{ left, right, into int32 }

// grow makes room for n merges.
func (m *merges) grow(n int) {
	m.list = make([]merge, n)
	m.table = newTable(n)
	m.seed = [2]uint64{rand.Uint64(), rand.Uint64() | 1}
}

func (m *merges) hash(left, right int32) uint64 {
	hi, lo := bits.Mul64((uint64(uint32(left))<<32|uint64(uint32(right)))^m.seed[0], m.seed[1])
	return hi ^ lo
}

// find returns the rank of the pair's merge, or none.
func (m *merges) find(left, right int32) int32 {
	hash := m.hash(left, right)
	for place := m.first(hash); m.table[place] != 0; place = m.next(place) {
		if x := m.table[place]; x.may(hash) {
			if y := &m.list[x.number()]; y.left == left && y.right == right {
				return x.number()
			}
		}
	}
	return none
}

// enter fills the table with the merges of the list. Of those of one pair find returns the first.
func (m *merges) enter() {
	share(len(m.list), func(_, from, to int) {
		hash := func(rank int32) uint64 { return m.hash(m.list[rank].left, m.list[rank].right) }
		m.table.enter(from, to, hash, func(rank, other int32) bool {
			x, y := &m.list[rank], &m.list[other]
			return x.left == y.left && x.right == y.right
		})
	})
}

// joints is the set of pairs of characters that a merge may join: the last of a left side with the first of a right side. Where two
// neighbours in the text are not such a pair, no merge ever reaches across, and the text can be cut. It is a set of hashes and may claim
// pairs that were never added; then a text is cut less often, with the same result.
type joints [1 << 13]uint64

func (j *joints) add(left, right rune) {
	h := joint(left, right)
	j[h>>6] |= 1 << (h & 63)
}

// join adds the pairs of another set.
func (j *joints) join(other *joints) {
	for i, word := range other {
		j[i] |= word
	}
}

func (j *joints) has(left, right rune) bool {
	h := joint(left, right)
	return j[h>>6]>>(h&63)&1 != 0
}

// joint hashes a pair to 19 bits: the 34000 pairs of the real vocabulary set one in 16. The factors are the first 32 bits
// of the golden ratio and of pi, odd.
func joint(left, right rune) uint32 {
	return (uint32(left)*0x9e3779b1 ^ bits.RotateLeft32(uint32(right)*0xc90fdaa3, 15)) >> (32 - 19)
}
