package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/internal/testdata"
)

var tokenize = command("tokenize")

func TestTextIsShownAsIDsAndPieces(t *testing.T) {
	out := tokenize.Good(t, "", "-bos", "-special", "<|turn>user\nWhat is 42?")
	ids := ""
	pieces := ""
	for line := range strings.Lines(out) {
		var piece string
		id, quoted, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if err := json.Unmarshal([]byte(quoted), &piece); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		ids += id + " "
		pieces += piece
	}
	if pieces != "<bos><|turn>user\nWhat▁is▁42?" || !strings.HasPrefix(ids, "2 105 ") {
		t.Errorf("ids %s, pieces %q", ids, pieces)
	}
}

func TestMarkupIsTextUnlessItIsAskedFor(t *testing.T) {
	if out := tokenize.Good(t, "", "-json", "-special", "<|turn>"); out != "[105]\n" {
		t.Errorf("-special: %s", out)
	}
	if out := tokenize.Good(t, "", "-json", "<|turn>"); strings.Contains(out, "105") {
		t.Errorf("plain: %s", out)
	}
}

func TestStandardInputIsTakenAsItIsAndComesBack(t *testing.T) {
	for _, text := range []string{"", "Hello", "Hello world\n", "  two  spaces \n\n\n", "tabs\t\t\r\n", "größer 日本 🙂", "a\x00b",
		strings.Repeat("ab ", 5000)} {
		ids := tokenize.Good(t, text, "-json")
		if !json.Valid([]byte(ids)) || text == "" && ids != "[]\n" {
			t.Errorf("%.40q: no JSON array: %.80s", text, ids)
		}
		if back := tokenize.Good(t, ids, "-d"); back != text {
			t.Errorf("%.40q became %.80q", text, back)
		}
	}
}

func TestArgumentsAreOneTextOrAListOfIDs(t *testing.T) {
	if a, b := tokenize.Good(t, "ignored", "-json", "Hello world"), tokenize.Good(t, "", "-json", "Hello", "world"); a != b {
		t.Errorf("%q and %q differ", a, b)
	}
	for _, args := range []string{"105,106", "105 106", "[105,106]"} {
		if out := tokenize.Good(t, "", append([]string{"-d", "-special"}, strings.Fields(args)...)...); out != "<|turn><turn|>" {
			t.Errorf("%s: %q", args, out)
		}
	}
	if out := tokenize.Good(t, "", "-d", "105,106"); out != "" {
		t.Errorf("control tokens without -special: %q", out)
	}
}

func TestAnyFileWithAVocabularyServes(t *testing.T) {
	path := testdata.Shared(t, "golden", "tokenizer", "gemma4-vocab.gguf")
	if out := tokenize.Good(t, "", "-m", path, "-json", "-bos", "Hello world"); out != "[2,9259,1902]\n" {
		t.Errorf("got %s", out)
	}
	tokenize.Fails(t, 1, "tokenizer.ggml", "", "-m", testdata.Shared(t, "golden", "mm", "mmproj-u.gguf"), "text")
}

func TestWhatCannotBeTokenizedIsOneSentence(t *testing.T) {
	tokenize.Fails(t, 1, "outside the vocabulary of 2048", "", "-d", "5,2048")
	tokenize.Fails(t, 1, `token 1 is "x"`, "5 x", "-d")
	tokenize.Fails(t, 1, "missing.gguf", "", "-m", filepath.Join(t.TempDir(), "missing.gguf"), "text")
	tokenize.Fails(t, 2, "-d makes text", "", "-d", "-json", "5")
	tokenize.Fails(t, 2, "nonsense", "", "-nonsense")
}
