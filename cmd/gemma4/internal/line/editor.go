// Package line edits lines at a terminal: the keys of readline, history with a search, characters of any width, and pastes
// of any length as one text.
//
// Terminals are asked for nothing, since not all answer; they are told to mark what is pasted (bracketed paste). What is typed
// while nobody reads waits for the next Read, and Ctrl-C is known at once.
package line

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
)

// ErrInterrupt is what Read returns after Ctrl-C.
var ErrInterrupt = errors.New("interrupted")

// Editor reads edited lines from one terminal, for one goroutine at a time.
type Editor struct {
	// History is what the arrow keys and Ctrl-R find.
	History *History
	// Complete, if set, returns what the Tab key adds behind a text, which may be nothing; not ok: a tab.
	Complete func(before string) (more string, ok bool)
	// Suspend, if set, stops the program as Ctrl-Z does elsewhere, and returns when it goes on.
	Suspend func()

	out  io.Writer
	size func() (columns, rows int)

	mu      sync.Mutex
	arrived chan struct{} // has an element when input or failed have changed
	input   []byte        // that was not used yet
	failed  error         // of the reader
	cancel  func()        // what Ctrl-C does now, if it is not for Read

	prompt string
	line   []cell
	at     int    // the cell that the cursor is on
	killed []cell // what Ctrl-Y brings back
	entry  int    // of the history that the line shows; its length: none
	draft  []cell // the line that was left for the history
	search *search
	above  []int // widths of the rows that are drawn above the cursor, and of what is before it in its own
}

// New returns an editor of what in delivers. It draws on out, a terminal of the size that size tells each time.
func New(in io.Reader, out io.Writer, size func() (columns, rows int)) *Editor {
	e := &Editor{
		History: &History{},
		out:     out, size: size, arrived: make(chan struct{}, 1),
	}
	go e.listen(in)
	return e
}

// listen collects what is typed.
func (e *Editor) listen(in io.Reader) {
	chunk := make([]byte, 64<<10)
	for {
		n, err := in.Read(chunk)
		e.mu.Lock()
		e.input = append(e.input, chunk[:n]...)
		e.failed = err
		if e.cancel != nil && bytes.IndexByte(chunk[:n], ctrlC) >= 0 {
			e.interrupt()
		}
		e.mu.Unlock()
		select {
		case e.arrived <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// OnInterrupt has Ctrl-C call cancel, and forget what was typed before it, until stop is called. Without it Ctrl-C waits for
// the next Read.
func (e *Editor) OnInterrupt(cancel func()) (stop func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cancel = cancel
	e.interrupt()
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.cancel = nil
	}
}

// interrupt looks for Ctrl-C in the input.
func (e *Editor) interrupt() {
	if i := bytes.LastIndexByte(e.input, ctrlC); i >= 0 {
		e.input = e.input[i+1:]
		e.cancel()
	}
}

// Read shows the prompt and returns the line when Enter is pressed. With [ErrInterrupt] the line is what stood there; at the end of the
// input, or after Ctrl-D on an empty line, the error is io.EOF; when ctx ends it is the context's.
func (e *Editor) Read(ctx context.Context, prompt string) (string, error) {
	e.prompt, e.line, e.at, e.entry, e.search, e.above = prompt, nil, 0, len(e.History.entries), nil, nil
	for pasted := 0; ; { // bytes of a paste whose end has not come
		if err := context.Cause(ctx); err != nil { // what was typed meanwhile is not taken any more
			return e.leave(err)
		}
		e.mu.Lock()
		input, failed := e.input, e.failed
		e.mu.Unlock()
		if pasted > 0 && failed == nil && !bytes.Contains(input[pasted-len(pasteEnd):], []byte(pasteEnd)) {
			pasted = len(input)
			e.wait(ctx)
			continue
		}
		used := 0
		for { // all that is there before it is drawn
			k, n := next(input[used:])
			if n == 0 {
				break
			}
			used += n
			if done, err := e.press(k); done {
				e.use(used)
				return e.leave(err)
			}
		}
		e.use(used)
		if failed != nil && used == len(input) {
			return e.leave(failed)
		}
		if failed != nil { // half a key, and no more to come
			e.use(len(input) - used)
			continue
		}
		if pasted = 0; bytes.HasPrefix(input[used:], []byte(pasteBegin)) {
			pasted = len(input) - used
		}
		e.draw()
		e.wait(ctx)
	}
}

// wait waits for input, or for the end of ctx.
func (e *Editor) wait(ctx context.Context) {
	select {
	case <-e.arrived:
	case <-ctx.Done():
	}
}

// use drops the first n bytes of the input.
func (e *Editor) use(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.input = e.input[n:]
}

// leave returns the line, and the cursor goes below it.
func (e *Editor) leave(err error) (string, error) {
	e.search = nil
	e.at = len(e.line)
	e.draw()
	if err == ErrInterrupt {
		io.WriteString(e.out, "^C")
	}
	io.WriteString(e.out, "\r\n")
	return text(e.line), err
}

// search is a search of the history for what contains a text.
type search struct {
	query string
	found bool
	draft []cell // the line before it
}

// press does what a key says. The line is done when it says so.
func (e *Editor) press(k key) (done bool, err error) {
	if e.search != nil {
		if done := e.seek(k); done {
			return false, nil
		}
	}
	switch k.code {
	case insert:
		if k.text == "\t" {
			e.tab()
			break
		}
		e.insert(k.text)
	case paste:
		e.paste(k.text)
	case enter, ctrlJ:
		return true, nil
	case ctrlC:
		return true, ErrInterrupt
	case ctrlD:
		if len(e.line) == 0 {
			return true, io.EOF
		}
		e.cut(e.at, e.at+1)
	case remove:
		e.cut(e.at, e.at+1)
	case backspace, ctrlH:
		e.cut(e.at-1, e.at)
	case ctrlA:
		e.at = 0
	case ctrlE:
		e.at = len(e.line)
	case ctrlB:
		e.at = max(e.at-1, 0)
	case ctrlF:
		e.at = min(e.at+1, len(e.line))
	case wordLeft:
		e.at = e.wordLeft()
	case wordRight:
		e.at = e.wordRight()
	case ctrlU:
		e.kill(0, e.at)
	case ctrlK:
		e.kill(e.at, len(e.line))
	case ctrlW, killLeft:
		e.kill(e.wordLeft(), e.at)
	case killRight:
		e.kill(e.at, e.wordRight())
	case ctrlY:
		e.put(e.killed...)
	case ctrlP:
		e.show(e.entry - 1)
	case ctrlN:
		e.show(e.entry + 1)
	case ctrlR:
		e.search = &search{draft: e.line, found: true}
		e.draft = slices.Clone(e.line)
		e.entry = len(e.History.entries)
	case ctrlL:
		io.WriteString(e.out, "\x1b[H\x1b[2J")
		e.above = nil
	case ctrlZ:
		if e.Suspend != nil {
			e.Suspend()
			e.above = nil
		}
	}
	return false, nil
}

// seek is press while the history is searched. Keys that have no meaning there end the search and count for the line.
func (e *Editor) seek(k key) (done bool) {
	s := e.search
	from := e.entry + 1
	switch k.code {
	case insert:
		s.query += k.text
	case backspace, ctrlH:
		cells := split(s.query)
		s.query = text(cells[:max(len(cells)-1, 0)])
		from = len(e.History.entries)
	case ctrlR:
		from = e.entry
	case ctrlG, ctrlC:
		e.line, e.at, e.entry, e.search = s.draft, len(s.draft), len(e.History.entries), nil
		return true
	default:
		e.search = nil
		return false
	}
	from = min(from, len(e.History.entries))
	s.found = s.query == ""
	for i := from - 1; i >= 0 && !s.found; i-- {
		if strings.Contains(e.History.entries[i], s.query) {
			e.entry, s.found = i, true
			e.line, e.at = nil, 0
			e.paste(e.History.entries[i])
		}
	}
	return true
}

// show takes an entry of the history for the line, or the draft that stands behind them.
func (e *Editor) show(entry int) {
	last := len(e.History.entries)
	if entry < 0 || entry > last {
		return
	}
	if e.entry == last {
		e.draft = e.line
	}
	e.line, e.at, e.entry = nil, 0, entry
	if entry == last {
		e.put(e.draft...)
	} else {
		e.paste(e.History.entries[entry])
	}
}
