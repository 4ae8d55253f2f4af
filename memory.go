package gemma4

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// CacheFormat is how a session keeps keys and values.
type CacheFormat int

const (
	CacheF16 CacheFormat = iota // half precision, the default
	CacheF32                    // as computed, twice the memory
	CacheQ8                     // 8 bits per value and a scale per 32: little more than half of F16
	CacheQ4                     // 4 bits per value and a scale per 32: little more than a quarter of F16
)

var cacheFormats = [...]struct {
	name   string
	format tensor.Format
}{CacheF16: {"f16", tensor.F16}, CacheF32: {"f32", tensor.F32}, CacheQ8: {"q8_0", tensor.Q8_0}, CacheQ4: {"q4_0", tensor.Q4_0}}

func (c CacheFormat) format() (tensor.Format, error) {
	if c < 0 || int(c) >= len(cacheFormats) {
		return 0, fmt.Errorf("gemma4: unknown cache format %d", int(c))
	}
	return cacheFormats[c].format, nil
}

// String returns the name that MarshalText gives, or CacheFormat(9) for an unknown number.
func (c CacheFormat) String() string {
	if c < 0 || int(c) >= len(cacheFormats) {
		return fmt.Sprintf("CacheFormat(%d)", int(c))
	}
	return cacheFormats[c].name
}

// MarshalText returns f16, f32, q8_0 or q4_0. An unknown number is an error.
func (c CacheFormat) MarshalText() ([]byte, error) {
	_, err := c.format()
	return []byte(c.String()), err
}

// UnmarshalText accepts f16, f32, q8_0 and q4_0, so that a CacheFormat can be a flag ([flag.TextVar]).
func (c *CacheFormat) UnmarshalText(text []byte) error {
	for i, f := range cacheFormats {
		if f.name == string(text) {
			*c = CacheFormat(i)
			return nil
		}
	}
	return fmt.Errorf("unknown cache format %q, expected f16, f32, q8_0 or q4_0", text)
}

// Memory is what running a model takes, in bytes.
type Memory struct {
	Weights int64 // the file: mapped, shared with other processes, given up by the system when memory is short; or read when needed
	Cache   int64 // keys and values of one session whose context is full
	// what a session keeps beside that, of positions that its windows have left behind, unless SessionOptions.History says otherwise
	History int64
	// of Weights, those that each token needs: where there is not as much memory left, they are read from disk for each. Of the table of
	// per-layer embeddings, which is nearly half of E2B's file, a token reads one row.
	Resident int64
	Working  int64 // buffers for reading a prompt
}

// Memory returns what the model and one session of the given context length take, before any of it is spent. The cache
// is, for each layer that keeps keys and values, 2 · heads · head size values per position (where one projection gives both,
// 5/8 of that): of every position in global layers, of the window and one chunk of a prompt in sliding ones, in pages of 128 positions.
func (m *Model) Memory(context int, c CacheFormat) (Memory, error) {
	f, err := c.format()
	if err != nil {
		return Memory{}, err
	}
	if context < 1 || context > m.graph.Context {
		return Memory{}, fmt.Errorf("gemma4: a context of %d positions, the model's is %d", context, m.graph.Context)
	}
	need := Memory{
		Weights: m.file.Size(), Cache: m.graph.CacheBytes(context, f, 0), History: historyWindows * m.graph.WindowBytes(f),
		Working: m.graph.PassBytes(min(model.DefaultBatch, context), 1),
	}
	need.Resident = need.Weights
	if t := m.file.Tensor(model.PerLayerTable); t != nil {
		need.Resident -= t.Size
	}
	return need, nil
}

// shares sums up tensors by format.
func shares(tensors []*gguf.Tensor) []FormatShare {
	by := map[tensor.Format]*FormatShare{}
	for _, t := range tensors {
		f := model.Format(t)
		s := by[f]
		if s == nil {
			s = &FormatShare{Format: f}
			by[f] = s
		}
		n := int64(1)
		for _, d := range t.Dims {
			n *= int64(d)
		}
		s.Tensors++
		s.Parameters += n
		s.Bytes += t.Size
	}
	var out []FormatShare
	for _, s := range by {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b FormatShare) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Format, b.Format))
	})
	return out
}
