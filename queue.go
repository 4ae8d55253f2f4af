package gemma4

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/tensor"
)

// Errors that end a request of a [Queue]. The last two end its context, whose error they come with.
var (
	ErrWaited  = errors.New("gemma4: the request has waited longer than it may")
	ErrStalled = errors.New("gemma4: the answer's reader has taken nothing for too long")
	ErrOverdue = errors.New("gemma4: the request takes longer than it may")
)

// QueueFullError says that too many requests wait already, or that there is no room where none may wait.
type QueueFullError struct {
	Waiting int           // requests
	Retry   time.Duration // when there should be room for one more
}

func (e *QueueFullError) Error() string {
	if e.Waiting == 0 {
		return fmt.Sprintf("gemma4: there is no room now and none may wait for it, try again in %v", e.Retry.Round(time.Millisecond))
	}
	return fmt.Sprintf("gemma4: %d requests wait already, try again in %v", e.Waiting, e.Retry.Round(time.Millisecond))
}

// QueueOptions say how many requests a [Queue] takes on. The zero value is a good choice.
type QueueOptions struct {
	// Slots is how many answers are written at once; 0: 8.
	Slots int
	// Memory is the most bytes that keys and values of the requests being answered may take, beside Prefixes; 0: no limit.
	Memory int64
	// Context is the most positions that a request may have, prompt and answer together, and what it has if it asks for no fewer. 0: as
	// many as the model was made for, or as Memory holds in each slot.
	Context int
	// Waiting is how many requests may wait for a slot; 0: 64; below 0: none. Another one is a [QueueFullError].
	Waiting int
	// MaxWait is how long a request may wait for its slots, after which it ends with [ErrWaited]; 0: for ever.
	MaxWait time.Duration
	// MaxTime is how long a request may take from Submit to its end, after which it ends with [ErrOverdue]; 0: for ever.
	MaxTime time.Duration
	// Buffer is how many tokens an answer may be ahead of its reader; 0: 1024. Then it pauses, and keeps its slot.
	Buffer int
	// Stall is how long an answer pauses for its reader before it ends with [ErrStalled]; 0: 30 seconds.
	Stall time.Duration
	// Prefixes is for requests that have none of their own; nil: none.
	Prefixes *PrefixCache
}

// Queue answers many requests to one model at a time, each with the bytes that it would get alone.
//
// A request is admitted when there is a slot for each of its answers and memory for all that it may come to hold: min(context, prompt +
// MaxTokens) positions. So nothing that has begun ever has to make room. The others wait in the order in which they came; where they have
// groups (SessionOptions.Group), these take turns. Nobody overtakes a large request, which would wait for ever.
//
// Requests may be submitted on any goroutine. A queue has to be closed.
type Queue struct {
	m       *Model
	options QueueOptions

	mu       sync.Mutex // held for moments
	closed   bool
	empty    chan struct{}    // closed when all requests have ended, and no more can come
	tickets  map[*ticket]bool // of requests that have not ended
	line     []*group         // whose turn it is comes first
	places   []place          // for answers, one in each slot
	slots    int              // taken
	reserved int64
	mean     time.Duration // that a slot is taken, lately
	stats    QueueStats
}

// group is a part of the line, in order of arrival.
type group struct {
	name    string
	tickets []*ticket
}

// QueueStats tells what a [Queue] does and has done.
type QueueStats struct {
	Slots, Running int   // slots, and those taken
	Waiting        int   // requests in line,
	MaxWaiting     int   // and those that may be: QueueOptions.Waiting
	Context        int   // positions that a request may have
	Memory         int64 // QueueOptions.Memory
	Reserved, Used int64 // bytes for keys and values: what the requests being answered may take, and what they take now

	Requests int64            // that were submitted and made sense
	Full     int64            // of them found the line full,
	Waited   int64            // waited for too long,
	Left     int64            // or had their context end in line
	Stalled  int64            // ended because their readers had stalled,
	Overdue  int64            // or after MaxTime; both count as cancelled below
	Answers  map[Reason]int64 // by how they ended

	Prompt, Reused int64 // positions of prompts that were read, and that need not be
	Generated      int64 // tokens

	Admissions int64         // requests that were given slots,
	QueueTime  time.Duration // and how long they waited, in all
	Firsts     int64         // requests whose first token has come,
	FirstTime  time.Duration // and how long that took since Submit, in all
}

// NewQueue returns a queue without requests.
func (m *Model) NewQueue(o QueueOptions) (*Queue, error) {
	if o.Slots < 0 || o.Memory < 0 || o.Context < 0 || o.Buffer < 0 || min(o.MaxWait, o.MaxTime, o.Stall) < 0 {
		return nil, fmt.Errorf("gemma4: queue options %+v: none but Waiting can be negative", o)
	}
	o.Slots, o.Buffer, o.Stall = cmp.Or(o.Slots, 8), cmp.Or(o.Buffer, 1024), cmp.Or(o.Stall, 30*time.Second)
	o.Waiting = max(0, cmp.Or(o.Waiting, 64))
	if o.Context > m.graph.Context {
		return nil, fmt.Errorf("gemma4: a queue with a context of %d positions, the model's is %d", o.Context, m.graph.Context)
	}
	q := &Queue{m: m, options: o, empty: make(chan struct{}), places: make([]place, o.Slots), tickets: map[*ticket]bool{}}
	q.stats.Answers = map[Reason]int64{}
	if o.Memory > 0 && o.Context == 0 { // the same for one request in each slot
		s := SessionOptions{Memory: max(1, o.Memory/int64(o.Slots))}
		if err := m.fit(&s, tensor.F16); err != nil {
			return nil, fmt.Errorf("gemma4: queue with %d bytes for %d slots: %w", o.Memory, o.Slots, err)
		}
		q.options.Context = s.Context
	}
	q.options.Context = cmp.Or(q.options.Context, m.graph.Context)
	return q, nil
}

// Submit hands in a request and returns its answers, as they are written. It does not wait: a request that makes no sense, can never fit
// ([ContextError], [MemoryError]) or finds the line full ([QueueFullError]) is an error at once.
//
// The pieces can be read once. The loop over them may be left at any time, which ends the request, as the end of ctx does: in line at once,
// in a prompt within a layer or, where others share the pass, within Loader.Budget, otherwise with the next token. Whatever ends a request
// changes nothing of the others. An error ends the loop, after all pieces that came before it. When the loop has ended, slots and memory
// are free. The answers are written from when the request is admitted on, whether anybody reads them or not; callbacks of the request's
// options are called on other goroutines, and if one panics, so does the loop.
func (q *Queue) Submit(ctx context.Context, r Request) (iter.Seq2[Piece, error], error) {
	t, err := q.ticket(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := t.prepare(ctx); err != nil {
		return nil, err
	}
	if err := t.submit(ctx); err != nil {
		return nil, err
	}
	go t.run()
	return t.read, nil
}

// Do waits in line for a slot, and for memory for the context that the options ask for, or a request may have. Then it calls f with a new
// chat, for what is no answer: [Chat.Decide], [Session.Embed] and all else that its session can do. When f has returned, the chat is closed
// and the slot is free. The context of f ends with ctx, MaxTime and the queue. Errors are those of [Queue.Submit] and of f.
func (q *Queue) Do(ctx context.Context, o ChatOptions, f func(ctx context.Context, c *Chat) error) (err error) {
	t, err := q.ticket(ctx, Request{ChatOptions: o})
	if err != nil {
		return err
	}
	if err := t.submit(ctx); err != nil {
		return err
	}
	defer t.leave()
	defer func() { t.fail(err) }()
	if err := t.wait(); err != nil {
		return err
	}
	defer q.free(t, t.places...)
	c, err := q.m.NewChat(t.ChatOptions)
	if err != nil {
		return err
	}
	q.begin(t.places[0], c.s)
	return f(t.ctx, c)
}

// enter puts a request in line.
func (q *Queue) enter(t *ticket) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	q.stats.Requests++
	name := t.Group
	i := slices.IndexFunc(q.line, func(g *group) bool { return g.name == name })
	if i < 0 {
		i = len(q.line)
		q.line = append(q.line, &group{name: name})
	}
	q.line[i].tickets = append(q.line[i].tickets, t)
	q.tickets[t] = true
	q.stats.Waiting++
	q.admit()
	if q.stats.Waiting > q.options.Waiting && !t.in {
		q.remove(t)
		delete(q.tickets, t)
		q.stats.Full++
		return &QueueFullError{q.stats.Waiting, q.retry()}
	}
	return nil
}

// retry returns when a place in line should be free: when a slot is.
func (q *Queue) retry() time.Duration {
	each, now := q.mean, time.Now()
	if each == 0 {
		for _, p := range q.places {
			if p.s != nil {
				each = max(each, now.Sub(p.since))
			}
		}
	}
	return each/time.Duration(q.options.Slots) + time.Millisecond
}

// admit gives slots and memory to those in front of the line, as far as they go.
func (q *Queue) admit() {
	for len(q.line) > 0 {
		t := q.line[0].tickets[0]
		bytes := int64(t.N) * t.bytes
		if q.slots+t.N > q.options.Slots || q.options.Memory > 0 && q.reserved+bytes > q.options.Memory {
			return
		}
		if g := q.remove(t); g != nil { // it has had its turn
			q.line = append(q.line[1:], g)
		}
		q.slots += t.N
		q.reserved += bytes
		t.in, t.waited = true, time.Since(t.since)
		for i := range q.places {
			if p := &q.places[i]; p.t == nil && len(t.places) < t.N {
				*p = place{t: t, since: time.Now()}
				t.places = append(t.places, i)
			}
		}
		q.stats.Admissions++
		q.stats.QueueTime += t.waited
		close(t.admitted)
	}
}

// remove takes a request out of the line, and returns its group unless nobody is left of that.
func (q *Queue) remove(t *ticket) *group {
	i := slices.IndexFunc(q.line, func(g *group) bool { return g.name == t.Group })
	g := q.line[i]
	at := slices.Index(g.tickets, t)
	g.tickets = slices.Delete(g.tickets, at, at+1)
	q.stats.Waiting--
	if len(g.tickets) > 0 {
		return g
	}
	q.line = slices.Delete(q.line, i, i+1)
	return nil
}

// withdraw takes a request out of the line, unless it was admitted, and counts why.
func (q *Queue) withdraw(t *ticket, count *int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.in {
		return false
	}
	q.remove(t)
	*count++
	q.admit() // it may have kept others from their slots
	return true
}

// free gives slots of a request back, with the memory, and closes their sessions.
func (q *Queue) free(t *ticket, places ...int) {
	for _, i := range places {
		if s := q.places[i].s; s != nil { // which only the request's own goroutine has set
			s.Close()
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, i := range places {
		if p := &q.places[i]; p.s != nil {
			q.mean = follow(q.mean, time.Since(p.since))
		}
		q.places[i] = place{}
	}
	q.slots -= len(places)
	q.reserved -= int64(len(places)) * t.bytes
	q.admit()
}

// begin notes the session of a slot, which answers.
func (q *Queue) begin(place int, s *Session) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.places[place].s = s
}

// count lets f change the numbers.
func (q *Queue) count(f func(*QueueStats)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f(&q.stats)
}

// Stats returns what the queue does now and has done. It never waits for the model.
func (q *Queue) Stats() QueueStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.stats
	s.Answers = maps.Clone(s.Answers)
	s.Slots, s.Running, s.MaxWaiting, s.Context = q.options.Slots, q.slots, q.options.Waiting, q.options.Context
	s.Memory, s.Reserved = q.options.Memory, q.reserved
	for _, p := range q.places {
		if p.s != nil {
			s.Used += p.s.CacheBytes()
		}
	}
	return s
}

// Shutdown refuses new requests, ends those in line with [ErrClosed], and waits until all others have ended. If ctx ends before that, they
// end, too, and its error is returned: not where nobody was left.
func (q *Queue) Shutdown(ctx context.Context) error {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		q.emptied()
	}
	for t := range q.tickets {
		if !t.in {
			t.cancel(ErrClosed)
		}
	}
	q.mu.Unlock()
	select {
	case <-q.empty:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	left := len(q.tickets) > 0 // both may have been ready
	for t := range q.tickets {
		t.cancel(ErrClosed)
	}
	q.mu.Unlock()
	<-q.empty
	if !left {
		return nil
	}
	return cause.Of(ctx)
}

// Close refuses new requests and ends all others with [ErrClosed]. It is safe to call twice.
func (q *Queue) Close() error {
	now, end := context.WithCancel(context.Background())
	end()
	q.Shutdown(now)
	return nil
}

// leave notes that a request has ended.
func (q *Queue) leave(t *ticket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.tickets, t)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case errors.Is(t.err, ErrStalled):
		q.stats.Stalled++
	case errors.Is(t.err, ErrOverdue):
		q.stats.Overdue++
	}
	q.emptied()
}

// emptied notes if no more can happen.
func (q *Queue) emptied() {
	if q.closed && len(q.tickets) == 0 {
		close(q.empty)
	}
}
