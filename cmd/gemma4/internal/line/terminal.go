package line

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Open takes a terminal over until close is called: keys come as they are pressed, and pastes are marked.
func Open(in, out *os.File) (e *Editor, close func(), err error) {
	restore, err := raw(in, out)
	if err != nil {
		return nil, nil, err
	}
	e = New(in, out, func() (columns, rows int) {
		columns, rows, err := term.GetSize(int(out.Fd()))
		if err != nil || columns <= 0 || rows <= 0 {
			return 80, 24
		}
		return columns, rows
	})
	const marked, unmarked = "\x1b[?2004h", "\x1b[?2004l"
	io.WriteString(out, marked)
	close = func() {
		io.WriteString(out, unmarked)
		restore()
	}
	e.Suspend = func() {
		close()
		stop()
		if again, err := raw(in, out); err == nil {
			restore = again
		}
		io.WriteString(out, marked)
	}
	return e, close, nil
}
