package model

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/tensor"
)

// small is the smallest possible model; strange shapes start from it.
func small() synth.Config {
	return synth.Config{
		Vocabulary: synth.MinVocabulary, Context: 64, Layers: 2, Width: 32, Heads: []int{2}, KVHeads: []int{1}, MLP: []int{16},
		HeadSize: 8, HeadSizeSliding: 4, Sliding: []bool{true, false}, Window: 8,
	}
}

func TestStrangeShapesRun(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*synth.Config)
	}{
		{"context and window of 2^28", func(c *synth.Config) { c.Context, c.Window = 1<<28, 1<<28 }},
		{"window beyond the context", func(c *synth.Config) { c.Context, c.Window = 16, 1000 }},
		{"window 1", func(c *synth.Config) { c.Window = 1 }},
		{"one sliding layer", func(c *synth.Config) { c.Layers, c.Sliding = 1, []bool{true} }},
		{"one global layer", func(c *synth.Config) { c.Layers, c.Sliding = 1, []bool{false} }},
		{"all sliding", func(c *synth.Config) { c.Sliding = []bool{true, true} }},
		{"all global", func(c *synth.Config) { c.Sliding = []bool{false, false} }},
		{"all global, V from K", func(c *synth.Config) { c.Sliding, c.KeysAsValues = []bool{false, false}, true }},
		{"one owner for all", func(c *synth.Config) { c.Layers, c.Sliding, c.SharedKV = 9, make([]bool, 9), 8 }},
		{"head size 2", func(c *synth.Config) { c.HeadSize, c.HeadSizeSliding = 2, 2 }},
		{"head size 512 in a width of 2", func(c *synth.Config) { c.Width, c.HeadSize, c.HeadSizeSliding = 2, 512, 512 }},
		{"100 heads", func(c *synth.Config) { c.Heads, c.KVHeads = []int{100}, []int{100} }},
		{"100 heads share one", func(c *synth.Config) { c.Heads = []int{100} }},
		{"width 1", func(c *synth.Config) { c.Width, c.MLP = 1, []int{1} }},
		{"width 1 with everything", func(c *synth.Config) {
			c.Width, c.MLP, c.PerLayer = 1, []int{1}, 1
			c.Experts, c.ExpertsUsed, c.ExpertWidth = 1, 1, 1
		}},
		{"one expert", func(c *synth.Config) { c.Experts, c.ExpertsUsed, c.ExpertWidth = 1, 1, 8 }},
		{"all experts used", func(c *synth.Config) { c.Experts, c.ExpertsUsed, c.ExpertWidth = 100, 100, 1 }},
		{"per-layer embedding of 1 in blocks of 32", func(c *synth.Config) {
			c.Layers, c.Sliding, c.PerLayer, c.Mix = 32, make([]bool, 32), 1, synth.All(tensor.Q4_0)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := small()
			c.change(&config)
			m, tensors, err := synth.Build(config)
			if err != nil {
				t.Fatal(err)
			}
			runExtremes(t, &draft{m, tensors})
		})
	}
	t.Run("vocabulary of 1", func(t *testing.T) {
		d := newDraft(t, "e")
		d.zero("token_embd.weight", gguf.F32, 32)
		d.zero("per_layer_token_embd.weight", gguf.F32, 32)
		runExtremes(t, d)
	})
}

// runExtremes prefills and decodes a little with the options that ask for the most.
func runExtremes(t *testing.T, d *draft) {
	t.Helper()
	m, err := New(d.file(t), Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	id := int32(m.Vocabulary - 1)
	for _, o := range []SequenceOptions{
		{Cache: tensor.F16}, {Cache: tensor.F32, Batch: math.MaxInt}, {Cache: tensor.F16, Batch: 1}, {Cache: tensor.F32, Context: 16},
	} {
		before := allocated()
		session, err := openSession(m, o)
		if err != nil {
			t.Fatal(err)
		}
		grown := allocated() - before
		if grown > 64<<10 {
			t.Errorf("%+v: a sequence and a pass took %d bytes, expected next to nothing before there is a text", o, grown)
		}
		want := read(t, session, Input{Tokens: []int32{id, 0, id, 0, id}}, Input{Embeddings: make([]float32, 3*m.Width), Image: true},
			Input{Tokens: []int32{id}})
		logits, err := session.Write(ctx, id, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(logits) != 2*m.Vocabulary || len(want) != 9*m.Vocabulary || session.Len() != 11 {
			t.Errorf("%+v: %d and %d logits of a vocabulary of %d, %d positions", o, len(want), len(logits), m.Vocabulary, session.Len())
		}
		for i, l := range append(want, logits...) {
			if math.IsNaN(float64(l)) || math.IsInf(float64(l), 0) {
				t.Fatalf("%+v: logit %d is %g", o, i, l)
			}
		}
		session.Close()
	}
}

// allocated returns the bytes allocated since the program began.
func allocated() int64 {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.TotalAlloc)
}

func TestExtremeOptionsAreChecked(t *testing.T) {
	d := newDraft(t, "dense")
	d.set("context_length", uint32(1<<28))
	for _, key := range []string{"attention.key_length", "attention.value_length", "rope.dimension_count"} {
		d.set(key, uint32(1<<18))
	}
	d.set("attention.head_count", uint32(1))
	d.set("attention.head_count_kv", uint32(1))
	d.set("embedding_length", uint32(1))
	d.set("block_count", uint32(1))
	d.set("feed_forward_length", uint32(1))
	d.set("attention.sliding_window_pattern", []bool{false})
	d.tensors = nil
	for name, dims := range map[string][]int{
		"token_embd": {1, 8}, "output_norm": {1}, "blk.0.attn_norm": {1}, "blk.0.post_attention_norm": {1}, "blk.0.ffn_norm": {1},
		"blk.0.post_ffw_norm": {1}, "blk.0.ffn_gate": {1, 1}, "blk.0.ffn_up": {1, 1}, "blk.0.ffn_down": {1, 1},
		"blk.0.attn_q": {1, 1 << 18}, "blk.0.attn_k": {1, 1 << 18}, "blk.0.attn_output": {1 << 18, 1},
		"blk.0.attn_q_norm": {1 << 18}, "blk.0.attn_k_norm": {1 << 18},
	} {
		d.zero(name+".weight", gguf.F16, dims...)
	}
	m, err := d.open(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		o    SequenceOptions
		want string
	}{
		{SequenceOptions{Context: math.MaxInt}, "positions is more than the model's 268435456"},
		{SequenceOptions{Context: math.MinInt}, "neither can be negative"},
		{SequenceOptions{Batch: math.MinInt}, "neither can be negative"},
		{SequenceOptions{Context: 1 << 28, Batch: math.MaxInt},
			"a cache of 268435456 positions takes 562949953421312 bytes, more than this machine can address"},
		{SequenceOptions{Cache: tensor.Format(math.MaxUint32)}, "a cache in format 4294967295 is not possible"},
	} {
		if _, err := m.NewSequence(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %s", c.o, err, c.want)
		}
	}
}

func TestEmptyInputsChangeNothing(t *testing.T) {
	m, err := newDraft(t, "e").open(t)
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(t, m, SequenceOptions{})
	readTokens(t, s, []int32{1, 2, 3})
	for _, in := range [][]Input{nil, {}, {{}}, {{Image: true}}, {{Tokens: []int32{}, Embeddings: []float32{}}, {Image: true}}} {
		if got := read(t, s, in...); len(got) != 0 || s.Len() != 3 {
			t.Errorf("%v: %d logits, %d positions", in, len(got), s.Len())
		}
	}
	if logits, err := s.Write(ctx); err != nil || len(logits) != 0 || s.Len() != 3 {
		t.Errorf("writing nothing: %d logits, error %v, %d positions", len(logits), err, s.Len())
	}
	for _, id := range []int32{math.MinInt32, math.MaxInt32} {
		if err := s.Read(ctx, []Input{{Tokens: []int32{id}}}, nil, nil); err == nil {
			t.Errorf("id %d was read", id)
		}
	}
	var full *ContextError
	if err := s.Read(ctx, []Input{{Embeddings: make([]float32, 62*m.Width), Image: true}}, nil, nil); !errors.As(err, &full) ||
		full.Need != 65 {
		t.Errorf("an image longer than the context: %v", err)
	}
}

// TestNumbersThatAreNoneStayInTheirSession: embeddings come from outside and may hold anything, NaN too.
func TestNumbersThatAreNoneStayInTheirSession(t *testing.T) {
	for _, kind := range []string{"e", "dense", "moe"} {
		m, err := newDraft(t, kind).open(t)
		if err != nil {
			t.Fatal(err)
		}
		tokens := Input{Tokens: []int32{7, 8, 9, 10, 11}}
		for _, cache := range []tensor.Format{tensor.F32, tensor.F16} {
			want := read(t, newSession(t, m, SequenceOptions{Cache: cache}), tokens)
			for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat32, math.SmallestNonzeroFloat32} {
				s := newSession(t, m, SequenceOptions{Cache: cache})
				soft := make([]float32, 4*m.Width)
				for i := range soft {
					soft[i] = float32(bad)
				}
				in := []Input{{Tokens: []int32{1, 2, 3}}, {Embeddings: soft, Image: true}, {Tokens: []int32{4}}}
				err := s.Read(ctx, in, func(pos int) bool { return pos == 7 }, func(int, []float32) error { return nil })
				if math.IsNaN(bad) &&
					(err == nil || !strings.Contains(err.Error(), "the logit of id 0 behind position 7 is NaN") || s.Len() != 0) {
					t.Errorf("%s: embeddings that are no numbers: %v, %d positions", kind, err, s.Len())
				}
				s.Truncate(0)
				if w := worst(read(t, s, tokens), want); w != 0 {
					t.Errorf("%s, %v: after embeddings of %g and Truncate the logits differ by %g", kind, cache, bad, w)
				}
			}
		}
	}
}

// TestFileCutWhileItIsLoaded: vectors are copied from the map when a model is made.
func TestFileCutWhileItIsLoaded(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("not every system and emulator tells where a fault was")
	}
	path := filepath.Join(t.TempDir(), "m.gguf")
	d := newDraft(t, "moe")
	if err := gguf.WriteFile(path, d.Metadata, d.tensors); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	if _, err := New(f, Options{Workers: 1}); err == nil ||
		!strings.Contains(err.Error(), path+": tensor output_norm.weight: the mapped file cannot be read any more") {
		t.Errorf("error %v", err)
	}
}
