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
	var seconds []float64
	for range b.plan.repetitions + 1 { // pages and buffers come in with the first
		chat, err := b.m.NewChat(gemma4.ChatOptions{
			SessionOptions:  gemma4.SessionOptions{Cache: b.plan.cache, Context: b.s.Context()},
			GenerateOptions: b.endless(),
		})
		if err != nil {
			return err
		}
		took, err := b.answer(chat, speech)
		if err := errors.Join(err, chat.Close()); err != nil {
			return err
		}
		seconds = append(seconds, took)
	}
	r.settle(seconds[1:])
	return nil
}

// answer speaks and returns the seconds from the end of the speech to the first token of the answer.
func (b *bench) answer(chat *gemma4.Chat, speech []float32) (seconds float64, err error) {
	l, err := chat.Listen(b.ctx)
	if err != nil {
		return 0, err
	}
	var began time.Time
	for piece := range slices.Chunk(speech, pieceSamples) {
		began = time.Now()
		if err := l.Push(b.ctx, piece); err != nil {
			return 0, err
		}
	}
	for _, err = range l.Answer(b.ctx) {
		break
	}
	return since(began), err
}

// captions fills the row with the time that two seconds of speech take, with the caption that they ask for: what a caption reads and writes
// is simulated, in a fork of a session that holds as much as there is of the speech.
func (b *bench) captions(r *row) error {
	speech := tone(r.Spoken)
	var seconds []float64
	for range b.plan.repetitions {
		chat, err := b.m.NewChat(gemma4.ChatOptions{SessionOptions: gemma4.SessionOptions{Cache: b.plan.cache, Context: b.s.Context()}})
		if err != nil {
			return err
		}
		took, err := b.caption(chat, speech)
		if err := errors.Join(err, chat.Close()); err != nil {
			return err
		}
		seconds = append(seconds, took...)
	}
	r.settle(seconds)
	return nil
}

// caption returns the seconds that each two of a speech took.
func (b *bench) caption(chat *gemma4.Chat, speech []float32) (seconds []float64, err error) {
	l, err := chat.Listen(b.ctx)
	if err != nil {
		return nil, err
	}
	for part := range slices.Chunk(speech, captionSamples) {
		if err := b.fill(b.s, int(l.Heard()/(40*time.Millisecond))); err != nil {
			return nil, err
		}
		began := time.Now()
		for piece := range slices.Chunk(part, pieceSamples) {
			if err := l.Push(b.ctx, piece); err != nil {
				return nil, err
			}
		}
		if err := b.write(); err != nil {
			return nil, err
		}
		seconds = append(seconds, since(began))
	}
	return seconds, nil
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
	return gemma4.GenerateOptions{Sampling: sampler.Overrides{Seed: new(uint64(1)), Suppress: b.m.Tokenizer().Ends()}}
}

// settle fills in what several repetitions took.
func (r *row) settle(seconds []float64) {
	r.Seconds = median(seconds)
	r.Spread = (slices.Max(seconds) - slices.Min(seconds)) / r.Seconds
	r.PeakRSSBytes = peakRSS()
}
