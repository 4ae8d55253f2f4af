package quant_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/internal/quant"
)

// BenchmarkEncode tells the time of a weight, and what share its multiplications have of the multiply-adds that one core can do.
func BenchmarkEncode(b *testing.B) {
	const n = 4096
	r := rand.New(rand.NewPCG(1, 1))
	x, importance := make([]float32, 4*n), make([]float32, n)
	for i := range x {
		x[i] = float32(0.02 * r.NormFloat64())
	}
	for i := range importance {
		importance[i] = float32(r.ExpFloat64())
	}
	peak := multiplyPeak(b)
	for _, f := range quant.Formats() {
		dst := make([]byte, f.RowBytes(len(x)))
		for _, c := range []struct {
			name       string
			importance []float32
		}{{"plain", nil}, {"importance", importance}} {
			b.Run(f.String()+"/"+c.name, func(b *testing.B) {
				for b.Loop() {
					if err := quant.Encode(f, dst, x, n, c.importance); err != nil {
						b.Fatal(err)
					}
				}
				seconds := b.Elapsed().Seconds() / float64(b.N*len(x))
				b.ReportMetric(1e9*seconds, "ns/weight")
				if work := quant.Work(f, c.importance != nil); work > 0 {
					b.ReportMetric(100*work/seconds/peak, "%peak")
				}
			})
		}
	}
}

// multiplyPeak returns the multiply-adds of floats that a core does in a second, the most of a few short runs.
func multiplyPeak(b *testing.B) (most float64) {
	k, err := gemma4.BestKernels()
	if err != nil {
		b.Fatal(err)
	}
	for range 20 {
		begin := time.Now()
		did := k.BurnFloats(1 << 16)
		most = max(most, float64(did)/time.Since(begin).Seconds())
	}
	return most
}
