package gemma4

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/sampler"
)

// TestAnswersUnderLoad lets many sessions work at once: prompts of all lengths, with beginnings in common and without, with pictures and
// sounds, that are answered freely or by a grammar, in chats, forked, saved, embedded, decided, and that are cancelled anywhere, left,
// slow, or panic. Each gets, bit for bit, what it gets alone; and so does whoever asks the same session once more.
//
//	go test -race -run AnswersUnderLoad -random 10m -v .
func TestAnswersUnderLoad(t *testing.T) {
	for _, spec := range []string{"nano", "tiny-e:q4_k_m", "micro-moe:q4_0"} {
		t.Run(spec, func(t *testing.T) {
			skipShort(t, spec, "nano")
			requests := 60
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
	does     string
	prompt   []Input
	ids      []int32 // all of prompt's
	most     int     // tokens to generate
	seed     uint64  // of the draws; 0: the most likely ones
	batch    int
	group    string
	cache    CacheFormat
	prefixes bool
	fate     string
	after    int // tokens, or parts of the prompt
	delay    time.Duration
	draft    uint64 // seed of how it guesses ahead; 0: not at all
}

func newRequest(r *rand.Rand, m *Model) request {
	q := request{most: 1 + r.IntN(24), batch: []int{0, 1, 8, 33}[r.IntN(4)], group: []string{"", "a", "b"}[r.IntN(3)],
		prefixes: r.IntN(2) == 0, after: r.IntN(6), delay: time.Duration(r.IntN(3000)) * time.Microsecond,
		does: []string{"", "", "", "obeys", "obeys", "embeds", "decides", "forks", "saves", "tells all", "chats"}[r.IntN(11)],
		fate: []string{"", "", "", "", "cancelled after tokens", "cancelled any time", "cancelled at once", "left", "slow", "body panics",
			"progress panics", "trace panics", "mask panics", "process panics", "body exits", "closed"}[r.IntN(16)]}
	if q.does == "chats" && len(m.lacking) > 0 {
		q.does = "obeys"
	}
	if r.IntN(2) == 0 {
		q.seed = 1 + r.Uint64()>>11
	}
	if r.IntN(3) > 0 {
		q.draft = 1 + r.Uint64()
	}
	if r.IntN(3) == 0 {
		q.cache = CacheFormat(r.IntN(2))
		if m.graph.Layers[0].HeadDim%32 == 0 {
			q.cache = CacheFormat(r.IntN(4))
		}
	}
	n := 1 + r.IntN(40)
	if r.IntN(4) == 0 && q.batch != 1 {
		n += r.IntN(400)
	}
	common := rand.New(rand.NewPCG(uint64(r.IntN(3)), 1))
	parts, vocabulary := r.IntN(n+1), min(500, m.tok.Size())
	for i := range n {
		id := common.IntN(vocabulary)
		if i >= parts {
			id = r.IntN(vocabulary)
		}
		q.ids = append(q.ids, int32(id))
	}
	q.prompt = []Input{{Tokens: q.ids}}
	if r.IntN(4) == 0 { // a picture or a sound in the middle
		at, which := r.IntN(n), 1+r.IntN(3)
		soft := Input{Image: which < 3, ID: uint64(which)}
		values := rand.New(rand.NewPCG(soft.ID, 2))
		for range 20 * which * m.graph.Width {
			soft.Embeddings = append(soft.Embeddings, float32(values.NormFloat64()))
		}
		q.prompt = []Input{{Tokens: q.ids[:at]}, soft, {Tokens: q.ids[at:]}}
	}
	return q
}

// answered is what a request got.
type answered struct {
	ids    []int32
	logits []float32 // that each token was chosen from; or what else was asked for
	fork   *answered
	again  *answered // by the same session when it was over
	err    error
}

var errGone = errors.New("gone")

// quietly ends what panics with errGone.
func quietly() {
	if v := recover(); v != nil && v != errGone {
		panic(v)
	}
}

// answer does what a request asks for, on a goroutine of its own; alone, nothing goes wrong with it.
func (q request) answer(m *Model, prefixes *PrefixCache, g *grammar.Grammar, alone bool) *answered {
	got := &answered{err: errGone} // unless it returns
	if alone {
		q.fate, q.draft, prefixes = "", 0, nil
	}
	if !q.prefixes {
		prefixes = nil
	}
	var all sync.WaitGroup
	all.Go(func() {
		defer quietly()
		q.run(m, prefixes, g, got)
	})
	all.Wait()
	return got
}

func (q request) run(m *Model, prefixes *PrefixCache, g *grammar.Grammar, got *answered) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var parts atomic.Int64 // a fork counts, too
	over := false
	part := func() {
		if parts.Add(1) > int64(q.after) && !over {
			panic(errGone)
		}
	}
	c := ChatOptions{SessionOptions: SessionOptions{Cache: q.cache, Batch: q.batch, Group: q.group, Prefixes: prefixes}}
	o := &c.GenerateOptions
	o.MaxTokens, o.Sampling = q.most, sampler.Overrides{Temperature: new(0.0)}
	if q.seed != 0 {
		o.Sampling = sampler.Overrides{Seed: &q.seed}
	}
	if o.Draft.Off = q.draft == 0; !o.Draft.Off {
		o.Draft = randomDraft(rand.New(rand.NewPCG(q.draft, 7)))
	}
	if q.does == "obeys" || q.does == "chats" && q.after%2 == 0 {
		o.Grammar = g
	}
	switch q.fate {
	case "progress panics":
		c.Progress = func(int, int) { part() }
	case "trace panics":
		c.Trace = &Trace{Prefill: func(PrefillInfo) { part() }, Step: func(StepInfo) { part() }}
	case "mask panics":
		c.Trace = &Trace{Mask: func(MaskInfo) { part() }}
	case "process panics":
		o.Process = func([]int32, []float32) { part() }
	case "cancelled at once":
		cancel()
	case "cancelled any time":
		defer time.AfterFunc(q.delay, cancel).Stop()
	}
	talk, err := m.NewChat(c)
	if err != nil {
		got.err = err
		return
	}
	s := talk.Session()
	defer s.Close()
	if q.fate == "closed" {
		defer time.AfterFunc(q.delay, func() { s.Close() }).Stop()
	}
	defer func() { // whatever has happened, the session answers as if it had not
		over = true
		if q.does == "" && q.fate != "closed" && q.fate != "" {
			rest, err := s.ReuseInput(q.prompt...)
			if got.again = (&answered{err: err}); err == nil {
				got.again.take(s, s.Generate(context.Background(), rest, *o), false, nil)
			}
		}
	}()
	body := func() (goOn bool) {
		if q.fate == "slow" {
			time.Sleep(q.delay)
		}
		if len(got.ids) <= q.after {
			return true
		}
		switch q.fate {
		case "cancelled after tokens":
			cancel()
		case "left":
			return false
		case "body panics":
			panic(errGone)
		case "body exits":
			runtime.Goexit()
		}
		return true
	}
	in := q.prompt
	switch q.does {
	case "embeds":
		got.logits, got.err = s.Embed(ctx, q.ids)
		return
	case "decides":
		var options []Likelihood
		options, got.err = s.Decide(ctx, in, []string{"a", "an", "and then", "0", "12"}, DecideOptions{Open: true})
		for _, x := range options {
			got.logits = append(got.logits, float32(x.LogProb))
		}
		return
	case "tells all":
		got.err = s.AllLogits(ctx, q.ids, func(_ int, logits []float32) error {
			got.ids, got.logits = append(got.ids, 0), append(got.logits, logits...)
			if !body() {
				return errGone
			}
			return nil
		})
		return
	case "chats":
		got.take(s, talk.Ask(ctx, fmt.Sprint("Say ", q.ids[0])), o.Grammar != nil, body)
		return
	case "forks":
		if got.err = s.Read(ctx, in...); got.err != nil {
			return
		}
		f, err := s.Fork()
		if err != nil {
			got.err = err
			return
		}
		defer f.Close()
		got.fork = &answered{err: errGone}
		var all sync.WaitGroup
		defer all.Wait()
		other := *o
		other.Process, other.Sampling.Temperature = nil, new(2.0)
		other.Sampling.Seed = new(uint64(len(q.ids)))
		all.Go(func() {
			defer quietly()
			got.fork.take(f, f.Generate(ctx, nil, other), false, nil)
		})
		in = nil
	case "saves":
		if got.err = s.Read(ctx, in...); got.err != nil {
			return
		}
		var file bytes.Buffer
		if got.err = s.SaveTo(&file); got.err != nil {
			return
		}
		saved := c.SessionOptions
		saved.Prefixes = nil
		r, err := m.RestoreFrom(&file, saved)
		if err != nil {
			got.err = err
			return
		}
		defer r.Close()
		in, s = nil, r
	}
	got.take(s, s.Generate(ctx, in, *o), o.Grammar != nil, body)
}

// take takes an answer, with the logits unless it obeys a grammar: which of those are there depends on when a mask was made.
func (a *answered) take(s *Session, tokens iter.Seq2[Token, error], obeys bool, body func() bool) {
	a.err = errGone // unless it returns
	for tok, err := range tokens {
		if err != nil {
			a.err = err
			return
		}
		if tok.ID == noID {
			continue
		}
		before := len(a.logits)
		if !obeys {
			a.logits = s.Logits(a.logits)
		}
		if obeys || len(a.logits) > before { // otherwise it was closed
			a.ids = append(a.ids, tok.ID)
		}
		if body != nil && !body() {
			break
		}
	}
	a.err = nil
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
	r := rand.New(rand.NewPCG(seed, 5))
	l := Loader{Threads: 2, Budget: []time.Duration{time.Microsecond, 0}[seed%2]}
	if spec == "nano" {
		l.Drafter.Path = filepath.Join("nano", "nano-draft-q8_0.gguf")
	} else {
		c, err := synth.Parse(spec)
		if err != nil {
			t.Fatal(err)
		}
		l.Drafter = randomDrafter(t, r, spec, synth.Bytes(c))
	}
	m := openSpec(t, spec, l)
	prefixes := NewPrefixCache(8 << 20)
	defer prefixes.Close()
	g, err := grammar.Regexp(m.Vocabulary(), `([a-c]{2} and then|(?s)..|[0-9]+ of the others )*`)
	if err != nil {
		t.Fatal(err)
	}
	var qs []request
	for range requests {
		qs = append(qs, newRequest(r, m))
	}
	before := runtime.NumGoroutine()
	got := make([]*answered, len(qs))
	var all sync.WaitGroup
	next := make(chan int)
	for range workers {
		all.Go(func() {
			for i := range next {
				got[i] = qs[i].answer(m, prefixes, g, false)
			}
		})
	}
	for i := range qs {
		next <- i
	}
	close(next)
	all.Wait()
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
	stats := m.Stats()
	if stats.Decode.Waiting+stats.Prefill.Waiting+stats.Unread != 0 || !stats.RunningSince.IsZero() {
		t.Errorf("nobody is at work: %+v", stats)
	}
	ends := map[string]int{}
	for i, q := range qs {
		want := q.answer(m, nil, g, true)
		if want.err != nil {
			t.Fatal(want.err)
		}
		a := got[i]
		if d := a.differs(want, a.err == nil && q.fate != "left"); d != "" {
			t.Errorf("request %d %+v: %s", i, q.brief(), d)
		}
		if a.fork != nil {
			if d := a.fork.differs(want.fork, a.fork.err == nil); d != "" {
				t.Errorf("the fork of request %d %+v: %s", i, q.brief(), d)
			}
		}
		if a.again != nil {
			if d := a.again.differs(want, true); d != "" {
				t.Errorf("request %d %+v once more: %s", i, q.brief(), d)
			}
		}
		switch {
		case a.err == nil:
		case errors.Is(a.err, context.Canceled) && strings.HasPrefix(q.fate, "cancelled"):
		case errors.Is(a.err, errGone) &&
			(strings.HasSuffix(q.fate, "panics") || q.fate == "body exits" || q.fate == "left" && q.does == "tells all"):
		case errors.Is(a.err, ErrClosed) && q.fate == "closed":
		default:
			t.Errorf("request %d %+v: error %v", i, q.brief(), a.err)
		}
		ends[fmt.Sprintf("%s: %v", cmp.Or(q.does, "generates"), a.err)]++
	}
	t.Logf("%.2f sessions decode together, %.2f prefill, %d passes gave way; %v",
		float64(stats.Decode.Sessions)/float64(stats.Decode.Passes), float64(stats.Prefill.Sessions)/float64(stats.Prefill.Passes),
		stats.GaveWay, ends)
}

// differs says in what an answer differs from the one wanted, or from its beginning if it is not whole.
func (a *answered) differs(want *answered, whole bool) string {
	n, tokens := len(a.logits), len(a.ids)
	if n > len(want.logits) || tokens > len(want.ids) || whole && (n != len(want.logits) || tokens != len(want.ids)) ||
		!sameBits(a.logits, want.logits[:n]) || !slices.Equal(a.ids, want.ids[:tokens]) {
		return fmt.Sprintf("%d, alone %d, or other logits (%d, %d; %v)", a.ids, want.ids, n, len(want.logits), a.err)
	}
	return ""
}

// brief returns the request without what is long.
func (q request) brief() request {
	q.prompt, q.ids = nil, q.ids[:min(4, len(q.ids))]
	return q
}
