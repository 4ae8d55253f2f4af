package main

import (
	"errors"
	"slices"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/sampler"
)

// What is measured of speech: how much of it comes at a time, and a caption every so often, which reads the words that are certain again
// and writes some new ones.
const (
	pieceSamples   = 16000 / 10
	captionSamples = 2 * 16000
	captionRead    = 100
	captionWritten = 12
)

// spoken fills the row with the time from the end of so many seconds of speech to the first word of the answer. All but the last piece has
// been heard by then, as it is where the machine keeps up.
func (b *bench) spoken(r *row) error {
	speech := tone(r.Spoken)
	var all []took
	for range b.plan.repetitions + 1 { // pages and buffers come in with the first
		chat, err := b.m.NewChat(gemma4.ChatOptions{
			SessionOptions:  gemma4.SessionOptions{Cache: b.plan.cache, Context: b.s.Context()},
			GenerateOptions: b.endless(),
		})
		if err != nil {
			return err
		}
		t, err := b.answer(chat, speech)
		if err := errors.Join(err, chat.Close()); err != nil {
			return err
		}
		all = append(all, t)
	}
	r.settle(all[1:])
	return nil
}

// answer speaks and returns what the end of the speech and the first token of the answer took.
func (b *bench) answer(chat *gemma4.Chat, speech []float32) (t took, err error) {
	l, err := chat.Listen(b.ctx)
	if err != nil {
		return t, err
	}
	var c stopwatch
	for piece := range slices.Chunk(speech, pieceSamples) {
		c = startWatch()
		if err := l.Push(b.ctx, piece); err != nil {
			return t, err
		}
	}
	for _, err = range l.Answer(b.ctx) {
		break
	}
	return c.stop(), err
}

// captions fills the row with the time that two seconds of speech take, with the caption that they ask for: what a caption reads and writes
// is simulated, in a fork of a session that holds as much as there is of the speech.
func (b *bench) captions(r *row) error {
	speech := tone(r.Spoken)
	var all []took
	for range b.plan.repetitions {
		chat, err := b.m.NewChat(gemma4.ChatOptions{SessionOptions: gemma4.SessionOptions{Cache: b.plan.cache, Context: b.s.Context()}})
		if err != nil {
			return err
		}
		some, err := b.caption(chat, speech)
		if err := errors.Join(err, chat.Close()); err != nil {
			return err
		}
		all = append(all, some...)
	}
	r.settle(all)
	return nil
}

// caption returns what each two seconds of a speech took.
func (b *bench) caption(chat *gemma4.Chat, speech []float32) (all []took, err error) {
	l, err := chat.Listen(b.ctx)
	if err != nil {
		return nil, err
	}
	for part := range slices.Chunk(speech, captionSamples) {
		if err := b.fill(b.s, int(l.Heard()/(40*time.Millisecond))); err != nil {
			return nil, err
		}
		c := startWatch()
		for piece := range slices.Chunk(part, pieceSamples) {
			if err := l.Push(b.ctx, piece); err != nil {
				return nil, err
			}
		}
		if err := b.write(); err != nil {
			return nil, err
		}
		all = append(all, c.stop())
	}
	return all, nil
}

// write reads and writes what a caption does.
func (b *bench) write() error {
	f, err := b.s.Fork()
	if err != nil {
		return err
	}
	defer f.Close()
	o := b.endless()
	o.MaxTokens = captionWritten
	for _, err := range f.Generate(b.ctx, []gemma4.Input{{Tokens: b.ids[:captionRead]}}, o) {
		if err != nil {
			return err
		}
	}
	return nil
}

// endless are the options of texts that do not end by themselves.
func (b *bench) endless() gemma4.GenerateOptions {
	return gemma4.GenerateOptions{Sampling: sampler.Overrides{Seed: new(uint64(1)), Suppress: b.m.Tokenizer().Ends()},
		Draft: gemma4.Draft{Off: true}}
}

// took is what something took: time, and time of all processors, which others may have kept waiting.
type took struct{ seconds, busy float64 }

// stopwatch measures that.
type stopwatch struct {
	began time.Time
	busy  time.Duration
}

func startWatch() stopwatch { return stopwatch{time.Now(), busy()} }

func (c stopwatch) stop() took { return took{since(c.began), (busy() - c.busy).Seconds()} }

// settle fills in the medians of what several repetitions took.
func (r *row) settle(all []took) {
	var seconds, busy []float64
	for _, t := range all {
		seconds, busy = append(seconds, t.seconds), append(busy, t.busy)
	}
	r.Seconds, r.BusySeconds = median(seconds), median(busy)
	r.Spread = (slices.Max(seconds) - slices.Min(seconds)) / r.Seconds
	r.PeakRSSBytes = peakRSS()
}
