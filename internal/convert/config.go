package convert

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Bounds on what config.json may ask for, far beyond all known models, as model has them: sums and products of sizes stay within 63 bits.
const (
	maxLayers    = 1 << 10
	maxWidth     = 1 << 18
	maxPositions = 1 << 28
	maxTokens    = 1 << 20
	maxExperts   = 1 << 12
)

// config is config.json, read as far as the kind of checkpoint.
type config struct {
	top, words    *settings // words are text_config, and what it leaves to the top level
	vision, audio *settings // nil: none
	parts         []*settings
	drafter       bool
	unified       bool // no towers
	err           error

	shape // of the text model, where that has been read
}

// kinds are the architectures, and what stands for them where they are missing (model_type).
var kinds = map[string]struct{ drafter, unified bool }{
	"Gemma4ForConditionalGeneration": {}, "Gemma4ForCausalLM": {}, "gemma4": {}, "gemma4_text": {},
	"Gemma4UnifiedForConditionalGeneration": {unified: true}, "Gemma4UnifiedForCausalLM": {unified: true},
	"gemma4_unified": {unified: true}, "gemma4_unified_text": {unified: true},
	"Gemma4AssistantForCausalLM": {drafter: true}, "gemma4_assistant": {drafter: true},
	"Gemma4UnifiedAssistantForCausalLM": {drafter: true, unified: true}, "gemma4_unified_assistant": {drafter: true, unified: true},
}

// general are keys that any object may have and that say nothing about the graph: where it comes from, how it was made, and the ids of
// tokens, which the tokenizer knows.
var general = []string{"architectures", "model_type", "dtype", "torch_dtype", "transformers_version", "id2label", "label2id", "return_dict",
	"use_cache", "initializer_range", "attention_dropout", "pad_token_id", "bos_token_id", "eos_token_id", "boi_token_id", "eoi_token_id",
	"boa_token_id", "eoa_token_id", "eoa_token_index", "image_token_id", "audio_token_id", "video_token_id", "image_token_index",
	"vision_soft_tokens_per_image", "default_output_length", "unsloth_version", "unsloth_fixed",
	// defaults of older libraries, which write them into any file
	"temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty", "max_length", "num_beams", "num_beam_groups",
	"num_return_sequences"}

func newConfig(values map[string]any) *config {
	c := &config{}
	c.top = newSettings(configFile+": ", values, &c.err)
	kind := c.top.text("model_type")
	if list := c.top.list("architectures"); len(list) > 0 {
		kind = list[0]
	}
	known, ok := kinds[kind]
	if !ok {
		c.top.fail("architectures or model_type is %.60q, expected one of Gemma 4, such as \"Gemma4ForConditionalGeneration\"", kind)
		return c
	}
	c.drafter, c.unified = known.drafter, known.unified
	if c.top.has("quantization_config") || c.top.has("quantization") {
		c.top.fail("quantization_config is there: the checkpoint is quantised in a way of its own; convert the one that it was made of")
		return c
	}
	c.top.ignore("text_config", "quantization_config", "quantization")
	c.vision, c.audio = c.top.under("vision_config"), c.top.under("audio_config")
	c.words = newSettings(configFile+": text_config.", values, &c.err)
	if text := c.top.under("text_config"); text != nil {
		merged := maps.Clone(values)
		for _, key := range []string{"text_config", "vision_config", "audio_config"} {
			delete(merged, key)
		}
		maps.Copy(merged, text.values)
		c.words.values = merged
	} else {
		c.words.name = configFile + ": "
		c.words.ignore("vision_config", "audio_config")
	}
	c.words.ignore("backbone_hidden_size", "use_ordered_embeddings", "num_centroids", "centroid_intermediate_top_k") // drafters read them
	for _, s := range []*settings{c.words, c.vision, c.audio} {
		if s != nil {
			s.ignore(general...)
		}
	}
	return c
}

// shape is that of a text model or drafter.
type shape struct {
	layers, width, vocabulary, context, window int
	heads                                      int
	sliding                                    []bool
	headDim, kvHeads, mlp                      []int // per layer
	global, local                              int   // sizes of the heads of global and sliding layers
	owners                                     int   // layers from this one on have no keys and values of their own
	tied                                       bool  // in global layers, values are projected as keys
	perLayer                                   int
	experts, expertsUsed, expertWidth          int
	eps, softCap                               float64
	baseGlobal, baseLocal                      float64
	rotated                                    int // pairs of a global layer's head that rotate, of global/2
}

// readShape reads the shape of the text model or drafter.
func (c *config) readShape() {
	s := c.words
	h := shape{
		layers:     s.size("num_hidden_layers", 1, maxLayers),
		width:      s.size("hidden_size", 1, maxWidth),
		vocabulary: s.size("vocab_size", 1, maxTokens),
		context:    s.size("max_position_embeddings", 1, maxPositions, 1<<17),
		window:     s.size("sliding_window", 1, maxPositions),
		heads:      s.size("num_attention_heads", 1, maxWidth),
		local:      s.size("head_dim", 2, maxWidth, 256),
		tied:       s.on("attention_k_eq_v"),
		perLayer:   s.size("hidden_size_per_layer_input", 0, maxWidth, 0),
		eps:        s.float("rms_norm_eps", 1e-6),
		softCap:    s.float("final_logit_softcapping", 0),
	}
	kv := s.size("num_key_value_heads", 1, maxWidth)
	mlp := s.size("intermediate_size", 1, maxWidth)
	wide := s.on("use_double_wide_mlp")
	shared := s.size("num_kv_shared_layers", 0, maxLayers, 0)
	if c.drafter && shared == 0 {
		shared = h.layers
	}
	if h.owners = h.layers - shared; h.owners < 0 {
		s.fail("num_kv_shared_layers is %d, expected at most %d, the layers", shared, h.layers)
	}
	if s.on("enable_moe_block") {
		h.experts = s.size("num_experts", 1, maxExperts)
		h.expertsUsed = s.size("top_k_experts", 1, h.experts)
		width := "moe_intermediate_size"
		if !s.has(width) { // as the first files have it
			width = "expert_intermediate_size"
		}
		h.expertWidth = s.size(width, 1, maxWidth)
	}
	s.ignore("num_experts", "top_k_experts", "moe_intermediate_size", "expert_intermediate_size")
	s.must("hidden_activation", "gelu_pytorch_tanh")
	s.must("hidden_act", "gelu_pytorch_tanh")
	s.must("attention_bias", "false")
	s.ignore("sliding_window_pattern") // layer_types says it
	c.readKinds(&h)
	c.readHeads(&h, kv)
	c.readRope(&h)
	for i := range h.layers {
		n := mlp
		if wide && shared > 0 && i >= h.owners {
			n *= 2
		}
		h.mlp = append(h.mlp, n)
	}
	c.readAttention(&h)
	if n := s.size("vocab_size_per_layer_input", 0, maxTokens, h.vocabulary); h.perLayer > 0 && n != h.vocabulary {
		s.fail("vocab_size_per_layer_input is %d, expected %d, vocab_size", n, h.vocabulary)
	}
	c.shape = h
}

// readAttention checks whose tokens see each other in both directions. GGUF has no key for it: models without per-layer embeddings let the
// tokens of a picture do so.
func (c *config) readAttention(h *shape) {
	switch way := c.words.text("use_bidirectional_attention"); {
	case way != "" && way != "vision":
		c.words.fail("use_bidirectional_attention is %.40q, expected \"vision\" or null", way)
	case c.drafter || c.vision == nil:
	case way == "vision" && h.perLayer > 0:
		c.words.fail("use_bidirectional_attention is \"vision\", expected null in a model with per-layer embeddings")
	case way == "" && h.perLayer == 0 && !c.unified:
		c.words.fail("use_bidirectional_attention is null, expected \"vision\" in a model without per-layer embeddings")
	}
}

// readKinds reads which layers are sliding.
func (c *config) readKinds(h *shape) {
	const sliding, full = "sliding_attention", "full_attention"
	list := c.words.list("layer_types")
	if !c.words.has("layer_types") {
		for i := range h.layers {
			list = append(list, [...]string{sliding, full}[(i%6)/5])
		}
	}
	if len(list) != h.layers {
		c.words.fail("layer_types has %d entries, expected %d, one for each layer", len(list), h.layers)
		return
	}
	for i, kind := range list {
		if kind != sliding && kind != full {
			c.words.fail("layer_types[%d] is %.40q, expected %q or %q", i, kind, sliding, full)
		}
		h.sliding = append(h.sliding, kind == sliding)
	}
	if list[len(list)-1] != full {
		c.words.fail("layer_types[%d] is %q, expected the last layer to be %q", len(list)-1, list[len(list)-1], full)
	}
}

// readHeads reads the sizes of heads, and the number of those of keys and values, of each layer. Older files have one pair of keys for all
// global layers, newer ones an object for each layer that differs.
func (c *config) readHeads(h *shape, kv int) {
	if c.err != nil {
		return
	}
	global := c.words.size("num_global_key_value_heads", 1, maxWidth, kv)
	if !h.tied { // only models where both come from one projection have another number
		global = kv
	}
	h.global = c.words.size("global_head_dim", 2, maxWidth, 512)
	layers := c.words.under("per_layer_config")
	if layers != nil { // what it does not name is as in sliding layers
		global, h.global = kv, h.local
	}
	for i := range h.layers {
		dim, n := h.global, global
		if h.sliding[i] {
			dim, n = h.local, kv
		}
		if layers != nil {
			if own := layers.under(strconv.Itoa(i)); own != nil {
				dim, n = own.size("head_dim", 2, maxWidth, dim), own.size("num_key_value_heads", 1, maxWidth, n)
				c.parts = append(c.parts, own)
			}
		}
		if h.heads%n != 0 || h.heads > maxWidth/dim {
			c.words.fail("num_attention_heads is %d, expected a multiple of the %d heads of keys of layer %d, up to %d", h.heads, n, i,
				maxWidth/dim)
		}
		h.headDim, h.kvHeads = append(h.headDim, dim), append(h.kvHeads, n)
	}
	if layers != nil {
		c.parts = append(c.parts, layers)
	}
	// GGUF has one size for each kind of layer.
	for sliding, size := range map[bool]*int{false: &h.global, true: &h.local} {
		if first := slices.Index(h.sliding, sliding); first >= 0 {
			*size = h.headDim[first]
		}
		for i, dim := range h.headDim {
			if h.sliding[i] == sliding && dim != *size {
				c.words.fail("per_layer_config: head_dim is %d in layer %d, expected %d as in others of its kind", dim, i, *size)
			}
		}
	}
}

// readRope reads how heads rotate.
func (c *config) readRope(h *shape) {
	h.baseGlobal, h.baseLocal, h.rotated = 1e6, 1e4, h.global/8
	rope := c.words.under("rope_parameters")
	if rope == nil {
		return
	}
	c.parts = append(c.parts, rope)
	if local := rope.under("sliding_attention"); local != nil {
		local.must("rope_type", "default")
		local.must("partial_rotary_factor", "1")
		h.baseLocal = local.float("rope_theta")
		c.parts = append(c.parts, local)
	}
	if global := rope.under("full_attention"); global != nil {
		global.must("rope_type", "default", "proportional")
		h.baseGlobal = global.float("rope_theta")
		factor := global.float("partial_rotary_factor", 1)
		if kind := global.text("rope_type"); factor < 0 || factor > 1 || factor < 1 && kind != "proportional" {
			global.fail("partial_rotary_factor is %g with rope_type %.20q, expected 0 to 1 and \"proportional\"", factor, kind)
		}
		h.rotated = int(float64(h.global) * factor / 2)
		c.parts = append(c.parts, global)
	}
}

// unknown returns the keys of all objects that were read that nobody knows.
func (c *config) unknown() (list []string) {
	for _, s := range c.parts {
		list = append(list, s.unknown()...)
	}
	return list
}

// Beginnings of the names of tensors.
var (
	wordNames  = []string{"model.language_model.", "language_model.model.", "model."}
	towerNames = []string{"model.vision_tower.", "model.audio_tower.", "model.embed_vision.", "model.embed_audio.",
		"model.vision_embedder."}
	otherWords = []string{"model.language_model.", "language_model.", "model.embed_tokens", "model.layers.", "model.norm.",
		"model.per_layer_", "lm_head."}
)

// others returns how the names of tensors begin that belong to the parts that were not asked for.
func (c *config) others(p Part) []string {
	if p == Projector {
		return otherWords
	}
	list := slices.Clone(towerNames)
	for _, name := range towerNames { // as some write them
		list = append(list, strings.TrimPrefix(name, "model."))
	}
	return list
}

// names returns how the names of the text model's tensors begin.
func (l *loader) names() string {
	for _, prefix := range wordNames {
		if l.has(prefix + "embed_tokens.weight") {
			return prefix
		}
	}
	return wordNames[0]
}

// layerName returns the beginning of the names of layer i's tensors.
func layerName(prefix string, i int) string { return fmt.Sprintf("%s%d.", prefix, i) }
