package model

import (
	"errors"
	"fmt"
	"math"

	"github.com/gogemma/gemma4/gguf"
)

// Config is the shape of a model as its metadata gives it.
type Config struct {
	Width      int // length of the residual stream
	Context    int // positions that the model was made for
	Vocabulary int // rows of the embedding table

	Window   int     // a sliding layer at position t sees t − Window + 1 … t
	Eps      float32 // added to the mean square in RMS norms
	SoftCap  float32 // final logits are SoftCap · tanh(x / SoftCap); 0: as they are
	PerLayer int     // width of the per-layer embedding, 0 where the model has none
	Owners   int     // layers from this one on keep no keys and values of their own

	Experts     int // experts per expert layer, 0 in dense models
	ExpertsUsed int // experts that each token goes through
	ExpertWidth int // width of one expert's MLP

	Layers []LayerConfig
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
}

// maxLayers bounds what a damaged file can make the reader allocate.
const maxLayers = 4096

// ReadConfig reads the shape from a file's metadata (keys "gemma4.…"). Vocabulary is left at 0: tensors tell it.
func ReadConfig(m *gguf.Metadata) (*Config, error) {
	arch, err := m.Text("general.architecture")
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if arch != "gemma4" {
		return nil, fmt.Errorf("model: general.architecture is %q, this package runs \"gemma4\"%s", arch, architectureHint(arch))
	}
	k := &keys{m: m}
	layers := k.positive("block_count")
	if k.err == nil && layers > maxLayers {
		k.fail("gemma4.block_count is %d, at most %d is possible", layers, maxLayers)
	}
	if k.err != nil {
		return nil, k.err
	}
	shared := k.integer("attention.shared_kv_layers", 0)
	c := &Config{
		Width:    k.positive("embedding_length"),
		Context:  k.positive("context_length"),
		Window:   k.positive("attention.sliding_window"),
		Eps:      k.positiveFloat("attention.layer_norm_rms_epsilon"),
		SoftCap:  k.float("final_logit_softcapping", 0),
		PerLayer: k.integer("embedding_length_per_layer_input", 0),
		Owners:   layers - shared,
		Experts:  k.integer("expert_count", 0),
		Layers:   make([]LayerConfig, layers),
	}
	if c.Owners < 1 {
		k.fail("gemma4.attention.shared_kv_layers is %d of %d layers: at least one must keep keys and values", shared, layers)
	}
	if c.SoftCap < 0 {
		k.fail("gemma4.final_logit_softcapping is %g, expected 0 or more", c.SoftCap)
	}
	if c.Experts > 0 {
		c.ExpertsUsed = k.positive("expert_used_count")
		c.ExpertWidth = k.positive("expert_feed_forward_length")
		if k.err == nil && c.ExpertsUsed > c.Experts {
			k.fail("gemma4.expert_used_count is %d of %d experts", c.ExpertsUsed, c.Experts)
		}
	}
	global := k.head("")
	sliding := k.head("_swa")
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
		if heads[i]%kvHeads[i] != 0 {
			return nil, fmt.Errorf("model: layer %d: %d query heads are no multiple of %d heads of keys and values", i, heads[i], kvHeads[i])
		}
		if i < c.Owners {
			last[pattern[i]] = i
		}
		source, ok := last[pattern[i]]
		if !ok {
			return nil, fmt.Errorf("model: layer %d: no layer of its kind keeps the keys and values that it shares", i)
		}
		c.Layers[i] = LayerConfig{Sliding: pattern[i], Heads: heads[i], KVHeads: kvHeads[i], HeadDim: h.dim, MLPWidth: widths[i],
			RopeBase: h.base, Source: source}
		if own := &c.Layers[source]; own.KVHeads != kvHeads[i] {
			return nil, fmt.Errorf("model: layer %d has %d heads of keys and values, layer %d, whose it shares, %d", i, kvHeads[i], source, own.KVHeads)
		}
	}
	return c, nil
}

// architectureHint says what to do with the other files that come with a Gemma model.
func architectureHint(arch string) string {
	switch arch {
	case "clip":
		return " (this is the image and sound part, a file that goes beside the model)"
	case "gemma4-assistant":
		return " (this is a drafter, a file that goes beside the model)"
	}
	return ""
}

// keys reads metadata below "gemma4." and keeps the first error.
type keys struct {
	m   *gguf.Metadata
	err error
}

func (k *keys) fail(format string, args ...any) {
	if k.err == nil {
		k.err = fmt.Errorf("model: "+format, args...)
	}
}

// maxCount bounds any single dimension; products of two of them still fit 64 bits with room.
const maxCount = 1 << 28

func (k *keys) integer(key string, missing ...int) int {
	v, err := k.m.Int("gemma4." + key)
	if errors.Is(err, gguf.ErrMissing) && len(missing) > 0 {
		return missing[0]
	}
	if err != nil {
		k.fail("%w", err)
		return 1
	}
	if v < 0 || v > maxCount {
		k.fail("gemma4.%s is %d, expected a number from 0 to %d", key, v, maxCount)
		return 1
	}
	return int(v)
}

func (k *keys) positive(key string) int {
	v := k.integer(key)
	if v == 0 {
		k.fail("gemma4.%s is 0, expected a positive number", key)
		return 1
	}
	return v
}

func (k *keys) float(key string, missing ...float32) float32 {
	v, err := k.m.Float("gemma4." + key)
	if errors.Is(err, gguf.ErrMissing) && len(missing) > 0 {
		return missing[0]
	}
	if err != nil {
		k.fail("%w", err)
		return 1
	}
	if math.IsNaN(v) || math.Abs(v) > math.MaxFloat32 {
		k.fail("gemma4.%s is %g, expected a finite number", key, v)
		return 1
	}
	return float32(v)
}

func (k *keys) positiveFloat(key string) float32 {
	v := k.float(key)
	if !(v > 0) {
		k.fail("gemma4.%s is %g, expected a positive number", key, v)
	}
	return v
}

// perLayer reads one number for all layers or an array with one for each; all are positive.
func (k *keys) perLayer(key string, layers int) []int {
	out := make([]int, layers)
	list, err := k.m.Ints("gemma4." + key)
	if err != nil {
		v := k.positive(key)
		for i := range out {
			out[i] = v
		}
		return out
	}
	if len(list) != layers {
		k.fail("gemma4.%s has %d entries for %d layers", key, len(list), layers)
		return out
	}
	for i, v := range list {
		if v < 1 || v > maxCount {
			k.fail("gemma4.%s is %d for layer %d, expected a positive number", key, v, i)
			v = 1
		}
		out[i] = int(v)
	}
	return out
}

func (k *keys) bools(key string, n int) []bool {
	list, err := k.m.Bools("gemma4." + key)
	if err != nil {
		k.fail("%w", err)
	} else if len(list) != n {
		k.fail("gemma4.%s has %d entries for %d layers", key, len(list), n)
	}
	if k.err != nil {
		return make([]bool, n)
	}
	return list
}

type head struct {
	dim  int
	base float64
}

// head reads the heads of global (suffix "") or sliding ("_swa") layers. Keys, values and rotation have one size in
// every known file; others are refused rather than guessed at.
func (k *keys) head(suffix string) head {
	dim := k.positive("attention.key_length" + suffix)
	for _, key := range []string{"attention.value_length" + suffix, "rope.dimension_count" + suffix} {
		if v := k.positive(key); v != dim {
			k.fail("gemma4.%s is %d, expected %d, the head size", key, v, dim)
		}
	}
	if dim%2 != 0 {
		k.fail("gemma4.attention.key_length%s is %d, expected an even number", suffix, dim)
	}
	return head{dim, float64(k.positiveFloat("rope.freq_base" + suffix))}
}
