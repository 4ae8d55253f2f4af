package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCommandsChangeTheConversation(t *testing.T) {
	dir := t.TempDir()
	saved := filepath.Join(dir, "saved")
	for _, test := range []struct{ name, lines, out, errors string }{
		{"undo", "What is 2 + 3?\nWhat is 12 + 7?\n/undo\n/show messages\n", "2 + 3 = 5\n12 + 7 = 19\n",
			"(forgotten: \"What is 12 + 7?\")\nuser: What is 2 + 3?\nassistant: 2 + 3 = 5\n"},
		{"regenerate", "What is 2 + 3?\n/regenerate\n/show messages\n", "2 + 3 = 5\n2 + 3 = 5\n",
			"user: What is 2 + 3?\nassistant: 2 + 3 = 5\n"},
		{"regenerate what was changed", "What is the capital of Peru?\n/set n 3\n/regenerate\n",
			"The capital of Peru is Lima.\nThe capital of\n", "(ended by: length)\n"},
		{"regenerate with a seed", "/set seed 7\nWhat is 2 + 3?\n/regenerate\n", "2 + 3 = 5\n2 + 3 = 5\n",
			"(a seed gives the same answer again; /set seed changes it)\n"},
		{"set", "/set think on\n/set thoughts on\n/set -system Be brief.\nWhat is the capital of Peru?\n/show system\n",
			"[thought] I know this one.\nThe capital of Peru is Lima.\n", "Be brief.\n"},
		{"system", "/system Be brief.\n/show system\n/system\n/show system\n", "", "Be brief.\n\n"},
		{"save and load", "What is 2 + 3?\n/save " + saved + "\n/clear\n/show messages\n/load " + saved + "\n/show messages\n",
			"2 + 3 = 5\n",
			strings.Repeat("("+saved+" holds 2 messages)\n", 2) + "user: What is 2 + 3?\nassistant: 2 + 3 = 5\n"},
	} {
		o := run.Call(test.lines, "-temp", "0")
		if o.Status != 0 || o.Out != test.out || o.Errors != test.errors {
			t.Errorf("%s: %+v, want %q and %q", test.name, o, test.out, test.errors)
		}
	}
}

func TestCommandsThatCannotBeRunSayWhy(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(text, []byte("buy milk"), 0o666); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"/nonsense":               "/nonsense is not a command; /help lists them",
		"/clear now":              "/clear takes no argument",
		"/bye now":                "/bye takes no argument",
		"/undo":                   "no turn to undo",
		"/regenerate":             "no answer to give again",
		"/think maybe":            `/think is on or off, not "maybe"`,
		"/set temp hot":           "/set temp: expected a number",
		"/set top-p 1.5":          "/set top-p: sampler: top-p is 1.5",
		"/set threads 2":          "expected one of temp, top-k",
		"/set full forget":        `unknown policy "forget"`,
		"/show secrets":           "/show secrets: expected model, session",
		"/save":                   "/save needs an argument: /save FILE",
		"/load " + text:           "is not a saved session",
		"/load " + dir + "/none":  "none",
		"/save " + dir + "/no/no": "no/no",
		`"""a`:                    `a text begins with """ and has no end`,
	} {
		run.Fails(t, 1, want, line+"\n", "-temp", "0")
	}
}

func TestSettingsAreFlags(t *testing.T) {
	help := run.Good(t, "", "-h")
	listed := run.Call("/set\n").Errors
	for _, name := range settings() {
		if !strings.Contains(help, "\n  -"+name) || !strings.Contains(listed, name+" ") {
			t.Errorf("%s is no flag, or not listed in %s", name, listed)
		}
	}
}

func TestShowTellsOfTheModelAndTheSession(t *testing.T) {
	o := run.Call("What is 2 + 3?\n/show\n/show template\n", "-temp", "0")
	for _, want := range []string{"7.0 million parameters", "Q4_0", "kernels", "2 messages", "of 4096 positions",
		"the built-in one is used"} {
		if !strings.Contains(o.Errors, want) {
			t.Errorf("no %q in %s", want, o.Errors)
		}
	}
}
