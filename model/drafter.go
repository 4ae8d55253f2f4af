package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/mmap"
	"github.com/gogemma/gemma4/tensor"
)

// Drafter guesses what a model writes next, token by token, by a graph that is small beside the model's (multi-token prediction): it begins
// with what the model thought last, and its layers own no keys and values but read the model's. A [Draft] takes it through. It is safe for
// use by several goroutines, each with a Draft of its own, for as long as its model is open.
type Drafter struct {
	Layers int // of its graph
	Width  int // of its own residual stream

	target    *Model
	graph     *Model         // its layers; their Source is a layer of the target
	pre, post *tensor.Tensor // from the target's width, twice, to its own, and back
	ids       []int32        // of the rows of the head; nil: all
	clusters  string         // the tensor that says that the head has some
	unknown   error
}

// DrafterOptions say how a drafter is opened. It runs on the kernels and workers of its model.
type DrafterOptions struct {
	// Head are the ids, ascending, that drafts are made of: the rows of the head that are read, which are copied to memory of their own.
	// Of Gemma's 262,144 rows text uses few, and they are most of a small drafter's weights. nil: all ids.
	Head []int32
	// AllowUnknown opens files with tensors that are not understood (ErrUnknown) as if they were not there.
	AllowUnknown bool
	// Resident is as in [Options].
	Resident int64
}

// String returns a size such as "4 layers of width 256".
func (d *Drafter) String() string {
	s := fmt.Sprintf("%d layers of width %d", d.Layers, d.Width)
	if d.clusters != "" {
		s += ", the clusters of its head (" + d.clusters + ") unused"
	}
	return s
}

// IDs returns the ids, ascending, that the logits of a draft are of; nil: all of the vocabulary.
func (d *Drafter) IDs() []int32 { return d.ids }

// Model returns the model that the drafter was opened for.
func (d *Drafter) Model() *Model { return d.target }

// Unknown returns the error that DrafterOptions.AllowUnknown has spared the file, nil if all of it is understood.
func (d *Drafter) Unknown() error { return d.unknown }

// drafters are the spellings of the architecture of a drafter, under which its keys stand.
var drafters = []string{"gemma4-assistant", "gemma4_assistant", "gemma4_mtp"}

// drafterClusters are the tensors of a head in clusters, of which a few are looked up and the others left out. The whole head beside them
// tells the same and more.
var drafterClusters = []string{"masked_embd_centroids", "masked_embd_ordering", "mtp_centroids", "mtp_token_ordering"}

// drafterName returns what files of the architecture gemma4_mtp call the tensors that have names of their own there.
func drafterName(name string) string {
	for _, x := range [][2]string{{"nextn.pre_projection.", "mtp_pre_proj."}, {"nextn.post_projection.", "mtp_post_proj."}} {
		if rest, ok := strings.CutPrefix(name, x[0]); ok {
			return x[1] + rest
		}
	}
	return name
}

// OpenDrafter builds the graph of a drafter for the model m over the tensors of f, which must stay open as long as it is used. Every
// tensor's shape is checked against the metadata, and both against the model: the error for another kind of file, and for a drafter of
// another model, names the key or tensor and what was expected of it. Tensors that are not understood are an error too, ErrUnknown. Keys
// are not: they can cost drafts, never the answer.
func OpenDrafter(f *gguf.File, m *Model, o DrafterOptions) (*Drafter, error) {
	if err := architecture(f, drafters...); err != nil {
		return nil, err
	}
	if err := m.checkIDs(o.Head); err != nil {
		return nil, err
	}
	c, err := m.readDrafter(f.Metadata)
	if err != nil {
		return nil, err
	}
	d := &Drafter{Layers: len(c.Layers), Width: c.Width, target: m, ids: o.Head}
	l := newLoader(f)
	for _, t := range f.Tensors {
		switch name := strings.TrimSuffix(t.Name, ".weight"); {
		case slices.Contains(drafterClusters, name):
			d.clusters = cmp.Or(d.clusters, name)
			l.taken[t.Name] = true
		case name == "mtp_input_embd": // the model's own embedding once more
			l.taken[t.Name] = true
		}
	}
	if f.Tensor("token_embd.weight") == nil && d.clusters != "" {
		return nil, fmt.Errorf("model: token_embd.weight is missing: the file has only the clusters of a head (%s), expected all of it",
			d.clusters)
	}
	l.resident = residence(f, o.Resident)
	if f.Tensor("nextn.pre_projection.weight") == nil && f.Tensor("mtp_pre_proj.weight") != nil {
		l.alias = drafterName
	}
	w := l.drafter(d, c)
	if l.err == nil {
		if d.unknown = unknownError(unknownTensors(f, c, l.taken)); !o.AllowUnknown {
			l.err = d.unknown
		}
	}
	if l.err != nil {
		return nil, l.err
	}
	d.graph = &Model{Config: *c, weights: *w, kernels: m.kernels, pool: m.pool, file: f}
	return d, nil
}

// lastOwner returns the last layer of a kind that owns keys and values, −1 if none does.
func (c *Config) lastOwner(sliding bool) int {
	for i := c.Owners - 1; i >= 0; i-- {
		if c.Layers[i].Sliding == sliding {
			return i
		}
	}
	return -1
}

// readDrafter reads the shape of a drafter for the model. Its layers read the keys and values of the model's last owners of their kinds.
func (m *Model) readDrafter(file *gguf.Metadata) (*Config, error) {
	arch, _ := file.Text("general.architecture")
	k := &keys{m: file, prefix: arch + "."}
	layers := k.integer("block_count", 1, maxLayers)
	if k.err != nil {
		return nil, k.err
	}
	c := &Config{
		Width:      k.integer("embedding_length", 1, maxWidth),
		Context:    m.Context,
		Vocabulary: m.Vocabulary,
		Window:     k.integer("attention.sliding_window", 1, m.Window, m.Window), // no more is kept
		Eps:        k.positiveFloat("attention.layer_norm_rms_epsilon"),
		Layers:     make([]LayerConfig, layers),
	}
	if out := k.integer("embedding_length_out", 1, maxWidth, m.Width); out != m.Width {
		k.fail("%s is %d, expected %d, the model's gemma4.embedding_length", k.full("embedding_length_out"), out, m.Width)
	}
	global, sliding := k.head("", m.ropeBase(false)), k.head("_swa", m.ropeBase(true))
	pattern := k.bools("attention.sliding_window_pattern", layers)
	heads, widths := k.perLayer("attention.head_count", layers), k.perLayer("feed_forward_length", layers)
	var kvHeads []int // the model's count; other numbers are of another model
	if file.Has(k.full("attention.head_count_kv")) {
		kvHeads = k.perLayer("attention.head_count_kv", layers)
	}
	if k.err != nil {
		return nil, k.err
	}
	for i := range c.Layers {
		h, suffix := global, ""
		if pattern[i] {
			h, suffix = sliding, "_swa"
		}
		source := m.lastOwner(pattern[i])
		if source < 0 {
			k.fail("%s: layer %d is one whose keys and values no layer of the model has (sliding: %v)",
				k.full("attention.sliding_window_pattern"), i, pattern[i])
			break
		}
		own := &m.Layers[source]
		if h.dim != own.HeadDim {
			k.fail("%s is %d, expected %d, the model's gemma4.attention.key_length%s", k.full("attention.key_length"+suffix), h.dim,
				own.HeadDim, suffix)
		}
		if kvHeads != nil && kvHeads[i] != own.KVHeads {
			k.fail("%s is %d in layer %d, expected %d as in the model's layer %d, whose keys and values it reads",
				k.full("attention.head_count_kv"), kvHeads[i], i, own.KVHeads, source)
		}
		if heads[i]%own.KVHeads != 0 || heads[i] > maxWidth/h.dim {
			k.fail("%s is %d in layer %d, expected a multiple of %d, the model's heads of keys and values, up to %d",
				k.full("attention.head_count"), heads[i], i, own.KVHeads, maxWidth/h.dim)
		}
		c.Layers[i] = LayerConfig{Sliding: pattern[i], Heads: heads[i], KVHeads: own.KVHeads, HeadDim: h.dim, MLPWidth: widths[i],
			RopeBase: h.base, Source: source, Turned: own.Turned}
	}
	return c, k.err
}

// ropeBase returns the base of the rotation of the last owner of a kind.
func (c *Config) ropeBase(sliding bool) float32 {
	if i := c.lastOwner(sliding); i >= 0 {
		return float32(c.Layers[i].RopeBase)
	}
	return 1e4
}

// drafter takes the weights of a drafter of shape c.
func (l *loader) drafter(d *Drafter, c *Config) *weights {
	m := d.target
	w := &weights{norm: l.norm("output_norm", c.Width)}
	d.pre = l.matrix("nextn.pre_projection", c.Width, 2*m.Width)
	d.post = l.matrix("nextn.post_projection", m.Width, c.Width)
	w.head = l.draftHead(d.ids, c)
	for i := range c.Layers {
		b := l.layer(i, c)
		if l.err != nil {
			return w
		}
		b.kNorm = m.layers[b.Source].kNorm
		w.layers = append(w.layers, b)
		switch {
		case b.Sliding && w.slidingFreqs == nil:
			w.slidingFreqs = l.frequencies(&b.LayerConfig)
		case !b.Sliding && w.globalFreqs == nil && !l.has("rope_freqs.weight"):
			w.globalFreqs = m.globalFreqs // as the keys turn
		case !b.Sliding && w.globalFreqs == nil:
			w.globalFreqs = l.frequencies(&b.LayerConfig)
		}
	}
	return w
}

// draftHead returns the rows of a drafter's head that belong to some ids; nil: to all.
func (l *loader) draftHead(ids []int32, c *Config) *tensor.Tensor {
	if ids == nil {
		return l.matrix("token_embd", c.Vocabulary, c.Width)
	}
	table := l.table("token_embd", c.Vocabulary, c.Width)
	if table == nil {
		return nil
	}
	var head *tensor.Tensor
	err := mmap.Guard(func() (err error) {
		head, err = table.Gather(ids)
		return err
	})
	if err != nil {
		l.fail("%w", l.f.Locate(err))
	}
	return head
}
