package model

import (
	"math/bits"
	"slices"
	"testing"
)

// TestIdentitiesOfNeighboursDiffer: IDs, places and lengths that are close give identities that have nothing in common.
func TestIdentitiesOfNeighboursDiffer(t *testing.T) {
	seen := map[Identity]bool{}
	var ones [64]int // per bit, how often it is set
	n, flipped := 0, 0
	add := func(x Input, i, count int) {
		v := x.identity(i, count)
		if _, token := v.Token(); token || v == Unknown || seen[v] {
			t.Fatalf("ID %d, image %t, embedding %d of %d: %d is a token, unknown or another's", x.ID, x.Image, i, count, v)
		}
		seen[v] = true
		n++
		for b := range ones {
			ones[b] += int(uint64(v) >> b & 1)
		}
		x.ID++
		flipped += bits.OnesCount64(uint64(v ^ x.identity(i, count)))
	}
	for _, base := range []uint64{0, 1 << 32, 1<<64 - 65, 0xdeadbeefcafe} {
		for id := base + 1; id != base+65; id++ {
			for i := range 64 {
				add(Input{ID: id}, i, 64)
				add(Input{ID: id, Image: true}, i, 64)
				add(Input{ID: id, Image: true}, i, 65)
			}
		}
	}
	for b, k := range ones[:63] {
		if share := float64(k) / float64(n); share < 0.49 || share > 0.51 {
			t.Errorf("bit %d is set in %.1f%% of %d identities", b, 100*share, n)
		}
	}
	if mean := float64(flipped) / float64(n); mean < 31 || mean > 32 {
		t.Errorf("the next ID changes %.1f bits of 63", mean)
	}
}

func TestWhatIsCutKeepsItsIdentities(t *testing.T) {
	m := &Model{Config: Config{Width: 4}}
	soft := make([]float32, 9*m.Width)
	in := []Input{
		{Tokens: []int32{5, 6, 7}}, {Embeddings: soft, ID: 1}, {Embeddings: soft, ID: 1, Image: true}, {Embeddings: soft},
		{Embeddings: soft, ID: 9},
	}
	want := m.Identities(nil, in...)
	if len(want) != m.Positions(in...) || len(want) != 3+4*9 {
		t.Fatalf("%d identities of %d positions", len(want), m.Positions(in...))
	}
	for n := 1; n <= len(want); n++ {
		var got []Identity
		for rest := in; len(rest) > 0; {
			var first []Input
			first, rest = m.Cut(rest, n)
			got = m.Identities(got, first...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("cut in pieces of %d: %d, want %d", n, got, want)
		}
	}
	if in[1].ID != 1 || in[4].ID != 9 {
		t.Error("Cut has changed the caller's input")
	}
}

func TestTextsAreTheSameUpToAnUnknownEmbedding(t *testing.T) {
	m := &Model{Config: Config{Width: 4}}
	soft := make([]float32, 5*m.Width)
	text := func(in ...Input) []Identity { return m.Identities(nil, append(in, Input{Tokens: []int32{8}})...) }
	before := Input{Tokens: []int32{1, 2}}
	picture := Input{Embeddings: soft, Image: true, ID: 3}
	sound := Input{Embeddings: soft, ID: 3}
	for _, test := range []struct {
		a, b []Identity
		want int
	}{
		{text(before, picture), text(before, picture), 8},
		{text(before, picture), text(before, Input{Embeddings: soft, Image: true, ID: 4}), 2},
		{text(before, picture), text(before, sound), 2},
		{text(before, picture), text(picture), 0},
		{text(before, picture), text(before, Input{Embeddings: soft[m.Width:], Image: true, ID: 3}), 2},
		{text(before, sound), text(before, Input{Embeddings: soft[m.Width:], ID: 3}), 6},
		{text(before, Input{Embeddings: soft}), text(before, Input{Embeddings: soft}), 2},
		{text(before), text(before, picture), 2},
	} {
		if got := CommonLen(test.a, test.b); got != test.want {
			t.Errorf("%d and %d have %d positions in common, want %d", test.a, test.b, got, test.want)
		}
		if got := CommonLen(test.b, test.a); got != test.want {
			t.Errorf("%d and %d have %d positions in common, want %d", test.b, test.a, got, test.want)
		}
	}
}
