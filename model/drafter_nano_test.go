package model_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/tensor"
	"github.com/gogemma/gemma4/tokenizer"
)

// spoken is a conversation of nano as tokens.
type spoken struct{ prompt, answer []int32 }

// nanoAnswers returns the questions that nano was measured with, and what it answers at temperature 0.
func nanoAnswers(t testing.TB, tok *tokenizer.Tokenizer) (all []spoken) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(testdata.Root(t), "nano", "testdata", "questions.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []struct{ Prompt, Answer string }
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	for _, q := range list {
		all = append(all, spoken{tok.Encode(q.Prompt, true), tok.Encode(q.Answer, true)})
	}
	return all
}

// acceptance counts, for each place in drafts of 4, how many were drafted behind none that was wrong, how many of these were right, and how
// many passes the answers would take.
type acceptance struct {
	drafted, right [4]int
	tokens, passes int
}

// draftAnswers lets a drafter guess all answers: where they would be drafted, if each draft is checked in one pass.
func draftAnswers(t testing.TB, m *model.Model, d *model.Drafter, all []spoken, cache tensor.Format) (a acceptance) {
	t.Helper()
	ctx := context.Background()
	p, x := m.NewPass(), d.NewDraft()
	for _, q := range all {
		s, err := m.NewSequence(model.SequenceOptions{Cache: cache})
		if err != nil {
			t.Fatal(err)
		}
		last := len(q.prompt) - 1
		c := &model.Chunk{Sequence: s, Input: []model.Input{{Tokens: q.prompt}}, Want: func(pos int) bool { return pos == last }}
		if err := p.Read(ctx, c); err != nil {
			t.Fatal(err)
		}
		hidden := c.Hidden
		for at := 0; at < len(q.answer)-1; { // the token there is chosen, what follows is drafted
			x.Begin(s, hidden, s.Len())
			token, right := q.answer[at], 0
			for i := range min(4, len(q.answer)-1-at) {
				logits, err := x.Next(ctx, token)
				if err != nil {
					t.Fatal(err)
				}
				a.drafted[i]++
				if token = likeliest(logits, d.IDs()); token != q.answer[at+1+i] {
					break
				}
				a.right[i]++
				right++
			}
			next := at + 1 + right
			c := &model.Chunk{Sequence: s, Input: []model.Input{{Tokens: q.answer[at:next]}}, Want: func(int) bool { return true }}
			if err := p.Decode(ctx, c); err != nil || c.Err != nil {
				t.Fatal(err, c.Err)
			}
			hidden = c.Hidden[right*m.Width:]
			a.tokens += 1 + right
			a.passes++
			at = next
		}
		s.Close()
	}
	return a
}

// likeliest returns the id of the greatest of logits, which are of ids; nil: of all.
func likeliest(logits []float32, ids []int32) int32 {
	best := 0
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
	}
	if ids != nil {
		return ids[best]
	}
	return int32(best)
}

// openDrafted opens a model and a drafter for it on the kernels of a level.
func openDrafted(t testing.TB, k *tensor.Kernels, weights, drafter []byte) (*model.Model, *model.Drafter) {
	t.Helper()
	f, err := gguf.OpenBytes(weights)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(f, model.Options{Kernels: k, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	f, err = gguf.OpenBytes(drafter)
	if err != nil {
		t.Fatal(err)
	}
	d, err := model.OpenDrafter(f, m, model.DrafterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m, d
}

// TestNanosDrafterGuessesItsAnswers as often as numpy's does, in every format of the cache and at every level.
func TestNanosDrafterGuessesItsAnswers(t *testing.T) {
	formats := []tensor.Format{tensor.F16, tensor.Q8_0, tensor.Q4_0, tensor.F32}
	levels := gemma4.Levels()
	f, err := gguf.OpenBytes(nano.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New(f.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	all := nanoAnswers(t, tok)
	for i, k := range levels {
		m, d := openDrafted(t, k, nano.GGUF(), nano.Drafter())
		of := formats // at the best level, and at each other one of them
		switch best := i == len(levels)-1; {
		case testing.Short() && !best:
			continue
		case !best:
			of = formats[i%len(formats):][:1]
		}
		for _, f := range of {
			some := all
			if k != levels[len(levels)-1] || f != tensor.F16 || testing.Short() {
				some = all[:10]
			}
			a := draftAnswers(t, m, d, some, f)
			per := float64(a.tokens) / float64(a.passes)
			t.Logf("%s, %v: of %v tokens drafted %v are right, %.2f tokens per pass", k.Name, f, a.drafted, a.right, per)
			for place, least := range []float64{1, 1, 0.92, 0.92} {
				if float64(a.right[place]) < least*float64(a.drafted[place]) {
					t.Errorf("%s, %v: %d of %d are right at place %d, expected %.2f of them", k.Name, f, a.right[place], a.drafted[place],
						place+1, least)
				}
			}
			if len(some) == len(all) && per < 4.2 {
				t.Errorf("%s, %v: %.2f tokens per pass, expected 4.29", k.Name, f, per)
			}
		}
	}
}

// TestNanosDrafterInFloatsGuessesAsWell, for nano in floats.
func TestNanosDrafterInFloatsGuessesAsWell(t *testing.T) {
	var files [2][]byte
	for i, name := range []string{"nano-f32.gguf", "nano-draft-f32.gguf"} {
		var err error
		if files[i], err = os.ReadFile(testdata.Shared(t, "nano", name)); err != nil {
			t.Fatal(err)
		}
	}
	k, err := gemma4.BestKernels()
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.OpenBytes(files[0])
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New(f.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	m, d := openDrafted(t, k, files[0], files[1])
	a := draftAnswers(t, m, d, nanoAnswers(t, tok)[:15], tensor.F32)
	t.Logf("of %v tokens drafted %v are right", a.drafted, a.right)
	for place, n := range a.drafted {
		if float64(a.right[place]) < 0.92*float64(n) {
			t.Errorf("%d of %d are right at place %d", a.right[place], n, place+1)
		}
	}
}

// TestGoldenDraftsAtEveryLevel: weights and caches of floats are multiplied as floats everywhere.
func TestGoldenDraftsAtEveryLevel(t *testing.T) {
	for _, name := range []string{"micro-e4", "micro-dense"} {
		var g struct {
			IDs    []int32
			Token  int32
			Draft  []int32
			Logits string
		}
		data, err := os.ReadFile(testdata.Shared(t, "golden", "draft", name+"-draft.json"))
		if err == nil {
			err = json.Unmarshal(data, &g)
		}
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(testdata.Shared(t, "golden", "draft", g.Logits))
		if err != nil {
			t.Fatal(err)
		}
		weights, err := os.ReadFile(testdata.Shared(t, "golden", "text", name+".gguf"))
		if err != nil {
			t.Fatal(err)
		}
		drafter, err := os.ReadFile(testdata.Shared(t, "golden", "draft", name+"-draft.gguf"))
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range gemma4.Levels() {
			for _, cache := range []tensor.Format{tensor.F32, tensor.F16} {
				kernels, most := k, 1e-3
				if cache != tensor.F32 {
					kernels, most = k.Exact(), 0.05 // keys and values are rounded to 11 bits, and nothing else is
				}
				m, d := openDrafted(t, kernels, weights, drafter)
				s, err := m.NewSequence(model.SequenceOptions{Cache: cache})
				if err != nil {
					t.Fatal(err)
				}
				last := len(g.IDs) - 1
				c := &model.Chunk{Sequence: s, Input: []model.Input{{Tokens: g.IDs}}, Want: func(pos int) bool { return pos == last }}
				if err := m.NewPass().Read(context.Background(), c); err != nil {
					t.Fatal(err)
				}
				x := d.NewDraft()
				x.Begin(s, c.Hidden, s.Len())
				token := g.Token
				for i, drafted := range g.Draft {
					logits, err := x.Next(context.Background(), token)
					if err != nil {
						t.Fatal(err)
					}
					off := 0.0
					for j, v := range logits {
						w := math.Float32frombits(binary.LittleEndian.Uint32(want[4*(i*len(logits)+j):]))
						off = max(off, math.Abs(float64(v)-float64(w)))
					}
					if token = likeliest(logits, nil); token != drafted || !(off <= most) {
						t.Errorf("%s, %s, %v, step %d: %d is drafted, expected %d; logits are off by %g", name, k.Name, cache, i, token,
							drafted, off)
					}
				}
			}
		}
	}
}
