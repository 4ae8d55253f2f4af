package model

import "github.com/gogemma/gemma4/tensor"

// regions run a graph on a pool, one region after the other. The first error ends the graph: what follows does nothing, and whoever runs
// the graph returns err.
//
// A graph embeds them: G is the graph, L what one of its layers has. Both are handed to the functions of a region, which are method
// expressions, so that starting one allocates nothing.
type regions[G, L any] struct {
	pool    *tensor.Pool
	kernels *tensor.Kernels
	mm      *tensor.MatMul
	role    tensor.Arithmetic // panels in a prefill, rows in a decode
	err     error
	loop    loop[G, L]
	vectors vectors
}

// newRegions returns the regions of a graph over a residual of the given width.
func newRegions[G, L any](graph *G, pool *tensor.Pool, k *tensor.Kernels, width int, eps float32) regions[G, L] {
	return regions[G, L]{
		pool: pool, kernels: k, mm: tensor.NewMatMul(pool, k),
		loop: loop[G, L]{graph: graph}, vectors: vectors{kernels: k, width: width, eps: eps},
	}
}

// run runs a region of n jobs.
func (r *regions[G, L]) run(n int, t tensor.Task) {
	if r.err == nil {
		r.err = r.pool.Run(n, t)
	}
}

// multiply computes products that do not depend on each other, in the arithmetic of the role.
func (r *regions[G, L]) multiply(p ...tensor.Product) {
	if r.err == nil {
		r.err = r.mm.Run(r.role, p...)
	}
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

// add: dst += RMS norm of x, both [n, width]. x becomes what is added.
func (r *regions[G, L]) add(n int, dst, x, weight []float32) {
	v := &r.vectors
	v.do, v.dst, v.x, v.weight = (*vectors).add, dst, x, weight
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
}

// Do is called by the pool.
func (v *vectors) Do(_, i int) { v.do(v, i) }

func (v *vectors) norm(i int) {
	from, to := i*v.width, (i+1)*v.width
	v.kernels.RMSNorm(v.dst[from:to], v.x[from:to], v.weight, v.eps)
}

func (v *vectors) add(i int) {
	from, to := i*v.width, (i+1)*v.width
	x := v.x[from:to]
	v.kernels.RMSNorm(x, x, v.weight, v.eps)
	v.kernels.AddScaled(v.dst[from:to], x, 1)
}

func (v *vectors) gelu(i int) {
	from, to := i*sliceLen, min((i+1)*sliceLen, len(v.dst))
	v.kernels.GELU(v.dst[from:to], v.x[from:to])
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
