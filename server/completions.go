package server

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/sampler"
)

// completionRequest is the body of POST /v1/completions.
type completionRequest struct {
	Prompt   json.RawMessage `json:"prompt"`
	Suffix   string          `json:"suffix"`
	Echo     bool            `json:"echo"`
	Logprobs *whole          `json:"logprobs"`
	BestOf   *whole          `json:"best_of"`
	generating
}

// completionChoice is an answer, or a piece of one.
type completionChoice struct {
	Index        int                 `json:"index"`
	Text         string              `json:"text"`
	Logprobs     *completionLogprobs `json:"logprobs"`
	FinishReason *string             `json:"finish_reason"`
}

// completion is what is written: a whole answer, or an event of a stream.
type completion struct {
	head
	Choices  []completionChoice `json:"choices"`
	Usage    *usage             `json:"usage,omitempty"`
	Timings  *timings           `json:"timings,omitempty"`
	Progress *progress          `json:"prompt_progress,omitempty"`
}

// completionLogprobs are the probabilities of tokens as OpenAI's completions tell them: nil where there is none, as for the first token of
// a text. Offsets are characters from the beginning of the text.
type completionLogprobs struct {
	Tokens   []string             `json:"tokens"`
	Logprobs []*float64           `json:"token_logprobs"`
	Top      []map[string]float64 `json:"top_logprobs"`
	Offset   []int                `json:"text_offset"`
}

// completed is a prompt and what has come of it.
type completed struct {
	ids    []int32
	text   string         // that echo tells
	tokens []gemma4.Token // of that, with probabilities if they are wanted
	offset []int          // of each answer: how long its text is by its tokens, in characters
}

// completions continues texts, as OpenAI's completions do.
func (c *call) completions() error {
	var b completionRequest
	if err := c.read(&b); err != nil {
		return err
	}
	r, prompts, err := b.request(c)
	if err != nil {
		return err
	}
	if q := c.s.q.Stats(); len(prompts) > q.Slots/r.N+q.MaxWaiting { // however often they came again
		return bad("prompt", "prompt has %d texts, expected %d at most", len(prompts), q.Slots/r.N+q.MaxWaiting)
	}
	if b.Echo && b.Logprobs != nil {
		for _, p := range prompts {
			if p.tokens, err = c.measure(p.ids, b.Logprobs.or(0)); err != nil {
				return err
			}
			if len(p.ids) > 0 && p.ids[0] == c.s.m.Tokenizer().BOS() && !strings.HasPrefix(p.text, c.s.m.Tokenizer().Text(p.ids[0])) {
				p.tokens = p.tokens[1:]
			}
		}
	}
	if b.silent() {
		return c.echo(&b, prompts)
	}
	all := make([]iter.Seq2[delta, error], len(prompts))
	var cancel context.CancelCauseFunc
	c.ctx, cancel = context.WithCancelCause(c.ctx)
	defer cancel(nil)
	var f *follower
	for i, p := range prompts {
		r.Prompt, r.Trace = []gemma4.Input{{Tokens: p.ids}}, nil
		if i == 0 {
			f = follow(&r)
		}
		pieces, err := c.answers(r)
		if err != nil {
			return err
		}
		all[i] = c.deltas(pieces, "")
	}
	w := &completionWriter{c: c, b: &b, n: r.N, prompts: prompts, f: f, answers: make([][]*answer, len(prompts))}
	w.head = c.head("cmpl-", "text_completion")
	if b.Stream {
		w.st = c.events()
	}
	if err := w.echo(); err != nil {
		return err
	}
	if err := each(all, w.write, cancel); err != nil {
		return err
	}
	return w.end()
}

// request makes one for the queue that lacks its prompt, and returns the prompts.
func (b *completionRequest) request(c *call) (r gemma4.Request, prompts []*completed, err error) {
	switch n := b.N.or(1); {
	case b.Suffix != "":
		return r, nil, unsupported("suffix", "suffix: this model writes what follows a text, not what is missing in one")
	case b.BestOf.or(n) != n:
		return r, nil, unsupported("best_of", "best_of is %d, expected the same as n, %d", *b.BestOf, n)
	}
	top := -1
	if b.Logprobs != nil {
		if top = int(*b.Logprobs); top < 0 || top > mostTop {
			return r, nil, bad("logprobs", "logprobs is %d, expected 0 to %d", top, mostTop)
		}
	}
	common := b.generating
	if b.silent() {
		common.MaxTokens = nil
	}
	if r, err = common.request(c, top); err != nil {
		return r, nil, err
	}
	if prompts, err = c.prompts(b.Prompt); err != nil {
		return r, nil, err
	}
	for _, p := range prompts {
		p.offset = make([]int, r.N)
	}
	return r, prompts, nil
}

// silent reports whether nothing is to be written but the prompt, whose probabilities are all that is wanted.
func (b *completionRequest) silent() bool {
	return b.Echo && b.MaxCompletionTokens == nil && b.MaxTokens.or(1) == 0
}

// prompts reads one or several prompts, each a text or the numbers of its tokens. A text has the token that begins all texts in front.
func (c *call) prompts(text json.RawMessage) (list []*completed, err error) {
	const param = "prompt"
	tok := c.s.m.Tokenizer()
	ofText := func(text string) *completed { return &completed{ids: tok.WithBOS(tok.Encode(text, true)), text: text} }
	ofIDs := func(path string, text json.RawMessage) (*completed, error) {
		var ids []int32
		if err := decodeAt(path, text, &ids); err != nil {
			return nil, err
		}
		if len(ids) == 0 {
			return nil, bad(path, "%s has no tokens", path)
		}
		for i, id := range ids {
			if id < 0 || int(id) >= tok.Size() {
				return nil, bad(fmt.Sprintf("%s[%d]", path, i), "%s[%d] is %d, expected a token from 0 to %d", path, i, id, tok.Size()-1)
			}
		}
		return &completed{ids: ids, text: tok.Decode(ids, true)}, nil
	}
	if !present(text) {
		return nil, bad(param, "%s is missing", param)
	}
	if text[0] == '"' {
		var one string
		err := decodeAt(param, text, &one)
		return []*completed{ofText(one)}, err
	}
	var items []json.RawMessage
	if err := decodeAt(param, text, &items); err != nil {
		return nil, bad(param, "%s: %s, expected a string, or an array of strings or tokens", param, jsonKind(text))
	}
	if len(items) == 0 {
		return nil, bad(param, "%s is empty", param)
	}
	if items[0][0] != '"' && items[0][0] != '[' {
		p, err := ofIDs(param, text)
		return []*completed{p}, err
	}
	for i, item := range items {
		path := fmt.Sprintf("%s[%d]", param, i)
		if item[0] == '[' {
			p, err := ofIDs(path, item)
			if err != nil {
				return nil, err
			}
			list = append(list, p)
			continue
		}
		var one string
		if err := decodeAt(path, item, &one); err != nil {
			return nil, err
		}
		list = append(list, ofText(one))
	}
	return list, nil
}

// measure returns a text's tokens with their probabilities, and those of the top most likely ones. The first has none.
func (c *call) measure(ids []int32, top int) (tokens []gemma4.Token, err error) {
	if len(ids) > c.s.context {
		return nil, refused(&gemma4.ContextError{Need: len(ids), Limit: c.s.context})
	}
	var o gemma4.ChatOptions
	o.Context, o.Group = len(ids), c.group
	tokens = append(tokens, gemma4.Token{ID: ids[0]})
	err = c.s.q.Do(c.ctx, o, func(ctx context.Context, chat *gemma4.Chat) error {
		return chat.Session().AllLogits(ctx, ids, func(i int, logits []float32) error {
			if i++; i < len(ids) {
				p := sampler.NewLogProbs(logits)
				tokens = append(tokens, gemma4.Token{ID: ids[i], LogProb: p.Of(ids[i]), Top: p.Top(top)})
			}
			return nil
		})
	})
	return tokens, err
}

// each calls f with all of several answers' deltas at once. The first error ends the others.
func each(all []iter.Seq2[delta, error], f func(i int, deltas iter.Seq2[delta, error]) error, cancel context.CancelCauseFunc) error {
	if len(all) == 1 {
		return f(0, all[0])
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	var first error
	for i, deltas := range all {
		wait.Go(func() {
			err := error(nil)
			defer func() {
				if v := recover(); v != nil {
					err = fmt.Errorf("server: panic: %v\n%s", v, debug.Stack())
				}
				if err != nil {
					mu.Lock()
					defer mu.Unlock()
					if first == nil {
						first = err
						cancel(err)
					}
				}
			}()
			err = f(i, deltas)
		})
	}
	wait.Wait()
	return first
}

// completionWriter writes what comes of prompts, whole or as a stream.
type completionWriter struct {
	head
	c       *call
	b       *completionRequest
	st      *stream // nil: whole
	n       int     // answers to each prompt
	prompts []*completed
	f       *follower // of the first prompt

	mu      sync.Mutex
	choices []completionChoice // of whole answers
	answers [][]*answer        // of each prompt
	ended   int
}

// echo writes the prompts, if that is wanted.
func (w *completionWriter) echo() error {
	if w.st == nil {
		w.choices = make([]completionChoice, len(w.prompts)*w.n)
	}
	for i, p := range w.prompts {
		for j := range w.n {
			ch := completionChoice{Index: i*w.n + j}
			if w.b.Echo {
				ch.Text, ch.Logprobs = p.text, w.logprobs(p, j, p.tokens)
				p.offset[j] = utf8.RuneCountInString(p.text)
			}
			if w.st == nil {
				w.choices[ch.Index] = ch
			} else if ch.Text != "" {
				if err := w.st.send("", completion{head: w.head, Choices: []completionChoice{ch}}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// write writes the answers to prompt i.
func (w *completionWriter) write(i int, deltas iter.Seq2[delta, error]) error {
	stop := func() {}
	if i == 0 && w.st != nil && w.b.ReturnProgress {
		stop = w.f.tell(func(p progress) { w.st.send("", completion{head: w.head, Choices: []completionChoice{}, Progress: &p}) })
		defer func() { stop() }()
	}
	answers := make([]*answer, w.n)
	w.answers[i] = answers
	for d, err := range deltas {
		if stop(); err != nil {
			return err
		}
		answers[d.choice] = d.answer
		ch := completionChoice{Index: i*w.n + d.choice, Text: d.Text, Logprobs: w.logprobs(w.prompts[i], d.choice, d.tokens)}
		if w.st == nil {
			w.add(ch, d)
			continue
		}
		out := completion{head: w.head, Choices: []completionChoice{ch}}
		if i == 0 {
			w.f.tick()
		}
		if ch.Text != "" || len(d.tokens) > 0 {
			if i == 0 && w.b.TimingsPerToken {
				out.Timings = w.f.timings(d.written)
			}
			if err := w.st.send("", out); err != nil {
				return err
			}
		}
		if d.ended {
			out.Choices = []completionChoice{{Index: ch.Index, FinishReason: new(d.finish())}}
			out.Timings = timingsOf(d.result)
			w.mu.Lock()
			if w.ended++; w.ended == w.n*len(w.prompts) && !w.b.StreamOptions.IncludeUsage {
				out.Usage = w.usage()
			}
			w.mu.Unlock()
			if err := w.st.send("", out); err != nil {
				return err
			}
		}
	}
	return nil
}

// add adds a piece to a whole answer.
func (w *completionWriter) add(piece completionChoice, d delta) {
	ch := &w.choices[piece.Index]
	ch.Text += piece.Text
	if l := piece.Logprobs; l != nil && ch.Logprobs != nil {
		to := ch.Logprobs
		to.Tokens, to.Logprobs = append(to.Tokens, l.Tokens...), append(to.Logprobs, l.Logprobs...)
		to.Top, to.Offset = append(to.Top, l.Top...), append(to.Offset, l.Offset...)
	} else if l != nil {
		ch.Logprobs = l
	}
	if d.ended {
		ch.FinishReason = new(d.finish())
	}
}

// end writes what comes last.
func (w *completionWriter) end() error {
	out := completion{head: w.head, Choices: w.choices, Usage: w.usage(), Timings: timingsOf(w.answers[0][0].result)}
	if w.st == nil {
		return w.c.json(http.StatusOK, out)
	}
	if w.b.StreamOptions.IncludeUsage {
		out.Choices = []completionChoice{}
		if err := w.st.send("", out); err != nil {
			return err
		}
	}
	return w.st.done()
}

func (w *completionWriter) usage() *usage {
	var all count
	for _, answers := range w.answers {
		one := countOf(answers)
		all.prompt, all.cached = all.prompt+one.prompt, all.cached+one.cached
		all.written, all.thought = all.written+one.written, all.thought+one.thought
	}
	return all.usage()
}

// logprobs returns the probabilities of tokens that an answer to a prompt goes on with, if they are wanted.
func (w *completionWriter) logprobs(p *completed, choice int, tokens []gemma4.Token) *completionLogprobs {
	if w.b.Logprobs == nil || len(tokens) == 0 {
		return nil
	}
	l, tok, top := new(completionLogprobs), w.c.s.m.Tokenizer(), w.b.Logprobs.or(0)
	for _, t := range tokens {
		one := newLogprob(tok, t.ID, t.LogProb)
		l.Tokens = append(l.Tokens, one.Token)
		l.Offset = append(l.Offset, p.offset[choice])
		for _, b := range tokenBytes(tok, t.ID) {
			if utf8.RuneStart(b) {
				p.offset[choice]++
			}
		}
		if t.Top == nil && t.LogProb == 0 { // the first of a text
			l.Logprobs, l.Top = append(l.Logprobs, nil), append(l.Top, nil)
			continue
		}
		l.Logprobs = append(l.Logprobs, &one.LogProb)
		most := map[string]float64{}
		for _, c := range t.Top[:min(top, len(t.Top))] {
			other := newLogprob(tok, c.ID, c.LogProb)
			most[other.Token] = other.LogProb
		}
		l.Top = append(l.Top, most)
	}
	return l
}

// echo answers with the prompts alone.
func (c *call) echo(b *completionRequest, prompts []*completed) error {
	if b.Stream {
		return unsupported("stream", "a stream of the prompt alone: max_tokens is 0")
	}
	w := &completionWriter{c: c, b: b, n: 1, prompts: prompts, head: c.head("cmpl-", "text_completion")}
	if b.N.or(1) != 1 {
		return bad("n", "n is %d, expected 1: with max_tokens 0 all are the same", *b.N)
	}
	if err := w.echo(); err != nil {
		return err
	}
	var n count
	for i, p := range prompts {
		w.choices[i].FinishReason = new("length")
		n.prompt += len(p.ids)
	}
	return c.json(http.StatusOK, completion{head: w.head, Choices: w.choices, Usage: n.usage()})
}
