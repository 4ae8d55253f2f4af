package convert

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/internal/safetensors"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// edited reads a part of a checkpoint whose config.json has been changed.
func edited(t *testing.T, c synth.Checkpoint, p Part, edit func(top map[string]any)) error {
	t.Helper()
	data, err := c.Config()
	if err != nil {
		t.Fatal(err)
	}
	var top map[string]any
	if err := json.Unmarshal(data, &top); err != nil {
		t.Fatal(err)
	}
	edit(top)
	if data, err = json.Marshal(top); err != nil {
		t.Fatal(err)
	}
	values, err := parseObject(data)
	if err != nil {
		t.Fatal(err)
	}
	_, err = newConfig(values).part(table(t, c), "name", p)
	return err
}

// put sets a value at a path such as "text_config.rope_parameters.full_attention.rope_type"; nil deletes it.
func put(top map[string]any, path string, v any) {
	keys := strings.Split(path, ".")
	for _, key := range keys[:len(keys)-1] {
		top = top[key].(map[string]any)
	}
	if last := keys[len(keys)-1]; v == nil {
		delete(top, last)
	} else {
		top[last] = v
	}
}

func TestKeysThatAskForAnotherGraphAreErrors(t *testing.T) {
	e, moe, dense := parse(t, "micro-e", tensor.BF16), parse(t, "micro-moe", tensor.BF16), parse(t, "micro-dense", tensor.BF16)
	drafter, plain := parseDrafter(t, "micro-e", tensor.BF16), e
	plain.Projector = nil                              // config.json has no text_config then
	layers := func(layer, key string) map[string]any { // as they are, and more
		global := map[string]any{"head_dim": 32}
		return map[string]any{"4": global, "9": global, layer: map[string]any{key: 8}}
	}
	for _, c := range []struct {
		of   made
		part Part
		path string
		v    any
		want string
	}{
		{e, Text, "architectures", []string{"Gemma3ForCausalLM"}, `is "Gemma3ForCausalLM", expected one of Gemma 4`},
		{e, Text, "quantization_config", map[string]any{"quant_method": "gptq"}, "the checkpoint is quantised"},
		{e, Text, "text_config", 5, "text_config is 5, expected an object"},
		{e, Text, "text_config.hidden_size", nil, "text_config.hidden_size is missing"},
		{e, Text, "text_config.hidden_size", "64", `hidden_size is "64", expected a number from 1 to 262144`},
		{e, Text, "text_config.hidden_size", 64.5, "hidden_size is 64.5"},
		{e, Text, "text_config.hidden_size", int64(1 << 40), "hidden_size is 1099511627776"},
		{e, Text, "text_config.hidden_size", 128, "has the shape [512 64], expected [512 128]"},
		{e, Text, "text_config.num_hidden_layers", 1 << 30, "expected a number from 1 to 1024"},
		{e, Text, "text_config.num_hidden_layers", 9, "layer_types has 10 entries, expected 9"},
		{e, Text, "text_config.num_kv_shared_layers", 11, "num_kv_shared_layers is 11, expected at most 10"},
		{e, Text, "text_config.num_attention_heads", 3, "tensor model.language_model.layers.0.self_attn.q_proj.weight has the shape"},
		{moe, Text, "text_config.num_attention_heads", 3, "expected a multiple of the 2 heads of keys of layer 0"},
		{e, Text, "text_config.hidden_activation", "relu", `hidden_activation is "relu", expected gelu_pytorch_tanh: the graph is another`},
		{e, Text, "text_config.attention_bias", true, "attention_bias is true, expected false"},
		{e, Text, "text_config.attention_k_eq_v", true, "tensor model.language_model.layers.4.self_attn.v_proj.weight"},
		{dense, Text, "text_config.attention_k_eq_v", false, "self_attn.k_proj.weight has the shape"},
		{e, Text, "text_config.use_bidirectional_attention", "all", `use_bidirectional_attention is "all"`},
		{e, Text, "text_config.use_bidirectional_attention", "vision", "expected null in a model with per-layer embeddings"},
		{moe, Text, "text_config.use_bidirectional_attention", nil, `is null, expected "vision"`},
		{e, Text, "text_config.tie_word_embeddings", false, "tensor lm_head.weight is missing, but tie_word_embeddings is false"},
		{e, Text, "text_config.layer_types", []any{1}, "layer_types[0] is 1, expected a string"},
		{e, Text, "text_config.vocab_size_per_layer_input", 500, "vocab_size_per_layer_input is 500, expected 512"},
		{e, Text, "text_config.rope_parameters.full_attention.rope_type", "yarn", `rope_type is "yarn"`},
		{e, Text, "text_config.rope_parameters.full_attention.rope_type", "default", "partial_rotary_factor is 0.25 with rope_type"},
		{e, Text, "text_config.rope_parameters.full_attention.factor", 8, "rope_parameters.full_attention.factor (8)"},
		{e, Text, "text_config.rope_parameters.sliding_attention.partial_rotary_factor", 0.5, "partial_rotary_factor is 0.5, expected 1"},
		{e, Text, "text_config.rms_norm_eps", 1e300, "rms_norm_eps is 1e+300, expected a number"},
		{e, Text, "text_config.query_pre_attn_scalar", 256, "text_config.query_pre_attn_scalar (256)"},
		{e, Text, "text_config.hidden_size_per_layer_input", nil, "use_bidirectional_attention is null"},
		{plain, Text, "hidden_size_per_layer_input", nil, "tensor model.embed_tokens_per_layer.weight"},
		{moe, Text, "text_config.top_k_experts", 9, "top_k_experts is 9, expected a number from 1 to 8"},
		{moe, Text, "text_config.enable_moe_block", false, "router"},
		{e, Text, "text_config.per_layer_config", layers("3", "head_dim"), "head_dim is 8 in layer 3, expected 16"},
		{e, Text, "text_config.per_layer_config", map[string]any{"4": map[string]any{"head_dim": 32}},
			"head_dim is 16 in layer 9, expected 32"},
		{e, Text, "text_config.per_layer_config", layers("3", "intermediate_size"), "per_layer_config.3.intermediate_size (8)"},
		{e, Text, "text_config.per_layer_config", layers("10", "head_dim"), "per_layer_config.10"},
		{e, Projector, "vision_config.standardize", true, "tensor model.vision_tower.std_bias is missing"},
		{moe, Projector, "vision_config.standardize", false, "tensor model.vision_tower.std_bias"},
		{e, Projector, "vision_config.use_clipped_linears", false, "input_min"},
		{e, Projector, "vision_config.head_dim", 8, "expected their product to be hidden_size, 64"},
		{e, Projector, "vision_config.rms_norm_eps", 1e-5, "rms_norm_eps is 0.00001, expected 1e-06"},
		{e, Projector, "vision_config.rope_parameters.rope_theta", 1000, "rope_theta is 1000, expected 100"},
		{e, Projector, "vision_config.patch_size", 14, "has the shape [64 768], expected [64 588]"},
		{e, Projector, "audio_config.attention_context_left", 12, "attention_context_left is 12, expected 13"},
		{e, Projector, "audio_config.subsampling_conv_channels", []int{16}, "subsampling_conv_channels is [16], expected 2 numbers"},
		{e, Projector, "audio_config.something_new", "x", `audio_config.something_new ("x"); a key that changes nothing`},
		{e, Projector, "audio_config", nil, "tensor model.audio_tower."},
		{dense, Projector, "vision_config.model_patch_size", 32, "model_patch_size is 32, expected 48"},
		{dense, Projector, "audio_config.hidden_size", 641, "hidden_size is 641, expected 640"},
		{drafter, Projector, "text_config.x", 1, "there is no such part"},
		{drafter, Text, "backbone_hidden_size", nil, "backbone_hidden_size is missing"},
		{drafter, Text, "text_config.num_kv_shared_layers", 2, "num_kv_shared_layers is 2, expected 4"},
	} {
		err := edited(t, c.of.Checkpoint, c.part, func(top map[string]any) { put(top, c.path, c.v) })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s = %v: %v, want %q", c.path, c.v, err, c.want)
		}
	}
}

func TestKeysThatSayNothingAreNoErrors(t *testing.T) {
	e, drafter := parse(t, "micro-e", tensor.BF16), parseDrafter(t, "micro-e", tensor.BF16)
	nothing := func(top map[string]any) {
		for _, path := range []string{"", "text_config.", "vision_config.", "audio_config."} {
			for key, v := range map[string]any{"is_encoder_decoder": false, "chunk_size_feed_forward": 0, "problem_type": nil, "prefix": "",
				"pruned_heads": map[string]any{}, "_name_or_path": "x", "return_dict": true, "torch_dtype": "bfloat16", "top_k": 50} {
				if path == "" || top[strings.TrimSuffix(path, ".")] != nil {
					put(top, path+key, v)
				}
			}
		}
		put(top, "text_config.rope_parameters", nil)
		put(top, "text_config.rms_norm_eps", nil)
		put(top, "text_config.num_global_key_value_heads", nil)
	}
	for _, part := range []Part{Text, Projector} {
		if err := edited(t, e.Checkpoint, part, nothing); err != nil {
			t.Error(err)
		}
	}
	err := edited(t, drafter.Checkpoint, Text, func(top map[string]any) {
		nothing(top)
		put(top, "use_ordered_embeddings", true)
		put(top, "text_config.something_new", 5)        // may cost drafts
		put(top, "text_config.num_kv_shared_layers", 0) // all layers of a drafter
	})
	if err != nil {
		t.Error(err)
	}
}

// retable returns a checkpoint's table of tensors with a change.
func retable(t *testing.T, c synth.Checkpoint, edit func(table map[string]map[string]any)) *safetensors.File {
	t.Helper()
	header, _, err := c.Header()
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]map[string]any{}
	if err := json.Unmarshal(header[8:], &table); err != nil {
		t.Fatal(err)
	}
	edit(table)
	text, err := json.Marshal(table)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(8 + len(text))
	for _, x := range table {
		if at, ok := x["data_offsets"].([]any); ok {
			size = max(size, int64(8+len(text))+int64(at[1].(float64)))
		}
	}
	f, err := safetensors.New(weightsFile, blank(append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...)), size)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// What the table of tensors has more or less than the shape asks for is named.
func TestUnknownAndMissingTensorsAreErrors(t *testing.T) {
	m := parse(t, "micro-e", tensor.BF16)
	data, err := m.Config()
	if err != nil {
		t.Fatal(err)
	}
	const (
		up      = "model.language_model.layers.3.mlp.up_proj.weight"
		bound   = "model.vision_tower.encoder.layers.0.self_attn.q_proj.input_min"
		project = "model.embed_vision.embedding_projection.weight"
	)
	for _, c := range []struct {
		part     Part
		old, new string // names
		want     string
		unknown  bool
	}{
		{Text, up, up + ".other", "tensor " + up + " is missing, expected the shape [128 64]", false},
		{Text, bound, "model.language_model.embed_tokens.bias", "tensor model.language_model.embed_tokens.bias", true},
		{Text, bound, "model.language_model.layers.3.mlp.up_proj.bias", "layers.3.mlp.up_proj.bias", true},
		{Text, bound, "model.language_model.layers.10.input_layernorm.weight", "layers.10.input_layernorm.weight", true},
		{Text, bound, "model.tower_of_smells.weight", "tensor model.tower_of_smells.weight", true},
		{Text, bound, bound + ".other", "", false}, // of the other part
		{Projector, project, "model.embed_vision.other", "tensor " + project + " is missing, expected the shape [64 64]", false},
		{Projector, up, "model.vision_tower.other", "tensor model.vision_tower.other", true},
		{Projector, bound, "model.vision_tower.encoder.layers.0.self_attn.q_proj.bias", "self_attn.q_proj.bias", true},
		{Projector, up, up + ".other", "", false},
	} {
		f := retable(t, m.Checkpoint, func(table map[string]map[string]any) {
			if table[c.old] == nil {
				t.Fatalf("%s is not there", c.old)
			}
			table[c.new] = table[c.old]
			delete(table, c.old)
		})
		values, err := parseObject(data)
		if err != nil {
			t.Fatal(err)
		}
		_, err = newConfig(values).part(f, "name", c.part)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s instead of %s: %v, want %q", c.new, c.old, err, c.want)
		}
		if errors.Is(err, model.ErrUnknown) != c.unknown {
			t.Errorf("%s instead of %s: %v is an error of what is unknown: %v", c.new, c.old, err, !c.unknown)
		}
	}
}

// The head of a drafter is lm_head where it has one, and the clusters of a head are of no use beside it.
func TestDraftersComeWithHeadsAndClusters(t *testing.T) {
	m := parseDrafter(t, "micro-e", tensor.BF16)
	data, err := m.Config()
	if err != nil {
		t.Fatal(err)
	}
	for _, head := range []string{"model.embed_tokens.weight", "lm_head.weight"} {
		size := 0
		f := retable(t, m.Checkpoint, func(table map[string]map[string]any) {
			add := func(name, kind string, bytes int, shape ...int) {
				for _, x := range table {
					if at, ok := x["data_offsets"].([]any); ok {
						size = max(size, int(at[1].(float64)))
					}
				}
				table[name] = map[string]any{"dtype": kind, "shape": shape, "data_offsets": []any{float64(size), float64(size + bytes)}}
			}
			add("masked_embedding.centroids.weight", "BF16", 2*8*32, 8, 32)
			add("masked_embedding.token_ordering", "I64", 8*512, 512)
			if head == "lm_head.weight" {
				add(head, "BF16", 2*512*32, 512, 32)
			}
		})
		values, err := parseObject(data)
		if err != nil {
			t.Fatal(err)
		}
		w, err := newConfig(values).part(f, "name", Text)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(w.Tensors, func(x Tensor) bool { return x.Name == "token_embd.weight" })
		if i < 0 || w.Tensors[i].Source != weightsFile+": "+head {
			t.Errorf("token_embd.weight is not %s", head)
		}
	}
}

func TestTypesOtherThanFloatsAreErrors(t *testing.T) {
	m := parse(t, "micro-moe", tensor.BF16)
	data, err := m.Config()
	if err != nil {
		t.Fatal(err)
	}
	const name = "model.language_model.layers.0.mlp.up_proj.weight"
	for kind, shape := range map[string][]int{"I16": {96, 64}, "U16": {96, 64}, "F8_E4M3": {192, 64}, "I8": {192, 64}} {
		f := retable(t, m.Checkpoint, func(table map[string]map[string]any) {
			table[name]["dtype"], table[name]["shape"] = kind, shape
		})
		values, err := parseObject(data)
		if err != nil {
			t.Fatal(err)
		}
		_, err = newConfig(values).part(f, "name", Text)
		if want := "tensor " + name + " is of " + kind + ", expected F32, F16 or BF16: is the checkpoint quantised?"; err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestMissingFilesAreNamed(t *testing.T) {
	for _, name := range []string{configFile, vocabularyFile, "model-00002-of-00002.safetensors"} {
		m := parse(t, "micro-moe", tensor.BF16)
		m.Shards = 2
		dir := write(t, m.Checkpoint)
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), name) ||
			!strings.Contains(err.Error(), "missing") {
			t.Errorf("without %s: %v", name, err)
		}
	}
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "x-00001-of-00002.safetensors"), filepath.Join(dir, "x.safetensors"),
		filepath.Join(dir, "x.gguf")} {
		if _, err := Open(path); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "convert: ") {
			t.Errorf("%s: %v", path, err)
		}
	}
	// Everything else may be missing.
	dir = write(t, parse(t, "micro-moe", tensor.BF16).Checkpoint)
	for _, name := range []string{tokenizerFile, templateFile, samplingFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	opened(t, dir, Text)
}

func TestConfigurationsThatAreNoJSONAreErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{`, "breaks off"}, {`[]`, "config.json: is no JSON object"},
		{`{"architectures": ["Gemma4ForCausalLM"], "architectures": 1}`, "twice"},
		{`{}`, "model_type is"}, {`{"model_type": 5}`, "model_type is 5, expected a string"}, {`{"model_type": NaN}`, "wrong at byte"},
		{`{"model_type": "gemma4_text"}`, "num_hidden_layers is missing"},
		{strings.Repeat(`{"a":`, 1e5), "nested"},
	} {
		dir := write(t, parse(t, "micro-moe", tensor.BF16).Checkpoint)
		if err := os.WriteFile(filepath.Join(dir, configFile), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); err == nil || !strings.HasPrefix(err.Error(), "convert: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: %v, want %q", c.text, err, c.want)
		}
	}
}

// FuzzConfig checks that whatever config.json says is an error, or a list of tensors of the checkpoint's size.
func FuzzConfig(f *testing.F) {
	var files []*safetensors.File
	for _, m := range []made{parse(f, "micro-e", tensor.BF16), parse(f, "micro-dense", tensor.BF16),
		parseDrafter(f, "micro-e", tensor.BF16)} {
		c := m.Checkpoint
		files = append(files, table(f, c))
		for _, c.Layers = range []bool{false, true} {
			data, err := c.Config()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, file := range files {
			for _, part := range []Part{Text, Projector} {
				top, err := parseObject(data)
				if err != nil {
					return
				}
				w, err := newConfig(top).part(file, "name", part)
				if err != nil {
					continue
				}
				for i := range w.Tensors {
					x := &w.Tensors[i]
					b, last := make([]byte, x.RowBytes()), x.Rows()-1
					if err := errors.Join(x.Read(b, 0, 1), x.Read(b, last, last+1)); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	})
}
