package convert

import (
	"fmt"
	"math"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/model"
)

// openGGUF opens a GGUF file with its metadata and tensors as they are.
func openGGUF(path string, p Part) (*Weights, error) {
	f, err := gguf.OpenUnmapped(path)
	if err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	w := &Weights{Metadata: f.Metadata, close: f.Close}
	if arch, _ := f.Metadata.Text("general.architecture"); p == Projector && arch != "clip" {
		f.Close()
		return nil, fmt.Errorf("convert: %s: general.architecture is %.40q, expected \"clip\", a projector: %w", path, arch, ErrNoPart)
	}
	for _, t := range f.Tensors {
		x, err := fromGGUF(path, t)
		if err != nil {
			f.Close()
			return nil, err
		}
		w.Tensors = append(w.Tensors, x)
	}
	return w, nil
}

func fromGGUF(path string, t *gguf.Tensor) (Tensor, error) {
	values, _ := t.Block()
	if values == 0 {
		return Tensor{}, fmt.Errorf("convert: %s: tensor %.80q is of %v, whose rows nobody here can tell apart", path, t.Name, t.Type)
	}
	x := Tensor{Name: t.Name, Dims: t.Dims, Format: model.Format(t), Type: t.Type, Source: path + ": " + t.Name}
	size := int64(x.RowBytes())
	if t.Size/size > math.MaxInt {
		return Tensor{}, fmt.Errorf("convert: %s: tensor %.80q has %d rows, more than this machine can count", path, t.Name, t.Size/size)
	}
	x.Read = func(dst []byte, from, to int) error {
		n, err := t.ReadAt(dst[:int64(to-from)*size], int64(from)*size)
		if int64(n) == int64(to-from)*size {
			err = nil
		}
		return err
	}
	return x, nil
}
