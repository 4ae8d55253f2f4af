package synth

import (
	"errors"
	"fmt"
)

// Config returns config.json.
func (c Checkpoint) Config() ([]byte, error) {
	config, err := c.config()
	return marshal(config), err
}

func (c Checkpoint) config() (map[string]any, error) {
	general := map[string]any{"dtype": "bfloat16", "transformers_version": "5.5.0", "initializer_range": 0.02}
	top := map[string]any{"tie_word_embeddings": true, "image_token_id": 258880, "boi_token_id": 255999, "eoa_token_index": 258883,
		"vision_soft_tokens_per_image": 280, "id2label": map[string]any{"0": "LABEL_0"}, "audio_config": nil, "vision_config": nil}
	with := func(m map[string]any, all ...map[string]any) map[string]any {
		for _, x := range all {
			for key, v := range x {
				m[key] = v
			}
		}
		return m
	}
	with(top, general)
	switch m := c.Model.(type) {
	case Config:
		words, err := c.words(m)
		if err != nil {
			return nil, err
		}
		with(words, general)
		if c.Projector == nil {
			return with(top, words, map[string]any{"architectures": []string{"Gemma4ForCausalLM"}, "model_type": "gemma4_text"}), nil
		}
		kind := "Gemma4ForConditionalGeneration"
		if c.Projector.Unified {
			kind = "Gemma4UnifiedForConditionalGeneration"
		}
		with(top, c.Projector.config(), map[string]any{"architectures": []string{kind}, "text_config": words})
	case Drafter:
		words, err := c.words(m.config())
		if err != nil {
			return nil, err
		}
		words["vocab_size_per_layer_input"], words["use_bidirectional_attention"] = 0, nil
		with(top, map[string]any{"architectures": []string{"Gemma4AssistantForCausalLM"}, "text_config": with(words, general),
			"backbone_hidden_size": m.Model.Width, "use_ordered_embeddings": false, "num_centroids": 2048})
	default:
		return nil, errors.New("synth: a checkpoint is of a Config or a Drafter")
	}
	return top, nil
}

// words returns text_config.
func (c Checkpoint) words(m Config) (map[string]any, error) {
	if len(m.Heads) > 1 || m.Scales || m.SplitExperts || len(m.Unscaled) > 0 {
		return nil, errors.New("synth: a checkpoint of a shape that none has")
	}
	var kinds []string
	kv, global := 0, 0
	layers := map[string]any{}
	for i, sliding := range m.Sliding {
		kinds = append(kinds, map[bool]string{true: "sliding_attention", false: "full_attention"}[sliding])
		if sliding {
			kv = at(m.KVHeads, i)
		} else {
			global = at(m.KVHeads, i)
			layers[fmt.Sprint(i)] = map[string]any{"head_dim": m.HeadSize, "num_key_value_heads": global}
		}
	}
	words := map[string]any{
		"vocab_size": m.Vocabulary, "max_position_embeddings": m.Context, "num_hidden_layers": m.Layers, "hidden_size": m.Width,
		"num_attention_heads": m.Heads[0], "num_key_value_heads": kv, "head_dim": m.HeadSizeSliding, "layer_types": kinds,
		"sliding_window": m.Window, "num_kv_shared_layers": m.SharedKV, "attention_k_eq_v": kv != global || m.KeysAsValues,
		"intermediate_size": at(m.MLP, 0), "use_double_wide_mlp": at(m.MLP, m.Layers-1) > at(m.MLP, 0),
		"hidden_activation": "gelu_pytorch_tanh", "attention_bias": false, "attention_dropout": 0.0, "rms_norm_eps": 1e-6,
		"final_logit_softcapping": 30.0, "hidden_size_per_layer_input": m.PerLayer, "vocab_size_per_layer_input": m.Vocabulary,
		"use_bidirectional_attention": nil, "enable_moe_block": m.Experts > 0, "num_experts": nil, "top_k_experts": nil,
		"moe_intermediate_size": nil, "tie_word_embeddings": !m.Head, "bos_token_id": 2, "eos_token_id": []int{1, 106}, "pad_token_id": 0,
		"rope_parameters": map[string]any{
			"sliding_attention": map[string]any{"rope_type": "default", "rope_theta": 10000.0},
			"full_attention":    map[string]any{"rope_type": "proportional", "rope_theta": 1000000.0, "partial_rotary_factor": 0.25},
		},
	}
	if m.PerLayer == 0 {
		words["use_bidirectional_attention"] = "vision"
	}
	if m.Experts > 0 {
		words["num_experts"], words["top_k_experts"], words["moe_intermediate_size"] = m.Experts, m.ExpertsUsed, m.ExpertWidth
	}
	if c.Layers {
		words["per_layer_config"] = layers
	} else {
		words["global_head_dim"], words["num_global_key_value_heads"] = m.HeadSize, nil
		if kv != global {
			words["num_global_key_value_heads"] = global
		}
	}
	return words, nil
}

// config returns vision_config and audio_config.
func (p Projector) config() map[string]any {
	t, a := p.Vision, p.Audio
	if p.Unified {
		return map[string]any{
			"vision_config": map[string]any{"model_type": "gemma4_unified_vision", "patch_size": patchSide, "pooling_kernel_size": poolSide,
				"model_patch_size": patchSide * poolSide, "mm_embed_dim": t.Width, "mm_posemb_size": p.Positions,
				"output_proj_dims": p.Width, "rms_norm_eps": 1e-6},
			"audio_config": map[string]any{"model_type": "gemma4_unified_audio", "audio_embed_dim": a.Width, "rms_norm_eps": 1e-6},
		}
	}
	config := map[string]any{"vision_config": map[string]any{
		"model_type": "gemma4_vision", "hidden_size": t.Width, "num_hidden_layers": t.Layers, "num_attention_heads": t.Heads,
		"num_key_value_heads": t.Heads, "head_dim": t.Width / t.Heads, "global_head_dim": t.Width / t.Heads, "intermediate_size": t.MLP,
		"hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6, "max_position_embeddings": 131072, "attention_bias": false,
		"rope_parameters": map[string]any{"rope_type": "default", "rope_theta": 100.0}, "pooling_kernel_size": poolSide,
		"patch_size": patchSide, "position_embedding_size": p.Positions, "use_clipped_linears": p.Clamps, "standardize": p.Standardise,
		"default_output_length": 280,
	}}
	if a.Width > 0 {
		config["audio_config"] = map[string]any{
			"model_type": "gemma4_audio", "hidden_size": a.Width, "num_hidden_layers": a.Layers, "num_attention_heads": a.Heads,
			"hidden_act": "silu", "subsampling_conv_channels": p.Channels, "conv_kernel_size": convTaps, "residual_weight": 0.5,
			"attention_chunk_size": 12, "attention_context_left": 13, "attention_context_right": 0, "attention_logit_cap": 50.0,
			"attention_invalid_logits_value": -1e9, "gradient_clipping": 1e10, "use_clipped_linears": p.Clamps, "rms_norm_eps": 1e-6,
			"output_proj_dims": p.AudioOut,
		}
	}
	return config
}
