package lora

import (
	"fmt"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/tensor"
)

// Factors are the values of a pair as they count, whatever form the file has them in: the tensor [stack, rows, cols] gets s·scale·B·A, for
// each matrix of the stack (of experts; 1 for a matrix).
type Factors struct {
	Stack, Rows, Cols, Rank int

	A []float32 // [stack, rank, cols]
	B []float32 // [stack, rows, rank]
	// FormatA and FormatB are F32, F16 or BF16: the first that holds all values as the file had them.
	FormatA, FormatB tensor.Format
}

// Factors reads and decodes the values of a pair. One that is infinite or NaN is an error.
func (p *Pair) Factors() (*Factors, error) {
	a, err := values(p.A)
	if err != nil {
		return nil, err
	}
	b, err := values(p.B)
	if err != nil {
		return nil, err
	}
	dimsA, dimsB := trim(p.A.Dims), trim(p.B.Dims)
	f := &Factors{Stack: 1, Rank: p.Rank, FormatA: plain(p.A), FormatB: plain(p.B)}
	if p.table {
		f.Rows, f.Cols = dimsA[1], dimsB[1]
		f.A, f.B = transpose(b, f.Cols, f.Rank), a
		f.FormatA, f.FormatB = f.FormatB, f.FormatA
		return f, nil
	}
	if len(dimsA) == 3 {
		f.Stack = dimsA[2]
	}
	f.Rows, f.Cols, f.A, f.B = dimsB[1], dimsA[0], a, b
	return f, nil
}

// Add adds s·B·A to rows from to to-1 of the tensor, those of a stack counted through; dst is [to−from, cols]. The pair's own scale is for
// the caller to have in s.
func (f *Factors) Add(dst []float32, from, to int, s float32) {
	for row := from; row < to; row++ {
		out := dst[(row-from)*f.Cols : (row-from+1)*f.Cols]
		for k, b := range f.B[row*f.Rank : (row+1)*f.Rank] {
			w := s * b
			for i, a := range f.A[(row/f.Rows*f.Rank+k)*f.Cols:][:len(out)] {
				out[i] += w * a
			}
		}
	}
}

// plain returns the plain format that holds the values of a tensor.
func plain(t *gguf.Tensor) tensor.Format {
	if f := tensor.Format(t.Type); f == tensor.F16 || f == tensor.BF16 {
		return f
	}
	return tensor.F32
}

// values reads and decodes a tensor.
func values(t *gguf.Tensor) ([]float32, error) {
	f := tensor.Format(t.Type)
	if t.Size > machine.Addressable()/8 {
		return nil, fmt.Errorf("lora: %.80q has %d bytes, more than this machine can hold decoded", t.Name, t.Size)
	}
	raw := make([]byte, min(t.Size, piece/int64(f.BlockBytes())*int64(f.BlockBytes())))
	x := make([]float32, t.Size/int64(f.BlockBytes())*int64(f.BlockLen()))
	for at, done := int64(0), 0; at < t.Size; at += int64(len(raw)) {
		raw = raw[:min(int64(len(raw)), t.Size-at)]
		if _, err := t.ReadAt(raw, at); err != nil { // Data may lie in a file that is cut short
			return nil, fmt.Errorf("lora: %w", err)
		}
		n := len(raw) / f.BlockBytes() * f.BlockLen()
		f.Decode(x[done:done+n], raw)
		done += n
	}
	for i, v := range x {
		if v-v != 0 {
			return nil, fmt.Errorf("lora: %.80q[%d] is %g, expected a finite number", t.Name, i, v)
		}
	}
	return x, nil
}

// piece is how many bytes are read at a time, about.
const piece = 1 << 20

// transpose returns x [rows, cols] as [cols, rows].
func transpose(x []float32, rows, cols int) []float32 {
	y := make([]float32, len(x))
	for r := range rows {
		for c := range cols {
			y[c*rows+r] = x[r*cols+c]
		}
	}
	return y
}
