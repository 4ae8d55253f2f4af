package imatrix

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// readOld reads the form that came before GGUF: the number of entries, and of each the length of its name, the name, the number of calls,
// the number of values, and the values, sums over the calls. All numbers are 32 bits wide, little endian. What some writers append, the
// number of chunks and the name of the text, is taken if it is there.
func readOld(file io.Reader) (*Matrix, error) {
	r := &oldReader{r: bufio.NewReader(file), left: maxValues}
	m := &Matrix{Entries: map[string]*Entry{}}
	n := r.count("entries", maxEntries)
	if n == 0 && r.err == nil {
		return nil, errors.New("no entry: expected an importance matrix, GGUF or the older form")
	}
	for i := 0; i < n && r.err == nil; i++ {
		name := r.text("a name")
		calls := r.count("calls", math.MaxInt32)
		values := r.count("values", r.left)
		e := &Entry{Sums: r.floats(values), Counts: []float32{float32(calls)}}
		if r.err == nil {
			r.err = check(name, e.Sums)
		}
		if r.err == nil && (m.Entries[name] != nil || values == 0 || name == "") {
			r.err = fmt.Errorf("%.80q is empty or appears twice", name)
		}
		if r.err != nil {
			return nil, fmt.Errorf("entry %d of %d: %w", i, n, r.err)
		}
		m.Entries[name] = e
	}
	if r.err != nil {
		return nil, r.err
	}
	if _, err := r.r.Peek(1); err == nil {
		m.Chunks = r.count("chunks", math.MaxInt32)
		if _, err := r.r.Peek(1); err == nil {
			m.Datasets = []string{r.text("the name of a text")}
		}
	}
	return m, r.err
}

// oldReader keeps the first error.
type oldReader struct {
	r    *bufio.Reader
	left int // values
	err  error
}

// count reads a number of things.
func (r *oldReader) count(of string, most int) int {
	b := r.bytes(4)
	if r.err != nil {
		return 0
	}
	n := int32(binary.LittleEndian.Uint32(b))
	if n < 0 || int(n) > most {
		r.err = fmt.Errorf("%d %s, expected 0 to %d: is it an importance matrix?", n, of, most)
		return 0
	}
	return int(n)
}

func (r *oldReader) text(of string) string { return string(r.bytes(r.count("bytes of "+of, 1<<16))) }

// floats reads values that may be fewer than the file says: the memory grows with what is there.
func (r *oldReader) floats(n int) []float32 {
	r.left -= n
	var x []float32
	for len(x) < n && r.err == nil {
		x = append(x, decode(r.bytes(4*min(n-len(x), 1<<14)))...)
	}
	return x
}

func (r *oldReader) bytes(n int) []byte {
	if r.err != nil {
		return nil
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r.r, b); err != nil {
		r.err = fmt.Errorf("the file ends too early: %w", io.ErrUnexpectedEOF)
		return nil
	}
	return b
}

// decode returns little-endian floats.
func decode(b []byte) []float32 {
	x := make([]float32, len(b)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return x
}

// encode is the inverse of decode.
func encode(x []float32) []byte {
	b := make([]byte, 0, 4*len(x))
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}
