package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/nano"
)

var quantizeModel = command("quantize")

// smallModel writes a model of random weights, or of what goes beside one.
func smallModel(t *testing.T, spec string) string {
	t.Helper()
	s, err := synth.ParseShape(spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), strings.ReplaceAll(spec, ":", "-")+".gguf")
	if err := os.WriteFile(path, synth.Bytes(s), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAModelIsQuantisedWithASummary(t *testing.T) {
	in, dir := smallModel(t, "micro-e"), t.TempDir()
	out := filepath.Join(dir, "out.gguf")
	shown := quantizeModel.Good(t, "", in, out, "q8_0")
	has(t, shown, `format tensors parameters bytes bits per weight`, `Q8_0 \d+ \d+ .* 8\.50`, `F32 \d+ \d+ .* 32\.00`,
		`Q8_0: .* of .* in \d+\.\d s, read at \d+ MB/s and written at \d+ MB/s.*`)
	has(t, inspect.Good(t, "", out), `general\.file_type uint32 7`, `blk\.0\.attn_q\.weight Q8_0 .*`)
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("left over: %v, %v", files, err)
	}

	quantizeModel.Fails(t, 1, "is kept unless -f is given", "", in, out, "Q4_0")
	var s summary
	d := json.NewDecoder(strings.NewReader(quantizeModel.Good(t, "", "-f", "-json", "-bench", "-threads", "1", in, out, "Q4_0")))
	d.DisallowUnknownFields()
	info, _ := os.Stat(out)
	if err := d.Decode(&s); err != nil || s.Type != "Q4_0" || s.Out != info.Size() || s.In <= s.Out || s.Bench == nil ||
		s.Bench.WriteMBps <= 0 || s.Bench.MultiplyAdds <= 0 || len(s.Formats) < 2 {
		t.Errorf("-json: %+v, %v", s, err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("left over by -bench: %v, %v", files, err)
	}
}

func TestAQuantisedModelAnswers(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "nano.gguf")
	if err := os.WriteFile(in, nano.GGUF(), 0o666); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(dir, "text.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat(rememberMia+" The capital of France is Paris. ", 8)), 0o666); err != nil {
		t.Fatal(err)
	}
	matrix, out := filepath.Join(dir, "matrix.gguf"), filepath.Join(dir, "out.gguf")
	perplexity.Good(t, "", "-m", in, "-imatrix", matrix, text)
	o := quantizeModel.Call("", "-imatrix", matrix, in, out, "Q8_0")
	if o.Status != 0 || !strings.Contains(o.Errors, "matrices were quantised before") || strings.Count(o.Errors, "\n") != 1 {
		t.Errorf("%+v", o)
	}
	has(t, inspect.Good(t, "", out), `quantize\.imatrix\.file string "matrix\.gguf"`, `quantize\.imatrix\.dataset string "text\.txt"`)
	if got := run.Good(t, "", "-m", out, "-temp", "0", "What is the capital of France?"); !strings.Contains(got, "Paris") {
		t.Errorf("it answers %q", got)
	}
}

func TestAModelIsQuantisedByItsName(t *testing.T) {
	serveModels(t)
	out := filepath.Join(t.TempDir(), "out.gguf")
	quantizeModel.Fails(t, 1, "gemma4 pull e2b fetches it", "", "e2b", out, "Q8_0")
	command("pull").Good(t, "", "e2b")
	if o := quantizeModel.Call("", "e2b", out, "Q8_0"); o.Status != 0 {
		t.Fatalf("%+v", o)
	}
	has(t, inspect.Good(t, "", out), `general\.file_type uint32 7`)
}

func TestWhatCannotBeQuantisedIsOneSentence(t *testing.T) {
	in, dir := smallModel(t, "micro-e"), t.TempDir()
	out := filepath.Join(dir, "out.gguf")
	for _, test := range []struct {
		status int
		want   string
		args   []string
	}{
		{2, "expected a model, the file to be written and a type", nil},
		{2, "expected a model, the file to be written and a type", []string{in, out}},
		{2, `unknown type "Q4_K_XL", expected one of F32, BF16, F16, Q8_0`, []string{in, out, "Q4_K_XL"}},
		{2, "expected text or projector", []string{"-part", "head", in, out, "Q8_0"}},
		{2, "expected a file", []string{"-imatrix", "", in, out, "Q8_0"}},
		{2, "expected a file", []string{"-lora", "", in, out, "Q8_0"}},
		{1, "missing.gguf", []string{filepath.Join(dir, "missing.gguf"), out, "Q8_0"}},
		{1, "is read for it", []string{"-f", in, in, "Q8_0"}},
		{1, "missing", []string{"-imatrix", filepath.Join(dir, "missing"), in, out, "Q8_0"}},
		{1, "missing", []string{"-lora", filepath.Join(dir, "missing") + ":0.5", in, out, "Q8_0"}},
		{1, "projector", []string{"-part", "projector", in, out, "Q8_0"}},
	} {
		quantizeModel.Fails(t, test.status, test.want, "", test.args...)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("left over: %v, %v", files, err)
	}
}

func TestAnAdaptersStrengthStandsBehindAColon(t *testing.T) {
	for text, want := range map[string]struct {
		path  string
		scale float32
	}{
		"a.gguf": {"a.gguf", 1}, "a.gguf:0.5": {"a.gguf", 0.5}, "a.gguf:-2": {"a.gguf", -2}, `C:\a.gguf`: {`C:\a.gguf`, 1},
		`C:\a.gguf:0.25`: {`C:\a.gguf`, 0.25}, "a:b.gguf": {"a:b.gguf", 1},
	} {
		if a, err := parseAdapter(text); err != nil || a.Path != want.path || a.Scale != want.scale {
			t.Errorf("%s is %+v, %v", text, a, err)
		}
	}
}
