package gemma4

import "time"

// Stats tells how the sessions of a model go through it: together, in passes that they share. What has passes of its own counts in none of
// this: AllLogits, Perplexity, the options of Decide, and a Write of more than 64 tokens.
type Stats struct {
	Decode, Prefill PassStats // the passes of each role

	Masks        int64         // of tokens that a grammar allowed, made or found again
	MaskDuration time.Duration // making them, most of it beside passes
	ForcedTokens int64         // that had no alternative

	Pictures, Sounds SenseStats // what the projector has made embeddings of

	Drafts []DraftStats // of generations that have ended

	Streams      int           // sessions that the last decode served and whose generation goes on
	Unread       int           // positions of the prompts that wait
	RunningSince time.Time     // when the running pass began; zero: none runs
	Gathering    time.Duration // that decodes have waited for streams that were choosing their next token
	Overhead     time.Duration // that went into sharing passes: planning them, and handing over

	Budget         time.Duration // of an iteration: a decode, and a prefill beside it (Loader.Budget)
	Planned        time.Duration // length of the last iteration that had to keep to it, as planned
	LongestPlanned time.Duration // of all such iterations
	OverBudget     int64         // of them, planned longer than the budget: 16 positions, or an image, do not fit it
	Aside          int64         // decodes within a prefill that was too long for them to wait until it ended, as images are not cut
	GaveWay        int64         // long prefills that were stopped, because somebody came, or left, whom they would have kept waiting
}

// PassStats tells of the passes of one role.
type PassStats struct {
	Waiting   int           // sessions that wait for one, or whose turn it is
	Passes    int64         // that have ended
	Sessions  int64         // that took part, summed over the passes
	Positions int64         // of the texts, summed over the passes: tokens decoded, guessed ones too, or positions of prompts
	Duration  time.Duration // of all passes

	LastSessions  int           // of the last pass
	LastPositions int           // of the last pass
	LastDuration  time.Duration // of the last pass
	LastEnded     time.Time     // when the last pass ended; zero: there was none

	Rate float64 // positions per second, of the latest passes
}

// Stats returns what has happened until now. It never waits for a pass.
func (m *Model) Stats() Stats {
	s := m.schedule
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.stats
	t.Decode.Waiting, t.Prefill.Waiting = len(s.waiting[decode]), len(s.waiting[prefill])
	for _, j := range s.waiting[prefill] {
		t.Unread += j.rest
	}
	t.Masks, t.MaskDuration, t.ForcedTokens = m.masks.made.Load(), time.Duration(m.masks.time.Load()), m.masks.forced.Load()
	t.Streams, t.Budget = s.streams, s.plan.budget
	t.Pictures, t.Sounds = m.senses.stats()
	t.Drafts = m.drafts.all()
	return t
}

// add counts a pass.
func (p *PassStats) add(sessions, positions int, took time.Duration) {
	p.Passes++
	p.Sessions += int64(sessions)
	p.Positions += int64(positions)
	p.Duration += took
	p.LastSessions, p.LastPositions, p.LastDuration, p.LastEnded = sessions, positions, took, time.Now()
	if took > 0 {
		p.Rate = follow(p.Rate, float64(positions)/took.Seconds())
	}
}

// planned counts an iteration.
func (t *Stats) planned(length, budget time.Duration) {
	t.Planned, t.LongestPlanned = length, max(t.LongestPlanned, length)
	if length > budget {
		t.OverBudget++
	}
}
