package gemma4_test

import (
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
)

// recorded is what a trace has been told.
type recorded struct {
	mu      sync.Mutex
	prefill []gemma4.PrefillInfo
	step    []gemma4.StepInfo
	evict   []gemma4.EvictInfo
}

func (r *recorded) trace() *gemma4.Trace {
	locked := func(f func()) { r.mu.Lock(); defer r.mu.Unlock(); f() }
	return &gemma4.Trace{
		Prefill: func(i gemma4.PrefillInfo) { locked(func() { r.prefill = append(r.prefill, i) }) },
		Step:    func(i gemma4.StepInfo) { locked(func() { r.step = append(r.step, i) }) },
		Evict:   func(i gemma4.EvictInfo) { locked(func() { r.evict = append(r.evict, i) }) },
	}
}

func TestTraceTellsWhatWasDone(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	var r recorded
	s := newSession(t, m, gemma4.SessionOptions{Batch: 16, Trace: r.trace()})
	in := prompt(m, question)
	n := len(in[0].Tokens)
	generate(t, s, in, gemma4.GenerateOptions{})
	result := s.Result()
	chunks := func(from, n int) (want [][3]int) {
		for done := 0; done < n; {
			k := min(16, n-done)
			done += k
			want = append(want, [3]int{k, from + done, n - done})
		}
		return want
	}
	var spent time.Duration // a clock may tick less often than these take
	check := func(what string, want [][3]int, steps ...[2]int) {
		t.Helper()
		var got [][3]int
		for _, i := range r.prefill {
			got = append(got, [3]int{i.Positions, i.Len, i.Left})
			if spent += i.Duration; i.Duration < 0 || i.Duration > 0 && i.Speed() <= 0 {
				t.Errorf("%s: %+v", what, i)
			}
		}
		var stepped [][2]int
		for _, i := range r.step {
			stepped = append(stepped, [2]int{i.Positions, i.Len})
			if spent += i.Duration; i.Duration < 0 || i.Duration > 0 && i.Speed() <= 0 {
				t.Errorf("%s: %+v", what, i)
			}
		}
		if !slices.Equal(got, want) || !slices.Equal(stepped, steps) {
			t.Errorf("%s: prefill %v, expected %v; steps %v, expected %v", what, got, want, stepped, steps)
		}
		r.prefill, r.step = nil, nil
	}
	var steps [][2]int
	for i := range s.Len() - n {
		steps = append(steps, [2]int{1, n + i + 1})
	}
	check("generation", chunks(0, n), steps...)
	if len(steps) < result.Generated {
		t.Errorf("%d steps for %d tokens", len(steps), result.Generated)
	}
	at := s.Len()
	if _, err := s.Write(ctx, words(3, 1)...); err != nil {
		t.Fatal(err)
	}
	check("Write", nil, [2]int{3, at + 3})
	if _, err := s.Embed(ctx, words(20, 1)); err != nil {
		t.Fatal(err)
	}
	check("Embed", chunks(at+3, 20))
	if err := s.AllLogits(ctx, words(17, 1), func(int, []float32) error { return nil }); err != nil {
		t.Fatal(err)
	}
	check("AllLogits", chunks(at+3, 17))
	fork, err := s.Fork()
	if err != nil {
		t.Fatal(err)
	}
	defer fork.Close()
	if err := fork.Read(ctx, gemma4.Input{Tokens: words(5, 2)}); err != nil {
		t.Fatal(err)
	}
	check("a fork", chunks(at+20, 5))
	if spent == 0 {
		t.Error("all of it took no time")
	}
}

// TestTraceTellsWhatIsGivenUp: pages that windows have left behind, and cached texts.
func TestTraceTellsWhatIsGivenUp(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	run := func(history int64) (positions int) {
		var r recorded
		s := newSession(t, m, gemma4.SessionOptions{Batch: 32, History: history, Trace: r.trace()})
		for range 3 {
			if err := s.Read(ctx, gemma4.Input{Tokens: words(150, 1)}); err != nil {
				t.Fatal(err)
			}
		}
		for _, e := range r.evict {
			if e.Cached || e.Positions <= 0 || e.Bytes <= 0 || e.Bytes*int64(r.evict[0].Positions) != r.evict[0].Bytes*int64(e.Positions) {
				t.Errorf("%+v", e)
			}
			positions += e.Positions
		}
		if left, err := s.Rewind(250); err != nil || (left < 250) != (positions > 0) {
			t.Errorf("%d positions given up of 450, rewound from there to 250: %d, %v", positions, left, err)
		}
		return positions
	}
	if none, most := run(-1), run(1<<30); none < 250 || none >= 450 || most != 0 {
		t.Errorf("without history %d of 450 positions are given up, with much of it %d", none, most)
	}

	one := newSession(t, m, gemma4.SessionOptions{})
	if err := one.Read(ctx, gemma4.Input{Tokens: words(100, 1)}); err != nil {
		t.Fatal(err)
	}
	p := gemma4.NewPrefixCache(one.CacheBytes() * 5 / 2) // two texts
	defer p.Close()
	var r recorded
	for i := range 5 {
		o := gemma4.SessionOptions{Prefixes: p, Trace: r.trace()}
		evict := o.Trace.Evict
		o.Trace.Evict = func(i gemma4.EvictInfo) {
			p.Stats() // the cache is free
			evict(i)
		}
		if err := newSession(t, m, o).Read(ctx, gemma4.Input{Tokens: words(100, uint64(i))}); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.Stats().Texts; len(r.evict) != 5-n || n == 0 || n == 5 {
		t.Errorf("%d texts are left of 5, evicted %+v", n, r.evict)
	}
	for _, e := range r.evict {
		if !e.Cached || e.Positions != 100 || e.Bytes < one.CacheBytes()/2 {
			t.Errorf("%+v, of a session of %d bytes", e, one.CacheBytes())
		}
	}
}

// TestAPanicInATraceLeavesTheSessionWhatItHolds, and a session that a trace closes ends.
func TestAPanicInATraceLeavesTheSessionWhatItHolds(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	ids := words(40, 1)
	want := func() []float32 {
		s := newSession(t, m, gemma4.SessionOptions{})
		if err := s.Read(ctx, gemma4.Input{Tokens: ids}); err != nil {
			t.Fatal(err)
		}
		return s.Logits(nil)
	}()
	panics := true
	s := newSession(t, m, gemma4.SessionOptions{Batch: 16, Trace: &gemma4.Trace{Prefill: func(i gemma4.PrefillInfo) {
		if panics {
			panic("trace")
		}
	}}})
	func() {
		defer func() {
			if recover() != "trace" {
				t.Error("no panic")
			}
		}()
		s.Read(ctx, gemma4.Input{Tokens: ids})
	}()
	panics = false
	if s.Len() != 16 {
		t.Fatalf("%d positions", s.Len())
	}
	if err := s.Read(ctx, gemma4.Input{Tokens: ids[16:]}); err != nil || !slices.Equal(s.Logits(nil), want) {
		t.Errorf("%v, or other logits", err)
	}
	var closing *gemma4.Session
	closing = newSession(t, m,
		gemma4.SessionOptions{Batch: 16, Trace: &gemma4.Trace{Prefill: func(gemma4.PrefillInfo) { closing.Close() }}})
	if err := closing.Read(ctx, gemma4.Input{Tokens: ids}); err != gemma4.ErrClosed {
		t.Errorf("closed by its trace: %v", err)
	}
}

// TestATraceOfAChatCountsForTheNextAnswer, as Progress does.
func TestATraceOfAChatCountsForTheNextAnswer(t *testing.T) {
	c := newChat(t, openNano(t, gemma4.Loader{}), gemma4.ChatOptions{})
	var r recorded
	for _, traced := range []bool{false, true, false} {
		if c.Options.Trace = nil; traced {
			c.Options.Trace = r.trace()
		}
		if _, err := c.Answer(ctx, "What is 2 + 3?"); err != nil {
			t.Fatal(err)
		}
		if (len(r.prefill) > 0) != traced || (len(r.step) > 0) != traced {
			t.Errorf("traced %v: %v, %v", traced, r.prefill, r.step)
		}
		r.prefill, r.step = nil, nil
	}
}

func TestWritingWithATraceMakesNoGarbage(t *testing.T) {
	m := openNano(t, gemma4.Loader{Threads: 1})
	calls := 0
	for name, trace := range map[string]*gemma4.Trace{
		"none": nil, "empty": {},
		"all": {Prefill: func(gemma4.PrefillInfo) {}, Step: func(i gemma4.StepInfo) { calls += i.Positions },
			Evict: func(gemma4.EvictInfo) { calls++ }},
	} {
		s := newSession(t, m, gemma4.SessionOptions{Trace: trace, Context: 2000})
		if err := s.Read(ctx, gemma4.Input{Tokens: words(40, 1)}); err != nil {
			t.Fatal(err)
		}
		write := func() {
			if _, err := s.Write(ctx, 1234); err != nil {
				t.Fatal(err)
			}
		}
		least := math.Inf(1)
		for range 50 { // under the race detector a sync.Pool loses things at random
			least = min(least, testing.AllocsPerRun(1, write))
		}
		if least != 0 {
			t.Errorf("%s: %g allocations per token", name, least)
		}
	}
	if calls < 80 {
		t.Errorf("%d calls", calls)
	}
}
