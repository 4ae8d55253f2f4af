package gemma4

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

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

// decision is a tree of the options' tokens, of which those with a common beginning share a path.
type decision struct {
	open        bool    // the text may go on behind an option,
	ends        []int32 // otherwise with one of these tokens
	root        node
	longest     int // the option with the most tokens,
	tokens      int // and their number
	likelihoods []Likelihood
}

// node is what some options begin with.
type node struct {
	id       int32 // its last token
	index    int   // of the option that it is the whole of; -1: none
	options  int   // how many begin with it
	children []*node
	logProb  float64 // of its tokens
}

// decision returns the tree of options.
func (m *Model) decision(options []string, o DecideOptions) (*decision, error) {
	if len(options) == 0 {
		return nil, errors.New("gemma4: no options to decide among")
	}
	d := &decision{open: o.Open, ends: m.tok.Ends(), root: node{index: -1}, likelihoods: make([]Likelihood, len(options))}
	if len(d.ends) == 0 && !o.Open {
		return nil, errors.New("gemma4: the vocabulary has no token that ends an option")
	}
	type edge struct {
		from *node
		id   int32
	}
	nodes := map[edge]*node{}
	for i, text := range options {
		if text == "" || !utf8.ValidString(text) {
			return nil, fmt.Errorf("gemma4: option %d is empty or not UTF-8: %.40q", i, text)
		}
		ids, n := m.literal(text), &d.root
		for _, id := range ids {
			next := nodes[edge{n, id}]
			if next == nil {
				next = &node{id: id, index: -1}
				nodes[edge{n, id}] = next
				n.children = append(n.children, next)
			}
			n = next
			n.options++
		}
		if n.index >= 0 {
			return nil, fmt.Errorf("gemma4: options %d and %d are the same: %.40q", n.index, i, text)
		}
		n.index, d.likelihoods[i].Option = i, text
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
	return fmt.Errorf("gemma4: option %d, %.40q: %w", d.longest, d.likelihoods[d.longest].Option, &ContextError{Need: need, Limit: limit})
}

// run decides what follows the text of a session.
func (d *decision) run(ctx context.Context, s *Session) ([]Likelihood, error) {
	if len(s.logits) == 0 {
		return nil, errors.New("gemma4: nothing to continue: the prompt is empty, and nothing was read since the session was rewound")
	}
	f, err := s.options.Cache.format()
	if err != nil {
		return nil, err
	}
	w := &walk{decision: d, s: s, format: f}
	defer w.close() // also when a callback panics
	d.score(&d.root, s.logits)
	w.part(s.seq, s.seq.Len(), &d.root, nil)
	for len(w.branches) > 0 {
		if err := w.step(ctx); err != nil {
			return nil, err
		}
	}
	d.normalise()
	return d.likelihoods, nil
}

// walk takes a tree of options through the model, behind the text of a session.
type walk struct {
	*decision
	s        *Session
	format   tensor.Format
	branches []branch // where to go on; first from the last
	paths    []*path  // used again in each step
}

// branch is where options part: a text, and the nodes behind it that have not gone through the model yet.
type branch struct {
	text *model.Snapshot
	next []*node
}

// path is what goes through the model in one step behind one text.
type path struct {
	model.Chunk
	nodes []*node
}

func (w *walk) close() {
	for _, b := range w.branches {
		b.text.Release()
	}
	for _, p := range w.paths {
		p.Sequence.Close()
	}
}

// step decodes as many nodes as may be at once.
func (w *walk) step(ctx context.Context) error {
	var chunks []*model.Chunk
	positions := 0
	for len(w.branches) > 0 && len(chunks) < w.most() && positions < decidePositions {
		p, err := w.path(len(chunks))
		if err != nil {
			return wrap(err)
		}
		if err := w.take(p, decidePositions-positions); err != nil {
			return wrap(err)
		}
		chunks = append(chunks, &p.Chunk)
		positions += len(p.nodes)
	}
	took, err := w.s.inPass(func(pass *model.Pass) error { return pass.Decode(ctx, chunks...) })
	if err != nil {
		return wrap(err)
	}
	for _, p := range w.paths[:len(chunks)] {
		if p.Err != nil {
			return wrap(p.Err)
		}
		n := p.Sequence.Len() - len(p.nodes)
		for i, node := range p.nodes {
			w.part(p.Sequence, n+i+1, node, p.nodes[i+1:])
		}
	}
	w.s.options.Trace.stepped(took, positions, 0, len(w.s.ids))
	return w.s.open()
}

// most returns how many texts may go on at once.
func (w *walk) most() int {
	return int(max(fewestOptions, decideBytes/w.s.m.graph.CacheBytes(1, w.format, 1)))
}

// path returns the i-th path of a step.
func (w *walk) path(i int) (*path, error) {
	if i == len(w.paths) {
		q, err := w.s.m.graph.NewSequence(model.SequenceOptions{Context: w.s.limit, Cache: w.format, Adapters: w.s.options.Adapters})
		if err != nil {
			return nil, err
		}
		p := &path{Chunk: model.Chunk{Sequence: q, Input: make([]Input, 1), Want: every}}
		p.Yield = func(pos int, logits []float32) error {
			w.score(p.nodes[pos-p.Sequence.Len()], logits)
			return nil
		}
		w.paths = append(w.paths, p)
	}
	return w.paths[i], nil
}

// take makes the next node and those behind it a path, up to room positions: the one that most options take. Whoever leaves it waits for
// another step, no more often than the number of options can be halved.
func (w *walk) take(p *path, room int) error {
	b := &w.branches[len(w.branches)-1]
	if _, err := p.Sequence.Adopt(b.text, b.text.Len()); err != nil {
		return err
	}
	ids := p.Input[0].Tokens[:0]
	p.nodes = p.nodes[:0]
	for next := b.next[len(b.next)-1:]; len(next) > 0 && len(ids) < room; {
		n := slices.MaxFunc(next, func(a, b *node) int { return a.options - b.options })
		ids, p.nodes, next = append(ids, n.id), append(p.nodes, n), w.unread(n)
	}
	p.Input[0].Tokens = ids
	if b.next = b.next[:len(b.next)-1]; len(b.next) == 0 {
		b.text.Release()
		w.branches = w.branches[:len(w.branches)-1]
	}
	return nil
}

// part notes where to go on behind node n, the position before at of a text, except along the path that the text has taken.
func (w *walk) part(q *model.Sequence, at int, n *node, path []*node) {
	next := w.unread(n)
	if len(path) > 0 {
		next = slices.DeleteFunc(next, func(n *node) bool { return n == path[0] })
	}
	if len(next) > 0 {
		w.branches = append(w.branches, branch{q.SnapshotOf(at), next})
	}
}

// unread returns the children of a node that have to go through the model: all but the last tokens of options that may go on.
func (d *decision) unread(n *node) (list []*node) {
	for _, c := range n.children {
		if !d.open || len(c.children) > 0 {
			list = append(list, c)
		}
	}
	return list
}

// score takes the logits of what follows a node.
func (d *decision) score(n *node, logits []float32) {
	p := sampler.NewLogProbs(logits)
	for _, c := range n.children {
		c.logProb = n.logProb + p.Of(c.id)
		if c.index >= 0 && d.open {
			d.likelihoods[c.index].LogProb = c.logProb
		}
	}
	if n.index >= 0 && !d.open {
		var ends []float64
		for _, id := range d.ends {
			ends = append(ends, p.Of(id))
		}
		d.likelihoods[n.index].LogProb = n.logProb + logSum(ends)
	}
}

// normalise sets the options' shares.
func (d *decision) normalise() {
	var all []float64
	for _, o := range d.likelihoods {
		all = append(all, o.LogProb)
	}
	sum := logSum(all)
	for i := range d.likelihoods {
		d.likelihoods[i].Prob = math.Exp(d.likelihoods[i].LogProb - sum)
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
