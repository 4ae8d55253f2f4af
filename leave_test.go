package gemma4

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/gogemma/gemma4/sampler"
)

// gate is a context in which a pass stays until it may go on.
type gate struct {
	context.Context
	begun, goOn chan struct{}
	once        sync.Once
}

func newGate(ctx context.Context) *gate {
	return &gate{Context: ctx, begun: make(chan struct{}), goOn: make(chan struct{})}
}

func (g *gate) Err() error {
	g.once.Do(func() {
		close(g.begun)
		<-g.goOn
	})
	return g.Context.Err()
}

// TestWhoeverLeavesALongPassNeedNotWaitForItsEnd: it gives way, and the others read on.
func TestWhoeverLeavesALongPassNeedNotWaitForItsEnd(t *testing.T) {
	text := func(n int) []Input {
		ids := make([]int32, n)
		for i := range ids {
			ids[i] = int32(i % 100)
		}
		return []Input{{Tokens: ids}}
	}
	for _, leads := range []bool{false, true} {
		m := openSpec(t, "nano", Loader{Budget: 1}) // so that the write is no stream
		session := func() *Session {
			s, err := m.NewSession(SessionOptions{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		}
		running, writes := newGate(context.Background()), session()
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := writes.Write(running, 1); err != nil {
				t.Error(err)
			}
		})
		<-running.begun
		own, cancel := context.WithCancel(context.Background())
		defer cancel()
		leaver, stayer := session(), session()
		short, long := context.Context(context.Background()), context.Context(own)
		if leads {
			short, long = long, short
		}
		reading := newGate(short)
		errs := make(map[*Session]error)
		var mu sync.Mutex
		for i, ctx := range []context.Context{reading, long} { // the shorter leads
			s := stayer
			if leads == (i == 0) {
				s = leaver
			}
			all.Go(func() {
				err := s.Read(ctx, text(100+i)...)
				mu.Lock()
				defer mu.Unlock()
				errs[s] = err
			})
		}
		for m.Stats().Prefill.Waiting != 2 {
			runtime.Gosched()
		}
		close(running.goOn)
		<-reading.begun
		for cancel(); !leads && !m.schedule.ctx.givesWay.Load(); {
			runtime.Gosched()
		}
		close(reading.goOn)
		all.Wait()
		if err := errs[leaver]; !errors.Is(err, context.Canceled) || leaver.Len() != 0 {
			t.Errorf("leader %v: who leaves has %d positions: %v", leads, leaver.Len(), err)
		}
		if err := errs[stayer]; err != nil || stayer.Len() < 100 || m.Stats().GaveWay != 1 {
			t.Errorf("leader %v: who stays has %d positions: %v, %+v", leads, stayer.Len(), err, m.Stats())
		}
	}
}

// TestWhatHasPassesOfItsOwnReadsInPartsBesideStreams.
func TestWhatHasPassesOfItsOwnReadsInPartsBesideStreams(t *testing.T) {
	m := openSpec(t, "nano", Loader{})
	most := 0
	open := func() *Session {
		s, err := m.NewSession(SessionOptions{Trace: &Trace{Prefill: func(i PrefillInfo) { most = max(most, i.Positions) }}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	ids := make([]int32, 200)
	read := func() (n int) {
		most = 0
		if err := open().AllLogits(context.Background(), ids, func(i int, _ []float32) error {
			n++
			return nil
		}); err != nil || n != len(ids) {
			t.Errorf("logits of %d positions: %v", n, err)
		}
		return most
	}
	if n := read(); n != len(ids) {
		t.Errorf("alone %d positions at once", n)
	}
	greedy := GenerateOptions{MaxTokens: 3, Sampling: sampler.Overrides{Temperature: new(0.0), Suppress: m.tok.Ends()}}
	tokens := 0
	for _, err := range open().Generate(context.Background(), []Input{{Tokens: ids[:20]}}, greedy) {
		if err != nil {
			t.Fatal(err)
		}
		if tokens++; tokens > 1 { // the first is the prompt's
			m.schedule.mu.Lock()
			m.schedule.decoded = time.Now().Add(time.Hour) // however long the parts take, nobody gives the stream up
			m.schedule.mu.Unlock()
			if n := read(); n > 64 {
				t.Errorf("beside a stream %d positions at once", n)
			}
		}
	}
	if n := read(); n != len(ids) {
		t.Errorf("afterwards %d positions at once", n)
	}
}

// met is a context whose passes go on when a stream waits for them.
type met struct {
	context.Context
	m *Model
}

func (c met) Err() error {
	for x := c.m.Stats(); !x.RunningSince.IsZero() && x.Decode.Waiting == 0 && c.Context.Err() == nil; x = c.m.Stats() {
		runtime.Gosched()
	}
	return c.Context.Err()
}

// TestAPromptIsReadWhateverTheBudget: where none is short enough, streams do not make its passes give way for ever.
func TestAPromptIsReadWhateverTheBudget(t *testing.T) {
	m := openSpec(t, "nano", Loader{Budget: 1})
	open := func() *Session {
		s, err := m.NewSession(SessionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	const positions = 500
	stream, tokens := open(), 0
	if _, err := stream.Write(context.Background(), 2, 5); err != nil { // not read: nobody knows how long a prefill takes
		t.Fatal(err)
	}
	running, end := context.WithCancel(context.Background())
	defer end()
	read := make(chan error, 1)
	endless := GenerateOptions{Sampling: sampler.Overrides{Temperature: new(0.0), Suppress: m.tok.Ends()}}
	for _, err := range stream.Generate(context.Background(), nil, endless) {
		if err != nil {
			t.Fatal(err)
		}
		if tokens++; tokens == 2 {
			s := open()
			go func() { read <- s.Read(met{running, m}, Input{Tokens: make([]int32, positions)}) }()
		}
		n := m.Stats().GaveWay
		if n > positions/panel+1 { // each is followed by one that does not
			t.Fatalf("%d passes gave way", n)
		}
		for tokens > 1 && m.Stats().RunningSince.IsZero() { // the next token comes when the prompt is being read
			select {
			case err := <-read:
				if n = m.Stats().GaveWay; err != nil || n == 0 {
					t.Errorf("read: %v; %d passes gave way", err, n)
				}
				return
			default:
				runtime.Gosched()
			}
		}
	}
	t.Errorf("not read within %d tokens of a stream: %+v", tokens, m.Stats())
}
