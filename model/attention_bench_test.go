package model_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// BenchmarkAttention measures attention alone, on layers of E2B's shape: decoding a token and prefilling part of a prompt, at several
// depths. It reports the fastest run, multiply-adds (of queries with keys, of weights with values) and bytes of the cache per second, which
// a prefill counts once.
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
	for _, c := range []struct {
		name     string
		layer    model.LayerConfig
		whole    bool
		depth, n int
	}{
		{"global", global, false, 4096, 1},
		{"global", global, false, 32768, 1},
		{"global", global, false, 4096, 512},
		{"sliding", sliding, false, 1024, 1},
		{"sliding", sliding, false, 1024, 512},
		{"plain", tied, true, 65536, 1},
		{"tied", tied, false, 65536, 1},
	} {
		for _, f := range []tensor.Format{tensor.F32, tensor.F16, tensor.Q8_0, tensor.Q4_0} {
			b.Run(fmt.Sprintf("%s/depth=%d/n=%d/%v", c.name, c.depth, c.n, f), func(b *testing.B) {
				attend := model.Attend(m, c.layer, f, c.whole, c.depth, c.n)
				attend()
				best := math.Inf(1)
				for b.Loop() {
					start := time.Now()
					attend()
					best = min(best, time.Since(start).Seconds())
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
				b.ReportMetric(float64(held*c.layer.KVHeads*size)/best*1e-9, "GB/s")
			})
		}
	}
}
