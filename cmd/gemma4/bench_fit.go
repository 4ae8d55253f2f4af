package main

import (
	"context"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/fit"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/tensor"
)

// foreteller says how fast a test should be. A nil one says nothing.
type foreteller struct {
	shape *fit.Shape
	probe *fit.Probe
	cache tensor.Format
}

// foreteller returns that of a test, nil if nothing is foretold of it.
func (b *bench) foreteller(r *row) (*foreteller, error) {
	if !b.plan.fit || r.Test == "decode" && r.Tokens > 1 {
		return nil, nil
	}
	shape, err := b.source.shape()
	if err != nil {
		return nil, err
	}
	k, err := gemma4.BestKernels()
	if err != nil {
		return nil, err
	}
	if b.plan.loader.Exact {
		k = k.Exact()
	}
	f := &foreteller{shape: shape, cache: fitFormat(b.plan.cache)}
	f.probe, err = fit.NewProbe(k, r.Threads, []tensor.Format{f.cache}, shape)
	return f, err
}

// shape returns what is known of the model without its weights.
func (s *source) shape() (*fit.Shape, error) {
	f, err := gguf.OpenBytes(nano.GGUF())
	if s.path != "" {
		f, err = gguf.Open(s.path)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return fit.Of(f)
}

func (f *foreteller) round(ctx context.Context) error {
	if f == nil {
		return nil
	}
	return f.probe.Round(ctx)
}

// speed returns the tokens per second to expect by the rounds so far.
func (f *foreteller) speed(r *row, p *plan) float64 {
	if f == nil {
		return 0
	}
	if r.Test == "prefill" {
		return f.probe.Rates().Prompt(f.shape, r.Tokens, r.Depth, f.cache)
	}
	return f.probe.Rates().Decode(f.shape, r.Depth+p.written/2, f.cache)
}

func (f *foreteller) close() {
	if f != nil {
		f.probe.Close()
	}
}
