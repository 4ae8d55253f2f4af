package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// print writes the report for people: all of each model, or what tells them apart.
func (r *fitReport) print(w io.Writer, all bool) {
	r.Machine.print(w)
	if !all {
		r.overview(w)
		return
	}
	for _, m := range r.Models {
		fmt.Fprintf(w, "\n%s: %s parameters, %s; a file of %s, weights %s, buffers %s\n", printable(m.Model), count(m.Parameters),
			m.Formats, cli.Bytes(m.File), cli.Bytes(m.Weights), cli.Bytes(m.Working))
		if r.rates != nil {
			fmt.Fprintf(w, "a prompt of %d is read at %s tokens/s%s, an answer written at %s%s\n",
				model.DefaultBatch, perSecond(m.Prompt), shareOf(m.PromptPeak, "the multiply peak"),
				perSecond(m.Decode), shareOf(m.DecodeRead, "the read loop"))
		}
		if all, chosen := m.shape.ExpertBytes(); all > 0 && r.Machine.Now() > 0 && m.Weights+m.Working > r.Machine.Now() {
			fmt.Fprintf(w, "memory does not hold its experts, %s, of which a token goes through %s: those that are "+
				"not there are read from disk as soon as they are chosen\n", cli.Bytes(all), cli.Bytes(chosen))
		}
		t := &fitTable{rates: r.rates != nil}
		t.add([]string{"context", "cache", "keys and values", "in all", "fits"}, "prompt", "decode")
		for _, n := range m.Needs {
			t.add([]string{positions(n.Context), n.Cache, cli.Bytes(n.Bytes), cli.Bytes(n.Total), string(n.Fits)}, perSecond(n.Prompt),
				perSecond(n.Decode))
		}
		t.print(w)
	}
}

// overview prints a line for each model, and the caches of each size.
func (r *fitReport) overview(w io.Writer) {
	models, caches := &fitTable{rates: r.rates != nil}, &fitTable{}
	models.add([]string{"model", "file", "weights", "buffers", "fits", "longest, f16", "q8_0"}, fmt.Sprint("prompt ", model.DefaultBatch),
		"decode", "behind 32K")
	titles := []string{"keys and values", "cache"}
	for _, n := range fitContexts {
		titles = append(titles, positions(n))
	}
	caches.add(titles)
	last := ""
	for _, m := range r.Models {
		cells := []string{m.Model, cli.Bytes(m.File), cli.Bytes(m.Weights), cli.Bytes(m.Working), string(m.Needs[0].Fits)}
		for _, l := range m.Longest {
			cells = append(cells, positions(l.Context))
		}
		deep := 0.0
		if r.rates != nil {
			deep = r.rates.Decode(m.shape, 32<<10-1, tensor.F16)
		}
		models.add(cells, perSecond(m.Prompt), perSecond(m.Decode), perSecond(deep))
		size, _, _ := strings.Cut(m.Model, ":")
		if size == last {
			continue
		}
		last = size
		for _, c := range fitCaches {
			cells := []string{size, c.String()}
			for _, n := range m.Needs {
				if n.Cache == c.String() {
					cells = append(cells, cli.Bytes(n.Bytes))
				}
			}
			caches.add(cells)
		}
	}
	fmt.Fprintln(w)
	models.print(w)
	fmt.Fprintln(w)
	caches.print(w)
	fmt.Fprintf(w, "\n\"fits\" is with %s positions in f16; gemma4 fit MODEL tells more of one\n", positions(fitContexts[0]))
}

// fitTable is rows of cells, the last of which are rates, if there are any.
type fitTable struct {
	rates bool
	rows  [][]string
}

func (t *fitTable) add(cells []string, rates ...string) {
	if t.rates {
		cells = append(cells, rates...)
	}
	t.rows = append(t.rows, cells)
}

func (t *fitTable) print(w io.Writer) {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer columns.Flush()
	for _, cells := range t.rows {
		fmt.Fprintln(columns, strings.Join(cells, "\t"))
	}
}

// print tells what there is.
func (m *fitMachine) print(w io.Writer) {
	var list []string
	if m.Total > 0 {
		list = append(list, "memory "+cli.Bytes(m.Total))
	}
	if m.Limit > 0 {
		list = append(list, "of which "+cli.Bytes(m.Limit)+" are granted")
	}
	if m.Available > 0 {
		list = append(list, cli.Bytes(m.Available)+" are available")
	}
	if len(list) == 0 {
		list = append(list, "how much memory there is is not known")
	}
	fmt.Fprintln(w, strings.Join(list, ", "))
	if m.Threads > 0 {
		fmt.Fprintf(w, "%s kernels, %d threads: read loop %.1f GB/s, multiply peak %.3g TFLOP/s\n", m.Level, m.Threads, m.ReadGBps,
			m.PeakTFLOPS)
	}
}

// positions writes a length of context: 32K for 32768.
func positions(n int) string {
	switch {
	case n == 0:
		return "-"
	case n >= 1<<10:
		return fmt.Sprintf("%dK", n>>10)
	}
	return fmt.Sprint(n)
}

// shareOf writes which share of a limit something is, nothing where that is not known.
func shareOf(of float64, limit string) string {
	if of == 0 {
		return ""
	}
	return fmt.Sprintf(" (%.0f%% of %s)", 100*of, limit)
}

// perSecond writes a rate to three places.
func perSecond(x float64) string {
	if x >= 100 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.3g", x)
}
