package gemma4_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/tensor"
)

// openSynthetic opens a model of random weights and a context of 2048. Pictures see all of themselves in micro-dense, not in micro-e.
func openSynthetic(t testing.TB, spec string) *gemma4.Model {
	t.Helper()
	c, err := synth.Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	c.Context = 2048
	m, err := gemma4.OpenBytes(synth.Bytes(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// few returns n ids that depend on the seed alone.
func few(n int, seed uint64) gemma4.Input {
	ids := words(n, seed)
	for i := range ids {
		ids[i] = 300 + ids[i]%200
	}
	return gemma4.Input{Tokens: ids}
}

// soft returns n embeddings that depend on the seed alone.
func soft(m *gemma4.Model, n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 7))
	x := make([]float32, n*m.Config().Width)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func picture(m *gemma4.Model, n int, id uint64) gemma4.Input {
	return gemma4.Input{Embeddings: soft(m, n, id), Image: true, ID: id}
}

// alone returns what a session of its own makes of a prompt.
func alone(t testing.TB, m *gemma4.Model, f gemma4.CacheFormat, in []gemma4.Input) outcome {
	t.Helper()
	o, err := outcomeOfInput(newSession(t, m, gemma4.SessionOptions{Cache: f}), in...)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestTwoPicturesAreTwoTexts: where a picture is replaced by another one, or one without an ID, nothing from there on is used again; with
// the same ID all is, pictures and what follows them, and what comes out has the bits of a cold start.
func TestTwoPicturesAreTwoTexts(t *testing.T) {
	for _, spec := range []string{"micro-dense:f32", "micro-e:q8_0"} {
		m := openSynthetic(t, spec)
		one, two, three := picture(m, 40, 1), picture(m, 30, 2), picture(m, 40, 3)
		nameless, sound := picture(m, 40, 1), gemma4.Input{Embeddings: soft(m, 40, 1), ID: 1}
		nameless.ID = 0
		before, between, after := few(70, 1), few(30, 2), few(20, 3)
		text := []gemma4.Input{before, one, between, two, after} // 70, 110, 140, 170, 190
		longer := few(20, 3)
		longer.Tokens = append(longer.Tokens, 310)
		tests := []struct {
			what string
			in   []gemma4.Input
			kept int
		}{
			{"the same", text, 189},
			{"more of it", []gemma4.Input{before, one, between, two, longer}, 190},
			{"another question", []gemma4.Input{before, one, between, two, few(20, 4)}, 170},
			{"another second picture", []gemma4.Input{before, one, between, picture(m, 30, 4), after}, 140},
			{"a second picture without ID", []gemma4.Input{before, one, between, nameless, after}, 140},
			{"another first picture", []gemma4.Input{before, three, between, two, after}, 70},
			{"a first picture without ID", []gemma4.Input{before, nameless, between, two, after}, 70},
			{"a sound with its ID", []gemma4.Input{before, sound, between}, 70},
			{"a picture at the end", []gemma4.Input{before, one}, 70},
			{"pictures in turn", []gemma4.Input{before, two, between, one, after}, 70},
			{"no picture", []gemma4.Input{before, between, one}, 70},
			{"a picture first", []gemma4.Input{one, before}, 0},
		}
		for _, f := range []gemma4.CacheFormat{gemma4.CacheF16, gemma4.CacheF32} {
			o := gemma4.SessionOptions{Cache: f}
			held := newSession(t, m, o)
			if err := held.Read(ctx, text...); err != nil {
				t.Fatal(err)
			}
			path := save(t, held)
			updated := newSession(t, m, o)
			if err := updated.Read(ctx, text[:2]...); err != nil {
				t.Fatal(err)
			}
			grown := save(t, updated)
			if err := updated.Read(ctx, text[2:]...); err != nil {
				t.Fatal(err)
			}
			if err := updated.Update(grown); err != nil {
				t.Fatal(err)
			}
			cached := o
			ways := map[string]func() *gemma4.Session{
				"Fork": func() *gemma4.Session {
					s, err := held.Fork()
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { s.Close() })
					return s
				},
				"Restore":           func() *gemma4.Session { return restored(t, m, path, o) },
				"Restore of Update": func() *gemma4.Session { return restored(t, m, grown, o) },
				"PrefixCache": func() *gemma4.Session {
					cached.Prefixes = gemma4.NewPrefixCache(64 << 20)
					t.Cleanup(func() { cached.Prefixes.Close() })
					if err := newSession(t, m, cached).Read(ctx, text...); err != nil {
						t.Fatal(err)
					}
					return newSession(t, m, cached)
				},
			}
			for _, test := range tests {
				want := alone(t, m, f, test.in)
				for name, open := range ways {
					s := open()
					rest, err := s.ReuseInput(test.in...)
					if err != nil {
						t.Fatal(err)
					}
					kept := s.Len()
					got, err := outcomeOfInput(s, rest...)
					if err != nil || !got.equal(want) {
						t.Errorf("%s, %v, %s: %s is not what a session of its own gives: %v", spec, f, name, test.what, err)
					}
					if name == "PrefixCache" {
						kept = s.Result().Reused
					}
					if kept != test.kept {
						t.Errorf("%s, %v, %s: of %s %d positions are used again, expected %d", spec, f, name, test.what, kept, test.kept)
					}
				}
			}
		}
	}
}

// TestNoSessionBeginsWithinAPicture: if the window at the end of what two texts have in common is gone, and the last window that is held
// ends in a picture, which sees all of itself, a session begins before the picture.
func TestNoSessionBeginsWithinAPicture(t *testing.T) {
	for _, spec := range []string{"micro-dense:f32", "micro-e:f32"} {
		m := openSynthetic(t, spec)
		config := m.Config()
		end := int32(0)
		for !m.Tokenizer().IsEnd(end) {
			end++
		}
		turn := few(100, 1)
		turn.Tokens[20] = end // the window there is kept
		text := []gemma4.Input{turn, picture(m, 60, 1), few(700, 2)}
		for _, test := range []struct {
			in   []gemma4.Input
			kept int
		}{
			{[]gemma4.Input{turn, picture(m, 60, 1), {Tokens: slices.Concat(text[2].Tokens[:190], few(20, 3).Tokens)}}, 100},
			{[]gemma4.Input{turn, picture(m, 60, 1), few(20, 4)}, 100},
			{[]gemma4.Input{turn, picture(m, 60, 2), few(20, 5)}, 100},
		} {
			o := gemma4.SessionOptions{History: config.WindowBytes(tensor.F16), Prefixes: gemma4.NewPrefixCache(64 << 20)}
			s := newSession(t, m, o)
			if err := s.Read(ctx, text...); err != nil {
				t.Fatal(err)
			}
			want := alone(t, m, gemma4.CacheF16, test.in)
			other := newSession(t, m, o)
			got, err := outcomeOfInput(other, test.in...)
			if n := other.Result().Reused; err != nil || !got.equal(want) || n != test.kept {
				t.Errorf("%s, PrefixCache: %d positions are used again, expected %d, or not what a session of its own gives: %v", spec, n,
					test.kept, err)
			}
			rest, err := s.ReuseInput(test.in...)
			if err != nil || s.Len() != test.kept {
				t.Errorf("%s, ReuseInput: %d positions are used again, expected %d: %v", spec, s.Len(), test.kept, err)
			}
			o.Prefixes.Close()
			if got, err := outcomeOfInput(s, rest...); err != nil || !got.equal(want) {
				t.Errorf("%s, ReuseInput: not what a session of its own gives: %v", spec, err)
			}
		}
	}
}

// TestASoundGoesOnWithinIt: the positions of a sound see only what is before them, so that reading can resume in the middle of one.
func TestASoundGoesOnWithinIt(t *testing.T) {
	m := openSynthetic(t, "micro-dense:f32")
	in := []gemma4.Input{few(30, 1), {Embeddings: soft(m, 60, 1), ID: 1}, few(30, 2)}
	s := newSession(t, m, gemma4.SessionOptions{})
	if err := s.Read(ctx, in...); err != nil {
		t.Fatal(err)
	}
	if n := rewind(t, s, 47); n != 47 {
		t.Fatalf("%d positions are left", n)
	}
	for range 2 { // what is read then is recognised, too
		rest, err := s.ReuseInput(in...)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := outcomeOfInput(s, rest...); err != nil || !got.equal(alone(t, m, gemma4.CacheF16, in)) {
			t.Errorf("not what a session of its own gives: %v", err)
		}
		if n := rewind(t, s, 119); n != 119 {
			t.Errorf("%d positions are left", n)
		}
	}
	if rest, err := s.ReuseInput(in...); err != nil || s.Len() != 119 || len(rest) != 1 || len(rest[0].Tokens) != 1 {
		t.Errorf("%d positions are used again, %d inputs are left: %v", s.Len(), len(rest), err)
	}
}

// TestPicturesAreReadOnceUnderLoad: sessions that begin at the same time with the same picture.
func TestPicturesAreReadOnceUnderLoad(t *testing.T) {
	const sessions = 6
	m := openSynthetic(t, "micro-dense:f32")
	// One chunk has it all: who comes when the first is past what they have in common, and has not ended, reads it again.
	o := gemma4.SessionOptions{Prefixes: gemma4.NewPrefixCache(64 << 20)}
	defer o.Prefixes.Close()
	prompt := func(i int) []gemma4.Input {
		return []gemma4.Input{few(100, 1), picture(m, 80, 1), few(50, 2), few(20, uint64(10+i))}
	}
	var all sync.WaitGroup
	var got [sessions]outcome
	for i := range sessions {
		s := newSession(t, m, o)
		all.Go(func() {
			var err error
			if got[i], err = outcomeOfInput(s, prompt(i)...); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if stats := o.Prefixes.Stats(); stats.Computed != 230+sessions*20 || stats.Reused != (sessions-1)*230 {
		t.Errorf("%+v: the common 230 positions should have been read once", stats)
	}
	for i := range sessions {
		if !got[i].equal(alone(t, m, gemma4.CacheF16, prompt(i))) {
			t.Errorf("session %d: not what a session of its own gives", i)
		}
	}
}
