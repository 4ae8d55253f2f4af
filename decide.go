package gemma4

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/sampler"
	"github.com/gogemma/gemma4/tensor"
)

const (
	// decidePositions is how many positions of options go through the model at once,
	decidePositions = 64
	// decideBytes what the keys and values of as many options may take, each of which has pages of its own, if they are more than
	decideBytes = 256 << 20
	// fewestOptions: what goes through the model with one look at its weights.
	fewestOptions = 8
)

// Odds are how likely the model is to write an option of a decision.
type Odds struct {
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

// Decide returns how likely the model is to continue the session's text and a prompt with each of several texts. It reads the prompt once,
// whose logits give the first token of every option; the other tokens are decoded together, in one step or a few, and what options have in
// common only once. So a classification costs one prompt. The session stays as it was: a prompt that is wanted again is better read before.
//
// An option is text, whatever it looks like, and counts as the tokens that the tokenizer makes of it by itself. They are decoded, so that
// LogProb has the bits that [Session.Write] gives. While it runs, Decide takes memory for the keys and values of prompt and options, beside
// that of the session.
//
// Options that are empty, not UTF-8 or the same as another are an error, as are those too long for the context, with a [ContextError].
func (s *Session) Decide(ctx context.Context, prompt []Input, options []string, o DecideOptions) ([]Odds, error) {
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
func (c *Chat) Decide(ctx context.Context, options []string, messages ...chat.Message) ([]Odds, error) {
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
	if err := textOnly(asked.Messages); err != nil {
		return nil, err
	}
	ids, err := asked.Prompt(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.fit(len(ids), s.limit); err != nil {
		return nil, err
	}
	if _, err := s.read(ctx, s.reuse([]Input{{Tokens: ids}}, false)); err != nil {
		return nil, err
	}
	return d.run(ctx, s)
}

// decision is a tree of the options' tokens, of which those with a common beginning share a path.
type decision struct {
	open    bool    // the text may go on behind an option,
	ends    []int32 // otherwise with one of these tokens
	root    beginning
	longest int // the option with the most tokens,
	tokens  int // and their number
	odds    []Odds
}

// beginning is a node of the tree: what some options begin with.
type beginning struct {
	id       int32 // its last token
	index    int   // of the option that it is the whole of; -1: none
	options  int   // how many begin with it
	children []*beginning
	logProb  float64 // of its tokens
}

// decision returns the tree of options.
func (m *Model) decision(options []string, o DecideOptions) (*decision, error) {
	if len(options) == 0 {
		return nil, errors.New("gemma4: no options to decide among")
	}
	d := &decision{open: o.Open, ends: m.tok.Ends(), root: beginning{index: -1}, odds: make([]Odds, len(options))}
	if len(d.ends) == 0 && !o.Open {
		return nil, errors.New("gemma4: the vocabulary has no token that ends an option")
	}
	type edge struct {
		from *beginning
		id   int32
	}
	nodes := map[edge]*beginning{}
	for i, text := range options {
		if text == "" || !utf8.ValidString(text) {
			return nil, fmt.Errorf("gemma4: option %d is empty or not UTF-8: %.40q", i, text)
		}
		ids, n := m.literal(text), &d.root
		for _, id := range ids {
			next := nodes[edge{n, id}]
			if next == nil {
				next = &beginning{id: id, index: -1}
				nodes[edge{n, id}] = next
				n.children = append(n.children, next)
			}
			n = next
			n.options++
		}
		if n.index >= 0 {
			return nil, fmt.Errorf("gemma4: options %d and %d are the same: %.40q", n.index, i, text)
		}
		n.index, d.odds[i].Option = i, text
		if len(ids) > d.tokens {
			d.longest, d.tokens = i, len(ids)
		}
	}
	return d, nil
}

// literal returns the tokens of a text that holds no markup, whatever it looks like.
func (m *Model) literal(text string) []int32 {
	all := make([]int, len(text))
	for i := range all {
		all[i] = i
	}
	return m.tok.EncodeLiteral(text, all)
}

// fit returns an error if there is not room for each option behind a text.
func (d *decision) fit(text, limit int) error {
	need := text + d.tokens
	if d.open {
		need-- // what follows the last token does not matter
	}
	if need <= limit {
		return nil
	}
	return fmt.Errorf("gemma4: option %d, %.40q: %w", d.longest, d.odds[d.longest].Option, &ContextError{Need: need, Limit: limit})
}

// run decides what follows the text of a session.
func (d *decision) run(ctx context.Context, s *Session) ([]Odds, error) {
	if len(s.logits) == 0 {
		return nil, errors.New("gemma4: nothing to continue: the prompt is empty, and nothing was read since the session was rewound")
	}
	f, err := s.options.Cache.format()
	if err != nil {
		return nil, err
	}
	w := &deciding{decision: d, s: s, format: f}
	defer w.close() // also when a callback panics
	d.score(&d.root, s.logits)
	w.part(s.seq, s.seq.Len(), &d.root, nil)
	for len(w.forks) > 0 {
		if err := w.step(ctx); err != nil {
			return nil, err
		}
	}
	d.normalise()
	return d.odds, nil
}

// deciding takes a tree of options through the model, behind the text of a session.
type deciding struct {
	*decision
	s      *Session
	format tensor.Format
	forks  []parting // where to go on; first from the last
	ways   []*way    // used again in each step
}

// parting is where options part: a text, and the nodes behind it that have not gone through the model yet.
type parting struct {
	text *model.Snapshot
	next []*beginning
}

// way is what goes through the model in one step behind one text.
type way struct {
	model.Chunk
	nodes []*beginning
}

func (w *deciding) close() {
	for _, f := range w.forks {
		f.text.Release()
	}
	for _, y := range w.ways {
		y.Sequence.Close()
	}
}

// step decodes as many nodes as may be at once.
func (w *deciding) step(ctx context.Context) error {
	var chunks []*model.Chunk
	positions := 0
	for len(w.forks) > 0 && len(chunks) < w.most() && positions < decidePositions {
		y, err := w.way(len(chunks))
		if err != nil {
			return wrap(err)
		}
		if err := w.take(y, decidePositions-positions); err != nil {
			return wrap(err)
		}
		chunks = append(chunks, &y.Chunk)
		positions += len(y.nodes)
	}
	took, err := w.s.inPass(func(p *model.Pass) error { return p.Decode(ctx, chunks...) })
	if err != nil {
		return wrap(err)
	}
	for _, y := range w.ways[:len(chunks)] {
		if y.Err != nil {
			return wrap(y.Err)
		}
		n := y.Sequence.Len() - len(y.nodes)
		for i, node := range y.nodes {
			w.part(y.Sequence, n+i+1, node, y.nodes[i+1:])
		}
	}
	w.s.options.Trace.stepped(took, positions, len(w.s.ids))
	return w.s.open()
}

// most returns how many texts may go on at once.
func (w *deciding) most() int {
	return int(max(fewestOptions, decideBytes/w.s.m.graph.CacheBytes(1, w.format, 1)))
}

// way returns the i-th way of a step.
func (w *deciding) way(i int) (*way, error) {
	if i == len(w.ways) {
		q, err := w.s.m.graph.NewSequence(model.SequenceOptions{Context: w.s.limit, Cache: w.format})
		if err != nil {
			return nil, err
		}
		y := &way{Chunk: model.Chunk{Sequence: q, Input: make([]Input, 1), Want: every}}
		y.Yield = func(pos int, logits []float32) error {
			w.score(y.nodes[pos-y.Sequence.Len()], logits)
			return nil
		}
		w.ways = append(w.ways, y)
	}
	return w.ways[i], nil
}

// take makes the next node and those behind it a way, up to room positions: on the one that most options take. Whoever leaves it waits for
// another step, no more often than the number of options can be halved.
func (w *deciding) take(y *way, room int) error {
	f := &w.forks[len(w.forks)-1]
	if _, err := y.Sequence.Adopt(f.text, f.text.Len()); err != nil {
		return err
	}
	ids := y.Input[0].Tokens[:0]
	y.nodes = y.nodes[:0]
	for next := f.next[len(f.next)-1:]; len(next) > 0 && len(ids) < room; {
		n := slices.MaxFunc(next, func(a, b *beginning) int { return a.options - b.options })
		ids, y.nodes, next = append(ids, n.id), append(y.nodes, n), w.unread(n)
	}
	y.Input[0].Tokens = ids
	if f.next = f.next[:len(f.next)-1]; len(f.next) == 0 {
		f.text.Release()
		w.forks = w.forks[:len(w.forks)-1]
	}
	return nil
}

// part notes where to go on behind a node, the n-th position of a text, but for those on the way that the text has taken.
func (w *deciding) part(q *model.Sequence, n int, node *beginning, way []*beginning) {
	next := w.unread(node)
	if len(way) > 0 {
		next = slices.DeleteFunc(next, func(n *beginning) bool { return n == way[0] })
	}
	if len(next) > 0 {
		w.forks = append(w.forks, parting{q.SnapshotOf(n), next})
	}
}

// unread returns the children of a node that have to go through the model: all but the last tokens of options that may go on.
func (d *decision) unread(n *beginning) (list []*beginning) {
	for _, c := range n.children {
		if !d.open || len(c.children) > 0 {
			list = append(list, c)
		}
	}
	return list
}

// score takes the logits of what follows a node.
func (d *decision) score(n *beginning, logits []float32) {
	p := sampler.NewLogProbs(logits)
	for _, c := range n.children {
		c.logProb = n.logProb + p.Of(c.id)
		if c.index >= 0 && d.open {
			d.odds[c.index].LogProb = c.logProb
		}
	}
	if n.index >= 0 && !d.open {
		var ends []float64
		for _, id := range d.ends {
			ends = append(ends, p.Of(id))
		}
		d.odds[n.index].LogProb = n.logProb + logSum(ends)
	}
}

// normalise sets the options' shares.
func (d *decision) normalise() {
	var all []float64
	for _, o := range d.odds {
		all = append(all, o.LogProb)
	}
	sum := logSum(all)
	for i := range d.odds {
		d.odds[i].Prob = math.Exp(d.odds[i].LogProb - sum)
	}
}

// logSum returns the logarithm of a sum of numbers that are given by their logarithms.
func logSum(logs []float64) float64 {
	top := slices.Max(logs)
	sum := 0.0
	for _, x := range logs {
		sum += math.Exp(x - top)
	}
	return top + math.Log(sum)
}
