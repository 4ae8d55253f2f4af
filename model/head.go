package model

import (
	"context"
	"fmt"

	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/tensor"
)

// readOut takes the wanted positions through the final norm and, where their logits are wanted, through the head.
func (p *Pass) readOut(ctx context.Context) error {
	n, d, vocabulary := len(p.positions), p.m.Width, p.m.Vocabulary
	p.norm(n, p.h, p.x, p.m.norm)
	p.trace("result_norm", len(p.m.layers)-1, p.h)
	for i, r := range p.positions {
		r.chunk.Hidden = extend(r.chunk.Hidden, p.h[i*d:], d)
	}
	grow(&p.logits, p.held()*vocabulary)
	x, kept := p.readSome() // positions
	for from, to := 0, 0; from < len(p.positions) && p.err == nil; from = to {
		if err := cause.Of(ctx); err != nil {
			return err
		}
		how := p.positions[from].chunk.outcome()
		to = from + 1
		for to < len(p.positions) && p.positions[to].chunk.outcome() == how && (how == keeps || to-from < headBatch) {
			to++
		}
		if how == skips {
			continue
		}
		logits := p.logits[kept*vocabulary : (kept+to-from)*vocabulary]
		p.beside.first = from
		p.multiply(tensor.Product{Dst: logits, X: x[from*d:], N: to - from, W: p.m.head})
		p.beside.first = 0
		p.slices(logits, (*Pass).capLogits)
		if p.err != nil {
			return p.err
		}
		nan := p.nan.Swap(false)
		for i, r := range p.positions[from:to] {
			c, x := r.chunk, logits[i*vocabulary:(i+1)*vocabulary]
			if nan && c.Err == nil {
				c.Err = notANumber(r.pos, x, nil)
			}
			switch {
			case c.Err != nil:
			case how == yields:
				c.Err = c.Yield(r.pos, x)
			default:
				c.Logits = extend(c.Logits, p.logits[(kept+i)*vocabulary:], vocabulary)
			}
		}
		if how == keeps {
			kept += to - from
		}
	}
	return p.err
}

// readSome multiplies, for the chunks that want the logits of some ids alone, only those rows of the head, and drops their positions. It
// returns the states of the others, and for how many positions room for logits is used.
func (p *Pass) readSome() (x []float32, used int) {
	if !p.askIDs() {
		return p.h, 0
	}
	d, vocabulary := p.m.Width, p.m.Vocabulary
	p.some, p.beside.asked = p.some[:0], p.beside.asked[:0]
	grow(&p.out, len(p.positions)*d)
	left := 0 // positions
	for from, to := 0, 0; from < len(p.positions); from = to {
		c := p.positions[from].chunk
		for to = from + 1; to < len(p.positions) && p.positions[to].chunk == c; to++ {
		}
		if !c.some() {
			copy(p.out[left*d:], p.h[from*d:to*d])
			left += copy(p.positions[left:], p.positions[from:to])
			continue
		}
		c.Logits = p.logits[used*vocabulary:][:(to-from)*len(c.IDs)]
		p.beside.asked = append(p.beside.asked, c.Sequence)
		p.some = append(p.some, tensor.Product{Dst: c.Logits, X: p.h[from*d:], N: to - from, W: p.m.head, Only: c.IDs})
		used += to - from
	}
	p.multiplyOf((*Pass).ofAsked, p.some...)
	p.positions = p.positions[:left]
	for _, c := range p.chunks {
		if c.some() {
			p.capSome(c)
		}
	}
	return p.out, used
}

// askIDs asks the chunks of which ids they want the logits, and reports whether any do not want all.
func (p *Pass) askIDs() (some bool) {
	for _, c := range p.chunks {
		if c.Only != nil && c.Hidden != nil && c.outcome() == keeps {
			c.IDs = c.Only()
			c.Err = p.m.checkIDs(c.IDs)
			some = some || c.IDs != nil
		}
	}
	return some
}

// some reports whether the chunk has the logits of some ids alone.
func (c *Chunk) some() bool { return c.IDs != nil && c.outcome() == keeps }

// capSome bounds the logits of a chunk that has those of some ids alone.
func (p *Pass) capSome(c *Chunk) {
	p.slices(c.Logits, (*Pass).capLogits)
	if !p.nan.Swap(false) {
		return
	}
	rest := c.Logits
	for _, r := range p.taken {
		if r.chunk == c && r.want && c.Err == nil {
			c.Err = notANumber(r.pos, rest[:len(c.IDs)], c.IDs)
			rest = rest[len(c.IDs):]
		}
	}
}

// checkIDs says which of the ids that are to ascend does not.
func (m *Model) checkIDs(ids []int32) error {
	for i, id := range ids {
		if id < 0 || int(id) >= m.Vocabulary || i > 0 && id <= ids[i-1] {
			return fmt.Errorf("model: id %d at place %d of those whose logits are wanted: they ascend within the vocabulary of %d", id, i,
				m.Vocabulary)
		}
	}
	return nil
}

// outcome is what becomes of the logits of a chunk's wanted positions.
type outcome int

const (
	skips  outcome = iota // there are none
	keeps                 // they stay
	yields                // they are handed over, headBatch at a time
)

func (c *Chunk) outcome() outcome {
	switch {
	case c.NoLogits || c.Err != nil:
		return skips
	case c.Yield != nil:
		return yields
	}
	return keeps
}

// held returns for how many positions logits are held at once.
func (p *Pass) held() int {
	kept, yielded := 0, 0
	for i := range p.taken {
		if r := &p.taken[i]; r.want {
			switch r.chunk.outcome() {
			case keeps:
				kept++
			case yields:
				yielded++
			}
		}
	}
	return kept + min(yielded, headBatch)
}

// extend returns x with n more elements, those of from, which lie where x ends.
func extend(x, from []float32, n int) []float32 {
	if x == nil {
		return from[:n]
	}
	return x[:len(x)+n]
}

// capLogits bounds logits and looks for NaN among them.
func (p *Pass) capLogits(x []float32) {
	if p.m.SoftCap > 0 {
		p.kernels.SoftCap(x, p.m.SoftCap)
	}
	if squares := p.kernels.Dot(x, x); squares != squares { // only NaN among them makes it NaN
		p.nan.Store(true)
	}
}

// notANumber returns an error if there is NaN among the logits of a position; ids are those that they are of, nil: all.
func notANumber(pos int, logits []float32, ids []int32) error {
	for id, x := range logits {
		if x != x {
			if ids != nil {
				id = int(ids[id])
			}
			return fmt.Errorf("model: the logit of id %d behind position %d is NaN: there is NaN among the weights that it is "+
				"made of, or the embeddings read", id, pos)
		}
	}
	return nil
}

// Logits returns the logits [vocabulary] behind a position of a decode of s, of which Chunk.Hidden has the state: those that the chunk
// would have without Only. They are valid until the pass is used again.
func (p *Pass) Logits(s *Sequence, pos int, hidden []float32) ([]float32, error) {
	if p.busy || s == nil || s.m != p.m || len(hidden) != p.m.Width {
		return nil, fmt.Errorf("model: a state of %d values, expected %d, a sequence of the pass's model, and a pass that is not at work",
			len(hidden), p.m.Width)
	}
	p.role, p.err = tensor.Rows, nil
	p.nan.Store(false)
	grow(&p.logits, p.m.Vocabulary)
	logits := p.logits[:p.m.Vocabulary]
	p.beside.on, p.beside.asked = s.adapted.key != "", append(p.beside.asked[:0], s)
	p.multiplyOf((*Pass).ofAsked, tensor.Product{Dst: logits, X: hidden, N: 1, W: p.m.head})
	clear(p.beside.asked)
	p.slices(logits, (*Pass).capLogits)
	if p.err != nil {
		return nil, p.m.file.Locate(p.err)
	}
	if p.nan.Load() {
		return nil, notANumber(pos, logits, nil)
	}
	return logits, nil
}
