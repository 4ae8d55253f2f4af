package gemma4

import (
	"cmp"
	"slices"
	"time"
)

const (
	defaultBudget = 250 * time.Millisecond
	patience      = 30 * time.Second // a prompt that has waited for longer gets half of each pass
	panel         = 16               // positions that a prefill computes at the price of one, and the fewest that it takes beside streams
	mostDecoded   = 64               // positions of a shared decode, whose logits are all held at once
)

// plan decides who takes part in a pass, and with how many positions. It has no clock and does no work, so that a test can play both.
type plan struct {
	budget  time.Duration  // of an iteration: a decode, and a prefill beside it
	decode  time.Duration  // what a pass over all streams takes, by an exponential mean; 0: not known yet
	prefill cost           // of a pass
	served  map[string]int // by group: when it had its last turn
	turns   int
	ranks   map[string]int // room
}

func newPlan() plan {
	return plan{budget: defaultBudget, served: map[string]int{}, ranks: map[string]int{}}
}

// decoded learns from a pass over streams.
func (p *plan) decoded(d time.Duration) { p.decode = follow(p.decode, d) }

// follow returns a mean that follows what was measured lately: the first value is the mean, and each of the others moves it by an eighth
// of the difference.
func follow[T time.Duration | float64](mean, value T) T {
	if mean == 0 {
		return value
	}
	return mean + (value-mean)/8
}

// positions returns how many positions a prefill may take in an iteration that keeps to the budget, beside a decode if there are streams.
func (p *plan) positions(streaming bool) int {
	left := p.budget
	if streaming {
		left -= p.decode
	}
	return max(panel, p.prefill.within(left, p.decode)/panel*panel)
}

// iteration returns how long one should take with a prefill of n positions.
func (p *plan) iteration(streaming bool, n int) time.Duration {
	d := p.prefill.of(n, p.decode)
	if streaming {
		d += p.decode
	}
	return d
}

// unread is a prompt that waits to be read on, and what a plan has for it.
type unread struct {
	rest  int       // positions
	batch int       // of them, at a time
	image int       // positions of an image that comes next, which is not cut; 0: none does
	group string    // that takes turns with others
	since time.Time // when the prompt came
	take  int       // positions of the next pass
	rank  int       // in its group
}

// prompts chooses whose turn a prefill of n positions is: the prompts with the least to read, so that short ones do not wait for long ones,
// but of each group one before any has a second, and those first that had no turn for longest. One that has waited for too long gets half
// of the pass all the same. It appends to dst those that take part, and changes the order of waiting.
func (p *plan) prompts(dst []*job, now time.Time, n int, waiting []*job) []*job {
	slices.SortFunc(waiting, func(a, b *job) int { return cmp.Or(cmp.Compare(a.rest, b.rest), a.since.Compare(b.since)) })
	clear(p.ranks)
	for _, j := range waiting {
		j.take, j.rank = 0, p.ranks[j.group]
		p.ranks[j.group]++
	}
	if len(p.ranks) > 1 {
		slices.SortStableFunc(waiting, func(a, b *job) int {
			return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(p.served[a.group], p.served[b.group]))
		})
	}
	left := n
	give := func(j *job, most int) {
		k := min(left, most, j.rest-j.take, j.batch-j.take)
		if j.take == 0 && j.image > k {
			if k = 0; left == n { // nobody else shares the pass
				k = j.image
			}
		}
		if k <= 0 {
			return
		}
		if j.take == 0 {
			dst = append(dst, j)
		}
		j.take += k
		left -= k
	}
	if oldest := slices.MinFunc(waiting, func(a, b *job) int { return a.since.Compare(b.since) }); now.Sub(oldest.since) > patience {
		give(oldest, (n+1)/2)
	}
	for _, j := range waiting {
		give(j, n)
	}
	return dst
}

// took notes that a group has had its turn.
func (p *plan) took(group string) {
	if len(p.served) >= 1<<12 {
		clear(p.served) // of users who may never come back
	}
	p.turns++
	p.served[group] = p.turns
}

// cost is what passes take by their positions, fixed + each · positions: a line through what was measured, the latest most.
type cost struct {
	w, x, y, xx, xy float64 // sums over 1/positions (x) and seconds/position (y), so that errors count by their share
	most            float64 // positions, of the largest pass lately
}

// add learns from a pass.
func (c *cost) add(n int, d time.Duration) {
	const keep = 0.9
	x, y := 1/float64(n), d.Seconds()/float64(n)
	c.w, c.x, c.y, c.xx, c.xy = keep*c.w+1, keep*c.x+x, keep*c.y+y, keep*c.xx+x*x, keep*c.xy+x*y
	c.most = max(keep*c.most, float64(n))
}

// line returns the seconds of a pass and of each position of it. As long as all passes were about as long, half of each is taken to be
// fixed, but no more than a decode takes: both read the weights once.
func (c *cost) line(decode time.Duration) (fixed, each float64) {
	if c.w == 0 {
		return 0, 0
	}
	if det := c.w*c.xx - c.x*c.x; det > 0.03*c.w*c.xx {
		fixed = (c.w*c.xy - c.x*c.y) / det
		each = (c.y - fixed*c.x) / c.w
	} else {
		fixed = min(c.y/c.x/2, decode.Seconds())
		each = (c.y - fixed*c.x) / c.w
	}
	switch {
	case fixed <= 0:
		return 0, c.y / c.w
	case each <= 0:
		return c.xy / c.xx, 0
	}
	return fixed, each
}

// of returns how long a pass of n positions takes; 0: nobody knows.
func (c *cost) of(n int, decode time.Duration) time.Duration {
	fixed, each := c.line(decode)
	return time.Duration((fixed + each*float64(n)) * float64(time.Second))
}

// within returns how many positions a pass of that duration takes, but no more than twice as many as were measured lately; 0: none, or
// nobody knows.
func (c *cost) within(d, decode time.Duration) int {
	fixed, each := c.line(decode)
	left := d.Seconds() - fixed
	if left <= 0 {
		return 0
	}
	return int(min(left/max(each, 1e-9), 2*c.most))
}
