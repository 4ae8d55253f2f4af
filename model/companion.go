package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/gguf"
)

// Projector is what a file with towers (mmproj) makes embeddings of, and by which projector. Such files have the architecture "clip".
type Projector struct {
	Image string // "gemma4v", or "gemma4uv" without a tower; empty: no images
	Sound string // "gemma4a", or "gemma4ua" without a tower; empty: no sounds
}

// String returns a list such as "images (gemma4v), sounds (gemma4a)".
func (p *Projector) String() string {
	var list []string
	if p.Image != "" {
		list = append(list, "images ("+p.Image+")")
	}
	if p.Sound != "" {
		list = append(list, "sounds ("+p.Sound+")")
	}
	return strings.Join(list, ", ")
}

// Drafter is the size of a small model that drafts what a larger one checks.
type Drafter struct {
	Layers int // of its graph
	Width  int // of its own residual stream
}

// String returns a size such as "4 layers of width 256".
func (d *Drafter) String() string { return fmt.Sprintf("%d layers of width %d", d.Layers, d.Width) }

// drafters are the spellings of the architecture of a drafter, under which its keys stand.
var drafters = []string{"gemma4-assistant", "gemma4_assistant", "gemma4_mtp"}

// ReadProjector returns what a file projects into a model of shape c. The error for another kind of file, and for a projector of another
// model, names the key or tensor. The towers themselves are not looked at.
func ReadProjector(f *gguf.File, c *Config) (*Projector, error) {
	if err := architecture(f, "clip"); err != nil {
		return nil, err
	}
	image, err := projection(f, c, "vision", "mm.input_projection.weight", "gemma4v", "gemma4uv")
	if err != nil {
		return nil, err
	}
	sound, err := projection(f, c, "audio", "mm.a.input_projection.weight", "gemma4a", "gemma4ua")
	if err != nil {
		return nil, err
	}
	if image == "" && sound == "" {
		return nil, errors.New("model: neither clip.has_vision_encoder nor clip.has_audio_encoder is true, " +
			"expected a projector of images or sounds")
	}
	return &Projector{Image: image, Sound: sound}, nil
}

// architecture checks what kind of file this is.
func architecture(f *gguf.File, expected ...string) error {
	arch, err := f.Metadata.Text("general.architecture")
	if err == nil && !slices.Contains(expected, arch) {
		err = fmt.Errorf("general.architecture is %.40q, expected %q", arch, expected[0])
	}
	return inModel(err)
}

// projection returns by which of the known types of projector one sense reaches the model, "" if the file does not have the sense.
func projection(f *gguf.File, c *Config, sense, tensor string, known ...string) (kind string, err error) {
	has, err := f.Metadata.Bool("clip.has_" + sense + "_encoder")
	if err != nil && !errors.Is(err, gguf.ErrMissing) {
		return "", inModel(err)
	}
	if !has {
		return "", nil
	}
	key := "clip." + sense + ".projector_type"
	if !f.Metadata.Has(key) {
		key = "clip.projector_type" // of both senses
	}
	if kind, err = f.Metadata.Text(key); err != nil {
		return "", inModel(err)
	}
	if !slices.Contains(known, kind) {
		return "", fmt.Errorf("model: %s is %.40q, expected %s", key, kind, strings.Join(known, " or "))
	}
	return kind, reaches(f, tensor, c)
}

// reaches checks that a matrix makes vectors of the model's width.
func reaches(f *gguf.File, name string, c *Config) error {
	t := f.Tensor(name)
	switch {
	case t == nil:
		return fmt.Errorf("model: %s is missing", name)
	case len(t.Dims) != 2 || t.Dims[1] != c.Width:
		return fmt.Errorf("model: %s is %v, expected %d rows, the model's gemma4.embedding_length", name, t.Dims, c.Width)
	}
	return nil
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
