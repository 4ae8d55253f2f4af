package main

import (
	"context"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/internal/meter"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// senses are a projector that is measured.
type senses struct {
	ctx     context.Context
	plan    *plan
	pool    *tensor.Pool
	meter   *meter.Meter
	plain   *model.Projector
	wrapped *model.Projector // over the meter's loops
	common  row              // what all of its rows have
}

// encoding is a test of a projector.
type encoding struct {
	row
	products, attention int64                                 // multiply-adds
	begin               func(p *model.Projector) func() error // a function that encodes once, in scratch of its own
}

// frameTokens is the budget of a video's frame.
const frameTokens = 70

// measureSenses opens the projector and runs the plan.
func (s *source) measureSenses(ctx context.Context, p *plan) (rows []row, err error) {
	began := time.Now()
	f, err := gguf.Open(s.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	kernels, err := gemma4.BestKernels()
	if err != nil {
		return nil, err
	}
	if p.loader.Exact {
		kernels = kernels.Exact()
	}
	threads := p.loader.Threads
	if threads == 0 {
		threads, _ = machine.Threads()
	}
	x := &senses{ctx: ctx, plan: p, pool: tensor.NewPool(threads)}
	defer x.pool.Close()
	o := model.Options{Kernels: kernels, Pool: x.pool, AllowUnknown: p.loader.AllowUnknown}
	if x.plain, err = model.OpenProjector(f, &model.Config{Width: projected(f)}, o); err != nil {
		return nil, err
	}
	x.common = row{Model: s.name, Level: kernels.Name, Threads: threads, LoadSeconds: since(began)}
	o.Kernels, x.meter = meter.New(kernels)
	if x.wrapped, err = model.OpenProjector(f, &model.Config{Width: x.plain.Width}, o); err != nil {
		return nil, err
	}
	for _, e := range x.encodings() {
		if err := x.repeat(&e); err != nil {
			return nil, err
		}
		rows = append(rows, e.row)
	}
	return rows, nil
}

// projected returns the width of the embeddings that a projector's file makes, 0 if that does not say.
func projected(f *gguf.File) int {
	for _, name := range []string{"mm.input_projection.weight", "mm.a.input_projection.weight"} {
		if t := f.Tensor(name); t != nil && len(t.Dims) == 2 {
			return t.Dims[1]
		}
	}
	return 0
}

// encodings returns the tests of the plan that the projector can take.
func (x *senses) encodings() (all []encoding) {
	if x.plain.Image != "" {
		for _, tokens := range x.plan.images {
			e := x.pictures(1, tokens)
			e.Test = "picture"
			all = append(all, e)
		}
		for _, frames := range x.plan.frames {
			e := x.pictures(frames, frameTokens)
			e.Test, e.Frames = "video", frames
			all = append(all, e)
		}
	}
	if x.plain.Sound != "" {
		for _, seconds := range x.plan.sounds {
			all = append(all, x.sound(seconds, "sound"), x.sound(seconds, "speech"))
		}
	}
	return all
}

// pictures encodes some pictures of so many tokens, one after the other.
func (x *senses) pictures(n, tokens int) encoding {
	side := x.plain.TokenSide()
	rows := int(math.Sqrt(float64(tokens)))
	for tokens%rows != 0 {
		rows--
	}
	picture := model.Pixels{Width: tokens / rows * side, Height: rows * side}
	picture.RGB = make([]byte, 3*picture.Width*picture.Height)
	for i := range picture.RGB {
		picture.RGB[i] = byte(i * 7919 >> 5)
	}
	e := encoding{row: x.common}
	e.products, e.attention = x.plain.PictureOps(picture.Width, picture.Height)
	e.products, e.attention = int64(n)*e.products, int64(n)*e.attention
	e.Tokens, e.ScratchBytes = n*tokens, x.plain.SightBytes(picture.Width, picture.Height)
	e.begin = func(p *model.Projector) func() error {
		s := p.NewSight()
		return func() error {
			for range n {
				if _, err := s.See(x.ctx, picture); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return e
}

// sound encodes seconds of sound, as a whole or piece by piece, as speech comes.
func (x *senses) sound(seconds int, test string) encoding {
	samples := tone(seconds)
	e := encoding{row: x.common}
	e.Test, e.Spoken, e.Tokens = test, seconds, x.plain.SoundTokens(len(samples))
	e.products, e.attention = x.plain.SoundOps(e.Tokens)
	e.ScratchBytes = x.plain.HearingBytes(e.Tokens)
	piece := len(samples)
	if test == "speech" {
		piece = pieceSamples
		e.ScratchBytes = x.plain.HearingBytes(groupTokens)
	}
	e.begin = func(p *model.Projector) func() error {
		h := p.NewHearing()
		return func() error {
			h.Reset()
			for part := range slices.Chunk(samples, piece) {
				if _, err := h.Push(x.ctx, part); err != nil {
					return err
				}
			}
			_, err := h.Close(x.ctx)
			return err
		}
	}
	return e
}

// groupTokens are encoded together at least, as a [model.Hearing] does by default.
const groupTokens = 8

// tone returns seconds of a sound.
func tone(seconds int) []float32 {
	samples := make([]float32, 16000*seconds)
	for i := range samples {
		t := float64(i) / 16000
		samples[i] = float32(0.3 * math.Sin(2*math.Pi*(300+40*math.Sin(3*t))*t))
	}
	return samples
}

// repeat fills the row with the medians of the repetitions, and with the parts of one that is measured apart.
func (x *senses) repeat(e *encoding) error {
	before := live()
	encode := e.begin(x.plain)
	if err := encode(); err != nil { // pages and buffers come in
		return err
	}
	e.HeldBytes = max(0, live()-before)
	wrapped := e.begin(x.wrapped)
	if err := wrapped(); err != nil {
		return err
	}
	var all []took
	for range x.plan.repetitions {
		if err := x.meter.Burn(x.pool); err != nil {
			return err
		}
		c := startWatch()
		if err := encode(); err != nil {
			return err
		}
		all = append(all, c.stop())
	}
	runtime.KeepAlive(encode)
	e.settle(all)
	e.TokensPerSecond = float64(e.Tokens) / e.Seconds
	e.FlopsPerToken = 2 * float64(e.products+e.attention) / float64(e.Tokens)
	e.TFLOPS = e.TokensPerSecond * e.FlopsPerToken / 1e12

	x.meter.Reset()
	c := startWatch()
	if err := wrapped(); err != nil {
		return err
	}
	t := c.stop()
	if t.busy == 0 {
		t.busy = t.seconds * float64(x.pool.Workers())
	}
	for _, p := range x.meter.Parts() {
		if p.Kind == meter.Attention {
			p.Ops = e.attention // without what heads and strips are filled up with
		}
		e.Parts = append(e.Parts, part{
			Kind: p.Kind.String(), TimeShare: p.Seconds / t.busy,
			TFLOPS: 2e-12 * p.Rate() * float64(x.pool.Workers()), PeakTFLOPS: 2e-12 * p.Peak * float64(x.pool.Workers()),
			MultiplyShare: p.Share(),
		})
	}
	return nil
}

// live returns the bytes of Go's memory that are in use.
func live() int64 {
	for range 2 { // what finalizers let go of, too
		runtime.GC()
	}
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
