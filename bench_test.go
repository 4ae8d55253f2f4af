package gemma4_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/sampler"
	"github.com/gogemma/gemma4/tensor"
)

// synthetic opens a model of random weights.
func synthetic(b *testing.B, spec string) *gemma4.Model {
	b.Helper()
	c, err := synth.Parse(spec)
	if err != nil {
		b.Fatal(err)
	}
	m, err := gemma4.OpenBytes(synth.Bytes(c))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { m.Close() })
	return m
}

// BenchmarkOpen opens the embedded model: metadata, vocabulary, shapes.
func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		m, err := nano.Open()
		if err != nil {
			b.Fatal(err)
		}
		m.Close()
	}
}

// BenchmarkGenerate decodes tokens, one per iteration, with sampling and text. It allocates nothing per token.
func BenchmarkGenerate(b *testing.B) {
	m := openNano(b, gemma4.Loader{})
	s := newSession(b, m, gemma4.SessionOptions{})
	var sampling sampler.Overrides
	for id := range int32(m.Tokenizer().Size()) {
		if m.Tokenizer().IsEnd(id) {
			sampling.Suppress = append(sampling.Suppress, id)
		}
	}
	in := prompt(m, question)
	b.ReportAllocs()
	for more := true; more; s.Rewind(0) {
		for _, err := range s.Generate(ctx, in, gemma4.GenerateOptions{Sampling: sampling, MaxTokens: 1000}) {
			if err != nil {
				b.Fatal(err)
			}
			if more = b.Loop(); !more {
				break
			}
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
}

// BenchmarkPrompt prefills 512 tokens with E2B's layers and heads at a small width.
func BenchmarkPrompt(b *testing.B) {
	m := synthetic(b, "e2b-narrow:q4_0")
	ids := make([]int32, 512)
	for i := range ids {
		ids[i] = int32(i*7919) % int32(m.Config().Vocabulary)
	}
	s := newSession(b, m, gemma4.SessionOptions{})
	for b.Loop() {
		s.Rewind(0)
		if err := s.Read(ctx, gemma4.Input{Tokens: ids}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(ids))*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
}

// BenchmarkFullContext fills the 131072 positions of E2B's context in a q8_0 cache, whose keys and values have the true sizes, at a small
// width and with one query head, and reports the bytes that the cache takes beside those that Memory announced. One run takes minutes:
//
//	go test -run - -bench FullContext -benchtime 1x .
func BenchmarkFullContext(b *testing.B) {
	c, err := synth.Parse("e2b-narrow:q4_0")
	if err != nil {
		b.Fatal(err)
	}
	c.Heads = []int{1}
	m, err := gemma4.OpenBytes(synth.Bytes(c))
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	n := m.Config().Context
	want, err := m.Memory(n, gemma4.CacheQ8)
	if err != nil {
		b.Fatal(err)
	}
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(i*7919) % int32(m.Config().Vocabulary)
	}
	for b.Loop() {
		s := newSession(b, m, gemma4.SessionOptions{Context: n, Cache: gemma4.CacheQ8})
		if err := s.Read(ctx, gemma4.Input{Tokens: ids}); err != nil {
			b.Fatal(err)
		}
		got := s.CacheBytes()
		if got > want.Cache+want.History || got < want.Cache*9/10 {
			b.Errorf("%d bytes are held, %d and %d of history were announced", got, want.Cache, want.History)
		}
		b.ReportMetric(float64(got)/1e6, "MB")
		b.ReportMetric(float64(want.Cache+want.History)/1e6, "MB-announced")
		s.Close()
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
}

// BenchmarkDepth decodes tokens after nothing and after 32768 others in turn, so that both have the same neighbours, with E2B's true shape,
// and reports the median speed at that depth as a share of the other. It takes minutes and 3 GB on disk.
//
//	go test -run - -bench Depth -benchtime 200x .
func BenchmarkDepth(b *testing.B) {
	const depth = 32768
	c, err := synth.Parse("e2b:q4_0")
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "e2b.gguf")
	if err := synth.WriteFile(b.Context(), path, c); err != nil {
		b.Fatal(err)
	}
	m, err := gemma4.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	ids := make([]int32, depth)
	for i := range ids {
		ids[i] = int32(i*7919) % int32(m.Config().Vocabulary)
	}
	for _, f := range []gemma4.CacheFormat{gemma4.CacheF16, gemma4.CacheQ8} {
		b.Run(f.String(), func(b *testing.B) {
			var sessions [2]*gemma4.Session
			for i, n := range [2]int{1, depth} {
				sessions[i] = newSession(b, m, gemma4.SessionOptions{Cache: f})
				if err := sessions[i].Read(ctx, gemma4.Input{Tokens: ids[:n]}); err != nil {
					b.Fatal(err)
				}
			}
			var times [2][]time.Duration
			for i := 0; b.Loop(); i++ {
				for j, s := range sessions {
					began := time.Now()
					if _, err := s.Write(ctx, ids[i%depth]); err != nil {
						b.Fatal(err)
					}
					times[j] = append(times[j], time.Since(began))
				}
			}
			var median [2]float64
			for j, t := range times {
				slices.Sort(t)
				median[j] = t[len(t)/2].Seconds()
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(1/median[0], "tokens/s")
			b.ReportMetric(1/median[1], "tokens/s-deep")
			b.ReportMetric(100*median[0]/median[1], "%")
		})
	}
}

// BenchmarkReadBandwidth is the roofline of decode: a loop that only reads, over more memory than the caches hold, on as many cores as -cpu
// says. On a shared machine look at the best round.
func BenchmarkReadBandwidth(b *testing.B) {
	const chunk = 64 << 10 // claimed at a time
	buf := make([]byte, 256<<20)
	for i := range buf {
		buf[i] = byte(i)
	}
	for _, k := range gemma4.Levels() {
		b.Run(k.Name, func(b *testing.B) {
			b.SetBytes(int64(len(buf)))
			best := time.Hour
			for b.Loop() {
				start := time.Now()
				var claimed atomic.Int64
				var wg sync.WaitGroup
				for range runtime.GOMAXPROCS(0) {
					wg.Go(func() {
						for to := claimed.Add(chunk); int(to) <= len(buf); to = claimed.Add(chunk) {
							k.Sum(buf[to-chunk : to])
						}
					})
				}
				wg.Wait()
				best = min(best, time.Since(start))
			}
			b.ReportMetric(float64(len(buf))/float64(best.Nanoseconds()), "best-GB/s")
		})
	}
}

// BenchmarkElements measures the vector loops at every level, on vectors of 1536 that stay in the first cache. Bytes are
// those read and those written.
func BenchmarkElements(b *testing.B) {
	const n = 1536
	r := rand.New(rand.NewPCG(1, 22))
	a, x, y := kerneltest.Gaussian(r, n), kerneltest.Gaussian(r, n), make([]float32, n)
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
		for _, k := range gemma4.Levels() {
			b.Run(c.name+"/"+k.Name, func(b *testing.B) {
				kerneltest.Measure(b, n*c.bytes, "GB/s", func() { c.call(k) })
			})
		}
	}
}

// BenchmarkQueue answers short prompts, 30 tokens with 30, one after the other and as a queue does it, at any number of slots.
// "%-scheduler" is what deciding who takes part in passes takes of the time of these.
func BenchmarkQueue(b *testing.B) {
	m := synthetic(b, "e2b-narrow:q4_0")
	var sampling sampler.Overrides
	sampling.Suppress = m.Tokenizer().Ends()
	request := func(i int) (r gemma4.Request) {
		ids := words(30, uint64(i))
		for i := range ids {
			ids[i] %= int32(m.Tokenizer().Size())
		}
		r.Prompt = []gemma4.Input{{Tokens: ids}}
		r.MaxTokens, r.Sampling = 30, sampling
		return r
	}
	run := func(b *testing.B, slots int) {
		q, err := m.NewQueue(gemma4.QueueOptions{Slots: slots, Waiting: 1 << 20})
		if err != nil {
			b.Fatal(err)
		}
		defer q.Close()
		before := m.Stats()
		var all sync.WaitGroup
		for i := range b.N {
			pieces := submit(b, q, request(i))
			all.Go(func() {
				if _, err := gemma4.CollectChoices(pieces); err != nil {
					b.Error(err)
				}
			})
		}
		all.Wait()
		b.ReportMetric(float64(q.Stats().Generated)/b.Elapsed().Seconds(), "tokens/s")
		after := m.Stats()
		passes := after.Decode.Duration + after.Prefill.Duration - before.Decode.Duration - before.Prefill.Duration
		b.ReportMetric(100*(after.Overhead-before.Overhead).Seconds()/passes.Seconds(), "%-scheduler")
	}
	for _, slots := range []int{1, 2, 4, 8, 16} {
		b.Run(fmt.Sprint(slots), func(b *testing.B) { run(b, slots) })
	}
}
