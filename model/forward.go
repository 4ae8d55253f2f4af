package model

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/tensor"
)

// scratch holds every buffer of the graph, each named for what it holds, [rows, …]. They grow to the largest chunk.
type scratch struct {
	chunk []row // as cut from the prompt
	rows  []row // those still on their way

	x      []float32 // [rows, width] the residual
	input  []float32 // [rows, width] the embeddings, kept for the per-layer ones
	h      []float32 // [rows, width] normed input of a block
	out    []float32 // [rows, width] output of a block
	q      []float32 // [rows, heads · head size]
	k, v   []float32 // [rows, kvHeads · head size]
	att    []float32 // [rows, heads · head size]
	gate   []float32 // [rows, mlpWidth]
	up     []float32 // [rows, mlpWidth]
	small  []float32 // [rows, perLayer] per-layer embedding
	mix    []float32 // [rows, perLayer] what the input adds to it
	piece  []float32 // [rows, perLayer + 2 blocks] what the table adds to it
	logits []float32 // [headBatch, vocabulary]
	nan    atomic.Bool
	angles [2]angles // of sliding and global layers
	tokens entries   // of the embedding
	pieces entries   // of the per-layer table
	moe    mixture

	regions[Session, layer]
	attn attention
	tap  func(name string, layer int, x []float32)
}

// entries are the rows of a table that the chunk's ids stand for.
type entries struct {
	rows [][]byte // [rows] in place, or in buf where the table does not lie in memory
	buf  []byte
}

// angles are the cosines and sines of rotary position embedding, [rows, head/2].
type angles struct{ cos, sin []float32 }

// step takes a chunk through the model and makes it part of the text, or else, when it fails and when yield panics, leaves the text as it
// was. With yield it hands over the logits of each wanted row; without, all wanted rows' logits are left in s.logits.
func (s *Session) step(ctx context.Context, chunk []row, yield func(pos int, logits []float32) error) error {
	if len(chunk) == 0 {
		return cause.Of(ctx)
	}
	defer s.settle() // also when the caller of yield panics
	if err := s.forward(ctx, chunk, yield); err != nil {
		return s.m.file.Locate(err)
	}
	s.commit(chunk)
	return nil
}

// commit makes a chunk that went through the model part of the text.
func (s *Session) commit(chunk []row) {
	for _, r := range chunk {
		s.n = r.pos + 1
		if r.soft != nil {
			continue
		}
		if r.pos == s.pure && s.role == tensor.Panels {
			s.pure++
		}
		if s.endsTurn != nil && s.endsTurn(r.id) {
			s.mark(s.n)
		}
	}
}

// settle gives up the room that reserve made and that no text came to fill.
func (s *Session) settle() {
	for _, c := range s.cache[:min(len(s.cache), s.m.Owners)] {
		c.settle(s.n)
	}
}

// forward takes a chunk through the model and hands over the logits.
func (s *Session) forward(ctx context.Context, chunk []row, yield func(pos int, logits []float32) error) error {
	s.err = nil
	s.nan.Store(false)
	s.rows = append(s.rows[:0], chunk...)
	if err := s.reserve(chunk); err != nil {
		return err
	}
	s.embed()
	s.trace("inp_scaled", 0, s.x)
	last := s.m.Owners - 1 // after this layer nothing is cached: only wanted rows go on
	for i := range s.m.layers {
		if err := cause.Of(ctx); err != nil {
			return err
		}
		l := &s.m.layers[i]
		s.m.readAhead(i + 1)
		s.attention(l, i == last)
		if len(s.rows) == 0 {
			break
		}
		s.feedForward(l)
		s.perLayer(l)
		s.scaleOutput(l)
		if s.err != nil {
			return s.err
		}
		s.trace("l_out", i, s.x)
	}
	if s.err != nil {
		return s.err
	}
	return s.readOut(ctx, yield)
}

// trace shows a test the last row of a state [rows, width].
func (s *Session) trace(name string, layer int, x []float32) {
	if s.tap != nil && len(s.rows) > 0 {
		s.tap(name, layer, x[(len(s.rows)-1)*s.m.Width:][:s.m.Width])
	}
}

// reserve makes room in the cache for the chunk.
func (s *Session) reserve(chunk []row) error {
	from := chunk[0].pos
	for _, c := range s.cache[:s.m.Owners] {
		if err := c.reserve(from, chunk[len(chunk)-1].pos+1); err != nil {
			return fmt.Errorf("model: %w", err)
		}
	}
	return nil
}

// embed sets the residual to the tokens' embeddings times √width, or to the embeddings given.
func (s *Session) embed() {
	grow(&s.x, len(s.rows)*s.m.Width)
	s.lookUp(&s.tokens, s.m.embedding)
	s.each(len(s.rows), nil, (*Session).embedRow)
	if s.m.PerLayer > 0 {
		grow(&s.input, len(s.rows)*s.m.Width)
		copy(s.input, s.x)
		s.lookUp(&s.pieces, s.m.perLayerTable)
	}
	s.rotation(0, s.m.slidingFreqs)
	s.rotation(1, s.m.globalFreqs)
}

// lookUp sets e to the rows of a table that the ids stand for.
func (s *Session) lookUp(e *entries, t *tensor.Tensor) {
	n, size := len(s.rows), t.Format.RowBytes(t.Cols())
	if t.Data == nil && len(e.buf) < n*size {
		e.buf = make([]byte, n*size)
	}
	e.rows = slices.Grow(e.rows[:0], n)
	for i, r := range s.rows {
		var buf []byte
		if t.Data == nil {
			buf = e.buf[i*size : (i+1)*size]
		}
		row, err := t.ReadRows(buf, int(r.id), int(r.id)+1)
		if err != nil && s.err == nil {
			s.err = fmt.Errorf("model: %w", err)
		}
		e.rows = append(e.rows, row)
	}
}

func (s *Session) embedRow(_ *layer, i int) {
	e, r, d := s.m.embedding, s.rows[i], s.m.Width
	x := s.x[i*d : (i+1)*d]
	if r.soft != nil {
		copy(x, r.soft)
		return
	}
	s.kernels.DecodeRow(e.Format, x, s.tokens.rows[i])
	scale := float32(math.Sqrt(float64(d))) * e.Scale
	for j := range x {
		x[j] *= scale
	}
}

// rotation computes the angles of the chunk's positions.
func (s *Session) rotation(kind int, freqs []float64) {
	a, half := &s.angles[kind], len(freqs)
	grow(&a.cos, len(s.rows)*half)
	grow(&a.sin, len(s.rows)*half)
	for i, r := range s.rows {
		for j, f := range freqs {
			sin, cos := math.Sincos(float64(r.pos) * f)
			a.cos[i*half+j], a.sin[i*half+j] = float32(cos), float32(sin)
		}
	}
}

// at returns the cosines and sines of row i.
func (a *angles) at(i, half int) (cos, sin []float32) {
	return a.cos[i*half : (i+1)*half], a.sin[i*half : (i+1)*half]
}

// attention: x += norm(attend(norm(x)) · output). On the last layer that caches keys and values only the rows whose
// logits are wanted go further than that.
func (s *Session) attention(l *layer, last bool) {
	d := s.m.Width
	grow(&s.h, len(s.rows)*d)
	s.norm(len(s.rows), s.h, s.x, l.attnNorm)
	heads, kv := l.Heads*l.HeadDim, l.KVHeads*l.HeadDim
	grow(&s.q, len(s.rows)*heads)
	grow(&s.k, len(s.rows)*kv)
	grow(&s.v, len(s.rows)*kv)
	q := tensor.Product{Dst: s.q, X: s.h, N: len(s.rows), W: l.q}
	k := tensor.Product{Dst: s.k, X: s.h, N: len(s.rows), W: l.k}
	v := tensor.Product{Dst: s.v, X: s.h, N: len(s.rows), W: l.v}
	switch {
	case !l.owns:
		s.multiply(q)
	case last:
		if l.v != nil {
			s.multiply(k, v)
		} else {
			s.multiply(k)
		}
		s.store(l)
		s.keepWanted()
		q.N = len(s.rows)
		s.multiply(q)
	default:
		if l.v != nil {
			s.multiply(q, k, v)
		} else {
			s.multiply(q, k)
		}
		s.store(l)
	}
	if len(s.rows) == 0 {
		return
	}
	s.each(len(s.rows), l, (*Session).turnQuery)
	grow(&s.att, len(s.rows)*heads)
	s.attend(l)
	grow(&s.out, len(s.rows)*d)
	s.multiply(tensor.Product{Dst: s.out, X: s.att, N: len(s.rows), W: l.attnOut})
	s.add(len(s.rows), s.x, s.out, l.postAttnNorm)
}

// turnQuery norms and rotates the query heads of row i.
func (s *Session) turnQuery(l *layer, i int) {
	k := s.kernels
	cos, sin := s.rope(l, i)
	cache, norm := s.cache[l.index], s.m.layers[l.Source].kNorm
	for h := range l.Heads {
		q := s.q[(i*l.Heads+h)*l.HeadDim:][:l.HeadDim]
		k.RMSNorm(q, q, l.qNorm, s.m.Eps)
		k.Rotate(q, cos, sin)
		cache.query(k, q, norm)
	}
}

// store norms, rotates and caches the keys and values of all rows.
func (s *Session) store(l *layer) {
	if l.v == nil && s.err == nil {
		copy(s.v, s.k[:len(s.rows)*l.KVHeads*l.HeadDim])
	}
	s.each(len(s.rows), l, (*Session).storeRow)
}

func (s *Session) storeRow(l *layer, i int) {
	kern := s.kernels
	n := l.KVHeads * l.HeadDim
	keys, values := s.k[i*n:(i+1)*n], s.v[i*n:(i+1)*n]
	cos, sin := s.rope(l, i)
	for h := range l.KVHeads {
		k, v := keys[h*l.HeadDim:(h+1)*l.HeadDim], values[h*l.HeadDim:(h+1)*l.HeadDim]
		kern.RMSNorm(k, k, l.kNorm, s.m.Eps)
		kern.Rotate(k, cos, sin)
		kern.RMSNorm(v, v, nil, s.m.Eps)
	}
	s.cache[l.index].put(kern, s.rows[i].pos, keys, values)
}

// rope returns the angles of row i in the running layer.
func (s *Session) rope(l *layer, i int) (cos, sin []float32) {
	kind := 1
	if l.Sliding {
		kind = 0
	}
	return s.angles[kind].at(i, l.HeadDim/2)
}

// keepWanted drops the rows whose logits are not wanted.
func (s *Session) keepWanted() {
	n, d := 0, s.m.Width
	for i, r := range s.rows {
		if !r.want {
			continue
		}
		if n != i {
			s.rows[n] = r
			move(s.x, n, i, d)
			move(s.h, n, i, d)
			for kind, freqs := range [...][]float64{s.m.slidingFreqs, s.m.globalFreqs} {
				a := &s.angles[kind]
				move(a.cos, n, i, len(freqs))
				move(a.sin, n, i, len(freqs))
			}
			if s.m.PerLayer > 0 {
				move(s.input, n, i, d)
				s.pieces.rows[n] = s.pieces.rows[i]
			}
		}
		n++
	}
	s.rows = s.rows[:n]
}

// feedForward: x += norm(mlp(norm(x))), in expert layers with the experts' share beside the dense one.
func (s *Session) feedForward(l *layer) {
	n := len(s.rows)
	s.norm(n, s.h, s.x, l.mlpNorm)
	grow(&s.gate, n*l.MLPWidth)
	grow(&s.up, n*l.MLPWidth)
	s.multiply(
		tensor.Product{Dst: s.gate, X: s.h, N: n, W: l.gate},
		tensor.Product{Dst: s.up, X: s.h, N: n, W: l.up})
	s.gelu(s.gate[:n*l.MLPWidth], s.up[:n*l.MLPWidth])
	s.multiply(tensor.Product{Dst: s.out, X: s.gate, N: n, W: l.down})
	if l.experts != nil {
		s.addExperts(l)
	}
	s.add(n, s.x, s.out, l.postMLPNorm)
}

// perLayer: x += norm(proj(gelu(gate(x)) ⊙ e)), where e, the layer's own small embedding of the token, is the mean of the
// table's entry and of a projection of the input.
func (s *Session) perLayer(l *layer) {
	p, n := s.m.PerLayer, len(s.rows)
	if p == 0 {
		return
	}
	grow(&s.small, n*p)
	grow(&s.mix, n*p)
	s.multiply(
		tensor.Product{Dst: s.small, X: s.x, N: n, W: l.perLayerGate},
		tensor.Product{Dst: s.mix, X: s.input, N: n, W: s.m.perLayerProj[l.index]})
	grow(&s.piece, n*s.pieceSize())
	s.each(n, l, (*Session).mixPerLayer)
	s.multiply(tensor.Product{Dst: s.out, X: s.small, N: n, W: l.perLayerOut})
	s.add(n, s.x, s.out, l.perLayerNorm)
}

// pieceSize is the room for one layer's values of the table with the blocks they lie in.
func (s *Session) pieceSize() int { return s.m.PerLayer + 2*s.m.perLayerTable.Format.BlockLen() }

// mixPerLayer sets row i of s.small to gelu(itself) ⊙ e.
func (s *Session) mixPerLayer(l *layer, i int) {
	m, p := s.m, s.m.PerLayer
	t := m.perLayerTable
	e := s.mix[i*p : (i+1)*p]
	scale := float32(1 / math.Sqrt(float64(m.Width)))
	for j := range e {
		e[j] *= scale
	}
	s.kernels.RMSNorm(e, e, m.perLayerNorm, m.Eps)

	bl := t.Format.BlockLen()
	from, to := l.index*p/bl, ((l.index+1)*p+bl-1)/bl // blocks
	size := s.pieceSize()
	piece := s.piece[i*size : i*size+(to-from)*bl]
	s.kernels.DecodeRow(t.Format, piece, s.pieces.rows[i][from*t.Format.BlockBytes():to*t.Format.BlockBytes()])
	piece = piece[l.index*p-from*bl:][:p]
	table, half := float32(math.Sqrt(float64(p)))*t.Scale, float32(1/math.Sqrt2)
	for j := range e {
		e[j] = (e[j] + piece[j]*table) * half
	}
	s.kernels.GELU(s.small[i*p:(i+1)*p], e)
}

// scaleOutput: x *= the layer's own scale.
func (s *Session) scaleOutput(l *layer) {
	if scale := l.scale; scale != 1 {
		for i := range s.x[:len(s.rows)*s.m.Width] {
			s.x[i] *= scale
		}
	}
}

// readOut takes the wanted rows through the final norm and the head, a few at a time if they are handed over.
func (s *Session) readOut(ctx context.Context, yield func(pos int, logits []float32) error) error {
	m, n := s.m, len(s.rows)
	s.norm(n, s.h, s.x, m.norm)
	s.trace("result_norm", len(m.layers)-1, s.h)
	step := n
	if yield != nil {
		step = min(n, headBatch)
	}
	grow(&s.logits, step*m.Vocabulary)
	for from := 0; from < n; from += step {
		if err := cause.Of(ctx); err != nil {
			return err
		}
		to := min(from+step, n)
		s.multiply(tensor.Product{Dst: s.logits, X: s.h[from*m.Width:], N: to - from, W: m.head})
		s.slices((to-from)*m.Vocabulary, (*Session).capLogits)
		if s.err != nil {
			return s.err
		}
		if s.nan.Swap(false) {
			return s.notANumber(from)
		}
		for i := from; i < to && yield != nil; i++ {
			if err := yield(s.rows[i].pos, s.logits[(i-from)*m.Vocabulary:][:m.Vocabulary]); err != nil {
				return err
			}
		}
	}
	return nil
}

// capLogits bounds logits and looks for some that are NaN.
func (s *Session) capLogits(from, to int) {
	x := s.logits[from:to]
	if s.m.SoftCap > 0 {
		s.kernels.SoftCap(x, s.m.SoftCap)
	}
	if squares := s.kernels.Dot(x, x); squares != squares { // no others sum up to NaN
		s.nan.Store(true)
	}
}

// notANumber names the first logit that is NaN, among those of the wanted rows from one on.
func (s *Session) notANumber(from int) error {
	i := slices.IndexFunc(s.logits, func(x float32) bool { return x != x })
	return fmt.Errorf("model: the logit of id %d behind position %d is NaN: there is NaN among the weights that it is made of, or the embeddings read",
		i%s.m.Vocabulary, s.rows[from+i/s.m.Vocabulary].pos)
}
