package quantize

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/convert"
	"github.com/gogemma/gemma4/internal/lora"
)

// merge is what an adapter adds to a tensor.
type merge struct {
	pair  *lora.Pair
	scale []float32 // per matrix of a stack, or [1]: the adapter's strength over what the tensor's product is multiplied with
}

// openAdapters opens adapters and returns what they add to each tensor.
func (p *plan) openAdapters(w *convert.Weights, adapters []Adapter) (map[string][]merge, error) {
	base := map[string]*convert.Tensor{}
	for i := range w.Tensors {
		base[w.Tensors[i].Name] = &w.Tensors[i]
	}
	merges := map[string][]merge{}
	for _, a := range adapters {
		if !(math.Abs(float64(a.Scale)) <= math.MaxFloat32) {
			return nil, fmt.Errorf("%s is to count %g times, expected a finite number", a.Path, a.Scale)
		}
		f, err := gguf.OpenUnmapped(a.Path)
		if err != nil {
			return nil, err
		}
		p.adapters = append(p.adapters, f)
		x, err := lora.Read(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.Path, err)
		}
		if arch, _ := w.Metadata.Text("general.architecture"); x.Architecture != arch {
			return nil, fmt.Errorf("%s is for the architecture %.40q, and the model has %.40q", a.Path, x.Architecture, arch)
		}
		for _, pair := range x.Sorted() {
			t := base[pair.Name]
			if t == nil {
				return nil, fmt.Errorf("%s: the model has no tensor %.80q", a.Path, pair.Name)
			}
			if err := pair.Check(t.Dims); err != nil {
				return nil, fmt.Errorf("%s: %w", a.Path, err)
			}
			scale, err := productScale(base, t)
			if err != nil {
				return nil, err
			}
			for i := range scale {
				scale[i] = a.Scale * pair.Scale / scale[i]
			}
			merges[t.Name] = append(merges[t.Name], merge{pair, scale})
		}
	}
	return merges, nil
}

// productScale returns what the product with a tensor is multiplied with: NAME.scale, one number or one for each matrix of a stack, 1 if
// there is none. An adapter's product comes after it, so that what is merged into the weights is divided by it.
func productScale(base map[string]*convert.Tensor, t *convert.Tensor) ([]float32, error) {
	name := strings.TrimSuffix(t.Name, ".weight")
	s := base[name+".scale"]
	if s == nil && strings.HasSuffix(name, ".ffn_down_exps") {
		s = base[strings.TrimSuffix(name, "down_exps")+"gate_inp.per_expert_scale"]
	}
	if s == nil || strings.HasSuffix(name, ".ffn_gate_inp") { // the router's is of its input
		return []float32{1}, nil
	}
	stack := 1
	if len(t.Dims) > 2 {
		stack = t.Dims[2]
	}
	if n := s.Dims[0]; s.Type != gguf.F32 || s.Rows() != 1 || n != 1 && n != stack {
		return nil, fmt.Errorf("%s is %v of the shape %v, expected F32 and 1 or %d values", s.Name, s.Type, s.Dims, stack)
	}
	raw := make([]byte, s.RowBytes())
	if err := s.Read(raw, 0, 1); err != nil {
		return nil, err
	}
	scale := make([]float32, s.Dims[0])
	for i := range scale {
		scale[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		if x := float64(scale[i]); x == 0 || !(math.Abs(x) <= math.MaxFloat32) {
			return nil, fmt.Errorf("%s is %g, which no adapter can be merged into", s.Name, x)
		}
	}
	return scale, nil
}
