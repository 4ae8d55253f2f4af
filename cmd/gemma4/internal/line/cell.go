package line

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/clipperhouse/displaywidth"
)

// cell is what the cursor passes in one step: a character with all its marks, or a long text that was pasted.
type cell struct {
	text  string // what it stands for
	shown string // what stands on the screen
	width int    // of that, in columns
	whole bool   // a pasted text, which stays in one piece
}

// A pasted text that is longer, or has more lines, is shown as a note of its size.
const shownBytes, shownLines = 1000, 10

// split cuts a text into its characters.
func split(text string) []cell {
	var cells []cell
	for g := displaywidth.StringGraphemes(text); g.Next(); {
		c := cell{text: g.Value(), shown: g.Value(), width: g.Width()}
		switch {
		case c.text == "\n":
			c.shown, c.width = "⏎", 1
		case c.text == "\t":
			c.shown, c.width = "    ", 4
		case strings.ContainsFunc(c.text, unicode.IsControl):
			c.shown, c.width = "�", 1
		}
		cells = append(cells, c)
	}
	return cells
}

// note is the cell of a long text.
func note(text string) cell {
	shown := fmt.Sprintf("[%d bytes, %d lines]", len(text), strings.Count(strings.TrimSuffix(text, "\n"), "\n")+1)
	return cell{text, shown, len(shown), true}
}

// text is what the cells stand for.
func text(cells []cell) string {
	var b strings.Builder
	for _, c := range cells {
		b.WriteString(c.text)
	}
	return b.String()
}

// put inserts cells.
func (e *Editor) put(cells ...cell) {
	e.line = slices.Insert(e.line, e.at, cells...)
	e.at += len(cells)
}

// insert inserts a text. What it adds to the character before it, such as an accent, becomes one with it.
func (e *Editor) insert(text string) {
	if e.at > 0 && !e.line[e.at-1].whole && text != "\n" {
		text = e.line[e.at-1].text + text
		e.cut(e.at-1, e.at)
	}
	e.put(split(text)...)
}

// paste inserts a text that was not typed.
func (e *Editor) paste(text string) {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	if len(text) > shownBytes || strings.Count(text, "\n") > shownLines {
		e.put(note(text))
	} else {
		e.insert(text)
	}
}

// cut takes cells away, as far as they are there.
func (e *Editor) cut(from, to int) {
	from, to = max(from, 0), min(to, len(e.line))
	e.line = slices.Delete(slices.Clip(e.line), from, max(from, to))
	e.at = min(from, len(e.line))
}

// kill does so, too, and keeps them.
func (e *Editor) kill(from, to int) {
	if from < to {
		e.killed = slices.Clone(e.line[from:to])
		e.cut(from, to)
	}
}

func (c cell) space() bool { return strings.TrimSpace(c.text) == "" }

// wordLeft returns where the word begins that the cursor is in or behind.
func (e *Editor) wordLeft() int {
	i := e.at
	for i > 0 && e.line[i-1].space() {
		i--
	}
	for i > 0 && !e.line[i-1].space() {
		i--
	}
	return i
}

// wordRight returns where it ends.
func (e *Editor) wordRight() int {
	i := e.at
	for i < len(e.line) && e.line[i].space() {
		i++
	}
	for i < len(e.line) && !e.line[i].space() {
		i++
	}
	return i
}
