package tensor

import "sync/atomic"

// Product is one matrix product of a region: Dst [N, rows] = X [N, cols] · Wᵀ · W.Scale, all row-major.
type Product struct {
	Dst    []float32
	X      []float32
	N      int     // rows of X: tokens
	W      *Tensor // [rows, cols]
	Stride int     // from one row of Dst to the next; 0 stands for rows
}

// MatMul runs products over a pool. It owns the scratch they need, so it serves one caller at a time and allocates
// nothing once the buffers have their size.
type MatMul struct {
	pool    *Pool
	kernels *Kernels
	panel   [][]float32 // per worker, decoded rows
	ops     atomic.Int64

	products []Product
	first    []int // first chunk of each product
}

const (
	panelRows = 8       // rows decoded together, so that the tokens are read once for all of them
	chunkOps  = 1 << 15 // least multiply-adds of a chunk: tens of microseconds, far above the hand-off
)

// NewMatMul returns a MatMul that works on the pool with the kernels of the table.
func NewMatMul(pool *Pool, k *Kernels) *MatMul {
	return &MatMul{pool: pool, kernels: k, panel: make([][]float32, pool.Workers())}
}

// Ops returns the number of multiply-adds done since the beginning.
func (m *MatMul) Ops() int64 { return m.ops.Load() }

// Run computes the products in one region. They must not overlap in Dst; they may share X.
func (m *MatMul) Run(products ...Product) error {
	m.products = append(m.products[:0], products...)
	m.first = m.first[:0]
	chunks, depth, ops := 0, 0, int64(0)
	for i := range m.products {
		p := &m.products[i]
		rows, cols := p.W.Rows(), p.W.Cols()
		if p.Stride == 0 {
			p.Stride = rows
		}
		m.first = append(m.first, chunks)
		per := chunkRows(cols, p.N)
		chunks += (rows + per - 1) / per
		depth = max(depth, cols)
		ops += int64(rows) * int64(cols) * int64(p.N)
	}
	for w := range m.panel {
		if len(m.panel[w]) < panelRows*depth {
			m.panel[w] = make([]float32, panelRows*depth)
		}
	}
	m.ops.Add(ops)
	err := m.pool.Run(chunks, m)
	clear(m.products)
	return err
}

// chunkRows returns how many rows of a matrix make a chunk, a multiple of panelRows.
func chunkRows(cols, n int) int {
	panels := chunkOps / max(1, panelRows*cols*n)
	return panelRows * max(1, panels)
}

// Do computes one chunk of rows. It is called by the pool.
func (m *MatMul) Do(worker, chunk int) {
	i := len(m.first) - 1
	for m.first[i] > chunk {
		i--
	}
	p := &m.products[i]
	per := chunkRows(p.W.Cols(), p.N)
	from := (chunk - m.first[i]) * per
	to := min(from+per, p.W.Rows())
	for ; from < to; from += panelRows {
		m.multiply(p, m.panel[worker], from, min(from+panelRows, to))
	}
}

// multiply computes columns from to to-1 of p.Dst: it decodes those rows of the weight once and takes every token over them.
func (m *MatMul) multiply(p *Product, panel []float32, from, to int) {
	cols, rows := p.W.Cols(), to-from
	raw := p.W.Data[from*p.W.Format.RowBytes(cols) : to*p.W.Format.RowBytes(cols)]
	var w []float32
	if v, ok := viewFloats(raw); ok && p.W.Format == F32 {
		w = v
	} else {
		w = panel[:rows*cols]
		p.W.Format.Decode(w, raw)
	}
	for t := range p.N {
		x := p.X[t*cols : (t+1)*cols]
		dst := p.Dst[t*p.Stride+from : t*p.Stride+to]
		for r := range dst {
			dst[r] = m.kernels.Dot(w[r*cols:(r+1)*cols], x) * p.W.Scale
		}
	}
}
