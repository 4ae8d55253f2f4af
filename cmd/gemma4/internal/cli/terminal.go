package cli

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
	"unicode"

	"golang.org/x/term"
)

// IsTerminal reports whether a stream is a terminal.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Terminal reports whether standard output is a terminal.
func (p *Program) Terminal() bool { return IsTerminal(p.stdout) }

// Keyboard returns standard input and the stream that the user sees, if both are terminals that lines can be edited at.
func (p *Program) Keyboard() (in, screen *os.File) {
	if !IsTerminal(p.In) || os.Getenv("TERM") == "dumb" {
		return nil, nil
	}
	for _, stream := range []any{p.Err, p.stdout} {
		if IsTerminal(stream) {
			return p.In.(*os.File), stream.(*os.File)
		}
	}
	return nil, nil
}

// styled reports whether a stream shows ANSI styles. Windows' old console does not.
func styled(stream any) bool {
	return IsTerminal(stream) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" &&
		(runtime.GOOS != "windows" || os.Getenv("WT_SESSION") != "" || os.Getenv("TERM") != "")
}

// Printable replaces what could steer a terminal: a text that a model or a file makes up must not move the cursor.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r': // before a line's end it changes nothing
			return -1
		case unicode.IsControl(r) && r != '\n' && r != '\t':
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// Progress returns a function that shows on standard error how many tokens of a long work are done, or nil if that is no
// terminal. The line disappears when the work is done, or when something else is to be said.
func (p *Program) Progress(verb string) func(done, total int) {
	return progress(p, verb, func(done, total int) string { return fmt.Sprintf("%d of %d tokens", done, total) })
}

// loading does the same with bytes.
func (p *Program) loading() func(done, total int64) {
	return progress(p, "loading", func(done, total int64) string { return Bytes(done) + " of " + Bytes(total) })
}

func progress[T int | int64](p *Program, verb string, text func(done, total T) string) func(done, total T) {
	if !IsTerminal(p.Err) {
		return nil
	}
	var shown time.Time
	return func(done, total T) {
		if done >= total {
			p.EndStatus()
		} else if now := time.Now(); now.Sub(shown) > 100*time.Millisecond {
			shown = now
			p.Status(fmt.Sprintf("%s %s (%d%%)", verb, text(done, total), 100*int64(done)/int64(total)))
		}
	}
}

// Status shows on standard error how far a long work has come, if that is a terminal. The line takes the place of the one before, and
// disappears when something else is to be said.
func (p *Program) Status(text string) {
	if !IsTerminal(p.Err) {
		return
	}
	line := []rune(p.Name() + ": " + Printable(strings.ReplaceAll(text, "\n", " ")))
	if columns, _, err := term.GetSize(int(p.Err.(*os.File).Fd())); err == nil && columns > 2 {
		line = line[:min(len(line), columns-2)] // what wraps cannot be taken back
	}
	fmt.Fprintf(p.Err, "\r%s%*s", string(line), max(0, p.progress-len(line)), "")
	p.progress = len(line)
}

// Partial shows on the terminal that standard output is a line that is not done: what stays, and dimmed what may change, as much of its end
// as fits. It takes the place of the one before; done, it is taken away, for the line that is.
func (p *Program) Partial(text, tentative string, done bool) {
	const begin = "\r\x1b[K"
	if done {
		p.Out.WriteString(begin)
		return
	}
	line, rest := []rune(Printable(strings.ReplaceAll(text, "\n", " "))), []rune(Printable(strings.ReplaceAll(tentative, "\n", " ")))
	if f, ok := p.stdout.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 2 { // wide letters count twice
			most := columns/2 - 1
			rest = rest[max(0, len(rest)-most):]
			line = line[max(0, len(line)+len(rest)-most):]
		}
	}
	p.Out.WriteString(begin + string(line))
	if styled(p.stdout) && len(rest) > 0 {
		p.Out.WriteString(dim + string(rest) + plain)
	} else {
		p.Out.WriteString(string(rest))
	}
	p.Out.Flush()
}

// EndStatus takes the line of Status away, if there is one: before something is printed on standard output, which may be the same terminal.
func (p *Program) EndStatus() {
	if p.progress > 0 {
		fmt.Fprintf(p.Err, "\r%*s\r", p.progress, "")
	}
	p.progress = 0
}

// Bytes writes a number of bytes for people, in powers of 1000.
func Bytes(n int64) string {
	switch x := float64(n); {
	case n >= 100e6:
		return fmt.Sprintf("%.2f GB", x/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", x/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", x/1e3)
	}
	return fmt.Sprintf("%d B", n)
}
