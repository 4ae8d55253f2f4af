package model

import (
	"context"
	"fmt"
	"math"
	"sort"

	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/tensor"
)

const (
	// DefaultBatch is how many positions of a prompt are read at a time.
	DefaultBatch = 512
	// headBatch bounds the positions whose logits are held at once.
	headBatch = 16
)

// SessionOptions say how a session keeps its text.
type SessionOptions struct {
	// Context is the most positions that the session may hold, 0: the model's context. Memory is taken as the text grows.
	Context int
	// Cache is the format of keys and values: F32, F16, Q8_0 or Q4_0.
	Cache tensor.Format
	// Batch is how many positions of a prompt are read at a time, 0: DefaultBatch. It changes speed and memory, not results.
	Batch int
	// History is the bytes that may be spent on positions which the sliding layers' windows have left, so that the text can be
	// taken back to them.
	History int64
	// EndsTurn, if set, tells which tokens end a turn: the position behind each is marked, as Mark does.
	EndsTurn func(id int32) bool
	// Progress, if set, is called during Read after each chunk with the positions read so far and in all. Its error ends the reading and is
	// returned.
	Progress func(done, total int) error

	plain bool // keys are kept whole in tied layers, too: the reference
}

// Input is a piece of a prompt: tokens, or embeddings that a tower made of an image or a sound.
type Input struct {
	Tokens     []int32   // ids
	Embeddings []float32 // [positions, width], used if Tokens is empty
	Image      bool      // the embeddings are one image, whose positions see each other where the model is made so
}

// Session is one text in a model: its keys and values, its position, and the scratch of the graph. It serves one
// goroutine at a time.
type Session struct {
	m        *Model
	limit    int // most positions
	batch    int
	endsTurn func(id int32) bool
	done     func(done, total int) error
	format   tensor.Format
	cache    []*kv // per layer; those that share have their source's

	n       int // positions held
	pure    int // leading ones that are tokens and were read: what is kept of them depends on their ids alone
	kept    int // leading ones that have stayed since Keep
	history history

	scratch
}

// row is one position on its way through the graph.
type row struct {
	id   int32     // token, or padding (0) for an embedding
	soft []float32 // the embedding, nil for a token
	pos  int
	end  int  // a sliding layer sees positions below this: the next one, or the end of the image
	want bool // logits are wanted
}

// NewSession returns an empty session.
func (m *Model) NewSession(o SessionOptions) (*Session, error) {
	s := &Session{m: m, limit: o.Context, batch: o.Batch, endsTurn: o.EndsTurn, done: o.Progress, format: o.Cache}
	if s.limit < 0 || s.batch < 0 {
		return nil, fmt.Errorf("model: a context of %d and a batch of %d positions: neither can be negative", o.Context, o.Batch)
	}
	if s.limit > m.Context {
		return nil, fmt.Errorf("model: a context of %d positions is more than the model's %d", o.Context, m.Context)
	}
	if s.limit == 0 {
		s.limit = m.Context
	}
	if s.batch == 0 {
		s.batch = DefaultBatch
	}
	s.batch = min(s.batch, s.limit)
	if err := m.checkCache(o.Cache); err != nil {
		return nil, err
	}
	fits := func(n int) bool { return m.CacheBytes(n, o.Cache, s.batch) <= machine.Addressable() }
	switch {
	case fits(s.limit):
	case o.Context > 0 || !fits(1):
		need := m.CacheBytes(s.limit, o.Cache, s.batch)
		return nil, fmt.Errorf("model: a cache of %d positions takes %d bytes, more than this machine can address", s.limit, need)
	default: // what fits of the model's context
		s.limit = sort.Search(s.limit, func(n int) bool { return !fits(n + 1) })
	}
	for o.Batch == 0 && s.batch > 1 && m.checkScratch(s.batch, headBatch) != nil {
		s.batch /= 2
	}
	if err := m.checkScratch(s.batch, headBatch); err != nil {
		return nil, err
	}
	if size := m.slidingPageBytes(o.Cache); size > 0 {
		s.history.budget = int(min(max(0, o.History)/size, math.MaxInt32))
	}
	s.cache = make([]*kv, len(m.Layers))
	for i := range m.Layers {
		l := &m.Layers[i]
		if l.Source == i {
			s.cache[i] = newKV(l, o.Cache, o.plain)
		} else {
			s.cache[i] = s.cache[l.Source]
		}
	}
	s.regions = newRegions[Session, layer](s, m.pool, m.kernels, m.Width, m.Eps)
	s.attn.s = s
	return s, nil
}

// Len returns the number of positions that the session holds.
func (s *Session) Len() int { return s.n }

// Pure returns how many positions at the beginning of the text are tokens that were read, not written: every session that reads them
// has the same keys and values of them.
func (s *Session) Pure() int { return s.pure }

// Limit returns the most positions that the session may hold.
func (s *Session) Limit() int { return s.limit }

// Ops returns the multiply-adds of weights and activations done so far.
func (s *Session) Ops() int64 { return s.mm.Ops() }

// Bytes returns what the session's keys and values take now.
func (s *Session) Bytes() int64 {
	var sum int64
	for _, c := range s.cache[:min(len(s.cache), s.m.Owners)] {
		sum += c.bytes()
	}
	return sum
}

// ContextError is returned when a text does not fit the session's context.
type ContextError struct{ Need, Limit int }

func (e *ContextError) Error() string {
	return fmt.Sprintf("model: the text needs %d positions, the context holds %d", e.Need, e.Limit)
}

// Read appends a prompt. For every position that want chooses (nil: none) it calls yield with the logits [vocabulary] of
// what follows there; they are valid during the call. An error of yield ends the reading and is returned.
//
// The prompt goes through in chunks of the session's batch; an image is never cut. Layers that keep no keys and values
// run only for the wanted positions. If ctx ends, Read stops within a layer and returns its error and its cause. However Read ends, by an
// error or a panic of yield, too, the session holds the chunks that were finished with all their yields, nothing of another, and stays usable.
func (s *Session) Read(ctx context.Context, in []Input, want func(pos int) bool, yield func(pos int, logits []float32) error) error {
	total, err := s.check(in)
	if err != nil {
		return err
	}
	if need := s.n + total; need > s.limit {
		return &ContextError{need, s.limit}
	}
	first := s.n
	s.role = tensor.Panels
	for chunk := range s.chunks(in) {
		for i := range chunk {
			chunk[i].want = want != nil && want(chunk[i].pos)
		}
		if err := s.step(ctx, chunk, yield); err != nil {
			return err
		}
		if s.done != nil { // it may want to keep what is forgotten now
			if err := s.done(s.n-first, total); err != nil {
				return err
			}
		}
		s.forget(s.n)
	}
	return nil
}

// Write appends generated tokens, all or, if it fails, none, and returns the logits [len(ids), vocabulary] of what follows each, valid until
// the session's next call. The text can be taken back to where they began.
func (s *Session) Write(ctx context.Context, ids ...int32) ([]float32, error) {
	if need := s.n + len(ids); need > s.limit {
		return nil, &ContextError{need, s.limit}
	}
	if err := s.m.checkScratch(len(ids), len(ids)); err != nil {
		return nil, err
	}
	s.role = tensor.Rows
	s.chunk = s.chunk[:0]
	for i, id := range ids {
		if err := s.checkID(id); err != nil {
			return nil, err
		}
		pos := s.n + i
		s.chunk = append(s.chunk, row{id: id, pos: pos, end: pos + 1, want: true})
	}
	first := s.n
	if err := s.step(ctx, s.chunk, nil); err != nil {
		return nil, err
	}
	s.forget(first)
	return s.logits[:len(ids)*s.m.Vocabulary], nil
}

// Close gives the session's memory back. It is safe to call it twice; the session cannot be used afterwards.
func (s *Session) Close() {
	if s.cache != nil {
		s.Truncate(0)
	}
	s.cache, s.scratch = nil, scratch{}
	s.limit, s.n, s.pure = 0, 0, 0
}

func (s *Session) checkID(id int32) error {
	if id < 0 || int(id) >= s.m.Vocabulary {
		return fmt.Errorf("model: id %d is outside the vocabulary of %d", id, s.m.Vocabulary)
	}
	return nil
}

// check returns the number of positions of a prompt.
func (s *Session) check(in []Input) (int, error) {
	total := 0
	for i, p := range in {
		for _, id := range p.Tokens {
			if err := s.checkID(id); err != nil {
				return 0, err
			}
		}
		if len(p.Tokens) > 0 && len(p.Embeddings) > 0 {
			return 0, fmt.Errorf("model: input %d has both tokens and embeddings", i)
		}
		if len(p.Embeddings)%s.m.Width != 0 {
			return 0, fmt.Errorf("model: input %d has %d embedding values, no multiple of the width %d", i, len(p.Embeddings), s.m.Width)
		}
		n := len(p.Embeddings) / s.m.Width
		if err := s.m.checkScratch(n, headBatch); err != nil && p.Image { // it is not cut
			return 0, err
		}
		total += len(p.Tokens) + n
	}
	return total, nil
}

// checkScratch tells whether this machine can address the buffers of so many rows, and the logits of some of them.
func (c *Config) checkScratch(rows, wanted int) error {
	if need := int64(rows)*c.rowBytes() + 4*int64(wanted)*int64(c.Vocabulary); need > machine.Addressable() {
		return fmt.Errorf("model: a step of %d positions takes %d bytes, more than this machine can address", rows, need)
	}
	return nil
}

// rowBytes returns what the buffers of the graph take for one row, about.
func (c *Config) rowBytes() int64 {
	values := 0
	for i := range c.Layers {
		l := &c.Layers[i]
		values = max(values, 2*(l.Heads+l.KVHeads)*l.HeadDim+2*l.MLPWidth+2*l.HeadDim)
	}
	values += 4*c.Width + 3*c.PerLayer
	experts := 0
	if c.Experts > 0 {
		values += c.Width + c.Experts
		experts = 2*c.Width + 3*c.ExpertWidth
	}
	return 4 * (int64(values) + int64(c.ExpertsUsed)*int64(experts))
}

// chunks cuts a prompt into runs of at most a batch, or of one image if that is longer.
func (s *Session) chunks(in []Input) func(yield func([]row) bool) {
	return func(yield func([]row) bool) {
		rows, next := s.chunk[:0], s.n
		flush := func() bool {
			s.chunk = rows
			ok := len(rows) == 0 || yield(rows)
			rows = rows[:0]
			return ok
		}
		add := func(r row) bool {
			if len(rows) >= s.batch && !flush() {
				return false
			}
			rows = append(rows, r)
			next++
			return true
		}
		for _, p := range in {
			for _, id := range p.Tokens {
				if !add(row{id: id, pos: next, end: next + 1}) {
					return
				}
			}
			n := len(p.Embeddings) / s.m.Width
			if !p.Image {
				for i := range n {
					if !add(row{soft: p.Embeddings[i*s.m.Width : (i+1)*s.m.Width], pos: next, end: next + 1}) {
						return
					}
				}
				continue
			}
			if len(rows)+n > s.batch && !flush() {
				return
			}
			first := next
			for i := range n {
				end := next + 1
				if s.m.PerLayer == 0 { // models with per-layer embeddings stay causal
					end = first + n
				}
				rows = append(rows, row{soft: p.Embeddings[i*s.m.Width : (i+1)*s.m.Width], pos: next, end: end})
				next++
			}
			if len(rows) >= s.batch && !flush() {
				return
			}
		}
		flush()
	}
}
