package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/internal/testdata"
)

var perplexity = command("perplexity")

const rememberMia = "Remember this. The code of Mia is 4821. What is the code of Mia?"

func TestPerplexityOfAFileAndOfStandardInputAreTheSame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(path, []byte(rememberMia), 0o666); err != nil {
		t.Fatal(err)
	}
	a, b := perplexity.Good(t, "", path), perplexity.Good(t, rememberMia)
	want := regexp.MustCompile(`^perplexity \d+\.\d{4} ± \d+\.\d{4} ` +
		`\(\d\.\d{5} ± \d\.\d{5} nats per token, \d\d tokens\), windows of 2048\n$`)
	if a != b || !want.MatchString(a) {
		t.Errorf("file: %q, standard input: %q", a, b)
	}
	var m measured
	d := json.NewDecoder(strings.NewReader(perplexity.Good(t, rememberMia, "-json")))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil ||
		!strings.HasPrefix(a, fmt.Sprintf("perplexity %.4f ± %.4f (", m.Perplexity, m.PerplexityStdErr)) ||
		m.Tokens < 10 || m.Window != 2048 || math.Abs(math.Exp(m.Nats)-m.Perplexity) > 1e-9 || m.NatsStdErr <= 0 {
		t.Errorf("-json: %v, %+v; as text %q", err, m, a)
	}
	out := perplexity.Good(t, rememberMia, "-ctx", "8", "-cache", "q8_0", "-exact", "-threads", "1")
	if !strings.HasSuffix(out, "windows of 8\n") || out == a {
		t.Errorf("with flags: %q", out)
	}
}

func TestLogitsAreThoseOfTheReference(t *testing.T) {
	golden := filepath.Join(testdata.Root(t), "model", "testdata")
	b, err := os.ReadFile(filepath.Join(golden, "micro-e.json"))
	if err != nil {
		t.Fatal(err)
	}
	var reference struct{ IDs []int32 }
	if err := json.Unmarshal(b, &reference); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(golden, "micro-e.logits.f32"))
	if err != nil {
		t.Fatal(err)
	}
	ids, _ := json.Marshal(reference.IDs)
	path := filepath.Join(t.TempDir(), "out.f32")
	list := strings.Trim(string(ids), "[]")
	out := perplexity.Good(t, "", "-m", filepath.Join(golden, "micro-e.gguf"), "-cache", "f32", "-ids", list, "-logits", path)
	if out != "" {
		t.Errorf("printed %q", out)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d bytes, want %d", len(got), len(want))
	}
	for i := 0; i < len(got); i += 4 {
		x := math.Float32frombits(binary.LittleEndian.Uint32(got[i:]))
		y := math.Float32frombits(binary.LittleEndian.Uint32(want[i:]))
		if math.IsNaN(float64(x)) || math.Abs(float64(x-y)) > 1e-3 {
			t.Fatalf("logit %d is %v, want %v", i/4, x, y)
		}
	}
}

func TestTheImportanceOfATextIsWrittenBesideItsPerplexity(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.gguf")
	out := perplexity.Good(t, rememberMia, "-imatrix", path, "-threads", "1")
	if want := perplexity.Good(t, rememberMia, "-ctx", "512"); out != want || !strings.HasSuffix(out, "windows of 512\n") {
		t.Errorf("printed %q, without -imatrix %q", out, want)
	}
	shown := inspect.Good(t, "", path)
	has(t, shown, `general\.type string "imatrix"`, `imatrix\.datasets \[1\]string "standard input"`, `imatrix\.chunk_count uint32 1`,
		`imatrix\.chunk_size uint32 512`, `blk\.0\.attn_q\.weight\.in_sum2 F32 256 1 1\.0 kB`, `blk\.0\.attn_q\.weight\.counts F32 1 1 4 B`)
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("left over: %v, %v", files, err)
	}
}

func TestAnErrorLeavesNoHalfFileAndKeepsTheOldOne(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.f32")
	if err := os.WriteFile(path, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := writeFile(path, func(w *bufio.Writer) error {
		_, err := io.WriteString(w, strings.Repeat("new", 10000))
		return errors.Join(err, broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "old" {
		t.Errorf("the old file is %q, %v", b, err)
	}
	if err := writeFile(path, func(w *bufio.Writer) error { _, err := w.WriteString("new"); return err }); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "new" {
		t.Errorf("the new file is %q, %v", b, err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("left over: %v, %v", files, err)
	}
}

func TestADeviceIsWrittenToAndNotReplaced(t *testing.T) {
	if err := writeFile(os.DevNull, func(w *bufio.Writer) error { _, err := w.WriteString("x"); return err }); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Errorf("%s is a file now: %v", os.DevNull, err)
	}
}

func TestWhatCannotBeMeasuredIsOneSentence(t *testing.T) {
	dir := t.TempDir()
	out, text := filepath.Join(dir, "out.f32"), filepath.Join(t.TempDir(), "text.part")
	if err := os.WriteFile(text, []byte("precious"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		status int
		want   string
		args   []string
	}{
		{1, "no token", nil},
		{1, "missing.txt", []string{filepath.Join(dir, "missing.txt")}},
		{1, dir, []string{dir}},
		{1, "missing.gguf", []string{"-m", filepath.Join(dir, "missing.gguf")}},
		{1, "outside the vocabulary of 2048", []string{"-ids", "2,5000", "-logits", out}},
		{1, `token 1 is "x"`, []string{"-ids", "2,x", "-logits", out}},
		{1, "no ids", []string{"-ids", ",", "-logits", out}},
		{1, "context holds 2", []string{"-ctx", "2", "-ids", "2,3,4", "-logits", out}},
		{1, "nowhere", []string{"-ids", "2", "-logits", filepath.Join(dir, "nowhere", "out.f32")}},
		{1, dir, []string{"-ids", "2", "-logits", dir}},
		{1, "nowhere", []string{"-imatrix", filepath.Join(dir, "nowhere", "out.gguf")}},
		{1, "not a regular file", []string{"-imatrix", dir}},
		{1, "is read: the file", []string{"-imatrix", text, text}},
		{1, "is read: the file", []string{"-m", text, "-imatrix", text}},
		{1, "is read: the file", []string{"-m", text, "-imatrix", strings.TrimSuffix(text, ".part")}},
		{1, "is read: the file", []string{"-m", text, "-ids", "2", "-logits", text}},
		{2, "not with -ids", []string{"-ids", "2", "-logits", out, "-imatrix", out}},
		{2, "go together", []string{"-ids", "2"}},
		{2, "go together", []string{"-logits", out}},
		{2, "place of the file", []string{"-ids", "2", "-logits", out, "text.txt"}},
		{2, "-json is for", []string{"-json", "-ids", "2", "-logits", out}},
		{2, "one file", []string{"a", "b"}},
	} {
		perplexity.Fails(t, test.status, test.want, "", test.args...)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("left over: %v, %v", files, err)
	}
}
