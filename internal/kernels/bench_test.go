package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/tensor"
)

// BenchmarkAttentionBlock takes eight queries over a block of 64 keys or values. GMAC/s counts multiply-adds.
func BenchmarkAttentionBlock(b *testing.B) {
	const n, count = 8, 64
	r := rand.New(rand.NewPCG(2, 22))
	w := make([]float32, n*count)
	for _, dim := range []int{64, 256, 512} {
		q, out := kerneltest.Gaussian(r, n*dim), make([]float32, n*dim)
		for _, f := range []tensor.Format{tensor.F32, tensor.F16, tensor.Q8_0, tensor.Q4_0} {
			kv := kerneltest.Blocks(r, f, count, dim)
			for _, k := range levels() {
				b.Run(fmt.Sprintf("%d/%v/Scores/%s", dim, f, k.Name), func(b *testing.B) {
					kerneltest.Measure(b, n*count*dim, "GMAC/s", func() { k.Scores[f](w, count, q, n, kv, f.RowBytes(dim), count, nil) })
				})
				b.Run(fmt.Sprintf("%d/%v/Weigh/%s", dim, f, k.Name), func(b *testing.B) {
					clear(w)
					kerneltest.Measure(b, n*count*dim, "GMAC/s", func() { k.Weigh[f](out, n, w, count, kv, count, nil) })
				})
			}
		}
	}
}

// BenchmarkAttentionStrip takes queries over a strip by products of bf16, each step apart. GMAC/s counts multiply-adds of a product.
func BenchmarkAttentionStrip(b *testing.B) {
	r := rand.New(rand.NewPCG(2, 23))
	for _, k := range levels() {
		a := k.Attention
		if a == nil {
			continue
		}
		for _, shape := range [][2]int{{64, 96}, {72, 96}, {256, 256}, {512, 128}} {
			dim, n := shape[0], shape[1]
			q, out := kerneltest.Gaussian(r, n*dim), make([]float32, n*dim)
			packed, w := make([]uint16, n*tensor.Packed(dim)), make([]uint16, n*tensor.Strip)
			keys, values := make([]uint16, tensor.Packed(dim)*tensor.Strip), make([]uint16, tensor.PackedValues(dim))
			scores := kerneltest.Gaussian(r, n*tensor.Strip)
			top, sum, factor := make([]float32, n), make([]float32, n), make([]float32, n)
			measure := func(name string, amount int, unit string, f func()) {
				b.Run(fmt.Sprintf("%d/%s/%s", dim, name, k.Name), func(b *testing.B) { kerneltest.Measure(b, amount, unit, f) })
			}
			measure("PackQueries", n*dim, "G/s", func() { a.PackQueries(packed, q, dim, n, dim) })
			for _, f := range cacheFormats {
				if dim%f.BlockLen() != 0 {
					continue
				}
				kv, size := kerneltest.Blocks(r, f, tensor.Strip, dim), f.RowBytes(dim)
				measure("PackKeys/"+f.String(), tensor.Strip*dim, "G/s", func() { a.PackKeys[f](keys, kv, size, tensor.Strip, dim) })
				measure("PackValues/"+f.String(), tensor.Strip*dim, "G/s", func() { a.PackValues[f](values, kv, size, tensor.Strip, dim) })
			}
			products := n * tensor.Strip * dim
			measure("Softmax", n*tensor.Strip, "G/s", func() { a.Softmax(w, scores, top, sum, factor) })
			measure("Scores", products, "GMAC/s", func() { a.Scores(scores, packed, n, keys, dim, nil) })
			for i := range factor {
				factor[i] = 1
			}
			measure("Weigh", products, "GMAC/s", func() { a.Weigh(out, dim, factor, w, values, dim, nil) })
		}
	}
}

// BenchmarkDecode decodes rows into a buffer that stays in the cache. Bytes are those of the format, which stay in a
// cache or come from memory.
func BenchmarkDecode(b *testing.B) {
	const n = 1536
	r := rand.New(rand.NewPCG(3, 22))
	dst := make([]float32, n)
	for _, f := range tensor.Formats() {
		for _, from := range []struct {
			name string
			rows int
		}{{"cache", 4}, {"memory", 64 << 20 / f.RowBytes(n)}} {
			few := kerneltest.Blocks(r, f, 4, n)
			size := len(few) / 4
			src := make([]byte, from.rows*size)
			for i := 0; i < len(src); i += copy(src[i:], few) {
			}
			for _, k := range levels() {
				if k.Decode[f] == nil && k.Name != "portable" {
					continue
				}
				b.Run(f.String()+"/"+from.name+"/"+k.Name, func(b *testing.B) {
					at := 0
					kerneltest.Measure(b, size, "GB/s", func() {
						k.DecodeRow(f, dst, src[at:at+size])
						if at += size; at == len(src) {
							at = 0
						}
					})
				})
			}
		}
	}
}
