package model

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/tensor"
)

// Draft guesses the tokens that follow a text, one a step. It owns the scratch of the drafter's graph and serves one goroutine at a time,
// which must be the one that has the sequence: a draft reads its keys and values, and changes nothing of it. Other sequences may be in
// passes meanwhile.
//
// All steps of a draft are taken from the same place: queries stand at the position of the first token and read what lies below it. What
// carries a step to the next is the state, which the drafter makes as the model would.
type Draft struct {
	drafter *Drafter
	pass    *Pass // through the drafter's layers
	chunk   Chunk // its Sequence is the text
	input   []float32
	token   draftToken
	err     error // of Begin
}

// draftToken is the region that looks a token up, since the table may lie in a mapped file.
type draftToken struct {
	kernels *tensor.Kernels
	table   *tensor.Tensor
	buf     []byte
	row     []byte
	dst     []float32 // [the target's width]
}

// NewDraft returns a draft with as much scratch as the target's width takes; the rest comes with the first step.
func (d *Drafter) NewDraft() *Draft {
	m := d.target
	x := &Draft{drafter: d, pass: d.graph.NewPass(), input: make([]float32, 2*m.Width), err: errNotBegun}
	x.pass.role = tensor.Rows
	x.token = draftToken{kernels: m.kernels, table: m.embedding, dst: x.input[:m.Width]}
	if m.embedding.Data == nil {
		x.token.buf = make([]byte, m.embedding.Format.RowBytes(m.Width))
	}
	return x
}

var errNotBegun = errors.New("model: a draft that was not begun")

// Begin begins a draft at position pos of the text in s, whose token is chosen but not read: s holds all positions below it. hidden is the
// model's final state [width of the model] at the position before, as Chunk.Hidden has it; it is copied. What is wrong with any of them is
// the error of Next.
func (x *Draft) Begin(s *Sequence, hidden []float32, pos int) {
	if x.err = x.drafter.target.checkDraft(s, hidden, pos); x.err != nil {
		return
	}
	copy(x.input[len(hidden):], hidden)
	x.chunk = Chunk{Sequence: s}
	p := x.pass
	p.chunks = append(p.chunks[:0], &x.chunk)
	p.positions = append(p.positions[:0], position{chunk: &x.chunk, pos: pos, end: pos})
	p.rotation(0, p.m.slidingFreqs)
	p.rotation(1, p.m.globalFreqs)
}

// checkDraft says why a draft cannot be taken from there.
func (m *Model) checkDraft(s *Sequence, hidden []float32, pos int) error {
	switch {
	case s == nil || s.m != m:
		return errors.New("model: a draft without a sequence of the drafter's model")
	case len(hidden) != m.Width:
		return fmt.Errorf("model: a draft from a state of %d values, expected %d", len(hidden), m.Width)
	case pos < 1 || s.Reach(pos) != pos:
		return fmt.Errorf("model: a draft at position %d, expected one that the sequence can be taken back to, 1 to %d", pos, s.n)
	}
	return nil
}

// Next takes a step: token is the one chosen at the position where the draft began or, from then on, the one drafted last. It returns the
// logits [ids of the drafter] of what follows, which may be changed and are valid until the next step. The model's own bounds of logits
// (soft cap) are not applied to them. A step leaves nothing behind but its logits and its state: it is safe to end a draft at any of them.
func (x *Draft) Next(ctx context.Context, token int32) (logits []float32, err error) {
	if err := x.check(token); err != nil {
		return nil, err
	}
	p := x.pass
	p.err = nil
	p.nan.Store(false)
	x.token.lookUp(p, token)
	if err := x.forward(ctx); err != nil {
		return nil, x.drafter.locate(p.blame(err))
	}
	if logits = p.logits[:p.m.head.Rows()]; p.nan.Load() {
		return nil, notANumber(p.positions[0].pos, logits, x.drafter.ids)
	}
	return logits, nil
}

// check says why there is no next step.
func (x *Draft) check(token int32) error {
	m := x.drafter.target
	if x.err != nil {
		return x.err
	}
	if token < 0 || int(token) >= m.Vocabulary {
		return fmt.Errorf("model: id %d is outside the vocabulary of %d", token, m.Vocabulary)
	}
	return m.checkDraft(x.chunk.Sequence, x.token.dst, x.pass.positions[0].pos) // it may have been taken back or closed
}

// forward takes the token's embedding and the state through the drafter's layers, up to its logits and the next state.
func (x *Draft) forward(ctx context.Context) error {
	d, p := x.drafter, x.pass
	defer x.forget()
	grow(&p.x, d.Width)
	p.multiply(tensor.Product{Dst: p.x, X: x.input, N: 1, W: d.pre})
	for i := range p.m.layers {
		if err := cause.Of(ctx); err != nil {
			return err
		}
		l := &p.m.layers[i]
		p.attention(l, false)
		p.feedForward(l)
		if p.err != nil {
			return p.err
		}
	}
	p.norm(1, p.h, p.x, p.m.norm)
	grow(&p.logits, p.m.head.Rows())
	logits := p.logits[:p.m.head.Rows()]
	p.multiply(
		tensor.Product{Dst: logits, X: p.h, N: 1, W: p.m.head},
		tensor.Product{Dst: x.input[d.target.Width:], X: p.h, N: 1, W: d.post})
	p.slices(logits, (*Pass).capLogits)
	return p.err
}

// forget gives up references to the cache of the sequence.
func (x *Draft) forget() { clear(x.pass.attn.tiles[:cap(x.pass.attn.tiles)]) }

// lookUp sets the first half of a draft's input to the target's embedding of a token times √width.
func (t *draftToken) lookUp(p *Pass, token int32) {
	row, err := t.table.ReadRows(t.buf, int(token), int(token)+1)
	if err != nil {
		p.fail(fmt.Errorf("model: %w", err))
		return
	}
	t.row = row
	p.run(1, t)
}

// Do is called by the pool.
func (t *draftToken) Do(_, _ int) {
	t.kernels.DecodeRow(t.table.Format, t.dst, t.row)
	scale := float32(math.Sqrt(float64(len(t.dst)))) * t.table.Scale
	for i := range t.dst {
		t.dst[i] *= scale
	}
}

// locate names the file in an error, which may be that of the drafter or of its model.
func (d *Drafter) locate(err error) error { return d.target.file.Locate(d.graph.file.Locate(err)) }
