package gemma4_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/sampler"
)

// TestQualityOfCaches prints how far each cache format moves the predictions: the mean Kullback-Leibler divergence, in nats, of the
// distributions from those with a float32 cache, by the depth of the position.
func TestQualityOfCaches(t *testing.T) {
	t.Run("nano", func(t *testing.T) {
		var all questions
		all.read(t)
		var conversations strings.Builder
		for _, q := range all {
			conversations.WriteString(strings.TrimPrefix(q.Prompt, "<bos>") + q.Answer + "\n")
		}
		m := openNano(t, gemma4.Loader{Exact: true})
		compareCaches(t, m, m.Tokenizer().WithBOS(m.Tokenizer().Encode(conversations.String(), true)),
			map[gemma4.CacheFormat]float64{gemma4.CacheF16: 1e-6, gemma4.CacheQ8: 3e-4, gemma4.CacheQ4: 0.05})
	})
	for _, spec := range []string{"tiny-dense:q4_0", "tiny-e:q4_k_m", "tiny-moe:q4_k_m"} {
		t.Run(spec, func(t *testing.T) {
			if testing.Short() {
				t.Skip("short runs take nano alone")
			}
			config, err := synth.Parse(spec)
			if err != nil {
				t.Fatal(err)
			}
			m, err := gemma4.Loader{Exact: true}.OpenBytes(synth.Bytes(config))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			ids := make([]int32, 600)
			for i := range ids {
				ids[i] = int32(i*i*31+i) % int32(m.Config().Vocabulary)
			}
			// Random weights magnify every difference, and one may make another expert win.
			compareCaches(t, m, ids, map[gemma4.CacheFormat]float64{gemma4.CacheF16: 0.01, gemma4.CacheQ8: 0.2, gemma4.CacheQ4: 1})
		})
	}
}

func compareCaches(t *testing.T, m *gemma4.Model, ids []int32, limits map[gemma4.CacheFormat]float64) {
	depths := []int{0, 64, 256, 1024, 1 << 20}
	if testing.Short() {
		ids = ids[:min(len(ids), 300)]
	}
	predict := func(f gemma4.CacheFormat, yield func(i int, logits []float32)) {
		s := newSession(t, m, gemma4.SessionOptions{Cache: f})
		if err := s.AllLogits(ctx, ids, func(i int, logits []float32) error { yield(i, logits); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	var exact [][]float32
	predict(gemma4.CacheF32, func(_ int, logits []float32) { exact = append(exact, slices.Clone(logits)) })
	for _, f := range []gemma4.CacheFormat{gemma4.CacheF16, gemma4.CacheQ8, gemma4.CacheQ4} {
		sum, n, all := make([]float64, len(depths)), make([]float64, len(depths)), 0.0
		predict(f, func(i int, logits []float32) {
			d := 0
			for depths[d+1] <= i {
				d++
			}
			kl := divergence(exact[i], logits)
			sum[d], n[d], all = sum[d]+kl, n[d]+1, all+kl
		})
		row := fmt.Sprintf("%-5v", f)
		for d := range depths[1:] {
			if n[d] > 0 {
				row += fmt.Sprintf("   %4d…  %.1e", depths[d], sum[d]/n[d])
			}
		}
		t.Log(row)
		if mean := all / float64(len(ids)); !(mean <= limits[f]) {
			t.Errorf("%v: the mean divergence is %g, at most %g is allowed", f, mean, limits[f])
		}
	}
}

// divergence returns Σ p · ln(p/q).
func divergence(p, q []float32) (sum float64) {
	a, b := sampler.NewLogProbs(p), sampler.NewLogProbs(q)
	for id := range int32(len(p)) {
		sum += math.Exp(a.Of(id)) * (a.Of(id) - b.Of(id))
	}
	return sum
}
