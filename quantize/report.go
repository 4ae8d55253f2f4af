package quantize

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gogemma/gemma4/internal/quant"
	"github.com/gogemma/gemma4/tensor"
)

// Report is what became of a model.
type Report struct {
	Type    Type
	In      int64    // bytes of the tensors that were read
	Out     int64    // bytes of the file that was written
	Weights int64    // numbers in all tensors
	Formats []Format // that the tensors have now, the one with most bytes first

	Grid Grid // of quantisation-aware training, if that was found

	Merged      int // matrices that adapters were merged into
	Requantised int // matrices that were in a quantised format before and are in another one now: what that had lost stays lost
	Unknown     int // matrices of layers that the importance matrix does not know

	Searched float64       // multiply-adds that the search of scales took
	Elapsed  time.Duration // from the beginning to the end
}

// Format is how much of a file is in a format.
type Format struct {
	Name    string // as [tensor.Format] has it, or of integers as GGUF has it
	Tensors int
	Weights int64
	Bytes   int64
}

// Grid is what of a checkpoint lies on a grid of 4 bits.
type Grid struct {
	Tensors   int   // that were packed as they are
	Blocks    int64 // of 32 weights, of these tensors
	OnGrid    int64 // those whose codes are exact; the others were quantised like any
	Identical int64 // those of them that give the checkpoint's BF16 to the bit; of the others the scale is the nearest half
}

// report sums up what was done.
func (p *plan) report(t Type) *Report {
	r := &Report{Type: t, Unknown: p.unknown}
	formats := map[string]*Format{}
	for _, j := range p.jobs {
		weights := int64(j.t.Rows()) * int64(j.row())
		name, bytes := j.t.Type.String(), j.t.Bytes()
		r.In += bytes
		r.Weights += weights
		if !j.copied() {
			name, bytes = j.format.String(), int64(j.t.Rows())*int64(j.format.RowBytes(j.row()))
			r.Searched += float64(weights) * quant.Work(j.format, j.importance != nil)
			if !slices.Contains([]tensor.Format{tensor.F32, tensor.F16, tensor.BF16}, j.t.Format) {
				r.Requantised++
			}
		}
		if len(j.merges) > 0 {
			r.Merged++
		}
		if j.grid {
			r.Grid.Tensors++
			r.Grid.Blocks += int64(j.exact.Blocks)
			r.Grid.OnGrid += int64(j.exact.OnGrid)
			r.Grid.Identical += int64(j.exact.Identical)
		}
		f := formats[name]
		if f == nil {
			f = &Format{Name: name}
			formats[name] = f
		}
		f.Tensors++
		f.Weights += weights
		f.Bytes += bytes
	}
	for _, f := range formats {
		r.Formats = append(r.Formats, *f)
	}
	slices.SortFunc(r.Formats, func(a, b Format) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), strings.Compare(a.Name, b.Name))
	})
	return r
}

// Notes returns what who uses the file should know, in sentences.
func (r *Report) Notes() (notes []string) {
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if g := r.Grid; g.Tensors > 0 {
		note("quantisation-aware training: %d matrices are on a grid of 4 bits, %.2f%% of their blocks exactly, and %.2f%% give the "+
			"checkpoint's own BF16", g.Tensors, percent(g.OnGrid, g.Blocks), percent(g.Identical, g.Blocks))
	}
	if r.Merged > 0 {
		note("adapters were merged into %d matrices; these are on no grid of quantisation-aware training", r.Merged)
	}
	if r.Requantised > 0 {
		note("%d matrices were quantised before, and what they had lost then stays lost: take a source in BF16 where there is one",
			r.Requantised)
	}
	if r.Unknown > 0 {
		note("the importance matrix does not know %d matrices, which were quantised without it", r.Unknown)
	}
	return notes
}

func percent(n, of int64) float64 { return 100 * float64(n) / float64(max(1, of)) }
