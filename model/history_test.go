package model

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/gogemma/gemma4/tensor"
)

// randomText returns n ids that depend on the seed alone.
func randomText(n, vocabulary int, seed uint64) []int32 {
	r := rand.New(rand.NewPCG(seed, 1))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(r.IntN(vocabulary))
	}
	return ids
}

// expect prefills more and compares the last logits with those of a new session that prefills everything.
func expect(t *testing.T, s *session, text, more []int32) {
	t.Helper()
	fresh, err := openSession(s.m, SequenceOptions{Cache: s.format})
	if err != nil {
		t.Error(err)
		return
	}
	defer fresh.Close()
	last := func(s *session, ids []int32) (got []float32) {
		err := s.Read(ctx, []Input{{Tokens: ids}}, func(pos int) bool { return pos >= len(text) }, func(_ int, l []float32) error {
			got = append(got, l...)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		return got
	}
	got, want := last(s, more), last(fresh, append(slices.Clone(text), more...))
	if w := worst(got, want); w != 0 {
		t.Errorf("after %d and %d tokens the logits differ by %g from those of a fresh session", len(text), len(more), w)
	}
}

var historyModels = []string{"micro-e", "micro-moe", "micro-dense"} // windows of 8, contexts of 512

func TestTruncateTakesTheTextBack(t *testing.T) {
	for _, name := range historyModels {
		if testing.Short() && name != "micro-e" {
			continue
		}
		g := readGolden(t, name)
		m := openModel(t, g.model, 2)
		page := m.slidingPageBytes(tensor.F16)
		text := randomText(500, g.Vocab, 1)
		for i, test := range []struct {
			budget int64 // pages
			marks  []int
			to     int
			want   int
		}{
			{0, nil, 500, 500},
			{0, nil, 499, 499},
			{0, nil, 391, 391}, // the window lies in the last page
			{0, nil, 390, 0},   // it begins in the one before
			{0, nil, -1, 0},
			{1, nil, 300, 300},
			{1, nil, 263, 263},
			{1, nil, 262, 0},
			{3, nil, 5, 5},
			{2, []int{130}, 130, 130}, // pages 0 and 1; 2 was given up
			{2, []int{130}, 400, 400},
			{2, []int{130}, 300, 256},
			{2, []int{130}, 255, 255},
			{1, []int{130}, 130, 0}, // the mark needs more than there is
			{1, []int{130}, 300, 300},
			{2, []int{40, 150}, 40, 40},
			{2, []int{40, 150}, 390, 256},
			{1, []int{40, 150}, 150, 150}, // the later mark wins
			{1, []int{40, 150}, 134, 0},
			{1, []int{40}, 300, 128},
			{2, []int{40, 150, 280}, 40, 40}, // the first mark and the latest win
			{2, []int{40, 150, 280}, 150, 128},
			{2, []int{40, 150, 280}, 280, 280},
			{1, []int{40, 150}, 150, 150}, // the first mark would take all there is
			{1, []int{40}, 50, 50},
		} {
			s := newSession(t, m, SequenceOptions{Cache: tensor.F16, Batch: 16, History: test.budget * page})
			at := 0
			for _, mark := range append(test.marks, len(text)) {
				readTokens(t, s, text[at:mark])
				s.Mark()
				at = mark
			}
			reach := s.Reach(test.to)
			got := s.Truncate(test.to)
			if got != test.want || reach != got || s.Len() != got || got > max(0, test.to) {
				t.Errorf("%s, %d pages, marks %v: %d positions left of %d wanted, expected %d", name, test.budget, test.marks, got, test.to,
					test.want)
			}
			if name == "micro-e" && !testing.Short() || i%4 == 1 {
				expect(t, s, text[:got], randomText(12, g.Vocab, 9))
			}
		}
	}
}

func TestTheLastTurnsCanBeReached(t *testing.T) {
	g := readGolden(t, "micro-dense")
	m := openModel(t, g.model, 1)
	const end = 7
	text := randomText(500, g.Vocab, 3)
	for i := range text {
		if text[i] == end {
			text[i]++
		}
	}
	var ends []int
	for n := 45; n < len(text); n += 45 {
		text[n-1] = end
		ends = append(ends, n)
	}
	s := newSession(t, m, SequenceOptions{Cache: tensor.F16, Batch: 50, History: 2 * m.slidingPageBytes(tensor.F16),
		EndsTurn: func(id int32) bool { return id == end }})
	readTokens(t, s, text[:480])
	for _, id := range text[480:] {
		if _, err := s.Write(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	for i, n := range slices.Backward(ends) {
		if got := s.Reach(n); got != n && len(ends)-i <= 4 { // two pages and the running one are 256 to 384 positions
			t.Errorf("the end of turn %d at %d cannot be reached, only %d", i, n, got)
		}
	}
	if held := s.Bytes(); held > m.CacheBytes(512, tensor.F16, 50)+2*m.slidingPageBytes(tensor.F16) {
		t.Errorf("%d bytes are held", held)
	}
}

// The page of the first turn's end, far behind the window, is kept if the end is marked.
func TestTheFirstTurnCanBeReached(t *testing.T) {
	g := readGolden(t, "micro-dense")
	m := openModel(t, g.model, 1)
	const end, first = 7, 45
	text := randomText(480, g.Vocab, 3)
	for i := range text {
		if text[i] == end {
			text[i]++
		}
	}
	text[first-1] = end
	for _, marks := range []bool{true, false} {
		o := SequenceOptions{Cache: tensor.F16, Batch: 50, History: m.slidingPageBytes(tensor.F16)}
		if marks {
			o.EndsTurn = func(id int32) bool { return id == end }
		}
		s := newSession(t, m, o)
		readTokens(t, s, text)
		if got := s.Reach(first); (got == first) != marks {
			t.Errorf("marked %v: of %d positions %d can be reached", marks, first, got)
		}
	}
}

func TestMarksAndCountsEndWithTheText(t *testing.T) {
	g := readGolden(t, "micro-dense")
	s := newSession(t, openModel(t, g.model, 1), SequenceOptions{Cache: tensor.F16, History: 1 << 20})
	text := randomText(61, g.Vocab, 3)
	readTokens(t, s, text[:40])
	s.Mark()
	readTokens(t, s, text[40:])
	s.Mark()
	s.Keep()
	for _, c := range []struct {
		n    int
		want []int
	}{{61, []int{40, 61}}, {60, []int{40}}, {40, []int{40}}, {39, nil}} {
		if s.Truncate(c.n); !slices.Equal(s.history.marks, c.want) {
			t.Errorf("a text of %d positions has the marks %v, want %v", c.n, s.history.marks, c.want)
		}
		if s.Kept() != c.n || s.Pure() != c.n {
			t.Errorf("a text of %d positions: %d have stayed, %d were read", c.n, s.Kept(), s.Pure())
		}
	}
}

func TestSnapshotsShareAndPart(t *testing.T) {
	for _, name := range historyModels {
		if testing.Short() && name != "micro-e" {
			continue
		}
		g := readGolden(t, name)
		m := openModel(t, g.model, 2)
		text := randomText(300, g.Vocab, 5)
		s := newSession(t, m, SequenceOptions{Cache: tensor.F16, History: 1 << 30})
		readTokens(t, s, text)
		snapshot := s.Snapshot()
		held := s.Bytes()
		if snapshot.Bytes() != held || snapshot.Len() != 300 {
			t.Errorf("%s: a snapshot of %d positions has %d bytes, its session %d", name, snapshot.Len(), snapshot.Bytes(), held)
		}
		var all sync.WaitGroup
		for i, n := range []int{300, 300, 250, 130, 128, 127, 1, 0} {
			fork := newSession(t, m, SequenceOptions{Cache: tensor.F16, History: 1 << 30})
			all.Go(func() {
				got, err := fork.Adopt(snapshot, n)
				if err != nil || got != n {
					t.Errorf("%s: %d of %d positions adopted: %v", name, got, n, err)
					return
				}
				expect(t, fork, text[:n], randomText(40, g.Vocab, uint64(20+i)))
			})
		}
		expect(t, s, text, randomText(30, g.Vocab, 50))
		all.Wait()
		// The snapshot is what it was, whatever its heirs wrote.
		last := newSession(t, m, SequenceOptions{Cache: tensor.F16})
		if n, err := last.Adopt(snapshot, 1000); err != nil || n != 300 {
			t.Errorf("%s: %d positions adopted: %v", name, n, err)
		}
		expect(t, last, text, randomText(200, g.Vocab, 51))
		snapshot.Release()
		snapshot.Release()
	}
}

func TestAdoptRefusesWhatDoesNotFit(t *testing.T) {
	g := readGolden(t, "micro-e")
	m, other := openModel(t, g.model, 1), openModel(t, g.model, 1)
	s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
	readTokens(t, s, randomText(60, g.Vocab, 1))
	snapshot := s.Snapshot()
	defer snapshot.Release()
	var full *ContextError
	if _, err := newSession(t, m, SequenceOptions{Cache: tensor.F16, Context: 59}).Adopt(snapshot, 60); !errors.As(err, &full) {
		t.Errorf("60 positions in a context of 59: %v", err)
	}
	if _, err := newSession(t, m, SequenceOptions{Cache: tensor.F32}).Adopt(snapshot, 60); err == nil {
		t.Error("another cache format was adopted")
	}
	if _, err := newSession(t, other, SequenceOptions{Cache: tensor.F16}).Adopt(snapshot, 60); err == nil {
		t.Error("another model's snapshot was adopted")
	}
}

func TestPureIsWhatWasReadWithAnIdentity(t *testing.T) {
	g := readGolden(t, "micro-e")
	m := openModel(t, g.model, 1)
	s := newSession(t, m, SequenceOptions{Cache: tensor.F16, Batch: 7})
	expect := func(want int) {
		t.Helper()
		if s.Pure() != want {
			t.Errorf("%d of %d positions are pure, expected %d", s.Pure(), s.Len(), want)
		}
	}
	readTokens(t, s, randomText(20, g.Vocab, 1))
	expect(20)
	if _, err := s.Write(ctx, 1, 2, 3); err != nil {
		t.Fatal(err)
	}
	readTokens(t, s, randomText(20, g.Vocab, 1))
	expect(20)
	snapshot := s.Snapshot()
	defer snapshot.Release()
	s.Truncate(22)
	expect(20)
	s.Truncate(18)
	readTokens(t, s, randomText(5, g.Vocab, 1))
	expect(23)
	soft := make([]float32, 8*m.Width)
	in := []Input{{Embeddings: soft, Image: true, ID: 1}, {Tokens: []int32{1, 2}}, {Embeddings: soft, ID: 2}}
	if err := s.Read(ctx, in, nil, nil); err != nil {
		t.Fatal(err)
	}
	expect(41)
	if err := s.Read(ctx, []Input{{Embeddings: soft}, {Tokens: []int32{1, 2}}, {Embeddings: soft, ID: 3}}, nil, nil); err != nil {
		t.Fatal(err)
	}
	expect(41)
	for _, n := range []int{43, 21, 10} {
		if _, err := s.Adopt(snapshot, n); err != nil {
			t.Fatal(err)
		}
		expect(min(n, 20))
	}
}

func TestPageSetCountsSharedPagesOnce(t *testing.T) {
	g := readGolden(t, "micro-dense")
	m := openModel(t, g.model, 1)
	s := newSession(t, m, SequenceOptions{Cache: tensor.F16, History: 1 << 30})
	text := randomText(300, g.Vocab, 1)
	readTokens(t, s, text[:200])
	var set PageSet
	early, one := s.Snapshot(), s.SnapshotOf(128)
	set.Add(one)
	if set.Bytes() != one.Bytes() || one.Len() != 128 || 2*one.Bytes() != early.Bytes() {
		t.Errorf("128 positions take %d bytes, %d are counted, 200 take %d", one.Bytes(), set.Bytes(), early.Bytes())
	}
	set.Add(early)
	set.Add(early)
	if set.Bytes() != early.Bytes() {
		t.Errorf("%d bytes are counted, there are %d", set.Bytes(), early.Bytes())
	}
	readTokens(t, s, text[200:]) // a copy of the second page, and a third
	late := s.Snapshot()
	set.Add(late)
	if want := 4 * one.Bytes(); set.Bytes() != want {
		t.Errorf("four pages of each layer are %d bytes, expected %d", set.Bytes(), want)
	}
	for _, x := range []*Snapshot{early, one, late, early} {
		set.Remove(x)
	}
	if set.Bytes() != 0 || len(set.holders) != 0 {
		t.Errorf("%d bytes of %d pages are left", set.Bytes(), len(set.holders))
	}
}
