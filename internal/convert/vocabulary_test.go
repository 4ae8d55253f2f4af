package convert

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/tokenizer"
)

// tokens converts a vocabulary of so many tokens with the files beside it.
func tokens(t testing.TB, size int, files map[string]string) (*gguf.Metadata, error) {
	t.Helper()
	folder := fstest.MapFS{}
	for name, data := range files {
		folder[name] = &fstest.MapFile{Data: []byte(data)}
	}
	c := &config{shape: shape{vocabulary: size}}
	c.words = newSettings("config.json: text_config.", map[string]any{"bos_token_id": json.Number("2"), "pad_token_id": json.Number("0"),
		"eos_token_id": []any{json.Number("1"), json.Number("106")}}, &c.err)
	m := new(gguf.Metadata)
	return m, readTokens(folder, c, m)
}

// again converts the vocabulary of a GGUF file to tokenizer.json and back.
func again(t testing.TB, m *gguf.Metadata) *gguf.Metadata {
	t.Helper()
	list, err := m.Strings("tokenizer.ggml.tokens")
	if err != nil {
		t.Fatal(err)
	}
	text, err := synth.TokenizerJSON(m)
	if err != nil {
		t.Fatal(err)
	}
	back, err := tokens(t, len(list), map[string]string{vocabularyFile: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func opens(t testing.TB, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestTheVocabularyOfNanoComesBack(t *testing.T) {
	want := opens(t, testdata.Shared(t, "nano", "nano-f32.gguf")).Metadata
	got := again(t, want)
	for _, key := range want.Keys() {
		switch {
		case !strings.HasPrefix(key, "tokenizer.ggml."):
		case key == "tokenizer.ggml.token_type":
			sameTypes(t, got, want)
		default:
			a, _ := got.Value(key)
			b, _ := want.Value(key)
			x, isArray := a.(*gguf.Array)
			y, _ := b.(*gguf.Array)
			if isArray && (y == nil || x.Type() != y.Type()) || !isArray && a != b || plain(got, key) != plain(want, key) {
				t.Errorf("%s is %T %.80v, want %T %.80v", key, a, a, b, b)
			}
		}
	}
}

// The vocabulary of the real size gives the ids of the maker's own tokenizer, and under the types of published files theirs.
func TestTheRealVocabularyGivesTheSameIDs(t *testing.T) {
	if testing.Short() {
		t.Skip("514906 merges, twice")
	}
	m := opens(t, testdata.Shared(t, "golden", "tokenizer", "gemma4-vocab.gguf")).Metadata
	checkIDs(t, again(t, m), "plain.json", "special.json")

	list, errTokens := m.Strings("tokenizer.ggml.tokens")
	kinds, errKinds := m.Ints("tokenizer.ggml.token_type")
	if err := errors.Join(errTokens, errKinds); err != nil {
		t.Fatal(err)
	}
	types := make([]int32, len(list))
	for id, text := range list {
		switch types[id] = normal; {
		case kinds[id] == byteToken:
			types[id] = byteToken
		case slices.Contains(visible, text):
			types[id] = userDefined
		case slices.Contains(markup, text):
			types[id] = control
		}
	}
	published := m.Clone()
	if err := published.Set("tokenizer.ggml.token_type", types); err != nil {
		t.Fatal(err)
	}
	back := again(t, published)
	if got := plain(back, "tokenizer.ggml.token_type"); got != plain(published, "tokenizer.ggml.token_type") {
		t.Error("the types differ from those of published files")
	}
	checkIDs(t, back, "published.json")
}

// markup are the special tokens of published files, without the visible ones.
var markup = strings.Fields("<pad> <eos> <bos> <unk> <mask> <|tool> <tool|> <|think|> <|turn> <turn|> <|image> <|audio> <|image|> " +
	"<|audio|> <image|> <audio|> <|video|>")

// checkIDs compares the ids of texts.
func checkIDs(t *testing.T, m *gguf.Metadata, files ...string) {
	t.Helper()
	tok, err := tokenizer.New(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		var cases []struct {
			Text       string
			IDs, Plain []int32
		}
		data, err := os.ReadFile(testdata.Shared(t, "golden", "tokenizer", name))
		if err == nil {
			err = json.Unmarshal(data, &cases)
		}
		if err != nil || len(cases) == 0 {
			t.Fatalf("%s: %d cases, %v", name, len(cases), err)
		}
		for _, c := range cases {
			if got := tok.Encode(c.Text, true); name != "plain.json" && !slices.Equal(got, c.IDs) {
				t.Errorf("%s: %q is %d, want %d", name, c.Text, got, c.IDs)
			}
			want := c.Plain
			if name == "plain.json" {
				want = c.IDs
			}
			if got := tok.Encode(c.Text, false); !slices.Equal(got, want) {
				t.Errorf("%s: %q without markup is %d, want %d", name, c.Text, got, want)
			}
		}
	}
}

// small is a tokenizer.json of a few tokens.
const small = `{"version": "1.0", "added_tokens": [{"id": 1, "content": "<eos>", "special": true}, {"id": 2, "content": "<bos>"},
	{"id": 5, "content": "<|channel>", "special": true}, {"id": 6, "content": "<b>", "special": false}],
	"normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}, "pre_tokenizer": null,
	"model": {"type": "BPE", "byte_fallback": true, "unk_token": "<0x41>", "vocab": {"a": 0, "<eos>": 1, "<0x41>": 3, "ab": 4},
	"merges": ["a b", ["a", "b c"]]}}`

func TestTokensHaveTypesIDsAndMerges(t *testing.T) {
	m, err := tokens(t, 9, map[string]string{vocabularyFile: small,
		tokenizerFile:  `{"bos_token": {"content": "<bos>"}, "eos_token": "<eos>", "extra_special_tokens": ["x"], "chat_template": "old"}`,
		samplingFile:   `{"temperature": 0.7, "top_k": 40, "top_p": 0.9, "min_p": 0.05, "suppress_tokens": [3, -1], "do_sample": true}`,
		"unused.jinja": "?"})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"tokenizer.ggml.tokens":     "a<eos><bos><0x41>ab<|channel><b>[PAD7][PAD8]",
		"tokenizer.ggml.token_type": "1 3 3 6 1 4 4 5 5", "tokenizer.ggml.scores": "-1000",
		"tokenizer.ggml.merges": "a ba b\u0120c", "tokenizer.ggml.bos_token_id": "2", "tokenizer.ggml.eos_token_id": "1",
		"tokenizer.ggml.unknown_token_id": "3", "tokenizer.ggml.padding_token_id": "0", "tokenizer.ggml.add_bos_token": "true",
		"tokenizer.chat_template": "old", "general.sampling.temp": "0.7", "general.sampling.top_k": "40", "general.sampling.top_p": "0.9",
		"general.sampling.min_p": "0.05", "tokenizer.ggml.suppress_tokens": "3 -1", "tokenizer.ggml.model": "gemma4",
	} {
		if got := plain(m, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
}

func TestTemplatesComeFromTheirOwnFileFirst(t *testing.T) {
	const both = `{"chat_template": "config"}`
	for _, c := range []struct {
		files map[string]string
		want  string
	}{
		{map[string]string{templateFile: "own", tokenizerFile: both}, "own"},
		{map[string]string{tokenizerFile: both}, "config"},
		{map[string]string{tokenizerFile: `{"chat_template": [{"name": "x", "template": 1}, {"name": "default", "template": "b"}]}`}, "b"},
		{map[string]string{}, "<nil>"},
	} {
		files := maps.Clone(c.files)
		files[vocabularyFile] = small
		m, err := tokens(t, 9, files)
		if got := plain(m, "tokenizer.chat_template"); err != nil || got != c.want {
			t.Errorf("%v gives %q, want %q, %v", c.files, got, c.want, err)
		}
	}
}

func TestVocabulariesThatAreNotGemmasAreErrors(t *testing.T) {
	change := func(old, new string) string {
		if !strings.Contains(small, old) {
			t.Fatalf("%s is not there", old)
		}
		return strings.Replace(small, old, new, 1)
	}
	for _, c := range []struct{ text, want string }{
		{change(`"BPE"`, `"Unigram"`), `model: type is "Unigram", expected "BPE"`},
		{change(`"byte_fallback": true`, `"byte_fallback": false`), "byte_fallback is false"},
		{change(`"content": "▁"`, `"content": "_"`), "normalizer: is"},
		{change(`"pre_tokenizer": null`, `"pre_tokenizer": {"type": "Whitespace"}`), "pre_tokenizer: is"},
		{change(`"unk_token"`, `"continuing_subword_prefix": "##", "unk_token"`), `continuing_subword_prefix: is "##", expected none`},
		{change(`"a": 0`, `"a": 0, "a": 8`), "vocab: key a appears twice"},
		{change(`"a": 0`, `"a": 4`), "id 4 is that of a and ab"},
		{change(`"a": 0`, `"a": -1`), "a: -1, expected a whole number"},
		{change(`"a": 0`, `"a": 9`), "a token has the id 9, expected ids below 9"},
		{change(`"a": 0`, `"a": 1048576`), "a: id 1048576, expected one below 1048576"},
		{change(`"id": 1,`, `"id": 8,`), "added_tokens: <eos> has the id 8, another one in vocab"},
		{change(`"id": 6,`, `"id": 5,`), "added_tokens: <b> has the id 5, another one"},
		{change(`"id": 6,`, `"id": "6",`), "expected an object with content and an id"},
		{change(`"special": false`, `"lstrip": true`), "<b> has lstrip, which is not known"},
		{change(`"a b"`, `"a b c"`), `merges: 0 is ["a" "b" "c"], expected two symbols`},
		{change(`"a b"`, `"ab"`), "expected two symbols"},
		{change(`["a", "b c"]`, `["a", ""]`), "merges: 1 is"},
		{change(`["a", "b c"]`, `["a", "b", "c"]`), "merges: more than 2"},
		{change(`}}`, `}`), "breaks off"},
		{change(`"version"`, "\"\xff\""), "UTF-8"},
	} {
		_, err := tokens(t, 9, map[string]string{vocabularyFile: c.text})
		if err == nil || !strings.HasPrefix(err.Error(), "tokenizer.json: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

func TestFilesBesideTheVocabularyAreChecked(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{tokenizerFile, `{"bos_token": "<bos>", "eos_token": "<end>"}`, "eos_token is <end>, which tokenizer.json does not have"},
		{tokenizerFile, `[]`, "tokenizer_config.json: is no JSON object"},
		{samplingFile, `{"temperature": "hot"}`, `generation_config.json: temperature is "hot", expected a number`},
		{samplingFile, `{"top_k": 1.5}`, "top_k is 1.5, expected a number from 0"},
		{samplingFile, `{"suppress_tokens": [1, 2.5]}`, "suppress_tokens is 2.5"},
	} {
		_, err := tokens(t, 9, map[string]string{vocabularyFile: small, c.name: c.text})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.name, c.text, err, c.want)
		}
	}
	if _, err := tokens(t, 9, nil); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "tokenizer.json is missing") {
		t.Errorf("without a vocabulary: %v", err)
	}
}

// FuzzTokenizer checks that any tokenizer.json is an error, or a vocabulary of the size asked for.
func FuzzTokenizer(f *testing.F) {
	f.Add(small)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := tokens(t, 9, map[string]string{vocabularyFile: text})
		if err != nil {
			return
		}
		list, err := m.Strings("tokenizer.ggml.tokens")
		kinds, errKinds := m.Ints("tokenizer.ggml.token_type")
		if err != nil || errKinds != nil || len(list) != 9 || len(kinds) != 9 {
			t.Fatalf("%d tokens, %d types, %v %v", len(list), len(kinds), err, errKinds)
		}
	})
}
