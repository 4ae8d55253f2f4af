package cli

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
	"unicode"
)

// IsTerminal reports whether a stream is a terminal.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull) // a character device, too
	return err != nil || !os.SameFile(info, null)
}

// Terminal reports whether standard output is a terminal.
func (p *Program) Terminal() bool { return IsTerminal(p.stdout) }

// styled reports whether a stream shows ANSI styles. Windows' old console does not.
func styled(stream any) bool {
	return IsTerminal(stream) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" &&
		(runtime.GOOS != "windows" || os.Getenv("WT_SESSION") != "" || os.Getenv("TERM") != "")
}

// Printable replaces what could steer a terminal: a text that a model or a file makes up must not move the cursor.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// Progress returns a function that shows on standard error how far a long work is, or nil if that is no terminal. The line
// disappears when the work is done, or when something else is to be said.
func (p *Program) Progress(verb string) func(done, total int) {
	if !IsTerminal(p.Err) {
		return nil
	}
	var shown time.Time
	return func(done, total int) {
		if done >= total {
			p.endProgress()
		} else if now := time.Now(); now.Sub(shown) > 100*time.Millisecond {
			shown, p.progress = now, true
			fmt.Fprintf(p.Err, "\r%s: %s %d of %d tokens (%d%%) ", p.Name(), verb, done, total, 100*int64(done)/int64(total))
		}
	}
}

// endProgress takes the line of progress away, if there is one.
func (p *Program) endProgress() {
	if p.progress {
		fmt.Fprintf(p.Err, "\r%60s\r", "")
	}
	p.progress = false
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
