package model

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/tensor"
)

// Senses are what a file makes embeddings of, and by which projector.
type Senses struct {
	Image string // "gemma4v", or "gemma4uv" without a tower; empty: no images
	Sound string // "gemma4a", or "gemma4ua" without a tower; empty: no sounds
}

// String returns a list such as "images (gemma4v), sounds (gemma4a)".
func (s *Senses) String() string {
	var list []string
	if s.Image != "" {
		list = append(list, "images ("+s.Image+")")
	}
	if s.Sound != "" {
		list = append(list, "sounds ("+s.Sound+")")
	}
	return strings.Join(list, ", ")
}

// Projector makes embeddings of pictures and sounds, by towers or by one projection. It is safe for use by several goroutines, each
// with a [Sight] or [Hearing] of its own.
type Projector struct {
	Senses
	Width int // of an embedding, as the model has it

	vision  *vision
	audio   *audio
	kernels *tensor.Kernels
	pool    *tensor.Pool
	shared  bool // the pool is someone else's
	file    *gguf.File
	unknown error
}

// HasTowers reports whether a text model's own file has towers in it, as ollama's files do.
func HasTowers(m *gguf.Metadata) bool {
	return m.Has("gemma4.vision.block_count") || m.Has("gemma4.audio.block_count")
}

// ReadSenses returns what a file projects into a model of shape c: a projector's file (mmproj), whose architecture is "clip", or a text
// model's with towers in it. The error for another kind of file, and for a projector of another model, names the key or tensor. The towers
// themselves are not looked at.
func ReadSenses(f *gguf.File, c *Config) (*Senses, error) {
	if HasTowers(f.Metadata) {
		s := &Senses{}
		if f.Metadata.Has("gemma4.vision.block_count") {
			s.Image = "gemma4v"
		}
		if f.Metadata.Has("gemma4.audio.block_count") {
			s.Sound = "gemma4a"
		}
		return s, s.reach(f, c)
	}
	if err := architecture(f, "clip"); err != nil {
		return nil, err
	}
	image, err := sense(f, "vision", "gemma4v", "gemma4uv")
	if err != nil {
		return nil, err
	}
	sound, err := sense(f, "audio", "gemma4a", "gemma4ua")
	if err != nil {
		return nil, err
	}
	if image == "" && sound == "" {
		return nil, errors.New("model: neither clip.has_vision_encoder nor clip.has_audio_encoder is true, " +
			"expected a projector of images or sounds")
	}
	s := &Senses{Image: image, Sound: sound}
	return s, s.reach(f, c)
}

// sense returns by which of the known types of projector a file has one sense, "" if it does not have it.
func sense(f *gguf.File, name string, known ...string) (kind string, err error) {
	has, err := f.Metadata.Bool("clip.has_" + name + "_encoder")
	if err != nil && !errors.Is(err, gguf.ErrMissing) {
		return "", inModel(err)
	}
	if !has {
		return "", nil
	}
	key := "clip." + name + ".projector_type"
	if !f.Metadata.Has(key) {
		key = "clip.projector_type" // of both senses
	}
	if kind, err = f.Metadata.Text(key); err != nil {
		return "", inModel(err)
	}
	if !slices.Contains(known, kind) {
		return "", fmt.Errorf("model: %s is %.40q, expected %s", key, kind, strings.Join(known, " or "))
	}
	return kind, nil
}

// reach checks that the projections make vectors of the model's width.
func (s *Senses) reach(f *gguf.File, c *Config) error {
	for _, p := range []struct{ kind, name string }{
		{s.Image, "mm.input_projection.weight"}, {s.Sound, "mm.a.input_projection.weight"},
	} {
		switch t := f.Tensor(p.name); {
		case p.kind == "":
		case t == nil:
			return fmt.Errorf("model: %s is missing", p.name)
		case len(t.Dims) != 2 || t.Dims[1] != c.Width:
			return fmt.Errorf("model: %s is %v, expected %d rows, the model's gemma4.embedding_length", p.name, t.Dims, c.Width)
		}
	}
	return nil
}

// OpenProjector builds the towers over the tensors of f, which must stay open as long as they are used, for a model of shape c. f is a
// projector's file (mmproj) or a text model's with towers in it. Every tensor's shape is checked against the metadata; an error names the
// key or tensor and what was expected of it. Anything of the towers that is not understood is an error too, ErrUnknown.
func OpenProjector(f *gguf.File, c *Config, o Options) (*Projector, error) {
	senses, err := ReadSenses(f, c)
	if err != nil {
		return nil, err
	}
	l := newTowers(f)
	l.resident = residence(f, o.Resident)
	p := &Projector{Senses: *senses, Width: c.Width, file: f, kernels: o.Kernels, pool: o.Pool, shared: o.Pool != nil}
	switch senses.Image {
	case "gemma4v":
		p.vision = l.vision(c.Width)
	case "gemma4uv":
		p.vision = l.unifiedVision(c.Width)
	}
	switch senses.Sound {
	case "gemma4a":
		p.audio = l.audio(c.Width)
	case "gemma4ua":
		p.audio = l.unifiedAudio(c.Width)
	}
	if l.err == nil {
		if p.unknown = l.understood(); !o.AllowUnknown {
			l.err = p.unknown
		}
	}
	if l.err != nil {
		return nil, l.err
	}
	if p.kernels == nil {
		p.kernels = tensor.Portable()
	}
	if p.pool == nil {
		p.pool = tensor.NewPool(o.Workers)
	}
	return p, nil
}

// Unknown returns the error that Options.AllowUnknown has spared the file, nil if all of it is understood.
func (p *Projector) Unknown() error { return p.unknown }

// Close ends the workers, unless they are shared. Nothing may be seen or heard then, or afterwards.
func (p *Projector) Close() {
	if !p.shared {
		p.pool.Close()
	}
}

// linear is a matrix product between bounds.
type linear struct {
	w       *tensor.Tensor
	in, out bounds
}

// bounds clamp what goes into a product, or comes out of it.
type bounds struct{ low, high float32 }

// unbounded changes nothing.
var unbounded = bounds{float32(math.Inf(-1)), float32(math.Inf(1))}

// towers takes the tensors of towers from a file.
type towers struct {
	*loader
	prefix string    // of all keys
	packed []float32 // bounds of vision's products where the file has them in one tensor
}

func newTowers(f *gguf.File) *towers {
	l := &towers{loader: newLoader(f), prefix: "clip."}
	if HasTowers(f.Metadata) {
		l.prefix = "gemma4."
		if f.Tensor("a.blk.0.linear_pos.weight") != nil {
			l.alias = ollamaName
		}
	}
	return l
}

// ollamaName returns what ollama's files call a tensor of the tower of sounds. Two of their names stand for something else in projectors.
func ollamaName(name string) string {
	if rest, ok := strings.CutPrefix(name, "a.pre_encode.out."); ok {
		return "mm.a.fc." + rest
	}
	if rest, ok := strings.CutPrefix(name, "a.input_projection."); ok {
		return "a.pre_encode.out." + rest
	}
	if !strings.HasPrefix(name, "a.blk.") {
		return name
	}
	for _, x := range [][2]string{
		{".ln2.", ".layer_pre_norm."}, {".attn_pre_norm.", ".ln1."}, {".attn_post_norm.", ".ln2."}, {".attn_k_rel.", ".linear_pos."},
	} {
		if strings.Contains(name, x[0]) {
			return strings.Replace(name, x[0], x[1], 1)
		}
	}
	return name
}

// keys reads the metadata of one sense.
func (l *towers) keys(sense string) *keys {
	return &keys{m: l.f.Metadata, prefix: l.prefix + sense + "."}
}

// linear returns NAME.weight with the bounds beside it.
func (l *towers) linear(name string, rows, cols int) linear {
	return linear{w: l.matrix(name, rows, cols), in: l.bounds(name + ".input"), out: l.bounds(name + ".output")}
}

// bounds returns NAME_min and NAME_max, which may be infinite; what is not there bounds nothing.
func (l *towers) bounds(name string) bounds {
	b := unbounded
	if l.has(name + "_min") {
		b.low = l.values(name+"_min", 1)[0]
	}
	if l.has(name + "_max") {
		b.high = l.values(name+"_max", 1)[0]
	}
	if !(b.low <= b.high) {
		l.fail("%s_min is %g and _max %g, expected numbers in this order", name, b.low, b.high)
	}
	return b
}

// packedLinears are the products of a layer in the order in which v.clamp_data has their bounds: of the input the least and the most, then
// of the output. Those of mm.input_projection follow the last layer's.
var packedLinears = []string{"attn_q", "attn_k", "attn_v", "attn_out", "ffn_gate", "ffn_up", "ffn_down"}

// unpack gives a product its bounds out of v.clamp_data, unless it has some of its own. Four zeros stand for none.
func (l *towers) unpack(x *linear, index int) {
	if l.packed == nil || x.in != unbounded || x.out != unbounded || l.err != nil {
		return
	}
	b := l.packed[4*index : 4*index+4]
	if b[0] == 0 && b[1] == 0 && b[2] == 0 && b[3] == 0 {
		return
	}
	if !(b[0] <= b[1] && b[2] <= b[3]) {
		l.fail("v.clamp_data has the bounds %g for product %d, expected the least before the most", b, index)
	}
	x.in, x.out = bounds{b[0], b[1]}, bounds{b[2], b[3]}
}

// table returns a tensor of three dimensions of which single rows are read.
func (l *towers) table(name string, n, width int) (t *tensor.Tensor, rows int) {
	f, own := l.lookUp(name)
	switch {
	case f == nil:
		l.fail("%s is missing, expected the shape [%d positions %d]", own, width, n)
		return nil, 1
	case len(f.Dims) != 3:
		l.fail("%s has the shape %v, expected [%d positions %d]", own, f.Dims, width, n)
		return nil, 1
	}
	if f = l.find(name, n, f.Dims[1], width); f == nil {
		return nil, 1
	}
	return l.hold(f, n*f.Dims[1], width), f.Dims[1]
}

// understood checks that nothing about the towers in the file asks for another graph.
func (l *towers) understood() error {
	var unknown []string
	for _, key := range l.f.Metadata.Keys() {
		name, ok := strings.CutPrefix(key, l.prefix)
		if ok && (l.prefix == "clip." || strings.HasPrefix(name, "vision.") || strings.HasPrefix(name, "audio.")) &&
			!l.harmless(key, name) {
			unknown = append(unknown, "key "+show(key))
		}
	}
	for _, t := range l.f.Tensors {
		tower := strings.HasPrefix(t.Name, "v.") || strings.HasPrefix(t.Name, "a.") || strings.HasPrefix(t.Name, "mm.")
		if (tower || l.prefix == "clip.") && !l.taken[t.Name] && !strings.HasSuffix(t.Name, ".input_scale") {
			unknown = append(unknown, "tensor "+show(t.Name))
		}
	}
	return unknownError(unknown)
}

// harmless reports whether a key is read, or says nothing that the graph has to know.
func (l *towers) harmless(key, name string) bool {
	switch name {
	case "has_vision_encoder", "has_audio_encoder", "projector_type", "vision.projector_type", "audio.projector_type",
		"vision.block_count", "vision.embedding_length", "vision.feed_forward_length", "vision.attention.head_count",
		"vision.attention.layer_norm_epsilon", "vision.patch_size", "vision.projector.scale_factor",
		"audio.block_count", "audio.embedding_length", "audio.feed_forward_length", "audio.attention.head_count",
		"audio.num_mel_bins": // read
		return true
	case "audio.attention.layer_norm_epsilon", // the graph has its own, whatever old files say
		"audio.conv_kernel_size", "vision.projection_dim", "audio.projection_dim", // tensors tell
		"use_gelu", "use_silu", "vision.use_gelu", "vision.use_silu", "audio.use_gelu", "audio.use_silu", // the graph is of one kind
		"vision.image_size", "vision.image_min_pixels", "vision.image_max_pixels", "vision.preproc_image_size": // so does the caller
		return true
	case "vision.num_channels":
		n, err := l.f.Metadata.Int(key)
		return err == nil && n == 3
	case "vision.image_mean", "vision.image_std":
		want := float32(0)
		if strings.HasSuffix(name, "std") {
			want = 1
		}
		list, err := l.f.Metadata.Floats(key)
		return err == nil && !slices.ContainsFunc(list, func(v float32) bool { return v != want })
	}
	return false
}
