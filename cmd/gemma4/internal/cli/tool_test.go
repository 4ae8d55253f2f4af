package cli

import (
	"strings"
	"testing"

	"github.com/gogemma/gemma4/cmd/gemma4/internal/clitest"
)

func example() *Tool {
	say := func(text string) func(p *Program) func() error {
		return func(p *Program) func() error {
			p.Group("output")
			p.Bool("loud", false, "louder")
			return func() error { p.Out.WriteString(text + strings.Join(p.Args(), " ")); return nil }
		}
	}
	return &Tool{Name: "x", About: "x is an example.", Notes: "Notes.", Commands: []Command{
		{Name: "greet", Group: "words", Does: "say hello", Define: say("hello ")},
		{Name: "leave", Group: "words", Does: "say goodbye", Define: say("bye ")},
		{Name: "version", Group: "this program", Does: "say which", Define: say("v1")},
	}}
}

func TestTheOverviewListsCommandsByGroup(t *testing.T) {
	const want = `x is an example.

usage: x COMMAND [flags] …

words:
  greet       say hello
  leave       say goodbye

this program:
  version     say which
  completion  print a script that completes command lines in your shell
  help        explain a command

Notes.
`
	var run clitest.Run = example().Run
	for _, word := range []string{"help", "-h", "-help", "--help"} {
		if out := run.Good(t, "", word); out != want {
			t.Errorf("%s: %s", word, out)
		}
	}
	if o := run.Call(""); o != (clitest.Output{Status: 2, Errors: want}) {
		t.Errorf("nothing asked for: %+v", o)
	}
}

func TestCommandsAndTheirHelpAreFoundByName(t *testing.T) {
	var run clitest.Run = example().Run
	for line, want := range map[string]string{"greet you": "hello you", "leave -loud": "bye ", "-version": "v1", "--version": "v1"} {
		if out := run.Good(t, "", strings.Fields(line)...); out != want {
			t.Errorf("%s: %q, want %q", line, out, want)
		}
	}
	a, b := run.Good(t, "", "help", "leave"), run.Good(t, "", "leave", "-h")
	if a != b || !strings.HasPrefix(a, "usage: x leave\n") || !strings.Contains(a, "\noutput:\n  -loud\n") {
		t.Errorf("%q and %q", a, b)
	}
}

func TestWhatIsNearIsSuggested(t *testing.T) {
	var run clitest.Run = example().Run
	for line, want := range map[string]string{
		"gret":         `x: "gret" is not a command; did you mean greet?`,
		"leaev":        `x: "leaev" is not a command; did you mean leave?`,
		"Help":         `x: "Help" is not a command; did you mean help?`,
		"sing":         `x: "sing" is not a command`,
		"-m":           `x: "-m" is not a command: flags come after the command`,
		"help leav":    `x help: "leav" is not a command; did you mean leave?`,
		"help leave x": `x help: one command at a time`,
		"greet -lod":   "x greet: there is no flag -lod; did you mean -loud?",
		"greet --quit": "x greet: there is no flag -quit",
	} {
		run.Fails(t, 2, want, "", strings.Fields(line)...)
		if o := run.Call("", strings.Fields(line)...); !strings.HasPrefix(o.Errors, want+"\n") {
			t.Errorf("%s: %q, want %q", line, o.Errors, want)
		}
	}
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "ab", 2}, {"temp", "tmep", 1}, {"temp", "tmp", 1}, {"kitten", "sitting", 3}, {"größe", "grösse", 2}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("%q and %q: %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
