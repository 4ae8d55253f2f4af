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

// scratch holds every buffer of the graph, each named for what it holds, [positions, …].
type scratch struct {
	positions []position // those still on their way

	x         []float32        // [positions, width] the residual
	input     []float32        // [positions, width] the embeddings, kept for the per-layer ones
	h         []float32        // [positions, width] normed input of attention or feed-forward
	out       []float32        // [positions, width] output of either
	q         []float32        // [positions, heads · head size]
	k, v      []float32        // [positions, kvHeads · head size]
	att       []float32        // [positions, heads · head size]
	gate      []float32        // [positions, mlpWidth]
	up        []float32        // [positions, mlpWidth]
	small     []float32        // [positions, perLayer] per-layer embedding
	projected []float32        // [positions, perLayer] what the projected input adds to it
	fetched   []float32        // [positions, perLayer + 2 blocks] what the table adds to it
	logits    []float32        // [held, vocabulary]
	some      []tensor.Product // of the head, for ids alone
	nan       atomic.Bool
	angles    [2]angles // of sliding and global layers
	tokens    entries   // of the embedding
	perLayers entries   // of the per-layer table
	moe       mixture
	ahead     ahead
	beside    beside

	regions[Pass, layer]
	attn attendRegion
	tap  func(name string, layer int, x []float32)
}

// entries are the rows of an embedding table that the ids stand for.
type entries struct {
	rows [][]byte // [positions] in place, or in buf where the table is not in memory
	buf  []byte
}

// angles are the cosines and sines of rotary position embedding, [positions, head/2].
type angles struct{ cos, sin []float32 }

// forward takes positions through the model, up to the logits of those that are wanted.
func (p *Pass) forward(ctx context.Context) error {
	p.err = nil
	p.nan.Store(false)
	p.positions = append(p.positions[:0], p.taken...)
	p.embed()
	p.trace("inp_scaled", 0, p.x)
	last := p.m.Owners - 1 // after this layer nothing is cached: only wanted positions go on
	for i := range p.m.layers {
		if err := cause.Of(ctx); err != nil {
			return err
		}
		l := &p.m.layers[i]
		p.m.readAhead(i + 1)
		p.attention(l, i == last)
		if len(p.positions) == 0 {
			break
		}
		p.feedForward(l)
		p.perLayer(l)
		if p.err != nil {
			return p.err
		}
		p.trace("l_out", i, p.x)
	}
	if p.err != nil {
		return p.err
	}
	return p.readOut(ctx)
}

// multiply computes products that do not depend on each other, in the arithmetic of the role, with what adapters have beside them. Their
// rows are the positions'.
func (p *Pass) multiply(products ...tensor.Product) { p.multiplyOf((*Pass).ofPosition, products...) }

// multiplyOf is multiply for products of which whose says what sequence a row is of.
func (p *Pass) multiplyOf(whose func(p *Pass, product, row int) *Sequence, products ...tensor.Product) {
	if p.observe != nil {
		for i := range products {
			w := &products[i]
			p.observe(w.W, w.X[:w.N*w.W.Cols()], w.N)
		}
	}
	if p.beside.on {
		p.multiplyBeside(whose, products...)
		return
	}
	p.regions.multiply(products...)
}

// trace shows a test the state [positions, width] at its last position.
func (p *Pass) trace(name string, layer int, x []float32) {
	if p.tap != nil && len(p.positions) > 0 {
		p.tap(name, layer, x[(len(p.positions)-1)*p.m.Width:][:p.m.Width])
	}
}

// embed sets the residual to the tokens' embeddings times √width, or to the embeddings given.
func (p *Pass) embed() {
	grow(&p.x, len(p.positions)*p.m.Width)
	p.lookUp(&p.tokens, p.m.embedding)
	p.each(len(p.positions), nil, (*Pass).embedPosition)
	if p.m.PerLayer > 0 {
		grow(&p.input, len(p.positions)*p.m.Width)
		copy(p.input, p.x[:len(p.positions)*p.m.Width])
		p.lookUp(&p.perLayers, p.m.perLayerTable)
	}
	p.rotation(0, p.m.slidingFreqs)
	p.rotation(1, p.m.globalFreqs)
}

// lookUp sets e to the rows of a table that the ids stand for.
func (p *Pass) lookUp(e *entries, t *tensor.Tensor) {
	n, size := len(p.positions), t.Format.RowBytes(t.Cols())
	if t.Data == nil && len(e.buf) < n*size {
		e.buf = make([]byte, n*size)
	}
	e.rows = slices.Grow(e.rows[:0], n)
	for i, r := range p.positions {
		var buf []byte
		if t.Data == nil {
			buf = e.buf[i*size : (i+1)*size]
		}
		row, err := t.ReadRows(buf, int(r.id), int(r.id)+1)
		if err != nil && p.err == nil {
			p.err = fmt.Errorf("model: %w", err)
		}
		e.rows = append(e.rows, row)
	}
}

func (p *Pass) embedPosition(_ *layer, i int) {
	e, r, d := p.m.embedding, &p.positions[i], p.m.Width
	x := p.x[i*d : (i+1)*d]
	if r.soft != nil {
		copy(x, r.soft)
		return
	}
	p.kernels.DecodeRow(e.Format, x, p.tokens.rows[i])
	root := float32(math.Sqrt(float64(d)))
	scale := root * e.Scale
	for j := range x {
		x[j] *= scale
	}
	p.lookedUp(x, e, r, 0, root)
}

// rotation computes the angles of the positions.
func (p *Pass) rotation(kind int, freqs []float64) {
	a, half := &p.angles[kind], len(freqs)
	grow(&a.cos, len(p.positions)*half)
	grow(&a.sin, len(p.positions)*half)
	for i, r := range p.positions {
		cos, sin := a.at(i, half)
		p.kernels.Angles(cos, sin, freqs, float64(r.pos))
	}
}

// at returns the cosines and sines of position i.
func (a *angles) at(i, half int) (cos, sin []float32) {
	return a.cos[i*half : (i+1)*half], a.sin[i*half : (i+1)*half]
}

// attention: x += norm(attend(norm(x)) · output). In the last layer that caches keys and values, only the wanted positions go on from
// there.
func (p *Pass) attention(l *layer, last bool) {
	d := p.m.Width
	grow(&p.h, len(p.positions)*d)
	p.norm(len(p.positions), p.h, p.x, l.attnNorm)
	heads, kv := l.Heads*l.HeadDim, l.KVHeads*l.HeadDim
	grow(&p.q, len(p.positions)*heads)
	grow(&p.k, len(p.positions)*kv)
	grow(&p.v, len(p.positions)*kv)
	q := tensor.Product{Dst: p.q, X: p.h, N: len(p.positions), W: l.q}
	k := tensor.Product{Dst: p.k, X: p.h, N: len(p.positions), W: l.k}
	v := tensor.Product{Dst: p.v, X: p.h, N: len(p.positions), W: l.v}
	switch {
	case !l.owns:
		p.multiply(q)
	case last:
		if l.v != nil {
			p.multiply(k, v)
		} else {
			p.multiply(k)
		}
		p.store(l)
		p.keepWanted()
		q.N = len(p.positions)
		p.multiply(q)
	default:
		if l.v != nil {
			p.multiply(q, k, v)
		} else {
			p.multiply(q, k)
		}
		p.store(l)
	}
	if len(p.positions) == 0 {
		return
	}
	p.each(len(p.positions), l, (*Pass).rotateQuery)
	grow(&p.att, len(p.positions)*heads)
	p.attend(l)
	grow(&p.out, len(p.positions)*d)
	p.multiply(tensor.Product{Dst: p.out, X: p.att, N: len(p.positions), W: l.attnOut})
	p.add(len(p.positions), p.x, p.out, l.postAttnNorm)
}

// rotateQuery norms and rotates the query heads of position i.
func (p *Pass) rotateQuery(l *layer, i int) {
	k := p.kernels
	cos, sin := p.rope(l, i)
	cache := p.positions[i].chunk.Sequence.cache[l.Source]
	for h := range l.Heads {
		q := p.q[(i*l.Heads+h)*l.HeadDim:][:l.HeadDim]
		k.RMSNorm(q, q, l.qNorm, p.m.Eps)
		k.Rotate(q, cos, sin)
		cache.query(k, q, l.kNorm)
	}
}

// store norms, rotates and caches the keys and values of all positions.
func (p *Pass) store(l *layer) {
	if l.v == nil && p.err == nil {
		copy(p.v, p.k[:len(p.positions)*l.KVHeads*l.HeadDim])
	}
	p.each(len(p.positions), l, (*Pass).storePosition)
}

func (p *Pass) storePosition(l *layer, i int) {
	kern := p.kernels
	n := l.KVHeads * l.HeadDim
	keys, values := p.k[i*n:(i+1)*n], p.v[i*n:(i+1)*n]
	cos, sin := p.rope(l, i)
	for h := range l.KVHeads {
		k, v := keys[h*l.HeadDim:(h+1)*l.HeadDim], values[h*l.HeadDim:(h+1)*l.HeadDim]
		kern.RMSNorm(k, k, l.kNorm, p.m.Eps)
		kern.Rotate(k, cos, sin)
		kern.RMSNorm(v, v, nil, p.m.Eps)
	}
	r := &p.positions[i]
	r.chunk.Sequence.cache[l.index].put(kern, r.pos, keys, values)
}

// rope returns the angles of position i in a layer.
func (p *Pass) rope(l *layer, i int) (cos, sin []float32) {
	kind := 1
	if l.Sliding {
		kind = 0
	}
	return p.angles[kind].at(i, l.HeadDim/2)
}

// keepWanted drops the positions that are not wanted.
func (p *Pass) keepWanted() {
	n, d := 0, p.m.Width
	for i, r := range p.positions {
		if !r.want {
			continue
		}
		if n != i {
			p.positions[n] = r
			move(p.x, n, i, d)
			move(p.h, n, i, d)
			for kind, freqs := range [...][]float64{p.m.slidingFreqs, p.m.globalFreqs} {
				a := &p.angles[kind]
				move(a.cos, n, i, len(freqs))
				move(a.sin, n, i, len(freqs))
			}
			if p.m.PerLayer > 0 {
				move(p.input, n, i, d)
				p.perLayers.rows[n] = p.perLayers.rows[i]
			}
		}
		n++
	}
	p.positions = p.positions[:n]
}

// feedForward: x += norm(mlp(norm(x))), in expert layers with the experts beside the dense MLP. Where a layer ends here, its own scale
// multiplies x.
func (p *Pass) feedForward(l *layer) {
	if l.experts != nil {
		p.mix(l)
		return
	}
	n := len(p.positions)
	p.norm(n, p.h, p.x, l.mlpNorm)
	grow(&p.gate, n*l.MLPWidth)
	grow(&p.up, n*l.MLPWidth)
	p.multiply(
		tensor.Product{Dst: p.gate, X: p.h, N: n, W: l.gate},
		tensor.Product{Dst: p.up, X: p.h, N: n, W: l.up})
	p.gelu(p.gate[:n*l.MLPWidth], p.up[:n*l.MLPWidth])
	p.multiply(tensor.Product{Dst: p.out, X: p.gate, N: n, W: l.down})
	p.addScaled(n, p.x, p.out, l.postMLPNorm, p.scaleBehindMLP(l))
}

// scaleBehindMLP returns the layer's own scale where nothing of it follows the MLP, else 1.
func (p *Pass) scaleBehindMLP(l *layer) float32 {
	if p.m.PerLayer == 0 {
		return l.scale
	}
	return 1
}

// perLayer: x += norm(proj(gelu(gate(x)) ⊙ e)), where e, the layer's own small embedding of the token, combines the table's entry and a
// projection of the input. Then the layer's own scale multiplies x.
func (p *Pass) perLayer(l *layer) {
	d, n := p.m.PerLayer, len(p.positions)
	if d == 0 {
		return
	}
	grow(&p.small, n*d)
	grow(&p.projected, n*d)
	p.multiply(
		tensor.Product{Dst: p.small, X: p.x, N: n, W: l.perLayerGate},
		tensor.Product{Dst: p.projected, X: p.input, N: n, W: p.m.perLayerProj[l.index]})
	grow(&p.fetched, n*p.fetchedSize())
	p.each(n, l, (*Pass).gatePerLayer)
	p.multiply(tensor.Product{Dst: p.out, X: p.small, N: n, W: l.perLayerOut})
	p.addScaled(n, p.x, p.out, l.perLayerNorm, l.scale)
}

// fetchedSize is the room for one layer's values of the table, in whole blocks.
func (p *Pass) fetchedSize() int { return p.m.PerLayer + 2*p.m.perLayerTable.Format.BlockLen() }

// gatePerLayer: small = gelu(small) ⊙ e, for position i.
func (p *Pass) gatePerLayer(l *layer, i int) {
	m, k, d := p.m, p.kernels, p.m.PerLayer
	t := m.perLayerTable
	e := p.projected[i*d : (i+1)*d]
	k.Scale(e, e, float32(1/math.Sqrt(float64(m.Width))))
	k.RMSNorm(e, e, m.perLayerNorm, m.Eps)

	bl := t.Format.BlockLen()
	from, to := l.index*d/bl, ((l.index+1)*d+bl-1)/bl // blocks
	size := p.fetchedSize()
	fetched := p.fetched[i*size : i*size+(to-from)*bl]
	k.DecodeRow(t.Format, fetched, p.perLayers.rows[i][from*t.Format.BlockBytes():to*t.Format.BlockBytes()])
	fetched = fetched[l.index*d-from*bl:][:d]
	root, half := float32(math.Sqrt(float64(d))), float32(1/math.Sqrt2)
	k.Scale(fetched, fetched, root*t.Scale)
	k.AddScaled(e, fetched, 1) // products are rounded first, whether or not a level fuses them
	k.Scale(e, e, half)
	p.lookedUp(e, t, &p.positions[i], l.index*d, root*half)
	k.GELU(p.small[i*d:(i+1)*d], e)
}
