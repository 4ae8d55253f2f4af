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

// speech is sound that comes, and does not end. taken is closed when the reader has made use of all of it, and wants more.
type speech struct {
	pcm   []byte
	taken chan struct{}
	over  <-chan struct{}
}

func (s *speech) Read(b []byte) (int, error) {
	if len(s.pcm) == 0 {
		close(s.taken)
		<-s.over
		return 0, io.EOF
	}
	n := copy(b, s.pcm)
	s.pcm = s.pcm[n:]
	return n, nil
}

func TestATerminalSeesWhatIsSaidWhileItIsSaidAndCtrlCEndsIt(t *testing.T) {
	t.Setenv("TERM", "xterm")
	s := clitest.NewTerminal(t)
	said := &speech{spokenPCM(t, "sound-1.wav"), make(chan struct{}), t.Context().Done()}
	status := make(chan int, 1)
	go func() { status <- hearing([]string{"-"}, said, s.File, s.File) }()
	s.Shows("\r\x1b[K\x1b[2mWhat is ") // how it goes on depends on how much has come in the meantime
	<-said.taken
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Signal(os.Interrupt)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Shows("\r\x1b[K" + dry + "\r\n")
	if n := <-status; n != 0 {
		t.Errorf("status %d", n)
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
