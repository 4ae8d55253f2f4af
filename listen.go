package gemma4

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"iter"
	"slices"
	"time"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/internal/pause"
	"github.com/gogemma/gemma4/internal/wait"
	"github.com/gogemma/gemma4/model"
)

// Listener is a user's message that is spoken while the model reads it, so that the answer begins as soon as the speech has ended. It is
// the same answer, to the byte, as that to the whole sound.
//
//	l, err := c.Listen(ctx)
//	for samples := range microphone { // 16,000 a second
//		err = l.Push(ctx, samples)
//	}
//	for tok, err := range l.Answer(ctx) {
//
// Each of its calls is one of the chat's: while another runs, such as an Ask, it gets [ErrBusy]. Between them the chat may be used for
// anything else: what is said then comes before the message. Until [Listener.Answer] the message is no part of Chat.Messages: a
// Listener that is no longer wanted is dropped, and leaves nothing behind.
type Listener struct {
	// Group is how many tokens of 40 ms are encoded together at least, 4 to 12 being good choices: few are there sooner, many take less
	// time. 0: 8. It changes no answer.
	Group int

	c        *Chat
	s        *senses
	before   []chat.Part
	talk     []chat.Message // the conversation before
	head     []Input        // what comes before the sound
	between  Input          // two of its pieces
	turn     chan struct{}  // taken by a call, but not for as long as it answers
	answers  bool           // an answer is being written; changed with the turn
	answered bool

	samples []float32 // heard so far; all that follows is made of them
	split   *pause.Splitter
	seen    int      // samples that split knows
	pieces  []*sound // that have ended
	last    utterance
	draft   draft
}

// utterance is the last piece of a sound, which goes on.
type utterance struct {
	begin   int // sample
	hearing *model.Hearing
	heard   int       // samples that hearing has taken
	hash    hash.Hash // of the first hashed samples
	hashed  int
	ids     []uint64  // of its tokens so far
	rows    []float32 // [tokens, width]
}

var errAnswered = errors.New("gemma4: the spoken message has been answered: the next one needs another Listen")

// Listen begins a user's message that is spoken: it reads the conversation so far and the parts that come before the sound, while nobody
// speaks yet. A model that takes no sounds is an error ([ErrSense]).
func (c *Chat) Listen(ctx context.Context, before ...chat.Part) (*Listener, error) {
	s, err := c.m.ears()
	if err != nil {
		return nil, fmt.Errorf("gemma4: to listen: %w", err)
	}
	before = slices.Clone(before)
	if n, room := c.m.pictured([]chat.Message{{Parts: before}}), c.room(); n > room {
		return nil, wrap(&ContextError{Need: n, Limit: room})
	}
	for i := range before {
		if err := c.m.prepare(&before[i]); err != nil {
			return nil, fmt.Errorf("gemma4: part %d: %w", i, err)
		}
	}
	l := &Listener{c: c, s: s, before: before, turn: make(chan struct{}, 1), draft: draft{turn: make(chan struct{}, 1)}}
	l.forget()
	if err := l.working(ctx, func() error { return l.begin(ctx) }); err != nil {
		return nil, err
	}
	return l, nil
}

// begin reads what comes before the sound.
func (l *Listener) begin(ctx context.Context) error {
	c := l.c
	if err := c.check(); err != nil {
		return err
	}
	text, err := l.words(ctx, medium{audioPlace, audioOpen + audioPlace + audioEnd, []Input{{Later: &model.Later{Count: 1}}}}, nil)
	if err != nil {
		return err
	}
	place, _ := c.m.tok.ID(audioPlace)
	at := len(text.ids) - 1
	for text.ids[at] != place {
		at--
	}
	l.head = c.m.inputs(words{text.ids, text.soft[:len(text.soft)-1]}, at)
	l.between = Input{Tokens: []int32{text.ids[at+1], text.ids[at-1]}}
	l.talk = c.Messages
	if room, err := l.room(l.head); !room || c.s.hasRead(l.head) {
		return err
	}
	_, err = c.s.read(ctx, c.s.reuse(l.head, false))
	return err
}

// words returns the conversation with the message, whose sound is given, as the model reads it before it answers.
func (l *Listener) words(ctx context.Context, heard medium, after []chat.Part, answer ...chat.Message) (words, error) {
	c := l.c
	template, err := c.Options.template(c.m)
	if err != nil {
		return words{}, err
	}
	messages, err := c.m.prepared(c.Messages, false, c.room())
	if err != nil {
		return words{}, err
	}
	messages = slices.Concat(messages, []chat.Message{{Role: "user", Parts: slices.Concat(l.before, []chat.Part{{Type: "audio"}})}})
	media, err := c.m.media(messages)
	if err != nil {
		return words{}, err
	}
	media[len(media)-1] = heard
	said := &messages[len(messages)-1]
	said.Parts = append(said.Parts, after...)
	o := c.Options
	o.Continue = len(answer) > 0
	return c.m.renderWith(ctx, template, o.conversation(append(messages, answer...)), media)
}

// Heard returns how long the sound is so far.
func (l *Listener) Heard() time.Duration {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	return timeOf(len(l.samples))
}

// Push hears the samples that follow, however many, 16,000 a second from −1 to 1, and lets the model read what is certain of them. A sound
// of more than 30 seconds becomes several, cut at pauses, as it does where it comes as a whole.
//
// With an error, such as a sample that is no finite number, the end of ctx, or a context that is full (unless ChatOptions.Full drops what
// is old), none of these samples have been heard: they can be pushed again.
func (l *Listener) Push(ctx context.Context, samples []float32) error {
	return l.working(ctx, func() error {
		if l.answered {
			return errAnswered
		}
		for i, v := range samples {
			if v-v != 0 {
				return fmt.Errorf("gemma4: sample %d is %g, expected a finite number", len(l.samples)+i, v)
			}
		}
		if !same(l.talk, l.c.Messages) { // something was said in between
			if err := l.begin(ctx); err != nil {
				return err
			}
		}
		n := len(l.samples)
		l.samples = append(l.samples, samples...)
		more, err := l.hear(ctx)
		if err == nil && more {
			err = l.read(ctx)
		}
		if err != nil {
			l.samples = l.samples[:n]
			l.forget()
		}
		return err
	})
}

// working calls f with the turn and the session claimed.
func (l *Listener) working(ctx context.Context, f func() error) error {
	if err := l.take(ctx); err != nil {
		return err
	}
	defer func() { <-l.turn }()
	if err := l.c.s.begin(); err != nil {
		return err
	}
	defer l.c.s.end()
	return f()
}

// take takes the turn, for which others are waited for unless they answer.
func (l *Listener) take(ctx context.Context) error {
	if err := wait.Turn(ctx, l.turn); err != nil {
		return wrap(err)
	}
	if l.answers {
		<-l.turn
		return ErrBusy
	}
	return nil
}

// forget drops what was made of the samples.
func (l *Listener) forget() {
	l.split, l.seen, l.pieces = pause.NewSplitter(longestSound), 0, nil
	l.start(0)
}

// start begins a piece of the sound at a sample.
func (l *Listener) start(at int) {
	u := &l.last
	if u.hearing != nil {
		u.hearing.Reset()
	}
	*u = utterance{begin: at, hearing: u.hearing, hash: l.s.soundDigest()}
}

// hear makes what is certain of the samples that are new, and reports whether there is more to read.
func (l *Listener) hear(ctx context.Context) (more bool, err error) {
	err = l.s.alone(ctx, func() error {
		tokens, pieces := len(l.last.ids), len(l.pieces)
		cuts := l.split.Push(l.samples[l.seen:])
		l.seen = len(l.samples)
		err := l.cut(ctx, cuts)
		if err == nil {
			err = l.encode(ctx, len(l.samples))
		}
		more = len(l.last.ids) > tokens || len(l.pieces) > pieces
		return err
	})
	return more, wrap(err)
}

// cut ends pieces of the sound.
func (l *Listener) cut(ctx context.Context, cuts []int) error {
	for _, at := range cuts {
		if err := l.end(ctx, at); err != nil {
			return err
		}
		l.start(at)
	}
	return nil
}

// encode makes embeddings of the samples up to end, as far as they are certain and enough.
func (l *Listener) encode(ctx context.Context, end int) error {
	u := &l.last
	if u.hearing == nil {
		u.hearing = l.s.NewHearing()
	}
	u.hearing.Group, u.hearing.Between = l.Group, l.s.hearing.Between
	began := time.Now()
	rows, err := u.hearing.Push(ctx, l.samples[u.begin+u.heard:end])
	if err != nil {
		return err
	}
	u.heard = end - u.begin
	u.rows = append(u.rows, rows...)
	for i := len(u.ids); i < len(u.rows)/l.s.Width; i++ {
		need := l.s.SoundReach(i)
		writeSamples(u.hash, l.samples[u.begin+u.hashed:u.begin+need])
		u.hashed = need
		u.ids = append(u.ids, identityOf(u.hash))
	}
	l.s.took(&l.s.heard, rows, began)
	return nil
}

// end ends the last piece of the sound at a sample, which may have been heard before, and keeps its embeddings for the message.
func (l *Listener) end(ctx context.Context, at int) error {
	u := &l.last
	x, err := l.s.sound(l.samples[u.begin:at])
	if err != nil {
		return err
	}
	l.pieces = append(l.pieces, x)
	n, width := len(x.ids), l.s.Width
	if u.heard <= at-u.begin {
		if err := l.encode(ctx, at); err != nil {
			return err
		}
	}
	known := len(u.ids)
	for known > 0 && l.s.SoundReach(known-1) > at-u.begin {
		known--
	}
	rows := u.rows[:known*width]
	if known < n {
		began := time.Now()
		var rest []float32
		if u.heard == at-u.begin {
			rest, err = u.hearing.Close(ctx)
		} else { // it has heard more: once again, from where that makes no difference
			from := max(0, known-l.s.SoundPast())
			rest, err = u.hearing.Hear(ctx, x.samples[l.s.SoundReach(from)-l.s.SoundReach(0):])
			rest = rest[min(len(rest), (known-from)*width):]
		}
		if err != nil {
			return err
		}
		l.s.took(&l.s.heard, rest, began)
		rows = slices.Concat(rows, rest)
	}
	l.s.made(x.ids[n-1], slices.Clone(rows), &l.s.heard)
	return nil
}

// read lets the model read what was heard.
func (l *Listener) read(ctx context.Context) error {
	c := l.c
	in := slices.Concat(l.head, l.heard())
	if room, err := l.room(in); !room {
		return err
	}
	rest := c.s.reuse(in, false)
	if err := c.s.flush(ctx); err != nil {
		return err
	}
	c.s.ends(c.m.graph.Positions(in...))
	return c.s.append(ctx, rest, func(int) bool { return false }, nil)
}

// room reports whether the session has room for the message so far. If not, that is an error, unless the answer will make room for it.
func (l *Listener) room(in []Input) (bool, error) {
	c := l.c
	c.s.options.Progress, c.s.options.Trace = c.Options.Progress, c.Options.Trace
	if c.Options.Full != FullDrop || c.m.graph.Positions(in...) <= c.s.limit {
		return true, nil
	}
	if n := c.m.graph.Positions(l.heard()...); n > c.s.limit {
		return false, wrap(&ContextError{Need: n, Limit: c.s.limit})
	}
	return false, nil
}

// heard returns the sound as far as it is certain.
func (l *Listener) heard() (in []Input) {
	for _, x := range l.pieces {
		in = append(in, x.input(), l.between)
	}
	if u := &l.last; len(u.ids) > 0 {
		in = append(in, Input{Embeddings: slices.Clip(u.rows), IDs: slices.Clip(u.ids)})
	}
	return in
}

// Answer ends the sound, says the parts that come after it, and yields the answer as it is written, as [Chat.Say] does with all parts and
// the whole sound between them. If an error keeps the model from answering, the message is taken back, and can be spoken on or answered
// again.
func (l *Listener) Answer(ctx context.Context, after ...chat.Part) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		if err := l.take(ctx); err != nil {
			yield(Token{ID: noID}, err)
			return
		}
		l.answers = true
		<-l.turn
		defer func() {
			l.turn <- struct{}{}
			l.answers = false
			<-l.turn
		}()
		l.c.s.iterate(func(yield func(Token) bool) error { return l.answer(ctx, after, nil, yield) })(yield)
	}
}

// answer is Answer for a call that has claimed listener and session. begun is the beginning of the answer, if there is one.
func (l *Listener) answer(ctx context.Context, after []chat.Part, begun []chat.Message, yield func(Token) bool) error {
	if l.answered {
		return errAnswered
	}
	c, before := l.c, l.c.Messages
	defer func() { // also when a callback panics
		if l.answered = !same(before, c.Messages); l.answered {
			l.last, l.pieces = utterance{}, nil
		} else {
			l.forget()
		}
	}()
	if err := c.s.inModel(func() error { return l.close(ctx) }); err != nil {
		c.s.setResult(Result{Reason: reasonOf(err)})
		return err
	}
	sound := chat.Part{Type: "audio", Samples: slices.Clip(l.samples)}
	if sound.Samples == nil {
		sound.Samples = []float32{}
	}
	said := chat.Message{Role: "user", Parts: slices.Concat(l.before, []chat.Part{sound}, after)}
	return c.send(ctx, append([]chat.Message{said}, begun...), yield)
}

// same reports whether messages are the same ones.
func same(a, b []chat.Message) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }

// close ends the sound.
func (l *Listener) close(ctx context.Context) error {
	return wrap(l.s.alone(ctx, func() error {
		err := l.cut(ctx, l.split.Close())
		if n := len(l.samples); err == nil && l.s.SoundTokens(n-l.last.begin) > 0 {
			err = l.end(ctx, n)
		}
		return err
	}))
}
