package batch

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Input is a file of requests that all make sense.
type Input struct {
	Requests int

	name string
	file *os.File
	temp bool // the file is a copy
	size int64
	ids  map[key]int // the line of each custom_id, until the run begins
}

// key stands for a custom_id: a million of them take about 50 MB, however long they are.
type key [16]byte

func keyOf(id string) key {
	sum := sha256.Sum256([]byte(id))
	return key(sum[:16])
}

// Open checks every line of a file, so that nothing is asked before all of it makes sense; an [InputError] tells what does not. What is no
// regular file, and stdin for the name "-", is read to its end first, into a temporary file.
func Open(name string, stdin io.Reader) (*Input, error) {
	in := &Input{name: name, ids: map[key]int{}}
	if err := in.open(stdin); err != nil {
		in.Close()
		if _, ok := errors.AsType[*InputError](err); ok {
			return nil, err
		}
		return nil, fmt.Errorf("batch: %w", err)
	}
	return in, nil
}

func (in *Input) open(stdin io.Reader) error {
	if in.name == "-" {
		in.name = "standard input"
		return in.copy(stdin)
	}
	f, err := os.Open(in.name)
	if err != nil {
		return err
	}
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() {
		defer f.Close()
		return in.copy(f)
	}
	in.file = f
	return in.check()
}

// copy makes a temporary file of r and checks that.
func (in *Input) copy(r io.Reader) (err error) {
	if in.file, err = os.CreateTemp("", "gemma4-batch-*.jsonl"); err != nil {
		return fmt.Errorf("a temporary copy of %s: %w", in.name, err)
	}
	in.temp = true
	os.Remove(in.file.Name()) // while it is open, where the system can: nothing is left of a program that is killed
	if _, err := io.Copy(in.file, r); err != nil {
		return fmt.Errorf("a temporary copy of %s: %w", in.name, err)
	}
	return in.check()
}

// Close closes the file.
func (in *Input) Close() error {
	if in.file == nil {
		return nil
	}
	err := in.file.Close()
	if in.temp {
		os.Remove(in.file.Name())
	}
	return err
}

// InputError says which lines of a file are no requests.
type InputError struct {
	Name  string
	Lines []LineError // the first ones
	Wrong int         // how many lines there are
}

// LineError says what is wrong with a line.
type LineError struct {
	Line int
	Err  error
}

func (e *InputError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "batch: %s: ", e.Name)
	for i, l := range e.Lines {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "line %d: %v", l.Line, l.Err)
	}
	if n := e.Wrong - len(e.Lines); n > 0 {
		fmt.Fprintf(&b, "; and %d lines more", n)
	}
	return b.String()
}

// check reads all lines.
func (in *Input) check() (err error) {
	if in.size, err = in.file.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	wrong := &InputError{Name: in.name}
	for l := in.lines(); ; {
		line, err := l.next()
		if err == io.EOF {
			break
		} else if err != nil {
			return fmt.Errorf("%s: %w", in.name, err)
		}
		r, err := parse(line)
		id := keyOf(r.ID)
		if first, ok := in.ids[id]; ok && err == nil {
			err = fmt.Errorf("custom_id %q is that of line %d", r.ID, first)
		}
		switch {
		case err == nil:
			in.ids[id] = l.n
			in.Requests++
		case len(wrong.Lines) < 5:
			wrong.Lines = append(wrong.Lines, LineError{l.n, err})
			fallthrough
		default:
			wrong.Wrong++
		}
	}
	switch {
	case wrong.Wrong > 0:
		return wrong
	case in.Requests == 0:
		return fmt.Errorf("%s: there is no request in it", in.name)
	}
	return nil
}

// lines reads what the file had in it when it was opened.
func (in *Input) lines() *lines { return newLines(io.NewSectionReader(in.file, 0, in.size)) }

// each calls f with the requests of lines that are not in done, as long as it returns true.
func (in *Input) each(done lineSet, f func(Request) bool) error {
	for l := in.lines(); ; {
		line, err := l.next()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("batch: %s: %w", in.name, err)
		}
		if done.has(l.n) {
			continue
		}
		r, err := parse(line)
		if err != nil {
			return fmt.Errorf("batch: %s has been changed meanwhile: line %d: %w", in.name, l.n, err)
		}
		r.Body = append([]byte(nil), r.Body...)
		if !f(r) {
			return nil
		}
	}
}

// lineSet is a set of lines, by their numbers.
type lineSet []uint64

func (s lineSet) has(n int) bool { return n/64 < len(s) && s[n/64]>>(n%64)&1 == 1 }

func (s *lineSet) add(n int) {
	for n/64 >= len(*s) {
		*s = append(*s, 0)
	}
	(*s)[n/64] |= 1 << (n % 64)
}
