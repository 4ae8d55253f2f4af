package kernels

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/tensor"
)

var columns = flag.Int("columns", 2048, "weights of a row in BenchmarkRows")

// BenchmarkRows multiplies rows of 2048 weights, or -columns, with the activations of 1, 4 and 8 tokens, on as many cores as -cpu says. The
// weights come from memory or stay in the second cache; bytes are theirs. The most that writing a token can reach is what
// BenchmarkReadBandwidth at the root does with as many cores. On a shared machine look at the best pass.
//
//	go test -run - -bench Rows/avx512/Q4_0/memory -cpu 1,2 ./internal/kernels
func BenchmarkRows(b *testing.B) {
	cols := *columns
	step := 32 // rows that are claimed at a time
	if cols < 2048 {
		step = 256
	}
	var memory []byte
	r := rand.New(rand.NewPCG(4, 9))
	x := kerneltest.Gaussian(r, 8*cols)
	units := tensor.Q8Len(cols)
	q := make([]tensor.Q8, 8*units)
	tensor.Portable().Quantize(q, x)
	for _, k := range levels()[1:] {
		for _, f := range tensor.Formats() {
			if k.Rows[f] == nil && k.FloatRows[f] == nil || cols%f.BlockLen() != 0 {
				continue
			}
			size := f.RowBytes(cols)
			for _, from := range []struct {
				name  string
				bytes int
			}{{"memory", 256 << 20}, {"cache", 256 << 10}} {
				for _, n := range []int{1, 4, 8} {
					b.Run(fmt.Sprintf("%s/%v/%s/n=%d", k.Name, f, from.name, n), func(b *testing.B) {
						if memory == nil {
							memory = make([]byte, 256<<20)
						}
						w := memory[:from.bytes/(step*size)*step*size]
						few := kerneltest.Blocks(r, f, step, cols)
						for i := 0; i < len(w); i += copy(w[i:], few) {
						}
						chunks := len(w) / (step * size)
						dst := make([]float32, chunks*step*n)
						chunk := func(c int) {
							w, dst := w[c*step*size:(c+1)*step*size], dst[c*step*n:]
							if k.Rows[f] != nil {
								k.Rows[f](dst, step, w, size, step, q[:n*units], units, n)
							} else {
								k.FloatRows[f](dst, step, w, size, step, x[:n*cols], cols, n)
							}
						}
						b.SetBytes(int64(len(w)))
						best := time.Hour
						for b.Loop() {
							start := time.Now()
							if from.name == "cache" {
								for c := range chunks {
									chunk(c)
								}
								best = min(best, time.Since(start))
								continue
							}
							var claimed atomic.Int64
							var wg sync.WaitGroup
							for range runtime.GOMAXPROCS(0) {
								wg.Go(func() {
									for c := claimed.Add(1); int(c) <= chunks; c = claimed.Add(1) {
										chunk(int(c - 1))
									}
								})
							}
							wg.Wait()
							best = min(best, time.Since(start))
						}
						b.ReportMetric(float64(len(w))/float64(best.Nanoseconds()), "best-GB/s")
					})
				}
			}
		}
	}
}
