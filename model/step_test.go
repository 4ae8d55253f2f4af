package model

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/tensor"
)

// fault is what a page that cannot be delivered panics with, as far as the pool can tell.
type fault struct{ error }

func (fault) Addr() uintptr { return 0xF00 }

// faulty counts calls of inner loops, one of which faults, as any that touches a mapped file may.
type faulty struct {
	calls, at atomic.Int64 // at: the number of the call, from 1 on; 0: none
}

func (f *faulty) call() {
	if n := f.calls.Add(1); n == f.at.Load() {
		panic(fault{errors.New("a page is gone")})
	}
}

// arm lets call n fault.
func (f *faulty) arm(n int64) { f.calls.Store(0); f.at.Store(n) }

func (f *faulty) kernels() *tensor.Kernels {
	k := tensor.Portable()
	for i := range k.Decode {
		format := tensor.Format(i)
		if !format.Valid() {
			continue
		}
		k.Decode[i] = func(dst []float32, src []byte) { f.call(); format.Decode(dst, src) }
	}
	norm, gelu, dot := k.RMSNorm, k.GELU, k.Dot
	k.RMSNorm = func(dst, x, weight []float32, eps float32) { f.call(); norm(dst, x, weight, eps) }
	k.GELU = func(gate, up []float32) { f.call(); gelu(gate, up) }
	k.Dot = func(a, b []float32) float32 { f.call(); return dot(a, b) }
	return k
}

// shape is the whole state of a session: what it holds, what it can go back to, what memory it takes.
func shape(s *session) string {
	out := fmt.Sprintf("%d positions, %d pure, marks %v, low %d, %d bytes, reach", s.Len(), s.Pure(), s.history.marks, s.history.low,
		s.Bytes())
	for n := range s.Len() {
		if s.Reach(n) == n {
			out += fmt.Sprint(" ", n)
		}
	}
	return out
}

// TestASequencesPassCountsWholeOrNotAtAll ends passes at every check of the context, by faults all over the graph, and by errors and panics
// of callbacks. Each leaves the session as it was, at a depth where passes forget pages, mark ends of turns and begin pages.
func TestASequencesPassCountsWholeOrNotAtAll(t *testing.T) {
	refused := errors.New("refused")
	for _, name := range historyModels {
		if testing.Short() && name != "micro-e" {
			continue
		}
		g := readGolden(t, name)
		f, err := gguf.Open(g.model)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		faults := &faulty{}
		m, err := New(f, Options{Workers: 2, Kernels: faults.kernels()})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		text := randomText(500, g.Vocab, 1)
		end := text[249]
		o := SequenceOptions{Cache: tensor.F16, Batch: 50, History: m.slidingPageBytes(tensor.F16),
			EndsTurn: func(id int32) bool { return id == end }}
		base := newSession(t, m, o)
		readTokens(t, base, text[:245])
		snapshot := base.Snapshot()
		defer snapshot.Release()

		in := []Input{{Tokens: text[245:275]}} // an end of a turn and of a page
		none := func(int, []float32) error { return nil }
		everyLayer := func(m *Model) int { return len(m.Layers) + 1 } // and the head
		for _, step := range []struct {
			name   string
			do     func(ctx context.Context, s *session) error
			n      int
			checks func(m *Model) int // of the context, at least
		}{
			{"read", func(ctx context.Context, s *session) error { return s.Read(ctx, in, every, none) }, 275, everyLayer},
			{"read unseen", func(ctx context.Context, s *session) error { return s.Read(ctx, in, nil, nil) }, 275,
				func(m *Model) int { return m.Owners }},
			{"written", func(ctx context.Context, s *session) error { _, err := s.Write(ctx, text[245:261]...); return err }, 261,
				everyLayer},
		} {
			begin := func() (s *session, before string) {
				s = newSession(t, m, o)
				if _, err := s.Adopt(snapshot, 245); err != nil {
					t.Fatal(err)
				}
				return s, shape(s)
			}
			failed := func(how string, s *session, before string, err, want error) {
				t.Helper()
				if !errors.Is(err, want) {
					t.Errorf("%s, %s, %s: error %v, want %v", name, step.name, how, err, want)
				}
				if after := shape(s); after != before {
					t.Errorf("%s, %s, %s: the session was\n%s and is\n%s", name, step.name, how, before, after)
				}
			}
			goesOn := func(s *session) {
				t.Helper()
				expect(t, s, text[:245], randomText(20, g.Vocab, 7))
				s.Close()
			}

			checks := 0
			for done := false; !done; checks++ {
				s, before := begin()
				err := step.do(&countdown{Context: ctx, left: checks}, s)
				if done = err == nil; done {
					if s.Len() != step.n || shape(s) == before {
						t.Errorf("%s, %s: %d positions", name, step.name, s.Len())
					}
					break
				}
				failed(fmt.Sprintf("ended at check %d", checks), s, before, err, context.Canceled)
				goesOn(s)
			}
			if checks < step.checks(m) {
				t.Errorf("%s, %s: the context was asked %d times, in %d layers", name, step.name, checks, len(m.Layers))
			}

			s, _ := begin()
			faults.arm(0)
			if err := step.do(ctx, s); err != nil {
				t.Fatal(err)
			}
			for i, calls := int64(0), faults.calls.Load(); i < 24; i++ {
				s, before := begin()
				faults.arm(1 + i*(calls-1)/23)
				failed(fmt.Sprintf("fault in call %d of %d", faults.at.Load(), calls), s, before, step.do(ctx, s), tensor.ErrFault)
				if faults.arm(0); i%8 == 7 {
					goesOn(s)
				}
			}
		}

		for _, at := range []int{245, 260, 274} { // what yield refuses
			for _, panics := range []bool{false, true} {
				s := newSession(t, m, o)
				if _, err := s.Adopt(snapshot, 245); err != nil {
					t.Fatal(err)
				}
				before := shape(s)
				err := recovered(func() error {
					return s.Read(ctx, in, every, func(pos int, _ []float32) error {
						switch {
						case pos == at && panics:
							panic(refused)
						case pos == at:
							return refused
						}
						return nil
					})
				})
				if !errors.Is(err, refused) || shape(s) != before {
					t.Errorf("%s, refused at %d: %v, the session was\n%s and is\n%s", name, at, err, before, shape(s))
				}
				expect(t, s, text[:245], text[245:290])
			}
		}
		for _, panics := range []bool{false, true} { // chunks that are done stay
			s := newSession(t, m, o)
			done := func() error {
				if s.Len() == 100 && panics {
					panic(refused)
				} else if s.Len() == 100 {
					return refused
				}
				return nil
			}
			err := recovered(func() error {
				return s.pass.Read(ctx, &Chunk{Sequence: s.Sequence, Input: []Input{{Tokens: text}}, Done: done})
			})
			if !errors.Is(err, refused) || s.Len() != 100 || s.Pure() != 100 {
				t.Errorf("%s: refused after 100 positions: %v, %d positions, %d pure", name, err, s.Len(), s.Pure())
			}
			expect(t, s, text[:100], text[100:120])
		}
	}
}

// recovered returns the error of f, or the one that it panics with.
func recovered(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = v.(error)
		}
	}()
	return f()
}

func TestBytesAreThoseOfThePages(t *testing.T) {
	g := readGolden(t, "micro-dense")
	m := openModel(t, g.model, 1)
	text := randomText(500, g.Vocab, 4)
	s := newSession(t, m, SequenceOptions{Cache: tensor.F16, Batch: 30, History: m.slidingPageBytes(tensor.F16)})
	check := func(what string) {
		t.Helper()
		sum := int64(0)
		for _, c := range s.cache[:m.Owners] {
			sum += pagesBytes(c.pages, c.free)
		}
		if s.Bytes() != sum {
			t.Errorf("%s: %d bytes, the pages have %d", what, s.Bytes(), sum)
		}
	}
	for from := 0; from < 480; from += 60 {
		readTokens(t, s, text[from:from+60])
		check("read")
	}
	snapshot := s.Snapshot()
	defer snapshot.Release()
	for _, n := range []int{470, 300, 120} {
		s.Truncate(n)
		check("taken back")
		readTokens(t, s, text[:40])
		check("read on")
	}
	if _, err := s.Adopt(snapshot, 480); err != nil {
		t.Fatal(err)
	}
	check("adopted")
	if _, err := s.Write(ctx, 1, 2, 3); err != nil { // of a shared page
		t.Fatal(err)
	}
	check("written")
	s.Read(&countdown{Context: context.Background(), left: 2}, []Input{{Tokens: text[:20]}}, nil, nil)
	check("given up")
	if s.Close(); s.Bytes() != 0 {
		t.Errorf("%d bytes when closed", s.Bytes())
	}
}

// TestWhatWasWrittenCanBeTakenBack: a draft that is refused needs it, whatever history is kept.
func TestWhatWasWrittenCanBeTakenBack(t *testing.T) {
	g := readGolden(t, "micro-e")
	m := openModel(t, g.model, 1)
	text := randomText(500, g.Vocab, 6)
	for n := 120; n < 145; n++ { // across the end of a page and the window of 8 after it
		s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
		readTokens(t, s, text[:n])
		for range 2 {
			if _, err := s.Write(ctx, text[n:n+16]...); err != nil {
				t.Fatal(err)
			}
			for _, back := range []int{n + 9, n} {
				if got := s.Truncate(back); got != back {
					t.Errorf("%d positions and 16 written: %d left of %d", n, got, back)
				}
			}
		}
	}
}

// TestAPrefillLetsADecodeGoFirst, between two products and within one, and neither changes the other.
func TestAPrefillLetsADecodeGoFirst(t *testing.T) {
	for _, name := range []string{"micro-dense", "micro-e", "micro-moe"} {
		g := readGolden(t, name)
		for _, workers := range []int{1, 2} {
			m := openModel(t, g.model, workers)
			want := read(t, newSession(t, m, SequenceOptions{Cache: tensor.F32}), Input{Tokens: g.IDs})
			writer, alone := newSession(t, m, SequenceOptions{Cache: tensor.F32}), newSession(t, m, SequenceOptions{Cache: tensor.F32})
			read(t, writer, Input{Tokens: g.IDs[:8]})
			read(t, alone, Input{Tokens: g.IDs[:8]})

			s := newSession(t, m, SequenceOptions{Cache: tensor.F32})
			s.pass.most = 1 << 14 // a region of a small model, too, is cut
			regions, written := 0, 0
			s.pass.Between = func() {
				if regions++; regions%5 != 0 || writer.Len() == m.Context {
					return
				}
				id := g.IDs[written%len(g.IDs)]
				got, err := writer.Write(ctx, id)
				if err != nil {
					t.Fatal(err)
				}
				got = slices.Clone(got)
				other, err := alone.Write(ctx, id)
				if err != nil {
					t.Fatal(err)
				}
				if w := worst(got, other); w != 0 {
					t.Errorf("%s: token %d, written within a prefill, differs by %g", name, written, w)
				}
				written++
			}
			if w := worst(read(t, s, Input{Tokens: g.IDs}), want); w != 0 {
				t.Errorf("%s: the prefill differs by %g", name, w)
			}
			if least := 10 * len(m.Layers); regions < least || written == 0 {
				t.Errorf("%s: others could go first %d times, expected at least %d, and wrote %d tokens", name, regions, least, written)
			}
		}
	}
}
