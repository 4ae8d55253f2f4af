package model

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
)

func TestBrokenProjectorsSayWhatIsWrong(t *testing.T) {
	nan := float32(math.NaN())
	set := func(key string, v any) func(*draft) { return func(d *draft) { d.set(key, v) } }
	zero := func(name string, dims ...int) func(*draft) { return func(d *draft) { d.zero(name, gguf.F32, dims...) } }
	remove := func(key string) func(*draft) { return func(d *draft) { d.Delete(key) } }
	value := func(name string, v float32) func(*draft) { return func(d *draft) { d.floats(name, []float32{v}, 1) } }
	whole := newTowersDraft(t, smallTowers)
	for _, c := range []struct {
		change func(*draft)
		want   string // after "model: "
	}{
		{set(".clip.vision.attention.head_count", uint32(3)),
			"clip.vision.attention.head_count is 3, expected a number of heads that divides clip.vision.embedding_length, 40, into heads " +
				"of a multiple of 4"},
		{set(".clip.vision.attention.head_count", uint32(20)), "clip.vision.attention.head_count is 20, expected"},
		{set(".clip.vision.attention.head_count", uint32(0)), "clip.vision.attention.head_count is 0, expected 1 to"},
		{set(".clip.audio.attention.head_count", uint32(5)),
			"clip.audio.attention.head_count is 5, expected a number of heads that divides clip.audio.embedding_length, 48"},
		{set(".clip.vision.block_count", uint32(3)), "v.blk.2.ln1.weight is missing, expected the shape [40]"},
		{set(".clip.vision.block_count", uint32(1)), "what may change the answer is not understood: tensor v.blk.1."},
		{set(".clip.vision.block_count", uint32(1<<20)), "clip.vision.block_count is 1048576, expected 1 to 1024"},
		{set(".clip.audio.block_count", uint32(1)), "what may change the answer is not understood: tensor a.blk.1."},
		{set(".clip.audio.block_count", "two"), "metadata key clip.audio.block_count"},
		{set(".clip.vision.patch_size", uint32(5)), "v.patch_embd.weight has the shape [4 4 3 40], expected [5 5 3 40]"},
		{set(".clip.vision.patch_size", uint32(1<<30)), "clip.vision.patch_size is 1073741824, expected 1 to 256"},
		{set(".clip.vision.projector.scale_factor", uint32(0)), "clip.vision.projector.scale_factor is 0, expected 1 to 16"},
		{set(".clip.vision.attention.layer_norm_epsilon", float32(0)),
			"clip.vision.attention.layer_norm_epsilon is 0, expected a positive"},
		{remove("clip.vision.attention.layer_norm_epsilon"), "metadata key clip.vision.attention.layer_norm_epsilon: missing"},
		{remove("clip.audio.embedding_length"), "metadata key clip.audio.embedding_length: missing"},
		{set(".clip.audio.num_mel_bins", uint32(24)), "a.input_projection.weight has the shape [40 48], expected [48 48]"},
		{set(".clip.audio.num_mel_bins", uint32(1<<20)), "clip.audio.num_mel_bins is 1048576, expected 4 to 1024"},
		{zero("v.position_embd.weight", 40, 80), "v.position_embd.weight has the shape [40 80], expected [40 positions 2]"},
		{zero("v.position_embd.weight", 40, 40, 3), "v.position_embd.weight has the shape [40 40 3], expected [40 40 2]"},
		{zero("a.conv1d.1.weight", 3, 3, 11, 8), "a.conv1d.1.weight has the shape [3 3 11 8], expected [3 3 12 8]"},
		{zero("a.conv1d.0.weight", 3, 3, 12), "a.conv1d.0.weight is missing or not of the shape [3 3 1 outputs]"},
		{zero("a.blk.1.conv_dw.weight", 4, 48), "a.blk.1.conv_dw.weight is missing or not of the shape [tokens 48]"},
		{zero("a.blk.0.conv_dw.weight", 1<<17, 48), "a.blk.0.conv_dw.weight is missing or not of the shape [tokens 48], at most 64"},
		{zero("a.pre_encode.out.weight", 40, 36), "a.pre_encode.out.weight has the shape [40 36], expected [48 36]"},
		{zero("a.pre_encode.out.weight", 48), "a.pre_encode.out.weight has the shape [48], expected [48 outputs]"},
		{zero("v.blk.0.attn_q.input_min", 2), "v.blk.0.attn_q.input_min has the shape [2], expected [1]"},
		{value("v.blk.0.attn_q.input_min", nan), "v.blk.0.attn_q.input_min is NaN and _max"},
		{value("a.blk.0.ffn_up.output_max", -9), "a.blk.0.ffn_up.output_min is"},
		{value("a.blk.0.per_dim_scale.weight", 1), "a.blk.0.per_dim_scale.weight has the shape [1], expected [16]"},
		{func(d *draft) { d.floats("v.std_scale", slices.Repeat([]float32{nan}, 40), 40) }, "v.std_scale[0] is NaN, expected a finite"},
		{func(d *draft) { d.drop("v.std_scale") }, "v.std_scale is missing"},
		{func(d *draft) { d.floats("v.clamp_data", make([]float32, 56), 56) }, "v.clamp_data has the shape [56], expected [60]"},
		{func(d *draft) { d.retype("v.blk.1.ffn_up.weight", 99) }, "v.blk.1.ffn_up.weight is of type 99"},
		{zero("v.blk.0.attn_q.bias", 40), "what may change the answer is not understood: tensor v.blk.0.attn_q.bias; AllowUnknown opens"},
		{zero("resampler.weight", 40), "not understood: tensor resampler.weight"},
		{set(".clip.vision.window", uint32(7)), "not understood: key clip.vision.window"},
		{set(".clip.vision.image_mean", []float32{0.5, 0.5, 0.5}), "not understood: key clip.vision.image_mean"},
		{set(".clip.vision.image_std", []float32{0.5, 0.5, 0.5}), "not understood: key clip.vision.image_std"},
	} {
		d := whole.clone()
		c.change(d)
		p, err := d.projector(t, smallTowers.width, Options{Workers: 1})
		if err == nil || !strings.HasPrefix(err.Error(), "model: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, %v, expected %q", p, err, c.want)
		}
		if strings.Contains(c.want, "not understood") {
			if !errors.Is(err, ErrUnknown) {
				t.Errorf("%v is no ErrUnknown", err)
			}
			p, err := d.projector(t, smallTowers.width, Options{Workers: 1, AllowUnknown: true})
			if err != nil || !errors.Is(p.Unknown(), ErrUnknown) {
				t.Errorf("allowed: %v", err)
			}
		}
	}
	// Every tensor is needed, in its shape, but for those that say what is not to be done.
	for i, s := range whole.tensors {
		d := whole.clone()
		d.tensors = slices.Delete(d.tensors, i, i+1)
		_, err := d.projector(t, smallTowers.width, Options{Workers: 1})
		optional := strings.HasSuffix(s.Name, "put_min") || strings.HasSuffix(s.Name, "put_max") || s.Name == "a.pre_encode.out.bias" ||
			s.Name == "mm.a.soft_emb_norm.weight"
		if optional != (err == nil) || err != nil && !strings.Contains(err.Error(), s.Name) && s.Name != "a.pre_encode.out.weight" {
			t.Errorf("without %s: %v", s.Name, err)
		}
		d = whole.clone()
		dims := slices.Clone(s.Dims)
		dims[0] += 4
		d.zero(s.Name, gguf.F32, dims...)
		if _, err = d.projector(t, smallTowers.width, Options{Workers: 1}); err == nil {
			t.Errorf("%s in the shape %v opens", s.Name, dims)
		}
	}
}

func TestTruncatedProjectorsAreErrors(t *testing.T) {
	d := newTowersDraft(t, smallTowers)
	var b bytes.Buffer
	if err := gguf.Write(&b, d.Metadata, d.tensors); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < b.Len(); n += 1 + b.Len()/50 {
		f, err := gguf.OpenBytes(b.Bytes()[:n])
		if err == nil {
			_, err = OpenProjector(f, &Config{Width: smallTowers.width}, Options{Workers: 1})
		}
		if err == nil {
			t.Errorf("opens with %d of %d bytes", n, b.Len())
		}
	}
}

// FuzzProjector opens any bytes as a projector. What opens sees and hears without a panic.
func FuzzProjector(f *testing.F) {
	shape := towerShape{width: 4, vision: 4, heads: 1, mlp: 4, layers: 1, patch: 1, pool: 2, positions: 4, audio: 4, audioHeads: 1,
		audioMLP: 4, audioLayers: 1, taps: 2, out: 4, bins: 4, channels: [2]int{2, 2}}
	for range 2 {
		d := newTowersDraft(f, shape)
		var b bytes.Buffer
		if err := gguf.Write(&b, d.Metadata, d.tensors); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
		shape.unclamped, shape.plain = true, true
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := gguf.OpenBytes(data)
		if err != nil {
			return
		}
		p, err := OpenProjector(file, &Config{Width: 4}, Options{Workers: 1, AllowUnknown: true})
		if err != nil {
			return
		}
		defer p.Close()
		if side := p.TokenSide(); side > 0 && side <= 64 {
			if rows, err := p.See(t.Context(), picture(side, side)); err == nil && len(rows) != 4 {
				t.Errorf("%d numbers of a token", len(rows))
			}
		}
		if p.Sound != "" {
			if _, err := p.Hear(t.Context(), sound(700)); err != nil && !strings.HasPrefix(err.Error(), "model: ") {
				t.Error(err)
			}
		}
	})
}
