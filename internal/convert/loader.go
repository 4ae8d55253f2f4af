package convert

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/jsonstream"
	"github.com/gogemma/gemma4/internal/safetensors"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// loader takes tensors from a checkpoint by name, in the order in which GGUF is to have them, and keeps the first error.
type loader struct {
	file    *safetensors.File
	taken   map[string]bool // by the checkpoint's names, also what is left out knowingly
	prefix  string          // of both names of a layer's tensors
	own     string
	tensors []Tensor
	err     error
}

// form says how a tensor comes out of the checkpoint's. The zero form takes it as it is.
type form struct {
	floats bool                // as F32, whatever the checkpoint has
	shape  []int               // in the checkpoint, the slowest dimension first; nil: that of GGUF backwards
	per    int                 // rows that one row of the checkpoint makes; 0: one
	row    func(i int) int     // the checkpoint's row that row i of its size is; nil: the same
	change func(row []float32) // changes a row of the checkpoint; nil: as it is
}

// values is the form of what GGUF keeps as F32.
var values = form{floats: true}

// formats are the types that weights may have.
var formats = map[safetensors.Type]tensor.Format{safetensors.F32: tensor.F32, safetensors.F16: tensor.F16, safetensors.BF16: tensor.BF16}

func (l *loader) fail(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf(format, args...)
	}
}

// layer makes the names that follow those of a layer's tensors.
func (l *loader) layer(prefix, own string) { l.prefix, l.own = prefix, own }

// has reports whether the checkpoint has a tensor.
func (l *loader) has(own string) bool { return l.file.Tensor(l.own+own) != nil }

// leave takes tensors that nobody needs.
func (l *loader) leave(own ...string) {
	for _, name := range own {
		l.taken[l.own+name] = true
	}
}

// take adds the tensor that the checkpoint has under the name own. Dimensions are GGUF's, the fastest first.
func (l *loader) take(name, own string, f form, dims ...int) {
	name, own = l.prefix+name, l.own+own
	if f.shape == nil {
		f.shape = slices.Clone(dims)
		slices.Reverse(f.shape)
	}
	t := l.file.Tensor(own)
	if t == nil {
		l.fail("tensor %s is missing, expected the shape %d", own, f.shape)
		return
	}
	l.taken[own] = true
	in, ok := formats[t.Type]
	if !ok {
		l.fail("tensor %s is of %s, expected F32, F16 or BF16: is the checkpoint quantised?", own, string(t.Type))
		return
	}
	if !slices.Equal(squeeze(t.Shape), squeeze(f.shape)) {
		l.fail("tensor %s has the shape %d, expected %d", own, t.Shape, f.shape)
		return
	}
	x := Tensor{Name: name, Dims: dims, Format: in, Type: gguf.Type(in), Source: t.Source + ": " + own}
	if f.floats {
		x.Format, x.Type = tensor.F32, gguf.F32
	}
	x.Read = reader(t, in, &x, f)
	l.tensors = append(l.tensors, x)
}

// given adds a vector of numbers that follow from config.json.
func (l *loader) given(name string, numbers []float32) {
	data := make([]byte, tensor.F32.RowBytes(len(numbers)))
	if err := tensor.F32.Encode(data, numbers); err != nil {
		l.fail("%w", err)
	}
	l.tensors = append(l.tensors, Tensor{Name: name, Dims: []int{len(numbers)}, Format: tensor.F32, Type: gguf.F32, Source: configFile,
		Read: func(dst []byte, from, to int) error {
			copy(dst, data[from*len(data):to*len(data)])
			return nil
		}})
}

// squeeze leaves out the dimensions of one: writers differ in them.
func squeeze(shape []int) []int {
	return slices.DeleteFunc(slices.Clone(shape), func(n int) bool { return n == 1 })
}

// reader returns what reads rows of x from a tensor of the checkpoint, whose format is in.
func reader(t *safetensors.Tensor, in tensor.Format, x *Tensor, f form) func(dst []byte, from, to int) error {
	cols, size, format := x.Dims[0], x.RowBytes(), x.Format
	if in == format && f.row == nil && f.change == nil {
		return func(dst []byte, from, to int) error {
			return fill(t, dst[:(to-from)*size], int64(from)*int64(size))
		}
	}
	per := max(f.per, 1)
	return func(dst []byte, from, to int) error {
		row := make([]float32, per*cols)
		raw := make([]byte, in.RowBytes(len(row)))
		for from < to {
			i := from / per
			if f.row != nil {
				i = f.row(i)
			}
			if err := fill(t, raw, int64(i)*int64(len(raw))); err != nil {
				return err
			}
			in.Decode(row, raw)
			if f.change != nil {
				f.change(row)
			}
			first := from % per
			n := min(per-first, to-from)
			if err := format.Encode(dst[:n*size], row[first*cols:(first+n)*cols]); err != nil {
				return err
			}
			dst, from = dst[n*size:], from+n
		}
		return nil
	}
}

// fill reads all of p.
func fill(t *safetensors.Tensor, p []byte, off int64) error {
	n, err := t.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("convert: %s: tensor %s: %w", t.Source, jsonstream.Show(t.Name), err)
}

// unknown returns the tensors of the checkpoint that were not taken and do not belong to another part, whose names begin as given.
func (l *loader) unknown(others []string) (list []string) {
	for _, t := range l.file.Tensors {
		other := slices.ContainsFunc(others, func(prefix string) bool { return strings.HasPrefix(t.Name, prefix) })
		if !l.taken[t.Name] && !other {
			list = append(list, "tensor "+jsonstream.Show(t.Name))
		}
	}
	return list
}

// unknown returns the error for keys and tensors that are not understood, nil for none.
func unknown(list []string) error {
	const shown = 3
	switch n := len(list); {
	case n == 0:
		return nil
	case n > shown:
		list = append(list[:shown], fmt.Sprintf("and %d more", n-shown))
	}
	return fmt.Errorf("%w: %s", model.ErrUnknown, strings.Join(list, ", "))
}
