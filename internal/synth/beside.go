package synth

import (
	"io"
	"math/rand/v2"
	"strings"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/tensor"
)

// WriteBeside writes an adapter of random numbers to path, in F32, that goes beside all matrices of the layers of a model's file, whatever
// shape that has. It is strong enough that the model says something else with it.
func WriteBeside(path string, f *gguf.File, seed uint64) error {
	const rank = 4
	random := rand.New(rand.NewPCG(seed, 7))
	var tensors []gguf.Source
	add := func(name string, dims ...int) {
		tensors = append(tensors, gguf.Source{Name: name, Type: gguf.F32, Dims: dims, Write: func(w io.Writer) error {
			x := make([]float32, dims[0]*dims[1])
			for i := range x {
				x[i] = 0.25 * float32(random.NormFloat64())
			}
			data := make([]byte, 4*len(x))
			if err := tensor.F32.Encode(data, x); err != nil {
				return err
			}
			_, err := w.Write(data)
			return err
		}})
	}
	for _, t := range f.Tensors {
		if strings.HasPrefix(t.Name, "blk.") && len(t.Dims) == 2 {
			add(t.Name+".lora_a", t.Dims[0], rank)
			add(t.Name+".lora_b", rank, t.Dims[1])
		}
	}
	m, err := Adapter{Rank: rank}.metadata()
	if err != nil {
		return err
	}
	return gguf.WriteFile(path, m, tensors)
}
