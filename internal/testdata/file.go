package testdata

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/gogemma/gemma4/gguf"
)

// Projector returns a file with as much of a projector of images and sounds as tells for which models it is: those of that width.
func Projector(t testing.TB, width int) (*gguf.Metadata, []gguf.Source) {
	m := metadata(t,
		"general.architecture", "clip",
		"general.name", "eyes and ears",
		"clip.has_vision_encoder", true,
		"clip.has_audio_encoder", true,
		"clip.vision.projector_type", "gemma4v",
		"clip.audio.projector_type", "gemma4a")
	return m, []gguf.Source{Zeros("mm.input_projection.weight", 96, width), Zeros("mm.a.input_projection.weight", 128, width)}
}

// Unified returns a whole projector without towers for models of that width: zeros, which see 12 × 12 pixels in a token.
func Unified(t testing.TB, width int) (*gguf.Metadata, []gguf.Source) {
	const own, values = 8, 3 * 12 * 12
	m := metadata(t,
		"general.architecture", "clip",
		"general.name", "eyes and ears",
		"clip.has_vision_encoder", true,
		"clip.has_audio_encoder", true,
		"clip.vision.projector_type", "gemma4uv",
		"clip.audio.projector_type", "gemma4ua",
		"clip.vision.embedding_length", uint32(own),
		"clip.vision.patch_size", uint32(4),
		"clip.vision.projector.scale_factor", uint32(3),
		"clip.vision.attention.layer_norm_epsilon", float32(1e-6))
	return m, []gguf.Source{Zeros("mm.input_projection.weight", own, width), Zeros("mm.a.input_projection.weight", 640, width),
		Zeros("v.patch_embd.weight", values, own), Zeros("v.patch_embd.bias", own),
		Zeros("v.patch_norm.1.weight", values), Zeros("v.patch_norm.1.bias", values),
		Zeros("v.patch_norm.2.weight", own), Zeros("v.patch_norm.2.bias", own),
		Zeros("v.patch_norm.3.weight", own), Zeros("v.patch_norm.3.bias", own),
		Zeros("v.position_embd.weight", own, 40, 2)}
}

// Drafter returns a whole drafter of zeros for models of that width, vocabulary and head sizes of global and sliding layers, whose heads of
// keys and values divide 4: four layers of width 32, the last one global.
func Drafter(t testing.TB, width, vocabulary, global, sliding int) (*gguf.Metadata, []gguf.Source) {
	const arch, own, heads, mlp = "gemma4-assistant", 32, 4, 64
	m := metadata(t,
		"general.architecture", arch,
		"general.name", "drafter",
		arch+".block_count", uint32(4),
		arch+".embedding_length", uint32(own),
		arch+".embedding_length_out", uint32(width),
		arch+".feed_forward_length", uint32(mlp),
		arch+".attention.head_count", uint32(heads),
		arch+".attention.key_length", uint32(global),
		arch+".attention.key_length_swa", uint32(sliding),
		arch+".attention.sliding_window_pattern", []bool{true, true, true, false},
		arch+".attention.layer_norm_rms_epsilon", float32(1e-6),
		arch+".rope.freq_base", float32(1e6))
	tensors := []gguf.Source{Zeros("token_embd.weight", own, vocabulary), Zeros("output_norm.weight", own),
		Zeros("nextn.pre_projection.weight", 2*width, own), Zeros("nextn.post_projection.weight", own, width)}
	for i, dim := range []int{sliding, sliding, sliding, global} {
		add := func(name string, dims ...int) {
			tensors = append(tensors, Zeros(fmt.Sprintf("blk.%d.%s.weight", i, name), dims...))
		}
		for _, name := range []string{"attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"} {
			add(name, own)
		}
		add("attn_q", own, heads*dim)
		add("attn_q_norm", dim)
		add("attn_output", heads*dim, own)
		add("ffn_gate", own, mlp)
		add("ffn_up", own, mlp)
		add("ffn_down", mlp, own)
	}
	return m, tensors
}

func metadata(t testing.TB, pairs ...any) *gguf.Metadata {
	t.Helper()
	m := new(gguf.Metadata)
	for ; len(pairs) > 0; pairs = pairs[2:] {
		if err := m.Set(pairs[0].(string), pairs[1]); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// Zeros returns an F32 tensor of zeros.
func Zeros(name string, dims ...int) gguf.Source {
	n := 4
	for _, d := range dims {
		n *= d
	}
	return gguf.NewSource(name, gguf.F32, dims, make([]byte, n))
}

// Sources returns the tensors of an open file, to be written again.
func Sources(t testing.TB, f *gguf.File) (tensors []gguf.Source) {
	t.Helper()
	for _, x := range f.Tensors {
		data, err := x.Data()
		if err != nil {
			t.Fatal(err)
		}
		tensors = append(tensors, gguf.NewSource(x.Name, x.Type, x.Dims, data))
	}
	return tensors
}

// Bytes returns the file that holds these keys and tensors.
func Bytes(t testing.TB, m *gguf.Metadata, tensors []gguf.Source) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := gguf.Write(&b, m, tensors); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
