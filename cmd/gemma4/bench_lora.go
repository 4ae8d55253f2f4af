package main

import (
	"fmt"
	"slices"

	"github.com/gogemma/gemma4"
)

// measureAdapter fills the row with the medians of decoding with an adapter and without, in turn.
func (b *bench) measureAdapter(a adapter) func(r *row) error {
	return func(r *row) error {
		open, err := openAdapters(b.m, []adapter{a})
		if err != nil {
			return err
		}
		session, err := b.m.NewSession(gemma4.SessionOptions{Cache: b.plan.cache, Adapters: open})
		if err != nil {
			return err
		}
		defer session.Close()
		with := *b
		with.s = session
		bytes, err := b.m.WriteBytes(1, r.Depth+b.plan.written/2, b.plan.cache)
		if err != nil {
			return err
		}
		var speed, plain, ratio []float64
		for i := range b.plan.repetitions + 1 {
			var seconds [2]float64
			for j, one := range []*bench{b, &with} {
				t, err := one.once(&row{Test: "decode", Tokens: 1, Depth: r.Depth})
				if err != nil {
					return err
				}
				seconds[j] = t.seconds / float64(t.tokens)
			}
			if i == 0 {
				continue // pages and buffers come in
			}
			plain, speed, ratio = append(plain, 1/seconds[0]), append(speed, 1/seconds[1]), append(ratio, seconds[0]/seconds[1])
		}
		r.Tokens, r.Adapter, r.AdapterBytes, r.BytesPerToken = 1, a.name, open[0].Bytes, float64(bytes)
		r.PlainPerSecond, r.TokensPerSecond, r.Ratio = median(plain), median(speed), median(ratio)
		r.Spread = (slices.Max(ratio) - slices.Min(ratio)) / r.Ratio
		return nil
	}
}

// adapterColumns are those of decoding with adapters.
var adapterColumns = []column{
	columns[0], columns[1], columns[2],
	{"adapter", func(r *row) string { return r.Adapter }},
	columns[4],
	{"plain", func(r *row) string { return fmt.Sprintf("%.2f", r.PlainPerSecond) }},
	{"tokens/s", func(r *row) string { return fmt.Sprintf("%.2f", r.TokensPerSecond) }},
	{"ratio", func(r *row) string { return fmt.Sprintf("%.3f", r.Ratio) }},
	{"spread", func(r *row) string { return fmt.Sprintf("%.0f%%", 100*r.Spread) }},
	{"its bytes", func(r *row) string { return fmt.Sprintf("%.1f%%", 100*float64(r.AdapterBytes)/r.BytesPerToken) }},
}
