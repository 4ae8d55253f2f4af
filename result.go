package gemma4

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Reason is why a generation ended.
type Reason int

const (
	ReasonNone    Reason = iota // it has not ended
	ReasonEnd                   // the model ended its turn
	ReasonLength                // MaxTokens were generated, or a Grammar had to end the text because of them
	ReasonStop                  // a stop string appeared
	ReasonContext               // the context is full, or a Grammar had to end the text because of it
	ReasonBreak                 // the caller left the loop
	ReasonCancel                // the context.Context ended
	ReasonError                 // something failed
	ReasonRepeat                // the text had come into a loop (RepeatGuard)
)

var reasons = [...]string{"not ended", "end of turn", "length", "stop string", "context full", "left by the caller", "cancelled", "error",
	"repetition"}

// String returns a reason in words, such as "end of turn".
func (r Reason) String() string {
	if r < 0 || int(r) >= len(reasons) {
		return fmt.Sprintf("Reason(%d)", int(r))
	}
	return reasons[r]
}

// Result tells how a generation went.
type Result struct {
	Reason Reason // it ended
	EndID  int32  // the token that ended it, with ReasonEnd or where a Grammar had to end the text
	Whole  bool   // the text is one that the Grammar allows, not only the beginning of one
	Stop   string // with ReasonStop: the string that appeared
	Seed   uint64 // of the draws: GenerateOptions.Sampling with this one repeats the text

	Reused    int // positions that the session, or its prefix cache, already held
	Prompt    int // prompt positions read
	Generated int // tokens generated, not counting the one that ended it
	Thought   int // of these, that belong to thoughts, with the markers around them
	Forced    int // of these, that had no alternative
	Dropped   int // messages that a [Chat] has dropped because the context was full
	Calls     int // of tools, in the answer of a [Chat]

	// Drafts tells what was guessed ahead, and how much of that was right, for each source.
	Drafts []DraftStats

	// Loosened names what the grammars did not enforce because it cannot be, as keyword and JSON pointer.
	Loosened []string

	QueueTime    time.Duration // in the line of a [Queue]
	PromptTime   time.Duration // reading the prompt, up to the first token
	GenerateTime time.Duration // from the first token to the end, not counting time spent by the caller
}

// PromptSpeed returns prompt positions per second.
func (r Result) PromptSpeed() float64 { return rate(r.Prompt, r.PromptTime) }

// GenerateSpeed returns generated tokens per second, not counting the first, which the prompt gave.
func (r Result) GenerateSpeed() float64 { return rate(r.Generated-1, r.GenerateTime) }

func rate(n int, d time.Duration) float64 {
	if n <= 0 || d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// Result returns how the last generation went, once it has ended.
func (s *Session) Result() Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.result
}

// reasonOf returns why a generation with an error has ended.
func reasonOf(err error) Reason {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return ReasonCancel
	}
	return ReasonError
}

func (s *Session) setResult(r Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.result = r
}
