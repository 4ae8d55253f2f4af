package download

import (
	"math/rand/v2"
	"testing"
)

// Spans of random adding and removing are compared with a bit for each byte.
func TestSpansAreSets(t *testing.T) {
	const size = 40
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		var s spans
		var set [size]bool
		for range 12 {
			from := r.Int64N(size + 1)
			x := span{from, from + r.Int64N(size+1-from)}
			in := r.IntN(3) > 0
			if in {
				s = s.add(x)
			} else {
				s = s.without(x)
			}
			for i := x.from; i < x.to; i++ {
				set[i] = in
			}
			var got [size]bool
			for i, y := range s {
				if y.from >= y.to || i > 0 && s[i-1].to >= y.from {
					t.Fatalf("seed %d: %v is not in order, or touches", seed, s)
				}
				for j := y.from; j < y.to; j++ {
					got[j] = true
				}
			}
			if got != set {
				t.Fatalf("seed %d: %v after %v, expected %v", seed, s, x, set)
			}
			var bytes, prefix int64
			for i, there := range set {
				if there {
					bytes++
				}
				if there && prefix == int64(i) {
					prefix++
				}
			}
			if s.bytes() != bytes || s.prefix() != prefix {
				t.Fatalf("seed %d: %v has %d bytes, %d at the beginning, expected %d and %d", seed, s, s.bytes(), s.prefix(), bytes, prefix)
			}
			gap := s.gap(size)
			for i := prefix; i < size && !set[i]; i++ {
				prefix++
			}
			if want := (span{s.prefix(), prefix}); gap != want {
				t.Fatalf("seed %d: the gap of %v is %v, expected %v", seed, s, gap, want)
			}
			low := s.below(size / 2)
			if want := s.without(span{size / 2, size}); low.bytes() != want.bytes() {
				t.Fatalf("seed %d: %v below %d is %v", seed, s, size/2, low)
			}
		}
	}
}
