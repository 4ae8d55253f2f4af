package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/quantize"
)

func quantizeCommand() cli.Command {
	var names []string
	for _, t := range quantize.Types() {
		names = append(names, t.String())
	}
	return cli.Command{
		Name:  "quantize",
		Group: "files and text",
		Does:  "write a model's file in another format",
		Args:  "[flags] in out type",
		About: `
Writes the model in, a GGUF file, any part of a split one, or a checkpoint in safetensors (a file, the index of several, or
their folder), to the GGUF file out. Projectors and drafters are models here, and names of models that are on this machine
will do. Types, from most to fewest bits:

  ` + strings.Join(names, ", ") + `

Q4_K_M is what most people run. Of a checkpoint of quantisation-aware training, which Q4_0 is for, the weights are packed
exactly. out appears once it is complete, and memory does not grow with the model.`,
		Examples: `
gemma4 quantize gemma-4-E2B-it-BF16.gguf e2b.gguf Q4_K_M
gemma4 quantize gemma-4-E2B-it-qat-q4_0-unquantized e2b.gguf Q4_0
gemma4 quantize -part projector gemma-4-E2B-it e2b-mmproj.gguf Q8_0
gemma4 quantize -imatrix e2b.imatrix.gguf -lora mine.gguf:0.5 e2b-bf16.gguf mine-iq4.gguf IQ4_XS`,
		Operands: cli.Values{Files: "*", List: names, Names: cli.ShortNames},
		Define:   defineQuantize,
	}
}

func defineQuantize(p *cli.Program) func() error {
	var o quantize.Options
	p.Group("weights")
	p.FileVar(&o.Importance, "imatrix", "importance matrix, a `file` that perplexity -imatrix or another program has written")
	p.Func("lora", "`file[:scale]` of an adapter that is merged into the weights first; may be given several times",
		func(text string) error {
			a, err := parseAdapter(text)
			o.Adapters = append(o.Adapters, a)
			return err
		})
	p.Values("lora", cli.Values{Files: "*.gguf"})
	p.Func("part", "`part` of a checkpoint that has both: text (default) or projector", func(text string) error {
		if o.Projector = text == "projector"; !o.Projector && text != "text" {
			return errors.New("expected text or projector")
		}
		return nil
	})
	p.Values("part", cli.Values{List: []string{"projector", "text"}})
	p.ThreadsFlag(&o.Threads)
	p.Group("output")
	p.BoolVar(&o.Overwrite, "f", false, "replace out if it is there")
	asJSON := p.Bool("json", false, "print one JSON object")
	bench := p.Bool("bench", false, "afterwards measure disk and processors, and print the share of them that was used")

	return func() error {
		if p.NArg() != 3 {
			return cli.Wrong("expected a model, the file to be written and a type")
		}
		out := p.Arg(1)
		var err error
		if o.Type, err = quantize.ParseType(p.Arg(2)); err != nil {
			return cli.Wrong("%s", strings.TrimPrefix(err.Error(), "quantize: "))
		}
		in, err := locate(p, p.Arg(0), o.Projector)
		if err != nil {
			return err
		}
		o.Progress = pace(p)
		ctx, stop := cli.Interruptible()
		defer stop()
		before := busy()
		r, err := quantize.File(ctx, in, out, o)
		p.EndStatus()
		if err != nil {
			return err
		}
		s := summarise(r, busy()-before)
		if *bench {
			if s.Bench, err = limits(out, o.Threads); err != nil {
				err = fmt.Errorf("%s is complete, but -bench: %w", out, err)
			}
		}
		if *asJSON {
			return cmp.Or(json.NewEncoder(p.Out).Encode(s), err)
		}
		s.print(p.Out)
		p.Out.Flush()
		for _, note := range s.Notes {
			p.Note(note)
		}
		return err
	}
}

// locate returns the path of what is quantised: that given, if there is something, else the file of the model of that name.
func locate(p *cli.Program, name string, projector bool) (string, error) {
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	m, err := p.FindModel(name)
	if err != nil {
		return "", err
	}
	if projector && m.Projector != "" {
		return m.Projector, nil
	}
	return m.Files[0], nil
}

// parseAdapter reads the path of an adapter and, behind a colon, how strongly it counts.
func parseAdapter(text string) (quantize.Adapter, error) {
	a := quantize.Adapter{Path: text, Scale: 1}
	if i := strings.LastIndexByte(text, ':'); i > 0 {
		if scale, err := strconv.ParseFloat(text[i+1:], 32); err == nil {
			a.Path, a.Scale = text[:i], float32(scale)
		}
	}
	if a.Path == "" {
		return a, errors.New("expected a file")
	}
	return a, nil
}

// pace returns a function that shows how far a file has come, how fast it grows and how long it will take; nil if nobody would see it.
func pace(p *cli.Program) func(done, total int64) {
	if !cli.IsTerminal(p.Err) {
		return nil
	}
	began := time.Now()
	var shown time.Time
	return func(done, total int64) {
		now := time.Now()
		if now.Sub(shown) < 100*time.Millisecond || done == 0 {
			return
		}
		shown = now
		took := now.Sub(began)
		left := time.Duration(float64(took) * float64(total-done) / float64(done))
		p.Status(fmt.Sprintf("%s of %s (%d%%), %s/s, %v left", cli.Bytes(done), cli.Bytes(total), 100*done/total,
			cli.Bytes(int64(float64(done)/took.Seconds())), left.Round(time.Second)))
	}
}

// summary is what -json prints.
type summary struct {
	Type        string        `json:"type"`
	In          int64         `json:"in_bytes"`
	Out         int64         `json:"out_bytes"`
	Weights     int64         `json:"weights"`
	Formats     []formatShare `json:"formats"`
	Grid        *gridShare    `json:"grid,omitempty"`
	Merged      int           `json:"merged"`
	Requantised int           `json:"requantised"`
	Unknown     int           `json:"without_importance"`
	Seconds     float64       `json:"seconds"`
	ReadMBps    float64       `json:"read_mbps"`
	WriteMBps   float64       `json:"write_mbps"`
	CPUSeconds  float64       `json:"cpu_seconds"` // of all threads
	Searched    float64       `json:"multiply_adds"`
	PeakRSS     int64         `json:"peak_rss_bytes"`
	Bench       *limit        `json:"bench,omitempty"`
	Notes       []string      `json:"notes,omitempty"`
}

type formatShare struct {
	Format  string `json:"format"`
	Tensors int    `json:"tensors"`
	Weights int64  `json:"weights"`
	Bytes   int64  `json:"bytes"`
}

type gridShare struct {
	Tensors   int     `json:"tensors"`
	OnGrid    float64 `json:"on_grid"`   // share of the blocks
	Identical float64 `json:"identical"` // likewise
}

// limit is the most that the machine can do.
type limit struct {
	Threads      int     `json:"threads"`
	WriteMBps    float64 `json:"disk_write_mbps"`
	MultiplyAdds float64 `json:"multiply_adds_per_second"` // of floats, of a thread
}

func summarise(r *quantize.Report, busy time.Duration) *summary {
	seconds := r.Elapsed.Seconds()
	s := &summary{
		Type: r.Type.String(), In: r.In, Out: r.Out, Weights: r.Weights,
		Merged: r.Merged, Requantised: r.Requantised, Unknown: r.Unknown,
		Seconds: seconds, ReadMBps: float64(r.In) / seconds / 1e6, WriteMBps: float64(r.Out) / seconds / 1e6,
		CPUSeconds: busy.Seconds(), Searched: r.Searched, PeakRSS: peakRSS(), Notes: r.Notes(),
	}
	for _, f := range r.Formats {
		s.Formats = append(s.Formats, formatShare{f.Name, f.Tensors, f.Weights, f.Bytes})
	}
	if g := r.Grid; g.Tensors > 0 {
		n := float64(g.Blocks)
		s.Grid = &gridShare{g.Tensors, float64(g.OnGrid) / n, float64(g.Identical) / n}
	}
	return s
}

// print prints the summary for people.
func (s *summary) print(w io.Writer) {
	right := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(right, "format\ttensors\tparameters\tbytes\tbits per weight\t")
	for _, f := range s.Formats {
		fmt.Fprintf(right, "%s\t%d\t%d\t%s\t%.2f\t\n", f.Format, f.Tensors, f.Weights, cli.Bytes(f.Bytes),
			8*float64(f.Bytes)/float64(f.Weights))
	}
	right.Flush()
	fmt.Fprintf(w, "\n%s: %s of %s in %.1f s, read at %.0f MB/s and written at %.0f MB/s",
		s.Type, cli.Bytes(s.Out), cli.Bytes(s.In), s.Seconds, s.ReadMBps, s.WriteMBps)
	if s.PeakRSS > 0 {
		fmt.Fprintf(w, ", peak memory %s", cli.Bytes(s.PeakRSS))
	}
	fmt.Fprintln(w)
	if s.Bench != nil {
		s.printLimits(w, s.Bench)
	}
}

// printLimits prints what the disk and the processors can do, each alone.
func (s *summary) printLimits(w io.Writer, l *limit) {
	fmt.Fprintf(w, "the disk alone takes %.0f MB/s, of which %.0f%% was used", l.WriteMBps, 100*s.WriteMBps/l.WriteMBps)
	if s.CPUSeconds == 0 { // not known here
		fmt.Fprintln(w)
		return
	}
	all := float64(l.Threads)
	fmt.Fprintf(w, "; %d threads that do nothing else write %.0f MB/s, of which %.0f%%\n", l.Threads,
		float64(s.Out)/1e6*all/s.CPUSeconds, 100*s.CPUSeconds/s.Seconds/all)
	if s.Searched > 0 {
		rate := s.Searched / s.CPUSeconds
		fmt.Fprintf(w, "a thread at work does %.1f G multiply-adds/s of the search, %.0f%% of its peak of %.1f in floats\n", rate/1e9,
			100*rate/l.MultiplyAdds, l.MultiplyAdds/1e9)
	}
}

// limits measures how fast the disk that a file is on takes bytes, and what the processors multiply.
func limits(out string, threads int) (*limit, error) {
	const size, pieces = 1 << 20, 256
	f, err := os.CreateTemp(filepath.Dir(out), ".gemma4-disk-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i * i >> 3)
	}
	began := time.Now()
	for range pieces {
		if _, err := f.Write(b); err != nil {
			return nil, err
		}
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	l := &limit{Threads: threads, WriteMBps: size * pieces / time.Since(began).Seconds() / 1e6}
	if l.Threads == 0 {
		l.Threads, _ = machine.Threads()
	}
	k, err := gemma4.BestKernels()
	if err != nil {
		return nil, err
	}
	for range 20 { // the best: neighbours only ever make it less
		began := time.Now()
		did := k.BurnFloats(1 << 16)
		l.MultiplyAdds = max(l.MultiplyAdds, float64(did)/time.Since(began).Seconds())
	}
	return l, nil
}
