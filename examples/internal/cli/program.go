package cli

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Exit statuses.
const (
	ok          = 0
	failed      = 1
	wrongFlags  = 2
	interrupted = 128 + 2 // as shells have it: 128 + the number of SIGINT
)

// Program is one example: its flags, and what it reads and writes.
type Program struct {
	*flag.FlagSet
	In  io.Reader
	Out *bufio.Writer // standard output; Run flushes it at the end, a program that streams does it earlier
	Err io.Writer     // standard error

	stdout io.Writer // below Out
	usage  string    // what stands behind the name in the usage line
	about  string
	checks []func() error // of flags that only make sense together

	progress bool // a line of progress stands on standard error
}

// New returns a program without flags. usage is what follows its name, about explains it to people.
func New(name, usage, about string, stdin io.Reader, stdout, stderr io.Writer) *Program {
	p := &Program{
		FlagSet: flag.NewFlagSet(name, flag.ContinueOnError),
		In:      stdin, Out: bufio.NewWriter(stdout), Err: stderr,
		stdout: stdout, usage: usage, about: about,
	}
	p.SetOutput(io.Discard) // Run prints what is wrong
	return p
}

// FlagError is an error in the flags or arguments: it ends the program with the usage line and status 2.
type FlagError struct{ Text string }

func (e FlagError) Error() string { return e.Text }

// Wrong returns a [FlagError].
func Wrong(format string, args ...any) error { return FlagError{fmt.Sprintf(format, args...)} }

// Run parses args, runs body and returns the exit status.
func (p *Program) Run(args []string, body func() error) int {
	err := p.parse(args)
	if errors.Is(err, flag.ErrHelp) {
		p.help()
		err = nil
	} else if err == nil {
		err = body()
	}
	if e := p.Out.Flush(); err == nil {
		err = e
	}
	p.endProgress()
	var wrong FlagError
	switch {
	case err == nil:
		return ok
	case errors.As(err, &wrong):
		fmt.Fprintf(p.Err, "%s: %v\nusage: %s %s\n%s -help lists the flags\n", p.Name(), err, p.Name(), p.usage, p.Name())
		return wrongFlags
	case errors.Is(err, context.Canceled):
		return interrupted
	case errors.Is(err, syscall.EPIPE): // the reader has gone: it has what it wanted
		return failed
	}
	p.Complain(err)
	return failed
}

// Interruptible returns a context that ends at Ctrl-C or SIGTERM; a second one kills. Call stop when the work is done.
func Interruptible() (ctx context.Context, stop func()) {
	ctx, stop = signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// parse reads the flags. It is an error if a flag stands behind an argument, where it would silently be text, unless the
// user separates them by "--".
func (p *Program) parse(args []string) error {
	if err := p.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return Wrong("%v", err)
	}
	for _, arg := range p.Args() {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if strings.HasPrefix(arg, "-") && p.Lookup(name) != nil && !slices.Contains(args, "--") {
			return Wrong("%s stands behind an argument: flags come first", arg)
		}
	}
	for _, check := range p.checks {
		if err := check(); err != nil {
			return Wrong("%v", err)
		}
	}
	return nil
}

func (p *Program) help() {
	fmt.Fprintf(p.Out, "usage: %s %s\n\n%s\n\nflags:\n", p.Name(), p.usage, strings.TrimSpace(p.about))
	p.SetOutput(p.Out)
	p.PrintDefaults()
}

// Count defines a flag for a whole number that is not negative.
func (p *Program) Count(name, usage string) *int {
	n := new(int)
	p.Func(name, usage, func(text string) (err error) {
		*n, err = count(text)
		return err
	})
	return n
}

func count(text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, errors.New("expected a whole number that is not negative")
	}
	return int(n), nil
}

// Input returns the program's text: its arguments joined by spaces or, where there are none, what stands on standard
// input, as it is.
func (p *Program) Input() (string, error) {
	if p.NArg() > 0 {
		return strings.Join(p.Args(), " "), nil
	}
	if IsTerminal(p.In) {
		fmt.Fprintf(p.Err, "%s: reading standard input; Ctrl-D ends it\n", p.Name())
	}
	text, err := io.ReadAll(p.In)
	if err != nil {
		return "", fmt.Errorf("standard input: %w", err)
	}
	return string(text), nil
}

// Complain prints an error on standard error: one line, whatever a file's name or a foreign text in it brings along.
func (p *Program) Complain(err error) {
	text := strings.TrimPrefix(err.Error(), "gemma4: ")
	fmt.Fprintf(p.Err, "%s: %s\n", p.Name(), Printable(strings.ReplaceAll(text, "\n", " ")))
}
