package gemma4

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gogemma/gemma4/tensor"
)

// measure runs f in batches of some 20 µs and reports the fastest: on a shared machine that is what the processor can do. The
// amount is what f does, in bytes or operations.
func measure(b *testing.B, amount int, unit string, f func()) {
	run := func(n int) time.Duration {
		start := time.Now()
		for range n {
			f()
		}
		return time.Since(start)
	}
	batch := 1
	for once := run(batch); min(once, run(batch)) < 20*time.Microsecond; once = run(batch) {
		batch *= 2
	}
	best := time.Duration(math.MaxInt64)
	for b.Loop() {
		best = min(best, run(batch))
	}
	ns := float64(best.Nanoseconds()) / float64(batch)
	b.ReportMetric(ns, "ns/op")
	b.ReportMetric(float64(amount)/ns, unit)
}

// BenchmarkElements measures the vector loops at every level, on vectors of 1536 that stay in the first cache. Bytes are
// those read and those written.
func BenchmarkElements(b *testing.B) {
	const n = 1536
	r := rand.New(rand.NewPCG(1, 22))
	a, x, y := gaussian(r, n), gaussian(r, n), make([]float32, n)
	q, half := make([]tensor.Q8, tensor.Q8Len(n)), make([]byte, 2*n)
	for _, c := range []struct {
		name  string
		bytes int // per element
		call  func(k *tensor.Kernels)
	}{
		{"Dot", 8, func(k *tensor.Kernels) { y[0] = k.Dot(a, x) }},
		{"AddScaled", 12, func(k *tensor.Kernels) { k.AddScaled(y, x, 1e-20) }},
		{"RMSNorm", 16, func(k *tensor.Kernels) { k.RMSNorm(y, a, x, 1e-6) }},
		{"GELU", 12, func(k *tensor.Kernels) { copy(y, a); k.GELU(y, x) }},
		{"Rotate", 12, func(k *tensor.Kernels) { k.Rotate(y, a[:n/2], x[:n/2]) }},
		{"SoftCap", 8, func(k *tensor.Kernels) { copy(y, a); k.SoftCap(y, 30) }},
		{"ExpSum", 8, func(k *tensor.Kernels) { copy(y, a); k.ExpSum(y, 3) }},
		{"EncodeF16", 6, func(k *tensor.Kernels) { k.EncodeRow(tensor.F16, half, a) }},
		{"EncodeQ8_0", 5, func(k *tensor.Kernels) { k.EncodeRow(tensor.Q8_0, half, a) }},
		{"EncodeQ4_0", 5, func(k *tensor.Kernels) { k.EncodeRow(tensor.Q4_0, half, a) }},
		{"Hadamard", 8, func(k *tensor.Kernels) { copy(y, a); k.Hadamard(y) }},
		{"Quantize", 7, func(k *tensor.Kernels) { k.Quantize(q, a) }},
	} {
		for _, k := range Levels() {
			b.Run(c.name+"/"+k.Name, func(b *testing.B) {
				measure(b, n*c.bytes, "GB/s", func() { c.call(k) })
			})
		}
	}
}

// BenchmarkAttentionBlock takes eight queries over a block of 64 keys or values. GMAC/s counts multiply-adds.
func BenchmarkAttentionBlock(b *testing.B) {
	const n, count = 8, 64
	r := rand.New(rand.NewPCG(2, 22))
	w := make([]float32, n*count)
	for _, dim := range []int{64, 256, 512} {
		q, out := gaussian(r, n*dim), make([]float32, n*dim)
		for _, f := range []tensor.Format{tensor.F32, tensor.F16, tensor.Q8_0, tensor.Q4_0} {
			kv := blocks(r, f, count, dim)
			for _, k := range Levels() {
				b.Run(fmt.Sprintf("%d/%v/Scores/%s", dim, f, k.Name), func(b *testing.B) {
					measure(b, n*count*dim, "GMAC/s", func() { k.Scores[f](w, count, q, n, kv, f.RowBytes(dim), count, nil) })
				})
				b.Run(fmt.Sprintf("%d/%v/Weigh/%s", dim, f, k.Name), func(b *testing.B) {
					clear(w)
					measure(b, n*count*dim, "GMAC/s", func() { k.Weigh[f](out, n, w, count, kv, count, nil) })
				})
			}
		}
	}
}

// BenchmarkDecode decodes rows into a buffer that stays in the cache. Bytes are those of the format, which stay in a
// cache or come from memory.
func BenchmarkDecode(b *testing.B) {
	const n = 1536
	r := rand.New(rand.NewPCG(3, 22))
	dst := make([]float32, n)
	for _, f := range allFormats() {
		for _, from := range []struct {
			name string
			rows int
		}{{"cache", 4}, {"memory", 64 << 20 / f.RowBytes(n)}} {
			few := blocks(r, f, 4, n)
			size := len(few) / 4
			src := make([]byte, from.rows*size)
			for i := 0; i < len(src); i += copy(src[i:], few) {
			}
			for _, k := range Levels() {
				if k.Decode[f] == nil && k.Name != "portable" {
					continue
				}
				b.Run(f.String()+"/"+from.name+"/"+k.Name, func(b *testing.B) {
					at := 0
					measure(b, size, "GB/s", func() {
						k.DecodeRow(f, dst, src[at:at+size])
						if at += size; at == len(src) {
							at = 0
						}
					})
				})
			}
		}
	}
	b.Run("read", func(b *testing.B) { // as fast as memory goes with a loop of the same shape
		src := make([]float32, 64<<20/4)
		for i := range src {
			src[i] = 1
		}
		k := Levels()[len(Levels())-1]
		at := 0
		measure(b, 4*n, "GB/s", func() {
			dst[0] = k.Dot(src[at:at+n], src[at:at+n])
			if at += n; at+n > len(src) {
				at = 0
			}
		})
	})
}
