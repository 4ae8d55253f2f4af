package line

import (
	"fmt"
	"io"
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// draw shows the line, of a very long one what fits the screen around the cursor. Rows are ended by hand, because terminals differ in
// what they do with a character that reaches the edge.
func (e *Editor) draw() {
	columns, height := e.size()
	columns, height = max(columns, 10), max(height, 2)
	prompt := e.prompt
	if s := e.search; s != nil {
		prompt = fmt.Sprintf("(history: %s) ", s.query)
		if !s.found {
			prompt = fmt.Sprintf("(not in the history: %s) ", s.query)
		}
	}
	rows := []string{""}
	var row strings.Builder
	x, cursorX, cursorY := 0, 0, 0
	add := func(c cell) {
		if c.width > columns {
			c.shown = displaywidth.TruncateString(c.shown, columns-1, "")
			c.width = displaywidth.String(c.shown)
		}
		if x+c.width > columns {
			rows = append(rows, "")
			row.Reset()
			x = 0
		}
		row.WriteString(c.shown)
		rows[len(rows)-1] = row.String()
		x += c.width
	}
	for _, c := range split(prompt) {
		add(c)
	}
	for i, c := range e.line {
		add(c)
		if i == e.at {
			cursorX, cursorY = x-c.width, len(rows)-1
		}
	}
	if e.at == len(e.line) {
		add(cell{width: 1}) // room for the cursor
		cursorX, cursorY = x-1, len(rows)-1
	}
	first := max(0, min(cursorY-height/2, len(rows)-height))
	rows = rows[first:min(first+height, len(rows))]
	cursorY -= first

	var b strings.Builder
	up := func(n int) {
		if n > 0 {
			fmt.Fprintf(&b, "\x1b[%dA", n)
		}
	}
	up(e.row)
	b.WriteString("\r\x1b[J" + strings.Join(rows, "\r\n") + "\r")
	up(len(rows) - 1 - cursorY)
	if cursorX > 0 {
		fmt.Fprintf(&b, "\x1b[%dC", cursorX)
	}
	io.WriteString(e.out, b.String())
	e.row = cursorY
}
