package model

import (
	"context"
	"fmt"
	"math"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/tensor"
)

// vision is what makes embeddings of pictures: a vision transformer over patches, or in unified models one projection of larger patches.
type vision struct {
	width     int // of the residual
	heads     int
	headDim   int
	mlpWidth  int
	patch     int // side of a patch in pixels
	pool      int // side of a token in patches
	positions int // patches of a row or column at most
	eps       float32
	linear    [256]float32 // what a pixel's byte stands for

	embedding  *tensor.Tensor // [width, 3 · patch · patch], channel by channel
	table      *tensor.Tensor // [2 · positions, width]: by column, then by row
	freqs      []float64      // [head/4] radians per column or row
	layers     []visionLayer
	stdBias    []float32 // [width], nil: the tokens stay as they are
	stdScale   []float32
	projection linear // to the model's width

	unified       bool // no layers, but a bias and three norms
	embeddingBias []float32
	norms         [3]layerNorm // of pixels, of embeddings, of embeddings at their places
}

// visionLayer is one layer's weights.
type visionLayer struct {
	attnNorm, postAttnNorm []float32
	q, k, v, attnOut       linear
	qNorm, kNorm           []float32 // per head
	mlpNorm, postMLPNorm   []float32
	gate, up, down         linear
}

// visionTheta is the base of the rotary frequencies in the tower.
const visionTheta = 100

// vision reads the tower of gemma4v.
func (l *towers) vision(width int) *vision {
	k := l.keys("vision")
	v := &vision{
		width:    k.integer("embedding_length", 1, maxWidth),
		heads:    k.integer("attention.head_count", 1, maxWidth),
		mlpWidth: k.integer("feed_forward_length", 1, maxWidth),
		patch:    k.integer("patch_size", 1, maxPatch),
		pool:     k.integer("projector.scale_factor", 1, maxPool, 3),
		eps:      k.positiveFloat("attention.layer_norm_epsilon"),
	}
	layers := k.integer("block_count", 1, maxLayers)
	if v.headDim = v.width / v.heads; v.width%v.heads != 0 || v.headDim%4 != 0 {
		k.fail("%s is %d, expected a number of heads that divides %s, %d, into heads of a multiple of 4",
			k.full("attention.head_count"), v.heads, k.full("embedding_length"), v.width)
	}
	if l.note(k) {
		return nil
	}
	for i := range v.linear {
		v.linear[i] = 2*(float32(i)/255) - 1
	}
	v.freqs = make([]float64, v.headDim/4)
	for i := range v.freqs {
		v.freqs[i] = math.Pow(visionTheta, -4*float64(i)/float64(v.headDim))
	}
	if l.has("v.clamp_data") {
		l.packed = l.values("v.clamp_data", 4*(layers*len(packedLinears)+1))
	}
	v.embedding = l.patches("v.patch_embd.weight", v.width, v.patch)
	v.table, v.positions = l.table("v.position_embd.weight", 2, v.width)
	for i := range layers {
		v.layers = append(v.layers, l.visionLayer(i, v))
		if l.err != nil {
			return nil
		}
	}
	if l.has("v.std_bias") || l.has("v.std_scale") {
		v.stdBias, v.stdScale = l.vector("v.std_bias", v.width), l.vector("v.std_scale", v.width)
	}
	v.projection = l.linear("mm.input_projection", width, v.width)
	l.unpack(&v.projection, layers*len(packedLinears))
	return v
}

// Bounds on what a file may ask for.
const (
	maxPatch = 256
	maxPool  = 16
)

// note keeps the error of keys, if there is one.
func (l *towers) note(k *keys) (failed bool) {
	if k.err != nil && l.err == nil {
		l.err = k.err
	}
	return l.err != nil
}

// patches returns the embedding of patches [width, channels, rows, columns] as a matrix.
func (l *towers) patches(name string, width, side int) *tensor.Tensor {
	var t *gguf.Tensor
	if f, _ := l.lookUp(name); f != nil && len(trim(f.Dims)) == 2 { // a matrix already
		t = l.find(name, width, 3*side*side)
	} else {
		t = l.find(name, width, 3, side, side)
	}
	if t == nil {
		return nil
	}
	return l.hold(t, width, 3*side*side)
}

func (l *towers) visionLayer(i int, v *vision) visionLayer {
	name := func(s string) string { return fmt.Sprintf("v.blk.%d.%s", i, s) }
	d, f := v.width, v.mlpWidth
	b := visionLayer{
		attnNorm:     l.norm(name("ln1"), d),
		postAttnNorm: l.norm(name("attn_post_norm"), d),
		q:            l.linear(name("attn_q"), d, d),
		k:            l.linear(name("attn_k"), d, d),
		v:            l.linear(name("attn_v"), d, d),
		attnOut:      l.linear(name("attn_out"), d, d),
		qNorm:        l.norm(name("attn_q_norm"), v.headDim),
		kNorm:        l.norm(name("attn_k_norm"), v.headDim),
		mlpNorm:      l.norm(name("ln2"), d),
		postMLPNorm:  l.norm(name("ffn_post_norm"), d),
		gate:         l.linear(name("ffn_gate"), f, d),
		up:           l.linear(name("ffn_up"), f, d),
		down:         l.linear(name("ffn_down"), d, f),
	}
	for j, x := range []*linear{&b.q, &b.k, &b.v, &b.attnOut, &b.gate, &b.up, &b.down} {
		l.unpack(x, i*len(packedLinears)+j)
	}
	return b
}

// unifiedVision reads the projection of gemma4uv.
func (l *towers) unifiedVision(width int) *vision {
	k := l.keys("vision")
	v := &vision{
		unified: true, pool: 1,
		width: k.integer("embedding_length", 1, maxWidth),
		patch: k.integer("patch_size", 1, maxPatch) * k.integer("projector.scale_factor", 1, maxPool, 3),
		eps:   k.positiveFloat("attention.layer_norm_epsilon"),
	}
	if l.note(k) {
		return nil
	}
	for i := range v.linear {
		v.linear[i] = float32(i) / 255
	}
	d, values := v.width, 3*v.patch*v.patch
	v.embedding, v.embeddingBias = l.patches("v.patch_embd.weight", d, v.patch), l.vector("v.patch_embd.bias", d)
	for i, n := range []int{values, d, d} {
		name := fmt.Sprintf("v.patch_norm.%d", i+1)
		v.norms[i] = layerNorm{l.norm(name, n), l.vector(name+".bias", n), unifiedEps}
	}
	v.table, v.positions = l.table("v.position_embd.weight", 2, d)
	v.projection = l.linear("mm.input_projection", width, d)
	return v
}

// unifiedEps is that of the norms with a bias.
const unifiedEps = 1e-5

// TokenSide returns the side of the square of pixels that a picture's token stands for, 48 in all known models.
func (p *Projector) TokenSide() int { return p.vision.side() }

func (v *vision) side() int {
	if v == nil {
		return 0
	}
	return v.patch * v.pool
}

// PictureTokens returns how many tokens a picture of w by h pixels makes, which must be a size that [Fit] gives.
func (p *Projector) PictureTokens(w, h int) (int, error) {
	if err := p.checkPicture(w, h); err != nil {
		return 0, err
	}
	side := p.vision.side()
	return (w / side) * (h / side), nil
}

func (p *Projector) checkPicture(w, h int) error {
	v := p.vision
	if v == nil {
		return fmt.Errorf("model: the projector makes no embeddings of pictures, only %v", &p.Senses)
	}
	side, most := v.side(), v.positions*v.patch
	if w < side || h < side || w%side != 0 || h%side != 0 || w > most || h > most {
		return fmt.Errorf("model: a picture of %d by %d pixels, expected sides that are multiples of %d up to %d", w, h, side, most)
	}
	return nil
}

// Sight takes pictures through the tower. It owns all scratch of that, which grows to what the largest picture takes. It serves one
// goroutine at a time.
type Sight struct {
	// Between, if set, is called between products and within long ones, so that other work can go first: once in some tens of
	// milliseconds at least. It may run passes of the same workers.
	Between func()

	p *Projector
	v *vision
	regions[Sight, visionLayer]

	picture    Pixels
	cols, rows int // patches
	n          int // patches
	from       int // first of the patches, later of the tokens, that are worked on

	x         []float32 // [patches, width] the residual
	patches   []float32 // [part, 3 · patch · patch] pixels
	places    []float32 // [cols + rows, width] of the position table
	raw       []byte    // the table's rows where they are not in memory
	h         []float32 // [part, width] normed input of attention or feed-forward
	q, k, val []float32 // [part, width] of the patches at work
	out       []float32 // [part, width] output of either
	gate      []float32 // [part, mlpWidth]
	up        []float32 // [part, mlpWidth]
	angles    angles    // of columns and rows
	gaze      gaze
}

// partLen is how many patches go through products together, of a picture that may have ten thousand. It bounds memory, and how long a
// product takes.
const partLen = 512

// NewSight returns a Sight without any scratch yet. The projector must have an Image.
func (p *Projector) NewSight() *Sight {
	s := &Sight{p: p, v: p.vision}
	s.regions = newRegions[Sight, visionLayer](s, p.pool, p.kernels, s.v.width, s.v.eps)
	s.role = tensor.Panels
	s.gaze.s = s
	return s
}

// See returns the embeddings [tokens, width] of a picture whose size is one that [Fit] gives, token by token in rows from the top. If ctx
// ends, it stops within a layer and returns ctx's error and its cause.
func (p *Projector) See(ctx context.Context, picture Pixels) ([]float32, error) {
	if _, err := p.PictureTokens(picture.Width, picture.Height); err != nil {
		return nil, err
	}
	return p.NewSight().See(ctx, picture)
}

// See is [Projector.See] in the scratch of s.
func (s *Sight) See(ctx context.Context, picture Pixels) ([]float32, error) {
	n, err := s.p.PictureTokens(picture.Width, picture.Height)
	if err == nil {
		err = picture.check()
	}
	if err != nil {
		return nil, err
	}
	s.picture = picture
	defer func() { s.picture = Pixels{} }()
	s.cols, s.rows = picture.Width/s.v.patch, picture.Height/s.v.patch
	s.n = s.cols * s.rows
	s.ctx = ctx
	s.start(s.Between)
	defer s.stop()
	tokens := make([]float32, n*s.p.Width)
	if s.v.unified {
		s.embedUnified(tokens)
	} else {
		s.forward(tokens)
	}
	if s.err != nil {
		return nil, s.p.file.Locate(s.err)
	}
	return tokens, nil
}

// parts calls f for some patches at a time; they begin at s.from.
func (s *Sight) parts(n int, f func(s *Sight, n int)) {
	for s.from = 0; s.from < n && s.err == nil; s.from += partLen {
		f(s, min(partLen, n-s.from))
	}
}

// forward takes a picture through the tower.
func (s *Sight) forward(tokens []float32) {
	grow(&s.x, s.n*s.v.width)
	s.lookUp()
	s.parts(s.n, (*Sight).embed)
	s.rotation()
	for i := range s.v.layers {
		l := &s.v.layers[i]
		s.attention(l)
		s.feedForward(l)
	}
	s.readOut(tokens)
}

// lookUp fetches the embeddings of all columns and rows.
func (s *Sight) lookUp() {
	d, t := s.v.width, s.v.table
	grow(&s.places, (s.cols+s.rows)*d)
	if size := max(s.cols, s.rows) * t.Format.RowBytes(d); t.Data == nil && len(s.raw) < size {
		s.raw = make([]byte, size)
	}
	for i, n := range []int{s.cols, s.rows} {
		raw, err := t.ReadRows(s.raw, i*s.v.positions, i*s.v.positions+n)
		if err != nil {
			s.fail(fmt.Errorf("model: %w", err))
			return
		}
		s.kernels.DecodeRow(t.Format, s.places[i*s.cols*d:][:n*d], raw)
	}
}

// embed sets the residual of n patches to the embeddings of their pixels and places.
func (s *Sight) embed(n int) {
	d, size := s.v.width, s.v.embedding.Cols()
	grow(&s.patches, partLen*size)
	s.each(n, nil, (*Sight).cut)
	s.multiply(tensor.Product{Dst: s.x[s.from*d:], X: s.patches, N: n, W: s.v.embedding})
	s.each(n, nil, (*Sight).place)
}

// cut sets patch i of those at work to its pixels, channel by channel.
func (s *Sight) cut(_ *visionLayer, i int) {
	side, stride := s.v.patch, 3*s.picture.Width
	area := side * side
	dst := s.patches[i*3*area : (i+1)*3*area]
	r, g, b := dst[:area], dst[area:2*area], dst[2*area:]
	i += s.from
	src := s.picture.RGB[i/s.cols*side*stride+i%s.cols*side*3:]
	for y := range side {
		row := src[y*stride:][:3*side]
		for x := range side {
			r[y*side+x], g[y*side+x], b[y*side+x] = s.v.linear[row[3*x]], s.v.linear[row[3*x+1]], s.v.linear[row[3*x+2]]
		}
	}
}

// place adds to patch i the embeddings of its column and row.
func (s *Sight) place(_ *visionLayer, i int) {
	d := s.v.width
	i += s.from
	x := s.x[i*d : (i+1)*d]
	s.kernels.AddScaled(x, s.places[i%s.cols*d:][:d], 1)
	s.kernels.AddScaled(x, s.places[(s.cols+i/s.cols)*d:][:d], 1)
}

// rotation computes the angles of columns and rows.
func (s *Sight) rotation() {
	a, quarter := &s.angles, len(s.v.freqs)
	most := max(s.cols, s.rows)
	grow(&a.cos, most*quarter)
	grow(&a.sin, most*quarter)
	for i := range most {
		cos, sin := a.at(i, quarter)
		s.kernels.Angles(cos, sin, s.v.freqs, float64(i))
	}
}

// attention: x += norm(attend(norm(x)) · output). All patches see all.
func (s *Sight) attention(l *visionLayer) {
	d := s.v.width
	for _, buf := range []*[]float32{&s.h, &s.q, &s.k, &s.val, &s.out} {
		grow(buf, partLen*d)
	}
	s.gaze.reserve(s.n, s.v.heads, s.v.headDim)
	for s.from = 0; s.from < s.n && s.err == nil; s.from += partLen {
		n := min(partLen, s.n-s.from)
		s.norm(n, s.h, s.x[s.from*d:], l.attnNorm)
		s.project(n, s.h, projection{s.q, &l.q}, projection{s.k, &l.k}, projection{s.val, &l.v})
		s.each(n, l, (*Sight).turn)
	}
	s.gaze.run()
	for s.from = 0; s.from < s.n && s.err == nil; s.from += partLen {
		n := min(partLen, s.n-s.from)
		s.each(n, l, (*Sight).gather)
		s.project(n, s.h, projection{s.out, &l.attnOut})
		s.add(n, s.x[s.from*d:], s.out, l.postAttnNorm)
	}
}

// turn norms the heads of patch i and turns queries and keys: the first half of a head by its column, the second by its row.
func (s *Sight) turn(l *visionLayer, i int) {
	kern, d, dim := s.kernels, s.v.width, s.v.headDim
	q, k, v := s.q[i*d:(i+1)*d], s.k[i*d:(i+1)*d], s.val[i*d:(i+1)*d]
	at := s.from + i
	quarter := dim / 4
	cosX, sinX := s.angles.at(at%s.cols, quarter)
	cosY, sinY := s.angles.at(at/s.cols, quarter)
	for h := range s.v.heads {
		q, k, v := q[h*dim:(h+1)*dim], k[h*dim:(h+1)*dim], v[h*dim:(h+1)*dim]
		kern.RMSNorm(q, q, l.qNorm, s.v.eps)
		kern.RMSNorm(k, k, l.kNorm, s.v.eps)
		kern.RMSNorm(v, v, nil, s.v.eps)
		for _, x := range [][]float32{q, k} {
			kern.Rotate(x[:dim/2], cosX, sinX)
			kern.Rotate(x[dim/2:], cosY, sinY)
		}
		s.gaze.put(kern, h, at, q, k, v)
	}
}

// gather sets h to what the heads of patch i have seen.
func (s *Sight) gather(_ *visionLayer, i int) {
	d, dim := s.v.width, s.v.headDim
	for h := range s.v.heads {
		copy(s.h[i*d+h*dim:][:dim], s.gaze.seen(h, s.from+i))
	}
}

// feedForward: x += norm(mlp(norm(x))).
func (s *Sight) feedForward(l *visionLayer) {
	d, f := s.v.width, s.v.mlpWidth
	grow(&s.gate, partLen*f)
	grow(&s.up, partLen*f)
	for s.from = 0; s.from < s.n && s.err == nil; s.from += partLen {
		n := min(partLen, s.n-s.from)
		s.norm(n, s.h, s.x[s.from*d:], l.mlpNorm)
		s.project(n, s.h, projection{s.gate, &l.gate}, projection{s.up, &l.up})
		s.gelu(s.gate[:n*f], s.up[:n*f])
		s.project(n, s.gate, projection{s.out, &l.down})
		s.add(n, s.x[s.from*d:], s.out, l.postMLPNorm)
	}
}

// readOut sets tokens to the projection of what pools of patches have in common.
func (s *Sight) readOut(tokens []float32) {
	n := len(tokens) / s.p.Width
	for s.from = 0; s.from < n && s.err == nil; s.from += partLen {
		part := min(partLen, n-s.from)
		s.each(part, nil, (*Sight).average)
		s.project(part, s.h, projection{tokens[s.from*s.p.Width:], &s.v.projection})
	}
}

// average sets h, at i, to the mean of a token's patches times √width, standardised and normed.
func (s *Sight) average(_ *visionLayer, i int) {
	d, pool, kern := s.v.width, s.v.pool, s.kernels
	h := s.h[i*d : (i+1)*d]
	clear(h)
	at := s.from + i
	across := s.cols / pool
	for y := range pool {
		for x := range pool {
			patch := (at/across*pool+y)*s.cols + at%across*pool + x
			kern.AddScaled(h, s.x[patch*d:(patch+1)*d], 1)
		}
	}
	kern.Scale(h, h, float32(math.Sqrt(float64(d))/float64(pool*pool)))
	if s.v.stdBias != nil {
		for j, b := range s.v.stdBias {
			h[j] = (h[j] - b) * s.v.stdScale[j]
		}
	}
	kern.RMSNorm(h, h, nil, s.v.eps)
}

// embedUnified sets tokens to the projection of their pixels and places.
func (s *Sight) embedUnified(tokens []float32) {
	d, size := s.v.width, s.v.embedding.Cols()
	grow(&s.x, s.n*d)
	grow(&s.patches, partLen*size)
	s.lookUp()
	for s.from = 0; s.from < s.n && s.err == nil; s.from += partLen {
		n := min(partLen, s.n-s.from)
		x := s.x[s.from*d:]
		s.each(n, nil, (*Sight).cutUnified)
		s.multiply(tensor.Product{Dst: x, X: s.patches, N: n, W: s.v.embedding})
		s.each(n, nil, (*Sight).placeUnified)
		s.project(n, x, projection{tokens[s.from*s.p.Width:], &s.v.projection})
	}
}

func (s *Sight) cutUnified(_ *visionLayer, i int) {
	s.cut(nil, i)
	size := s.v.embedding.Cols()
	s.v.norms[0].apply(s.patches[i*size : (i+1)*size])
}

// placeUnified norms token i, sets it in its place, and norms it again, with weights and without.
func (s *Sight) placeUnified(_ *visionLayer, i int) {
	d := s.v.width
	x := s.x[(s.from+i)*d:][:d]
	s.kernels.AddScaled(x, s.v.embeddingBias, 1)
	s.v.norms[1].apply(x)
	s.place(nil, i)
	s.v.norms[2].apply(x)
	s.kernels.RMSNorm(x, x, nil, s.v.eps)
}

// SightBytes returns about how much memory a Sight takes for a picture of w by h pixels, whose size is one that [Fit] gives, besides the
// picture and its embeddings. 0: it makes none of such a picture.
func (p *Projector) SightBytes(w, h int) int64 {
	if p.checkPicture(w, h) != nil {
		return 0
	}
	v := p.vision
	n, d := (w/v.patch)*(h/v.patch), v.width
	values := int64(n) * int64(d)
	part := int64(min(n, partLen)) * int64(max(3*v.patch*v.patch, v.mlpWidth)) // as it goes into a product
	if v.unified {
		return 4 * (values + 2*part)
	}
	dim, queries := (*gaze)(nil).layout(p.kernels, v.headDim)
	values += 3 * int64(n) * int64(v.heads*dim)
	values += int64(partLen) * int64(5*d+2*v.mlpWidth+3*v.patch*v.patch)
	values += int64(p.pool.Workers()) * int64(queries*(gazeKeys+2*dim))
	return 4 * (values + part)
}
