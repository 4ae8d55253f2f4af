// Package jsonstream reads JSON that strangers wrote, piece by piece: no key of an object may appear twice, nothing may be nested without
// bound, and what is not valid UTF-8 is an error instead of a replacement character.
package jsonstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// Bounds on values that are read as a whole, all of a text together: they take far more memory than text. Files about models nest four deep
// and hold some thousands of values beside their long lists.
const (
	maxDepth  = 64
	maxValues = 1 << 20
)

// A Reader reads one JSON text from front to back. Each of its methods reads the next value and fails if it is of another kind.
type Reader struct {
	data   []byte
	d      *json.Decoder
	values int // read as a whole
}

// New returns a reader of data, which must not change while it is read.
func New(data []byte) (*Reader, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("the JSON is not valid UTF-8")
	}
	r := &Reader{data: data, d: json.NewDecoder(bytes.NewReader(data))}
	r.d.UseNumber()
	return r, nil
}

// Object reads an object of at most so many keys; value must read what belongs to the key.
func (r *Reader) Object(most int, value func(key string) error) error {
	if err := r.delimiter('{'); err != nil {
		return err
	}
	return r.object(most, value)
}

// object reads an object behind its brace.
func (r *Reader) object(most int, value func(key string) error) error {
	seen := make(map[string]bool)
	for r.d.More() {
		key, err := r.Text()
		if err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("key %s appears twice", Show(key))
		}
		if len(seen) == most {
			return fmt.Errorf("more than %d keys", most)
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	return r.delimiter('}')
}

// Array reads an array of at most so many elements; element must read one.
func (r *Reader) Array(most int, element func() error) error {
	if err := r.delimiter('['); err != nil {
		return err
	}
	return r.array(most, element)
}

func (r *Reader) array(most int, element func() error) error {
	for n := 0; r.d.More(); n++ {
		if n == most {
			return fmt.Errorf("more than %d elements", most)
		}
		if err := element(); err != nil {
			return err
		}
	}
	return r.delimiter(']')
}

// Text reads a string.
func (r *Reader) Text() (string, error) {
	x, err := r.token()
	if err != nil {
		return "", err
	}
	s, ok := x.(string)
	if !ok {
		return "", fmt.Errorf("%s, expected a string", describe(x))
	}
	return s, nil
}

// Texts reads an array of at most so many strings, or one string without an array.
func (r *Reader) Texts(most int) ([]string, error) {
	x, err := r.token()
	if err != nil {
		return nil, err
	}
	if s, ok := x.(string); ok {
		return []string{s}, nil
	}
	if x != json.Delim('[') {
		return nil, fmt.Errorf("%s, expected a string or an array of strings", describe(x))
	}
	var list []string
	err = r.array(most, func() error {
		s, err := r.Text()
		list = append(list, s)
		return err
	})
	return list, err
}

// Size reads a whole number, 0 or more.
func (r *Reader) Size() (int64, error) {
	x, err := r.token()
	if err != nil {
		return 0, err
	}
	number, _ := x.(json.Number)
	n, err := number.Int64()
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s, expected a whole number, 0 or more", describe(x))
	}
	return n, nil
}

// Value reads any value: nil, a bool, a [json.Number], a string, a []any or a map[string]any.
func (r *Reader) Value() (any, error) { return r.value(maxDepth) }

func (r *Reader) value(depth int) (any, error) {
	x, err := r.token()
	if err != nil {
		return nil, err
	}
	r.values++
	switch {
	case depth == 0:
		return nil, fmt.Errorf("values nested more than %d deep", maxDepth)
	case r.values > maxValues:
		return nil, fmt.Errorf("more than %d values", maxValues)
	case x == json.Delim('{'):
		m := map[string]any{}
		return m, r.object(maxValues, func(key string) (err error) {
			m[key], err = r.value(depth - 1)
			return err
		})
	case x == json.Delim('['):
		list := []any{}
		err := r.array(maxValues, func() error {
			x, err := r.value(depth - 1)
			list = append(list, x)
			return err
		})
		return list, err
	}
	return x, nil
}

// Skip goes over a value without looking at it.
func (r *Reader) Skip() error {
	for depth := 0; ; {
		x, err := r.token()
		if err != nil {
			return err
		}
		switch x {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth <= 0 {
			return nil
		}
	}
}

// End fails unless nothing but white space, or zeros, follows what was read.
func (r *Reader) End() error {
	if rest := bytes.TrimRight(r.data[r.d.InputOffset():], " \t\r\n\x00"); len(rest) > 0 {
		return fmt.Errorf("the JSON goes on behind its end with %.16q", rest)
	}
	return nil
}

func (r *Reader) delimiter(want json.Delim) error {
	x, err := r.token()
	if err == nil && x != want {
		err = fmt.Errorf("%s, expected %v", describe(x), want)
	}
	return err
}

func (r *Reader) token() (json.Token, error) {
	x, err := r.d.Token()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("the JSON breaks off or is wrong at byte %d: %w", r.d.InputOffset(), err)
	}
	return x, nil
}

// describe returns a token for an error text.
func describe(x json.Token) string {
	if s, ok := x.(string); ok {
		return Show(strconv.Quote(s))
	}
	return Show(fmt.Sprint(x))
}

// Show returns a name for an error text: shortened, and quoted where it holds what a terminal should not be sent.
func Show(name string) string {
	if len(name) > 80 {
		name = name[:80] + "…"
	}
	for _, c := range name {
		if !strconv.IsPrint(c) {
			return strconv.Quote(name)
		}
	}
	if name == "" {
		return `""`
	}
	return name
}
