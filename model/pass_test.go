package model

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/tensor"
)

// chunk returns a chunk of tokens.
func (s *session) chunk(want func(int) bool, ids ...int32) *Chunk {
	return &Chunk{Sequence: s.Sequence, Input: []Input{{Tokens: ids}}, Want: want}
}

// TestUnwantedTokensMultiplyNoHead: neither the head nor the layers that keep nothing, and what is wanted has the same bits.
func TestUnwantedTokensMultiplyNoHead(t *testing.T) {
	for _, name := range []string{"micro-e", "micro-moe", "micro-dense"} {
		g := readGolden(t, name)
		m := openModel(t, g.model, 2)
		text := randomText(60, g.Vocab, 3)
		ops := func(want func(pos int) bool) (*Chunk, *session, int64) {
			s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
			readTokens(t, s, text[:50])
			before := s.Ops()
			c := s.chunk(want, text[50:56]...)
			if err := c.failed(s.pass.Decode(ctx, c)); err != nil {
				t.Fatal(err)
			}
			return c, s, s.Ops() - before
		}
		all, _, allOps := ops(every)
		none, fresh, noneOps := ops(nil)
		two, s, twoOps := ops(func(pos int) bool { return pos == 52 || pos == 55 })
		head := int64(m.head.Rows() * m.head.Cols())
		behind := int64(0) // of a token in the layers that keep nothing: all but norms
		for i := m.Owners; i < len(m.Layers); i++ {
			l := &m.layers[i]
			for _, w := range []*tensor.Tensor{l.q, l.attnOut, l.gate, l.up, l.down, l.perLayerGate, l.perLayerOut} {
				if w != nil {
					behind += int64(w.Rows() * w.Cols())
				}
			}
		}
		if len(none.Logits) != 0 || len(none.Hidden) != 0 || noneOps > allOps-6*(head+behind) {
			t.Errorf("%s: %d logits and %d multiply-adds for no position, %d for six, of which heads are %d", name, len(none.Logits),
				noneOps, allOps, 6*head)
		}
		if !(noneOps+2*head <= twoOps && twoOps <= allOps-4*(head+behind)) {
			t.Errorf("%s: %d multiply-adds for no position, %d for two, %d for six; the head is %d", name, noneOps, twoOps, allOps, head)
		}
		for i, at := range []int{2, 5} {
			if worst(two.Logits[i*g.Vocab:(i+1)*g.Vocab], all.Logits[at*g.Vocab:(at+1)*g.Vocab]) != 0 ||
				worst(two.Hidden[i*m.Width:(i+1)*m.Width], all.Hidden[at*m.Width:(at+1)*m.Width]) != 0 {
				t.Errorf("%s: position %d has other logits or another state where two are wanted than where all are", name, 50+at)
			}
		}
		expectAlike(t, name, fresh, s, text[56:])
	}
}

// expectAlike decodes the same in two sequences and compares the logits.
func expectAlike(t *testing.T, what string, a, b *session, ids []int32) {
	t.Helper()
	x, err := a.Write(ctx, ids...)
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.Write(ctx, ids...)
	if err != nil {
		t.Fatal(err)
	}
	if w := worst(x, y); w != 0 {
		t.Errorf("%s: logits differ by %g", what, w)
	}
}

// TestHiddenStatesAreWhatTheHeadIsMultipliedWith, whether logits are kept, handed over or not asked for.
func TestHiddenStatesAreWhatTheHeadIsMultipliedWith(t *testing.T) {
	g := readGolden(t, "micro-e")
	m := openModel(t, g.model, 2)
	for _, prefill := range []bool{true, false} {
		var texts []*session
		var chunks []*Chunk
		yielded := map[int][]float32{}
		for i := range 4 {
			s := newSession(t, m, SequenceOptions{Cache: tensor.F32})
			c := s.chunk(func(pos int) bool { return pos%4 != i }, g.IDs...)
			c.NoLogits = i == 1
			if i == 2 {
				c.Yield = func(pos int, logits []float32) error {
					yielded[pos] = slices.Clone(logits)
					return nil
				}
			}
			texts, chunks = append(texts, s), append(chunks, c)
		}
		p := m.NewPass()
		pass := p.Decode
		if prefill {
			pass = p.Prefill
		}
		if err := pass(ctx, chunks...); err != nil {
			t.Fatal(err)
		}
		for i, c := range chunks {
			if c.Err != nil {
				t.Fatal(c.Err)
			}
			n := 0
			for pos := range g.IDs {
				if !c.Want(pos) {
					continue
				}
				logits := make([]float32, g.Vocab)
				mm := tensor.NewMatMul(m.pool, m.kernels)
				if err := mm.Run(p.role, tensor.Product{Dst: logits, X: c.Hidden[n*m.Width:], N: 1, W: m.head}); err != nil {
					t.Fatal(err)
				}
				if m.SoftCap > 0 {
					m.kernels.SoftCap(logits, m.SoftCap)
				}
				got := yielded[pos]
				switch i {
				case 0, 3:
					got = c.Logits[n*g.Vocab : (n+1)*g.Vocab]
				case 1:
					got = logits
				}
				if worst(got, logits) != 0 || worst(logits, g.logits[pos*g.Vocab:(pos+1)*g.Vocab]) > 1e-3 {
					t.Errorf("text %d, position %d: the logits are not those of the hidden state, or wrong", i, pos)
				}
				n++
			}
			if len(c.Hidden) != n*m.Width || (len(c.Logits) == 0) != (i == 1 || i == 2) {
				t.Errorf("text %d: %d values of %d states, %d logits", i, len(c.Hidden), n, len(c.Logits))
			}
			if texts[i].Len() != len(g.IDs) {
				t.Errorf("text %d has %d positions", i, texts[i].Len())
			}
		}
	}
}

// TestWhatFailsInOneSequenceLeavesTheOthers: each failure names itself, and the chunks of the others count.
func TestWhatFailsInOneSequenceLeavesTheOthers(t *testing.T) {
	refused := errors.New("refused")
	g := readGolden(t, "micro-e")
	m := openModel(t, g.model, 2)
	other := openModel(t, g.model, 1)
	text := randomText(60, g.Vocab, 5)
	bad := make([]float32, m.Width)
	bad[3] = float32(math.NaN())
	for name, c := range map[string]struct {
		spoil func(s *session, c *Chunk)
		want  string
	}{
		"full": {func(s *session, c *Chunk) { s.limit = 52 }, "the text needs 53 positions, the context holds 52"},
		"id":   {func(s *session, c *Chunk) { c.Input[0].Tokens[1] = int32(g.Vocab) }, "id 512 is outside the vocabulary of 512"},
		"NaN": {func(s *session, c *Chunk) { c.Input = append(c.Input, Input{Embeddings: bad}) },
			"the logit of id 0 behind position 53 is NaN"},
		"unread NaN": {func(s *session, c *Chunk) { c.Input, c.Want = append(c.Input, Input{Embeddings: bad}), nil }, ""},
		"yield": {func(s *session, c *Chunk) {
			c.Yield = func(pos int, _ []float32) error {
				if pos == 51 {
					return refused
				}
				return nil
			}
		}, "refused"},
		"no sequence": {func(s *session, c *Chunk) { c.Sequence = nil }, "without a sequence of the pass's model"},
		"other model": {func(s *session, c *Chunk) { c.Sequence.m = other }, "without a sequence of the pass's model"},
		"closed":      {func(s *session, c *Chunk) { s.Close() }, "the context holds 0"},
	} {
		for _, prefill := range []bool{false, true} {
			p := m.NewPass()
			pass := p.Decode
			if prefill {
				pass = p.Prefill
			}
			var texts []*session
			var chunks []*Chunk
			for i := range 3 {
				s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
				readTokens(t, s, text[i:50])
				chunk := s.chunk(every, slices.Clone(text[50:53+i])...)
				chunk.Sequence = s.Sequence
				texts, chunks = append(texts, s), append(chunks, chunk)
			}
			readTokens(t, texts[1], text[:1])
			chunks[1].Input[0].Tokens = chunks[1].Input[0].Tokens[:3]
			before := shape(texts[1])
			c.spoil(texts[1], chunks[1])
			if err := pass(ctx, chunks...); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for i, chunk := range chunks {
				if i == 1 && c.want != "" {
					if chunk.Err == nil || !strings.Contains(chunk.Err.Error(), c.want) {
						t.Errorf("%s: error %v, want %q", name, chunk.Err, c.want)
					}
					if after := shape(texts[1]); name != "closed" && name != "other model" && after != before {
						t.Errorf("%s: the sequence was\n%s and is\n%s", name, before, after)
					}
					continue
				}
				if chunk.Err != nil {
					t.Errorf("%s: text %d: %v", name, i, chunk.Err)
				}
				if i == 1 {
					continue
				}
				fresh := newSession(t, m, SequenceOptions{Cache: tensor.F16})
				readTokens(t, fresh, text[i:50])
				alone := fresh.chunk(every, text[50:53+i]...)
				if err := alone.failed(pass(ctx, alone)); err != nil {
					t.Fatal(err)
				}
				want := slices.Clone(alone.Logits)
				if texts[i].Len() != 53 || len(want) != (3+i)*g.Vocab {
					t.Errorf("%s: text %d has %d positions, %d logits", name, i, texts[i].Len(), len(want))
				}
				expectAlike(t, fmt.Sprintf("%s, text %d", name, i), texts[i], fresh, text[55:])
			}
			texts[1].m = m
		}
	}
}

// TestLogitsOfTheOthersStay: those of a chunk after one that fails have the bits of a pass without it.
func TestLogitsOfTheOthersStay(t *testing.T) {
	g := readGolden(t, "micro-moe")
	m := openModel(t, g.model, 2)
	bad := make([]float32, m.Width)
	bad[0] = float32(math.NaN())
	p := m.NewPass()
	run := func(with bool) []float32 {
		a := newSession(t, m, SequenceOptions{Cache: tensor.F16}).chunk(every, g.IDs[:5]...)
		b := newSession(t, m, SequenceOptions{Cache: tensor.F16}).chunk(every, g.IDs[:3]...)
		b.Input[0] = Input{Embeddings: bad}
		c := newSession(t, m, SequenceOptions{Cache: tensor.F16}).chunk(every, g.IDs[7:12]...)
		chunks := []*Chunk{a, b, c}
		if !with {
			chunks = []*Chunk{a, c}
		}
		if err := p.Prefill(ctx, chunks...); err != nil || a.Err != nil || c.Err != nil || (b.Err != nil) != with || b.Logits != nil ||
			b.Hidden != nil {
			t.Fatalf("errors %v, %v, %v, %v; %d logits and %d values of the one that fails", err, a.Err, b.Err, c.Err, len(b.Logits),
				len(b.Hidden))
		}
		return slices.Concat(a.Logits, a.Hidden, c.Logits, c.Hidden)
	}
	if w := worst(run(true), run(false)); w != 0 {
		t.Errorf("beside a text that is no number logits differ by %g", w)
	}
}

// TestASavedTextThatIsCutNamesItsChunk: whether it is missed when room is made for the chunk, or within the layers.
func TestASavedTextThatIsCutNamesItsChunk(t *testing.T) {
	if runtime.GOARCH != "amd64" || runtime.GOOS != "linux" {
		t.Skip("not every system and emulator tells where a fault was")
	}
	g := readGolden(t, "micro-e")
	m := openModel(t, g.model, 2)
	text := randomText(300, g.Vocab, 8)
	for _, n := range []int{200, 256} { // the last page is copied, or all are full
		p := m.NewPass()
		var chunks []*Chunk
		for i := range 3 {
			s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
			readTokens(t, s, text[:n])
			if i == 1 {
				path := write(t, saved(t, s))
				s = reopened(t, m, path, SequenceOptions{Cache: tensor.F16})
				if err := os.Truncate(path, 4096); err != nil {
					t.Fatal(err)
				}
			}
			chunks = append(chunks, s.chunk(every, text[n:n+2]...))
		}
		err := p.Decode(ctx, chunks...)
		if n == 200 && err != nil || n == 256 && !errors.Is(err, tensor.ErrFault) {
			t.Errorf("behind %d positions: error %v of the pass", n, err)
		}
		if chunks[0].Err != nil || chunks[1].Err == nil || chunks[2].Err != nil {
			t.Errorf("behind %d positions: errors %v, %v, %v of the chunks", n, chunks[0].Err, chunks[1].Err, chunks[2].Err)
		}
		if err != nil {
			if err := p.Decode(ctx, chunks[0], chunks[2]); err != nil {
				t.Fatal(err)
			}
		}
		if worst(chunks[0].Logits, chunks[2].Logits) != 0 || len(chunks[0].Logits) != 2*g.Vocab || chunks[1].Sequence.Len() != n {
			t.Errorf("behind %d positions: the others have other logits, or the broken text %d positions", n, chunks[1].Sequence.Len())
		}
	}
}

func TestASequenceIsOnceInAPass(t *testing.T) {
	g := readGolden(t, "micro-e")
	m := openModel(t, g.model, 1)
	s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
	a, b := s.chunk(every, 1, 2), s.chunk(every, 3)
	if err := s.pass.Decode(ctx, a, b); err != nil || a.Err != nil || b.Err == nil || s.Len() != 2 {
		t.Errorf("errors %v, %v, %v, %d positions", err, a.Err, b.Err, s.Len())
	}
}

// TestAPassCountsWholeOrNotAtAll ends a pass of three at every check of the context, and by panics. Nobody keeps anything, and the same
// pass continues.
func TestAPassCountsWholeOrNotAtAll(t *testing.T) {
	g := readGolden(t, "micro-e")
	m := openModel(t, g.model, 2)
	text := randomText(300, g.Vocab, 8)
	p := m.NewPass()
	var texts []*session
	var before []string
	for i, n := range []int{250, 127, 3} { // the second begins a page
		s := newSession(t, m, SequenceOptions{Cache: []tensor.Format{tensor.F16, tensor.F32}[i%2]})
		readTokens(t, s, text[:n])
		texts, before = append(texts, s), append(before, shape(s))
	}
	for _, pass := range []func(context.Context, ...*Chunk) error{p.Prefill, p.Decode} {
		chunks := func() (out []*Chunk) {
			for _, s := range texts {
				out = append(out, s.chunk(every, text[270:275]...))
			}
			return out
		}
		unchanged := func(how string) {
			t.Helper()
			for i, s := range texts {
				if after := shape(s); after != before[i] {
					t.Errorf("%s: text %d was\n%s and is\n%s", how, i, before[i], after)
				}
			}
		}
		for left := 0; ; left++ {
			err := pass(&countdown{Context: ctx, left: left}, chunks()...)
			if err == nil {
				if left < len(m.Layers) {
					t.Errorf("the context was asked %d times in %d layers", left, len(m.Layers))
				}
				break
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			unchanged(fmt.Sprintf("ended at check %d", left))
		}
		for i, s := range texts { // one is taken back further, and all go on as if they had been alone
			if s.Len() != []int{255, 132, 8}[i] {
				t.Errorf("text %d has %d positions", i, s.Len())
			}
			s.Truncate(s.Len() - 5)
		}
		for i := range before {
			before[i] = shape(texts[i])
		}
		panicked := errors.New("panicked")
		for at := range texts {
			list := chunks()
			list[at].Yield = func(int, []float32) error { panic(panicked) }
			if err := recovered(func() error { return pass(ctx, list...) }); !errors.Is(err, panicked) {
				t.Errorf("a panic became %v", err)
			}
			unchanged("panicked")
		}
	}
	for i, s := range texts {
		n := []int{250, 127, 3}[i]
		fresh := newSession(t, m, SequenceOptions{Cache: s.format})
		readTokens(t, fresh, text[:n])
		s.Truncate(n - i)
		fresh.Truncate(n - i)
		expectAlike(t, fmt.Sprint("text ", i), s, fresh, text[280:284])
	}
}

func TestCut(t *testing.T) {
	g := readGolden(t, "micro-dense")
	m := openModel(t, g.model, 1)
	soft := func(n int, image bool) Input { return Input{Embeddings: make([]float32, n*m.Width), Image: image} }
	tokens := func(n int) Input { return Input{Tokens: make([]int32, n)} }
	in := []Input{tokens(5), {}, soft(3, false), soft(6, true), tokens(1), soft(20, true), {}, soft(2, true), tokens(4)}
	for n, want := range map[int]string{
		1:  "1 1 1 1 1 1 1 1 6 1 20 2 1 1 1 1",
		4:  "4 4 6 1 20 4 2",
		7:  "7 7 1 20 6",
		14: "14 1 20 6", 100: "41",
	} {
		var got []string // positions of each part; an image is not cut
		for rest := in; len(rest) > 0; {
			var first []Input
			first, rest = m.Cut(rest, n)
			sum := 0
			for _, x := range first {
				sum += m.count(x)
			}
			got = append(got, fmt.Sprint(sum))
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("in pieces of %d: %s, want %s", n, got, want)
		}
	}
}

func TestDecodingManyAllocatesNothing(t *testing.T) {
	g := readGolden(t, "micro-moe")
	m := openModel(t, g.model, 2)
	p := m.NewPass()
	var chunks []*Chunk
	for i := range 5 {
		s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
		readTokens(t, s, g.IDs[:5+i])
		chunks = append(chunks, s.chunk(every, 7, 8))
	}
	decode := func() {
		if err := p.Decode(ctx, chunks...); err != nil {
			t.Fatal(err)
		}
		for _, c := range chunks {
			if c.Err != nil {
				t.Fatal(c.Err)
			}
			c.Sequence.Truncate(c.Sequence.Len() - 2)
		}
	}
	decode()
	if n := testing.AllocsPerRun(50, decode); n != 0 {
		t.Errorf("%v allocations per pass, want 0", n)
	}
}

// TestAPassTouchesOnlyItsPositions: scratch that has grown with a prompt costs a token nothing.
func TestAPassTouchesOnlyItsPositions(t *testing.T) {
	g := readGolden(t, "micro-e")
	m := openModel(t, g.model, 1)
	s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
	readTokens(t, s, g.IDs)
	before := slices.Clone(s.pass.input)
	if _, err := s.Write(ctx, 7); err != nil {
		t.Fatal(err)
	}
	if slices.Equal(s.pass.input[:m.Width], before[:m.Width]) || !slices.Equal(s.pass.input[m.Width:], before[m.Width:]) {
		t.Error("one token has not changed one position of the input")
	}
}

// TestDoneMayTakeTheTextBack, or close the sequence. What Yield does so is an error of its chunk, and harms nobody.
func TestDoneMayTakeTheTextBack(t *testing.T) {
	g := readGolden(t, "micro-dense")
	m := openModel(t, g.model, 2)
	text := randomText(300, g.Vocab, 8)
	for _, first := range []int{0, 280} {
		for what, change := range map[string]func(s *session){
			"taken back":       func(s *session) { s.Truncate(min(first+1, s.Len()-1)) },
			"taken back far":   func(s *session) { s.Truncate(first / 2) },
			"to the beginning": func(s *session) { s.Truncate(0) },
			"closed":           func(s *session) { s.Close() },
		} {
			for _, prefill := range []bool{false, true} {
				p := m.NewPass()
				pass := p.Decode
				if prefill {
					pass = p.Prefill
				}
				var texts []*session
				var chunks []*Chunk
				for range 3 {
					s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
					readTokens(t, s, text[:first])
					texts, chunks = append(texts, s), append(chunks, s.chunk(every, 5, 6, 7))
				}
				left := -1
				chunks[0].Done = func() error { change(texts[0]); left = texts[0].Len(); return nil }
				chunks[1].Yield = func(int, []float32) error { change(texts[1]); return nil }
				if err := pass(ctx, chunks...); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if chunks[0].Err != nil || left < 0 || texts[0].Len() != left {
					t.Errorf("%s in Done: %d positions, %d when it was done: %v", what, texts[0].Len(), left, chunks[0].Err)
				}
				if changed := what == "closed" || texts[1].Len() < first; changed != (chunks[1].Err != nil) {
					t.Errorf("%s in Yield: error %v, %d positions", what, chunks[1].Err, texts[1].Len())
				}
				if chunks[2].Err != nil || texts[2].Len() != first+3 {
					t.Errorf("%s: beside it %d positions, error %v", what, texts[2].Len(), chunks[2].Err)
				}
				for _, s := range texts[:2] {
					if what == "closed" {
						continue
					}
					fresh := newSession(t, m, SequenceOptions{Cache: tensor.F16})
					n := min(s.Truncate(first), first)
					readTokens(t, fresh, text[:n])
					expectAlike(t, what, s, fresh, text[n:n+3])
				}
			}
		}
	}
}

// TestWhatComesBeforeNaNIsHandedOver, however many positions of others are beside it.
func TestWhatComesBeforeNaNIsHandedOver(t *testing.T) {
	g := readGolden(t, "micro-dense")
	m := openModel(t, g.model, 2)
	soft := make([]float32, m.Width)
	soft[5] = float32(math.NaN())
	for beside := range headBatch + 1 {
		var chunks []*Chunk
		seen := 0
		for i, n := range []int{beside, 5} {
			c := newSession(t, m, SequenceOptions{}).chunk(every, g.IDs[:n]...)
			c.Yield = func(pos int, _ []float32) error {
				if i == 1 {
					seen++
				}
				return nil
			}
			chunks = append(chunks, c)
		}
		chunks[1].Input = append(chunks[1].Input, Input{Embeddings: soft}, Input{Tokens: g.IDs})
		if err := m.NewPass().Prefill(ctx, chunks...); err != nil || chunks[0].Err != nil || chunks[1].Err == nil || seen != 5 {
			t.Errorf("beside %d: %d positions were handed over, not 5; errors %v, %v, %v", beside, seen, err, chunks[0].Err, chunks[1].Err)
		}
	}
}

// TestThoseCountWhoseDoneWasCalled: when one panics, it and those before it have become part of their texts, the others have not.
func TestThoseCountWhoseDoneWasCalled(t *testing.T) {
	g := readGolden(t, "micro-e")
	m := openModel(t, g.model, 2)
	text := randomText(300, g.Vocab, 8)
	panicked := errors.New("panicked")
	for at := range 3 {
		p := m.NewPass()
		var texts []*session
		var chunks []*Chunk
		done := [3]bool{}
		for i := range 3 {
			s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
			readTokens(t, s, text[:260])
			c := s.chunk(every, 5, 6, 7)
			c.Done = func() error {
				if done[i] = true; i == at {
					panic(panicked)
				}
				return nil
			}
			texts, chunks = append(texts, s), append(chunks, c)
		}
		if err := recovered(func() error { return p.Decode(ctx, chunks...) }); !errors.Is(err, panicked) {
			t.Errorf("a panic became %v", err)
		}
		for i, s := range texts {
			want := 260
			if i <= at {
				want = 263
			}
			if done[i] != (i <= at) || s.Len() != want {
				t.Errorf("Done %d of text %d panicked: text %d has %d positions, done %t", at, at, i, s.Len(), done[i])
			}
			s.Truncate(260)
			fresh := newSession(t, m, SequenceOptions{Cache: tensor.F16})
			readTokens(t, fresh, text[:260])
			expectAlike(t, "after a panic", s, fresh, text[260:264])
		}
	}
}

// TestCallbacksCannotUseTheirPass: that is an error of theirs, and what the pass is at comes out as ever.
func TestCallbacksCannotUseTheirPass(t *testing.T) {
	g := readGolden(t, "micro-e")
	m := openModel(t, g.model, 2)
	other := newSession(t, m, SequenceOptions{})
	run := func(use func(p *Pass)) (logits []float32, s *session) {
		s = newSession(t, m, SequenceOptions{})
		c := s.chunk(func(pos int) bool { use(s.pass); return true }, g.IDs[:20]...)
		c.Yield = func(_ int, x []float32) error {
			use(s.pass)
			logits = append(logits, x...)
			return nil
		}
		c.Done = func() error { use(s.pass); return nil }
		if err := c.failed(s.pass.Prefill(ctx, c)); err != nil {
			t.Fatal(err)
		}
		return logits, s
	}
	refused := 0
	got, s := run(func(p *Pass) {
		if _, err := p.Write(ctx, other.Sequence, 5); err != nil {
			refused++
		}
		if err := p.Read(ctx, other.chunk(nil, 7, 8)); err != nil {
			refused++
		}
	})
	want, fresh := run(func(*Pass) {})
	if refused != 2*41 || other.Len() != 0 || worst(got, want) != 0 {
		t.Errorf("%d uses of the pass were refused, not 82; %d positions were added; logits differ by %g", refused, other.Len(),
			worst(got, want))
	}
	expectAlike(t, "afterwards", s, fresh, g.IDs[20:])
}

// TestReadForgetsWhatWasBefore: a chunk that is used again has nothing of the last time, also if there is nothing to read.
func TestReadForgetsWhatWasBefore(t *testing.T) {
	g := readGolden(t, "micro-e")
	s := newSession(t, openModel(t, g.model, 1), SequenceOptions{})
	for _, then := range [][]Input{nil, {{}}, {{Tokens: []int32{-1}}}} {
		c := s.chunk(every, g.IDs[:3]...)
		if err := s.pass.Read(ctx, c); err != nil || len(c.Logits) == 0 {
			t.Fatalf("%d logits, error %v", len(c.Logits), err)
		}
		c.Input = then
		err := s.pass.Read(ctx, c)
		if c.Logits != nil || c.Hidden != nil || err != c.Err || (err == nil) != (len(then) == 0 || len(then[0].Tokens) == 0) {
			t.Errorf("%v: %d logits, %d values of states, error %v and %v", then, len(c.Logits), len(c.Hidden), err, c.Err)
		}
	}
}

// TestNothingBehindAPromptChangesItsLogits: an input without positions is no pass of its own, which would have no logits.
func TestNothingBehindAPromptChangesItsLogits(t *testing.T) {
	g := readGolden(t, "micro-dense")
	m := openModel(t, g.model, 1)
	soft := make([]float32, 9*m.Width)
	for _, in := range [][]Input{{{Tokens: g.IDs[:8]}}, {{Tokens: g.IDs[:9]}}, {{Embeddings: soft}}, {{Embeddings: soft, Image: true}}} {
		var want []float32
		for range 3 {
			s := newSession(t, m, SequenceOptions{Batch: 4})
			c := &Chunk{Sequence: s.Sequence, Input: in, Want: func(pos int) bool { return pos == m.Positions(in...)-1 }}
			if err := s.pass.Read(ctx, c); err != nil {
				t.Fatal(err)
			}
			if want == nil {
				want = slices.Clone(c.Logits)
			}
			if len(c.Logits) != g.Vocab || !slices.Equal(c.Logits, want) {
				t.Errorf("%d positions and %d inputs without any: %d logits", m.Positions(in...), len(in)-1, len(c.Logits))
			}
			in = append(in, Input{})
		}
	}
}

func TestSomeLogitsAllocateNothing(t *testing.T) {
	g := readGolden(t, "micro-e")
	m := openModel(t, g.model, 2)
	p := m.NewPass()
	var chunks []*Chunk
	for i := range 3 {
		s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
		readTokens(t, s, g.IDs[:5+i])
		c := s.chunk(every, 7)
		if i != 1 {
			ids := []int32{1, 5, 6, 9, int32(20 + i)}
			c.Only = func() []int32 { return ids }
		}
		chunks = append(chunks, c)
	}
	decode := func() {
		if err := p.Decode(ctx, chunks...); err != nil || chunks[2].Err != nil || len(chunks[2].Logits) != 5 {
			t.Fatal(err, chunks[2].Err)
		}
		for _, c := range chunks {
			c.Sequence.Truncate(c.Sequence.Len() - 1)
		}
	}
	decode()
	if n := testing.AllocsPerRun(50, decode); n != 0 {
		t.Errorf("%v allocations per pass, want 0", n)
	}
}

// TestIdsThatAreNoneConcernTheirChunk alone, and so does NaN among the logits that are wanted.
func TestIdsThatAreNoneConcernTheirChunk(t *testing.T) {
	g := readGolden(t, "micro-dense")
	m := openModel(t, g.model, 2)
	p := m.NewPass()
	for _, ids := range [][]int32{{-1}, {5, 5}, {9, 3}, {int32(g.Vocab)}} {
		var chunks []*Chunk
		for range 2 {
			chunks = append(chunks, newSession(t, m, SequenceOptions{}).chunk(every, g.IDs[:3]...))
		}
		chunks[0].Only = func() []int32 { return ids }
		if err := p.Decode(ctx, chunks...); err != nil || chunks[1].Err != nil || len(chunks[1].Logits) != 3*g.Vocab {
			t.Errorf("%v: %v, %v, %d logits", ids, err, chunks[1].Err, len(chunks[1].Logits))
		}
		if err := chunks[0].Err; err == nil || !strings.Contains(err.Error(), "whose logits are wanted") {
			t.Errorf("%v: %v", ids, err)
		}
	}
	bad := newSession(t, m, SequenceOptions{}).chunk(func(pos int) bool { return pos > 0 }, 1)
	bad.Input = append(bad.Input, Input{Embeddings: slices.Repeat([]float32{float32(math.NaN())}, 2*m.Width)})
	bad.Only = func() []int32 { return []int32{4, 9} }
	good := newSession(t, m, SequenceOptions{}).chunk(every, g.IDs[:3]...)
	good.Only = bad.Only
	if err := p.Decode(ctx, bad, good); err != nil || good.Err != nil || bad.Err == nil ||
		!strings.Contains(bad.Err.Error(), "the logit of id 4 behind position 1 is NaN") {
		t.Errorf("%v, %v, %v", err, good.Err, bad.Err)
	}
	c := newSession(t, m, SequenceOptions{}).chunk(every, g.IDs[:3]...)
	c.Only, c.Yield = func() []int32 { return nil }, func(int, []float32) error { return nil }
	if p.Decode(ctx, c); c.Err == nil {
		t.Error("a chunk may have both Only and Yield")
	}
}
