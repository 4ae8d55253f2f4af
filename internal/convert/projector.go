package convert

import (
	"fmt"
	"math"
)

// Sizes that all projectors have and config.json does not say.
const (
	channels = 3   // of a picture
	melBins  = 128 // of a sound
)

// projector reads what makes embeddings of pictures and sounds.
func (c *config) projector(l *loader, k *keys, name string) {
	if c.drafter || c.vision == nil && c.audio == nil {
		c.top.fail("neither vision_config nor audio_config is there: %w", ErrNoPart)
		return
	}
	width := c.words.size("hidden_size", 1, maxWidth)
	k.set("general.architecture", "clip")
	k.set("general.type", "mmproj")
	k.set("general.name", name)
	k.set("clip.has_vision_encoder", c.vision != nil)
	k.set("clip.has_audio_encoder", c.audio != nil)
	if s := c.vision; s != nil {
		c.parts = append(c.parts, s)
		if c.unified {
			c.patches(l, k, width)
		} else {
			c.pictures(l, k, width)
		}
		k.prefix = ""
	}
	if s := c.audio; s != nil {
		c.parts = append(c.parts, s)
		if c.unified {
			c.samples(l, k, width)
		} else {
			c.sounds(l, k, width)
		}
		k.prefix = ""
	}
}

// tower is the shape of one tower; without layers only its width counts.
type tower struct{ layers, width, heads, mlp int }

// set writes the keys of a sense.
func (t tower) set(k *keys, sense, kind string, projection int) {
	k.prefix = "clip." + sense + "."
	k.set("projector_type", kind)
	k.number("embedding_length", t.width)
	k.number("feed_forward_length", t.mlp)
	k.number("block_count", t.layers)
	k.number("attention.head_count", t.heads)
	k.number("projection_dim", projection)
	k.set("attention.layer_norm_epsilon", float32(1e-6))
}

// setPicture writes what pictures are cut into. The size and the colours are those that the towers have without saying.
func setPicture(k *keys, patch, pool int) {
	k.number("image_size", 224)
	k.number("patch_size", patch)
	k.number("projector.scale_factor", pool)
	k.set("image_mean", []float32{0, 0, 0})
	k.set("image_std", []float32{1, 1, 1})
}

// sides reads the side of a patch in pixels, and that of a token in patches.
func sides(s *settings) (patch, pool int) {
	return s.size("patch_size", 1, 256, 16), s.size("pooling_kernel_size", 1, 16, 3)
}

// pictures reads the tower of pictures.
func (c *config) pictures(l *loader, k *keys, width int) {
	s := c.vision
	t := tower{s.size("num_hidden_layers", 1, maxLayers), s.size("hidden_size", 1, maxWidth), s.size("num_attention_heads", 1, maxWidth),
		s.size("intermediate_size", 1, maxWidth)}
	patch, pool := sides(s)
	places := s.size("position_embedding_size", 1, maxWidth, 10240)
	bounded, standard := s.on("use_clipped_linears"), s.on("standardize")
	head := t.width / t.heads
	if n := s.size("head_dim", 1, maxWidth, head); n*t.heads != t.width {
		s.fail("num_attention_heads is %d and head_dim %d, expected their product to be hidden_size, %d", t.heads, n, t.width)
	}
	s.must("num_key_value_heads", fmt.Sprint(t.heads))
	s.must("global_head_dim", fmt.Sprint(head))
	s.must("hidden_activation", "gelu_pytorch_tanh")
	s.must("rms_norm_eps", "1e-06")
	s.must("attention_bias", "false")
	if rope := s.under("rope_parameters"); rope != nil {
		rope.must("rope_type", "default")
		rope.must("rope_theta", "100")
		c.parts = append(c.parts, rope)
	}
	s.ignore("max_position_embeddings", "image_size")
	if c.err != nil {
		return
	}
	t.set(k, "vision", "gemma4v", width)
	setPicture(k, patch, pool)

	const own = "model.vision_tower."
	d, pixels := t.width, channels*patch*patch
	planes := form{floats: true, shape: []int{d, pixels}, per: channels * patch, change: byPlane(patch)}
	l.layer("", own)
	l.take("v.patch_embd.weight", "patch_embedder.input_proj.weight", planes, patch, patch, channels, d)
	l.take("v.position_embd.weight", "patch_embedder.position_embedding_table", values, d, places, 2)
	for i := range t.layers {
		l.layer(layerName("v.blk.", i), layerName(own+"encoder.layers.", i))
		l.take("ln1.weight", "input_layernorm.weight", values, d)
		l.take("attn_post_norm.weight", "post_attention_layernorm.weight", values, d)
		l.take("ln2.weight", "pre_feedforward_layernorm.weight", values, d)
		l.take("ffn_post_norm.weight", "post_feedforward_layernorm.weight", values, d)
		l.take("attn_q_norm.weight", "self_attn.q_norm.weight", values, head)
		l.take("attn_k_norm.weight", "self_attn.k_norm.weight", values, head)
		l.linear("attn_q", "self_attn.q_proj", bounded, d, d)
		l.linear("attn_k", "self_attn.k_proj", bounded, d, d)
		l.linear("attn_v", "self_attn.v_proj", bounded, d, d)
		l.linear("attn_out", "self_attn.o_proj", bounded, d, d)
		l.linear("ffn_gate", "mlp.gate_proj", bounded, d, t.mlp)
		l.linear("ffn_up", "mlp.up_proj", bounded, d, t.mlp)
		l.linear("ffn_down", "mlp.down_proj", bounded, t.mlp, d)
	}
	l.layer("", own)
	if standard {
		l.take("v.std_bias", "std_bias", values, d)
		l.take("v.std_scale", "std_scale", values, d)
	}
	l.layer("", "model.")
	l.take("mm.input_projection.weight", "embed_vision.embedding_projection.weight", form{}, d, width)
}

// linear takes a product and, where it has some, the bounds of what goes in and comes out.
func (l *loader) linear(name, own string, bounded bool, in, out int) {
	l.take(name+".weight", own+".linear.weight", form{}, in, out)
	for _, end := range []string{".input_min", ".input_max", ".output_min", ".output_max"} {
		if bounded && l.has(own+end) {
			l.take(name+end, own+end, values, 1)
		}
	}
}

// sounds reads the tower of sounds.
func (c *config) sounds(l *loader, k *keys, width int) {
	s := c.audio
	t := tower{layers: s.size("num_hidden_layers", 1, maxLayers), width: s.size("hidden_size", 1, maxWidth/4),
		heads: s.size("num_attention_heads", 1, maxWidth)}
	t.mlp = 4 * t.width
	bins := s.size("input_feat_size", 4, 1<<10, melBins)
	conv := s.sizes("subsampling_conv_channels", 2, 1, 1<<12, 128, 32)
	taps, out := s.size("conv_kernel_size", 1, 64, 5), s.size("output_proj_dims", 1, maxWidth, 1536)
	bounded := s.on("use_clipped_linears", true)
	if t.width%t.heads != 0 {
		s.fail("num_attention_heads is %d, expected a number that divides hidden_size, %d", t.heads, t.width)
	}
	s.must("hidden_act", "silu")
	s.must("residual_weight", "0.5")
	s.must("attention_chunk_size", "12")
	s.must("attention_context_left", "13")
	s.must("attention_context_right", "0")
	s.must("attention_logit_cap", "50")
	s.must("rms_norm_eps", "1e-06")
	s.ignore("attention_invalid_logits_value", "gradient_clipping")
	if c.err != nil {
		return
	}
	t.set(k, "audio", "gemma4a", width)
	k.number("num_mel_bins", bins)

	const own = "model.audio_tower."
	d := t.width
	l.layer("", own+"subsample_conv_projection.")
	for i, in := range []int{1, conv[0]} {
		name, own := fmt.Sprintf("a.conv1d.%d", i), fmt.Sprintf("layer%d", i)
		l.take(name+".weight", own+".conv.weight", values, 3, 3, in, conv[i])
		l.take(name+".norm.weight", own+".norm.weight", values, conv[i])
	}
	half := func(n int) int { return (n + 1) / 2 }
	l.take("a.input_projection.weight", "input_proj_linear.weight", form{}, half(half(bins))*conv[1], d)
	for i := range t.layers {
		l.layer(layerName("a.blk.", i), layerName(own+"layers.", i))
		for j, end := range []string{"", "_1"} {
			own := fmt.Sprintf("feed_forward%d.", j+1)
			l.take("ffn_norm"+end+".weight", own+"pre_layer_norm.weight", values, d)
			l.linear("ffn_up"+end, own+"ffw_layer_1", bounded, d, t.mlp)
			l.linear("ffn_down"+end, own+"ffw_layer_2", bounded, t.mlp, d)
			l.take("ffn_post_norm"+end+".weight", own+"post_layer_norm.weight", values, d)
		}
		l.take("attn_pre_norm.weight", "norm_pre_attn.weight", values, d)
		l.linear("attn_q", "self_attn.q_proj", bounded, d, d)
		l.linear("attn_k", "self_attn.k_proj", bounded, d, d)
		l.linear("attn_v", "self_attn.v_proj", bounded, d, d)
		l.linear("attn_out", "self_attn.post", bounded, d, d)
		l.take("attn_k_rel.weight", "self_attn.relative_k_proj.weight", form{}, d, d)
		l.take("per_dim_scale.weight", "self_attn.per_dim_scale", form{floats: true, change: softplus}, d/t.heads)
		l.take("attn_post_norm.weight", "norm_post_attn.weight", values, d)
		// GGUF's names of these two norms are the wrong way round, in all files.
		l.take("conv_norm.weight", "lconv1d.pre_layer_norm.weight", values, d)
		l.take("norm_conv.weight", "lconv1d.conv_norm.weight", values, d)
		l.linear("conv_pw1", "lconv1d.linear_start", bounded, d, 2*d)
		l.take("conv_dw.weight", "lconv1d.depthwise_conv1d.weight", form{floats: true, shape: []int{d, 1, taps}}, taps, d)
		l.linear("conv_pw2", "lconv1d.linear_end", bounded, d, d)
		l.take("ln2.weight", "norm_out.weight", values, d)
	}
	l.layer("", own)
	l.take("a.pre_encode.out.weight", "output_proj.weight", form{}, d, out)
	l.take("a.pre_encode.out.bias", "output_proj.bias", values, out)
	l.layer("", "model.")
	l.take("mm.a.input_projection.weight", "embed_audio.embedding_projection.weight", form{}, out, width)
}

// patches reads what unified models have instead of a tower of pictures: a projection of a token's pixels, and norms.
func (c *config) patches(l *loader, k *keys, width int) {
	s := c.vision
	patch, pool := sides(s)
	d, places := s.size("mm_embed_dim", 1, maxWidth), s.size("mm_posemb_size", 1, maxWidth, 1120)
	side := patch * pool
	s.must("model_patch_size", fmt.Sprint(side))
	s.must("rms_norm_eps", "1e-06")
	s.must("output_proj_dims", fmt.Sprint(width))
	s.ignore("num_soft_tokens", "image_size")
	if c.err != nil {
		return
	}
	tower{width: d}.set(k, "vision", "gemma4uv", width)
	setPicture(k, patch, pool)

	pixels := channels * side * side
	planes := form{floats: true, change: byPlane(side)}
	l.layer("", "model.vision_embedder.")
	l.take("v.patch_embd.weight", "patch_dense.weight", planes, pixels, d)
	l.take("v.patch_embd.bias", "patch_dense.bias", values, d)
	l.take("v.patch_norm.1.weight", "patch_ln1.weight", planes, pixels)
	l.take("v.patch_norm.1.bias", "patch_ln1.bias", planes, pixels)
	for i, own := range []string{"patch_ln2", "pos_norm"} {
		name := fmt.Sprintf("v.patch_norm.%d", i+2)
		l.take(name+".weight", own+".weight", values, d)
		l.take(name+".bias", own+".bias", values, d)
	}
	// The checkpoint has a place's column and row side by side, GGUF all columns before all rows.
	byAxis := form{floats: true, shape: []int{places, 2, d}, row: func(i int) int { return i%places*2 + i/places }}
	l.take("v.position_embd.weight", "pos_embedding", byAxis, d, places, 2)
	l.layer("", "model.")
	l.take("mm.input_projection.weight", "embed_vision.embedding_projection.weight", form{}, d, width)
}

// samples reads what unified models have instead of a tower of sounds.
func (c *config) samples(l *loader, k *keys, width int) {
	s := c.audio
	n := s.size("audio_embed_dim", 1, maxWidth, 640)
	for _, same := range []string{"hidden_size", "output_proj_dims", "audio_samples_per_token"} {
		s.must(same, fmt.Sprint(n))
	}
	s.must("rms_norm_eps", "1e-06")
	if c.err != nil {
		return
	}
	tower{width: n}.set(k, "audio", "gemma4ua", width)
	k.number("num_mel_bins", melBins) // readers look for it
	l.layer("", "model.")
	l.take("mm.a.input_projection.weight", "embed_audio.embedding_projection.weight", form{}, n, width)
}

// byPlane returns what puts the values of a square patch, red, green and blue side by side, into the order of one colour after the other.
func byPlane(side int) func(row []float32) {
	return func(row []float32) {
		area := side * side
		out := make([]float32, len(row))
		for i, v := range row {
			out[i%channels*area+i/channels] = v
		}
		copy(row, out)
	}
}

// softplus is ln(1 + eˣ).
func softplus(row []float32) {
	for i, x := range row {
		row[i] = float32(math.Max(float64(x), 0) + math.Log1p(math.Exp(-math.Abs(float64(x)))))
	}
}
