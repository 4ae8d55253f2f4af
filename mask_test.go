package gemma4

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/sampler"
)

// TestNoPassWaitsForASlowMask: the pass computes the logits of all tokens instead, and the same token is chosen from them.
func TestNoPassWaitsForASlowMask(t *testing.T) {
	m := openSpec(t, "nano", Loader{})
	digits, err := grammar.Regexp(m.Vocabulary(), "[0-9]{9}")
	if err != nil {
		t.Fatal(err)
	}
	text := func(slow bool) (ids []int32) {
		s, err := m.NewSession(SessionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		g := &generation{s: s, o: GenerateOptions{Sampling: sampler.Overrides{Seed: new(uint64(1)), Temperature: new(3.0)}}}
		if g.constraint, err = m.constrain(digits, nil); err != nil {
			t.Fatal(err)
		}
		if err := g.start(context.Background(), []Input{{Tokens: []int32{2, 5, 6}}}); err != nil {
			t.Fatal(err)
		}
		c := g.constraint
		began := time.Now()
		for range 5 {
			prepare := c.prepare
			if slow {
				c.mu.Lock() // as if somebody was making it
				c.prepare = func() {}
			}
			before := s.m.Stats().Decode
			if err := g.catchUp(context.Background()); err != nil {
				t.Fatal(err)
			}
			if slow {
				c.mu.Unlock()
				c.prepare = prepare
				if s.m.Stats().Decode.Passes > before.Passes && s.only != nil {
					t.Error("only few logits, of a mask that there was not")
				}
			}
			tok, _, err := g.step(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, tok.ID)
		}
		if d := time.Since(began); d > time.Minute {
			t.Errorf("five passes take %v", d)
		}
		return ids
	}
	if quick, slow := text(false), text(true); !slices.Equal(quick, slow) {
		t.Errorf("%d with slow masks, otherwise %d", slow, quick)
	}
}
