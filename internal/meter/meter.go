// Package meter tells where inner loops spend their time: it wraps those of a table in a clock, so that what runs without one is not
// slowed.
//
//	k, m := meter.New(best)
//	// … run k, and m.Burn on the same workers …
//	parts := m.Parts()
//
// Calls take microseconds, and now and then another program has the processor in the middle of one. So all calls that do as much of one
// kind count as long as the median of them, less what the clock takes.
package meter

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gogemma/gemma4/tensor"
)

// Kind is a kind of work.
type Kind int

// The kinds. Products have a peak, which is that of their instruction.
const (
	Products      Kind = iota // with quantised weights, or with all where one instruction does it: packing and multiplying
	HalfProducts              // with F16 and BF16
	FloatProducts             // with floats, or what is taken for them
	Attention                 // of queries with keys, and of weights with values
	Packing                   // of queries, keys and values
	Softmax
	kinds
)

// String returns a name such as "softmax".
func (k Kind) String() string {
	return [kinds]string{"products", "half products", "float products", "attention", "packing", "softmax"}[k]
}

// Part is what one kind of work took.
type Part struct {
	Kind    Kind
	Seconds float64 // of all workers together
	Ops     int64   // multiply-adds; 0 for what does not multiply
	Peak    float64 // multiply-adds per second that a worker reaches on registers alone; 0: not measured
}

// Rate returns the part's multiply-adds per second of a worker, 0 for what takes no longer than to read the clock.
func (p Part) Rate() float64 {
	if p.Seconds == 0 {
		return 0
	}
	return float64(p.Ops) / p.Seconds
}

// Share returns the rate as a share of the peak, 0 without one.
func (p Part) Share() float64 {
	if p.Peak == 0 {
		return 0
	}
	return p.Rate() / p.Peak
}

// Meter is safe for use by several goroutines.
type Meter struct {
	calls [kinds]calls
	burns [kinds]calls
	peaks [kinds]func(rounds int) int64
	clock float64 // nanoseconds that reading it takes
}

// New returns a copy of k whose loops are measured by the meter.
func New(k *tensor.Kernels) (*tensor.Kernels, *Meter) {
	m, c := &Meter{clock: readClock()}, *k
	c.Panels = m.panels(Products, k.Panels, k.Burn)
	c.HalfPanels = m.panels(HalfProducts, k.HalfPanels, k.Burn)
	c.FloatPanels = m.panels(FloatProducts, k.FloatPanels, k.Burn)
	m.peaks[Attention] = k.BurnFloats
	if k.Attention != nil {
		c.Attention = m.attention(k.Attention)
		if m.peaks[Attention] = k.Burn; k.HalfPanels != nil { // else tiles do both
			m.peaks[Attention] = m.peaks[HalfProducts]
		}
	}
	for f := range k.Scores {
		if scores := k.Scores[f]; scores != nil {
			c.Scores[f] = func(dst []float32, stride int, q []float32, n int, keys []byte, rowBytes, count int, next []byte) {
				defer m.calls[Attention].begin(multiplying, count*len(q)).end()
				scores(dst, stride, q, n, keys, rowBytes, count, next)
			}
		}
		if weigh := k.Weigh[f]; weigh != nil {
			c.Weigh[f] = func(dst []float32, n int, w []float32, stride int, values []byte, count int, next []byte) {
				defer m.calls[Attention].begin(multiplying, count*len(dst)).end()
				weigh(dst, n, w, stride, values, count, next)
			}
		}
	}
	c.Max = func(x []float32) float32 {
		defer m.calls[Softmax].begin(first, len(x)).end()
		return k.Max(x)
	}
	c.ExpSum = func(x []float32, shift float32) float32 {
		defer m.calls[Softmax].begin(second, len(x)).end()
		return k.ExpSum(x, shift)
	}
	return &c, m
}

// panels returns a copy of p that is measured. burn is for those that have none of their own.
func (m *Meter) panels(kind Kind, p *tensor.PanelKernels, burn func(int) int64) *tensor.PanelKernels {
	if p == nil {
		return nil
	}
	m.peaks[kind] = burn
	if p.Burn != nil {
		m.peaks[kind] = p.Burn
	}
	c, calls := *p, &m.calls[kind]
	c.PackX = func(dst []byte, x []float32, n, cols, from, to int) {
		defer calls.begin(first, (to-from)*cols).end()
		p.PackX(dst, x, n, cols, from, to)
	}
	for f, pack := range p.PackW {
		if pack != nil {
			c.PackW[f] = func(dst, w []byte, rowBytes, rows, cols int) {
				defer calls.begin(second, rows*cols).end()
				pack(dst, w, rowBytes, rows, cols)
			}
		}
	}
	for f, multiply := range p.MultiplyW {
		if multiply != nil {
			c.MultiplyW[f] = func(dst []float32, stride int, panel, w []byte, rowBytes, rows int, x []byte, n, cols int) {
				defer calls.begin(multiplying, rows*n*cols).end()
				multiply(dst, stride, panel, w, rowBytes, rows, x, n, cols)
			}
		}
	}
	c.PackFloats = func(dst []byte, w []float32, rows, cols int) {
		defer calls.begin(second, rows*cols).end()
		p.PackFloats(dst, w, rows, cols)
	}
	c.Multiply = func(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int, next []byte) {
		defer calls.begin(multiplying, rows*n*cols).end()
		p.Multiply(dst, stride, w, rows, x, n, cols, next)
	}
	return &c
}

// attention returns a copy of a that is measured.
func (m *Meter) attention(a *tensor.AttentionKernels) *tensor.AttentionKernels {
	c := *a
	c.PackQueries = func(dst []uint16, q []float32, stride, n, dim int) {
		defer m.calls[Packing].begin(first, n*dim).end()
		a.PackQueries(dst, q, stride, n, dim)
	}
	for f := range a.PackKeys {
		if pack := a.PackKeys[f]; pack != nil {
			c.PackKeys[f] = func(dst []uint16, keys []byte, rowBytes, count, dim int) {
				defer m.calls[Packing].begin(second, count*dim).end()
				pack(dst, keys, rowBytes, count, dim)
			}
		}
		if pack := a.PackValues[f]; pack != nil {
			c.PackValues[f] = func(dst []uint16, values []byte, rowBytes, count, dim int) {
				defer m.calls[Packing].begin(third, count*dim).end()
				pack(dst, values, rowBytes, count, dim)
			}
		}
	}
	c.Scores = func(dst []float32, q []uint16, n int, keys []uint16, dim int, next []byte) {
		defer m.calls[Attention].begin(multiplying, n*tensor.Strip*dim).end()
		a.Scores(dst, q, n, keys, dim, next)
	}
	c.Softmax = func(weights []uint16, scores, top, sum, factor []float32) {
		defer m.calls[Softmax].begin(first, len(scores)).end()
		a.Softmax(weights, scores, top, sum, factor)
	}
	c.Weigh = func(dst []float32, stride int, factor []float32, weights, values []uint16, dim int, next []byte) {
		defer m.calls[Attention].begin(multiplying, len(factor)*tensor.Strip*dim).end()
		a.Weigh(dst, stride, factor, weights, values, dim, next)
	}
	return &c
}

// burnRounds take tens of microseconds, as a call of a kernel does.
const burnRounds = 1 << 11

// Burn measures the peaks of those kinds that have run, on all workers of the pool at once. Shared machines drift: call it between runs.
func (m *Meter) Burn(p *tensor.Pool) error {
	for kind := range kinds {
		if burn := m.peaks[kind]; burn != nil && m.calls[kind].ran() {
			if err := p.Run(64*p.Workers(), &burning{burn, &m.burns[kind]}); err != nil {
				return err
			}
		}
	}
	return nil
}

// burning is the region that measures a peak.
type burning struct {
	burn  func(rounds int) int64
	calls *calls
}

// Do is called by the pool.
func (b *burning) Do(_, _ int) {
	began := time.Now()
	ops := b.burn(burnRounds)
	b.calls.add(key{multiplying, int(ops)}, time.Since(began))
}

// Reset forgets what the loops took. Peaks are kept.
func (m *Meter) Reset() {
	for i := range m.calls {
		m.calls[i].all.Clear()
	}
}

// Parts returns what each kind of work that there was took, in their order.
func (m *Meter) Parts() []Part {
	var parts []Part
	for kind := range kinds {
		if !m.calls[kind].ran() {
			continue
		}
		p := Part{Kind: kind}
		p.Seconds, p.Ops = m.calls[kind].sum(m.clock)
		if seconds, ops := m.burns[kind].sum(m.clock); seconds > 0 {
			p.Peak = float64(ops) / seconds
		}
		parts = append(parts, p)
	}
	return parts
}

// calls are those of one kind.
type calls struct{ all sync.Map } // of key to *histogram

// loop tells the loops of one kind apart.
type loop int

const (
	multiplying loop = iota
	first            // of those that do not multiply
	second
	third
)

// key is what calls of the same length have in common.
type key struct {
	loop loop
	work int // multiply-adds, or numbers
}

// call is one that runs.
type call struct {
	of    *calls
	key   key
	began time.Time
}

// begin starts the clock of a call.
func (c *calls) begin(l loop, work int) call { return call{c, key{l, work}, time.Now()} }

func (c call) end() { c.of.add(c.key, time.Since(c.began)) }

func (c *calls) add(k key, d time.Duration) {
	h, ok := c.all.Load(k)
	if !ok {
		h, _ = c.all.LoadOrStore(k, new(histogram))
	}
	h.(*histogram).add(d)
}

// ran reports whether there were any.
func (c *calls) ran() (ran bool) {
	c.all.Range(func(_, _ any) bool {
		ran = true
		return false
	})
	return ran
}

// sum returns what all calls took and did, besides the clock.
func (c *calls) sum(clock float64) (seconds float64, ops int64) {
	c.all.Range(func(k, h any) bool {
		n, median := h.(*histogram).median()
		seconds += float64(n) * max(0, median-clock) * 1e-9
		if k := k.(key); k.loop == multiplying {
			ops += n * int64(k.work)
		}
		return true
	})
	return seconds, ops
}

// readClock returns how many nanoseconds an empty call takes.
func readClock() float64 {
	var c calls
	for range 1000 {
		c.begin(first, 0).end()
	}
	seconds, _ := c.sum(0)
	return seconds * 1e9 / 1000
}

// fine is how many classes of a histogram there are from one power of two to the next.
const fine = 32

// histogram counts times by their length in nanoseconds, in classes of 3%.
type histogram [fine * 40]atomic.Int64

func (h *histogram) add(d time.Duration) {
	n := uint64(max(d.Nanoseconds(), fine))
	shift := bits.Len64(n) - bits.Len(fine)
	h[min(shift*fine+int(n>>shift)-fine, len(h)-1)].Add(1)
}

// median returns how many times there are, and the middle of the class that the median is in, in nanoseconds.
func (h *histogram) median() (n int64, nanoseconds float64) {
	for i := range h {
		n += h[i].Load()
	}
	below := int64(0)
	for i := range h {
		if below += h[i].Load(); 2*below >= n {
			return n, math.Ldexp(fine+float64(i%fine)+0.5, i/fine)
		}
	}
	return n, 0
}
