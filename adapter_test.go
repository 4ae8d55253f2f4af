package gemma4_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/sampler"
	"github.com/gogemma/gemma4/tensor"
)

// nanoAdapter writes an adapter of random numbers beside all matrices of nano's layers.
func nanoAdapter(t testing.TB, seed uint64) (path string) {
	t.Helper()
	f, err := gguf.OpenBytes(nano.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const rank = 4
	r := rand.New(rand.NewPCG(seed, 1))
	matrix := func(name string, dims []int, spread float32) gguf.Source {
		n := 1
		for _, d := range dims {
			n *= d
		}
		x := make([]float32, n)
		for i := range x {
			x[i] = spread * float32(r.NormFloat64())
		}
		data := make([]byte, tensor.F16.RowBytes(n))
		if err := tensor.F16.Encode(data, x); err != nil {
			t.Fatal(err)
		}
		return gguf.NewSource(name, gguf.F16, dims, data)
	}
	var tensors []gguf.Source
	for _, w := range f.Tensors {
		if strings.HasPrefix(w.Name, "blk.") && len(w.Dims) == 2 {
			tensors = append(tensors, matrix(w.Name+".lora_a", []int{w.Dims[0], rank}, 0.1),
				matrix(w.Name+".lora_b", []int{rank, w.Dims[1]}, 0.1))
		}
	}
	m := new(gguf.Metadata)
	if err := errors.Join(m.Set("general.architecture", "gemma4"), m.Set("general.type", "adapter"), m.Set("adapter.type", "lora"),
		m.Set("general.name", fmt.Sprintf("adapter %d", seed)), m.Set("adapter.lora.alpha", float32(rank))); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "adapter.gguf")
	if err := gguf.WriteFile(path, m, tensors); err != nil {
		t.Fatal(err)
	}
	return path
}

func openNanoAdapter(t testing.TB, m *gemma4.Model, seed uint64) *gemma4.Adapter {
	t.Helper()
	path := nanoAdapter(t, seed)
	a, err := m.OpenAdapter(path)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(path) // it is in memory
	return a
}

// A session that is switched has the bytes of one that has read its text with the same adapters from the beginning, back and forth.
func TestSwitchedSessionsAreFreshOnes(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	a, b := openNanoAdapter(t, m, 1), openNanoAdapter(t, m, 2)
	s := newSession(t, m, gemma4.SessionOptions{})
	text := m.Tokenizer().Encode(question, true)
	if err := s.Read(ctx, gemma4.Input{Tokens: text}); err != nil {
		t.Fatal(err)
	}
	text = append(text, goesOn(t, s, 3)...)
	seen := map[string]int{}
	for i, with := range [][]gemma4.Scaled{
		{a.At(1)}, nil, {b.At(0.5)}, {a.At(1), b.At(1)}, {a.At(0)}, {a.At(1)}, {b.At(1), a.At(1)},
	} {
		if err := s.Adapter(with...); err != nil {
			t.Fatal(err)
		}
		if s.Len() != len(text) {
			t.Fatalf("step %d: %d positions after switching, expected %d", i, s.Len(), len(text))
		}
		fresh := newSession(t, m, gemma4.SessionOptions{Adapters: with})
		if err := fresh.Read(ctx, gemma4.Input{Tokens: text}); err != nil {
			t.Fatal(err)
		}
		got, want := goesOn(t, s, 3), goesOn(t, fresh, 3)
		if !slices.Equal(got, want) || state(s) != state(fresh) {
			t.Errorf("step %d: goes on with %v, %s, a fresh session with %v, %s", i, got, state(s), want, state(fresh))
		}
		seen[fmt.Sprint(s.Logits(nil)[:8])]++
		s.Rewind(len(text))
	}
	if len(seen) < 4 {
		t.Errorf("%d different logits with seven lists of adapters: do they change anything?", len(seen))
	}
}

// goesOn generates and returns the tokens.
func goesOn(t testing.TB, s *gemma4.Session, n int) (out []int32) {
	t.Helper()
	for tok, err := range s.Generate(ctx, nil, gemma4.GenerateOptions{MaxTokens: n, Sampling: greedy}) {
		if err != nil {
			t.Fatal(err)
		}
		if tok.ID >= 0 {
			out = append(out, tok.ID)
		}
	}
	return out
}

// A switched text is whole for everything that a session does: it is read again when it is needed, from where a call was ended, and can be
// taken back before.
func TestSwitchedTextsAreReadWhenTheyAreNeeded(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	a := openNanoAdapter(t, m, 1)
	text := m.Tokenizer().Encode(question+"The capital of France is Paris.", true)
	fresh := func(n int) *gemma4.Session {
		s := newSession(t, m, gemma4.SessionOptions{Adapters: []gemma4.Scaled{a.At(1)}})
		if err := s.Read(ctx, gemma4.Input{Tokens: text[:n]}); err != nil {
			t.Fatal(err)
		}
		return s
	}
	whole := fresh(len(text))
	switched := func(o gemma4.SessionOptions) *gemma4.Session {
		s := newSession(t, m, o)
		if err := s.Read(ctx, gemma4.Input{Tokens: text}); err != nil {
			t.Fatal(err)
		}
		if err := s.Adapter(a.At(1)); err != nil {
			t.Fatal(err)
		}
		if s.Len() != len(text) || len(s.Logits(nil)) != 0 {
			t.Fatalf("switched: %d positions, %d logits", s.Len(), len(s.Logits(nil)))
		}
		return s
	}
	same := func(what string, a, b *gemma4.Session) {
		t.Helper()
		if x, y := goesOn(t, a, 3), goesOn(t, b, 3); !slices.Equal(x, y) || state(a) != state(b) {
			t.Errorf("%s goes on with %v, %s, expected %v, %s", what, x, state(a), y, state(b))
		}
	}
	embedding, err := whole.Embed(ctx, text[:3])
	if err != nil {
		t.Fatal(err)
	}
	s := switched(gemma4.SessionOptions{})
	if got, err := s.Embed(ctx, text[:3]); err != nil || !slices.Equal(got, embedding) {
		t.Errorf("Embed: %v, or other values", err)
	}
	want, err := whole.Decide(ctx, nil, []string{" Yes", " No"}, gemma4.DecideOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := switched(gemma4.SessionOptions{}).Decide(ctx, nil, []string{" Yes", " No"}, gemma4.DecideOptions{}); err != nil ||
		!slices.Equal(got, want) {
		t.Errorf("Decide: %v, %v, expected %v", got, err, want)
	}
	fork, err := switched(gemma4.SessionOptions{}).Fork()
	if err != nil {
		t.Fatal(err)
	}
	defer fork.Close()
	same("a fork", fork, fresh(len(text)))
	s = switched(gemma4.SessionOptions{})
	if n := rewind(t, s, len(text)-4); n != len(text)-4 || s.Len() != n {
		t.Errorf("rewound to %d, %d positions", n, s.Len())
	}
	same("a text taken back", s, fresh(len(text)-4))
	s = switched(gemma4.SessionOptions{})
	if n := rewind(t, s, 0); n != 0 || s.Len() != 0 {
		t.Errorf("rewound to %d", n)
	}
	if rest, err := switched(gemma4.SessionOptions{}).ReuseInput(gemma4.Input{Tokens: text}); err != nil || len(rest) != 1 ||
		len(rest[0].Tokens) != len(text) {
		t.Errorf("of a text that has to be read again %d inputs are left to read, %v", len(rest), err)
	}

	over, end := context.WithCancel(ctx)
	reading := false
	s = switched(gemma4.SessionOptions{Batch: 4, Progress: func(done, _ int) {
		if reading && done == 8 {
			end()
		}
	}})
	reading = true
	if err := s.Read(over); !errors.Is(err, context.Canceled) || s.Len() != len(text) {
		t.Errorf("a call that is ended: %v, %d positions", err, s.Len())
	}
	end()
	same("after a call that was ended", s, fresh(len(text)))

	// There and back before anything is read.
	s = switched(gemma4.SessionOptions{})
	if err := s.Adapter(); err != nil || s.Len() != len(text) {
		t.Errorf("back: %v, %d positions", err, s.Len())
	}
	plain := newSession(t, m, gemma4.SessionOptions{})
	if err := plain.Read(ctx, gemma4.Input{Tokens: text}); err != nil {
		t.Fatal(err)
	}
	same("there and back", s, plain)
}

// What Adapter refuses changes nothing.
func TestSwitchingIsRefused(t *testing.T) {
	m, other := openNano(t, gemma4.Loader{}), openNano(t, gemma4.Loader{})
	a, foreign := openNanoAdapter(t, m, 1), openNanoAdapter(t, other, 1)
	s := newSession(t, m, gemma4.SessionOptions{})
	if err := s.Read(ctx, gemma4.Input{Tokens: []int32{2, 5}}, gemma4.Input{Embeddings: make([]float32, m.Config().Width)}); err != nil {
		t.Fatal(err)
	}
	before := state(s)
	for what, err := range map[string]error{
		"a text with embeddings":      s.Adapter(a.At(1)),
		"an adapter of another model": s.Adapter(foreign.At(1)),
		"a scale that is no number":   s.Adapter(a.At(float32(math.NaN()))),
		"none":                        s.Adapter(gemma4.Scaled{Scale: 1}),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "gemma4: ") || state(s) != before {
			t.Errorf("%s: %v, %s, before %s", what, err, state(s), before)
		}
	}
	if err := s.Adapter(a.At(0)); err != nil || state(s) != before {
		t.Errorf("the same as before: %v", err)
	}
	for range s.Generate(ctx, prompt(m, "a"), gemma4.GenerateOptions{MaxTokens: 1}) {
		if err := s.Adapter(a.At(1)); !errors.Is(err, gemma4.ErrBusy) {
			t.Errorf("in the loop: %v", err)
		}
	}
	s.Close()
	if err := s.Adapter(a.At(1)); !errors.Is(err, gemma4.ErrClosed) {
		t.Errorf("a closed session: %v", err)
	}
	if _, err := m.NewSession(gemma4.SessionOptions{Adapters: []gemma4.Scaled{foreign.At(1)}}); err == nil {
		t.Error("a new session takes an adapter of another model")
	}
	q := newQueue(t, m, gemma4.QueueOptions{})
	r := asking("Hello")
	r.Adapters = []gemma4.Scaled{foreign.At(1)}
	if _, err := q.Submit(ctx, r); err == nil {
		t.Error("a queue takes an adapter of another model")
	}
	for what, path := range map[string]string{"nothing": filepath.Join(t.TempDir(), "none.gguf"), "a model": nanoFile(t)} {
		if _, err := m.OpenAdapter(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", what, err)
		}
	}
	m.Close()
	if _, err := m.OpenAdapter(nanoAdapter(t, 3)); !errors.Is(err, gemma4.ErrClosed) {
		t.Errorf("a closed model: %v", err)
	}
}

func nanoFile(t testing.TB) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "nano.gguf")
	if err := os.WriteFile(path, nano.GGUF(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A chat answers with the adapters that its options have at that moment, as a new one does that has the same messages.
func TestChatsFollowTheirAdapters(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	a, b := openNanoAdapter(t, m, 1), openNanoAdapter(t, m, 2)
	prefixes := gemma4.NewPrefixCache(64 << 20)
	defer prefixes.Close()
	o := gemma4.ChatOptions{SessionOptions: gemma4.SessionOptions{Prefixes: prefixes}, System: "You are short."}
	o.MaxTokens = 6
	c := newChat(t, m, o)
	lists := [][]gemma4.Scaled{{a.At(1)}, nil, {b.At(1)}, {a.At(1)}, {a.At(0.5), b.At(-0.5)}}
	answers := map[string]bool{}
	for i, list := range lists {
		c.Options.Adapters = list
		o := o
		o.Prefixes, o.Adapters = nil, list
		fresh := newChat(t, m, o)
		fresh.Messages = slices.Clone(c.Messages)
		text := fmt.Sprintf("Question %d: what is the capital of France?", i)
		got, want := answered(t, c, text)+state(c.Session()), answered(t, fresh, text)+state(fresh.Session())
		if got != want {
			t.Errorf("answer %d: %s, of a new chat %s", i, got, want)
		}
		answers[got] = true
		likely, err := c.Decide(ctx, []string{"Yes", "No"}, chat.Message{Role: "user", Content: "?"})
		same, err2 := fresh.Decide(ctx, []string{"Yes", "No"}, chat.Message{Role: "user", Content: "?"})
		if err != nil || err2 != nil || likely[0].Option != same[0].Option {
			t.Errorf("decision %d: %v, %v, of a new chat %v, %v", i, likely, err, same, err2)
		}
	}
	if len(answers) < len(lists) {
		t.Errorf("%d different answers with five lists of adapters", len(answers))
	}
	c.Options.Adapters[0].Scale = 2 // in place
	fresh := newChat(t, m, gemma4.ChatOptions{SessionOptions: gemma4.SessionOptions{Adapters: c.Options.Adapters},
		GenerateOptions: gemma4.GenerateOptions{MaxTokens: 6}, System: o.System})
	fresh.Messages = slices.Clone(c.Messages)
	if got, want := answered(t, c, "And now?"), answered(t, fresh, "And now?"); got != want {
		t.Errorf("a scale changed in place: %q, of a new chat %q", got, want)
	}
}

// answered returns the text of an answer.
func answered(t testing.TB, c *gemma4.Chat, question string) string {
	t.Helper()
	m, err := gemma4.Collect(c.Ask(ctx, question))
	if err != nil {
		t.Fatal(err)
	}
	return m.Content
}

// Requests with different adapters are answered at once, sharing passes and prefixes, each as it would be alone.
func TestRequestsHaveTheirAdapters(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	a, b := openNanoAdapter(t, m, 1), openNanoAdapter(t, m, 2)
	lists := [][]gemma4.Scaled{nil, {a.At(1)}, {b.At(1)}, {a.At(0.5)}, {a.At(1), b.At(1)}, nil, {b.At(-1)}, {a.At(1)}}
	request := func(i int) gemma4.Request {
		r := asking("What is the capital of France? " + strings.Repeat("Think of it. ", 10))
		r.Adapters, r.MaxTokens = lists[i%len(lists)], 12
		return r
	}
	alone := make([]string, len(lists))
	for i := range lists {
		alone[i] = collect(t, newQueue(t, m, gemma4.QueueOptions{Slots: 1}), request(i)).Message.Content
	}
	if alone[0] == alone[1] || alone[0] == alone[2] || alone[1] == alone[2] {
		t.Errorf("the answers are %q: what do adapters do?", alone)
	}
	prefixes := gemma4.NewPrefixCache(64 << 20)
	defer prefixes.Close()
	q := newQueue(t, m, gemma4.QueueOptions{Slots: 8, Prefixes: prefixes})
	for round := range 2 {
		var all sync.WaitGroup
		for i := range 2 * len(lists) {
			all.Go(func() {
				pieces, err := q.Submit(ctx, request(i))
				if err != nil {
					t.Error(err)
					return
				}
				choices, err := gemma4.CollectChoices(pieces)
				if err != nil || choices[0].Message.Content != alone[i%len(lists)] {
					t.Errorf("round %d, request %d: %v, %q, alone %q", round, i, err, choices[0].Message.Content, alone[i%len(lists)])
				}
				if r := choices[0].Result; round > 0 && r.Reused == 0 {
					t.Errorf("request %d reuses nothing of %d positions", i, r.Prompt)
				}
			})
		}
		all.Wait()
	}
}

// A text that was read with one adapter is begun with by nobody who has another, in memory and from a folder.
func TestPrefixesAreOfTheirAdapters(t *testing.T) {
	dir := t.TempDir()
	text := make([]int32, 200)
	for i := range text {
		text[i] = int32(2 + i*37%300)
	}
	kinds := []func(m *gemma4.Model) []gemma4.Scaled{
		func(*gemma4.Model) []gemma4.Scaled { return nil },
		func(m *gemma4.Model) []gemma4.Scaled { return []gemma4.Scaled{openNanoAdapter(t, m, 1).At(1)} },
		func(m *gemma4.Model) []gemma4.Scaled { return []gemma4.Scaled{openNanoAdapter(t, m, 1).At(0.5)} },
		func(m *gemma4.Model) []gemma4.Scaled { return []gemma4.Scaled{openNanoAdapter(t, m, 2).At(1)} },
	}
	plain := openNano(t, gemma4.Loader{})
	var want []outcome
	for _, kind := range kinds {
		o, err := outcomeOf(newSession(t, plain, gemma4.SessionOptions{Adapters: kind(plain)}), text)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, o)
	}
	read := func(k kept, i int) int {
		s := newSession(t, k.Model, gemma4.SessionOptions{Prefixes: k.prefixes, Adapters: kinds[i](k.Model)})
		o, err := outcomeOf(s, text)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(o) != fmt.Sprint(want[i]) {
			t.Errorf("kind %d: another outcome than without prefixes", i)
		}
		return s.Result().Reused
	}
	k := keptIn(t, dir, 1<<30, gemma4.Loader{})
	for i := range kinds[:3] {
		if n := read(k, i); n != 0 {
			t.Errorf("the first one of kind %d begins with %d positions of another's", i, n)
		}
		if n := read(k, i); n < len(text)-1 {
			t.Errorf("the second one of kind %d begins with %d positions", i, n)
		}
	}
	k.save(t)
	k.end()
	k = keptIn(t, dir, 1<<30, gemma4.Loader{})
	if files := k.prefixes.Stats().Files; files != 3 {
		t.Errorf("%d files, expected 3", files)
	}
	for i := range kinds {
		if n := read(k, i); (n >= len(text)-1) != (i < 3) {
			t.Errorf("kind %d begins with %d positions of what was saved", i, n)
		}
	}
	if ignored := k.ignored(); len(ignored) > 0 {
		t.Errorf("ignored: %q", ignored)
	}
}

// Saved sessions are restored with the adapters that they were read with and no others.
func TestSavedSessionsAreOfTheirAdapters(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	a, b := openNanoAdapter(t, m, 1), openNanoAdapter(t, m, 2)
	with := func(list ...gemma4.Scaled) gemma4.SessionOptions { return gemma4.SessionOptions{Adapters: list} }
	s := newSession(t, m, with(a.At(1)))
	generate(t, s, prompt(m, question), gemma4.GenerateOptions{MaxTokens: 3})
	path := save(t, s)
	for what, o := range map[string]gemma4.SessionOptions{"none": with(), "another": with(b.At(1)), "another scale": with(a.At(2)),
		"two": with(a.At(1), b.At(1))} {
		if _, err := m.Restore(path, o); !errors.Is(err, gemma4.ErrOtherAdapters) || !strings.Contains(err.Error(), path) {
			t.Errorf("restored with %s: %v", what, err)
		}
	}
	again := restored(t, m, path, with(a.At(1), b.At(0)))
	if got, want := future(t, m, again), future(t, m, s); got != want {
		t.Errorf("goes on with\n%s\nwant\n%s", got, want)
	}

	// A file that a session with other adapters brings up to date is written anew, also before the text is read again.
	s = restored(t, m, path, with(a.At(1)))
	if err := s.Adapter(b.At(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(path); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Restore(path, with(a.At(1))); !errors.Is(err, gemma4.ErrOtherAdapters) {
		t.Errorf("restored with the adapter that it had before: %v", err)
	}
	again = restored(t, m, path, with(b.At(1)))
	if got, want := future(t, m, again), future(t, m, s); got != want {
		t.Errorf("switched and saved, goes on with\n%s\nwant\n%s", got, want)
	}
	if err := s.Update(path); err != nil {
		t.Fatal(err)
	}
	if got, want := state(restored(t, m, path, with(b.At(1)))), state(s); got != want {
		t.Errorf("updated: %s, want %s", got, want)
	}

	c := newChat(t, m, gemma4.ChatOptions{SessionOptions: with(a.At(1))})
	answered(t, c, "What is the capital of France?")
	path = save(t, c)
	if _, err := m.RestoreChat(path, gemma4.ChatOptions{}); !errors.Is(err, gemma4.ErrOtherAdapters) {
		t.Errorf("a chat restored with none: %v", err)
	}
	second := restoredChat(t, m, path, gemma4.ChatOptions{SessionOptions: with(a.At(1))})
	if got, want := answered(t, second, "And of Italy?"), answered(t, c, "And of Italy?"); got != want {
		t.Errorf("the restored chat says %q, want %q", got, want)
	}
}

// Drafts change nothing of what a session with adapters writes, whoever guesses.
func TestDraftsWithAdaptersAreExact(t *testing.T) {
	m := openNano(t, gemma4.Loader{Drafter: gemma4.Companion{Bytes: nano.Drafter()}})
	a := openNanoAdapter(t, m, 1)
	for name, draft := range map[string]gemma4.Draft{"drafter": {Always: true, Match: -1}, "lookup": {Always: true, Match: 1, Alone: true},
		"both": {}} {
		for _, temperature := range []float64{0, 1} {
			o := gemma4.GenerateOptions{MaxTokens: 40, Sampling: sampler.Overrides{Temperature: &temperature, Seed: new(uint64(7))}}
			texts := make([]string, 2)
			states := make([]string, 2)
			for i := range texts {
				s := newSession(t, m, gemma4.SessionOptions{Adapters: []gemma4.Scaled{a.At(0.7)}})
				if o.Draft = draft; i == 0 {
					o.Draft = gemma4.Draft{Off: true}
				}
				texts[i] = generate(t, s, prompt(m, question), o)
				states[i] = state(s)
			}
			if texts[0] != texts[1] || states[0] != states[1] {
				t.Errorf("%s at %g: %q, %s, without %q, %s", name, temperature, texts[1], states[1], texts[0], states[0])
			}
		}
	}
}
