package model

import "github.com/gogemma/gemma4/tensor"

// gaze is the attention of all patches of a picture to all, in one layer: the queries of a job go over the keys in strips, with a running
// maximum, so that there is no matrix of all scores. What a query gathers does not depend on which others go with it.
type gaze struct {
	s     *Sight
	n     int // patches
	heads int
	dim   int       // of a head, filled up with zeros to what the kernels take
	q     []float32 // [heads, patches, dim] queries; afterwards what they have gathered
	k, v  []byte    // [heads, patches, dim] of F32, an even number of keys
	first int       // of the jobs that run
	works []attentionScratch
}

const (
	gazeQueries = 32  // of a job
	gazeKeys    = 256 // of a strip: with its values it stays in the second cache
	gazeDim     = 32  // what the kernels take a multiple of
)

// padded returns the size of a head as the kernels take it.
func padded(dim int) int { return (dim + gazeDim - 1) / gazeDim * gazeDim }

// reserve makes room.
func (g *gaze) reserve(n, heads, dim int) {
	g.n, g.heads, g.dim = n, heads, padded(dim)
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
func (g *gaze) blocks() int { return (g.n + gazeQueries - 1) / gazeQueries }

// run lets all queries gather, in regions that are not too long.
func (g *gaze) run() {
	ops := 2 * int64(g.heads) * int64(g.n) * int64(g.n) * int64(g.dim)
	g.s.runLong(g.heads*g.blocks(), ops, &g.first, g)
}

// Do is called by the pool.
func (g *gaze) Do(worker, job int) {
	job += g.first
	kern, w := g.s.kernels, &g.works[worker]
	h, from := job/g.blocks(), job%g.blocks()*gazeQueries
	n := min(gazeQueries, g.n-from)
	q := g.q[(h*g.n+from)*g.dim:][:n*g.dim]
	p := &w.part
	p.reset(n, g.dim)
	grow(&w.scores, gazeQueries*gazeKeys)
	size := 4 * g.dim
	keys, values := g.k[h*g.keys()*size:], g.v[h*g.keys()*size:]
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
	for i := range n {
		kern.Scale(q[i*g.dim:(i+1)*g.dim], p.out[i*g.dim:(i+1)*g.dim], 1/p.sum[i])
	}
}
