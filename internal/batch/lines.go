package batch

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxLine is the most bytes of a line, and of an answer. What is no file of lines ends here.
const MaxLine = 256 << 20

// lines reads a file line by line. Those with nothing in them are left out.
type lines struct {
	r       *bufio.Reader
	n       int   // the number of the line that was read, from 1
	at, end int64 // where it begins, and what follows does
	buffer  []byte
}

func newLines(r io.Reader) *lines { return &lines{r: bufio.NewReaderSize(r, 1<<16)} }

// next returns a line, with its "\n" unless the file ends without. It is valid until the next call. Behind the last the error is io.EOF.
func (l *lines) next() ([]byte, error) {
	for {
		l.buffer = l.buffer[:0]
		l.n, l.at = l.n+1, l.end
		for more := true; more; {
			part, err := l.r.ReadSlice('\n')
			l.buffer = append(l.buffer, part...)
			l.end += int64(len(part))
			more = errors.Is(err, bufio.ErrBufferFull)
			switch {
			case len(l.buffer) > MaxLine:
				return nil, fmt.Errorf("line %d has more than %d MiB", l.n, MaxLine>>20)
			case err != nil && !more && (err != io.EOF || len(l.buffer) == 0):
				return nil, err
			}
		}
		line := l.buffer
		if l.n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff")) // of editors on Windows
		}
		if len(bytes.TrimSpace(line)) > 0 {
			return line, nil
		}
	}
}
