package gemma4

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gogemma/gemma4/internal/cause"
)

// ticket is a request in a queue.
type ticket struct {
	Request
	q       *Queue
	ctx     context.Context
	cancel  context.CancelCauseFunc
	stop    func()  // gives back what ctx holds
	text    []Input // Prompt, or that of Messages
	length  int     // of that, in positions
	authors []*author
	bytes   int64 // of keys and values that each answer may come to have
	since   time.Time
	started atomic.Bool   // the first token has come
	taken   atomic.Bool   // somebody reads the pieces
	ready   chan struct{} // closed when there are
	pieces  chan Piece

	// Of the queue.
	in       bool  // it was admitted
	places   []int // slots that its answers have
	admitted chan struct{}
	waited   time.Duration

	mu       sync.Mutex
	err      error  // what has ended the request
	panicked string // what a callback has panicked with
}

// ticket returns one for a request, if the queue can ever have a place for it.
func (q *Queue) ticket(ctx context.Context, r Request) (*ticket, error) {
	if r.N = cmp.Or(r.N, 1); r.N < 0 || r.N > q.options.Slots {
		return nil, fmt.Errorf("gemma4: a request for %d answers, the queue has %d slots", r.N, q.options.Slots)
	}
	if r.Context < 0 || r.Context > q.options.Context {
		return nil, fmt.Errorf("gemma4: a request with a context of %d positions, the queue allows %d", r.Context, q.options.Context)
	}
	r.Context = cmp.Or(r.Context, q.options.Context)
	if r.Prefixes == nil {
		r.Prefixes = q.options.Prefixes
	}
	if r.History == 0 { // nobody takes the text back
		r.History = -1
	}
	if _, err := q.m.graph.Adapted(r.Adapters...); err != nil {
		return nil, wrap(err)
	}
	if err := cause.Of(ctx); err != nil {
		return nil, err
	}
	return &ticket{Request: r, q: q, since: time.Now(), admitted: make(chan struct{}), ready: make(chan struct{})}, nil
}

// prepare reads what the request says, and lowers its context to what prompt and answer may take.
func (t *ticket) prepare(ctx context.Context) error {
	length, err := t.check(ctx)
	switch t.length = length; {
	case err != nil:
		return err
	case length > t.Context && (t.Messages == nil || t.Full != FullDrop):
		return wrap(&ContextError{Need: length, Limit: t.Context})
	case t.MaxTokens > 0:
		t.Context = min(t.Context, length+min(t.MaxTokens, t.Context)) // the sum of any two may be too large
	}
	return nil
}

// submit puts the request in line.
func (t *ticket) submit(ctx context.Context) error {
	m := t.q.m
	f, err := t.Cache.format()
	if err != nil {
		return err
	}
	t.bytes = m.graph.CacheBytes(t.Context, f, t.Batch) + max(0, t.History)
	limits := []int64{t.Memory}
	if all := t.q.options.Memory; all > 0 {
		limits = append(limits, max(1, all/int64(t.N)))
	}
	for _, most := range limits {
		o := SessionOptions{Context: t.Context, Batch: t.Batch, History: max(0, t.History), Memory: most}
		if err := m.fit(&o, f); err != nil {
			return err
		}
	}
	done := func() {}
	if d := t.q.options.MaxTime; d > 0 {
		ctx, done = context.WithTimeoutCause(ctx, d, ErrOverdue)
	}
	t.ctx, t.cancel = context.WithCancelCause(ctx)
	t.stop = func() { t.cancel(nil); done() }
	if err := t.q.enter(t); err != nil {
		t.stop()
		return err
	}
	return nil
}

// check reports what makes no sense in a request, and otherwise the length of its prompt.
func (t *ticket) check(ctx context.Context) (length int, err error) {
	m := t.q.m
	switch {
	case (len(t.Messages) == 0) == (len(t.Prompt) == 0):
		return 0, errors.New("gemma4: a request has Messages or a Prompt, one of them")
	case len(t.Prompt) > 0:
		t.text = t.Prompt
		return m.graph.Positions(t.Prompt...), t.GenerateOptions.checkFor(m)
	}
	if err := t.ChatOptions.check(m); err != nil {
		return 0, err
	}
	c := newChat(t.ChatOptions, m)
	c.Messages = t.Messages
	prompt, err := c.prompt(ctx)
	if err != nil {
		return 0, err
	}
	if _, _, err := c.begin(c.parser(prompt.ids).Within()); err != nil {
		return 0, err
	}
	n := len(prompt.ids)
	t.Messages, t.text = c.Messages, m.inputs(prompt, n)
	return n, nil
}

// run answers the request once it is admitted.
func (t *ticket) run() {
	err, room := t.wait(), 0
	if err == nil { // in line nobody needs any
		room = t.q.options.Buffer
	}
	t.pieces = make(chan Piece, room)
	close(t.ready)
	defer close(t.pieces)
	defer t.leave()
	if err != nil {
		t.fail(err)
		return
	}
	begun := false
	defer func() {
		if begun {
			return
		}
		for range t.N {
			t.count(false, Result{Reason: reasonOf(t.err)})
		}
		t.q.free(t, t.places...)
	}()
	if begun = t.guard(t.begin); !begun {
		return
	}
	var all sync.WaitGroup
	for i, a := range t.authors {
		all.Go(func() {
			defer t.q.free(t, t.places[i])
			t.guard(func() error { return t.answer(i, a) })
		})
	}
	all.Wait()
}

// leave ends the request.
func (t *ticket) leave() {
	t.stop()
	t.q.leave(t)
}

// wait returns when the request is admitted, or why it will not be.
func (t *ticket) wait() error {
	var late <-chan time.Time
	if d := t.q.options.MaxWait; d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-t.admitted:
	case <-t.ctx.Done():
		if t.q.withdraw(t, &t.q.stats.Left) {
			return cause.Of(t.ctx)
		}
	case <-late:
		if t.q.withdraw(t, &t.q.stats.Waited) {
			return ErrWaited
		}
	}
	return nil
}

// guard calls f. If that fails or panics, or its goroutine ends within a callback, it ends the request and reports false.
func (t *ticket) guard(f func() error) (ok bool) {
	returned := false
	defer func() {
		if v := recover(); v != nil {
			t.mu.Lock()
			t.panicked = fmt.Sprintf("%v, in a callback of a request\n\n%s", v, debug.Stack())
			t.mu.Unlock()
		}
		if !returned {
			t.fail(errors.New("gemma4: a callback of the request has panicked, or called runtime.Goexit"))
		}
	}()
	err := f()
	returned = true
	if err != nil {
		t.fail(err)
	}
	return err == nil
}

// fail ends the request with an error, unless it has one.
func (t *ticket) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
		t.cancel(err)
	}
}

// begin makes an author of each answer. If they are several, the others continue what the first has read.
func (t *ticket) begin() (err error) {
	first := &author{text: t.text, options: t.GenerateOptions}
	if t.Messages == nil {
		first.s, err = t.q.m.NewSession(t.SessionOptions)
	} else if first.chat, err = t.q.m.NewChat(t.ChatOptions); err == nil {
		first.chat.Messages, first.s = slices.Clone(t.Messages), first.chat.s
	}
	if err != nil {
		return err
	}
	t.add(first)
	if t.N == 1 {
		return nil
	}
	if length := t.q.m.graph.Positions(t.text...); length <= t.Context { // otherwise messages have to be dropped first
		if err := first.prefill(t.ctx); err != nil {
			return err
		}
	}
	for i := 1; i < t.N; i++ {
		a := &author{text: first.text, options: t.GenerateOptions}
		if first.chat == nil {
			a.s, err = first.s.Fork()
		} else if a.chat, err = first.chat.Fork(); err == nil {
			a.s = a.chat.s
		}
		if err != nil {
			return err
		}
		t.add(a)
		if seed := t.Sampling.Seed; seed != nil {
			a.options.Sampling.Seed = new(ChoiceSeed(*seed, i))
			if a.chat != nil {
				a.chat.Options.Sampling.Seed = a.options.Sampling.Seed
			}
		}
	}
	return nil
}

func (t *ticket) add(a *author) {
	t.q.begin(t.places[len(t.authors)], a.s)
	t.authors = append(t.authors, a)
}

// result returns how an author's answer went.
func (t *ticket) result(a *author) Result {
	r := a.s.Result()
	r.QueueTime = t.waited
	r.PromptTime += a.took
	n := min(a.read, r.Reused) // 0 if it failed before
	r.Reused, r.Prompt = r.Reused-n, r.Prompt+n
	return r
}

// answer writes an answer and counts it.
func (t *ticket) answer(i int, a *author) (err error) {
	returned := false // otherwise a callback has panicked
	defer func() {
		r := t.result(a)
		if !returned {
			r.Reason = ReasonError
		}
		t.count(i == 0, r)
	}()
	err = t.write(i, a)
	returned = true
	return err
}

// write writes an answer and hands it to the reader.
func (t *ticket) write(i int, a *author) error {
	for tok, failed := range a.tokens(t.ctx) {
		if failed != nil {
			return failed
		}
		if !t.put(Piece{Choice: i, Token: tok}) {
			return cause.Of(t.ctx)
		}
	}
	r := t.result(a)
	if !t.put(Piece{Choice: i, Token: Token{ID: noID}, Result: &r}) {
		return cause.Of(t.ctx)
	}
	return nil
}

// put hands a piece to the reader, and reports false if the request has ended or the reader has stalled.
func (t *ticket) put(p Piece) bool {
	if p.Result == nil && t.started.CompareAndSwap(false, true) {
		t.q.count(func(s *QueueStats) {
			s.Firsts++
			s.FirstTime += time.Since(t.since)
		})
	}
	select {
	case t.pieces <- p:
		return true
	default:
	}
	stall := time.NewTimer(t.q.options.Stall)
	defer stall.Stop()
	select {
	case t.pieces <- p:
		return true
	case <-t.ctx.Done():
	case <-stall.C:
		t.cancel(ErrStalled)
	}
	return false
}

// errLeft is why the context of a request ends whose reader has left the loop.
var errLeft = errors.New("gemma4: the loop was left")

// count counts an answer that has ended.
func (t *ticket) count(first bool, r Result) {
	if t.ctx.Err() != nil && (r.Reason == ReasonBreak || r.Reason == ReasonCancel) { // which it is depends on where it was
		r.Reason = ReasonCancel
		if context.Cause(t.ctx) == errLeft {
			r.Reason = ReasonBreak
		}
	}
	t.q.count(func(s *QueueStats) {
		s.Answers[r.Reason]++
		s.Generated += int64(r.Generated)
		if first {
			s.Prompt += int64(r.Prompt)
			s.Reused += int64(r.Reused)
		}
	})
}

// read yields the pieces.
func (t *ticket) read(yield func(Piece, error) bool) {
	if t.taken.Swap(true) {
		yield(Piece{Token: Token{ID: noID}}, errors.New("gemma4: the answers were read already"))
		return
	}
	<-t.ready
	defer func() { // also when the loop's body panics
		t.cancel(errLeft)
		for range t.pieces {
		}
	}()
	for p := range t.pieces {
		if !yield(p, nil) {
			return
		}
	}
	if t.panicked != "" {
		panic(t.panicked)
	}
	if t.err != nil {
		yield(Piece{Token: Token{ID: noID}}, t.err)
	}
}
