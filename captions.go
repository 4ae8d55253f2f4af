package gemma4

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/internal/pause"
)

// CaptionsOptions say how captions are written. The zero value is a good choice.
type CaptionsOptions struct {
	TranscribeOptions
	// Every is how much sound comes between one caption of a segment that goes on and the next; 0: a second; below 0: there are none, and
	// each segment is written when it has ended, as [Model.Transcribe] does.
	Every time.Duration
	// Words is how many words a caption adds at most to those that are settled; 0: 12.
	Words int
	// Group is Listener.Group.
	Group int
}

// Captions write down sound that comes without end, while it comes. A segment ends in a pause of 400 ms, or where it is longest; silence
// is skipped. Memory is bounded.
//
//	captions, err := m.NewCaptions(gemma4.CaptionsOptions{})
//	for samples := range microphone {
//		segments, err := captions.Push(ctx, samples)
//		for _, s := range segments {
//			fmt.Println(s.From, s.Text, s.Tentative, s.Final)
//		}
//	}
//
// They serve one call at a time; another gets [ErrBusy].
type Captions struct {
	o  CaptionsOptions
	c  *Chat
	mu sync.Mutex // locked by a call

	pauses  *pause.Detector
	ended   []pause.Segment // that are not written yet
	begin   int             // sample where the segment begins
	samples []float32       // from there on
	l       *Listener       // nil: nobody has spoken
	heard   int             // samples that it knows
	next    int             // of these, when the next caption is due
}

// NewCaptions returns captions that have heard nothing yet. They have to be closed. A model that takes no sounds is an error ([ErrSense]).
func (m *Model) NewCaptions(o CaptionsOptions) (*Captions, error) {
	if _, err := m.ears(); err != nil {
		return nil, fmt.Errorf("gemma4: captions: %w", err)
	}
	c, err := m.NewChat(ChatOptions{SessionOptions: o.SessionOptions, GenerateOptions: o.generate(0)})
	if err != nil {
		return nil, err
	}
	o.Every, o.Words = cmp.Or(o.Every, time.Second), cmp.Or(max(0, o.Words), captionWords)
	s := &Captions{o: o, c: c}
	s.reset()
	return s, nil
}

func (c *Captions) reset() {
	const frame = SampleRate / 50 // that may be there when a segment is known to be long enough
	c.pauses = pause.NewDetector(c.o.longest() - frame)
	c.ended, c.begin, c.samples = nil, 0, nil
	c.restart()
}

// restart forgets what was made of the segment.
func (c *Captions) restart() { c.l, c.heard, c.next, c.c.Messages = nil, 0, 0, nil }

// Close gives the memory back. It is safe to close twice.
func (c *Captions) Close() error { return c.c.Close() }

// Push hears the samples that follow, 16,000 a second, and returns the segments that have ended with them, and the one that goes on, if it
// was written anew. A sample that is no finite number is an error, and none of them are heard. With any other error, such as the end of
// ctx, they are, and what could not be written comes with the next call.
func (c *Captions) Push(ctx context.Context, samples []float32) ([]Segment, error) {
	if !c.mu.TryLock() {
		return nil, ErrBusy
	}
	defer c.mu.Unlock()
	for i, v := range samples {
		if v-v != 0 {
			return nil, fmt.Errorf("gemma4: sample %d is %g, expected a finite number", c.begin+len(c.samples)+i, v)
		}
	}
	c.samples = append(c.samples, samples...)
	c.ended = append(c.ended, c.pauses.Push(samples)...)
	all, err := c.write(ctx)
	every := int(min(c.o.Every, time.Minute) * SampleRate / time.Second) // no segment is as long
	if err != nil || !c.pauses.Speaking() || c.o.Every < 0 || len(c.samples) < max(every, c.next) {
		return all, err
	}
	if err := c.hear(ctx, len(c.samples)); err != nil { // all at a time: that takes less than piece by piece
		return all, err
	}
	caption, err := c.l.caption(ctx, "", c.o.Words)
	if err != nil || caption == (Caption{}) {
		return all, err
	}
	c.next = len(c.samples) + every
	s := Segment{From: timeOf(c.begin), To: timeOf(c.begin + len(c.samples)), Text: caption.Text, Tentative: caption.Tentative}
	if c.o.Into != "" {
		s.Text = ""
		s.Tentative, s.Translation = translated(caption.Text+caption.Tentative, c.o.Into)
	}
	return append(all, s), nil
}

// Finish ends the sound and returns what is left of it. What is pushed then is another sound.
func (c *Captions) Finish(ctx context.Context) ([]Segment, error) {
	if !c.mu.TryLock() {
		return nil, ErrBusy
	}
	defer c.mu.Unlock()
	c.ended = append(c.ended, c.pauses.Close()...)
	all, err := c.write(ctx)
	if err == nil {
		c.reset()
	}
	return all, err
}

// hear lets the model hear the segment's first n samples.
func (c *Captions) hear(ctx context.Context, n int) (err error) {
	if c.l == nil {
		if c.l, err = c.c.Listen(ctx, chat.TextPart(c.o.prompt())); err != nil {
			return err
		}
		c.l.Group = c.o.Group
	}
	if n > c.heard {
		if err := c.l.Push(ctx, c.samples[c.heard:n]); err != nil {
			return err
		}
		c.heard = n
	}
	return nil
}

// write returns the segments that have ended.
func (c *Captions) write(ctx context.Context) (all []Segment, err error) {
	for len(c.ended) > 0 {
		s := c.ended[0]
		n := s.End - c.begin
		if s.Spoken {
			segment, err := c.segment(ctx, n)
			if err != nil {
				return all, err
			}
			all = append(all, segment)
		}
		c.restart()
		c.ended = c.ended[1:]
		c.begin, c.samples = s.End, slices.Clone(c.samples[n:])
	}
	return all, nil
}

// segment writes the rest of a segment that ends after n samples.
func (c *Captions) segment(ctx context.Context, n int) (Segment, error) {
	if err := c.hear(ctx, n); err != nil {
		return Segment{}, err
	}
	settled := c.l.draft.Text
	var begun []chat.Message
	if settled != "" {
		begun = []chat.Message{{Role: "assistant", Content: settled}}
	}
	c.c.Options.GenerateOptions, c.c.Options.Continue = c.o.generate(n), settled != ""
	c.l.samples = c.l.samples[:n]
	answer, err := Collect(c.c.s.iterate(func(yield func(Token) bool) error { return c.l.answer(ctx, nil, begun, yield) }))
	c.c.Options.Continue = false
	if err != nil {
		c.restart()
		return Segment{}, err
	}
	answer.Content = settled + answer.Content
	return Speech{From: timeOf(c.begin), To: timeOf(c.begin + n), into: c.o.Into}.Segment(Choice{answer, c.c.Result()}), nil
}
