package model

import (
	"context"
	"math"

	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/tensor"
)

// regions run a graph on a pool, one region after the other. The first error ends the graph: what follows does nothing, and whoever runs
// the graph returns err.
//
// A graph embeds them: G is the graph, L what one of its layers has. Both are handed to the functions of a region, which are method
// expressions, so that starting one allocates nothing.
type regions[G, L any] struct {
	pool     *tensor.Pool
	kernels  *tensor.Kernels
	mm       *tensor.MatMul
	role     tensor.Arithmetic // panels in a prefill, rows in a decode
	err      error
	loop     loop[G, L]
	vectors  vectors
	bounded  [][]float32      // copies of a product's input between bounds
	products []tensor.Product // of project
	ctx      context.Context  // ends the graph between two regions; nil: something else does
	between  func()           // lets others go first
	proceed  func() error     // pause within products
	most     int64            // multiply-adds of a region, if there is something between
}

// newRegions returns the regions of a graph over a residual of the given width.
func newRegions[G, L any](graph *G, pool *tensor.Pool, k *tensor.Kernels, width int, eps float32) regions[G, L] {
	return regions[G, L]{
		pool: pool, kernels: k, mm: tensor.NewMatMul(pool, k),
		most: regionOps, loop: loop[G, L]{graph: graph}, vectors: vectors{kernels: k, width: width, eps: eps},
	}
}

// start says who may go first between two regions. What may end the graph there is in ctx.
func (r *regions[G, L]) start(between func()) {
	if r.err, r.between = nil, between; between == nil && r.ctx == nil {
		return
	}
	if r.proceed == nil {
		r.proceed = func() error { r.pause(); return r.err }
	}
	r.mm.Between, r.mm.RegionOps = r.proceed, r.most
}

// stop forgets what start was told.
func (r *regions[G, L]) stop() { r.ctx, r.between, r.mm.Between = nil, nil, nil }

// pause comes before each region.
func (r *regions[G, L]) pause() {
	if r.between != nil && r.err == nil {
		r.between()
	}
	if r.ctx != nil && r.err == nil {
		r.err = cause.Of(r.ctx)
	}
}

// fail keeps the first error.
func (r *regions[G, L]) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// run runs a region of n jobs.
func (r *regions[G, L]) run(n int, t tensor.Task) {
	if r.pause(); r.err == nil {
		r.err = r.pool.Run(n, t)
	}
}

// runLong runs n jobs of an amount of work, in regions that are not too long where others may go first. *first is the job that a region
// begins with.
func (r *regions[G, L]) runLong(n int, ops int64, first *int, t tensor.Task) {
	most := n
	if r.mm.Between != nil && ops > r.most {
		most = max(r.pool.Workers(), int(int64(n)*r.most/ops))
	}
	for *first = 0; *first < n; *first += most {
		r.run(min(most, n-*first), t)
	}
}

// regionOps is how many multiply-adds a region has at most, about, where others may go first between two: some tens of milliseconds of one
// processor.
const regionOps = 4 << 30

// multiply computes products that do not depend on each other, in the arithmetic of the role.
func (r *regions[G, L]) multiply(p ...tensor.Product) {
	if r.pause(); r.err == nil {
		r.err = r.mm.Run(r.role, p...)
	}
}

// projection is a product whose input and output are clamped.
type projection struct {
	dst []float32 // [n, rows]
	by  *linear
}

// project computes products of x [n, cols]. If they clamp, x is not what it was.
func (r *regions[G, L]) project(n int, x []float32, to ...projection) {
	size := n * to[0].by.w.Cols()
	same := true
	for _, p := range to {
		same = same && p.by.in == to[0].by.in
	}
	r.products = r.products[:0]
	for i, p := range to {
		in := x
		if !same && p.by.in != unbounded {
			if len(r.bounded) <= i {
				r.bounded = append(r.bounded, make([][]float32, i+1-len(r.bounded))...)
			}
			grow(&r.bounded[i], size)
			in = r.bounded[i]
			copy(in, x[:size])
		}
		if !same || i == 0 {
			r.clamp(in[:size], p.by.in)
		}
		r.products = append(r.products, tensor.Product{Dst: p.dst, X: in, N: n, W: p.by.w})
	}
	r.multiply(r.products...)
	clear(r.products)
	for _, p := range to {
		r.clamp(p.dst[:n*p.by.w.Rows()], p.by.out)
	}
}

// clamp puts x between bounds.
func (r *regions[G, L]) clamp(x []float32, b bounds) {
	if b == unbounded {
		return
	}
	v := &r.vectors
	v.do, v.dst, v.bounds = (*vectors).clamp, x, b
	r.run(sliceCount(len(x)), v)
}

// each calls f for 0 to n-1.
func (r *regions[G, L]) each(n int, l *L, f func(g *G, l *L, i int)) {
	r.loop.layer, r.loop.each, r.loop.slice = l, f, nil
	r.run(n, &r.loop)
}

// slices calls f for consecutive parts of a vector.
func (r *regions[G, L]) slices(x []float32, f func(g *G, x []float32)) {
	r.loop.each, r.loop.slice, r.loop.x = nil, f, x
	r.run(sliceCount(len(x)), &r.loop)
}

// norm: dst = RMS norm of x, both [n, width].
func (r *regions[G, L]) norm(n int, dst, x, weight []float32) {
	v := &r.vectors
	v.do, v.dst, v.x, v.weight = (*vectors).norm, dst, x, weight
	r.run(n, v)
}

// add: dst += RMS norm of x, both [n, width]. x may hold anything afterwards.
func (r *regions[G, L]) add(n int, dst, x, weight []float32) { r.addScaled(n, dst, x, weight, 1) }

// addScaled: dst = (dst + RMS norm of x) · scale.
func (r *regions[G, L]) addScaled(n int, dst, x, weight []float32, scale float32) {
	v := &r.vectors
	v.do, v.dst, v.x, v.weight, v.scale = (*vectors).add, dst, x, weight, scale
	r.run(n, v)
}

// gelu: gate = gelu(gate) ⊙ up.
func (r *regions[G, L]) gelu(gate, up []float32) {
	v := &r.vectors
	v.do, v.dst, v.x = (*vectors).gelu, gate, up
	r.run(sliceCount(len(gate)), v)
}

// loop is a region of a graph's own functions. A [tensor.Task] is told no more than a worker and a job, so the running layer and function
// are in fields: regions sets them for each region.
type loop[G, L any] struct {
	graph *G
	layer *L
	each  func(g *G, l *L, i int)
	slice func(g *G, x []float32)
	x     []float32 // the vector cut into slices
}

// Do is called by the pool.
func (l *loop[G, L]) Do(_, i int) {
	if l.each != nil {
		l.each(l.graph, l.layer, i)
		return
	}
	l.slice(l.graph, l.x[i*sliceLen:min((i+1)*sliceLen, len(l.x))])
}

// vectors is a region of arithmetic that every graph has.
type vectors struct {
	kernels        *tensor.Kernels
	width          int // of the residual
	eps            float32
	do             func(v *vectors, i int)
	dst, x, weight []float32
	scale          float32 // of what add has added to
	bounds         bounds
}

// Do is called by the pool.
func (v *vectors) Do(_, i int) { v.do(v, i) }

func (v *vectors) norm(i int) {
	from, to := i*v.width, (i+1)*v.width
	v.kernels.RMSNorm(v.dst[from:to], v.x[from:to], v.weight, v.eps)
}

func (v *vectors) add(i int) {
	from, to := i*v.width, (i+1)*v.width
	dst := v.dst[from:to]
	v.kernels.AddNorm(dst, v.x[from:to], v.weight, v.eps)
	if v.scale != 1 {
		v.kernels.Scale(dst, dst, v.scale)
	}
}

func (v *vectors) gelu(i int) {
	from, to := i*sliceLen, min((i+1)*sliceLen, len(v.dst))
	v.kernels.GELU(v.dst[from:to], v.x[from:to])
}

func (v *vectors) clamp(i int) {
	v.kernels.Clamp(v.dst[i*sliceLen:min((i+1)*sliceLen, len(v.dst))], v.bounds.low, v.bounds.high)
}

// layerNorm norms vectors around their mean. A nil bias is none.
type layerNorm struct {
	weight, bias []float32
	eps          float64
}

// apply sets x to (x − mean) / sqrt(variance + eps) · weight + bias.
func (l *layerNorm) apply(x []float32) {
	var sum, squares float64
	for _, v := range x {
		sum += float64(v)
	}
	mean := sum / float64(len(x))
	for _, v := range x {
		squares += (float64(v) - mean) * (float64(v) - mean)
	}
	scale := 1 / math.Sqrt(squares/float64(len(x))+l.eps)
	for i, v := range x {
		x[i] = float32((float64(v)-mean)*scale) * l.weight[i]
		if l.bias != nil {
			x[i] += l.bias[i]
		}
	}
}

// sliceLen is how many elements of a vector make a slice.
const sliceLen = 2048

func sliceCount(n int) int { return (n + sliceLen - 1) / sliceLen }

// grow gives a buffer at least n elements. What it held is lost if it grows.
func grow(buf *[]float32, n int) {
	if len(*buf) < n {
		*buf = make([]float32, n)
	}
}

// move copies the vector at position from to position to.
func move(x []float32, to, from, width int) {
	copy(x[to*width:(to+1)*width], x[from*width:(from+1)*width])
}
