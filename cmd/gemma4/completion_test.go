package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestMain makes the command of the test's own binary under the name gemma4, so that shells have one to ask.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "gemma4" {
		main()
	}
	// Nobody's models, as tests find their own, nor what else somebody has set.
	os.Setenv("GEMMA4_HOME", filepath.Join(os.TempDir(), "no-models-of-gemma4"))
	os.Unsetenv("GEMMA4_KEY")
	os.Unsetenv("NO_COLOR")
	os.Exit(m.Run())
}

// completions are command lines and what their last words may be.
var completions = []struct {
	line string
	want []string
}{
	{"gemma4 ", []string{"batch", "bench", "completion", "fit", "help", "inspect", "list", "listen", "perplexity", "pull",
		"quantize", "rm", "run", "see", "serve", "show", "tokenize", "version"}},
	{"gemma4 pull ", []string{"12b", "26b", "31b", "e2b", "e4b"}},
	{"gemma4 pull -with mm", []string{"mmproj", "mmproj,draft"}},
	{"gemma4 run -m e", []string{"e2b", "e4b"}},
	{"gemma4 pe", []string{"perplexity"}},
	{"gemma4 quantize -part ", []string{"projector", "text"}},
	{"gemma4 quantize -lora oth", []string{"other.gguf"}},
	{"gemma4 quantize my.gguf out.gguf Q4_K", []string{"Q4_K_M", "Q4_K_S"}},
	{"gemma4 help ver", []string{"version"}},
	{"gemma4 completion ", []string{"bash", "fish", "powershell", "zsh"}},
	{"gemma4 run -budget ", []string{"1120", "140", "280", "560", "70", "auto", "high", "low", "medium"}},
	{"gemma4 run -draft ", []string{"lookup", "my model.gguf", "none", "other.gguf"}},
	{"gemma4 serve -draft lo", []string{"lookup"}},
	{"gemma4 serve -draft oth", []string{"other.gguf"}},
	{"gemma4 batch -draft=l", []string{"-draft=lookup"}},
	{"gemma4 run -image no", []string{"notes.txt"}},
	{"gemma4 see -mmproj oth", []string{"other.gguf"}},
	{"gemma4 see no", []string{"notes.txt"}},
	{"gemma4 listen -v", []string{"-vtt"}},
	{"gemma4 run -te", []string{"-temp", "-template"}},
	{"gemma4 run --temp", []string{"--temp", "--template"}},
	{"gemma4 run -think -m x.gguf -temp 0 -ful", []string{"-full"}},
	{"gemma4 run -system 'Be brief.' -full ", []string{"drop", "error", "stop"}},
	{"gemma4 run -sch", []string{"-schema"}},
	{"gemma4 run -tools x -tool-choice ", []string{"auto", "none", "required"}},
	{"gemma4 run -grammar no", []string{"notes.txt"}},
	{"gemma4 run -cache q", []string{"q4_0", "q8_0"}},
	{"gemma4 perplexity -cache=q", []string{"-cache=q4_0", "-cache=q8_0"}},
	{"gemma4 run -think=", []string{"-think=false", "-think=true"}},
	{"gemma4 fit 12", []string{"12b"}},
	{"gemma4 bench -synth e2b:q8", []string{"e2b:q8_0"}},
	{"gemma4 bench -synth 31b-mmproj:b", []string{"31b-mmproj:bf16"}},
	{"gemma4 run -m my", []string{"my model.gguf"}},
	{"gemma4 inspect oth", []string{"other.gguf"}},
	{"gemma4 run -session no", []string{"notes.txt"}},
	{"gemma4 run -m x -- -te", nil},
	{"gemma4 run Why -te", nil},
	{"gemma4 nonsense -", nil},
}

// complete calls a shell in a folder with some files, where gemma4 is known, and skips the test if there is no such shell.
func complete(t *testing.T, name string, args ...string) string {
	t.Helper()
	shell, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed here", name)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := filepath.Join(dir, "files")
	for _, name := range []string{"my model.gguf", "other.gguf", "my notes.md", "others.md", "notes.txt"} {
		if err := os.MkdirAll(files, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(files, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(self, filepath.Join(dir, "gemma4")); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	c := exec.Command(shell, args...)
	c.Dir = files
	c.Env = append(os.Environ(), "PATH="+dir+string(filepath.ListSeparator)+os.Getenv("PATH"), "HOME="+dir, "TERM=xterm", "LC_ALL=C.UTF-8")
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s %q: %v, %s", name, args, err, err.(*exec.ExitError).Stderr)
	}
	return string(out)
}

// script returns the path of one of testdata's.
func script(t *testing.T, name string) string {
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBashCompletes(t *testing.T) {
	for _, test := range completions {
		line := strings.NewReplacer("=", " = ", ":", " : ", "'Be brief.'", "Be\x00brief.").Replace(test.line) // as bash makes words of it
		words := strings.Split(line, " ")
		words = slices.DeleteFunc(words[:len(words):len(words)], func(w string) bool { return w == "" })
		if strings.HasSuffix(test.line, " ") {
			words = append(words, "")
		}
		for i, w := range words {
			words[i] = strings.ReplaceAll(w, "\x00", " ")
		}
		var want []string
		for _, w := range test.want {
			want = append(want, w[strings.LastIndexAny(w, "=:")+1:])
		}
		got := slices.DeleteFunc(strings.Split(complete(t, "bash", append([]string{script(t, "complete.bash")}, words...)...), "\n"),
			func(s string) bool { return s == "" })
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", test.line, got, want)
		}
	}
}

// typed returns the command lines of the table.
func typed() (all []string) {
	for _, test := range completions {
		all = append(all, test.line)
	}
	return all
}

func TestFishCompletes(t *testing.T) {
	const script = "gemma4 completion fish | source; for line in $argv; complete -C $line; echo ----; end"
	shown := strings.Split(complete(t, "fish", append([]string{"-c", script}, typed()...)...), "----\n")
	if len(shown) != len(completions)+1 {
		t.Fatalf("got %q", shown)
	}
	for i, test := range completions {
		var got []string
		for line := range strings.Lines(shown[i]) {
			value, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			other := strings.HasSuffix(value, ".md") || strings.HasSuffix(value, ".txt") && !slices.Contains(test.want, value)
			if !other { // fish offers files of other kinds behind the ones that are asked for
				got = append(got, value)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, want %q", test.line, got, test.want)
		}
	}
}

func TestZshCompletes(t *testing.T) {
	shown := strings.Split(complete(t, "zsh", append([]string{"-f", script(t, "complete.zsh")}, typed()...)...), "----\n")
	if len(shown) != len(completions)+1 {
		t.Fatalf("got %q", shown)
	}
	for i, test := range completions {
		begin := strings.LastIndex(test.line, " ") + 1
		for _, w := range test.want {
			w = strings.ReplaceAll(w, " ", `\ `)
			inserted := len(test.want) == 1 && strings.Contains(shown[i], "<"+test.line[:begin]+w+" >")
			listed := len(test.want) > 1 && strings.Contains(shown[i], w)
			common := shared(test.want)
			if !inserted && !listed && (common == test.line[begin:] || !strings.Contains(shown[i], common+">")) {
				t.Errorf("%q: no %q in %q", test.line, w, shown[i])
			}
		}
		if len(test.want) == 0 && !strings.Contains(shown[i], "<"+test.line+">") {
			t.Errorf("%q became %q", test.line, shown[i])
		}
	}
}

// shared returns what all words begin with: zsh lists them only if that stands there already.
func shared(words []string) string {
	begin := words[0]
	for _, w := range words {
		for !strings.HasPrefix(w, begin) {
			begin = begin[:len(begin)-1]
		}
	}
	return begin
}

func TestPowerShellAsksForAnEmptyWordByQuotes(t *testing.T) {
	if out := gemma4Command.Good(t, "", "completion", "powershell", "run", "-full", `""`); out != "stop\ndrop\nerror\n" {
		t.Errorf("got %q", out)
	}
	if out := gemma4Command.Good(t, "", "completion", "powershell", "run", "-mmproj", `""`); out != ":files *.gguf\n" {
		t.Errorf("got %q", out)
	}
}

func TestEachShellHasItsScript(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := gemma4Command.Good(t, "", "completion", shell); !strings.Contains(out, "completion "+shell) {
			t.Errorf("%s: %q", shell, out)
		}
	}
	gemma4Command.Fails(t, 2, "expected bash, zsh, fish or powershell", "", "completion")
	gemma4Command.Fails(t, 2, "expected bash, zsh, fish or powershell", "", "completion", "csh")
}

func TestFlagsForFilesAndWordsAreCompleted(t *testing.T) {
	flag := regexp.MustCompile(`(?m)^  (-[a-z-]+) (file|format|policy|PRESET:FORMAT)$`)
	found := 0
	for _, c := range tool().Commands {
		for _, m := range flag.FindAllStringSubmatch(gemma4Command.Good(t, "", "help", c.Name), -1) {
			out := gemma4Command.Good(t, "", "completion", "fish", c.Name, m[1], "")
			if files := strings.Contains(out, ":files "); out == "" || files != (m[2] == "file") {
				t.Errorf("%s %s %s: %q", c.Name, m[1], m[2], out)
			}
			found++
		}
	}
	if found < 10 {
		t.Errorf("%d flags", found)
	}
}
