package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// report is what inspect shows, as text or as JSON.
type report struct {
	Version    uint32   `json:"version"`
	Bytes      int64    `json:"bytes"`
	Parts      int      `json:"parts"`
	Parameters int64    `json:"parameters"`
	Metadata   []pair   `json:"metadata"`
	Tensors    []entry  `json:"tensors,omitempty"`
	Formats    []share  `json:"formats"`
	Memory     []memory `json:"memory,omitempty"`
	NoMemory   string   `json:"no_memory,omitempty"` // why a Gemma 4 file has no such table
	Projector  *towers  `json:"projector,omitempty"`
}

// pair is one key of the metadata. Of an array Value holds the first elements, and Len counts all.
type pair struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	Len   *int   `json:"len,omitempty"`
	Value any    `json:"value"`
}

// entry is one tensor.
type entry struct {
	Name   string `json:"name"`
	Format string `json:"format"`
	Dims   []int  `json:"dims"` // fastest first
	Bytes  int64  `json:"bytes"`
	Part   int    `json:"part"`
}

// share is what the tensors of one format add up to.
type share struct {
	Format     string `json:"format"`
	Tensors    int    `json:"tensors"`
	Parameters int64  `json:"parameters"`
	Bytes      int64  `json:"bytes"`
}

// memory is what keys and values take at one context length, in bytes.
type memory struct {
	Context int   `json:"context"`
	F32     int64 `json:"f32"`
	F16     int64 `json:"f16"`
	Q8      int64 `json:"q8_0,omitempty"` // 0 where the model's heads do not fit the blocks of 32
	Q4      int64 `json:"q4_0,omitempty"`
}

func newReport(f *gguf.File) *report {
	r := &report{Version: f.Version, Bytes: f.Size(), Parts: 1}
	for _, key := range f.Metadata.Keys() {
		r.Metadata = append(r.Metadata, newPair(f.Metadata, key))
	}
	formats := map[gguf.Type]*share{}
	for _, t := range f.Tensors {
		r.Tensors = append(r.Tensors, entry{t.Name, t.Type.String(), t.Dims, t.Size, t.Part})
		r.Parts = max(r.Parts, t.Part+1)
		s := formats[t.Type]
		if s == nil {
			s = &share{Format: t.Type.String()}
			formats[t.Type] = s
		}
		n := int64(1)
		for _, d := range t.Dims {
			n *= int64(d)
		}
		s.Tensors, s.Parameters, s.Bytes = s.Tensors+1, s.Parameters+n, s.Bytes+t.Size
		r.Parameters += n
	}
	for _, s := range formats {
		r.Formats = append(r.Formats, *s)
	}
	slices.SortFunc(r.Formats, func(a, b share) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Format, b.Format))
	})
	if n, err := f.Metadata.Int("split.count"); err == nil {
		r.Parts = max(r.Parts, int(min(n, math.MaxUint16)))
	}
	if arch, _ := f.Metadata.Text("general.architecture"); arch == "gemma4" {
		r.addMemory(f)
	}
	if arch, _ := f.Metadata.Text("general.architecture"); arch == "clip" || model.HasTowers(f.Metadata) {
		r.Projector = newTowers(f)
	}
	return r
}

// addMemory fills the table for 4096 positions, twice as many, and so on up to the model's context.
func (r *report) addMemory(f *gguf.File) {
	c, err := model.Shape(f)
	if err != nil {
		if len(r.Tensors) > 0 { // else it is a vocabulary, no model
			r.NoMemory = err.Error()
		}
		return
	}
	blocks := true // only where a head is a whole number of blocks
	for _, l := range c.Layers {
		blocks = blocks && l.HeadDim%tensor.Q8_0.BlockLen() == 0
	}
	add := func(n int) {
		m := memory{Context: n, F32: c.CacheBytes(n, tensor.F32, 0), F16: c.CacheBytes(n, tensor.F16, 0)}
		if blocks {
			m.Q8, m.Q4 = c.CacheBytes(n, tensor.Q8_0, 0), c.CacheBytes(n, tensor.Q4_0, 0)
		}
		r.Memory = append(r.Memory, m)
	}
	for n := 4096; n < c.Context; n *= 2 {
		add(n)
	}
	add(c.Context)
}

// most is how many elements of an array are shown.
const most = 8

func newPair(m *gguf.Metadata, key string) pair {
	v, _ := m.Value(key)
	a, ok := v.(*gguf.Array)
	if !ok {
		return pair{Key: key, Type: fmt.Sprintf("%T", v), Value: finite(v)}
	}
	n := a.Len()
	return pair{key, "[]" + a.Type().String(), &n, first(a)}
}

// first returns the first elements of an array. Of arrays in it, only the lengths.
func first(a *gguf.Array) []any {
	list := []any{}
	for i, v := range a.All() {
		if i == most {
			break
		}
		if inner, ok := v.(*gguf.Array); ok {
			v = fmt.Sprintf("%d × %v", inner.Len(), inner.Type())
		}
		list = append(list, finite(v))
	}
	return list
}

// finite makes text of the numbers that JSON has not.
func finite(v any) any {
	switch x := v.(type) {
	case float32:
		if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Sprint(x)
		}
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Sprint(x)
		}
	}
	return v
}

// print writes the report for people: what is longest first, so that what matters most stands above the shell's prompt.
func (r *report) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	right := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)

	fmt.Fprintf(w, "metadata: %d keys\n", len(r.Metadata))
	for _, p := range r.Metadata {
		kind := p.Type
		if p.Len != nil {
			kind = "[" + strconv.Itoa(*p.Len) + "]" + kind[len("[]"):]
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\n", printable(p.Key), kind, p.text())
	}
	t.Flush()
	if len(r.Tensors) > 0 {
		fmt.Fprintf(w, "\ntensors: %d\n", len(r.Tensors))
	}
	for _, e := range r.Tensors {
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", printable(e.Name), e.Format, strings.Trim(fmt.Sprint(e.Dims), "[]"), cli.Bytes(e.Bytes))
	}
	t.Flush()
	if len(r.Formats) > 0 {
		fmt.Fprintf(w, "\nformats:\n")
		fmt.Fprintln(right, "  format\ttensors\tparameters\tbytes\tbits per weight\t")
	}
	for _, s := range r.Formats {
		bits := float64(s.Bytes) * 8 / float64(s.Parameters)
		fmt.Fprintf(right, "  %s\t%d\t%d\t%s\t%.2f\t\n", s.Format, s.Tensors, s.Parameters, cli.Bytes(s.Bytes), bits)
	}
	right.Flush()
	if len(r.Memory) > 0 {
		fmt.Fprintf(w, "\nmemory of keys and values, by context length and cache format:\n")
		fmt.Fprintln(right, "  context\tf32\tf16\tq8_0\tq4_0\t")
	}
	for _, m := range r.Memory {
		q8, q4 := "-", "-"
		if m.Q8 > 0 {
			q8, q4 = cli.Bytes(m.Q8), cli.Bytes(m.Q4)
		}
		fmt.Fprintf(right, "  %d\t%s\t%s\t%s\t%s\t\n", m.Context, cli.Bytes(m.F32), cli.Bytes(m.F16), q8, q4)
	}
	right.Flush()
	if r.NoMemory != "" {
		fmt.Fprintf(w, "\nmemory: unknown, %s\n", printable(r.NoMemory))
	}
	if r.Projector != nil {
		r.Projector.print(w)
	}
	fmt.Fprintf(w, "\nGGUF version %d, %s, %d parameters, parts: %d\n", r.Version, cli.Bytes(r.Bytes), r.Parameters, r.Parts)
}

// text returns the value on one line, quoted where it is text, and cut short where it is long.
func (p pair) text() string {
	list, ok := p.Value.([]any)
	if !ok {
		return short(p.Value, 80)
	}
	var elements []string
	for _, v := range list {
		elements = append(elements, short(v, 20))
	}
	if *p.Len > len(list) {
		elements = append(elements, "…")
	}
	return strings.Join(elements, " ")
}

// short shows at most so many characters of a string.
func short(v any, most int) string {
	text, ok := v.(string)
	if !ok {
		return fmt.Sprint(v)
	}
	if utf8.RuneCountInString(text) > most {
		return fmt.Sprintf("%.*q… (%d bytes)", most, text, len(text))
	}
	return strconv.Quote(text)
}

// printable keeps a name of the file from doing more than standing in its line.
func printable(name string) string { return cli.Printable(strings.ReplaceAll(name, "\n", " ")) }
