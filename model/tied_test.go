package model

import (
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/tensor"
)

// openSynthetic opens a model of random weights.
func openSynthetic(t testing.TB, spec string, workers int) *Model {
	t.Helper()
	c, err := synth.Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.OpenBytes(synth.Bytes(c))
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(f, Options{Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(); f.Close() })
	return m
}

// globalBytes returns what global layers take for one position.
func globalBytes(s *session) (sum int) {
	for _, c := range s.cache[:s.m.Owners] {
		if !c.sliding {
			sum += c.pageBytes() / pageLen
		}
	}
	return sum
}

// TestTiedLayersKeepFiveEighths compares the cache that keeps values and the part of the keys that rotates with the one that keeps both, on
// models with the true heads and layers.
func TestTiedLayersKeepFiveEighths(t *testing.T) {
	specs := []string{"31b-narrow:f32", "26b-narrow:f32", "12b-narrow:f32"}
	if testing.Short() {
		specs = specs[1:2]
	}
	for _, spec := range specs {
		m := openSynthetic(t, spec, 2)
		text := randomText(24, m.Vocabulary, 8)
		logits := func(o SequenceOptions) (*session, []float32) {
			s := newSession(t, m, o)
			out := read(t, s, Input{Tokens: text[4:]})
			for _, id := range text[:4] {
				l, err := s.Write(ctx, id)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, l...)
			}
			return s, out
		}
		_, exact := logits(SequenceOptions{Cache: tensor.F32, wholeKeys: true})
		for _, f := range []tensor.Format{tensor.F32, tensor.F16, tensor.Q8_0} {
			if f != tensor.F32 && spec != "12b-narrow:f32" {
				continue
			}
			whole, want := logits(SequenceOptions{Cache: f, wholeKeys: true})
			tied, got := logits(SequenceOptions{Cache: f})
			e, limit := worst(got, exact), max(1e-4, 1.5*worst(want, exact)) // no worse than the format itself
			if !(e <= limit) {
				t.Errorf("%s, %v: logits are off by %g, at most %g is allowed", spec, f, e, limit)
			}
			a, b := globalBytes(whole), globalBytes(tied)
			t.Logf("%s, %v: global layers take %d bytes per position instead of %d; logits are off by %.2g, those of whole keys by %.2g",
				spec, f, b, a, e, worst(want, exact))
			if got := m.WriteBytes(1, 2000, f) - m.WriteBytes(1, 1900, f); got != int64(100*b) { // both past the windows
				t.Errorf("%s, %v: 100 positions more are %d bytes more to read, expected %d", spec, f, got, 100*b)
			}
			if 8*b != 5*a {
				t.Errorf("%s, %v: %d bytes of %d, expected five eighths", spec, f, b, a)
			}
		}
		if whole := m.Layers[0].KVHeads * 2 * tensor.F16.RowBytes(m.Layers[0].HeadDim); m.cacheOf(0).pageBytes() != whole*pageLen {
			t.Errorf("%s: a sliding layer takes %d bytes, expected %d", spec, m.cacheOf(0).pageBytes(), whole*pageLen)
		}
	}
}

func (m *Model) cacheOf(layer int) *kv { return newKV(&m.Layers[layer], tensor.F16, false) }
