package gemma4_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/nano"
)

var queueRequests = flag.Int("queue", 0, "how many requests the tests of queues submit; 0: a few")

func newQueue(t testing.TB, m *gemma4.Model, o gemma4.QueueOptions) *gemma4.Queue {
	t.Helper()
	o.Stall = cmp.Or(o.Stall, time.Hour) // that no busy machine reaches
	q, err := m.NewQueue(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

// asking returns a request for a conversation of one message.
func asking(text string) gemma4.Request {
	r := gemma4.Request{Messages: []chat.Message{user("%s", text)}}
	r.Sampling = greedy
	return r
}

// submit hands in a request that has to be taken.
func submit(t testing.TB, q *gemma4.Queue, r gemma4.Request) iter.Seq2[gemma4.Piece, error] {
	t.Helper()
	pieces, err := q.Submit(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	return pieces
}

// occupy takes slots of a queue until the function that it returns is called: by a request whose reader has read its first token and no
// more, which has Buffer 1.
func occupy(t testing.TB, q *gemma4.Queue, slots int) (leave func()) {
	t.Helper()
	r := asking("Count from 1 to 30.")
	r.N = slots
	next, stop := iter.Pull2(submit(t, q, r))
	if _, err, ok := next(); err != nil || !ok {
		t.Fatal(err)
	}
	return stop
}

// byItself returns what a request's answers are without company: pieces of the same request's chats and sessions, one after the other.
func byItself(t testing.TB, m *gemma4.Model, r gemma4.Request) (choices []gemma4.Choice) {
	t.Helper()
	for i := range max(1, r.N) {
		o := r.ChatOptions
		if o.Sampling.Seed != nil {
			o.Sampling.Seed = new(gemma4.ChoiceSeed(*o.Sampling.Seed, i))
		}
		var c gemma4.Choice
		var err error
		if r.Messages == nil {
			s := newSession(t, m, o.SessionOptions)
			c.Message, err = gemma4.Collect(s.Generate(ctx, r.Prompt, o.GenerateOptions))
			c.Result = s.Result()
			s.Close()
		} else {
			a := newChat(t, m, o)
			a.Messages = slices.Clone(r.Messages)
			c.Message, err = gemma4.Collect(a.Send(ctx))
			c.Result = a.Result()
			a.Close()
		}
		if _, broken := errors.AsType[*chat.CallError](err); err != nil && !broken {
			t.Fatal(err)
		}
		choices = append(choices, c)
	}
	return choices
}

// randomRequest returns a request of any kind; there are few prompts, so that they share beginnings.
func randomRequest(m *gemma4.Model, r *rand.Rand, grammars []*grammar.Grammar) (q gemma4.Request) {
	questions := []string{"What is the capital of France?", "Count from 5 to 9.", "What is the capital of Japan?",
		"What is 'cat' in French?"}
	text := questions[r.IntN(len(questions))]
	q.MaxTokens = 1 + r.IntN(20)
	if r.IntN(2) == 0 {
		q.Sampling = greedy
	} else {
		q.Sampling.TopP, q.Sampling.TopK = new(1.0), new(0)
		q.Sampling.Temperature, q.Sampling.Seed = new(4.0), new(r.Uint64N(100))
	}
	if r.IntN(3) == 0 {
		q.N = 1 + r.IntN(3)
	}
	if r.IntN(3) == 0 {
		q.Grammar = grammars[r.IntN(len(grammars))]
	}
	q.Group = []string{"", "a", "b"}[r.IntN(3)]
	if r.IntN(4) == 0 {
		q.Prompt = prompt(m, text)
		return q
	}
	if r.IntN(2) == 0 {
		q.System = "You are a parrot that lives in a library and has read all of its books, some of them twice. Be brief."
	}
	q.Messages = []chat.Message{user("%s", text)}
	return q
}

// TestQueueAnswersWithTheBytesOfEachAlone takes requests of all kinds that come when some number of others has ended, and of which some are
// given up in line or later, or have readers that let others go first.
//
//	go test -run QueueAnswersWith -queue 1000 -race -v .
func TestQueueAnswersWithTheBytesOfEachAlone(t *testing.T) {
	count := cmp.Or(*queueRequests, 60)
	m := openNano(t, gemma4.Loader{Drafter: gemma4.Companion{Bytes: nano.Drafter()}})
	digits, err := grammar.Regexp(m.Vocabulary(), `[0-9]{1,3}(, [0-9]{1,3}){0,5}`)
	if err != nil {
		t.Fatal(err)
	}
	object, err := grammar.JSON(m.Vocabulary(), grammar.Compact, false)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(11, 11))
	requests, wants := make([]gemma4.Request, count), make([][]gemma4.Choice, count)
	known := map[string][]gemma4.Choice{}
	for i := range requests {
		requests[i] = randomRequest(m, r, []*grammar.Grammar{digits, object})
		requests[i].Draft.Off = true
		key := fmt.Sprintf("%+v", requests[i])
		if known[key] == nil {
			known[key] = byItself(t, m, requests[i])
		}
		wants[i] = known[key]
	}
	prefixes := gemma4.NewPrefixCache(1 << 30)
	defer prefixes.Close()
	goroutines := runtime.NumGoroutine()
	q := newQueue(t, m, gemma4.QueueOptions{Slots: 6, Waiting: count, Buffer: 2, Prefixes: prefixes, Memory: 16 << 20, Context: 512})

	var mu sync.Mutex
	ended := sync.Cond{L: &mu}
	done := 0
	var all sync.WaitGroup
	for i, req := range requests {
		req.Draft = gemma4.Draft{Always: i%4 > 0, Most: i % 8, Match: 1 + i%3} // alone they were written one by one
		after := max(0, i-r.IntN(12))                                          // others have ended
		way, at := r.IntN(8), r.IntN(12)
		all.Go(func() {
			mu.Lock()
			for done < after {
				ended.Wait()
			}
			mu.Unlock()
			defer func() {
				mu.Lock()
				done++
				mu.Unlock()
				ended.Broadcast()
			}()
			own, cancel := context.WithCancel(ctx)
			defer cancel()
			pieces, err := q.Submit(own, req)
			if err != nil {
				t.Errorf("request %d: %v", i, err)
				return
			}
			if way == 0 && at < 4 {
				cancel() // in line, or where it has come
			}
			choices, n := make([][]chat.Event, max(1, req.N)), 0
			whole := 0
			for p, err := range pieces {
				if err != nil {
					if way != 0 || !errors.Is(err, context.Canceled) {
						t.Errorf("request %d: %v", i, err)
					}
					break
				}
				choices[p.Choice] = append(choices[p.Choice], p.Event)
				if p.Result != nil {
					whole++
					want := wants[i][p.Choice].Result
					if g := *p.Result; g.Reason != want.Reason || g.Generated != want.Generated ||
						want.Seed != g.Seed && req.Sampling.Seed != nil || p.Choice == 0 && g.Reused+g.Prompt != want.Prompt {
						t.Errorf("request %d, choice %d: %+v, alone %+v", i, p.Choice, g, want)
					}
				}
				if n++; n == at {
					switch way {
					case 0:
						cancel()
					case 1:
						whole = -1
					case 2, 3: // a slow reader
						for range 100 {
							runtime.Gosched()
						}
					}
				}
				if whole < 0 {
					break
				}
			}
			if way > 1 && whole != len(choices) {
				t.Errorf("request %d: %d whole answers, want %d", i, whole, len(choices))
			}
			for j, events := range choices {
				got, want := chat.Answer(events), wants[i][j].Message
				if whole == len(choices) && fmt.Sprint(got) != fmt.Sprint(want) || !strings.HasPrefix(want.Content, got.Content) {
					t.Errorf("request %d, choice %d: %q, alone %q", i, j, got.Content, want.Content)
				}
			}
		})
	}
	all.Wait()
	if err := q.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	s := q.Stats()
	t.Logf("%d requests, of which %d differ: %+v\n%+v", count, len(known), s, prefixes.Stats())
	if s.Running != 0 || s.Waiting != 0 || s.Reserved != 0 || s.Used != 0 || s.Requests != int64(count) || prefixes.Stats().Hits == 0 {
		t.Errorf("afterwards %+v", s)
	}
	answers := int64(0)
	for _, n := range s.Answers {
		answers += n
	}
	wanted := int64(0)
	for _, r := range requests {
		wanted += int64(max(1, r.N))
	}
	if s.Requests != s.Full+s.Waited+s.Left+s.Admissions || answers < s.Admissions || answers > wanted ||
		s.Left == 0 && answers != wanted || s.Answers[gemma4.ReasonNone] > 0 || s.Answers[gemma4.ReasonError] > 0 {
		t.Errorf("the numbers do not add up: %+v; %d answers of %d", s, answers, wanted)
	}
	for began := time.Now(); runtime.NumGoroutine() > goroutines; runtime.Gosched() { // those that have just ended
		if time.Since(began) > time.Minute {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		}
	}
}

func TestQueueReadsThePromptOfSeveralAnswersOnce(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	for _, plain := range []bool{false, true} {
		read, reading := 0, sync.Mutex{}
		r := asking("What is the capital of France?")
		if plain {
			r.Messages, r.Prompt = nil, prompt(m, question)
		}
		r.Sampling.TopP, r.Sampling.TopK = new(1.0), new(0)
		r.N, r.MaxTokens, r.Sampling.Temperature, r.Sampling.Seed = 4, 8, new(5.0), new(uint64(7))
		want := byItself(t, m, r)
		length := want[0].Result.Prompt
		r.Trace = &gemma4.Trace{Prefill: func(i gemma4.PrefillInfo) {
			reading.Lock()
			read += i.Positions
			reading.Unlock()
		}}
		choices, err := gemma4.CollectChoices(submit(t, newQueue(t, m, gemma4.QueueOptions{}), r))
		if err != nil || len(choices) != 4 || read != length {
			t.Fatalf("%d answers, %d positions read of %d: %v", len(choices), read, length, err)
		}
		differ := false
		for i, c := range choices {
			if fmt.Sprint(c.Message) != fmt.Sprint(want[i].Message) || c.Result.Seed != gemma4.ChoiceSeed(7, i) {
				t.Errorf("answer %d: %+v, alone %+v", i, c, want[i])
			}
			reused := length
			if i == 0 {
				reused = 0
			}
			if c.Result.Reused != reused || c.Result.Prompt != length-reused {
				t.Errorf("answer %d: %d positions reused, %d read", i, c.Result.Reused, c.Result.Prompt)
			}
			differ = differ || c.Message.Content != choices[0].Message.Content
		}
		if !differ {
			t.Error("all answers are the same")
		}
	}
}

func TestQueueRefusesAtOnce(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	memory, err := m.Memory(128, gemma4.CacheF16)
	if err != nil {
		t.Fatal(err)
	}
	q := newQueue(t, m, gemma4.QueueOptions{Slots: 3, Context: 256, Memory: memory.Cache})
	with := func(f func(r *gemma4.Request)) gemma4.Request {
		r := asking("What is the capital of France?")
		f(&r)
		return r
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for _, test := range []struct {
		ctx     context.Context
		request gemma4.Request
		want    string
	}{
		{ctx, gemma4.Request{}, "has messages or a prompt"},
		{ctx, with(func(r *gemma4.Request) { r.Prompt = prompt(m, "a") }), "has messages or a prompt"},
		{ctx, with(func(r *gemma4.Request) { r.N = 4 }), "4 answers, the queue has 3 slots"},
		{ctx, with(func(r *gemma4.Request) { r.N = -1 }), "-1 answers"},
		{ctx, with(func(r *gemma4.Request) { r.Context = 300 }), "300 positions, the queue allows 256"},
		{ctx, with(func(r *gemma4.Request) { r.Context = 10 }), "the context holds 10"},
		{ctx, with(func(r *gemma4.Request) { r.Cache = 9 }), "unknown cache format"},
		{ctx, with(func(r *gemma4.Request) { r.MaxTokens = -1 }), "negative"},
		{ctx, with(func(r *gemma4.Request) { r.Sampling.Temperature = new(-1.0) }), "temperature"},
		{ctx, with(func(r *gemma4.Request) { r.Messages, r.Prompt = nil, prompt(m, "a"); r.Sampling.TopP = new(-1.0) }), "top"},
		{ctx, with(func(r *gemma4.Request) { r.Messages[0].Role = "nobody" }), "nobody"},
		{ctx, with(func(r *gemma4.Request) { r.N, r.MaxTokens = 2, 1 }), "are allowed"},
		{ctx, with(func(*gemma4.Request) {}), "are allowed"}, // without MaxTokens
		{ctx, with(func(r *gemma4.Request) { r.MaxTokens, r.Memory = 5, 1 }), "are allowed"},
		{ctx, with(func(r *gemma4.Request) { r.MaxTokens = math.MaxInt }), "a context of 256 positions"},
		{ended, with(func(*gemma4.Request) {}), "canceled"},
	} {
		if _, err := q.Submit(test.ctx, test.request); err == nil || !strings.Contains(strings.ToLower(err.Error()), test.want) {
			t.Errorf("%v, want %s", err, test.want)
		}
	}
	if s := q.Stats(); s.Requests != 0 || s.Running != 0 || s.Reserved != 0 {
		t.Errorf("%+v", s)
	}
	tiny := newQueue(t, m, gemma4.QueueOptions{Slots: 3, Context: 256, Memory: 1})
	_, err = tiny.Submit(ctx, with(func(r *gemma4.Request) { r.N, r.MaxTokens = 2, 1 }))
	if !strings.Contains(fmt.Sprint(err), "are allowed") {
		t.Errorf("two answers in one byte: %v", err)
	}
	if c, err := gemma4.CollectChoices(submit(t, q, with(func(r *gemma4.Request) { r.MaxTokens = 20 }))); err != nil ||
		c[0].Message.Content != "The capital of France is Paris." {
		t.Errorf("%+v, %v", c, err)
	}
	for _, o := range []gemma4.QueueOptions{
		{Slots: -1}, {Memory: -1}, {Context: -1}, {Context: 1 << 30}, {Stall: -1}, {Memory: 8}, {Memory: 5},
	} {
		if q, err := m.NewQueue(o); err == nil {
			t.Errorf("%+v was taken", o)
			q.Close()
		}
	}
}

func TestQueueIsBounded(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	q := newQueue(t, m, gemma4.QueueOptions{Slots: 1, Waiting: 1, Buffer: 1})
	leave := occupy(t, q, 1)
	second := submit(t, q, asking("What is the capital of France?"))
	var full *gemma4.QueueFullError
	if _, err := q.Submit(ctx, asking("What is the capital of Japan?")); !errors.As(err, &full) || full.Waiting != 1 || full.Retry <= 0 {
		t.Errorf("%v", err)
	}
	if s := q.Stats(); s.Waiting != 1 || s.Running != 1 || s.Full != 1 || s.Used == 0 || s.Used > s.Reserved {
		t.Errorf("%+v", s)
	}
	leave()
	if c, err := gemma4.CollectChoices(second); err != nil || c[0].Result.QueueTime <= 0 {
		t.Errorf("%+v, %v", c, err)
	}
	for p, err := range second {
		if err == nil {
			t.Errorf("%+v a second time", p)
		}
	}
	if s := q.Stats(); s.MaxWaiting != 1 || s.Answers[gemma4.ReasonBreak] != 1 || s.Answers[gemma4.ReasonEnd] != 1 || s.Firsts != 2 ||
		s.Admissions != 2 || s.Requests != 3 || s.QueueTime <= 0 || s.FirstTime < s.QueueTime || s.Generated == 0 || s.Prompt == 0 ||
		s.Reserved != 0 {
		t.Errorf("%+v", s)
	}
	none := newQueue(t, m, gemma4.QueueOptions{Slots: 1, Waiting: -1, Buffer: 1})
	defer occupy(t, none, 1)()
	if _, err := none.Submit(ctx, asking("What is the capital of Japan?")); !errors.As(err, &full) || full.Waiting != 0 ||
		none.Stats().MaxWaiting != 0 || !strings.Contains(err.Error(), "none may wait") {
		t.Errorf("%v", err)
	}
}

// TestQueueAdmitsInTurn looks at the order in which requests begin, one at a time.
func TestQueueAdmitsInTurn(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	q := newQueue(t, m, gemma4.QueueOptions{Slots: 1, Buffer: 1})
	leave := occupy(t, q, 1)
	var mu sync.Mutex
	var order []string
	var all sync.WaitGroup
	for _, name := range []string{"a1", "a2", "a3", "b1", "c1", "b2"} {
		r := asking("What is the capital of France?")
		r.Group, r.MaxTokens = name[:1], 2
		r.Progress = func(done, total int) {
			if done == total {
				mu.Lock()
				order = append(order, name)
				mu.Unlock()
			}
		}
		pieces := submit(t, q, r)
		all.Go(func() {
			if _, err := gemma4.CollectChoices(pieces); err != nil {
				t.Error(err)
			}
		})
	}
	leave()
	all.Wait()
	if got := strings.Join(order, " "); got != "a1 b1 c1 a2 b2 a3" {
		t.Errorf("%s", got)
	}
}

func TestQueueLetsNobodyOvertakeALargeRequest(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	q := newQueue(t, m, gemma4.QueueOptions{Slots: 2, Buffer: 1})
	defer occupy(t, q, 1)()
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	large := asking("What is the capital of France?")
	large.N = 2
	pieces, err := q.Submit(own, large)
	if err != nil {
		t.Fatal(err)
	}
	small := submit(t, q, asking("What is the capital of Japan?"))
	if s := q.Stats(); s.Running != 1 || s.Waiting != 2 {
		t.Errorf("%+v", s)
	}
	cancel()
	if _, err := gemma4.CollectChoices(pieces); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := gemma4.CollectChoices(small); err != nil {
		t.Error(err)
	}
	if s := q.Stats(); s.Left != 1 || s.Running != 1 {
		t.Errorf("%+v", s)
	}
}

func TestQueueReservesMemory(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	memory, err := m.Memory(256, gemma4.CacheF16)
	if err != nil {
		t.Fatal(err)
	}
	limit := 2*memory.Cache + memory.Cache/2
	q := newQueue(t, m, gemma4.QueueOptions{Slots: 8, Memory: limit, Context: 256, Buffer: 1}) // no answer ends before it is read
	var answers []iter.Seq2[gemma4.Piece, error]
	for range 12 {
		answers = append(answers, submit(t, q, asking("What is the capital of France?")))
	}
	most := 0
	var all sync.WaitGroup
	var mu sync.Mutex
	for _, pieces := range answers {
		all.Go(func() {
			for _, err := range pieces {
				if err != nil {
					t.Error(err)
				}
				s := q.Stats()
				mu.Lock()
				if most = max(most, s.Running); s.Used > s.Reserved || s.Reserved > limit || s.Memory != limit {
					t.Errorf("%+v", s)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if most != 2 {
		t.Errorf("%d answers at once, there is memory for 2", most)
	}
	// Without a context, each slot has the same share.
	if _, err := newQueue(t, m, gemma4.QueueOptions{Slots: 4, Memory: 4 * memory.Cache}).Submit(ctx, gemma4.Request{
		ChatOptions: gemma4.ChatOptions{SessionOptions: gemma4.SessionOptions{Context: 512}}, Prompt: prompt(m, "a"),
	}); err == nil || strings.Contains(err.Error(), "allows 1") {
		t.Errorf("%v", err)
	}
}

func TestQueueEndsAnswersThatNobodyReads(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	q := newQueue(t, m, gemma4.QueueOptions{Slots: 2, Buffer: 2, Stall: time.Millisecond})
	long, two := asking("Count from 1 to 30."), asking("Count from 1 to 30.")
	two.N = 2
	first, second := submit(t, q, long), submit(t, q, two)
	if err := q.Shutdown(ctx); err != nil { // they end without a reader; the second may have been in line
		t.Error(err)
	}
	n := 0
	for _, err := range first {
		if n++; (err != nil) != (n == 3) || err != nil && !errors.Is(err, gemma4.ErrStalled) {
			t.Errorf("piece %d: %v", n, err)
		}
	}
	if _, err := gemma4.CollectChoices(second); !errors.Is(err, gemma4.ErrStalled) && !errors.Is(err, gemma4.ErrClosed) {
		t.Errorf("%v", err)
	}
	if s := q.Stats(); n != 3 || s.Stalled == 0 || s.Answers[gemma4.ReasonCancel] == 0 || s.Running != 0 || s.Reserved != 0 || s.Used != 0 {
		t.Errorf("%d pieces, %+v", n, s)
	}
}

// TestQueueHasTimeLimits in a bubble, whose clock stands still until nobody can go on: what is submitted in time is in time.
func TestQueueHasTimeLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := openNano(t, gemma4.Loader{})
		q := newQueue(t, m, gemma4.QueueOptions{Slots: 1, Buffer: 1, MaxWait: time.Millisecond})
		leave := occupy(t, q, 1)
		if _, err := gemma4.CollectChoices(submit(t, q, asking("What is the capital of France?"))); !errors.Is(err, gemma4.ErrWaited) {
			t.Errorf("%v", err)
		}
		leave()
		if s := q.Stats(); s.Waited != 1 || s.Waiting != 0 || s.Running != 0 {
			t.Errorf("%+v", s)
		}
		q = newQueue(t, m, gemma4.QueueOptions{Slots: 1, Buffer: 1, MaxTime: 20 * time.Millisecond})
		running, waiting := submit(t, q, asking("Count from 1 to 30.")), submit(t, q, asking("Count from 1 to 30."))
		if err := q.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if _, err := gemma4.CollectChoices(running); !errors.Is(err, gemma4.ErrOverdue) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if _, err := gemma4.CollectChoices(waiting); !errors.Is(err, gemma4.ErrClosed) {
			t.Errorf("%v", err)
		}
		if s := q.Stats(); s.Overdue != 1 || s.Left != 1 || s.Answers[gemma4.ReasonCancel] != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestQueueFreesWhatPanicsHeld(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	q := newQueue(t, m, gemma4.QueueOptions{Slots: 2, Buffer: 1})
	if v := panics(func() {
		for range submit(t, q, asking("Count from 1 to 30.")) {
			panic("body")
		}
	}); v != "body" || q.Stats().Running != 0 {
		t.Errorf("%v, %+v", v, q.Stats())
	}
	for n := range 2 {
		for step := range 2 {
			r := asking("Count from 1 to 30.")
			r.N = n + 1
			if step == 0 {
				r.Progress = func(int, int) { panic("progress") }
			} else {
				r.Trace = &gemma4.Trace{Step: func(gemma4.StepInfo) { panic("progress") }}
			}
			v := panics(func() { gemma4.CollectChoices(submit(t, q, r)) })
			text, _ := v.(string)
			if !strings.HasPrefix(text, "progress") || !strings.Contains(text, "queue_test.go") || q.Stats().Running != 0 {
				t.Errorf("%v, %+v", v, q.Stats())
			}
		}
	}
	for n := range 2 { // whoever calls t.Fatal in a callback
		for step := range 2 {
			r := asking("Count from 1 to 30.")
			r.N = n + 1
			if step == 0 {
				r.Progress = func(int, int) { runtime.Goexit() }
			} else {
				r.Trace = &gemma4.Trace{Step: func(gemma4.StepInfo) { runtime.Goexit() }}
			}
			if _, err := gemma4.CollectChoices(submit(t, q, r)); !strings.Contains(fmt.Sprint(err), "Goexit") || q.Stats().Running != 0 {
				t.Errorf("%v, %+v", err, q.Stats())
			}
		}
	}
	_, err := gemma4.CollectChoices(submit(t, q, asking("What is the capital of France?")))
	s := q.Stats()
	answers := s.Answers[gemma4.ReasonError] + s.Answers[gemma4.ReasonBreak] + s.Answers[gemma4.ReasonCancel]
	if err != nil || s.Used != 0 || s.Reserved != 0 || s.Answers[gemma4.ReasonError] < 8 || s.Answers[gemma4.ReasonEnd] != 1 ||
		answers != 13 {
		t.Errorf("%v, %+v", err, s)
	}
}

func TestQueueShutsDown(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	q := newQueue(t, m, gemma4.QueueOptions{Slots: 1, Buffer: 1})
	running, waiting := submit(t, q, asking("What is the capital of France?")), submit(t, q, asking("What is the capital of Japan?"))
	down := make(chan error)
	go func() { down <- q.Shutdown(ctx) }()
	for closed := false; !closed; runtime.Gosched() {
		pieces, err := q.Submit(ctx, asking("x"))
		if closed = errors.Is(err, gemma4.ErrClosed); err == nil {
			go gemma4.CollectChoices(pieces)
		}
	}
	if c, err := gemma4.CollectChoices(running); err != nil || c[0].Message.Content != "The capital of France is Paris." {
		t.Errorf("%+v, %v", c, err)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
	if _, err := gemma4.CollectChoices(waiting); !errors.Is(err, gemma4.ErrClosed) {
		t.Errorf("%v", err)
	}
	if _, err := q.Submit(ctx, asking("x")); !errors.Is(err, gemma4.ErrClosed) {
		t.Errorf("%v", err)
	}

	q = newQueue(t, m, gemma4.QueueOptions{Slots: 1, Buffer: 1})
	running = submit(t, q, asking("Count from 1 to 30."))
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := q.Shutdown(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := gemma4.CollectChoices(running); !errors.Is(err, gemma4.ErrClosed) {
		t.Errorf("%v", err)
	}
	if err := errors.Join(q.Close(), q.Shutdown(ctx)); err != nil {
		t.Error(err)
	}
	for range 100 { // nobody is left whom the end of a context could end
		if err := q.Shutdown(ended); err != nil {
			t.Fatal(err)
		}
	}
}

func TestQueueAdmitsWhatIsNoAnswer(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	q := newQueue(t, m, gemma4.QueueOptions{Slots: 1, Buffer: 1, Context: 200, Waiting: 1})
	options := []string{"The capital of France is Paris.", "The capital of France is Rome."}
	decide := func(ctx context.Context, c *gemma4.Chat) error {
		if s := q.Stats(); s.Running != 1 || s.Reserved == 0 || c.Session().Context() != 200 {
			t.Errorf("%+v, a context of %d", s, c.Session().Context())
		}
		odds, err := c.Decide(ctx, options, user("What is the capital of France?"))
		if err == nil && odds[0].Prob < 0.9 {
			t.Errorf("%v", odds)
		}
		return err
	}
	leave := occupy(t, q, 1)
	done := make(chan error)
	go func() { done <- q.Do(ctx, gemma4.ChatOptions{}, decide) }()
	for q.Stats().Waiting == 0 {
		runtime.Gosched()
	}
	if err := q.Do(ctx, gemma4.ChatOptions{}, decide); !strings.Contains(fmt.Sprint(err), "1 requests wait already") {
		t.Errorf("%v", err)
	}
	leave()
	if err := <-done; err != nil {
		t.Error(err)
	}
	failed := errors.New("failed")
	own, cancel := context.WithCancel(ctx)
	for want, f := range map[error]func(context.Context, *gemma4.Chat) error{
		failed: func(context.Context, *gemma4.Chat) error { return failed },
		context.Canceled: func(ctx context.Context, c *gemma4.Chat) error {
			cancel()
			return decide(ctx, c)
		},
	} {
		if err := q.Do(own, gemma4.ChatOptions{}, f); !errors.Is(err, want) && !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if v := panics(func() {
		q.Do(ctx, gemma4.ChatOptions{}, func(context.Context, *gemma4.Chat) error { panic("f") })
	}); v != "f" {
		t.Errorf("%v", v)
	}
	if err := q.Do(ctx, gemma4.ChatOptions{SessionOptions: gemma4.SessionOptions{Context: 201}}, decide); err == nil {
		t.Error("a larger context than the queue's")
	}
	if s := q.Stats(); s.Running != 0 || s.Reserved != 0 || s.Used != 0 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
}

// TestQueueAnswersWhereMessagesHaveToBeDropped, which each of several answers does for itself.
func TestQueueAnswersWhereMessagesHaveToBeDropped(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	q := newQueue(t, m, gemma4.QueueOptions{})
	r := asking("What is the capital of France?")
	r.Messages = append(smallTalk(12), r.Messages...)
	r.Context = 100
	if _, err := q.Submit(ctx, r); !strings.Contains(fmt.Sprint(err), "the context holds 100") {
		t.Errorf("%v", err)
	}
	r.Full = gemma4.FullDrop
	want := byItself(t, m, r)[0]
	for n := 1; n <= 2; n++ {
		r.N = n
		choices, err := gemma4.CollectChoices(submit(t, q, r))
		if err != nil || len(choices) != n {
			t.Fatal(len(choices), err)
		}
		for i, c := range choices {
			if fmt.Sprint(c.Message) != fmt.Sprint(want.Message) || c.Result.Dropped != want.Result.Dropped || c.Result.Dropped == 0 {
				t.Errorf("answer %d of %d: %+v, alone %+v", i, n, c, want)
			}
		}
	}
}

// TestQueueCancelsOneRequestAlone while it reads its prompt and while it writes, beside one that must not notice.
func TestQueueCancelsOneRequestAlone(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	q := newQueue(t, m, gemma4.QueueOptions{Slots: 3})
	beside := asking("Count from 5 to 9.")
	want := byItself(t, m, beside)[0].Message
	for _, n := range []int{1, 2} {
		for _, reading := range []bool{true, false} {
			company := submit(t, q, beside)
			own, cancel := context.WithCancel(ctx)
			defer cancel()
			parts, tokens := 0, 0 // since it was cancelled
			r := asking(strings.Repeat("Count from 1 to 30. ", 20))
			r.N, r.Batch = n, 8
			if r.Sampling = endless(m); reading {
				r.Progress = func(int, int) { cancel(); parts++ }
			}
			pieces, err := q.Submit(own, r)
			if err != nil {
				t.Fatal(err)
			}
			for p, failed := range pieces {
				if err = failed; !reading && p.ID >= 0 {
					cancel()
					tokens++
				}
			}
			s := q.Stats()
			if !errors.Is(err, context.Canceled) || reading && (parts != 1 || tokens > 0) || s.Waiting > 0 || s.Running > 1 {
				t.Errorf("%v, %d parts read, %d tokens, %+v", err, parts, tokens, s)
			}
			if c, err := gemma4.CollectChoices(company); err != nil || fmt.Sprint(c[0].Message) != fmt.Sprint(want) {
				t.Errorf("%+v, %v", c, err)
			}
		}
	}
}

// TestQueueDecodesItsAnswersTogether counts passes, where BenchmarkQueue takes the time: all answers share one, from where all have begun.
func TestQueueDecodesItsAnswersTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots, tokens = 8, 20
		m := openNano(t, gemma4.Loader{})
		q := newQueue(t, m, gemma4.QueueOptions{Slots: slots})
		var begun, all sync.WaitGroup
		goOn := make(chan struct{})
		for range slots {
			r := asking("What is the capital of France?")
			r.MaxTokens, r.Sampling, r.Draft.Off = tokens, endless(m), true
			begun.Add(1)
			first := sync.OnceFunc(func() { begun.Done(); <-goOn })
			r.Process = func([]int32, []float32) { first() }
			pieces := submit(t, q, r)
			all.Go(func() {
				if _, err := gemma4.CollectChoices(pieces); err != nil {
					t.Error(err)
				}
			})
		}
		begun.Wait()
		before := m.Stats().Decode
		running := &stopped{Context: ctx, begun: make(chan struct{}), goOn: make(chan struct{})}
		other := newSession(t, m, gemma4.SessionOptions{})
		all.Go(func() {
			if _, err := other.Write(running, 1000); err != nil {
				t.Error(err)
			}
		})
		<-running.begun
		close(goOn)
		synctest.Wait() // until all want the next pass
		close(running.goOn)
		all.Wait()
		after := m.Stats().Decode
		if p, n := after.Passes-before.Passes-1, after.Positions-before.Positions-1; p != tokens || n != slots*tokens {
			t.Errorf("%d positions in %d passes, want %d in %d", n, p, slots*tokens, tokens)
		}
	})
}
