package tensor

import "sync/atomic"

// Product is one matrix product of a region: Dst [N, rows] = X [N, cols] · Wᵀ · W.Scale, all row-major.
type Product struct {
	Dst    []float32 // [N, rows], Stride from one token to the next
	X      []float32 // [N, cols]
	N      int       // tokens
	W      *Tensor   // [rows, cols]
	Only   []int32   // the rows of W that count, ascending, where not all do; Dst has no others
	Stride int       // floats from one token's outputs to the next in Dst; 0 stands for rows
}

// height returns the number of rows that are multiplied.
func (p *Product) height() int {
	if p.Only != nil {
		return len(p.Only)
	}
	return p.W.Rows()
}

// read returns the bytes of rows from to to-1 of those that are multiplied: in place where they lie together in memory, else in buf.
func (p *Product) read(buf []byte, from, to int) ([]byte, error) {
	if p.Only == nil {
		return p.W.ReadRows(buf, from, to)
	}
	return p.W.readSome(buf, p.Only[from:to])
}

// MatMul runs products over a pool. It owns the scratch they need, so it serves one caller at a time and allocates
// nothing once the buffers have their size.
type MatMul struct {
	// Between, if set, is called on the caller's goroutine between two regions that a long Run is cut into, which have about RegionOps
	// multiply-adds. Its error ends the Run. What comes out does not depend on it.
	Between   func() error
	RegionOps int64

	pool    *Pool
	kernels *Kernels
	rows    [][]float32 // per worker, decoded rows
	panels  [][]byte    // per worker, a packed panel
	raw     [][]byte    // per worker, a chunk's weights where they do not lie in memory
	ops     atomic.Int64
	failed  atomic.Pointer[error] // the first one of reading weights

	products []product
	inputs   []input
	packing  bool // the region at work packs the inputs
	from     int  // the chunk that it begins with
}

// product is a Product with what it takes to compute it.
type product struct {
	Product
	way   way
	input int // index into MatMul.inputs
	first int // chunk of the region
	rows  int // rows per chunk
}

// input is an X in the form that a way takes. Products that share X share it.
type input struct {
	x       []float32
	n, cols int
	way     way
	first   int // chunk of the packing region
	q8      []Q8
	packed  []byte
}

// way is how a product is computed.
type way uint8

const (
	byDecoding    way = iota // decoded rows times activations
	byRows                   // a row kernel over Q8
	byFloatRows              // a row kernel over activations
	byPanels                 // packed panels of quantised weights
	byHalfPanels             // packed panels of F16 and BF16
	byFloatPanels            // packed panels of floats
)

const (
	decodedRows = 8       // rows decoded together, so that activations are loaded once for all of them
	kernelRows  = 32      // least rows for a row kernel, which rearranges the activations once per call
	leastOps    = 1 << 17 // multiply-adds of a chunk at least: far above the hand-off
	mostOps     = 1 << 24 // and at most, unless the fewest rows have more: workers finish together
	mostWeights = 1 << 20 // of a chunk: the longer a worker reads on, the nearer it comes to the memory's speed
	workerParts = 4       // chunks per worker and product, for cores that are not equally fast
	packTokens  = 16      // tokens that a chunk packs; a multiple of every XTile
)

// NewMatMul returns a MatMul that works on the pool with the kernels of the table.
func NewMatMul(pool *Pool, k *Kernels) *MatMul {
	n := pool.Workers()
	return &MatMul{pool: pool, kernels: k, rows: make([][]float32, n), panels: make([][]byte, n), raw: make([][]byte, n)}
}

// Ops returns the number of multiply-adds done since the beginning.
func (m *MatMul) Ops() int64 { return m.ops.Load() }

// Run computes the products in the given arithmetic, in one region unless there is something to be done between two, with another before
// it where activations must be packed. Products must not overlap in Dst; they may share X. It is an error if weights cannot be read; Dst
// then holds anything.
func (m *MatMul) Run(a Arithmetic, products ...Product) error {
	m.products, m.inputs = m.products[:0], m.inputs[:0]
	chunks, packs, ops := 0, 0, int64(0)
	for _, p := range products {
		rows, cols := p.height(), p.W.Cols()
		if p.N == 0 || rows == 0 {
			continue
		}
		if p.Stride == 0 {
			p.Stride = rows
		}
		q := product{Product: p, way: m.way(a, p.W.Format), first: chunks}
		q.rows = m.chunkRows(&q)
		chunks += (rows + q.rows - 1) / q.rows
		ops += int64(rows) * int64(cols) * int64(p.N)
		q.input, packs = m.addInput(&q, packs)
		m.products = append(m.products, q)
		m.reserve(&q)
	}
	m.ops.Add(ops)
	var err error
	m.packing = packs > 0 // set anew: a panic may have left the last region early
	if packs > 0 {
		err = m.pool.Run(packs, m)
		m.packing = false
	}
	if err == nil {
		err = m.multiply(chunks, ops)
	}
	if failed := m.failed.Swap(nil); failed != nil && err == nil {
		err = *failed
	}
	clear(m.products) // holds on to no caller's memory
	for i := range m.inputs {
		m.inputs[i].x = nil
	}
	return err
}

// multiply does the chunks of an amount of work.
func (m *MatMul) multiply(chunks int, ops int64) error {
	most := chunks
	if m.Between != nil && ops > m.RegionOps {
		most = max(m.pool.Workers(), int(int64(chunks)*m.RegionOps/ops))
	}
	for m.from = 0; m.from < chunks; m.from += most {
		if m.from > 0 {
			if err := m.Between(); err != nil {
				return err
			}
		}
		if err := m.pool.Run(min(most, chunks-m.from), m); err != nil {
			return err
		}
	}
	return nil
}

// way chooses by arithmetic and format alone, so that a product's bits do not depend on its company.
func (m *MatMul) way(a Arithmetic, f Format) way {
	k := m.kernels
	float := f == F32 || f == F16 || f == BF16
	switch {
	case a == Rows && k.Rows[f] != nil:
		return byRows
	case a == Rows && k.FloatRows[f] != nil:
		return byFloatRows
	case a == Panels && k.Panels != nil && (!float || k.Panels.PackW[f] != nil):
		return byPanels
	case a == Panels && k.HalfPanels != nil && k.HalfPanels.PackW[f] != nil:
		return byHalfPanels
	case a == Panels && float && k.FloatPanels != nil:
		return byFloatPanels
	}
	return byDecoding
}

// panelKernels returns those of a way.
func (m *MatMul) panelKernels(w way) *PanelKernels {
	switch w {
	case byHalfPanels:
		return m.kernels.HalfPanels
	case byFloatPanels:
		return m.kernels.FloatPanels
	}
	return m.kernels.Panels
}

// chunkRows returns how many rows of a product make a chunk.
func (m *MatMul) chunkRows(p *product) int {
	fewest := decodedRows
	switch p.way {
	case byRows, byFloatRows:
		fewest = kernelRows
	case byPanels, byHalfPanels, byFloatPanels:
		fewest = m.panelKernels(p.way).Height
	}
	rows, cols := p.height(), max(1, p.W.Cols())
	share := int64(rows) * int64(cols) / int64(workerParts*m.pool.Workers())
	weights := int(min(share, mostWeights, int64(mostOps/p.N)))
	return fewest * max(1, max(weights, leastOps/p.N)/(fewest*cols))
}

// PieceBytes returns how much memory each worker takes at most, about, for products with a tensor whose rows are read when they are needed.
func PieceBytes(w *Tensor) int64 {
	cols := w.Cols()
	rows := min(w.Rows(), max(kernelRows, mostWeights/cols))
	return int64(rows)*int64(w.Format.RowBytes(cols)) + kernelRows*int64(cols)*4
}

// addInput returns the index of the product's packed X, which may be another product's, and the packing chunks so far.
func (m *MatMul) addInput(p *product, chunks int) (index, total int) {
	cols := p.W.Cols()
	for i := range m.inputs {
		in := &m.inputs[i]
		if in.way == p.way && in.n == p.N && in.cols == cols && &in.x[0] == &p.X[0] {
			return i, chunks
		}
	}
	i := len(m.inputs)
	if i < cap(m.inputs) {
		m.inputs = m.inputs[:i+1] // with its buffers
	} else {
		m.inputs = append(m.inputs, input{})
	}
	in := &m.inputs[i]
	in.x, in.n, in.cols, in.way, in.first = p.X, p.N, cols, p.way, chunks
	switch p.way {
	case byRows:
		if n := p.N * Q8Len(cols); len(in.q8) < n {
			in.q8 = make([]Q8, n)
		}
	case byPanels, byHalfPanels, byFloatPanels:
		if n := m.panelKernels(p.way).XBytes(p.N, cols); len(in.packed) < n {
			in.packed = make([]byte, n)
		}
	default:
		return i, chunks
	}
	return i, chunks + (p.N+packTokens-1)/packTokens
}

// reserve makes room for what the workers decode of a product.
func (m *MatMul) reserve(p *product) {
	rows, panel, cols := 0, 0, p.W.Cols()
	switch {
	case p.way == byDecoding:
		rows = decodedRows * cols
	case p.way >= byPanels:
		k := m.panelKernels(p.way)
		panel = k.WBytes(cols)
		if k.PackW[p.W.Format] == nil {
			rows = k.Height * cols
		}
	}
	raw := 0
	if p.W.Data == nil || p.Only != nil {
		raw = min(p.rows, p.height()) * p.W.Format.RowBytes(cols)
	}
	for w := range m.rows {
		if len(m.raw[w]) < raw {
			m.raw[w] = make([]byte, raw)
		}
		if len(m.rows[w]) < rows {
			m.rows[w] = make([]float32, rows)
		}
		if len(m.panels[w]) < panel {
			m.panels[w] = make([]byte, panel)
		}
	}
}

// Do does one chunk. It is called by the pool.
func (m *MatMul) Do(worker, chunk int) {
	if m.packing {
		m.pack(chunk)
		return
	}
	chunk += m.from
	i := len(m.products) - 1
	for m.products[i].first > chunk {
		i--
	}
	p := &m.products[i]
	from := (chunk - p.first) * p.rows
	to := min(from+p.rows, p.height())
	raw, err := p.read(m.raw[worker], from, to)
	if err != nil {
		m.fail(err)
		return
	}
	cols := p.W.Cols()
	size := p.W.Format.RowBytes(cols)
	switch p.way {
	case byRows:
		in, units := &m.inputs[p.input], Q8Len(cols)
		m.kernels.Rows[p.W.Format](p.Dst[from:], p.Stride, raw, size, to-from, in.q8[:p.N*units], units, p.N)
	case byFloatRows:
		m.kernels.FloatRows[p.W.Format](p.Dst[from:], p.Stride, raw, size, to-from, p.X[:p.N*cols], cols, p.N)
	case byPanels, byHalfPanels, byFloatPanels:
		k := m.panelKernels(p.way)
		if multiply := k.MultiplyW[p.W.Format]; multiply != nil && p.N <= k.Few {
			multiply(p.Dst[from:], p.Stride, m.panels[worker][:k.WBytes(cols)], raw, size, to-from, m.inputs[p.input].packed, p.N, cols)
			break
		}
		for h := k.Height; from < to; from += h {
			n := min(h, to-from)
			m.multiplyPanel(p, worker, from, from+n, raw[:n*size])
			raw = raw[n*size:]
		}
		return // scaled
	default:
		for ; from < to; from += decodedRows {
			n := min(decodedRows, to-from)
			m.multiplyDecoded(p, m.rows[worker], from, from+n, raw[:n*size])
			raw = raw[n*size:]
		}
		return // scaled
	}
	p.scale(from, to)
}

// fail keeps the first error. It is a function of its own so that an error takes memory only when there is one.
func (m *MatMul) fail(err error) { m.failed.CompareAndSwap(nil, &err) }

// next returns up to n rows, from the given one on, where they lie in memory: a worker mostly goes on with what follows.
func (p *product) next(from, n int) []byte {
	if p.Only != nil || p.W.Data == nil {
		return nil
	}
	size := p.W.Format.RowBytes(p.W.Cols())
	return p.W.Data[from*size : min(from+n, p.height())*size]
}

// scale multiplies columns from to to-1 of Dst by the tensor's own scale.
func (p *product) scale(from, to int) {
	if p.W.Scale == 1 {
		return
	}
	for t := range p.N {
		dst := p.Dst[t*p.Stride+from : t*p.Stride+to]
		for r := range dst {
			dst[r] *= p.W.Scale
		}
	}
}

// pack packs some tokens of an input.
func (m *MatMul) pack(chunk int) {
	i := len(m.inputs) - 1
	for m.inputs[i].first > chunk || m.inputs[i].way == byDecoding || m.inputs[i].way == byFloatRows {
		i--
	}
	in := &m.inputs[i]
	from := (chunk - in.first) * packTokens
	to := min(from+packTokens, in.n)
	if in.way != byRows {
		m.panelKernels(in.way).PackX(in.packed, in.x, in.n, in.cols, from, to)
		return
	}
	units := Q8Len(in.cols)
	for t := from; t < to; t++ {
		m.kernels.Quantize(in.q8[t*units:(t+1)*units], in.x[t*in.cols:(t+1)*in.cols])
	}
}

// multiplyDecoded computes columns from to to-1 of p.Dst: it decodes those rows of the weight, raw, once and takes every token over them.
func (m *MatMul) multiplyDecoded(p *product, buf []float32, from, to int, raw []byte) {
	cols := p.W.Cols()
	w := m.decode(p.W.Format, buf[:(to-from)*cols], raw)
	for t := range p.N {
		x := p.X[t*cols : (t+1)*cols]
		dst := p.Dst[t*p.Stride+from : t*p.Stride+to]
		for r := range dst {
			dst[r] = m.kernels.Dot(w[r*cols:(r+1)*cols], x) * p.W.Scale
		}
	}
}

// decode returns raw as floats, in buf unless they lie there as such.
func (m *MatMul) decode(f Format, buf []float32, raw []byte) []float32 {
	if v, ok := viewFloats(raw); ok && f == F32 {
		return v
	}
	m.kernels.DecodeRow(f, buf, raw)
	return buf
}

// multiplyPanel computes columns from to to-1 of p.Dst from a packed panel of those rows, raw.
func (m *MatMul) multiplyPanel(p *product, worker, from, to int, raw []byte) {
	k, cols := m.panelKernels(p.way), p.W.Cols()
	panel := m.panels[worker][:k.WBytes(cols)]
	if pack := k.PackW[p.W.Format]; pack != nil {
		pack(panel, raw, p.W.Format.RowBytes(cols), to-from, cols)
	} else {
		k.PackFloats(panel, m.decode(p.W.Format, m.rows[worker][:(to-from)*cols], raw), to-from, cols)
	}
	k.Multiply(p.Dst[from:], p.Stride, panel, to-from, m.inputs[p.input].packed, p.N, cols, p.next(to, k.Height))
	p.scale(from, to)
}
