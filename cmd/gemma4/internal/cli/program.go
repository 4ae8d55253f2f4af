package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
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
	wrongUsage  = 2
	interrupted = 128 + 2 // as shells have it: 128 + the number of SIGINT
)

// Program is one command: its flags, and what it reads and writes.
type Program struct {
	*flag.FlagSet
	In  io.Reader
	Out *bufio.Writer // standard output; Run flushes it at the end, a program that streams does it earlier
	Err io.Writer     // standard error

	stdout  io.Writer // below Out
	command Command
	groups  []group           // of flags, in the order of the help
	values  map[string]Values // of flags, for completion
	checks  []func() error    // of flags that only make sense together

	sampling *SamplingFlags // may be nil

	progress int // columns of the line of progress that stands on standard error
}

// group is what the help shows under one title: the flags that were not there before it, and are there before the next.
type group struct {
	title  string
	before map[string]bool
}

// New returns a command of a tool, without flags.
func New(tool string, c Command, stdin io.Reader, stdout, stderr io.Writer) *Program {
	p := &Program{
		FlagSet: flag.NewFlagSet(tool+" "+c.Name, flag.ContinueOnError),
		In:      stdin, Out: bufio.NewWriter(stdout), Err: stderr,
		stdout: stdout, command: c, values: map[string]Values{},
	}
	p.SetOutput(io.Discard) // Run prints what is wrong
	return p
}

// Group begins a group of flags: the help shows those that are defined from here on under its title.
func (p *Program) Group(title string) {
	g := group{title: title, before: map[string]bool{}}
	p.VisitAll(func(f *flag.Flag) { g.before[f.Name] = true })
	p.groups = append(p.groups, g)
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
	p.EndStatus()
	var wrong FlagError
	switch {
	case err == nil:
		return ok
	case errors.As(err, &wrong):
		p.Complain(err)
		fmt.Fprintf(p.Err, "usage: %s\n%s -h lists the flags\n", p.synopsis(), p.Name())
		return wrongUsage
	case errors.Is(err, context.Canceled):
		return interrupted
	case errors.Is(err, brokenPipe): // the reader has gone: it has what it wanted
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

// parse reads the flags. It is an error if a flag comes after an argument, where it would silently be text, unless the
// user separates them by "--".
func (p *Program) parse(args []string) error {
	if err := p.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if name, unknown := strings.CutPrefix(fmt.Sprint(err), "flag provided but not defined: -"); unknown {
		var names []string
		p.VisitAll(func(f *flag.Flag) { names = append(names, "-"+f.Name) })
		return Wrong("there is no flag -%s%s", name, meant("-"+name, names))
	} else if err != nil {
		return Wrong("%v", err)
	}
	for _, arg := range p.Args() {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if strings.HasPrefix(arg, "-") && p.Lookup(name) != nil && !slices.Contains(args, "--") {
			return Wrong("%s comes after an argument: flags come first", arg)
		}
	}
	if err := p.check(); err != nil {
		return Wrong("%v", err)
	}
	return nil
}

// Change gives a flag another value, or returns an error and leaves all as it was.
func (p *Program) Change(name, value string) error {
	before := *p.sampling
	err := cmp.Or(p.Set(name, value), p.check())
	if err != nil {
		*p.sampling = before
	}
	return err
}

// check looks at the flags that only make sense together.
func (p *Program) check() error {
	for _, check := range p.checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// synopsis is the name and what stands behind it.
func (p *Program) synopsis() string { return strings.TrimSpace(p.Name() + " " + p.command.Args) }

func (p *Program) help() {
	fmt.Fprintf(p.Out, "usage: %s\n\n%s\n", p.synopsis(), strings.TrimSpace(p.command.About))
	fmt.Fprint(p.Out, "\nexamples:\n")
	for line := range strings.Lines(strings.TrimSpace(p.command.Examples) + "\n") {
		fmt.Fprint(p.Out, "  ", line)
	}
	for i, g := range p.groups {
		fmt.Fprintf(p.Out, "\n%s:\n", g.title)
		flags := flag.NewFlagSet("", flag.ContinueOnError)
		p.VisitAll(func(f *flag.Flag) {
			if !g.before[f.Name] && (i+1 == len(p.groups) || p.groups[i+1].before[f.Name]) {
				flags.Var(f.Value, f.Name, f.Usage)
				flags.Lookup(f.Name).DefValue = f.DefValue
			}
		})
		flags.SetOutput(p.Out)
		flags.PrintDefaults()
	}
}

// Count defines a flag for a whole number that is not negative.
func (p *Program) Count(name, usage string) *int {
	n := new(int)
	p.Func(name, usage, func(text string) error { return setCount(n, text) })
	return n
}

// setCount sets n to a whole number that is not negative, or leaves it as it was.
func setCount(n *int, text string) error {
	x, err := strconv.ParseInt(text, 10, 32)
	switch {
	case errors.Is(err, strconv.ErrRange) && x > 0:
		return fmt.Errorf("expected at most %d", math.MaxInt32)
	case err != nil || x < 0:
		return errors.New("expected a whole number that is not negative")
	}
	*n = int(x)
	return nil
}

// Input returns the program's text: its arguments joined by spaces or, where there are none, what stands on standard
// input, as it is.
func (p *Program) Input() (string, error) {
	if p.NArg() > 0 {
		return strings.Join(p.Args(), " "), nil
	}
	return p.Text()
}

// Text returns what stands on standard input.
func (p *Program) Text() (string, error) {
	if IsTerminal(p.In) {
		fmt.Fprintf(p.Err, "%s: reading standard input; Ctrl-D ends it\n", p.Name())
	}
	text, err := io.ReadAll(p.In)
	if err != nil {
		return "", fmt.Errorf("standard input: %w", err)
	}
	return string(text), nil
}

// ours has the flags for the options that the library's errors advise.
var ours = strings.NewReplacer(
	"AllowUnknown opens", "-allow-unknown opens",
	"ChatOptions.Template can be another", "-template FILE gives another, -raw does without",
	"FreeCalls lets calls break their form", "-free-calls lets calls break their form",
	"(Loader.Projector, or beside the model)", "(-mmproj FILE, or beside the model, as pull -with mmproj puts it)",
	"Loader has a field that names one", "-mmproj, or -draft, names one",
	"unless Overwrite is set", "unless -f is given",
	", or all parts for OpenParts", ": give all parts such names",
)

// Complain prints an error on standard error: one line, whatever a file's name or a foreign text in it brings along. The command's name is
// not said twice.
func (p *Program) Complain(err error) {
	text := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "gemma4: "), "hub: "), p.command.Name+": ")
	p.Note(ours.Replace(text))
}

// Note prints a line on standard error.
func (p *Program) Note(text string) {
	p.EndStatus()
	fmt.Fprintf(p.Err, "%s: %s\n", p.Name(), Printable(strings.ReplaceAll(text, "\n", " ")))
}
