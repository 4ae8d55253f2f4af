package convert

// text reads a text model.
func (c *config) text(l *loader, k *keys, name string) {
	c.readShape()
	if c.err != nil {
		return
	}
	c.parts = append(c.parts, c.words)
	k.set("general.architecture", "gemma4")
	k.set("general.type", "model")
	k.set("general.name", name)
	k.prefix = "gemma4."
	c.setShape(k)
	if c.softCap > 0 {
		k.set("final_logit_softcapping", float32(c.softCap))
	}
	if c.experts > 0 {
		k.number("expert_count", c.experts)
		k.number("expert_used_count", c.expertsUsed)
		k.number("expert_feed_forward_length", c.expertWidth)
	}
	k.prefix = ""

	own, d := l.names(), c.width
	l.layer("", own)
	l.take("token_embd.weight", "embed_tokens.weight", form{}, d, c.vocabulary)
	if p := c.perLayer; p > 0 {
		l.take("per_layer_token_embd.weight", "embed_tokens_per_layer.weight", form{}, p*c.layers, c.vocabulary)
		l.take("per_layer_model_proj.weight", "per_layer_model_projection.weight", form{}, d, p*c.layers)
		l.take("per_layer_proj_norm.weight", "per_layer_projection_norm.weight", values, p)
	}
	l.take("output_norm.weight", "norm.weight", values, d)
	c.ropeFreqs(l)
	tied := c.words.on("tie_word_embeddings", true)
	l.layer("", "")
	switch head := "lm_head.weight"; {
	case l.has(head):
		l.take("output.weight", head, form{}, d, c.vocabulary)
	case !tied:
		l.fail("tensor %s is missing, but tie_word_embeddings is false", head)
	}
	for i := range c.layers {
		l.layer(layerName("blk.", i), layerName(own+"layers.", i))
		c.layer(l, i)
	}
}

// layer takes the tensors of a layer.
func (c *config) layer(l *loader, i int) {
	d, head, mlp := c.width, c.headDim[i], c.mlp[i]
	l.take("attn_norm.weight", "input_layernorm.weight", values, d)
	l.take("attn_q.weight", "self_attn.q_proj.weight", form{}, d, c.heads*head)
	l.take("attn_q_norm.weight", "self_attn.q_norm.weight", values, head)
	if i < c.owners {
		l.take("attn_k.weight", "self_attn.k_proj.weight", form{}, d, c.kvHeads[i]*head)
		l.take("attn_k_norm.weight", "self_attn.k_norm.weight", values, head)
		if c.sliding[i] || !c.tied {
			l.take("attn_v.weight", "self_attn.v_proj.weight", form{}, d, c.kvHeads[i]*head)
		}
	} else {
		l.leave("self_attn.k_proj.weight", "self_attn.k_norm.weight", "self_attn.v_proj.weight")
	}
	l.take("attn_output.weight", "self_attn.o_proj.weight", form{}, c.heads*head, d)
	l.take("post_attention_norm.weight", "post_attention_layernorm.weight", values, d)

	l.take("ffn_norm.weight", "pre_feedforward_layernorm.weight", values, d)
	l.take("ffn_gate.weight", "mlp.gate_proj.weight", form{}, d, mlp)
	l.take("ffn_up.weight", "mlp.up_proj.weight", form{}, d, mlp)
	l.take("ffn_down.weight", "mlp.down_proj.weight", form{}, mlp, d)
	l.take("post_ffw_norm.weight", "post_feedforward_layernorm.weight", values, d)
	l.take("layer_output_scale.weight", "layer_scalar", values, 1)
	if n, f := c.experts, c.expertWidth; n > 0 {
		l.take("ffn_gate_inp.weight", "router.proj.weight", values, d, n)
		l.take("ffn_gate_inp.scale", "router.scale", values, d)
		l.take("pre_ffw_norm_2.weight", "pre_feedforward_layernorm_2.weight", values, d)
		l.take("post_ffw_norm_1.weight", "post_feedforward_layernorm_1.weight", values, d)
		l.take("post_ffw_norm_2.weight", "post_feedforward_layernorm_2.weight", values, d)
		l.take("ffn_gate_up_exps.weight", "experts.gate_up_proj", form{}, d, 2*f, n)
		l.take("ffn_down_exps.weight", "experts.down_proj", form{}, f, d, n)
		l.take("ffn_down_exps.scale", "router.per_expert_scale", values, n)
	}
	if p := c.perLayer; p > 0 {
		l.take("inp_gate.weight", "per_layer_input_gate.weight", form{}, d, p)
		l.take("proj.weight", "per_layer_projection.weight", form{}, p, d)
		l.take("post_norm.weight", "post_per_layer_input_norm.weight", values, d)
	}
}

// ropeFreqs adds the factors by which global layers divide their frequencies: only the first pairs of a head rotate.
func (c *config) ropeFreqs(l *loader) {
	factors := make([]float32, c.global/2)
	for i := range factors {
		factors[i] = 1
		if i >= c.rotated {
			factors[i] = 1e30
		}
	}
	l.given("rope_freqs.weight", factors)
}

// setShape writes the keys that models and drafters have.
func (c *config) setShape(k *keys) {
	k.number("block_count", c.layers)
	k.number("context_length", c.context)
	k.number("embedding_length", c.width)
	k.perLayer("feed_forward_length", c.mlp)
	k.number("attention.head_count", c.heads)
	k.perLayer("attention.head_count_kv", c.kvHeads)
	k.number("attention.key_length", c.global)
	k.number("attention.value_length", c.global)
	k.number("attention.key_length_swa", c.local)
	k.number("attention.value_length_swa", c.local)
	k.number("attention.sliding_window", c.window)
	k.set("attention.sliding_window_pattern", c.sliding)
	k.number("attention.shared_kv_layers", c.layers-c.owners)
	k.set("attention.layer_norm_rms_epsilon", float32(c.eps))
	k.set("rope.freq_base", float32(c.baseGlobal))
	k.set("rope.freq_base_swa", float32(c.baseLocal))
	k.number("rope.dimension_count", c.global)
	k.number("rope.dimension_count_swa", c.local)
	k.number("embedding_length_per_layer_input", c.perLayer)
}
