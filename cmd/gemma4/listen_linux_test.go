package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gogemma/gemma4/cmd/gemma4/internal/clitest"
	"github.com/gogemma/gemma4/media/sound"
)

// start starts the command as a process whose terminal s is, but for its standard input, which is returned.
func start(t *testing.T, s *clitest.Terminal, args ...string) (stdin io.WriteCloser, wait func() int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "gemma4") // see TestMain
	if err := os.Symlink(self, link); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	c := exec.Command(link, args...)
	c.Stdout, c.Stderr = s.File, s.File
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 1}
	if stdin, err = c.StdinPipe(); err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); c.Process.Kill() })
	return stdin, func() int {
		c.Wait()
		return c.ProcessState.ExitCode()
	}
}

func TestATerminalSeesWhatIsSaidWhileItIsSaidAndCtrlCEndsIt(t *testing.T) {
	t.Setenv("TERM", "xterm")
	s := clitest.NewTerminal(t)
	stdin, wait := start(t, s, "listen", "-")
	if _, err := stdin.Write(spokenPCM(t, "sound-1.wav")); err != nil {
		t.Fatal(err)
	}
	s.Shows("\r\x1b[K\x1b[2mWhat is the opposite of") // it may change still
	s.Type("\x03")
	s.Shows("\r\x1b[K" + dry + "\r\n")
	if status := wait(); status != 0 {
		t.Errorf("status %d", status)
	}
}

func TestQuestionsBetweenTwoPressesOfEnterAreAnswered(t *testing.T) {
	s := clitest.NewTerminal(t)
	stdin, wait := start(t, s, "listen", "-push", "-temp", "0", "-")
	for _, q := range []struct{ name, answer string }{
		{"sound-1.wav", "The opposite of 'dry' is 'wet'.\r\n"},
		{"sound-2.wav", "The opposite of 'late' is 'early'.\r\n"},
	} {
		s.Shows("Enter begins a question, Ctrl-D ends")
		s.Type("\n")
		s.Shows("listening; Enter ends the question")
		said := append(spokenPCM(t, q.name), silence(0.2)...)
		if _, err := stdin.Write(said); err != nil {
			t.Fatal(err)
		}
		s.Shows(fmt.Sprintf("heard %.1f s", float64(len(said))/2/sound.Rate)) // or a little less, of the silence
		s.Type("\n")
		if shown := s.Shows(q.answer); strings.Contains(shown, "Enter begins") {
			t.Errorf("%q", shown)
		}
	}
	s.Shows("Enter begins a question")
	s.Type("\x04")
	if status := wait(); status != 0 {
		t.Errorf("status %d", status)
	}
}
