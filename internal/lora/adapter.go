// Package lora reads low-rank adapters from GGUF files: pairs of thin matrices, by the tensor of a base model that each goes beside.
//
// With a pair at strength s a tensor W [rows, cols] is as W + s · scale · B·A, where A is [rank, cols] and B is [rows, rank].
package lora

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/tensor"
)

// Adapter is what the file of an adapter says.
type Adapter struct {
	Name         string           // general.name, may be empty
	Architecture string           // general.architecture, that of the base
	Alpha        float32          // adapter.lora.alpha; 0: pairs count as they are
	Pairs        map[string]*Pair // by the name of the tensor in the base, such as blk.0.attn_q.weight
	Ignored      []string         // tensors for norms (…_norm.weight), which go beside nothing and change little
}

// Pair is what goes beside one tensor of the base.
type Pair struct {
	Name  string       // of that tensor
	A, B  *gguf.Tensor // as the file has them
	Rank  int
	Scale float32 // alpha/rank, 1 without alpha

	table bool // beside a table of embeddings: A is [V, rank] and B [width, rank]
}

const (
	suffixA, suffixB = ".lora_a", ".lora_b"
	invoked          = "adapter.alora.invocation_tokens"
	// maxRank is more than any adapter has: matrices of larger ones are not thin.
	maxRank = 1 << 12
)

// Read reads what an adapter's file says; the values are read by [Pair.Factors]. What the file is, if it is no such adapter, half a pair,
// tensors of other names and shapes that are no pair are errors, which name the key or tensor and what was expected. Nothing is known of
// the base here: see [Pair.Check].
func Read(f *gguf.File) (*Adapter, error) {
	a := &Adapter{Pairs: map[string]*Pair{}}
	if err := a.readKeys(f.Metadata); err != nil {
		return nil, fmt.Errorf("lora: %w", err)
	}
	for _, t := range f.Tensors {
		if err := a.take(t); err != nil {
			return nil, fmt.Errorf("lora: %w", err)
		}
	}
	if len(a.Pairs) == 0 {
		return nil, errors.New("lora: the adapter has no tensors, expected pairs such as blk.0.attn_q.weight.lora_a and .lora_b")
	}
	for _, p := range a.Sorted() {
		if err := p.settle(a.Alpha); err != nil {
			return nil, fmt.Errorf("lora: %w", err)
		}
	}
	return a, nil
}

// Sorted returns the pairs by name.
func (a *Adapter) Sorted() []*Pair {
	pairs := make([]*Pair, 0, len(a.Pairs))
	for _, p := range a.Pairs {
		pairs = append(pairs, p)
	}
	slices.SortFunc(pairs, func(a, b *Pair) int { return strings.Compare(a.Name, b.Name) })
	return pairs
}

// readKeys reads the keys.
func (a *Adapter) readKeys(m *gguf.Metadata) error {
	for _, x := range [][2]string{{"general.type", "adapter"}, {"adapter.type", "lora"}} {
		if is, err := m.Text(x[0]); err != nil {
			return fmt.Errorf("is the file an adapter? %w", err)
		} else if is != x[1] {
			return fmt.Errorf("%s is %.40q, expected %q", x[0], is, x[1])
		}
	}
	if m.Has(invoked) {
		return fmt.Errorf("%s is there: adapters that count only behind certain tokens are not supported", invoked)
	}
	var err error
	if a.Architecture, err = m.Text("general.architecture"); err != nil {
		return err
	}
	a.Name, _ = m.Text("general.name")
	alpha, err := m.Float("adapter.lora.alpha")
	if err != nil && !errors.Is(err, gguf.ErrMissing) {
		return err
	}
	if a.Alpha = float32(alpha); !(math.Abs(alpha) <= math.MaxFloat32) {
		return fmt.Errorf("adapter.lora.alpha is %g, expected a finite number", alpha)
	}
	return nil
}

// take puts a tensor of the file into its pair.
func (a *Adapter) take(t *gguf.Tensor) error {
	name, isA := strings.CutSuffix(t.Name, suffixA)
	if !isA {
		var isB bool
		if name, isB = strings.CutSuffix(t.Name, suffixB); !isB {
			if strings.HasSuffix(name, "_norm.weight") {
				a.Ignored = append(a.Ignored, name)
				return nil
			}
			return fmt.Errorf("tensor %.80q has an unexpected suffix, expected %s or %s", t.Name, suffixA, suffixB)
		}
	}
	p := a.Pairs[name]
	if p == nil {
		p = &Pair{Name: name}
		a.Pairs[name] = p
	}
	if isA {
		p.A = t
	} else {
		p.B = t
	}
	return nil
}

// settle checks that the tensors are a pair.
func (p *Pair) settle(alpha float32) error {
	switch {
	case p.A == nil:
		return fmt.Errorf("%.80q has %s and no %s", p.Name, suffixB, suffixA)
	case p.B == nil:
		return fmt.Errorf("%.80q has %s and no %s", p.Name, suffixA, suffixB)
	}
	for _, t := range []*gguf.Tensor{p.A, p.B} {
		switch tensor.Format(t.Type) {
		case tensor.F32, tensor.F16, tensor.BF16, tensor.Q8_0:
		default:
			return fmt.Errorf("%.80q is of type %v, expected F32, F16, BF16 or Q8_0", t.Name, t.Type)
		}
	}
	a, b := trim(p.A.Dims), trim(p.B.Dims)
	name := strings.TrimSuffix(p.Name, ".weight")
	p.table = name == "token_embd" || name == "per_layer_token_embd"
	p.Rank = a[1]
	if p.table {
		p.Rank = a[0]
	}
	switch {
	case len(a) != len(b) || p.Rank != b[0] || len(a) == 3 && (p.table || a[2] != b[2]) || len(a) > 3:
		return fmt.Errorf("%.80q has the shapes %v and %v, which are no pair: expected %s", p.Name, p.A.Dims, p.B.Dims, p.expected())
	case p.Rank > maxRank:
		return fmt.Errorf("%.80q has the rank %d, expected 1 to %d", p.Name, p.Rank, maxRank)
	}
	p.Scale = 1
	if alpha != 0 {
		p.Scale = alpha / float32(p.Rank)
	}
	return nil
}

// expected describes the shapes of a pair.
func (p *Pair) expected() string {
	if p.table {
		return "[rank, vocabulary] and [rank, width]"
	}
	return "[inputs, rank] and [rank, outputs], of experts with a third dimension"
}

// trim cuts ones off the slow end of a shape, but for two dimensions.
func trim(dims []int) []int {
	for len(dims) > 2 && dims[len(dims)-1] == 1 {
		dims = dims[:len(dims)-1]
	}
	for len(dims) < 2 {
		dims = append(slices.Clip(dims), 1)
	}
	return dims
}

// Table reports whether the pair goes beside a table, of which rows are looked up: its A has a row for each token, and its B the width.
func (p *Pair) Table() bool { return p.table }

// Check says why the pair does not fit the tensor of its name in the base, whose dimensions are given fastest first as in gguf.
func (p *Pair) Check(dims []int) error {
	base, a, b := trim(dims), trim(p.A.Dims), trim(p.B.Dims)
	cols, rows := a[0], b[1]
	if p.table {
		cols, rows = b[1], a[1]
	}
	if len(base) != len(a) || base[0] != cols || base[1] != rows || len(base) == 3 && base[2] != a[2] {
		return fmt.Errorf("lora: %.80q has the shapes %v and %v, expected %s for the tensor of the shape %v", p.Name, p.A.Dims, p.B.Dims,
			p.expected(), dims)
	}
	return nil
}
