package gemma4

import (
	"math"
	"slices"
	"sync"
	"time"
)

const (
	mostDraft  = 7  // tokens of a draft
	firstDraft = 3  // of the first one, when nothing is known
	fewPasses  = 3  // are what a cost is known by
	lastFew    = 9  // values whose median counts
	firstWait  = 16 // steps that a source is off at least

	keepCompared = 31.0 / 32 // of what was compared, at each check
)

// stepCosts is what decode steps take by their positions, learned from those that were run: one for an engine and a cache format, kept for
// as long as they live. Any goroutine may use it.
//
// All steps become slower as texts grow. So it holds how the costs of steps compare, which hardly changes, and beside that the level of all
// of them, which is the median of what the last few passes say: each of them tells the level, of whatever length it was.
type stepCosts struct {
	mu     sync.Mutex
	costs  stepTable
	hopes  stepTable           // what they may be at best: the less, the fewer passes tell
	level  median              // seconds
	ratios [len(knots)]float64 // as measured, of a step to the level
	weight [len(knots)]float64 // passes that ratios stand for
	spread float64             // of passes around what was expected
	lately [lastFew]int        // positions of the last passes
	last   [mostDraft + 2]int  // pass of so many positions that was the last, counted from 1
	passes int
	turns  int
}

// knots are the positions whose costs are held. Others lie on lines between them: where many streams share a step, there are too many
// lengths to wait until each was measured.
var knots = [...]int{1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32, 48, 64}

// stepTable is what steps take at the knots, in seconds, rising; all 0: nothing is known.
type stepTable [len(knots)]float64

// lie returns between which knots n lies, i and i+1, and how far it is from the first: 0…1, more behind the last knot.
func lie(n int) (i int, far float64) {
	n = max(n, 1)
	i, found := slices.BinarySearch(knots[:len(knots)-1], n)
	if !found {
		i--
	}
	return i, float64(n-knots[i]) / float64(knots[i+1]-knots[i])
}

// of returns the seconds of a step of n positions.
func (t *stepTable) of(n int) float64 {
	i, far := lie(n)
	return t[i] + (t[i+1]-t[i])*far
}

func newStepCosts() *stepCosts { return new(stepCosts) }

// of returns what a step of n positions takes; 0: nothing is known.
func (c *stepCosts) of(n int) time.Duration {
	t := c.table(false)
	return time.Duration(min(t.of(n)*float64(time.Second), 1<<62))
}

// table returns what steps take, or may be hoped to take.
func (c *stepCosts) table(hope bool) stepTable {
	c.mu.Lock()
	defer c.mu.Unlock()
	if hope {
		return c.hopes
	}
	return c.costs
}

// add learns from a step of n positions. A ratio learns as far as others were among the last passes, with which it can be compared; one
// pass moves it by a half at most, whatever it took, and less the more are behind it.
func (c *stepCosts) add(n int, took time.Duration) {
	const keep, forget = 32, 512 // passes
	if n < 1 || n > knots[len(knots)-1] || took <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.weight {
		c.weight[k] *= 1 - 1.0/forget
	}
	ratios := c.rising()
	if c.passes == 0 {
		c.level.add(took.Seconds() / ratios.of(n))
	}
	off := min(max(took.Seconds()/(c.level.value()*ratios.of(n)), 1/1.5), 1.5) - 1
	c.spread += (math.Abs(off) - c.spread) / keep
	others := 0
	for _, l := range c.lately {
		if l > 0 && l != n {
			others++
		}
	}
	i, far := lie(n)
	for k, share := range [2]float64{1 - far, far} {
		if k += i; share > 0 {
			if c.weight[k] == 0 {
				c.ratios[k] = ratios[k]
			}
			c.weight[k] = min(c.weight[k]+share, keep)
			c.ratios[k] *= 1 + off*share*float64(others)/float64(min(max(c.passes, 1), lastFew))/max(c.weight[k], 1)
		}
	}
	c.lately[c.passes%lastFew] = n
	if c.passes++; n < len(c.last) {
		c.last[n] = c.passes
	}
	ratios = c.rising()
	c.level.add(took.Seconds() / ratios.of(n)) // a length that is new leaves it as it was
	for k, r := range ratios {
		c.costs[k] = c.level.value() * r
		c.hopes[k] = c.costs[k] * (1 - (0.1+c.spread)/math.Sqrt(1+c.weight[k]))
	}
}

// rising returns ratios for all knots that never fall: where a longer step was measured to be cheaper, both have the mean. Knots that were
// not measured lie between the others, and behind them on the line from the first to the last. From one alone they follow as if the
// weights took three quarters of a step of 1, and each position a quarter.
func (c *stepCosts) rising() (t stepTable) {
	var value, weight [len(knots)]float64 // of runs that have one mean
	var end [len(knots)]int               // of a run
	n := 0
	for i, w := range c.weight {
		if w == 0 {
			continue
		}
		value[n], weight[n], end[n] = c.ratios[i], w, i
		for n++; n > 1 && value[n-1] < value[n-2]; n-- {
			both := weight[n-2] + weight[n-1]
			value[n-2] = (value[n-2]*weight[n-2] + value[n-1]*weight[n-1]) / both
			weight[n-2], end[n-2] = both, end[n-1]
		}
	}
	usual := func(i int) float64 { return float64(3 + knots[i]) }
	first, last, run := -1, -1, 0
	for i, w := range c.weight {
		if w == 0 {
			continue
		}
		for i > end[run] {
			run++
		}
		t[i] = value[run]
		for j := last + 1; j < i; j++ {
			if last < 0 {
				t[j] = t[i] * usual(j) / usual(i)
			} else {
				t[j] = t[last] + (t[i]-t[last])*float64(knots[j]-knots[last])/float64(knots[i]-knots[last])
			}
		}
		if last = i; first < 0 {
			first = i
		}
	}
	for j := last + 1; j < len(t); j++ {
		switch {
		case last < 0:
			t[j] = usual(j) / usual(0)
		case last == first:
			t[j] = t[last] * usual(j) / usual(last)
		default:
			t[j] = t[last] + (t[last]-t[first])/float64(knots[last]-knots[first])*float64(knots[j]-knots[last])
		}
	}
	return t
}

// young reports whether hardly a step has been measured.
func (c *stepCosts) young() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.passes < fewPasses
}

// turn reports whether it is a stream's turn to think again, of several that share steps. If all did at once, each would take the room
// that there is for one.
func (c *stepCosts) turn(streams int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turns++
	return uint64(c.turns)*0x9e3779b97f4a7c15>>32%uint64(streams) == 0
}

// explore returns how many tokens to draft instead of k: rarely what was not measured for longest, so that the costs of all steps become
// known, and stay so, and nothing at all if it is hardly known what that takes, which all are compared with. What may well be best is tried
// for its hopes.
func (c *stepCosts) explore(k, most int) int {
	const few = 5
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turns++
	if c.turns%16 == 0 && c.weight[0] < few {
		return 0
	}
	if c.turns%64 == 0 {
		oldest := k
		for other := range most + 1 {
			if c.last[other+1] < c.last[oldest+1] {
				oldest = other
			}
		}
		if last := c.last[oldest+1]; last == 0 || c.passes-last > 256 {
			return oldest
		}
	}
	return k
}

// median is that of the last few values.
type median struct {
	last [lastFew]float64
	n    int // values that there were
}

func (m *median) add(v float64) {
	m.last[m.n%len(m.last)] = v
	m.n++
}

// value returns the lower of two in the middle: what is slow at first is the rule.
func (m *median) value() float64 {
	sorted := m.last
	n := min(m.n, len(sorted))
	if n == 0 {
		return 0
	}
	slices.Sort(sorted[:n])
	return sorted[(n-1)/2]
}

// stepShare is what several streams bring to a step that they share.
type stepShare struct {
	streams   int
	positions int           // of the step
	tokens    float64       // that it is expected to give them
	drafting  time.Duration // before it
}

func (c stepShare) with(o stepShare) stepShare {
	return stepShare{c.streams + o.streams, c.positions + o.positions, c.tokens + o.tokens, c.drafting + o.drafting}
}

// pace decides how many tokens a source drafts for a session: as many as make the most tokens per second of the steps that the session
// takes part in, by what steps were measured to take, what drafting does, and how often the source was right lately. It has no clock and
// does no work, so that a test can play both. One goroutine uses it.
//
// A source that does not pay is off, and tried again with one token, after so many steps that the tries take a small share of the time
// whatever they cost.
type pace struct {
	costs *stepCosts

	right, compared [mostDraft]float64 // tokens by their place in the draft, the latest most
	told            tellings           // if the source says how sure it is
	price           median             // seconds of drafting a token

	with  stepShare // what others bring to the next step
	mine  stepShare // what the session does
	most  int       // tokens of its draft
	k     int       // tokens that were thought best last
	exact bool      // the draft is to have as many as length said
	speed float64   // expected, over that of no draft

	trying bool // the source is off, but for tries
	tries  int  // in a row
	rest   int  // steps until a source that is off is tried again
	wait   int  // that it was off for last
	ran    int  // steps since it was off
}

// newPace returns the pace of a source that nothing is known of: as if it had been right with three tokens of five.
func newPace(costs *stepCosts) *pace {
	p := &pace{costs: costs}
	p.right[0], p.compared[0] = 1.2, 2
	return p
}

// heir returns a pace for another session and the same source and model.
func (p *pace) heir() *pace {
	h := &pace{costs: p.costs, right: p.right, compared: p.compared, told: p.told, price: p.price}
	h.forget(4)
	return h
}

// forget lets what was compared until now at the first place count no more than n tokens.
func (p *pace) forget(n float64) {
	if c := p.compared[0]; c > n {
		p.right[0], p.compared[0] = p.right[0]*n/c, n
	}
}

// acceptance returns how likely a token at a place of the draft is right if those before it are. Where few were compared, it is near that
// of the place before.
func (p *pace) acceptance() (a [mostDraft]float64) {
	const few = 2
	a[0] = p.right[0] / max(p.compared[0], 1e-9)
	for i := 1; i < len(a); i++ {
		a[i] = (p.right[i] + few*a[i-1]) / (p.compared[i] + few)
	}
	return a
}

// best returns how many tokens are best to be checked, of from … to, and how fast that is over checking none. Of drafted tokens it is known
// how sure the source was, and what drafting them took is spent.
func (p *pace) best(from, to int, drafted []float64) (k int, speed, tokens float64) {
	t := p.table()
	price, a := p.price.value(), p.acceptance()
	others := p.with.tokens
	spent := p.with.drafting.Seconds() + float64(len(drafted))*price
	n := p.with.positions + 1
	plain := (others + 1) / max(t.of(n)+spent, 1e-12)
	k, speed, tokens = -1, 0, 1
	expected, chance := 1.0, 1.0
	for i := range to + 1 {
		if i > 0 {
			if i <= len(drafted) {
				chance *= p.told.chance(drafted[i-1], a[i-1])
			} else {
				chance *= a[i-1]
			}
			expected += chance
		}
		if i < from {
			continue
		}
		seconds := max(t.of(n+i)+spent+float64(max(0, i-len(drafted)))*price, 1e-12)
		if s := (others + expected) / seconds / plain; k < 0 || s > speed {
			k, speed, tokens = i, s, expected
		}
	}
	return k, speed, tokens
}

// table returns the costs that choices go by. A stream that is alone tries what little is known of for what it may turn out to be. Where
// others share the step, it would take hopes for differences that are small beside the whole.
func (p *pace) table() stepTable { return p.costs.table(p.with.streams == 0) }

// toll returns the tokens that drafting and checking one costs: those that the same time would give without.
func (p *pace) toll() float64 {
	t := p.table()
	n := p.with.positions + 1
	more := t.of(n+1) - t.of(n) + p.price.value()
	return more * (p.with.tokens + 1) / max(t.of(n)+p.with.drafting.Seconds(), 1e-12)
}

// length returns how many tokens to draft for the next step: at most as many as that, 0 … 7. others is what the other streams brought to
// the last step. It is asked once for each step of the session in which the source could draft.
func (p *pace) length(most int, others stepShare) int {
	p.most, p.with, p.exact = max(0, min(most, mostDraft)), others, true
	switch {
	case p.most == 0:
		return p.draft(0)
	case p.rest > 0:
		p.rest--
		return p.draft(0)
	case p.costs.young(): // steps without a draft are what others are compared with
		return p.draft(0)
	case p.price.n == 0:
		return p.draft(min(max(1, firstDraft/(1+others.streams)), p.most))
	}
	k, _, _ := p.best(0, p.most, nil)
	switch {
	case k > 0:
		p.trying = false
	case p.trying && (p.tries == 0 || p.tries < fewPasses && p.toll() < 1):
		return p.draft(1)
	default:
		p.stop()
		return p.draft(0)
	}
	if p.k > 0 && others.streams > 0 && !p.costs.turn(others.streams+1) {
		k = min(p.k, p.most)
	} else {
		p.k = k
	}
	if p.ran++; p.ran > firstWait {
		p.wait = 0
	}
	if others.streams == 0 {
		if other := p.costs.explore(k, p.most); other != k {
			return p.draft(other)
		}
	}
	p.exact = false
	return p.draft(k)
}

// draft notes what the source is told to draft.
func (p *pace) draft(k int) int {
	p.mine, p.speed = stepShare{1, 1, 1, 0}, 1
	if k == 0 {
		return 0
	}
	_, speed, tokens := p.best(k, k, nil)
	p.speed, p.mine = speed, stepShare{1, 1 + k, tokens, time.Duration(float64(k) * p.price.value() * float64(time.Second))}
	if p.told.any && !p.exact {
		return p.most // and worth says when to end
	}
	return k
}

// stop turns the source off.
func (p *pace) stop() {
	toll := p.toll()
	wait := max(firstWait, 2*p.wait)
	if p.price.n >= fewPasses { // one slow draft says little
		wait = max(firstWait, min(wait, int(min(256*toll, 1<<20))), int(min(100*toll, 1<<20)))
	}
	p.wait, p.rest, p.trying, p.tries, p.ran, p.k = wait, wait, true, 0, 0, 0
	p.forget(2)
}

// worth reports whether one more token is worth drafting behind those whose probabilities, as the source tells them, are given.
func (p *pace) worth(drafted []float64) bool {
	if p.exact || len(drafted) >= p.most {
		return len(drafted) < p.mine.positions-1
	}
	k, _, _ := p.best(0, p.most, drafted)
	return k > len(drafted)
}

// cut returns how many of the tokens that were drafted are worth being checked.
func (p *pace) cut(drafted []float64) int {
	if p.exact {
		return len(drafted)
	}
	k, _, tokens := p.best(0, min(len(drafted), mostDraft), drafted)
	p.mine.positions, p.mine.tokens = 1+k, tokens
	if k == 0 && len(drafted) > 0 {
		p.unchecked(drafted[0])
	}
	return k
}

// unchecked learns from a draft that was not worth a check. If only those counted that are, a source that is seldom sure would seem to be
// nearly always right, and be asked in vain.
func (p *pace) unchecked(told float64) {
	chance := p.told.chance(told, p.acceptance()[0])
	p.right[0] = keepCompared*p.right[0] + chance
	p.compared[0] = keepCompared*p.compared[0] + 1
}

// share returns what the session was going to bring to the last step.
func (p *pace) share() stepShare { return p.mine }

// gain returns how fast the draft that length asked for is expected to be, over none: 1 if it asked for none.
func (p *pace) gain() float64 { return p.speed }

// drafted learns from drafting n tokens.
func (p *pace) drafted(n int, took time.Duration) {
	if n > 0 {
		p.price.add(max(0, took.Seconds()) / float64(n))
	}
}

// checked learns from a draft of which n tokens were compared with the text; the first of them were right. told is how likely the source
// took each of them to be; nil: it does not say.
func (p *pace) checked(n, right int, told []float64) {
	if n = min(n, mostDraft); right < n {
		n = right + 1
	}
	if n <= 0 {
		return
	}
	if p.price.n == 0 {
		p.price.add(0)
	}
	for i := range n {
		p.right[i] *= keepCompared
		p.compared[i] *= keepCompared
		p.compared[i]++
		if i < right {
			p.right[i]++
		}
		if i < len(told) {
			p.told.add(told[i], i < right)
		}
	}
	if p.trying {
		if p.tries++; right == 0 {
			p.stop()
		}
	}
}

// tellings is how often a source was right when it said how sure it was.
type tellings struct {
	any             bool
	right, compared [8]float64 // tokens by their probability, the latest most
}

func (t *tellings) bin(prob float64) int {
	return int(min(max(prob, 0), 0.999) * float64(len(t.right)))
}

func (t *tellings) add(prob float64, right bool) {
	const keep = 63.0 / 64
	if !(prob > 0) {
		return
	}
	t.any = true
	i := t.bin(prob)
	t.right[i] *= keep
	if t.compared[i] = keep*t.compared[i] + 1; right {
		t.right[i]++
	}
}

// chance returns how likely a token is right that the source gives a probability; if it gives none, it is the mean.
func (t *tellings) chance(prob, mean float64) float64 {
	const few = 4
	if !(prob > 0) {
		return mean
	}
	i := t.bin(prob)
	return (t.right[i] + few*min(prob, 1)) / (t.compared[i] + few)
}

// DraftStats tells of the tokens that one source has drafted.
type DraftStats struct {
	Source   string        // "drafter", "lookup" or "guess"
	Passes   int64         // that checked tokens of it
	Drafted  int64         // tokens that were checked
	Accepted int64         // of them, that became part of the text
	Duration time.Duration // that drafting took
}

// Acceptance returns the share of the tokens checked that became part of the text; 0: none were checked.
func (d DraftStats) Acceptance() float64 { return float64(d.Accepted) / max(1, float64(d.Drafted)) }

// PerPass returns the tokens that a pass with a draft gave on average, the one behind the draft included; 1: there was none.
func (d DraftStats) PerPass() float64 { return 1 + float64(d.Accepted)/max(1, float64(d.Passes)) }

// addDrafts adds what happened lately to sums by source.
func addDrafts(sums []DraftStats, lately ...DraftStats) []DraftStats {
	for _, d := range lately {
		i := slices.IndexFunc(sums, func(o DraftStats) bool { return o.Source == d.Source })
		if i < 0 {
			sums = append(sums, d)
			continue
		}
		s := &sums[i]
		s.Passes, s.Drafted, s.Accepted, s.Duration = s.Passes+d.Passes, s.Drafted+d.Drafted, s.Accepted+d.Accepted, s.Duration+d.Duration
	}
	return sums
}
