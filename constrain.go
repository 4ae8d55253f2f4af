package gemma4

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/internal/cause"
)

// constraint holds a generation to a grammar.
//
// The mask of the next token is made while the last one is in the model, whose head is then multiplied for the tokens that it allows alone,
// if these are few. Where the last mask allowed most tokens, as within strings, a greedy generation does without: it tries the most likely
// token, and asks for the mask if that is refused.
type constraint struct {
	state  grammar.State // before the next token
	greedy bool
	dense  bool           // the last mask allowed more tokens than it lists
	narrow bool           // it listed few
	ids    func() []int32 // allowed, for a [model.Chunk]; nil: the logits of all are needed in every step

	mu      sync.Mutex                   // held while the mask is made
	mask    atomic.Pointer[grammar.Mask] // of state; nil: not made yet
	took    time.Duration                // making it
	prepare func()                       // makes it on a goroutine of its own
	ready   chan struct{}                // holds one: prepare has ended
	late    *time.Timer                  // ends the wait for it
}

// maskPatience is how long a pass, which others may share, waits for the mask of a token when all else of it is done.
const maskPatience = 5 * time.Millisecond

// errOther is returned for a grammar that does not fit the model.
var errOther = errors.New("gemma4: the Grammar is for the vocabulary of another model: this one's grammars are made with Model.Vocabulary")

// constrain returns the constraint of a generation that begins at the state given, or otherwise at the beginning of a grammar, if there is
// one.
func (m *Model) constrain(g *grammar.Grammar, from *grammar.State) (*constraint, error) {
	c := &constraint{ready: make(chan struct{}, 1)}
	switch {
	case from != nil:
		c.state = *from
	case g != nil:
		c.state = g.Start()
	default:
		return nil, nil
	}
	if c.state.Grammar().Vocabulary().Tokenizer() != m.tok {
		return nil, errOther
	}
	c.ids, c.prepare = c.allowed, c.makeReady
	return c, nil
}

// next returns the mask of the next token. Whoever is first to ask makes it.
func (c *constraint) next() *grammar.Mask {
	c.mu.Lock()
	defer c.mu.Unlock()
	mask := c.mask.Load()
	if mask == nil {
		began := time.Now()
		mask = c.state.Mask()
		c.took = time.Since(began)
		c.mask.Store(mask)
	}
	return mask
}

// makeReady makes the mask and tells a pass that waits for it.
func (c *constraint) makeReady() {
	defer func() {
		recover() // whoever needs the mask panics again
		select {
		case c.ready <- struct{}{}:
		default:
		}
	}()
	c.next()
}

// allowed returns the tokens whose logits are needed: none where there is no choice, nil for all. A mask that takes long is not waited for:
// the choice will be made from the logits of all tokens, when there is one.
func (c *constraint) allowed() []int32 {
	mask := c.mask.Load()
	if mask == nil {
		if c.late == nil {
			c.late = time.NewTimer(maskPatience)
		} else {
			c.late.Reset(maskPatience)
		}
		defer c.late.Stop()
	}
	for ; mask == nil; mask = c.mask.Load() {
		select {
		case <-c.ready: // or an earlier mask was
		case <-c.late.C:
			return nil
		}
	}
	if mask.Len() > 1 {
		return mask.IDs()
	}
	return []int32{}
}

// lazy reports whether the next token is tried before there is a mask.
func (c *constraint) lazy() bool { return c.greedy && c.dense }

// accept goes on behind a token.
func (c *constraint) accept(id int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, _ = c.state.Accept(id)
	c.mask.Store(nil)
	c.took = 0
}

// choose picks the next token from the session's logits.
func (g *generation) choose() (id int32, err error) {
	s, c := g.s, g.constraint
	if c == nil {
		return g.sampler.SampleBits(s.logits, g.thought.allowed(), len(s.ids))
	}
	ok := false
	if c.lazy() && s.only == nil {
		if id, err = g.sampler.Sample(s.logits, len(s.ids)); err != nil {
			return 0, err
		}
		_, ok = c.state.Accept(id)
	}
	if !ok {
		mask := c.next()
		c.dense = mask.IDs() == nil
		c.narrow = few(mask.IDs(), s.m.graph.Vocabulary)
		if id, err = g.sample(mask); err != nil {
			return 0, err
		}
	}
	return g.steer(id)
}

// few reports whether these ids, if not nil, which stands for all, are less than half of a vocabulary: to multiply the head for them alone
// is then another thing than to multiply all of it.
func few(ids []int32, vocabulary int) bool { return ids != nil && 2*len(ids) < vocabulary }

// steer replaces a token from which the text could not be brought to an end in the room that is left.
func (g *generation) steer(id int32) (int32, error) {
	c := g.constraint
	room, why := g.room()
	if after, _ := c.state.Accept(id); room < 1 || after.Left() < room {
		return id, nil
	}
	mask := c.state.MaskWithin(room)
	if mask.Has(id) {
		return id, nil
	}
	g.steered = cmp.Or(why, g.steered)
	return g.sample(mask)
}

// sample draws one of the tokens of a mask, which are among those whose logits the session has.
func (g *generation) sample(mask *grammar.Mask) (int32, error) {
	s, ids := g.s, mask.IDs()
	switch {
	case mask.Len() == 0:
		return 0, cmp.Or(g.constraint.state.Err(), errors.New("the grammar allows no token here, not even the end"))
	case mask.Len() == 1:
		return ids[0], nil
	case ids == nil:
		return g.sampler.SampleBits(s.logits, mask.Bits(), len(s.ids))
	case g.o.Process != nil: // takes the logits of all
		g.bits = slices.Grow(g.bits[:0], len(s.logits)/64+1)[:len(s.logits)/64+1]
		clear(g.bits)
		for _, id := range ids {
			g.bits[id>>6] |= 1 << (id & 63)
		}
		return g.sampler.SampleBits(s.logits, g.bits, len(s.ids))
	case len(s.only) == len(ids):
		return g.sampler.SampleIDs(s.logits, ids, len(s.ids))
	}
	g.few = g.few[:0]
	for _, id := range ids {
		i := int(id)
		if s.only != nil {
			i, _ = slices.BinarySearch(s.only, id)
		}
		g.few = append(g.few, s.logits[i])
	}
	return g.sampler.SampleIDs(g.few, ids, len(s.ids))
}

// room returns how many tokens may still come, and why no more.
func (g *generation) room() (n int, why Reason) {
	n, why = math.MaxInt, ReasonNone
	if g.o.MaxTokens > 0 {
		n, why = g.o.MaxTokens-g.result.Generated, ReasonLength
	}
	if left := g.s.limit - len(g.s.ids); g.full == nil && left < n {
		n, why = left, ReasonContext
	}
	left := g.constraint.state.Left
	switch {
	case g.steered == ReasonRepeat:
		n, why = min(n, left()), ReasonRepeat
	case g.nesting.depth >= deep && left() < n:
		n, why = left(), ReasonNone // it goes on when less is open
	}
	return n, why
}

// force sets forced to what must come next, if anything must.
func (g *generation) force() {
	c := g.constraint
	if g.thought.in && g.thought.spent() {
		ok := c == nil
		if !ok { // it may be within a character
			_, ok = c.state.Accept(g.thought.shut)
		}
		if ok {
			g.forced = append(g.forced[:0], g.thought.shut)
			return
		}
	}
	if c == nil {
		return
	}
	state := c.state
	ids := state.Forced()
	if state.Err() != nil { // there may be alternatives; choose tells
		return
	}
	for _, id := range ids {
		to, ok := state.Accept(id)
		if !ok || g.s.m.tok.IsEnd(id) {
			break
		}
		g.forced, state = append(g.forced, id), to
	}
	if room, _ := g.room(); len(g.forced)+state.Left() > max(room, c.state.Left()) { // other tokens may write the same faster
		g.forced = g.forced[:0]
	}
}

// forcedStep is how many forced tokens are decoded at once: they go together for little more than the price of one, and others that share
// the step wait no longer than for a few.
const forcedStep = 16

// catchUp takes the tokens just generated through the model, unless others are known to follow, and with them what is drafted.
func (g *generation) catchUp(ctx context.Context) error {
	s, c := g.s, g.constraint
	if len(s.drafted.ids) > 0 { // no pass may tell that ctx has ended
		if err := cause.Of(ctx); err != nil {
			return err
		}
	}
	s.compare()
	switch {
	case !s.behind():
		return nil
	case len(g.forced) > 0 && g.o.LogProbs == 0:
		if len(s.ids)-s.held < forcedStep {
			return nil
		}
		g.conclude()
		return s.write(ctx, s.ids, nil, nil, nil, nil)
	}
	drafts := g.draft(ctx)
	lazy := c == nil || c.ids == nil || c.lazy()
	if !lazy {
		go c.prepare()
	}
	switch {
	case len(drafts) > 0:
		err := s.write(ctx, s.ids, drafts, nil, s.isLast, nil)
		if err == nil || cmp.Or(cause.Of(ctx), s.open()) != nil {
			return err
		}
		s.drafted.refused = true // perhaps the model can read all but what is drafted
		g.conclude()
		return s.flush(ctx)
	case lazy:
		return s.flush(ctx)
	}
	return s.write(ctx, s.ids, nil, nil, s.isLast, c.ids)
}

// made returns how many tokens the mask allows and what it took, zeros where nobody has asked for it.
func (c *constraint) made() (allowed int, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	mask := c.mask.Load()
	if mask == nil {
		return 0, 0
	}
	return mask.Len(), c.took
}

// masked counts a token that a grammar, or a bound of its thought, had a say in.
func (g *generation) masked(i MaskInfo) {
	m := &g.s.m.masks
	switch {
	case i.Forced:
		g.result.Forced++
		m.forced.Add(1)
	case g.constraint == nil:
		return
	case i.Allowed > 0:
		m.made.Add(1)
		m.time.Add(int64(i.Duration))
	}
	g.s.options.Trace.masked(i)
}

// maskCounts are the sums over all generations of a model.
type maskCounts struct {
	made   atomic.Int64 // masks
	time   atomic.Int64 // that took, in nanoseconds
	forced atomic.Int64 // tokens without a choice
}
