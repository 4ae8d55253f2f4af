package gemma4

import (
	"context"
	"slices"

	"github.com/gogemma/gemma4/chat"
)

// Likelihood is how likely the model is to write an option of a decision.
type Likelihood struct {
	Option string // the text
	// LogProb is the natural logarithm of the probability of the whole option, before any sampling option.
	LogProb float64
	// Prob is the option's share of what all options have together: these add up to 1.
	Prob float64
}

// DecideOptions say how [Session.Decide] counts.
type DecideOptions struct {
	// Open lets the text go on behind an option, as in the middle of a sentence. Otherwise an option is all that the model writes, and the
	// end of its turn counts: "New" does not win by "New York". With Open, an option that begins another one in the same tokens is at
	// least as likely.
	Open bool
}

// Decide returns how likely the model is to continue the session's text and a prompt with each of several texts, in their order. It reads
// the prompt once, whose logits give the first token of every option; the other tokens are decoded together, in one step or a few, and what
// options have in common only once. So a classification costs one prompt. The session stays as it was: a prompt that is wanted again is
// better read before.
//
// An option is text, whatever it looks like, and counts as the tokens that the tokenizer makes of it by itself. They are decoded, so that
// LogProb has the bits that [Session.Write] gives. While it runs, Decide takes memory for the keys and values of prompt and options, beside
// that of the session.
//
// Options that are empty, not UTF-8 or the same as another are an error, as are those too long for the context, with a [ContextError].
func (s *Session) Decide(ctx context.Context, prompt []Input, options []string, o DecideOptions) ([]Likelihood, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	d, err := s.m.decision(options, o)
	if err != nil {
		return nil, err
	}
	if err := d.fit(len(s.ids)+s.m.graph.Positions(prompt...), s.limit); err != nil {
		return nil, err
	}
	if err := s.flush(ctx); err != nil {
		return nil, err
	}
	f, err := s.fork()
	if err != nil {
		return nil, err
	}
	f.closing = s.closing // callbacks may close the session
	defer func() {
		s.mu.Lock()
		s.ops += f.ops
		s.mu.Unlock()
		f.free()
	}()
	if _, err := f.read(ctx, prompt); err != nil {
		return nil, err
	}
	return d.run(ctx, f)
}

// Decide returns how likely each of several texts is as the model's whole answer to the conversation and messages, and leaves both
// c.Messages and [Chat.Result] as they are. Only what the session does not hold yet is read, so that many questions about one text, or many
// texts with one instruction, cost little more than what is new in each. The model does not think before it decides, whatever
// Options.Thinking says, and nothing is dropped when the context is full. Otherwise it is like [Session.Decide].
func (c *Chat) Decide(ctx context.Context, options []string, messages ...chat.Message) ([]Likelihood, error) {
	s := c.s
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	s.options.Progress, s.options.Trace = c.Options.Progress, c.Options.Trace
	d, err := c.m.decision(options, DecideOptions{})
	if err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	asked := *c
	asked.Messages, asked.Options.Thinking = slices.Concat(c.Messages, messages), false
	prompt, err := asked.prompt(ctx)
	if err != nil {
		return nil, err
	}
	n := len(prompt.ids)
	if err := d.fit(n, s.limit); err != nil {
		return nil, err
	}
	if _, err := s.read(ctx, s.reuse(c.m.inputs(prompt, n), false)); err != nil {
		return nil, err
	}
	return d.run(ctx, s)
}
