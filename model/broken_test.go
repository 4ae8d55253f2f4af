package model

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/internal/testdata"
)

// draft is a model before it is written: to be broken, or made strange.
type draft struct {
	*gguf.Metadata
	tensors []gguf.Source
}

// newDraft returns a small model with the shape of a preset: e (per-layer embeddings, shared keys and values), dense or moe.
// Layers are sliding, global, sliding, global; width, heads and MLPs differ, so that no transposed matrix fits.
func newDraft(t testing.TB, kind string) *draft {
	t.Helper()
	c := synth.Config{
		Vocabulary: synth.MinVocabulary, Context: 64, Layers: 4, Width: 32, Heads: []int{4}, KVHeads: []int{2, 1, 2, 1},
		MLP: []int{96}, HeadSize: 32, HeadSizeSliding: 16, Sliding: []bool{true, false, true, false}, Window: 8,
	}
	switch kind {
	case "e":
		c.SharedKV, c.PerLayer = 2, 8
	case "moe":
		c.Experts, c.ExpertsUsed, c.ExpertWidth = 4, 2, 8
	case "moe-apart":
		c.Experts, c.ExpertsUsed, c.ExpertWidth = 4, 2, 8
		c.SplitExperts, c.Scales, c.Head = true, true, true
	case "dense":
		c.KeysAsValues = true
	default:
		t.Fatalf("no model of kind %s", kind)
	}
	m, tensors, err := synth.Build(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range m.Keys() {
		if strings.HasPrefix(key, "tokenizer.") {
			m.Delete(key)
		}
	}
	return &draft{m, tensors}
}

// clone returns a copy that can be changed without changing d. It is cheaper than a new one.
func (d *draft) clone() *draft { return &draft{d.Metadata.Clone(), slices.Clone(d.tensors)} }

// set sets a key below "gemma4.", or any key with a dot in front.
func (d *draft) set(key string, v any) {
	if err := d.Set(d.key(key), v); err != nil {
		panic(err)
	}
}

func (d *draft) key(key string) string {
	if key[0] == '.' {
		return key[1:]
	}
	return "gemma4." + key
}

func (d *draft) index(name string) int {
	i := slices.IndexFunc(d.tensors, func(s gguf.Source) bool { return s.Name == name })
	if i < 0 {
		panic("no tensor " + name)
	}
	return i
}

func (d *draft) drop(names ...string) {
	for _, name := range names {
		i := d.index(name)
		d.tensors = slices.Delete(d.tensors, i, i+1)
	}
}

// zero makes the tensor one of zeros of that type and shape, fastest dimension first, and adds it if it is missing.
func (d *draft) zero(name string, t gguf.Type, dims ...int) {
	values, size := t.Block()
	n := size
	for i, dim := range dims {
		if i == 0 {
			dim /= values
		}
		n *= dim
	}
	s := gguf.NewSource(name, t, dims, make([]byte, n))
	if i := slices.IndexFunc(d.tensors, func(s gguf.Source) bool { return s.Name == name }); i >= 0 {
		d.tensors[i] = s
		return
	}
	d.tensors = append(d.tensors, s)
}

// floats makes the tensor one of these values, and adds it if it is missing.
func (d *draft) floats(name string, x []float32, dims ...int) {
	d.zero(name, gguf.F32, dims...)
	b, _ := binary.Append(nil, binary.LittleEndian, x)
	d.tensors[d.index(name)] = gguf.NewSource(name, gguf.F32, dims, b)
}

// retype gives the tensor another type, but not that type's bytes: one for each value.
func (d *draft) retype(name string, t gguf.Type) {
	s := &d.tensors[d.index(name)]
	n := 1
	for _, dim := range s.Dims {
		n *= dim
	}
	_, size := t.Block()
	*s = gguf.NewSource(name, t, s.Dims, make([]byte, n*max(1, size)))
}

// file writes the model and opens it as a file.
func (d *draft) file(t testing.TB) *gguf.File {
	t.Helper()
	var b bytes.Buffer
	if err := gguf.Write(&b, d.Metadata, d.tensors); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.OpenBytes(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// open opens the model.
func (d *draft) open(t testing.TB) (*Model, error) {
	t.Helper()
	m, err := New(d.file(t), Options{Workers: 1})
	if err == nil {
		t.Cleanup(m.Close)
	}
	return m, err
}

func TestBrokenModelsSayWhatIsWrong(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	kv := func(v ...int32) func(*draft) { return func(d *draft) { d.set("attention.head_count_kv", v) } }
	type changes = []func(*draft)
	set := func(key string, v any) func(*draft) { return func(d *draft) { d.set(key, v) } }
	drop := func(names ...string) func(*draft) { return func(d *draft) { d.drop(names...) } }
	zero := func(name string, dims ...int) func(*draft) { return func(d *draft) { d.zero(name, gguf.F32, dims...) } }
	values := func(name string, n, at int, x float32) func(*draft) {
		return func(d *draft) {
			all := slices.Repeat([]float32{1}, n)
			all[at] = x
			d.floats(name, all, n)
		}
	}
	unknown := func(name string, t gguf.Type) func(*draft) { return func(d *draft) { d.retype(name, t) } }
	whole := map[string]*draft{}
	for _, kind := range []string{"dense", "e", "moe", "moe-apart"} {
		whole[kind] = newDraft(t, kind)
	}
	for _, c := range []struct {
		kind    string
		changes changes
		want    string // after "model: "
	}{
		// What is another model.
		{"dense", changes{set(".general.architecture", "clip")},
			`general.architecture is "clip", this package runs "gemma4" (this is the image and sound part (mmproj), which goes beside ` +
				`the model; open the text model's own file)`},
		{"dense", changes{set(".general.architecture", "gemma4-assistant")},
			`"gemma4-assistant", this package runs "gemma4" (this is a drafter, which goes beside the model that it drafts for; open ` +
				`that model's file)`},
		{"dense", changes{set(".general.architecture", "gemma4_assistant")},
			`"gemma4_assistant", this package runs "gemma4" (this is a drafter`},
		{"dense", changes{set(".general.architecture", "gemma4_mtp")}, `"gemma4_mtp", this package runs "gemma4" (this is a drafter`},
		{"dense", changes{set(".general.architecture", "gemma3")},
			`general.architecture is "gemma3", this package runs "gemma4" (an older Gemma, whose graph is another; look for a file of ` +
				`Gemma 4)`},
		{"dense", changes{set(".general.architecture", "llama")},
			`general.architecture is "llama", this package runs "gemma4" (a model of another kind, which programs for many kinds run, ` +
				`such as llama.cpp and ollama)`},
		{"dense", changes{set(".general.architecture", "controlvector")},
			"(this is a control vector, which goes beside a model; open the model)"},
		{"dense", changes{set(".general.type", "adapter")},
			`general.type is "adapter": changes to the weights of a model (a LoRA); open that model, and the adapter ` +
				`beside it (OpenAdapter, -lora)`},
		{"dense", changes{set(".general.type", "imatrix"), func(d *draft) { d.Delete("general.architecture") }},
			`general.type is "imatrix": statistics for quantising a model; open the model`},
		{"dense", changes{set(".general.architecture", "")}, `general.architecture is "", this package runs "gemma4"`},
		{"dense", changes{set(".general.architecture", "gemma4\n\x1b[2J"+strings.Repeat("x", 1000))},
			`general.architecture is "gemma4\n\x1b[2Jxxxxxxx`},
		{"dense", changes{set(".general.architecture", uint32(4))}, "metadata key general.architecture: type uint32, expected string"},
		{"dense", changes{func(d *draft) { d.Delete("general.architecture") }}, "metadata key general.architecture: missing"},

		// Numbers that no model has.
		{"dense", changes{set("block_count", uint32(0))}, "gemma4.block_count is 0, expected 1 to 1024"},
		{"dense", changes{set("block_count", int32(-4))}, "gemma4.block_count is -4, expected 1 to 1024"},
		{"dense", changes{set("block_count", uint32(1<<31))}, "gemma4.block_count is 2147483648, expected 1 to 1024"},
		{"dense", changes{set("block_count", uint64(math.MaxUint64))},
			"metadata key gemma4.block_count: value 18446744073709551615, expected at most 9223372036854775807"},
		{"dense", changes{set("block_count", float32(4))}, "metadata key gemma4.block_count: type float32, expected an integer"},
		{"dense", changes{set("block_count", []uint32{4, 4, 4, 4})}, "metadata key gemma4.block_count: type array, expected an integer"},
		{"dense", changes{set("block_count", uint32(5))},
			"gemma4.attention.sliding_window_pattern has 4 entries, expected 5, one for each layer"},
		{"dense", changes{set("block_count", uint32(3))},
			"gemma4.attention.sliding_window_pattern has 4 entries, expected 3, one for each layer"},
		{"dense", changes{set("block_count", uint32(5)), set("attention.sliding_window_pattern", []bool{true, false, true, false, true}),
			kv(2, 1, 2, 1, 2)}, "blk.4.attn_q.weight is missing, expected the shape [32 64]"},
		{"dense", changes{set("embedding_length", uint32(0))}, "gemma4.embedding_length is 0, expected 1 to 262144"},
		{"dense", changes{set("embedding_length", int64(math.MinInt64))},
			"gemma4.embedding_length is -9223372036854775808, expected 1 to 262144"},
		{"dense", changes{set("embedding_length", uint32(1<<18+1))}, "gemma4.embedding_length is 262145, expected 1 to 262144"},
		{"dense", changes{set("embedding_length", uint32(64))}, "token_embd.weight has the shape [32 512], expected [64 512]"},
		{"dense", changes{set("context_length", uint32(0))}, "gemma4.context_length is 0, expected 1 to 268435456"},
		{"dense", changes{set("context_length", uint32(1<<31))}, "gemma4.context_length is 2147483648, expected 1 to 268435456"},
		{"dense", changes{set("attention.sliding_window", uint32(0))}, "gemma4.attention.sliding_window is 0, expected 1 to 268435456"},
		{"dense", changes{set("attention.sliding_window", int32(-1))}, "gemma4.attention.sliding_window is -1, expected 1 to 268435456"},
		{"dense", changes{set("attention.sliding_window", uint32(math.MaxUint32))},
			"gemma4.attention.sliding_window is 4294967295, expected 1 to 268435456"},
		{"dense", changes{set("attention.layer_norm_rms_epsilon", nan)},
			"gemma4.attention.layer_norm_rms_epsilon is NaN, expected a finite number"},
		{"dense", changes{set("attention.layer_norm_rms_epsilon", inf)},
			"gemma4.attention.layer_norm_rms_epsilon is +Inf, expected a finite number"},
		{"dense", changes{set("attention.layer_norm_rms_epsilon", float32(0))},
			"gemma4.attention.layer_norm_rms_epsilon is 0, expected a positive number"},
		{"dense", changes{set("attention.layer_norm_rms_epsilon", float64(1e-300))},
			"gemma4.attention.layer_norm_rms_epsilon is 0, expected a positive number"},
		{"dense", changes{set("attention.layer_norm_rms_epsilon", float32(-1e-6))},
			"gemma4.attention.layer_norm_rms_epsilon is -1e-06, expected a positive number"},
		{"dense", changes{set("final_logit_softcapping", nan)}, "gemma4.final_logit_softcapping is NaN, expected a finite number"},
		{"dense", changes{set("final_logit_softcapping", float32(-30))}, "gemma4.final_logit_softcapping is -30, expected 0 or more"},
		{"dense", changes{set("rope.freq_base", float32(0))}, "gemma4.rope.freq_base is 0, expected a positive number"},
		{"dense", changes{set("rope.freq_base", float64(1e300))}, "gemma4.rope.freq_base is 1e+300, expected a finite number"},
		{"dense", changes{set("rope.freq_base_swa", float32(-1e4))}, "gemma4.rope.freq_base_swa is -10000, expected a positive number"},

		// Heads.
		{"dense", changes{set("attention.head_count", uint32(0))}, "gemma4.attention.head_count is 0, expected 1 to 262144"},
		{"dense", changes{set("attention.head_count", uint32(3))},
			"gemma4.attention.head_count is 3 in layer 0, expected a multiple of gemma4.attention.head_count_kv, 2"},
		{"dense", changes{set("attention.head_count", uint32(1<<18))},
			"gemma4.attention.head_count is 262144 in layer 0, expected at most 16384 heads of size 16"},
		{"dense", changes{set("attention.head_count", uint32(8))}, "blk.0.attn_q.weight has the shape [32 64], expected [32 128]"},
		{"dense", changes{set("attention.head_count", []int32{4, 4, 4})},
			"gemma4.attention.head_count has 3 entries, expected 4, one for each layer"},
		{"dense", changes{set("attention.head_count", []int32{4, 4, 0, 4})},
			"gemma4.attention.head_count is 0 in layer 2, expected 1 to 262144"},
		{"dense", changes{set("attention.head_count", []float32{4, 4, 4, 4})},
			"metadata key gemma4.attention.head_count: element 0: type float32, expected an integer"},
		{"dense", changes{set("attention.head_count", []string{"4", "4", "4", "4"})},
			"metadata key gemma4.attention.head_count: element 0: type string, expected an integer"},
		{"dense", changes{set("attention.head_count", []*gguf.Array{{}, {}, {}, {}})},
			"metadata key gemma4.attention.head_count: an array of arrays, expected an array of single values"},
		{"dense", changes{set("attention.head_count", []uint64{4, 4, 4, 1 << 63})},
			"metadata key gemma4.attention.head_count: element 3: value 9223372036854775808, expected at most"},
		{"dense", changes{set("attention.head_count", "four")},
			"metadata key gemma4.attention.head_count: type string, expected an integer"},
		{"dense", changes{kv(2, 1, 0, 1)}, "gemma4.attention.head_count_kv is 0 in layer 2, expected 1 to 262144"},
		{"dense", changes{kv(2, 1, -2, 1)}, "gemma4.attention.head_count_kv is -2 in layer 2, expected 1 to 262144"},
		{"dense", changes{kv()}, "gemma4.attention.head_count_kv has 0 entries, expected 4, one for each layer"},
		{"dense", changes{kv(2, 8, 2, 1)},
			"gemma4.attention.head_count is 4 in layer 1, expected a multiple of gemma4.attention.head_count_kv, 8"},
		{"dense", changes{kv(2, 2, 2, 1)}, "blk.1.attn_k.weight has the shape [32 32], expected [32 64]"},
		{"e", changes{kv(2, 1, 4, 1)},
			"gemma4.attention.head_count_kv is 4 in layer 2, expected 2 as in layer 0, whose keys and values it shares"},
		{"dense", changes{set("attention.key_length", uint32(1<<20))}, "gemma4.attention.key_length is 1048576, expected 2 to 262144"},
		{"dense", changes{set("attention.key_length", uint32(1))}, "gemma4.attention.key_length is 1, expected 2 to 262144"},
		{"dense", changes{set("attention.key_length", uint32(31)), set("attention.value_length", uint32(31)),
			set("rope.dimension_count", uint32(31))}, "gemma4.attention.key_length is 31, expected an even number"},
		{"dense", changes{set("attention.key_length_swa", uint32(17)), set("attention.value_length_swa", uint32(17)),
			set("rope.dimension_count_swa", uint32(17))}, "gemma4.attention.key_length_swa is 17, expected an even number"},
		{"dense", changes{set("attention.value_length", uint32(16))}, "gemma4.attention.value_length is 16, expected 32, the head size"},
		{"dense", changes{set("attention.value_length_swa", uint32(32))},
			"gemma4.attention.value_length_swa is 32, expected 16, the head size"},
		{"dense", changes{set("rope.dimension_count", uint32(8))}, "gemma4.rope.dimension_count is 8, expected 32, the head size"},
		{"dense", changes{set("rope.dimension_count_swa", uint32(0))}, "gemma4.rope.dimension_count_swa is 0, expected 2 to 262144"},
		{"dense", changes{zero("rope_freqs.weight", 32)}, "rope_freqs.weight has the shape [32], expected [16]"},

		// Layers.
		{"dense", changes{set("attention.sliding_window_pattern", []bool{true, false, true})},
			"gemma4.attention.sliding_window_pattern has 3 entries, expected 4, one for each layer"},
		{"dense", changes{set("attention.sliding_window_pattern", []bool{})},
			"gemma4.attention.sliding_window_pattern has 0 entries, expected 4, one for each layer"},
		{"dense", changes{set("attention.sliding_window_pattern", []int32{1, 0, 2, 0})},
			"gemma4.attention.sliding_window_pattern is 2 in layer 2, expected 0 or 1"},
		{"dense", changes{set("attention.sliding_window_pattern", []float32{1, 0, 1, 0})},
			"metadata key gemma4.attention.sliding_window_pattern: element 0: type float32, expected bool"},
		{"dense", changes{set("attention.sliding_window_pattern", uint32(2))},
			"metadata key gemma4.attention.sliding_window_pattern: type uint32, expected an array"},
		{"dense", changes{set("attention.sliding_window_pattern", []bool{false, true, true, false})},
			"blk.0.attn_q.weight has the shape [32 64], expected [32 128]"},
		{"e", changes{set("attention.shared_kv_layers", uint32(4))}, "gemma4.attention.shared_kv_layers is 4, expected 0 to 3"},
		{"e", changes{set("attention.shared_kv_layers", int32(-1))}, "gemma4.attention.shared_kv_layers is -1, expected 0 to 3"},
		{"e", changes{set("attention.shared_kv_layers", uint32(3))},
			"gemma4.attention.shared_kv_layers is 3, but none of the layers before these is one of the kind of layer 1 (sliding: false)"},
		{"e", changes{set("attention.shared_kv_layers", uint32(1))}, "blk.2.attn_k.weight is missing, expected the shape [32 32]"},
		{"e", changes{func(d *draft) { d.Delete("gemma4.attention.shared_kv_layers") }},
			"blk.2.attn_k.weight is missing, expected the shape [32 32]"},
		{"dense", changes{set("feed_forward_length", []int32{96, 96})},
			"gemma4.feed_forward_length has 2 entries, expected 4, one for each layer"},
		{"dense", changes{set("feed_forward_length", []int32{96, 96, 96, 0})},
			"gemma4.feed_forward_length is 0 in layer 3, expected 1 to 262144"},
		{"dense", changes{set("feed_forward_length", []int32{96, 96, 97, 96})},
			"blk.2.ffn_gate.weight has the shape [32 96], expected [32 97]"},
		{"dense", changes{set("feed_forward_length", uint32(1<<30))}, "gemma4.feed_forward_length is 1073741824, expected 1 to 262144"},

		// Per-layer embeddings.
		{"e", changes{set("embedding_length_per_layer_input", uint32(1<<16+1))},
			"gemma4.embedding_length_per_layer_input is 65537, expected 0 to 65536"},
		{"e", changes{set("embedding_length_per_layer_input", uint32(16))},
			"per_layer_token_embd.weight has the shape [32 512], expected [64 512]"},
		{"e", changes{set("embedding_length_per_layer_input", uint32(0))},
			"per_layer_token_embd.weight is there, but gemma4.embedding_length_per_layer_input is not"},
		{"e", changes{func(d *draft) { d.Delete("gemma4.embedding_length_per_layer_input") }},
			"per_layer_token_embd.weight is there, but gemma4.embedding_length_per_layer_input is not"},
		{"dense", changes{set("embedding_length_per_layer_input", uint32(8))},
			"per_layer_token_embd.weight is missing, expected the shape [32 512]"},
		{"e", changes{zero("per_layer_token_embd.weight", 32, 511)},
			"per_layer_token_embd.weight has the shape [32 511], expected [32 512]"},
		{"e", changes{zero("per_layer_token_embd.scale", 2)}, "per_layer_token_embd.scale has the shape [2], expected [1]"},

		// Types.
		{"dense", changes{unknown("blk.1.attn_k.weight", 137)},
			"blk.1.attn_k.weight is of type 137 (IQ2_K), which this program does not run"},
		{"e", changes{unknown("per_layer_token_embd.weight", 300)},
			"per_layer_token_embd.weight is of type 300, which this program does not run"},
		{"moe", changes{unknown("blk.0.ffn_down_exps.weight", 4)},
			"blk.0.ffn_down_exps.weight is of type 4 (Q4_2), which this program does not run"},
		{"dense", changes{unknown("output_norm.weight", gguf.I32)},
			"output_norm.weight is of type 26 (I32), which this program does not run"},

		// Experts.
		{"moe", changes{set("expert_count", uint32(1<<13+1))}, "gemma4.expert_count is 8193, expected 0 to 8192"},
		{"moe", changes{set("expert_count", int32(-1))}, "gemma4.expert_count is -1, expected 0 to 8192"},
		{"moe", changes{set("expert_count", uint32(0))},
			"gemma4.expert_count is missing or 0, expected the number of experts in blk.0.ffn_down_exps.weight"},
		{"moe", changes{func(d *draft) { d.Delete("gemma4.expert_count") }},
			"gemma4.expert_count is missing or 0, expected the number of experts in blk.0.ffn_down_exps.weight"},
		{"moe", changes{set("expert_count", uint32(8))}, "blk.0.ffn_gate_inp.weight has the shape [32 4], expected [32 8]"},
		{"moe", changes{set("expert_used_count", uint32(5))}, "gemma4.expert_used_count is 5, expected 1 to 4"},
		{"moe", changes{set("expert_used_count", uint32(0))}, "gemma4.expert_used_count is 0, expected 1 to 4"},
		{"moe", changes{func(d *draft) { d.Delete("gemma4.expert_used_count") }}, "metadata key gemma4.expert_used_count: missing"},
		{"moe", changes{func(d *draft) { d.Delete("gemma4.expert_feed_forward_length") }},
			"metadata key gemma4.expert_feed_forward_length: missing"},
		{"moe", changes{set("expert_feed_forward_length", uint32(0))}, "gemma4.expert_feed_forward_length is 0, expected 1 to 262144"},
		{"moe", changes{set("expert_feed_forward_length", uint32(16))},
			"blk.0.ffn_down_exps.weight has the shape [8 32 4], expected [16 32 4]"},
		{"dense", changes{set("expert_count", uint32(4)), set("expert_used_count", uint32(2)),
			set("expert_feed_forward_length", uint32(8))}, "blk.0.ffn_gate_inp.weight is missing, but gemma4.expert_count is 4"},
		{"moe", changes{drop("blk.1.ffn_gate_up_exps.weight")}, "blk.1.ffn_gate_exps.weight is missing, expected the shape [32 8 4]"},
		{"moe-apart", changes{drop("blk.0.ffn_up_exps.weight")}, "blk.0.ffn_up_exps.weight is missing, expected the shape [32 8 4]"},
		{"moe", changes{zero("blk.0.ffn_gate_up_exps.weight", 32, 8, 4)},
			"blk.0.ffn_gate_up_exps.weight has the shape [32 8 4], expected [32 16 4]"},
		{"moe", changes{zero("blk.0.ffn_gate_up_exps.weight", 32, 64)},
			"blk.0.ffn_gate_up_exps.weight has the shape [32 64], expected [32 16 4]"},
		{"moe", changes{zero("blk.3.ffn_down_exps.scale", 3)}, "blk.3.ffn_down_exps.scale has the shape [3], expected [4]"},
		{"moe", changes{zero("blk.3.ffn_down_exps.scale", 4, 4)}, "blk.3.ffn_down_exps.scale has the shape [4 4], expected [4]"},
		{"moe", changes{zero("blk.3.ffn_down_exps.scale", 1, 4)}, "blk.3.ffn_down_exps.scale has the shape [1 4], expected [1]"},
		{"moe-apart", changes{zero("blk.0.ffn_up_exps.scale", 2)}, "blk.0.ffn_up_exps.scale has the shape [2], expected [4]"},

		// Numbers that would spoil the answer.
		{"dense", changes{values("rope_freqs.weight", 16, 3, 0)}, "rope_freqs.weight[3] is 0, expected a positive number"},
		{"dense", changes{values("rope_freqs.weight", 16, 0, -1)}, "rope_freqs.weight[0] is -1, expected a positive number"},
		{"dense", changes{values("rope_freqs.weight", 16, 15, nan)}, "rope_freqs.weight[15] is NaN, expected a finite number"},
		{"dense", changes{values("rope_freqs.weight", 16, 15, inf)}, "rope_freqs.weight[15] is +Inf, expected a finite number"},
		{"dense", changes{values("output_norm.weight", 32, 31, nan)}, "output_norm.weight[31] is NaN, expected a finite number"},
		{"dense", changes{values("blk.1.layer_output_scale.weight", 1, 0, inf)},
			"blk.1.layer_output_scale.weight[0] is +Inf, expected a finite number"},
		{"dense", changes{values("blk.1.attn_q.scale", 1, 0, nan)}, "blk.1.attn_q.scale[0] is NaN, expected a finite number"},
		{"moe", changes{values("blk.1.ffn_down_exps.scale", 4, 2, -inf)}, "blk.1.ffn_down_exps.scale[2] is -Inf, expected a finite number"},
		{"e", changes{values("per_layer_token_embd.scale", 1, 0, nan)}, "per_layer_token_embd.scale[0] is NaN, expected a finite number"},

		// Tables, heads and scales.
		{"dense", changes{drop("token_embd.weight")},
			"token_embd.weight is missing: is the file a vocabulary, or one part of a split model?"},
		{"dense", changes{zero("token_embd.weight", 64)}, "token_embd.weight has the shape [64], expected [32 1]"},
		{"dense", changes{zero("token_embd.weight", 32, 16, 32)}, "token_embd.weight has the shape [32 16 32], expected [32 16]"},
		{"dense", changes{func(d *draft) { d.zero("token_embd.weight", gguf.F16, 1, 1<<20+1) }},
			"token_embd.weight has 1048577 rows, expected at most 1048576"},
		{"e", changes{zero("token_embd.weight", 32, 510)}, "per_layer_token_embd.weight has the shape [32 512], expected [32 510]"},
		{"moe-apart", changes{zero("output.weight", 32, 511)}, "output.weight has the shape [32 511], expected [32 512]"},
		{"dense", changes{zero("output.weight", 64, 512)}, "output.weight has the shape [64 512], expected [32 512]"},
		{"dense", changes{zero("token_embd.scale", 512)}, "token_embd.scale has the shape [512], expected [1]"},
		{"moe-apart", changes{zero("blk.0.attn_q.scale", 2)}, "blk.0.attn_q.scale has the shape [2], expected [1]"},
		{"dense", changes{zero("blk.1.ffn_down.scale", 32)}, "blk.1.ffn_down.scale has the shape [32], expected [1]"},
		{"dense", changes{zero("blk.1.layer_output_scale.weight", 32)}, "blk.1.layer_output_scale.weight has the shape [32], expected [1]"},
		{"dense", changes{zero("blk.1.attn_v.weight", 32, 64)}, "blk.1.attn_v.weight has the shape [32 64], expected [32 32]"},
		{"e", changes{zero("blk.1.attn_v.weight", 64, 32)}, "blk.1.attn_v.weight has the shape [64 32], expected [32 32]"},
		{"dense", changes{longVectors}, "blk.1022.post_ffw_norm.weight: the vectors of the file have more than 4194304 values"},
	} {
		t.Run(c.want, func(t *testing.T) {
			d := whole[c.kind].clone()
			for _, change := range c.changes {
				change(d)
			}
			_, err := d.open(t)
			if err == nil {
				t.Fatal("opened")
			}
			if got := err.Error(); !strings.HasPrefix(got, "model: ") || !strings.Contains(got, c.want) || len(got) > 300 {
				t.Errorf("error %q", got)
			}
		})
	}
}

// longVectors makes a model that is hardly more than vectors: four of 1024 values in each of 1024 layers.
func longVectors(d *draft) {
	const layers, width = 1024, 1024
	d.tensors = nil
	d.set("block_count", uint32(layers))
	d.set("embedding_length", uint32(width))
	d.set("attention.head_count", uint32(1))
	d.set("attention.head_count_kv", uint32(1))
	d.set("feed_forward_length", uint32(1))
	d.set("attention.sliding_window_pattern", make([]bool, layers))
	for _, key := range []string{"attention.key_length", "attention.value_length", "rope.dimension_count"} {
		d.set(key, uint32(2))
	}
	d.zero("token_embd.weight", gguf.IQ1_S, width, 1)
	d.zero("output_norm.weight", gguf.IQ1_S, width)
	for i := range layers {
		name := func(s string) string { return fmt.Sprintf("blk.%d.%s.weight", i, s) }
		for _, s := range []string{"attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"} {
			d.zero(name(s), gguf.IQ1_S, width)
		}
		d.zero(name("attn_q"), gguf.IQ1_S, width, 2)
		d.zero(name("attn_k"), gguf.IQ1_S, width, 2)
		d.zero(name("attn_q_norm"), gguf.F16, 2)
		d.zero(name("attn_k_norm"), gguf.F16, 2)
		d.zero(name("attn_output"), gguf.F16, 2, width)
		d.zero(name("ffn_gate"), gguf.IQ1_S, width, 1)
		d.zero(name("ffn_up"), gguf.IQ1_S, width, 1)
		d.zero(name("ffn_down"), gguf.F16, 1, width)
	}
}

func TestEveryKeyIsNeeded(t *testing.T) {
	optional := map[string]bool{ // without them the model is another one, or cannot be told from another, or a default holds
		"gemma4.attention.shared_kv_layers": true, "gemma4.embedding_length_per_layer_input": true, "gemma4.final_logit_softcapping": true,
		"gemma4.attention.value_length": true, "gemma4.attention.value_length_swa": true, "gemma4.rope.dimension_count": true,
		"gemma4.rope.dimension_count_swa": true, "gemma4.rope.freq_base_swa": true,
	}
	for _, kind := range []string{"dense", "moe"} {
		whole := newDraft(t, kind)
		for _, key := range whole.Keys() {
			if !strings.HasPrefix(key, "gemma4.") {
				continue
			}
			d := whole.clone()
			d.Delete(key)
			_, err := d.open(t)
			if want := "metadata key " + key + ": missing"; optional[key] && err != nil {
				t.Errorf("%s without %s: %v", kind, key, err)
			} else if !optional[key] && key != "gemma4.expert_count" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s without %s: error %v, want %s", kind, key, err, want)
			}
			d.set("."+key, "text")
			if _, err := d.open(t); err == nil || !strings.Contains(err.Error(), "metadata key "+key+": type string, expected ") {
				t.Errorf("%s with text as %s: error %v", kind, key, err)
			}
		}
	}
}

func TestEveryTensorIsNeededInItsShape(t *testing.T) {
	optional := func(name string) bool {
		return name == "rope_freqs.weight" || name == "output.weight" || strings.Contains(name, ".attn_v.") ||
			strings.Contains(name, ".layer_output_scale.") || strings.HasSuffix(name, ".scale") && !strings.Contains(name, "ffn_gate_inp")
	}
	for _, kind := range []string{"dense", "e", "moe", "moe-apart"} {
		whole := newDraft(t, kind)
		for _, s := range whole.tensors {
			if strings.HasPrefix(s.Name, "blk.") && !strings.HasPrefix(s.Name, "blk.1.") && !strings.HasPrefix(s.Name, "blk.2.") {
				continue
			}
			d := whole.clone()
			d.drop(s.Name)
			if scale := strings.TrimSuffix(s.Name, ".weight") + ".scale"; optional(s.Name) &&
				slices.ContainsFunc(d.tensors, func(s gguf.Source) bool { return s.Name == scale }) {
				d.drop(scale) // not understood without what it scales
			}
			if _, err := d.open(t); optional(s.Name) && err != nil {
				t.Errorf("%s without %s: %v", kind, s.Name, err)
			} else if !optional(s.Name) && (err == nil || !strings.Contains(err.Error(), " is missing")) {
				t.Errorf("%s without %s: error %v", kind, s.Name, err)
			}
			for _, wrong := range wrongShapes(s) {
				d := whole.clone()
				d.zero(s.Name, gguf.F32, wrong...)
				want := fmt.Sprintf("%s has the shape %v, expected %v", s.Name, wrong, s.Dims)
				if _, err := d.open(t); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: error %v, want %s", kind, err, want)
				}
			}
		}
	}
}

// wrongShapes returns the shape of s transposed, longer and shorter by one, and with a dimension too many.
func wrongShapes(s gguf.Source) [][]int {
	var all [][]int
	if s.Name != "token_embd.weight" { // whose other dimension says how many tokens there are
		turned, more := slices.Clone(s.Dims), slices.Clone(s.Dims)
		slices.Reverse(turned)
		if !slices.Equal(turned, s.Dims) {
			all = append(all, turned)
		}
		more[len(more)-1]++
		all = append(all, more, append(slices.Clone(s.Dims), 2))
	}
	if s.Dims[0] > 1 {
		less := slices.Clone(s.Dims)
		less[0]--
		all = append(all, less)
	}
	return all
}

// TestWhatIsNotUnderstoodIsAnError: an answer that is quietly wrong is worse than none.
func TestWhatIsNotUnderstoodIsAnError(t *testing.T) {
	set := func(key string, v any) func(*draft) { return func(d *draft) { d.set(key, v) } }
	add := func(name string) func(*draft) { return func(d *draft) { d.zero(name, gguf.F32, 32) } }
	whole := map[string]*draft{"dense": newDraft(t, "dense"), "e": newDraft(t, "e"), "moe": newDraft(t, "moe")}
	for _, c := range []struct {
		kind   string
		change func(*draft)
		want   string // named in the error; "": the file opens
	}{
		{"dense", set("rope.scaling.type", "yarn"), `key gemma4.rope.scaling.type ("yarn", expected none);`},
		{"dense", set("rope.scaling.factor", float32(8)), "key gemma4.rope.scaling.factor (8, expected 0 or 1);"},
		{"dense", set("rope.scaling.yarn_log_multiplier", float32(0.1)), "key gemma4.rope.scaling.yarn_log_multiplier"},
		{"dense", set("attn_logit_softcapping", float32(50)), "key gemma4.attn_logit_softcapping (50, expected 0);"},
		{"dense", set("attention.scale", float32(0.5)), "key gemma4.attention.scale"},
		{"dense", set("attention.causal", false), "key gemma4.attention.causal"},
		{"dense", set("attention.causal", []bool{true, true, true, true}), "key gemma4.attention.causal (4 × bool, expected true);"},
		{"dense", set("expert_gating_func", uint32(2)), "key gemma4.expert_gating_func"},
		{"dense", set("expert_weights_norm", false), "key gemma4.expert_weights_norm"},
		{"dense", set("never_heard_of", "it"), `key gemma4.never_heard_of ("it");`},
		{"dense", set("\x1b[2J", uint8(1)), `key "gemma4.\x1b[2J" (1);`},
		{"dense", set("never_heard_of", "\x1b[2J"+strings.Repeat("x", 1000)), `key gemma4.never_heard_of ("\x1b[2Jxxxxxxxxxxxxxxxx");`},
		{"dense", add("blk.1.attn_q.bias"), "tensor blk.1.attn_q.bias"},
		{"dense", add("blk.1.attn_sinks.weight"), "tensor blk.1.attn_sinks.weight"},
		{"dense", add("blk.1.attn_norm.scale"), "tensor blk.1.attn_norm.scale"},
		{"dense", add("blk.01.attn_norm.weight"), "tensor blk.01.attn_norm.weight"},
		{"dense", add("blk.4.attn_norm.weight"), "tensor blk.4.attn_norm.weight (gemma4.block_count is 4)"},
		{"dense", add("blk.0.attn_v.bias"), "tensor blk.0.attn_v.bias"},
		{"dense", add("blk.1.attn_v.scale"), "tensor blk.1.attn_v.scale"}, // without the matrix
		{"dense", add("output_norm.bias"), "tensor output_norm.bias"},
		{"dense", add("per_layer_proj_norm.weight"), "tensor per_layer_proj_norm.weight"},
		{"dense", add("blk.1.post_norm.weight"), "tensor blk.1.post_norm.weight"},
		{"dense", add("position_embd.weight"), "tensor position_embd.weight"},
		{"moe", func(d *draft) { d.zero("blk.1.ffn_gate_inp.per_expert_scale", gguf.F32, 4) },
			"tensor blk.1.ffn_gate_inp.per_expert_scale"},
		{"dense", func(d *draft) {
			for i := range 5 {
				add(fmt.Sprintf("blk.%d.attn_q.bias", i))(d)
			}
		}, "tensor blk.0.attn_q.bias, tensor blk.1.attn_q.bias, and 3 more;"},

		{"dense", set("attention.causal", true), ""},
		{"dense", set("attention.scale", float32(1)), ""},
		{"dense", set("rope.scaling.type", "none"), ""},
		{"dense", set("rope.scaling.factor", float64(1)), ""},
		{"moe", set("expert_gating_func", uint32(1)), ""},
		{"dense", set("vocab_size", uint64(512)), ""},
		{"dense", set("vision.block_count", uint32(2)), ""},
		{"dense", set("audio.attention.head_count", uint32(2)), ""},
		{"dense", set(".other.rope.scaling.type", "yarn"), ""},
		{"dense", add("v.blk.0.attn_q.weight"), ""},
		{"dense", add("v.clamp_data"), ""},
		{"dense", add("a.blk.0.attn_q.bias"), ""},
		{"dense", add("mm.input_projection.weight"), ""},
		{"dense", add("blk.1.attn_q.input_scale"), ""},
		{"e", add("blk.3.attn_k.weight"), ""},
		{"e", add("blk.3.attn_v.scale"), ""},
		{"dense", func(d *draft) {
			d.set("attention.sliding_window_pattern", []bool{true, true, true, true})
			for _, i := range []int{1, 3} {
				name := func(s string) string { return fmt.Sprintf("blk.%d.%s.weight", i, s) }
				d.zero(name("attn_q"), gguf.F32, 32, 64)
				d.zero(name("attn_k"), gguf.F32, 32, 16)
				d.zero(name("attn_q_norm"), gguf.F32, 16)
				d.zero(name("attn_k_norm"), gguf.F32, 16)
				d.zero(name("attn_output"), gguf.F32, 64, 32)
			}
		}, ""}, // rope_freqs is of no use there
	} {
		d := whole[c.kind].clone()
		c.change(d)
		_, err := d.open(t)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("error %v, expected none", err)
		case c.want == "":
		case !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 300:
			t.Errorf("error %v, want one that names %s", err, c.want)
		default:
			m, err := New(d.file(t), Options{Workers: 1, AllowUnknown: true})
			if err != nil {
				t.Errorf("%s, with AllowUnknown: %v", c.want, err)
				continue
			}
			m.Close()
		}
	}
}

// TestCasesOfUnknownTensors: the first has a bias, the second more layers than it says.
func TestCasesOfUnknownTensors(t *testing.T) {
	for name, want := range map[string]string{
		"bias-ignored.gguf":              ".bias",
		"fewer-blocks-than-tensors.gguf": "tensor blk.4.attn_norm.weight (gemma4.block_count is 4)",
	} {
		f, err := gguf.Open(testdata.Shared(t, "cases", name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		m, err := New(f, Options{Workers: 1})
		if err == nil {
			m.Close()
		}
		if !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one that names %s", name, err, want)
		}
		t.Log(err)
	}
}

// TestOnesAtTheEndOfAShape: some writers pad shapes with them, others leave them out.
func TestOnesAtTheEndOfAShape(t *testing.T) {
	d := newDraft(t, "moe")
	d.set("expert_count", uint32(1))
	d.set("expert_used_count", uint32(1))
	for i := range 4 {
		d.zero(fmt.Sprintf("blk.%d.ffn_gate_inp.weight", i), gguf.F32, 32)
		d.zero(fmt.Sprintf("blk.%d.ffn_gate_up_exps.weight", i), gguf.F32, 32, 16)
		d.zero(fmt.Sprintf("blk.%d.ffn_down_exps.weight", i), gguf.F32, 8, 32)
		d.zero(fmt.Sprintf("blk.%d.ffn_down_exps.scale", i), gguf.F32, 1)
		d.zero(fmt.Sprintf("blk.%d.attn_norm.weight", i), gguf.F32, 32, 1, 1)
	}
	m, err := d.open(t)
	if err != nil {
		t.Fatal(err)
	}
	read(t, newSession(t, m, SequenceOptions{}), Input{Tokens: []int32{1, 2, 3}})
}

// TestVectorsInAnyFormat: norms are F32 in known files, but nothing says that they must be.
func TestVectorsInAnyFormat(t *testing.T) {
	for _, f := range []gguf.Type{gguf.F16, gguf.BF16, gguf.Q8_0, gguf.Q4_0} {
		d := newDraft(t, "e")
		d.zero("output_norm.weight", f, 32)
		d.zero("blk.1.attn_norm.weight", f, 32)
		if _, err := d.open(t); err != nil {
			t.Errorf("norms in %v: %v", f, err)
		}
	}
}
