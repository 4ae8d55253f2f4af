// Package clitest calls commands from tests, without building them.
package clitest

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// Run is a command: its arguments and streams to its exit status.
type Run func(args []string, stdin io.Reader, stdout, stderr io.Writer) int

// Output is what a command printed before it ended.
type Output struct {
	Status      int
	Out, Errors string
}

// Call runs a command.
func (run Run) Call(stdin string, args ...string) Output {
	var out, errors bytes.Buffer
	status := run(args, strings.NewReader(stdin), &out, &errors)
	return Output{status, out.String(), errors.String()}
}

// Good runs a command that must end well and returns what it printed on standard output.
func (run Run) Good(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	o := run.Call(stdin, args...)
	if o.Status != 0 {
		t.Fatalf("%q: status %d, want 0; it said %q", args, o.Status, o.Errors)
	}
	return o.Out
}

// Fails runs a command that must fail with one line on standard error that contains text; with status 2 the usage
// follows.
func (run Run) Fails(t *testing.T, status int, text, stdin string, args ...string) {
	t.Helper()
	o := run.Call(stdin, args...)
	line, rest, _ := strings.Cut(o.Errors, "\n")
	if o.Status != status || !strings.Contains(line, text) ||
		strings.Contains(rest, "usage: ") != (status == 2) || status == 1 && rest != "" {
		t.Errorf("%q: status %d, errors %q; want status %d and %q", args, o.Status, o.Errors, status, text)
	}
}

// Full is a writer that has no room left.
type Full struct{}

// ErrFull is what Full returns.
var ErrFull = io.ErrShortWrite

func (Full) Write([]byte) (int, error) { return 0, ErrFull }
