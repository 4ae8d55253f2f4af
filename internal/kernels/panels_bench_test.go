//go:build amd64 && unix

package kernels

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/tensor"
)

// BenchmarkPanels multiplies matrices of E2B's shapes, and one larger than the caches, on one core, packing included. Beside the arithmetic
// per second stand its share of what the panels' multiply-add reaches on registers alone, in the same run, and the time that packing a
// panel takes per weight.
func BenchmarkPanels(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 8))
	for _, k := range levels()[1:] {
		for _, f := range []tensor.Format{tensor.Q4_0, tensor.Q4_K, tensor.Q6_K, tensor.Q8_0, tensor.Q5_0, tensor.Q5_K, tensor.IQ4_NL,
			tensor.IQ4_XS, tensor.MXFP4,
			tensor.Q3_K, tensor.F16, tensor.BF16, tensor.F32} {
			p := panelsOf(k, f)
			if p == nil {
				continue
			}
			shapes := [][2]int{{1536, 6144}}
			if f == tensor.Q4_0 {
				shapes = [][2]int{{6144, 1536}, {1536, 6144}, {2048, 1536}, {1536, 2048}, {12288, 1536}, {1536, 12288}, {49152, 1536}}
			}
			for _, s := range shapes {
				rows, cols := s[0], s[1]
				w := bytes.Repeat(kerneltest.Blocks(r, f, 64, cols), rows/64)
				for _, n := range []int{512, 64, 16, 8, 4, 3, 2, 1} {
					b.Run(fmt.Sprintf("%s/%v/%dx%d/n=%d", k.Name, f, rows, cols, n), func(b *testing.B) {
						benchmarkPanels(b, k, p, f, w, rows, cols, kerneltest.Gaussian(r, n*cols), n)
					})
				}
			}
		}
	}
}

// BenchmarkTowerPanels does so with the matrices of pictures' and sounds' towers and the 2520 tokens that 280 of a picture are made of, in
// the formats that projectors have. Rows of 4304 are no whole number of blocks of Q8_0.
func BenchmarkTowerPanels(b *testing.B) {
	const n = 2520
	r := rand.New(rand.NewPCG(2, 8))
	for _, k := range levels()[1:] {
		for _, f := range []tensor.Format{tensor.Q8_0, tensor.F16, tensor.BF16} {
			for _, s := range [][2]int{{768, 768}, {3072, 768}, {768, 3072}, {1152, 1152}, {4304, 1152}, {1152, 4304}, {1024, 1024}} {
				rows, cols := s[0], s[1]
				if p := panelsOf(k, f); p != nil && cols%f.BlockLen() == 0 {
					b.Run(fmt.Sprintf("%s/%v/%dx%d", k.Name, f, rows, cols), func(b *testing.B) {
						w := bytes.Repeat(kerneltest.Blocks(r, f, 16, cols), rows/16)
						benchmarkPanels(b, k, p, f, w, rows, cols, kerneltest.Gaussian(r, n*cols), n)
					})
				}
			}
		}
	}
}

// panelsOf returns the panels that MatMul takes for a format.
func panelsOf(k *tensor.Kernels, f tensor.Format) *tensor.PanelKernels {
	switch {
	case k.Panels != nil && (!isFloat(f) || k.Panels.PackW[f] != nil):
		return k.Panels
	case k.HalfPanels != nil && k.HalfPanels.PackW[f] != nil:
		return k.HalfPanels
	case isFloat(f):
		return k.FloatPanels
	}
	return nil
}

func benchmarkPanels(b *testing.B, k *tensor.Kernels, p *tensor.PanelKernels, f tensor.Format, w []byte, rows, cols int, x []float32,
	n int) {
	size := f.RowBytes(cols)
	dst, decoded := make([]float32, n*rows), make([]float32, p.Height*cols)
	packed, panel := make([]byte, p.XBytes(n, cols)), make([]byte, p.WBytes(cols))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var packing, best, peak time.Duration
	var ops int64
	burn := k.Burn
	if p.Burn != nil {
		burn = p.Burn
	}
	for b.Loop() {
		begin := threadTime()
		ops = burn(20000)
		if d := threadTime() - begin; peak == 0 || d < peak {
			peak = d
		}
		begin = threadTime()
		p.PackX(packed, x, n, cols, 0, n)
		pack := time.Duration(0)
		few := n <= p.Few && p.MultiplyW[f] != nil
		if few {
			p.MultiplyW[f](dst, rows, panel, w, size, rows, packed, n, cols)
		}
		for from := 0; from < rows && !few; from += p.Height {
			to := min(from+p.Height, rows)
			t := threadTime()
			if p.PackW[f] != nil {
				p.PackW[f](panel, w[from*size:to*size], size, to-from, cols)
			} else {
				k.DecodeRow(f, decoded[:(to-from)*cols], w[from*size:to*size])
				p.PackFloats(panel, decoded, to-from, cols)
			}
			pack += threadTime() - t
			p.Multiply(dst[from:], rows, panel, to-from, packed, n, cols, w[to*size:min(to+p.Height, rows)*size])
		}
		if d := threadTime() - begin; best == 0 || d < best {
			best = d
		}
		if packing == 0 || pack < packing {
			packing = pack
		}
	}
	work := float64(rows) * float64(cols)
	b.ReportMetric(2*work*float64(n)/float64(best), "GFLOP/s")
	b.ReportMetric(100*work*float64(n)/float64(best)*float64(peak)/float64(ops), "%peak")
	b.ReportMetric(float64(len(w))/float64(best), "GB/s")
	b.ReportMetric(1000*float64(packing)/work, "ps/packed")
	b.ReportMetric(100*float64(packing)/float64(best), "%packing")
}

// threadTime is the time that this thread has run: other programs on the machine do not count.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}
