package synth

import (
	"math"
	"slices"
	"strings"
)

func backwards(dims []int) []int {
	shape := slices.Clone(dims)
	slices.Reverse(shape)
	return shape
}

// cutLayer takes the name of a layer's tensor apart: blk.7.attn_q.weight into 7 and attn_q.weight.
func cutLayer(prefix, name string) (layer, rest string, ok bool) {
	if rest, ok = strings.CutPrefix(name, prefix); !ok {
		return "", "", false
	}
	return strings.Cut(rest, ".")
}

// wordName returns the maker's name of a text model's or drafter's tensor, "" if there is none.
func wordName(prefix, name string) string {
	if own := map[string]string{"output.weight": "lm_head", "nextn.pre_projection.weight": "pre_projection",
		"nextn.post_projection.weight": "post_projection"}[name]; own != "" {
		return own + ".weight"
	}
	if own := map[string]string{
		"token_embd.weight": "embed_tokens", "per_layer_token_embd.weight": "embed_tokens_per_layer", "output_norm.weight": "norm",
		"per_layer_model_proj.weight": "per_layer_model_projection", "per_layer_proj_norm.weight": "per_layer_projection_norm",
	}[name]; own != "" {
		return prefix + own + ".weight"
	}
	layer, rest, ok := cutLayer("blk.", name)
	if !ok {
		return ""
	}
	own := map[string]string{
		"attn_norm.weight": "input_layernorm.weight", "attn_q.weight": "self_attn.q_proj.weight",
		"attn_k.weight": "self_attn.k_proj.weight", "attn_v.weight": "self_attn.v_proj.weight",
		"attn_output.weight": "self_attn.o_proj.weight",
		"attn_q_norm.weight": "self_attn.q_norm.weight", "attn_k_norm.weight": "self_attn.k_norm.weight",
		"post_attention_norm.weight": "post_attention_layernorm.weight", "ffn_norm.weight": "pre_feedforward_layernorm.weight",
		"ffn_gate.weight": "mlp.gate_proj.weight", "ffn_up.weight": "mlp.up_proj.weight", "ffn_down.weight": "mlp.down_proj.weight",
		"post_ffw_norm.weight": "post_feedforward_layernorm.weight", "layer_output_scale.weight": "layer_scalar",
		"inp_gate.weight": "per_layer_input_gate.weight", "proj.weight": "per_layer_projection.weight",
		"post_norm.weight": "post_per_layer_input_norm.weight", "pre_ffw_norm_2.weight": "pre_feedforward_layernorm_2.weight",
		"post_ffw_norm_1.weight": "post_feedforward_layernorm_1.weight", "post_ffw_norm_2.weight": "post_feedforward_layernorm_2.weight",
		"ffn_gate_inp.weight": "router.proj.weight", "ffn_gate_inp.scale": "router.scale", "ffn_down_exps.scale": "router.per_expert_scale",
		"ffn_gate_up_exps.weight": "experts.gate_up_proj", "ffn_down_exps.weight": "experts.down_proj",
	}[rest]
	if own == "" {
		return ""
	}
	return prefix + "layers." + layer + "." + own
}

// own returns the maker's name, shape and order of a projector's tensor.
func (p Projector) own(name string, dims []int) (own string, shape []int, change func([]float32) []float32) {
	shape = backwards(dims)
	switch name {
	case "mm.input_projection.weight":
		return "model.embed_vision.embedding_projection.weight", shape, nil
	case "mm.a.input_projection.weight":
		return "model.embed_audio.embedding_projection.weight", shape, nil
	}
	if p.Unified {
		return p.ownUnified(name, shape)
	}
	switch {
	case name == "v.patch_embd.weight": // channel, row, column to row, column, channel
		const pixels = 3 * patchSide * patchSide
		return "model.vision_tower.patch_embedder.input_proj.weight", []int{shape[0], pixels}, byPixel(pixels)
	case name == "v.position_embd.weight":
		return "model.vision_tower.patch_embedder.position_embedding_table", shape, nil
	case strings.HasPrefix(name, "v.std_"):
		return "model.vision_tower." + strings.TrimPrefix(name, "v."), shape, nil
	case strings.HasPrefix(name, "a.pre_encode.out."):
		return "model.audio_tower.output_proj." + strings.TrimPrefix(name, "a.pre_encode.out."), shape, nil
	case name == "a.input_projection.weight":
		return "model.audio_tower.subsample_conv_projection.input_proj_linear.weight", shape, nil
	}
	if i, rest, ok := cutLayer("a.conv1d.", name); ok {
		if rest == "weight" {
			rest = "conv.weight"
		}
		return "model.audio_tower.subsample_conv_projection.layer" + i + "." + rest, shape, nil
	}
	if i, rest, ok := cutLayer("v.blk.", name); ok {
		return "model.vision_tower.encoder.layers." + i + "." + linearName(rest, visionNames), scalar(rest, shape), nil
	}
	i, rest, ok := cutLayer("a.blk.", name)
	if !ok {
		return "", nil, nil
	}
	if shape = scalar(rest, shape); rest == "conv_dw.weight" {
		shape = []int{shape[0], 1, shape[1]}
	}
	if rest == "per_dim_scale.weight" {
		change = beforeSoftplus
	}
	return "model.audio_tower.layers." + i + "." + linearName(rest, soundNames), shape, change
}

// The names of a layer's tensors in the towers; those that end in a dot are products.
var (
	visionNames = map[string]string{
		"ln1": "input_layernorm", "ln2": "pre_feedforward_layernorm", "attn_post_norm": "post_attention_layernorm",
		"ffn_post_norm": "post_feedforward_layernorm", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
		"attn_q": "self_attn.q_proj.", "attn_k": "self_attn.k_proj.", "attn_v": "self_attn.v_proj.", "attn_out": "self_attn.o_proj.",
		"ffn_gate": "mlp.gate_proj.", "ffn_up": "mlp.up_proj.", "ffn_down": "mlp.down_proj.",
	}
	soundNames = map[string]string{
		"ffn_norm": "feed_forward1.pre_layer_norm", "ffn_post_norm": "feed_forward1.post_layer_norm",
		"ffn_up": "feed_forward1.ffw_layer_1.", "ffn_down": "feed_forward1.ffw_layer_2.",
		"ffn_norm_1": "feed_forward2.pre_layer_norm", "ffn_post_norm_1": "feed_forward2.post_layer_norm",
		"ffn_up_1": "feed_forward2.ffw_layer_1.", "ffn_down_1": "feed_forward2.ffw_layer_2.",
		"attn_pre_norm": "norm_pre_attn", "attn_post_norm": "norm_post_attn", "ln2": "norm_out",
		"attn_q": "self_attn.q_proj.", "attn_k": "self_attn.k_proj.", "attn_v": "self_attn.v_proj.", "attn_out": "self_attn.post.",
		"attn_k_rel": "self_attn.relative_k_proj", "per_dim_scale": "self_attn.per_dim_scale",
		"conv_norm": "lconv1d.pre_layer_norm", "norm_conv": "lconv1d.conv_norm", "conv_pw1": "lconv1d.linear_start.",
		"conv_pw2": "lconv1d.linear_end.", "conv_dw": "lconv1d.depthwise_conv1d",
	}
)

// linearName returns the maker's name of a layer's tensor of a tower.
func linearName(rest string, names map[string]string) string {
	name, end, _ := strings.Cut(rest, ".")
	own := names[name]
	switch {
	case own == "self_attn.per_dim_scale":
		return own
	case !strings.HasSuffix(own, "."):
		return own + "." + end
	case end == "weight":
		return own + "linear.weight"
	}
	return own + end // a bound
}

// scalar returns the shape of a bound, which has no dimensions, and of all others as it is.
func scalar(rest string, shape []int) []int {
	if strings.HasSuffix(rest, "_min") || strings.HasSuffix(rest, "_max") {
		return []int{}
	}
	return shape
}

// ownUnified is own for what stands in place of towers.
func (p Projector) ownUnified(name string, shape []int) (string, []int, func([]float32) []float32) {
	const pixels = 3 * patchSide * poolSide * patchSide * poolSide
	own := map[string]string{
		"v.patch_embd.weight": "patch_dense.weight", "v.patch_embd.bias": "patch_dense.bias",
		"v.patch_norm.1.weight": "patch_ln1.weight", "v.patch_norm.1.bias": "patch_ln1.bias",
		"v.patch_norm.2.weight": "patch_ln2.weight", "v.patch_norm.2.bias": "patch_ln2.bias",
		"v.patch_norm.3.weight": "pos_norm.weight", "v.patch_norm.3.bias": "pos_norm.bias", "v.position_embd.weight": "pos_embedding",
	}[name]
	if own == "" {
		return "", nil, nil
	}
	own = "model.vision_embedder." + own
	switch name {
	case "v.patch_embd.weight", "v.patch_norm.1.weight", "v.patch_norm.1.bias":
		return own, shape, byPixel(pixels)
	case "v.position_embd.weight": // axis, place, width to place, axis, width
		places, d := shape[1], shape[2]
		return own, []int{places, 2, d}, func(v []float32) (out []float32) {
			for i := range places {
				out = append(append(out, v[i*d:(i+1)*d]...), v[(places+i)*d:(places+i+1)*d]...)
			}
			return out
		}
	}
	return own, shape, nil
}

// byPixel returns what puts rows of n values, a whole colour after the other, into the order where those of a pixel lie side by side.
func byPixel(n int) func([]float32) []float32 {
	return func(v []float32) (out []float32) {
		for row := range slices.Chunk(v, n) {
			for i := range n / 3 {
				out = append(out, row[i], row[n/3+i], row[2*n/3+i])
			}
		}
		return out
	}
}

// beforeSoftplus returns the numbers of which softplus makes v.
func beforeSoftplus(v []float32) (out []float32) {
	for _, y := range v {
		out = append(out, float32(math.Log(math.Expm1(float64(y)))))
	}
	return out
}
