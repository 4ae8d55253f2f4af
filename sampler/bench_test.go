package sampler

import (
	"math/rand/v2"
	"testing"
)

// modelLogits returns logits of Gemma's vocabulary size, shaped like a model's: a wide bell and a few clear favourites.
func modelLogits() []float32 {
	r := rand.New(rand.NewPCG(1, 2))
	l := make([]float32, 262144)
	for i := range l {
		l[i] = float32(r.NormFloat64()*3 - 8)
	}
	for i := range 20 {
		l[r.IntN(len(l))] = 12 - float32(i)/2
	}
	return l
}

func BenchmarkSample(b *testing.B) {
	logits := modelLogits()
	rising := make([]float32, len(logits))
	for i := range rising {
		rising[i] = float32(i) / 10000
	}
	flat := make([]float32, len(logits))
	for _, c := range []struct {
		name   string
		logits []float32
		o      Options
	}{
		{"greedy", logits, Options{}},
		{"default", logits, Default()},
		{"default rising", rising, Default()}, // each logit enters the heap
		{"default with penalties", logits, Options{Temperature: 1, TopK: 64, TopP: 0.95, RepeatPenalty: 1.1}},
		{"top-k 1000", logits, Options{Temperature: 1, TopK: 1000}},
		{"top-p", logits, Options{Temperature: 1, TopP: 0.95}},
		{"top-p flat", flat, Options{Temperature: 1, TopP: 0.95}},
		{"min-p", logits, Options{Temperature: 1, MinP: 0.05}},
		{"typical", logits, Options{Temperature: 1, Typical: 0.95}},
		{"temperature", logits, Options{Temperature: 1}},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := newSampler(b, len(c.logits), c.o)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				id, err := s.Sample(c.logits, i)
				if err != nil {
					b.Fatal(err)
				}
				s.Accept(id)
			}
		})
	}
}

func BenchmarkTopLogProbs(b *testing.B) {
	logits := modelLogits()
	b.ReportAllocs()
	for range b.N {
		TopLogProbs(logits, 20)
	}
}
