package model

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gogemma/gemma4/gguf"
)

// Drafter is the size of a small model that drafts what a larger one checks.
type Drafter struct {
	Layers int // of its graph
	Width  int // of its own residual stream
}

// String returns a size such as "4 layers of width 256".
func (d *Drafter) String() string { return fmt.Sprintf("%d layers of width %d", d.Layers, d.Width) }

// drafters are the spellings of the architecture of a drafter, under which its keys stand.
var drafters = []string{"gemma4-assistant", "gemma4_assistant", "gemma4_mtp"}

// architecture checks what kind of file this is.
func architecture(f *gguf.File, expected ...string) error {
	arch, err := f.Metadata.Text("general.architecture")
	if err == nil && !slices.Contains(expected, arch) {
		err = fmt.Errorf("general.architecture is %.40q, expected %q", arch, expected[0])
	}
	return inModel(err)
}

// ReadDrafter returns the size of a drafter for a model of shape c. The error for another kind of file, and for a drafter of another model,
// names the key or tensor. The layers' tensors are not looked at.
func ReadDrafter(f *gguf.File, c *Config) (*Drafter, error) {
	if err := architecture(f, drafters...); err != nil {
		return nil, err
	}
	arch, _ := f.Metadata.Text("general.architecture")
	number := func(key string, least, most int) (int, error) {
		v, err := f.Metadata.Int(arch + "." + key)
		if err == nil && (v < int64(least) || v > int64(most)) {
			err = fmt.Errorf("%s.%s is %d, expected %d to %d", arch, key, v, least, most)
		}
		return int(v), err
	}
	layers, err := number("block_count", 1, maxLayers)
	if err != nil {
		return nil, inModel(err)
	}
	width, err := number("embedding_length", 1, maxWidth)
	if err != nil {
		return nil, inModel(err)
	}
	if out, err := number("embedding_length_out", 1, maxWidth); err == nil && out != c.Width {
		return nil, fmt.Errorf("model: %s.embedding_length_out is %d, expected %d, the model's gemma4.embedding_length", arch, out, c.Width)
	} else if err != nil && !errors.Is(err, gguf.ErrMissing) {
		return nil, inModel(err)
	}
	for _, l := range c.Layers[:c.Owners] { // it reads the keys and values of the last of each kind
		key := "attention.key_length"
		if l.Sliding {
			key += "_swa"
		}
		if dim, err := number(key, 1, maxWidth); err != nil {
			return nil, inModel(err)
		} else if dim != l.HeadDim {
			return nil, fmt.Errorf("model: %s.%s is %d, expected %d, the model's gemma4.%[2]s", arch, key, dim, l.HeadDim)
		}
	}
	for _, w := range []struct {
		name string
		dims []int
	}{
		{"token_embd.weight", []int{width, c.Vocabulary}},
		{"nextn.pre_projection.weight", []int{2 * c.Width, width}},
		{"nextn.post_projection.weight", []int{width, c.Width}},
	} {
		t := f.Tensor(w.name)
		if t == nil {
			return nil, fmt.Errorf("model: %s is missing", w.name)
		}
		if !slices.Equal(t.Dims, w.dims) {
			return nil, fmt.Errorf("model: %s is %v, expected %v: the drafter's width is %d, the model's %d, and that has %d tokens",
				w.name, t.Dims, w.dims, width, c.Width, c.Vocabulary)
		}
	}
	return &Drafter{Layers: layers, Width: width}, nil
}

// inModel names the package in an error, if there is one.
func inModel(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("model: %w", err)
}
