package model

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/gogemma/gemma4/tensor"
)

// audio is what makes embeddings of sounds: a conformer over a mel spectrogram, or in unified models one projection of raw samples. Its
// token stands for 40 ms.
type audio struct {
	mel       *mel
	width     int            // of the residual
	heads     int            // of size width / heads
	mlpWidth  int            // of both feed-forward parts
	taps      int            // tokens that the convolution of a layer sees, its own the last
	channels  [2]int         // of the convolutions in front
	bins      [3]int         // of the mel spectrogram, and of what either convolution makes of it
	conv      []float32      // [time, frequency, channels[0]] of the first convolution
	conv2     *tensor.Tensor // [channels[1], time · frequency · channels[0]] of the second
	convNorms [2]layerNorm
	input     linear // from channels[1] of all frequencies to the residual
	layers    []audioLayer

	outWidth   int
	output     linear    // [outWidth, width]; none: the residual
	outputBias []float32 // nil: none
	norm       []float32 // [outWidth], nil: ones
	projection linear    // to the model's width

	unified bool // no mel, no layers
	samples int  // of a token, in unified models

	relative sync.Once // computes the layers' relative
	err      error     // of that
}

// audioLayer is one layer's weights.
type audioLayer struct {
	mlp          [2]audioMLP // before attention, and after the convolution
	preAttnNorm  []float32
	q, k, v      linear
	queryScale   []float32      // [head size]
	position     *tensor.Tensor // [width, width], of distances
	relative     []float32      // [audioContext, width] its product with them
	attnOut      linear
	postAttnNorm []float32
	preConvNorm  []float32
	convIn       linear    // twice the width: values, then gates
	conv         []float32 // [taps, width]
	convNorm     []float32
	convOut      linear
	norm         []float32 // of the whole residual
	index        int
}

type audioMLP struct {
	norm, postNorm []float32
	up, down       linear
}

// audioContext is how many tokens a token's attention sees, itself among them. Sources differ: the one that published engines follow, and
// the golden data with it, masks distances of 12 and more; the maker's other code sees that of 12, too. When weights are at hand that tell,
// this is the place to decide it.
const audioContext = 12

const (
	audioEps  = 1e-6 // of all norms, whatever a file says
	audioCap  = 50   // scores are audioCap · tanh(x / audioCap)
	audioBins = 128  // of the mel spectrogram, unless the file says otherwise

	tokenFrames  = 4   // of the mel spectrogram
	tokenSamples = 640 // between one token and the next
	tokenReach   = 641 // samples after a token's first that it depends on
)

// keyScale is the factor of all keys.
var keyScale = float32(math.Log(1+math.E) / math.Ln2)

// audio reads the tower of gemma4a.
func (l *towers) audio(width int) *audio {
	k := l.keys("audio")
	a := &audio{
		width:    k.integer("embedding_length", 1, maxWidth),
		heads:    k.integer("attention.head_count", 1, maxWidth),
		mlpWidth: k.integer("feed_forward_length", 1, maxWidth),
	}
	bins := k.integer("num_mel_bins", 4, maxMelBins, audioBins)
	layers := k.integer("block_count", 1, maxLayers)
	if a.width%a.heads != 0 || a.width%2 != 0 {
		k.fail("%s is %d, expected a number of heads that divides %s, %d, which must be even",
			k.full("attention.head_count"), a.heads, k.full("embedding_length"), a.width)
	}
	if l.note(k) {
		return nil
	}
	a.mel = newMel(bins)
	a.bins = [3]int{bins, (bins + 1) / 2, ((bins+1)/2 + 1) / 2}
	if l.convolutions(a); l.err != nil {
		return nil
	}
	a.input = l.linear("a.input_projection", a.width, a.channels[1]*a.bins[2])
	for i := range layers {
		a.layers = append(a.layers, l.audioLayer(i, a))
		if l.err != nil {
			return nil
		}
	}
	a.outWidth = a.width
	if l.has("a.pre_encode.out.weight") {
		if t, own := l.lookUp("a.pre_encode.out.weight"); len(t.Dims) != 2 || t.Dims[1] > maxWidth {
			l.fail("%s has the shape %v, expected [%d outputs], at most %d of them", own, t.Dims, a.width, maxWidth)
			return nil
		} else {
			a.outWidth = t.Dims[1]
		}
		a.output = l.linear("a.pre_encode.out", a.outWidth, a.width)
		if l.has("a.pre_encode.out.bias") {
			a.outputBias = l.vector("a.pre_encode.out.bias", a.outWidth)
		}
	}
	if l.has("mm.a.soft_emb_norm.weight") {
		a.norm = l.norm("mm.a.soft_emb_norm", a.outWidth)
	}
	a.projection = l.linear("mm.a.input_projection", width, a.outWidth)
	return a
}

// Bounds on what a file may ask for.
const (
	maxMelBins  = 1 << 10
	maxChannels = 1 << 12
	maxTaps     = 64
)

// convolutions reads those in front, which halve frames and frequencies: kernels of 3 by 3 that move by 2.
func (l *towers) convolutions(a *audio) {
	var kernels [2][]float32 // [outputs, inputs, time, frequency]
	in := 1
	for i := range kernels {
		name := fmt.Sprintf("a.conv1d.%d", i)
		t, own := l.lookUp(name + ".weight")
		if t == nil || len(t.Dims) != 4 || t.Dims[3] > maxChannels {
			l.fail("%s is missing or not of the shape [3 3 %d outputs], at most %d of them", own, in, maxChannels)
			return
		}
		out := t.Dims[3]
		kernels[i] = l.vector(name+".weight", out, in, 3, 3)
		a.channels[i] = out
		a.convNorms[i] = layerNorm{l.norm(name+".norm", out), nil, audioEps}
		in = out
	}
	if l.err != nil {
		return
	}
	c0, c1 := a.channels[0], a.channels[1]
	a.conv = make([]float32, 9*c0)
	for o := range c0 {
		for at := range 9 {
			a.conv[at*c0+o] = kernels[0][o*9+at]
		}
	}
	rows := make([]byte, 4*9*c0*c1)
	for o := range c1 {
		for at := range 9 {
			for c := range c0 {
				binary.LittleEndian.PutUint32(rows[4*((o*9+at)*c0+c):], math.Float32bits(kernels[1][(o*c0+c)*9+at]))
			}
		}
	}
	var err error
	if a.conv2, err = tensor.New("a.conv1d.1.weight", tensor.F32, rows, c1, 9*c0); err != nil {
		l.fail("%w", err)
	}
}

func (l *towers) audioLayer(i int, a *audio) audioLayer {
	name := func(s string) string { return fmt.Sprintf("a.blk.%d.%s", i, s) }
	d := a.width
	mlp := func(suffix string) audioMLP {
		return audioMLP{
			norm:     l.norm(name("ffn_norm"+suffix), d),
			postNorm: l.norm(name("ffn_post_norm"+suffix), d),
			up:       l.linear(name("ffn_up"+suffix), a.mlpWidth, d),
			down:     l.linear(name("ffn_down"+suffix), d, a.mlpWidth),
		}
	}
	b := audioLayer{
		index:        i,
		mlp:          [2]audioMLP{mlp(""), mlp("_1")},
		preAttnNorm:  l.norm(name("attn_pre_norm"), d),
		q:            l.linear(name("attn_q"), d, d),
		k:            l.linear(name("attn_k"), d, d),
		v:            l.linear(name("attn_v"), d, d),
		queryScale:   l.norm(name("per_dim_scale"), d/a.heads), // softplus is in it
		position:     l.matrix(name("attn_k_rel"), d, d),
		attnOut:      l.linear(name("attn_out"), d, d),
		postAttnNorm: l.norm(name("attn_post_norm"), d),
		preConvNorm:  l.norm(name("conv_norm"), d), // files swap the names of these two norms
		convIn:       l.linear(name("conv_pw1"), 2*d, d),
		convNorm:     l.norm(name("norm_conv"), d),
		convOut:      l.linear(name("conv_pw2"), d, d),
		norm:         l.norm(name("ln2"), d),
	}
	t, own := l.lookUp(name("conv_dw.weight"))
	if t == nil || len(t.Dims) != 2 || t.Dims[0] > maxTaps || i > 0 && t.Dims[0] != a.taps {
		l.fail("%s is missing or not of the shape [tokens %d], at most %d of them and as many in each layer", own, d, maxTaps)
		return b
	}
	a.taps = t.Dims[0]
	conv := l.vector(name("conv_dw.weight"), d, a.taps)
	if l.err != nil {
		return b
	}
	b.conv = make([]float32, len(conv))
	for c := range d {
		for j := range a.taps {
			b.conv[j*d+c] = conv[c*a.taps+j]
		}
	}
	scale := float32(1 / math.Sqrt(float64(d/a.heads)) / math.Ln2)
	for j := range b.queryScale {
		b.queryScale[j] *= scale
	}
	return b
}

// unifiedAudio reads the projection of gemma4ua.
func (l *towers) unifiedAudio(width int) *audio {
	a := &audio{unified: true, samples: tokenSamples}
	if t, _ := l.lookUp("mm.a.input_projection.weight"); t != nil && len(t.Dims) == 2 && t.Dims[0] <= maxWidth {
		a.samples = t.Dims[0]
	}
	a.outWidth = a.samples
	a.projection = l.linear("mm.a.input_projection", width, a.samples)
	return a
}

// relatives computes, once, what the keys of distances add to scores.
func (p *Projector) relatives() error {
	a := p.audio
	a.relative.Do(func() {
		d := a.width
		waves, half := make([]float32, audioContext*d), d/2
		for i := range audioContext {
			for j := range half {
				x := float64(i) * math.Exp(-float64(j)*math.Log(10000)/float64(max(half-1, 1)))
				waves[i*d+j], waves[i*d+half+j] = float32(math.Sin(x)), float32(math.Cos(x))
			}
		}
		mm := tensor.NewMatMul(p.pool, p.kernels)
		for i := range a.layers {
			l := &a.layers[i]
			l.relative = make([]float32, audioContext*d)
			product := tensor.Product{Dst: l.relative, X: waves, N: audioContext, W: l.position}
			if a.err = mm.Run(tensor.Exact, product); a.err != nil {
				return
			}
		}
	})
	return a.err
}

// SoundTokens returns how many tokens a sound of so many samples, 16000 a second, makes: one for each 40 ms that begins, none of less than
// 161 samples where there is a tower.
func (p *Projector) SoundTokens(samples int) int {
	switch a := p.audio; {
	case a == nil || samples <= 0:
		return 0
	case a.unified:
		return (samples-1)/a.samples + 1
	}
	return (frames(samples) + tokenFrames - 1) / tokenFrames
}

// SoundReach returns how many samples from the beginning of a sound there are that a token, counted from 0, depends on. When there are as
// many, the token is final; if the sound ends before, its end counts, too.
func (p *Projector) SoundReach(token int) int {
	if p.audio.unified {
		return (token + 1) * p.audio.samples
	}
	return token*tokenSamples + tokenReach
}

// SoundPast returns how many tokens before it a token depends on: a sound that is heard from so many earlier on gives the same embedding.
func (p *Projector) SoundPast() int {
	if p.audio.unified {
		return 0
	}
	return len(p.audio.layers)*(audioContext-1+p.audio.taps-1) + 1 // the convolutions in front see frames of the token before
}

// Hearing takes one sound through the tower while it comes. It owns all scratch of that, and serves one goroutine at a time.
type Hearing struct {
	// Group is how many tokens are encoded together at least, unless the sound ends: a few, since the weights are read once for a group; 0
	// stands for 8, 320 ms. What comes out does not depend on it.
	Group int
	// Between is as in [Sight].
	Between func()

	p *Projector
	a *audio
	regions[Hearing, audioLayer]

	heard   int       // samples
	tokens  int       // made so far
	pending []float32 // samples of frames to come
	broken  error     // a group that did not get through: what follows would miss it

	frames int       // computed since the last token
	mel    []float32 // [1 + frames, bins] the first is the last frame of the last token
	rows   []float32 // [1 + 2 tokens, bins[1], channels[0]] likewise, of the first convolution
	past   []past    // of the layers

	n        int       // tokens at work
	left     int       // frames of the last of these, fewer than four at the end of a sound
	from     int       // first of the tokens at the second convolution
	squares  []float32 // [convLen, bins[2], 3, 3, channels[0]] what the second convolution sees
	features []float32 // [tokens, bins[2] · channels[1]]
	x        []float32 // [tokens, width] the residual
	h        []float32 // [tokens, width] normed input
	q        []float32 // [tokens, width]
	k, val   []float32 // [audioContext−1 + tokens, width]
	scores   []float32 // [tokens, audioContext] of one head
	att      []float32 // [tokens, width]
	out      []float32 // [tokens, width] what a part adds
	up       []float32 // [tokens, mlpWidth]
	exps     []float32 // [tokens, mlpWidth] exponentials
	gated    []float32 // [tokens, 2 · width]
	conv     []float32 // [taps−1 + tokens, width]
	last     []float32 // [tokens, outWidth]
}

// past is what a layer remembers of the tokens before those at work.
type past struct {
	k, v []float32 // [audioContext−1, width]
	conv []float32 // [taps−1, width]
}

const (
	hearLen      = 128 // tokens that are encoded together at most
	convLen      = 16  // tokens that go through the second convolution together
	defaultGroup = 8
)

// NewHearing returns a Hearing that has heard nothing yet. The projector must have a Sound.
func (p *Projector) NewHearing() *Hearing {
	h := &Hearing{p: p, a: p.audio}
	h.regions = newRegions[Hearing, audioLayer](h, p.pool, p.kernels, h.a.width, audioEps)
	h.role = tensor.Panels
	h.Reset()
	return h
}

// Reset makes h ready for another sound.
func (h *Hearing) Reset() {
	h.heard, h.tokens, h.frames, h.broken = 0, 0, 0, nil
	h.pending = h.pending[:0]
	if h.a.unified {
		return
	}
	h.pending = append(h.pending, make([]float32, silentStart)...)
	d := h.a.width
	if h.past == nil {
		h.mel = make([]float32, h.a.bins[0])
		h.rows = make([]float32, h.a.bins[1]*h.a.channels[0])
		for range h.a.layers {
			k, conv := (audioContext-1)*d, (h.a.taps-1)*d
			h.past = append(h.past, past{make([]float32, k), make([]float32, k), make([]float32, conv)})
		}
		return
	}
	clear(h.mel[:h.a.bins[0]])
	clear(h.rows[:h.a.bins[1]*h.a.channels[0]])
	for _, p := range h.past {
		clear(p.conv) // keys and values of no token are not looked at
	}
}

// Hear returns the embeddings [tokens, width] of a whole sound: samples from −1 to 1, 16000 a second. A sound of no token is an error. If
// ctx ends, it stops within a layer and returns ctx's error and its cause.
func (p *Projector) Hear(ctx context.Context, samples []float32) ([]float32, error) {
	if p.audio == nil {
		return nil, fmt.Errorf("model: the projector makes no embeddings of sounds, only %v", &p.Senses)
	}
	return p.NewHearing().Hear(ctx, samples)
}

// Hear is [Projector.Hear] in the scratch of h, which forgets what it has heard.
func (h *Hearing) Hear(ctx context.Context, samples []float32) ([]float32, error) {
	if h.p.SoundTokens(len(samples)) == 0 {
		return nil, fmt.Errorf("model: a sound of %d samples at 16 kHz, expected at least %d", len(samples), frameNeeds-silentStart)
	}
	h.Reset()
	rows, err := h.Push(ctx, samples)
	if err != nil {
		return nil, err
	}
	rest, err := h.Close(ctx)
	if err != nil {
		return nil, err
	}
	return append(rows, rest...), nil
}

// Push takes the samples that follow, however many, and returns the embeddings [tokens, width] of the tokens that are final, unless these
// are fewer than a group: then they wait. They are those of the whole sound, bit for bit. A token is final when samples up to its
// [Projector.SoundReach] are there. A sample that is no finite number is an error, and none of the samples are taken. After any other error
// the sound cannot go on.
func (h *Hearing) Push(ctx context.Context, samples []float32) ([]float32, error) {
	for i, v := range samples {
		if v-v != 0 {
			return nil, fmt.Errorf("model: sample %d is %g, expected a finite number", h.heard+i, v)
		}
	}
	if h.broken != nil {
		return nil, h.broken
	}
	h.ctx = ctx
	h.start(h.Between)
	defer h.stop()
	var rows []float32
	for len(samples) > 0 {
		n := min(len(samples), h.room())
		h.pending = append(h.pending, samples[:n]...)
		h.heard += n
		samples = samples[n:]
		h.listen()
		if n := h.final(); n == hearLen || n >= h.group() && len(samples) == 0 {
			rows = h.encode(rows, n, tokenFrames)
		}
	}
	return rows, h.outcome()
}

// Close ends the sound and returns the embeddings of the tokens that are left: those that waited for their group, and at most one whose
// samples are not all there. Nothing can be pushed afterwards, unless h is reset.
func (h *Hearing) Close(ctx context.Context) ([]float32, error) {
	if h.broken != nil {
		return nil, h.broken
	}
	h.ctx = ctx
	h.start(h.Between)
	defer h.stop()
	var rows []float32
	if h.a.unified {
		if n := len(h.pending); n > 0 {
			h.pending = append(h.pending, make([]float32, (h.a.samples-n%h.a.samples)%h.a.samples)...)
			rows = h.encode(rows, len(h.pending)/h.a.samples, 0)
		}
	} else if h.frames > 0 {
		n := (h.frames + tokenFrames - 1) / tokenFrames
		rows = h.encode(rows, n, h.frames-(n-1)*tokenFrames)
	}
	err := h.outcome()
	h.broken = errors.New("model: the sound has ended")
	return rows, err
}

// outcome returns the error of what was done, and keeps it.
func (h *Hearing) outcome() error {
	if h.err != nil {
		h.broken = h.p.file.Locate(h.err)
	}
	return h.broken
}

func (h *Hearing) group() int {
	if h.Group <= 0 {
		return defaultGroup
	}
	return min(h.Group, hearLen)
}

// room returns how many samples fit into what is encoded together.
func (h *Hearing) room() int {
	if h.a.unified {
		return hearLen*h.a.samples - len(h.pending)
	}
	return (hearLen*tokenFrames-h.frames-1)*hop + frameNeeds - len(h.pending)
}

// final returns how many tokens can be encoded.
func (h *Hearing) final() int {
	if h.a.unified {
		return len(h.pending) / h.a.samples
	}
	return h.frames / tokenFrames
}

// listen computes the frames that are there.
func (h *Hearing) listen() {
	if h.a.unified || len(h.pending) < frameNeeds {
		return
	}
	bins := h.a.bins[0]
	n := (len(h.pending)-frameNeeds)/hop + 1
	extendTo(&h.mel, (1+h.frames+n)*bins)
	h.each(n, nil, (*Hearing).listenTo)
	h.frames += n
	h.pending = h.pending[:copy(h.pending, h.pending[n*hop:])]
}

func (h *Hearing) listenTo(_ *audioLayer, i int) {
	bins := h.a.bins[0]
	h.a.mel.frame(h.mel[(1+h.frames+i)*bins:][:bins], h.pending[i*hop:][:frameLen])
}

// extendTo gives a buffer at least n elements, and keeps what it held.
func extendTo(buf *[]float32, n int) {
	if len(*buf) < n {
		all := make([]float32, n)
		copy(all, *buf)
		*buf = all
	}
}

// encode appends the embeddings of the next n tokens, the last of which has so many frames.
func (h *Hearing) encode(rows []float32, n, left int) []float32 {
	if h.err != nil {
		return rows
	}
	width := h.p.Width
	at := len(rows)
	rows = append(rows, make([]float32, n*width)...)
	h.n, h.left = n, left
	if h.a.unified {
		h.projectSamples(rows[at:])
	} else {
		h.forward(rows[at:])
	}
	h.tokens += n
	return rows
}

// forward takes n tokens through the tower.
func (h *Hearing) forward(rows []float32) {
	if err := h.p.relatives(); err != nil {
		h.fail(err)
		return
	}
	h.convolve()
	for i := range h.a.layers {
		l := &h.a.layers[i]
		h.feedForward(&l.mlp[0])
		h.attention(l)
		h.convolution(l)
		h.feedForward(&l.mlp[1])
		h.norm(h.n, h.x, h.x, l.norm)
	}
	h.readOut(rows)
}

// convolve sets the residual to the projection of two convolutions over the mel spectrogram, each halving frames and frequencies.
func (h *Hearing) convolve() {
	a, n := h.a, h.n
	size, row := a.bins[1]*a.channels[0], a.bins[0]
	extendTo(&h.rows, (1+2*n)*size)
	extendTo(&h.mel, (1+tokenFrames*n)*row)
	clear(h.mel[(1+h.frames)*row:])
	h.each(2*n, nil, (*Hearing).convolveFrames)
	flat := a.bins[2] * a.channels[1]
	grow(&h.features, n*flat)
	grow(&h.squares, min(n, convLen)*a.bins[2]*9*a.channels[0])
	for h.from = 0; h.from < n && h.err == nil; h.from += convLen {
		part := min(convLen, n-h.from)
		h.each(part, nil, (*Hearing).unroll)
		h.multiply(tensor.Product{Dst: h.features[h.from*flat:], X: h.squares, N: part * a.bins[2], W: a.conv2})
	}
	h.each(n*a.bins[2], nil, (*Hearing).rectify)
	grow(&h.x, n*a.width)
	h.project(n, h.features, projection{h.x, &a.input})
	// The next token's first square begins one frame and one row back.
	copy(h.mel[:row], h.mel[tokenFrames*n*row:][:row])
	copy(h.rows[:size], h.rows[2*n*size:][:size])
	h.frames = max(0, h.frames-tokenFrames*n)
	if h.frames > 0 {
		copy(h.mel[row:], h.mel[(1+tokenFrames*n)*row:][:h.frames*row])
	}
}

// convolveFrames computes row i of the first convolution: of the frames 2i−1 to 2i+1, of which the first at work is mel's second.
func (h *Hearing) convolveFrames(_ *audioLayer, i int) {
	a := h.a
	c, bins := a.channels[0], a.bins[0]
	dst := h.rows[(1+i)*a.bins[1]*c:][:a.bins[1]*c]
	clear(dst)
	if i >= 2*h.n-2+(h.left+1)/2 {
		return // the sound has ended before
	}
	for f := range a.bins[1] {
		out := dst[f*c : (f+1)*c]
		for t := range 3 {
			frame := h.mel[(2*i+t)*bins:][:bins]
			for j := range 3 {
				if at := 2*f + j - 1; at >= 0 && at < bins {
					h.kernels.AddScaled(out, a.conv[(3*t+j)*c:][:c], frame[at])
				}
			}
		}
		a.convNorms[0].apply(out)
		rectify(out)
	}
}

// unroll sets squares to what the second convolution sees at token i.
func (h *Hearing) unroll(_ *audioLayer, i int) {
	a := h.a
	c, bins := a.channels[0], a.bins[1]
	dst := h.squares[i*a.bins[2]*9*c:][:a.bins[2]*9*c]
	for f := range a.bins[2] {
		for t := range 3 {
			row := h.rows[(2*(h.from+i)+t)*bins*c:][:bins*c]
			for j := range 3 {
				if at := 2*f + j - 1; at >= 0 && at < bins {
					copy(dst[:c], row[at*c:])
				} else {
					clear(dst[:c])
				}
				dst = dst[c:]
			}
		}
	}
}

// rectify norms what the second convolution gave and drops what is below zero.
func (h *Hearing) rectify(_ *audioLayer, i int) {
	c := h.a.channels[1]
	x := h.features[i*c : (i+1)*c]
	h.a.convNorms[1].apply(x)
	rectify(x)
}

func rectify(x []float32) {
	for i, v := range x {
		x[i] = max(v, 0)
	}
}

// feedForward: x += norm(mlp(norm(x))) / 2.
func (h *Hearing) feedForward(m *audioMLP) {
	n, d, f := h.n, h.a.width, h.a.mlpWidth
	grow(&h.h, n*d)
	grow(&h.out, n*d)
	grow(&h.up, n*f)
	grow(&h.exps, n*f)
	h.norm(n, h.h, h.x, m.norm)
	h.project(n, h.h, projection{h.up, &m.up})
	h.silu(h.up[:n*f])
	h.project(n, h.up, projection{h.out, &m.down})
	h.norm(n, h.out, h.out, m.postNorm)
	h.each(n, nil, (*Hearing).addHalf)
}

func (h *Hearing) addHalf(_ *audioLayer, i int) {
	d := h.a.width
	h.kernels.AddScaled(h.x[i*d:(i+1)*d], h.out[i*d:(i+1)*d], 0.5)
}

// silu: x = x · sigmoid(x).
func (h *Hearing) silu(x []float32) {
	grow(&h.exps, len(x))
	h.loop.x = x
	h.each(sliceCount(len(x)), nil, (*Hearing).siluSlice)
}

func (h *Hearing) siluSlice(_ *audioLayer, i int) {
	x := h.loop.x[i*sliceLen : min((i+1)*sliceLen, len(h.loop.x))]
	e := h.exps[i*sliceLen:][:len(x)]
	h.exp(e, x)
	for j, v := range x {
		x[j] = v / (1 + e[j])
	}
}

// exp: dst = exp(−x).
func (h *Hearing) exp(dst, x []float32) {
	h.kernels.Scale(dst, x, -1)
	h.kernels.ExpSum(dst, 0)
}

// attention: x += norm(attend(norm(x)) · output). A token sees itself and those just before it, by content and by distance.
func (h *Hearing) attention(l *audioLayer) {
	const before = audioContext - 1
	n, d := h.n, h.a.width
	p := &h.past[l.index]
	grow(&h.q, n*d)
	grow(&h.k, (before+n)*d)
	grow(&h.val, (before+n)*d)
	grow(&h.att, n*d)
	grow(&h.scores, n*audioContext)
	copy(h.k, p.k)
	copy(h.val, p.v)
	h.norm(n, h.h, h.x, l.preAttnNorm)
	h.project(n, h.h, projection{h.q, &l.q}, projection{h.k[before*d:], &l.k}, projection{h.val[before*d:], &l.v})
	h.each(n, l, (*Hearing).scale)
	h.each(n, l, (*Hearing).attend)
	copy(p.k, h.k[n*d:(n+before)*d])
	copy(p.v, h.val[n*d:(n+before)*d])
	h.project(n, h.att, projection{h.out, &l.attnOut})
	h.add(n, h.x, h.out, l.postAttnNorm)
}

// scale scales the query and the key of token i.
func (h *Hearing) scale(l *audioLayer, i int) {
	d := h.a.width
	q, k := h.q[i*d:(i+1)*d], h.k[(audioContext-1+i)*d:][:d]
	for len(q) > 0 {
		for j, s := range l.queryScale {
			q[j] *= s
		}
		q = q[len(l.queryScale):]
	}
	h.kernels.Scale(k, k, keyScale)
}

// attend sets att to the values that token i gathers.
func (h *Hearing) attend(l *audioLayer, i int) {
	kern, d := h.kernels, h.a.width
	dim := d / h.a.heads
	seen := min(audioContext, h.tokens+i+1)
	scores := h.scores[i*audioContext:][:seen]
	first := (audioContext + i - seen) * d // of the oldest token seen, in k and val
	for at := 0; at < d; at += dim {
		q, s := h.q[i*d+at:][:dim], scores
		for j := range s {
			back := seen - 1 - j
			s[j] = kern.Dot(q, h.k[first+j*d+at:][:dim]) + kern.Dot(q, l.relative[back*d+at:][:dim])
		}
		kern.SoftCap(s, audioCap)
		sum := kern.ExpSum(s, kern.Max(s))
		out := h.att[i*d+at:][:dim]
		clear(out)
		for j, w := range s {
			kern.AddScaled(out, h.val[first+j*d+at:][:dim], w/sum)
		}
	}
}

// convolution: x += convolve(gate(norm(x))) · output, over the tokens just before.
func (h *Hearing) convolution(l *audioLayer) {
	n, d, before := h.n, h.a.width, h.a.taps-1
	p := &h.past[l.index]
	grow(&h.gated, n*2*d)
	grow(&h.conv, (before+n)*d)
	copy(h.conv, p.conv)
	h.norm(n, h.h, h.x, l.preConvNorm)
	h.project(n, h.h, projection{h.gated, &l.convIn})
	h.each(n, l, (*Hearing).gate)
	h.each(n, l, (*Hearing).convolveTokens)
	copy(p.conv, h.conv[n*d:(n+before)*d])
	h.silu(h.h[:n*d])
	h.project(n, h.h, projection{h.out, &l.convOut})
	h.each(n, l, (*Hearing).addConvolved)
}

// gate sets the input of the convolution at token i: values · sigmoid(gates).
func (h *Hearing) gate(_ *audioLayer, i int) {
	d := h.a.width
	values, gates := h.gated[2*i*d:][:d], h.gated[(2*i+1)*d:][:d]
	dst := h.conv[(h.a.taps-1+i)*d:][:d]
	h.exp(gates, gates)
	for j, v := range values {
		dst[j] = v / (1 + gates[j])
	}
}

// convolveTokens sets h to the normed sum of token i and those before it, channel by channel.
func (h *Hearing) convolveTokens(l *audioLayer, i int) {
	d := h.a.width
	dst := h.h[i*d : (i+1)*d]
	clear(dst)
	for t := range h.a.taps {
		w, x := l.conv[t*d:][:d], h.conv[(i+t)*d:][:d]
		for j := range dst {
			dst[j] += w[j] * x[j]
		}
	}
	h.kernels.RMSNorm(dst, dst, l.convNorm, audioEps)
}

func (h *Hearing) addConvolved(_ *audioLayer, i int) {
	d := h.a.width
	h.kernels.AddScaled(h.x[i*d:(i+1)*d], h.out[i*d:(i+1)*d], 1)
}

// readOut sets rows to the projection of the residual.
func (h *Hearing) readOut(rows []float32) {
	a, n := h.a, h.n
	x := h.x
	if a.output.w != nil {
		grow(&h.last, n*a.outWidth)
		h.project(n, x, projection{h.last, &a.output})
		x = h.last
	}
	h.last = x
	h.each(n, nil, (*Hearing).normLast)
	h.project(n, x, projection{rows, &a.projection})
}

func (h *Hearing) normLast(_ *audioLayer, i int) {
	x := h.last[i*h.a.outWidth:][:h.a.outWidth]
	if h.a.outputBias != nil {
		h.kernels.AddScaled(x, h.a.outputBias, 1)
	}
	h.kernels.RMSNorm(x, x, h.a.norm, audioEps)
}

// projectSamples sets rows to the projection of the samples that are pending.
func (h *Hearing) projectSamples(rows []float32) {
	n, size := h.n, h.a.samples
	grow(&h.last, n*size)
	copy(h.last, h.pending[:n*size])
	h.pending = h.pending[:copy(h.pending, h.pending[n*size:])]
	h.each(n, nil, (*Hearing).normLast)
	h.project(n, h.last, projection{rows, &h.a.projection})
}

// HearingBytes returns about how much memory a Hearing takes for groups of so many tokens, 128 at most, which a long sound takes at once.
func (p *Projector) HearingBytes(tokens int) int64 {
	a := p.audio
	if a == nil {
		return 0
	}
	n := int64(min(max(tokens, 1), hearLen))
	if a.unified {
		return 4 * n * int64(3*a.samples)
	}
	d := int64(a.width)
	values := int64(len(a.layers)) * int64(2*(audioContext-1)+a.taps-1) * d
	values += n * (10*d + 2*int64(a.mlpWidth) + int64(a.outWidth) + int64(a.bins[2]*a.channels[1]) + int64(2*a.bins[1]*a.channels[0]) +
		int64(tokenFrames*a.bins[0]) + tokenSamples + int64(max(a.mlpWidth, a.bins[2]*a.channels[1])))
	values += 2 * min(n, convLen) * int64(a.bins[2]*9*a.channels[0])
	return 4 * values
}
