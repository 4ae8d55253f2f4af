package gemma4

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/sampler"
)

var (
	randomTime = flag.Duration("random", 0, "how long each random test goes on with new seeds; 0: a few fixed ones")
	randomSeed = flag.Uint64("seed", 0, "the only seed of random tests, if it is not 0")
)

// TestRandomOperations does random things with sessions of one model, among them what goes wrong: contexts that end at any of the graph's
// checks, callbacks that panic, and a file that loses its end under the running model. Whatever happens, a session is what its text says:
// after every operation it is compared, bit for bit, with a new one that takes the same tokens and embeddings in the same roles.
//
//	go test -run RandomOperations -random 10m -v .
func TestRandomOperations(t *testing.T) {
	seeds, operations := []uint64{1, 2, 3}, 60
	if testing.Short() {
		seeds, operations = seeds[:1], 40
	}
	if *randomSeed != 0 {
		seeds = []uint64{*randomSeed}
	}
	total := map[string]int{}
	for began, i := time.Now(), 0; i < len(seeds) || time.Since(began) < *randomTime; i++ {
		if i == len(seeds) {
			seeds = append(seeds, rand.Uint64())
		}
		w := newWorld(t, seeds[i])
		for range operations {
			w.operate()
			if t.Failed() {
				t.Fatalf("seed %d:\n%s", w.seed, w.log)
			}
		}
		w.close()
		for what, n := range w.done {
			total[what] += n
		}
	}
	t.Logf("%d worlds of %d operations: %v", len(seeds), operations, total)
}

// world is a model and the sessions on it, each beside a naive notion of what it holds.
type world struct {
	t        *testing.T
	seed     uint64
	rand     *rand.Rand
	path     string // of the model
	data     []byte // what is in it
	m        *Model
	prefixes *PrefixCache
	grammar  *grammar.Grammar
	soft     []*Input              // pictures and sounds, some of them without an ID
	known    map[identity]position // which of their embeddings has it
	texts    []*text
	done     map[string]int
	log      string
}

// text is a session, and the naive notion of it: a list of tokens and embeddings.
type text struct {
	s    *Session
	o    SessionOptions
	held []position
	file string // where it was saved or updated last
	kept []position
}

type position struct {
	id      int32
	written bool
	soft    *Input // that the position is an embedding of, nil for a token
	at      int    // which
}

// tokens returns the positions of ids.
func tokens(ids []int32, written bool) (ps []position) {
	for _, id := range ids {
		ps = append(ps, position{id: id, written: written})
	}
	return ps
}

const randomContext = 96

func newWorld(t *testing.T, seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 9))
	spec := []string{"micro-e:f32", "micro-e4:q8_0", "micro-dense:f16", "micro-moe:q4_0", "tiny-e:q4_k_m"}[r.IntN(5)]
	config, err := synth.Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, seed: seed, rand: r, path: filepath.Join(t.TempDir(), "model.gguf"), data: synth.Bytes(config),
		known: map[identity]position{}, done: map[string]int{}}
	if err := os.WriteFile(w.path, w.data, 0o600); err != nil {
		t.Fatal(err)
	}
	if w.m, err = (Loader{Threads: 1 + r.IntN(3), Drafter: randomDrafter(t, r, spec, w.data)}).Open(w.path); err != nil {
		t.Fatal(err)
	}
	w.prefixes = NewPrefixCache([]int64{0, 100 << 10, 1 << 30}[r.IntN(3)])
	if w.grammar, err = grammar.Regexp(w.m.Vocabulary(), `([a-c]{2} and then|(?s)..|[0-9]+ of the others )*`); err != nil {
		t.Fatal(err)
	}
	w.note("%s, %d threads", spec, w.m.graph.Workers())
	for _, x := range []struct {
		Input
		n int
	}{{Input{ID: 1, Image: true}, 20}, {Input{ID: 2, Image: true}, 20}, {Input{Image: true}, 9}, {Input{ID: 3}, 20}, {Input{}, 5}} {
		for range x.n * w.m.graph.Width {
			x.Embeddings = append(x.Embeddings, float32(r.NormFloat64()))
		}
		w.soft = append(w.soft, &x.Input)
	}
	w.create()
	return w
}

// randomDrafter returns none, a drafter whose guesses are random, or the model once more, whose guesses are right.
func randomDrafter(t *testing.T, r *rand.Rand, spec string, file []byte) Companion {
	switch r.IntN(3) {
	case 0:
		return Companion{}
	case 1:
		return Companion{Bytes: file}
	}
	name, _, _ := strings.Cut(spec, ":")
	shape, err := synth.ParseShape(name+"-draft:q8_0", 1)
	if err != nil {
		t.Fatal(err)
	}
	return Companion{Bytes: synth.Bytes(shape)}
}

// randomDraft guesses ahead in one of many ways.
func randomDraft(r *rand.Rand) Draft {
	d := Draft{Always: r.IntN(4) > 0, Most: r.IntN(8), Match: r.IntN(3) - 1, Alone: r.IntN(4) == 0}
	if r.IntN(3) == 0 {
		d.Texts = []string{"", "and then", "ab and then<turn|>"}[r.IntN(3):]
	}
	if r.IntN(4) == 0 {
		guesses := rand.New(rand.NewPCG(r.Uint64(), 6))
		d.Guess = func(text []int32, n int) []int32 {
			ids := slices.Clone(text[len(text)-min(len(text), guesses.IntN(5)):])
			return append(ids, int32(guesses.IntN(600)-10))
		}
	}
	return d
}

func (w *world) close() {
	for _, x := range w.texts {
		x.s.Close()
	}
	w.prefixes.Close()
	if err := w.m.Close(); err != nil {
		w.t.Error(err)
	}
}

func (w *world) note(format string, args ...any) { w.log += fmt.Sprintf(format, args...) + "\n" }

func (w *world) create() {
	caches := 4
	if w.m.graph.Layers[0].HeadDim%32 != 0 {
		caches = 2 // f16 and f32
	}
	o := SessionOptions{Context: randomContext, Cache: CacheFormat(w.rand.IntN(caches)), Batch: []int{0, 1, 5, 16}[w.rand.IntN(4)],
		History: []int64{0, -1, 1 << 20}[w.rand.IntN(3)]}
	if w.rand.IntN(2) == 0 {
		o.Prefixes = w.prefixes
	}
	s, err := w.m.NewSession(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.texts = append(w.texts, &text{s: s, o: o})
}

// ids returns a few ids; those of one kind begin alike.
func (w *world) ids(most int) []int32 {
	n := w.rand.IntN(most + 1)
	common := rand.New(rand.NewPCG(uint64(w.rand.IntN(2)), 1))
	ids := make([]int32, n)
	for i := range ids {
		if ids[i] = int32(common.IntN(500)); i > 24 {
			ids[i] = int32(w.rand.IntN(500))
		}
	}
	return ids
}

// prompt returns a few ids, and often a picture or sound among them.
func (w *world) prompt(most int) (in []Input, ps []position) {
	before, after := w.ids(most/2), w.ids(most/2)
	in, ps = []Input{{Tokens: before}}, tokens(before, false)
	if w.rand.IntN(2) == 0 {
		soft := w.soft[w.rand.IntN(len(w.soft))]
		in = append(in, *soft)
		for i := range len(soft.Embeddings) / w.m.graph.Width {
			ps = append(ps, position{soft: soft, at: i})
		}
	}
	return append(in, Input{Tokens: after}), append(ps, tokens(after, false)...)
}

// piece is the tokens of one role, as much of a sound as there are positions, or a picture of which they are the first.
type piece struct {
	Input
	held []position
}

func (w *world) pieces(ps []position) (all []piece) {
	for i, p := range ps {
		if p.soft != nil && p.at == 0 || p.soft == nil && (i == 0 || ps[i-1].soft != nil || ps[i-1].written != p.written) {
			all = append(all, piece{})
		}
		x := &all[len(all)-1]
		x.held = append(x.held, p)
		switch {
		case p.soft == nil:
			x.Tokens = append(x.Tokens, p.id)
		case p.soft.Image:
			x.Input = *p.soft
		default:
			x.Input = *p.soft
			x.Embeddings = x.Embeddings[:len(x.held)*w.m.graph.Width]
		}
	}
	return all
}

// kept returns how many positions of its text a session should keep for an input.
func (w *world) kept(x *text, in []Input) (n int) {
	var ps []position
	for _, x := range in {
		ps = append(ps, tokens(x.Tokens, false)...)
		for i := range len(x.Embeddings) / w.m.graph.Width {
			ps = append(ps, position{soft: &x, at: i})
		}
	}
	for ; n < min(len(ps)-1, len(x.held)); n++ {
		a, b := ps[n], x.held[n]
		if (a.soft == nil) != (b.soft == nil) || a.soft == nil && a.id != b.id || a.soft != nil &&
			(a.soft.ID == 0 || a.soft.ID != b.soft.ID || a.at != b.at) {
			break
		}
	}
	if p := ps[n]; p.soft != nil && p.soft.Image {
		n -= p.at
	}
	return n
}

// countdown is a context that ends after it was asked a number of times.
type countdownContext struct {
	context.Context
	mu   sync.Mutex
	left int
	over chan struct{}
}

func (c *countdownContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left > 0 {
		return nil
	}
	if c.left == 0 {
		close(c.over)
	}
	return context.Canceled
}

func (c *countdownContext) Done() <-chan struct{} { return c.over }

// hazard is what may go wrong in an operation.
type hazard struct {
	ctx    context.Context
	panics int // the callback in which a panic occurs; 0: none
	cut    bool
}

func (w *world) hazard() hazard {
	h := hazard{ctx: context.Background()}
	switch w.rand.IntN(6) {
	case 0, 1:
		h.ctx = &countdownContext{Context: h.ctx, left: 1 + w.rand.IntN(60), over: make(chan struct{})}
	case 2:
		h.panics = 1 + w.rand.IntN(3)
	case 3:
		h.cut = runtime.GOOS == "linux" && runtime.GOARCH == "amd64"
	}
	return h
}

var errPanicked = errors.New("panicked")

// attempt calls f with the hazard at work, and returns f's error, or errPanicked.
func (w *world) attempt(h hazard, x *text, f func(callback func()) error) (err error) {
	if h.cut { // at a page: what stays of one that is cut reads as zeros
		at := w.rand.IntN(len(w.data)) &^ (os.Getpagesize() - 1)
		if err := os.Truncate(w.path, int64(at)); err != nil {
			w.t.Fatal(err)
		}
		defer func() {
			file, err := os.OpenFile(w.path, os.O_WRONLY, 0)
			if err == nil {
				_, err = file.WriteAt(w.data[at:], int64(at))
				err = errors.Join(err, file.Close())
			}
			if err != nil {
				w.t.Fatal(err)
			}
		}()
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // looks at any time
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				x.s.Len()
				x.s.CacheBytes()
				x.s.Logits(nil)
				x.s.Result()
				x.s.Ops()
				runtime.Gosched()
			}
		}
	}()
	defer func() {
		close(stop)
		<-stopped
		if r := recover(); r != nil {
			if r != errPanicked {
				panic(r)
			}
			err = errPanicked
		}
	}()
	left := h.panics
	return f(func() {
		if _, err := x.s.Rewind(0); !errors.Is(err, ErrBusy) && !errors.Is(err, ErrClosed) {
			w.t.Errorf("Rewind within a callback: error %v", err)
		}
		if left--; left == 0 {
			panic(errPanicked)
		}
	})
}

// expected reports an error that the hazard does not explain.
func (w *world) expected(h hazard, what string, err error) {
	w.done[what]++
	_, counts := h.ctx.(*countdownContext)
	var full *ContextError
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled) && counts:
		w.done["cancelled"]++
	case err == errPanicked && h.panics > 0:
		w.done["panics"]++
	case errors.As(err, &full):
		w.done["full"]++
	case h.cut && !errors.Is(err, ErrClosed):
		w.done["faults"]++
	default:
		w.t.Errorf("%s: unexpected error %v", what, err)
	}
	w.note("  %v", err)
}

// took notes what a session has taken of what it was given.
func (x *text) took(ps []position) {
	x.held = append(x.held, ps[:min(len(ps), max(0, x.s.Len()-len(x.held)))]...)
}

// operate does one thing, and compares.
func (w *world) operate() {
	i := w.rand.IntN(len(w.texts))
	x := w.texts[i]
	h := w.hazard()
	what := []string{"read", "read", "write", "generate", "generate", "all logits", "rewind", "reuse", "fork", "save", "update", "restore",
		"save to",
		"perplexity", "decide", "close", "create"}[w.rand.IntN(17)]
	w.note("%d %s %+v", i, what, h)
	before := len(x.held)
	switch what {
	case "read":
		in, ps := w.prompt(40)
		x.s.options.Progress = nil
		err := w.attempt(h, x, func(callback func()) error {
			x.s.options.Progress = func(int, int) { callback() }
			return x.s.Read(h.ctx, in...)
		})
		x.s.options.Progress = nil
		x.took(ps)
		w.expected(h, what, err)
		if err == nil && len(x.held) != before+len(ps) {
			w.t.Errorf("read %d of %d positions without an error", len(x.held)-before, len(ps))
		}
	case "write":
		ids := w.ids(6)
		err := w.attempt(h, x, func(func()) error { _, err := x.s.Write(h.ctx, ids...); return err })
		x.took(tokens(ids, true))
		w.expected(h, what, err)
		if n := len(x.held) - before; n != 0 && n != len(ids) {
			w.t.Errorf("wrote %d of %d ids", n, len(ids))
		}
	case "generate":
		w.generate(h, x)
	case "all logits":
		ids := w.ids(30)
		var at []float32
		err := w.attempt(h, x, func(callback func()) error {
			return x.s.AllLogits(h.ctx, ids, func(_ int, logits []float32) error {
				at = append(at[:0], logits...)
				callback()
				return nil
			})
		})
		x.took(tokens(ids, false))
		w.expected(h, what, err)
		if err == nil && len(ids) > 0 && !sameBits(at, w.naive(x)) {
			w.t.Error("other logits than a new session's")
		}
	case "rewind", "reuse":
		n := w.rand.IntN(len(x.held) + 2)
		left, want := 0, min(n, len(x.held))
		var err error
		if what == "rewind" {
			left, err = x.s.Rewind(n)
		} else {
			var in []Input
			for _, p := range w.pieces(x.held[:want]) {
				in = append(in, p.Input)
			}
			in = append(in, Input{Tokens: []int32{7}})
			if w.rand.IntN(2) == 0 {
				in = append(in, *w.soft[w.rand.IntN(len(w.soft))])
			}
			all := w.m.graph.Identities(nil, in...)
			want = w.kept(x, in)
			var rest []Input
			rest, err = x.s.ReuseInput(in...)
			left = x.s.Len()
			if !slices.Equal(w.m.graph.Identities(nil, rest...), all[left:]) {
				w.t.Errorf("reuse of %d positions leaves others to read than those that follow", left)
			}
		}
		if err != nil || left != want || left != x.s.Len() {
			w.t.Errorf("%s to %d of %d: %d are left, expected %d, error %v", what, n, len(x.held), left, want, err)
			return
		}
		x.held = x.held[:left]
		w.done[what]++
	case "fork":
		s, err := x.s.Fork()
		if err != nil {
			w.t.Error(err)
			return
		}
		w.add(&text{s: s, o: x.o, held: slices.Clone(x.held)})
		w.done[what]++
	case "save", "update":
		if x.file == "" || w.rand.IntN(8) == 0 { // two sessions may update one file in turn
			x.file = filepath.Join(w.t.TempDir(), "saved.gguf")
		}
		save := x.s.Save
		if what == "update" {
			save = x.s.Update
		}
		if err := save(x.file); err != nil {
			w.t.Error(err)
		}
		for _, y := range w.texts {
			if y.file == x.file {
				y.kept = slices.Clone(x.held)
			}
		}
		w.done[what]++
	case "restore":
		if x.file == "" {
			return
		}
		o := x.o
		o.Prefixes = nil
		s, err := w.m.Restore(x.file, o)
		if err != nil {
			w.t.Error(err)
			return
		}
		w.add(&text{s: s, o: o, held: slices.Clone(x.kept), file: x.file, kept: x.kept})
		w.done[what]++
	case "save to":
		r, pipe := io.Pipe()
		go func() { pipe.CloseWithError(x.s.SaveTo(pipe)) }()
		o := x.o
		o.Prefixes = nil
		s, err := w.m.RestoreFrom(r, o)
		if err != nil {
			w.t.Error(err)
			return
		}
		w.add(&text{s: s, o: o, held: slices.Clone(x.held)})
		w.done[what]++
	case "perplexity":
		ids := w.ids(30)
		err := w.attempt(h, x, func(callback func()) error {
			_, err := x.s.Perplexity(h.ctx, append(ids, 5), func(int, int) { callback() })
			return err
		})
		w.expected(h, what, err)
		x.held = x.held[:0]
	case "decide":
		w.decide(h, x)
	case "close": // while it is at work
		ids := w.ids(40)
		go x.s.Close()
		if err := x.s.Read(context.Background(), Input{Tokens: ids}); err != nil && !errors.Is(err, ErrClosed) {
			var full *ContextError
			if !errors.As(err, &full) {
				w.t.Error(err)
			}
		}
		x.s.Close()
		if x.s.Len() != 0 || len(x.s.Logits(nil)) != 0 {
			w.t.Error("a closed session holds something")
		}
		w.done[what]++
		fallthrough
	case "create":
		w.texts = slices.Delete(w.texts, i, i+1)
		x.s.Close()
		w.create()
		return
	}
	if slices.Contains(w.texts, x) { // add may have replaced it
		w.compare(x)
	}
}

// add adds a session, in place of another if there are many.
func (w *world) add(x *text) {
	w.compare(x)
	if len(w.texts) < 4 {
		w.texts = append(w.texts, x)
		return
	}
	i := w.rand.IntN(len(w.texts))
	w.texts[i].s.Close()
	w.texts[i] = x
}

// generate lets a session generate, and a new one the same.
func (w *world) generate(h hazard, x *text) {
	prompt, ps := w.prompt(20)
	seed, most, leave := w.rand.Uint64(), 1+w.rand.IntN(12), w.rand.IntN(20)
	o := GenerateOptions{MaxTokens: most, Sampling: sampler.Overrides{Seed: &seed}}
	if w.rand.IntN(2) == 0 {
		o.Grammar, o.ThinkTokens, o.RepeatGuard = w.grammar, w.rand.IntN(3), true
	}
	o.Draft = randomDraft(w.rand)
	run := func(ctx context.Context, s *Session, callback func()) (got []int32, err error) {
		for tok, err := range s.Generate(ctx, prompt, o) {
			if err != nil {
				return got, err
			}
			if tok.ID != noID {
				got = append(got, tok.ID)
			}
			callback()
			if len(got) == leave {
				break
			}
		}
		return got, nil
	}
	twin := w.twin(x)
	defer twin.Close()
	var got []int32
	began := len(x.held)
	err := w.attempt(h, x, func(callback func()) error {
		var err error
		got, err = run(h.ctx, x.s, func() {
			if n := x.s.Len(); n > randomContext {
				w.t.Errorf("%d positions in a context of %d", n, randomContext)
			}
			callback()
		})
		return err
	})
	if err != nil && err.Error() == "gemma4: nothing to continue: the prompt is empty, and nothing was read since the session was rewound" {
		return
	}
	w.expected(h, "generate", err)
	x.took(ps)
	for i := len(x.held); i < x.s.Len(); i++ {
		x.held = append(x.held, position{id: int32(x.s.ids[i]), written: true})
	}
	if len(x.held) < began+len(ps) {
		return
	}
	o.Draft = Draft{Off: true}
	want, err2 := run(context.Background(), twin, func() {})
	if err2 != nil {
		w.t.Error(err2)
	}
	if err != nil { // of an error the last token is not known here
		got = nil
		for _, p := range x.held[began+len(ps):] {
			got = append(got, p.id)
		}
	}
	if len(got) > len(want) || !slices.Equal(got, want[:len(got)]) || err == nil && len(got) != len(want) {
		w.t.Errorf("generated %d, a new session %d", got, want)
	}
}

// decide compares the odds of a few options, which leave the session as it was, with those of a new one.
func (w *world) decide(h hazard, x *text) {
	in, ps := w.prompt(20)
	options := []string{"New", "New York", "York", "Old"}[w.rand.IntN(4):]
	o := DecideOptions{Open: w.rand.IntN(2) == 0}
	x.s.options.Progress = nil
	var odds []Likelihood
	err := w.attempt(h, x, func(callback func()) (err error) {
		x.s.options.Progress = func(int, int) { callback() }
		odds, err = x.s.Decide(h.ctx, in, options, o)
		return err
	})
	x.s.options.Progress = nil
	if err != nil && strings.Contains(err.Error(), "nothing to continue") {
		return
	}
	if w.expected(h, "decide", err); err != nil {
		return
	}
	s := w.twin(&text{o: x.o, held: slices.Concat(x.held, ps)})
	defer s.Close()
	if want, err := s.Decide(context.Background(), nil, options, o); err == nil && !slices.Equal(odds, want) {
		w.t.Errorf("%v, a new session %v", odds, want)
	} else if err != nil && !strings.Contains(err.Error(), "nothing to continue") { // it was taken back
		w.t.Error(err)
	}
}

// twin returns a new session that takes the same tokens and embeddings in the same roles. What there is of a picture that was not kept
// whole has seen all of it.
func (w *world) twin(x *text) *Session {
	s, err := w.m.NewSession(SessionOptions{Context: randomContext, Cache: x.o.Cache})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range w.pieces(x.held) {
		before := s.Len()
		if p.held[0].written {
			_, err = s.Write(context.Background(), p.Tokens...)
		} else {
			err = s.Read(context.Background(), p.Input)
		}
		if err == nil {
			_, err = s.Rewind(before + len(p.held))
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return s
}

// naive returns the logits that follow a text in a new session.
func (w *world) naive(x *text) []float32 {
	s := w.twin(x)
	defer s.Close()
	return s.Logits(nil)
}

// compare compares a session with a new one: ids, logits if it has any, and those of a token read after its text.
func (w *world) compare(x *text) {
	w.t.Helper()
	ids := make([]identity, len(x.held))
	for i, p := range x.held {
		ids[i] = identity(p.id)
		if p.soft != nil && i < len(x.s.ids) {
			ids[i] = w.identity(x.s.ids[i], p)
		}
	}
	if x.s.Len() != len(ids) || !slices.Equal(x.s.ids, ids) {
		w.t.Errorf("the session holds %d, expected %d", x.s.ids, ids)
		return
	}
	twin := w.twin(x)
	defer twin.Close()
	if got := x.s.Logits(nil); len(got) > 0 && !sameBits(got, twin.Logits(nil)) {
		w.t.Error("the session's logits are not those of a new one")
	}
	if len(ids) >= randomContext || w.rand.IntN(3) > 0 {
		return
	}
	fork, err := x.s.Fork()
	if err != nil {
		w.t.Error(err)
		return
	}
	defer fork.Close()
	next := Input{Tokens: []int32{9}}
	if err := errors.Join(fork.Read(context.Background(), next), twin.Read(context.Background(), next)); err != nil {
		w.t.Error(err)
	}
	if !sameBits(fork.Logits(nil), twin.Logits(nil)) {
		w.t.Error("a token later the session's logits are not those of a new one")
	}
}

// identity returns what an embedding's identity should be: the one seen first, which no other has.
func (w *world) identity(seen identity, p position) identity {
	if p.soft.ID == 0 {
		return -1
	}
	p = position{soft: p.soft, at: p.at}
	for id, q := range w.known {
		if q == p {
			return id
		}
	}
	if _, taken := w.known[seen]; taken || seen >= -1 {
		return 0
	}
	w.known[seen] = p
	return seen
}

// TestRandomConversations does random things with conversations: turns that end in every way, messages that are changed, forks, files.
// Whatever happened before, an answer is that of a new conversation with the same messages and seed.
func TestRandomConversations(t *testing.T) {
	seeds, operations := []uint64{1, 2}, 40
	if testing.Short() {
		seeds, operations = seeds[:1], 12
	}
	if *randomSeed != 0 {
		seeds = []uint64{*randomSeed}
	}
	m, err := Loader{ // where tokens that are read and written have the same bits
		Exact: true, Drafter: Companion{Path: filepath.Join("nano", "nano-draft-q8_0.gguf")},
	}.Open(filepath.Join("nano", "nano-q4_0.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	total := map[string]int{}
	for began, i := time.Now(), 0; i < len(seeds) || time.Since(began) < *randomTime; i++ {
		if i == len(seeds) {
			seeds = append(seeds, rand.Uint64())
		}
		w := &talk{t: t, m: m, rand: rand.New(rand.NewPCG(seeds[i], 4)), done: total}
		w.c = w.chat()
		for range operations {
			w.operate()
			if t.Failed() {
				t.Fatalf("seed %d:\n%s", seeds[i], w.log)
			}
		}
		w.c.Close()
	}
	t.Logf("%d conversations of %d operations: %v", len(seeds), operations, total)
}

type talk struct {
	t    *testing.T
	m    *Model
	rand *rand.Rand
	c    *Chat
	file string
	kept []chat.Message
	done map[string]int
	log  string
}

func (w *talk) chat() *Chat {
	c, err := w.m.NewChat(ChatOptions{SessionOptions: SessionOptions{Context: 600, Batch: 32},
		System: []string{"", "Be brief."}[w.rand.IntN(2)]})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *talk) operate() {
	c := w.c
	what := []string{"ask", "ask", "ask", "cancel", "leave", "panic", "nested", "edit", "undo", "fork", "save", "update", "restore",
		"new"}[w.rand.IntN(14)]
	w.log += fmt.Sprintf("%s, %d messages\n", what, len(c.Messages))
	w.done[what]++
	if len(c.Messages) > 8 {
		c.Messages = c.Messages[:0]
	}
	question := []string{"What is the capital of France?", "What is 3 + 4?", "The code of Mia is 4821. What is the code of Mia?",
		"Hello"}[w.rand.IntN(4)]
	seed := w.rand.Uint64()
	c.Options.MaxTokens = 24
	c.Options.Sampling = sampler.Overrides{Seed: &seed}
	c.Options.Draft = randomDraft(w.rand)
	before := slices.Clone(c.Messages)
	switch what {
	case "ask":
		got, err := c.Answer(context.Background(), question)
		if err != nil {
			w.t.Error(err)
			return
		}
		plain := c.Options
		plain.Draft = Draft{Off: true}
		fresh, err := w.m.NewChat(plain)
		if err != nil {
			w.t.Fatal(err)
		}
		defer fresh.Close()
		fresh.Messages = before
		want, err := fresh.Answer(context.Background(), question)
		if err != nil {
			w.t.Fatal(err)
		}
		if got.Content != want.Content || got.Reasoning != want.Reasoning || len(got.ToolCalls) != len(want.ToolCalls) ||
			!slices.Equal(c.s.ids, fresh.s.ids) {
			w.t.Errorf("answered %q, a new conversation %q;\nids %d\nnew %d", got.Content, want.Content, c.s.ids, fresh.s.ids)
		}
		w.grown(before, true)
	case "cancel":
		ctx := &countdownContext{Context: context.Background(), left: 1 + w.rand.IntN(400), over: make(chan struct{})}
		var last error
		for _, err := range c.Ask(ctx, question) {
			last = err
		}
		if last != nil && !errors.Is(last, context.Canceled) {
			w.t.Error(last)
		}
		w.grown(before, last == nil)
	case "leave", "panic", "nested":
		n := w.rand.IntN(4)
		func() {
			defer func() {
				if r := recover(); r != nil && r != errPanicked {
					panic(r)
				}
			}()
			for _, err := range c.Ask(context.Background(), question) {
				if err != nil {
					w.t.Error(err)
				}
				switch {
				case what == "nested":
					count := len(c.Messages)
					for _, err := range c.Ask(context.Background(), "Hello") {
						if !errors.Is(err, ErrBusy) {
							w.t.Errorf("a conversation within another: error %v", err)
						}
					}
					if len(c.Messages) != count {
						w.t.Error("a refused question is in Messages")
					}
					if err := c.Save(filepath.Join(w.t.TempDir(), "x")); !errors.Is(err, ErrBusy) {
						w.t.Errorf("saving within a conversation: error %v", err)
					}
				case n > 0:
					n--
				case what == "panic":
					panic(errPanicked)
				default:
					return
				}
			}
		}()
		w.grown(before, true)
	case "edit":
		if len(c.Messages) > 0 {
			c.Messages = slices.Clone(c.Messages)
			c.Messages[w.rand.IntN(len(c.Messages))].Content = "Something else."
		}
	case "undo":
		c.Messages = c.Messages[:w.rand.IntN(len(c.Messages)/2+1)*2]
	case "fork":
		f, err := c.Fork()
		if err != nil {
			w.t.Error(err)
			return
		}
		c.Close()
		w.c = f
	case "save", "update":
		if w.file == "" {
			w.file = filepath.Join(w.t.TempDir(), "talk.gguf")
		}
		save := c.Save
		if what == "update" {
			save = c.Update
		}
		if err := save(w.file); err != nil {
			w.t.Error(err)
		}
		w.kept = slices.Clone(c.Messages)
	case "restore":
		if w.file == "" {
			return
		}
		r, err := w.m.RestoreChat(w.file, ChatOptions{SessionOptions: c.Options.SessionOptions})
		if err != nil {
			w.t.Error(err)
			return
		}
		if len(r.Messages) != len(w.kept) {
			w.t.Errorf("%d messages restored, %d saved", len(r.Messages), len(w.kept))
		}
		for i := range min(len(r.Messages), len(w.kept)) {
			if r.Messages[i].Content != w.kept[i].Content || r.Messages[i].Role != w.kept[i].Role {
				w.t.Errorf("message %d restored as %+v, saved as %+v", i, r.Messages[i], w.kept[i])
			}
		}
		c.Close()
		w.c = r
	case "new":
		c.Close()
		w.c = w.chat()
	}
}

// grown checks that a turn has added the question and an answer to the messages, or nothing.
func (w *talk) grown(before []chat.Message, must bool) {
	w.t.Helper()
	n := len(w.c.Messages) - len(before)
	if n != 2 && (must || n != 0) {
		w.t.Errorf("%d messages more", n)
		return
	}
	for i, m := range before {
		if w.c.Messages[i].Content != m.Content {
			w.t.Errorf("message %d has changed from %q to %q", i, m.Content, w.c.Messages[i].Content)
		}
	}
}
