package synth

import (
	"fmt"
	"math"
	"slices"

	"github.com/gogemma/gemma4/tensor"
)

// A weight is one tensor to be made: normally distributed numbers, unless they are given.
type weight struct {
	name   string
	dims   []int // fastest first
	format tensor.Format
	mean   float64 // of vectors; matrices have mean 0
	spread float64 // standard deviation
	given  []float32
}

// weights lists all tensors of the model.
func (c Config) weights() []weight {
	l := newLister(c.Mix)
	l.scales = c.Scales
	d, p := c.Width, c.PerLayer
	l.table("token_embd", d, c.Vocabulary)
	if p > 0 {
		l.table("per_layer_token_embd", p*c.Layers, c.Vocabulary)
		l.list[len(l.list)-1].spread = 1 / math.Sqrt(float64(p)) // a token's row is scaled by √p
		l.table("per_layer_model_proj", d, p*c.Layers)
		l.list[len(l.list)-1].spread = 1 // what it makes is divided by √width
		l.vector("per_layer_proj_norm.weight", p, 1)
	}
	l.vector("output_norm.weight", d, 1)
	l.given("rope_freqs.weight", c.ropeFreqs()...)
	if c.Head {
		l.table("output", d, c.Vocabulary)
		if f := l.list[len(l.list)-1].format; c.Scales && f == tensor.NVFP4 {
			l.vector("output.scale", 1, 1)
		}
	}
	for i := range c.Layers {
		l.prefix = fmt.Sprintf("blk.%d.", i)
		c.layer(l, i)
	}
	return l.list
}

// layer lists the tensors of layer i.
func (c Config) layer(l *lister, i int) {
	d := c.Width
	head := c.HeadSize
	if c.Sliding[i] {
		head = c.HeadSizeSliding
	}
	q, kv, mlp := at(c.Heads, i)*head, at(c.KVHeads, i)*head, at(c.MLP, i)

	l.vector("attn_norm.weight", d, 1)
	l.matrix("attn_q", d, q)
	l.vector("attn_q_norm.weight", head, 1)
	if i < c.Layers-c.SharedKV || c.IdleKV {
		l.matrix("attn_k", d, kv)
		// Scores are not divided by √head: this gives them a standard deviation of 2.
		l.vector("attn_k_norm.weight", head, 2/math.Sqrt(float64(head)))
		if c.Sliding[i] || !c.KeysAsValues {
			l.matrix("attn_v", d, kv)
		}
	}
	l.matrix("attn_output", q, d)
	l.vector("post_attention_norm.weight", d, 1)

	l.vector("ffn_norm.weight", d, 1)
	l.matrix("ffn_gate", d, mlp)
	l.matrix("ffn_up", d, mlp)
	l.matrix("ffn_down", mlp, d)
	l.vector("post_ffw_norm.weight", d, 1)
	if !slices.Contains(c.Unscaled, i) {
		l.vector("layer_output_scale.weight", 1, 0.9)
	}
	if n := c.Experts; n > 0 {
		// The router's input is divided by √width, which a spread of 1 makes up for.
		l.add(weight{name: "ffn_gate_inp.weight", dims: []int{d, n}, format: tensor.F32, spread: 1})
		l.vector("ffn_gate_inp.scale", d, 1)
		l.vector("pre_ffw_norm_2.weight", d, 1)
		l.vector("post_ffw_norm_1.weight", d, 1)
		l.vector("post_ffw_norm_2.weight", d, 1)
		if c.SplitExperts {
			l.matrix("ffn_gate_exps", d, c.ExpertWidth, n)
			l.matrix("ffn_up_exps", d, c.ExpertWidth, n)
		} else {
			l.matrix("ffn_gate_up_exps", d, 2*c.ExpertWidth, n)
		}
		l.matrix("ffn_down_exps", c.ExpertWidth, d, n)
		if !c.Scales {
			l.vector("ffn_down_exps.scale", n, 1)
		}
	}
	if p := c.PerLayer; p > 0 {
		l.matrix("inp_gate", d, p)
		l.matrix("proj", p, d)
		l.vector("post_norm.weight", d, 1)
	}
}

// A lister collects weights. Names are completed by its prefix.
type lister struct {
	mix    Mix
	scales bool
	prefix string
	list   []weight
}

// newLister returns a lister of matrices in a mix; nil: F32.
func newLister(m Mix) *lister {
	if m == nil {
		m = All(tensor.F32)
	}
	return &lister{mix: m}
}

func (l *lister) add(w weight) {
	w.name = l.prefix + w.name
	l.list = append(l.list, w)
}

// table adds a matrix [n inputs, outputs …] whose outputs have the size of its inputs.
func (l *lister) table(name string, dims ...int) {
	format := fit(l.mix(name), dims[0])
	l.add(weight{name: name + ".weight", dims: dims, format: format, spread: 1 / math.Sqrt(float64(dims[0]))})
}

// matrix adds a layer's matrix and, where wanted, its scale: one number, or one per expert.
func (l *lister) matrix(name string, dims ...int) {
	l.table(name, dims...)
	if l.scales {
		n := 1
		if len(dims) == 3 {
			n = dims[2]
		}
		l.vector(name+".scale", n, 1)
	}
}

// vector adds numbers around a mean, a tenth of it apart.
func (l *lister) vector(name string, n int, mean float64) {
	l.add(weight{name: name, dims: []int{n}, format: tensor.F32, mean: mean, spread: mean / 10})
}

// given adds numbers that are not random.
func (l *lister) given(name string, values ...float32) {
	l.add(weight{name: name, dims: []int{len(values)}, format: tensor.F32, given: values})
}

// values returns the number of values, which check has made sure fits.
func (w weight) values() int64 {
	n := int64(1)
	for _, d := range w.dims {
		n *= int64(d)
	}
	return n
}

// bytes returns the size in the file. The values are whole blocks, since a row is.
func (w weight) bytes() int64 {
	return w.values() / int64(w.format.BlockLen()) * int64(w.format.BlockBytes())
}
