package gguf

import (
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/bits"

	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/internal/mmap"
)

// A Tensor is an entry of the table of tensors. Its fields are not to be changed.
type Tensor struct {
	Name string // unique in a file, and in all parts of a split one
	Type Type   // the format of its values
	// Dims is the shape, 1 to 4 dimensions, the fastest first: [n, m] is m rows of n values. All are positive,
	// and the first is a multiple of the type's block where that is known.
	Dims []int
	// Offset is the place of the first byte, counted from the start of the part's file.
	Offset int64
	// Size is the number of bytes; where the type is not known ([Type.Block]) all that lie before the next tensor or the end of the file.
	Size int64
	// Part is the index of the part that holds the bytes, 0 in a file that is not split.
	Part int

	file *File
	part *part
	wide bool // Q2_0 in blocks of wideQ2_0
}

// Block is [Type.Block] of the tensor: Q2_0 comes in blocks of 64 values in 18 bytes or of 128 in 34, which only the tensor's size tells.
func (t *Tensor) Block() (values, bytes int) {
	if t.wide {
		return wideQ2_0[0], wideQ2_0[1]
	}
	return t.Type.Block()
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
	if t.Size > machine.Addressable() {
		return nil, t.wrap(fmt.Errorf("%d bytes, more than this machine can hold at once: read them in pieces", t.Size))
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
	return Source{Name: t.Name, Type: t.Type, Dims: t.Dims, Size: t.Size, Write: func(w io.Writer) error {
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
func (t *Tensor) Advise(a Access) error { return t.advise(0, t.Size, a) }

// ReadAhead asks the operating system to begin reading bytes from to to-1, and does not wait for them; otherwise it is like Advise.
func (t *Tensor) ReadAhead(from, to int64) error {
	if from < 0 || to < from || to > t.Size {
		return t.wrap(fmt.Errorf("bytes %d to %d to be read ahead of %d", from, to, t.Size))
	}
	if from == to {
		return nil
	}
	return t.advise(from, to, WillNeed)
}

// IsPaged reports whether the bytes are mapped from a file: the system may give them up, and read them again when they are touched.
func (t *Tensor) IsPaged() bool { return t.part != nil && t.part.unmap != nil }

func (t *Tensor) advise(from, to int64, a Access) error {
	if err := t.lock(); err != nil {
		return err
	}
	defer t.file.mu.RUnlock()
	if t.part.unmap == nil {
		return nil
	}
	if err := advise(t.part.data, int(t.Offset+from), int(t.Offset+to), a); err != nil {
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

// maxValues bounds a tensor's values likewise.
const maxValues = 1 << 62

// layout checks type and dimensions, and returns the shape as ints and the bytes it takes, 0 if the type is not known.
func layout(t Type, dims []uint64) (shape []int, size int64, err error) {
	if len(dims) < 1 || len(dims) > 4 {
		return nil, 0, fmt.Errorf("%d dimensions, expected 1 to 4", len(dims))
	}
	count := uint64(1)
	for _, d := range dims {
		if d == 0 {
			return nil, 0, fmt.Errorf("dimensions %d, expected none of them 0", dims)
		}
		hi, lo := bits.Mul64(count, d)
		if count = lo; hi != 0 || lo > maxValues || d > math.MaxInt {
			return nil, 0, fmt.Errorf("dimensions %d are more than this machine can count", dims)
		}
		shape = append(shape, int(d))
	}
	values, bytes := t.Block()
	if values == 0 {
		return shape, 0, nil
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

// settle decides what only the room up to the next tensor tells: the size of a type that is not known, and the block of Q2_0, which is the
// wide one where that fills the room and could not be taken for the other.
func (t *Tensor) settle(room, align int64) {
	if t.Size == 0 {
		t.Size = max(1, room) // none is empty: without room it overlaps the next, or its bytes are missing
	}
	if wide := t.wideSize(); wide > 0 && roundUp(wide, align) < t.Size && (room == wide || room == roundUp(wide, align)) {
		t.Size, t.wide = wide, true
	}
}

// wideSize returns the bytes that a Q2_0 tensor takes in wide blocks, 0 if it is none or its rows are no whole number of them.
func (t *Tensor) wideSize() int64 {
	if t.Type != Q2_0 || t.Dims[0]%wideQ2_0[0] != 0 {
		return 0
	}
	values, bytes := Q2_0.Block()
	return t.Size / int64(bytes) * int64(values) / int64(wideQ2_0[0]) * int64(wideQ2_0[1])
}
