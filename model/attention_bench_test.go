package model_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// BenchmarkAttention measures attention alone, on layers of E2B's shape: decoding a token and prefilling part of a prompt, at several
// depths. It reports the fastest run, multiply-adds (of queries with keys, of weights with values) and bytes of the cache per second, which
// a prefill counts once; of decoding these also as a share of what a loop that only reads reaches in the same run.
func BenchmarkAttention(b *testing.B) {
	kernels, err := gemma4.BestKernels()
	if err != nil {
		b.Fatal(err)
	}
	global := model.LayerConfig{Heads: 8, KVHeads: 1, HeadDim: 512}
	sliding := model.LayerConfig{Heads: 8, KVHeads: 1, HeadDim: 256, Sliding: true}
	tied := model.LayerConfig{Heads: 32, KVHeads: 4, HeadDim: 512, Turned: 128} // of 31B
	const window = 512
	m := model.NewAttentionModel(kernels, 0, window)
	defer m.Close()
	pool := tensor.NewPool(0)
	defer pool.Close()
	reading := &reading{kernels, pool, make([]byte, 128<<20)}
	for i := range reading.buf {
		reading.buf[i] = byte(i)
	}
	for _, c := range []struct {
		name     string
		layer    model.LayerConfig
		whole    bool
		depth, n int
	}{
		{"global", global, false, 4096, 1},
		{"global", global, false, 32768, 1},
		{"global", global, false, 4096, 512},
		{"global", global, false, 32768, 512},
		{"sliding", sliding, false, 1024, 1},
		{"sliding", sliding, false, 1024, 512},
		{"plain", tied, true, 65536, 1},
		{"tied", tied, false, 65536, 1},
	} {
		for _, f := range []tensor.Format{tensor.F32, tensor.F16, tensor.Q8_0, tensor.Q4_0} {
			b.Run(fmt.Sprintf("%s/depth=%d/n=%d/%v", c.name, c.depth, c.n, f), func(b *testing.B) {
				attend := model.Attend(m, c.layer, f, c.whole, c.depth, c.n)
				attend()
				best, read := math.Inf(1), 0.0
				for i := 0; b.Loop(); i++ {
					start := time.Now()
					attend()
					best = min(best, time.Since(start).Seconds())
					if c.n == 1 && i%4 == 0 {
						read = max(read, reading.rate(b))
					}
				}
				seen := 0 // pairs of positions
				for i := range c.n {
					if n := c.depth + i + 1; c.layer.Sliding {
						seen += min(n, window)
					} else {
						seen += n
					}
				}
				held := c.depth + c.n
				if c.layer.Sliding {
					held = min(held, window+c.n-1)
				}
				b.ReportMetric(best*1e6, "µs/op")
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(2*seen*c.layer.Heads*c.layer.HeadDim)/best*1e-9, "GMAC/s")
				size := 2 * f.RowBytes(c.layer.HeadDim)
				if c.layer.Turned > 0 && !c.whole {
					size = f.RowBytes(c.layer.HeadDim) + f.RowBytes(c.layer.Turned)
				}
				rate := float64(held*c.layer.KVHeads*size) / best * 1e-9
				b.ReportMetric(rate, "GB/s")
				if c.n == 1 {
					b.ReportMetric(100*rate/read, "%read")
				}
			})
		}
	}
}

// reading is a region that only reads, more memory than the caches hold.
type reading struct {
	kernels *tensor.Kernels
	pool    *tensor.Pool
	buf     []byte
}

// readLen is how many bytes are read at a time.
const readLen = 64 << 10

func (r *reading) Do(_, i int) { r.kernels.Sum(r.buf[i*readLen:][:readLen]) }

// rate returns gigabytes a second.
func (r *reading) rate(b *testing.B) float64 {
	start := time.Now()
	if err := r.pool.Run(len(r.buf)/readLen, r); err != nil {
		b.Fatal(err)
	}
	return float64(len(r.buf)) / float64(time.Since(start).Nanoseconds())
}

// step is one of those that a strip takes: how much each call of it does, and nanoseconds of one.
type step struct {
	ops  int
	each []call
}

type call struct {
	ops  int
	cost float64
}

func (s *step) do(ops int, f func()) {
	start := time.Now()
	f()
	s.ops += ops
	s.each = append(s.each, call{ops, float64(time.Since(start).Nanoseconds()) / float64(ops)})
}

// typical returns what the median of all ops takes: others may have the processor meanwhile.
func (s *step) typical() float64 {
	slices.SortFunc(s.each, func(a, b call) int { return cmp.Compare(a.cost, b.cost) })
	below := 0
	for _, c := range s.each {
		if below += c.ops; 2*below >= s.ops {
			return c.cost
		}
	}
	return 0
}

func (s *step) total() float64 { return s.typical() * float64(s.ops) }

// steps measure attention in a prompt, each step apart. Of attention in floats these are the products alone: softmax takes less than a
// clock would.
type steps struct{ pack, scores, softmax, weigh step }

// measured returns kernels that measure their steps.
func (s *steps) measured(plain *tensor.Kernels) *tensor.Kernels {
	kernels := *plain
	for f, scores := range plain.Scores {
		if scores == nil {
			continue
		}
		kernels.Scores[f] = func(dst []float32, stride int, q []float32, n int, keys []byte, rowBytes, count int, next []byte) {
			s.scores.do(len(q)*count, func() { scores(dst, stride, q, n, keys, rowBytes, count, next) })
		}
		kernels.Weigh[f] = func(dst []float32, n int, w []float32, stride int, values []byte, count int, next []byte) {
			s.weigh.do(len(dst)*count, func() { plain.Weigh[f](dst, n, w, stride, values, count, next) })
		}
	}
	if plain.Attention == nil {
		return &kernels
	}
	a := *plain.Attention
	for f, pack := range plain.Attention.PackKeys {
		a.PackKeys[f] = func(dst []uint16, keys []byte, rowBytes, count, dim int) {
			s.pack.do(count*dim, func() { pack(dst, keys, rowBytes, count, dim) })
		}
	}
	for f, pack := range plain.Attention.PackValues {
		a.PackValues[f] = func(dst []uint16, values []byte, rowBytes, count, dim int) {
			s.pack.do(count*dim, func() { pack(dst, values, rowBytes, count, dim) })
		}
	}
	a.Scores = func(dst []float32, q []uint16, n int, keys []uint16, dim int, next []byte) {
		s.scores.do(n*tensor.Strip*dim, func() { plain.Attention.Scores(dst, q, n, keys, dim, next) })
	}
	a.Softmax = func(weights []uint16, x, top, sum, factor []float32) {
		s.softmax.do(len(x), func() { plain.Attention.Softmax(weights, x, top, sum, factor) })
	}
	a.Weigh = func(dst []float32, stride int, factor []float32, weights, values []uint16, dim int, next []byte) {
		s.weigh.do(len(factor)*tensor.Strip*dim, func() { plain.Attention.Weigh(dst, stride, factor, weights, values, dim, next) })
	}
	kernels.Attention = &a
	return &kernels
}

// report runs attention and reports each product, and both with all that goes with them, as a share of the peak of their instruction in the
// same run, and what the other steps take of the time of all.
func (s *steps) report(b *testing.B, burn func(rounds int) int64, attend func()) {
	peak, best := 0.0, math.Inf(1)
	for b.Loop() {
		for range 20 {
			start := time.Now()
			ops := burn(2000)
			peak = max(peak, float64(ops)/float64(time.Since(start).Nanoseconds()))
		}
		before, start := s.scores.ops+s.weigh.ops, time.Now()
		attend()
		best = min(best, float64(time.Since(start).Nanoseconds())/float64(s.scores.ops+s.weigh.ops-before))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(100/s.scores.typical()/peak, "scores-%peak")
	b.ReportMetric(100/s.weigh.typical()/peak, "weigh-%peak")
	b.ReportMetric(100/best/peak, "all-%peak")
	if s.softmax.ops > 0 {
		all := (s.pack.total() + s.scores.total() + s.softmax.total() + s.weigh.total()) / 100
		b.ReportMetric(s.softmax.total()/all, "softmax-%time")
		b.ReportMetric(s.pack.total()/all, "pack-%time")
	}
}

// BenchmarkStepsOfAttention measures the steps of attention apart, on one worker and at every level: in prompts behind 65536 positions and,
// in global layers, behind 131072, of E2B's shape and 31B's, and where the patches of a picture see each other, in heads of E2B's size and
// of 31B's.
func BenchmarkStepsOfAttention(b *testing.B) {
	const window = 512
	for _, k := range gemma4.Levels()[1:] {
		burn := k.BurnFloats
		if k.Attention != nil {
			if burn = k.Burn; k.HalfPanels != nil && k.HalfPanels.Burn != nil { // as the panels of F16 and BF16 multiply
				burn = k.HalfPanels.Burn
			}
		}
		for _, c := range []struct {
			name     string
			layer    model.LayerConfig
			depth, n int
		}{
			{"global", model.LayerConfig{Heads: 8, KVHeads: 1, HeadDim: 512}, 65536, 64},
			{"global, 128K", model.LayerConfig{Heads: 8, KVHeads: 1, HeadDim: 512}, 131072, 64},
			{"sliding", model.LayerConfig{Heads: 8, KVHeads: 1, HeadDim: 256, Sliding: true}, 65536, 512},
			{"31B global", model.LayerConfig{Heads: 32, KVHeads: 4, HeadDim: 512, Turned: 128}, 65536, 16},
			{"31B global, 128K", model.LayerConfig{Heads: 32, KVHeads: 4, HeadDim: 512, Turned: 128}, 131072, 16},
			{"31B sliding", model.LayerConfig{Heads: 32, KVHeads: 16, HeadDim: 256, Sliding: true}, 65536, 128},
		} {
			for _, f := range []tensor.Format{tensor.F16, tensor.Q8_0, tensor.Q4_0} {
				b.Run(fmt.Sprintf("prompt/%s/%v/%s", c.name, f, k.Name), func(b *testing.B) {
					var s steps
					m := model.NewAttentionModel(s.measured(k), 1, window)
					defer m.Close()
					s.report(b, burn, model.Attend(m, c.layer, f, false, c.depth, c.n))
				})
			}
		}
		for _, c := range [][3]int{{630, 12, 64}, {2520, 12, 64}, {10080, 12, 64}, {2520, 16, 72}} {
			b.Run(fmt.Sprintf("picture/%d patches of %d/%s", c[0], c[2], k.Name), func(b *testing.B) {
				var s steps
				gaze, end := model.Gaze(s.measured(k), 1, c[0], c[1], c[2])
				defer end()
				s.report(b, burn, gaze)
			})
		}
	}
}
