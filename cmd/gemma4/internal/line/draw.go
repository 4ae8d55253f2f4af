package line

import (
	"fmt"
	"io"
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// row is what stands in a row of the screen.
type row struct {
	text  []byte
	width int // in columns
}

// lay puts cells into rows, and tells where one of them stands. Rows are ended by hand, because terminals differ in what they do with a
// character that reaches the edge.
func lay(cells []cell, at, columns int) (rows []row, x, y int) {
	rows = []row{{}}
	for i, c := range cells {
		if c.width > columns {
			c.shown = displaywidth.TruncateString(c.shown, columns-1, "")
			c.width = displaywidth.String(c.shown)
		}
		if rows[len(rows)-1].width+c.width > columns {
			rows = append(rows, row{})
		}
		r := &rows[len(rows)-1]
		if i == at {
			x, y = r.width, len(rows)-1
		}
		r.text = append(r.text, c.shown...)
		r.width += c.width
	}
	return rows, x, y
}

// draw shows the line, of a very long one what fits the screen around the cursor.
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
	cells := split(prompt)
	at := len(cells) + e.at
	cells = append(cells, e.line...)
	if e.at == len(e.line) {
		cells = append(cells, cell{width: 1}) // room for the cursor
	}
	rows, x, y := lay(cells, at, columns)
	first := max(0, min(y-height/2, len(rows)-height))
	rows = rows[first:min(first+height, len(rows))]
	y -= first

	var b strings.Builder
	up := func(n int) {
		if n > 0 {
			fmt.Fprintf(&b, "\x1b[%dA", n)
		}
	}
	above := 0 // rows, after a terminal that became narrower has broken them
	for i, width := range e.above {
		above += max(width-1, 0) / columns
		if i+1 < len(e.above) {
			above++
		}
	}
	up(above)
	b.WriteString("\r\x1b[J")
	e.above = e.above[:0]
	for i, r := range rows {
		if i > 0 {
			b.WriteString("\r\n")
		}
		if i < y {
			e.above = append(e.above, r.width)
		}
		b.Write(r.text)
	}
	e.above = append(e.above, x+1)
	b.WriteByte('\r')
	up(len(rows) - 1 - y)
	if x > 0 {
		fmt.Fprintf(&b, "\x1b[%dC", x)
	}
	io.WriteString(e.out, b.String())
}
