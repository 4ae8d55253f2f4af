package model

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/tensor"
)

// newDrafterDraft returns a synthetic drafter before it is written, without a vocabulary.
func newDrafterDraft(t testing.TB, spec string) *draft {
	t.Helper()
	shape, err := synth.ParseDrafter(spec)
	if err != nil {
		t.Fatal(err)
	}
	return withoutTokens(t, shape)
}

func withoutTokens(t testing.TB, shape synth.Shape) *draft {
	t.Helper()
	m, tensors, err := synth.Build(shape)
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

// TestEveryTensorOfADrafterIsChecked: one that is missing or has another shape is named.
func TestEveryTensorOfADrafterIsChecked(t *testing.T) {
	m := openSynthetic(t, "micro-e4:f32", 1)
	whole := newDrafterDraft(t, "micro-e4-draft")
	optional := func(name string) bool {
		return name == "rope_freqs.weight" || strings.HasSuffix(name, "layer_output_scale.weight")
	}
	for _, s := range whole.tensors {
		d := whole.clone()
		d.drop(s.Name)
		_, err := OpenDrafter(d.file(t), m, DrafterOptions{})
		if optional(s.Name) && err != nil || !optional(s.Name) && (err == nil || !strings.Contains(err.Error(), s.Name+" is missing")) {
			t.Errorf("without %s: %v", s.Name, err)
		}
		for _, wrong := range wrongShapes(s) {
			d := whole.clone()
			d.zero(s.Name, gguf.F32, wrong...)
			want := fmt.Sprintf("model: %s has the shape %v, expected %v", s.Name, wrong, s.Dims)
			if _, err := OpenDrafter(d.file(t), m, DrafterOptions{}); err == nil || err.Error() != want {
				t.Errorf("error %v, want %s", err, want)
			}
		}
		d = whole.clone()
		d.zero(s.Name, gguf.I32, s.Dims...)
		_, err = OpenDrafter(d.file(t), m, DrafterOptions{})
		if err == nil || !strings.Contains(err.Error(), s.Name+" is of type 26 (I32)") {
			t.Errorf("%s in integers: %v", s.Name, err)
		}
	}
}

// TestDraftersAsOtherProgramsWriteThem, and what is not one of them.
func TestDraftersAsOtherProgramsWriteThem(t *testing.T) {
	type changes []func(*draft)
	const arch = ".gemma4-assistant."
	m := openSynthetic(t, "micro-dense:f32", 1)
	set := func(key string, v any) func(*draft) { return func(d *draft) { d.set(arch+key, v) } }
	unset := func(key string) func(*draft) { return func(d *draft) { d.Delete(arch[1:] + key) } }
	drop := func(names ...string) func(*draft) { return func(d *draft) { d.drop(names...) } }
	rename := func(from, to string) func(*draft) {
		return func(d *draft) { d.tensors[d.index(from)].Name = to }
	}
	zero := func(name string, t gguf.Type, dims ...int) func(*draft) {
		return func(d *draft) { d.zero(name, t, dims...) }
	}
	vector := func(name string, x ...float32) func(*draft) { return func(d *draft) { d.floats(name, x, len(x)) } }
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	norm := slices.Repeat([]float32{1}, 32)
	spoiled := func(i int, v float32) []float32 {
		x := slices.Clone(norm)
		x[i] = v
		return x
	}
	for _, c := range []struct {
		name   string
		change changes
		want   string // of the error, or what it is
	}{
		{"as it is", nil, "4 layers of width 32"},
		{"arrays", changes{set("attention.head_count", []int32{8, 8, 8, 8}), set("feed_forward_length", []int64{64, 64, 64, 64}),
			set("attention.head_count_kv", []uint32{4, 4, 4, 2}), set("attention.sliding_window_pattern", []uint8{1, 1, 1, 0})},
			"4 layers of width 32"},
		{"few keys", changes{unset("nextn_predict_layers"), unset("embedding_length_out"), unset("attention.head_count_kv"),
			unset("attention.sliding_window"), unset("rope.freq_base"), unset("rope.freq_base_swa"), unset("rope.dimension_count"),
			unset("attention.value_length_swa"), unset("context_length")}, "4 layers of width 32"},
		{"other keys", changes{set("nextn_predict_layers", uint32(1)), set("centroid_count", uint32(2048)),
			set("use_ordered_embeddings", true)}, "4 layers of width 32"},
		{"without what may be missing", changes{drop("rope_freqs.weight", "blk.0.layer_output_scale.weight")},
			"4 layers of width 32"},
		{"other names", changes{rename("nextn.pre_projection.weight", "mtp_pre_proj.weight"),
			rename("nextn.post_projection.weight", "mtp_post_proj.weight"), zero("mtp_input_embd.weight", gguf.F16, 64, 512)},
			"4 layers of width 32"},
		{"idle keys and values", changes{zero("blk.0.attn_k.weight", gguf.F32, 32, 64), zero("blk.3.attn_v.weight", gguf.F32, 32, 64)},
			"4 layers of width 32"},
		{"clusters", changes{zero("masked_embd_centroids.weight", gguf.F32, 32, 16), zero("masked_embd_ordering.weight", gguf.I32, 512)},
			"4 layers of width 32, the clusters of its head (masked_embd_centroids) unused"},
		{"clusters elsewhere", changes{zero("mtp_token_ordering", gguf.I32, 512), zero("mtp_centroids.weight", gguf.F32, 32, 16)},
			"4 layers of width 32, the clusters of its head (mtp_token_ordering) unused"},
		{"clusters alone", changes{zero("mtp_centroids.weight", gguf.F32, 32, 16), drop("token_embd.weight")},
			"token_embd.weight is missing: the file has only the clusters of a head (mtp_centroids), expected all of it"},

		{"a smaller window", changes{set("attention.sliding_window", uint32(4))}, "4 layers of width 32"},
		{"a wider window", changes{set("attention.sliding_window", uint32(9))}, "attention.sliding_window is 9, expected 1 to 8"},
		{"no window", changes{set("attention.sliding_window", int32(-1))}, "attention.sliding_window is -1, expected 1 to 8"},
		{"another model's heads", changes{set("attention.head_count_kv", uint32(2))},
			"gemma4-assistant.attention.head_count_kv is 2 in layer 0, expected 4 as in the model's layer 4"},
		{"heads that share nothing", changes{set("attention.head_count", uint32(6))},
			"gemma4-assistant.attention.head_count is 6 in layer 0, expected a multiple of 4, the model's heads"},
		{"too many heads", changes{set("attention.head_count", uint32(1<<17))},
			"gemma4-assistant.attention.head_count is 131072 in layer 0, expected a multiple of 4"},
		{"heads of another number", changes{set("attention.head_count", []int32{8, 8, 8})},
			"gemma4-assistant.attention.head_count has 3 entries, expected 4, one for each layer"},
		{"an odd head", changes{set("attention.key_length", uint32(31))}, "gemma4-assistant.attention.key_length is 31, expected an even"},
		{"no pattern", changes{unset("attention.sliding_window_pattern")}, "gemma4-assistant.attention.sliding_window_pattern"},
		{"a long pattern", changes{set("attention.sliding_window_pattern", make([]bool, 1<<20))},
			"gemma4-assistant.attention.sliding_window_pattern has 1048576 entries, expected 4"},
		{"no width", changes{set("embedding_length", uint32(0))}, "gemma4-assistant.embedding_length is 0, expected 1 to 262144"},
		{"a huge MLP", changes{set("feed_forward_length", uint64(1<<40))}, "feed_forward_length is 1099511627776, expected 1 to 262144"},
		{"many layers", changes{set("block_count", uint32(1024))}, "sliding_window_pattern has 4 entries, expected 1024"},
		{"no epsilon", changes{set("attention.layer_norm_rms_epsilon", float32(0))}, "layer_norm_rms_epsilon is 0, expected a positive"},

		{"NaN in a norm", changes{vector("output_norm.weight", spoiled(5, nan)...)}, "output_norm.weight[5] is NaN, expected a finite"},
		{"infinity in a norm", changes{vector("blk.2.ffn_norm.weight", spoiled(0, inf)...)}, "blk.2.ffn_norm.weight[0] is +Inf"},
		{"a factor of 0", changes{vector("rope_freqs.weight", make([]float32, 16)...)}, "rope_freqs.weight[0] is 0, expected a positive"},
		{"a bias", changes{zero("blk.1.attn_q.bias", gguf.F32, 128)}, "not understood: tensor blk.1.attn_q.bias"},
		{"experts", changes{zero("blk.1.ffn_gate_inp.weight", gguf.F32, 32, 4)}, "blk.1.ffn_down_exps.weight"},
		{"a layer too many", changes{zero("blk.4.attn_norm.weight", gguf.F32, 32)},
			"tensor blk.4.attn_norm.weight (gemma4-assistant.block_count is 4)"},
		{"a head of its own", changes{zero("output.weight", gguf.F32, 32, 512)}, "not understood: tensor output.weight"},
	} {
		d := newDrafterDraft(t, "micro-dense-draft")
		for _, change := range c.change {
			change(d)
		}
		x, err := OpenDrafter(d.file(t), m, DrafterOptions{})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "model: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, expected %s", c.name, err, c.want)
			}
			continue
		}
		if x.String() != c.want {
			t.Errorf("%s: it is %v, expected %s", c.name, x, c.want)
		}
		s := newSession(t, m, SequenceOptions{})
		hidden := readFor(t, s, randomText(9, m.Vocabulary, 1))
		guess(t, x.NewDraft(), s.Sequence, hidden, 9, 3, 2)
	}
}

// TestUnknownTensorsOfADrafterMayBeAllowed, and are told.
func TestUnknownTensorsOfADrafterMayBeAllowed(t *testing.T) {
	m, d := openSynthetic(t, "micro-e:f32", 1), newDrafterDraft(t, "micro-e-draft")
	d.zero("blk.1.attn_q.bias", gguf.F32, 64)
	x, err := OpenDrafter(d.file(t), m, DrafterOptions{AllowUnknown: true})
	if err != nil || x.Unknown() == nil || !strings.Contains(x.Unknown().Error(), "blk.1.attn_q.bias") {
		t.Errorf("%v, unknown is %v", err, x)
	}
}

// TestAWeightThatIsNaNIsTold by the step that meets it.
func TestAWeightThatIsNaNIsTold(t *testing.T) {
	m := openSynthetic(t, "micro-e:f32", 1)
	s := newSession(t, m, SequenceOptions{})
	hidden := readFor(t, s, randomText(9, m.Vocabulary, 1))
	for name, dims := range map[string][]int{
		"token_embd.weight": {32, 512}, "blk.0.attn_q.weight": {32, 64}, "blk.3.ffn_down.weight": {64, 32},
		"nextn.pre_projection.weight": {128, 32},
	} {
		d := newDrafterDraft(t, "micro-e-draft")
		x := make([]float32, dims[0]*dims[1])
		x[7*dims[0]] = float32(math.NaN())
		d.floats(name, x, dims...)
		drafter, err := OpenDrafter(d.file(t), m, DrafterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		draft := drafter.NewDraft()
		draft.Begin(s.Sequence, hidden, 9)
		if _, err := draft.Next(ctx, 3); err == nil || !strings.Contains(err.Error(), "is NaN") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDraftersInEveryFormat draft alike: their matrices are what the loader of models takes.
func TestDraftersInEveryFormat(t *testing.T) {
	m := openSynthetic(t, "tiny-moe:q8_0", 2)
	s := newSession(t, m, SequenceOptions{})
	hidden := readFor(t, s, randomText(9, m.Vocabulary, 1))
	for _, f := range tensor.Formats() {
		name := strings.ToLower(f.String())
		if _, err := synth.ParseDrafter("tiny-moe-draft:" + name); err != nil {
			t.Fatal(err)
		}
		d, err := OpenDrafter(newDrafterDraft(t, "tiny-moe-draft:"+name).file(t), m, DrafterOptions{})
		if err != nil {
			t.Errorf("%v: %v", f, err)
			continue
		}
		for i, v := range guess(t, d.NewDraft(), s.Sequence, hidden, 9, 3, 2)[1] {
			if v-v != 0 || v == 0 {
				t.Fatalf("%v: logit %d is %g", f, i, v)
			}
		}
	}
}

// FuzzDrafter opens any bytes as a drafter. What opens drafts without a panic.
func FuzzDrafter(f *testing.F) {
	shape := synth.Drafter{Width: 2, Heads: 1, MLP: 2, Model: synth.Config{
		Vocabulary: synth.MinVocabulary, Context: 64, Layers: 2, Width: 2, Heads: []int{1}, KVHeads: []int{1}, MLP: []int{2},
		HeadSize: 4, HeadSizeSliding: 2, Sliding: []bool{true, false}, Window: 8,
	}}
	m, err := withoutTokens(f, shape.Model).open(f)
	if err != nil {
		f.Fatal(err)
	}
	s := newSession(f, m, SequenceOptions{})
	hidden := slices.Clone(readFor(f, s, randomText(9, m.Vocabulary, 1)))
	for _, format := range []tensor.Format{tensor.F32, tensor.F16} {
		shape.Mix = synth.All(format)
		d := withoutTokens(f, shape)
		var b bytes.Buffer
		if err := gguf.Write(&b, d.Metadata, d.tensors); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := gguf.OpenBytes(data)
		if err != nil {
			return
		}
		d, err := OpenDrafter(file, m, DrafterOptions{AllowUnknown: true, Head: []int32{1, 2, 106}})
		if err != nil {
			return
		}
		x := d.NewDraft()
		x.Begin(s.Sequence, hidden, 9)
		for range 2 {
			if logits, err := x.Next(t.Context(), 3); err == nil && len(logits) != 3 {
				t.Errorf("%d logits", len(logits))
			}
		}
	})
}
