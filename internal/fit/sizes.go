package fit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// size is one of the published sizes.
type size struct {
	name                string
	layers, every       int // every so many layers one is global
	width, heads        int
	sliding, global     int // heads of keys and values
	mlp, wide           int // width of the MLP, and in layers that keep no keys and values
	window, shared      int
	perLayer            int
	experts, used, each int
	tied                bool // global layers make keys of values
	context             int
}

const (
	vocabulary = 262144
	headDim    = 256 // twice as much in global layers, of which a quarter rotates
)

var sizes = [...]size{
	{"e2b", 35, 5, 1536, 8, 1, 1, 6144, 12288, 512, 20, 256, 0, 0, 0, false, 131072},
	{"e4b", 42, 6, 2560, 8, 2, 2, 10240, 10240, 512, 18, 256, 0, 0, 0, false, 131072},
	{"12b", 48, 6, 3840, 16, 8, 1, 15360, 15360, 1024, 0, 0, 0, 0, 0, true, 262144},
	{"26b", 30, 6, 2816, 16, 8, 2, 2112, 2112, 1024, 0, 0, 128, 8, 704, true, 262144},
	{"31b", 60, 6, 5376, 32, 16, 4, 21504, 21504, 1024, 0, 0, 0, 0, 0, true, 262144},
}

// Sizes returns the names of the published sizes.
func Sizes() (names []string) {
	for _, s := range sizes {
		names = append(names, s.name)
	}
	return names
}

// Size returns the shape of a published size in one of the mixes.
func Size(name, mix string) (*Shape, error) {
	i := slices.IndexFunc(sizes[:], func(s size) bool { return s.name == name })
	if i < 0 {
		return nil, fmt.Errorf("fit: unknown size %q, expected one of %s", name, strings.Join(Sizes(), ", "))
	}
	format, err := parseMix(mix)
	if err != nil {
		return nil, err
	}
	c := sizes[i].config()
	return &Shape{c, tensors(c, format)}, nil
}

// config returns what a file's metadata says.
func (s *size) config() *model.Config {
	c := &model.Config{
		Width: s.width, Context: s.context, Vocabulary: vocabulary, Window: s.window, PerLayer: s.perLayer, Owners: s.layers - s.shared,
		Experts: s.experts, ExpertsUsed: s.used, ExpertWidth: s.each,
	}
	last := map[bool]int{} // layer of each kind that keeps keys and values
	for i := range s.layers {
		l := model.LayerConfig{Sliding: (i+1)%s.every != 0, Heads: s.heads, KVHeads: s.sliding, HeadDim: headDim, MLPWidth: s.mlp}
		if !l.Sliding {
			l.KVHeads, l.HeadDim = s.global, 2*headDim
			if s.tied {
				l.Turned = l.HeadDim / 4
			}
		}
		if i < c.Owners {
			last[l.Sliding] = i
		} else {
			l.MLPWidth = s.wide
		}
		l.Source = last[l.Sliding]
		c.Layers = append(c.Layers, l)
	}
	return c
}

// tensors lists those of a model whose matrices have the formats that are asked for by name, without the layer's. i of n counts matrices of
// that name.
func tensors(c *model.Config, format func(name string, i, n int) tensor.Format) (list []Tensor) {
	counts := map[string]int{}
	prefix := ""
	vector := func(name string, n int) { list = append(list, Tensor{prefix + name, []int{n}, tensor.F32}) }
	matrix := func(name string, dims ...int) {
		list = append(list, Tensor{prefix + name + ".weight", dims, tensor.F32}) // until all are counted
		counts[name]++
	}
	d, p := c.Width, c.PerLayer
	matrix("token_embd", d, c.Vocabulary)
	if p > 0 {
		matrix("per_layer_token_embd", p*len(c.Layers), c.Vocabulary)
		matrix("per_layer_model_proj", d, p*len(c.Layers))
		vector("per_layer_proj_norm.weight", p)
	}
	vector("output_norm.weight", d)
	for i := range c.Layers {
		l := &c.Layers[i]
		prefix = fmt.Sprintf("blk.%d.", i)
		q, kv := l.Heads*l.HeadDim, l.KVHeads*l.HeadDim
		vector("attn_norm.weight", d)
		matrix("attn_q", d, q)
		vector("attn_q_norm.weight", l.HeadDim)
		if i < c.Owners {
			matrix("attn_k", d, kv)
			vector("attn_k_norm.weight", l.HeadDim)
			if l.Turned == 0 {
				matrix("attn_v", d, kv)
			}
		}
		matrix("attn_output", q, d)
		vector("post_attention_norm.weight", d)
		vector("ffn_norm.weight", d)
		matrix("ffn_gate", d, l.MLPWidth)
		matrix("ffn_up", d, l.MLPWidth)
		matrix("ffn_down", l.MLPWidth, d)
		vector("post_ffw_norm.weight", d)
		vector("layer_output_scale.weight", 1)
		if n := c.Experts; n > 0 {
			matrix("ffn_gate_inp", d, n)
			vector("ffn_gate_inp.scale", d)
			vector("pre_ffw_norm_2.weight", d)
			vector("post_ffw_norm_1.weight", d)
			vector("post_ffw_norm_2.weight", d)
			matrix("ffn_gate_up_exps", d, 2*c.ExpertWidth, n)
			matrix("ffn_down_exps", c.ExpertWidth, d, n)
			vector("ffn_down_exps.scale", n)
		}
		if p > 0 {
			matrix("inp_gate", d, p)
			matrix("proj", p, d)
			vector("post_norm.weight", d)
		}
	}
	prefix = ""
	vector("rope_freqs.weight", c.Layers[len(c.Layers)-1].HeadDim/2)
	seen := map[string]int{}
	for i := range list {
		if t := &list[i]; len(t.Dims) > 1 {
			_, name := t.place()
			t.Format = whole(format(name, seen[name], counts[name]), t.Dims[0])
			seen[name]++
		}
	}
	return list
}

// mixes are the usual ones: those in which files circulate.
var mixes = []struct {
	name   string
	format func(name string, i, n int) tensor.Format
}{
	{"q4_0", func(name string, _, _ int) tensor.Format { return least(name, tensor.Q4_0) }},
	{"q4_k_m", func(name string, i, n int) tensor.Format {
		switch name {
		case "attn_v", "ffn_down", "ffn_down_exps":
			if i < n/8 || i >= 7*n/8 || (i-n/8)%3 == 2 {
				return tensor.Q6_K
			}
		}
		return least(name, tensor.Q4_K)
	}},
	{"q8_0", func(name string, _, _ int) tensor.Format { return kept(name, tensor.Q8_0) }},
	{"bf16", func(name string, _, _ int) tensor.Format { return kept(name, tensor.BF16) }},
}

// Mixes returns the names of the usual mixes of formats.
func Mixes() (names []string) {
	for _, m := range mixes {
		names = append(names, m.name)
	}
	return names
}

func parseMix(name string) (func(name string, i, n int) tensor.Format, error) {
	for _, m := range mixes {
		if strings.EqualFold(m.name, name) {
			return m.format, nil
		}
	}
	return nil, fmt.Errorf("fit: unknown mix %q, expected one of %s", name, strings.Join(Mixes(), ", "))
}

// kept returns f, or the format that a matrix has in every mix.
func kept(name string, f tensor.Format) tensor.Format {
	switch name {
	case "ffn_gate_inp":
		return tensor.F32
	case "per_layer_model_proj":
		return tensor.BF16
	}
	return f
}

// least returns the format of a mix below 8 bits: there the tables, one of which is the head as well, have 6.
func least(name string, f tensor.Format) tensor.Format {
	if name == "token_embd" || name == "per_layer_token_embd" {
		return tensor.Q6_K
	}
	return kept(name, f)
}

// whole returns f, or what takes its place where a row of n weights is no whole number of its blocks.
func whole(f tensor.Format, n int) tensor.Format {
	switch {
	case n%f.BlockLen() == 0:
		return f
	case f == tensor.Q4_K:
		return tensor.Q5_0
	}
	return tensor.Q8_0
}
