package gemma4

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// TestRandomPasses takes random chunks of random sequences through common passes, among them what goes wrong: contexts that end at any
// check, callbacks that fail or panic, inputs that make no sense, embeddings that are no numbers. Whatever happens, each sequence is
// compared, bit for bit, with one that takes the same chunks alone, on one worker.
//
//	go test -run RandomPasses -random 10m -v .
func TestRandomPasses(t *testing.T) {
	for _, spec := range []string{"micro-e:f16", "micro-moe:q4_k_m", "tiny-e:q4_0", "tiny-moe:q8_0", "tiny-dense:q4_k_m"} {
		t.Run(spec, func(t *testing.T) {
			skipShort(t, spec, "micro-moe:q4_k_m")
			all := levels()
			if len(all) > 1 {
				all = all[1:] // portable takes its time
			}
			if testing.Short() {
				all = all[len(all)-1:]
			}
			for began, i := time.Now(), 0; i < len(all) || time.Since(began) < *randomTime; i++ {
				seed := uint64(i + 1)
				switch {
				case *randomSeed != 0:
					seed = *randomSeed
				case i >= len(all):
					seed = rand.Uint64()
				}
				r := rand.New(rand.NewPCG(seed, 0))
				w := newCrowd(t, spec, all[i%len(all)], r)
				for range 40 {
					if w.step(); t.Failed() {
						t.Fatalf("seed %d, %s, %d workers:\n%s", seed, w.together.Kernels().Name, w.together.Workers(), w.log)
					}
				}
				w.close()
			}
		})
	}
}

// crowd is sequences of one model that go through common passes, and the same ones each alone.
type crowd struct {
	t               *testing.T
	rand            *rand.Rand
	together, alone *model.Model
	pass, single    *model.Pass
	texts           []*pair
	log             string
	files           []*gguf.File
}

// pair is a sequence in company and the same one alone.
type pair struct{ s, alone *model.Sequence }

func newCrowd(t *testing.T, spec string, k *tensor.Kernels, r *rand.Rand) *crowd {
	c, err := synth.Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	c.Context = 1500
	c.Width = 64
	for i := range c.MLP {
		c.MLP[i] = 64
	}
	data := synth.Bytes(c)
	w := &crowd{t: t, rand: r}
	open := func(workers int) *model.Model {
		f, err := gguf.OpenBytes(data)
		if err != nil {
			t.Fatal(err)
		}
		m, err := model.New(f, model.Options{Kernels: k, Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		w.files = append(w.files, f)
		return m
	}
	w.together, w.alone = open([]int{1, 2, 7}[r.IntN(3)]), open(1)
	w.pass, w.single = w.together.NewPass(), w.alone.NewPass()
	adapters := newAdapters(t, c, w.together, w.alone)
	for range 1 + r.IntN(8) {
		o := model.SequenceOptions{
			Cache:   []tensor.Format{tensor.F16, tensor.F32, tensor.Q8_0, tensor.Q4_0}[r.IntN(4)],
			History: int64(r.IntN(3)) * w.together.WindowBytes(tensor.F16) / 2, EndsTurn: func(id int32) bool { return id%37 == 0 },
		}
		if r.IntN(4) == 0 {
			o.Context = 100 + r.IntN(400)
		}
		with := adapters.some(r)
		o.Adapters = with[0]
		p := &pair{}
		if p.s, err = w.together.NewSequence(o); err != nil {
			o.Cache = tensor.F16
			if p.s, err = w.together.NewSequence(o); err != nil {
				t.Fatal(err)
			}
		}
		o.Adapters = with[1]
		if p.alone, err = w.alone.NewSequence(o); err != nil {
			t.Fatal(err)
		}
		w.texts = append(w.texts, p)
	}
	return w
}

func (w *crowd) close() {
	for _, p := range w.texts {
		p.s.Close()
		p.alone.Close()
	}
	w.together.Close()
	w.alone.Close()
	for _, f := range w.files {
		f.Close()
	}
}

// state is what can be seen of a sequence.
func state(s *model.Sequence) string {
	out := fmt.Sprintf("%d positions, %d pure, %d kept, %d bytes, reach", s.Len(), s.Pure(), s.Kept(), s.Bytes())
	for n := 0; n < s.Len(); n += 16 {
		out += fmt.Sprint(" ", s.Reach(n))
	}
	return out
}

// brought is what a pass has given a chunk.
type brought struct {
	err            string
	logits, hidden []float32
	yielded        []float32
	at             []int
	done           int
}

var errRefused = errors.New("refused")

// step does one thing with some of the texts.
func (w *crowd) step() {
	r := w.rand
	if r.IntN(4) == 0 {
		w.turnBack()
		return
	}
	role := r.IntN(2)
	ctx, single := context.Background(), context.Background()
	what := []string{"prefill", "decode"}[role]
	failing := r.IntN(5) == 0
	if failing {
		ctx = &expiring{Context: ctx, left: r.IntN(2 + 2*len(w.together.Layers))}
		what += " cancelled"
	}
	panics := -1
	order := r.Perm(len(w.texts))[:r.IntN(len(w.texts)+1)]
	if len(order) > 0 && r.IntN(8) == 0 {
		panics = order[r.IntN(len(order))]
		what += fmt.Sprint(" panics", panics)
	}
	var chunks, solo []*model.Chunk
	var got, want []*brought
	var before []string
	panicking := true
	for _, i := range order {
		c, note := w.chunk(w.texts[i].s, role)
		what += fmt.Sprintf(" %d:%s", i, note)
		alone := *c
		alone.Sequence = w.texts[i].alone
		a, b := &brought{}, &brought{}
		a.watch(c)
		b.watch(&alone)
		if i == panics {
			wants, yield, kind := c.Want, c.Yield, r.IntN(2)
			if kind == 0 {
				c.Want = func(pos int) bool {
					if panicking {
						panic(errRefused)
					}
					return wants != nil && wants(pos)
				}
			} else {
				c.Yield = func(pos int, x []float32) error {
					if panicking {
						panic(errRefused)
					}
					if yield != nil {
						return yield(pos, x)
					}
					a.logits = append(a.logits, x...)
					return nil
				}
			}
		}
		chunks, solo, got, want = append(chunks, c), append(solo, &alone), append(got, a), append(want, b)
		before = append(before, state(w.texts[i].s))
	}
	w.log += fmt.Sprintf("%s\n", what)
	pass, lonely := w.pass.Prefill, w.single.Prefill
	if role == 1 {
		pass, lonely = w.pass.Decode, w.single.Decode
	}
	run := func(ctx context.Context) (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("panic: %w", v.(error))
			}
		}()
		return pass(ctx, chunks...)
	}
	err := run(ctx)
	for err != nil { // nobody keeps anything, and then all go on
		if !errors.Is(err, context.Canceled) && !errors.Is(err, errRefused) {
			w.t.Errorf("the pass: %v", err)
			return
		}
		for j, i := range order {
			if now := state(w.texts[i].s); now != before[j] {
				w.t.Errorf("after %v text %d was\n%s and is\n%s", err, i, before[j], now)
			}
			*got[j] = brought{}
		}
		if errors.Is(err, errRefused) {
			panicking = false
		}
		if errors.Is(err, context.Canceled) {
			ctx = context.Background()
		}
		err = run(ctx)
	}
	for j, i := range order {
		if err := lonely(single, solo[j]); err != nil {
			w.t.Fatal(err)
		}
		got[j].take(chunks[j])
		want[j].take(solo[j])
		if d := got[j].differs(want[j]); d != "" {
			w.t.Errorf("text %d at %d: %s", i, w.texts[i].s.Len(), d)
		}
		if a, b := state(w.texts[i].s), state(w.texts[i].alone); a != b {
			w.t.Errorf("text %d is\n%s and alone\n%s", i, a, b)
		}
	}
}

// watch lets b see what the callbacks of a chunk are told.
func (b *brought) watch(c *model.Chunk) {
	if yield := c.Yield; yield != nil {
		c.Yield = func(pos int, x []float32) error {
			b.yielded, b.at = append(b.yielded, x...), append(b.at, pos)
			return yield(pos, x)
		}
	}
	done := c.Done
	c.Done = func() error {
		b.done++
		if done != nil {
			return done()
		}
		return nil
	}
}

func (b *brought) take(c *model.Chunk) {
	b.logits, b.hidden = append(b.logits, c.Logits...), slices.Clone(c.Hidden)
	if c.Err != nil {
		b.err = c.Err.Error()
		b.logits = nil // those of one that was made to yield come before its error
	}
}

func (b *brought) differs(o *brought) string {
	switch {
	case b.err != o.err:
		return fmt.Sprintf("error %q, alone %q", b.err, o.err)
	case !sameBits(b.logits, o.logits):
		return fmt.Sprintf("%d logits, alone %d, or others", len(b.logits), len(o.logits))
	case !sameBits(b.hidden, o.hidden):
		return fmt.Sprintf("%d values of states, alone %d, or others", len(b.hidden), len(o.hidden))
	case !sameBits(b.yielded, o.yielded) || !slices.Equal(b.at, o.at):
		return fmt.Sprintf("logits handed over of %v, alone %v, or others", b.at, o.at)
	case b.done != o.done:
		return fmt.Sprintf("Done was called %d times, alone %d", b.done, o.done)
	}
	return ""
}

// chunk returns a random one.
func (w *crowd) chunk(s *model.Sequence, role int) (*model.Chunk, string) {
	r, m := w.rand, w.together
	c := &model.Chunk{Sequence: s}
	note := ""
	most := []int{80, 4}[role]
	if role == 0 && r.IntN(6) == 0 {
		most = 400
	}
	for range r.IntN(4) {
		n := r.IntN(most + 1)
		switch kind := r.IntN(10); {
		case kind < 6:
			ids := make([]int32, n)
			for i := range ids {
				ids[i] = int32(r.IntN(m.Vocabulary))
			}
			if n > 0 && r.IntN(20) == 0 {
				ids[r.IntN(n)] = int32(m.Vocabulary + r.IntN(3))
				note += "!"
			}
			c.Input = append(c.Input, model.Input{Tokens: ids})
			note += fmt.Sprintf("t%d", n)
		default:
			x := make([]float32, n*m.Width)
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			if n > 0 && r.IntN(10) == 0 {
				x[r.IntN(len(x))] = float32(math.NaN())
				note += "NaN"
			}
			c.Input = append(c.Input, model.Input{Embeddings: x, Image: kind < 9, ID: uint64(r.IntN(3))})
			note += fmt.Sprintf("e%d", n)
		}
	}
	switch salt := r.Uint64(); r.IntN(4) {
	case 0:
	case 1:
		c.Want = func(int) bool { return true }
	default:
		c.Want = func(pos int) bool { return (uint64(pos)*0x9e3779b97f4a7c15+salt)>>60 < 5 }
	}
	c.NoLogits = r.IntN(5) == 0
	if r.IntN(3) == 0 {
		left, refuses := r.IntN(30), r.IntN(3) == 0
		end := s.Len() + left
		c.Yield = func(pos int, x []float32) error {
			if refuses && pos >= end {
				return errRefused
			}
			return nil
		}
		note += "y"
	}
	if r.IntN(10) == 0 {
		c.Done = func() error { return errRefused }
		note += "d"
	}
	return c, note
}

// turnBack takes texts back, marks them, or lets one begin as another, which may have been saved.
func (w *crowd) turnBack() {
	r := w.rand
	p := w.texts[r.IntN(len(w.texts))]
	n := r.IntN(p.s.Len() + 2)
	switch r.IntN(4) {
	case 0:
		if a, b := p.s.Truncate(n), p.alone.Truncate(n); a != b {
			w.t.Errorf("taken back to %d, alone %d", a, b)
		}
		w.log += fmt.Sprintf("back to %d\n", n)
	case 1:
		p.s.Mark()
		p.alone.Mark()
		p.s.Keep()
		p.alone.Keep()
		w.log += "mark\n"
	default:
		o := w.texts[r.IntN(len(w.texts))]
		a, b := p.s.SnapshotOf(n), p.alone.SnapshotOf(n)
		if r.IntN(3) == 0 && n <= p.s.Len() && p.s.Reach(n) == n {
			a, b = reopened(w.t, w.together, a), reopened(w.t, w.alone, b)
			w.log += "saved, "
		}
		x, e := o.s.Adopt(a, n)
		y, f := o.alone.Adopt(b, n)
		if x != y || fmt.Sprint(e) != fmt.Sprint(f) {
			w.t.Errorf("adopted %d, alone %d: %v, %v", x, y, e, f)
		}
		a.Release()
		b.Release()
		w.log += fmt.Sprintf("adopt %d of %d\n", x, n)
	}
}

// reopened returns a text that was saved and opened again, instead of the one given.
func reopened(t *testing.T, m *model.Model, text *model.Snapshot) *model.Snapshot {
	t.Helper()
	defer text.Release()
	var b bytes.Buffer
	if _, err := m.WriteSnapshot(context.Background(), &b, text, new(gguf.Metadata)); err != nil {
		t.Fatal(err)
	}
	saved, err := m.ReadSnapshot(context.Background(), &b)
	if err != nil {
		t.Fatal(err)
	}
	return saved.Snapshot
}

// expiring is a context that ends when it has been asked that many times.
type expiring struct {
	context.Context
	left int
}

func (c *expiring) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}
