package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/clitest"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/tensor"
)

const (
	remember = "Remember this. The code of Mia is 4821. The code of Leo is 7730. The code of Ada is 1956. What is the code of Mia?\n"
	recall   = "What is the code of Ada?\n"
)

func TestTurnsFromAPipe(t *testing.T) {
	for _, test := range []struct {
		name, flags, lines, out, errors string
	}{
		{"nothing", "", "", "", ""},
		{"empty lines", "", "\n \n", "", ""},
		{"no newline at the end", "-exact -threads 1", "What is 9 + 9?", "9 + 9 = 18\n", ""},
		{"two turns", "-cache q8_0", remember + recall, "The code of Mia is 4821.\nThe code of Ada is 1956.\n", ""},
		{"thought by command", "-thoughts", "/think\nWhat is the capital of Peru?\n",
			"[thought] I know this one.\nThe capital of Peru is Lima.\n", "thinking: true\n"},
		{"commands", "-think", "/think\nWhat is 2 + 3?\n/bye\nWhat is 12 + 7?\n", "2 + 3 = 5\n", "thinking: false\n"},
		{"spaces", "", "/think off \n/think  on\t\n/quit  \n", "", "thinking: false\nthinking: true\n"},
		{"several lines", "",
			"\"\"\"Remember this. The code of Mia is 4821.\nThe code of Leo is 7730.\n\nWhat is the code of Mia?\"\"\" \n",
			"The code of Mia is 4821.\n", ""},
		{"several lines on one", "", "\"\"\"What is 2 + 3?\"\"\"\n", "2 + 3 = 5\n", ""},
		{"lines of Windows", "", "What is 2 + 3?\r\n/bye\r\n", "2 + 3 = 5\n", ""},
		{"system turn", "", "/system Be brief.\nWhat is your name?\n", "My name is Nano.\n", ""},
		{"few tokens", "-n 3", "What is the capital of France?\n", "The capital of\n", "(ended by: length)\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := run.Call(test.lines, append([]string{"-temp", "0"}, strings.Fields(test.flags)...)...)
			if o != (clitest.Output{Status: 0, Out: test.out, Errors: test.errors}) {
				t.Errorf("got %+v, want %q and %q", o, test.out, test.errors)
			}
		})
	}
}

func TestFullContextStopsDropsOrFails(t *testing.T) {
	const turns = "What is 2 + 3?\nWhat is 12 + 7?\nWhat is the capital of Peru?\n"
	args := []string{"-temp", "0", "-ctx", "64", "-full"}
	o := run.Call(turns, append(args, "drop")...)
	if want := "(the context was full: the oldest 2 messages are forgotten)\n"; o.Status != 0 || o.Errors != want ||
		o.Out != "2 + 3 = 5\n12 + 7 = 19\nThe capital of Peru is Lima.\n" {
		t.Errorf("got %+v, want %q", o, want)
	}
	if o := run.Call(turns, append(args, "stop")...); !strings.Contains(o.Errors, "context") || strings.Contains(o.Out, "Lima") {
		t.Errorf("got %+v", o)
	}
	run.Fails(t, 1, "context holds 64", turns, append(args, "error")...)
	run.Fails(t, 2, `unknown policy "forget"`, "", append(args, "forget")...)
}

func TestALineThatBeginsWithASpaceIsNoCommand(t *testing.T) {
	for _, text := range []string{" /bye", `"""/bye"""`} {
		if out := run.Good(t, text+"\n/exit\n", "-temp", "0", "-n", "1"); out == "" {
			t.Errorf("%q is not answered", text)
		}
	}
}

func TestHelpListsTheCommands(t *testing.T) {
	o := run.Call("/help\n")
	for _, c := range slashes() {
		for _, name := range strings.Fields(c.names) {
			if !strings.Contains(o.Errors, "/"+name) || !strings.Contains(o.Errors, c.does) {
				t.Errorf("/%s is missing in %q", name, o.Errors)
			}
		}
	}
}

func TestClearForgetsTheConversation(t *testing.T) {
	cleared := run.Good(t, "What is the capital of Kenya?\n/clear\n"+recall, "-temp", "0", "-n", "10")
	fresh := run.Good(t, recall, "-temp", "0", "-n", "10")
	if want := "The capital of Kenya is Nairobi.\n" + fresh; cleared != want {
		t.Errorf("%q, want %q", cleared, want)
	}
}

const weather = `[{"type": "function", "function": {"name": "get_weather", "description": "Weather in a city.", "parameters":
	{"type": "object", "properties": {"city": {"type": "string", "description": "City name"}}, "required": ["city"]}}}]`

func TestToolsAreCalledAndTheNextLineIsWhatTheyReturn(t *testing.T) {
	tools := filepath.Join(t.TempDir(), "tools.json")
	if err := os.WriteFile(tools, []byte(weather), 0o666); err != nil {
		t.Fatal(err)
	}
	out := run.Good(t, "What is the weather in Oslo?\nrainy, 9 degrees\n", "-temp", "0", "-tools", tools)
	if want := `{"name":"get_weather","arguments":{"city":"Oslo"}}` + "\nIt is rainy in Oslo, 9 degrees.\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestASessionGoesOnWhereItWas(t *testing.T) {
	file := filepath.Join(t.TempDir(), "talk")
	say := func(lines string, flags ...string) string {
		t.Helper()
		return run.Good(t, lines, append([]string{"-temp", "0", "-session", file}, flags...)...)
	}
	if out := say(remember); out != "The code of Mia is 4821.\n" {
		t.Errorf("got %q", out)
	}
	if out := say(recall); out != "The code of Ada is 1956.\n" {
		t.Errorf("the second run says %q", out)
	}
	say("/clear\n/think\n")
	if out := say("What is the capital of Peru?\n", "-thoughts"); out != "[thought] I know this one.\nThe capital of Peru is Lima.\n" {
		t.Errorf("thinking was not kept: %q", out)
	}
	m, err := nano.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	c, err := m.RestoreChat(file, gemma4.ChatOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n := len(c.Messages); n != 2 || c.Messages[1].Content != "The capital of Peru is Lima." {
		t.Errorf("%d messages are kept: %v", n, c.Messages)
	}
}

func TestFlagsCountMoreThanWhatTheSessionHolds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "talk")
	run.Good(t, "What is 2 + 3?\n", "-temp", "0", "-session", file, "-think", "-system", "Be brief.")
	for _, test := range []struct{ flags, want string }{
		{"", "Be brief.\nthinking: false\n"},
		{"-system=", "\nthinking: false\n"},
		{"-system= -think=false", "\nthinking: true\n"},
		{"-system=Short.", "Short.\nthinking: false\n"},
	} {
		other := file + ".copy" + test.flags
		if data, err := os.ReadFile(file); err != nil || os.WriteFile(other, data, 0o600) != nil {
			t.Fatal(err)
		}
		if o := run.Call("/show system\n/think\n", append(strings.Fields(test.flags), "-session", other)...); o.Errors != test.want {
			t.Errorf("%q: %q, want %q", test.flags, o.Errors, test.want)
		}
	}
}

func TestASessionWaitsForWhatAToolReturns(t *testing.T) {
	dir := t.TempDir()
	tools, file := filepath.Join(dir, "tools.json"), filepath.Join(dir, "talk")
	if err := os.WriteFile(tools, []byte(weather), 0o666); err != nil {
		t.Fatal(err)
	}
	out := run.Good(t, "What is the weather in Oslo?\n", "-temp", "0", "-tools", tools, "-session", file)
	out += run.Good(t, "rainy, 9 degrees\n", "-temp", "0", "-session", file)
	if want := `{"name":"get_weather","arguments":{"city":"Oslo"}}` + "\nIt is rainy in Oslo, 9 degrees.\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestASessionFileThatDoesNotFitIsOneSentenceAndStays(t *testing.T) {
	dir := t.TempDir()
	file, other := filepath.Join(dir, "talk"), filepath.Join(dir, "other.gguf")
	metadata, tensors, err := synth.Build(synth.Config{
		Vocabulary: synth.MinVocabulary, Context: 64, Layers: 2, Width: 8, Heads: []int{2}, KVHeads: []int{1}, MLP: []int{12},
		HeadSize: 8, HeadSizeSliding: 4, Sliding: []bool{true, false}, Window: 4, Mix: synth.All(tensor.F16),
	})
	if err == nil {
		err = gguf.WriteFile(other, metadata, tensors)
	}
	if err != nil {
		t.Fatal(err)
	}
	run.Good(t, "What is 2 + 3?\n", "-temp", "0", "-session", file)
	text := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(text, []byte("buy milk"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file, want string
		flags      []string
	}{
		{file, "talk: it was saved with another model", []string{"-m", other}},
		{file, "talk: model: the cache is in F16, the session's in F32", []string{"-cache", "f32"}},
		{file, "the context holds 5", []string{"-ctx", "5"}},
		{text, "notes.txt: is not a saved session; the file stays as it is: begin anew with another -session file", nil},
		{other, "other.gguf: is not a saved session", nil},
		{dir, "is not a regular file", nil},
	} {
		before, _ := os.ReadFile(c.file)
		run.Fails(t, 1, c.want, "What is 2 + 3?\n", append(c.flags, "-session", c.file)...)
		if after, _ := os.ReadFile(c.file); !bytes.Equal(after, before) {
			t.Errorf("%s has changed", c.file)
		}
	}
	run.Fails(t, 1, "missing", "What is 2 + 3?\n", "-session", filepath.Join(dir, "missing", "talk"))
}

// TestAConversationIsKeptWhereItsFileHasNoRoomForACopy has a file whose name is so long that none beside it can have a longer one.
func TestAConversationIsKeptWhereItsFileHasNoRoomForACopy(t *testing.T) {
	dir := t.TempDir()
	short, file := filepath.Join(dir, "talk"), filepath.Join(dir, strings.Repeat("talk", 63))
	run.Good(t, "What is 2 + 3?\n", "-temp", "0", "-session", short)
	if err := os.Rename(short, file); err != nil {
		t.Skip("no names of that length here: ", err)
	}
	o := run.Call("What is 12 + 7?\n", "-temp", "0", "-session", file)
	const note = "; the conversation is kept, in a file that is larger than need be\n"
	if o.Status != 0 || o.Out != "12 + 7 = 19\n" || !strings.HasSuffix(o.Errors, note) {
		t.Errorf("%+v", o)
	}
	if shown := run.Call("/show messages\n", "-session", file).Errors; !strings.HasSuffix(shown, "assistant: 12 + 7 = 19\n") {
		t.Errorf("kept is %q", shown)
	}
}

// meanwhile does something when the first text reaches it.
type meanwhile struct {
	bytes.Buffer
	once sync.Once
	do   func()
}

func (w *meanwhile) Write(b []byte) (int, error) {
	w.once.Do(w.do)
	return w.Buffer.Write(b)
}

func TestTwoProgramsDoNotLoseEachOthersConversation(t *testing.T) {
	file := filepath.Join(t.TempDir(), "talk")
	args := []string{"-temp", "0", "-session", file}
	for _, before := range []string{"", "What is the capital of Peru?\n"} { // a file that is new, and one that both have read
		if before != "" {
			run.Good(t, before, args...)
		}
		out := meanwhile{do: func() { run.Good(t, "What is 12 + 7?\n", args...) }}
		var errors bytes.Buffer
		status := run(args, strings.NewReader("What is 2 + 3?\nWhat is 9 + 9?\n"), &out, &errors)
		if status != 1 || out.String() != "2 + 3 = 5\n" || !strings.Contains(errors.String(), "talk: another program has written to it") {
			t.Errorf("status %d, %q, %q", status, out.String(), errors.String())
		}
		shown := run.Call("/show messages\n", args...).Errors
		if !strings.HasSuffix(shown, "user: What is 12 + 7?\nassistant: 12 + 7 = 19\n") || strings.Contains(shown, "2 + 3") {
			t.Errorf("kept is %q", shown)
		}
	}
	run.Good(t, "/clear\n", args...)
	out := meanwhile{do: func() { os.Remove(file) }} // nothing to lose
	if status := run(args, strings.NewReader("What is 2 + 3?\n"), &out, new(bytes.Buffer)); status != 0 {
		t.Errorf("a file that is gone: status %d", status)
	}
	if shown := run.Call("/show messages\n", args...).Errors; shown != "user: What is 2 + 3?\nassistant: 2 + 3 = 5\n" {
		t.Errorf("kept is %q", shown)
	}
}

// interrupter presses Ctrl-C when the first text reaches it.
type interrupter struct {
	bytes.Buffer
	cleared sync.Once
	err     error
}

func (w *interrupter) Write(b []byte) (int, error) {
	w.cleared.Do(func() {
		var self *os.Process
		if self, w.err = os.FindProcess(os.Getpid()); w.err == nil {
			w.err = self.Signal(os.Interrupt)
		}
	})
	return w.Buffer.Write(b)
}

func TestASignalEndsAPipeAndKeepsWhatCame(t *testing.T) {
	var out interrupter
	var errors bytes.Buffer
	file := filepath.Join(t.TempDir(), "talk")
	// At this temperature it talks nonsense until its context is full.
	args := append(strings.Fields("-temp 20 -top-k 0 -top-p 1 -seed 5 -session"), file)
	status := run(args, strings.NewReader("Tell me a story.\n/help\n"), &out, &errors)
	if out.err != nil {
		t.Skipf("no signals here: %v", out.err)
	}
	if status != 130 || errors.String() != "(stopped)\n" {
		t.Errorf("status %d, errors %q, after %d bytes", status, errors.String(), out.Len())
	}
	if o := run.Call("/show messages\n", "-session", file); !strings.HasPrefix(o.Errors, "user: Tell me a story.\nassistant: ") {
		t.Errorf("kept is %q", o.Errors)
	}
}

// TestALineThatIsThereIsNotTakenAfterCtrlC has both be there, so that a pipe that takes either is found out.
func TestALineThatIsThereIsNotTakenAfterCtrlC(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for range 100 {
		p := &pipe{lines: make(chan string, 1)}
		p.lines <- "/clear"
		if text, err := p.Read(ctx, ""); text != "" || !errors.Is(err, context.Canceled) {
			t.Fatalf("%q, %v", text, err)
		}
	}
}

func TestWhatCannotBeHeldIsOneSentence(t *testing.T) {
	run.Fails(t, 1, "UTF-8", "What is \xff?\n")
	run.Fails(t, 1, "missing.gguf", "", "-m", filepath.Join(t.TempDir(), "missing.gguf"))
	run.Fails(t, 1, "context holds 4", "What is 2 + 3?\n", "-ctx", "4")
	run.Fails(t, 2, "nonsense", "", "-nonsense")
	var errors bytes.Buffer
	if status := run([]string{"-temp", "0"}, strings.NewReader("What is 2 + 3?\n"), clitest.Full{}, &errors); status != 1 ||
		errors.String() != "gemma4 run: short write\n" {
		t.Errorf("a full disk: status %d, %q", status, errors.String())
	}
}
