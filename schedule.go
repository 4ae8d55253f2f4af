package gemma4

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/model"
)

// role is what a pass does. In turn, streams decode and prompts are prefilled.
type role int

const (
	decode role = iota
	prefill
)

// scheduler lets the sessions of a model share passes, so that the weights are read once for all of them. What else takes part in a pass
// changes no bit of what a session gets.
//
// It has no goroutine. A session that wants to go through the model while nobody leads becomes the leader; others wait. The leader runs one
// pass, in which it takes part, and then lets one of those that wait lead. So a session that is alone runs its passes itself, as if there
// were no scheduler.
//
// A decode takes all streams that wait. Those that took part in the last one are choosing their next tokens: the leader waits for them
// shortly, unless a prompt is there to be read meanwhile. Between two decodes comes at most one prefill, as long as the plan says.
//
// A prefill that cannot be as short as that, because an image is not cut, lets the streams go first between its products (aside). What
// works beside the passes and takes long, such as a tower that looks at a picture, is a guest: it has turns between two decodes, as
// prefills do.
//
// Where nothing decodes, prompts are read in long passes. One of them gives way, and counts for nothing, when a stream or a much shorter
// prompt comes that would wait for longer than the budget, or when one of several that it serves is cancelled.
//
// No code of the user runs within a shared pass, except for the Err of contexts. One that fails as a whole, for whatever reason, is taken
// back, and each of its sessions goes alone: the fault stays with who has it.
type scheduler struct {
	graph  *model.Model
	passes sync.Pool // of *model.Pass, borrowed for a pass
	lend   func()    // aside

	mu        sync.Mutex // held for moments
	plan      plan
	led       bool // somebody leads
	gathering bool // and waits for others to come
	last      role // of the last pass
	rounds    int
	waiting   [2][]*job
	away      [2]away   // of those in waiting that are missing
	streams   int       // sessions that the last decode served and that go on
	company   stepShare // what they brought to it
	decoded   time.Time // when it ended
	crowded   time.Time // when a pass gave way last, after which at least one keeps to the budget
	bounded   bool      // the prefill that is chosen has to fit the budget,
	beside    bool      // as it holds up streams
	guest     *guest    // that wants a turn, or has one
	hosted    bool      // a guest had a turn since the last prefill
	stats     Stats

	*turn       // the running pass, or the next one
	inner *turn // of a pass within it

	arrived chan struct{} // wakes a leader that gathers
	timer   *time.Timer   // of the leader
}

// turn is a pass, and who takes part in it.
type turn struct {
	running role
	jobs    []*job
	chunks  []*model.Chunk
	ctx     passContext
	lent    time.Time     // when others went first last, or when it began
	away    time.Duration // that others took
}

// away are sessions that the last pass of a role served and that should be back in a moment.
type away struct {
	round int       // the pass
	n     int       // sessions
	until time.Time // when nobody waits for them any longer
}

// job is what a session wants to take through the model. It knows nothing of the session while that is idle.
type job struct {
	role    role
	ctx     context.Context
	over    <-chan struct{} // ctx.Done(), which is code of the user as well
	closing <-chan struct{}
	chunk   model.Chunk
	private bool          // it goes alone
	done    func() error  // chunk.Done of the session
	counted func() error  // chunk.Done: it calls done
	wake    chan struct{} // holds one: the job has ended, or leads

	unread               // chunk.Input is what the next part is cut from, and becomes it
	uncut  []model.Input // as it was before
	left   []model.Input // what is behind the part

	brings, brought stepShare  // to a decode, and to the last one
	costs           *stepCosts // that learn from it

	// Of the scheduler.
	waits, leads bool
	again        bool // the pass failed, the job goes alone
	counts       bool // it has become part of the text
	round        int  // in which it took part last
	expected     bool // to be back soon
	ended        time.Time
	quick        bool // it was back soon the last time
	pass         *model.Pass
	before       int64 // multiply-adds of pass

	// What came of it.
	err       error
	positions int           // of its pass
	all       int           // of all in it
	took      time.Duration // the pass
	ops       int64         // multiply-adds: its share
}

func newJob() *job {
	j := &job{wake: make(chan struct{}, 1), quick: true}
	j.counted = func() error {
		j.counts = true
		j.share()
		return j.done()
	}
	return j
}

// share sets ops to the job's share of its pass.
func (j *job) share() { j.ops = (j.pass.Ops() - j.before) * int64(j.positions) / int64(max(1, j.all)) }

// gone reports whether the session does not want the job any longer.
func (j *job) gone() bool {
	select {
	case <-j.closing:
		return true
	case <-j.over:
		return true
	default:
		return false
	}
}

// why returns the error of a job that is gone.
func (j *job) why() error {
	select {
	case <-j.closing:
		return ErrClosed
	default:
		return cmp.Or(cause.Of(j.ctx), context.Canceled)
	}
}

func newScheduler(graph *model.Model) *scheduler {
	s := &scheduler{graph: graph, plan: newPlan(), arrived: make(chan struct{}, 1), turn: new(turn), inner: new(turn)}
	s.turn.ctx.schedule, s.inner.ctx.schedule, s.lend = s, s, s.aside
	return s
}

// do takes a job through a pass and returns its error: nil if the chunk counts.
func (s *scheduler) do(j *job) error {
	j.err, j.again, j.counts, j.took = nil, false, false, 0
	switch {
	case j.private:
		s.cut(j, s.part(j))
		s.alone(j)
	case s.arrive(j) || s.wait(j):
		s.lead(j)
	}
	switch {
	case j.again && j.gone():
		j.err = j.why()
	case j.again:
		s.alone(j)
	}
	return j.err
}

// part returns how many positions a job takes at a time beside the shared passes, which it holds up as much as they hold it up.
func (s *scheduler) part(j *job) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streaming(time.Now()) {
		return min(j.batch, s.plan.positions(true))
	}
	return j.batch
}

// alone runs a job in a pass of its own, beside the shared ones.
func (s *scheduler) alone(j *job) {
	p := s.pass()
	j.pass, j.before, j.all = p, p.Ops(), j.positions
	j.chunk.Done = j.counted
	began, returned := time.Now(), false
	defer func() {
		j.share()
		if j.pass = nil; returned {
			s.passes.Put(p) // from here on others count with it
		}
	}()
	err := s.process(p, j.role, j.ctx, &j.chunk)
	returned = true
	if j.took, j.err = time.Since(began), err; err == nil {
		j.err = j.chunk.Err
	}
}

func (s *scheduler) pass() *model.Pass {
	if p, ok := s.passes.Get().(*model.Pass); ok {
		return p
	}
	return s.graph.NewPass()
}

func (s *scheduler) process(p *model.Pass, r role, ctx context.Context, chunks ...*model.Chunk) error {
	if r == decode {
		return p.Decode(ctx, chunks...)
	}
	return p.Prefill(ctx, chunks...)
}

// arrive lets a job wait, or lead if nobody does.
func (s *scheduler) arrive(j *job) (leads bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	began := time.Now()
	s.back(j)
	j.quick = j.ended.IsZero() || began.Sub(j.ended) <= s.moment()
	j.waits, j.leads = true, !s.led
	s.led = true
	s.waiting[j.role] = append(s.waiting[j.role], j)
	if j.role == prefill || s.away[decode].n == 0 {
		s.call()
	}
	if s.urgent(j, began) {
		s.ctx.givesWay.Store(true)
	}
	s.stats.Overhead += time.Since(began)
	return j.leads
}

// urgent reports whether the running pass has to give way to a job.
func (s *scheduler) urgent(j *job, now time.Time) bool {
	return s.lasts(now) &&
		(j.role == decode || slices.ContainsFunc(s.jobs, func(o *job) bool { return o.rest > o.positions && o.rest > 4*j.rest }))
}

// lasts reports whether the running pass is a long prefill that goes on for longer than the budget.
func (s *scheduler) lasts(now time.Time) bool {
	if s.stats.RunningSince.IsZero() || s.running == decode || s.bounded {
		return false
	}
	d := s.plan.prefill.of(s.jobs[0].all, s.plan.decode)
	return d <= 0 || d-now.Sub(s.stats.RunningSince) > s.plan.budget
}

// left lets a long pass give way to a session that takes part in it and does not want to any longer.
func (s *scheduler) left(j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.jobs, j) && s.lasts(time.Now()) {
		s.ctx.givesWay.Store(true)
	}
}

// back notes that a session needs no longer be waited for.
func (s *scheduler) back(j *job) {
	for i := range s.away {
		if a := &s.away[i]; j.expected && j.round == a.round {
			a.n--
		}
	}
	j.expected = false
}

// leave is called when a session's stream has ended, so that nobody waits for it or reads prompts in small parts because of it.
func (s *scheduler) leave(j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.back(j)
	if j.role == decode && j.round == s.away[decode].round && s.streams > 0 {
		s.streams--
	}
	j.round, j.ended, j.quick = 0, time.Time{}, true
	if s.away[decode].n == 0 {
		s.call()
	}
}

// call lets a leader that gathers look again.
func (s *scheduler) call() {
	if s.gathering {
		select {
		case s.arrived <- struct{}{}:
		default:
		}
	}
}

// moment is how long a leader waits for sessions that should be back soon: some of a step, because together they take less than one after
// the other, but nothing that a reader notices.
func (s *scheduler) moment() time.Duration {
	return min(max(s.plan.decode/4, time.Millisecond), 5*time.Millisecond)
}

// wait returns when the job has ended, or leads. A job that nobody has taken yet ends with its context.
func (s *scheduler) wait(j *job) (leads bool) {
	select {
	case <-j.wake:
		return j.leads
	case <-j.over:
	case <-j.closing:
	}
	if s.withdraw(j) {
		j.err = j.why()
		return false
	}
	s.left(j)
	<-j.wake
	return j.leads
}

// withdraw ends a job that waits. It reports false if the job leads, or is in a pass that may be running.
func (s *scheduler) withdraw(j *job) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !j.waits || j.leads {
		return false
	}
	s.remove(j)
	return true
}

func (s *scheduler) remove(j *job) {
	q := s.waiting[j.role]
	i := slices.Index(q, j)
	s.waiting[j.role] = slices.Delete(q, i, i+1)
	j.waits = false
}

// lead runs the next pass that the job takes part in, unless somebody else is to lead until then.
func (s *scheduler) lead(j *job) {
	for {
		s.mu.Lock()
		began := time.Now()
		if j.gone() {
			s.remove(j)
			s.appoint(began)
			s.mu.Unlock()
			j.err = j.why()
			return
		}
		r, gather := s.next(began)
		if gather > 0 {
			s.gathering = true
			s.mu.Unlock()
			s.gather(j, gather)
			s.mu.Lock()
			s.gathering = false
			s.stats.Gathering += time.Since(began)
			s.mu.Unlock()
			continue
		}
		if g := s.host(r, began); g != nil {
			s.mu.Unlock()
			<-g.done
			continue
		}
		s.choose(r, began)
		if !slices.Contains(s.jobs, j) {
			s.give(s.jobs[0])
			j.leads = false
			s.stats.Overhead += time.Since(began)
			s.mu.Unlock()
			if !s.wait(j) {
				return
			}
			continue
		}
		s.take(r)
		now := time.Now()
		s.stats.Overhead += now.Sub(began)
		s.begin(r, now)
		s.mu.Unlock()
		if !s.run(r, j) || !s.wait(j) {
			return
		}
	}
}

// begin notes that a pass begins.
func (s *scheduler) begin(r role, now time.Time) {
	s.stats.RunningSince, s.running, s.lent, s.turn.away = now, r, now, 0
}

// next returns what pass is next, and how long to wait for more to take part in it. Somebody waits.
func (s *scheduler) next(now time.Time) (r role, gather time.Duration) {
	streams, prompts := len(s.waiting[decode]) > 0, len(s.waiting[prefill]) > 0
	r = 1 - s.last
	switch {
	case r == prefill && !prompts:
		r = decode
	case r == decode && !streams && s.missing(decode, now) == 0:
		r = prefill
	}
	return r, s.missing(r, now)
}

// missing returns how long to wait for sessions that should be back soon; 0: for none.
func (s *scheduler) missing(r role, now time.Time) time.Duration {
	if a := &s.away[r]; a.n > 0 {
		return max(0, a.until.Sub(now))
	}
	return 0
}

// gather lets the leader wait for others.
func (s *scheduler) gather(j *job, d time.Duration) {
	if s.timer == nil {
		s.timer = time.NewTimer(d)
	} else {
		s.timer.Reset(d)
	}
	select {
	case <-s.arrived:
	case <-s.timer.C:
	case <-j.over:
	case <-j.closing:
	}
	s.timer.Stop()
}

// choose sets jobs to those that take part in the next pass.
func (s *scheduler) choose(r role, now time.Time) {
	s.jobs = s.jobs[:0]
	if r == prefill {
		n, long := 0, 0
		for _, j := range s.waiting[prefill] {
			n, long = max(n, j.batch), max(long, j.rest)
		}
		s.beside = s.streaming(now)
		s.bounded = s.beside || s.crowded.After(s.stats.Prefill.LastEnded) || long > n && now.Sub(s.crowded) < 40*s.plan.budget
		if s.bounded {
			n = min(n, s.plan.positions(s.beside))
		}
		s.jobs = s.plan.prompts(s.jobs, now, n, s.waiting[prefill])
		return
	}
	n := 0
	for _, j := range s.waiting[decode] {
		if n += j.positions; n > mostDecoded && len(s.jobs) > 0 {
			break
		}
		s.jobs = append(s.jobs, j)
	}
}

// others returns what other sessions than the job's bring to decodes.
func (s *scheduler) others(j *job) stepShare {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.streams == 0:
		return stepShare{}
	case j.role == decode && j.round == s.away[decode].round:
		return s.company.without(j.brought)
	}
	return s.company
}

// without returns what is left of a company when one that is part of it does not count.
func (c stepShare) without(o stepShare) stepShare {
	return stepShare{c.streams - o.streams, c.positions - o.positions, c.tokens - o.tokens, c.drafting - o.drafting}
}

// streaming reports whether there are streams that a long prefill would hold up.
func (s *scheduler) streaming(now time.Time) bool {
	return len(s.waiting[decode]) > 0 || s.streams > 0 && now.Sub(s.decoded) < s.lull()
}

// lull is how long a stream may stay away and still be waited for. A budget that is long says how long a stream may wait for others, not
// that others wait as long for a stream whose reader has stopped.
func (s *scheduler) lull() time.Duration { return 2 * min(s.plan.budget, defaultBudget) }

// give makes a job that waits the leader.
func (s *scheduler) give(j *job) {
	j.leads = true
	j.wake <- struct{}{}
}

// appoint lets one of those that wait lead, if there are any.
func (s *scheduler) appoint(now time.Time) {
	r, _ := s.next(now)
	if len(s.waiting[r]) == 0 {
		r = 1 - r
	}
	if s.led = len(s.waiting[r]) > 0; s.led {
		s.choose(r, now)
		s.give(s.jobs[0])
	}
}

// take begins the pass of those in jobs.
func (s *scheduler) take(r role) {
	all := 0
	s.chunks = s.chunks[:0]
	for _, j := range s.jobs {
		s.remove(j)
		if r == prefill {
			s.cut(j, j.take)
			s.plan.took(j.group)
		}
		j.leads = false
		j.chunk.Done = j.counted
		s.chunks = append(s.chunks, &j.chunk)
		all += j.positions
	}
	for _, j := range s.jobs {
		j.all = all
	}
	if r == prefill && s.bounded {
		s.stats.planned(s.plan.iteration(s.beside, all), s.plan.budget)
	}
}

// cut makes chunk.Input the next n positions of a prompt.
func (s *scheduler) cut(j *job, n int) {
	if j.role == prefill {
		j.uncut = j.chunk.Input
		j.chunk.Input, j.left = s.graph.Cut(j.uncut, n)
		j.positions = s.graph.Positions(j.chunk.Input...)
	}
}

// run runs the pass of those in jobs, of whom the leader is one, unless it is nil: then the pass is one within another. It reports whether
// the leader waits again, since the pass has given way.
func (s *scheduler) run(r role, leader *job) (again bool) {
	shared := len(s.jobs) > 1 || leader == nil
	if s.ctx.jobs = s.jobs; shared {
		s.ctx.Context, s.ctx.leader = context.Background(), leader
	} else {
		s.ctx.Context = leader.ctx
	}
	p := s.pass()
	if r == prefill && s.beside {
		p.Between = s.lend
	}
	for _, j := range s.jobs {
		j.pass, j.before = p, p.Ops()
	}
	began, returned := time.Now(), false
	var err error
	defer func() {
		if p.Between = nil; !returned && shared {
			recover() // who is at fault panics again, alone
		}
		again = s.end(r, leader, time.Since(began), returned, err)
	}()
	err = s.process(p, r, &s.ctx, s.chunks...)
	returned = true
	return
}

// end ends the pass of those in jobs and hands over. It reports whether the leader waits again.
func (s *scheduler) end(r role, leader *job, took time.Duration, returned bool, err error) (again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.rounds++
	a := &s.away[r]
	*a = away{round: s.rounds, until: now.Add(s.moment())}
	took -= s.turn.away
	p := s.jobs[0].pass
	gaveWay := returned && errors.Is(err, errGivesWay)
	if gaveWay {
		s.crowded = now
		s.stats.GaveWay++
	}
	var company stepShare
	// What follows is asked before the loop: each job is its session's again once it is woken.
	c := &s.jobs[0].chunk
	whole := c.Want != nil && !few(c.IDs, s.graph.Vocabulary)
	for _, j := range s.jobs {
		j.share()
		j.brought = j.brings
		company = company.with(j.brings)
		j.took, j.round, j.ended, j.pass = took, s.rounds, now, nil
		switch {
		case gaveWay && !j.gone():
			j.chunk.Input, j.waits = j.uncut, true
			s.waiting[r] = append(s.waiting[r], j)
			continue
		case returned && err == nil:
			j.err = j.chunk.Err
		case j.counts:
		case len(s.jobs) > 1 || gaveWay || leader == nil:
			j.again = true
		default:
			j.err = err
		}
		if j.expected = j.quick && j.err == nil && !j.again && (r == decode || j.rest > j.positions); j.expected {
			a.n++
		}
		if j != leader {
			j.wake <- struct{}{}
		}
	}
	if s.last = r; r == decode {
		s.streams, s.decoded, s.company = len(s.jobs), now, company
	} else {
		s.hosted = false
	}
	if returned && err == nil {
		s.learn(r, took, whole)
	}
	if returned {
		s.passes.Put(p)
	}
	s.stats.RunningSince = time.Time{}
	s.ctx.end()
	clear(s.jobs)
	clear(s.chunks)
	if leader == nil {
		return false
	}
	s.appoint(now)
	s.stats.Overhead += time.Since(now)
	return leader.waits
}

// slice is how long streams wait, beside their own pass, for a prefill that is not cut or for a guest: half of what the budget leaves,
// since what holds them up ends only with its next product, and a quarter of it where a decode takes longer.
func (s *scheduler) slice() time.Duration {
	return max(s.plan.budget/4, (s.plan.budget-s.plan.decode)/2)
}

// aside lets the streams that wait go first. It is called between the products of a prefill beside streams, on the leader's goroutine.
func (s *scheduler) aside() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if len(s.waiting[decode]) == 0 || now.Sub(s.lent) < s.slice() {
		return
	}
	outer, since := s.turn, s.stats.RunningSince
	s.turn, s.inner = s.inner, nil
	s.choose(decode, now)
	s.take(decode)
	s.begin(decode, now)
	s.mu.Unlock()
	s.run(decode, nil)
	s.mu.Lock()
	s.turn, s.inner = outer, s.turn
	s.stats.RunningSince, s.lent = since, time.Now()
	s.turn.away += s.lent.Sub(now)
	s.stats.Aside++
}

// guest works beside the passes, on goroutines of its own, and has turns between two decodes.
type guest struct {
	schedule *scheduler
	turn     chan struct{} // holds one: it may work
	done     chan struct{} // holds one: it gives the turn back
	works    bool          // it has the turn
	since    time.Time     // that
}

func (s *scheduler) newGuest() *guest {
	return &guest{schedule: s, turn: make(chan struct{}, 1), done: make(chan struct{}, 1)}
}

// host gives a guest that waits the turn before a pass in a role, if it is the guest's. The leader waits until the guest is done, and looks
// again.
func (s *scheduler) host(r role, now time.Time) *guest {
	g := s.guest
	if g == nil || s.last != decode || r == prefill && s.hosted || !s.streaming(now) {
		return nil
	}
	g.works, g.since, s.hosted = true, now, true
	g.turn <- struct{}{}
	return g
}

// between is called between the products of a guest, and returns when it may go on: at once where there are no streams to be held up.
func (g *guest) between() {
	s := g.schedule
	s.mu.Lock()
	now := time.Now()
	if g.works && now.Sub(g.since) < s.slice() || !g.works && !s.streaming(now) {
		s.mu.Unlock()
		return
	}
	if g.rest(); !s.streaming(now) {
		s.mu.Unlock()
		return
	}
	s.guest = g
	wait := time.NewTimer(s.lull()) // perhaps no stream goes on
	s.mu.Unlock()
	defer wait.Stop()
	select {
	case <-g.turn:
		return
	case <-wait.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.guest = nil; g.works {
		<-g.turn
	}
}

// rest gives the turn back: a decode comes next.
func (g *guest) rest() {
	if s := g.schedule; g.works {
		g.works, s.guest, s.last = false, nil, prefill
		g.done <- struct{}{}
	}
}

// leave ends the guest's work.
func (g *guest) leave() {
	g.schedule.mu.Lock()
	defer g.schedule.mu.Unlock()
	g.rest()
}

// learn counts a pass, and lets the plan know what it took, and of a decode those who draft if the whole head was multiplied.
func (s *scheduler) learn(r role, took time.Duration, whole bool) {
	n := s.jobs[0].all
	if r == decode {
		if whole {
			s.jobs[0].costs.add(n, took)
		}
		s.plan.decoded(took)
		s.stats.Decode.add(len(s.jobs), n, took)
		return
	}
	s.plan.prefill.add(n, took)
	s.stats.Prefill.add(len(s.jobs), n, took)
}

var errGivesWay = errors.New("gemma4: the pass gives way")

// passContext is the context of a pass: it ends when those of all its jobs have ended, or when the pass gives way.
type passContext struct {
	context.Context // of the only job, or of none
	jobs            []*job
	ended           int   // that many, at the beginning
	err             error // of the last of them
	schedule        *scheduler
	leader          *job // of several that goes on; nil: there is none
	givesWay        atomic.Bool
}

// Err asks one that has not ended yet.
func (c *passContext) Err() error {
	if c.leader != nil && c.leader.gone() {
		c.schedule.left(c.leader)
		c.leader = nil
	}
	if c.givesWay.Load() {
		return errGivesWay
	}
	for ; c.ended < len(c.jobs); c.ended++ {
		if err := c.jobs[c.ended].ctx.Err(); err != nil {
			c.err = err
			continue
		}
		return nil
	}
	return c.err
}

func (c *passContext) end() {
	c.Context, c.jobs, c.ended, c.err, c.leader = nil, nil, 0, nil, nil
	c.givesWay.Store(false)
}
