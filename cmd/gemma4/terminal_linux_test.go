package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/clitest"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/nano"
	"golang.org/x/sys/unix"
)

const (
	prompt = "\r\x1b[J> \r\x1b[2C" // as it is drawn
	hint   = "Ctrl-C again, Ctrl-D or /bye ends the program"
)

// converse starts a conversation on a terminal.
func converse(t *testing.T, args ...string) (s *clitest.Terminal, wait func() int) {
	t.Helper()
	t.Setenv("TERM", "xterm")
	s = clitest.NewTerminal(t)
	wait = s.Start(run, append([]string{"-temp", "0", "-history", ""}, args...)...)
	s.Shows(prompt)
	return s, wait
}

func TestTheBannerTellsWhatLiesBesideTheModel(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "model.gguf"), nano.GGUF(), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, width := range map[string]int{"mmproj-a.gguf": 256, "mmproj-b.gguf": 1536} {
		m, tensors := testdata.Unified(t, width)
		if err := gguf.WriteFile(filepath.Join(dir, name), m, tensors); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("TERM", "xterm")
	s := clitest.NewTerminal(t)
	wait := s.Start(run, "-history", "", "-m", filepath.Join(dir, "model.gguf"))
	shown := s.Shows(prompt)
	for _, want := range []string{
		"senses: images (gemma4uv), sounds (gemma4ua), by " + filepath.Join(dir, "mmproj-a.gguf"),
		"projector left: " + filepath.Join(dir, "mmproj-b.gguf") + ": model: mm.input_projection.weight is [8 1536]",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q, expected %q in it", shown, want)
		}
	}
	s.Type("\x04")
	if status := wait(); status != 0 {
		t.Errorf("status %d", status)
	}
}

func TestCtrlCClearsALineAndLeavesOnAnEmptyOneAtTheSecondPress(t *testing.T) {
	s, wait := converse(t)
	s.Type("abc\x03")
	if shown := s.Shows(prompt); strings.Contains(shown, hint) || !strings.Contains(shown, "abc") || !strings.Contains(shown, "^C") {
		t.Errorf("with text: %q", shown)
	}
	s.Type("\x03")
	s.Shows(hint)
	s.Type("abc\x03\x03")
	s.Shows(hint) // the press with text does not count
	s.Type("\"\"\"abc\r\x03\x03")
	s.Shows(hint) // nor does one in a text of several lines
	s.Type("\x03")
	if status := wait(); status != 0 {
		t.Errorf("status %d", status)
	}
}

func TestCtrlCStopsTheAnswerOnly(t *testing.T) {
	// At this temperature it talks nonsense until its context is full.
	s, wait := converse(t, "-temp", "20", "-top-k", "0", "-top-p", "1", "-seed", "5")
	s.Type("Tell me a story.\r")
	s.Shows("\r\n")
	s.Type("\x03")
	s.Shows("(stopped)")
	s.Shows(prompt)
	s.Type("/set temp 0\r/clear\rWhat is 2 + 3?\r")
	s.Shows("2 + 3 = 5")
	s.Type("\x04")
	if status := wait(); status != 0 {
		t.Errorf("status %d", status)
	}
}

func TestALongPasteIsOneTurn(t *testing.T) {
	m, err := nano.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	c, err := m.NewChat(gemma4.ChatOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	text := strings.Repeat("one line of many\n", 6000) // 100 KB
	c.Messages = []chat.Message{{Role: "user", Content: text}}
	ids, err := c.Prompt(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	s, wait := converse(t)
	s.Type("\x1b[200~" + strings.ReplaceAll(text, "\n", "\r") + "\x1b[201~")
	s.Shows(fmt.Sprintf("[%d bytes, 6000 lines]", len(text)))
	s.Type("\r")
	s.Shows(fmt.Sprintf("the text needs %d positions, the context holds 4096", len(ids)))
	s.Type("What is 2 + 3?\r")
	if shown := s.Shows("2 + 3 = 5"); strings.Contains(shown, "positions") {
		t.Errorf("more than one turn: %q", shown)
	}
	s.Type("/bye\r")
	wait()
}

func TestTextsOfSeveralLinesAndWideCharactersReachTheConversation(t *testing.T) {
	s, wait := converse(t, "-n", "1")
	s.Type("\"\"\"日本語\x1b[D\x7fe\u0301\r/help 👨\u200d👩\u200d👧x\x7f\"\"\"\r")
	s.Shows("(ended by: length)")
	s.Type("/show messages\r")
	s.Shows("user: 日e\u0301語\r\n/help 👨\u200d👩\u200d👧\r\n")
	s.Type("/bye\r")
	wait()
}

func TestWhatWasSaidIsFoundInTheNextConversation(t *testing.T) {
	file := filepath.Join(t.TempDir(), "folder", "history")
	s, wait := converse(t, "-history", file)
	s.Type("What is 2 + 3?\r/bye\r")
	wait()
	s.Shows("2 + 3 = 5")
	s, wait = converse(t, "-history", file)
	s.Type("\x1b[A\x1b[A\r")
	s.Shows("2 + 3 = 5")
	s.Type("\x122 +\r")
	s.Shows("2 + 3 = 5")
	s.Type("/bye\r")
	wait()
}

func TestControlCharactersDoNotReachTheTerminal(t *testing.T) {
	s, wait := converse(t, "-n", "1")
	s.Type("\x1b[200~a\x1b[31mb\x07\x1b[201~\r")
	s.Shows("(ended by: length)")
	s.Type("/show messages\r")
	s.Shows("user: a�[31mb�")
	s.Type("/nonsense\x1b[200~\x1b[2J\x1b[201~\r")
	s.Shows("/nonsense�[2J is not a command")
	s.Type("/bye\r")
	wait()
}

func TestATerminalThatMovesNoCursorGetsPlainLines(t *testing.T) {
	t.Setenv("TERM", "dumb")
	s := clitest.NewTerminal(t)
	wait := s.Start(run, "-temp", "0")
	s.Shows("> ")
	s.Type("What is 2 + 3?\n/undo now\n")
	s.Shows("2 + 3 = 5")
	s.Shows("takes no argument")
	s.Type("/bye\n")
	if shown := s.Shows("> "); strings.Contains(shown, "\x1b") || wait() != 0 {
		t.Errorf("%q", shown)
	}
}

func TestASummaryIsNotPrintedBehindTheProgress(t *testing.T) {
	in := smallModel(t, "micro-e")
	s := clitest.NewTerminal(t)
	wait := s.Start(quantizeModel, in, filepath.Join(t.TempDir(), "out.gguf"), "q8_0")
	s.Shows("gemma4 quantize: ")
	shown := s.Shows("format ")
	if line := shown[strings.LastIndex(shown, "\r")+1:]; strings.TrimLeft(line, " ") != "format " || wait() != 0 {
		t.Errorf("the table begins with %q", line)
	}
}

func TestTheTerminalIsAsItWasInTheEnd(t *testing.T) {
	t.Setenv("TERM", "xterm")
	s := clitest.NewTerminal(t)
	before, err := unix.IoctlGetTermios(int(s.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	wait := s.Start(run, "-history", "")
	s.Shows("knows the capitals") // what the embedded model is for
	s.Shows(prompt)
	if now, _ := unix.IoctlGetTermios(int(s.Fd()), unix.TCGETS); *now == *before {
		t.Error("keys do not come as they are pressed")
	}
	s.Type("/bye\r")
	wait()
	s.Shows("\x1b[?2004l")
	if now, err := unix.IoctlGetTermios(int(s.Fd()), unix.TCGETS); err != nil || *now != *before {
		t.Errorf("%+v, was %+v", now, before)
	}
}

func TestCommandsThatFailChangeNothing(t *testing.T) {
	s, wait := converse(t)
	s.Type("What is 12 + 7?\r")
	s.Shows("12 + 7 = 19")
	s.Type("/system \x1b[200~" + strings.Repeat("Be brief. ", 2000) + "\x1b[201~\r/regenerate\r")
	s.Shows("the context holds 4096")
	s.Type("/system\r/show messages\r")
	s.Shows("user: What is 12 + 7?\r\nassistant: 12 + 7 = 19")
	s.Type("/set top-p 1.5\r")
	s.Shows("top-p is 1.5")
	s.Type("/load nothing\rWhat is 2 + 3?\r")
	s.Shows("nothing")
	s.Shows("2 + 3 = 5")
	s.Type("/set\r")
	s.Shows("top-p              0.95")
	s.Type("/bye\r")
	wait()
}

func TestASessionsFileHasEachTurnAtOnceAndIsMergedInTheEnd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "talk")
	m, err := nano.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	holds := func(messages int) (bytes int64) {
		t.Helper()
		c, err := m.RestoreChat(file, gemma4.ChatOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if len(c.Messages) != messages {
			t.Errorf("%d messages are kept, want %d", len(c.Messages), messages)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	s, wait := converse(t, "-session", file)
	holds(0)
	s.Type("What is 2 + 3?\r")
	s.Shows(prompt)
	holds(2)
	s.Type("What is 12 + 7?\r")
	s.Shows(prompt)
	segments := holds(4)
	s.Type("/bye\r")
	wait()
	if merged := holds(4); merged >= segments {
		t.Errorf("%d bytes, %d before the end", merged, segments)
	}
}

func TestAConversationIsKeptElsewhereOrInPlaceOfAnothers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "talk")
	s, wait := converse(t, "-session", file)
	s.Type("What is 2 + 3?\r")
	s.Shows("2 + 3 = 5")
	s.Shows(prompt)
	run.Good(t, "What is 12 + 7?\n", "-temp", "0", "-session", file)
	s.Type("What is 9 + 9?\r")
	s.Shows("another program has written to it")
	s.Shows(prompt)
	s.Type("/save " + file + "\r")
	s.Shows("holds 4 messages")
	s.Shows(prompt)
	s.Type("What is 4 + 4?\r")
	s.Shows("4 + 4 = 8")
	s.Shows(prompt)
	s.Type("/bye\r")
	if status := wait(); status != 0 {
		t.Errorf("status %d", status)
	}
	if o := run.Call("/show messages\n", "-session", file); strings.Count(o.Errors, "user: ") != 3 || strings.Contains(o.Errors, "12 + 7") {
		t.Errorf("kept is %q", o.Errors)
	}
}
