//go:build amd64

package gemma4

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gogemma/gemma4/tensor"
)

// BenchmarkRowsAVX2 reports the best throughput of many runs over weights that fit the second-level cache, in GB/s of weights.
func BenchmarkRowsAVX2(b *testing.B) {
	const cols, rows = 1536, 40
	r := rand.New(rand.NewPCG(3, 9))
	for vnni, variant := range []string{"AVX2", "VNNI"} {
		var k tensor.Kernels
		fillRowsAVX2(&k, vnni)
		for _, f := range rowKindsAVX2 {
			size := f.RowBytes(cols)
			w := blocks(r, f, rows, cols)
			units := tensor.Q8Len(cols)
			const most = 16
			x := make([]tensor.Q8, most*units)
			tensor.PortableRows().Quantize(x, gaussian(r, most*cols))
			dst := make([]float32, most*rows)
			for _, n := range []int{1, 2, 3, 4, 8, 16} {
				b.Run(fmt.Sprintf("%v/%s/n=%d", f, variant, n), func(b *testing.B) {
					b.ReportAllocs()
					best := time.Hour
					for b.Loop() {
						t := time.Now()
						k.Rows[f](dst, rows, w, size, rows, x, units, n)
						best = min(best, time.Since(t))
					}
					b.ReportMetric(float64(len(w))/float64(best.Nanoseconds()), "GB/s")
				})
			}
		}
	}
}
