package jinja

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/gogemma/gemma4/internal/python"
)

// toJSON writes JSON as Python's json.dumps does, with the arguments of the transformers library's filter.
func toJSON(r *run, v value, a []value) (value, error) {
	j := &jsonWriter{buffer: buffer{run: r}, comma: ", ", colon: ": ", ascii: given(a[0]) && truth(a[0]), sorted: truth(a[3])}
	if given(a[1]) && a[1] != nil {
		indent, ok := a[1].(string)
		if !ok {
			n, err := intArgument("tojson", a[1], 0)
			if err != nil {
				return nil, err
			}
			if n > 100 {
				return nil, r.limit("tojson: an indent of %d, more than 100", n)
			}
			indent = strings.Repeat(" ", int(max(n, 0)))
		}
		if len(indent) > 100 {
			return nil, r.limit("tojson: an indent of %d bytes, more than 100", len(indent))
		}
		j.indent, j.pretty, j.comma = indent, true, ","
	}
	if given(a[2]) && a[2] != nil {
		l, ok := a[2].(*list)
		if !ok || len(l.items) != 2 {
			return nil, errors.New("tojson: expected two separators")
		}
		text, err := textArguments("tojson", l.items...)
		if err != nil {
			return nil, err
		}
		j.comma, j.colon = text[0], text[1]
	}
	err := j.value(v, 0)
	return j.String(), err
}

// jsonWriter is the state of toJSON.
type jsonWriter struct {
	buffer
	comma, colon, indent  string
	pretty, ascii, sorted bool
}

func (j *jsonWriter) value(v value, depth int) error {
	if err := j.run.step(); err != nil {
		return err
	}
	if depth > maxDepth {
		return j.run.limit("a value nested deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case nil:
		return j.write("null")
	case bool:
		return j.write(pick(v, "true", "false"))
	case int64:
		return j.write(strconv.FormatInt(v, 10))
	case number:
		return j.write(j.run.marks.markText(string(v)))
	case float64:
		switch {
		case math.IsNaN(v):
			return j.write("NaN")
		case math.IsInf(v, 0):
			return j.write(pick(v > 0, "Infinity", "-Infinity"))
		}
		return j.write(python.FormatFloat(v))
	case string:
		return j.write(j.run.marks.quoteJSON(v, j.ascii))
	case *list:
		if v.view != "" {
			break
		}
		return j.collection("[", "]", len(v.items), depth, func(i int) error { return j.value(v.items[i], depth+1) })
	case *dict:
		at := make([]int, len(v.keys))
		for i := range at {
			at[i] = i
		}
		if j.sorted {
			if err := j.run.work(64 * len(at)); err != nil {
				return err
			}
			var failed error
			slices.SortStableFunc(at, func(a, b int) int {
				order, err := j.run.compare(v.keys[a], v.keys[b], 0)
				failed = cmp.Or(failed, err)
				return order
			})
			if failed != nil {
				return failed
			}
		}
		return j.collection("{", "}", len(at), depth, func(i int) error {
			if err := j.key(v.keys[at[i]]); err != nil {
				return err
			}
			return j.value(v.values[at[i]], depth+1)
		})
	}
	return fmt.Errorf("tojson: %s is no JSON", describe(v))
}

// key writes a key, which is text in JSON whatever it is.
func (j *jsonWriter) key(k value) error {
	quotes := ""
	if _, ok := k.(string); !ok {
		quotes = `"`
	}
	if err := j.write(quotes); err != nil {
		return err
	}
	if err := j.value(k, 0); err != nil {
		return err
	}
	return j.write(quotes + j.colon)
}

func (j *jsonWriter) collection(open, end string, n, depth int, item func(i int) error) error {
	if err := j.write(open); err != nil {
		return err
	}
	line := func(depth int) error {
		if !j.pretty || n == 0 {
			return nil
		}
		return j.write("\n" + strings.Repeat(j.indent, depth))
	}
	for i := range n {
		if i > 0 {
			if err := j.write(j.comma); err != nil {
				return err
			}
		}
		if err := line(depth + 1); err != nil {
			return err
		}
		if err := item(i); err != nil {
			return err
		}
	}
	if err := line(depth); err != nil {
		return err
	}
	return j.write(end)
}

// quoteJSON writes a string as JSON.
func (m *marks) quoteJSON(s string, ascii bool) string {
	escapes := map[rune]string{'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`}
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		p := m.plainRune(c)
		switch escaped, ok := escapes[p]; {
		case ok:
			b.WriteString(escaped)
		case p < ' ', ascii && p == unicode.MaxASCII, ascii && p > unicode.MaxASCII && p <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, p)
		case ascii && p > 0xffff:
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(p-0x10000)>>10, 0xdc00+(p-0x10000)&0x3ff)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
