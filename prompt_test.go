package gemma4

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/model"
)

func TestBordersOfAPrompt(t *testing.T) {
	p := prompt{images: []span{{2, 5}, {5, 5}, {5, 8}, {10, 11}}}
	for n, want := range []int{0, 1, 2, 2, 2, 5, 5, 5, 8, 9, 10, 11, 12} {
		if got := p.border(n); got != want {
			t.Errorf("the last border up to %d is %d, expected %d", n, got, want)
		}
	}
	held := []int{0, 4, 6, 9}
	reach := func(n int) int {
		i, found := slices.BinarySearch(held, n)
		if !found {
			i--
		}
		return held[i]
	}
	for n, want := range []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 9} { // 6 and 4 lie within images
		if got := p.begin(n, reach); got != want {
			t.Errorf("up to %d a session begins at %d, expected %d", n, got, want)
		}
	}
	if got := p.begin(-1, reach); got != 0 {
		t.Errorf("before its beginning a text begins at %d", got)
	}
}

// FuzzEmbeddingIdentities: whatever a file says of embeddings, it is an error, or makes embeddings from a position on known, and nothing
// else.
func FuzzEmbeddingIdentities(f *testing.F) {
	f.Add([]byte{1, 0, 1, 1, 0}, []byte{3, 4}, []byte{5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0}, uint8(2))
	f.Add([]byte{0, 0}, []byte{0}, []byte{5, 0, 0, 0, 0, 0, 0, 0}, uint8(1))
	f.Add([]byte{0, 0}, []byte{1, 1}, []byte{5, 0, 0, 0, 0, 0, 0, 0}, uint8(0))
	f.Add([]byte{0}, []byte{0}, []byte{0, 0, 0, 0, 0, 0, 0, 128}, uint8(0))
	f.Fuzz(func(t *testing.T, tokens, at, identities []byte, from uint8) {
		before := make([]identity, len(tokens))
		for i, b := range tokens {
			before[i] = identity(b)
			if b == 0 {
				before[i] = model.Unknown
			}
		}
		list := make([]uint64, len(identities)/8)
		binary.Decode(identities, binary.LittleEndian, list)
		head := &gguf.File{Metadata: new(gguf.Metadata)}
		if err := head.Metadata.Set(savedEmbeddings, at); err != nil {
			t.Fatal(err)
		}
		if err := head.Metadata.Set(savedIdentities, list); err != nil {
			t.Fatal(err)
		}
		first := min(int(from), len(before))
		after := slices.Clone(before)
		if restoreIdentities(after, first, head) != nil {
			return
		}
		known := 0
		for i, x := range after {
			if x == before[i] {
				continue
			}
			if _, token := x.Token(); token || x == model.Unknown || before[i] != model.Unknown || i < first {
				t.Errorf("position %d of %d becomes %d", i, before, x)
			}
			known++
		}
		if known != len(at) || known != len(list) {
			t.Errorf("%d embeddings are known, the file has %d", known, len(at))
		}
	})
}
