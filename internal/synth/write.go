package synth

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/tensor"
)

// Shape is what can be written: a [Config], a [Projector], a [Drafter] or an [Adapter].
type Shape interface {
	Size() int64       // bytes of all tensors: the size of the file without metadata and padding; 0 if nothing has this shape
	Parameters() int64 // numbers in them

	check() error
	metadata() (*gguf.Metadata, error)
	weights() []weight // in the order of the file
	seed() uint64
}

// Build returns the file's metadata and tensors, to be changed and written by the caller. The tensors' sources share
// memory: write one at a time.
func Build(s Shape) (*gguf.Metadata, []gguf.Source, error) {
	if err := s.check(); err != nil {
		return nil, nil, err
	}
	m, err := s.metadata()
	if err != nil {
		return nil, nil, err
	}
	pools := make(map[poolKey]*pool)
	var sources []gguf.Source
	for _, w := range s.weights() {
		source := gguf.Source{
			Name: w.name, Type: gguf.Type(w.format), Dims: w.dims,
			Write: func(to io.Writer) error { return w.write(to, s.seed(), pools) },
		}
		if w.format == tensor.Q2_0_128 {
			source.Type, source.Size = gguf.Q2_0, w.bytes()
		}
		sources = append(sources, source)
	}
	return m, sources, nil
}

// Write writes the file to w. It needs a few MB of memory or, with the full vocabulary, a few tens of MB.
func Write(w io.Writer, s Shape) error {
	m, sources, err := Build(s)
	if err != nil {
		return err
	}
	return gguf.Write(w, m, sources)
}

// WriteFile writes the file to path, where it appears once it is complete. If ctx ends before, nothing is left.
func WriteFile(ctx context.Context, path string, s Shape) error {
	m, sources, err := Build(s)
	if err != nil {
		return err
	}
	for i, x := range sources {
		sources[i].Write = func(w io.Writer) error { return x.Write(writer{ctx, w}) }
	}
	return gguf.WriteFile(path, m, sources)
}

// writer writes until its context ends.
type writer struct {
	ctx context.Context
	to  io.Writer
}

func (w writer) Write(p []byte) (int, error) {
	if err := cause.Of(w.ctx); err != nil {
		return 0, err
	}
	return w.to.Write(p)
}

// Bytes returns the file. It panics if nothing has this shape: it is meant for tests.
func Bytes(s Shape) []byte {
	var b bytes.Buffer
	if err := Write(&b, s); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// count sums up what is asked of all tensors, 0 if nothing has this shape.
func count(s Shape, of func(weight) int64) (n int64) {
	if s.check() != nil {
		return 0
	}
	for _, w := range s.weights() {
		n += of(w)
	}
	return n
}

// Size returns the bytes of all tensors: the size of the file without metadata and padding. It is 0 if c is not a model.
func (c Config) Size() int64 { return count(c, weight.bytes) }

// Parameters returns the number of weights, 0 if c is not a model.
func (c Config) Parameters() int64 { return count(c, weight.values) }

func (c Config) seed() uint64 { return c.Seed }

type poolKey struct {
	format tensor.Format
	spread float64
}

// write writes the numbers of one tensor. They depend only on the seed, its name and its shape.
func (w weight) write(to io.Writer, seed uint64, pools map[poolKey]*pool) error {
	h := fnv.New64a()
	io.WriteString(h, w.name)
	random := rand.NewPCG(seed, h.Sum64())
	if w.given != nil || w.mean != 0 {
		b := make([]byte, 0, w.bytes())
		for i := range w.values() {
			var x float32
			if w.given != nil {
				x = w.given[i]
			} else {
				x = float32(w.mean + float64(w.spread*gauss(random)))
			}
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
		_, err := to.Write(b)
		return err
	}
	key := poolKey{w.format, w.spread}
	p := pools[key]
	if p == nil {
		p = newPool(w.format, w.spread, rand.NewPCG(seed, uint64(w.format)<<32^math.Float64bits(w.spread)))
		pools[key] = p
	}
	return p.write(to, w.bytes(), w.dims[0]/w.format.BlockLen(), random)
}

// ropeFreqs returns the factors by which global layers divide their frequencies: the first quarter of the pairs rotates.
func (c Config) ropeFreqs() []float32 {
	factors := make([]float32, c.HeadSize/2)
	for i := range factors {
		factors[i] = 1
		if i >= len(factors)/4 {
			factors[i] = 1e30
		}
	}
	return factors
}

// metadata returns all keys that readers of Gemma 4 files look for.
func (c Config) metadata() (*gguf.Metadata, error) {
	m := new(gguf.Metadata)
	var errs []error
	set := func(key string, v any) { errs = append(errs, m.Set(key, v)) }
	set("general.architecture", "gemma4")
	set("general.name", c.Name)
	set("general.sampling.temp", float32(1))
	set("general.sampling.top_k", int32(64))
	set("general.sampling.top_p", float32(0.95))
	c.setShape(set, "gemma4")
	set("gemma4.final_logit_softcapping", float32(30))
	if c.Experts > 0 {
		set("gemma4.expert_count", uint32(c.Experts))
		set("gemma4.expert_used_count", uint32(c.ExpertsUsed))
		set("gemma4.expert_feed_forward_length", uint32(c.ExpertWidth))
	}
	c.setTokenizer(set)
	return m, errors.Join(errs...)
}

// setShape writes the keys of a graph's shape, below the name of its architecture.
func (c Config) setShape(set func(key string, v any), arch string) {
	number := func(key string, n int) { set(arch+"."+key, uint32(n)) }
	perLayer := func(key string, list []int) {
		if len(list) == 1 {
			number(key, list[0])
			return
		}
		a := make([]int32, len(list))
		for i, n := range list {
			a[i] = int32(n)
		}
		set(arch+"."+key, a)
	}
	number("block_count", c.Layers)
	number("context_length", c.Context)
	number("embedding_length", c.Width)
	perLayer("feed_forward_length", c.MLP)
	perLayer("attention.head_count", c.Heads)
	perLayer("attention.head_count_kv", c.KVHeads)
	number("attention.key_length", c.HeadSize)
	number("attention.value_length", c.HeadSize)
	number("attention.key_length_swa", c.HeadSizeSliding)
	number("attention.value_length_swa", c.HeadSizeSliding)
	number("attention.sliding_window", c.Window)
	set(arch+".attention.sliding_window_pattern", c.Sliding)
	number("attention.shared_kv_layers", c.SharedKV)
	set(arch+".attention.layer_norm_rms_epsilon", float32(1e-6))
	set(arch+".rope.freq_base", float32(1e6))
	set(arch+".rope.freq_base_swa", float32(1e4))
	number("rope.dimension_count", c.HeadSize)
	number("rope.dimension_count_swa", c.HeadSizeSliding)
	number("embedding_length_per_layer_input", c.PerLayer)
}
