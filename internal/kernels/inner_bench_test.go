package kernels

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/tensor"
)

// BenchmarkInnerLoops multiplies a packed panel of Q4_0 with packed tokens, both in the nearest caches, and says what share of the multiply
// peak of the same run that is: what a loop reaches that nothing is fetched or packed for.
func BenchmarkInnerLoops(b *testing.B) {
	const f, cols, n, turns = tensor.Q4_0, 512, 64, 16
	r := rand.New(rand.NewPCG(3, 8))
	for _, k := range levels()[1:] {
		p := k.Panels
		if p == nil || p.PackW[f] == nil {
			continue
		}
		b.Run(k.Name, func(b *testing.B) {
			packed, panel := make([]byte, p.XBytes(n, cols)), make([]byte, p.WBytes(cols))
			dst := make([]float32, n*p.Height)
			p.PackX(packed, kerneltest.Gaussian(r, n*cols), n, cols, 0, n)
			p.PackW[f](panel, kerneltest.Blocks(r, f, p.Height, cols), f.RowBytes(cols), p.Height, cols)
			burn := k.Burn
			if p.Burn != nil {
				burn = p.Burn
			}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var loop, peak float64 // multiply-adds per second
			for b.Loop() {
				begin := time.Now()
				ops := burn(20000)
				peak = max(peak, float64(ops)/time.Since(begin).Seconds())
				begin = time.Now()
				for range turns {
					p.Multiply(dst, p.Height, panel, p.Height, packed, n, cols, nil)
				}
				loop = max(loop, float64(turns*n*cols*p.Height)/time.Since(begin).Seconds())
			}
			b.ReportMetric(100*loop/peak, "%peak")
		})
	}
}
