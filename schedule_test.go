package gemma4_test

import (
	"cmp"
	"context"
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/tensor"
)

// forTokens are the options of a generation of n tokens.
func forTokens(m *gemma4.Model, n int, seed uint64) gemma4.GenerateOptions {
	o := gemma4.GenerateOptions{MaxTokens: n, Sampling: endless(m)}
	o.Sampling.Seed = &seed
	return o
}

// streams lets sessions generate at once and calls each after every token, one at a time. It returns when all have ended.
func streams(t *testing.T, m *gemma4.Model, n, tokens int, each func(stream int)) {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	for i := range n {
		s := newSession(t, m, gemma4.SessionOptions{})
		all.Go(func() {
			o := forTokens(m, tokens, uint64(i))
			o.Draft.Off = true // each step is a token
			for _, err := range s.Generate(ctx, prompt(m, question), o) {
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				each(i)
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

// TestStreamsShareTheirSteps evenly and without garbage. In a bubble no time passes while anybody works, so that all are back in time,
// however slow the machine is.
func TestStreamsShareTheirSteps(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it empties pools
	synctest.Test(t, func(t *testing.T) {
		const n, tokens = 8, 150
		m := openNano(t, gemma4.Loader{})
		var sessions []*gemma4.Session
		for range n {
			s := newSession(t, m, gemma4.SessionOptions{})
			if err := s.Read(ctx, prompt(m, question)...); err != nil {
				t.Fatal(err)
			}
			sessions = append(sessions, s)
		}
		before := m.Stats().Decode
		var memory runtime.MemStats
		var made []uint64 // allocations, by step
		var writes []func()
		for i, s := range sessions[:n] {
			writes = append(writes, func() {
				o := forTokens(m, tokens, uint64(i))
				o.Draft.Off = true // each step is a token
				for _, err := range s.Generate(ctx, nil, o) {
					if err != nil {
						t.Error(err)
					}
					if i == 0 {
						runtime.ReadMemStats(&memory)
						made = append(made, memory.Mallocs)
					}
				}
			})
		}
		together(t, m, writes...)
		s := m.Stats()
		if d := s.Decode; d.Passes-before.Passes != tokens+1 || d.Positions-before.Positions != n*tokens+1 || s.Streams != 0 ||
			d.Waiting != 0 || !s.RunningSince.IsZero() || d.LastEnded.IsZero() || s.OverBudget != 0 {
			t.Errorf("%+v, want %d decodes of all %d streams, and one before them", s, tokens, n)
		}
		for i := len(made) - 1; i > 0; i-- {
			made[i] -= made[i-1]
		}
		if slices.Sort(made[1:]); !racing && made[tokens/2] > 0 { // in some there are new pages of keys
			t.Errorf("%d allocations in most steps", made[tokens/2])
		}
	})
}

// TestPassesAreTimed: a clock may tick less often than a pass takes, but not than all of them do.
func TestPassesAreTimed(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	streams(t, m, 2, 50, func(int) {})
	s := m.Stats()
	if s.Decode.Duration <= 0 || s.Decode.Rate <= 0 || s.Prefill.Duration <= 0 || s.Overhead <= 0 || s.Decode.LastEnded.IsZero() {
		t.Errorf("%+v", s)
	}
}

// TestNobodyWaitsForASlowReader more than once.
func TestNobodyWaitsForASlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := openNano(t, gemma4.Loader{})
		slow := newSession(t, m, gemma4.SessionOptions{})
		n := 0
		for _, err := range slow.Generate(ctx, prompt(m, question), forTokens(m, 5, 1)) {
			if err != nil {
				t.Fatal(err)
			}
			n++
			before := m.Stats()
			streams(t, m, 1, 100, func(int) {})
			after := m.Stats()
			time.Sleep(time.Second)
			// Before its second decode nobody knows that its reader is slow.
			if after.Decode.Passes < before.Decode.Passes+99 || n > 2 && after.Gathering > before.Gathering {
				t.Errorf("a stream has waited for another that is stopped: %v in %d steps", after.Gathering-before.Gathering,
					after.Decode.Passes-before.Decode.Passes)
			}
		}
		if n != 5 {
			t.Errorf("%d tokens", n)
		}
	})
}

// stopped is a context in which a pass stays until it may go on.
type stopped struct {
	context.Context
	begun, goOn chan struct{}
	once        sync.Once
}

func (c *stopped) Err() error {
	c.once.Do(func() {
		close(c.begun)
		<-c.goOn
	})
	return nil
}

// TestWhoeverWaitsCanLeave: a session that waits for a pass ends with its context, or is closed, at once, and the others do not notice.
func TestWhoeverWaitsCanLeave(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	want := newSession(t, m, gemma4.SessionOptions{})
	if err := want.Read(ctx, gemma4.Input{Tokens: words(40, 1)}); err != nil {
		t.Fatal(err)
	}
	running := &stopped{Context: ctx, begun: make(chan struct{}), goOn: make(chan struct{})}
	var sessions []*gemma4.Session
	for range 5 {
		sessions = append(sessions, newSession(t, m, gemma4.SessionOptions{}))
	}
	leaves, cancel := context.WithCancel(ctx)
	defer cancel()
	contexts := []context.Context{running, ctx, leaves, ctx, ctx}
	ended := make([]chan error, len(sessions))
	for i, s := range sessions {
		ended[i] = make(chan error, 1)
		go func() {
			if i == 4 {
				_, err := s.Write(contexts[i], words(40, 1)...)
				ended[i] <- err
				return
			}
			ended[i] <- s.Read(contexts[i], gemma4.Input{Tokens: words(40, 1)})
		}()
		if i == 0 {
			<-running.begun
		}
	}
	for s := m.Stats(); s.Prefill.Waiting != 3 || s.Decode.Waiting != 1; s = m.Stats() {
		if s.RunningSince.IsZero() {
			t.Fatal("no pass runs")
		}
		runtime.Gosched()
	}
	if s := m.Stats(); s.Unread != 120 {
		t.Errorf("%+v", s)
	}
	cancel()
	if err := <-ended[2]; !errors.Is(err, context.Canceled) || sessions[2].Len() != 0 {
		t.Errorf("cancelled: %v, %d positions", err, sessions[2].Len())
	}
	sessions[3].Close()
	if err := <-ended[3]; !errors.Is(err, gemma4.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	select {
	case err := <-ended[1]:
		t.Fatalf("another has ended as well: %v", err)
	default:
	}
	close(running.goOn)
	for _, i := range []int{0, 1, 4} {
		if err := <-ended[i]; err != nil || sessions[i].Len() != 40 || i != 4 && !slices.Equal(sessions[i].Logits(nil), want.Logits(nil)) {
			t.Errorf("session %d: %v, %d positions", i, err, sessions[i].Len())
		}
	}
}

// panicking is a context that cannot be asked.
type panicking struct{ context.Context }

func (panicking) Err() error { panic("asked") }

// together lets writes of different sessions take part in one pass: all wait for that of another session.
func together(t *testing.T, m *gemma4.Model, writes ...func()) {
	t.Helper()
	running := &stopped{Context: ctx, begun: make(chan struct{}), goOn: make(chan struct{})}
	other := newSession(t, m, gemma4.SessionOptions{})
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := other.Write(running, 1000); err != nil {
			t.Error(err)
		}
	})
	<-running.begun
	for i, write := range writes {
		all.Go(write)
		for m.Stats().Decode.Waiting != i+1 {
			runtime.Gosched()
		}
	}
	close(running.goOn)
	all.Wait()
}

// TestAPanicInASharedPassIsItsOwners, and the others of the pass get what they would have got.
func TestAPanicInASharedPassIsItsOwners(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	want, err := newSession(t, m, gemma4.SessionOptions{}).Write(ctx, 5, 6)
	if err != nil {
		t.Fatal(err)
	}
	before := m.Stats()
	var sessions []*gemma4.Session
	var writes []func()
	for i := range 4 {
		s := newSession(t, m, gemma4.SessionOptions{})
		sessions = append(sessions, s)
		writes = append(writes, func() {
			if i == 0 { // it is asked first
				if v := panics(func() { s.Write(panicking{ctx}, 5, 6) }); v != "asked" {
					t.Errorf("%v", v)
				}
			} else if got, err := s.Write(ctx, 5, 6); err != nil || !slices.Equal(got, want) {
				t.Errorf("another session: %v, or other logits", err)
			}
		})
	}
	together(t, m, writes...)
	if after := m.Stats(); after.Decode.Passes != before.Decode.Passes+1 {
		t.Errorf("the pass of the panic counts: %+v", after)
	}
	if n := sessions[0].Len(); n != 0 {
		t.Errorf("%d positions behind the panic", n)
	}
	if got, err := sessions[0].Write(ctx, 5, 6); err != nil || !slices.Equal(got, want) {
		t.Errorf("once more: %v, or other logits", err)
	}
}

// TestAFaultInASharedPassIsItsOwners: the file of a saved text is cut while it is used.
func TestAFaultInASharedPassIsItsOwners(t *testing.T) {
	if runtime.GOARCH != "amd64" || runtime.GOOS == "windows" { // emulators do not tell where a fault was; Windows reads the file
		t.Skip()
	}
	m := openNano(t, gemma4.Loader{})
	origin := newSession(t, m, gemma4.SessionOptions{})
	if err := origin.Read(ctx, gemma4.Input{Tokens: words(128, 1)}); err != nil {
		t.Fatal(err)
	}
	path := save(t, origin)
	var want []float32
	for owner := range 3 {
		if err := origin.Save(path); err != nil {
			t.Fatal(err)
		}
		broken := restored(t, m, path, gemma4.SessionOptions{})
		var writes []func()
		for i := range 3 {
			s := broken
			if i != owner {
				var err error
				if s, err = origin.Fork(); err != nil {
					t.Fatal(err)
				}
				defer s.Close()
			}
			if want == nil && i != owner {
				fork, err := s.Fork()
				if err != nil {
					t.Fatal(err)
				}
				defer fork.Close()
				if want, err = fork.Write(ctx, 5); err != nil {
					t.Fatal(err)
				}
			}
			writes = append(writes, func() {
				got, err := s.Write(ctx, 5)
				if i == owner {
					if !errors.Is(err, tensor.ErrFault) || s.Len() != 128 {
						t.Errorf("the session whose file was cut: %v, %d positions", err, s.Len())
					}
				} else if err != nil || !slices.Equal(got, want) {
					t.Errorf("another session: %v, or other logits", err)
				}
			})
		}
		if err := os.Truncate(path, 4096); err != nil {
			t.Fatal(err)
		}
		together(t, m, writes...)
	}
}

// TestALongPassGivesWay to a short prompt, and to a stream, and is read on in short ones.
func TestALongPassGivesWay(t *testing.T) {
	long, short := words(2000, 1), words(30, 2)
	for _, stream := range []bool{false, true} {
		m := openNano(t, gemma4.Loader{}) // nobody knows yet what passes take
		run := func(shared bool) (logits [2][]float32) {
			running := &stopped{Context: ctx, begun: make(chan struct{}), goOn: make(chan struct{})}
			first := 0 // part of the long prompt
			a := newSession(t, m, gemma4.SessionOptions{Progress: func(done, _ int) { first = cmp.Or(first, done) }})
			b := newSession(t, m, gemma4.SessionOptions{})
			other := func() {
				var err error
				if stream {
					_, err = b.Write(ctx, short...)
				} else {
					err = b.Read(ctx, gemma4.Input{Tokens: short})
				}
				if err != nil {
					t.Error(err)
				}
				logits[1] = b.Logits(nil)
			}
			if !shared {
				if err := a.Read(ctx, gemma4.Input{Tokens: long}); err != nil {
					t.Error(err)
				}
				other()
				return [2][]float32{a.Logits(nil), logits[1]}
			}
			ended := make(chan error, 1)
			go func() { ended <- a.Read(running, gemma4.Input{Tokens: long}) }()
			<-running.begun
			before := m.Stats()
			go func() {
				for s := m.Stats(); s.Prefill.Waiting+s.Decode.Waiting == 0; s = m.Stats() {
					runtime.Gosched()
				}
				close(running.goOn)
			}()
			other()
			if err := <-ended; err != nil || first >= 512 {
				t.Errorf("stream %v: %d positions of a long prompt were read at once, %v", stream, first, err)
			}
			after := m.Stats()
			if after.GaveWay != before.GaveWay+1 || after.Prefill.Passes < before.Prefill.Passes+5 {
				t.Errorf("stream %v: %+v", stream, after)
			}
			logits[0] = a.Logits(nil)
			return logits
		}
		shared, alone := run(true), run(false)
		if !slices.Equal(shared[0], alone[0]) || !slices.Equal(shared[1], alone[1]) {
			t.Errorf("stream %v: other logits than alone", stream)
		}
	}
}

// TestSharesAreOnesOwn: sessions that share a pass share its multiply-adds.
func TestSharesAreOnesOwn(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	write := func(n int) (*gemma4.Session, func()) {
		s := newSession(t, m, gemma4.SessionOptions{})
		return s, func() {
			if _, err := s.Write(ctx, words(n, 1)...); err != nil {
				t.Error(err)
			}
		}
	}
	alone, f := write(3)
	f()
	one, f := write(1)
	three, g := write(3)
	together(t, m, f, g)
	if a, b, c := alone.Ops(), one.Ops(), three.Ops(); a == 0 || 3*b != a || c != a {
		t.Errorf("%d multiply-adds of three tokens; in a shared pass %d, and of one token %d", a, c, b)
	}
}
