package model

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gogemma/gemma4/gguf"
)

// ErrUnknown is wrapped by the error for a file with keys or tensors that are not understood and may change the answer, such as a bias or
// a scaling of positions. The error names them; Options.AllowUnknown opens the file as if they were not there.
var ErrUnknown = errors.New("what may change the answer is not understood")

// Unknown returns the error that Options.AllowUnknown has spared the file, nil if all of it is understood.
func (m *Model) Unknown() error { return m.unknown }

// understood checks that nothing in the file asks for another graph: no key under "gemma4." that is not known to be harmless, and no tensor
// of the model that was not taken.
func understood(f *gguf.File, c *Config, taken map[string]bool) error {
	var unknown []string
	for _, key := range f.Metadata.Keys() {
		if name, ok := strings.CutPrefix(key, "gemma4."); ok && !harmlessKey(f.Metadata, name) {
			unknown = append(unknown, "key "+show(key)+value(f.Metadata, name))
		}
	}
	return unknownError(append(unknown, unknownTensors(f, c, taken)...))
}

// unknownTensors returns the tensors of a model or drafter that were not taken and are not known to be harmless.
func unknownTensors(f *gguf.File, c *Config, taken map[string]bool) (unknown []string) {
	for _, t := range f.Tensors {
		if taken[t.Name] || harmlessTensor(t.Name, c) {
			continue
		}
		name := "tensor " + show(t.Name)
		if i, _, ok := layerTensor(t.Name); ok && i >= len(c.Layers) {
			arch, _ := f.Metadata.Text("general.architecture")
			name += fmt.Sprintf(" (%s.block_count is %d)", arch, len(c.Layers))
		}
		unknown = append(unknown, name)
	}
	return unknown
}

// unknownError returns the error for keys and tensors that are not understood, nil for none.
func unknownError(unknown []string) error {
	const shown = 2
	switch n := len(unknown); {
	case n == 0:
		return nil
	case n > shown:
		unknown = append(unknown[:shown], fmt.Sprintf("and %d more", n-shown))
	}
	return fmt.Errorf("model: %w: %s; AllowUnknown opens the file at your own risk", ErrUnknown, strings.Join(unknown, ", "))
}

// harmlessKey reports whether a key below "gemma4." is read, or says nothing that the graph has to know.
func harmlessKey(m *gguf.Metadata, key string) bool {
	switch key {
	case "block_count", "context_length", "embedding_length", "feed_forward_length", "embedding_length_per_layer_input",
		"attention.head_count", "attention.head_count_kv", "attention.key_length", "attention.value_length",
		"attention.key_length_swa", "attention.value_length_swa", "attention.sliding_window", "attention.sliding_window_pattern",
		"attention.shared_kv_layers", "attention.layer_norm_rms_epsilon", "rope.freq_base", "rope.freq_base_swa",
		"rope.dimension_count", "rope.dimension_count_swa", "final_logit_softcapping",
		"expert_count", "expert_used_count", "expert_feed_forward_length": // read
		return true
	case "vocab_size", "tensor_data_layout", "rope.scaling.finetuned", "rope.scaling.original_context_length":
		return true
	}
	for _, tower := range []string{"vision.", "audio.", "mm."} {
		if strings.HasPrefix(key, tower) {
			return true
		}
	}
	v, _ := m.Value("gemma4." + key)
	return slices.Contains(neutral(key), fmt.Sprint(v))
}

// value describes the value of a key below "gemma4.", and what it could be without changing the graph.
func value(m *gguf.Metadata, key string) string {
	var is string
	switch v, _ := m.Value("gemma4." + key); v := v.(type) {
	case *gguf.Array:
		is = fmt.Sprintf("%d × %s", v.Len(), v.Type())
	case string:
		is = fmt.Sprintf("%.20q", v)
	default:
		is = fmt.Sprint(v)
	}
	if values := neutral(key); len(values) > 0 {
		is += ", expected " + strings.Join(values, " or ")
	}
	return " (" + is + ")"
}

// neutral returns the values with which a key asks for what the graph does anyway.
func neutral(key string) []string {
	switch key {
	case "attention.causal", "expert_weights_norm":
		return []string{"true"}
	case "use_parallel_residual":
		return []string{"false"}
	case "rope.scaling.type":
		return []string{"none"}
	case "attention.scale", "rope.scaling.attn_factor", "residual_scale", "interleave_moe_layer_step",
		"expert_gating_func": // the first is softmax
		return []string{"1"}
	case "rope.scaling.factor", "rope.scale_linear", "logit_scale", "expert_weights_scale", "expert_group_count", "expert_group_used_count":
		return []string{"0", "1"}
	case "attn_logit_softcapping", "router_logit_softcapping", "attention.clamp_kqv", "attention.max_alibi_bias", "pooling_type",
		"expert_shared_count", "expert_shared_feed_forward_length", "leading_dense_block_count", "nextn_predict_layers",
		"rope.scaling.yarn_ext_factor":
		return []string{"0"}
	}
	return nil
}

// harmlessTensor reports whether a tensor that was not taken may be left alone.
func harmlessTensor(name string, c *Config) bool {
	for _, tower := range []string{"v.", "a.", "mm."} { // of images and sounds, in ollama's files
		if strings.HasPrefix(name, tower) {
			return true
		}
	}
	return c.idle(name) ||
		name == "rope_freqs.weight" || // where no layer is global
		strings.HasSuffix(name, ".input_scale") // of activations, for machines that quantise them that way
}

// idle reports whether a tensor would make keys and values in a layer that uses another layer's.
func (c *Config) idle(name string) bool {
	if i, rest, ok := layerTensor(name); ok && i >= c.Owners && i < len(c.Layers) {
		switch rest {
		case "attn_k.weight", "attn_k.scale", "attn_k_norm.weight", "attn_v.weight", "attn_v.scale":
			return true
		}
	}
	return false
}

// layerTensor cuts "blk.7.attn_q.weight" into 7 and "attn_q.weight".
func layerTensor(name string) (layer int, rest string, ok bool) {
	name, ok = strings.CutPrefix(name, "blk.")
	number, rest, cut := strings.Cut(name, ".")
	layer, err := strconv.Atoi(number)
	return layer, rest, ok && cut && err == nil && layer >= 0
}

// show returns a name for an error text: shortened, and quoted where it holds what a terminal should not be sent.
func show(name string) string {
	if len(name) > 60 {
		name = name[:60] + "…"
	}
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}
