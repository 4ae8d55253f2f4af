package batch

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/gogemma/gemma4/internal/machine"
)

// Output is where answers go, each as a whole line.
type Output struct {
	Answered int   // requests of the input that the file answers already
	Failed   int   // those of them that failed, if failed ones are kept
	Again    int   // lines of failed ones that were taken out
	Foreign  int   // lines that answer no request of the input
	Cut      int64 // bytes of a last line that was incomplete and has been cut off

	name string
	w    io.Writer // a stream, else
	file *os.File
	size int64
	done lineSet
}

// answer is a line of the output.
type answer struct {
	ID       string    `json:"id"`
	CustomID string    `json:"custom_id"`
	Response *response `json:"response"`
	Error    *failure  `json:"error"`
}

// response is what a server said.
type response struct {
	StatusCode int             `json:"status_code"`
	RequestID  string          `json:"request_id"`
	Body       json.RawMessage `json:"body"`
}

// failure says why there is no response.
type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// prefix is what every line begins with that this package writes.
const prefix = `{"id":"batch_req_`

// newAnswer returns an answer to a request, with nothing in it yet.
func newAnswer(r Request) *answer {
	return &answer{ID: fmt.Sprintf("batch_req_%016x%016x", rand.Uint64(), rand.Uint64()), CustomID: r.ID}
}

// failed reports whether there is no good response.
func (a *answer) failed() bool {
	return a.Response == nil || a.Response.StatusCode/100 != 2 || a.Error != nil
}

// Stream returns an Output that is written only.
func Stream(w io.Writer) *Output { return &Output{name: "the output", w: w} }

// Resume opens the file of that name, or makes one. If there are answers in it, these stay, and their requests will not be asked again;
// those of requests that failed are taken out, unless they are to be kept. It is an error if a line is no answer: then the file stays as it
// is, except that the end of a line that this package has begun is cut off. What is no regular file, such as a device, is written only.
func Resume(name string, in *Input, keepFailed bool) (*Output, error) {
	o := &Output{name: name}
	if err := o.open(in, keepFailed); err != nil {
		o.Close()
		return nil, fmt.Errorf("batch: %w", err)
	}
	return o, nil
}

func (o *Output) open(in *Input, keepFailed bool) (err error) {
	if target, err := filepath.EvalSymlinks(o.name); err == nil {
		o.name = target // a link stays one
	}
	info, err := os.Stat(o.name)
	if err == nil && !info.Mode().IsRegular() {
		if o.file, err = os.OpenFile(o.name, os.O_WRONLY, 0); err == nil {
			o.w = o.file
		}
		return err
	}
	if o.file, err = os.OpenFile(o.name, os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		return err
	}
	if info, err = o.file.Stat(); err != nil {
		return err
	}
	if of, err := in.file.Stat(); err == nil && os.SameFile(info, of) {
		return fmt.Errorf("%s is the input, too", o.name)
	}
	if err := o.read(in, keepFailed, info.Mode().Perm()); err != nil {
		return fmt.Errorf("%s: %w", o.name, err)
	}
	return nil
}

// sync puts the file onto the disk: some systems only then say that it is full.
func (o *Output) sync() error {
	if o.w != nil {
		return nil
	}
	if err := machine.Sync(o.file); err != nil {
		return fmt.Errorf("batch: %w", err)
	}
	return nil
}

// Close closes the file.
func (o *Output) Close() error {
	if o.file == nil {
		return nil
	}
	return o.file.Close()
}

// read takes note of the answers that are in the file. If some do not stay, the others are copied to a file that takes its place.
func (o *Output) read(in *Input, keepFailed bool, mode os.FileMode) (err error) {
	var part *os.File
	var w *bufio.Writer
	defer func() {
		if part != nil {
			part.Close()
			os.Remove(part.Name())
		}
	}()
	l := newLines(o.file)
	var last byte = '\n'
	for {
		line, err := l.next()
		if err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		last = line[len(line)-1]
		a, err := parseAnswer(line)
		if err != nil && last != '\n' && begun(line) {
			o.Cut, last = l.end-l.at, '\n'
			l.end = l.at
			break
		} else if err != nil {
			return fmt.Errorf("line %d: %w; is it the output of a batch?", l.n, err)
		}
		n, ours := in.ids[keyOf(a.CustomID)]
		stays := !ours || keepFailed || !a.failed()
		if !stays {
			o.Again++
			if part == nil {
				if part, err = os.OpenFile(o.name+".part", os.O_RDWR|os.O_CREATE|os.O_TRUNC, mode); err != nil {
					return err
				}
				w = bufio.NewWriter(part)
				if _, err := io.Copy(w, io.NewSectionReader(o.file, 0, l.at)); err != nil {
					return err
				}
			}
			continue
		}
		if part != nil {
			w.Write(line)
		}
		switch {
		case !ours:
			o.Foreign++
		case !o.done.has(n):
			o.done.add(n)
			o.Answered++
			if a.failed() {
				o.Failed++
			}
		}
	}
	if part == nil {
		if o.size = l.end; o.Cut > 0 {
			return o.file.Truncate(o.size)
		}
		return o.endLine(last)
	}
	if err := cmp.Or(w.Flush(), part.Sync(), part.Close(), o.file.Close()); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), o.name); err != nil {
		return err
	}
	part = nil
	if o.file, err = os.OpenFile(o.name, os.O_RDWR, 0); err != nil {
		return err
	}
	if o.size, err = o.file.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	return o.endLine(last)
}

// endLine ends the last line of the file.
func (o *Output) endLine(last byte) error {
	if last == '\n' {
		return nil
	}
	n, err := o.file.WriteAt([]byte("\n"), o.size)
	o.size += int64(n)
	return err
}

// parseAnswer reads a line of the output, without what the server said.
func parseAnswer(line []byte) (*answer, error) {
	var a struct {
		CustomID string `json:"custom_id"`
		Response *struct {
			StatusCode int `json:"status_code"`
		} `json:"response"`
		Error *struct{} `json:"error"`
	}
	if err := unmarshal(line, &a); err != nil {
		return nil, err
	}
	if a.CustomID == "" || a.Response == nil && a.Error == nil {
		return nil, errors.New("it has no custom_id with a response or an error")
	}
	out := &answer{CustomID: a.CustomID}
	if a.Response != nil {
		out.Response = &response{StatusCode: a.Response.StatusCode}
	}
	if a.Error != nil {
		out.Error = &failure{}
	}
	return out, nil
}

// begun reports whether a line is the beginning of one that this package writes. A machine that has lost its power may have left zeros
// behind it.
func begun(line []byte) bool {
	line = bytes.TrimRight(line, "\x00")
	n := min(len(line), len(prefix))
	return string(line[:n]) == prefix[:n]
}

// append writes a line, at once.
func (o *Output) append(a *answer) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(a)
	if err == nil && o.w != nil {
		_, err = o.w.Write(b.Bytes())
	} else if err == nil {
		err = o.appendFile(b.Bytes())
	}
	if err != nil {
		return fmt.Errorf("batch: %w", err)
	}
	return nil
}

func (o *Output) appendFile(line []byte) error {
	here, err := o.file.Stat()
	if err != nil {
		return err
	}
	if named, err := os.Stat(o.name); err != nil || !os.SameFile(here, named) || here.Size() != o.size {
		return fmt.Errorf("%s has been changed by another program meanwhile", o.name)
	}
	if _, err := o.file.WriteAt(line, o.size); err != nil {
		o.file.Truncate(o.size) // if not, the next run cuts it off
		return err
	}
	o.size += int64(len(line))
	return nil
}
