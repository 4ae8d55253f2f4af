package model

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/lora"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/tensor"
)

// everyMatrix goes beside all that an adapter can.
func everyMatrix(string) bool { return true }

// exactly goes beside one matrix.
func exactly(name string) func(string) bool { return func(s string) bool { return s == name } }

// odd returns the configuration of a small model whose layers and matrices all differ: as newDraft, with an adapter to be made for it.
func odd(kind string) synth.Config {
	c := synth.Config{
		Vocabulary: synth.MinVocabulary, Context: 64, Layers: 4, Width: 64, Heads: []int{4}, KVHeads: []int{2, 1, 2, 1},
		MLP: []int{96}, HeadSize: 32, HeadSizeSliding: 16, Sliding: []bool{true, false, true, false}, Window: 8,
	}
	switch kind {
	case "e":
		c.SharedKV, c.PerLayer, c.IdleKV = 2, 32, true
	case "moe":
		c.Experts, c.ExpertsUsed, c.ExpertWidth = 4, 2, 32
	case "moe-apart":
		c.Experts, c.ExpertsUsed, c.ExpertWidth = 4, 2, 32
		c.SplitExperts, c.Scales, c.Head = true, true, true
	case "dense":
		c.KeysAsValues = true
	case "quantised":
		c.Mix = synth.All(tensor.Q4_0)
	}
	return c
}

// build returns a model before it is written.
func build(t testing.TB, c synth.Config) *draft {
	t.Helper()
	m, tensors, err := synth.Build(c)
	if err != nil {
		t.Fatal(err)
	}
	return &draft{m, tensors}
}

func adapterFile(t testing.TB, a synth.Adapter) *gguf.File {
	t.Helper()
	return buildAdapter(t, a).file(t)
}

func buildAdapter(t testing.TB, a synth.Adapter) *draft {
	t.Helper()
	m, tensors, err := synth.Build(a)
	if err != nil {
		t.Fatal(err)
	}
	return &draft{m, tensors}
}

func openAdapter(t testing.TB, m *Model, a synth.Adapter) *Adapter {
	t.Helper()
	x, err := OpenAdapter(adapterFile(t, a), m)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// merge adds an adapter to a model, in float64; what it changes becomes F32.
func (d *draft) merge(t testing.TB, f *gguf.File, strength float64) {
	t.Helper()
	a, err := lora.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range a.Sorted() {
		v, err := p.Factors()
		if err != nil {
			t.Fatal(err)
		}
		format := tensor.Format(d.tensors[d.index(p.Name)].Type)
		w := make([]float32, v.Stack*v.Rows*v.Cols)
		format.Decode(w, d.data(t, p.Name))
		scales := []float32{1}
		if name := strings.TrimSuffix(p.Name, ".weight") + ".scale"; slices.ContainsFunc(d.tensors, func(s gguf.Source) bool {
			return s.Name == name && s.Dims[0] <= v.Stack // the router has one of another kind
		}) {
			scales = floats(d.data(t, name))
		}
		for row := range v.Stack * v.Rows {
			scale := float64(scales[row/v.Rows%len(scales)])
			for i := range v.Cols {
				sum := 0.0
				for k := range v.Rank {
					sum += float64(v.B[row*v.Rank+k]) * float64(v.A[(row/v.Rows*v.Rank+k)*v.Cols+i])
				}
				at := row*v.Cols + i
				w[at] = float32(float64(w[at]) + strength*float64(p.Scale)*sum/scale)
			}
		}
		d.floats(p.Name, w, d.tensors[d.index(p.Name)].Dims...)
	}
}

func floats(b []byte) []float32 {
	x := make([]float32, len(b)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return x
}

// adaptedAnswer is answer with adapters.
func adaptedAnswer(t testing.TB, m *Model, a ...Scaled) []float32 {
	t.Helper()
	s := newSession(t, m, SequenceOptions{Cache: tensor.F32, Adapters: a})
	out := read(t, s, Input{Tokens: []int32{2, 300, 7, 301, 0, 511, 43, 9, 8, 7, 100}})
	written, err := s.Write(ctx, 302, 17)
	if err != nil {
		t.Fatal(err)
	}
	return append(out, written...)
}

// With an adapter beside any of its matrices a model is the one that the adapter was merged into.
func TestAdaptedLogitsAreThoseOfTheMergedModel(t *testing.T) {
	only := func(names ...string) func(string) bool {
		return func(name string) bool {
			return slices.ContainsFunc(names, func(s string) bool { return strings.HasSuffix(name, s) })
		}
	}
	type adapter struct {
		rank   int
		format tensor.Format
		beside func(string) bool
		scale  float32
	}
	for kind, adapters := range map[string][]adapter{
		"e": {{1, tensor.F32, everyMatrix, 1}, {8, tensor.F16, synth.QV, 2}, {16, tensor.BF16, nil, 1},
			{32, tensor.Q8_0, everyMatrix, -0.5}, {4, tensor.F32, only("token_embd"), 1}, {4, tensor.F32, only("per_layer_token_embd"), 3},
			{4, tensor.F32, only("per_layer_model_proj"), 3}, {3, tensor.F16, only("inp_gate", ".proj"), 1}},
		"dense": {{16, tensor.F16, everyMatrix, 1}, {8, tensor.F32, synth.QV, 1}, {5, tensor.Q8_0, nil, 1},
			{2, tensor.BF16, only("attn_k"), 3}},
		"quantised": {{16, tensor.F16, nil, 1}, {8, tensor.F32, everyMatrix, 1}},
		"moe":       {{16, tensor.F16, nil, 1}, {8, tensor.F32, only("_exps"), 1}, {2, tensor.F32, only("ffn_gate_inp"), 0.2}},
		"moe-apart": {{4, tensor.F32, everyMatrix, 0.5}, {16, tensor.F16, only("_exps"), 1}, {8, tensor.F32, only("output"), 1},
			{8, tensor.F32, only("token_embd"), 1}},
	} {
		c := odd(kind)
		plain := build(t, c)
		m, err := plain.open(t)
		if err != nil {
			t.Fatal(err)
		}
		before := answer(t, m)
		for i, x := range adapters {
			what := fmt.Sprintf("%s, adapter %d", kind, i)
			f := adapterFile(t, synth.Adapter{Seed: uint64(i), Model: c, Rank: x.rank, Format: x.format, Beside: x.beside})
			a, err := OpenAdapter(f, m)
			if err != nil {
				t.Fatal(err)
			}
			merged := plain.clone()
			merged.merge(t, f, float64(x.scale))
			want, got := merged.answer(t), adaptedAnswer(t, m, Scaled{a, x.scale})
			if w := worst(got, want); w > 1e-4 {
				t.Errorf("%s: logits differ by %g from those of the merged model", what, w)
			}
			if w := worst(got, before); w < 1e-2 {
				t.Errorf("%s: the adapter moves logits by no more than %g", what, w)
			}
			if a.Rank != x.rank || a.Bytes <= 0 {
				t.Errorf("%s: %+v", what, a)
			}
		}
		if !sameBits(answer(t, m), before) || !sameBits(adaptedAnswer(t, m), before) {
			t.Errorf("%s: opening adapters has changed the model", kind)
		}
	}
}

// Files in which one tensor is several matrices of the graph have one pair for them.
func TestAdapterBesideFusedProjections(t *testing.T) {
	c := odd("plain")
	c.IdleKV = true
	apart := build(t, c)
	apart.fuse(t, c.Layers)
	f := func() *gguf.File {
		d := buildAdapter(t, synth.Adapter{Model: c, Rank: 4, Format: tensor.F32, Beside: exactly("blk.1.ffn_gate")})
		for i := range c.Layers {
			name := fmt.Sprintf("blk.%d.attn_qkv.weight", i)
			for end, dims := range map[string][]int{".lora_a": {c.Width, 4}, ".lora_b": {4, apart.tensors[apart.index(name)].Dims[1]}} {
				x := make([]float32, dims[0]*dims[1])
				for j := range x {
					x[j] = float32(j*37%101-50) / 800
				}
				d.floats(name+end, x, dims...)
			}
		}
		return d.file(t)
	}()
	m, err := apart.open(t)
	if err != nil {
		t.Fatal(err)
	}
	a, err := OpenAdapter(f, m)
	if err != nil {
		t.Fatal(err)
	}
	merged := apart.clone()
	merged.merge(t, f, 1)
	got, want := adaptedAnswer(t, m, Scaled{a, 1}), merged.answer(t)
	if w := worst(got, want); w > 1e-4 || worst(got, answer(t, m)) < 1e-2 {
		t.Errorf("logits differ by %g from those of the merged model, by %g from those without", w, worst(got, answer(t, m)))
	}
}

// Several adapters add, whatever their order, and those of scale 0 are none.
func TestAdaptersAdd(t *testing.T) {
	c := odd("e")
	plain := build(t, c)
	m, err := plain.open(t)
	if err != nil {
		t.Fatal(err)
	}
	one := adapterFile(t, synth.Adapter{Seed: 1, Model: c, Rank: 8, Format: tensor.F16})
	two := adapterFile(t, synth.Adapter{Seed: 2, Model: c, Rank: 3, Format: tensor.F32, Beside: everyMatrix})
	a, err := OpenAdapter(one, m)
	if err != nil {
		t.Fatal(err)
	}
	b, err := OpenAdapter(two, m)
	if err != nil {
		t.Fatal(err)
	}
	merged := plain.clone()
	merged.merge(t, one, 1)
	merged.merge(t, two, -0.5)
	got := adaptedAnswer(t, m, Scaled{a, 1}, Scaled{b, -0.5})
	if w := worst(got, merged.answer(t)); w > 1e-4 {
		t.Errorf("logits differ by %g from those of the model that both were merged into", w)
	}
	if !sameBits(got, adaptedAnswer(t, m, Scaled{b, -0.5}, Scaled{a, 1})) {
		t.Error("the order of adapters changes bits")
	}
	if !sameBits(answer(t, m), adaptedAnswer(t, m, Scaled{a, 0}, Scaled{b, 0})) {
		t.Error("adapters of scale 0 change bits")
	}
}

// A text that was read with some adapters is not adopted by a sequence with others, nor are its adapters changed.
func TestTextsAreOfTheirAdapters(t *testing.T) {
	c := odd("e")
	m, err := build(t, c).open(t)
	if err != nil {
		t.Fatal(err)
	}
	a := openAdapter(t, m, synth.Adapter{Seed: 1, Model: c, Rank: 2, Format: tensor.F32})
	again := openAdapter(t, m, synth.Adapter{Seed: 1, Model: c, Rank: 2, Format: tensor.F32})
	other := openAdapter(t, m, synth.Adapter{Seed: 2, Model: c, Rank: 2, Format: tensor.F32})
	with := func(list ...Scaled) *session {
		s := newSession(t, m, SequenceOptions{Cache: tensor.F32, Adapters: list})
		readTokens(t, s, []int32{2, 5, 7})
		return s
	}
	s := with(Scaled{a, 1})
	if err := s.Adapt(); err == nil || !strings.Contains(err.Error(), "3 positions") {
		t.Errorf("changing the adapters below a text: %v", err)
	}
	for what, x := range map[string]*session{"none": with(), "another": with(Scaled{other, 1}), "another scale": with(Scaled{a, 0.5}),
		"two": with(Scaled{a, 1}, Scaled{other, 1})} {
		text := s.Snapshot()
		if _, err := x.Adopt(text, 3); !errors.Is(err, ErrOtherAdapters) {
			t.Errorf("a sequence with %s adopts the text: %v", what, err)
		}
		text.Release()
		text = x.Snapshot()
		if _, err := s.Adopt(text, 3); !errors.Is(err, ErrOtherAdapters) {
			t.Errorf("a text of %s is adopted: %v", what, err)
		}
		text.Release()
	}
	text := s.Snapshot()
	defer text.Release()
	if _, err := with(Scaled{again, 1}).Adopt(text, 3); err != nil {
		t.Errorf("the same adapter, opened twice: %v", err)
	}
	s.Truncate(0)
	if err := s.Adapt(Scaled{other, 1}); err != nil || s.Adapted() == with(Scaled{a, 1}).Adapted() || s.Adapted() == "" {
		t.Errorf("an empty sequence: %v, adapted %q", err, s.Adapted())
	}
}

// Adapters that are not for the model are errors that name what is wrong.
func TestAdaptersOfOtherModelsAreErrors(t *testing.T) {
	c := odd("e")
	m, err := build(t, c).open(t)
	if err != nil {
		t.Fatal(err)
	}
	good := func() *draft {
		return buildAdapter(t, synth.Adapter{Model: c, Rank: 2, Format: tensor.F32, Beside: exactly("blk.0.attn_q")})
	}
	const q = "blk.0.attn_q.weight"
	nan := make([]float32, 2*c.Width)
	nan[5] = float32(math.Inf(1))
	for name, x := range map[string]struct {
		change func(d *draft)
		want   string
	}{
		"another kind of model":   {func(d *draft) { d.set(".general.architecture", "llama") }, `is "llama", expected "gemma4"`},
		"not an adapter":          {func(d *draft) { d.set(".general.type", "model") }, "general.type"},
		"a tensor that is none":   {func(d *draft) { rename(d, "blk.9.attn_q.weight") }, "blk.9.attn_q.weight"},
		"a norm":                  {func(d *draft) { rename(d, "blk.0.attn_norm.weight") }, "blk.0.attn_norm.weight"},
		"factors":                 {func(d *draft) { rename(d, "rope_freqs.weight") }, "rope_freqs.weight"},
		"another shape":           {func(d *draft) { rename(d, "blk.0.attn_k.weight") }, "blk.0.attn_k.weight"},
		"another width":           {func(d *draft) { d.zero("blk.0.attn_q.weight.lora_a", gguf.F32, 32, 2) }, q},
		"a number that is none":   {func(d *draft) { d.floats("blk.0.attn_q.weight.lora_a", nan, c.Width, 2) }, "lora_a\"[5] is +Inf"},
		"half a pair":             {func(d *draft) { d.drop("blk.0.attn_q.weight.lora_b") }, q},
		"an untied head":          {func(d *draft) { rename(d, "output.weight") }, "output.weight"},
		"a table the other way":   {func(d *draft) { rename(d, "token_embd.weight") }, "token_embd.weight"},
		"experts of none":         {func(d *draft) { rename(d, "blk.0.ffn_down_exps.weight") }, "_exps"},
		"a tower":                 {func(d *draft) { rename(d, "v.blk.0.attn_q.weight") }, "v.blk.0.attn_q.weight"},
		"the scale of a matrix":   {func(d *draft) { rename(d, "blk.0.attn_q.scale") }, "blk.0.attn_q.scale"},
		"a bias that is not read": {func(d *draft) { rename(d, "blk.0.attn_q.bias") }, "blk.0.attn_q.bias"},
	} {
		d := good()
		x.change(d)
		_, err := OpenAdapter(d.file(t), m)
		if err == nil || !strings.HasPrefix(err.Error(), "model: ") || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, expected %q", name, err, x.want)
		}
	}
	a, err := OpenAdapter(good().file(t), m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.NewSequence(SequenceOptions{Adapters: []Scaled{{a, float32(math.NaN())}}}); err == nil {
		t.Error("a scale that is no number is taken")
	}
	if _, err := m.NewSequence(SequenceOptions{Adapters: []Scaled{{}}}); err == nil {
		t.Error("no adapter is taken for one")
	}
	second, err := build(t, c).open(t)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.NewSequence(SequenceOptions{Adapters: []Scaled{{a, 1}}}); err == nil {
		t.Error("an adapter of another model is taken")
	}
}

// rename puts the only pair of an adapter beside another tensor.
func rename(d *draft, to string) {
	for i := range d.tensors {
		_, end, _ := strings.Cut(d.tensors[i].Name, ".lora")
		d.tensors[i].Name = to + ".lora" + end
	}
}

// A token of decode allocates nothing with adapters, either.
func TestAdaptersAllocateNothing(t *testing.T) {
	for _, kind := range []string{"e", "moe"} {
		c := odd(kind)
		m, err := build(t, c).open(t)
		if err != nil {
			t.Fatal(err)
		}
		a := openAdapter(t, m, synth.Adapter{Seed: 1, Model: c, Rank: 4, Format: tensor.F16, Beside: everyMatrix})
		s := newSession(t, m, SequenceOptions{Cache: tensor.F32, Adapters: []Scaled{{a, 1}}})
		readTokens(t, s, []int32{2, 5, 7})
		if n := testing.AllocsPerRun(20, func() {
			if _, err := s.Write(ctx, 9); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %g allocations a token", kind, n)
		}
	}
}

// FuzzAdapter opens whatever there is as an adapter, and reads a text with it.
func FuzzAdapter(f *testing.F) {
	c := odd("e")
	c.Layers, c.Sliding, c.KVHeads, c.SharedKV, c.IdleKV = 2, c.Sliding[:2], c.KVHeads[:2], 0, false
	m, err := build(f, c).open(f)
	if err != nil {
		f.Fatal(err)
	}
	for i, a := range []synth.Adapter{{Rank: 1, Format: tensor.F32}, {Rank: 2, Format: tensor.F16, Beside: exactly("token_embd")},
		{Rank: 32, Format: tensor.Q8_0, Beside: synth.QV}} {
		a.Seed, a.Model = uint64(i), c
		f.Add(synth.Bytes(a))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := gguf.OpenBytes(data)
		if err != nil {
			return
		}
		defer file.Close()
		a, err := OpenAdapter(file, m)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "model: ") {
				t.Errorf("the error does not name the package: %v", err)
			}
			return
		}
		s, err := m.NewSequence(SequenceOptions{Adapters: []Scaled{a.At(1)}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		// Numbers may be large enough for NaN, which is an error of the text.
		m.NewPass().Write(ctx, s, 2, 5)
	})
}
