package model

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gogemma/gemma4/gguf"
)

// Config is the shape of a model as its metadata gives it.
type Config struct {
	Width      int // length of the residual stream
	Context    int // positions that the model was made for
	Vocabulary int // ids: rows of the embedding matrix

	Window   int     // a sliding layer at position t sees t − Window + 1 … t
	Eps      float32 // added to the mean square in RMS norms
	SoftCap  float32 // final logits are SoftCap · tanh(x / SoftCap); 0: as they are
	PerLayer int     // width of the per-layer embedding, 0 where the model has none
	Owners   int     // layers from this one on keep no keys and values of their own

	Experts     int // experts per expert layer, 0 in dense models
	ExpertsUsed int // experts that each token goes through
	ExpertWidth int // width of one expert's MLP

	Layers []LayerConfig // in the order of the graph
}

// LayerConfig is the shape of one layer.
type LayerConfig struct {
	Sliding  bool    // sees a window; otherwise every earlier position
	Heads    int     // query heads
	KVHeads  int     // heads of keys and values; divides Heads
	HeadDim  int     // values per head
	MLPWidth int     // width of the dense MLP
	RopeBase float64 // base of the rotary frequencies
	Source   int     // layer whose keys and values this one reads: itself, or the last owner of its kind

	// Turned is the number of values per head that rotate where only these need be kept of a key, because values give the others; else 0.
	Turned int
}

// Bounds on what a file may ask for, far beyond all known models. They keep a damaged or hostile one from making the program allocate
// without limit, and the sizes computed from them within 64 bits, those of one position within 32.
const (
	maxPositions = 1 << 28
	maxLayers    = 1 << 10
	maxWidth     = 1 << 18 // values of one position: the residual, all heads of a layer, an MLP, all per-layer embeddings
	maxExperts   = 1 << 15 // of all layers together
)

// ReadConfig reads the shape from a file's metadata (keys "gemma4.…"). Vocabulary is left at 0: only tensors tell it.
func ReadConfig(m *gguf.Metadata) (*Config, error) {
	if err := isModel(m); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	k := &keys{m: m}
	layers := k.integer("block_count", 1, maxLayers)
	if k.err != nil {
		return nil, k.err
	}
	c := &Config{
		Width:    k.integer("embedding_length", 1, maxWidth),
		Context:  k.integer("context_length", 1, maxPositions),
		Window:   k.integer("attention.sliding_window", 1, maxPositions),
		Eps:      k.positiveFloat("attention.layer_norm_rms_epsilon"),
		SoftCap:  k.float("final_logit_softcapping", 0),
		PerLayer: k.integer("embedding_length_per_layer_input", 0, maxWidth/layers, 0),
		Owners:   layers - k.integer("attention.shared_kv_layers", 0, layers-1, 0),
		Experts:  k.integer("expert_count", 0, maxExperts/layers, 0),
		Layers:   make([]LayerConfig, layers),
	}
	if c.SoftCap < 0 {
		k.fail("gemma4.final_logit_softcapping is %g, expected 0 or more", c.SoftCap)
	}
	if c.Experts > 0 {
		c.ExpertsUsed = k.integer("expert_used_count", 1, c.Experts)
		c.ExpertWidth = k.integer("expert_feed_forward_length", 1, maxWidth)
	}
	global := k.head("")
	sliding := k.head("_swa", 1e4)
	pattern := k.bools("attention.sliding_window_pattern", layers)
	heads := k.perLayer("attention.head_count", layers)
	kvHeads := k.perLayer("attention.head_count_kv", layers)
	widths := k.perLayer("feed_forward_length", layers)
	if k.err != nil {
		return nil, k.err
	}

	last := map[bool]int{} // last owner of each kind
	for i := range c.Layers {
		h := global
		if pattern[i] {
			h = sliding
		}
		if heads[i] > maxWidth/h.dim {
			return nil, fmt.Errorf("model: gemma4.attention.head_count is %d in layer %d, expected at most %d heads of size %d",
				heads[i], i, maxWidth/h.dim, h.dim)
		}
		if heads[i]%kvHeads[i] != 0 {
			return nil, fmt.Errorf("model: gemma4.attention.head_count is %d in layer %d, expected a multiple of "+
				"gemma4.attention.head_count_kv, %d", heads[i], i, kvHeads[i])
		}
		if i < c.Owners {
			last[pattern[i]] = i
		}
		source, ok := last[pattern[i]]
		if !ok {
			return nil, fmt.Errorf("model: gemma4.attention.shared_kv_layers is %d, but none of the layers before these is one "+
				"of the kind of layer %d (sliding: %v), whose keys and values that could share", layers-c.Owners, i, pattern[i])
		}
		c.Layers[i] = LayerConfig{Sliding: pattern[i], Heads: heads[i], KVHeads: kvHeads[i], HeadDim: h.dim, MLPWidth: widths[i],
			RopeBase: h.base, Source: source}
		if own := &c.Layers[source]; own.KVHeads != kvHeads[i] {
			return nil, fmt.Errorf("model: gemma4.attention.head_count_kv is %d in layer %d, expected %d as in layer %d, whose "+
				"keys and values it shares", kvHeads[i], i, own.KVHeads, source)
		}
	}
	return c, nil
}

// Shape is ReadConfig with what only the tensors of a file tell: Vocabulary, and which layers are tied. In those, keys and values come from
// one projection, so that a key is its value ⊙ the norm's weights, rotated, and a cache need hold only the value and the part of the key
// that rotates. Files without tensors tell neither.
func Shape(f *gguf.File) (*Config, error) {
	c, err := ReadConfig(f.Metadata)
	if err != nil {
		return nil, err
	}
	if e := f.Tensor("token_embd.weight"); e != nil {
		if c.Vocabulary = 1; len(e.Dims) > 1 {
			c.Vocabulary = e.Dims[1]
		}
	}
	for i := range c.Owners {
		if f.Tensor(fmt.Sprintf("blk.%d.attn_k.weight", i)) == nil || f.Tensor(fmt.Sprintf("blk.%d.attn_v.weight", i)) != nil {
			continue
		}
		l := newLoader(f)
		freqs := l.frequencies(&c.Layers[i])
		if rotated := rotating(freqs, c.Context); l.err == nil && rotated < len(freqs) {
			c.Layers[i].Turned = 2 * rotated
		}
	}
	for i := range c.Layers {
		c.Layers[i].Turned = c.Layers[c.Layers[i].Source].Turned
	}
	return c, nil
}

// rotating returns how many pairs of a head rotate if those are the first ones, otherwise all.
func rotating(freqs []float64, context int) int {
	still := func(f float64) bool { return f*float64(context) < 1e-9 }
	n := 0
	for n < len(freqs) && !still(freqs[n]) {
		n++
	}
	for _, f := range freqs[n:] {
		if !still(f) {
			return len(freqs)
		}
	}
	return n
}

// isModel returns nil for a Gemma 4 text model; for other files, an error that says what they are and what to do with them.
func isModel(m *gguf.Metadata) error {
	switch kind, _ := m.Text("general.type"); kind { // an adapter has its model's architecture, an imatrix may have none
	case "adapter":
		return errors.New("general.type is \"adapter\": changes to the weights of a model (a LoRA); open that model, and the " +
			"adapter beside it (OpenAdapter, -lora), or the model that gemma4 quantize -lora merges them into")
	case "imatrix":
		return errors.New("general.type is \"imatrix\": statistics for quantising a model; open the model")
	}
	arch, err := m.Text("general.architecture")
	if err != nil || arch == "gemma4" {
		return err
	}
	hint := "a model of another kind, which programs for many kinds run, such as llama.cpp and ollama"
	switch arch {
	case "clip":
		hint = "this is the image and sound part (mmproj), which goes beside the model; open the text model's own file"
	case fileArchitecture:
		hint = "this is a saved session; open its model and restore it"
	case "controlvector":
		hint = "this is a control vector, which goes beside a model; open the model"
	case "gemma", "gemma2", "gemma3", "gemma3n", "gemma-embedding":
		hint = "an older Gemma, whose graph is another; look for a file of Gemma 4"
	}
	if slices.Contains(drafters, arch) {
		hint = "this is a drafter, which goes beside the model that it drafts for; open that model's file"
	}
	return fmt.Errorf("general.architecture is %.40q, this package runs \"gemma4\" (%s)", arch, hint)
}

// keys reads metadata below a prefix, "gemma4." if none is given, and keeps the first error.
type keys struct {
	m      *gguf.Metadata
	prefix string
	err    error
}

// full returns the whole key.
func (k *keys) full(key string) string { return cmp.Or(k.prefix, "gemma4.") + key }

func (k *keys) fail(format string, args ...any) {
	if k.err == nil {
		k.err = fmt.Errorf("model: "+format, args...)
	}
}

// integer reads a number from least to most. An absent key is an error unless a default is given.
func (k *keys) integer(key string, least, most int, missing ...int) int {
	v, err := k.m.Int(k.full(key))
	switch {
	case errors.Is(err, gguf.ErrMissing) && len(missing) > 0:
		return missing[0]
	case err != nil:
		k.fail("%w", err)
	case v < int64(least) || v > int64(most):
		k.fail("%s is %d, expected %d to %d", k.full(key), v, least, most)
	default:
		return int(v)
	}
	return least
}

func (k *keys) float(key string, missing ...float32) float32 {
	v, err := k.m.Float(k.full(key))
	if errors.Is(err, gguf.ErrMissing) && len(missing) > 0 {
		return missing[0]
	}
	if err != nil {
		k.fail("%w", err)
		return 1
	}
	if math.IsNaN(v) || math.Abs(v) > math.MaxFloat32 {
		k.fail("%s is %g, expected a finite number", k.full(key), v)
		return 1
	}
	return float32(v)
}

func (k *keys) positiveFloat(key string, missing ...float32) float32 {
	v := k.float(key, missing...)
	if !(v > 0) {
		k.fail("%s is %g, expected a positive number", k.full(key), v)
	}
	return v
}

// perLayer reads one number for all layers or an array with one for each; all are positive.
func (k *keys) perLayer(key string, layers int) []int {
	out := make([]int, layers)
	isArray := k.array(key, layers)
	if k.err != nil {
		return out
	}
	if !isArray {
		v := k.integer(key, 1, maxWidth)
		for i := range out {
			out[i] = v
		}
		return out
	}
	list, err := k.m.Ints(k.full(key))
	if err != nil {
		k.fail("%w", err)
	}
	for i, v := range list {
		if v < 1 || v > maxWidth {
			k.fail("%s is %d in layer %d, expected 1 to %d", k.full(key), v, i, maxWidth)
			break
		}
		out[i] = int(v)
	}
	return out
}

// bools reads an array with one entry for each layer: of bools, or of integers, 0 or 1.
func (k *keys) bools(key string, layers int) []bool {
	if k.array(key, layers); k.err != nil {
		return nil
	}
	list, err := k.m.Bools(k.full(key))
	ints, notInts := k.m.Ints(k.full(key))
	if err != nil && notInts != nil {
		k.fail("%w", err)
		return nil
	}
	for i, v := range ints {
		if v != 0 && v != 1 {
			k.fail("%s is %d in layer %d, expected 0 or 1", k.full(key), v, i)
		}
		list = append(list, v == 1)
	}
	return list
}

// array reports whether a value is an array. It fails unless that has one entry for each layer. The values must not be decoded before that
// is known: they may take eight times as much memory as in the file.
func (k *keys) array(key string, layers int) bool {
	n, ok := k.arrayLen(key)
	if ok && n != layers {
		k.fail("%s has %d entries, expected %d, one for each layer", k.full(key), n, layers)
	}
	return ok
}

// arrayLen returns the length of an array, and whether the value is one.
func (k *keys) arrayLen(key string) (n int, ok bool) {
	v, _ := k.m.Value(k.full(key))
	a, ok := v.(*gguf.Array)
	if ok {
		n = a.Len()
	}
	return n, ok
}

type head struct {
	dim  int
	base float64
}

// head reads the heads of global (suffix "") or sliding ("_swa") layers. Keys, values and rotation have one size in every known file;
// others are refused rather than guessed at. The base of the rotation may be missing where a default is given.
func (k *keys) head(suffix string, base ...float32) head {
	dim := k.integer("attention.key_length"+suffix, 2, maxWidth)
	if dim%2 != 0 {
		k.fail("%s is %d, expected an even number", k.full("attention.key_length"+suffix), dim)
	}
	for _, key := range []string{"attention.value_length" + suffix, "rope.dimension_count" + suffix} {
		if v := k.integer(key, 2, maxWidth, dim); v != dim {
			k.fail("%s is %d, expected %d, the head size", k.full(key), v, dim)
		}
	}
	return head{dim, float64(k.positiveFloat("rope.freq_base"+suffix, base...))}
}
