package synth

import (
	"errors"
	"fmt"
	"math"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/tensor"
)

// Projector is the shape of a projector's file (mmproj): of what makes embeddings of pictures and sounds for a text model.
type Projector struct {
	Name  string // general.name
	Seed  uint64 // of all weights
	Mix   Mix    // formats of the matrices; nil: F32
	Width int    // of an embedding, as the text model has it

	Unified bool // no towers (gemma4uv and gemma4ua), but a projection of patches and one of samples; else gemma4v and gemma4a
	Vision  Tower
	Audio   Tower // Width 0: no sounds; unified, the samples of a token

	Positions   int    // patches of a row or column at most
	Standardise bool   // v.std_bias and v.std_scale
	Channels    [2]int // of the convolutions of sounds
	AudioOut    int    // what the tower of sounds makes, before it is projected
	Clamps      bool   // bounds of what goes into a layer's products and comes out of them
}

// Tower is the shape of a transformer of patches or a conformer of sounds. Without layers only its width counts.
type Tower struct{ Layers, Width, Heads, MLP int }

// What all projectors have in common.
const (
	patchSide = 16  // pixels
	poolSide  = 3   // patches of a token, in each direction
	melBins   = 128 // of sounds
	convTaps  = 5   // of a conformer's convolution in time
	clampAt   = 8   // deviations of what random weights make: seldom reached
)

func (p Projector) seed() uint64 { return p.Seed }

// Size returns the bytes of all tensors: the size of the file without metadata and padding. It is 0 if p is not a projector.
func (p Projector) Size() int64 { return count(p, weight.bytes) }

// Parameters returns the number of weights, 0 if p is not a projector.
func (p Projector) Parameters() int64 { return count(p, weight.values) }

// check reports the first field that no projector can have. The limits are as those of a Config.
func (p Projector) check() error {
	type field struct {
		name               string
		value, least, most int
	}
	fields := []field{{"Width", p.Width, 1, 1 << 17}, {"Vision.Width", p.Vision.Width, 1, 1 << 17},
		{"Audio.Width", p.Audio.Width, 0, 1 << 17},
		{"Positions", p.Positions, 1, 1 << 17}}
	tower := func(name string, t Tower) {
		fields = append(fields, field{name + ".Layers", t.Layers, 1, 1 << 10}, field{name + ".Heads", t.Heads, 1, 1 << 12},
			field{name + ".MLP", t.MLP, 1, 1 << 20})
	}
	if !p.Unified {
		tower("Vision", p.Vision)
		if p.Audio.Width > 0 {
			tower("Audio", p.Audio)
			fields = append(fields, field{"Channels[0]", p.Channels[0], 1, 1 << 12}, field{"Channels[1]", p.Channels[1], 1, 1 << 12},
				field{"AudioOut", p.AudioOut, 1, 1 << 17})
		}
	}
	for _, f := range fields {
		if f.value < f.least || f.value > f.most {
			return fmt.Errorf("synth: %s is %d, want %d to %d", f.name, f.value, f.least, f.most)
		}
	}
	if !p.Unified {
		if t := p.Vision; t.Width%(4*t.Heads) != 0 {
			return fmt.Errorf("synth: Vision.Width is %d, want a multiple of 4 for each of %d heads", t.Width, t.Heads)
		}
		if t := p.Audio; t.Width > 0 && t.Width%(2*t.Heads) != 0 {
			return fmt.Errorf("synth: Audio.Width is %d, want a multiple of 2 for each of %d heads", t.Width, t.Heads)
		}
	}
	for _, w := range p.weights() {
		if !w.format.Valid() {
			return fmt.Errorf("synth: %s is to be in %v, want a weight format", w.name, w.format)
		}
	}
	return nil
}

// weights lists all tensors. As in published files, only what is multiplied as a matrix has the format of the mix: convolutions, patches
// of a tower and positions are F32.
func (p Projector) weights() []weight {
	l := newLister(p.Mix)
	if p.Unified {
		p.unified(l)
		return l.list
	}
	d := p.Vision.Width
	l.numbers("v.patch_embd.weight", fanIn(3*patchSide*patchSide), patchSide, patchSide, 3, d)
	l.numbers("v.position_embd.weight", 0.5, d, p.Positions, 2)
	for i := range p.Vision.Layers {
		l.prefix = fmt.Sprintf("v.blk.%d.", i)
		p.visionLayer(l)
	}
	l.prefix = ""
	if p.Standardise {
		l.numbers("v.std_bias", 1, d)
		l.vector("v.std_scale", d, fanIn(d)) // what is pooled is multiplied by √width
	}
	l.table("mm.input_projection", d, p.Width)
	if p.Audio.Width > 0 {
		p.sounds(l)
	}
	return l.list
}

// visionLayer lists the tensors of a layer of the tower of pictures.
func (p Projector) visionLayer(l *lister) {
	t := p.Vision
	for _, name := range []string{"ln1", "ln2", "attn_post_norm", "ffn_post_norm"} {
		l.vector(name+".weight", t.Width, 1)
	}
	head := t.Width / t.Heads
	l.vector("attn_q_norm.weight", head, 1)
	l.vector("attn_k_norm.weight", head, 2*fanIn(head)) // as in a text model
	for _, name := range []string{"attn_q", "attn_k", "attn_v", "attn_out"} {
		p.clamped(l, name, t.Width, t.Width)
	}
	p.clamped(l, "ffn_gate", t.Width, t.MLP)
	p.clamped(l, "ffn_up", t.Width, t.MLP)
	p.clamped(l, "ffn_down", t.MLP, t.Width)
}

// sounds lists the tower of sounds.
func (p Projector) sounds(l *lister) {
	t, c := p.Audio, p.Channels
	l.numbers("a.conv1d.0.weight", fanIn(9), 3, 3, 1, c[0])
	l.numbers("a.conv1d.1.weight", fanIn(9*c[0]), 3, 3, c[0], c[1])
	l.vector("a.conv1d.0.norm.weight", c[0], 1)
	l.vector("a.conv1d.1.norm.weight", c[1], 1)
	l.table("a.input_projection", melBins/4*c[1], t.Width)
	for i := range t.Layers {
		l.prefix = fmt.Sprintf("a.blk.%d.", i)
		p.audioLayer(l)
	}
	l.prefix = ""
	l.table("a.pre_encode.out", t.Width, p.AudioOut)
	l.numbers("a.pre_encode.out.bias", 0.1, p.AudioOut)
	l.table("mm.a.input_projection", p.AudioOut, p.Width)
}

// audioLayer lists the tensors of a layer of the tower of sounds.
func (p Projector) audioLayer(l *lister) {
	t := p.Audio
	for _, end := range []string{"", "_1"} {
		l.vector("ffn_norm"+end+".weight", t.Width, 1)
		l.vector("ffn_post_norm"+end+".weight", t.Width, 1)
		p.clamped(l, "ffn_up"+end, t.Width, t.MLP)
		p.clamped(l, "ffn_down"+end, t.MLP, t.Width)
	}
	for _, name := range []string{"attn_pre_norm", "attn_post_norm", "ln2", "conv_norm", "norm_conv"} {
		l.vector(name+".weight", t.Width, 1)
	}
	for _, name := range []string{"attn_q", "attn_k", "attn_v", "attn_out"} {
		p.clamped(l, name, t.Width, t.Width)
	}
	l.vector("per_dim_scale.weight", t.Width/t.Heads, math.Ln2) // softplus of 0
	l.table("attn_k_rel", t.Width, t.Width)
	p.clamped(l, "conv_pw1", t.Width, 2*t.Width)
	p.clamped(l, "conv_pw2", t.Width, t.Width)
	l.numbers("conv_dw.weight", fanIn(convTaps), convTaps, t.Width)
}

// unified lists what stands for towers in unified models.
func (p Projector) unified(l *lister) {
	const token = 3 * patchSide * poolSide * patchSide * poolSide
	d := p.Vision.Width
	l.table("v.patch_embd", token, d)
	l.numbers("v.patch_embd.bias", 0.1, d)
	for i, n := range []int{token, d, d} {
		l.vector(fmt.Sprintf("v.patch_norm.%d.weight", i+1), n, 1)
		l.numbers(fmt.Sprintf("v.patch_norm.%d.bias", i+1), 0.1, n)
	}
	l.numbers("v.position_embd.weight", 0.5, d, p.Positions, 2)
	l.table("mm.input_projection", d, p.Width)
	if p.Audio.Width > 0 {
		l.table("mm.a.input_projection", p.Audio.Width, p.Width)
	}
}

// clamped adds a layer's matrix and its bounds.
func (p Projector) clamped(l *lister, name string, in, out int) {
	l.table(name, in, out)
	if p.Clamps {
		for _, end := range []string{"input", "output"} {
			l.given(name+"."+end+"_min", -clampAt)
			l.given(name+"."+end+"_max", clampAt)
		}
	}
}

// numbers adds a tensor in F32 of mean 0.
func (l *lister) numbers(name string, spread float64, dims ...int) {
	l.add(weight{name: name, dims: dims, format: tensor.F32, spread: spread})
}

// fanIn returns the deviation of weights that makes a sum of n products as large as what goes into it.
func fanIn(n int) float64 { return 1 / math.Sqrt(float64(n)) }

// metadata returns all keys that readers of projectors look for.
func (p Projector) metadata() (*gguf.Metadata, error) {
	m := new(gguf.Metadata)
	var errs []error
	set := func(key string, v any) { errs = append(errs, m.Set(key, v)) }
	set("general.architecture", "clip")
	set("general.type", "mmproj")
	set("general.name", p.Name)
	set("clip.has_vision_encoder", true)
	set("clip.has_audio_encoder", p.Audio.Width > 0)
	vision, audio := "gemma4v", "gemma4a"
	if p.Unified {
		vision, audio = "gemma4uv", "gemma4ua"
	}
	sense := func(name, kind string, t Tower) {
		prefix := "clip." + name + "."
		set(prefix+"projector_type", kind)
		set(prefix+"embedding_length", uint32(t.Width))
		set(prefix+"feed_forward_length", uint32(t.MLP))
		set(prefix+"block_count", uint32(t.Layers))
		set(prefix+"attention.head_count", uint32(t.Heads))
		set(prefix+"projection_dim", uint32(p.Width))
		set(prefix+"attention.layer_norm_epsilon", float32(1e-6))
	}
	sense("vision", vision, p.Vision)
	set("clip.vision.image_size", uint32(224))
	set("clip.vision.patch_size", uint32(patchSide))
	set("clip.vision.image_mean", []float32{0, 0, 0})
	set("clip.vision.image_std", []float32{1, 1, 1})
	if p.Audio.Width > 0 {
		sense("audio", audio, p.Audio)
		set("clip.audio.num_mel_bins", uint32(melBins))
	}
	return m, errors.Join(errs...)
}
