package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/hub"
	"github.com/gogemma/gemma4/internal/fit"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

func fitCommand() cli.Command {
	return cli.Command{
		Name:  "fit",
		Group: "measurements",
		Does:  "tell what this machine can run: memory, and the speed to expect",
		Args:  "[flags] [model]",
		About: `
Tells for a model, or for the five published sizes in the usual formats, which memory it takes (weights that each token needs, keys and
values by context and cache format, buffers), whether that fits here, and how fast it will read and write. Nothing is fetched: the model is
a file, the name of a model that is on this machine, or a size with a format or without, such as 12b or 12b:q8_0.

Memory is what is available now, within the limits of control groups ("yes"), or what the machine has if other programs end ("without
others"). Weights beyond that are read from disk again for each token; keys and values beyond it are swapped.

Rates follow from what the machine does in the next seconds: its kernels multiply weights of the same formats and shapes that are
nobody's, and attend to keys and values. Other programs that run slow the measurement as they would slow the model. They are tokens per
second, of a prompt that fills the context and of an answer behind it. GEMMA4_CPU caps the level of the kernels; "gemma4 bench -fit"
measures a model beside what is foretold of it.`,
		Examples: `
gemma4 fit
gemma4 fit 12b
gemma4 fit 26b:q4_k_m
gemma4 fit -memory 8GB -rates=false
gemma4 fit -json model.gguf | jq '.models[].needs[]'`,
		Operands: cli.ModelNames(),
		Define:   defineFit,
	}
}

// The contexts and caches that are looked at.
var (
	fitContexts = []int{4 << 10, 32 << 10, 128 << 10, 256 << 10}
	fitCaches   = []gemma4.CacheFormat{gemma4.CacheF16, gemma4.CacheQ8}
)

func defineFit(p *cli.Program) func() error {
	var room fit.Room
	var threads int
	p.Group("machine")
	p.SizeVar(&room.Available, "memory", "`bytes` of memory to look at in place of what is available here")
	rates := p.Bool("rates", true, "measure, and tell rates; -rates=false tells memory alone")
	p.ThreadsFlag(&threads)
	p.Group("output")
	asJSON := p.Bool("json", false, "print one JSON object")
	return func() error {
		if p.NArg() > 1 {
			return cli.Wrong("one model at a time")
		}
		models, err := fitModels(p, p.Arg(0))
		if err != nil {
			return err
		}
		if room.Available == 0 {
			room = machineRoom()
		}
		r := &fitReport{Machine: fitMachine{Room: room}}
		if why := cannotMeasure(machine.Available()); *rates && why != "" {
			p.Note(why)
		} else if *rates {
			ctx, stop := cli.Interruptible()
			defer stop()
			p.Status("measuring")
			if r.rates, err = measureFit(ctx, threads, models); err != nil {
				return err
			}
			r.Machine.Level, r.Machine.Threads = r.rates.Level, r.rates.Threads
			r.Machine.ReadGBps, r.Machine.PeakTFLOPS = r.rates.ReadBytes/1e9, 2*r.rates.MultiplyAdds/1e12
		}
		p.EndStatus()
		for _, m := range models {
			r.add(m)
		}
		if *asJSON {
			return json.NewEncoder(p.Out).Encode(r)
		}
		r.print(p.Out, p.NArg() == 1)
		return nil
	}
}

// measuring is more memory than measurements take: hundreds of megabytes of made-up weights, which caches must not hold.
const measuring = 1 << 30

// cannotMeasure says why rates cannot be measured with so much memory available, where that is known.
func cannotMeasure(available int64) string {
	if available <= 0 || available >= measuring {
		return ""
	}
	return fmt.Sprintf("rates are not measured: that takes up to %s of memory, and %s are available",
		cli.Bytes(measuring), cli.Bytes(available))
}

// machineRoom returns this machine's memory.
func machineRoom() fit.Room {
	total, limit := machine.Memory()
	return fit.Room{Total: total, Limit: limit, Available: machine.Available()}
}

// fitModel is a model that is looked at, and what is told of it.
type fitModel struct {
	Model      string       `json:"model"`
	Formats    string       `json:"formats"` // of the matrices, by bytes
	Parameters int64        `json:"parameters"`
	File       int64        `json:"file_bytes"`
	Weights    int64        `json:"weights_bytes"` // of them, those that have to be in memory
	Working    int64        `json:"working_bytes"`
	Prompt     float64      `json:"prompt_tokens_per_second,omitzero"` // of 512
	PromptPeak float64      `json:"prompt_share,omitzero"`             // of the multiply peak
	Decode     float64      `json:"decode_tokens_per_second,omitzero"` // at the beginning
	DecodeRead float64      `json:"decode_share,omitzero"`             // of the read loop
	Longest    []fitContext `json:"longest_contexts"`
	Needs      []fitNeed    `json:"needs"`

	shape *fit.Shape
}

// fitContext is the longest context that fits with a cache.
type fitContext struct {
	Cache   string `json:"cache"`
	Context int    `json:"context"` // 0: none
}

// fitNeed is what a context and a cache take.
type fitNeed struct {
	Context int         `json:"context"`
	Cache   string      `json:"cache"`
	Bytes   int64       `json:"cache_bytes"`
	Total   int64       `json:"total_bytes"`
	Fits    fit.Verdict `json:"fits"`
	Prompt  float64     `json:"prompt_tokens_per_second,omitzero"` // that fills the context
	Decode  float64     `json:"decode_tokens_per_second,omitzero"` // behind it
}

type fitMachine struct {
	fit.Room
	Level      string  `json:"level,omitempty"`
	Threads    int     `json:"threads,omitzero"`
	ReadGBps   float64 `json:"read_gbps,omitzero"`
	PeakTFLOPS float64 `json:"peak_tflops,omitzero"`
}

// fitReport is what the command shows, as text or as JSON.
type fitReport struct {
	Machine fitMachine  `json:"machine"`
	Models  []*fitModel `json:"models"`

	rates *fit.Rates // nil: not measured
}

// fitModels returns what is meant: a model on this machine, a size in one format or in all, or all sizes in all.
func fitModels(p *cli.Program, name string) ([]*fitModel, error) {
	size, mix, given := strings.Cut(strings.ToLower(name), ":")
	if known := slices.Contains(fit.Sizes(), size); name != "" && !(known && given) {
		m, err := p.Hub().Find(context.Background(), name)
		switch {
		case err == nil:
			return fitFile(name, m.Files)
		case !known && errors.Is(err, hub.ErrNotFound):
			return nil, fmt.Errorf("%w; sizes are %s, with a format (%s) or without", err, strings.Join(fit.Sizes(), ", "),
				strings.Join(fit.Mixes(), ", "))
		case !known:
			return nil, err
		}
	}
	var list []*fitModel
	for _, s := range fit.Sizes() {
		for _, m := range fit.Mixes() {
			if name != "" && s != size || given && m != mix {
				continue
			}
			shape, err := fit.Size(s, m)
			if err != nil {
				return nil, err
			}
			list = append(list, &fitModel{Model: s + ":" + m, File: shape.Bytes(), shape: shape})
		}
	}
	if len(list) == 0 {
		_, err := fit.Size(size, mix)
		return nil, err
	}
	return list, nil
}

func fitFile(name string, parts []string) ([]*fitModel, error) {
	f, err := gguf.OpenParts(parts...)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	shape, err := fit.Of(f)
	if err != nil {
		return nil, inFile(parts[0], err)
	}
	return []*fitModel{{Model: name, File: f.Size(), shape: shape}}, nil
}

// measureFit measures what the models need.
func measureFit(ctx context.Context, threads int, models []*fitModel) (*fit.Rates, error) {
	k, err := gemma4.BestKernels()
	if err != nil {
		return nil, err
	}
	if threads == 0 {
		threads, _ = machine.Threads()
	}
	var shapes []*fit.Shape
	for _, m := range models {
		shapes = append(shapes, m.shape)
	}
	rounds := 5
	if len(models) > len(fit.Mixes()) {
		rounds = 3 // so many kinds take long enough
	}
	p, err := fit.NewProbe(k, threads, []tensor.Format{tensor.F16, tensor.Q8_0}, shapes...)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	for range rounds {
		if err := p.Round(ctx); err != nil {
			return nil, err
		}
	}
	return p.Rates(), nil
}

// fitFormat returns the format of a cache.
func fitFormat(c gemma4.CacheFormat) tensor.Format {
	return [...]tensor.Format{gemma4.CacheF16: tensor.F16, gemma4.CacheF32: tensor.F32, gemma4.CacheQ8: tensor.Q8_0,
		gemma4.CacheQ4: tensor.Q4_0}[c]
}

// add fills in what is told of a model.
func (r *fitReport) add(m *fitModel) {
	s := m.shape
	m.Formats, m.Parameters = s.Formats(), s.Parameters()
	if r.rates != nil {
		m.Prompt, m.Decode = r.rates.Prompt(s, model.DefaultBatch, 0, tensor.F16), r.rates.Decode(s, 0, tensor.F16)
		m.DecodeRead = possible(m.Decode * float64(s.DecodeBytes(0, tensor.F16)) / r.rates.ReadBytes)
		m.PromptPeak = possible(m.Prompt * s.PromptOps(model.DefaultBatch) / r.rates.MultiplyAdds)
	}
	for _, c := range fitCaches {
		f := fitFormat(c)
		if !s.Keeps(f) {
			continue
		}
		m.Longest = append(m.Longest, fitContext{c.String(), s.Longest(r.Machine.Now(), f)})
		for i, n := range fitContexts {
			if n > s.Context {
				if i > 0 && fitContexts[i-1] >= s.Context {
					break
				}
				n = s.Context
			}
			need := s.Memory(n, f)
			m.Weights, m.Working = need.Weights, need.Working
			row := fitNeed{Context: n, Cache: c.String(), Bytes: need.Cache, Total: need.Total(), Fits: r.Machine.Holds(need.Total())}
			if r.rates != nil {
				row.Prompt, row.Decode = r.rates.Prompt(s, n, 0, f), r.rates.Decode(s, n-1, f)
			}
			m.Needs = append(m.Needs, row)
		}
	}
	r.Models = append(r.Models, m)
}
