package model

import "github.com/gogemma/gemma4/tensor"

// beside is the scratch of adapters in a pass. Behind each product of the graph that has some beside it, the positions of each sequence
// take two thin products with those of its own: what they go down to is computed with the product itself, in the same region, and what
// goes up from there is added in another. A position gets what it would get alone, in the order of its sequence's adapters.
type beside struct {
	on       bool             // a sequence of the pass has adapters
	products []tensor.Product // the graph's, and those down
	adds     []addition
	low      []float32   // what all of them go down to
	chunks   int         // of adds
	rows     [][]float32 // per worker: a tile of results
	kernels  *tensor.Kernels

	first int         // position of the first row of the head's product
	asked []*Sequence // of each product with some rows of the head
}

// addition is what one adapter adds to a product, for the rows of one sequence after the other that have it in common.
type addition struct {
	*thin
	by     float32
	dst    []float32 // from the first of these rows on
	stride int
	n      int
	ids    []int32 // the columns of dst, where they are not all
	low    int     // where in low
	chunk  int     // the first
	more   bool    // the one before adds to the same, and goes first
}

const (
	thinTile = 8    // rows of a product that are added to at a time
	thinRows = 1024 // columns of it, of a chunk
)

// ofPosition, ofSlot and ofAsked return whose a row is, of products of positions, of the experts' slots and of some rows of the head.
func (p *Pass) ofPosition(_, row int) *Sequence {
	return p.positions[p.beside.first+row].chunk.Sequence
}

func (p *Pass) ofSlot(product, row int) *Sequence {
	return p.positions[p.moe.of[p.moe.starts[product]+row]].chunk.Sequence
}

func (p *Pass) ofAsked(product, _ int) *Sequence { return p.beside.asked[product] }

// multiplyBeside is multiplyOf where a sequence has adapters.
func (p *Pass) multiplyBeside(whose func(p *Pass, product, row int) *Sequence, products ...tensor.Product) {
	b := &p.beside
	b.products, b.adds, b.chunks = append(b.products[:0], products...), b.adds[:0], 0
	low := 0
	for i := range products {
		x := &products[i]
		for from, to := 0, 0; from < x.N; from = to {
			s := whose(p, i, from)
			for to = from + 1; to < x.N && whose(p, i, to).adapted.key == s.adapted.key; to++ {
			}
			low = b.add(x, from, to, s, low)
		}
	}
	grow(&b.low, low)
	for i := range b.adds {
		a := &b.adds[i]
		b.products[len(products)+i].Dst = b.low[a.low:]
	}
	p.regions.multiply(b.products...)
	clear(b.products)
	if b.chunks > 0 {
		b.kernels = p.kernels
		for len(b.rows) < p.pool.Workers() {
			b.rows = append(b.rows, make([]float32, thinTile*thinRows))
		}
		p.run(b.chunks, b)
	}
	clear(b.adds)
}

// lookedUp adds to x what adapters have beside the columns of a table from the given one on, in the row that a position stands for.
func (p *Pass) lookedUp(x []float32, table *tensor.Tensor, r *position, from int, scale float32) {
	for _, a := range r.chunk.Sequence.adapted.list {
		if t := a.beside[table]; t != nil {
			t.addRow(p.kernels, x, int(r.id), from, a.Scale*t.scale*scale)
		}
	}
}

// add lists what the adapters of a sequence add to rows from to to-1 of a product. low counts what is used of b.low.
func (b *beside) add(x *tensor.Product, from, to int, s *Sequence, low int) int {
	height, cols := x.W.Rows(), x.W.Cols()
	if x.Only != nil {
		height = len(x.Only)
	}
	stride, first := x.Stride, len(b.adds)
	if stride == 0 {
		stride = height
	}
	if height == 0 {
		return low
	}
	for _, a := range s.adapted.list {
		t := a.beside[x.W]
		if t == nil {
			continue
		}
		b.adds = append(b.adds, addition{
			thin: t, by: a.Scale * t.scale, dst: x.Dst[from*stride:], stride: stride, n: to - from, ids: x.Only, low: low,
			chunk: b.chunks, more: len(b.adds) > first,
		})
		b.products = append(b.products, tensor.Product{X: x.X[from*cols:], N: to - from, W: t.down})
		low += (to - from) * t.rank
	}
	if len(b.adds) > first {
		b.chunks += (height + thinRows - 1) / thinRows
	}
	return low
}

// Do is called by the pool. It adds to a chunk of the columns of a product what all adapters of its rows have.
func (b *beside) Do(worker, chunk int) {
	i := len(b.adds) - 1
	for b.adds[i].chunk > chunk || b.adds[i].more {
		i--
	}
	for first := true; first || i < len(b.adds) && b.adds[i].more; i++ {
		a := &b.adds[i]
		from := (chunk - a.chunk) * thinRows
		rows := len(a.ids)
		if a.ids == nil {
			rows = a.rows()
		}
		a.thin.add(b.kernels, a.dst, a.stride, b.low[a.low:], a.n, a.by, a.ids, from, min(from+thinRows, rows), b.rows[worker])
		first = false
	}
}
