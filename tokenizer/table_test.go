package tokenizer

import (
	"hash/maphash"
	"strconv"
	"sync"
	"testing"
)

func TestSymbolsKeepTheirNumbers(t *testing.T) {
	var s symbols
	s.grow(10, 0) // so that the table doubles many times
	const n = 100_000
	for i := range int32(n) {
		if got := s.intern(strconv.Itoa(int(i))); got != i {
			t.Fatalf("symbol %d got the number %d", i, got)
		}
	}
	s.texts.add("7")
	if s.at(n) != "7" {
		t.Errorf("a text added twice is not in the list")
	}
	for i := range int32(n) {
		text := strconv.Itoa(int(i))
		if got := s.find(text); got != i || s.intern(text) != i || s.at(i) != text {
			t.Fatalf("find(%q) = %d", text, got)
		}
		if got := s.find("x" + text); got != none {
			t.Fatalf("find of what is no symbol = %d, %q", got, s.at(got))
		}
	}
}

func TestMergesAreFoundByTheirPair(t *testing.T) {
	const n = 300
	var m merges
	m.grow(n * n)
	for i := range int32(n * n) {
		m.list[i] = merge{i / n, i % n, i}
	}
	m.enter()
	for left := range int32(n) {
		for right := range int32(n) {
			if got, want := m.find(left, right), left*n+right; got != want {
				t.Fatalf("find(%d, %d) = %d, want %d", left, right, got, want)
			}
			if got := m.find(left, n+right); got != none {
				t.Fatalf("find(%d, %d) = %d, want none", left, n+right, got)
			}
		}
	}
}

// Goroutines enter the same texts under other numbers, the highest first, so that entries are replaced while others look for them.
func TestEntriesOfManyGoroutinesKeepTheLowestNumber(t *testing.T) {
	const texts, times, step = 500, 8, 10
	for range 20 {
		var s symbols
		s.grow(texts*times, 0)
		for i := range texts * times {
			s.texts.add(strconv.Itoa(i % texts))
		}
		hash := func(n int32) uint64 { return maphash.String(s.seed, s.at(n)) }
		equal := func(n, other int32) bool { return s.at(n) == s.at(other) }
		var wait sync.WaitGroup
		for i := range times {
			wait.Go(func() {
				for from := (i+1)*texts - step; from >= i*texts; from -= step {
					s.table.enter(from, from+step, hash, equal)
				}
			})
		}
		wait.Wait()
		for i := range int32(texts) {
			if got := s.find(strconv.Itoa(int(i))); got != i {
				t.Fatalf("find(%d) = %d", i, got)
			}
		}
	}
}

func TestQueueGivesTheLowestRankThenTheLeftmost(t *testing.T) {
	var q queue
	for i := range int32(1000) {
		q.push(i*7919%1000, i*31%10)
	}
	node, rank := q.pop()
	for len(q) > 0 {
		n, r := q.pop()
		if r < rank || r == rank && n <= node {
			t.Fatalf("node %d, rank %d comes after node %d, rank %d", n, r, node, rank)
		}
		node, rank = n, r
	}
}
