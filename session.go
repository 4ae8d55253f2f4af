package gemma4

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// SessionOptions say how a session keeps its text. The zero value is a good choice.
type SessionOptions struct {
	// Context is the most positions that the session may hold; 0: as many as the model was made for, or as Memory allows. Memory
	// is taken as the text grows.
	Context int
	// Cache is the format of keys and values.
	Cache CacheFormat
	// Batch is how many positions of a prompt are read (prefilled) at a time, or fewer while other sessions generate (Loader.Budget); 0:
	// 512. It changes speed and memory, not results.
	Batch int
	// Group says for whom the session works, such as a user. Where prompts wait to be read, those of the groups take turns.
	Group string
	// History is how many bytes may be spent on keys and values that the windows of sliding layers have left behind, so that the text can
	// be taken back ([Session.Rewind], [Session.Reuse]) without reading it again; 0: three times what the windows take; below 0: none. The
	// ends of the first turn and of the latest turns are kept first, then the latest positions.
	History int64
	// Memory is the most bytes that keys and values may take, History included; 0: no limit. A Context that does not fit is a
	// [MemoryError].
	Memory int64
	// Prefixes, if set, lets the session begin with what others have read, and others with what it reads.
	Prefixes *PrefixCache
	// Adapters change what the model is for the session ([Model.OpenAdapter], [Session.Adapter]). They add, in any order.
	Adapters []Scaled
	// Progress, if set, is called between the steps of reading a prompt, with the positions done and wanted. It may look at the session,
	// which is busy then, and close it. It must not wait for sessions with the same Prefixes: they may wait for this one.
	Progress func(done, total int)
	// Trace, if set, is told what the session does. Forks have the same one.
	Trace *Trace
}

// Input is a part of a prompt: tokens, or embeddings that stand for an image or a sound. Embeddings with an ID are recognised, by
// [Session.ReuseInput], a [PrefixCache] and saved sessions, and two pictures at one place are two texts; those without one end what texts
// can share.
type Input = model.Input

// ContextError says that a text does not fit a session's context.
type ContextError = model.ContextError

// MemoryError says that a session would take more memory than it may.
type MemoryError struct {
	Need, Limit int64 // bytes
	Context     int   // positions that were wanted
	Fits        int   // positions that the limit has room for
}

func (e *MemoryError) Error() string {
	if e.Fits == 0 {
		return fmt.Sprintf("gemma4: a context of %d positions takes %d bytes, %d are allowed, too few for a single one: allow more",
			e.Context, e.Need, e.Limit)
	}
	return fmt.Sprintf("gemma4: a context of %d positions takes %d bytes, %d are allowed: a context of %d fits", e.Context, e.Need, e.Limit,
		e.Fits)
}

// Session is one text that the model has read (prefill) and written (decode).
//
// It serves one call at a time: while one runs, and until the loop over a [Session.Generate] has ended, every other call returns [ErrBusy]
// and changes nothing, even from the call's own callbacks. Len, Context, CacheBytes, Logits, Result and Ops answer at once, at any time and
// on any goroutine, with what held before the running step: a step is one chunk of a prompt, or one call's tokens decoded. Close never
// waits.
//
// A step counts whole or not at all: when ctx ends, when something fails, and when a callback panics and the caller recovers, the session
// holds the steps that were done, and continues from there as if nothing else had been tried.
type Session struct {
	m        *Model
	options  SessionOptions
	seq      *model.Sequence
	limit    int            // positions
	reading  *reading       // what options.Prefixes knows of a running Read
	job      *job           // what it takes through the model
	observe  model.Observer // for its chunks, while a perplexity is measured
	decoded  func() error   // ends a step of write
	isLast   func(int) bool // last
	ahead    []identity     // the text that write makes
	dst      *[]float32     // where it leaves logits
	next     []float32      // room for logits
	written  []float32      // those that Write returned
	tokens   []int32        // room for ids that go to the graph
	input    [1]Input       // of them
	hidden   []float32      // [width] the graph's last state, normed, behind the text that it holds; empty: unknown
	drafted  drafted        // what the graph holds beyond the text
	drafters []*drafter     // that have guessed for the session
	closing  chan struct{}  // closed by Close
	saved    *savedFile     // it holds the text as it was at the last seq.Keep; nil: none
	again    []int32        // the whole text, if it has to be read again and not all of it is; changed with mu held

	// Only the running call changes what follows, and it does so with mu held; to look, it need not hold it. Others look with mu held,
	// which it never is for long.
	mu     sync.Mutex
	busy   bool       // a call is running
	closed bool       // a call may still be running
	ids    []identity // the text; the graph may lag behind by a token just generated, as far as readers see
	logits []float32  // [vocabulary] of what follows the text that the graph holds; empty if they were not wanted
	only   []int32    // the ids that they are of, because a grammar allows no others; nil: all
	drawn  bool       // from them, in the running generation, the token was chosen that the graph does not hold yet
	result Result
	prompt int   // where the prompt ends that was read last, or is being read
	count  int   // of tokens that the running generation has written, or the last one
	held   int   // the sequence's positions but for what is drafted,
	bytes  int64 // what they take,
	ops    int64 // and multiply-adds, as of the last step
	noted  int64 // those of the job that ops has
}

// identity is what a text has at a position: a token's id or an embedding identity.
type identity = model.Identity

// NewSession returns an empty session.
func (m *Model) NewSession(o SessionOptions) (*Session, error) {
	if err := m.enter(); err != nil {
		return nil, err
	}
	defer m.leave()
	return m.newSession(o)
}

func (m *Model) newSession(o SessionOptions) (*Session, error) {
	s := &Session{m: m, options: o, closing: make(chan struct{})}
	s.job, s.decoded, s.isLast = newJob(), s.commitTokens, s.last
	s.options.Adapters = slices.Clone(o.Adapters)
	f, err := o.Cache.format()
	if err != nil {
		return nil, err
	}
	switch {
	case o.History == 0:
		o.History = historyWindows * m.graph.WindowBytes(f)
	case o.History < 0:
		o.History = 0
	}
	if err := m.fit(&o, f); err != nil {
		return nil, err
	}
	if s.seq, err = m.graph.NewSequence(model.SequenceOptions{
		Context: o.Context, Cache: f, Batch: o.Batch, History: o.History, EndsTurn: m.tok.IsEnd, Adapters: o.Adapters,
	}); err != nil {
		return nil, fmt.Errorf("gemma4: %w", err)
	}
	s.limit, s.job.costs = s.seq.Limit(), m.drafts.stepCosts(o.Cache)
	if o.Prefixes != nil {
		o.Prefixes.join(m.engine)
	}
	return s, nil
}

// Fork returns a session that continues the same text on its own, with the same options. The two share the memory of what they have in
// common.
func (s *Session) Fork() (*Session, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	return s.fork()
}

func (s *Session) fork() (*Session, error) {
	f, err := s.m.newSession(s.options)
	if err != nil {
		return nil, err
	}
	t := s.seq.Snapshot()
	defer t.Release()
	if _, err := f.seq.Adopt(t, t.Len()); err != nil {
		return nil, wrap(err)
	}
	f.ids, f.logits, f.result = slices.Clone(s.ids), slices.Clone(s.logits), s.result
	f.only, f.hidden, f.again = s.only, slices.Clone(s.hidden), slices.Clone(s.again)
	f.note()
	return f, nil
}

// historyWindows is how many windows of history a session keeps by default.
const historyWindows = 3

// fit sets the context to what the memory allows.
func (m *Model) fit(o *SessionOptions, f tensor.Format) error {
	if o.Memory < 0 {
		return fmt.Errorf("gemma4: a memory limit of %d bytes", o.Memory)
	}
	if o.Memory == 0 || o.Context < 0 || o.Context > m.graph.Context {
		return nil
	}
	need := func(context int) int64 { return m.graph.CacheBytes(context, f, o.Batch) + o.History }
	fits := sort.Search(m.graph.Context, func(n int) bool { return need(n+1) > o.Memory })
	switch {
	case o.Context == 0 && fits > 0:
		o.Context = fits
	case o.Context > fits || fits == 0:
		return &MemoryError{Need: need(max(1, o.Context)), Limit: o.Memory, Context: max(1, o.Context), Fits: fits}
	}
	return nil
}

// claim takes the session for one call; unless it fails, release gives it back.
func (s *Session) claim() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.busy:
		return ErrBusy
	}
	s.busy = true
	return nil
}

func (s *Session) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
	s.note()      // a callback may have panicked
	if s.closed { // meanwhile
		s.free()
	}
}

// claimed calls f with the session claimed.
func (s *Session) claimed(f func() error) error {
	if err := s.claim(); err != nil {
		return err
	}
	defer s.release()
	return f()
}

// begin claims the session and the model for one call; unless it fails, end releases both.
func (s *Session) begin() error {
	if err := s.claim(); err != nil {
		return err
	}
	if err := s.m.enter(); err != nil {
		s.release()
		return err
	}
	return nil
}

func (s *Session) end() {
	s.m.leave()
	s.release()
}

// inModel calls f with the model claimed, by a call that has claimed the session.
func (s *Session) inModel(f func() error) error {
	if err := s.m.enter(); err != nil {
		return err
	}
	defer s.m.leave()
	return f()
}

// open returns ErrClosed if the session was closed while its call was running.
func (s *Session) open() error {
	select {
	case <-s.closing:
		return ErrClosed
	default:
		return nil
	}
}

// Close gives the session's memory back. It never waits: a running call ends with its current step and returns [ErrClosed], and then the
// memory is given back. It is safe to close twice.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	close(s.closing)
	if !s.busy {
		s.free()
	}
	return nil
}

func (s *Session) free() {
	s.seq.Close()
	for _, d := range s.drafters {
		d.close()
	}
	s.drafters = nil
	s.ids, s.logits, s.next, s.written, s.tokens, s.hidden, s.drafted, s.again = nil, nil, nil, nil, nil, nil, drafted{}, nil
}

// commit makes ids, which the graph holds, the whole text, and logits those of what follows, if they were wanted: of the ids in only,
// unless that is nil. hidden is the last state that they are made from.
func (s *Session) commit(ids []identity, logits, hidden []float32, only []int32) {
	s.next = append(s.next[:0], logits...)
	s.hidden = append(s.hidden[:0], hidden...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids, s.logits, s.next, s.only = ids, s.next, s.logits, only
	s.note()
}

// note lets readers see the state of the sequence.
func (s *Session) note() {
	s.held, s.bytes = s.seq.Len()-len(s.drafted.ids), s.seq.Bytes()
	s.ops, s.noted = s.ops+s.job.ops-s.noted, s.job.ops
}

// step takes the job through the model, by a call that has claimed the session. done is called when its chunk has become part of the text.
func (s *Session) step(ctx context.Context, done func() error) error {
	j := s.job
	j.ctx, j.over, j.closing, j.done = ctx, ctx.Done(), s.closing, done
	j.ops, s.noted = 0, 0
	positions, bytes := s.seq.GivenUp()
	err := s.m.schedule.do(j)
	s.mu.Lock()
	s.note()
	s.mu.Unlock()
	j.ctx, j.over, j.closing, j.done, j.chunk = nil, nil, nil, nil, model.Chunk{}
	s.evicted(positions, bytes)
	if err != nil && s.options.Prefixes != nil {
		s.options.Prefixes.faulted(s.m.engine, err)
	}
	return wrap(err)
}

// evicted tells what the sequence has given up since it had given up that much.
func (s *Session) evicted(positions int, bytes int64) {
	if n, b := s.seq.GivenUp(); n > positions {
		s.options.Trace.evicted(EvictInfo{Positions: n - positions, Bytes: b - bytes})
	}
}

// inPass calls f with a pass of its own, by a call that has claimed the session, and returns how long it took. A pass in which f panics is
// not used again.
func (s *Session) inPass(f func(p *model.Pass) error) (took time.Duration, err error) {
	p := s.m.schedule.pass()
	began, ops := time.Now(), p.Ops()
	s.job.ops, s.noted = 0, 0
	err = f(p)
	s.mu.Lock()
	s.job.ops = p.Ops() - ops
	s.note()
	s.mu.Unlock()
	s.m.schedule.passes.Put(p)
	return time.Since(began), err
}

// behind reports whether a token just generated has not gone through the graph yet.
func (s *Session) behind() bool { return len(s.ids) > s.held }

// Len returns how many positions the session holds.
func (s *Session) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0
	}
	return max(len(s.ids), len(s.again))
}

// Context returns the most positions that the session may hold.
func (s *Session) Context() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0
	}
	return s.limit
}

// CacheBytes returns what the session's keys and values take now.
func (s *Session) CacheBytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0
	}
	return s.bytes
}

// Ops returns the multiply-adds of weights and activations that the session has done.
func (s *Session) Ops() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0
	}
	return s.ops
}

// Logits appends to dst the logits [vocabulary] of what follows the text. [sampler.NewLogProbs] turns them into probabilities. It
// appends nothing where they are not known: after a Rewind, after a Read that ended early, and after a generation that the caller left
// or ctx ended, whose last token goes through the model with the next call. In the loop over a generation they are those that its token
// was chosen from. There a grammar may have left out those of the tokens that it does not allow, which are −Inf then, and all where it
// left no choice.
func (s *Session) Logits(dst []float32) []float32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed || !s.drawn && (s.behind() || s.only != nil) || len(s.logits) == 0:
		return dst
	case s.only == nil:
		return append(dst, s.logits...)
	}
	n := len(dst)
	dst = append(dst, make([]float32, s.m.graph.Vocabulary)...)
	for i := range dst[n:] {
		dst[n+i] = float32(math.Inf(-1))
	}
	for i, id := range s.only {
		dst[n+int(id)] = s.logits[i]
	}
	return dst
}

// Read appends a prompt: it prefills. When ctx ends it stops within a layer, or within Loader.Budget where others share the pass, and
// returns ctx's error and its cause; the session keeps the steps that were done until then.
func (s *Session) Read(ctx context.Context, in ...Input) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	_, err := s.read(ctx, in)
	return err
}

// read appends a prompt and keeps the logits of its last position. An empty one brings the logits up to date. It returns how many positions
// of the text were already there.
func (s *Session) read(ctx context.Context, in []Input) (reused int, err error) {
	if err := s.flush(ctx); err != nil {
		return 0, err
	}
	s.ends(len(s.ids) + s.m.graph.Positions(in...))
	return s.readOn(ctx, in)
}

// readOn is read behind a text that the graph holds.
func (s *Session) readOn(ctx context.Context, in []Input) (reused int, err error) {
	if p := s.options.Prefixes; p != nil {
		before := len(s.ids)
		if in, err = p.begin(ctx, s, in); err != nil {
			return len(s.ids), err
		}
		defer p.end(s)
		if n := len(s.ids) - before; n > 0 {
			s.m.log.Debug("prefix reused", "positions", n)
		}
	}
	reused = len(s.ids)
	last := reused + s.m.graph.Positions(in...) - 1
	return reused, s.append(ctx, in, func(pos int) bool { return pos == last }, nil)
}

// ends notes where the prompt ends.
func (s *Session) ends(prompt int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prompt = prompt
}

// append takes a prompt through the graph. If yield is set, it is given the logits of the positions that are wanted.
func (s *Session) append(ctx context.Context, in []Input, want func(int) bool, yield func(int, []float32) error) error {
	all := s.m.graph.Identities(s.ids, in...) // what is new lies beyond what readers see
	var last []float32                        // logits of the running step, in the pass's memory
	c := model.Chunk{Sequence: s.seq, Input: in, Want: want, Observe: s.observe}
	if yield != nil {
		c.Yield = func(pos int, logits []float32) error {
			last = logits
			return yield(pos, logits)
		}
	}
	return s.prefill(ctx, c, func(n int) {
		if yield == nil {
			last = s.job.chunk.Logits
		}
		s.commit(all[:n], last, end(s.job.chunk.Hidden, s.m.graph.Width), nil)
		last = nil
	})
}

// prefill takes a prompt through the graph, for this session's sequence or a fork's: all of it goes or, if it does not fit, nothing. When a
// part of it counts, done is called, within the pass, with the length of the text, and then, outside of it, whoever follows the session.
// One that yields has a pass of its own.
func (s *Session) prefill(ctx context.Context, c model.Chunk, done func(n int)) error {
	total, err := c.Sequence.Check(c.Input...)
	if err != nil {
		return wrap(err)
	}
	if total == 0 {
		return cause.Of(ctx)
	}
	j, first := s.job, c.Sequence.Len()
	s.m.schedule.leave(j)
	defer func() { j.left = nil }()
	j.role, j.private = prefill, c.Yield != nil
	j.unread = unread{batch: c.Sequence.Batch(), group: s.options.Group, since: time.Now()}
	for n := first; n < first+total; {
		if c.Input, err = s.m.made(ctx, c.Input, j.batch); err != nil {
			return err
		}
		j.chunk, j.rest, j.image = c, first+total-n, s.m.imageFirst(c.Input)
		if err := s.step(ctx, func() error {
			done(c.Sequence.Len())
			if s.reading != nil {
				s.options.Prefixes.step(s)
			}
			return nil
		}); err != nil {
			return err
		}
		c.Input, n = j.left, c.Sequence.Len()
		s.options.Trace.prefilled(j.took, j.positions, n, first+total-n)
		if err := s.progress(n-first, total); err != nil {
			return err
		}
	}
	return nil
}

// made returns a prompt with those embeddings made that begin within the next n positions.
func (m *Model) made(ctx context.Context, in []Input, n int) ([]Input, error) {
	own := false
	for i, x := range in {
		if n <= 0 {
			break
		}
		if n -= m.graph.Positions(x); x.Later == nil {
			continue
		}
		x, err := x.Make(ctx, m.graph.Width)
		if err != nil {
			return nil, wrap(err)
		}
		if !own {
			in, own = slices.Clone(in), true
		}
		in[i] = x
	}
	return in, nil
}

// imageFirst returns the positions of the image that a prompt begins with; 0: it begins with something else.
func (m *Model) imageFirst(in []Input) int {
	for _, x := range in {
		switch n := m.graph.Positions(x); {
		case n > 0 && x.Image:
			return n
		case n > 0:
			return 0
		}
	}
	return 0
}

// progress is called when a part of a prompt has become part of the text.
func (s *Session) progress(done, total int) error {
	if s.reading != nil {
		s.reading.tell(s)
	}
	if s.options.Progress != nil {
		s.options.Progress(done, total)
	}
	return s.open()
}

// reread reads a text again that was read with other adapters, if there is one.
func (s *Session) reread(ctx context.Context) error {
	if s.again == nil {
		return nil
	}
	if rest := s.again[len(s.ids):]; len(rest) > 0 { // or the call before has ended early
		if _, err := s.readOn(ctx, []Input{{Tokens: rest}}); err != nil {
			return err
		}
	}
	s.forgetAgain()
	return nil
}

// forgetAgain notes that nothing has to be read again.
func (s *Session) forgetAgain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again = nil
}

// flush decodes the tokens just generated, if there are any, so that the graph holds the whole text and nothing else, and sees to it that
// the logits of what follows are those of all ids.
func (s *Session) flush(ctx context.Context) error {
	if err := s.reread(ctx); err != nil {
		return err
	}
	s.compare()
	s.undraft()
	if !s.behind() {
		return s.fillLogits()
	}
	return s.write(ctx, s.ids, nil, nil, s.isLast, nil)
}

// fillLogits adds the logits that a grammar has left out, unless a token has been chosen from the others.
func (s *Session) fillLogits() error {
	if s.only == nil || s.behind() {
		return nil
	}
	_, err := s.inPass(func(p *model.Pass) error {
		logits, err := p.Logits(s.seq, len(s.ids)-1, s.hidden)
		if err == nil {
			s.commit(s.ids, logits, s.hidden, nil)
		}
		return err
	})
	return wrap(err)
}

// write takes through the graph what ids has beyond the sequence, all of it tokens, and makes ids the text. What is drafted goes behind
// them. want and only say which logits are wanted, as in a [model.Chunk]; with drafts, those behind ids and each draft are. It sets dst,
// unless that is nil, to those of what follows each.
func (s *Session) write(ctx context.Context, ids []identity, drafts []int32, dst *[]float32, want func(pos int) bool,
	only func() []int32) error {
	s.tokens = append(appendTokens(s.tokens[:0], ids[s.seq.Len():]), drafts...)
	s.input[0].Tokens = s.tokens
	s.ahead, s.dst = ids, dst
	s.drafted.taken, s.drafted.right, s.drafted.refused = len(drafts), 0, false
	j, n := s.job, len(s.tokens)
	j.role, j.private, j.positions = decode, n > mostDecoded, n
	if len(drafts) == 0 {
		j.brings = stepShare{streams: 1, tokens: 1}
	}
	j.brings.positions = n
	j.chunk = model.Chunk{Sequence: s.seq, Input: s.input[:], Want: want, Only: only}
	if err := s.step(ctx, s.decoded); err != nil {
		return err
	}
	s.options.Trace.stepped(j.took, n, len(drafts), len(ids))
	return s.open()
}

// commitTokens makes what write took through the graph the text, but for what is drafted.
func (s *Session) commitTokens() error {
	c, width := &s.job.chunk, s.m.graph.Width
	if s.drafted.taken > 0 {
		logits, hidden := s.draw(c)
		s.commit(s.ahead, logits, hidden, nil)
		return nil
	}
	logits := c.Logits
	if s.dst != nil {
		*s.dst = append((*s.dst)[:0], logits...)
		logits = logits[len(logits)-s.m.graph.Vocabulary:]
	}
	s.commit(s.ahead, logits, end(c.Hidden, width), c.IDs)
	return nil
}

// end returns the last n elements, none if there are fewer.
func end(x []float32, n int) []float32 { return x[max(0, len(x)-n):] }

// last wants the logits of a text's last position, and of what is drafted behind it.
func (s *Session) last(pos int) bool { return pos >= len(s.ids)-1 }

// every wants the logits of every position.
func every(int) bool { return true }

// wrap names the package in an error; that of a context stays what it is.
func wrap(err error) error {
	if err == nil || err == ErrClosed || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("gemma4: %w", err)
}

// Write appends tokens that were generated, here or elsewhere, in one step: it decodes. It returns the logits [len(ids), vocabulary] of
// what follows each, valid until the session's next call. Tokens written give the same bytes however many go together; for a prompt Read is
// faster.
func (s *Session) Write(ctx context.Context, ids ...int32) ([]float32, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	if err := s.flush(ctx); err != nil || len(ids) == 0 {
		return nil, err
	}
	if err := s.write(ctx, s.m.graph.Identities(s.ids, Input{Tokens: ids}), nil, &s.written, every, nil); err != nil {
		return nil, err
	}
	return s.written, nil
}

// AllLogits appends tokens and calls yield with the logits [vocabulary] of what follows each of them, valid during the call and not to be
// changed. An error of yield ends it and is returned. A chunk counts once yield has taken all of it: of one that it refuses, or panics in,
// the session keeps nothing. A nil yield takes all.
func (s *Session) AllLogits(ctx context.Context, ids []int32, yield func(i int, logits []float32) error) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	return s.allLogits(ctx, ids, yield)
}

func (s *Session) allLogits(ctx context.Context, ids []int32, yield func(i int, logits []float32) error) error {
	if err := s.flush(ctx); err != nil {
		return err
	}
	first := len(s.ids)
	return s.append(ctx, []Input{{Tokens: ids}}, every, func(pos int, logits []float32) error {
		if yield == nil {
			return nil
		}
		return yield(pos-first, logits)
	})
}

// Rewind forgets all but the first n positions and returns how many are left. Sliding layers hold only some of their past
// (SessionOptions.History): where what n needs is gone, fewer than n are left, and the text can be read on from there.
func (s *Session) Rewind(n int) (int, error) {
	if err := s.begin(); err != nil {
		return s.Len(), err
	}
	defer s.end()
	return s.rewind(n), nil
}

func (s *Session) rewind(n int) int {
	n = max(n, 0)
	switch again := len(s.again); {
	case s.again == nil:
	case n >= again:
		return again
	case n > len(s.ids):
		s.mu.Lock()
		defer s.mu.Unlock()
		s.again = s.again[:n]
		return n
	default:
		s.forgetAgain()
	}
	if n >= len(s.ids) {
		return len(s.ids)
	}
	s.mu.Lock()
	left := n
	if n < s.seq.Len() {
		left = s.seq.Truncate(n)
		s.logits, s.hidden, s.only = s.logits[:0], s.hidden[:0], nil
	}
	s.ids = s.ids[:left]
	s.note()
	s.mu.Unlock()
	for _, d := range s.drafters {
		d.rewound(left)
	}
	s.logRewind(n, left)
	return left
}

// Reuse is [Session.ReuseInput] for a text of tokens alone. It returns how many are kept; read on from there.
func (s *Session) Reuse(ids []int32) (int, error) {
	if err := s.begin(); err != nil {
		return s.Len(), err
	}
	defer s.end()
	s.reuse([]Input{{Tokens: ids}}, false)
	return len(s.ids), nil
}

// ReuseInput prepares the session for a text: it keeps the longest beginning that the session already holds, short of the last position,
// whose logits are needed, and forgets the rest. Embeddings count as held if they have an ID and it is the same; an image is kept whole or
// not at all. It returns what is left to read of the text.
func (s *Session) ReuseInput(in ...Input) (rest []Input, err error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	return s.reuse(in, false), nil
}

// hasRead reports whether the text is what was read of a prompt, and known what follows.
func (s *Session) hasRead(in []Input) bool {
	if len(s.logits) == 0 || s.seq.Pure() != len(s.ids) {
		return false
	}
	ids := s.m.graph.Identities(nil, in...)
	return len(ids) == len(s.ids) && model.CommonLen(ids, s.ids) == len(ids)
}

// reuse is ReuseInput; if read is set it keeps only what was read, not written, so that a new session would continue with the same bytes.
func (s *Session) reuse(in []Input, read bool) (rest []Input) {
	s.forgetAgain()
	text := s.m.prompt(nil, in)
	n := min(model.CommonLen(s.ids, text.ids), len(text.ids)-1)
	if read {
		n = min(n, s.seq.Pure())
	}
	left := text.begin(n, func(n int) int {
		if n > s.seq.Len() { // a token just generated
			return n
		}
		return s.seq.Reach(n)
	})
	s.logRewind(n, left)
	s.rewind(left)
	return s.m.after(in, len(s.ids))
}
