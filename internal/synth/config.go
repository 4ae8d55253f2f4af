package synth

import (
	"fmt"
	"slices"
)

// Config is the shape of a text model. Build, Write and the like check it.
type Config struct {
	Name string // general.name
	Seed uint64 // of all weights
	Mix  Mix    // formats of the matrices; nil: F32

	Vocabulary int // tokens, at least MinVocabulary
	Context    int // positions
	Layers     int
	Width      int // of the residual

	// One entry per layer. A single entry stands for all layers and is written as a number instead of an array.
	Heads   []int // query heads
	KVHeads []int // key and value heads
	MLP     []int // inner width

	HeadSize        int    // of global layers, even
	HeadSizeSliding int    // of sliding layers, even
	Sliding         []bool // per layer: sliding or global
	Window          int    // positions that a sliding layer sees, its own included
	SharedKV        int    // last layers that own no keys and values
	KeysAsValues    bool   // global layers have no attn_v
	PerLayer        int    // width of the per-layer embedding, 0: none

	Experts     int // 0: none
	ExpertsUsed int
	ExpertWidth int

	// Oddities.
	Head         bool    // an output head of its own
	SplitExperts bool    // ffn_gate_exps and ffn_up_exps instead of ffn_gate_up_exps
	Scales       bool    // a .scale beside each matrix of a layer, and beside an NVFP4 head
	Unscaled     []int   // layers without layer_output_scale
	IdleKV       bool    // attn_k, attn_k_norm and attn_v also in layers that own no keys and values
	Suppress     []int32 // tokenizer.ggml.suppress_tokens; may lie outside the vocabulary
	ChatTemplate string  // tokenizer.chat_template, empty: none
}

// at returns the value of a layer.
func at(list []int, layer int) int {
	if len(list) == 1 {
		return list[0]
	}
	return list[layer]
}

// check reports the first field that no model can have. The limits are far beyond any model and keep every product of two fields within 31
// bits, and the sum of all tensors within 63.
func (c Config) check() error {
	for _, f := range []struct {
		name               string
		value, least, most int
	}{
		{"Vocabulary", c.Vocabulary, MinVocabulary, 1 << 22}, {"Context", c.Context, 1, 1 << 30}, {"Layers", c.Layers, 1, 1 << 10},
		{"Width", c.Width, 1, 1 << 17}, {"HeadSize", c.HeadSize, 2, 1 << 14}, {"HeadSizeSliding", c.HeadSizeSliding, 2, 1 << 14},
		{"Window", c.Window, 1, 1 << 30}, {"SharedKV", c.SharedKV, 0, c.Layers}, {"PerLayer", c.PerLayer, 0, 1 << 12},
		{"Experts", c.Experts, 0, 1 << 10}, {"ExpertsUsed", c.ExpertsUsed, min(c.Experts, 1), c.Experts},
		{"ExpertWidth", c.ExpertWidth, min(c.Experts, 1), 1 << 16},
	} {
		if f.value < f.least || f.value > f.most {
			return fmt.Errorf("synth: %s is %d, want %d to %d", f.name, f.value, f.least, f.most)
		}
	}
	if c.HeadSize%2 != 0 || c.HeadSizeSliding%2 != 0 {
		return fmt.Errorf("synth: head sizes %d and %d, want even ones", c.HeadSizeSliding, c.HeadSize)
	}
	for _, l := range []struct {
		name string
		list []int
		most int
	}{{"Heads", c.Heads, 1 << 12}, {"KVHeads", c.KVHeads, 1 << 12}, {"MLP", c.MLP, 1 << 20}} {
		if len(l.list) != 1 && len(l.list) != c.Layers {
			return fmt.Errorf("synth: %s has %d entries, want 1 or %d", l.name, len(l.list), c.Layers)
		}
		for i, v := range l.list {
			if v < 1 || v > l.most {
				return fmt.Errorf("synth: %s[%d] is %d, want 1 to %d", l.name, i, v, l.most)
			}
		}
	}
	if len(c.Sliding) != c.Layers {
		return fmt.Errorf("synth: Sliding has %d entries, want %d", len(c.Sliding), c.Layers)
	}
	owners := c.Layers - c.SharedKV
	for i := range c.Layers {
		if at(c.Heads, i)%at(c.KVHeads, i) != 0 {
			return fmt.Errorf("synth: layer %d has %d heads, want a multiple of its %d KV heads", i, at(c.Heads, i), at(c.KVHeads, i))
		}
		if i >= owners && !slices.Contains(c.Sliding[:owners], c.Sliding[i]) {
			return fmt.Errorf("synth: layer %d shares keys and values, but no layer of its kind (sliding: %v) owns any", i, c.Sliding[i])
		}
	}
	for _, i := range c.Unscaled {
		if i < 0 || i >= c.Layers {
			return fmt.Errorf("synth: Unscaled names layer %d of %d", i, c.Layers)
		}
	}
	for _, w := range c.weights() {
		if !w.format.Valid() {
			return fmt.Errorf("synth: %s is to be in %v, want a weight format", w.name, w.format)
		}
	}
	return nil
}
