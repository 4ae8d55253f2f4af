package gemma4_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

var formats = []gemma4.CacheFormat{gemma4.CacheF16, gemma4.CacheF32, gemma4.CacheQ8, gemma4.CacheQ4}

// words returns n ids without markup that depend on the seed alone.
func words(n int, seed uint64) []int32 {
	r := rand.New(rand.NewPCG(seed, 2))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = 1000 + int32(r.IntN(1000))
	}
	return ids
}

// system returns the first turn of a chat, n tokens long, and the beginning of the next.
func system(t testing.TB, m *gemma4.Model, n int) []int32 {
	t.Helper()
	tok := m.Tokenizer()
	ids := tok.WithBOS(tok.Encode("<|turn>system\n", true))
	ids = append(ids, words(n-len(ids)-1, 99)...)
	return append(ids, tok.Encode("<turn|>\n<|turn>user\n", true)...)
}

// outcome is what a session makes of a prompt: everything that a difference of one bit anywhere would change.
type outcome struct {
	logits []float32
	text   string
	last   []float32
}

func outcomeOf(s *gemma4.Session, ids []int32) (outcome, error) {
	return outcomeOfInput(s, gemma4.Input{Tokens: ids})
}

func outcomeOfInput(s *gemma4.Session, in ...gemma4.Input) (o outcome, err error) {
	options := gemma4.GenerateOptions{Sampling: greedy, MaxTokens: 4, Markup: true}
	for tok, err := range s.Generate(ctx, in, options) {
		if err != nil {
			return o, err
		}
		if o.logits == nil {
			o.logits = s.Logits(nil)
		}
		o.text += tok.Text
	}
	o.last = s.Logits(nil)
	return o, nil
}

func (o outcome) equal(p outcome) bool {
	return o.text == p.text && slices.Equal(o.logits, p.logits) && slices.Equal(o.last, p.last)
}

// cold returns what a session of its own makes of a prompt.
func cold(t testing.TB, m *gemma4.Model, f gemma4.CacheFormat, ids []int32) outcome {
	t.Helper()
	s, err := m.NewSession(gemma4.SessionOptions{Cache: f})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	o, err := outcomeOf(s, ids)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestPrefixesAreSharedExactly(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	turn := system(t, m, 300)
	long := slices.Concat(turn, words(500, 1))
	for _, f := range formats {
		p := gemma4.NewPrefixCache(64 << 20)
		for i, test := range []struct {
			text   []int32
			reused int
			why    string
		}{
			{long, 0, "nothing is there"},
			{long, len(long) - 1, "the same prompt; its last token gives the logits"},
			{slices.Concat(turn, words(40, 2)), 300, "the first turn was kept"},
			{slices.Concat(turn, words(70, 3)), len(turn), "two texts have parted here"},
			{slices.Concat(long, words(30, 4)), len(long), "a text goes on"},
			{slices.Concat(long[:600], words(30, 5)), len(turn), "the windows are forgotten there"},
			{slices.Concat(long[:600], words(30, 6)), 600, "another text has parted here"},
			{words(100, 7), 0, "nothing in common"},
			{long[:310], 0, "from here on: ids that were kept in between"},
		} {
			s := newSession(t, m, gemma4.SessionOptions{Cache: f, Prefixes: p, Batch: 64 << (i % 4), History: -1})
			got, err := outcomeOf(s, test.text)
			if err != nil {
				t.Fatal(err)
			}
			r := s.Result()
			if i < 8 && r.Reused != test.reused || r.Prompt+r.Reused != len(test.text) {
				t.Errorf("%v, text %d: %d positions reused and %d read of %d, expected %d: %s",
					f, i, r.Reused, r.Prompt, len(test.text), test.reused, test.why)
			}
			if !got.equal(cold(t, m, f, test.text)) {
				t.Errorf("%v, text %d: not what a session of its own gives", f, i)
			}
		}
		stats := p.Stats()
		if stats.Hits != 7 || stats.Texts == 0 || stats.Bytes <= 0 || stats.Bytes > 64<<20 {
			t.Errorf("%v: %+v", f, stats)
		}
		if p.Close(); p.Stats().Bytes != 0 || p.Stats().Texts != 0 {
			t.Errorf("%v: after Close %+v", f, p.Stats())
		}
	}
}

// TestPrefixIsReadOnceUnderLoad: sessions that begin at the same time with the same system turn.
func TestPrefixIsReadOnceUnderLoad(t *testing.T) {
	const sessions, turn, own = 8, 2000, 20
	m := openNano(t, gemma4.Loader{})
	first := system(t, m, turn)
	p := gemma4.NewPrefixCache(256 << 20)
	defer p.Close()
	var all sync.WaitGroup
	var got [sessions]outcome
	for i := range sessions {
		s := newSession(t, m, gemma4.SessionOptions{Prefixes: p, Batch: 128})
		all.Go(func() {
			var err error
			if got[i], err = outcomeOf(s, slices.Concat(first, words(own, uint64(i)))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	stats := p.Stats()
	computed, reused := int64(len(first)+sessions*own), int64((sessions-1)*len(first))
	if stats.Computed != computed || stats.Reused != reused || stats.Hits != sessions-1 {
		t.Errorf("%+v: %d positions should have been read", stats, computed)
	}
	t.Logf("%d prompts of %d tokens: %+v", sessions, len(first)+own, stats)
	for i := range sessions {
		if i%4 != 0 && testing.Short() {
			continue
		}
		if !got[i].equal(cold(t, m, gemma4.CacheF16, slices.Concat(first, words(own, uint64(i))))) {
			t.Errorf("session %d: not what a session of its own gives", i)
		}
	}
}

// TestWaitingForAPrefixEnds: with what is waited for, with its failure, or with the context of whoever waits.
func TestWaitingForAPrefixEnds(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	text := words(400, 1)
	want := cold(t, m, gemma4.CacheF16, text)
	for _, fate := range []string{"finished", "cancelled", "panicked", "cache closed"} {
		t.Run(fate, func(t *testing.T) {
			p := gemma4.NewPrefixCache(64 << 20)
			defer p.Close()
			goOn := make(chan struct{})
			begun := make(chan struct{})
			readerContext, cancelReader := context.WithCancel(ctx)
			defer cancelReader()
			reader := newSession(t, m, gemma4.SessionOptions{Prefixes: p, Batch: 100, Progress: func(done, _ int) {
				if done == 200 {
					close(begun)
					<-goOn
					if fate == "panicked" {
						panic("the caller's")
					}
				}
			}})
			var all sync.WaitGroup
			all.Go(func() {
				defer func() { recover() }()
				err := reader.Read(readerContext, gemma4.Input{Tokens: text})
				if cancelled := fate == "cancelled"; cancelled != errors.Is(err, context.Canceled) {
					t.Errorf("the reader ends with %v", err)
				}
			})
			<-begun
			before := p.Awaited()
			waiterContext, cancelWaiter := context.WithCancel(ctx)
			impatient := newSession(t, m, gemma4.SessionOptions{Prefixes: p})
			all.Go(func() {
				err := impatient.Read(waiterContext, gemma4.Input{Tokens: text[:399]})
				if !errors.Is(err, context.Canceled) || impatient.Len() != 0 {
					t.Errorf("who does not wait any longer has %d positions and the error %v", impatient.Len(), err)
				}
			})
			patient := newSession(t, m, gemma4.SessionOptions{Prefixes: p})
			all.Go(func() {
				got, err := outcomeOf(patient, text)
				if err != nil || !got.equal(want) {
					t.Errorf("who waited has another outcome than alone, and the error %v", err)
				}
				if r := patient.Result(); fate == "finished" && r.Prompt != 1 || fate == "cancelled" && r.Prompt != 200 {
					t.Errorf("who waited has read %d positions", r.Prompt)
				}
			})
			for p.Awaited() < before+2 {
				runtime.Gosched()
			}
			// Nobody waits for what the reader has already passed.
			other := newSession(t, m, gemma4.SessionOptions{Prefixes: p})
			if err := other.Read(ctx, gemma4.Input{Tokens: slices.Concat(text[:150], words(3, 8))}); err != nil {
				t.Error(err)
			}
			cancelWaiter()
			switch fate {
			case "cancelled":
				cancelReader()
			case "cache closed":
				p.Close()
			}
			close(goOn)
			all.Wait()
			if p.Awaited() != 0 {
				t.Error("somebody is still waited for")
			}
		})
	}
}

// TestPrefixesUnderPressure: many sessions, little room, so that texts come and go all the time.
func TestPrefixesUnderPressure(t *testing.T) {
	models := []*gemma4.Model{openNano(t, gemma4.Loader{}), openNano(t, gemma4.Loader{Exact: true})}
	var texts [][]int32
	for i := range 5 {
		beginning := words(60+20*i, uint64(i%2))
		texts = append(texts, beginning, slices.Concat(beginning, words(150, uint64(10+i))),
			slices.Concat(beginning[:50], words(20, uint64(20+i))))
	}
	type run struct{ model, format, text int }
	want := map[run]outcome{}
	for i := range texts {
		for j, m := range models {
			for k, f := range formats {
				want[run{j, k, i}] = cold(t, m, f, texts[i])
			}
		}
	}
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	for _, limit := range []int64{0, 300 << 10, 1 << 20, 4 << 20} {
		p := gemma4.NewPrefixCache(limit)
		var all sync.WaitGroup
		for worker := range 6 {
			all.Go(func() {
				r := rand.New(rand.NewPCG(uint64(worker), 3))
				j, k := r.IntN(2), r.IntN(len(formats))
				s, err := models[j].NewSession(gemma4.SessionOptions{Cache: formats[k], Prefixes: p, Batch: 64, History: -1})
				if err != nil {
					t.Error(err)
					return
				}
				defer s.Close()
				for range rounds {
					i := r.IntN(len(texts))
					if r.IntN(8) == 0 {
						stopped, cancel := context.WithCancel(ctx)
						cancel()
						s.Read(stopped, gemma4.Input{Tokens: texts[i]})
					}
					n := 0
					if r.IntN(2) == 0 {
						n = rewind(t, s, min(reuse(t, s, texts[i]), 50))
					} else {
						s.Rewind(0)
					}
					got, err := outcomeOf(s, texts[i][n:])
					if err != nil || !got.equal(want[run{j, k, i}]) {
						t.Errorf("%d bytes: text %d from %d is not what a session of its own gives: %v", limit, i, n, err)
					}
					if b := p.Stats().Bytes; b > limit {
						t.Errorf("%d bytes are held, %d are allowed", b, limit)
					}
				}
			})
		}
		all.Wait()
		stats := p.Stats()
		t.Logf("%d bytes: %+v", limit, stats)
		if limit >= 4<<20 && stats.Hits == 0 || limit == 0 && (stats.Hits != 0 || stats.Texts != 0) {
			t.Errorf("%d bytes: %+v", limit, stats)
		}
		p.Close()
	}
}

// A text that was written, in other arithmetic than it would have been read, keeps its bits, though the same was read by another.
func TestWrittenTextsAreNotReplaced(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	p := gemma4.NewPrefixCache(64 << 20)
	defer p.Close()
	ids := words(150, 1)
	if err := newSession(t, m, gemma4.SessionOptions{Prefixes: p}).Read(ctx, gemma4.Input{Tokens: ids}); err != nil {
		t.Fatal(err)
	}
	logits := func(o gemma4.SessionOptions) []float32 {
		s := newSession(t, m, o)
		err := s.Read(ctx, gemma4.Input{Tokens: ids[:50]})
		if err == nil {
			_, err = s.Write(ctx, ids[50:100]...)
		}
		if err == nil {
			err = s.Read(ctx, gemma4.Input{Tokens: ids[100:]})
		}
		if err != nil {
			t.Fatal(err)
		}
		return s.Logits(nil)
	}
	if !slices.Equal(logits(gemma4.SessionOptions{Prefixes: p}), logits(gemma4.SessionOptions{})) {
		t.Error("not what a session of its own gives")
	}
}

func TestOnlyWhatWasReadIsShared(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	width := m.Config().Width
	p := gemma4.NewPrefixCache(64 << 20)
	defer p.Close()
	ids := words(200, 1)
	s := newSession(t, m, gemma4.SessionOptions{Prefixes: p})
	if err := s.Read(ctx, gemma4.Input{Tokens: ids[:50]}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(ctx, ids[50:100]...); err != nil {
		t.Fatal(err)
	}
	if err := s.Read(ctx, gemma4.Input{Tokens: ids[100:]}); err != nil {
		t.Fatal(err)
	}
	soft := make([]float32, 30*width)
	for i := range soft {
		soft[i] = float32(i%7) - 3
	}
	pictures := newSession(t, m, gemma4.SessionOptions{Prefixes: p})
	other := words(300, 2)
	in := []gemma4.Input{{Tokens: other[:100]}, {Embeddings: soft}, {Tokens: other[100:]}}
	if err := pictures.Read(ctx, in...); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		ids    []int32
		reused int
	}{{ids, 50}, {other, 100}} {
		s := newSession(t, m, gemma4.SessionOptions{Prefixes: p})
		got, err := outcomeOf(s, test.ids)
		if err != nil || !got.equal(cold(t, m, gemma4.CacheF16, test.ids)) {
			t.Errorf("not what a session of its own gives: %v", err)
		}
		if r := s.Result(); r.Reused != test.reused {
			t.Errorf("%d positions reused, expected %d", r.Reused, test.reused)
		}
	}
	// A picture after a beginning that is cached.
	again := newSession(t, m, gemma4.SessionOptions{Prefixes: p})
	if err := again.Read(ctx, in...); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again.Logits(nil), pictures.Logits(nil)) {
		t.Error("a picture behind a shared beginning has other logits")
	}
}

func TestClosedModelsLeaveThePrefixCache(t *testing.T) {
	p := gemma4.NewPrefixCache(64 << 20)
	defer p.Close()
	var held [2]int64
	models := []*gemma4.Model{openNano(t, gemma4.Loader{}), openNano(t, gemma4.Loader{})}
	for i, m := range models {
		s := newSession(t, m, gemma4.SessionOptions{Prefixes: p})
		if err := s.Read(ctx, gemma4.Input{Tokens: words(100, 1)}); err != nil {
			t.Fatal(err)
		}
		held[i] = p.Stats().Bytes
	}
	if held[0] == 0 || held[1] != 2*held[0] {
		t.Errorf("%d bytes after one model, %d after two", held[0], held[1])
	}
	models[0].Close()
	if b := p.Stats().Bytes; b != held[0] {
		t.Errorf("%d bytes after one of two models was closed, expected %d", b, held[0])
	}
	models[1].Close()
	if b := p.Stats().Bytes; b != 0 {
		t.Errorf("%d bytes after both models were closed", b)
	}
}

func TestForksGoTheirOwnWay(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	for _, f := range formats {
		// The same text twice: read, then three tokens generated, the last of which has not gone through the graph.
		same := func() *gemma4.Session {
			s := newSession(t, m, gemma4.SessionOptions{Cache: f})
			generate(t, s, prompt(m, question), gemma4.GenerateOptions{MaxTokens: 3})
			return s
		}
		s, reference := same(), same()
		fork, err := s.Fork()
		if err != nil {
			t.Fatal(err)
		}
		defer fork.Close()
		if fork.Len() != s.Len() || !slices.Equal(fork.Logits(nil), s.Logits(nil)) || fork.Context() != s.Context() ||
			fork.Result().Generated != 3 || fork.CacheBytes() > s.CacheBytes() {
			t.Errorf("%v: a fork has %d positions and %+v", f, fork.Len(), fork.Result())
		}
		want, err := outcomeOf(reference, words(150, 1))
		if err != nil {
			t.Fatal(err)
		}
		if err := fork.Read(ctx, gemma4.Input{Tokens: words(150, 1)[:20]}); err != nil {
			t.Fatal(err)
		}
		if _, err := outcomeOf(s, words(90, 2)); err != nil { // where their first page was one
			t.Fatal(err)
		}
		got, err := outcomeOf(fork, words(150, 1)[20:])
		if err != nil || !got.equal(want) {
			t.Errorf("%v: a fork goes on otherwise than its origin would have: %v", f, err)
		}
		s.Close()
		late, err := fork.Fork()
		if err != nil {
			t.Fatal(err)
		}
		defer late.Close()
		fork.Rewind(0)
		a, errA := outcomeOf(late, words(30, 3))
		b, errB := outcomeOf(reference, words(30, 3))
		if errA != nil || errB != nil || !a.equal(b) {
			t.Errorf("%v: a fork of a fork goes on otherwise: %v, %v", f, errA, errB)
		}
		if _, err := s.Fork(); !errors.Is(err, gemma4.ErrClosed) {
			t.Errorf("a fork of a closed session: %v", err)
		}
	}
}

func TestForkedChatsAreTwo(t *testing.T) {
	c := newChat(t, openNano(t, gemma4.Loader{}), gemma4.ChatOptions{})
	answer(t, c, user("Remember this. The code of Mia is 4821. The code of Leo is 7730. What is the code of Mia?"))
	c.Messages = append(c.Messages, chat.Message{Role: "assistant", ToolCalls: []chat.Call{{Name: "f", Arguments: []byte(`{"a":1}`)}}})
	fork, err := c.Fork()
	if err != nil {
		t.Fatal(err)
	}
	defer fork.Close()
	fork.Messages[2].ToolCalls[0].Arguments[5] = '2'
	fork.Messages[2].ToolCalls[0].Name = "g"
	if call := c.Messages[2].ToolCalls[0]; call.Name != "f" || string(call.Arguments) != `{"a":1}` {
		t.Errorf("a fork has changed its origin's call to %+v", call)
	}
	c.Messages, fork.Messages = c.Messages[:2], fork.Messages[:2]
	a, _, _ := answer(t, fork, user("What is the code of Leo?"))
	b, _, _ := answer(t, c, user("What is the code of Mia?"))
	if a != "The code of Leo is 7730." || b != "The code of Mia is 4821." || len(c.Messages) != 4 || len(fork.Messages) != 4 {
		t.Errorf("the fork says %q, its origin %q", a, b)
	}
	if r := fork.Result(); r.Reused < 30 || r.Prompt > 50 {
		t.Errorf("the fork has read again: %+v", r)
	}
}

func TestChatsShareTheirInstruction(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	p := gemma4.NewPrefixCache(64 << 20)
	defer p.Close()
	o := gemma4.ChatOptions{SessionOptions: gemma4.SessionOptions{Prefixes: p}, System: strings.Repeat("Be brief. ", 40)}
	for i, country := range []string{"France", "Japan", "Kenya"} {
		o.Prefixes = p
		c := newChat(t, m, o)
		o.Prefixes = nil
		alone := newChat(t, m, o)
		ask := user("What is the capital of %s?", country)
		got, _, _ := answer(t, c, ask)
		want, _, _ := answer(t, alone, ask)
		if got != want || !slices.Equal(c.Session().Logits(nil), alone.Session().Logits(nil)) {
			t.Errorf("%q with a prefix cache, %q without", got, want)
		}
		if r := c.Result(); i > 0 && r.Prompt > 25 {
			t.Errorf("chat %d has read %d positions", i, r.Prompt)
		}
	}
}

func TestWritingWithAPrefixCacheAllocatesNothing(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	p := gemma4.NewPrefixCache(64 << 20)
	defer p.Close()
	s := newSession(t, m, gemma4.SessionOptions{Prefixes: p})
	if err := s.Read(ctx, gemma4.Input{Tokens: words(130, 1)}); err != nil {
		t.Fatal(err)
	}
	write := func() {
		if _, err := s.Write(ctx, 1000); err != nil {
			t.Fatal(err)
		}
	}
	write() // the page that the cache holds is copied
	least := math.Inf(1)
	for range 50 { // under the race detector a sync.Pool loses things at random
		least = min(least, testing.AllocsPerRun(1, write))
	}
	if least != 0 {
		t.Errorf("%g allocations per token", least)
	}
}

// TestRestoredTextsAreNotShared: they may have been read on another machine, where numbers are rounded differently.
func TestRestoredTextsAreNotShared(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	p := gemma4.NewPrefixCache(64 << 20)
	defer p.Close()
	ids := words(200, 1)
	s := newSession(t, m, gemma4.SessionOptions{})
	path := filepath.Join(t.TempDir(), "session.gguf")
	if err := errors.Join(s.Read(ctx, gemma4.Input{Tokens: ids[:100]}), s.Save(path)); err != nil {
		t.Fatal(err)
	}
	restored, err := m.Restore(path, gemma4.SessionOptions{Prefixes: p})
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Close()
	if err := restored.Read(ctx, gemma4.Input{Tokens: ids[100:]}); err != nil || p.Stats().Texts != 0 {
		t.Errorf("%+v, %v", p.Stats(), err)
	}
	fork, err := restored.Fork()
	if err != nil {
		t.Fatal(err)
	}
	defer fork.Close()
	fork.Rewind(0)
	if err := fork.Read(ctx, gemma4.Input{Tokens: ids}); err != nil || p.Stats().Texts != 1 {
		t.Errorf("what is read again should be shared: %+v, %v", p.Stats(), err)
	}
	if !slices.Equal(fork.Logits(nil), restored.Logits(nil)) {
		t.Error("what was read again has other logits")
	}
}

func TestATextAboveTheLimitEvictsNoOther(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	short, long := words(200, 1), words(900, 2)
	read := func(p *gemma4.PrefixCache, ids []int32) (reused int) {
		s := newSession(t, m, gemma4.SessionOptions{Prefixes: p})
		generate(t, s, []gemma4.Input{{Tokens: ids}}, gemma4.GenerateOptions{MaxTokens: 1})
		return s.Result().Reused
	}
	roomy := gemma4.NewPrefixCache(1 << 30)
	defer roomy.Close()
	read(roomy, long)
	p := gemma4.NewPrefixCache(roomy.Stats().Bytes / 2)
	defer p.Close()
	read(p, short)
	before := p.Stats()
	read(p, long)
	if after := p.Stats(); before.Texts != 1 || after.Texts != 1 || after.Bytes != before.Bytes {
		t.Errorf("%+v before the long text, %+v after it", before, after)
	}
	if n := read(p, short); n != len(short)-1 {
		t.Errorf("%d positions of the short text are left, want %d", n, len(short)-1)
	}
}

// Tokens before embeddings are kept as soon as they have been read. If the limit has no room for them then, it has once the windows of
// sliding layers have moved past them, but no session could begin there.
func TestATextWhoseWindowIsGoneIsNotKept(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	ids, soft := words(200, 1), make([]float32, 900*m.Config().Width)
	for i := range soft {
		soft[i] = float32(i%7) / 8
	}
	kept := func(limit int64) gemma4.PrefixStats {
		p := gemma4.NewPrefixCache(limit)
		defer p.Close()
		s := newSession(t, m, gemma4.SessionOptions{Prefixes: p, History: -1})
		if err := s.Read(ctx, gemma4.Input{Tokens: ids}, gemma4.Input{Embeddings: soft}); err != nil {
			t.Fatal(err)
		}
		return p.Stats()
	}
	all := kept(1 << 30)
	if none := kept(all.Bytes - 1); all.Texts != 1 || none.Texts != 0 {
		t.Errorf("with room for them %+v, without %+v", all, none)
	}
}
