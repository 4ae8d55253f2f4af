package fit

import (
	"fmt"
	"strings"

	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// Rates are what a machine does with the kernels of one level, per second.
type Rates struct {
	Level   string
	Threads int
	model.Roofline

	Products  map[Product]float64   // multiply-adds
	Attention map[Attention]float64 // multiply-adds
	GELU      float64               // values
	Norm      float64               // values of vectors that are normed and added
	Region    float64               // seconds that it takes to hand a region of the graph to all threads, and to wait for the last
}

// Product is a kind of products: those that a region of the graph computes, of so many tokens.
type Product struct {
	Matrices [3]Matrix // as many as there are
	Tokens   int
	Prompt   bool // in the arithmetic of prompts
}

// Matrix is one or more matrices of a format.
type Matrix struct {
	Format            tensor.Format
	Rows, Cols, Count int
}

// weights returns how many there are.
func (p *Product) weights() (n float64) {
	for _, m := range p.Matrices {
		n += float64(m.Rows) * float64(m.Cols) * float64(m.Count)
	}
	return n
}

// Attention is a kind of attention.
type Attention struct {
	Cache                   tensor.Format
	HeadDim, Heads, KVHeads int
	Tied                    bool // keys are made of values
	Prompt                  bool // of positions of a prompt
}

// Work is what a step of some tokens takes.
type Work struct {
	Products  map[Product]float64   // multiply-adds
	Attention map[Attention]float64 // multiply-adds
	GELU      float64               // values
	Norm      float64               // values of vectors that are normed and added
	Regions   float64               // of the graph, that all threads share
}

// seconds returns what the work takes.
func (r *Rates) seconds(w *Work) float64 {
	sum := w.Regions * r.Region
	for p, n := range w.Products {
		sum += n / r.Products[p]
	}
	for a, n := range w.Attention {
		sum += n / r.Attention[a]
	}
	return sum + w.GELU/r.GELU + w.Norm/r.Norm
}

// Decode returns how many tokens per second are written behind that many positions.
func (r *Rates) Decode(s *Shape, depth int, cache tensor.Format) float64 {
	return 1 / r.seconds(s.DecodeWork(depth, cache))
}

// Prompt returns how many tokens per second are read of a prompt of that length, behind so many positions.
func (r *Rates) Prompt(s *Shape, tokens, depth int, cache tensor.Format) float64 {
	return float64(tokens) / r.seconds(s.PromptWork(tokens, depth, cache))
}

func newWork() *Work {
	return &Work{Products: map[Product]float64{}, Attention: map[Attention]float64{}}
}

// Regions of the graph of a layer, and more of one with experts and with per-layer embeddings, of those that all threads share.
const (
	layerRegions    = 12
	expertRegions   = 4
	perLayerRegions = 5
)

// DecodeWork returns what a token takes behind so many positions.
func (s *Shape) DecodeWork(depth int, cache tensor.Format) *Work {
	w := newWork()
	for i := range s.Layers {
		s.layer(w, i, 1)
		s.attend(w, i, cache, false, float64(s.seen(i, depth)))
	}
	for _, r := range s.regions() {
		if p := (Product{r.matrices, 1, false}); p.weights() > 0 {
			w.Products[p] += p.weights()
		}
	}
	return w
}

// PromptWork returns what a prompt takes behind so many positions. After the last layer that keeps keys and values only its last token goes
// on.
func (s *Shape) PromptWork(tokens, depth int, cache tensor.Format) *Work {
	w := newWork()
	last := s.Owners - 1
	regions := s.regions()
	for from := 0; from < tokens; from += model.DefaultBatch {
		n := min(model.DefaultBatch, tokens-from)
		for i := range last {
			s.layer(w, i, float64(n))
			s.attend(w, i, cache, true, s.seenBy(i, depth+from, n))
		}
		for _, r := range regions {
			for i, m := range r.matrices {
				if r.layer < last || r.layer == last && r.first && i > 0 {
					s.read(w, m, n)
				}
			}
		}
	}
	for i := last; i < len(s.Layers); i++ {
		s.layer(w, i, 1)
		s.attend(w, i, cache, false, float64(s.seen(i, depth+tokens))) // nearly as in a decode
	}
	for _, r := range regions {
		for i, m := range r.matrices {
			if r.layer > last || r.layer == last && !(r.first && i > 0) {
				s.read(w, m, 1)
			}
		}
	}
	return w
}

// read adds what n tokens of a prompt take with some matrices. Of experts each takes its tokens' share.
func (s *Shape) read(w *Work, m Matrix, n int) {
	if m.Count == 0 {
		return
	}
	done := float64(n) * float64(m.Rows) * float64(m.Cols) * float64(m.Count)
	if n > 1 { // however many there are, they are taken to go as fast as in a full batch
		n = model.DefaultBatch
		if m.Count > 1 {
			n = max(1, n*m.Count/s.Experts)
		}
	}
	w.Products[Product{[3]Matrix{{m.Format, probeRows, probeCols, 1}}, n, true}] += done
}

// layer adds what n tokens take in a layer beside products and attention.
func (s *Shape) layer(w *Work, i int, n float64) {
	l := &s.Layers[i]
	w.Regions += layerRegions
	w.GELU += n * float64(l.MLPWidth)
	w.Norm += n * float64(4*s.Width+2*(l.Heads+2*l.KVHeads)*l.HeadDim)
	if s.Experts > 0 {
		w.Regions += expertRegions
		w.GELU += n * float64(s.ExpertsUsed*s.ExpertWidth)
		w.Norm += n * float64((4+s.ExpertsUsed)*s.Width)
	}
	if s.PerLayer > 0 {
		w.Regions += perLayerRegions
		w.GELU += n * float64(s.PerLayer)
		w.Norm += n * float64(s.Width+2*s.PerLayer)
	}
}

// attend adds what attention takes whose queries see so many positions in all.
func (s *Shape) attend(w *Work, i int, cache tensor.Format, prompt bool, seen float64) {
	l := &s.Layers[i]
	a := Attention{cache, l.HeadDim, l.Heads, l.KVHeads, l.Turned > 0, prompt}
	w.Attention[a] += 2 * seen * float64(l.Heads*l.HeadDim)
}

// seen returns how many positions the one at pos sees in a layer.
func (s *Shape) seen(layer, pos int) int {
	if s.Layers[layer].Sliding {
		return min(pos+1, s.Window)
	}
	return pos + 1
}

// seenBy returns how many positions the n from pos on see together.
func (s *Shape) seenBy(layer, pos, n int) float64 {
	growing := n // those that see one more than the one before
	if s.Layers[layer].Sliding {
		growing = min(n, max(0, s.Window-pos))
	}
	return float64(growing*(2*pos+growing+1)/2) + float64((n-growing)*s.Window)
}

// region is what a region of the graph multiplies with.
type region struct {
	layer    int  // len(Layers): the head
	first    bool // queries, keys and values
	matrices [3]Matrix
}

// regions returns those of a token's way through the model, in the order of the graph. What a file lacks is left out.
func (s *Shape) regions() (list []region) {
	by := map[string]*Tensor{}
	for i := range s.Tensors {
		by[strings.TrimSuffix(s.Tensors[i].Name, ".weight")] = &s.Tensors[i]
	}
	add := func(layer, count int, names ...string) {
		r := region{layer: layer}
		for i, name := range names {
			t := by[name]
			if t == nil || len(t.Dims) < 2 {
				continue
			}
			r.matrices[i] = Matrix{t.Format, t.Dims[1], t.Dims[0], count}
			if len(t.Dims) > 2 {
				r.matrices[i].Count = min(count, t.Dims[2])
			}
		}
		list = append(list, r)
	}
	for i := range s.Layers {
		l := &s.Layers[i]
		in := func(name string) string { return fmt.Sprintf("blk.%d.%s", i, name) }
		if all := in("attn_qkv"); by[all] != nil { // rows of one matrix
			add(i, 1, all, all, all)
		} else {
			add(i, 1, in("attn_q"), in("attn_k"), in("attn_v"))
		}
		r := &list[len(list)-1]
		r.first = true
		r.matrices[0].Rows = l.Heads * l.HeadDim
		for j := range r.matrices[1:] {
			m := &r.matrices[1+j]
			if m.Rows = l.KVHeads * l.HeadDim; i >= s.Owners { // they lie idle
				*m = Matrix{}
			}
		}
		add(i, 1, in("attn_output"))
		add(i, 1, in("ffn_gate"), in("ffn_up"))
		add(i, 1, in("ffn_down"))
		if s.Experts > 0 {
			add(i, 1, in("ffn_gate_inp"))
			add(i, s.ExpertsUsed, in("ffn_gate_up_exps"), in("ffn_gate_exps"), in("ffn_up_exps"))
			add(i, s.ExpertsUsed, in("ffn_down_exps"))
		}
		if s.PerLayer > 0 {
			add(i, 1, in("inp_gate"), "per_layer_model_proj")
			list[len(list)-1].matrices[1].Rows = s.PerLayer // of all layers' it is one's
			add(i, 1, in("proj"))
		}
	}
	head := "token_embd"
	if by["output"] != nil {
		head = "output"
	}
	add(len(s.Layers), 1, head)
	return list
}

// PromptOps returns how many multiply-adds with weights a token of a prompt of that length takes, on average.
func (s *Shape) PromptOps(tokens int) (sum float64) {
	for _, n := range s.PromptWork(tokens, 0, tensor.F16).Products {
		sum += n
	}
	return sum / float64(tokens)
}

// DecodeBytes returns how many bytes of weights, keys and values are read to write a token behind that many positions.
func (s *Shape) DecodeBytes(depth int, cache tensor.Format) (sum int64) {
	for _, r := range s.regions() {
		for _, m := range r.matrices {
			if m.Count > 0 {
				sum += int64(m.Rows) * int64(m.Count) * int64(m.Format.RowBytes(m.Cols))
			}
		}
	}
	if p := s.PerLayer; p > 0 {
		for i := range s.Tensors {
			if t := &s.Tensors[i]; t.Name == model.PerLayerTable {
				sum += int64(t.Format.RowBytes(t.Dims[0]))
			}
		}
	}
	for i := range s.Layers {
		l := &s.Layers[i]
		key := l.HeadDim
		if l.Turned > 0 && l.Turned%cache.BlockLen() == 0 {
			key = l.Turned
		}
		sum += int64(s.seen(i, depth)*l.KVHeads) * int64(cache.RowBytes(key)+cache.RowBytes(l.HeadDim))
	}
	return sum
}
