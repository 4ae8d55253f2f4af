package grammar

import (
	"flag"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/tokenizer"
)

// small returns the vocabulary of nano, gemma that of Gemma 4.
func small(t testing.TB) *Vocabulary {
	return vocabulary(t, filepath.Join(testdata.Root(t), "tokenizer", "testdata", "nano-vocab.gguf"))
}

// large is a file with Gemma's vocabulary: any model's.
var large = flag.String("vocabulary", "", "the `FILE` with Gemma's vocabulary (default: that of the reference material)")

func gemma(t testing.TB) *Vocabulary {
	if *large != "" {
		return vocabulary(t, *large)
	}
	return vocabulary(t, testdata.Shared(t, "golden", "tokenizer", "gemma4-vocab.gguf"))
}

var vocabularies sync.Map // by path; tests only read them

func vocabulary(t testing.TB, path string) *Vocabulary {
	t.Helper()
	if v, ok := vocabularies.Load(path); ok {
		return v.(*Vocabulary)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tok, err := tokenizer.New(f.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	v := NewVocabulary(tok)
	t.Logf("%d tokens, %d nodes: %v", v.size, len(v.all.nodes), time.Since(start))
	vocabularies.Store(path, v)
	return v
}

// brute returns the tokens that may follow, each tried byte by byte.
func brute(s State) []int32 {
	var ids []int32
	for id := range int32(s.g.vocabulary.size) {
		if _, ok := s.Accept(id); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// walkRandomly follows random tokens of a grammar's masks for so many steps, and shows each state.
func walkRandomly(g *Grammar, r *rand.Rand, steps int, show func(State)) {
	s := g.Start()
	for range steps {
		show(s)
		ids := slices.Collect(s.Mask().All)
		if len(ids) == 0 {
			s = g.Start()
			continue
		}
		s, _ = s.Accept(ids[r.IntN(len(ids))])
	}
}

var expressions = []string{
	`a*`, `[a-z]{1,5}`, `[^"\\]*`, `"[^"\\\x00-\x1f]{0,7}"`, `"[^"\\\x00-\x1f]*"`, `-?(0|[1-9][0-9]*)(\.[0-9]+)?`,
	`(the|then|there) (cat|category)`,
	`[A-Za-z_][A-Za-z0-9_]{0,20}`, `(?i)hello`, `\d{4}-\d{2}-\d{2}`, `.{3,}`, `(?s).*`, `(a|ab)(c|bcd)*`, `[\x{3040}-\x{30ff}]+`,
	`[a-z0-9_-]+@[a-z]+\.[a-z]{2,3}`, `(ab?){2,4}|x{100}`, `[^a-z]+`,
	`([a-z]|ab){0,5}"`, `([^"\\]|\\.){0,3}"`, `"(a|[^"]){2,9}[^"]{3}"`, `([a-z]|ab){2}[0-9]`,
}

func TestMaskEqualsBruteForce(t *testing.T) {
	v := small(t)
	for _, x := range expressions {
		g, err := Regexp(v, x)
		if err != nil {
			t.Fatal(x, err)
		}
		walkRandomly(g, rand.New(rand.NewPCG(1, 2)), 30, func(s State) { checkMask(t, x, s) })
	}
}

func TestMaskEqualsBruteForceOnTheRealVocabulary(t *testing.T) {
	v := gemma(t)
	for _, x := range expressions {
		g, err := Regexp(v, x)
		if err != nil {
			t.Fatal(x, err)
		}
		n := 3
		if testing.Short() {
			n = 1
		}
		walkRandomly(g, rand.New(rand.NewPCG(1, 2)), n, func(s State) { checkMask(t, x, s) })
	}
}

func checkMask(t *testing.T, name string, s State) {
	t.Helper()
	m := s.Mask()
	got, want := slices.Collect(m.All), brute(s)
	if !slices.Equal(got, want) || m.Len() != len(want) {
		t.Fatalf("%s: mask has %d of %d tokens, brute force %d", name, len(got), m.Len(), len(want))
	}
	r := rand.New(rand.NewPCG(1, uint64(len(want))))
	for range 20 {
		id := r.Int32N(int32(s.g.vocabulary.size)+2) - 1
		if _, has := slices.BinarySearch(want, id); m.Has(id) != has {
			t.Fatalf("%s: Has(%d) is %v", name, id, !has)
		}
	}
	if (m.IDs() == nil) == (m.Bits() == nil) {
		t.Fatalf("%s: a mask of %d is both or neither a list and a set", name, m.Len())
	}
}
