package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
)

const (
	// maxHead bounds metadata and tensor table. Large vocabularies take 16 to 40 MB; the bound keeps a file that claims
	// gigabytes of metadata from taking them, and every length within an int of 32 bits.
	maxHead = 256 << 20

	// maxDepth bounds arrays of arrays. Nobody is known to write them; the format allows them.
	maxDepth = 4

	windowSize = 64 << 10
)

// A cursor reads the head of a part from front to back. It sees the bytes in place where they are in memory, else through a
// window that moves with it.
type cursor struct {
	r      io.ReaderAt // nil where window holds everything
	size   int64       // of the part
	at     int64       // the next byte to read; at most maxHead
	window []byte      // the part's bytes, beginning at from
	from   int64
}

// newCursor reads from data, or where r is not nil from the part that it reads.
func newCursor(data []byte, r *io.SectionReader) *cursor {
	if r != nil {
		return &cursor{r: r, size: r.Size()}
	}
	return &cursor{size: int64(len(data)), window: data[:min(len(data), maxHead)]}
}

// take returns the next n bytes, at most windowSize, valid until the next call.
func (c *cursor) take(n int) ([]byte, error) {
	i := c.at - c.from
	if i+int64(n) > int64(len(c.window)) {
		if err := c.check(uint64(n)); err != nil {
			return nil, err
		}
		if err := c.refill(); err != nil {
			return nil, err
		}
		i = 0
	}
	c.at += int64(n)
	return c.window[i:][:n], nil
}

// refill moves the window to the next byte.
func (c *cursor) refill() error {
	if c.window == nil {
		c.window = make([]byte, windowSize)
	}
	c.window, c.from = c.window[:min(windowSize, c.size-c.at, maxHead-c.at)], c.at
	return readFull(c.r, c.window, c.at)
}

// check returns an error unless the part has n more bytes and the head stays within its bound.
func (c *cursor) check(n uint64) error {
	if left := uint64(c.size - c.at); n > left {
		return fmt.Errorf("%d bytes at offset %d, but the file ends at %d: at least %d bytes are missing, "+
			"the download is incomplete or the file damaged: download it again: %w", n, c.at, c.size, n-left, io.ErrUnexpectedEOF)
	}
	if n > uint64(maxHead-c.at) {
		return fmt.Errorf("%d bytes at offset %d, expected at most %d MB of metadata and tensor table", n, c.at, maxHead>>20)
	}
	return nil
}

// skip goes over n bytes without reading them.
func (c *cursor) skip(n uint64) error {
	if err := c.check(n); err != nil {
		return err
	}
	c.at += int64(n)
	return nil
}

// hop goes over a string that lies in the window, and reports whether it does.
func (c *cursor) hop() bool {
	rest := c.window[min(c.at-c.from, int64(len(c.window))):]
	if len(rest) < 8 {
		return false
	}
	length := binary.LittleEndian.Uint64(rest)
	if length > uint64(len(rest)-8) {
		return false
	}
	c.at += 8 + int64(length)
	return true
}

// since returns a copy of the bytes from the given offset to the cursor.
func (c *cursor) since(start int64) ([]byte, error) {
	b := make([]byte, c.at-start)
	if c.r != nil {
		return b, readFull(c.r, b, start)
	}
	for n := 0; n < len(b); {
		n += piece(b[n:], c.window[start+int64(n):c.at])
	}
	return b, nil
}

// piece copies no more than 64 KB. The memory for a vocabulary sets off the garbage collector, which wants to stop this goroutine. It can
// between two pieces, in a call, but not within a copy, and sends signals every few microseconds until it can: they took longer than all
// that is read here.
//
//go:noinline
func piece(dst, src []byte) int { return copy(dst[:min(len(dst), windowSize)], src) }

func (c *cursor) uint32() (uint32, error) {
	b, err := c.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (c *cursor) uint64() (uint64, error) {
	b, err := c.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// string returns a copy of the next string's bytes.
func (c *cursor) string() ([]byte, error) {
	n, err := c.uint64()
	if err != nil {
		return nil, err
	}
	if err := c.skip(n); err != nil {
		return nil, fmt.Errorf("string of %w", err)
	}
	return c.since(c.at - int64(n))
}

// name returns the next string, checked as a key or a tensor's name.
func (c *cursor) name() (string, error) {
	n, err := c.uint64()
	if err != nil {
		return "", err
	}
	if n > maxName { // before it is read
		return "", fmt.Errorf("name of %d bytes, expected at most %d", n, maxName)
	}
	b, err := c.take(int(n))
	if err != nil {
		return "", fmt.Errorf("name of %w", err)
	}
	name := string(b)
	return name, checkName(name)
}

// value returns a copy of the next value, its type first.
func (c *cursor) value() (value, error) {
	t, err := c.uint32()
	if err != nil {
		return value{}, err
	}
	v := value{kind: ValueType(t)}
	switch v.kind {
	case ValueString:
		v.raw, err = c.string()
	case ValueArray:
		v.array, err = c.arrayCopy()
	default:
		size := v.kind.size()
		if size == 0 {
			return v, fmt.Errorf("%s, expected 0 to %d", v.kind, len(valueTypes)-1)
		}
		var b []byte
		if b, err = c.take(size); err == nil {
			v.raw = append(v.raw, b...)
		}
		if v.kind == ValueBool && err == nil {
			err = checkBools(b)
		}
	}
	return v, err
}

func (c *cursor) arrayCopy() (*Array, error) {
	start := c.at + 12
	elem, n, err := c.array(1)
	if err != nil {
		return nil, err
	}
	raw, err := c.since(start)
	return &Array{elem: elem, n: n, raw: raw}, err
}

// array reads an array's type and count and goes over its elements, each of which it checks. depth is 1 for an array
// that is a value, 2 for its elements, and so on.
func (c *cursor) array(depth int) (elem ValueType, n int, err error) {
	if depth > maxDepth {
		return 0, 0, fmt.Errorf("arrays nested more than %d deep", maxDepth)
	}
	b, err := c.take(12)
	if err != nil {
		return 0, 0, err
	}
	elem = ValueType(binary.LittleEndian.Uint32(b))
	count := binary.LittleEndian.Uint64(b[4:])

	least := elem.size() // bytes of the smallest element
	switch {
	case elem == ValueString:
		least = 8
	case elem == ValueArray:
		least = 12
	case least == 0:
		return 0, 0, fmt.Errorf("array of %s, expected 0 to %d", elem, len(valueTypes)-1)
	}
	total := uint64(math.MaxUint64)
	if hi, lo := bits.Mul64(count, uint64(least)); hi == 0 {
		total = lo
	}
	if err := c.check(total); err != nil {
		return 0, 0, fmt.Errorf("array of %d × %s: at least %w", count, elem, err)
	}

	n = int(count) // at most maxHead
	switch elem {
	case ValueString:
		for i := range n {
			if c.hop() { // vocabularies are long
				continue
			}
			length, err := c.uint64()
			if err == nil {
				err = c.skip(length)
			}
			if err != nil {
				return 0, 0, fmt.Errorf("string %d of %d: %w", i, n, err)
			}
		}
	case ValueArray:
		for i := range n {
			if _, _, err := c.array(depth + 1); err != nil {
				return 0, 0, fmt.Errorf("array %d of %d: %w", i, n, err)
			}
		}
	case ValueBool:
		for left := n; left > 0; {
			b, err := c.take(min(left, windowSize))
			if err == nil {
				err = checkBools(b)
			}
			if err != nil {
				return 0, 0, err
			}
			left -= len(b)
		}
	default:
		c.at += int64(total)
	}
	return elem, n, nil
}

func checkBools(b []byte) error {
	for _, v := range b {
		if v > 1 {
			return fmt.Errorf("bool is %d, expected 0 or 1", v)
		}
	}
	return nil
}

// readFull fills p from offset off.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read %d of %d bytes at offset %d: %w", n, len(p), off, err)
}
