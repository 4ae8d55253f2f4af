package model

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/tensor"
)

// towerShape is the shape of a random projector.
type towerShape struct {
	width                                                     int // of the model
	vision, heads, mlp, layers, patch, pool, positions        int
	audio, audioHeads, audioMLP, audioLayers, taps, out, bins int
	channels                                                  [2]int
	matrices                                                  gguf.Type
	unclamped, plain                                          bool // no bounds; no standardisation, no bias
}

// smallTowers have widths, heads and MLPs that differ, so that no transposed matrix fits; heads are of sizes that kernels do not like.
var smallTowers = towerShape{width: 24, vision: 40, heads: 2, mlp: 56, layers: 2, patch: 4, pool: 3, positions: 40,
	audio: 48, audioHeads: 3, audioMLP: 64, audioLayers: 2, taps: 5, out: 36, bins: 20, channels: [2]int{12, 8}}

// newTowersDraft returns a projector of that shape, its weights drawn so that values stay near one.
func newTowersDraft(t testing.TB, s towerShape) *draft {
	t.Helper()
	d := &draft{Metadata: new(gguf.Metadata)}
	for key, v := range map[string]any{
		"general.architecture": "clip", "clip.has_vision_encoder": true, "clip.has_audio_encoder": true,
		"clip.vision.projector_type": "gemma4v", "clip.audio.projector_type": "gemma4a",
		"clip.vision.embedding_length": uint32(s.vision), "clip.vision.attention.head_count": uint32(s.heads),
		"clip.vision.feed_forward_length": uint32(s.mlp), "clip.vision.block_count": uint32(s.layers),
		"clip.vision.patch_size": uint32(s.patch), "clip.vision.projector.scale_factor": uint32(s.pool),
		"clip.vision.attention.layer_norm_epsilon": float32(1e-6),
		"clip.audio.embedding_length":              uint32(s.audio), "clip.audio.attention.head_count": uint32(s.audioHeads),
		"clip.audio.feed_forward_length": uint32(s.audioMLP), "clip.audio.block_count": uint32(s.audioLayers),
		"clip.audio.num_mel_bins": uint32(s.bins), "clip.audio.attention.layer_norm_epsilon": float32(1e-5),
	} {
		d.set("."+key, v)
	}
	r := rand.New(rand.NewPCG(7, 11))
	random := func(n int, mean, spread float64) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(mean + spread*r.NormFloat64())
		}
		return x
	}
	tensor := func(mean, spread float64, name string, dims ...int) {
		n := 1
		for _, d := range dims {
			n *= d
		}
		d.floats(name, random(n, mean, spread), dims...)
	}
	vector := func(name string, n int) { tensor(1, 0.1, name, n) }
	matrix := func(name string, cols, rows int) {
		tensor(0, 1/math.Sqrt(float64(cols)), name+".weight", cols, rows)
		if s.matrices != gguf.F32 {
			d.recode(name+".weight", s.matrices)
		}
	}
	linear := func(name string, cols, rows int) {
		matrix(name, cols, rows)
		if s.unclamped {
			return
		}
		at := float32(2 + r.Float64())
		for suffix, v := range map[string]float32{"input_min": -at, "input_max": at, "output_min": -at, "output_max": at + 1} {
			d.floats(name+"."+suffix, []float32{v}, 1)
		}
	}

	w := s.vision
	tensor(0, 1/math.Sqrt(float64(3*s.patch*s.patch)), "v.patch_embd.weight", s.patch, s.patch, 3, w)
	tensor(0, 0.5, "v.position_embd.weight", w, s.positions, 2)
	for i := range s.layers {
		b := fmt.Sprintf("v.blk.%d.", i)
		for _, n := range []string{"ln1", "ln2", "attn_post_norm", "ffn_post_norm"} {
			vector(b+n+".weight", w)
		}
		vector(b+"attn_q_norm.weight", w/s.heads)
		vector(b+"attn_k_norm.weight", w/s.heads)
		for _, n := range []string{"attn_q", "attn_k", "attn_v", "attn_out"} {
			linear(b+n, w, w)
		}
		linear(b+"ffn_gate", w, s.mlp)
		linear(b+"ffn_up", w, s.mlp)
		linear(b+"ffn_down", s.mlp, w)
	}
	if !s.plain {
		tensor(0, 0.1, "v.std_bias", w)
		vector("v.std_scale", w)
	}
	matrix("mm.input_projection", w, s.width)

	w = s.audio
	tensor(0, 0.3, "a.conv1d.0.weight", 3, 3, 1, s.channels[0])
	tensor(0, 0.1, "a.conv1d.1.weight", 3, 3, s.channels[0], s.channels[1])
	vector("a.conv1d.0.norm.weight", s.channels[0])
	vector("a.conv1d.1.norm.weight", s.channels[1])
	matrix("a.input_projection", ((s.bins+1)/2+1)/2*s.channels[1], w)
	for i := range s.audioLayers {
		b := fmt.Sprintf("a.blk.%d.", i)
		for _, n := range []string{"ffn_norm", "ffn_post_norm", "ffn_norm_1", "ffn_post_norm_1", "attn_pre_norm", "attn_post_norm", "ln2",
			"conv_norm", "norm_conv"} {
			vector(b+n+".weight", w)
		}
		for _, suffix := range []string{"", "_1"} {
			linear(b+"ffn_up"+suffix, w, s.audioMLP)
			linear(b+"ffn_down"+suffix, s.audioMLP, w)
		}
		for _, n := range []string{"attn_q", "attn_k", "attn_v", "attn_out", "conv_pw2"} {
			linear(b+n, w, w)
		}
		linear(b+"conv_pw1", w, 2*w)
		vector(b+"per_dim_scale.weight", w/s.audioHeads)
		matrix(b+"attn_k_rel", w, w)
		tensor(0, 0.5, b+"conv_dw.weight", s.taps, w)
	}
	matrix("a.pre_encode.out", w, s.out)
	if !s.plain {
		tensor(0, 0.1, "a.pre_encode.out.bias", s.out)
		vector("mm.a.soft_emb_norm.weight", s.out)
	}
	matrix("mm.a.input_projection", s.out, s.width)
	return d
}

// recode gives a tensor of F32 another type.
func (d *draft) recode(name string, t gguf.Type) {
	s := &d.tensors[d.index(name)]
	var b strings.Builder
	if err := s.Write(&b); err != nil {
		panic(err)
	}
	x := make([]float32, b.Len()/4)
	binary.Decode([]byte(b.String()), binary.LittleEndian, x)
	f := tensor.Format(t)
	out := make([]byte, f.RowBytes(len(x)))
	if err := f.Encode(out, x); err != nil {
		panic(err)
	}
	*s = gguf.NewSource(name, t, s.Dims, out)
}

// projector opens the draft as one.
func (d *draft) projector(t testing.TB, width int, o Options) (*Projector, error) {
	t.Helper()
	p, err := OpenProjector(d.file(t), &Config{Width: width}, o)
	if err == nil {
		t.Cleanup(p.Close)
	}
	return p, err
}

func openTowers(t testing.TB, s towerShape, o Options) *Projector {
	t.Helper()
	p, err := newTowersDraft(t, s).projector(t, s.width, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// picture returns random pixels.
func picture(w, h int) Pixels {
	r := rand.New(rand.NewPCG(3, uint64(w)))
	p := Pixels{w, h, make([]byte, 3*w*h)}
	for i := range p.RGB {
		p.RGB[i] = byte(r.Uint32())
	}
	return p
}

// sound returns random samples, in which there are tones.
func sound(n int) []float32 {
	r := rand.New(rand.NewPCG(5, uint64(n)))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(0.3*math.Sin(float64(i)*0.05)*math.Sin(float64(i)*0.0007) + 0.05*r.NormFloat64())
	}
	return x
}

// pushAll pushes a sound in pieces, whose lengths next gives, and closes it.
func pushAll(t testing.TB, h *Hearing, samples []float32, next func() int) (rows []float32) {
	t.Helper()
	for len(samples) > 0 {
		n := min(next(), len(samples))
		got, err := h.Push(ctx, samples[:n])
		if err != nil {
			t.Fatal(err)
		}
		rows, samples = append(rows, got...), samples[n:]
	}
	got, err := h.Close(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return append(rows, got...)
}

// eachProjector runs a test with random towers and, where the reference material is here, with golden ones of both kinds.
func eachProjector(t *testing.T, test func(t *testing.T, p *Projector)) {
	t.Run("towers", func(t *testing.T) { test(t, openTowers(t, smallTowers, Options{Workers: 2})) })
	for _, kind := range []string{"va", "u"} {
		t.Run(kind, func(t *testing.T) { test(t, goldenProjector(t, kind, Options{Workers: 2})) })
	}
}

func TestStreamedSoundEqualsTheWhole(t *testing.T) {
	eachProjector(t, func(t *testing.T, p *Projector) {
		r := rand.New(rand.NewPCG(1, 2))
		h := p.NewHearing()
		for cut := range 20 {
			samples := sound(161 + r.IntN(30000))
			if cut == 0 {
				samples = sound((hearLen + 20) * tokenSamples) // more than goes through together
			}
			want, err := p.Hear(ctx, samples)
			if err != nil {
				t.Fatal(err)
			}
			if n := p.SoundTokens(len(samples)) * p.Width; len(want) != n {
				t.Fatalf("%d samples: %d numbers, expected %d", len(samples), len(want), n)
			}
			h.Reset()
			h.Group = r.IntN(14)
			most := 1 << (1 + r.IntN(15))
			got := pushAll(t, h, samples, func() int { return 1 + r.IntN(most) })
			if !slices.Equal(got, want) {
				t.Errorf("%d samples in pieces of up to %d, groups of %d: off by %g", len(samples), most, h.Group, worst(got, want))
			}
		}
	})
}

// TestTokensAreFinalAfterTheirReach: not a sample earlier, and nothing that follows changes them.
func TestTokensAreFinalAfterTheirReach(t *testing.T) {
	eachProjector(t, func(t *testing.T, p *Projector) {
		samples := sound(12000)
		want, err := p.Hear(ctx, samples)
		if err != nil {
			t.Fatal(err)
		}
		h := p.NewHearing()
		h.Group = 1
		tokens := 0
		for i := range samples {
			rows, err := h.Push(ctx, samples[i:i+1])
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) > 0 {
				if reach := p.SoundReach(tokens); i+1 != reach || len(rows) != p.Width {
					t.Fatalf("%d numbers after %d samples, expected token %d after %d", len(rows), i+1, tokens, reach)
				}
				if !slices.Equal(rows, want[tokens*p.Width:][:p.Width]) {
					t.Errorf("token %d is another", tokens)
				}
				tokens++
			}
		}
		if !p.audio.unified && p.SoundReach(tokens-1) != 640*(tokens-1)+641 {
			t.Errorf("token %d reaches to %d", tokens-1, p.SoundReach(tokens-1))
		}
		rows, err := h.Close(ctx)
		if n := p.SoundTokens(len(samples)); err != nil || tokens+len(rows)/p.Width != n || n-tokens > 1 {
			t.Errorf("%d tokens and %d at the end, %v, expected %d", tokens, len(rows)/p.Width, err, n)
		}
		if !slices.Equal(rows, want[tokens*p.Width:]) {
			t.Error("what the end adds is another")
		}
		// The last sample within reach counts, the next does not.
		for _, token := range []int{0, 3, 9} {
			reach := p.SoundReach(token)
			row := func(at int) []float32 {
				other := slices.Clone(samples)
				other[at] += 0.5
				got, err := p.Hear(ctx, other)
				if err != nil {
					t.Fatal(err)
				}
				return got[token*p.Width:][:p.Width]
			}
			same := want[token*p.Width:][:p.Width]
			if !slices.Equal(row(reach), same) {
				t.Errorf("token %d depends on sample %d", token, reach)
			}
			// The very last sample of a frame lies outside of its window.
			if last := reach - 2; slices.Equal(row(last), same) {
				t.Errorf("token %d does not depend on sample %d", token, last)
			}
		}
	})
}

func TestSoundLengths(t *testing.T) {
	p := openTowers(t, smallTowers, Options{Workers: 1})
	lengths := readSenses(t).Lengths
	if len(lengths) < 15 {
		t.Fatalf("only %d lengths", len(lengths))
	}
	for _, c := range lengths {
		if got := frames(c.Samples); got != c.Frames {
			t.Errorf("%d samples: %d frames, expected %d", c.Samples, got, c.Frames)
		}
		if got := p.SoundTokens(c.Samples); got != c.Tokens {
			t.Errorf("%d samples: %d tokens, expected %d", c.Samples, got, c.Tokens)
		}
		early := 0
		for p.SoundReach(early) <= c.Samples {
			early++
		}
		if early != c.Early {
			t.Errorf("%d samples: %d tokens are final, expected %d", c.Samples, early, c.Early)
		}
	}
}

func TestSoundsThatAreNone(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	eachProjector(t, func(t *testing.T, p *Projector) {
		samples := sound(3000)
		want, err := p.Hear(ctx, samples)
		if err != nil {
			t.Fatal(err)
		}
		h := p.NewHearing()
		h.Group = 1
		rows, err := h.Push(ctx, samples[:1000])
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []float32{nan, inf} {
			broken := slices.Clone(samples[1000:])
			broken[77] = bad
			if _, err := h.Push(ctx, broken); err == nil || !strings.Contains(err.Error(), "sample 1077 is") {
				t.Errorf("%g: %v", bad, err)
			}
		}
		got := append(rows, pushAll(t, h, samples[1000:], func() int { return 700 })...) // none of the broken ones were taken
		if !slices.Equal(got, want) {
			t.Error("broken samples have left something")
		}
		if _, err := h.Push(ctx, samples); err == nil {
			t.Error("a sound goes on after its end")
		}
		if _, err := p.Hear(ctx, samples[:0]); err == nil || !strings.HasPrefix(err.Error(), "model: ") {
			t.Errorf("no samples: %v", err)
		}
		if _, err := p.Hear(ctx, samples[:160]); !p.audio.unified && (err == nil || !strings.Contains(err.Error(), "at least 161")) {
			t.Errorf("160 samples: %v", err)
		}
		if got, err := p.Hear(ctx, samples[:161]); err != nil || len(got) != p.Width {
			t.Errorf("161 samples: %d numbers, %v", len(got), err)
		}
	})
	d := newTowersDraft(t, smallTowers)
	d.set(".clip.has_audio_encoder", false)
	d.tensors = slices.DeleteFunc(d.tensors, func(s gguf.Source) bool {
		return strings.HasPrefix(s.Name, "a.") || strings.HasPrefix(s.Name, "mm.a.")
	})
	p, err := d.projector(t, smallTowers.width, Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Hear(ctx, sound(1000)); err == nil || !strings.Contains(err.Error(), "only images (gemma4v)") {
		t.Error(err)
	}
	if p.SoundTokens(1000) != 0 || p.HearingBytes(8) != 0 {
		t.Error("a projector without ears counts tokens")
	}
}

func TestPicturesThatAreNone(t *testing.T) {
	p := openTowers(t, smallTowers, Options{Workers: 1})
	for _, c := range []struct {
		picture Pixels
		want    string
	}{
		{Pixels{}, "0 by 0 pixels, expected sides that are multiples of 12"},
		{picture(12, 13), "12 by 13 pixels"},
		{picture(24, 164), "24 by 164"},
		{picture(168, 12), "168 by 12 pixels, expected sides that are multiples of 12 up to 160"},
		{Pixels{12, 12, make([]byte, 431)}, "in 431 bytes, expected 3 for each"},
		{Pixels{-12, -12, make([]byte, 432)}, "-12 by -12"},
		{Pixels{math.MaxInt, math.MaxInt, nil}, "by"},
	} {
		_, err := p.See(ctx, c.picture)
		if err == nil || !strings.HasPrefix(err.Error(), "model: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, expected %q", err, c.want)
		}
	}
	for _, c := range []struct {
		w, h, tokens int
		want         string
	}{
		{0, 5, 280, "0 by 5 pixels"}, {5, -1, 280, "5 by -1 pixels"},
		{640, 480, 281, "a budget of 281 tokens"}, {640, 480, 0, "a budget of 0"},
	} {
		if w, h, err := Fit(c.w, c.h, c.tokens, 48); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %d, %d, %v", c, w, h, err)
		}
	}
	// Extreme sides fit, too.
	for _, c := range [][2]int{{1, 1}, {1, math.MaxInt32}, {math.MaxInt32, 1}, {1, 100}, {3, 7000}} {
		for _, tokens := range Budgets {
			w, h, err := Fit(c[0], c[1], tokens, 48)
			if err != nil || w%48 != 0 || h%48 != 0 || w < 48 || h < 48 || w/48*(h/48) > tokens {
				t.Errorf("%v in %d tokens: %d by %d, %v", c, tokens, w, h, err)
			}
		}
	}
}

func TestTowersGiveTheSameWithAnyNumberOfWorkers(t *testing.T) {
	for _, shape := range []towerShape{smallTowers, {width: 32, vision: 64, heads: 2, mlp: 96, layers: 2, patch: 4, pool: 3, positions: 100,
		audio: 64, audioHeads: 2, audioMLP: 96, audioLayers: 3, taps: 5, out: 64, bins: 32, channels: [2]int{8, 4}, matrices: gguf.Q8_0}} {
		var seen, heard []float32
		for _, workers := range []int{1, 2, 7} {
			p := openTowers(t, shape, Options{Workers: workers})
			a, err := p.See(ctx, picture(108, 96)) // 648 patches: more than one part
			if err != nil {
				t.Fatal(err)
			}
			b, err := p.Hear(ctx, sound(20000))
			if err != nil {
				t.Fatal(err)
			}
			if seen == nil {
				seen, heard = a, b
			}
			if !slices.Equal(a, seen) || !slices.Equal(b, heard) {
				t.Errorf("%d workers: off by %g and %g", workers, worst(a, seen), worst(b, heard))
			}
		}
	}
}

// TestGazeIsAttention compares with sums in the plainest way, over an odd number of patches of several strips, also by products of bf16.
func TestGazeIsAttention(t *testing.T) {
	pairs := *tensor.Portable()
	pairs.Attention = tensor.PairAttention()
	for name, c := range map[string]struct {
		kernels   *tensor.Kernels
		tolerance float64
	}{"floats": {tensor.Portable(), 1e-5}, "bf16": {&pairs, 0.04}} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(2, 3))
			const n, heads, dim = 2*gazeKeys + 17, 2, 20
			s := &Sight{}
			s.regions = newRegions[Sight, visionLayer](s, tensor.NewPool(2), c.kernels, heads*dim, 1e-6)
			defer s.pool.Close()
			s.gaze.s = s
			s.gaze.reserve(n, heads, dim)
			random := func() []float32 {
				x := make([]float32, n*heads*dim)
				for i := range x {
					x[i] = float32(r.NormFloat64())
				}
				return x
			}
			q, k, v := random(), random(), random()
			for i := range n {
				for h := range heads {
					at := (i*heads + h) * dim
					s.gaze.put(s.kernels, h, i, q[at:at+dim], k[at:at+dim], v[at:at+dim])
				}
			}
			if s.gaze.run(); s.err != nil {
				t.Fatal(s.err)
			}
			for i := 0; i < n; i += 41 {
				for h := range heads {
					var sum float64
					var want [dim]float64
					for j := range n {
						score := 0.0
						for c := range dim {
							score += float64(q[(i*heads+h)*dim+c]) * float64(k[(j*heads+h)*dim+c])
						}
						sum += math.Exp(score)
						for c := range dim {
							want[c] += math.Exp(score) * float64(v[(j*heads+h)*dim+c])
						}
					}
					for j, got := range s.gaze.seen(h, i)[:dim] {
						if d := math.Abs(float64(got) - want[j]/sum); !(d < c.tolerance) {
							t.Fatalf("patch %d, head %d: %g, want %g", i, h, got, want[j]/sum)
						}
					}
				}
			}
		})
	}
}

// TestHearingLooksBackAsFarAsItsContext: with one layer and no convolution, a token depends on those whose distance is below audioContext.
func TestHearingLooksBackAsFarAsItsContext(t *testing.T) {
	shape := smallTowers
	shape.audioLayers, shape.taps = 1, 1
	p := openTowers(t, shape, Options{Workers: 1})
	samples := sound(30 * tokenSamples)
	want, err := p.Hear(ctx, samples)
	if err != nil {
		t.Fatal(err)
	}
	const token = 4 // the first of two whose mel frames change
	for i := range tokenSamples / 2 {
		samples[token*tokenSamples+160+i] += 0.3
	}
	got, err := p.Hear(ctx, samples)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		at := i * p.Width
		changed := !slices.Equal(got[at:at+p.Width], want[at:at+p.Width])
		if is := i >= token && i <= token+1+audioContext-1; changed != is {
			t.Errorf("token %d has changed: %v, expected %v", i, changed, is)
		}
	}
}

// TestTowersInTheModelsOwnFile have ollama's names and keys, and their bounds in one tensor.
func TestTowersInTheModelsOwnFile(t *testing.T) {
	d := newTowersDraft(t, smallTowers)
	want := openTowers(t, smallTowers, Options{Workers: 2})
	own := newDraft(t, "dense")
	own.set("vision.num_channels", uint32(3))
	own.set("audio.conv_kernel_size", uint32(smallTowers.taps))
	for _, key := range d.Keys() {
		if name, ok := strings.CutPrefix(key, "clip."); ok && (strings.HasPrefix(name, "vision.") || strings.HasPrefix(name, "audio.")) &&
			!strings.HasSuffix(name, "projector_type") && name != "audio.num_mel_bins" {
			v, _ := d.Value(key)
			own.set(name, v)
		}
	}
	own.set("audio.num_mel_bins", uint32(smallTowers.bins))
	packed := make([]float32, 4*(7*smallTowers.layers+1))
	kinds := []string{"attn_q", "attn_k", "attn_v", "attn_out", "ffn_gate", "ffn_up", "ffn_down"}
	sides := []string{"input_min", "input_max", "output_min", "output_max"}
	for _, s := range d.tensors {
		parts := strings.Split(s.Name, ".")
		if s.Name[0] == 'v' && slices.Contains(sides, parts[len(parts)-1]) {
			var b strings.Builder
			s.Write(&b)
			at := 4*(7*int(parts[2][0]-'0')+slices.Index(kinds, parts[3])) + slices.Index(sides, parts[4])
			packed[at] = math.Float32frombits(binary.LittleEndian.Uint32([]byte(b.String())))
			continue
		}
		for from, to := range map[string]string{"a.input_projection.": "a.pre_encode.out.", "a.pre_encode.out.": "mm.a.fc.",
			".ln2.": ".layer_pre_norm.", ".attn_pre_norm.": ".ln1.", ".attn_post_norm.": ".ln2.", ".attn_k_rel.": ".linear_pos."} {
			if strings.Contains(s.Name, from) && s.Name[0] == 'a' {
				s.Name = strings.Replace(s.Name, from, to, 1)
				break
			}
		}
		own.tensors = append(own.tensors, s)
	}
	own.floats("v.clamp_data", packed, len(packed))
	if !HasTowers(own.Metadata) || HasTowers(d.Metadata) {
		t.Error("which file has towers is not told")
	}
	p, err := own.projector(t, smallTowers.width, Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	if p.String() != "images (gemma4v), sounds (gemma4a)" {
		t.Error(p)
	}
	for _, x := range []struct{ a, b *Projector }{{want, p}} {
		seen, err1 := x.a.See(ctx, picture(48, 24))
		seen2, err2 := x.b.See(ctx, picture(48, 24))
		heard, err3 := x.a.Hear(ctx, sound(9000))
		heard2, err4 := x.b.Hear(ctx, sound(9000))
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(seen, seen2) || !slices.Equal(heard, heard2) {
			t.Errorf("off by %g and %g", worst(seen, seen2), worst(heard, heard2))
		}
	}
	if m, err := own.open(t); err != nil || m.Pool() == nil { // the text model is not kept from running
		t.Error(err)
	}
}

func TestTowersStopWithinALayer(t *testing.T) {
	p := openTowers(t, smallTowers, Options{Workers: 2})
	s, h := p.NewSight(), p.NewHearing()
	want, err := s.See(ctx, picture(48, 24))
	if err != nil {
		t.Fatal(err)
	}
	heard, err := h.Hear(ctx, sound(9000))
	if err != nil {
		t.Fatal(err)
	}
	regions := 0
	s.Between = func() { regions++ }
	if _, err := s.See(ctx, picture(48, 24)); err != nil {
		t.Fatal(err)
	}
	if regions < 10*smallTowers.layers {
		t.Errorf("others could go first %d times", regions)
	}
	whole := regions
	regions, s.most = 0, 1<<12 // attention is cut, too; the products are small
	if got, err := s.See(ctx, picture(48, 24)); err != nil || !slices.Equal(got, want) || regions <= whole {
		t.Errorf("cut into %d regions, before into %d: %v, off by %g", regions, whole, err, worst(got, want))
	}
	s.Between = nil
	for stop := 0; stop < regions; stop += 41 {
		if _, err := s.See(&countdown{Context: context.Background(), left: stop}, picture(48, 24)); !errors.Is(err, context.Canceled) {
			t.Errorf("stopped after %d regions: %v", stop, err)
		}
	}
	regions = 0
	h.Between = func() { regions++ }
	if _, err := h.Hear(ctx, sound(9000)); err != nil {
		t.Fatal(err)
	}
	if regions < 20*smallTowers.audioLayers {
		t.Errorf("others could go first %d times", regions)
	}
	h.Between = nil
	for stop := 0; stop < regions; stop += 7 {
		if _, err := h.Hear(&countdown{Context: context.Background(), left: stop}, sound(9000)); !errors.Is(err, context.Canceled) {
			t.Errorf("stopped after %d regions: %v", stop, err)
		}
		if _, err := h.Push(ctx, sound(10)); !errors.Is(err, context.Canceled) {
			t.Errorf("a sound that was stopped goes on: %v", err)
		}
	}
	got, err := s.See(ctx, picture(48, 24))
	again, err2 := h.Hear(ctx, sound(9000))
	if err != nil || err2 != nil || !slices.Equal(got, want) || !slices.Equal(again, heard) {
		t.Errorf("after stops: %v, %v, off by %g and %g", err, err2, worst(got, want), worst(again, heard))
	}
}

// TestLargeValuesStayFinite: pixels and weights such that sums over a patch are in the millions, far beyond half precision.
func TestLargeValuesStayFinite(t *testing.T) {
	d := newTowersDraft(t, towerShape{width: 24, vision: 40, heads: 2, mlp: 56, layers: 1, patch: 48, pool: 1, positions: 4, audio: 48,
		audioHeads: 3, audioMLP: 64, audioLayers: 1, taps: 5, out: 36, bins: 20, channels: [2]int{12, 8}, unclamped: true, plain: true})
	d.floats("v.patch_embd.weight", slices.Repeat([]float32{1000}, 6912*40), 48, 48, 3, 40)
	p, err := d.projector(t, 24, Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	white := picture(96, 48)
	for i := range white.RGB {
		white.RGB[i] = 255
	}
	rows, err := p.See(ctx, white)
	loud := slices.Repeat([]float32{1e30, -1e30}, 2000)
	heard, err2 := p.Hear(ctx, loud)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	for _, x := range append(rows, heard...) {
		if x-x != 0 {
			t.Fatalf("%g among the embeddings", x)
		}
	}
}

func TestTowersAllocateWhatTheyReturn(t *testing.T) {
	p := openTowers(t, smallTowers, Options{Workers: 1})
	s, h := p.NewSight(), p.NewHearing()
	pixels, samples := picture(48, 24), sound(640*8)
	see := func() {
		if _, err := s.See(ctx, pixels); err != nil {
			t.Fatal(err)
		}
	}
	see()
	if n := testing.AllocsPerRun(5, see); n > 2 {
		t.Errorf("%g allocations a picture", n)
	}
	hear := func() {
		if _, err := h.Push(ctx, samples); err != nil {
			t.Fatal(err)
		}
	}
	hear()
	hear()
	hear()
	if n := testing.AllocsPerRun(5, hear); n > 2 {
		t.Errorf("%g allocations a group", n)
	}
}

func TestScratchIsKnownBeforehand(t *testing.T) {
	shape := smallTowers
	shape.positions = 200
	p := openTowers(t, shape, Options{Workers: 2})
	if p.SightBytes(13, 12) != 0 || p.SightBytes(12, 12) <= 0 {
		t.Error("which pictures can be seen is not told")
	}
	measure := func(f func()) int64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		return int64(after.TotalAlloc - before.TotalAlloc)
	}
	for _, size := range [][2]int{{60, 60}, {120, 96}} {
		pixels, want := picture(size[0], size[1]), p.SightBytes(size[0], size[1])
		if got := measure(func() { p.See(ctx, pixels) }); got > want*3/2+1<<16 || got < want/2 {
			t.Errorf("%v: %d bytes, expected about %d", size, got, want)
		}
	}
	for _, tokens := range []int{8, 64} {
		samples, want := sound(tokens*tokenSamples), p.HearingBytes(tokens)
		if got := measure(func() { p.Hear(ctx, samples) }); got > want*3/2+1<<16 || got < want/2 {
			t.Errorf("%d tokens: %d bytes, expected about %d", tokens, got, want)
		}
	}
}
