package gemma4

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/sampler"
	"github.com/gogemma/gemma4/tokenizer"
)

// GenerateOptions say how text is generated. The zero value samples as the model's maker recommends, until the model ends.
type GenerateOptions struct {
	// Sampling changes how the next token is chosen, for which [Model.Sampling] gives the advice: new(0.0) as Temperature takes the most
	// likely. Without a Seed every generation draws its own, which Result tells; with one it can be repeated.
	Sampling sampler.Overrides
	// MaxTokens ends the generation after that many tokens; 0: only the context does.
	MaxTokens int
	// Stop ends the generation before any of these strings, UTF-8 and not empty, appears in the text.
	Stop []string
	// LogProbs asks for the log-probability of each token, and for that many of the most likely ones in Token.Top; 0: none.
	LogProbs int
	// Grammar, if set, is what the text obeys; it must be made for [Model.Vocabulary]. Each token is drawn with the probability that it has
	// among those that the grammar allows, and the text ends where the grammar lets the model end it. What has no alternative is written
	// without asking the model, whatever Sampling says of it, several tokens in a step. When MaxTokens or the context leave little room,
	// tokens after which the text could not be ended in time are left out, too: Result.Whole tells that the text is whole. What ends it
	// earlier, as a Stop string or the caller, leaves it as it is. A text that meets a bound of package grammar ends with an error.
	Grammar *grammar.Grammar
	// ThinkTokens bounds the tokens of thoughts, between <|channel> and <channel|>, whoever has opened the thought: when they are spent it
	// is closed, and none follows; 0: no bound.
	ThinkTokens int
	// RepeatGuard ends the generation, with ReasonRepeat, when it has come into a loop: when its last 512 tokens or more are one piece of
	// text four times or more. Under a Grammar the text is brought to its end by the fewest tokens.
	RepeatGuard bool
	// Draft says what guesses the text ahead; the zero value does, and changes nothing of it but how fast it comes.
	Draft Draft
	// Process, if set, may change the logits [vocabulary] of the next token, a copy, after penalties and biases and before a Grammar. The
	// tokens generated so far are not to be changed. It is not asked about tokens that are forced.
	Process func(generated []int32, logits []float32)
	// Markup shows the text of control tokens, too. A [Chat], which reads them, refuses it.
	Markup bool
}

// check reports the first option that makes no sense for any model.
func (o GenerateOptions) check() error {
	if o.MaxTokens < 0 || o.LogProbs < 0 || o.ThinkTokens < 0 {
		return fmt.Errorf("gemma4: MaxTokens %d, LogProbs %d, ThinkTokens %d: none can be negative", o.MaxTokens, o.LogProbs, o.ThinkTokens)
	}
	if i := slices.IndexFunc(o.Stop, func(s string) bool { return s == "" || !utf8.ValidString(s) }); i >= 0 {
		return fmt.Errorf("gemma4: Stop[%d] is empty or not UTF-8, and would never stop anything", i)
	}
	return o.Draft.check()
}

// checkFor is check, and reports sampling that makes no sense for the model.
func (o GenerateOptions) checkFor(m *Model) error {
	if err := o.check(); err != nil {
		return err
	}
	if err := m.sampling.With(o.Sampling).Validate(m.graph.Vocabulary); err != nil {
		return fmt.Errorf("gemma4: %w", err)
	}
	return nil
}

// Token is one step of a generation.
type Token struct {
	// Event is what the step adds: its Text, always whole characters and often empty, and in a [Chat] also whether it is
	// answer or thought, and the tool calls.
	chat.Event
	// ID is the token, or −1 where text that was held back comes after the last one, or an error.
	ID int32
	// LogProb is the natural logarithm of the token's probability, and Top are the most likely tokens, best first, both before
	// any sampling option. They are set if GenerateOptions.LogProbs is.
	LogProb float64
	Top     []sampler.Candidate
}

// noID is the ID of a Token that is none.
const noID = -1

// Generate appends a prompt to the session and generates what follows, token by token. The tokens become part of the session
// as they are yielded.
//
// The loop may be left at any time, and ctx stops it within a layer, even in a long prompt; the session stays usable. An error ends the
// loop: the text that was held back for a stop string is yielded, and then the error, once. The end of ctx is an error, a full context is
// not. [Session.Result] tells the rest.
//
// The session is busy until the loop has ended: its body may look at the session, where Len counts the token at hand and Logits are those
// that it was chosen from, and may close it or the model, which ends the loop with [ErrClosed]. When an error is yielded the session is
// free again.
//
// Where a generation ends by itself (end of turn, length, stop string, full context) the last token goes through the model, too, which
// counts in no rate: Logits are those of what follows the whole text. Where the caller leaves or ctx ends they are unknown until the next
// call.
func (s *Session) Generate(ctx context.Context, prompt []Input, o GenerateOptions) iter.Seq2[Token, error] {
	return s.iterate(func(yield func(Token) bool) error { return s.generate(ctx, prompt, o, nil, nil, yield) })
}

// iterate returns the tokens that a call of the session yields, and its error behind them.
func (s *Session) iterate(call func(yield func(Token) bool) error) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		if err := s.claimed(func() error { return call(func(t Token) bool { return yield(t, nil) }) }); err != nil {
			yield(Token{ID: noID}, err)
		}
	}
}

// makeRoom is what a generation does when the context is full: it returns a shorter prompt to replace the text before the tokens generated
// so far, or nil to end, and what to do the next time. A nil one means to end.
type makeRoom func(generated int) (prompt []Input, next makeRoom, err error)

// generate is Generate for a call that has claimed the session. If from is set, the text obeys it instead of o.Grammar's beginning.
func (s *Session) generate(ctx context.Context, prompt []Input, o GenerateOptions, from *grammar.State, full makeRoom,
	yield func(Token) bool) (err error) {
	g := &generation{s: s, o: o, full: full, result: Result{Reason: ReasonBreak}} // unless it ends in another way; yield may panic
	defer func() {
		if err != nil {
			g.result.Reason = reasonOf(err)
		}
		s.m.schedule.leave(s.job)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.result, s.drawn = g.result, false
	}()
	defer g.endDrafts() // before that, and Trace may panic in it
	if g.constraint, err = s.m.constrain(o.Grammar, from); err != nil {
		return err
	}
	if o.Grammar != nil {
		g.result.Loosened = o.Grammar.Loosened()
	}
	if err := s.inModel(func() error { return g.start(ctx, prompt) }); err != nil {
		return err
	}
	for more := true; more; {
		var tok Token
		if err := s.inModel(func() (err error) {
			if tok, more, err = g.step(ctx); !more && err == nil {
				err = s.fillLogits()
			}
			return err
		}); err != nil {
			if rest := g.stop.rest; rest != "" {
				yield(Token{ID: noID, Event: chat.Event{Text: rest}})
			}
			return err
		}
		if (tok.ID != noID || tok.Text != "") && !yield(tok) {
			return nil
		}
	}
	return nil
}

// generation is the state of one Generate.
type generation struct {
	s       *Session
	o       GenerateOptions
	full    makeRoom // nil: a full context ends it
	first   int      // where the tokens generated begin in the session
	sampler *sampler.Sampler
	text    *tokenizer.Decoder
	stop    stopper
	began   time.Time // of the step
	result  Result

	constraint *constraint // nil: anything may follow
	drafts     *drafting   // nil: nothing is guessed
	nesting    nesting
	thought    thought
	loops      *loops    // nil: they are not looked for
	steered    Reason    // why a grammar is brought to its end
	forced     []int32   // what must come next
	generated  []int32   // for GenerateOptions.Process
	few        []float32 // room for the logits of few tokens
	bits       []uint64  // room for a mask
}

// start reads the prompt.
func (g *generation) start(ctx context.Context, prompt []Input) error {
	s := g.s
	if err := g.o.check(); err != nil {
		return err
	}
	options := s.m.sampling.With(g.o.Sampling)
	if g.o.Sampling.Seed == nil {
		options.Seed = rand.Uint64() >> 11 // 53 bits: a JSON number holds it
	}
	g.result.Seed = options.Seed
	var err error
	if g.sampler, err = sampler.New(s.m.graph.Vocabulary, options); err != nil {
		return fmt.Errorf("gemma4: %w", err)
	}
	if g.drafts, err = g.newDrafting(options); err != nil {
		return err
	}
	if process := g.o.Process; process != nil {
		g.sampler.Process = func(logits []float32) { process(g.generated, logits) }
	}
	if c := g.constraint; c != nil {
		c.greedy = options.Temperature == 0
		if g.o.LogProbs > 0 || g.o.Process != nil {
			c.ids = nil
		}
	}
	if g.o.RepeatGuard {
		g.loops = new(loops)
	}
	s.mu.Lock()
	s.count = 0
	s.mu.Unlock()
	g.text = s.m.tok.NewDecoder(g.o.Markup)
	g.stop = stopper{strings: g.o.Stop}

	began := time.Now()
	g.result.Reused, err = s.read(ctx, prompt)
	g.result.PromptTime = time.Since(began)
	g.result.Prompt = len(s.ids) - g.result.Reused
	if err != nil {
		return err
	}
	if len(s.logits) == 0 && len(s.ids) < s.limit {
		return errors.New("gemma4: nothing to continue: the prompt is empty, and nothing was read since the session was rewound")
	}
	g.first = len(s.ids)
	g.accept()
	g.nesting = newNesting(s.m.tok)
	g.thought = newThought(s.m.tok, s.ids, g.o.ThinkTokens)
	g.force()
	return nil
}

// accept shows the sampler the session's text, to look back on.
func (g *generation) accept() {
	g.sampler.Reset()
	if d := g.drafts; d != nil && d.sampler != nil {
		d.sampler.Reset()
	}
	for _, id := range g.s.ids {
		if id, ok := id.Token(); ok {
			g.taken(id)
		}
	}
}

// taken shows the samplers a token of the text.
func (g *generation) taken(id int32) {
	g.sampler.Accept(id)
	if d := g.drafts; d != nil && d.sampler != nil {
		d.sampler.Accept(id)
	}
}

// step takes the last token through the graph and picks the next. more is false when the generation has ended; tok is then the text that
// was held back.
func (g *generation) step(ctx context.Context) (tok Token, more bool, err error) {
	s := g.s
	g.began = time.Now()
	if err := s.open(); err != nil {
		return tok, false, err
	}
	over := g.over()
	if over != ReasonNone {
		g.conclude() // before another step takes the place of the one that checked
		err = s.flush(ctx)
	} else {
		err = g.catchUp(ctx)
	}
	forced := len(g.forced) > 0
	var id int32
	if over == ReasonNone && err == nil {
		id, over, err = g.next(ctx)
	}
	if err != nil {
		return tok, false, err
	}
	if over != ReasonNone {
		return g.finish(over), false, nil
	}
	g.count()
	if g.o.LogProbs > 0 {
		p := sampler.NewLogProbs(s.logits)
		tok.LogProb, tok.Top = p.Of(id), p.Top(g.o.LogProbs)
	}
	g.add(id, forced)
	tok.ID = id
	text, found := g.stop.push(g.text.Next(id))
	tok.Text = text
	if found != "" {
		g.result.Reason, g.result.Stop = ReasonStop, found
	}
	return tok, true, nil
}

// over returns why no more tokens come, if that is known before another is chosen.
func (g *generation) over() Reason {
	switch {
	case g.result.Reason == ReasonStop:
		return ReasonStop
	case g.o.MaxTokens > 0 && g.result.Generated >= g.o.MaxTokens:
		return cmp.Or(g.steered, ReasonLength)
	case g.steered == ReasonRepeat && (g.constraint == nil || g.constraint.state.CanEnd()):
		return ReasonRepeat
	}
	return ReasonNone
}

// next returns the next token, or why none comes. Where the context is full it makes room, and chooses again.
func (g *generation) next(ctx context.Context) (id int32, over Reason, err error) {
	s := g.s
	for {
		full := len(s.ids) >= s.limit
		switch {
		case len(g.forced) > 0:
			id = g.forced[0]
		case !full || g.result.Generated > 0: // an answer may end where it fills the context
			if id, err = g.choose(); err != nil {
				return 0, ReasonNone, fmt.Errorf("gemma4: %w", err)
			}
			if s.m.tok.IsEnd(id) {
				g.end(id)
				return 0, cmp.Or(g.steered, ReasonEnd), nil
			}
		}
		if !full {
			return id, ReasonNone, nil
		}
		if ok, err := g.shift(ctx); err != nil || !ok {
			return 0, ReasonContext, err
		}
	}
}

// shift continues with a shorter prompt, if there is one. Its time is the prompt's, not the step's.
func (g *generation) shift(ctx context.Context) (ok bool, err error) {
	if g.full == nil {
		return false, nil
	}
	began := time.Now()
	defer func() {
		took := time.Since(began)
		g.result.PromptTime += took
		g.began = g.began.Add(took)
	}()
	s := g.s
	s.compare()
	s.undraft()
	prompt, next, err := g.full(len(s.ids) - g.first)
	if g.full = next; err != nil || prompt == nil {
		return false, err
	}
	generated := Input{Tokens: appendTokens(nil, s.ids[g.first:])}
	g.first = s.m.graph.Positions(prompt...)
	reused, err := s.read(ctx, s.reuse(append(prompt, generated), true))
	s.ends(g.first)
	g.result.Reused += reused
	g.result.Prompt += len(s.ids) - reused
	if err == nil {
		g.accept()
	}
	return err == nil, err
}

// end notes the token that ends the text.
func (g *generation) end(id int32) {
	g.count()
	if g.constraint != nil {
		g.constraint.accept(id)
	}
	g.result.EndID = id
}

// add makes a token part of the text.
func (g *generation) add(id int32, forced bool) {
	s := g.s
	g.taken(id)
	info := MaskInfo{Forced: forced}
	if c := g.constraint; c != nil {
		info.Allowed, info.Duration = c.made()
		c.accept(id)
		g.nesting.accept(id)
	}
	g.thought.accept(id)
	g.result.Thought = g.thought.all
	if g.o.Process != nil {
		g.generated = append(g.generated, id)
	}
	g.result.Generated++
	s.mu.Lock()
	s.drawn = !s.behind()
	s.ids = append(s.ids, identity(id))
	s.count++
	s.mu.Unlock()
	if g.loops != nil && g.loops.push(id) {
		g.steered = cmp.Or(g.steered, ReasonRepeat)
	}
	if forced {
		g.forced = slices.Delete(g.forced, 0, 1)
	}
	if len(g.forced) == 0 {
		g.force()
	}
	g.masked(info)
}

// count adds the time of a step. The first token counts to the prompt.
func (g *generation) count() {
	if g.result.Generated > 0 {
		g.result.GenerateTime += time.Since(g.began)
	}
}

// finish ends the generation; its token is the text that was held back.
func (g *generation) finish(over Reason) Token {
	if over == ReasonStop { // nothing counts behind the string
		return Token{ID: noID}
	}
	text, found := g.stop.push(g.text.Flush())
	if found != "" {
		g.result.Reason, g.result.Stop = ReasonStop, found
	} else {
		text += g.stop.rest
		g.result.Reason, g.result.Whole = over, g.constraint != nil && g.constraint.state.CanEnd()
	}
	return Token{ID: noID, Event: chat.Event{Text: text}}
}
