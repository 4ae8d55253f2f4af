package main

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/clitest"
	"github.com/gogemma/gemma4/internal/testdata"
)

var gemma4Command clitest.Run = tool().Run

// command returns one of gemma4's.
func command(name string) clitest.Run {
	return func(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
		return tool().Run(append([]string{name}, args...), stdin, stdout, stderr)
	}
}

// gemma4Process is the command as a process: the test's own binary, which is gemma4 under that name.
func gemma4Process(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &exec.Cmd{Path: self, Args: append([]string{"gemma4"}, args...), Env: os.Environ()}
}

func TestCommandsAreFoundByName(t *testing.T) {
	for _, args := range []string{"help", "-h", "-help", "--help"} {
		out := gemma4Command.Good(t, "", strings.Fields(args)...)
		for _, c := range tool().Commands {
			if !strings.Contains(out, "  "+c.Name+" ") || !strings.Contains(out, c.Does) {
				t.Errorf("%s does not list %s: %s", args, c.Name, out)
			}
		}
	}
	if out := gemma4Command.Good(t, "", "tokenize", "-json", "-special", "<|turn>"); out != "[105]\n" {
		t.Errorf("tokenize prints %s", out)
	}
	gemma4Command.Fails(t, 2, `"generate" is not a command`, "", "generate")
	gemma4Command.Fails(t, 2, `"-m" is not a command`, "", "-m", "file")
	var errors strings.Builder
	if status := tool().Run([]string{"help"}, nil, clitest.Full{}, &errors); status != 1 ||
		!strings.Contains(errors.String(), clitest.ErrFull.Error()) {
		t.Errorf("help that nobody gets: status %d, %q", status, errors.String())
	}
	if o := gemma4Command.Call(""); o.Status != 2 || o.Out != "" || !strings.Contains(o.Errors, "usage: ") {
		t.Errorf("nothing asked for: %+v", o)
	}
}

func TestHelpOfEachCommandHasExamplesThatParse(t *testing.T) {
	for _, c := range tool().Commands {
		if c.Name == "help" {
			continue
		}
		out := gemma4Command.Good(t, "", "help", c.Name)
		_, examples, ok := strings.Cut(out, "\nexamples:\n")
		if !ok || !strings.Contains(examples, "gemma4 "+c.Name) || !strings.HasPrefix(out, "usage: gemma4 "+c.Name) {
			t.Errorf("%s: %s", c.Name, out)
		}
		checkCommandLines(t, out)
	}
	checkCommandLines(t, gemma4Command.Good(t, "", "help"))
}

func TestCommandLinesOfTheDocumentsParse(t *testing.T) {
	for _, name := range []string{"README.md", "BENCHMARKS.md", "CONTRIBUTING.md", "doc.go", ".ci/run"} {
		text, err := os.ReadFile(filepath.Join(testdata.Root(t), name))
		if err != nil {
			t.Fatal(err)
		}
		checkCommandLines(t, string(text))
	}
}

// checkCommandLines checks that the commands of a text, and their flags, are there.
func checkCommandLines(t *testing.T, text string) {
	t.Helper()
	flag := regexp.MustCompile(` -([a-z0-9][a-z0-9-]*)`)
	for _, m := range regexp.MustCompile("gemma4 ([a-z]+)(( -[a-z0-9-]+( [^-`|\n][^ `|\n]*)?)*)").FindAllStringSubmatch(text, -1) {
		if !strings.Contains(m[0], " -") { // a sentence, perhaps
			continue
		}
		usage := gemma4Command.Good(t, "", "help", m[1])
		for _, f := range flag.FindAllStringSubmatch(m[2], -1) {
			if f[1] != "h" && !strings.Contains(usage, "\n  -"+f[1]) {
				t.Errorf("%q: gemma4 %s has no -%s", m[0], m[1], f[1])
			}
		}
	}
}

func TestVersionTellsOfTheProgramAndTheMachine(t *testing.T) {
	best, err := gemma4.BestKernels()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"version", "-version", "--version"} {
		out := gemma4Command.Good(t, "", args)
		want := regexp.MustCompile(`^gemma4 .*commit .*\ngo1\.\d+.* \w+/\w+\nprocessor: .+\nfeatures: .+\nkernels: ` + best.Name +
			` \(of portable.*\)\nthreads: \d+ \(.+\)\n$`)
		if !want.MatchString(out) {
			t.Errorf("%s: %q", args, out)
		}
	}
	var v version
	d := json.NewDecoder(strings.NewReader(gemma4Command.Good(t, "", "version", "-json")))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil || v.Kernels != best.Name || v.Threads < 1 || v.OS != runtime.GOOS ||
		len(v.Levels) != len(gemma4.Levels()) {
		t.Errorf("-json: %v, %+v", err, v)
	}
	gemma4Command.Fails(t, 2, "unexpected argument", "", "version", "x")
	info := &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-11-29"}, {Key: "vcs.modified", Value: "true"},
	}}
	installed := &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3", Sum: "h1:abc="}}
	for _, test := range []struct {
		info            *debug.BuildInfo
		version, commit string
	}{
		{info, "v1.2.3", "commit abc of 2026-11-29, modified"},
		{installed, "v1.2.3", "module h1:abc="},
		{&debug.BuildInfo{}, "(devel)", "commit not recorded in this build"},
		{nil, "of unknown version", "commit not recorded in this build"},
	} {
		if v := built(test.info); v.Version != test.version || v.origin() != test.commit {
			t.Errorf("%+v, %q; want %q, %q", v, v.origin(), test.version, test.commit)
		}
	}
}
