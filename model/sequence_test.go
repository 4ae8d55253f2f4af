package model

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/tensor"
)

var ctx = context.Background()

func readTokens(t testing.TB, s *session, ids []int32) {
	t.Helper()
	if err := s.Read(ctx, []Input{{Tokens: ids}}, nil, nil); err != nil {
		t.Fatal(err)
	}
}

func TestContextIsALimit(t *testing.T) {
	g := readGolden(t, "micro-e")
	m := openModel(t, g.model, 1)
	s := newSession(t, m, SequenceOptions{Context: 20})
	var full *ContextError
	if err := s.Read(ctx, []Input{{Tokens: g.IDs}}, nil, nil); !errors.As(err, &full) || full.Need != 40 || full.Limit != 20 {
		t.Errorf("40 tokens into a context of 20: %v", err)
	}
	if s.Len() != 0 {
		t.Errorf("%d positions held after a refused prompt", s.Len())
	}
	readTokens(t, s, g.IDs[:20])
	if _, err := s.Write(ctx, 5); !errors.As(err, &full) {
		t.Errorf("a 21st token into a context of 20: %v", err)
	}
	if s := newSession(t, m, SequenceOptions{}); s.Limit() != m.Context {
		t.Errorf("default limit %d, want the model's %d", s.Limit(), m.Context)
	}
}

func TestSequenceOptionsAreChecked(t *testing.T) {
	m := openModel(t, readGolden(t, "micro-e").model, 1)
	for _, c := range []struct {
		o   SequenceOptions
		err string
	}{
		{SequenceOptions{Context: -1}, "neither can be negative"},
		{SequenceOptions{Batch: -1}, "neither can be negative"},
		{SequenceOptions{Context: m.Context + 1}, "more than the model's"},
		{SequenceOptions{Cache: tensor.Q4_K}, "a cache in Q4_K is not possible"},
		{SequenceOptions{Cache: tensor.Q8_0}, "multiples of 32, layer 0 has 16"},
	} {
		if _, err := m.NewSequence(c.o); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v: error %v, want %q", c.o, err, c.err)
		}
	}
}

func TestInputsAreChecked(t *testing.T) {
	g := readGolden(t, "micro-e")
	s := newSession(t, openModel(t, g.model, 1), SequenceOptions{})
	for _, c := range []struct {
		in  Input
		err string
	}{
		{Input{Tokens: []int32{2, 512}}, "id 512 is outside the vocabulary of 512"},
		{Input{Tokens: []int32{-1}}, "id -1 is outside"},
		{Input{Embeddings: make([]float32, 65)}, "65 embedding values, no multiple of the width 64"},
		{Input{Tokens: []int32{2}, Embeddings: make([]float32, 64)}, "both tokens and embeddings"},
		{Input{Tokens: []int32{2}, Image: true}, "an image of tokens"},
	} {
		if err := s.Read(ctx, []Input{{Tokens: g.IDs[:3]}, c.in}, nil, nil); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("error %v, want %q", err, c.err)
		}
	}
	if _, err := s.Write(ctx, 512); err == nil {
		t.Error("id 512 was written")
	}
	if s.Len() != 0 {
		t.Errorf("%d positions held after refused inputs", s.Len())
	}
}

func TestErrorOfYieldEndsReading(t *testing.T) {
	g := readGolden(t, "micro-e")
	s := newSession(t, openModel(t, g.model, 1), SequenceOptions{Cache: tensor.F32})
	stop := errors.New("enough")
	seen := 0
	err := s.Read(ctx, []Input{{Tokens: g.IDs}}, every, func(int, []float32) error {
		if seen++; seen == 3 {
			return stop
		}
		return nil
	})
	if err != stop || seen != 3 {
		t.Errorf("error %v after %d positions, want the third's own", err, seen)
	}
}

func TestSessionsShareAModel(t *testing.T) {
	g := readGolden(t, "micro-moe")
	m := openModel(t, g.model, 2)
	want := read(t, newSession(t, m, SequenceOptions{Cache: tensor.F32}), Input{Tokens: g.IDs})
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			s, err := openSession(m, SequenceOptions{Cache: tensor.F32, Batch: 3 + i})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			var got []float32
			if err := s.Read(ctx, []Input{{Tokens: g.IDs}}, every, func(_ int, l []float32) error {
				got = append(got, l...)
				return nil
			}); err != nil {
				t.Error(err)
			}
			if w := worst(got, want); w != 0 {
				t.Errorf("beside other sessions logits differ by %g", w)
			}
		})
	}
	all.Wait()
}

// TestDeepAttentionIsSplit reaches several splits, which the workers share where positions are few.
func TestDeepAttentionIsSplit(t *testing.T) {
	g := readGolden(t, "micro-dense")
	const n = 512 // the model's context
	var want []float32
	for _, workers := range []int{1, 4} {
		m := openModel(t, g.model, workers)
		m.Config.Context = 3 * n // the graph itself has no such limit
		for _, batch := range []int{700, 64} {
			s := newSession(t, m, SequenceOptions{Cache: tensor.F16, Batch: batch})
			r := rand.New(rand.NewPCG(1, 2))
			ids := make([]int32, 2*n+100)
			for i := range ids {
				ids[i] = int32(r.IntN(g.Vocab))
			}
			readTokens(t, s, ids)
			var got []float32
			for id := range int32(5) {
				logits, err := s.Write(ctx, id)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, logits...)
			}
			if want == nil {
				want = got
			}
			if w := worst(got, want); w != 0 {
				t.Errorf("%d workers, batch %d: logits at depth %d differ by %g", workers, batch, len(ids), w)
			}
		}
	}
}

func TestWritingAllocatesNothing(t *testing.T) {
	for _, name := range []string{"micro-e", "micro-moe"} {
		g := readGolden(t, name)
		s := newSession(t, openModel(t, g.model, 2), SequenceOptions{Cache: tensor.F16})
		readTokens(t, s, g.IDs)
		write := func() {
			if _, err := s.Write(ctx, 7); err != nil {
				t.Fatal(err)
			}
		}
		write()
		if n := testing.AllocsPerRun(100, write); n != 0 {
			t.Errorf("%s: %v allocations per token, want 0", name, n)
		}
	}
}

func TestCloseGivesMemoryBack(t *testing.T) {
	g := readGolden(t, "micro-dense")
	m := openModel(t, g.model, 1)
	before := heap()
	s, err := openSession(m, SequenceOptions{Cache: tensor.F32})
	if err != nil {
		t.Fatal(err)
	}
	readTokens(t, s, slices.Repeat(g.IDs, 10))
	s.pass = m.NewPass() // the other one has grown
	during := heap() - before
	if during < s.Bytes() || during > s.Bytes()*11/10 {
		t.Errorf("the heap grew by %d bytes, the cache takes %d, and an idle sequence nothing else", during, s.Bytes())
	}
	s.Close()
	s.Close()
	if after := heap() - before; after > during/20 {
		t.Errorf("%d of %d bytes are still held after Close", after, during)
	}
	if err := s.Read(ctx, []Input{{Tokens: g.IDs}}, nil, nil); err == nil {
		t.Error("a closed session read a prompt")
	}
	runtime.KeepAlive(s)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

func TestCacheTakesWhatTheFormulaSays(t *testing.T) {
	g := readGolden(t, "micro-dense")
	m := openModel(t, g.model, 1)
	for _, f := range []tensor.Format{tensor.F32, tensor.F16} {
		for _, n := range []int{1, 128, 129, 512} {
			for _, batch := range []int{1, 64, 128, 512} {
				s := newSession(t, m, SequenceOptions{Cache: f, Context: n, Batch: batch})
				most := int64(0)
				for i := range n {
					if i%batch == 0 {
						readTokens(t, s, slices.Repeat([]int32{7}, min(batch, n-i)))
						most = max(most, s.Bytes())
					}
				}
				if want := m.CacheBytes(n, f, batch); most > want || most < want/2 {
					t.Errorf("%v, context %d, batch %d: %d bytes, the formula says %d", f, n, batch, most, want)
				}
			}
		}
	}
}

// e2b is the shape of E2B's cache.
func e2b() *Config {
	c := &Config{Window: 512, Owners: 15, Context: 131072}
	for i := range 35 {
		l := LayerConfig{Sliding: i%5 != 4, Heads: 8, KVHeads: 1, HeadDim: 256}
		if !l.Sliding {
			l.HeadDim = 512
		}
		c.Layers = append(c.Layers, l)
	}
	return c
}

func TestE2BCacheAtFullContext(t *testing.T) {
	// 3 global owners: 2 · 512 values of 2 bytes · 131072; 12 sliding ones: 2 · 256 values of 2 bytes · (511 + 512, in pages of 128).
	const want = 3*2*512*2*131072 + 12*2*256*2*1152
	if got := e2b().CacheBytes(131072, tensor.F16, 0); got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
}

func TestDoneIsCalledForEachChunk(t *testing.T) {
	g := readGolden(t, "micro-e")
	var seen []int
	s := newSession(t, openModel(t, g.model, 1), SequenceOptions{Batch: 16})
	c := &Chunk{Sequence: s.Sequence, Input: []Input{{Tokens: g.IDs}}, Done: func() error {
		seen = append(seen, s.Len())
		return nil
	}}
	if err := s.pass.Read(ctx, c); err != nil {
		t.Fatal(err)
	}
	if want := []int{16, 32, 40}; !slices.Equal(seen, want) || len(c.Input[0].Tokens) != 40 {
		t.Errorf("progress %v, want %v; the chunk has %d tokens afterwards", seen, want, len(c.Input[0].Tokens))
	}
}

func TestImageLongerThanABatch(t *testing.T) {
	g := readGolden(t, "micro-dense")
	m := openModel(t, g.model, 2)
	r := rand.New(rand.NewPCG(5, 5))
	image := make([]float32, 100*m.Width)
	for i := range image {
		image[i] = float32(r.NormFloat64())
	}
	in := []Input{{Tokens: g.IDs[:30]}, {Embeddings: image, Image: true}, {Tokens: g.IDs[30:]},
		{Embeddings: image[:7*m.Width], Image: true}}
	var want []float32
	for _, batch := range []int{512, 40, 8, 1} {
		s := newSession(t, m, SequenceOptions{Cache: tensor.F32, Batch: batch})
		got := read(t, s, in...)
		if want == nil {
			want = got
		}
		if w := worst(got, want); w != 0 {
			t.Errorf("batch %d: logits differ by %g", batch, w)
		}
	}
	// The image's first position sees its last: without the mark the logits there are others.
	in[1].Image = false
	s := newSession(t, m, SequenceOptions{Cache: tensor.F32})
	if w := worst(read(t, s, in...), want); w == 0 {
		t.Error("an image gives the logits of embeddings that do not see each other")
	}
}

// TestPromptOfE2BSkipsMostOfTheWork prefills 512 tokens in a model that is E2B at a 32nd of its widths.
func TestPromptOfE2BSkipsMostOfTheWork(t *testing.T) {
	c, err := synth.Parse("e2b:f32")
	if err != nil {
		t.Fatal(err)
	}
	c.Width, c.HeadSize, c.HeadSizeSliding, c.PerLayer, c.Vocabulary = c.Width/32, c.HeadSize/32, c.HeadSizeSliding/32, c.PerLayer/32,
		c.Vocabulary/32
	for i := range c.MLP {
		c.MLP[i] /= 32
	}
	f, err := gguf.OpenBytes(synth.Bytes(c))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := New(f, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ids := make([]int32, 512)
	for i := range ids {
		ids[i] = int32(i * 7919 % m.Vocabulary)
	}
	ops := func(want func(int) bool) (n int64, last []float32) {
		s := newSession(t, m, SequenceOptions{Cache: tensor.F32})
		err := s.Read(ctx, []Input{{Tokens: ids}}, want, func(_ int, l []float32) error {
			last = append(last[:0], l...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return s.Ops(), last
	}
	all, want := ops(every)
	one, got := ops(func(pos int) bool { return pos == len(ids)-1 })
	if w := worst(got, want); w != 0 {
		t.Errorf("the last position's logits differ by %g", w)
	}
	share := float64(one) / float64(all)
	t.Logf("multiply-adds per token: %d for one position's logits, %d for all: %.1f%%", one/512, all/512, 100*share)
	if share >= 0.35 {
		t.Errorf("%.1f%% of the multiply-adds, want under 35%%", 100*share)
	}
}

// TestAClosedSequenceIsEmpty, whatever it is asked for.
func TestAClosedSequenceIsEmpty(t *testing.T) {
	g := readGolden(t, "micro-e")
	m := openModel(t, g.model, 1)
	s, open := newSession(t, m, SequenceOptions{Cache: tensor.F16}), newSession(t, m, SequenceOptions{Cache: tensor.F16})
	readTokens(t, s, g.IDs)
	readTokens(t, open, g.IDs)
	full := s.Snapshot()
	defer full.Release()
	s.Close()
	s.Mark()
	s.Keep()
	if n := s.Truncate(-1) + s.Reach(5) + s.Len() + s.Pure() + s.Kept() + s.Limit() + int(s.Bytes()); n != 0 {
		t.Errorf("a closed sequence has something: %d", n)
	}
	var limit *ContextError
	if _, err := s.Adopt(full, full.Len()); !errors.As(err, &limit) {
		t.Errorf("a closed sequence has adopted a text: %v", err)
	}
	if _, err := s.Write(ctx, 5); !errors.As(err, &limit) {
		t.Errorf("a closed sequence has written: %v", err)
	}
	empty := s.Snapshot()
	defer empty.Release()
	if n, err := open.Adopt(empty, 5); n != 0 || err != nil || open.Len() != 0 {
		t.Errorf("%d positions of a closed sequence were adopted, %d are held: %v", n, open.Len(), err)
	}
}
