package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/nano"
)

var inspect = command("inspect")

// has checks that a line of out matches each pattern, in which a space stands for any space.
func has(t *testing.T, out string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile(`(?m)^\s*` + strings.ReplaceAll(p, " ", `\s+`) + `\s*$`).MatchString(out) {
			t.Errorf("no line %q in:\n%s", p, out)
		}
	}
}

func TestTheEmbeddedModelIsShown(t *testing.T) {
	out := inspect.Good(t, "")
	has(t, out,
		`general\.architecture string "gemma4"`,
		`gemma4\.block_count \w+ 8`,
		`tokenizer\.ggml\.tokens \[2048\]string "<pad>" "<eos>" "<bos>" .* …`,
		`token_embd\.weight Q8_0 256 2048 557\.1 kB`,
		`Q4_0 \d+ \d+ \d\.\d MB 4\.50`,
		`context f32 f16 q8_0 q4_0`,
		`4096 \d+\.\d MB \d+\.\d MB \d+\.\d MB \d+\.\d kB`,
		`GGUF version 3, 4\.\d MB, \d+ parameters, parts: 1`,
	)
	for line := range strings.Lines(out) {
		if len(line) > 400 {
			t.Errorf("a line of %d bytes: %.100s…", len(line), line)
		}
	}
	if out := inspect.Good(t, "", "-tensors=false"); strings.Contains(out, "token_embd") || !strings.Contains(out, "Q4_0") {
		t.Errorf("without tensors:\n%s", out)
	}
}

// write makes a file of metadata, given as key and value in turn, and tensors.
func write(t *testing.T, tensors []gguf.Source, metadata ...any) string {
	t.Helper()
	var m gguf.Metadata
	for i := 0; i < len(metadata); i += 2 {
		if err := m.Set(metadata[i].(string), metadata[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := gguf.WriteFile(path, &m, tensors); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMemoryOfE2BIsWhatTheFormulaSays(t *testing.T) {
	sliding := make([]bool, 35)
	for i := range sliding {
		sliding[i] = i%5 != 4
	}
	path := write(t, nil,
		"general.architecture", "gemma4", "gemma4.block_count", uint32(35), "gemma4.context_length", uint32(131072),
		"gemma4.embedding_length", uint32(1536), "gemma4.feed_forward_length", uint32(6144),
		"gemma4.attention.head_count", uint32(8), "gemma4.attention.head_count_kv", uint32(1),
		"gemma4.attention.key_length", uint32(512), "gemma4.attention.value_length", uint32(512),
		"gemma4.attention.key_length_swa", uint32(256), "gemma4.attention.value_length_swa", uint32(256),
		"gemma4.attention.sliding_window", uint32(512), "gemma4.attention.sliding_window_pattern", sliding,
		"gemma4.attention.shared_kv_layers", uint32(20), "gemma4.attention.layer_norm_rms_epsilon", float32(1e-6),
		"gemma4.rope.freq_base", float32(1e6), "gemma4.rope.freq_base_swa", float32(1e4),
		"gemma4.rope.dimension_count", uint32(512), "gemma4.rope.dimension_count_swa", uint32(256),
		"gemma4.embedding_length_per_layer_input", uint32(256), "gemma4.final_logit_softcapping", float32(30))
	out := inspect.Good(t, "", path)
	// 3 global layers own 2 · 512 values per position, 12 sliding ones 2 · 256 in rings of a thousand positions and some.
	has(t, out, `4096 .*`, `65536 .*`, `131072 1\.6\d GB 0\.8\d GB 0\.4\d GB 0\.2\d GB`)
	if strings.Count(out, " GB") == 0 || strings.Contains(out, "262144") {
		t.Errorf("wrong rows:\n%s", out)
	}

	var r report
	if err := json.Unmarshal([]byte(inspect.Good(t, "", "-json", path)), &r); err != nil {
		t.Fatal(err)
	}
	last := r.Memory[len(r.Memory)-1]
	if global := int64(3 * 131072 * 2 * 512 * 2); last.Context != 131072 || last.F16 < global || last.F16 > global+32<<20 {
		t.Errorf("f16 cache of %+v, the global layers alone take %d", last, global)
	}
}

func TestAnyGGUFIsShown(t *testing.T) {
	odd := write(t, []gguf.Source{gguf.NewSource("evil\x1b[2Jname", gguf.F32, []int{2, 3}, make([]byte, 24))},
		"general.architecture", "another", "a.text", "first line\nsecond \x1b[2J line", "a.long", strings.Repeat("é", 5000),
		"a.numbers", []int32{1, 2, 3}, "a.none", []string{}, "a.flag", true, "a.many", make([]float32, 100000))
	out := inspect.Good(t, "", "-m", odd)
	has(t, out, `a\.text string "first line\\nsecond \\x1b\[2J line"`, `a\.long string "é{80}"… \(10000 bytes\)`,
		`a\.numbers \[3\]int32 1 2 3`, `a\.none \[0\]string`, `a\.flag bool true`, `a\.many \[100000\]float32 0 0 0 0 0 0 0 0 …`,
		`F32 1 6 24 B 32\.00`)
	if strings.Contains(out, "\x1b") || strings.Contains(out, "memory") {
		t.Errorf("got %q", out)
	}
	has(t, inspect.Good(t, "", write(t, nil)), "GGUF version 3, .*, 0 parameters, parts: 1")
}

func TestTensorsOfUnknownTypesAreShown(t *testing.T) {
	unknown := func(name string, kind gguf.Type, size int) gguf.Source {
		return gguf.NewSource(name, kind, []int{256, 2}, make([]byte, size))
	}
	path := write(t, []gguf.Source{unknown("a", 137, 160), unknown("b", 43, 512), unknown("c", 300, 96),
		gguf.NewSource("d", gguf.I32, []int{8}, make([]byte, 32))},
		"general.architecture", "another")
	has(t, inspect.Good(t, "", path), "tensors: 4", `a IQ2_K 256 2 160 B`, `b F8_E4M3 256 2 512 B`, `c type 300 256 2 96 B`, `d I32 8 32 B`,
		`IQ2_K 1 512 160 B 2\.50`)
}

func TestFilesOfTheFamilyAreShown(t *testing.T) {
	for _, test := range []struct {
		elem  []string
		lines []string
	}{
		{[]string{"mm", "mmproj-va.gguf"}, []string{`general\.architecture string "clip"`,
			`projector: images \(gemma4v\), sounds \(gemma4a\), for models of width 64`, `a picture of 280 tokens takes \d+\.\d MB`,
			`a second of sound takes \d+\.\d MB`}},
		{[]string{"draft", "micro-e4-draft.gguf"}, []string{`general\.architecture string "gemma4-assistant"`}},
		{[]string{"tokenizer", "gemma4-vocab.gguf"}, []string{`tokenizer\.ggml\.tokens \[262144\]string .*`}},
		{[]string{"text", "micro-odd-00002-of-00003.gguf"}, []string{`GGUF version 3, .*, parts: 3`, `output\.weight .*`}},
		{[]string{"text", "micro-e.gguf"}, []string{`512 .* -`}}, // heads of 16 fit no q8_0
	} {
		path := testdata.Shared(t, append([]string{"golden"}, test.elem...)...)
		has(t, inspect.Good(t, "", path), test.lines...)
		if out := inspect.Good(t, "", "-json", path); !json.Valid([]byte(out)) {
			t.Errorf("%s: no JSON: %.200s", path, out)
		}
	}
}

func TestAProjectorThatIsOfNoUseSaysWhy(t *testing.T) {
	path := write(t, nil, "general.architecture", "clip", "clip.has_vision_encoder", true, "clip.vision.projector_type", "gemma3")
	has(t, inspect.Good(t, "", path), `projector: of no use, model: clip\.vision\.projector_type is "gemma3", expected gemma4v or gemma4uv`)
}

func TestNumbersThatJSONHasNotAreText(t *testing.T) {
	zero := float32(0)
	path := write(t, nil, "a.infinite", 1/zero, "a.list", []float64{1, -1 / float64(zero), float64(zero / zero)})
	out := inspect.Good(t, "", "-json", path)
	if !json.Valid([]byte(out)) || !strings.Contains(out, `"+Inf"`) || !strings.Contains(out, `[1,"-Inf","NaN"]`) {
		t.Errorf("got %s", out)
	}
}

func TestKernelLevelsAreListed(t *testing.T) {
	t.Setenv("GEMMA4_CPU", "")
	if out := inspect.Good(t, "", "-cpu"); !strings.HasPrefix(out, "portable") || strings.Count(out, "(used)") != 1 ||
		!strings.HasSuffix(out, "(used)\n") {
		t.Errorf("got %q", out)
	}
	t.Setenv("GEMMA4_CPU", "portable")
	if out := inspect.Good(t, "", "-cpu"); !strings.HasPrefix(out, "portable (used)\n") || strings.Count(out, "(used)") != 1 {
		t.Errorf("got %q", out)
	}
	t.Setenv("GEMMA4_CPU", "nonsense")
	inspect.Fails(t, 1, `GEMMA4_CPU is "nonsense"`, "", "-cpu")
	for _, args := range [][]string{{"-cpu", "model.gguf"}, {"-cpu", "-m", "model.gguf"}, {"-cpu", "-json"}} {
		inspect.Fails(t, 2, "-cpu looks at no file", "", args...)
	}
}

func TestWhatCannotBeInspectedIsOneSentence(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.gguf")
	if err := os.WriteFile(broken, nano.GGUF()[:3000], 0o666); err != nil {
		t.Fatal(err)
	}
	inspect.Fails(t, 1, "broken.gguf", "", broken)
	inspect.Fails(t, 1, "missing.gguf", "", filepath.Join(dir, "missing.gguf"))
	inspect.Fails(t, 1, dir, "", dir)
	inspect.Fails(t, 2, "one file", "", "a.gguf", "b.gguf")
	inspect.Fails(t, 2, "one file", "", "-m", "a.gguf", "b.gguf")
	inspect.Fails(t, 2, "nonsense", "", "-nonsense")
}

func TestPartsUnderOtherNamesSayWhatTheyAre(t *testing.T) {
	dir := t.TempDir()
	var m gguf.Metadata
	if err := m.Set("general.architecture", "another"); err != nil {
		t.Fatal(err)
	}
	parts, err := gguf.WriteSplit(filepath.Join(dir, "m.gguf"), 2, &m, []gguf.Source{
		gguf.NewSource("a", gguf.F32, []int{8}, make([]byte, 32)), gguf.NewSource("b", gguf.F32, []int{8}, make([]byte, 32)),
	})
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.gguf")
	if err := os.Rename(parts[1], other); err != nil {
		t.Fatal(err)
	}
	inspect.Fails(t, 1, parts[1]+": part 2 of 2 is missing beside "+parts[0], "", parts[0])
	const want = "other.gguf: is part 2 of 2, expected a name that ends in -00002-of-00002.gguf: give all parts such names"
	inspect.Fails(t, 1, want, "", other)
}
