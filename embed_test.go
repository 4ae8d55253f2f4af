package gemma4_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/tensor"
)

// meanState returns the mean hidden state of ids after a text, read one by one.
func meanState(t *testing.T, m *model.Model, text, ids []int32) []float32 {
	t.Helper()
	s, err := m.NewSequence(model.SequenceOptions{Cache: tensor.F16})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sum := make([]float64, m.Width)
	p := m.NewPass()
	for _, id := range slices.Concat(text, ids) {
		c := &model.Chunk{Sequence: s, Input: []model.Input{{Tokens: []int32{id}}}, Want: func(pos int) bool { return pos >= len(text) }}
		if err := p.Prefill(ctx, c); err != nil || c.Err != nil {
			t.Fatal(err, c.Err)
		}
		for i, h := range c.Hidden {
			sum[i] += float64(h)
		}
	}
	mean := make([]float32, m.Width)
	for i := range mean {
		mean[i] = float32(sum[i] / float64(len(ids)))
	}
	return mean
}

func TestEmbedIsTheMeanHiddenStateBehindTheText(t *testing.T) {
	t.Setenv("GEMMA4_CPU", "portable")
	f, err := gguf.OpenBytes(nano.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	graph, err := model.New(f, model.Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer graph.Close()
	m := openNano(t, gemma4.Loader{})
	text, ids := words(12, 1), words(25, 2)
	alone, behind := meanState(t, graph, nil, ids), meanState(t, graph, text, ids)
	if slices.Equal(alone, behind) {
		t.Fatal("the text before makes no difference")
	}
	for _, batch := range []int{0, 1, 7} {
		s := newSession(t, m, gemma4.SessionOptions{Batch: batch})
		for range 2 { // the second finds everything as it was
			if got, err := s.Embed(ctx, ids); err != nil || !slices.Equal(got, alone) {
				t.Errorf("batch %d, a new session: %v, other values than those of the graph", batch, err)
			}
		}
		if err := s.Read(ctx, gemma4.Input{Tokens: text}); err != nil {
			t.Fatal(err)
		}
		logits := s.Logits(nil)
		if got, err := s.Embed(ctx, ids); err != nil || !slices.Equal(got, behind) {
			t.Errorf("batch %d, behind a text: %v, other values than those of the graph", batch, err)
		}
		if s.Len() != len(text) || !slices.Equal(s.Logits(nil), logits) || s.CacheBytes() == 0 {
			t.Errorf("batch %d: the text has %d positions afterwards, or other logits", batch, s.Len())
		}
	}
}

// TestEmbedLeavesAGenerationWhereItWas, whose last token may not have gone through the model yet.
func TestEmbedLeavesAGenerationWhereItWas(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	run := func(embed bool) (ids []int32) {
		s := newSession(t, m, gemma4.SessionOptions{Prefixes: nil})
		in := prompt(m, question)
		for range 3 {
			for tok, err := range s.Generate(ctx, in, gemma4.GenerateOptions{Sampling: greedy}) {
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, tok.ID)
				break
			}
			in = nil
			if embed {
				fork, err := s.Fork()
				if err != nil {
					t.Fatal(err)
				}
				err = fork.Read(ctx) // brings the graph up to date
				want, err2 := fork.Embed(ctx, words(20, 3))
				fork.Close()
				if got, err3 := s.Embed(ctx, words(20, 3)); errors.Join(err, err2, err3) != nil || !slices.Equal(got, want) {
					t.Errorf("other values before the last token has gone through the graph than after: %v", errors.Join(err, err2, err3))
				}
			}
		}
		return append(ids, int32(s.Len()))
	}
	if with, without := run(true), run(false); !slices.Equal(with, without) {
		t.Errorf("%v with Embed between tokens, %v without", with, without)
	}
}

func TestEmbedTellsProgressAndErrors(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	var s *gemma4.Session
	var done []int
	progress := func(d, total int) {
		done = append(done, d, total)
		if _, err := s.Embed(ctx, words(3, 1)); !errors.Is(err, gemma4.ErrBusy) {
			t.Errorf("from a callback: %v", err)
		}
	}
	s = newSession(t, m, gemma4.SessionOptions{Batch: 8, Context: 40, Progress: progress})
	if _, err := s.Embed(ctx, words(20, 1)); err != nil || !slices.Equal(done, []int{8, 20, 16, 20, 20, 20}) {
		t.Errorf("progress %v, error %v", done, err)
	}
	if err := s.Read(ctx, gemma4.Input{Tokens: words(10, 1)}); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for _, test := range []struct {
		name string
		ctx  context.Context
		ids  []int32
		want func(error) bool
	}{
		{"no ids", ctx, nil, func(err error) bool { return strings.Contains(err.Error(), "no token") }},
		{"full", ctx, words(31, 1), func(err error) bool {
			e, ok := errors.AsType[*gemma4.ContextError](err)
			return ok && e.Need == 41 && e.Limit == 40
		}},
		{"outside", ctx, []int32{5, math.MaxInt32},
			func(err error) bool { return strings.Contains(err.Error(), "outside the vocabulary") }},
		{"cancelled", ended, words(5, 1), func(err error) bool { return errors.Is(err, context.Canceled) }},
	} {
		if v, err := s.Embed(test.ctx, test.ids); err == nil || v != nil || !test.want(err) || s.Len() != 10 {
			t.Errorf("%s: %d values, %v, %d positions", test.name, len(v), err, s.Len())
		}
	}
	if _, err := s.Embed(ctx, words(30, 1)); err != nil {
		t.Errorf("what just fits: %v", err)
	}
	s.Close()
	if _, err := s.Embed(ctx, words(5, 1)); !errors.Is(err, gemma4.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	s = newSession(t, m, gemma4.SessionOptions{Batch: 8, Progress: func(int, int) { s.Close() }})
	if _, err := s.Embed(ctx, words(20, 1)); !errors.Is(err, gemma4.ErrClosed) {
		t.Errorf("closed meanwhile: %v", err)
	}
}
