// Package fit foretells what running a model takes on a machine: memory, and the rates at which prompts are read and answers written.
//
//	s, err := fit.Of(file)                      // or fit.Size("e2b", "q4_0"), without a file
//	need := s.Memory(32768, tensor.F16)         // bytes
//	p, err := fit.NewProbe(kernels, threads, []tensor.Format{tensor.F16}, s)
//	err = p.Round(ctx)                          // a few times
//	speed := p.Rates().Decode(s, 32768, tensor.F16) // tokens per second
//
// To decode is to read: each region of the graph takes its matrices' bytes at the rate at which one token goes over rows of their format
// and shape, and attention those of keys and values. A prompt is bound by multiplying, at the rate of panels of each format. The rates are
// measured with the kernels and workers that the model will have, in milliseconds each, on weights that are nobody's; they are shares of
// the machine's rooflines, but which shares depends on level, format and processor, so that constants would be right on one machine.
package fit

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// Shape is what is known of a model without its weights.
type Shape struct {
	*model.Config
	Tensors []Tensor
}

// Tensor is a tensor's place in a model, its shape and its format.
type Tensor struct {
	Name   string
	Dims   []int // fastest first
	Format tensor.Format
}

// Of returns the shape of a text model's file.
func Of(f *gguf.File) (*Shape, error) {
	c, err := model.Shape(f)
	if err != nil {
		return nil, err
	}
	s := &Shape{Config: c}
	for _, t := range f.Tensors {
		if format := model.Format(t); format.Valid() { // what is of another kind is no part of the text model, or opening it fails
			s.Tensors = append(s.Tensors, Tensor{t.Name, t.Dims, format})
		}
	}
	return s, nil
}

// values returns the number of weights.
func (t *Tensor) values() int64 {
	n := int64(1)
	for _, d := range t.Dims {
		n *= int64(d)
	}
	return n
}

// Bytes returns what the weights take.
func (t *Tensor) Bytes() int64 {
	return t.values() / int64(t.Format.BlockLen()) * int64(t.Format.BlockBytes())
}

// Bytes returns what all tensors take: the size of a file without its metadata, which is some MB.
func (s *Shape) Bytes() (sum int64) {
	for i := range s.Tensors {
		sum += s.Tensors[i].Bytes()
	}
	return sum
}

// Resident returns how many of Bytes have to be in memory, or are read from disk again for each token. Of the table of per-layer
// embeddings a token reads one row.
func (s *Shape) Resident() (sum int64) {
	for i := range s.Tensors {
		if t := &s.Tensors[i]; t.Name != model.PerLayerTable {
			sum += t.Bytes()
		}
	}
	return sum
}

// Parameters returns the number of weights.
func (s *Shape) Parameters() (sum int64) {
	for i := range s.Tensors {
		sum += s.Tensors[i].values()
	}
	return sum
}

// Formats describes the formats of the matrices, by their share of the bytes: "Q4_K, Q6_K".
func (s *Shape) Formats() string {
	by := map[tensor.Format]int64{}
	for i := range s.Tensors {
		if t := &s.Tensors[i]; len(t.Dims) > 1 && t.Format != tensor.F32 {
			by[t.Format] += t.Bytes()
		}
	}
	var names []string
	largest := func(a, b tensor.Format) int { return cmp.Or(cmp.Compare(by[b], by[a]), cmp.Compare(a, b)) }
	for _, f := range slices.SortedFunc(maps.Keys(by), largest) {
		if by[f]*50 >= s.Bytes() {
			names = append(names, f.String())
		}
	}
	return strings.Join(names, ", ")
}

// place splits a tensor's name: the layer, −1 for none, and the name within it without ".weight".
func (t *Tensor) place() (layer int, name string) {
	name = strings.TrimSuffix(t.Name, ".weight")
	rest, ok := strings.CutPrefix(name, "blk.")
	if !ok {
		return -1, name
	}
	number, name, _ := strings.Cut(rest, ".")
	layer, err := strconv.Atoi(number)
	if err != nil {
		return -1, t.Name
	}
	return layer, name
}

// ExpertBytes returns the bytes of all experts, and of those that a token goes through; both are 0 without experts.
func (s *Shape) ExpertBytes() (all, chosen int64) {
	for i := range s.Tensors {
		if t := &s.Tensors[i]; strings.HasSuffix(t.Name, "_exps.weight") {
			all += t.Bytes()
		}
	}
	return all, all / int64(max(1, s.Experts)) * int64(s.ExpertsUsed)
}
