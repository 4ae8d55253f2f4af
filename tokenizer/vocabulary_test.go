package tokenizer

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
)

// keyAddBOS is in most files, and not read.
const keyAddBOS = "tokenizer.ggml.add_bos_token"

// metadata makes the metadata of a small working vocabulary. A change sets a key, or deletes it where the value is nil.
func metadata(t testing.TB, changes ...any) *gguf.Metadata {
	t.Helper()
	var m gguf.Metadata
	set := func(key string, value any) {
		if value == nil {
			m.Delete(key)
			return
		}
		if err := m.Set(key, value); err != nil {
			t.Fatal(err)
		}
	}
	tokens := append([]string{"<pad>", "<eos>", "<bos>", "<unk>", "a", "b", "ab"}, bytes256()...)
	kinds := append([]int32{3, 3, 3, 2, 1, 1, 1}, slices.Repeat([]int32{6}, 256)...)
	set(keyModel, "gemma4")
	set(keyTokens, tokens)
	set(keyScores, make([]float32, len(tokens)))
	set(keyKinds, kinds)
	set(keyMerges, []string{"a b"})
	set(keyBOS, uint32(2))
	set(keyEOS, uint32(1))
	set(keyUnknown, uint32(3))
	set(keyPadding, uint32(0))
	set(keyAddBOS, true)
	for i := 0; i < len(changes); i += 2 {
		set(changes[i].(string), changes[i+1])
	}
	return &m
}

func TestNewAcceptsWhatWorks(t *testing.T) {
	for _, c := range []struct {
		name    string
		changes []any
	}{
		{"as it is", nil},
		{"other integer widths",
			[]any{keyBOS, int8(2), keyEOS, uint64(1), keyKinds, append([]uint8{3, 3, 3, 2, 1, 1, 1}, slices.Repeat([]uint8{6}, 256)...)}},
		{"no scores", []any{keyScores, nil}},
		{"no single ids", []any{keyBOS, nil, keyEOS, nil, keyUnknown, nil, keyPadding, nil}},
		{"single ids that are −1",
			[]any{keyBOS, int32(-1), keyEOS, int32(-1), keyEOT, int64(-1), keyEOM, int8(-1), keyUnknown, int16(-1), keyPadding, int32(-1)}},
		{"ollama's model",
			[]any{keyModel, "llama", keyPre, "gemma4", keyKinds, append([]int32{3, 3, 3, 3, 1, 1, 1}, slices.Repeat([]int32{1}, 256)...)}},
		{"no merges in the list", []any{keyMerges, []string{}}},
		{"a merge twice", []any{keyMerges, []string{"a b", "a b"}}},
		{"merges of what is no token", []any{keyMerges, []string{"a b", "x y", "xy z"}}},
		{"suppressed ids out of range", []any{keySuppress, []int32{-1, 5, 1 << 30}}},
		{"nothing suppressed", []any{keySuppress, []int32{}}},
		{"unknown keys", []any{keyPre, "gemma4", "tokenizer.ggml.add_space_prefix", false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok, err := New(metadata(t, c.changes...))
			if err != nil {
				t.Fatal(err)
			}
			if got := tok.Decode(tok.Encode("ab ba", true), true); got != "ab ba" {
				t.Errorf("round trip gives %q", got)
			}
		})
	}
}

func TestNewRefusesBrokenMetadata(t *testing.T) {
	tokens := func(texts ...string) []string { return append(texts, bytes256()...) }
	kinds := func(kinds ...int32) []int32 { return append(kinds, slices.Repeat([]int32{6}, 256)...) }
	for _, c := range []struct {
		name    string
		changes []any
		want    string // part of the error text
	}{
		{"no model", []any{keyModel, nil}, "tokenizer: gguf: metadata key tokenizer.ggml.model: missing"},
		{"another model", []any{keyModel, "llama"},
			`tokenizer: tokenizer.ggml.model is "llama", expected "gemma4", or "llama" with tokenizer.ggml.pre "gemma4"`},
		{"another model with Gemma's splitting", []any{keyModel, "gpt2", keyPre, "gemma4"},
			`tokenizer: tokenizer.ggml.model is "gpt2", expected "gemma4"`},
		{"a model of another splitting", []any{keyModel, "llama", keyPre, "default"},
			`tokenizer: tokenizer.ggml.model is "llama", expected "gemma4"`},
		{"a long model", []any{keyModel, strings.Repeat("x", 1000)},
			`tokenizer.ggml.model is "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", expected`},
		{"a model that is a number", []any{keyModel, int32(4)}, "tokenizer.ggml.model: type int32, expected string"},
		{"no tokens", []any{keyTokens, nil}, "tokenizer.ggml.tokens: missing"},
		{"an empty vocabulary", []any{keyTokens, []string{}, keyScores, []float32{}, keyKinds, []int32{}},
			"tokenizer.ggml.tokens is empty"},
		{"tokens that are numbers", []any{keyTokens, []int32{1, 2}}, "tokenizer.ggml.tokens: element 0: type int32, expected string"},
		{"tokens that are one text", []any{keyTokens, "abc"}, "tokenizer.ggml.tokens: type string, expected an array"},
		{"too many tokens", []any{keyTokens, make([]string, maxEntries+1)},
			"tokenizer.ggml.tokens has 1048577 entries, at most 1048576 are supported"},
		{"no kinds", []any{keyKinds, nil}, "tokenizer.ggml.token_type: missing"},
		{"kinds that are floats", []any{keyKinds, make([]float32, 263)},
			"tokenizer.ggml.token_type: element 0: type float32, expected an integer"},
		{"too few kinds", []any{keyKinds, []int32{1, 1}}, "tokenizer.ggml.token_type has 2 entries, expected 263, one for each token"},
		{"too many kinds", []any{keyKinds, make([]int32, 264)},
			"tokenizer.ggml.token_type has 264 entries, expected 263, one for each token"},
		{"one kind", []any{keyKinds, int32(1)}, "tokenizer.ggml.token_type: type int32, expected an array"},
		{"too few scores", []any{keyScores, []float32{1}}, "tokenizer.ggml.scores has 1 entries, expected 263, one for each token"},
		{"one score", []any{keyScores, float32(1)}, "tokenizer.ggml.scores has 0 entries, expected 263, one for each token"},
		{"no merges", []any{keyMerges, nil}, "tokenizer.ggml.merges: missing"},
		{"merges that are numbers", []any{keyMerges, []int32{1}}, "tokenizer.ggml.merges: element 0: type int32, expected string"},
		{"too many merges", []any{keyMerges, make([]string, maxEntries+1)},
			"tokenizer.ggml.merges has 1048577 entries, at most 1048576 are supported"},
		{"a merge without a space", []any{keyMerges, []string{"a b", "ab"}},
			`tokenizer.ggml.merges[1]: "ab", expected two symbols with one space between them`},
		{"a merge without a left side", []any{keyMerges, []string{" b"}}, `tokenizer.ggml.merges[0]: " b", expected two symbols`},
		{"a merge without a right side", []any{keyMerges, []string{"a "}}, `tokenizer.ggml.merges[0]: "a ", expected two symbols`},
		{"a merge of three", []any{keyMerges, []string{"a b c"}}, `tokenizer.ggml.merges[0]: "a b c", expected two symbols`},
		{"an empty merge", []any{keyMerges, []string{""}}, `tokenizer.ggml.merges[0]: "", expected two symbols`},
		{"a merge that is not UTF-8", []any{keyMerges, []string{"a b", "a \xff"}}, `tokenizer.ggml.merges[1]: "a \xff" is not valid UTF-8`},
		{"a token that is not UTF-8", []any{keyTokens, tokens("a", "b", "c", "d", "e", "f", "\xe2\x96")},
			`tokenizer.ggml.tokens[6]: "\xe2\x96" is not valid UTF-8`},
		{"a kind that is none", []any{keyKinds, kinds(3, 3, 3, 2, 1, 7, 1)}, "tokenizer.ggml.token_type[5]: 7, expected 1 to 6"},
		{"kind 0", []any{keyKinds, kinds(3, 3, 3, 2, 0, 1, 1)}, "tokenizer.ggml.token_type[4]: 0, expected 1 to 6"},
		{"a kind that is 1 modulo 256", []any{keyKinds, kinds(3, 3, 3, 2, 257, 1, 1)},
			"tokenizer.ggml.token_type[4]: 257, expected 1 to 6"},
		{"a byte token that is none", []any{keyKinds, kinds(3, 3, 3, 2, 1, 6, 1)},
			`tokenizer.ggml.tokens[5]: "b" is a byte token, expected <0x00> to <0xFF>`},
		{"a byte token with a wrong digit", []any{keyTokens, tokens("a", "b", "c", "d", "e", "<0xG0>", "g"), keyKinds,
			kinds(1, 1, 1, 1, 1, 6, 1)}, `tokenizer.ggml.tokens[5]: "<0xG0>" is a byte token`},
		{"a very long control token", []any{keyTokens, tokens("a", "b", strings.Repeat("x", 513), "d", "e", "f", "g")},
			"tokenizer.ggml.tokens[2]: special token of 513 bytes, at most 512 are supported"},
		{"BOS out of range", []any{keyBOS, uint32(263)},
			"tokenizer.ggml.bos_token_id is 263, expected an id below the vocabulary's size 263"},
		{"EOS negative", []any{keyEOS, int32(-2)}, "tokenizer.ggml.eos_token_id is -2, expected"},
		{"end of turn out of range", []any{keyEOT, int64(1 << 40)}, "tokenizer.ggml.eot_token_id is 1099511627776, expected"},
		{"end of message out of range", []any{keyEOM, uint32(1000)}, "tokenizer.ggml.eom_token_id is 1000, expected"},
		{"unknown out of range", []any{keyUnknown, uint32(1 << 31)}, "tokenizer.ggml.unknown_token_id is 2147483648, expected"},
		{"padding out of range", []any{keyPadding, uint32(1<<32 - 1)}, "tokenizer.ggml.padding_token_id is 4294967295, expected"},
		{"BOS a text", []any{keyBOS, "<bos>"}, "tokenizer.ggml.bos_token_id: type string, expected an integer"},
		{"BOS above int64", []any{keyBOS, uint64(1 << 63)}, "tokenizer.ggml.bos_token_id"},
		{"no BOS", []any{keyBOS, nil, keyTokens, tokens("<pad>", "<eos>", "<start>", "<unk>", "a", "b", "ab")},
			"tokenizer.ggml.bos_token_id is missing, and no token <bos> can stand for it"},
		{"suppressed texts", []any{keySuppress, []string{"a"}},
			"tokenizer.ggml.suppress_tokens: element 0: type string, expected an integer"},
		{"too many kinds to read", []any{keyKinds, make([]uint8, maxEntries+1)}, "tokenizer.ggml.token_type has 1048577 entries, at most"},
		{"too many suppressed ids", []any{keySuppress, make([]uint8, maxEntries+1)},
			"tokenizer.ggml.suppress_tokens has 1048577 entries, at most"},
		{"one suppressed id", []any{keySuppress, int32(1)}, "tokenizer.ggml.suppress_tokens: type int32, expected an array"},
		{"a missing byte", []any{keyTokens, append(tokens("<pad>", "<eos>", "<bos>", "<unk>", "a", "b", "ab")[:262], "<0xfe>")},
			"tokenizer.ggml.tokens: byte token <0xFF> is missing: text would be lost"},
		{"no bytes", []any{keyTokens, []string{"<unk>", "a", "b", "<bos>"}, keyScores, nil, keyKinds, []int32{2, 1, 1, 3}},
			"tokenizer.ggml.tokens: byte token <0x00> is missing: text would be lost"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok, err := New(metadata(t, c.changes...))
			if err == nil {
				t.Fatalf("no error, want %q", c.want)
			}
			if tok != nil {
				t.Error("a tokenizer beside the error")
			}
			if !strings.HasPrefix(err.Error(), "tokenizer: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want %q", err, c.want)
			}
			if strings.HasSuffix(c.want, ": missing") != errors.Is(err, gguf.ErrMissing) {
				t.Errorf("%q: wraps gguf.ErrMissing: %v", err, errors.Is(err, gguf.ErrMissing))
			}
		})
	}
}

func TestNewReportsTheFirstBrokenMerge(t *testing.T) {
	merges := slices.Repeat([]string{"a b"}, 1000)
	merges[100], merges[900] = "x", "y"
	for range 10 {
		if _, err := New(metadata(t, keyMerges, merges)); err == nil || !strings.Contains(err.Error(), "merges[100]") {
			t.Fatalf("%v, want merges[100]", err)
		}
	}
}

func TestNewOfEmptyMetadata(t *testing.T) {
	if _, err := New(&gguf.Metadata{}); !errors.Is(err, gguf.ErrMissing) {
		t.Errorf("%v, want one that wraps gguf.ErrMissing", err)
	}
}

func TestSpecialIsWhatMarkupIsCutAt(t *testing.T) {
	kinds := append([]int32{3, 4, 3, 2, 1, 5, 1}, slices.Repeat([]int32{6}, 256)...)
	tok, err := New(metadata(t, keyKinds, kinds))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"<pad>": true, "<eos>": true, "<unk>": true, "a": false, "b": false, "<0x41>": false,
		"<none>": false, "": false} {
		if got := tok.IsSpecial(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
