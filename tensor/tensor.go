package tensor

import (
	"fmt"
	"io"
	"math"
	"unsafe"
)

// Tensor is a weight: values of one format, row-major, in the bytes of a file.
type Tensor struct {
	Name   string  // as in the file; errors give it
	Format Format  // of all values
	Shape  []int   // slowest dimension first: [rows, cols] for a matrix, [experts, rows, cols] for a stack of them
	Data   []byte  // every row starts at a multiple of Format.RowBytes(cols); nil where rows are read when they are needed
	Scale  float32 // factor of every product with this tensor, 1 unless the file says otherwise

	// Row is where the first row lies in the file's tensor, of which this may be a part: see [Tensor.RowRange].
	Row int

	r     io.ReaderAt // of the bytes where Data is nil
	first int64       // the first row's place in r
}

// New returns a tensor of the given shape over data. It is an error if the last dimension is no whole number of the
// format's blocks, or if data has not the length that shape and format ask for.
func New(name string, f Format, data []byte, shape ...int) (*Tensor, error) {
	t, err := newTensor(name, f, int64(len(data)), shape)
	if err == nil {
		t.Data = data
	}
	return t, err
}

// NewReader returns a tensor whose bytes stay behind r: its rows are read each time they are needed, from several goroutines. size is
// the length that New checks.
func NewReader(name string, f Format, r io.ReaderAt, size int64, shape ...int) (*Tensor, error) {
	t, err := newTensor(name, f, size, shape)
	if err == nil {
		t.r = r
	}
	return t, err
}

// maxValues bounds a shape, so that its bytes fit an int64.
const maxValues = 1 << 59

func newTensor(name string, f Format, size int64, shape []int) (*Tensor, error) {
	if !f.Valid() {
		return nil, fmt.Errorf("tensor: %s: unknown format %v", name, f)
	}
	if len(shape) == 0 {
		return nil, fmt.Errorf("tensor: %s: no dimensions", name)
	}
	values := int64(1)
	for _, d := range shape {
		if d <= 0 || values > maxValues/int64(d) {
			return nil, fmt.Errorf("tensor: %s: impossible shape %v", name, shape)
		}
		values *= int64(d)
	}
	cols := shape[len(shape)-1]
	if values/int64(cols) > math.MaxInt {
		return nil, fmt.Errorf("tensor: %s: impossible shape %v", name, shape)
	}
	if cols%f.BlockLen() != 0 {
		return nil, fmt.Errorf("tensor: %s: rows of %d values are no whole number of %v blocks of %d", name, cols, f, f.BlockLen())
	}
	if want := values / int64(f.BlockLen()) * int64(f.BlockBytes()); size != want {
		return nil, fmt.Errorf("tensor: %s: %d bytes where %v %v needs %d", name, size, f, shape, want)
	}
	return &Tensor{Name: name, Format: f, Shape: shape, Scale: 1}, nil
}

// Cols returns the length of a row.
func (t *Tensor) Cols() int { return t.Shape[len(t.Shape)-1] }

// Rows returns the number of rows, those of all matrices of a stack together.
func (t *Tensor) Rows() int {
	n := 1
	for _, d := range t.Shape[:len(t.Shape)-1] {
		n *= d
	}
	return n
}

// Bytes returns what the tensor takes.
func (t *Tensor) Bytes() int64 { return int64(t.Rows()) * int64(t.Format.RowBytes(t.Cols())) }

// ReadRows returns the bytes of rows from to to-1: in place where they lie in memory, else read into buf, which must have room for them.
func (t *Tensor) ReadRows(buf []byte, from, to int) ([]byte, error) {
	n := t.Format.RowBytes(t.Cols())
	if t.Data != nil {
		return t.Data[from*n : to*n : to*n], nil
	}
	buf = buf[:(to-from)*n]
	if got, err := t.r.ReadAt(buf, t.first+int64(from)*int64(n)); got < len(buf) {
		return nil, fmt.Errorf("tensor: %s, row %d: %w", t.Name, from, err)
	}
	return buf, nil
}

// readSome returns the bytes of some rows, ascending: in place where they lie together in memory, else in buf.
func (t *Tensor) readSome(buf []byte, rows []int32) ([]byte, error) {
	size := t.Format.RowBytes(t.Cols())
	for i, j := 0, 0; i < len(rows); i = j {
		first := int(rows[i])
		for j = i + 1; j < len(rows) && int(rows[j]) == first+j-i; j++ {
		}
		part := buf[i*size:]
		raw, err := t.ReadRows(part, first, first+j-i)
		if err != nil || j-i == len(rows) {
			return raw, err
		}
		copy(part, raw) // nothing, if it was read
	}
	return buf[:len(rows)*size], nil
}

// Gather returns a matrix of some rows, ascending, in memory of its own.
func (t *Tensor) Gather(rows []int32) (*Tensor, error) {
	size := t.Format.RowBytes(t.Cols())
	if len(rows) > math.MaxInt/size {
		return nil, fmt.Errorf("tensor: %s: %d rows of %d bytes are more than this machine can address", t.Name, len(rows), size)
	}
	data := make([]byte, len(rows)*size)
	raw, err := t.readSome(data, rows)
	if err != nil {
		return nil, err
	}
	copy(data, raw) // nothing, unless they lie together
	some, err := New(t.Name, t.Format, data, len(rows), t.Cols())
	if err == nil {
		some.Scale = t.Scale
	}
	return some, err
}

// RowRange returns rows from to to-1 as a matrix over the same bytes.
func (t *Tensor) RowRange(from, to int) *Tensor {
	n := t.Format.RowBytes(t.Cols())
	part := &Tensor{Name: t.Name, Format: t.Format, Shape: []int{to - from, t.Cols()}, Scale: t.Scale, Row: t.Row + from, r: t.r}
	if t.Data != nil {
		part.Data = t.Data[from*n : to*n : to*n]
	} else {
		part.first = t.first + int64(from)*int64(n)
	}
	return part
}

// Float32 decodes the whole tensor, which must lie in memory, scale included.
func (t *Tensor) Float32() []float32 {
	out := make([]float32, t.Rows()*t.Cols())
	t.Format.Decode(out, t.Data)
	if t.Scale != 1 {
		for i := range out {
			out[i] *= t.Scale
		}
	}
	return out
}

// littleEndian tells whether floats in memory lie as they do in a file.
var littleEndian = func() bool { x := uint16(1); return *(*byte)(unsafe.Pointer(&x)) == 1 }()

// viewFloats views little-endian bytes as float32 values where the machine allows it.
func viewFloats(b []byte) ([]float32, bool) {
	if len(b) == 0 || !littleEndian || uintptr(unsafe.Pointer(unsafe.SliceData(b)))%4 != 0 {
		return nil, false
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4), true
}
