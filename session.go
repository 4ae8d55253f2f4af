package gemma4

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"

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
	// Batch is how many positions of a prompt are read at a time; 0: 512. It changes speed and memory, not results.
	Batch int
	// History is the bytes that may be spent on keys and values which the windows of sliding layers have left, so that the text can be
	// taken back ([Session.Rewind], [Session.Reuse]) without reading it again; 0: three times what the windows take, below 0: none. The
	// ends of the first turn and of the latest turns are kept first, then the latest positions.
	History int64
	// Memory is the most bytes that keys and values may take, History included; 0: no limit. A Context that does not fit is a [MemoryError].
	Memory int64
	// Prefixes, if set, lets the session begin with what others have read, and others with what it reads.
	Prefixes *PrefixCache
	// Progress, if set, is called between the steps of reading a prompt with the positions done and wanted. It must not wait for
	// sessions with the same Prefixes: they may wait for this one.
	Progress func(done, total int)
}

// Input is a piece of a prompt: tokens, or embeddings that stand for an image or a sound.
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
		return fmt.Sprintf("gemma4: a context of %d positions takes %d bytes, %d are allowed, too few for a single one: allow more", e.Context, e.Need, e.Limit)
	}
	return fmt.Sprintf("gemma4: a context of %d positions takes %d bytes, %d are allowed: a context of %d fits", e.Context, e.Need, e.Limit, e.Fits)
}

// Session is one text that the model has read and written. It serves one goroutine at a time; a second one gets an error.
type Session struct {
	m       *Model
	options SessionOptions

	busy    sync.Mutex
	graph   *model.Session // nil when closed
	ids     []int32        // the text: ids, or −1 for embeddings; the graph may lag behind by a token just generated
	logits  []float32      // [vocabulary] of what follows what the graph holds; empty if it was not asked
	reading *reading       // what options.Prefixes knows of a running Read
	result  Result
}

// embedded stands in Session.ids for a position that is an embedding.
const embedded = -1

// NewSession returns an empty session.
func (m *Model) NewSession(o SessionOptions) (*Session, error) {
	if err := m.enter(); err != nil {
		return nil, err
	}
	defer m.leave()
	return m.newSession(o)
}

func (m *Model) newSession(o SessionOptions) (*Session, error) {
	s := &Session{m: m, options: o}
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
	if s.graph, err = m.graph.NewSession(model.SessionOptions{
		Context: o.Context, Cache: f, Batch: o.Batch, History: o.History, EndsTurn: m.tok.IsEnd, Progress: s.progress,
	}); err != nil {
		return nil, fmt.Errorf("gemma4: %w", err)
	}
	if o.Prefixes != nil {
		o.Prefixes.join(m)
	}
	return s, nil
}

// progress is called when a chunk of a prompt has been read.
func (s *Session) progress(done, total int) {
	if s.reading != nil {
		s.options.Prefixes.step(s)
	}
	if s.options.Progress != nil {
		s.options.Progress(done, total)
	}
}

// Fork returns a session that goes on from the same text on its own, with the same options. The two share the memory of what they
// have in common.
func (s *Session) Fork() (*Session, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	f, err := s.m.newSession(s.options)
	if err != nil {
		return nil, err
	}
	t := s.graph.Snapshot()
	defer t.Release()
	if _, err := f.graph.Adopt(t, t.Len()); err != nil {
		return nil, wrap(err)
	}
	f.ids, f.logits, f.result = slices.Clone(s.ids), slices.Clone(s.logits), s.result
	return f, nil
}

// historyWindows is how many windows of history a session keeps if it is not told.
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

// begin claims the session and the model for one call; unless it fails, end releases both.
func (s *Session) begin() error {
	if !s.busy.TryLock() {
		return fmt.Errorf("gemma4: the session is in use by another call; give each goroutine a session of its own")
	}
	if s.graph == nil {
		s.busy.Unlock()
		return ErrClosed
	}
	if err := s.m.enter(); err != nil {
		s.busy.Unlock()
		return err
	}
	return nil
}

func (s *Session) end() {
	s.m.leave()
	s.busy.Unlock()
}

// Close gives the session's memory back; it waits for a running call. It is safe to close twice.
func (s *Session) Close() error {
	s.busy.Lock()
	defer s.busy.Unlock()
	if s.graph != nil {
		s.graph.Close()
		s.graph, s.ids, s.logits = nil, nil, nil
	}
	return nil
}

// Len returns how many positions the session holds.
func (s *Session) Len() int {
	s.busy.Lock()
	defer s.busy.Unlock()
	return len(s.ids)
}

// Context returns the most positions that the session may hold.
func (s *Session) Context() int {
	s.busy.Lock()
	defer s.busy.Unlock()
	if s.graph == nil {
		return 0
	}
	return s.graph.Limit()
}

// CacheBytes returns what the session's keys and values take now.
func (s *Session) CacheBytes() int64 {
	s.busy.Lock()
	defer s.busy.Unlock()
	if s.graph == nil {
		return 0
	}
	return s.graph.Bytes()
}

// Read appends a prompt. When ctx ends it stops within a layer and returns ctx's error; the session keeps what was read
// until then and stays usable.
func (s *Session) Read(ctx context.Context, in ...Input) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	_, err := s.read(ctx, in)
	return err
}

// read appends a prompt and keeps the logits of its last position. An empty one brings the logits up to date. It returns how
// many positions of the text were there.
func (s *Session) read(ctx context.Context, in []Input) (reused int, err error) {
	if err := s.flush(ctx); err != nil {
		return 0, err
	}
	if p := s.options.Prefixes; p != nil {
		if in, err = p.begin(ctx, s, in); err != nil {
			return len(s.ids), err
		}
		defer p.end(s)
	}
	reused = len(s.ids)
	last := s.graph.Len() - 1
	for _, p := range in {
		last += len(p.Tokens) + len(p.Embeddings)/s.m.graph.Width
	}
	return reused, s.append(ctx, in, func(pos int) bool { return pos == last }, func(_ int, logits []float32) error {
		s.logits = append(s.logits[:0], logits...)
		return nil
	})
}

// append takes a prompt through the graph and notes what has become of it.
func (s *Session) append(ctx context.Context, in []Input, want func(int) bool, yield func(int, []float32) error) error {
	before := s.graph.Len()
	err := s.graph.Read(ctx, in, want, yield)
	left := s.graph.Len() - before
	if left > 0 && err != nil {
		s.logits = s.logits[:0]
	}
	for _, p := range in {
		n := min(left, len(p.Tokens))
		s.ids = append(s.ids, p.Tokens[:n]...)
		soft := min(left-n, len(p.Embeddings)/s.m.graph.Width)
		for range soft {
			s.ids = append(s.ids, embedded)
		}
		left -= n + soft
	}
	return wrap(err)
}

// flush writes the token just generated, if there is one, so that the graph holds the whole text.
func (s *Session) flush(ctx context.Context) error {
	n := s.graph.Len()
	if n == len(s.ids) {
		return nil
	}
	logits, err := s.graph.Write(ctx, s.ids[n:]...)
	if err != nil {
		return wrap(err)
	}
	s.logits = append(s.logits[:0], logits[len(logits)-s.m.graph.Vocabulary:]...)
	return nil
}

func wrap(err error) error {
	if err == nil || err == context.Canceled || err == context.DeadlineExceeded {
		return err
	}
	return fmt.Errorf("gemma4: %w", err)
}

// Write appends tokens that were generated, here or by someone else, in one step, and returns the logits
// [len(ids), vocabulary] of what follows each, valid until the session's next call. Tokens written give the same bytes however
// many go together; for a prompt Read is faster.
func (s *Session) Write(ctx context.Context, ids ...int32) ([]float32, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	if err := s.flush(ctx); err != nil || len(ids) == 0 {
		return nil, err
	}
	logits, err := s.graph.Write(ctx, ids...)
	if err != nil {
		return nil, wrap(err)
	}
	s.ids = append(s.ids, ids...)
	s.logits = append(s.logits[:0], logits[(len(ids)-1)*s.m.graph.Vocabulary:]...)
	return logits, nil
}

// Ops returns the multiply-adds of weights and activations that the session has done.
func (s *Session) Ops() int64 {
	s.busy.Lock()
	defer s.busy.Unlock()
	if s.graph == nil {
		return 0
	}
	return s.graph.Ops()
}

// Logits appends to dst the logits [vocabulary] of what follows the text, or nothing if it was rewound since. [sampler.NewLogProbs] turns them into probabilities.
func (s *Session) Logits(dst []float32) []float32 {
	s.busy.Lock()
	defer s.busy.Unlock()
	return append(dst, s.logits...)
}

// AllLogits appends tokens and calls yield with the logits [vocabulary] of what follows each of them, valid during the call.
func (s *Session) AllLogits(ctx context.Context, ids []int32, yield func(i int, logits []float32) error) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	if err := s.flush(ctx); err != nil {
		return err
	}
	first := s.graph.Len()
	s.logits = s.logits[:0]
	return s.append(ctx, []Input{{Tokens: ids}}, func(int) bool { return true }, func(pos int, logits []float32) error {
		return yield(pos-first, logits)
	})
}

// Rewind forgets all but the first n positions and returns how many are left. Sliding layers hold only some of their past
// (SessionOptions.History): where what n needs is gone, fewer than n are left, from which the text can be read on.
func (s *Session) Rewind(n int) int {
	s.busy.Lock()
	defer s.busy.Unlock()
	return s.rewind(n)
}

func (s *Session) rewind(n int) int {
	if n = max(n, 0); s.graph == nil || n >= len(s.ids) {
		return len(s.ids)
	}
	if n < s.graph.Len() {
		n = s.graph.Truncate(n)
		s.logits = s.logits[:0]
	}
	s.ids = s.ids[:n]
	return n
}

// Reuse prepares the session for the text ids: it keeps the longest beginning that the session already holds, short of
// the last token, whose logits are needed, and forgets the rest. It returns how many tokens are kept; read on from there.
func (s *Session) Reuse(ids []int32) int {
	s.busy.Lock()
	defer s.busy.Unlock()
	return s.reuse(ids, false)
}

// reuse is Reuse; if asked to, it keeps only what was read, so that a new session would go on with the same bytes.
func (s *Session) reuse(ids []int32, read bool) int {
	n := max(0, min(commonLen(s.ids, ids), len(ids)-1))
	if read && s.graph != nil {
		n = min(n, s.graph.Pure())
	}
	return s.rewind(n)
}
