package tensor

import (
	"fmt"
	"math"
	"unsafe"
)

// Tensor is a weight: values of one format, row-major, in the bytes of a file.
type Tensor struct {
	Name   string
	Format Format
	Shape  []int   // slowest dimension first: [rows, cols] for a matrix, [experts, rows, cols] for a stack of them
	Data   []byte  // every row starts at a multiple of Format.RowBytes(cols)
	Scale  float32 // factor of every product with this tensor, 1 unless the file says otherwise
}

// New returns a tensor of the given shape over data. It is an error if the last dimension is no whole number of the
// format's blocks, or if data has not the length that shape and format ask for.
func New(name string, f Format, data []byte, shape ...int) (*Tensor, error) {
	if !f.Valid() {
		return nil, fmt.Errorf("tensor: %s: unknown format %v", name, f)
	}
	if len(shape) == 0 {
		return nil, fmt.Errorf("tensor: %s: no dimensions", name)
	}
	values := 1
	for _, d := range shape {
		if d <= 0 || values > math.MaxInt/8/d {
			return nil, fmt.Errorf("tensor: %s: impossible shape %v", name, shape)
		}
		values *= d
	}
	cols := shape[len(shape)-1]
	if cols%f.BlockLen() != 0 {
		return nil, fmt.Errorf("tensor: %s: rows of %d values are no whole number of %v blocks of %d", name, cols, f, f.BlockLen())
	}
	if want := values / cols * f.RowBytes(cols); len(data) != want {
		return nil, fmt.Errorf("tensor: %s: %d bytes where %v %v needs %d", name, len(data), f, shape, want)
	}
	return &Tensor{Name: name, Format: f, Shape: shape, Data: data, Scale: 1}, nil
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

// Row returns the bytes of row i.
func (t *Tensor) Row(i int) []byte {
	n := t.Format.RowBytes(t.Cols())
	return t.Data[i*n : (i+1)*n : (i+1)*n]
}

// RowRange returns rows from to to-1 as a matrix over the same bytes.
func (t *Tensor) RowRange(from, to int) *Tensor {
	n := t.Format.RowBytes(t.Cols())
	return &Tensor{Name: t.Name, Format: t.Format, Shape: []int{to - from, t.Cols()}, Data: t.Data[from*n : to*n : to*n], Scale: t.Scale}
}

// Float32 decodes the whole tensor, scale included.
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
