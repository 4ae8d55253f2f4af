package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/cmd/gemma4/internal/clitest"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/nano"
)

var run = command("run")

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
		{"-think -thoughts", "What is the capital of Peru?", "[thought] I know this one.\nThe capital of Peru is Lima.\n"},
		{"-raw", "<|turn>user\nWhat is 2 + 3?<turn|>\n<|turn>model\n<|channel>thought\n<channel|>", "2 + 3 = 5\n"},
	} {
		flags := append(strings.Fields("-temp 0 "+test.flags), test.prompt)
		if got := run.Good(t, "", flags...); got != test.want {
			t.Errorf("%q: %q, want %q", flags, got, test.want)
		}
	}
	if got := run.Good(t, "", "-temp", "0", "-system", "Be brief.", "What is your name?"); got != "My name is Nano.\n" {
		t.Errorf("with a system turn: %q", got)
	}
}

func TestThePromptComesFromArgumentsAndStandardInput(t *testing.T) {
	const notes = "Remember this. The code of Mia is 4821. The code of Leo is 7730. The code of Ada is 1956."
	for _, test := range []struct{ stdin, args, want string }{
		{"", "What is 20 - 8?", "20 - 8 = 12\n"},
		{"\n", "What is 20 - 8?", "20 - 8 = 12\n"},
		{notes + "\n", "What is the code of Leo?", "The code of Leo is 7730.\n"},
		{"What is 2 + 3?\n", "-", "2 + 3 = 5\n"},
		{"Remember this. The code of Mia is 4821.\nThe code of Leo is 7730.\nWhat is the code of Mia?", "-", "The code of Mia is 4821.\n"},
	} {
		if got := run.Good(t, test.stdin, append([]string{"-temp", "0"}, strings.Fields(test.args)...)...); got != test.want {
			t.Errorf("%q behind %q: %q, want %q", test.args, test.stdin, got, test.want)
		}
	}
	const turn = "<|turn>user\nWhat is 2 + 3?<turn|>\n<|turn>model\n<|channel>thought\n<channel|>"
	if got := run.Good(t, turn, "-temp", "0", "-raw"); got != "2 + 3 = 5\n" {
		t.Errorf("-raw from standard input: %q", got)
	}
}

func TestANameInThePlaceOfThePromptIsNotAnsweredByTheEmbeddedModel(t *testing.T) {
	t.Setenv("GEMMA4_HOME", t.TempDir())
	for _, name := range []string{"e2b", "E2B", "12b:Q8_0", "ollama:gemma4", "org/gemma-GGUF", "org/gemma-GGUF:Q8_0", "gemma.gguf"} {
		want := name + " is the name of a model: gemma4 run -m " + name + " runs it"
		run.Fails(t, 2, want, "", name)
		run.Fails(t, 2, want, "", name, "What is 2 + 3?")
	}
	for _, prompt := range []string{"e2b is small", "yes/no", "12", "what is .gguf"} {
		if o := run.Call("", "-n", "1", prompt); o.Status != 0 {
			t.Errorf("%q is no prompt: %+v", prompt, o)
		}
	}
}

func TestATemplateAndItsVariablesCanBeGiven(t *testing.T) {
	paths := files(t, map[string]string{
		"template.jinja": "{{ bos_token }}<|turn>user\n{{ question or messages[0].content }}<turn|>\n<|turn>model{{ '\\n' }}",
	})
	for flags, want := range map[string]string{
		"":                                       "2 + 3 = 5\n",
		`-var question="What-is-20-minus-8?"`:    "",
		`-var question="What\u0020is\u00209+9?"`: "",
		`-var question=false -var other=[1]`:     "2 + 3 = 5\n",
	} {
		got := run.Good(t, "", append(words("-temp 0 -template template.jinja "+flags, paths), "What is 2 + 3?")...)
		if want != "" && got != want || want == "" && got == "2 + 3 = 5\n" {
			t.Errorf("%s: %q", flags, got)
		}
	}
	run.Fails(t, 1, "bad.jinja: ", "", "-template", made(t, "bad.jinja", "{% if %}"), "Hello")
	run.Fails(t, 1, "does not mention messages", "", "-template", made(t, "notes.txt", "buy milk"), "Hello")
	for _, name := range []string{"-m", "-session", "-tools", "-template"} {
		run.Fails(t, 2, "expected a file", "", name, "", "Hello")
	}
	run.Fails(t, 1, "missing.jinja", "", "-template", filepath.Join(t.TempDir(), "missing.jinja"), "Hello")
	run.Fails(t, 2, "NAME=JSON", "", "-var", "question=What", "Hello")
	run.Fails(t, 2, "NAME=JSON", "", "-var", "question", "Hello")
	run.Fails(t, 2, "-raw", "", "-raw", "-template", paths["template.jinja"], "Hello")

	f, err := gguf.OpenBytes(nano.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Metadata.Set("tokenizer.chat_template", "{% nonsense"); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken.gguf")
	if err := gguf.WriteFile(broken, f.Metadata, testdata.Sources(t, f)); err != nil {
		t.Fatal(err)
	}
	run.Fails(t, 1, "-template FILE gives another", "", "-m", broken, "Hello")
	if got := run.Good(t, "", "-temp", "0", "-m", broken, "-template", paths["template.jinja"], "What is 2 + 3?"); got != "2 + 3 = 5\n" {
		t.Errorf("with another template: %q", got)
	}
	if got := run.Good(t, "", "-temp", "0", "-m", broken, "-raw", "-n", "1", "What"); got == "" {
		t.Error("without a template: nothing")
	}
}

func TestFilesThatAreNotUnderstoodOpenAtTheUsersRisk(t *testing.T) {
	file := testdata.Shared(t, "cases", "bias-ignored.gguf")
	run.Fails(t, 1, "blk.0.attn_q.bias; -allow-unknown opens the file", "", "-m", file, "Hello")
	run.Good(t, "", "-m", file, "-allow-unknown", "-raw", "-n", "1", "Hello")
}

func TestASeedMakesAnAnswerRepeatable(t *testing.T) {
	sample := func(seed string) string {
		return run.Good(t, "", "-temp", "4", "-top-k", "0", "-top-p", "1", "-n", "8", "-seed", seed, "Tell me a story.")
	}
	first := sample("1")
	if again := sample("1"); again != first {
		t.Errorf("one seed, two answers: %q, %q", first, again)
	}
	if other := sample("2"); other == first {
		t.Errorf("two seeds, one answer: %q", other)
	}
}

func TestStatisticsGoToStandardErrorIfAskedFor(t *testing.T) {
	o := run.Call("", "-temp", "0", "-seed", "9", "-stats", "What is 2 + 3?")
	want := regexp.MustCompile(`^\(prompt \d+ tokens, 0 of them known, prefill \d+\.\d tokens/s; ` +
		`answer \d+ tokens, decode \d+\.\d tokens/s(?:; drafter [^;]*right)?; seed 9; ended by: end of turn\)\n$`)
	if !want.MatchString(o.Errors) {
		t.Errorf("got %q", o.Errors)
	}
	if o := run.Call("", "-temp", "0", "What is 2 + 3?"); o.Errors != "" {
		t.Errorf("without -stats: %q", o.Errors)
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
		{1, "prompt is empty", "", []string{"-raw"}},
		{1, "prompt is empty", " \n", []string{"-"}},
		{1, "prompt is empty", "", []string{""}},
		{1, "broken.gguf", "", []string{"-m", broken, prompt}},
		{1, "text.gguf", "", []string{"-m", text, prompt}},
		{1, "missing.gguf", "", []string{"-m", filepath.Join(dir, "missing.gguf"), prompt}},
		{1, dir, "", []string{"-m", dir, prompt}},
		{1, "context of 1000000", "", []string{"-ctx", "1000000", prompt}},
		{1, "context holds 4", "", []string{"-ctx", "4", prompt}},
		{1, "UTF-8", "", []string{"What is \xff?"}},
		{2, "-raw has no turns: it goes without -think", "", []string{"-raw", "-think", prompt}},
		{2, "goes without -full, -system, -var", "", []string{"-raw", "-var", "a=1", "-system", "x", "-full", "drop", prompt}},
		{2, "nonsense", "", []string{"-nonsense", prompt}},
	} {
		run.Fails(t, test.status, test.want, test.stdin, test.args...)
	}
}

func TestAnUnknownKernelLevelIsAnError(t *testing.T) {
	t.Setenv("GEMMA4_CPU", "nonsense")
	run.Fails(t, 1, `GEMMA4_CPU is "nonsense"`, "", "What is 2 + 3?")
}

func TestAFullDiskIsAnError(t *testing.T) {
	var errors bytes.Buffer
	status := run([]string{"-temp", "0", "What is 2 + 3?"}, strings.NewReader(""), clitest.Full{}, &errors)
	if status != 1 || !strings.HasSuffix(errors.String(), "gemma4 run: short write\n") {
		t.Errorf("status %d, %q", status, errors.String())
	}
}
