package gemma4

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/sampler"
)

// TestAnswersUnderLoad lets many sessions work at once: prompts of all lengths, with beginnings in common and without, read, generated,
// written and embedded, that are cancelled anywhere, left, slow, or panic. Each gets, bit for bit, what it gets alone.
//
//	go test -race -run AnswersUnderLoad -random 10m -v .
func TestAnswersUnderLoad(t *testing.T) {
	for _, spec := range []string{"nano", "tiny-e:q4_k_m", "micro-moe:q4_0"} {
		t.Run(spec, func(t *testing.T) {
			skipShort(t, spec, "nano")
			requests := 80
			if testing.Short() {
				requests = 30
			}
			for began, i := time.Now(), 0; i < 2 || time.Since(began) < *randomTime; i++ {
				seed := uint64(i + 1)
				switch {
				case *randomSeed != 0:
					seed = *randomSeed
				case i > 1:
					seed = rand.Uint64()
				}
				if underLoad(t, spec, seed, requests); t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

// request is what one session of many does.
type request struct {
	ids      []int32
	most     int    // tokens to generate
	seed     uint64 // of the draws; 0: the most likely ones
	embeds   bool
	batch    int
	group    string
	cache    CacheFormat
	prefixes bool
	fate     string
	after    int // tokens, or parts of the prompt
	delay    time.Duration
}

func newRequest(r *rand.Rand, vocabulary int) request {
	q := request{most: 1 + r.IntN(24), batch: []int{0, 8, 33}[r.IntN(3)], group: []string{"", "a", "b"}[r.IntN(3)],
		prefixes: r.IntN(2) == 0, after: r.IntN(6), delay: time.Duration(r.IntN(3000)) * time.Microsecond,
		fate: []string{"", "", "", "", "cancelled after tokens", "cancelled any time", "cancelled at once", "left", "slow", "body panics",
			"progress panics", "trace panics", "closed"}[r.IntN(13)]}
	if r.IntN(2) == 0 {
		q.seed = 1 + r.Uint64()>>11
	}
	q.embeds = r.IntN(8) == 0
	n := 1 + r.IntN(40)
	if r.IntN(4) == 0 {
		n += r.IntN(400)
	}
	common := rand.New(rand.NewPCG(uint64(r.IntN(3)), 1))
	parts := r.IntN(n + 1)
	for i := range n {
		id := common.IntN(vocabulary)
		if i >= parts {
			id = r.IntN(vocabulary)
		}
		q.ids = append(q.ids, int32(id))
	}
	return q
}

// answered is what a request got.
type answered struct {
	ids    []int32
	logits []float32 // that each token was chosen from; or the embedding
	err    error
}

var errGone = errors.New("gone")

// answer does what a request asks for; alone, nothing goes wrong with it.
func (q request) answer(m *Model, prefixes *PrefixCache, alone bool) (got answered) {
	fate := q.fate
	if alone {
		fate = ""
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	parts := 0
	part := func() {
		if parts++; parts > q.after {
			panic(errGone)
		}
	}
	o := SessionOptions{Cache: q.cache, Batch: q.batch, Group: q.group}
	if q.prefixes && !alone {
		o.Prefixes = prefixes
	}
	switch fate {
	case "progress panics":
		o.Progress = func(int, int) { part() }
	case "trace panics":
		o.Trace = &Trace{Prefill: func(PrefillInfo) { part() }, Step: func(StepInfo) { part() }}
	case "cancelled at once":
		cancel()
	case "cancelled any time":
		defer time.AfterFunc(q.delay, cancel).Stop()
	}
	s, err := m.NewSession(o)
	if err != nil {
		return answered{err: err}
	}
	defer s.Close()
	defer func() {
		if v := recover(); v != nil {
			if v != errGone {
				panic(v)
			}
			got.err = errGone
		}
	}()
	if fate == "closed" {
		defer time.AfterFunc(q.delay, func() { s.Close() }).Stop()
	}
	if q.embeds {
		got.logits, got.err = s.Embed(ctx, q.ids)
		return got
	}
	options := GenerateOptions{MaxTokens: q.most, Sampling: sampler.Overrides{Temperature: new(0.0)}}
	if q.seed != 0 {
		options.Sampling = sampler.Overrides{Seed: &q.seed}
	}
	for tok, err := range s.Generate(ctx, []Input{{Tokens: q.ids}}, options) {
		if err != nil {
			got.err = err
			break
		}
		if tok.ID != noID {
			before := len(got.logits)
			if got.logits = s.Logits(got.logits); len(got.logits) > before { // it may have been closed
				got.ids = append(got.ids, tok.ID)
			}
		}
		if fate == "slow" {
			time.Sleep(q.delay)
		}
		if len(got.ids) <= q.after {
			continue
		}
		switch fate {
		case "cancelled after tokens":
			cancel()
		case "left":
			return got
		case "body panics":
			panic(errGone)
		}
	}
	return got
}

func openSpec(t *testing.T, spec string, l Loader) *Model {
	t.Helper()
	var m *Model
	var err error
	if spec == "nano" {
		m, err = l.Open(filepath.Join("nano", "nano-q4_0.gguf"))
	} else {
		var c synth.Config
		if c, err = synth.Parse(spec); err == nil {
			m, err = l.OpenBytes(synth.Bytes(c))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func underLoad(t *testing.T, spec string, seed uint64, requests int) {
	const workers = 12
	// With a budget that nothing fits, long passes give way all the time.
	m := openSpec(t, spec, Loader{Threads: 2, Budget: []time.Duration{time.Microsecond, 0}[seed%2]})
	prefixes := NewPrefixCache(8 << 20)
	defer prefixes.Close()
	r := rand.New(rand.NewPCG(seed, 5))
	var qs []request
	for range requests {
		qs = append(qs, newRequest(r, min(500, m.tok.Size())))
	}
	before := runtime.NumGoroutine()
	got := make([]answered, len(qs))
	var all sync.WaitGroup
	next := make(chan int)
	for range workers {
		all.Go(func() {
			for i := range next {
				got[i] = qs[i].answer(m, prefixes, false)
			}
		})
	}
	for i := range qs {
		next <- i
	}
	close(next)
	all.Wait()
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
	stats := m.Stats()
	if stats.Streams != 0 || stats.Decode.Waiting+stats.Prefill.Waiting+stats.Unread != 0 || !stats.RunningSince.IsZero() {
		t.Errorf("nobody is at work: %+v", stats)
	}
	ends := map[string]int{}
	for i, q := range qs {
		want := q.answer(m, nil, true)
		if want.err != nil {
			t.Fatal(want.err)
		}
		a := got[i]
		whole := a.err == nil && q.fate != "left"
		n := len(a.logits)
		if n > len(want.logits) || whole && n != len(want.logits) || !sameBits(a.logits, want.logits[:n]) ||
			!slices.Equal(a.ids, want.ids[:min(len(a.ids), len(want.ids))]) {
			t.Errorf("request %d (%d tokens of prompt, %q) got %d, alone %d, or other logits", i, len(q.ids), q.fate, a.ids, want.ids)
		}
		switch {
		case a.err == nil:
		case errors.Is(a.err, context.Canceled) && len(q.fate) > 9 && q.fate[:9] == "cancelled":
		case a.err == errGone && len(q.fate) > 6 && q.fate[len(q.fate)-6:] == "panics":
		case errors.Is(a.err, ErrClosed) && q.fate == "closed":
		default:
			t.Errorf("request %d, %q: error %v", i, q.fate, a.err)
		}
		ends[fmt.Sprintf("%s: %v", q.fate, a.err)]++
	}
	t.Logf("%.2f sessions decode together, %.2f prefill, %d passes gave way; %v",
		float64(stats.Decode.Sessions)/float64(stats.Decode.Passes), float64(stats.Prefill.Sessions)/float64(stats.Prefill.Passes),
		stats.GaveWay, ends)
}
