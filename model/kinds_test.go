package model

import (
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/tensor"
)

// TestAllKindsAreExact compares models of the five published kinds, true in everything but widths, and two small ones whose windows the
// text leaves behind, with the logits that a float64 reference gave. It needs nothing but the clone.
func TestAllKindsAreExact(t *testing.T) {
	for _, c := range []struct {
		preset    string
		positions int
		odd       bool
	}{
		{preset: "e2b-narrow", positions: 24}, {preset: "e4b-narrow", positions: 24}, {preset: "12b-narrow", positions: 24},
		{preset: "26b-narrow", positions: 24}, {preset: "31b-narrow", positions: 24},
		{preset: "micro-e4", positions: 40}, {preset: "micro-moe", positions: 40, odd: true},
	} {
		name := c.preset
		if c.odd {
			name = "micro-odd"
		}
		t.Run(name, func(t *testing.T) {
			if testing.Short() && c.preset == "31b-narrow" {
				t.Skip("400 MB of weights: left out of short runs")
			}
			config, err := synth.Parse(c.preset + ":f32")
			if err != nil {
				t.Fatal(err)
			}
			if c.odd {
				config.Head, config.SplitExperts, config.Scales = true, true, true
				config.Unscaled, config.Suppress = []int{1, 3, 5}, []int32{4, 105}
			}
			f, err := gguf.OpenBytes(synth.Bytes(config))
			if err != nil {
				t.Fatal(err)
			}
			m, err := New(f, Options{Workers: 2})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { m.Close(); f.Close() })
			ids := make([]int32, c.positions)
			for i := range ids {
				ids[i] = int32((31*i*i + 7*i + 2) % 512)
			}
			want := readFloats(t, "testdata/synthetic-"+name+".logits.f32")
			got := read(t, newSession(t, m, SequenceOptions{Cache: tensor.F32}), Input{Tokens: ids})
			w := worst(got, want)
			if !(w <= 1e-3) {
				t.Errorf("logits are off by %g, at most 1e-3 is allowed", w)
			}
			t.Logf("logits are off by %.2g at most", w)
		})
	}
}
