package gemma4

import "time"

// Trace lets a program look inside its sessions: each field that is set is called when what it names has happened. A nil field costs
// nothing, and none of this makes garbage.
//
// The functions are called on the goroutine of the running call, between its steps, one at a time for each session; sessions that share a
// Trace call it from several goroutines at once. What they are told counts already. As in SessionOptions.Progress the session is busy: it
// may be looked at and closed, the function must not wait for sessions with the same Prefixes, and if it panics and the caller recovers the
// session holds what it held.
type Trace struct {
	Prefill func(PrefillInfo) // a chunk of a prompt has gone through the model
	Step    func(StepInfo)    // tokens that were generated have: one, or those of a Write
	Mask    func(MaskInfo)    // a token was chosen under a grammar, or forced
	Evict   func(EvictInfo)   // keys and values were given up; their positions are read again if they are wanted
}

// PrefillInfo is a chunk of a prompt.
type PrefillInfo struct {
	Positions int           // of the chunk
	Len       int           // of the text, including the chunk
	Left      int           // positions of the prompt that are still to come
	Duration  time.Duration // of the pass, which other sessions may share; in AllLogits of its callbacks, too
}

// Speed returns positions per second.
func (i PrefillInfo) Speed() float64 { return rate(i.Positions, i.Duration) }

// StepInfo is a pass over generated tokens.
type StepInfo struct {
	Positions int           // that were decoded: 1 in a generation, more where a grammar has forced them or a Draft has guessed ahead
	Drafted   int           // of them, that were guessed, and that Len does not count
	Len       int           // of the text, including these, but for what is drafted
	Duration  time.Duration // of the pass, which other sessions may share; choosing a token does not count, nor waiting
}

// Speed returns positions per second.
func (i StepInfo) Speed() float64 { return rate(i.Positions, i.Duration) }

// MaskInfo is how a grammar, or GenerateOptions.ThinkTokens, took part in the choice of a token.
type MaskInfo struct {
	Allowed  int           // tokens that could be chosen; 0: it was not found out, because the most likely one was allowed
	Duration time.Duration // finding them out, most of it while the model was at work
	Forced   bool          // the token had no alternative and was not asked for
}

// EvictInfo is what was given up.
type EvictInfo struct {
	// Cached: the least recently used text of a [PrefixCache] made room for what this session read. Otherwise the session gave up pages of
	// its sliding layers that their windows have left behind and SessionOptions.History does not hold.
	Cached    bool
	Positions int   // of the text, or of the pages
	Bytes     int64 // that they took; of a cached text, including those that it shared with others
}

func (t *Trace) prefilled(took time.Duration, positions, length, left int) {
	if t != nil && t.Prefill != nil {
		t.Prefill(PrefillInfo{positions, length, left, took})
	}
}

func (t *Trace) stepped(took time.Duration, positions, drafted, length int) {
	if t != nil && t.Step != nil {
		t.Step(StepInfo{positions, drafted, length, took})
	}
}

func (t *Trace) masked(i MaskInfo) {
	if t != nil && t.Mask != nil {
		t.Mask(i)
	}
}

func (t *Trace) evicted(i EvictInfo) {
	if t != nil && t.Evict != nil {
		t.Evict(i)
	}
}
