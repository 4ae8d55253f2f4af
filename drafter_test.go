package gemma4

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/sampler"
)

// nanoFile reads a file of package nano, which imports this one.
func nanoFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("nano", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// watched is a source that is looked at when it has guessed.
type watched struct {
	source
	guessed func(source, *generation)
}

func (w watched) guess(ctx context.Context, g *generation, p *pace, n int, dst []int32, probs []float64) ([]int32, []float64) {
	dst, probs = w.source.guess(ctx, g, p, n, dst, probs)
	w.guessed(w.source, g)
	return dst, probs
}

// watch opens nano with a drafter, and lets a test look whenever that has guessed.
func watch(t *testing.T, drafter []byte, guessed func(source, *generation)) *Model {
	t.Helper()
	m, err := (Loader{Drafter: Companion{Bytes: drafter}}).OpenBytes(nanoFile(t, "nano-q4_0.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	inner := m.newDrafter
	m.newDrafter = func() source { return watched{inner(), guessed} }
	return m
}

// writeOn generates that many tokens of nonsense with the model's drafter alone.
func writeOn(t *testing.T, m *Model, tokens int, draft Draft) (ids []int32) {
	t.Helper()
	s, err := m.NewSession(SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	draft.Match = -1
	o := GenerateOptions{MaxTokens: tokens, Sampling: sampler.Overrides{Seed: new(uint64(3)), Suppress: m.tok.Ends()}, Draft: draft}
	for tok, err := range s.Generate(context.Background(), []Input{{Tokens: m.tok.Encode("Once upon a time", true)}}, o) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, tok.ID)
	}
	return ids
}

// TestASecondModelReadsNothingTwice: where its windows pass pages, a draft that is taken back would take the text back to its beginning.
func TestASecondModelReadsNothingTwice(t *testing.T) {
	far := 0
	m := watch(t, nanoFile(t, "nano-q4_0.gguf"), func(x source, g *generation) {
		if n := len(x.(*smaller).ids); n != len(g.s.ids)-1 {
			t.Errorf("behind a draft at %d it holds %d positions", len(g.s.ids), n)
		}
		far = len(g.s.ids)
	})
	writeOn(t, m, 330, Draft{Always: true, Most: 4}) // two pages end
	if far < 320 {
		t.Errorf("the last draft is at %d", far)
	}
}

// TestADrafterThatFailsIsLeftAlone: one whose file is damaged is asked rarely, and changes no text.
func TestADrafterThatFailsIsLeftAlone(t *testing.T) {
	f, err := gguf.OpenBytes(nanoFile(t, "nano-draft-q8_0.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := writeOn(t, watch(t, nanoFile(t, "nano-draft-q8_0.gguf"), func(source, *generation) {}), 150, Draft{Off: true})
	for name, set := range map[string]struct {
		tensor string
		at     int64
		value  uint16
	}{
		"NaN in the head":        {"token_embd.weight", 0, 0x7e00},
		"NaN in the projection":  {"nextn.post_projection.weight", 0, 0x7e00},
		"infinity in the head":   {"token_embd.weight", 34 * 7, 0x7c00},
		"infinity in a product":  {"blk.0.ffn_down.weight", 0, 0x7c00},
		"huge numbers in a head": {"token_embd.weight", 0, 0x7bff},
	} {
		if testing.Short() && !strings.HasPrefix(name, "NaN") {
			continue
		}
		x := f.Tensor(set.tensor)
		if x == nil || x.Type != gguf.Q8_0 {
			t.Fatalf("%s: %+v", set.tensor, x)
		}
		file := slices.Clone(nanoFile(t, "nano-draft-q8_0.gguf"))
		binary.LittleEndian.PutUint16(file[x.Offset+set.at:], set.value)
		asked := 0
		m := watch(t, file, func(source, *generation) { asked++ })
		if ids := writeOn(t, m, 150, Draft{}); !slices.Equal(ids, want) {
			t.Errorf("%s: another text", name)
		}
		if asked > 40 {
			t.Errorf("%s: asked %d times in 150 steps", name, asked)
		}
	}
}

// TestLookupFollowsTheText: behind a rewind it looks nothing up that is gone.
func TestLookupFollowsTheText(t *testing.T) {
	m, err := OpenBytes(nanoFile(t, "nano-q4_0.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := m.NewSession(SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	in := []Input{{Tokens: m.tok.Encode("One two three four", true)}}
	for i, texts := range [][]string{nil, nil, {"two three"}, {"", "two<turn|>", "four"}, nil} {
		o := GenerateOptions{MaxTokens: 20, Draft: Draft{Always: true, Texts: texts}}
		o.Sampling.Seed, o.Sampling.Suppress = new(uint64(i)), m.tok.Ends()
		for _, err := range s.Generate(context.Background(), in, o) {
			if err != nil {
				t.Fatal(err)
			}
		}
		l := s.drafters[0].source.(*lookup)
		fresh := newLookup()
		g := &generation{s: s, o: o}
		l.follow(context.Background(), g)
		fresh.follow(context.Background(), g)
		if l.index.Len() != fresh.index.Len() {
			t.Errorf("%d: the index has %d ids, one of this text %d", i, l.index.Len(), fresh.index.Len())
		}
		if _, err := s.Rewind(s.Len() - 9 + i); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	if s.drafters != nil {
		t.Error("a closed session has an index")
	}
}

// TestASessionBringsWhatItDecodes: what other streams reckon with is what came, not what was planned or brought before.
func TestASessionBringsWhatItDecodes(t *testing.T) {
	m, err := OpenBytes(nanoFile(t, "nano-q4_0.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var s *Session
	drafted := 0
	s, err = m.NewSession(SessionOptions{Trace: &Trace{Step: func(i StepInfo) {
		drafted += i.Drafted
		if b := s.job.brought; b.streams != 1 || b.positions != i.Positions || i.Drafted == 0 && b.tokens != 1 {
			t.Errorf("a step of %+v brings %+v", i, b)
		}
	}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	o := GenerateOptions{MaxTokens: 30, Draft: Draft{Always: true, Most: 5, Match: 2}}
	o.Draft.Guess = func([]int32, int) []int32 { return []int32{5, 6} }
	o.Sampling.Seed, o.Sampling.Suppress = new(uint64(1)), m.tok.Ends()
	for _, err := range s.Generate(context.Background(), []Input{{Tokens: m.tok.Encode("One two", true)}}, o) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Write(context.Background(), 7, 8, 9); err != nil {
		t.Fatal(err)
	}
	if drafted == 0 {
		t.Error("nothing was drafted")
	}
}

// TestDraftsOfLargeVocabulariesAreOfFrequentIds, those of small ones of all.
func TestDraftsOfLargeVocabulariesAreOfFrequentIds(t *testing.T) {
	for _, n := range []int{synth.MinVocabulary, draftIDs, draftIDs + 1000} {
		shape, err := synth.ParseDrafter("micro-e-draft:q4_0")
		if err != nil {
			t.Fatal(err)
		}
		shape.Model.Vocabulary, shape.Model.Mix = n, shape.Mix
		m, err := Loader{Drafter: Companion{Bytes: synth.Bytes(shape)}}.OpenBytes(synth.Bytes(shape.Model))
		if err != nil {
			t.Fatal(err)
		}
		switch ids := m.companions[0].drafter.IDs(); {
		case n <= draftIDs && ids != nil:
			t.Errorf("of %d tokens %d are drafted, expected all", n, len(ids))
		case n > draftIDs && len(ids) != draftIDs:
			t.Errorf("of %d tokens %d are drafted, expected %d", n, len(ids), draftIDs)
		case n > draftIDs:
			for _, end := range m.tok.Ends() {
				if !slices.Contains(ids, end) {
					t.Errorf("%s is not drafted", m.tok.Text(end))
				}
			}
		}
		m.Close()
	}
}
