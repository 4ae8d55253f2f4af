package model

import (
	"fmt"
	"math"
	"slices"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/tensor"
)

// PerLayerTable is the tensor of per-layer embeddings, the one matrix that is never read in bulk.
const PerLayerTable = "per_layer_token_embd.weight"

// weights are the tensors of a model under the names of the graph. Matrices [outputs, inputs] stay in the file; vectors are
// decoded once.
type weights struct {
	embedding     *tensor.Tensor // [vocabulary, width]
	head          *tensor.Tensor // [vocabulary, width]: the embedding where the file has no head of its own
	norm          []float32      // [width], before the head
	slidingFreqs  []float64      // [head/2] radians per position
	globalFreqs   []float64
	perLayerTable *tensor.Tensor   // [vocabulary, layers · perLayer], read row by row
	perLayerProj  []*tensor.Tensor // per layer [perLayer, width]
	perLayerNorm  []float32        // [perLayer]
	layers        []layer

	piece   int64 // bytes that each worker takes for matrices that are read when needed, 0 if there are none
	unknown error // what Options.AllowUnknown has let pass
}

// layer is one layer's weights. What a kind of model does not have is nil.
type layer struct {
	LayerConfig
	index int  // of the layer in the model
	owns  bool // keeps keys and values

	attnNorm     []float32
	q, k, v      *tensor.Tensor // v nil: values come from k's projection
	qNorm, kNorm []float32      // per head; kNorm is that of the keys read, which may be another layer's
	attnOut      *tensor.Tensor
	postAttnNorm []float32

	mlpNorm        []float32
	gate, up, down *tensor.Tensor
	postMLPNorm    []float32
	experts        *experts // beside the dense MLP

	perLayerGate *tensor.Tensor // [perLayer, width]
	perLayerOut  *tensor.Tensor // [width, perLayer]
	perLayerNorm []float32

	scale float32 // of the whole residual at the end of the layer

	matrices []*gguf.Tensor // that every token goes through
}

// experts are the MLPs of which each token goes through only a few.
type experts struct {
	router     *tensor.Tensor // [experts, width]
	routerNorm []float32      // [width] its scale / √width
	preNorm    []float32
	postNorm   []float32 // of the experts' sum
	denseNorm  []float32 // of the dense MLP's output
	// Per expert: gateUp is [2 · expertWidth, width] with the gate's rows first, or nil where the file has gate and up apart.
	gateUp, gate, up, down []*tensor.Tensor

	stacks [3]*gguf.Tensor // that they are pieces of: down, then gateUp or gate and up
}

// loader takes tensors from a file by name and keeps the first error.
type loader struct {
	f        *gguf.File
	taken    map[string]bool          // tensors by name
	matrices []*gguf.Tensor           // of the running layer, without its experts
	decoded  int                      // values of all vectors so far
	resident int64                    // bytes that may still be kept in memory
	piece    int64                    // see weights
	alias    func(name string) string // in this file, of the name that the graph knows; nil: the same
	err      error
}

func newLoader(f *gguf.File) *loader { return &loader{f: f, taken: map[string]bool{}} }

// Bounds on what loading takes, against files made to take a lot.
const (
	maxDecoded    = 1 << 22 // values of all vectors; the largest known model has a third of that
	maxVocabulary = 1 << 20
)

func (l *loader) fail(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf("model: "+format, args...)
	}
}

// lookUp returns the tensor that the graph knows by that name, nil if there is none, and the name that the file has for it.
func (l *loader) lookUp(name string) (t *gguf.Tensor, own string) {
	if l.alias != nil {
		name = l.alias(name)
	}
	return l.f.Tensor(name), name
}

// find returns the tensor of that name with the given shape, slowest dimension first, or nil with the error kept.
func (l *loader) find(name string, shape ...int) *gguf.Tensor {
	t, name := l.lookUp(name)
	want := slices.Clone(shape) // as GGUF lists them: fastest first
	slices.Reverse(want)
	if t == nil {
		l.fail("%s is missing, expected the shape %v", name, want)
		return nil
	}
	l.taken[name] = true
	if !slices.Equal(trim(t.Dims), trim(want)) {
		l.fail("%s has the shape %v, expected %v", name, t.Dims, want)
		return nil
	}
	if !Format(t).Valid() {
		kind := fmt.Sprintf("type %d", uint32(t.Type))
		if s := t.Type.String(); s != kind {
			kind += " (" + s + ")"
		}
		l.fail("%s is of %s, which this program does not run", name, kind)
		return nil
	}
	return t
}

// Format returns the format of a file's tensor; it is not valid if weights cannot have the tensor's type.
func Format(t *gguf.Tensor) tensor.Format {
	f := tensor.Format(t.Type)
	switch values, _ := t.Block(); {
	case t.Type == gguf.Q2_0 && values == tensor.Q2_0_128.BlockLen():
		return tensor.Q2_0_128
	case f == tensor.Q2_0_128: // a number of our own, something else in a file
		return math.MaxUint32
	}
	return f
}

// trim cuts ones off the slow end of a shape: some writers pad with them, others leave them out.
func trim(dims []int) []int {
	for len(dims) > 1 && dims[len(dims)-1] == 1 {
		dims = dims[:len(dims)-1]
	}
	return dims
}

// tensor returns NAME.weight.
func (l *loader) tensor(name string, shape ...int) *tensor.Tensor {
	t := l.find(name+".weight", shape...)
	if t == nil {
		return nil
	}
	return l.hold(t, shape...)
}

// hold returns a tensor in the given shape, which may be another than the file's of as many values: in memory if it is mapped or there is
// room for it.
func (l *loader) hold(t *gguf.Tensor, shape ...int) *tensor.Tensor {
	keep := t.Mapped() || t.Size <= l.resident
	if keep && !t.Mapped() {
		l.resident -= t.Size
	}
	w := l.open(t, keep, shape...)
	if w != nil && !keep {
		l.piece = max(l.piece, tensor.PieceBytes(w))
	}
	return w
}

// open returns a tensor over its bytes, or one that is read when needed.
func (l *loader) open(t *gguf.Tensor, inMemory bool, shape ...int) *tensor.Tensor {
	var w *tensor.Tensor
	var err error
	if inMemory {
		var data []byte
		if data, err = t.Data(); err == nil {
			w, err = tensor.New(t.Name, Format(t), data, shape...)
		}
	} else {
		w, err = tensor.NewReader(t.Name, Format(t), t, t.Size, shape...)
	}
	if err != nil {
		l.fail("%w", err)
		return nil
	}
	return w
}

// matrix returns NAME.weight, multiplied by NAME.scale if there is one.
func (l *loader) matrix(name string, rows, cols int) *tensor.Tensor {
	w := l.tensor(name, rows, cols)
	if w == nil {
		return nil
	}
	l.matrices = append(l.matrices, l.f.Tensor(w.Name))
	if l.has(name + ".scale") {
		w.Scale = l.vector(name+".scale", 1)[0]
	}
	return w
}

// stack returns one matrix per expert, each with its scale: NAME.scale, or a tensor of another name given for it, holds one number per
// expert or one for all.
func (l *loader) stack(name string, n, rows, cols int, scales ...string) []*tensor.Tensor {
	all := l.tensor(name, n, rows, cols)
	if all == nil {
		return nil
	}
	scale := []float32{1}
	for _, name := range append([]string{name + ".scale"}, scales...) {
		if s := l.f.Tensor(name); s != nil {
			size := n
			if len(s.Dims) > 0 && s.Dims[0] == 1 {
				size = 1
			}
			scale = l.vector(name, size)
			break // a second one is of no use to anyone: it is not taken, which is an error
		}
	}
	out := make([]*tensor.Tensor, n)
	for i := range out {
		out[i] = all.RowRange(i*rows, (i+1)*rows)
		out[i].Scale = scale[i%len(scale)]
	}
	return out
}

// vector returns the decoded values of a tensor, in most cases of one dimension, zeros if it fails.
func (l *loader) vector(name string, shape ...int) []float32 {
	x := l.values(name, shape...)
	for i, v := range x {
		if v-v != 0 { // NaN or infinite
			l.fail("%s[%d] is %g, expected a finite number", name, i, v)
		}
	}
	return x
}

// values is vector for numbers that may be anything.
func (l *loader) values(name string, shape ...int) []float32 {
	n := 1
	for _, d := range shape {
		n *= d
	}
	t := l.find(name, shape...)
	if l.decoded += n; t != nil && l.decoded > maxDecoded {
		l.fail("%s: the vectors of the file have more than %d values", t.Name, maxDecoded)
	}
	if l.err != nil {
		return make([]float32, min(n, 1))
	}
	data := make([]byte, t.Size)
	if _, err := t.ReadAt(data, 0); err != nil {
		l.fail("%s: %w", t.Name, err)
		return make([]float32, min(n, 1))
	}
	w, err := tensor.New(t.Name, Format(t), data, shape...)
	if err != nil {
		l.fail("%w", err)
		return make([]float32, min(n, 1))
	}
	return w.Float32()
}

func (l *loader) norm(name string, n int) []float32 { return l.vector(name+".weight", n) }

func (l *loader) has(name string) bool {
	t, _ := l.lookUp(name)
	return t != nil
}

// load reads all weights of the shape c.
func load(f *gguf.File, c *Config, o Options) (*weights, error) {
	l := newLoader(f)
	l.resident = o.Resident
	if f.Tensor("token_embd.weight") == nil {
		return nil, fmt.Errorf("model: token_embd.weight is missing: is the file a vocabulary, or one part of a split model?")
	}
	if c.Vocabulary > maxVocabulary {
		return nil, fmt.Errorf("model: token_embd.weight has %d rows, expected at most %d", c.Vocabulary, maxVocabulary)
	}
	w := &weights{
		embedding: l.matrix("token_embd", c.Vocabulary, c.Width),
		norm:      l.norm("output_norm", c.Width),
	}
	w.head = w.embedding
	if l.has("output.weight") {
		w.head = l.matrix("output", c.Vocabulary, c.Width)
	}
	if c.PerLayer > 0 {
		p, n := c.PerLayer, len(c.Layers)
		w.perLayerTable = l.table("per_layer_token_embd", c.Vocabulary, p*n)
		w.perLayerNorm = l.norm("per_layer_proj_norm", p)
		if proj := l.matrix("per_layer_model_proj", p*n, c.Width); proj != nil {
			for i := range n {
				w.perLayerProj = append(w.perLayerProj, proj.RowRange(i*p, (i+1)*p))
			}
		}
	} else if l.has(PerLayerTable) {
		l.fail(PerLayerTable + " is there, but gemma4.embedding_length_per_layer_input is not")
	}
	for i := range c.Layers {
		b := l.layer(i, c)
		if l.err != nil {
			return nil, l.err
		}
		if !b.owns {
			b.kNorm = w.layers[b.Source].kNorm
		}
		w.layers = append(w.layers, b)
		if lc := &c.Layers[i]; lc.Sliding && w.slidingFreqs == nil {
			w.slidingFreqs = l.frequencies(lc)
		} else if !lc.Sliding && w.globalFreqs == nil {
			w.globalFreqs = l.frequencies(lc)
		}
	}
	if c.Experts > 0 && !slices.ContainsFunc(w.layers, func(l layer) bool { return l.experts != nil }) {
		l.fail("blk.0.ffn_gate_inp.weight is missing, but gemma4.expert_count is %d", c.Experts)
	}
	if l.err == nil {
		if w.unknown = understood(f, c, l.taken); !o.AllowUnknown {
			l.err = w.unknown
		}
	}
	w.piece = l.piece
	return w, l.err
}

// fit returns an error if the free memory, 0 if nobody knows, is too little to decode a token where weights are read when needed.
func (w *weights) fit(c *Config, workers int, free int64) error {
	need := int64(workers)*w.piece + c.positionBytes() + 4*int64(c.Vocabulary)
	if w.piece > 0 && free > 0 && need > free {
		return fmt.Errorf("model: writing a token takes %d bytes of memory beside the weights, which are read when they are needed; %d "+
			"are free",
			need, free)
	}
	return nil
}

func (l *loader) layer(i int, c *Config) layer {
	l.matrices = nil
	lc, d := c.Layers[i], c.Width
	name := func(s string) string { return fmt.Sprintf("blk.%d.%s", i, s) }
	owns := i < c.Owners
	q, k, v := l.projections(name, &lc, owns, d)
	b := layer{
		LayerConfig:  lc,
		index:        i,
		owns:         owns,
		attnNorm:     l.norm(name("attn_norm"), d),
		q:            q,
		k:            k,
		v:            v,
		qNorm:        l.norm(name("attn_q_norm"), lc.HeadDim),
		attnOut:      l.matrix(name("attn_output"), d, lc.Heads*lc.HeadDim),
		postAttnNorm: l.norm(name("post_attention_norm"), d),
		mlpNorm:      l.norm(name("ffn_norm"), d),
		gate:         l.matrix(name("ffn_gate"), lc.MLPWidth, d),
		up:           l.matrix(name("ffn_up"), lc.MLPWidth, d),
		down:         l.matrix(name("ffn_down"), d, lc.MLPWidth),
		postMLPNorm:  l.norm(name("post_ffw_norm"), d),
		scale:        1,
	}
	if owns {
		b.kNorm = l.norm(name("attn_k_norm"), lc.HeadDim)
	}
	if l.has(name("ffn_gate_inp.weight")) || l.has(name("ffn_down_exps.weight")) {
		b.experts = l.experts(name, c)
	}
	if c.PerLayer > 0 {
		b.perLayerGate = l.matrix(name("inp_gate"), c.PerLayer, d)
		b.perLayerOut = l.matrix(name("proj"), d, c.PerLayer)
		b.perLayerNorm = l.norm(name("post_norm"), d)
	}
	if l.has(name("layer_output_scale.weight")) {
		b.scale = l.vector(name("layer_output_scale.weight"), 1)[0]
	}
	b.matrices = l.matrices
	return b
}

// projections returns q and, where the layer owns them, k and v. They are three tensors, two where keys and values are one projection, or
// one: q's rows first, then k's and v's.
func (l *loader) projections(name func(string) string, c *LayerConfig, owns bool, d int) (q, k, v *tensor.Tensor) {
	rows, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	if l.has(name("attn_qkv.weight")) {
		all := l.matrix(name("attn_qkv"), rows+2*kv, d)
		switch {
		case all == nil:
		case owns:
			q, k, v = all.RowRange(0, rows), all.RowRange(rows, rows+kv), all.RowRange(rows+kv, rows+2*kv)
		default:
			q = all.RowRange(0, rows)
		}
		return q, k, v
	}
	q = l.matrix(name("attn_q"), rows, d)
	if owns {
		k = l.matrix(name("attn_k"), kv, d)
		if l.has(name("attn_v.weight")) {
			v = l.matrix(name("attn_v"), kv, d)
		}
	}
	return q, k, v
}

func (l *loader) experts(name func(string) string, c *Config) *experts {
	if c.Experts == 0 {
		l.fail("gemma4.expert_count is missing or 0, expected the number of experts in %s", name("ffn_down_exps.weight"))
		return nil
	}
	d, n, f := c.Width, c.Experts, c.ExpertWidth
	x := &experts{
		router:     l.tensor(name("ffn_gate_inp"), n, d),
		routerNorm: l.vector(name("ffn_gate_inp.scale"), d),
		preNorm:    l.norm(name("pre_ffw_norm_2"), d),
		denseNorm:  l.norm(name("post_ffw_norm_1"), d),
		postNorm:   l.norm(name("post_ffw_norm_2"), d),
		down:       l.stack(name("ffn_down_exps"), n, d, f, name("ffn_gate_inp.per_expert_scale")),
	}
	for i := range x.routerNorm {
		x.routerNorm[i] *= float32(1 / math.Sqrt(float64(d)))
	}
	if l.has(name("ffn_gate_up_exps.weight")) {
		x.gateUp = l.stack(name("ffn_gate_up_exps"), n, 2*f, d)
		x.stacks[1] = l.f.Tensor(name("ffn_gate_up_exps.weight"))
	} else {
		x.gate = l.stack(name("ffn_gate_exps"), n, f, d)
		x.up = l.stack(name("ffn_up_exps"), n, f, d)
		x.stacks[1], x.stacks[2] = l.f.Tensor(name("ffn_gate_exps.weight")), l.f.Tensor(name("ffn_up_exps.weight"))
	}
	x.stacks[0] = l.f.Tensor(name("ffn_down_exps.weight"))
	return x
}

// frequencies returns the angle per position of each pair of dimensions. In global layers the file's factors divide it: 1e30 leaves a pair
// unrotated.
func (l *loader) frequencies(c *LayerConfig) []float64 {
	half := c.HeadDim / 2
	var factors []float32
	if !c.Sliding && l.has("rope_freqs.weight") {
		if factors = l.vector("rope_freqs.weight", half); l.err != nil {
			return nil
		}
		for i, x := range factors {
			if x <= 0 {
				l.fail("rope_freqs.weight[%d] is %g, expected a positive number", i, x)
			}
		}
	}
	out := make([]float64, half)
	for i := range out {
		out[i] = math.Pow(c.RopeBase, -2*float64(i)/float64(c.HeadDim))
		if factors != nil {
			out[i] /= float64(factors[i])
		}
	}
	return out
}

// table returns a matrix of which only single rows are read, straight from the file where that is not mapped: half of a small model's bytes
// are never needed in bulk.
func (l *loader) table(name string, rows, cols int) *tensor.Tensor {
	t := l.find(name+".weight", rows, cols)
	if t == nil {
		return nil
	}
	w := l.open(t, t.Mapped(), rows, cols)
	t.Advise(gguf.Random) // read-ahead would fetch rows that nobody wants; where the advice is not taken, nothing is lost
	if w != nil && l.has(name+".scale") {
		w.Scale = l.vector(name+".scale", 1)[0]
	}
	return w
}
