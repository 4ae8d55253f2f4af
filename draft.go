package gemma4

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/sampler"
)

// Draft says what guesses a text ahead of the model. Several guessed tokens are decoded in one step, which costs little more than one, and
// each becomes text only when the model has chosen it itself: the text has the bytes that it has without drafts, whatever guesses it and
// however well, under every grammar and at every temperature. How far it guesses follows from what steps cost and how often the guesses
// were right; where they do not pay, nothing is guessed.
//
// The zero value guesses by lookup, in the session's own text, and with the drafter that the model was opened with (Loader.Drafter), which
// draws with the noise that the model will draw with.
type Draft struct {
	// Off: nothing is guessed.
	Off bool
	// Most is how many tokens are guessed for a step at most, 1 to 7; 0: 7.
	Most int
	// Always: that many are guessed for every step, whether it pays or not: to measure with.
	Always bool
	// Match is how many tokens at the end of the text have to occur earlier in it for lookup to guess that the same follows; 0: 8;
	// below 0: there is no lookup. Its index takes 30 to 60 bytes for a token of the text.
	Match int
	// Texts are looked up in as well: a file that is to be returned with changes, an earlier answer.
	Texts []string
	// Alone leaves the model's drafter out.
	Alone bool
	// Guess, if set, is asked as well: it returns up to n tokens that may follow the session's, which it must not change; −1 stands for an
	// embedding.
	Guess func(text []int32, n int) []int32
	// Process, if set, may change what was guessed of the tokens from a position on, before the model checks it: to measure with. What a
	// drafter thinks of its guesses no longer counts then.
	Process func(position int, guessed []int32)
}

// leastMatch is how many tokens have to match unless Draft.Match says otherwise.
const leastMatch = 8

// check reports an option that makes no sense.
func (d *Draft) check() error {
	if d.Most < 0 || d.Most > mostDraft {
		return fmt.Errorf("gemma4: Draft.Most is %d, expected 0 to %d", d.Most, mostDraft)
	}
	return nil
}

// drafted are tokens that were guessed and that the graph holds beyond the text. Each becomes text when it is chosen.
type drafted struct {
	taken   int         // that the running write takes
	ids     []int32     // that the text has not come to
	logits  [][]float32 // rows [vocabulary] of what follows each, the next one last, and room for more
	hidden  []float32   // [len(ids), width] the states that they are made from
	right   int         // that have become text since the step
	refused bool        // the text has gone another way
}

// draw takes what a chunk has brought for drafted tokens, and returns the logits and the state behind the text.
func (s *Session) draw(c *model.Chunk) (logits, hidden []float32) {
	d, vocabulary, width := &s.drafted, s.m.graph.Vocabulary, s.m.graph.Width
	n := d.taken
	d.ids = append(d.ids[:0], s.tokens[len(s.tokens)-n:]...)
	for len(d.logits) < n {
		d.logits = append(d.logits, nil)
	}
	for i := range n {
		row := &d.logits[n-1-i]
		*row = append((*row)[:0], c.Logits[(i+1)*vocabulary:(i+2)*vocabulary]...)
	}
	d.hidden = append(d.hidden[:0], c.Hidden[width:]...)
	return c.Logits[:vocabulary], c.Hidden[:width]
}

// compare lets the graph hold what was drafted and has become text since, and gives up the rest once the text has gone another way.
func (s *Session) compare() {
	d, width := &s.drafted, s.m.graph.Width
	for len(d.ids) > 0 && s.behind() {
		if id, ok := s.ids[s.held].Token(); !ok || id != d.ids[0] {
			s.undraft()
			d.refused = true
			return
		}
		s.mu.Lock()
		n := len(d.ids) - 1
		s.logits, d.logits[n] = d.logits[n], s.logits
		s.hidden = append(s.hidden[:0], d.hidden[:width]...)
		d.ids, d.hidden = slices.Delete(d.ids, 0, 1), slices.Delete(d.hidden, 0, width)
		d.right++
		s.note()
		s.mu.Unlock()
	}
}

// undraft gives up what was drafted and has not become text, and what windows have left behind since it was.
func (s *Session) undraft() {
	d := &s.drafted
	if len(d.ids) == 0 && d.right == 0 {
		return
	}
	positions, bytes := s.seq.GivenUp()
	s.mu.Lock()
	d.ids = d.ids[:0]
	s.seq.Accept(s.held)
	s.note()
	s.mu.Unlock()
	s.evicted(positions, bytes)
}

// drafting is how a generation guesses ahead.
type drafting struct {
	most    int
	sources []*drafter
	sampler *sampler.Sampler // draws as the generation's does; nil: no source draws
	ids     []int32          // of the step: what was drafted, and behind that what a grammar forces
	probs   []float64        // that the source gave the drafted ones; empty: unknown
	asked   *drafter         // that drafted them; nil: nobody, or it was told how it went
	offered int              // of ids, by asked
	worked  bool             // the source that is asked has not only looked
	stats   []DraftStats
}

// drafter is a source of guesses and how it fares.
type drafter struct {
	source
	name string
	pace *pace
	gain float64 // of what the next step should draft
	vain bool    // it was asked for this step, and what it had cannot be checked
}

// source guesses what follows the text of a session.
type source interface {
	// follow takes note of text that has come since the last guess, where that takes longer than a guess should.
	follow(ctx context.Context, g *generation)
	// guess appends to dst up to n tokens that may follow the text, as long as the pace finds one more worth its cost. A source that knows
	// how likely each is appends that to probs.
	guess(ctx context.Context, g *generation, p *pace, n int, dst []int32, probs []float64) ([]int32, []float64)
	// rewound notes that the text was taken back to n positions.
	rewound(n int)
	// close gives memory back.
	close()
}

// newDrafting returns what a generation guesses ahead with, nil for nothing.
func (g *generation) newDrafting(sampling sampler.Options) (*drafting, error) {
	s, o := g.s, &g.o.Draft
	if o.Off {
		return nil, nil
	}
	d := &drafting{most: cmp.Or(o.Most, mostDraft)}
	if o.Guess != nil {
		d.sources = append(d.sources, s.drafter("guess", func() source { return new(guess) }))
	}
	if o.Match >= 0 {
		d.sources = append(d.sources, s.drafter("lookup", func() source { return newLookup() }))
	}
	if s.m.newDrafter != nil && !o.Alone {
		d.sources = append(d.sources, s.drafter("drafter", s.m.newDrafter))
		var err error
		if d.sampler, err = sampler.New(s.m.graph.Vocabulary, sampling); err != nil {
			return nil, fmt.Errorf("gemma4: %w", err)
		}
	}
	if len(d.sources) == 0 {
		return nil, nil
	}
	return d, nil
}

// drafter returns the session's drafter of that name.
func (s *Session) drafter(name string, source func() source) *drafter {
	for _, d := range s.drafters {
		if d.name == name {
			return d
		}
	}
	d := &drafter{source: source(), name: name, pace: s.m.drafts.pace(name, s.options.Cache, s.job.costs)}
	s.drafters = append(s.drafters, d)
	return d
}

// draft returns what to check in the next step, which decodes the tokens at the end of the text that the graph lacks: nothing if that does
// not pay, or nobody has an idea. The source with the most to gain is asked first.
func (g *generation) draft(ctx context.Context) []int32 {
	d, s := g.drafts, g.s
	if d == nil {
		return nil
	}
	g.conclude()
	for _, x := range d.sources {
		if x.vain { // the text has gone on all the same
			x.vain = false
			x.pace.checked(1, 0, nil)
		}
	}
	if c := g.constraint; c != nil && c.ids != nil && c.narrow && !g.o.Draft.Always {
		return nil // the step multiplies the head for few tokens alone, and a check would for all
	}
	most := min(d.most, s.limit-len(s.ids), mostDecoded-(len(s.ids)-s.held))
	if g.o.MaxTokens > 0 {
		most = min(most, g.o.MaxTokens-g.result.Generated)
	}
	others := s.m.schedule.others(s.job)
	lengths := [3]int{}
	for i, x := range d.sources {
		lengths[i], x.gain = x.pace.length(most, others), x.pace.gain()
		if g.o.Draft.Always {
			lengths[i] = most
		}
	}
	for range d.sources {
		best := -1
		for i, x := range d.sources {
			if lengths[i] > 0 && (best < 0 || x.gain > d.sources[best].gain) {
				best = i
			}
		}
		if best < 0 {
			return nil
		}
		if g.ask(ctx, d.sources[best], lengths[best]) {
			return d.ids
		}
		lengths[best] = 0
	}
	return nil
}

// worth reports whether to draft one more token behind those of these probabilities.
func (g *generation) worth(p *pace, probs []float64) bool {
	return g.o.Draft.Always || g.o.Draft.Process != nil || p.worth(probs)
}

// ask lets a source guess up to n tokens, and reports whether there are any that can be.
func (g *generation) ask(ctx context.Context, x *drafter, n int) bool {
	d := g.drafts
	began := time.Now()
	x.follow(ctx, g)
	followed := time.Now() // reading what is new of the text is no part of what a draft takes
	d.worked = false
	d.ids, d.probs = x.guess(ctx, g, x.pace, n, d.ids[:0], d.probs[:0])
	ended, guessed := time.Now(), len(d.ids)
	d.stats = addDrafts(d.stats, DraftStats{Source: x.name, Duration: ended.Sub(began)})
	x.vain = d.worked && guessed == 0
	if x.vain {
		x.pace.drafted(1, ended.Sub(followed))
	}
	x.pace.drafted(guessed, ended.Sub(followed))
	if process := g.o.Draft.Process; process != nil && guessed > 0 {
		process(len(g.s.ids), d.ids)
		d.probs = d.probs[:0]
	}
	if len(d.probs) > 0 && !g.o.Draft.Always {
		d.ids = d.ids[:x.pace.cut(d.probs)]
	}
	if guessed = len(d.ids); guessed == 0 {
		return false
	}
	if g.admit(n); len(d.ids) == 0 {
		x.vain = true
		return false
	}
	d.asked, g.s.job.brings = x, x.pace.share()
	return true
}

// admit cuts what is drafted before what cannot follow: the end of the text, and what a grammar or a spent thought does not allow. What a
// grammar forces behind it is certain, and comes along.
func (g *generation) admit(most int) {
	d, s := g.drafts, g.s
	var state grammar.State
	if g.constraint != nil {
		state = g.constraint.state
	}
	follows := func(id int32) bool {
		if id < 0 || int(id) >= s.m.graph.Vocabulary || s.m.tok.IsEnd(id) {
			return false
		}
		if g.constraint == nil {
			return true
		}
		to, ok := state.Accept(id)
		if ok {
			state = to
		}
		return ok
	}
	n := 0
	for n < len(d.ids) && follows(d.ids[n]) {
		n++
	}
	d.ids = d.ids[:n]
	d.probs = d.probs[:min(n, len(d.probs))]
	d.offered = n
	if n == 0 || g.constraint == nil {
		return
	}
	for _, id := range state.Forced() {
		if len(d.ids) >= most || !follows(id) {
			break
		}
		d.ids = append(d.ids, id)
	}
}

// conclude tells who drafted what the last step checked how that went.
func (g *generation) conclude() {
	d, c := g.drafts, &g.s.drafted
	if d == nil || d.asked == nil {
		return
	}
	x := d.asked
	d.asked = nil
	g.s.compare() // the text may have come to its end since
	right := min(c.right, d.offered)
	compared := right
	if c.refused {
		compared = d.offered
	}
	x.pace.checked(compared, right, d.probs)
	made := DraftStats{Source: x.name, Passes: 1, Drafted: int64(d.offered), Accepted: int64(right)}
	d.stats = addDrafts(d.stats, made)
}

// endDrafts ends a generation's drafts: the graph holds nothing beyond the text.
func (g *generation) endDrafts() {
	s, d := g.s, g.drafts
	g.conclude()
	if d != nil {
		for _, x := range d.sources {
			x.vain = false // perhaps it knew that the text ends
		}
		g.result.Drafts = d.stats
		s.m.drafts.ended(s, d)
	}
	s.undraft()
	s.drafted.right = 0
	s.drafted.logits = nil // an idle session does not hold what seven texts would
}

// drafts is what a model knows of drafts.
type drafts struct {
	mu    sync.Mutex
	costs map[CacheFormat]*stepCosts
	paces map[paceKey]*pace // as the last generation left them
	stats []DraftStats
}

type paceKey struct {
	source string
	cache  CacheFormat
}

// stepCosts returns what steps of sessions with a cache format take.
func (d *drafts) stepCosts(f CacheFormat) *stepCosts {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.costs == nil {
		d.costs = map[CacheFormat]*stepCosts{}
	}
	c := d.costs[f]
	if c == nil {
		c = newStepCosts()
		d.costs[f] = c
	}
	return c
}

// pace returns one for a session, which begins with what others have learnt.
func (d *drafts) pace(source string, f CacheFormat, costs *stepCosts) *pace {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.paces[paceKey{source, f}]; p != nil {
		return p.heir()
	}
	return newPace(costs)
}

// ended learns from a generation.
func (d *drafts) ended(s *Session, from *drafting) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.paces == nil {
		d.paces = map[paceKey]*pace{}
	}
	for _, x := range from.sources {
		d.paces[paceKey{x.name, s.options.Cache}] = x.pace.heir()
	}
	d.stats = addDrafts(d.stats, from.stats...)
}

// all returns what the generations that have ended have drafted.
func (d *drafts) all() []DraftStats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.stats)
}
