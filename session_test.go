package gemma4_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/sampler"
)

// countdown is a context that ends after it was asked a number of times whether it has.
type countdown struct {
	context.Context
	mu   sync.Mutex
	left int
}

func endsAfter(checks int) *countdown { return &countdown{Context: ctx, left: checks} }

func (c *countdown) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// asked is a context that calls f whenever it is asked whether it has ended.
type asked struct {
	context.Context
	f func()
}

func (a *asked) Err() error { a.f(); return nil }

// story is a text and how each token came into it; a session must be indistinguishable from a fresh one with the same story.
type story struct{ read, written []int32 }

// check compares a session with a fresh one of the same story: its length, its logits as far as it knows them, itself after it was saved
// and restored, and how all continue.
func (want story) check(t *testing.T, m *gemma4.Model, what string, s *gemma4.Session) {
	t.Helper()
	fresh := newSession(t, m, gemma4.SessionOptions{})
	if err := fresh.Read(ctx, gemma4.Input{Tokens: want.read}); err != nil {
		t.Fatal(err)
	}
	for _, id := range want.written {
		if _, err := fresh.Write(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	if s.Len() != fresh.Len() {
		t.Errorf("%s: %d positions, want %d", what, s.Len(), fresh.Len())
		return
	}
	if l := s.Logits(nil); len(l) != 0 && !slices.Equal(l, fresh.Logits(nil)) {
		t.Errorf("%s: the logits are not those that follow the text", what)
	}
	path := filepath.Join(t.TempDir(), "s")
	if err := s.Save(path); err != nil {
		t.Errorf("%s: saving: %v", what, err)
		return
	}
	again, err := m.Restore(path, gemma4.SessionOptions{})
	if err != nil {
		t.Errorf("%s: restoring: %v", what, err)
		return
	}
	fork, err := s.Fork()
	if err != nil {
		t.Fatal(err)
	}
	goOn := func(s *gemma4.Session) (logits []float32) {
		t.Helper()
		defer s.Close()
		if _, err := s.Write(ctx, 1000); err != nil {
			t.Errorf("%s: writing on: %v", what, err)
		}
		logits = s.Logits(logits)
		if err := s.Read(ctx, gemma4.Input{Tokens: []int32{300, 301, 302}}); err != nil {
			t.Errorf("%s: reading on: %v", what, err)
		}
		return s.Logits(logits)
	}
	right := goOn(fresh)
	for name, s := range map[string]*gemma4.Session{"goes on": s, "restored goes on": again, "forked goes on": fork} {
		if !slices.Equal(goOn(s), right) {
			t.Errorf("%s: %s otherwise than a fresh session", what, name)
		}
	}
}

// attempt is a call that may fail, on a session that has a story. It returns the story of what it has added, going by the session's length
// and what it was given.
type attempt struct {
	name string
	do   func(ctx context.Context, s *gemma4.Session) (seen []int32, err error)
	read []int32 // that it reads first
	all  int     // positions that it adds if it ends well
}

func attempts(m *gemma4.Model) []attempt {
	ids := m.Tokenizer().Encode(question, false)
	return []attempt{
		{"Read", func(ctx context.Context, s *gemma4.Session) ([]int32, error) {
			return nil, s.Read(ctx, gemma4.Input{Tokens: ids})
		}, ids, len(ids)},
		{"AllLogits", func(ctx context.Context, s *gemma4.Session) ([]int32, error) {
			return nil, s.AllLogits(ctx, ids, func(int, []float32) error { return nil })
		}, ids, len(ids)},
		{"Write", func(ctx context.Context, s *gemma4.Session) ([]int32, error) {
			_, err := s.Write(ctx, ids[:4]...)
			if err != nil {
				return nil, err
			}
			return ids[:4], nil
		}, nil, 4},
		{"Generate", func(ctx context.Context, s *gemma4.Session) (seen []int32, failed error) {
			for tok, err := range s.Generate(ctx, []gemma4.Input{{Tokens: ids}}, gemma4.GenerateOptions{Sampling: greedy, MaxTokens: 4}) {
				if failed = err; err == nil && tok.ID >= 0 {
					seen = append(seen, tok.ID)
				}
			}
			return seen, failed
		}, ids, len(ids) + 4},
	}
}

// begun returns a session that has read and written, and whose last token has not gone through the model yet, and its story.
func begun(t *testing.T, m *gemma4.Model, o gemma4.SessionOptions) (*gemma4.Session, story) {
	t.Helper()
	s := newSession(t, m, o)
	in := prompt(m, question)
	st := story{read: in[0].Tokens}
	for tok, err := range s.Generate(ctx, in, gemma4.GenerateOptions{Sampling: greedy}) {
		if err != nil {
			t.Fatal(err)
		}
		if st.written = append(st.written, tok.ID); len(st.written) == 3 {
			break
		}
	}
	return s, st
}

func TestCallsCancelledAnywhereLeaveAWholeText(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	for _, a := range attempts(m) {
		checks := 0
		for done := false; !done; checks++ {
			if testing.Short() && checks%7 != 0 {
				continue
			}
			s := newSession(t, m, gemma4.SessionOptions{Batch: 8})
			if err := s.Read(ctx, prompt(m, "Hello there.")...); err != nil {
				t.Fatal(err)
			}
			before := s.Len()
			seen, err := a.do(endsAfter(checks), s)
			if done = err == nil; !done && !errors.Is(err, context.Canceled) {
				t.Fatalf("%s: %v", a.name, err)
			}
			added := s.Len() - before
			if done && (added != a.all || len(s.Logits(nil)) == 0) {
				t.Errorf("%s: %d positions in the end, want %d", a.name, added, a.all)
			}
			st := story{read: m.Tokenizer().Encode("Hello there.", true), written: seen}
			st.read = append(st.read, a.read[:min(len(a.read), added)]...)
			st.check(t, m, fmt.Sprintf("%s ended at check %d", a.name, checks), s)
		}
		if least := m.Config().Owners; checks < least {
			t.Errorf("%s: the context was asked %d times", a.name, checks)
		}
	}
	s, _ := begun(t, m, gemma4.SessionOptions{}) // logits are unknown until that token has gone through, and while it does
	known := 0
	if _, err := s.Write(&asked{Context: ctx, f: func() { known = max(known, len(s.Logits(nil))) }}); err != nil || known != 0 ||
		len(s.Logits(nil)) == 0 {
		t.Errorf("%d logits while a token goes through, %d afterwards, %v", known, len(s.Logits(nil)), err)
	}
	for checks := range 20 { // the token that waits to be decoded is a step of its own
		s, st := begun(t, m, gemma4.SessionOptions{})
		if _, err := s.Write(endsAfter(checks*3), 400, 401); err == nil {
			st.written = append(st.written, 400, 401)
		}
		st.check(t, m, fmt.Sprintf("behind a token just generated, ended at check %d", checks*3), s)
	}
}

// panics returns what f panicked with.
func panics(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

func TestSessionsSurvivePanicsOfCallbacks(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	ids := m.Tokenizer().Encode(question, true)
	for _, at := range []int{8, 16} {
		s := newSession(t, m, gemma4.SessionOptions{Batch: 8, Progress: func(done, _ int) {
			if done == at {
				panic("progress")
			}
		}})
		if v := panics(func() { s.Read(ctx, gemma4.Input{Tokens: ids}) }); v != "progress" {
			t.Fatalf("%v", v)
		}
		story{read: ids[:at]}.check(t, m, fmt.Sprintf("Progress panicked after %d", at), s)
	}
	for _, at := range []int{0, 7, 8, 12, len(ids) - 1} {
		for _, refuse := range []bool{false, true} {
			s := newSession(t, m, gemma4.SessionOptions{Batch: 8})
			refused := errors.New("refused")
			var err error
			v := panics(func() {
				err = s.AllLogits(ctx, ids, func(i int, _ []float32) error {
					if i < at {
						return nil
					}
					if refuse {
						return refused
					}
					panic("yield")
				})
			})
			if refuse != errors.Is(err, refused) || refuse == (v == "yield") {
				t.Errorf("%v, %v", err, v)
			}
			if at >= 8 && len(s.Logits(nil)) == 0 {
				t.Error("the logits of what was read are not known")
			}
			story{read: ids[:at/8*8]}.check(t, m, fmt.Sprintf("AllLogits refused at %d", at), s)
		}
	}
	s := newSession(t, m, gemma4.SessionOptions{})
	if v := panics(func() { s.Perplexity(ctx, ids, func(done, _ int) { panic(done) }) }); v != 1 || s.Len() != 0 {
		t.Errorf("%v, %d positions", v, s.Len())
	}
	if _, err := s.Perplexity(ctx, ids, nil); err != nil {
		t.Error(err)
	}

	var seen []int32
	s = newSession(t, m, gemma4.SessionOptions{})
	panics(func() {
		for tok := range s.Generate(ctx, prompt(m, question), gemma4.GenerateOptions{Sampling: greedy}) {
			if seen = append(seen, tok.ID); len(seen) == 3 {
				panic("body")
			}
		}
	})
	if r := s.Result(); r.Reason != gemma4.ReasonBreak || r.Generated != 3 {
		t.Errorf("%+v", r)
	}
	story{read: ids, written: seen}.check(t, m, "the body of the loop panicked", s)

	o := gemma4.ChatOptions{}
	o.Progress = func(int, int) { panic("progress") }
	c := newChat(t, m, o)
	panics(func() {
		for range c.Ask(ctx, "What is the capital of Japan?") {
			t.Error("an answer")
		}
	})
	if len(c.Messages) != 0 {
		t.Errorf("%+v", c.Messages)
	}
	c.Options.Progress = nil
	panics(func() {
		for tok := range c.Ask(ctx, "What is the capital of France?") {
			if strings.Contains(tok.Text, "France") {
				panic("body")
			}
		}
	})
	if len(c.Messages) != 2 || c.Messages[1].Content != "The capital of France" {
		t.Errorf("%+v", c.Messages)
	}
	if text, _, _ := answer(t, c, chat.Message{Role: "user", Content: "What is the capital of Japan?"}); text == "" {
		t.Error("no answer")
	}
}

// openMapped returns the model from a file.
func openMapped(t *testing.T) *gemma4.Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nano.gguf")
	if err := os.WriteFile(path, nano.GGUF(), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := gemma4.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestAllLogitsWithoutAYieldAppends(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	in := prompt(m, question)
	read, all := newSession(t, m, gemma4.SessionOptions{}), newSession(t, m, gemma4.SessionOptions{})
	if err := errors.Join(read.Read(ctx, in...), all.AllLogits(ctx, in[0].Tokens, nil)); err != nil {
		t.Fatal(err)
	}
	if got := all.Logits(nil); all.Len() != read.Len() || !slices.Equal(got, read.Logits(nil)) {
		t.Errorf("%d positions and %d logits, want those of a Read of %d", all.Len(), len(got), read.Len())
	}
}

// refusals are the calls that a busy session refuses.
func refusals(t *testing.T, m *gemma4.Model) map[string]func(s *gemma4.Session) error {
	return map[string]func(s *gemma4.Session) error{
		"Read":  func(s *gemma4.Session) error { return s.Read(ctx, prompt(m, "a")...) },
		"Write": func(s *gemma4.Session) error { _, err := s.Write(ctx, 5); return err },
		"AllLogits": func(s *gemma4.Session) error {
			return s.AllLogits(ctx, []int32{5}, func(int, []float32) error { return nil })
		},
		"Perplexity": func(s *gemma4.Session) error { _, err := s.Perplexity(ctx, []int32{5}, nil); return err },
		"Decide": func(s *gemma4.Session) error {
			_, err := s.Decide(ctx, prompt(m, "a"), []string{"b"}, gemma4.DecideOptions{})
			return err
		},
		"Rewind": func(s *gemma4.Session) error { _, err := s.Rewind(0); return err },
		"Reuse":  func(s *gemma4.Session) error { _, err := s.Reuse([]int32{5}); return err },
		"Fork":   func(s *gemma4.Session) error { _, err := s.Fork(); return err },
		"Save":   func(s *gemma4.Session) error { return s.Save(filepath.Join(t.TempDir(), "s")) },
		"SaveTo": func(s *gemma4.Session) error { return s.SaveTo(io.Discard) },
		"Update": func(s *gemma4.Session) error { return s.Update(filepath.Join(t.TempDir(), "s")) },
		"Generate": func(s *gemma4.Session) (last error) {
			for _, err := range s.Generate(ctx, nil, gemma4.GenerateOptions{MaxTokens: 1}) {
				last = err
			}
			return last
		},
	}
}

// seen is what readers tell of a session.
type seen struct {
	len, context int
	bytes, ops   int64
	logits       []float32
	result       gemma4.Result
}

func look(s *gemma4.Session) seen {
	return seen{s.Len(), s.Context(), s.CacheBytes(), s.Ops(), s.Logits(nil), s.Result()}
}

func TestABusySessionAnswersReadersAndRefusesOthers(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	ids := m.Tokenizer().Encode(question, true)
	var s *gemma4.Session
	calls := 0
	// inside is called in callbacks, where the session should hold n positions, of which all logits are known or none.
	inside := func(where string, n int, known bool) {
		t.Helper()
		calls++
		here := look(s)
		other := make(chan seen)
		go func() { other <- look(s) }()
		there := <-other
		if here.len != n || here.context != 4096 || here.bytes <= 0 && n > 0 || (len(here.logits) > 0) != known {
			t.Errorf("%s: %d positions of %d, %d bytes, %d logits; expected %d positions, logits %v",
				where, here.len, here.context, here.bytes, len(here.logits), n, known)
		}
		if there.len != here.len || there.bytes != here.bytes || there.ops != here.ops || !slices.Equal(there.logits, here.logits) ||
			!reflect.DeepEqual(there.result, here.result) {
			t.Errorf("%s: another goroutine sees another session", where)
		}
		for name, f := range refusals(t, m) {
			if err := f(s); !errors.Is(err, gemma4.ErrBusy) {
				t.Errorf("%s: %s returns %v, want ErrBusy", where, name, err)
			}
		}
		if s.Len() != n {
			t.Errorf("%s: what was refused has changed the session", where)
		}
	}
	s = newSession(t, m, gemma4.SessionOptions{Batch: 8, Progress: func(done, total int) { inside("Progress", done, done == total) }})
	if err := s.Read(ctx, gemma4.Input{Tokens: ids}); err != nil {
		t.Fatal(err)
	}
	want := calls
	s = newSession(t, m, gemma4.SessionOptions{Batch: 8})
	if err := s.AllLogits(ctx, ids, func(i int, logits []float32) error {
		inside("AllLogits", i/8*8, i >= 8)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want += len(ids)
	s = newSession(t, m, gemma4.SessionOptions{})
	if _, err := s.Perplexity(ctx, ids, func(int, int) { inside("Perplexity", 0, false) }); err != nil {
		t.Fatal(err)
	}
	want += len(ids) - 1
	s = newSession(t, m, gemma4.SessionOptions{})
	n := len(ids)
	text := ""
	for tok, err := range s.Generate(ctx, prompt(m, question), gemma4.GenerateOptions{Sampling: greedy}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; !slices.Equal(s.Logits(nil), s.Logits(nil)) {
			t.Error("the logits change")
		}
		inside("Generate", n, true)
		want++
		text += tok.Text
	}
	if calls != want || calls < 40 || text != "The capital of France is Paris." {
		t.Errorf("%d of %d callbacks, %q", calls, want, text)
	}
	for name, f := range refusals(t, m) { // and then it is free
		if name != "Perplexity" {
			if err := f(s); err != nil && name != "Generate" {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestModelCloseWaitsForRunningCalls closes a mapped model in the middle of a call. Nobody who enters meanwhile has to wait.
func TestModelCloseWaitsForRunningCalls(t *testing.T) {
	m := openMapped(t)
	ids := m.Tokenizer().Encode(question, true)
	other := newSession(t, m, gemma4.SessionOptions{})
	closed := make(chan error, 1)
	var s *gemma4.Session
	s = newSession(t, m, gemma4.SessionOptions{Batch: 8, Progress: func(done, total int) {
		if done != 16 {
			return
		}
		go func() { closed <- m.Close() }()
		for {
			o, err := m.NewSession(gemma4.SessionOptions{})
			if err != nil {
				if !errors.Is(err, gemma4.ErrClosed) {
					t.Error(err)
				}
				break
			}
			o.Close()
			runtime.Gosched()
		}
		if look(s).len != 16 || look(other).len != 0 {
			t.Error("readers answer wrongly while the model is closed")
		}
		for name, f := range refusals(t, m) {
			if err := f(s); !errors.Is(err, gemma4.ErrBusy) {
				t.Errorf("%s of the busy session: %v", name, err)
			}
			if err := f(other); !errors.Is(err, gemma4.ErrClosed) {
				t.Errorf("%s of another session: %v", name, err)
			}
		}
		if err := m.Prefault(ctx, gemma4.PrefaultOptions{}); !errors.Is(err, gemma4.ErrClosed) {
			t.Errorf("Prefault: %v", err)
		}
		for range 1000 {
			runtime.Gosched()
		}
		select {
		case <-closed:
			t.Fatal("the model was closed under a running call")
		default:
		}
	}})
	if err := s.Read(ctx, gemma4.Input{Tokens: ids}); err != nil {
		t.Errorf("the call that was running: %v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	want := newSession(t, openNano(t, gemma4.Loader{}), gemma4.SessionOptions{})
	if err := want.Read(ctx, gemma4.Input{Tokens: ids}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Logits(nil), want.Logits(nil)) {
		t.Error("its logits are wrong")
	}
	if err := s.Read(ctx, gemma4.Input{Tokens: ids}); !errors.Is(err, gemma4.ErrClosed) {
		t.Errorf("the next call: %v", err)
	}
}

func TestSessionCloseEndsARunningCall(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	ids := m.Tokenizer().Encode(question, true)
	gone := func(what string, s *gemma4.Session, err error) {
		t.Helper()
		if l := look(s); !errors.Is(err, gemma4.ErrClosed) || l.len != 0 || l.context != 0 || l.bytes != 0 || len(l.logits) != 0 {
			t.Errorf("%s: error %v, then %d positions, %d bytes, %d logits", what, err, l.len, l.bytes, len(l.logits))
		}
		for name, f := range refusals(t, m) {
			if err := f(s); !errors.Is(err, gemma4.ErrClosed) {
				t.Errorf("%s, then %s: %v", what, name, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: closed again: %v", what, err)
		}
	}
	var s *gemma4.Session
	steps := 0
	s = newSession(t, m, gemma4.SessionOptions{Batch: 8, Progress: func(int, int) { steps++; s.Close() }})
	gone("Read", s, s.Read(ctx, gemma4.Input{Tokens: ids}))
	s = newSession(t, m, gemma4.SessionOptions{Batch: 8})
	gone("AllLogits", s, s.AllLogits(ctx, ids, func(int, []float32) error { return s.Close() }))
	s = newSession(t, m, gemma4.SessionOptions{Context: 16})
	_, err := s.Perplexity(ctx, ids, func(int, int) { s.Close() })
	gone("Perplexity", s, err)
	s = newSession(t, m, gemma4.SessionOptions{})
	n := 0
	for _, err = range s.Generate(ctx, prompt(m, question), gemma4.GenerateOptions{Sampling: greedy}) {
		if n++; n == 3 {
			s.Close()
		}
	}
	gone("Generate", s, err)
	if steps != 1 || n != 4 || s.Result().Reason != gemma4.ReasonError {
		t.Errorf("%d chunks and %d tokens after Close, %+v", steps, n, s.Result())
	}
	for _, at := range attempts(m) { // in the middle of a step
		s = newSession(t, m, gemma4.SessionOptions{})
		_, err := at.do(&asked{Context: ctx, f: func() { s.Close() }}, s)
		gone(at.name, s, err)
	}
	c := newChat(t, m, gemma4.ChatOptions{})
	for tok, e := range c.Ask(ctx, "What is the capital of France?") {
		if err = e; strings.Contains(tok.Text, "France") {
			c.Close()
		}
	}
	gone("Ask", c.Session(), err)
	if len(c.Messages) != 2 || c.Messages[1].Content != "The capital of France" {
		t.Errorf("%+v", c.Messages)
	}

	p := gemma4.NewPrefixCache(64 << 20) // whoever waits for another's prefix is at no step
	defer p.Close()
	text := words(400, 1)
	waiter := newSession(t, m, gemma4.SessionOptions{Prefixes: p})
	reader := newSession(t, m, gemma4.SessionOptions{Prefixes: p, Batch: 100, Progress: func(done, _ int) {
		if done != 200 {
			return
		}
		before := p.Awaited()
		ended := make(chan error)
		go func() { ended <- waiter.Read(ctx, gemma4.Input{Tokens: text}) }()
		for p.Awaited() == before {
			runtime.Gosched()
		}
		waiter.Close()
		gone("waiting", waiter, <-ended)
	}})
	if err := reader.Read(ctx, gemma4.Input{Tokens: text}); err != nil {
		t.Error(err)
	}
}

func TestOverlappingAnswersAreRefused(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	c := newChat(t, m, gemma4.ChatOptions{})
	refused := func(what string) {
		t.Helper()
		before := len(c.Messages)
		n := 0
		for tok, err := range c.Ask(ctx, "What is the capital of Japan?") {
			if n++; !errors.Is(err, gemma4.ErrBusy) || tok.Text != "" {
				t.Errorf("%s: %+v, %v", what, tok, err)
			}
		}
		if n != 1 || len(c.Messages) != before {
			t.Errorf("%s: %d yields, %d messages after %d", what, n, len(c.Messages), before)
		}
	}
	text := ""
	for tok, err := range c.Ask(ctx, "What is the capital of France?") {
		if err != nil {
			t.Fatal(err)
		}
		text += tok.Text
		refused("nested")
		var others sync.WaitGroup
		for range 3 {
			others.Go(func() {
				for _, err := range c.Send(ctx, chat.Message{Role: "user", Content: "x"}) {
					if !errors.Is(err, gemma4.ErrBusy) {
						t.Errorf("beside it: %v", err)
					}
				}
			})
		}
		others.Wait()
		if _, err := c.Fork(); !errors.Is(err, gemma4.ErrBusy) {
			t.Errorf("Fork: %v", err)
		}
		if _, err := c.Decide(ctx, []string{"a"}, user("x")); !errors.Is(err, gemma4.ErrBusy) {
			t.Errorf("Decide: %v", err)
		}
		if err := c.Save(filepath.Join(t.TempDir(), "s")); !errors.Is(err, gemma4.ErrBusy) {
			t.Errorf("Save: %v", err)
		}
		for name, f := range refusals(t, m) {
			if err := f(c.Session()); !errors.Is(err, gemma4.ErrBusy) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if ids, err := c.Prompt(ctx); err != nil || len(ids) == 0 {
			t.Errorf("Prompt: %v", err)
		}
	}
	if text != "The capital of France is Paris." || len(c.Messages) != 2 || c.Messages[1].Content != text {
		t.Errorf("%q, %+v", text, c.Messages)
	}
	for range c.Session().Generate(ctx, prompt(m, "Hello"), gemma4.GenerateOptions{Sampling: greedy, MaxTokens: 3}) {
		refused("while its session generates")
	}

	// From several goroutines at once: some are answered, the others change nothing.
	c = newChat(t, m, gemma4.ChatOptions{})
	var mu sync.Mutex
	var all sync.WaitGroup
	answered := 0
	for range 8 {
		all.Go(func() {
			ok := true
			for _, err := range c.Ask(ctx, "What is the capital of Kenya?") {
				if ok = err == nil; err != nil && !errors.Is(err, gemma4.ErrBusy) {
					t.Error(err)
				}
			}
			if ok {
				mu.Lock()
				answered++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if answered == 0 || len(c.Messages) != 2*answered {
		t.Errorf("%d answers, %d messages", answered, len(c.Messages))
	}
}

func TestErrorsOfAnEndedContextCarryItsCause(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	why := errors.New("the user has left")
	stopped, cancel := context.WithCancelCause(ctx)
	late, done := context.WithTimeoutCause(ctx, -1, why)
	defer done()
	cancel(why)
	in := prompt(m, question)
	for _, c := range []struct {
		ctx context.Context
		err error
	}{{stopped, context.Canceled}, {late, context.DeadlineExceeded}} {
		s := newSession(t, m, gemma4.SessionOptions{Prefixes: gemma4.NewPrefixCache(1 << 20)})
		_, written := s.Write(c.ctx, 5)
		_, foretold := s.Perplexity(c.ctx, in[0].Tokens, nil)
		var generated, asked error
		for _, generated = range s.Generate(c.ctx, in, gemma4.GenerateOptions{}) {
		}
		chat := newChat(t, m, gemma4.ChatOptions{})
		for _, asked = range chat.Ask(c.ctx, "Hello") {
		}
		for what, err := range map[string]error{
			"Read": s.Read(c.ctx, in...), "Write": written, "Generate": generated, "Perplexity": foretold, "Ask": asked,
			"AllLogits": s.AllLogits(c.ctx, in[0].Tokens, func(int, []float32) error { return nil }),
			"Prefault":  openMapped(t).Prefault(c.ctx, gemma4.PrefaultOptions{}),
		} {
			if !errors.Is(err, c.err) || !errors.Is(err, why) {
				t.Errorf("%s: %v, want %v and its cause", what, err, c.err)
			}
		}
		for what, r := range map[string]gemma4.Result{"Generate": s.Result(), "Ask": chat.Result()} {
			if r.Reason != gemma4.ReasonCancel {
				t.Errorf("%s: %+v", what, r)
			}
		}
	}
}

func TestLogitsFollowTheTextWhereverAGenerationEnds(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	ids := m.Tokenizer().Encode(question, true)
	for _, c := range []struct {
		name    string
		context int
		o       gemma4.GenerateOptions
		leave   int // after so many tokens
		reason  gemma4.Reason
		known   bool
	}{
		{"end", 0, gemma4.GenerateOptions{}, 0, gemma4.ReasonEnd, true},
		{"length", 0, gemma4.GenerateOptions{MaxTokens: 3}, 0, gemma4.ReasonLength, true},
		{"one token", 0, gemma4.GenerateOptions{MaxTokens: 1}, 0, gemma4.ReasonLength, true},
		{"stop", 0, gemma4.GenerateOptions{Stop: []string{"France"}}, 0, gemma4.ReasonStop, true},
		{"context", len(ids) + 2, gemma4.GenerateOptions{}, 0, gemma4.ReasonContext, true},
		{"context, at once", len(ids), gemma4.GenerateOptions{}, 0, gemma4.ReasonContext, true},
		{"length where the context ends", len(ids) + 2, gemma4.GenerateOptions{MaxTokens: 2}, 0, gemma4.ReasonLength, true},
		{"left", 0, gemma4.GenerateOptions{}, 3, gemma4.ReasonBreak, false},
	} {
		c.o.Sampling = greedy
		s := newSession(t, m, gemma4.SessionOptions{Context: c.context})
		st := story{read: ids}
		for tok, err := range s.Generate(ctx, []gemma4.Input{{Tokens: ids}}, c.o) {
			if err != nil {
				t.Fatal(err)
			}
			if tok.ID >= 0 {
				st.written = append(st.written, tok.ID)
			}
			if len(st.written) == c.leave {
				break
			}
			if s.Len() > s.Context() {
				t.Errorf("%s: %d positions", c.name, s.Len())
			}
		}
		r := s.Result()
		if r.Reason != c.reason || (len(s.Logits(nil)) > 0) != c.known || r.Generated != len(st.written) || r.GenerateSpeed() < 0 {
			t.Errorf("%s: %d logits, %+v", c.name, len(s.Logits(nil)), r)
		}
		if c.context > 0 {
			want := newSession(t, m, gemma4.SessionOptions{})
			if err := want.Read(ctx, gemma4.Input{Tokens: ids}); err != nil {
				t.Fatal(err)
			}
			for _, id := range st.written {
				if _, err := want.Write(ctx, id); err != nil {
					t.Fatal(err)
				}
			}
			if !slices.Equal(s.Logits(nil), want.Logits(nil)) || s.Len() != s.Context() {
				t.Errorf("%s: %d of %d positions, or other logits", c.name, s.Len(), s.Context())
			}
			for range 2 { // a full context is no error
				if text := generate(t, s, nil, gemma4.GenerateOptions{}); text != "" || s.Result().Reason != gemma4.ReasonContext {
					t.Errorf("%s, then: %q, %+v", c.name, text, s.Result())
				}
			}
			var full *gemma4.ContextError
			if err := s.Read(ctx, gemma4.Input{Tokens: ids[:1]}); !errors.As(err, &full) {
				t.Errorf("%s, then read: %v", c.name, err)
			}
			continue
		}
		st.check(t, m, c.name, s)
	}
	// An answer that fills the context to its last position is whole.
	whole := newSession(t, m, gemma4.SessionOptions{})
	text := generate(t, whole, prompt(m, question), gemma4.GenerateOptions{})
	s := newSession(t, m, gemma4.SessionOptions{Context: whole.Len()})
	if got := generate(t, s, prompt(m, question), gemma4.GenerateOptions{}); got != text || s.Result().Reason != gemma4.ReasonEnd {
		t.Errorf("%q, %+v", got, s.Result())
	}
}

func TestForksKeepTheirLogits(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	s := newSession(t, m, gemma4.SessionOptions{})
	if err := s.Read(ctx, prompt(m, question)...); err != nil {
		t.Fatal(err)
	}
	want := s.Logits(nil)
	fork, err := s.Fork()
	if err != nil {
		t.Fatal(err)
	}
	defer fork.Close()
	for id := range int32(3) { // more often than a session has buffers
		if _, err := s.Write(ctx, 1000+id); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(fork.Logits(nil), want) {
			t.Fatal("the fork's logits change with its origin's")
		}
	}
	origin := s.Logits(nil)
	for id := range int32(3) {
		if _, err := fork.Write(ctx, 900+id); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(s.Logits(nil), origin) {
			t.Fatal("the origin's logits change with its fork's")
		}
	}
	if slices.Equal(fork.Logits(nil), origin) {
		t.Error("both have the same logits")
	}
}

// TestTextHeldBackIsNotLost: an answer that is cancelled includes all of its tokens, and the text that may have begun a stop string.
func TestTextHeldBackIsNotLost(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	const whole = "The capital of France is Paris."
	stop := []string{"capital city", "France!", "Paris, of course"}
	for after := 1; after <= 6; after++ {
		run := func(tokens iter.Seq2[gemma4.Token, error], cancel func()) (text string, n int) {
			for tok, err := range tokens {
				if err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Fatal(err)
					}
					break
				}
				text += tok.Text
				if tok.ID >= 0 {
					if n++; n == after {
						cancel()
					}
				}
			}
			return text, n
		}
		greedy := gemma4.GenerateOptions{Stop: stop, Sampling: sampler.Overrides{Temperature: new(0.0)}}
		c := newChat(t, m, gemma4.ChatOptions{GenerateOptions: greedy})
		ending, cancel := context.WithCancel(ctx)
		text, n := run(c.Ask(ending, "What is the capital of France?"), cancel)
		cancel()
		if n != after {
			t.Fatalf("%d tokens, the answer was to be cancelled after %d", n, after)
		}
		if last := c.Messages[len(c.Messages)-1]; last.Role != "assistant" || last.Content != text {
			t.Errorf("after %d tokens: the answer %q is kept as %+v", after, text, last)
		}
		s := newSession(t, m, gemma4.SessionOptions{})
		c.Messages = c.Messages[:1]
		prompt, err := c.Prompt(ctx)
		if err != nil {
			t.Fatal(err)
		}
		ending, cancel = context.WithCancel(ctx)
		raw, _ := run(s.Generate(ending, []gemma4.Input{{Tokens: prompt}}, greedy), cancel)
		cancel()
		var want string
		s = newSession(t, m, gemma4.SessionOptions{})
		greedy.Stop, greedy.MaxTokens = nil, after
		for tok, err := range s.Generate(ctx, []gemma4.Input{{Tokens: prompt}}, greedy) {
			if err != nil {
				t.Fatal(err)
			}
			want += tok.Text
		}
		if raw != want || text != want || !strings.HasPrefix(whole, want) {
			t.Errorf("after %d tokens: %q, in a chat %q, want %q", after, raw, text, want)
		}
	}
}

// TestIdleSessionsHoldNoScratch: between calls a session takes its keys, values and logits, though each has read 200 tokens at once.
func TestIdleSessionsHoldNoScratch(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // passes go with the second
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	before := heap()
	held, n := int64(0), 30
	for range n {
		s := newSession(t, m, gemma4.SessionOptions{})
		if err := s.Read(ctx, gemma4.Input{Tokens: words(200, 1)}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(ctx, 1000); err != nil {
			t.Fatal(err)
		}
		held += s.CacheBytes() + int64(3*4*m.Config().Vocabulary) // what follows, room for the next, what Write returned
	}
	grown := heap() - before
	t.Logf("%d sessions take %d bytes, %d of them keys, values and logits", n, grown, held)
	if grown > held+int64(n)*20<<10 {
		t.Errorf("%d sessions take %d bytes, of which %d are keys, values and logits", n, grown, held)
	}
}

// TestLogitsOfWriteOutliveOtherSessions: they are valid until the next call of their own session, whatever the others do.
func TestLogitsOfWriteOutliveOtherSessions(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	a, b := newSession(t, m, gemma4.SessionOptions{}), newSession(t, m, gemma4.SessionOptions{})
	logits, err := a.Write(ctx, 1000, 1001)
	if err != nil {
		t.Fatal(err)
	}
	want, ops := slices.Clone(logits), a.Ops()
	if _, err := b.Write(ctx, 7, 8, 9); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(logits, want) {
		t.Error("another session has overwritten the logits")
	}
	if a.Ops() != ops || b.Ops()*2 != ops*3 {
		t.Errorf("%d multiply-adds of two tokens, then %d, and %d of three", ops, a.Ops(), b.Ops())
	}
}
