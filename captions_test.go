package gemma4_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

func newCaptions(t *testing.T, m *gemma4.Model, o gemma4.CaptionsOptions) *gemma4.Captions {
	t.Helper()
	o.Prompt = "Transcribe."
	c, err := m.NewCaptions(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// caption returns all segments of a sound that comes in pieces.
func caption(t *testing.T, c *gemma4.Captions, samples []float32, cut func(i int) int) (all []gemma4.Segment) {
	t.Helper()
	for i := 0; len(samples) > 0; i++ {
		n := min(cut(i), len(samples))
		segments, err := c.Push(ctx, samples[:n])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, segments...)
		samples = samples[n:]
	}
	segments, err := c.Finish(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return append(all, segments...)
}

// TestCaptionsAreWhatIsTranscribed of each segment by itself, in whatever pieces the sound comes.
func TestCaptionsAreWhatIsTranscribed(t *testing.T) {
	m := openSenses(t)
	samples := slices.Concat(make([]float32, 40000), speech(t)[:25*gemma4.SampleRate], make([]float32, 40000))
	for _, longest := range []time.Duration{0, time.Second} {
		var want []gemma4.Segment
		for way := range 4 {
			if racing && way%2 > 0 {
				continue
			}
			random := rand.New(rand.NewPCG(uint64(way), 2))
			cut := []func(int) int{every(1600), every(len(samples)), every(7777), func(int) int { return 1 + random.IntN(60000) }}[way]
			o := gemma4.CaptionsOptions{Every: -1}
			o.Longest = longest
			c := newCaptions(t, m, o)
			got := caption(t, c, samples, cut)
			if way == 0 {
				want = got
				for _, s := range got {
					at := int(s.From * gemma4.SampleRate / time.Second)
					piece := samples[at:int(s.To*gemma4.SampleRate/time.Second)]
					x := newChat(t, m, gemma4.ChatOptions{})
					text := replied(t, x, x.Say(ctx, chat.TextPart("Transcribe."), chat.AudioPart(piece))).text
					if s.Text != text || !s.Final || s.Tentative != "" || s.Reason != gemma4.ReasonEnd {
						t.Errorf("%+v, want %q", s, text)
					}
				}
				if len(got) < 10 || longest > 0 && len(got) < 15 {
					t.Errorf("%d segments: %+v", len(got), got)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("way %d: %d segments, want %d: %+v", way, len(got), len(want), got)
			}
			if again := caption(t, c, samples[:110000], cut); !slices.Equal(again[:2], want[:2]) {
				t.Errorf("way %d: a second sound: %+v, want %+v", way, again, want)
			}
		}
	}
}

// TestCaptionsSettle: what is settled of a segment stays, and is the beginning of its text.
func TestCaptionsSettle(t *testing.T) {
	m := openSenses(t)
	c := newCaptions(t, m, gemma4.CaptionsOptions{Every: 300 * time.Millisecond, Words: 2, Group: 4})
	settled, tentative, to := "", 0, time.Duration(0)
	for _, s := range caption(t, c, speech(t)[:12*gemma4.SampleRate], every(800)) {
		if !strings.HasPrefix(s.Text, settled) {
			t.Errorf("%+v, but %q was settled", s, settled)
		}
		if s.From < to || s.To <= s.From {
			t.Errorf("%+v begins before %v", s, to)
		}
		if n := len(strings.Fields(s.Tentative)); n > 2 {
			t.Errorf("%+v has %d new words", s, n)
		}
		if settled = s.Text; s.Tentative != "" {
			tentative++
		}
		if s.Final {
			settled, to = "", s.To
		}
	}
	if tentative < 10 || to < 11*time.Second {
		t.Errorf("%d captions were tentative, the last segment ends at %v", tentative, to)
	}
}

func TestCaptionsLoseNothing(t *testing.T) {
	m := openSenses(t)
	samples := speech(t)[:5*gemma4.SampleRate]
	o := gemma4.CaptionsOptions{Every: -1}
	want := caption(t, newCaptions(t, m, o), samples, every(20000))

	c := newCaptions(t, m, o)
	ended, end := context.WithCancel(ctx)
	end()
	bad := []float32{0, float32(math.NaN())}
	var got []gemma4.Segment
	for rest := samples; len(rest) > 0; rest = rest[20000:] {
		if _, err := c.Push(ctx, bad); err == nil || !strings.Contains(err.Error(), "NaN") {
			t.Errorf("NaN: %v", err)
		}
		segments, err := c.Push(ended, rest[:20000])
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		got = append(got, segments...)
	}
	if len(got) > 0 {
		t.Errorf("written with an ended context: %+v", got)
	}
	segments, err := c.Finish(ctx)
	if got = append(got, segments...); err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if all, err := c.Finish(ctx); err != nil || len(all) != 0 {
		t.Errorf("of nothing: %+v, %v", all, err)
	}
	if all := caption(t, c, make([]float32, 700000), every(5000)); len(all) != 0 {
		t.Errorf("of silence: %+v", all)
	}
	c.Close()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Push(ctx, samples); !errors.Is(err, gemma4.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
