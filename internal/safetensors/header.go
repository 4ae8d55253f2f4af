package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/internal/jsonstream"
)

const (
	// maxHeader is the bound of the format's own reader.
	maxHeader = 100 << 20
	// maxTensors bounds the table: the smallest entries take far less room in a file than in memory. Large models have some thousands.
	maxTensors = 1 << 16
	maxRank    = 8
	// maxName bounds names likewise; GGUF has the same bound.
	maxName = math.MaxUint16
)

// readHeader reads the table of tensors of a file of so many bytes. Their offsets count from the beginning of the file.
func readHeader(r io.ReaderAt, size int64) ([]*Tensor, error) {
	if size < 8 {
		return nil, fmt.Errorf("%d bytes, expected the length of a header: the download is incomplete: %w", size, io.ErrUnexpectedEOF)
	}
	var b [8]byte
	if err := readFull(r, b[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(b[:])
	switch room := uint64(size - 8); {
	case string(b[:4]) == "GGUF":
		return nil, errors.New("is a GGUF file, expected safetensors")
	case n > maxHeader:
		return nil, fmt.Errorf("a header of %d bytes, expected at most %d: is it a safetensors file?", n, maxHeader)
	case n > room:
		return nil, fmt.Errorf("a header of %d bytes, but the file ends %d bytes behind its length: the download is incomplete: %w",
			n, room, io.ErrUnexpectedEOF)
	}
	header := make([]byte, n)
	if err := readFull(r, header, 8); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(header, []byte("{")) {
		return nil, fmt.Errorf("the header begins with %.16q, expected {: is it a safetensors file?", header)
	}
	tensors, err := parse(header)
	if err != nil {
		return nil, err
	}
	return tensors, place(tensors, 8+int64(n), size)
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

// parse reads the header. Offsets count from the data.
func parse(header []byte) ([]*Tensor, error) {
	r, err := jsonstream.New(header)
	if err != nil {
		return nil, fmt.Errorf("the header: %w", err)
	}
	var tensors []*Tensor
	err = r.Object(maxTensors+1, func(name string) error {
		if name == "__metadata__" {
			return r.Object(maxTensors, func(key string) error {
				if _, err := r.Text(); err != nil {
					return fmt.Errorf("__metadata__: %s: %w", jsonstream.Show(key), err)
				}
				return nil
			})
		}
		if name == "" || len(name) > maxName {
			return fmt.Errorf("tensor %d has a name of %d bytes, expected 1 to %d", len(tensors), len(name), maxName)
		}
		t, err := entry(r)
		if err != nil {
			return fmt.Errorf("tensor %s: %w", jsonstream.Show(name), err)
		}
		t.Name = name
		tensors = append(tensors, t)
		return nil
	})
	if err == nil {
		err = r.End() // the format's writers fill the header up with spaces
	}
	return tensors, err
}

// entry reads what the header says of one tensor.
func entry(r *jsonstream.Reader) (*Tensor, error) {
	t := &Tensor{}
	var offsets []int64
	seen := 0
	err := r.Object(3, func(key string) error {
		seen++
		var err error
		switch key {
		case "dtype":
			var s string
			s, err = r.Text()
			t.Type = Type(s)
		case "shape":
			err = r.Array(maxRank, func() error {
				n, err := r.Size()
				if n > math.MaxInt {
					return fmt.Errorf("%d, more than this machine can count", n)
				}
				t.Shape = append(t.Shape, int(n))
				return err
			})
		case "data_offsets":
			err = r.Array(2, func() error {
				n, err := r.Size()
				offsets = append(offsets, n)
				return err
			})
		default:
			return fmt.Errorf("key %s, expected dtype, shape and data_offsets", jsonstream.Show(key))
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", key, err)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case seen < 3:
		return nil, errors.New("one of dtype, shape and data_offsets is missing")
	case t.Type.Size() == 0:
		return nil, fmt.Errorf("dtype %.20q is not known", string(t.Type))
	case len(offsets) != 2 || offsets[0] > offsets[1]:
		return nil, fmt.Errorf("data_offsets %d, expected the begin and, not before it, the end", offsets)
	}
	t.offset, t.Size = offsets[0], offsets[1]-offsets[0]
	want, ok := product(t.Shape, t.Type.Size())
	if !ok || want != t.Size {
		return nil, fmt.Errorf("%d bytes, but the shape %d of %s takes %s", t.Size, t.Shape, t.Type, bytesOf(want, ok))
	}
	return t, nil
}

// product returns the bytes of so many values.
func product(shape []int, size int) (n int64, ok bool) {
	p := uint64(size)
	overflow := false
	for _, d := range shape {
		hi, lo := bits.Mul64(p, uint64(d))
		if d == 0 {
			return 0, true
		}
		overflow = overflow || hi != 0 || lo > math.MaxInt64
		p = lo
	}
	return int64(p), !overflow
}

func bytesOf(n int64, ok bool) string {
	if !ok {
		return "more than a file can have"
	}
	return fmt.Sprint(n)
}

// place checks that the tensors fill the data, which reaches from start to the end of the file, and counts their offsets from the beginning
// of the file. It sorts them by these.
func place(tensors []*Tensor, start, size int64) error {
	slices.SortFunc(tensors, func(a, b *Tensor) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.Size, b.Size), strings.Compare(a.Name, b.Name))
	})
	room := size - start
	next, last := int64(0), ""
	for _, t := range tensors {
		end := t.offset + t.Size
		var err error
		switch {
		case t.offset < next:
			err = fmt.Errorf("overlap those of tensor %s, which end at %d", jsonstream.Show(last), next)
		case end > room:
			err = fmt.Errorf("reach behind its end at %d: %d bytes are missing, the download is incomplete: %w", room, end-room,
				io.ErrUnexpectedEOF)
		case t.offset > next:
			err = fmt.Errorf("leave a hole behind %d", next)
		}
		if err != nil {
			return fmt.Errorf("tensor %s: bytes %d to %d of the data %w", jsonstream.Show(t.Name), t.offset, end, err)
		}
		next, last = end, t.Name
		t.offset += start
	}
	if next != room {
		return fmt.Errorf("the tensors end at byte %d of the data, but the file has %d", next, room)
	}
	return nil
}
