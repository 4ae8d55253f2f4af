package fit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

const (
	probeMemory  = 256 << 20            // bytes that products go through: more than caches hold
	probeTime    = 4 * time.Millisecond // that a measurement takes at least
	probeSettled = 8 * probeTime        // a product of a prompt that takes so long is large enough

	// Of prompts, products with all matrices of a format are taken to be as fast as with one of this size.
	probeRows, probeCols = 2048, 2048

	attentionBytes  = 64 << 20 // of keys and values that a token sees
	attentionTokens = 128      // of a prompt, behind as many
)

// filler makes scales of all formats, whatever bytes they are made of, numbers of an ordinary size.
const filler = 0x38

// Probe measures what models need, with the workers and the loops that they would have.
type Probe struct {
	kernels  *tensor.Kernels
	pool     *tensor.Pool
	mm       *tensor.MatMul
	memory   []byte // weights, keys and values
	at       int    // in memory, of the next weights
	x, dst   []float32
	products []tensor.Product
	all      []*measurement
	err      error
}

// measurement is one of a rate.
type measurement struct {
	once  func() float64
	set   func(r *Rates, rate float64)
	rates []float64 // of the rounds
}

// NewProbe returns a probe of all kinds of products that the shapes consist of, and of attention over caches of these formats, where a
// shape keeps them. Close ends the workers.
func NewProbe(k *tensor.Kernels, threads int, caches []tensor.Format, shapes ...*Shape) (*Probe, error) {
	p := &Probe{kernels: k, pool: tensor.NewPool(threads), memory: make([]byte, probeMemory)}
	p.mm = tensor.NewMatMul(p.pool, k)
	for i := range p.memory {
		p.memory[i] = filler
	}
	p.add(p.roofline(true), func(r *Rates, x float64) { r.ReadBytes = x })
	p.add(p.roofline(false), func(r *Rates, x float64) { r.MultiplyAdds = x })
	p.add(p.gelu, func(r *Rates, x float64) { r.GELU = x })
	p.add(p.norm, func(r *Rates, x float64) { r.Norm = x })
	p.add(p.region, func(r *Rates, x float64) { r.Region = 1 / x })
	all := newWork()
	for _, s := range shapes {
		for _, c := range caches {
			if !s.Keeps(c) {
				continue
			}
			for _, w := range []*Work{s.DecodeWork(0, c), s.PromptWork(model.DefaultBatch, 0, c)} {
				maps.Copy(all.Products, w.Products)
				maps.Copy(all.Attention, w.Attention)
			}
		}
	}
	for key := range all.Products {
		p.add(p.product(key), func(r *Rates, x float64) { r.Products[key] = x })
	}
	for key := range all.Attention {
		once, err := p.attention(key)
		if err != nil {
			p.Close()
			return nil, fmt.Errorf("fit: %w", err)
		}
		p.add(once, func(r *Rates, x float64) { r.Attention[key] = x })
	}
	return p, nil
}

func (p *Probe) add(once func() float64, set func(r *Rates, rate float64)) {
	p.all = append(p.all, &measurement{once: once, set: set})
}

// Close ends the workers.
func (p *Probe) Close() { p.pool.Close() }

// Round measures each rate once, for a few milliseconds: one after the other, so that what befalls the machine befalls all.
func (p *Probe) Round(ctx context.Context) error {
	for _, m := range p.all {
		if err := cause.Of(ctx); err != nil {
			return err
		}
		m.rates = append(m.rates, m.once())
		if p.err != nil {
			return fmt.Errorf("fit: %w", p.err)
		}
	}
	return nil
}

// Rates returns the medians of the rounds.
func (p *Probe) Rates() *Rates {
	r := &Rates{
		Level: p.kernels.Name, Threads: p.pool.Workers(), Products: map[Product]float64{}, Attention: map[Attention]float64{},
	}
	for _, m := range p.all {
		sorted := slices.Sorted(slices.Values(m.rates))
		m.set(r, sorted[len(sorted)/2])
	}
	return r
}

// take returns the next bytes of the memory.
func (p *Probe) take(n int) []byte {
	if n = min(n, len(p.memory)); p.at+n > len(p.memory) {
		p.at = 0
	}
	b := p.memory[p.at : p.at+n]
	p.at += n
	return b
}

// rate repeats something that does some work until that has taken long enough to be measured.
func rate(do func() (work float64)) float64 {
	work := 0.0
	began := time.Now()
	for {
		work += do()
		if d := time.Since(began); d >= probeTime {
			return work / d.Seconds()
		}
	}
}

func grow(buf *[]float32, n int) []float32 {
	if len(*buf) < n {
		*buf = make([]float32, n)
		for i := range *buf {
			(*buf)[i] = 0.5
		}
	}
	return (*buf)[:n]
}

// product returns a function that returns the multiply-adds per second of a kind of products.
func (p *Probe) product(key Product) (once func() float64) {
	if !key.Prompt {
		return func() float64 { return rate(func() float64 { return p.multiply(key, 0) }) }
	}
	rows := 64
	return func() float64 {
		// So many that packing the tokens is no more of the work than it is in a model, unless the level is slow.
		for ; rows < probeRows; rows *= 2 {
			if began := time.Now(); p.multiply(key, rows) == 0 || time.Since(began) > probeSettled {
				break
			}
		}
		return rate(func() float64 { return p.multiply(key, rows) })
	}
}

// multiply computes products once and returns how many multiply-adds that took. If rows is not 0, matrices have as many.
func (p *Probe) multiply(key Product, rows int) (done float64) {
	arithmetic := tensor.Rows
	if key.Prompt {
		arithmetic = tensor.Panels
	}
	dst, cols := 0, 0
	products := p.products[:0]
	for _, m := range key.Matrices {
		if m.Count == 0 {
			continue
		}
		rowBytes := m.Format.RowBytes(m.Cols)
		m.Rows = min(cmp.Or(rows, m.Rows), max(1, probeMemory/2/rowBytes))
		for range m.Count {
			w, err := tensor.New("probe", m.Format, p.take(m.Rows*rowBytes), m.Rows, m.Cols)
			if err != nil {
				p.err = err
				return 0
			}
			products = append(products, tensor.Product{N: key.Tokens, W: w})
			dst += key.Tokens * m.Rows
			cols = max(cols, m.Cols)
			done += float64(key.Tokens) * float64(m.Rows) * float64(m.Cols)
		}
	}
	x, to := grow(&p.x, key.Tokens*cols), grow(&p.dst, dst)
	for i := range products {
		products[i].X, products[i].Dst = x, to
		to = to[key.Tokens*products[i].W.Rows():]
	}
	p.products = products
	if err := p.mm.Run(arithmetic, products...); err != nil {
		p.err = err
	}
	return done
}

// attention returns a function that returns the multiply-adds per second of a kind of attention.
func (p *Probe) attention(key Attention) (once func() float64, err error) {
	l := model.LayerConfig{Heads: key.Heads, KVHeads: key.KVHeads, HeadDim: key.HeadDim}
	if key.Tied {
		l.Turned = key.HeadDim / 4
	}
	role, positions, memory := tensor.Rows, 1, p.memory[:attentionBytes]
	if key.Prompt {
		role, positions = tensor.Panels, attentionTokens
		memory = memory[:min(len(memory), 2*attentionTokens*key.KVHeads*2*key.Cache.RowBytes(key.HeadDim))]
	}
	do, ops, err := model.Attending(p.pool, p.kernels, l, key.Cache, role, memory, positions)
	return func() float64 {
		return rate(func() float64 {
			if err := do(); err != nil {
				p.err = err
			}
			return float64(ops)
		})
	}, err
}

// roofline returns a function that measures one of the machine's two.
func (p *Probe) roofline(read bool) func() float64 {
	return func() float64 {
		r, err := model.MeasureRoofline(p.pool, p.kernels, p.memory)
		if err != nil {
			p.err = err
		}
		if read {
			return r.ReadBytes
		}
		return r.MultiplyAdds
	}
}

// gelu returns the values per second that an MLP's activation takes.
func (p *Probe) gelu() float64 {
	const n, jobs = 2048, 64
	gate, up := grow(&p.x, n*jobs), grow(&p.dst, n*jobs)
	return p.each(jobs, n, func(_, i int) {
		for j := range n {
			gate[i*n+j] = 0.5
		}
		p.kernels.GELU(gate[i*n:(i+1)*n], up[i*n:(i+1)*n])
	})
}

// norm returns the values per second that are normed and added.
func (p *Probe) norm() float64 {
	const n, jobs = 2048, 64
	x, dst := grow(&p.x, n*jobs), grow(&p.dst, n*jobs)
	weight := x[:n]
	return p.each(jobs, n, func(_, i int) {
		y := dst[i*n : (i+1)*n]
		p.kernels.RMSNorm(y, x[i*n:(i+1)*n], weight, 1e-6)
		p.kernels.AddScaled(y, x[i*n:(i+1)*n], 1)
	})
}

// region returns how many regions per second the workers are handed.
func (p *Probe) region() float64 {
	n := 2 * p.pool.Workers()
	return p.each(n, 1, func(int, int) {}) / float64(n)
}

// each returns how much work per second jobs do that do so much each.
func (p *Probe) each(jobs int, work float64, do task) float64 {
	return rate(func() float64 {
		if err := p.pool.Run(jobs, do); err != nil {
			p.err = err
		}
		return float64(jobs) * work
	})
}

type task func(worker, job int)

// Do is called by the pool.
func (t task) Do(worker, job int) { t(worker, job) }
