package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/examples/internal/clitest"
	"github.com/gogemma/gemma4/nano"
)

var generate clitest.Run = run

func TestAnswersOfTheEmbeddedModel(t *testing.T) {
	for _, test := range []struct {
		flags, prompt, want string
	}{
		{"", "What is the capital of France?", "The capital of France is Paris.\n"},
		{"-exact -threads 1", "What is 9 + 9?", "9 + 9 = 18\n"},
		{"-cache q8_0 -ctx 128", "What is 12 + 7?", "12 + 7 = 19\n"},
		{"-cache f32 -threads 2", "What is the opposite of 'wet'?", "The opposite of 'wet' is 'dry'.\n"},
		{"-n 3", "What is the capital of France?", "The capital of\n"},
		{"-think", "How much is 6 + 7?", "6 + 7 = 13\n"}, // the thought is for terminals
		{"-raw", "<|turn>user\nWhat is 2 + 3?<turn|>\n<|turn>model\n<|channel>thought\n<channel|>", "2 + 3 = 5\n"},
	} {
		flags := append(strings.Fields("-temp 0 "+test.flags), test.prompt)
		if got := generate.Good(t, "", flags...); got != test.want {
			t.Errorf("%q: %q, want %q", flags, got, test.want)
		}
	}
	if got := generate.Good(t, "", "-temp", "0", "-system", "Be brief.", "What is your name?"); got != "My name is Nano.\n" {
		t.Errorf("with a system turn: %q", got)
	}
}

func TestThePromptComesFromArgumentsOrStandardInput(t *testing.T) {
	if got := generate.Good(t, "What is 2 + 3?", "-temp", "0", "What", "is", "20 - 8?"); got != "20 - 8 = 12\n" {
		t.Errorf("arguments: %q", got)
	}
	if got := generate.Good(t, "What is 2 + 3?\n", "-temp", "0"); got != "2 + 3 = 5\n" {
		t.Errorf("standard input: %q", got)
	}
}

func TestASeedMakesAnAnswerRepeatable(t *testing.T) {
	sample := func(seed string) string {
		return generate.Good(t, "", "-temp", "4", "-top-k", "0", "-top-p", "1", "-n", "8", "-seed", seed, "Tell me a story.")
	}
	first := sample("1")
	if again := sample("1"); again != first {
		t.Errorf("one seed, two answers: %q, %q", first, again)
	}
	if other := sample("2"); other == first {
		t.Errorf("two seeds, one answer: %q", other)
	}
}

func TestSpeedAndSeedGoToStandardError(t *testing.T) {
	o := generate.Call("", "-temp", "0", "-seed", "9", "What is 2 + 3?")
	want := regexp.MustCompile(`^prompt \d+ tokens, \d+\.\d tokens/s; answer \d+ tokens, \d+\.\d tokens/s; seed 9; ended by: end of turn\n$`)
	if !want.MatchString(o.Errors) {
		t.Errorf("got %q", o.Errors)
	}
}

func TestWhatCannotBeGeneratedIsOneSentence(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.gguf")
	if err := os.WriteFile(broken, nano.GGUF()[:100000], 0o666); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(dir, "text.gguf")
	if err := os.WriteFile(text, []byte("This is no model, but a text."), 0o666); err != nil {
		t.Fatal(err)
	}
	const prompt = "What is 2 + 3?"
	for _, test := range []struct {
		status int
		want   string
		stdin  string
		args   []string
	}{
		{1, "prompt is empty", "", nil},
		{1, "prompt is empty", " \n", nil},
		{1, "prompt is empty", "", []string{""}},
		{1, "broken.gguf", "", []string{"-m", broken, prompt}},
		{1, "text.gguf", "", []string{"-m", text, prompt}},
		{1, "missing.gguf", "", []string{"-m", filepath.Join(dir, "missing.gguf"), prompt}},
		{1, dir, "", []string{"-m", dir, prompt}},
		{1, "context of 1000000", "", []string{"-ctx", "1000000", prompt}},
		{1, "context holds 4", "", []string{"-ctx", "4", prompt}},
		{1, "UTF-8", "", []string{"What is \xff?"}},
		{2, "-raw", "", []string{"-raw", "-think", prompt}},
		{2, "-raw", "", []string{"-raw", "-system", "x", prompt}},
		{2, "nonsense", "", []string{"-nonsense", prompt}},
	} {
		generate.Fails(t, test.status, test.want, test.stdin, test.args...)
	}
}

func TestAnUnknownKernelLevelIsAnError(t *testing.T) {
	t.Setenv("GEMMA4_CPU", "nonsense")
	generate.Fails(t, 1, `GEMMA4_CPU is "nonsense"`, "", "What is 2 + 3?")
}

func TestAFullDiskIsAnError(t *testing.T) {
	var errors bytes.Buffer
	status := run([]string{"-temp", "0", "What is 2 + 3?"}, strings.NewReader(""), clitest.Full{}, &errors)
	if status != 1 || !strings.HasSuffix(errors.String(), "generate: short write\n") {
		t.Errorf("status %d, %q", status, errors.String())
	}
}
