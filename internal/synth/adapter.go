package synth

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/tensor"
)

// Adapter is the shape of a low-rank adapter's file. At its own strength it moves a matrix by about a third of the matrix's spread.
type Adapter struct {
	Name string // general.name
	Seed uint64 // of all weights

	Model  Config        // that it goes beside
	Rank   int           // of all pairs
	Format tensor.Format // of all tensors; rows that are no whole number of its blocks are F16
	// Beside says which tensors of the model get a pair, by names without the ending, such as blk.0.attn_q; nil: every matrix of the layers
	// but the router.
	Beside func(tensor string) bool
}

// QV are the queries and values, or where there are none of these the keys: what most adapters go beside.
func QV(tensor string) bool {
	return strings.HasSuffix(tensor, ".attn_q") || strings.HasSuffix(tensor, ".attn_v")
}

// layers are all matrices of layers but the router.
func layers(tensor string) bool {
	return strings.HasPrefix(tensor, "blk.") && !strings.HasSuffix(tensor, ".ffn_gate_inp")
}

func (a Adapter) seed() uint64 { return a.Seed }

// Size returns the bytes of all tensors: the size of the file without metadata and padding. It is 0 if a is not an adapter.
func (a Adapter) Size() int64 { return count(a, weight.bytes) }

// Parameters returns the number of weights, 0 if a is not an adapter.
func (a Adapter) Parameters() int64 { return count(a, weight.values) }

// check reports the first field that no adapter can have.
func (a Adapter) check() error {
	if err := a.Model.check(); err != nil {
		return err
	}
	switch {
	case a.Rank < 1 || a.Rank > 1<<12:
		return fmt.Errorf("synth: Rank is %d, want 1 to %d", a.Rank, 1<<12)
	case !a.Format.Valid():
		return fmt.Errorf("synth: Format is %v, want a weight format", a.Format)
	case len(a.weights()) == 0:
		return errors.New("synth: an adapter beside no tensor")
	}
	return nil
}

// weights lists all tensors.
func (a Adapter) weights() []weight {
	beside := a.Beside
	if beside == nil {
		beside = layers
	}
	var list []weight
	for _, w := range a.Model.weights() {
		name, ok := strings.CutSuffix(w.name, ".weight")
		if !ok || len(w.dims) < 2 || !beside(name) {
			continue
		}
		down, up := slices.Clone(w.dims), slices.Clone(w.dims)
		if down[1], up[0] = a.Rank, a.Rank; name == "token_embd" || name == "per_layer_token_embd" {
			down[0], down[1], up[1] = a.Rank, w.dims[1], w.dims[0]
		}
		for _, x := range []struct {
			end    string
			dims   []int
			spread float64
		}{{".lora_a", down, w.spread}, {".lora_b", up, 0.3 / math.Sqrt(float64(a.Rank))}} {
			list = append(list, weight{name: w.name + x.end, dims: x.dims, format: fit(a.Format, x.dims[0]), spread: x.spread})
		}
	}
	return list
}

// metadata returns the keys of an adapter. Its alpha is its rank.
func (a Adapter) metadata() (*gguf.Metadata, error) {
	m := new(gguf.Metadata)
	return m, errors.Join(m.Set("general.architecture", "gemma4"), m.Set("general.type", "adapter"), m.Set("general.name", a.Name),
		m.Set("adapter.type", "lora"), m.Set("adapter.lora.alpha", float32(a.Rank)))
}

const (
	adapterEnding   = "-lora"
	adapterEndingQV = "-qv-lora"
	adapterRank     = 16
)

// ParseAdapter returns the adapter that a spec such as "e2b-lora:f16" stands for, of rank 16 beside all matrices of the layers of the model
// with the preset's name, or "e2b-qv-lora:f16", beside those of queries and values. Without a format it is F32.
func ParseAdapter(spec string) (Adapter, error) {
	name, format, given := strings.Cut(spec, ":")
	if !given {
		format = "f32"
	}
	preset, qv := strings.CutSuffix(name, adapterEndingQV)
	a := Adapter{Name: fmt.Sprintf("synthetic %s %s", name, format), Rank: adapterRank}
	if qv {
		a.Beside = QV
	} else {
		preset = strings.TrimSuffix(name, adapterEnding)
	}
	i := slices.IndexFunc(tensor.Formats(), func(f tensor.Format) bool { return strings.ToLower(f.String()) == format })
	if i < 0 {
		return a, fmt.Errorf("synth: unknown format %q in %q, want a weight format such as f16", format, spec)
	}
	a.Format = tensor.Formats()[i]
	var err error
	a.Model, err = Parse(preset)
	return a, err
}
