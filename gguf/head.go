package gguf

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// Bounds on the head, over all parts. Large models have about 2000 tensors and 60 keys; the smallest entries take far
// less room in a file than in memory, so that it is their number that has to be bounded.
const (
	maxKeys    = 1 << 16
	maxTensors = 1 << 16
)

const (
	magic            = "GGUF"
	alignmentKey     = "general.alignment"
	defaultAlignment = 32
	maxAlignment     = 1 << 21 // the largest page in common use
)

// readHead reads metadata and tensor table, with at most so many keys and tensors.
func (p *part) readHead(keys, tensors int) error {
	c := newCursor(p.data, p.r)
	if err := p.readStart(c); err != nil {
		return err
	}
	b, err := c.take(16)
	if err != nil {
		return p.errorf("counts of tensors and keys: %w", err)
	}
	tensorCount, keyCount := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	if tensorCount > uint64(tensors) {
		return p.errorf("%d tensors, expected at most %d in all parts", tensorCount, maxTensors)
	}
	if keyCount > uint64(keys) {
		return p.errorf("%d metadata keys, expected at most %d in all parts", keyCount, maxKeys)
	}
	if err := p.readMetadata(c, int(keyCount)); err != nil {
		return err
	}
	if err := p.readTable(c, int(tensorCount)); err != nil {
		return err
	}
	align, err := alignment(p.metadata)
	if err != nil {
		return err
	}
	return p.place(c.at, align)
}

// readStart reads magic and version, and says what a file is that is not a GGUF file.
func (p *part) readStart(c *cursor) error {
	if p.size == 0 {
		return p.errorf("is empty, expected a GGUF file: download it again: %w", io.ErrUnexpectedEOF)
	}
	start, err := c.take(int(min(p.size, 64)))
	if err != nil {
		return p.errorf("%w", err)
	}
	if !bytes.HasPrefix(start, []byte(magic)[:min(len(magic), len(start))]) {
		return p.errorf("is not a GGUF file: it begins with %q%s", start[:min(len(start), 16)], looksLike(start))
	}
	if len(start) < 8 {
		return p.errorf("%d bytes, at least %d bytes are missing: the download is incomplete: resume it or begin again: %w",
			p.size, 24-p.size, io.ErrUnexpectedEOF)
	}
	c.at = 8
	p.version = binary.LittleEndian.Uint32(start[4:])
	switch v := p.version; {
	case v == 2 || v == 3:
		return nil
	case v == 1:
		return p.errorf("GGUF version 1, expected 2 or 3: convert the model again with a newer tool")
	case v&0xffff == 0 && v != 0:
		return p.errorf("is a big-endian GGUF file (version %d), expected a little-endian one", v>>24)
	default:
		return p.errorf("GGUF version %d, expected 2 or 3", v)
	}
}

// looksLike guesses what a file is that is not a GGUF file, from its first bytes.
func looksLike(start []byte) string {
	for _, known := range []struct{ prefix, is string }{
		{"version https://git-lfs", "a pointer to a file in Git LFS: fetch the file itself with git lfs pull"},
		{"<", "a web page, perhaps an error instead of the download"},
		{"{", "JSON, perhaps an error instead of the download"},
		{"PK\x03\x04", "a zip archive or PyTorch model: convert it to GGUF"},
		{"\x1f\x8b", "a gzip archive: unpack it"},
		{"lmgg", "a model from before GGUF: convert the original again"},
		{"fmgg", "a model from before GGUF: convert the original again"},
		{"tjgg", "a model from before GGUF: convert the original again"},
	} {
		if bytes.HasPrefix(bytes.TrimLeft(start, " \t\r\n"), []byte(known.prefix)) {
			return " (" + known.is + ")"
		}
	}
	// The length of the JSON header, 8 bytes, and the header.
	if len(start) > 9 && start[8] == '{' {
		return " (safetensors: convert it to GGUF)"
	}
	return ""
}

func (p *part) readMetadata(c *cursor, n int) error {
	p.metadata = &Metadata{file: p.name}
	for i := range n {
		key, err := c.name()
		if err != nil {
			return p.errorf("metadata key %d of %d: %w", i, n, err)
		}
		if p.metadata.Has(key) {
			return p.errorf("metadata key %s: appears twice", show(key))
		}
		v, err := c.value()
		if err != nil {
			return p.errorf("metadata key %s: %w", show(key), err)
		}
		if v.kind == ValueString && !utf8.Valid(v.raw) {
			return p.errorf("metadata key %s: string is not valid UTF-8", show(key))
		}
		p.metadata.set(key, v)
	}
	return nil
}

// readTable reads the tensors; their offsets count from the data until place moves them.
func (p *part) readTable(c *cursor, n int) error {
	names := make(map[string]bool)
	for i := range n {
		name, err := c.name()
		if err != nil {
			return p.errorf("tensor %d of %d: %w", i, n, err)
		}
		if names[name] {
			return p.errorf("tensor %s: appears twice", show(name))
		}
		names[name] = true
		t, err := c.tensor()
		if err != nil {
			return p.errorf("tensor %s: %w", show(name), err)
		}
		t.Name, t.part = name, p
		p.tensors = append(p.tensors, t)
	}
	return nil
}

// tensor reads an entry of the table behind its name.
func (c *cursor) tensor() (*Tensor, error) {
	rank, err := c.uint32()
	if err != nil {
		return nil, err
	}
	if rank > 4 { // layout refuses 0
		return nil, fmt.Errorf("%d dimensions, expected 1 to 4", rank)
	}
	b, err := c.take(8*int(rank) + 12)
	if err != nil {
		return nil, err
	}
	var dims [4]uint64
	for i := range dims[:rank] {
		dims[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	b = b[8*rank:]
	t := &Tensor{Type: Type(binary.LittleEndian.Uint32(b))}
	if t.Dims, t.Size, err = layout(t.Type, dims[:rank]); err != nil {
		return nil, err
	}
	offset := binary.LittleEndian.Uint64(b[4:])
	if offset > maxSize {
		return nil, fmt.Errorf("offset %d is more than a file can have", offset)
	}
	t.Offset = int64(offset)
	return t, nil
}

// place checks where the tensors lie and counts their offsets from the start of the part instead of from the data,
// which follows the head that ends at headEnd.
func (p *part) place(headEnd, align int64) error {
	start := roundUp(headEnd, align)
	for _, t := range p.tensors {
		if t.Offset%align != 0 {
			return t.wrap(fmt.Errorf("offset %d, expected a multiple of general.alignment, %d", t.Offset, align))
		}
		t.Offset += start
	}
	byOffset := slices.SortedStableFunc(slices.Values(p.tensors), func(a, b *Tensor) int { return cmp.Compare(a.Offset, b.Offset) })
	for i, t := range byOffset {
		end := p.size
		if i+1 < len(byOffset) {
			end = byOffset[i+1].Offset
		}
		t.settle(end-t.Offset, align)
		if i == 0 {
			continue
		}
		if last := byOffset[i-1]; t.Offset < last.Offset+last.Size {
			return t.wrap(fmt.Errorf("bytes %d to %d overlap those of tensor %s, %d to %d",
				t.Offset, t.Offset+t.Size, show(last.Name), last.Offset, last.Offset+last.Size))
		}
	}
	if len(byOffset) > 0 {
		last := byOffset[len(byOffset)-1]
		if end := last.Offset + last.Size; end > p.size {
			return last.wrap(fmt.Errorf("bytes %d to %d, but the file ends at %d: %d bytes are missing, "+
				"the download is incomplete: resume it or begin again: %w", last.Offset, end, p.size, end-p.size, io.ErrUnexpectedEOF))
		}
	}
	return nil
}

// alignment returns the alignment of the tensors' data. The specification wants a multiple of 8; ggml a power of two.
func alignment(m *Metadata) (int64, error) {
	a, err := m.Int(alignmentKey)
	if errors.Is(err, ErrMissing) {
		return defaultAlignment, nil
	}
	if err == nil && (a < 8 || a > maxAlignment || a&(a-1) != 0) {
		err = m.wrap(alignmentKey, fmt.Errorf("value %d, expected a power of two from 8 to %d", a, maxAlignment))
	}
	return a, err
}

func roundUp(n, multiple int64) int64 { return (n + multiple - 1) / multiple * multiple }
