package quantize

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/convert"
	"github.com/gogemma/gemma4/tensor"
)

// mix chooses the formats of a model's tensors.
type mix struct {
	t         Type
	rest      tensor.Format  // of most matrices
	tied      bool           // the table of tokens is the head
	layers    int            // of the model; 0: it is none, and all its matrices are alike
	values    map[string]int // matrices of values: which of them it is, in the order of the layers
	grouped   bool           // four query heads or more share a head of values
	eight     bool           // there are eight experts, beside which attention is small
	important bool           // an importance matrix is used
}

// newMix returns the mix of a type for a file with these tensors.
func newMix(t Type, m *gguf.Metadata, tensors []convert.Tensor, important bool) *mix {
	x := &mix{t: t, rest: types[t.index()].rest, tied: true, values: map[string]int{}, important: important}
	if arch, _ := m.Text("general.architecture"); arch != "clip" {
		n, _ := m.Int(arch + ".block_count")
		x.layers = int(min(max(n, 0), 1<<20))
		heads, kv := first(m, arch+".attention.head_count"), first(m, arch+".attention.head_count_kv")
		x.grouped = kv > 0 && heads/kv >= 4
		x.eight = first(m, arch+".expert_count") == 8
	}
	var names []string
	for _, t := range tensors {
		if t.Name == "output.weight" {
			x.tied = false
		}
		if _, kind := split(t.Name); kind == "attn_v" || kind == "attn_qkv" {
			names = append(names, t.Name)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int {
		i, _ := split(a)
		j, _ := split(b)
		return cmp.Compare(i, j)
	})
	for i, name := range names {
		x.values[name] = i
	}
	return x
}

// first returns an integer, or the first of an array, 0 if there is none.
func first(m *gguf.Metadata, key string) int64 {
	if n, err := m.Int(key); err == nil {
		return n
	}
	if list, err := m.Ints(key); err == nil && len(list) > 0 {
		return list[0]
	}
	return 0
}

// split returns the layer of a matrix of a layer and what it is there: 3 and attn_v of blk.3.attn_v.weight; −1 and the name if it is none.
func split(name string) (layer int, kind string) {
	block, ok := strings.CutPrefix(name, "blk.")
	number, kind, _ := strings.Cut(block, ".")
	n, err := strconv.ParseUint(number, 10, 20)
	if !ok || err != nil {
		return -1, name
	}
	return int(n), strings.TrimSuffix(kind, ".weight")
}

// matrix reports whether a tensor is one that is quantised: neither a vector nor what is kept for its effect or its size.
func matrix(name string, dims []int) bool {
	for len(dims) > 0 && dims[len(dims)-1] == 1 {
		dims = dims[:len(dims)-1]
	}
	if len(dims) < 2 || len(dims) > 3 || !strings.HasSuffix(name, ".weight") {
		return false
	}
	for _, kept := range []string{"_norm.weight", "ffn_gate_inp.weight", ".position_embd", ".patch_embd", ".conv_dw.", "a.conv1d."} {
		if strings.Contains(name, kept) {
			return false
		}
	}
	return true
}

// format returns the format of a matrix.
func (x *mix) format(name string, dims []int) tensor.Format {
	f := x.rest
	layer, kind := split(name)
	if !x.t.plain() {
		switch {
		case name == "output.weight", x.tied && table(name):
			if f != tensor.Q8_0 {
				f = tensor.Q6_K
			}
		case x.layers == 0:
		case kind == "attn_v" || kind == "attn_qkv":
			f = x.valueFormat(x.values[name])
		case kind == "attn_k" && x.eight:
			f = tensor.Q8_0
		case kind == "attn_output" && x.eight && slices.Contains([]Type{Q4_K_M, Q4_K_S, IQ4_NL, IQ4_XS}, x.t):
			f = tensor.Q5_K
		case strings.HasPrefix(kind, "ffn_down"):
			f = x.downFormat(layer)
		}
	}
	return fit(f, dims[0])
}

// table reports whether a matrix is looked up by token.
func table(name string) bool {
	return name == "token_embd.weight" || name == "per_layer_token_embd.weight"
}

// valueFormat returns the format of the i-th matrix of values: their errors go to the output unmixed.
func (x *mix) valueFormat(i int) tensor.Format {
	switch {
	case x.eight:
		return tensor.Q8_0
	case (x.t == Q4_K_M || x.t == Q5_K_M) && more(i, len(x.values)):
		return tensor.Q6_K
	case x.t == Q4_K_S && i < 4:
		return tensor.Q5_K
	case (x.t == IQ4_NL || x.t == IQ4_XS) && x.grouped:
		return tensor.Q5_K
	}
	return x.rest
}

// downFormat returns the format of what leads out of the MLP of a layer, or of its experts.
func (x *mix) downFormat(layer int) tensor.Format {
	early := layer < x.layers/8
	switch {
	case (x.t == Q4_K_M || x.t == Q5_K_M) && more(layer, x.layers):
		return tensor.Q6_K
	case x.t == Q4_K_S && early:
		return tensor.Q5_K
	case (x.t == IQ4_NL || x.t == IQ4_XS) && early && !x.important:
		return tensor.Q5_K
	case x.t == Q4_0 && early && x.important:
		return tensor.Q4_1
	case x.t == Q5_0 && early && x.important:
		return tensor.Q5_1
	}
	return x.rest
}

// more reports whether the i-th of n matrices gets more bits: the first and the last eighth, and every third between them.
func more(i, n int) bool { return i < n/8 || i >= 7*n/8 || (i-n/8)%3 == 2 }

// fit returns f, or what takes its place where a row of n values is no whole number of blocks.
func fit(f tensor.Format, n int) tensor.Format {
	if n%f.BlockLen() == 0 {
		return f
	}
	switch f {
	case tensor.Q4_K:
		f = tensor.Q5_0
	case tensor.Q5_K:
		f = tensor.Q5_1
	case tensor.Q6_K:
		f = tensor.Q8_0
	case tensor.IQ4_XS:
		f = tensor.IQ4_NL
	}
	if n%f.BlockLen() == 0 {
		return f
	}
	return tensor.F16
}
