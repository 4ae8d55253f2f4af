package model

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/tensor"
)

// DefaultBatch is how many positions of a prompt a prefill takes at a time.
const DefaultBatch = 512

// SequenceOptions say how a sequence keeps its text.
type SequenceOptions struct {
	// Context is the most positions that the sequence may hold; 0: the model's context. Memory is taken as the text grows.
	Context int
	// Cache is the format of keys and values: F32, F16, Q8_0 or Q4_0.
	Cache tensor.Format
	// Batch is how many positions of a prompt Pass.Read takes at a time; 0: DefaultBatch. It changes speed and memory, not results.
	Batch int
	// History is how many bytes may be spent on positions that the sliding layers' windows have left behind, so that the text can be taken
	// back to them.
	History int64
	// EndsTurn, if set, tells which tokens end a turn: the position after each is marked, as Mark does.
	EndsTurn func(id int32) bool
	// Adapters change what the model is for the sequence. They add, in any order.
	Adapters []Scaled

	wholeKeys bool // in tied layers, too: the reference
}

// Sequence is one text in a model: its keys and values, its length, and what it can go back to. A [Pass] takes it further; by itself it has
// no scratch and costs only what its positions take. It serves one goroutine at a time.
type Sequence struct {
	m        *Model
	limit    int // most positions
	batch    int
	endsTurn func(id int32) bool
	format   tensor.Format
	adapted  adapted
	cache    []*kv // per layer; those that share have their source's

	n       int // positions held
	pure    int // leading ones that were prefilled and have a known identity: what is kept of them depends on their identities alone
	kept    int // leading ones that have stayed since Keep
	history history
}

// NewSequence returns an empty sequence.
func (m *Model) NewSequence(o SequenceOptions) (*Sequence, error) {
	s := &Sequence{m: m, limit: o.Context, batch: o.Batch, endsTurn: o.EndsTurn, format: o.Cache}
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
	var err error
	if s.adapted, err = m.adapt(o.Adapters); err != nil {
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
		s.history.pageBytes = size
		s.history.budget = int(min(max(0, o.History)/size, math.MaxInt32))
	}
	s.cache = make([]*kv, len(m.Layers))
	for i := range m.Layers {
		l := &m.Layers[i]
		if l.Source == i {
			s.cache[i] = newKV(l, o.Cache, o.wholeKeys)
		} else {
			s.cache[i] = s.cache[l.Source]
		}
	}
	return s, nil
}

// Len returns the number of positions that the sequence holds.
func (s *Sequence) Len() int { return s.n }

// Pure returns how many positions at the beginning of the text were prefilled, not decoded, and are tokens or embeddings with an ID: every
// sequence that prefills the same identities has the same keys and values for them.
func (s *Sequence) Pure() int { return s.pure }

// Adapted tells the adapters of the sequence, with their scales, from others: texts that were read with different ones have different keys
// and values. It is empty without any.
func (s *Sequence) Adapted() string { return s.adapted.key }

// Adapt has the sequence read with other adapters from now on, or with none. It is an error if it holds a text.
func (s *Sequence) Adapt(a ...Scaled) error {
	if s.n > 0 {
		return fmt.Errorf("model: the sequence holds %d positions that were read with other adapters", s.n)
	}
	to, err := s.m.adapt(a)
	if err == nil {
		s.adapted = to
	}
	return err
}

// Limit returns the most positions that the sequence may hold.
func (s *Sequence) Limit() int { return s.limit }

// Batch returns how many positions of a prompt the sequence takes at a time.
func (s *Sequence) Batch() int { return s.batch }

// Check returns the number of positions of a prompt, or why the sequence cannot read it: it does not fit the context, or makes no sense.
func (s *Sequence) Check(in ...Input) (n int, err error) {
	for i, x := range in {
		for _, id := range x.Tokens {
			if id < 0 || int(id) >= s.m.Vocabulary {
				return 0, fmt.Errorf("model: id %d is outside the vocabulary of %d", id, s.m.Vocabulary)
			}
		}
		if len(x.Tokens) > 0 && (len(x.Embeddings) > 0 || x.Image) {
			return 0, fmt.Errorf("model: input %d has both tokens and embeddings, or is an image of tokens", i)
		}
		if len(x.Embeddings)%s.m.Width != 0 {
			return 0, fmt.Errorf("model: input %d has %d embedding values, no multiple of the width %d", i, len(x.Embeddings), s.m.Width)
		}
		count := s.m.count(x)
		if x.IDs != nil && (len(x.IDs) != count || x.Image) {
			return 0, fmt.Errorf("model: input %d has %d IDs for %d embeddings, or is an image with IDs", i, len(x.IDs), count)
		}
		if err := s.m.checkScratch(count, headBatch); err != nil && x.Image { // it is not cut
			return 0, err
		}
		n += count
	}
	if need := s.n + n; need > s.limit {
		return 0, &ContextError{need, s.limit}
	}
	return n, nil
}

// Bytes returns what the sequence's keys and values take now.
func (s *Sequence) Bytes() int64 {
	var sum int64
	for _, c := range s.owned() {
		sum += c.bytes()
	}
	return sum
}

// owned returns the caches of the layers that own keys and values: none once the sequence is closed.
func (s *Sequence) owned() []*kv { return s.cache[:min(len(s.cache), s.m.Owners)] }

// reserve makes room in the cache for n more positions.
func (s *Sequence) reserve(n int) error {
	for _, c := range s.owned() {
		if err := c.reserve(s.n, s.n+n); err != nil {
			return fmt.Errorf("model: %w", err)
		}
	}
	return nil
}

// commit makes a position that has gone through the model part of the text.
func (s *Sequence) commit(p *position, role tensor.Arithmetic) {
	s.n = p.pos + 1
	if p.pos == s.pure && p.known && role == tensor.Panels {
		s.pure++
	}
	if p.soft == nil && s.endsTurn != nil && s.endsTurn(p.id) {
		s.mark(s.n)
	}
}

// liesAt reports whether pages of the sequence lie in a file that is mapped around an address.
func (s *Sequence) liesAt(addr uintptr) bool {
	return slices.ContainsFunc(s.owned(), func(c *kv) bool {
		return slices.ContainsFunc(c.pages, func(p *page) bool { return p != nil && p.file != nil && p.file.contains(addr) })
	})
}

// settle gives up the room that reserve made and no text came to fill.
func (s *Sequence) settle() {
	for _, c := range s.owned() {
		c.settle(s.n)
	}
}

// Close gives the sequence's memory back. It is safe to call twice; the sequence cannot be used afterwards.
func (s *Sequence) Close() {
	if s.cache != nil {
		s.Truncate(0)
	}
	s.cache = nil
	s.limit, s.n, s.pure = 0, 0, 0
}

// ContextError is returned when a text does not fit the sequence's context.
type ContextError struct {
	Need, Limit int // positions
}

func (e *ContextError) Error() string {
	return fmt.Sprintf("model: the text needs %d positions, the context holds %d", e.Need, e.Limit)
}
