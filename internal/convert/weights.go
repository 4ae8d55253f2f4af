package convert

import (
	"errors"
	"io"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/tensor"
)

// Weights is a model's file as GGUF names things: metadata, and tensors that are read by rows. Nothing of the tensors is in memory.
type Weights struct {
	Metadata *gguf.Metadata
	Tensors  []Tensor // in the order in which they lie in the file, or are to be written

	close func() error
}

// A Tensor is read by rows, by any number of goroutines at once.
type Tensor struct {
	Name string
	Dims []int // fastest first, as in gguf
	// Format is that of the bytes that Read gives: F32, F16, BF16, or a quantised one. It is not valid for the integers of a few GGUF files
	// (Type I32), whose rows are to be taken as they are.
	Format tensor.Format
	Type   gguf.Type // of the same bytes, as GGUF numbers it
	Source string    // file and name there, for errors
	// Read reads rows [from, to) into dst, to−from rows of RowBytes each; the rows of a tensor of more dimensions are counted through.
	Read func(dst []byte, from, to int) error
}

// Rows returns the number of rows, counted through all dimensions but the first.
func (t *Tensor) Rows() int {
	n := 1
	for _, d := range t.Dims[1:] {
		n *= d
	}
	return n
}

// RowBytes returns the bytes of a row: Format.RowBytes(Dims[0]) where the format is valid.
func (t *Tensor) RowBytes() int {
	if t.Format.Valid() {
		return t.Format.RowBytes(t.Dims[0])
	}
	values, bytes := t.Type.Block()
	return t.Dims[0] / values * bytes
}

// Bytes returns the bytes of all rows.
func (t *Tensor) Bytes() int64 { return int64(t.Rows()) * int64(t.RowBytes()) }

// pieceBytes is about how much of a tensor is in memory while it is copied.
const pieceBytes = 1 << 20

// Copy returns what writes the tensor into a GGUF file as it is, for as long as its weights are open.
func (t *Tensor) Copy() gguf.Source {
	return gguf.Source{Name: t.Name, Type: t.Type, Dims: t.Dims, Size: t.Bytes(), Write: func(w io.Writer) error {
		size, rows := t.RowBytes(), t.Rows()
		n := min(max(1, pieceBytes/size), rows)
		piece := make([]byte, n*size)
		for from := 0; from < rows; from += n {
			to := min(from+n, rows)
			part := piece[:(to-from)*size]
			if err := t.Read(part, from, to); err != nil {
				return err
			}
			if _, err := w.Write(part); err != nil {
				return err
			}
		}
		return nil
	}}
}

// Part is what a checkpoint is asked for: one of the two files that GGUF makes of it.
type Part int

// The parts of a checkpoint. A drafter's checkpoint has a text part alone.
const (
	Text      Part = iota // the language model, or the drafter
	Projector             // what makes embeddings of pictures and sounds
)

// ErrNoPart is wrapped by the error for a checkpoint or file without the part that was asked for.
var ErrNoPart = errors.New("there is no such part")

// Open opens the text part of what is at path: a GGUF file, any part of a split one, a .safetensors file,
// model.safetensors.index.json, or a folder of the maker's layout. A GGUF file may be of any kind: model, projector, drafter, adapter.
func Open(path string) (*Weights, error) { return OpenPart(path, Text) }

// OpenPart opens one part of what is at path, as Open does; of GGUF files, [Projector] refuses others than projectors.
func OpenPart(path string, p Part) (*Weights, error) {
	if weights := checkpoint(path); weights != "" {
		return openCheckpoint(weights, p)
	}
	return openGGUF(path, p)
}

// Close gives back what the weights hold; nothing may be read then, or afterwards. A second call does nothing.
func (w *Weights) Close() error { return w.close() }
