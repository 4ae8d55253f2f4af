package model

import "github.com/gogemma/gemma4/tensor"

// gaze is the attention of all patches of a picture to all, in one layer: the queries of a job go over the keys in strips, with a running
// maximum, so that there is no matrix of all scores. What a query gathers does not depend on which others go with it. Where the kernels
// have attention by products of bf16, it is that.
type gaze struct {
	s       *Sight
	n       int // patches
	heads   int
	dim     int       // of a head, filled up with zeros to what the kernels like
	q       []float32 // [heads, patches, dim] queries; afterwards what they have gathered
	k, v    []byte    // [heads, patches, dim] of F32, an even number of keys
	first   int       // of the jobs that run
	queries int       // of a job
	works   []attentionScratch
}

// How many queries a job has: those of floats and their scores stay in the first cache; those of bf16 go over keys that were packed for
// them, and stay in the second.
const (
	floatQueries = 32
	bf16Queries  = 256
)

const (
	gazeKeys = 256 // of a strip of floats: with its values it stays in the second cache
	gazeDim  = 32  // what the loops of floats take a multiple of
)

// layout returns the size of a head as kernels like it, and how many queries make a job.
func (g *gaze) layout(k *tensor.Kernels, dim int) (padded, queries int) {
	if k.Attention != nil {
		return dim, bf16Queries
	}
	return (dim + gazeDim - 1) / gazeDim * gazeDim, floatQueries
}

// reserve makes room.
func (g *gaze) reserve(n, heads, dim int) {
	g.n, g.heads = n, heads
	g.dim, g.queries = g.layout(g.s.kernels, dim)
	grow(&g.q, heads*n*g.dim)
	if size := 4 * heads * g.keys() * g.dim; len(g.k) < size {
		g.k, g.v = make([]byte, size), make([]byte, size)
	}
	if workers := g.s.pool.Workers(); len(g.works) < workers {
		g.works = make([]attentionScratch, workers)
	}
}

// keys returns how many keys a head has room for: Scores takes an even number.
func (g *gaze) keys() int { return g.n + g.n&1 }

// put stores a head of patch i.
func (g *gaze) put(kern *tensor.Kernels, h, i int, q, k, v []float32) {
	dst := g.q[(h*g.n+i)*g.dim:][:g.dim]
	clear(dst[copy(dst, q):])
	at := 4 * (h*g.keys() + i) * g.dim
	for _, x := range []struct {
		dst []byte
		src []float32
	}{{g.k, k}, {g.v, v}} {
		dst := x.dst[at:][:4*g.dim]
		kern.EncodeRow(tensor.F32, dst[:4*len(x.src)], x.src)
		clear(dst[4*len(x.src):])
	}
}

// seen returns what a head of patch i has gathered.
func (g *gaze) seen(h, i int) []float32 { return g.q[(h*g.n+i)*g.dim:][:g.dim] }

// blocks returns how many jobs a head is.
func (g *gaze) blocks() int { return (g.n + g.queries - 1) / g.queries }

// run lets all queries gather, in regions that are not too long.
func (g *gaze) run() {
	ops := 2 * int64(g.heads) * int64(g.n) * int64(g.n) * int64(g.dim)
	g.s.runLong(g.heads*g.blocks(), ops, &g.first, g)
}

// Do is called by the pool.
func (g *gaze) Do(worker, job int) {
	job += g.first
	kern, w := g.s.kernels, &g.works[worker]
	h, from := job/g.blocks(), job%g.blocks()*g.queries
	n := min(g.queries, g.n-from)
	q := g.q[(h*g.n+from)*g.dim:][:n*g.dim]
	p, size := &w.part, 4*g.dim
	p.reset(n, g.dim)
	keys, values := g.k[h*g.keys()*size:], g.v[h*g.keys()*size:]
	if kern.Attention != nil {
		g.gatherBF16(kern.Attention, w, q, n, keys, values)
	} else {
		g.gather(kern, w, q, n, keys, values)
	}
	for i := range n {
		kern.Scale(q[i*g.dim:(i+1)*g.dim], p.out[i*g.dim:(i+1)*g.dim], 1/p.sum[i])
	}
}

// gather lets n queries gather from all patches.
func (g *gaze) gather(kern *tensor.Kernels, w *attentionScratch, q []float32, n int, keys, values []byte) {
	p, size := &w.part, 4*g.dim
	grow(&w.scores, n*gazeKeys)
	for pos := 0; pos < g.n; pos += gazeKeys {
		count := min(gazeKeys, g.n-pos)
		even := count + count&1
		scores := w.scores[:n*gazeKeys]
		clear(scores)
		kern.Scores[tensor.F32](scores, gazeKeys, q, n, keys[pos*size:(pos+even)*size], size, even, nil)
		for i := range n {
			x := scores[i*gazeKeys:][:count]
			p.raise(kern, i, kern.Max(x))
			p.sum[i] += kern.ExpSum(x, p.max[i])
		}
		kern.Weigh[tensor.F32](p.out[:n*g.dim], n, scores, gazeKeys, values[pos*size:(pos+count)*size], count, nil)
	}
}

// gatherBF16 does it by products of bf16.
func (g *gaze) gatherBF16(k *tensor.AttentionKernels, w *attentionScratch, q []float32, n int, keys, values []byte) {
	s, size := &w.packs, 4*g.dim
	s.reserve(n, g.dim)
	k.PackQueries(s.queries, q, g.dim, n, g.dim)
	for pos := 0; pos < g.n; pos += tensor.Strip {
		count := min(tensor.Strip, g.n-pos)
		k.PackKeys[tensor.F32](s.keys, keys[pos*size:(pos+count)*size], size, count, g.dim)
		k.PackValues[tensor.F32](s.values, values[pos*size:(pos+count)*size], size, count, g.dim)
		next, end := (pos+count)*size, min(pos+count+tensor.Strip, g.n)*size
		s.gather(k, &w.part, 0, n, keys[next:end], values[next:end], func(int) (lo, hi int) { return 0, count })
	}
}
