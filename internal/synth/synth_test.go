package synth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/tensor"
	"github.com/gogemma/gemma4/tokenizer"
)

func parse(t testing.TB, spec string) Config {
	t.Helper()
	c, err := Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func open(t testing.TB, data []byte) *gguf.File {
	t.Helper()
	f, err := gguf.OpenBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// formats returns the names of all weight formats.
func formats() (names []string) {
	for _, f := range tensor.Formats() {
		names = append(names, strings.ToLower(f.String()))
	}
	return names
}

// moments returns mean and standard deviation, which are not finite if a value is not.
func moments(v []float32) (mean, deviation float64) {
	for _, x := range v {
		mean += float64(x)
	}
	mean /= float64(len(v))
	for _, x := range v {
		deviation += (float64(x) - mean) * (float64(x) - mean)
	}
	return mean, math.Sqrt(deviation / float64(len(v)))
}

func TestPoolHasTheWantedSpreadInEveryFormat(t *testing.T) {
	for _, name := range formats() {
		// The inputs of a small matrix, of the widest one of all presets, and a spread of 1 for the matrices that have it.
		for _, spread := range []float64{1.0 / 16, 1 / math.Sqrt(21504), 1} {
			m, _ := mix(name)
			f := m("ffn_up")
			p := newPool(f, spread, rand.NewPCG(1, 2))
			v := make([]float32, len(p.data)/f.BlockBytes()*f.BlockLen())
			f.Decode(v, p.data)
			mean, deviation := moments(v)
			if !(math.Abs(mean) < 0.05*spread && math.Abs(deviation/spread-1) < 0.03) {
				t.Errorf("%s: mean %.5f, deviation %.5f, want 0 and %.5f", name, mean, deviation, spread)
			}
		}
	}
}

func TestEveryFormatMakesAFileOfFiniteWeights(t *testing.T) {
	presets := map[string][]string{"tiny-moe": formats(), "tiny-e": {"q4_k_m", "q4_0"}, "tiny-e4": {"f16"}, "tiny-dense": {"iq3_s"},
		"micro-e": {"q4_k_m", "tq1_0", "f32"}, "micro-dense": {"q4_1"}}
	for preset, names := range presets {
		for _, name := range names {
			t.Run(preset+":"+name, func(t *testing.T) {
				c := parse(t, preset+":"+name)
				if preset == "tiny-moe" { // one layer of each kind will do
					c.Layers, c.Sliding, c.KVHeads, c.Experts = 2, c.Sliding[4:], c.KVHeads[4:], 2
				}
				checkWeights(t, c)
			})
		}
	}
}

// checkWeights checks that a file has the tensors of the list, and these the numbers.
func checkWeights(t *testing.T, s Shape) {
	t.Helper()
	want := map[string]weight{}
	for _, w := range s.weights() {
		want[w.name] = w
	}
	f := open(t, Bytes(s))
	for _, x := range f.Tensors {
		data, err := x.Data()
		if err != nil {
			t.Fatal(err)
		}
		n := 1
		for _, d := range x.Dims {
			n *= d
		}
		v := make([]float32, n)
		w, ok := want[x.Name]
		w.format.Decode(v, data)
		mean, deviation := moments(v)
		// Deviations are those of whole blocks, which share a scale.
		blocks := float64(n / w.format.BlockLen())
		switch {
		case !ok:
			t.Errorf("%s is not in the list", x.Name)
		case w.given != nil:
			if !slices.Equal(v, w.given) {
				t.Errorf("%s is %v, want %v", x.Name, v, w.given)
			}
		case !(math.Abs(mean-w.mean) < w.spread*(0.05+4/math.Sqrt(float64(n)))):
			t.Errorf("%s: mean %v, want %v", x.Name, mean, w.mean)
		case n > 1 && !(math.Abs(deviation/w.spread-1) < 0.02+2/math.Sqrt(blocks)):
			t.Errorf("%s: deviation %v, want %v", x.Name, deviation, w.spread)
		}
		delete(want, x.Name)
	}
	for name := range want {
		t.Errorf("%s is missing", name)
	}
}

func TestMatricesHaveTheFormatsOfTheSpec(t *testing.T) {
	for _, c := range []struct {
		spec, tensor string
		want         gguf.Type
	}{
		{"e2b:q4_0", "token_embd.weight", gguf.Q4_0},
		{"e2b:q4_0", "per_layer_token_embd.weight", gguf.Q4_0},
		{"e2b:q4_0", "per_layer_model_proj.weight", gguf.BF16},
		{"e2b:q4_0", "blk.34.inp_gate.weight", gguf.Q4_0},
		{"e2b:q4_0", "blk.0.attn_norm.weight", gguf.F32},
		{"e2b:f32", "per_layer_model_proj.weight", gguf.F32},
		{"e2b:f16", "per_layer_model_proj.weight", gguf.BF16},
		{"e2b:f16", "blk.3.ffn_down.weight", gguf.F16},
		{"26b:q4_0", "blk.0.ffn_down_exps.weight", gguf.Q4_0}, // 704 = 22 · 32
		{"26b:q4_0", "blk.0.ffn_gate_inp.weight", gguf.F32},
		{"26b:q4_0", "blk.0.ffn_gate_inp.scale", gguf.F32},
		{"26b:iq4_xs", "blk.0.ffn_down_exps.weight", gguf.Q8_0}, // 704 is no multiple of 256
		{"26b:iq4_xs", "blk.0.ffn_down.weight", gguf.Q8_0},      // nor is 2112
		{"26b:iq4_xs", "blk.0.ffn_gate_up_exps.weight", gguf.IQ4_XS},
		{"26b:nvfp4", "blk.0.ffn_down_exps.weight", gguf.NVFP4}, // 704 = 11 · 64
		{"micro-moe:nvfp4", "blk.0.ffn_down_exps.weight", gguf.Q8_0},
		{"e2b:q4_k_m", "token_embd.weight", gguf.Q6_K},
		{"e2b:q4_k_m", "per_layer_token_embd.weight", gguf.Q6_K},
		{"e2b:q4_k_m", "per_layer_model_proj.weight", gguf.BF16},
		{"e2b:q4_k_m", "blk.0.attn_v.weight", gguf.Q6_K},
		{"e2b:q4_k_m", "blk.0.ffn_down.weight", gguf.Q6_K},
		{"e2b:q4_k_m", "blk.0.ffn_up.weight", gguf.Q4_K},
		{"e2b:q4_k_m", "blk.0.attn_k.weight", gguf.Q4_K},
		{"e2b:q4_k_m", "blk.0.attn_output.weight", gguf.Q4_K},
		{"e2b:q4_k_m", "blk.0.proj.weight", gguf.Q4_K},
		{"e2b:q4_k_m", "output_norm.weight", gguf.F32},
		{"26b:q4_k_m", "blk.0.ffn_down_exps.weight", gguf.Q8_0},
		{"26b:q4_k_m", "blk.0.ffn_down.weight", gguf.Q8_0},
		{"26b:q4_k_m", "blk.0.ffn_gate_up_exps.weight", gguf.Q4_K},
		{"26b:q4_k_m", "blk.0.ffn_gate_inp.weight", gguf.F32},
	} {
		found := false
		for _, w := range parse(t, c.spec).weights() {
			if w.name == c.tensor {
				found = true
				if gguf.Type(w.format) != c.want {
					t.Errorf("%s: %s is %v, want %v", c.spec, c.tensor, w.format, c.want)
				}
			}
		}
		if !found {
			t.Errorf("%s has no %s", c.spec, c.tensor)
		}
	}
	c := parse(t, "micro-e")
	c.Mix, c.PerLayer = All(tensor.Q4_0), 24 // neither 32 nor 256 divides 24
	for _, w := range c.weights() {
		if w.name == "blk.0.proj.weight" && w.format != tensor.F16 {
			t.Errorf("rows of 24 values in %v", w.format)
		}
	}
}

// The numbers are those of the published models.
func TestFullPresetsHaveTheModelsShapes(t *testing.T) {
	for _, c := range []struct {
		preset  string
		billion float64 // parameters
		layers  int
		global  []int // some global layers
		sliding []int // some sliding ones
		dims    map[string][]int
		without []string
	}{
		{"e2b", 4.63, 35, []int{4, 9, 34}, []int{0, 3, 5, 33}, map[string][]int{
			"token_embd.weight": {1536, 262144}, "per_layer_token_embd.weight": {8960, 262144}, "per_layer_model_proj.weight": {1536, 8960},
			"per_layer_proj_norm.weight": {256}, "rope_freqs.weight": {256}, "output_norm.weight": {1536},
			"blk.0.attn_q.weight": {1536, 2048}, "blk.4.attn_q.weight": {1536, 4096}, "blk.0.attn_k.weight": {1536, 256},
			"blk.4.attn_k.weight": {1536, 512}, "blk.4.attn_v.weight": {1536, 512}, "blk.14.attn_k.weight": {1536, 512},
			"blk.14.ffn_up.weight": {1536, 6144}, "blk.15.ffn_up.weight": {1536, 12288}, "blk.34.ffn_down.weight": {12288, 1536},
			"blk.34.attn_output.weight": {4096, 1536}, "blk.34.attn_q_norm.weight": {512}, "blk.20.inp_gate.weight": {1536, 256},
			"blk.20.proj.weight": {256, 1536}, "blk.20.post_norm.weight": {1536}, "blk.7.layer_output_scale.weight": {1},
		}, []string{"blk.15.attn_k.weight", "blk.15.attn_v.weight", "blk.34.attn_k_norm.weight", "output.weight",
			"blk.0.ffn_gate_inp.weight"}},
		{"e4b", 7.46, 42, []int{5, 41}, []int{0, 4, 6, 40}, map[string][]int{
			"token_embd.weight": {2560, 262144}, "per_layer_token_embd.weight": {10752, 262144}, "blk.0.attn_k.weight": {2560, 512},
			"blk.5.attn_k.weight": {2560, 1024}, "blk.23.attn_v.weight": {2560, 1024}, "blk.0.attn_q.weight": {2560, 2048},
			"blk.41.ffn_gate.weight": {2560, 10240}, "blk.0.ffn_gate.weight": {2560, 10240},
		}, []string{"blk.24.attn_k.weight", "blk.41.attn_v.weight"}},
		{"12b", 11.9, 48, []int{5, 47}, []int{0, 46}, map[string][]int{
			"token_embd.weight": {3840, 262144}, "blk.0.attn_q.weight": {3840, 4096}, "blk.5.attn_q.weight": {3840, 8192},
			"blk.0.attn_k.weight": {3840, 2048}, "blk.5.attn_k.weight": {3840, 512}, "blk.0.attn_v.weight": {3840, 2048},
			"blk.47.ffn_down.weight": {15360, 3840}, "blk.47.attn_k_norm.weight": {512},
		}, []string{"blk.5.attn_v.weight", "blk.47.attn_v.weight", "per_layer_token_embd.weight", "blk.0.inp_gate.weight"}},
		{"26b", 25.2, 30, []int{5, 29}, []int{0, 28}, map[string][]int{
			"token_embd.weight": {2816, 262144}, "blk.0.attn_q.weight": {2816, 4096}, "blk.29.attn_q.weight": {2816, 8192},
			"blk.0.attn_k.weight": {2816, 2048}, "blk.29.attn_k.weight": {2816, 1024}, "blk.0.ffn_up.weight": {2816, 2112},
			"blk.0.ffn_gate_inp.weight": {2816, 128}, "blk.0.ffn_gate_inp.scale": {2816},
			"blk.0.ffn_gate_up_exps.weight": {2816, 1408, 128},
			"blk.0.ffn_down_exps.weight":    {704, 2816, 128}, "blk.0.ffn_down_exps.scale": {128}, "blk.0.pre_ffw_norm_2.weight": {2816},
			"blk.0.post_ffw_norm_1.weight": {2816}, "blk.29.post_ffw_norm_2.weight": {2816},
		}, []string{"blk.29.attn_v.weight", "per_layer_model_proj.weight"}},
		{"31b", 30.7, 60, []int{5, 59}, []int{0, 58}, map[string][]int{
			"token_embd.weight": {5376, 262144}, "blk.0.attn_q.weight": {5376, 8192}, "blk.59.attn_q.weight": {5376, 16384},
			"blk.0.attn_k.weight": {5376, 4096}, "blk.59.attn_k.weight": {5376, 2048}, "blk.0.ffn_gate.weight": {5376, 21504},
			"blk.59.attn_output.weight": {16384, 5376},
		}, []string{"blk.59.attn_v.weight", "blk.0.ffn_gate_inp.weight"}},
	} {
		t.Run(c.preset, func(t *testing.T) {
			config := parse(t, c.preset+":q4_0")
			if got := float64(config.Parameters()) / 1e9; math.Abs(got/c.billion-1) > 0.005 {
				t.Errorf("%.2f billion parameters, want %.2f", got, c.billion)
			}
			m, sources, err := Build(config)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string][]int{}
			for _, s := range sources {
				got[s.Name] = s.Dims
			}
			for name, want := range c.dims {
				if !slices.Equal(got[name], want) {
					t.Errorf("%s is %v, want %v", name, got[name], want)
				}
			}
			for _, name := range c.without {
				if got[name] != nil {
					t.Errorf("there is a %s", name)
				}
			}
			if n, _ := m.Int("gemma4.block_count"); n != int64(c.layers) {
				t.Errorf("%d layers, want %d", n, c.layers)
			}
			pattern, _ := m.Bools("gemma4.attention.sliding_window_pattern")
			for _, i := range c.global {
				if pattern[i] {
					t.Errorf("layer %d is sliding", i)
				}
			}
			for _, i := range c.sliding {
				if !pattern[i] {
					t.Errorf("layer %d is global", i)
				}
			}
			if tokens, _ := m.Strings("tokenizer.ggml.tokens"); len(tokens) != 262144 {
				t.Errorf("%d tokens", len(tokens))
			}
		})
	}
}

func TestSizeIsThatOfTheFile(t *testing.T) {
	for _, spec := range []string{"tiny-e:q4_0", "tiny-moe:q4_k_m", "micro-dense:f32", "e2b-narrow:q8_0"} {
		c := parse(t, spec)
		f := open(t, Bytes(c))
		var size, values int64
		for _, x := range f.Tensors {
			size += x.Size
			n := int64(1)
			for _, d := range x.Dims {
				n *= int64(d)
			}
			values += n
		}
		if c.Size() != size || c.Parameters() != values {
			t.Errorf("%s: %d bytes and %d parameters, the file has %d and %d", spec, c.Size(), c.Parameters(), size, values)
		}
	}
	// 0.5625 bytes for each of 4.63 billion weights, and what is BF16 and F32.
	if got := parse(t, "e2b:q4_0").Size(); got < 2_600_000_000 || got > 2_650_000_000 {
		t.Errorf("e2b:q4_0 has %d bytes", got)
	}
	if got := (Config{}).Size(); got != 0 {
		t.Errorf("the zero Config has %d bytes", got)
	}
}

func TestNarrowPresetsKeepWhatShapesTheCache(t *testing.T) {
	for _, preset := range []string{"e2b", "e4b", "12b", "26b", "31b"} {
		full, _, err := Build(parse(t, preset+":f16"))
		if err != nil {
			t.Fatal(err)
		}
		c := parse(t, preset+"-narrow:f16")
		narrow, _, err := Build(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range full.Keys() {
			if !strings.HasPrefix(key, "gemma4.") {
				continue
			}
			switch key[len("gemma4."):] {
			case "embedding_length", "feed_forward_length", "embedding_length_per_layer_input", "expert_count", "expert_used_count",
				"expert_feed_forward_length":
				continue
			}
			if got, want := show(narrow, key), show(full, key); got != want {
				t.Errorf("%s-narrow: %s is %s, want %s", preset, key, got, want)
			}
		}
		if n := c.Parameters(); n > 120e6 {
			t.Errorf("%s-narrow has %d parameters", preset, n)
		}
	}
}

// show prints a metadata value.
func show(m *gguf.Metadata, key string) string {
	v, ok := m.Value(key)
	if !ok {
		return "missing"
	}
	if a, ok := v.(*gguf.Array); ok {
		var all []any
		for _, x := range a.All() {
			all = append(all, x)
		}
		return fmt.Sprint(a.Type(), all)
	}
	return fmt.Sprintf("%T %v", v, v)
}

func TestStructureIsThatOfTheGoldenFiles(t *testing.T) {
	odd := parse(t, "micro-moe")
	odd.Head, odd.SplitExperts, odd.Scales, odd.Unscaled, odd.Suppress = true, true, true, []int{1, 3, 5}, []int32{4, 105, 100000}
	odd.Heads = []int{4, 4, 4, 4, 4, 4}
	for _, c := range []struct {
		file   string
		config Config
	}{
		{"micro-e", parse(t, "micro-e")}, {"micro-e4", parse(t, "micro-e4")}, {"micro-dense", parse(t, "micro-dense")},
		{"micro-moe", parse(t, "micro-moe")}, {"micro-odd-00001-of-00003", odd}, {"tiny-e-mix", parse(t, "tiny-e")},
		{"tiny-e4-q3_k_m", parse(t, "tiny-e4")}, {"tiny-dense-iq", parse(t, "tiny-dense")}, {"tiny-dense-q4_0", parse(t, "tiny-dense")},
		{"tiny-moe-q4_k_m", parse(t, "tiny-moe")},
	} {
		t.Run(c.file, func(t *testing.T) {
			want, err := gguf.Open(testdata.Shared(t, "golden", "text", c.file+".gguf"))
			if err != nil {
				t.Fatal(err)
			}
			defer want.Close()
			got := open(t, Bytes(c.config))
			for _, w := range want.Tensors {
				switch g := got.Tensor(w.Name); {
				case g == nil:
					t.Errorf("%s %v is missing", w.Name, w.Dims)
				case !slices.Equal(g.Dims, w.Dims):
					t.Errorf("%s is %v, want %v", w.Name, g.Dims, w.Dims)
				}
			}
			for _, g := range got.Tensors {
				if want.Tensor(g.Name) == nil {
					t.Errorf("%s %v is too many", g.Name, g.Dims)
				}
			}
			for _, key := range want.Metadata.Keys() {
				if strings.HasPrefix(key, "gemma4.") || key == "tokenizer.ggml.suppress_tokens" {
					if g, w := show(got.Metadata, key), show(want.Metadata, key); g != w {
						t.Errorf("%s is %s, want %s", key, g, w)
					}
				} else if !got.Metadata.Has(key) && strings.HasPrefix(key, "tokenizer.") {
					t.Errorf("%s is missing", key)
				}
			}
		})
	}
}

func TestOdditiesAreInTheFile(t *testing.T) {
	c := parse(t, "micro-e:nvfp4")
	c.Head, c.Scales, c.IdleKV, c.ChatTemplate = true, true, true, "{{ bos_token }}"
	f := open(t, Bytes(c))
	for name, dims := range map[string][]int{
		"output.weight": {64, 512}, "output.scale": {1}, "blk.0.attn_q.scale": {1}, "blk.9.proj.scale": {1}, "blk.9.inp_gate.scale": {1},
		"blk.9.attn_k.weight": {64, 32}, "blk.9.attn_k_norm.weight": {32}, "blk.9.attn_v.weight": {64, 32},
	} {
		if x := f.Tensor(name); x == nil || !slices.Equal(x.Dims, dims) {
			t.Errorf("%s is %v, want %v", name, x, dims)
		}
	}
	if s, _ := f.Metadata.Text("tokenizer.chat_template"); s != c.ChatTemplate {
		t.Errorf("template %q", s)
	}
	c = parse(t, "micro-moe")
	c.Scales = true
	if x := open(t, Bytes(c)).Tensor("blk.0.ffn_gate_up_exps.scale"); x == nil || x.Dims[0] != 8 {
		t.Errorf("ffn_gate_up_exps.scale is %v, want 8 numbers", x)
	}
}

func TestVocabularyIsValid(t *testing.T) {
	for _, n := range []int{MinVocabulary, 2048, 258884, 258885, 262144} {
		tokens, kinds := vocabulary(n)
		ids := map[string]int{}
		for id, s := range tokens {
			if other, ok := ids[s]; ok || s == "" {
				t.Fatalf("%d tokens: %d and %d are both %q", n, other, id, s)
			}
			ids[s] = id
			if kinds[id] == 0 {
				t.Fatalf("%d tokens: %d has no type", n, id)
			}
		}
		for s, id := range map[string]int{"<pad>": 0, "<eos>": 1, "<bos>": 2, "<unk>": 3, "<|tool>": 46, "<|tool_call>": 48, `<|"|>`: 52,
			"<|think|>": 98, "<|channel>": 100, "<channel|>": 101, "<|turn>": 105, "<turn|>": 106, "\n": 107, "<0x00>": 238,
			"<0xFF>": 493} {
			if ids[s] != id {
				t.Errorf("%d tokens: %q is %d, want %d", n, s, ids[s], id)
			}
		}
		if id, want := ids["<|image>"], map[bool]int{true: 255999, false: 231}[n > 258884]; id != want {
			t.Errorf("%d tokens: <|image> is %d, want %d", n, id, want)
		}
		for _, m := range merges {
			left, right, _ := strings.Cut(m, " ")
			for _, s := range []string{left, right, left + right} {
				if _, ok := ids[s]; !ok {
					t.Errorf("%d tokens: %q of merge %q is none", n, s, m)
				}
			}
		}
	}
}

func TestTokenizerReadsTheVocabulary(t *testing.T) {
	m, _, err := Build(parse(t, "micro-dense"))
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New(m)
	if err != nil {
		t.Fatal(err)
	}
	const text = "<|turn>user\nThe answer and the thing: 42, ä.<turn|>\n\n"
	ids := tok.Encode(text, true)
	if got := tok.Decode(ids, true); got != text {
		t.Errorf("%q came back as %q", text, got)
	}
	if ids[0] != 105 || ids[len(ids)-2] != 106 || ids[len(ids)-1] != 108 || len(ids) > 45 {
		t.Errorf("ids %v", ids)
	}
}

// hash returns the first 16 digits of the sha256 of all weights.
func hash(t *testing.T, s Shape) string {
	t.Helper()
	_, sources, err := Build(s)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	for _, x := range sources {
		if err := x.Write(h); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil))[:16]
}

func TestWeightsDependOnTheSeedAlone(t *testing.T) {
	for spec, want := range map[string]string{ // the same on every architecture
		"micro-e:f32":       "c423984665e98db5",
		"micro-moe:q4_0":    "fc85193cddfdd461",
		"tiny-moe:q4_k_m":   "7e06869d1ef48b33",
		"tiny-dense:iq1_m":  "435cd0df8d158283",
		"micro-dense:nvfp4": "6604298c2b17eef8",
		"tiny-e:mxfp4":      "c4bac26b18a00382",
	} {
		c := parse(t, spec)
		c.Seed = 3
		if got := hash(t, c); got != want {
			t.Errorf("%s: sha256 %s, want %s", spec, got, want)
		}
		c.Seed = 4
		if hash(t, c) == want {
			t.Errorf("%s: another seed gives the same weights", spec)
		}
	}
}

func TestRowsOfATableDiffer(t *testing.T) {
	for spec, rows := range map[string]int{"tiny-e:q4_0": 8192, "tiny-dense:q4_k_m": 512, "tiny-dense:tq1_0": 1024, "micro-e:f32": 8192,
		"e2b-narrow:q8_0": 4096} {
		c := parse(t, spec)
		c.Vocabulary = rows
		f := open(t, Bytes(c))
		x := f.Tensor("token_embd.weight")
		data, err := x.Data()
		if err != nil {
			t.Fatal(err)
		}
		row := len(data) / c.Vocabulary
		seen, twins := map[string]bool{}, 0
		for i := range c.Vocabulary {
			r := string(data[i*row : (i+1)*row])
			if seen[r] {
				twins++
			}
			seen[r] = true
		}
		if twins > rows/1000 {
			t.Errorf("%s: %d of %d rows stand twice", spec, twins, c.Vocabulary)
		}
	}
}

func TestRopeFactorsTurnTheFirstQuarter(t *testing.T) {
	x := open(t, Bytes(parse(t, "tiny-e"))).Tensor("rope_freqs.weight")
	data, err := x.Data()
	if err != nil {
		t.Fatal(err)
	}
	v := make([]float32, x.Dims[0])
	tensor.F32.Decode(v, data)
	for i, got := range v {
		if want := map[bool]float32{true: 1, false: 1e30}[i < len(v)/4]; got != want {
			t.Errorf("factor %d is %v, want %v", i, got, want)
		}
	}
}

func TestFilesCanBeSplit(t *testing.T) {
	c := parse(t, "micro-moe:q8_0")
	m, sources, err := Build(c)
	if err != nil {
		t.Fatal(err)
	}
	paths, err := gguf.WriteSplit(filepath.Join(t.TempDir(), "m.gguf"), 3, m, sources)
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(paths[1])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.Tensors) != len(sources) {
		t.Errorf("%d tensors of %d", len(f.Tensors), len(sources))
	}
}

func TestWriteFileWritesWhatBytesReturns(t *testing.T) {
	c := parse(t, "micro-e:q5_k")
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := WriteFile(t.Context(), path, c); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, Bytes(c)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := WriteFile(t.Context(), filepath.Join(path, "under a file"), c); err == nil {
		t.Error("no error for a path that cannot be")
	}
}

func TestWriteFileThatIsStoppedLeavesNothing(t *testing.T) {
	c := parse(t, "micro-e:q5_k")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	folder := t.TempDir()
	err := WriteFile(ctx, filepath.Join(folder, "m.gguf"), c)
	files, _ := os.ReadDir(folder)
	if !errors.Is(err, context.Canceled) || len(files) != 0 {
		t.Errorf("%v, %d files", err, len(files))
	}
}

// A fullDisk takes that many bytes.
type fullDisk int

var errFull = errors.New("disk full")

func (d *fullDisk) Write(p []byte) (int, error) {
	if *d -= fullDisk(len(p)); *d < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriteReportsAFullDisk(t *testing.T) {
	c := parse(t, "tiny-dense:q8_0")
	for _, room := range []fullDisk{0, 50_000, fullDisk(c.Size() / 2), fullDisk(c.Size())} {
		if err := Write(&room, c); !errors.Is(err, errFull) {
			t.Errorf("error %v", err)
		}
	}
}

func TestShortPresetsKeepTheMatrices(t *testing.T) {
	for _, preset := range []string{"e2b", "e4b", "12b", "26b", "31b"} {
		full, short := parse(t, preset+":q4_0"), parse(t, preset+"-short:q4_0")
		if short.Layers >= full.Layers || short.Parameters() >= full.Parameters()/2 {
			t.Errorf("%s-short has %d layers and %d parameters", preset, short.Layers, short.Parameters())
		}
		sizes := map[string]bool{}
		for _, w := range full.weights() {
			sizes[matrix(w)] = true
		}
		for _, w := range short.weights() {
			if key := matrix(w); strings.HasPrefix(key, "blk.") && !sizes[key] {
				t.Errorf("%s-short: no layer of %s has %s", preset, preset, key)
			}
		}
	}
}

// matrix is a tensor's name and shape without the layer's number.
func matrix(w weight) string {
	part := strings.SplitN(w.name, ".", 3)
	if part[0] == "blk" {
		part[1] = "N"
	}
	return fmt.Sprint(strings.Join(part, "."), w.dims)
}

func TestSpecsThatAreNone(t *testing.T) {
	for spec, want := range map[string]string{
		"":                    `unknown preset "" in "", want one of e2b, e4b,`,
		"e3b:q4_0":            `unknown preset "e3b" in "e3b:q4_0"`,
		"e2b:":                `unknown format "" in "e2b:"`,
		"e2b:q4_2":            `unknown format "q4_2" in "e2b:q4_2", want q4_k_m or`,
		"e2b:Q4_0":            `unknown format "Q4_0"`,
		"e2b:q4_0:x":          `unknown format "q4_0:x"`,
		"tiny-narrow":         `unknown preset "tiny-narrow"`,
		"tiny-moe-narrow:f32": `unknown preset "tiny-moe-narrow"`,
	} {
		if _, err := Parse(spec); err == nil || !strings.HasPrefix(err.Error(), "synth: "+want) {
			t.Errorf("Parse(%q) = %v, want %q", spec, err, want)
		}
	}
	for _, name := range Presets() {
		if c := parse(t, name+":q4_0"); c.check() != nil {
			t.Errorf("%s: %v", name, c.check())
		}
	}
}

func TestConfigsThatAreNoModel(t *testing.T) {
	for _, c := range []struct {
		want   string
		change func(*Config)
	}{
		{"Vocabulary is 511, want 512 to", func(c *Config) { c.Vocabulary = 511 }},
		{"Context is 0", func(c *Config) { c.Context = 0 }},
		{"Layers is 0", func(c *Config) { c.Layers = 0 }},
		{"Layers is 1025", func(c *Config) { c.Layers = 1025 }},
		{"Width is -1", func(c *Config) { c.Width = -1 }},
		{"Width is 131073", func(c *Config) { c.Width = 1<<17 + 1 }},
		{"MLP[1] is 1048577", func(c *Config) { c.MLP = append([]int{1, 1<<20 + 1}, c.MLP[2:]...) }},
		{"head sizes 16 and 33", func(c *Config) { c.HeadSize = 33 }},
		{"Window is 0", func(c *Config) { c.Window = 0 }},
		{"SharedKV is -1", func(c *Config) { c.SharedKV = -1 }},
		{"PerLayer is -1", func(c *Config) { c.PerLayer = -1 }},
		{"ExpertsUsed is 0", func(c *Config) { c.Experts, c.ExpertWidth = 8, 32 }},
		{"ExpertWidth is 0", func(c *Config) { c.Experts, c.ExpertsUsed = 8, 2 }},
		{"ExpertsUsed is 9, want 1 to 8", func(c *Config) { c.Experts, c.ExpertsUsed, c.ExpertWidth = 8, 9, 32 }},
		{"Heads has 0 entries, want 1 or 10", func(c *Config) { c.Heads = nil }},
		{"KVHeads has 3 entries", func(c *Config) { c.KVHeads = []int{1, 1, 1} }},
		{"MLP[0] is 0", func(c *Config) { c.MLP = []int{0} }},
		{"layer 0 has 4 heads, want a multiple of its 3 KV heads", func(c *Config) { c.KVHeads = []int{3} }},
		{"Sliding has 2 entries, want 10", func(c *Config) { c.Sliding = c.Sliding[:2] }},
		{"layer 6 shares keys and values, but no layer of its kind (sliding: false)", func(c *Config) {
			c.Sliding = []bool{true, true, true, true, true, true, false, true, true, true}
		}},
		{"layer 0 shares keys and values", func(c *Config) { c.SharedKV = 10 }},
		{"SharedKV is 11, want 0 to 10", func(c *Config) { c.SharedKV = 11 }},
		{"token_embd.weight is to be in format 99", func(c *Config) { c.Mix = All(99) }},
		{"Unscaled names layer 10 of 10", func(c *Config) { c.Unscaled = []int{10} }},
	} {
		config := parse(t, "micro-e")
		c.change(&config)
		if err := Write(io.Discard, config); err == nil || !strings.HasPrefix(err.Error(), "synth: "+c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
		if config.Size() != 0 || config.Parameters() != 0 {
			t.Errorf("%q has %d bytes", c.want, config.Size())
		}
	}
}

func ExampleParse() {
	c, err := Parse("31b:q4_k_m")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d layers, %.1f billion parameters, %.1f GB\n", c.Layers, float64(c.Parameters())/1e9, float64(c.Size())/1e9)
	// Output: 60 layers, 30.7 billion parameters, 19.7 GB
}

func BenchmarkWrite(b *testing.B) {
	for _, spec := range []string{"e2b:q4_0", "e2b:q4_k_m"} {
		b.Run(spec, func(b *testing.B) {
			c := parse(b, spec)
			b.SetBytes(c.Size())
			for range b.N {
				if err := Write(io.Discard, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpenFullVocabulary opens a file with 262144 tokens and builds their tokenizer.
func BenchmarkOpenFullVocabulary(b *testing.B) {
	c := parse(b, "micro-dense:q4_0")
	c.Vocabulary = 262144
	data := Bytes(c)
	b.ResetTimer()
	for range b.N {
		f, err := gguf.OpenBytes(data)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := tokenizer.New(f.Metadata); err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}
