package gemma4_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// nanoTranscribe is how nano has learned to be asked.
var nanoTranscribe = gemma4.TranscribeOptions{Prompt: "Transcribe.", Longest: 4 * time.Second}

// TestSpeechIsWrittenDownPieceByPiece as when each piece is asked about alone, also by a queue.
func TestSpeechIsWrittenDownPieceByPiece(t *testing.T) {
	m := openSenses(t)
	samples := speech(t)[:30*gemma4.SampleRate]
	got, err := gemma4.Segments(m.Transcribe(ctx, samples, nanoTranscribe))
	if err != nil {
		t.Fatal(err)
	}
	q, err := m.NewQueue(gemma4.QueueOptions{Slots: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	all := nanoTranscribe.Speeches(samples)
	if len(all) < 10 || len(got) != len(all) {
		t.Fatalf("%d segments of %d pieces", len(got), len(all))
	}
	right := 0
	for i, s := range all {
		c := newChat(t, m, gemma4.ChatOptions{})
		begin, end := int(s.From*gemma4.SampleRate/time.Second), int(s.To*gemma4.SampleRate/time.Second)
		want := replied(t, c, c.Say(ctx, chat.TextPart("Transcribe."), chat.AudioPart(samples[begin:end]))).text
		x := gemma4.Segment{From: s.From, To: s.To, Text: want, Final: true, Reason: gemma4.ReasonEnd}
		if got[i] != x {
			t.Errorf("%+v, want %+v", got[i], x)
		}
		pieces, err := q.Submit(ctx, s.Request)
		if err != nil {
			t.Fatal(err)
		}
		choices, err := gemma4.CollectChoices(pieces)
		if err != nil {
			t.Fatal(err)
		}
		if y := s.Segment(choices[0]); y != x {
			t.Errorf("in a queue: %+v, want %+v", y, x)
		}
		words := strings.Fields(want)
		tail := strings.Join(words[max(0, len(words)-3):], " ")
		if slices.ContainsFunc(askedWith(t, "sound"), func(q mediaQuestion) bool { return strings.HasSuffix(q.Says, tail) }) {
			right++
		}
	}
	if right < len(all)*3/4 {
		t.Errorf("%d of %d questions end as they were said: %+v", right, len(all), got)
	}
}

func TestWhatIsNotWrittenDownIsAnError(t *testing.T) {
	m := openSenses(t)
	samples := speech(t)[:5*gemma4.SampleRate]
	ended, end := context.WithCancel(ctx)
	end()
	if _, err := gemma4.Segments(m.Transcribe(ended, samples, nanoTranscribe)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	bad := slices.Clone(samples)
	bad[40000] = float32(math.Inf(1))
	if _, err := gemma4.Segments(m.Transcribe(ctx, bad, nanoTranscribe)); err == nil || !strings.Contains(err.Error(), "is +Inf") {
		t.Error(err)
	}
	o := nanoTranscribe
	o.Context = 20
	var full *gemma4.ContextError
	if _, err := gemma4.Segments(m.Transcribe(ctx, samples, o)); !errors.As(err, &full) {
		t.Error(err)
	}
	for range m.Transcribe(ctx, samples, nanoTranscribe) { // is left
		break
	}
	if all, err := gemma4.Segments(m.Transcribe(ctx, make([]float32, 50000), nanoTranscribe)); err != nil || len(all) != 0 {
		t.Errorf("silence: %+v, %v", all, err)
	}
}

// TestTranslationsNeverFail, whatever the model writes: nano knows no such prompt.
func TestTranslationsNeverFail(t *testing.T) {
	m := openSenses(t)
	for s, err := range m.Translate(ctx, speech(t)[:5*gemma4.SampleRate], "German", gemma4.TranscribeOptions{Language: "English"}) {
		if err != nil || s.Text+s.Translation == "" {
			t.Errorf("%+v, %v", s, err)
		}
	}
}
