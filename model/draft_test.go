package model

import (
	"context"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/tensor"
)

// goldenDraft is what numpy made of a drafter: the tokens chosen after those read, and the state and logits of each step.
type goldenDraft struct {
	Target, Drafter string
	IDs             []int32
	Token           int32
	Draft           []int32
	Vocab           int
	State           [][]float32
	logits          []float32 // [steps, vocabulary]
}

var goldenDrafts = []string{"micro-e4", "micro-dense"}

func readGoldenDraft(t testing.TB, name string) *goldenDraft {
	t.Helper()
	g := &goldenDraft{}
	readJSON(t, file(t, "draft", name+"-draft.json"), g)
	g.logits = readFloats(t, file(t, "draft", name+"-draft.logits.f32"))
	return g
}

// openDrafter opens a drafter for a model.
func openDrafter(t testing.TB, m *Model, path string, o DrafterOptions) *Drafter {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	d, err := OpenDrafter(f, m, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// readFor reads a prompt and returns the state at its last position.
func readFor(t testing.TB, s *session, ids []int32) []float32 {
	t.Helper()
	last := s.Len() + len(ids) - 1
	c := &Chunk{Sequence: s.Sequence, Input: []Input{{Tokens: ids}}, Want: func(pos int) bool { return pos == last }}
	if err := s.pass.Read(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	return c.Hidden
}

func TestDraftsAreThoseOfNumpy(t *testing.T) {
	for _, name := range goldenDrafts {
		g := readGoldenDraft(t, name)
		for _, workers := range []int{1, 3} {
			m := openModel(t, file(t, "text", g.Target), workers)
			d := openDrafter(t, m, file(t, "draft", g.Drafter), DrafterOptions{})
			s := newSession(t, m, SequenceOptions{Cache: tensor.F32})
			x := d.NewDraft()
			x.Begin(s.Sequence, readFor(t, s, g.IDs), len(g.IDs))
			token := g.Token
			for i := range g.Draft {
				logits, err := x.Next(context.Background(), token)
				if err != nil {
					t.Fatal(err)
				}
				if w := worst(logits, g.logits[i*g.Vocab:(i+1)*g.Vocab]); w > 1e-3 {
					t.Errorf("%s, step %d: logits are off by %g", name, i, w)
				}
				if w := worst(x.input[m.Width:], g.State[i]); w > 1e-3 {
					t.Errorf("%s, step %d: the state is off by %g", name, i, w)
				}
				if token = argmax(logits); token != g.Draft[i] {
					t.Errorf("%s, step %d: drafts %d, expected %d", name, i, token, g.Draft[i])
				}
			}
		}
	}
}

func argmax(x []float32) int32 {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return int32(best)
}

var _ = testdata.Root
