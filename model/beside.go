package model

import "github.com/gogemma/gemma4/tensor"

// beside is the scratch of adapters in a pass. Behind each product of the graph that has some beside it, the positions of each sequence
// take two thin products with those of its own: what they go down to is computed with the product itself, in the same region, and what
// goes up from there is added in another. A position gets what it would get alone, in the order of its sequence's adapters.
type beside struct {
	on       bool             // a sequence of the pass has adapters
	products []tensor.Product // those down, then the graph's
	adds     []addition
	low      []float32 // what all of them go down to
	chunks   int       // of adds
	whole    bool      // one worker does all of them
	rooms    []room    // per worker
	kernels  *tensor.Kernels

	first int         // position of the first row of the head's product
	asked []*Sequence // of each product with some rows of the head
}

// room is a worker's.
type room struct {
	low   []float32 // [rank] of one position, scaled
	block []float32 // results
}

// addition is what one adapter adds to a product, for rows of one sequence, or of several with the same adapters.
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
	leastThin = 1 << 16 // multiply-adds of a chunk at least
	mostWhole = 1 << 17 // and up to which one worker is sooner done alone than others are told
)

// ofPosition, ofSlot, ofDenseOrSlot and ofAsked return whose a row is, of products of positions, of the experts' slots, of these behind one
// of positions, and of some rows of the head.
func (p *Pass) ofPosition(_, row int) *Sequence {
	return p.positions[p.beside.first+row].chunk.Sequence
}

func (p *Pass) ofSlot(product, row int) *Sequence {
	return p.positions[p.moe.of[p.moe.starts[product]+row]].chunk.Sequence
}

func (p *Pass) ofDenseOrSlot(product, row int) *Sequence {
	if product == 0 {
		return p.ofPosition(0, row)
	}
	return p.ofSlot(product-1, row)
}

func (p *Pass) ofAsked(product, _ int) *Sequence { return p.beside.asked[product] }

// multiplyBeside is multiplyOf where a sequence has adapters.
func (p *Pass) multiplyBeside(whose func(p *Pass, product, row int) *Sequence, products ...tensor.Product) {
	b := &p.beside
	b.products, b.adds, b.chunks = b.products[:0], b.adds[:0], 0
	low, ops := 0, 0
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
		b.products[i].Dst = b.low[a.low:]
		ops += a.n * a.rank * a.height()
	}
	b.products = append(b.products, products...)
	p.regions.multiply(b.products...)
	clear(b.products)
	if b.chunks > 0 {
		b.prepare(p.kernels, p.pool.Workers())
		if b.whole = ops <= mostWhole; b.whole {
			p.run(1, b)
		} else {
			p.run(b.chunks, b)
		}
	}
	clear(b.adds)
}

// prepare makes room for what adds take.
func (b *beside) prepare(k *tensor.Kernels, workers int) {
	b.kernels = k
	rank := 0
	for i := range b.adds {
		rank = max(rank, b.adds[i].rank)
	}
	for len(b.rooms) < workers {
		b.rooms = append(b.rooms, room{block: make([]float32, thinBlock)})
	}
	for i := range b.rooms {
		grow(&b.rooms[i].low, rank)
	}
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
	first, chunks, cols := len(b.adds), 0, x.W.Cols()
	for _, a := range s.adapted.list {
		t := a.beside[x.W]
		if t == nil {
			continue
		}
		add := addition{
			thin: t, by: a.Scale * t.scale, stride: x.Stride, n: to - from, ids: x.Only, low: low, chunk: b.chunks,
			more: len(b.adds) > first,
		}
		if add.stride == 0 {
			add.stride = add.height()
		}
		add.dst = x.Dst[from*add.stride:]
		if chunks == 0 {
			chunks = add.chunks()
		}
		b.adds = append(b.adds, add)
		b.products = append(b.products, tensor.Product{X: x.X[from*cols:], N: to - from, W: t.down})
		low += (to - from) * t.rank
	}
	b.chunks += chunks
	return low
}

// height returns the columns of dst that are added to.
func (a *addition) height() int {
	if a.ids != nil {
		return len(a.ids)
	}
	return a.rows
}

// blocks returns how many blocks of results make a chunk, for all adapters of the rows: the first one's rank decides.
func (a *addition) blocks() int { return max(1, leastThin/(thinBlock*a.rank*a.n)) }

// chunks returns how many there are. Some rows are one.
func (a *addition) chunks() int {
	if a.ids != nil {
		return 1
	}
	rows := thinBlock * a.blocks()
	return (a.rows + rows - 1) / rows
}

// Do is called by the pool.
func (b *beside) Do(worker, chunk int) {
	if !b.whole {
		b.do(worker, chunk)
		return
	}
	for chunk := range b.chunks {
		b.do(worker, chunk)
	}
}

// do adds to a chunk of the columns of a product what all adapters of its rows have.
func (b *beside) do(worker, chunk int) {
	i := len(b.adds) - 1
	for b.adds[i].chunk > chunk || b.adds[i].more {
		i--
	}
	first := &b.adds[i]
	size := thinBlock * first.blocks()
	from := (chunk - first.chunk) * size
	for more := true; more; i++ {
		b.adds[i].do(b.kernels, b.low, &b.rooms[worker], from, min(from+size, first.rows))
		more = i+1 < len(b.adds) && b.adds[i+1].more
	}
}

// do adds to the columns from to to-1 of all rows, or to some.
func (a *addition) do(k *tensor.Kernels, low []float32, r *room, from, to int) {
	for i := range a.n {
		w := r.low[:a.rank]
		k.Scale(w, low[a.low+i*a.rank:][:a.rank], a.by)
		dst := a.dst[i*a.stride : i*a.stride+a.height()]
		if a.ids != nil {
			a.addSome(k, dst, w, a.ids, r.block)
		} else {
			a.add(k, dst, w, from, to)
		}
	}
}
