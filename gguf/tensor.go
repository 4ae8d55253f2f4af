package gguf

import (
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/bits"

	"github.com/gogemma/gemma4/internal/mmap"
)

// A Tensor is an entry of the table of tensors. Its fields are not to be changed.
type Tensor struct {
	Name string
	Type Type
	// Dims is the shape, 1 to 4 dimensions, the fastest first: [n, m] is m rows of n values. All are positive,
	// and the first is a multiple of the type's block.
	Dims []int
	// Offset is the place of the first byte, counted from the start of the part's file.
	Offset int64
	// Size is the number of bytes.
	Size int64
	// Part is the index of the part that holds the bytes, 0 in a file that is not split.
	Part int

	file *File
	part *part
}

// Data returns the tensor's bytes. Where the file is mapped or given as bytes they are a piece of that memory: nothing
// is copied, they must not be changed, and touching them after [File.Close] crashes the program. Else each call reads
// them into new memory. The start is aligned to general.alignment in the file, and so in a map; bytes given to
// [OpenBytes] lie as they were given.
func (t *Tensor) Data() ([]byte, error) {
	if err := t.lock(); err != nil {
		return nil, err
	}
	defer t.file.mu.RUnlock()
	if t.Mapped() {
		return t.mapped(), nil
	}
	if t.Size > math.MaxInt {
		return nil, t.wrap(fmt.Errorf("%d bytes, more than this machine can address", t.Size))
	}
	b := make([]byte, t.Size)
	if err := readFull(t.part.r, b, t.Offset); err != nil {
		return nil, t.wrap(err)
	}
	return b, nil
}

// ReadAt reads bytes of the tensor beginning at byte off, as [io.ReaderAt] says: fewer than len(p) come with an error,
// which is [io.EOF] at the tensor's end.
func (t *Tensor) ReadAt(p []byte, off int64) (int, error) {
	if err := t.lock(); err != nil {
		return 0, err
	}
	defer t.file.mu.RUnlock()
	if off < 0 {
		return 0, t.wrap(fmt.Errorf("read at offset %d", off))
	}
	if off >= t.Size {
		return 0, io.EOF
	}
	var end error
	if left := t.Size - off; int64(len(p)) > left {
		p, end = p[:left], io.EOF
	}
	read := func() error { return readFull(t.part.r, p, t.Offset+off) }
	if t.Mapped() {
		read = func() error { copy(p, t.mapped()[off:]); return nil }
	}
	if err := mmap.Guard(read); err != nil {
		return 0, t.wrap(err)
	}
	return len(p), end
}

// Mapped reports whether Data returns memory that belongs to the file, without a copy.
func (t *Tensor) Mapped() bool { return t.part != nil && t.part.r == nil }

// Source returns what writes this tensor into another file, for as long as this one is open.
func (t *Tensor) Source() Source {
	return Source{Name: t.Name, Type: t.Type, Dims: t.Dims, Write: func(w io.Writer) error {
		_, err := io.Copy(w, io.NewSectionReader(t, 0, t.Size))
		return err
	}}
}

// Access is a way in which a tensor's bytes will be touched.
type Access int

// Ways of access, as POSIX names them.
const (
	Normal     Access = iota // the system's usual read-ahead
	Sequential               // front to back, once: read far ahead
	Random                   // single rows here and there: do not read ahead
	WillNeed                 // all of it, soon: begin to read now
)

// Advise tells the operating system how the bytes of a mapped tensor will be touched. It only affects speed, and does
// nothing where the file is not mapped or the system takes no advice (Windows).
func (t *Tensor) Advise(a Access) error {
	if err := t.lock(); err != nil {
		return err
	}
	defer t.file.mu.RUnlock()
	if t.part.unmap == nil {
		return nil
	}
	if err := advise(t.part.data, int(t.Offset), int(t.Offset+t.Size), a); err != nil {
		return t.wrap(fmt.Errorf("advise: %w", err))
	}
	return nil
}

// mapped returns the bytes in place. What lies in memory has offsets that fit an int.
func (t *Tensor) mapped() []byte {
	end := int(t.Offset + t.Size)
	return t.part.data[int(t.Offset):end:end]
}

// lock keeps the file open until file.mu is unlocked.
func (t *Tensor) lock() error {
	if t.file == nil {
		return t.wrap(fs.ErrInvalid)
	}
	t.file.mu.RLock()
	if t.file.closed {
		t.file.mu.RUnlock()
		return t.wrap(fs.ErrClosed)
	}
	return nil
}

// wrap names file and tensor.
func (t *Tensor) wrap(err error) error {
	file := ""
	if t.part != nil {
		file = t.part.name
	}
	return fmt.Errorf("%stensor %s: %w", prefix(file), show(t.Name), err)
}

// maxSize bounds sizes and offsets, so that sums of a few of them do not overflow.
const maxSize = 1 << 60

// layout checks the name, type and dimensions, and returns the shape as ints and the bytes it takes.
func layout(t Type, dims []uint64) (shape []int, size int64, err error) {
	values, bytes := t.Block()
	if values == 0 {
		return nil, 0, fmt.Errorf("%s, expected one that this package knows, such as F16 or Q4_K", t)
	}
	if len(dims) < 1 || len(dims) > 4 {
		return nil, 0, fmt.Errorf("%d dimensions, expected 1 to 4", len(dims))
	}
	count := uint64(1)
	for _, d := range dims {
		if d == 0 {
			return nil, 0, fmt.Errorf("dimensions %d, expected none of them 0", dims)
		}
		hi, lo := bits.Mul64(count, d)
		if count = lo; hi != 0 || d > math.MaxInt {
			return nil, 0, fmt.Errorf("dimensions %d are more than this machine can count", dims)
		}
		shape = append(shape, int(d))
	}
	if dims[0]%uint64(values) != 0 {
		return nil, 0, fmt.Errorf("dimensions %d, expected the first to be a multiple of %d, the block of %s", dims, values, t)
	}
	hi, lo := bits.Mul64(count/uint64(values), uint64(bytes))
	if hi != 0 || lo > maxSize {
		return nil, 0, fmt.Errorf("dimensions %d are more bytes than a file can have", dims)
	}
	return shape, int64(lo), nil
}
