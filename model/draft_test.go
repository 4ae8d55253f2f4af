package model

import (
	"bytes"
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/tensor"
)

// goldenDraft is what numpy made of a drafter: the tokens chosen after those read, and the state and logits of each step.
type goldenDraft struct {
	Target, Drafter string
	IDs             []int32
	Token           int32
	Draft           []int32
	Vocab           int
	State           [][]float32
	logits          []float32 // [steps, vocabulary]
}

var goldenDrafts = []string{"micro-e4", "micro-dense"}

func readGoldenDraft(t testing.TB, name string) *goldenDraft {
	t.Helper()
	g := &goldenDraft{}
	readJSON(t, file(t, "draft", name+"-draft.json"), g)
	g.logits = readFloats(t, file(t, "draft", name+"-draft.logits.f32"))
	return g
}

// openDrafter opens a drafter for a model.
func openDrafter(t testing.TB, m *Model, path string, o DrafterOptions) *Drafter {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	d, err := OpenDrafter(f, m, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// readFor reads a prompt and returns the state at its last position.
func readFor(t testing.TB, s *session, ids []int32) []float32 {
	t.Helper()
	last := s.Len() + len(ids) - 1
	c := &Chunk{Sequence: s.Sequence, Input: []Input{{Tokens: ids}}, Want: func(pos int) bool { return pos == last }}
	if err := s.pass.Read(ctx, c); err != nil {
		t.Fatal(err)
	}
	return c.Hidden
}

func TestDraftsAreThoseOfNumpy(t *testing.T) {
	for _, name := range goldenDrafts {
		g := readGoldenDraft(t, name)
		for _, workers := range []int{1, 3} {
			m := openModel(t, file(t, "text", g.Target), workers)
			d := openDrafter(t, m, file(t, "draft", g.Drafter), DrafterOptions{})
			s := newSession(t, m, SequenceOptions{Cache: tensor.F32})
			x := d.NewDraft()
			x.Begin(s.Sequence, readFor(t, s, g.IDs), len(g.IDs))
			token := g.Token
			for i := range g.Draft {
				logits, err := x.Next(ctx, token)
				if err != nil {
					t.Fatal(err)
				}
				if w := worst(logits, g.logits[i*g.Vocab:(i+1)*g.Vocab]); w > 1e-3 {
					t.Errorf("%s, step %d: logits are off by %g", name, i, w)
				}
				if w := worst(x.input[m.Width:], g.State[i]); w > 1e-3 {
					t.Errorf("%s, step %d: the state is off by %g", name, i, w)
				}
				if token = argmax(logits); token != g.Draft[i] {
					t.Errorf("%s, step %d: drafts %d, expected %d", name, i, token, g.Draft[i])
				}
			}
		}
	}
}

func argmax(x []float32) int32 {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return int32(best)
}

// openPair opens a synthetic model, of a context that is long for its size, and its drafter.
func openPair(t testing.TB, model, drafter string, workers int, o DrafterOptions) (*Model, *Drafter) {
	t.Helper()
	c, err := synth.Parse(model)
	if err != nil {
		t.Fatal(err)
	}
	c.Context = 4096
	f, err := gguf.OpenBytes(synth.Bytes(c))
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(f, Options{Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	f, err = gguf.OpenBytes(drafterBytes(t, drafter))
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenDrafter(f, m, o)
	if err != nil {
		t.Fatal(err)
	}
	return m, d
}

func drafterBytes(t testing.TB, spec string) []byte {
	t.Helper()
	shape, err := synth.ParseDrafter(spec)
	if err != nil {
		t.Fatal(err)
	}
	return synth.Bytes(shape)
}

// guess returns the logits of a few steps of a draft, each behind the id that the one before made likeliest.
func guess(t testing.TB, x *Draft, s *Sequence, hidden []float32, pos int, token int32, steps int) (out [][]float32) {
	t.Helper()
	x.Begin(s, hidden, pos)
	for range steps {
		logits, err := x.Next(ctx, token)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, slices.Clone(logits))
		if token = argmax(logits); x.drafter.ids != nil {
			token = x.drafter.ids[token]
		}
	}
	return out
}

func sameGuesses(a, b [][]float32) bool {
	return slices.EqualFunc(a, b, func(a, b []float32) bool { return slices.Equal(a, b) })
}

// TestADraftReadsWhatLiesBelowIt: the same bits come of a text that goes on behind the draft's position, one that was taken back to it, one
// that adopted its beginning and one that was never longer, with any number of workers, beyond windows, pages and splits.
func TestADraftReadsWhatLiesBelowIt(t *testing.T) {
	for _, c := range []struct {
		model, drafter string
		cache          tensor.Format
		length         int
	}{
		{"micro-e4:q4_0", "micro-e4-draft:q4_0", tensor.F16, 1100},
		{"micro-dense:f32", "micro-dense-draft:f16", tensor.F32, 513},
		{"tiny-dense:q8_0", "tiny-dense-draft:q4_0", tensor.Q8_0, 130},
		{"tiny-moe:q8_0", "tiny-moe-draft:q8_0", tensor.Q4_0, 33},
		{"micro-e:f32", "micro-e-draft:bf16", tensor.F32, 9},
	} {
		if testing.Short() && c.length > 100 && c.length != 513 {
			continue
		}
		var want [][]float32
		for _, workers := range []int{1, 3} {
			m, d := openPair(t, c.model, c.drafter, workers, DrafterOptions{})
			text := randomText(c.length+5, m.Vocabulary, 7)
			o := SequenceOptions{Cache: c.cache, History: 1 << 30}
			s, x := newSession(t, m, o), d.NewDraft()
			hidden := slices.Clone(readFor(t, s, text[:c.length]))
			check := func(name string, of *Sequence) {
				t.Helper()
				got := guess(t, x, of, hidden, c.length, text[c.length], 4)
				if want == nil {
					want = got
				}
				if !sameGuesses(got, want) {
					t.Errorf("%s, %d workers: other logits come of a text %s", c.model, workers, name)
				}
			}
			check("that ends there", s.Sequence)
			if _, err := s.Write(ctx, text[c.length:]...); err != nil {
				t.Fatal(err)
			}
			check("that goes on", s.Sequence)
			other := newSession(t, m, o)
			snapshot := s.Snapshot()
			if n, err := other.Adopt(snapshot, c.length); n != c.length || err != nil {
				t.Fatal(n, err)
			}
			snapshot.Release()
			check("that was adopted", other.Sequence)
			if n := s.Truncate(c.length); n != c.length {
				t.Fatal(n)
			}
			check("that was taken back", s.Sequence)
			if _, err := s.Write(ctx, text[0]); err != nil { // its own keys and values are not looked at
				t.Fatal(err)
			}
			check("that goes on otherwise", s.Sequence)
		}
	}
}

// TestDraftsOverTiedCaches: of values and the part of keys that rotates come the logits that come of whole keys, but for rounding.
func TestDraftsOverTiedCaches(t *testing.T) {
	m, d := openPair(t, "tiny-dense:f32", "tiny-dense-draft:f32", 2, DrafterOptions{})
	text := randomText(48, m.Vocabulary, 3)
	logits := func(o SequenceOptions) (*session, [][]float32) {
		s := newSession(t, m, o)
		hidden := readFor(t, s, text[:47])
		return s, guess(t, d.NewDraft(), s.Sequence, hidden, 47, text[47], 1)
	}
	_, exact := logits(SequenceOptions{Cache: tensor.F32, wholeKeys: true})
	for _, f := range []tensor.Format{tensor.F32, tensor.F16, tensor.Q8_0, tensor.Q4_0} {
		_, whole := logits(SequenceOptions{Cache: f, wholeKeys: true})
		s, tied := logits(SequenceOptions{Cache: f})
		if i := slices.IndexFunc(s.cache, (*kv).tied); i < 0 && f == tensor.F32 {
			t.Fatal("no layer is tied")
		}
		e, format := worst(tied[0], exact[0]), worst(whole[0], exact[0])
		if !(e <= max(1e-4, 1.5*format)) {
			t.Errorf("%v: logits are off by %g, with whole keys by %g", f, e, format)
		}
	}
}

// TestADraftChangesNothingOfTheText: neither its keys and values nor what is written next, while other texts go on on the same workers.
func TestADraftChangesNothingOfTheText(t *testing.T) {
	m, d := openPair(t, "tiny-e:q4_0", "tiny-e-draft:q4_0", 3, DrafterOptions{})
	text := randomText(40, m.Vocabulary, 5)
	run := func(drafts int) (all []float32) {
		s, x := newSession(t, m, SequenceOptions{Cache: tensor.Q8_0}), d.NewDraft()
		hidden := readFor(t, s, text[:30])
		for i, id := range text[30:] {
			if drafts > 0 {
				guess(t, x, s.Sequence, hidden, 30+i, id, drafts)
			}
			c := &Chunk{Sequence: s.Sequence, Input: []Input{{Tokens: []int32{id}}}, Want: every}
			if err := c.failed(s.pass.Decode(ctx, c)); err != nil {
				t.Fatal(err)
			}
			hidden = c.Hidden
			all = append(all, c.Logits...)
		}
		return all
	}
	want := run(0)
	got := make([][]float32, 3)
	var wait sync.WaitGroup
	for i := range got {
		wait.Go(func() { got[i] = run(i + 1) })
	}
	wait.Wait()
	for i, logits := range got {
		if !slices.Equal(logits, want) {
			t.Errorf("with drafts of %d other logits follow", i+1)
		}
	}
}

func TestAStepOfADraftAllocatesNothing(t *testing.T) {
	for _, spec := range []string{"tiny-e:q4_0", "tiny-dense:q8_0"} {
		name, _, _ := strings.Cut(spec, ":")
		m, d := openPair(t, spec, name+"-draft:q4_0", 2, DrafterOptions{})
		text := randomText(40, m.Vocabulary, 5)
		s, x := newSession(t, m, SequenceOptions{Cache: tensor.F16}), d.NewDraft()
		hidden := readFor(t, s, text)
		step := func() {
			x.Begin(s.Sequence, hidden, 40)
			for range 3 {
				if _, err := x.Next(ctx, 7); err != nil {
					t.Fatal(err)
				}
			}
		}
		step()
		if n := testing.AllocsPerRun(20, step); n != 0 {
			t.Errorf("%s: %v allocations", spec, n)
		}
	}
}

// TestAShortHeadHasTheLogitsOfItsIds, bit for bit.
func TestAShortHeadHasTheLogitsOfItsIds(t *testing.T) {
	for _, format := range []string{"f32", "f16", "bf16", "q4_0", "q8_0", "q4_k_m", "iq4_nl"} {
		m, whole := openPair(t, "tiny-e:q8_0", "tiny-e-draft:"+format, 2, DrafterOptions{})
		if whole.IDs() != nil {
			t.Errorf("a whole head has ids: %v", whole.IDs())
		}
		s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
		hidden := readFor(t, s, randomText(12, m.Vocabulary, 5))
		all := guess(t, whole.NewDraft(), s.Sequence, hidden, 12, 9, 1)[0]
		for _, ids := range [][]int32{{0}, {511}, {3, 4, 5, 6, 7}, {0, 2, 100, 101, 102, 350, 511}} {
			f, err := gguf.OpenBytes(drafterBytes(t, "tiny-e-draft:"+format))
			if err != nil {
				t.Fatal(err)
			}
			short, err := OpenDrafter(f, m, DrafterOptions{Head: ids})
			if err != nil {
				t.Fatal(err)
			}
			got := guess(t, short.NewDraft(), s.Sequence, hidden, 12, 9, 1)[0]
			if len(got) != len(ids) || !slices.Equal(short.IDs(), ids) {
				t.Fatalf("%d logits of %v", len(got), short.IDs())
			}
			for i, id := range ids {
				if got[i] != all[id] {
					t.Errorf("%s: the logit of id %d is %g, in the whole head %g", format, id, got[i], all[id])
				}
			}
		}
	}
	for _, ids := range [][]int32{{}, {-1}, {512}, {5, 5}, {6, 5}} {
		m := openSynthetic(t, "micro-e:f32", 1)
		f, err := gguf.OpenBytes(drafterBytes(t, "micro-e-draft"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenDrafter(f, m, DrafterOptions{Head: ids}); err == nil || !strings.HasPrefix(err.Error(), "model: ") {
			t.Errorf("%v: error %v", ids, err)
		}
	}
}

// TestDraftersAreReadWhenTheyAreNeeded: from a reader, whose weights there is no room for, come the logits that come of memory.
func TestDraftersAreReadWhenTheyAreNeeded(t *testing.T) {
	m, d := openPair(t, "tiny-e:q8_0", "tiny-e-draft:q4_0", 2, DrafterOptions{})
	s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
	hidden := readFor(t, s, randomText(12, m.Vocabulary, 5))
	data := drafterBytes(t, "tiny-e-draft:q4_0")
	for _, o := range []DrafterOptions{{Resident: -1}, {}, {Resident: -1, Head: []int32{1, 2, 3, 200}}} {
		f, err := gguf.OpenReaderAt(gguf.Part{Name: "reader", ReaderAt: bytes.NewReader(data), Size: int64(len(data))})
		if err != nil {
			t.Fatal(err)
		}
		read, err := OpenDrafter(f, m, o)
		if err != nil {
			t.Fatal(err)
		}
		got, want := guess(t, read.NewDraft(), s.Sequence, hidden, 12, 9, 1)[0], guess(t, d.NewDraft(), s.Sequence, hidden, 12, 9, 1)[0]
		for i, v := range got {
			if id := i; o.Head == nil && v != want[id] || o.Head != nil && v != want[o.Head[i]] {
				t.Fatalf("%+v: logit %d is %g", o, i, v)
			}
		}
	}
}

// TestDraftsThatCannotBe name what is wrong, and leave the draft fit for another.
func TestDraftsThatCannotBe(t *testing.T) {
	m, d := openPair(t, "micro-e:f32", "micro-e-draft", 1, DrafterOptions{})
	other := openSynthetic(t, "micro-e:f32", 1)
	s, foreign, closed := newSession(t, m, SequenceOptions{}), newSession(t, other, SequenceOptions{}), newSession(t, m, SequenceOptions{})
	text := randomText(300, m.Vocabulary, 5)
	hidden := slices.Clone(readFor(t, s, text))
	readFor(t, foreign, text)
	readFor(t, closed, text)
	closed.Close()
	x := d.NewDraft()
	if _, err := x.Next(ctx, 5); err == nil || !strings.Contains(err.Error(), "not begun") {
		t.Errorf("a draft that was not begun: %v", err)
	}
	nan := slices.Clone(hidden)
	nan[3] = float32(math.NaN())
	inf := slices.Clone(hidden)
	inf[0] = float32(math.Inf(1))
	ended, end := context.WithCancel(ctx)
	end()
	for _, c := range []struct {
		name   string
		s      *Sequence
		hidden []float32
		pos    int
		token  int32
		ctx    context.Context
		want   string
	}{
		{"no sequence", nil, hidden, 300, 5, ctx, "without a sequence of the drafter's model"},
		{"another model's", foreign.Sequence, hidden, 300, 5, ctx, "without a sequence of the drafter's model"},
		{"closed", closed.Sequence, hidden, 300, 5, ctx, "a draft at position 300"},
		{"narrow", s.Sequence, hidden[1:], 300, 5, ctx, "a state of 63 values, expected 64"},
		{"at the beginning", s.Sequence, hidden, 0, 5, ctx, "a draft at position 0, expected one that the sequence can be"},
		{"behind the text", s.Sequence, hidden, 301, 5, ctx, "a draft at position 301"},
		{"before the window", s.Sequence, hidden, 100, 5, ctx, "a draft at position 100"},
		{"no token", s.Sequence, hidden, 300, -1, ctx, "id -1 is outside the vocabulary of 512"},
		{"no such token", s.Sequence, hidden, 300, 512, ctx, "id 512 is outside the vocabulary of 512"},
		{"NaN", s.Sequence, nan, 300, 5, ctx, "is NaN"},
		{"infinite", s.Sequence, inf, 300, 5, ctx, "is NaN"},
		{"ended", s.Sequence, hidden, 300, 5, ended, context.Canceled.Error()},
		{"right", s.Sequence, hidden, 300, 5, ctx, ""},
	} {
		x.Begin(c.s, c.hidden, c.pos)
		if _, err := x.Next(c.ctx, c.token); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, expected %q", c.name, err, c.want)
		}
	}
	s.Truncate(280) // under the draft
	if _, err := x.Next(ctx, 5); err == nil || !strings.Contains(err.Error(), "a draft at position 300") {
		t.Errorf("of a text that was taken back: %v", err)
	}
	s.Close()
	if _, err := x.Next(ctx, 5); err == nil {
		t.Error("of a text that was closed")
	}
}
