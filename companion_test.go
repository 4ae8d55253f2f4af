package gemma4_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/nano"
)

// companions are files that go with the embedded model, and with no other.
func companions(t *testing.T) (projector, drafter []byte) {
	t.Helper()
	m, tensors := testdata.Unified(t, 256)
	projector = testdata.Bytes(t, m, tensors)
	m, tensors = testdata.Drafter(t, 256, 2048, 128, 64)
	return projector, testdata.Bytes(t, m, tensors)
}

// folder returns a folder with these files.
func folder(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// told returns what Info says of companions: kind, file without folder, what it is or why it was left.
func told(m *gemma4.Model) (list []string) {
	for _, c := range m.Info().Companions {
		what := c.About
		if c.Left != nil {
			what = "left: " + c.Left.Error()
		}
		list = append(list, c.Kind+" "+filepath.Base(c.File)+" "+what)
	}
	return list
}

func TestCompanionsComeFromPathsBytesAndReaders(t *testing.T) {
	projector, drafter := companions(t)
	dir := folder(t, map[string][]byte{"eyes.gguf": projector, "quick.gguf": drafter})
	for name, l := range map[string]gemma4.Loader{
		"path": {Projector: gemma4.Companion{Path: filepath.Join(dir, "eyes.gguf")},
			Drafter: gemma4.Companion{Path: filepath.Join(dir, "quick.gguf")}},
		"bytes":  {Projector: gemma4.Companion{Bytes: projector}, Drafter: gemma4.Companion{Bytes: drafter}},
		"reader": {Projector: reader(projector), Drafter: reader(drafter), Alone: true},
	} {
		m := openNano(t, l)
		info := m.Info().Companions
		if len(info) != 2 || info[0].Kind != "projector" || info[0].About != "images (gemma4uv), sounds (gemma4ua)" ||
			info[0].Name != "eyes and ears" ||
			info[0].Bytes != int64(len(projector)) || info[0].Left != nil ||
			info[1].Kind != "drafter" || info[1].About != "4 layers of width 32" || info[1].Bytes != int64(len(drafter)) ||
			info[1].Left != nil {
			t.Errorf("%s: %+v", name, info)
		}
		if want := map[string]string{"path": "eyes.gguf", "bytes": "bytes", "reader": "reader"}[name]; len(info) > 0 &&
			filepath.Base(info[0].File) != want {
			t.Errorf("%s: the file is %s", name, info[0].File)
		}
		if got := generate(t, newSession(t, m, gemma4.SessionOptions{}), prompt(m, question),
			gemma4.GenerateOptions{}); got != "The capital of France is Paris." {
			t.Errorf("%s: %q", name, got)
		}
		if err := errors.Join(m.Close(), m.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func reader(data []byte) gemma4.Companion {
	return gemma4.Companion{Reader: bytes.NewReader(data), Size: int64(len(data))}
}

func TestAGivenCompanionThatDoesNotFitIsAnError(t *testing.T) {
	projector, drafter := companions(t)
	m, tensors := testdata.Unified(t, 255)
	narrow := testdata.Bytes(t, m, tensors)
	dir := folder(t, map[string][]byte{"narrow.gguf": narrow, "torn.gguf": projector[:100]})
	path := func(name string) gemma4.Companion { return gemma4.Companion{Path: filepath.Join(dir, name)} }
	for _, test := range []struct {
		name string
		l    gemma4.Loader
		want []string
	}{
		{"path", gemma4.Loader{Projector: path("narrow.gguf")},
			[]string{"projector " + filepath.Join(dir, "narrow.gguf"), "mm.input_projection.weight", "256"}},
		{"bytes", gemma4.Loader{Projector: gemma4.Companion{Bytes: narrow}}, []string{"projector bytes", "mm.input_projection.weight"}},
		{"reader", gemma4.Loader{Projector: reader(narrow)}, []string{"projector reader", "mm.input_projection.weight"}},
		{"the wrong place", gemma4.Loader{Projector: reader(drafter), Drafter: reader(projector)},
			[]string{"projector", `"gemma4-assistant"`}},
		{"the second", gemma4.Loader{Projector: reader(projector), Drafter: reader(projector)},
			[]string{"drafter reader", "general.architecture", `"clip"`}},
		{"torn", gemma4.Loader{Drafter: path("torn.gguf")}, []string{"drafter", "torn.gguf"}},
		{"empty", gemma4.Loader{Drafter: gemma4.Companion{Bytes: []byte{}}}, []string{"drafter", "bytes"}},
		{"twice", gemma4.Loader{Drafter: gemma4.Companion{Path: "x.gguf", Bytes: drafter}}, []string{"drafter", "more than one of"}},
		{"missing", gemma4.Loader{Drafter: path("missing.gguf")}, []string{"drafter", "missing.gguf"}},
	} {
		m, err := test.l.OpenBytes(nano.GGUF())
		if err == nil {
			m.Close()
			t.Errorf("%s: no error", test.name)
			continue
		}
		for _, want := range append(test.want, "gemma4: the ") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, expected %s in it", test.name, err, want)
			}
		}
		if test.name == "missing" && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v", err)
		}
	}
}

// TestOneCompanionBesideTheModelIsTaken: the one that fits, whatever else has such a name.
func TestOneCompanionBesideTheModelIsTaken(t *testing.T) {
	projector, drafter := companions(t)
	metadata, tensors := testdata.Unified(t, 1536)
	other := testdata.Bytes(t, metadata, tensors)
	const images, layers = "images (gemma4uv), sounds (gemma4ua)", "4 layers of width 32"
	const several = "left: several beside the model fit it: Loader has a field that names one"
	for _, test := range []struct {
		name  string
		files map[string][]byte
		l     gemma4.Loader
		want  []string
	}{
		{"none", map[string][]byte{"eyes.gguf": projector, "mmproj.txt": projector}, gemma4.Loader{}, nil},
		{"both", map[string][]byte{"mmproj-x.gguf": projector, "x-assistant-q8_0.gguf": drafter}, gemma4.Loader{},
			[]string{"projector mmproj-x.gguf " + images, "drafter x-assistant-q8_0.gguf " + layers}},
		{"other spellings", map[string][]byte{"Gemma-4-MMPROJ-F16.GGUF": projector, "mtp-gemma-4.gguf": drafter}, gemma4.Loader{},
			[]string{"projector Gemma-4-MMPROJ-F16.GGUF " + images, "drafter mtp-gemma-4.gguf " + layers}},
		{"one of another model", map[string][]byte{"mmproj-a.gguf": other, "mmproj-b.gguf": projector}, gemma4.Loader{},
			[]string{"projector mmproj-a.gguf left: model: mm.input_projection.weight is [8 1536], expected 256 rows, the model's " +
				"gemma4.embedding_length",
				"projector mmproj-b.gguf " + images}},
		{"two that fit", map[string][]byte{"mmproj-a.gguf": projector, "mmproj-b.gguf": projector, "mmproj-c.gguf": other[:50]},
			gemma4.Loader{},
			[]string{"projector mmproj-a.gguf " + several, "projector mmproj-b.gguf " + several, "projector mmproj-c.gguf left: gguf"}},
		{"no drafter", map[string][]byte{"assistant.gguf": projector}, gemma4.Loader{},
			[]string{`drafter assistant.gguf left: model: general.architecture is "clip", expected "gemma4-assistant"`}},
		{"alone", map[string][]byte{"mmproj-x.gguf": projector}, gemma4.Loader{Alone: true}, nil},
		{"given", map[string][]byte{"mmproj-x.gguf": other, "mtp-x.gguf": drafter}, gemma4.Loader{Projector: reader(projector)},
			[]string{"projector reader " + images, "drafter mtp-x.gguf " + layers}},
		{"given alone", map[string][]byte{"mmproj-x.gguf": other, "mtp-x.gguf": drafter},
			gemma4.Loader{Projector: reader(projector), Alone: true},
			[]string{"projector reader " + images}},
	} {
		test.files["my-assistant.gguf"] = nano.GGUF() // the model's own name does not make it a companion
		dir := folder(t, test.files)
		if err := os.Mkdir(filepath.Join(dir, "mmproj-folder.gguf"), 0o700); err != nil {
			t.Fatal(err)
		}
		m, err := test.l.Open(filepath.Join(dir, "my-assistant.gguf"))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		got := told(m)
		if !slices.EqualFunc(got, test.want, strings.HasPrefix) {
			t.Errorf("%s: %q, expected %q", test.name, got, test.want)
		}
		if err := m.Close(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestSplitModelsAndCompanionsAreOneEach, however many parts lie in the folder.
func TestSplitModelsAndCompanionsAreOneEach(t *testing.T) {
	f, err := gguf.OpenBytes(nano.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := t.TempDir()
	parts, err := gguf.WriteSplit(filepath.Join(dir, "nano-assistant.gguf"), 3, f.Metadata, testdata.Sources(t, f))
	if err != nil {
		t.Fatal(err)
	}
	metadata, projection := testdata.Unified(t, 256)
	if _, err := gguf.WriteSplit(filepath.Join(dir, "mmproj-nano.gguf"), 2, metadata, projection); err != nil {
		t.Fatal(err)
	}
	want := []string{"projector mmproj-nano-00001-of-00002.gguf images (gemma4uv), sounds (gemma4ua)"}
	for _, paths := range [][]string{parts[1:2], parts} {
		m, err := gemma4.Open(paths...)
		if err != nil {
			t.Fatal(err)
		}
		if got := told(m); !slices.Equal(got, want) {
			t.Errorf("%d paths: %q", len(paths), got)
		}
		m.Close()
	}
	m, err := gemma4.Loader{Projector: gemma4.Companion{Path: filepath.Join(dir, "mmproj-nano-00002-of-00002.gguf")}}.OpenBytes(nano.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	if got := told(m); len(got) != 1 || m.Info().Companions[0].Left != nil {
		t.Errorf("by its second part: %q", got)
	}
	m.Close()
}

// TestASmallModelDraftsForOneWithItsTokens, and is only taken where it is given.
func TestASmallModelDraftsForOneWithItsTokens(t *testing.T) {
	other := func(change func(m *gguf.Metadata, tokens []string)) []byte {
		f, err := gguf.OpenBytes(nano.GGUF())
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		m := f.Metadata.Clone()
		tokens, err := m.Strings("tokenizer.ggml.tokens")
		if err != nil {
			t.Fatal(err)
		}
		change(m, tokens)
		return testdata.Bytes(t, m, testdata.Sources(t, f))
	}
	set := func(m *gguf.Metadata, tokens []string) {
		if err := m.Set("tokenizer.ggml.tokens", tokens); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name    string
		drafter []byte
		want    string // what it is, or of the error
	}{
		{"itself", nano.GGUF(), "drafter bytes a model of 8 layers of width 256"},
		{"another token", other(func(m *gguf.Metadata, tokens []string) {
			tokens[1234] = "other"
			set(m, tokens)
		}), `tokenizer.ggml.tokens[1234] is "other", expected "`},
		{"fewer tokens", other(func(m *gguf.Metadata, tokens []string) { set(m, tokens[:2000]) }),
			"tokenizer.ggml.tokens has 2000 tokens, expected 2048"},
		{"no tokens", other(func(m *gguf.Metadata, _ []string) { m.Delete("tokenizer.ggml.tokens") }), "tokenizer.ggml.tokens"},
	} {
		m, err := gemma4.Loader{Drafter: gemma4.Companion{Bytes: test.drafter}}.OpenBytes(nano.GGUF())
		if err != nil {
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v, expected %s", test.name, err, test.want)
			}
			continue
		}
		if got := told(m); !slices.Equal(got, []string{test.want}) {
			t.Errorf("%s: %q, expected %s", test.name, got, test.want)
		}
		if got := generate(t, newSession(t, m, gemma4.SessionOptions{}), prompt(m, question),
			gemma4.GenerateOptions{}); got != "The capital of France is Paris." {
			t.Errorf("%s: %q", test.name, got)
		}
		m.Close()
	}
	dir := folder(t, map[string][]byte{"model.gguf": nano.GGUF(), "mtp-x.gguf": nano.GGUF()})
	m, err := gemma4.Open(filepath.Join(dir, "model.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	const want = `drafter mtp-x.gguf left: model: general.architecture is "gemma4", expected "gemma4-assistant"`
	if got := told(m); len(got) != 1 || got[0] != want {
		t.Errorf("found by name: %q, expected %s", got, want)
	}
}

func TestSharedCompanionsOfNano(t *testing.T) {
	shared := testdata.Shared(t, "nano")
	m, err := gemma4.Loader{
		Projector: gemma4.Companion{Path: filepath.Join(shared, "nano-mmproj-q8_0.gguf")},
		Drafter:   gemma4.Companion{Path: filepath.Join(shared, "nano-draft-q8_0.gguf")},
	}.Open(filepath.Join(shared, "nano-q8_0.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if got := told(m); len(got) != 2 || got[1] != "drafter nano-draft-q8_0.gguf 4 layers of width 64" {
		t.Errorf("%q", got)
	}
}
