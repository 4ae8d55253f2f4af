package model

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/tensor"
)

// headBatch bounds the positions whose logits are held at once while they are handed over.
const headBatch = 16

// Input is a part of a prompt: tokens, or embeddings that a tower made from an image or a sound.
type Input struct {
	Tokens     []int32   // ids
	Embeddings []float32 // [positions, width], used if Tokens is empty
	Image      bool      // the embeddings are one image, whose positions see each other in models made that way
	// ID says what the embeddings are of: a hash of the picture or sound, of how it was prepared, and of the tower that made them. Inputs
	// with the same ID have the same embeddings, up to the end of the shorter. 0: unknown; they equal no others, not even themselves.
	ID uint64
	// IDs, of a sound, say the same of each embedding by itself, in place of ID: a hash of what it and those before it are made from.
	IDs []uint64
	// Later stands for embeddings that are not made yet, if neither Tokens nor Embeddings are there. No pass takes it: see [Input.Make].
	Later *Later
}

// Later is what embeddings can be made of when they are needed, which they are not if their keys and values are there already.
type Later struct {
	Count int // embeddings
	// Make returns the embeddings [Count, width].
	Make func(ctx context.Context) ([]float32, error)

	skipped int // embeddings at the beginning that are not wanted
}

// Make returns the input with its embeddings, for a model of the given width.
func (x Input) Make(ctx context.Context, width int) (Input, error) {
	l := x.Later
	if l == nil || len(x.Tokens) > 0 || len(x.Embeddings) > 0 {
		return x, nil
	}
	rows, err := l.Make(ctx)
	if err != nil {
		return x, err
	}
	if len(rows) != (l.skipped+l.Count)*width {
		return x, fmt.Errorf("model: %d values of embeddings were made, expected %d times %d", len(rows), l.skipped+l.Count, width)
	}
	x.Embeddings, x.Later = rows[l.skipped*width:], nil
	return x, nil
}

// Chunk is what one sequence brings to a pass: the positions that follow its text, and what is wanted of them.
type Chunk struct {
	Sequence *Sequence // in no other chunk of the pass
	Input    []Input   // in the order of the text
	// Want chooses the positions for which the logits of the next token are wanted; nil: none. The others skip the head and the layers
	// after the last one that keeps keys and values.
	Want func(pos int) bool
	// NoLogits says that only Hidden is needed of the positions wanted, not their logits: all skip the head.
	NoLogits bool
	// Only, if set, is called when the pass reaches the head. It returns the ids, ascending, whose logits alone are wanted: no other rows
	// of the head are multiplied, and with no id, none at all. nil stands for all ids. The logits have the same bits in any company. It
	// is an error beside Yield, and not called with NoLogits.
	Only func() []int32
	// Yield, if set, is called with the logits [vocabulary] of each position wanted, in order, instead of keeping them in Logits. They are
	// valid until it is called again or the pass ends. Its error becomes the chunk's.
	Yield func(pos int, logits []float32) error
	// Done, if set, is called when the chunk has become part of the text, before the sequence gives up what its windows have left behind.
	// Its error becomes the chunk's, which stays in the text all the same. It may take the text back, or close the sequence; no other
	// callback may do that to a sequence of the pass.
	Done func() error
	// Observe, if set, is shown what goes into each product with a matrix of the model. The chunk has to be alone in its pass.
	Observe Observer

	// What the pass made of the chunk, unless either failed. It is valid until the pass is used again.
	Logits []float32 // [positions wanted, vocabulary, or as many ids as Only returned]
	IDs    []int32   // that they are of, as Only returned them; nil: all
	Hidden []float32 // [positions wanted, width] the last state, normed: what the head is multiplied with
	Err    error     // of this chunk alone: nothing of it counts, unless the error is that of Done

	first int // position
}

// An Observer is called before a product is computed, on the goroutine that runs the pass: with the matrix w, which may be some rows of a
// file's tensor ([tensor.Tensor.Row]), and the n vectors x [n, columns of w] that it is multiplied with, valid until it returns.
type Observer func(w *tensor.Tensor, x []float32, n int)

// Pass takes positions of any number of sequences through the layers of a model at once, reading the weights once. It owns all scratch of
// the graph, which grows to what is asked of it. It serves one goroutine at a time, with any sequences of its model.
//
// A pass has one role: prefill ([Pass.Prefill]) and decode ([Pass.Decode]) are computed in different arithmetic. Which other positions go
// through the model beside one changes nothing of what comes out, bit for bit.
//
// Each chunk of a pass counts whole or not at all. The error returned is that of the pass: none of its chunks counts. What concerns one
// sequence alone is the Err of its chunk: a context that is full, an input that makes no sense, a page of a saved text that cannot be read,
// a logit that is NaN, an error of Yield. The other chunks count. If a saved text becomes unreadable within the layers, the pass fails, and
// the text's chunk has an Err, too: without it the others can be tried again. If a callback panics, no chunk counts; if Done does, its
// own and those before it do.
type Pass struct {
	// Between, if set, is called between products and within long ones, on the goroutine that runs the pass: once in some tens of
	// milliseconds at least. It may run other passes of the model, so that a decode need not wait until a prefill is through.
	Between func()

	m *Model
	scratch

	chunks  []*Chunk   // that take part
	taken   []position // all that it has
	busy    bool       // in a step
	observe Observer   // of the only chunk
	own     struct {   // of Write
		chunk Chunk
		input [1]Input
		ids   []int32
	}
}

// position is one position on its way through the graph.
type position struct {
	chunk *Chunk
	id    int32     // token, or padding (0) for an embedding
	soft  []float32 // the embedding, nil for a token
	known bool      // the identity tells what it is
	pos   int       // in the sequence
	end   int       // it sees positions below this: the next one, in sliding layers the end of the image, in a draft its own
	want  bool      // it goes through all layers
}

// NewPass returns a pass without any scratch yet.
func (m *Model) NewPass() *Pass {
	p := &Pass{m: m}
	p.regions = newRegions[Pass, layer](p, m.pool, m.kernels, m.Width, m.Eps)
	p.attn.p = p
	return p
}

// Ops returns the multiply-adds of weights and activations done so far.
func (p *Pass) Ops() int64 { return p.mm.Ops() }

// Prefill takes chunks of prompts: tokens and embeddings that were not generated. All go through the model at once; Cut bounds how many
// that is. If ctx ends, the pass stops within a layer and returns ctx's error and its cause.
func (p *Pass) Prefill(ctx context.Context, chunks ...*Chunk) error {
	return p.process(ctx, tensor.Panels, chunks)
}

// Decode takes chunks of tokens that were generated or drafted, a few for each sequence. The texts can be taken back to where the chunks
// began. Otherwise it is like Prefill.
func (p *Pass) Decode(ctx context.Context, chunks ...*Chunk) error {
	return p.process(ctx, tensor.Rows, chunks)
}

// Read prefills a prompt of one sequence, however long, in passes of its batch. What earlier passes took stays when a later one fails,
// whose error is returned, be it the pass's or the chunk's. Logits and Hidden are those of the last pass; in Done, those of the pass just
// done.
func (p *Pass) Read(ctx context.Context, c *Chunk) error {
	c.Logits, c.IDs, c.Hidden, c.Err = nil, nil, nil, nil
	if _, c.Err = p.check(c); c.Err != nil {
		return c.Err
	}
	in := c.Input
	defer func() { c.Input = in }()
	for rest := in; len(rest) > 0; {
		c.Input, rest = p.m.Cut(rest, c.Sequence.batch)
		if err := c.failed(p.Prefill(ctx, c)); err != nil {
			return err
		}
	}
	return nil
}

// Write decodes: it appends tokens to one sequence and returns the logits [len(ids), vocabulary] of what follows each, valid until the pass
// is used again.
func (p *Pass) Write(ctx context.Context, s *Sequence, ids ...int32) ([]float32, error) {
	o := &p.own
	o.ids = append(o.ids[:0], ids...)
	o.input[0].Tokens = o.ids
	o.chunk = Chunk{Sequence: s, Input: o.input[:], Want: all}
	err := o.chunk.failed(p.Decode(ctx, &o.chunk))
	o.chunk.Sequence = nil
	if err != nil {
		return nil, err
	}
	return o.chunk.Logits, nil
}

func all(int) bool { return true }

// failed returns the error of the chunk's pass or, if there is none, that of the chunk.
func (c *Chunk) failed(pass error) error {
	if pass != nil {
		return pass
	}
	return c.Err
}

// Cut returns the first n positions of an input, and the rest. There are fewer where an image would be cut, which never happens; an image
// longer than n comes alone. The identities stay those of the whole: where embeddings are cut, the rest has another ID.
func (m *Model) Cut(in []Input, n int) (first, rest []Input) {
	have := 0
	for i, x := range in {
		count := m.count(x)
		switch {
		case count == 0 || have+count <= n || x.Image && have == 0:
			have += count
			first = append(first, x)
			continue
		case x.Image || have >= n:
			return first, in[i:]
		}
		before, behind := x.cut(n-have, m.Width)
		return append(first, before), append([]Input{behind}, in[i+1:]...)
	}
	return first, nil
}

// Positions returns how many positions a prompt has.
func (m *Model) Positions(in ...Input) (n int) {
	for _, x := range in {
		n += m.count(x)
	}
	return n
}

// count returns the number of positions of an input.
func (m *Model) count(x Input) int {
	switch {
	case len(x.Tokens) > 0:
		return len(x.Tokens)
	case len(x.Embeddings) == 0 && x.Later != nil:
		return x.Later.Count
	}
	return len(x.Embeddings) / m.Width
}

// process takes chunks through the model in one role.
func (p *Pass) process(ctx context.Context, role tensor.Arithmetic, chunks []*Chunk) error {
	if p.busy {
		return errors.New("model: the pass is at work, its callbacks cannot use it")
	}
	p.busy, p.role = true, role
	defer p.end() // also when a callback panics
	p.start(p.Between)
	if err := p.begin(chunks); err != nil {
		return err
	}
	if len(p.taken) == 0 {
		return cause.Of(ctx)
	}
	p.observe = p.chunks[0].Observe
	if err := p.forward(ctx); err != nil {
		for _, c := range p.chunks {
			c.Logits, c.Hidden = nil, nil
		}
		return p.m.file.Locate(p.blame(err))
	}
	p.commit()
	return nil
}

// begin lets the chunks that can take part do so, and makes room for them.
func (p *Pass) begin(chunks []*Chunk) error {
	p.chunks, p.taken = p.chunks[:0], p.taken[:0]
	for _, c := range chunks {
		c.Logits, c.IDs, c.Hidden, c.Err = nil, nil, nil, nil
		n, err := p.check(c)
		if err == nil && n > 0 {
			p.chunks = append(p.chunks, c)
			err = c.Sequence.reserve(n)
		}
		if c.Err = err; err != nil {
			continue
		}
		c.first = c.Sequence.n
		p.take(c)
	}
	p.beside.on = slices.ContainsFunc(p.chunks, func(c *Chunk) bool { return c.Sequence.adapted.key != "" })
	return p.m.checkScratch(len(p.taken), p.held())
}

// check returns the number of positions of a chunk, or why it cannot take part.
func (p *Pass) check(c *Chunk) (n int, err error) {
	s := c.Sequence
	if s == nil || s.m != p.m {
		return 0, errors.New("model: a chunk without a sequence of the pass's model")
	}
	if slices.ContainsFunc(p.chunks, func(o *Chunk) bool { return o.Sequence == s }) {
		return 0, errors.New("model: two chunks of one sequence in a pass")
	}
	if len(p.chunks) > 0 && (c.Observe != nil || p.chunks[0].Observe != nil) {
		return 0, errors.New("model: a chunk that is observed beside another one")
	}
	if c.Only != nil && c.Yield != nil {
		return 0, errors.New("model: a chunk with both Only and Yield")
	}
	if i := slices.IndexFunc(c.Input, func(x Input) bool { return len(x.Tokens)+len(x.Embeddings) == 0 && x.Later != nil }); i >= 0 {
		return 0, fmt.Errorf("model: the embeddings of input %d are not made", i)
	}
	return s.Check(c.Input...)
}

// take lists the positions of a chunk.
func (p *Pass) take(c *Chunk) {
	pos, d := c.first, p.m.Width
	add := func(r position) {
		r.chunk, r.pos, r.want = c, pos, c.Want != nil && c.Want(pos)
		r.end = max(r.end, pos+1)
		p.taken = append(p.taken, r)
		pos++
	}
	for _, x := range c.Input {
		for _, id := range x.Tokens {
			add(position{id: id, known: true})
		}
		end := 0
		if x.Image && p.m.PerLayer == 0 { // models with per-layer embeddings stay causal
			end = pos + len(x.Embeddings)/d
		}
		for e := x.Embeddings; len(e) > 0; e = e[d:] {
			add(position{soft: e[:d], end: end, known: x.ID != 0 || x.IDs != nil})
		}
	}
}

// commit makes the chunks that have gone through the model part of their texts, one after the other, so that each that counts is told.
func (p *Pass) commit() {
	i := 0
	for _, c := range p.chunks {
		s := c.Sequence
		if c.Err == nil && (s.n != c.first || s.limit == 0) {
			c.Err = errors.New("model: the sequence was taken back or closed while it was in a pass")
		}
		for ; i < len(p.taken) && p.taken[i].chunk == c; i++ {
			if c.Err == nil {
				s.commit(&p.taken[i], p.role)
			}
		}
		if c.Err != nil {
			c.Logits, c.Hidden = nil, nil
			continue
		}
		if c.Done != nil {
			c.Err = c.Done()
		}
		back := s.n
		if p.role == tensor.Rows {
			back = min(back, c.first)
		}
		s.forget(back)
	}
}

// blame gives the error of a pass to the chunks at fault: those whose text lies in a file that can no longer be read.
func (p *Pass) blame(err error) error {
	var fault interface {
		error
		Addr() uintptr
	}
	if !errors.As(err, &fault) {
		return err
	}
	all := err
	for _, c := range p.chunks {
		if c.Sequence.liesAt(fault.Addr()) {
			c.Err = fmt.Errorf("model: a saved text: %w", err)
			all = c.Err
		}
	}
	return all
}

// end gives up room that was not filled, and all references to callers' memory.
func (p *Pass) end() {
	p.stop()
	for _, c := range p.chunks {
		c.Sequence.settle()
	}
	clear(p.some[:cap(p.some)])
	clear(p.beside.asked)
	clear(p.positions[:min(len(p.taken), cap(p.positions))]) // forward has copied them, if it has begun
	clear(p.chunks)
	clear(p.taken)
	p.chunks, p.taken, p.observe, p.busy = p.chunks[:0], p.taken[:0], nil, false
	clear(p.attn.tiles[:cap(p.attn.tiles)])
}

// checkScratch returns an error if this machine cannot address the buffers of that many positions and the logits of those wanted.
func (c *Config) checkScratch(positions, wanted int) error {
	if need := c.PassBytes(positions, wanted); need > machine.Addressable() {
		return fmt.Errorf("model: a step of %d positions takes %d bytes, more than this machine can address", positions, need)
	}
	return nil
}

// PassBytes returns about how many bytes the buffers of a pass take for so many positions, of some of which logits are wanted.
func (c *Config) PassBytes(positions, wanted int) int64 {
	return int64(positions)*c.positionBytes() + 4*int64(wanted)*int64(c.Vocabulary)
}

// positionBytes returns about how many bytes the buffers of the graph take for one position.
func (c *Config) positionBytes() int64 {
	values := 0
	for i := range c.Layers {
		l := &c.Layers[i]
		values = max(values, 2*(l.Heads+l.KVHeads)*l.HeadDim+2*l.MLPWidth+2*l.HeadDim)
	}
	values += 4*c.Width + 3*c.PerLayer
	experts := 0
	if c.Experts > 0 {
		values += c.Width + c.Experts
		experts = 2*c.Width + 3*c.ExpertWidth
	}
	return 4 * (int64(values) + int64(c.ExpertsUsed)*int64(experts))
}
