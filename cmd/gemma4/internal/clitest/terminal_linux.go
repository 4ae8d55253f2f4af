package clitest

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// late is when a command hangs.
const late = 5 * time.Minute

// Terminal is a terminal with somebody in front of it.
type Terminal struct {
	*os.File // what a program has for its streams

	t        *testing.T
	user     *os.File // the other side
	mu       sync.Mutex
	appeared *sync.Cond
	shown    string // and not waited for yet
	gone     bool
}

// NewTerminal returns one of 80 columns and 24 rows.
func NewTerminal(t *testing.T) *Terminal {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	fd := int(user.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: 80, Row: 24})
	}
	var tty *os.File
	if err == nil {
		tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		user.Close()
		t.Skipf("no terminals here: %v", err)
	}
	s := &Terminal{File: tty, t: t, user: user}
	s.appeared = sync.NewCond(&s.mu)
	t.Cleanup(func() { tty.Close(); user.Close() })
	go s.watch()
	return s
}

func (s *Terminal) watch() {
	b := make([]byte, 4096)
	for {
		n, err := s.user.Read(b)
		s.mu.Lock()
		s.shown += string(b[:n])
		s.gone = err != nil
		s.appeared.Broadcast()
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Type presses keys.
func (s *Terminal) Type(keys string) {
	s.t.Helper()
	if _, err := s.user.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// Shows waits for a text and returns what appeared up to its end, since the last call.
func (s *Terminal) Shows(text string) string {
	s.t.Helper()
	alarm := time.AfterFunc(late, func() {
		s.mu.Lock()
		s.gone = true
		s.appeared.Broadcast()
		s.mu.Unlock()
	})
	defer alarm.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if i := strings.Index(s.shown, text); i >= 0 {
			end := i + len(text)
			shown := s.shown[:end]
			s.shown = s.shown[end:]
			return shown
		}
		if s.gone {
			s.t.Fatalf("the terminal does not show %q, but %q", text, s.shown)
		}
		s.appeared.Wait()
	}
}

// Start runs a command on the terminal. The function that it returns waits for its exit status.
func (s *Terminal) Start(run Run, args ...string) (wait func() int) {
	status := make(chan int, 1)
	go func() { status <- run(args, s.File, s.File, s.File) }()
	return func() int {
		s.t.Helper()
		select {
		case n := <-status:
			return n
		case <-time.After(late):
			s.t.Fatal("the command does not end")
			return -1
		}
	}
}
