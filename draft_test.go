package gemma4_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/sampler"
)

var draftPrompts = flag.Int("drafts", 0, "how many prompts the test of drafts tries in each case, of every source; 0: one, of one of them")

// writing is all that can be seen of a generation.
type writing struct {
	tokens []gemma4.Token
	seen   []int // positions of the session, at each token
	result gemma4.Result
	logits [][]float32 // that each token was drawn from, and behind the text
	saved  []byte
}

// write generates and saves.
func write(t testing.TB, s *gemma4.Session, in []gemma4.Input, o gemma4.GenerateOptions) (w writing) {
	t.Helper()
	for tok, err := range s.Generate(ctx, in, o) {
		if err != nil {
			t.Error(err)
		}
		w.tokens, w.seen = append(w.tokens, tok), append(w.seen, s.Len())
		w.logits = append(w.logits, s.Logits(nil))
	}
	w.result = s.Result()
	w.logits = append(w.logits, s.Logits(nil))
	var saved bytes.Buffer
	if err := s.SaveTo(&saved); err != nil {
		t.Error(err)
	}
	w.saved = saved.Bytes()
	return w
}

// differs tells what differs of two generations, but for times and drafts.
func (w writing) differs(from writing) string {
	for i, tok := range w.tokens {
		if i >= len(from.tokens) || w.seen[i] != from.seen[i] {
			return fmt.Sprintf("token %d comes at %d", i, w.seen[i])
		}
		if x := from.tokens[i]; tok.ID != x.ID || tok.Text != x.Text || tok.LogProb != x.LogProb || !slices.Equal(tok.Top, x.Top) {
			return fmt.Sprintf("token %d is %d %q", i, tok.ID, tok.Text)
		}
	}
	a, b := w.result, from.result
	for _, r := range []*gemma4.Result{&a, &b} {
		r.PromptTime, r.GenerateTime, r.Drafts, r.Loosened = 0, 0, nil, nil
	}
	switch {
	case len(w.tokens) != len(from.tokens):
		return fmt.Sprintf("%d tokens instead of %d", len(w.tokens), len(from.tokens))
	case fmt.Sprint(a) != fmt.Sprint(b):
		return fmt.Sprintf("result %+v instead of %+v", a, b)
	case !bytes.Equal(w.saved, from.saved):
		return fmt.Sprintf("another session: %d bytes instead of %d", len(w.saved), len(from.saved))
	}
	out := float32(math.Inf(-1)) // what a grammar has left out: sometimes all
	for i, l := range from.logits {
		for id := range l[:min(len(l), len(w.logits[i]))] {
			if a, b := w.logits[i][id], l[id]; a != b && a != out && b != out {
				return fmt.Sprintf("at token %d the logit of %d is %v instead of %v", i, id, a, b)
			}
		}
	}
	return ""
}

// oracle guesses what a generation has writing, but not always: of three tokens one is another.
func oracle(text []int32, after []gemma4.Token, seed uint64) func([]int32, int) []int32 {
	all := slices.Clone(text)
	for _, tok := range after {
		if tok.ID >= 0 {
			all = append(all, tok.ID)
		}
	}
	r := rand.New(rand.NewPCG(seed, 5))
	return func(have []int32, n int) []int32 {
		if len(have) >= len(all) {
			return nil
		}
		ids := slices.Clone(all[len(have):min(len(have)+n, len(all))])
		for i := range ids {
			if r.IntN(3) == 0 {
				ids[i] = int32(r.IntN(2048))
			}
		}
		return ids
	}
}

// TestDraftsChangeNoByte: whatever guesses, at every level, with every cache format, alone and in company, with and without a grammar: each
// pair of these meets. Tokens, log-probabilities, the logits that each was drawn from and the saved session are those of plain decoding.
//
//	go test -run DraftsChangeNoByte -drafts 13 .
func TestDraftsChangeNoByte(t *testing.T) {
	sources := []string{"guess", "lookup", "drafter", "a second model"}
	caches := []gemma4.CacheFormat{gemma4.CacheF16, gemma4.CacheF32, gemma4.CacheQ8, gemma4.CacheQ4}
	levels := gemma4.Levels()
	type plan struct{ cache, level, company, form, source int }
	var plans []plan
	met := map[[2]string]bool{}
	for cache := range caches {
		for level := range levels {
			for source := range sources {
				// With four levels, one source for each of the others is enough.
				if one := level%4 ^ [4]int{0, 3, 1, 2}[cache]; *draftPrompts == 0 && len(levels) >= 4 && source != one {
					continue
				}
				p := plan{cache, level, (cache + level) % 2, (cache/2 + level) % 2, source}
				plans = append(plans, p)
				values := []string{fmt.Sprint("cache", cache), fmt.Sprint("level", level), fmt.Sprint("company", p.company),
					fmt.Sprint("form", p.form), fmt.Sprint("source", source)}
				for i, a := range values {
					for _, b := range values[i+1:] {
						met[[2]string{a, b}] = true
					}
				}
			}
		}
	}
	if n := len(levels); len(met) < 8*n+4*4+2*(4+4+n+n+4+4)+4 && n > 1 {
		t.Fatalf("%d pairs meet, expected %d", len(met), 8*n+4*4+2*(4+4+n+n+4+4)+4)
	}
	var all questions
	all.read(t)
	for _, p := range plans {
		level, cache, source := levels[p.level].Name, caches[p.cache], sources[p.source]
		t.Run(fmt.Sprintf("%s/%v/%s/company %d/grammar %d", level, cache, source, p.company, p.form), func(t *testing.T) {
			t.Setenv("GEMMA4_CPU", level)
			drafter := nano.Drafter()
			if source == "a second model" {
				drafter = nano.GGUF()
			}
			m := openNano(t, gemma4.Loader{Drafter: gemma4.Companion{Bytes: drafter}})
			compareDrafts(t, m, source, cache, p.company == 1, p.form == 1, all, p.level*7+p.cache)
		})
	}
}

// compareDrafts compares answers with drafts to answers without.
func compareDrafts(t *testing.T, m *gemma4.Model, source string, cache gemma4.CacheFormat, company, form bool, all questions, first int) {
	var g *grammar.Grammar
	if form {
		g = schema(t, m, `{"type":"object","properties":{"city":{"type":"string","maxLength":12},"number":{"type":"integer","maximum":99,
			"minimum":0},"sure":{"enum":["yes","no"]}},"required":["city","number","sure"]}`)
	}
	var together sync.WaitGroup
	long, slow := 40, *draftPrompts == 0 && os.Getenv("GEMMA4_CPU") == gemma4.Levels()[0].Name // portable
	if slow {
		long = 12
	}
	for i := range max(1, *draftPrompts) {
		n := first + 5*i
		text := all[n%len(all)].Prompt
		o := gemma4.GenerateOptions{MaxTokens: long, Grammar: g, Draft: gemma4.Draft{Off: true}}
		if n%6 > 0 {
			o.Sampling = sampler.Overrides{Temperature: new(1.0), Seed: new(uint64(n % 6))}
		} else {
			o.Sampling = sampler.Overrides{Temperature: new(0.0), Seed: new(uint64(0))}
		}
		if n%5 == 4 {
			o.LogProbs = 2
		}
		if n%4 == 3 {
			o.Sampling.RepeatPenalty, o.Sampling.FrequencyPenalty = new(1.2), new(0.3)
		}
		in := []gemma4.Input{{Tokens: m.Tokenizer().Encode(text, true)}}
		options := gemma4.SessionOptions{Cache: cache, History: []int64{0, -1, 100_000}[n%3]}
		if n%7 == 0 && !form && !slow { // through many pages, beyond the windows
			o.MaxTokens, o.Sampling.Suppress = 300, m.Tokenizer().Ends()
		}
		want := write(t, newSession(t, m, options), in, o)
		o.Draft = gemma4.Draft{Always: n%3 > 0, Most: 1 + n%7, Match: -1, Alone: true}
		switch source {
		case "guess":
			o.Draft.Guess = oracle(in[0].Tokens, want.tokens, uint64(n))
		case "lookup":
			o.Draft.Match, o.Draft.Texts = 1, []string{all[n%len(all)].Answer}
		default:
			o.Draft.Alone = false
		}
		check := func(company int) {
			got := write(t, newSession(t, m, options), in, o)
			if d := got.differs(want); d != "" {
				t.Errorf("%s, prompt %d, %+v, company %d: %s", source, n, o.Draft, company, d)
			}
			if len(got.result.Drafts) == 0 && o.Draft.Always && source != "lookup" {
				t.Errorf("%s, prompt %d: nothing was drafted", source, n)
			}
		}
		if !company {
			check(0)
			continue
		}
		for j := range 8 {
			o := o
			if source == "guess" {
				o.Draft.Guess = oracle(in[0].Tokens, want.tokens, uint64(n+j))
			}
			together.Go(func() {
				got := write(t, newSession(t, m, options), in, o)
				if d := got.differs(want); d != "" {
					t.Errorf("%s, prompt %d, %+v, with seven others: %s", source, n, o.Draft, d)
				}
			})
		}
		together.Wait()
	}
}

// TestALeftDraftIsNoText: wherever the caller leaves, and whatever ends a generation, the session is the one that plain decoding leaves: it
// goes on with the same text, and saves the same bytes.
func TestALeftDraftIsNoText(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	in := prompt(m, question)
	o := forTokens(m, 60, 3)
	o.Draft.Off = true
	all := write(t, newSession(t, m, gemma4.SessionOptions{}), in, o)
	for _, most := range []int{1, 3, 7} {
		for end := range 12 {
			leave := func(drafts bool) (w writing) {
				s, o := newSession(t, m, gemma4.SessionOptions{}), o
				if drafts {
					o.Draft = gemma4.Draft{Always: true, Most: most, Match: -1, Guess: oracle(in[0].Tokens, all.tokens, uint64(end))}
				}
				running, cancel := context.WithCancel(ctx)
				defer cancel()
				switch end % 3 {
				case 0:
					o.MaxTokens = 3 + end
				case 1:
					o.Stop = []string{all.tokens[2+end].Text + all.tokens[3+end].Text}
				}
				n := 0
				for _, err := range s.Generate(running, in, o) {
					if err != nil {
						if errors.Is(err, context.Canceled) {
							break
						}
						t.Error(err)
					}
					if n++; end%3 == 2 && n == 3+end {
						if end%2 == 0 {
							cancel()
							continue
						}
						break
					}
				}
				o.Draft.Guess, o.MaxTokens, o.Stop = nil, 20, nil
				return write(t, s, []gemma4.Input{{Tokens: []int32{300, 301}}}, o)
			}
			if d := leave(true).differs(leave(false)); d != "" {
				t.Errorf("drafts of %d, left at %d: %s", most, end, d)
			}
		}
	}
}

// TestNonsenseIsNoDraft: what Guess returns may be anything.
func TestNonsenseIsNoDraft(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	in := prompt(m, question)
	o := forTokens(m, 40, 3)
	o.Draft.Off = true
	want := write(t, newSession(t, m, gemma4.SessionOptions{}), in, o)
	for name, guess := range map[string]func(text []int32, n int) []int32{
		"nothing":                func([]int32, int) []int32 { return nil },
		"ids that are none":      func([]int32, int) []int32 { return []int32{-1, 1 << 30, 2048} },
		"the end":                func([]int32, int) []int32 { return m.Tokenizer().Ends() },
		"more than was asked":    func(text []int32, n int) []int32 { return make([]int32, 1000) },
		"the text, to be broken": func(text []int32, n int) []int32 { return text },
	} {
		o.Draft = gemma4.Draft{Always: true, Match: -1, Guess: guess}
		got := write(t, newSession(t, m, gemma4.SessionOptions{}), in, o)
		if d := got.differs(want); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		checked := got.result.Drafts[0].Passes
		if can := name == "more than was asked" || name == "the text, to be broken"; can != (checked > 0) {
			t.Errorf("%s: %d passes have checked it", name, checked)
		}
	}
	s := newSession(t, m, gemma4.SessionOptions{})
	o.Draft.Guess = func(text []int32, n int) []int32 {
		if len(text) > len(in[0].Tokens)+5 {
			panic("guess")
		}
		return []int32{1, 2, 3}
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a panic of Guess is lost")
			}
		}()
		for _, err := range s.Generate(ctx, in, o) {
			if err != nil {
				t.Error(err)
			}
		}
	}()
	if n := s.Len(); n != len(in[0].Tokens)+6 {
		t.Errorf("behind a panic the session has %d positions", n)
	}
	for _, most := range []int{-1, 8} {
		o.Draft.Most = most
		for _, err := range s.Generate(ctx, in, o) {
			if err == nil || !strings.Contains(err.Error(), "Draft.Most") {
				t.Errorf("Most %d: %v", most, err)
			}
		}
	}
}

// TestGuessesCanBeChanged: Draft.Process is told of what each guess is, and decides how many are right, but not what is written.
func TestGuessesCanBeChanged(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	in, o := prompt(m, question), forTokens(m, 40, 3)
	o.Draft.Off = true
	want := write(t, newSession(t, m, gemma4.SessionOptions{}), in, o)
	begin := len(in[0].Tokens)
	for name, right := range map[string]bool{"into the truth": true, "into others": false} {
		o.Draft = gemma4.Draft{Always: true, Match: -1, Alone: true, Guess: func(_ []int32, n int) []int32 { return make([]int32, n) }}
		o.Draft.Process = func(position int, guessed []int32) {
			for i := range guessed {
				guessed[i] = want.tokens[min(position-begin+i, len(want.tokens)-1)].ID
				if !right {
					guessed[i] ^= 1
				}
			}
		}
		got := write(t, newSession(t, m, gemma4.SessionOptions{}), in, o)
		if d := got.differs(want); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		for _, d := range got.result.Drafts {
			if d.Drafted == 0 || right != (d.Accepted == d.Drafted) || !right && d.Accepted > 0 {
				t.Errorf("%s: %+v", name, d)
			}
		}
	}
}

func TestWhateverEndsATextItsLastDraftIsCounted(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	in, o := prompt(m, question), forTokens(m, 40, 3)
	o.Draft.Off = true
	text, first := write(t, newSession(t, m, gemma4.SessionOptions{}), in, o).tokens, len(in[0].Tokens)
	for n := 1; n <= 20; n++ {
		for _, left := range []bool{false, true} { // by MaxTokens, or by a caller who has enough
			o := o
			o.Draft = gemma4.Draft{Always: true, Match: -1, Alone: true, Guess: func(ids []int32, n int) (guess []int32) {
				for _, tok := range text[len(ids)-first:][:n] {
					guess = append(guess, tok.ID)
				}
				return guess
			}}
			if !left {
				o.MaxTokens = n
			}
			s, tokens := newSession(t, m, gemma4.SessionOptions{}), 0
			for _, err := range s.Generate(ctx, in, o) {
				if err != nil {
					t.Fatal(err)
				}
				if tokens++; tokens == n {
					break
				}
			}
			for _, d := range s.Result().Drafts {
				if right := int64(n) - d.Passes; d.Accepted < right-1 || d.Accepted > right+1 || !left && d.Accepted != d.Drafted {
					t.Errorf("%d tokens, left by the caller %v: %d of %d accepted in %d passes", n, left, d.Accepted, d.Drafted, d.Passes)
				}
			}
		}
	}
}

// TestDraftsFitEveryGeneration: thoughts that are bounded, loops that are guarded, processors, a full context that drops turns.
func TestDraftsFitEveryGeneration(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	ends := m.Tokenizer().Ends()
	greedy := func() sampler.Overrides {
		return sampler.Overrides{Temperature: new(0.0), Seed: new(uint64(1)), Suppress: ends}
	}
	for name, o := range map[string]gemma4.GenerateOptions{
		"a guard against loops": {Sampling: greedy(), RepeatGuard: true, MaxTokens: 600},
		"a processor": {Sampling: greedy(), MaxTokens: 60, Process: func(generated []int32, logits []float32) {
			for _, id := range generated {
				logits[id] -= 1
			}
		}},
		"thoughts":       {Sampling: sampler.Overrides{Temperature: new(1.0), Seed: new(uint64(4))}, MaxTokens: 80, ThinkTokens: 9},
		"a full context": {Sampling: greedy()},
		"a whole text": {Sampling: sampler.Overrides{Temperature: new(0.0), Seed: new(uint64(1))}, MaxTokens: 12,
			Grammar: schema(t, m, `{"type":"array","items":{"enum":["aaa","bbb"]}}`)},
	} {
		in := prompt(m, question)
		options := gemma4.SessionOptions{Context: 700}
		o.Draft.Off = true
		want := write(t, newSession(t, m, options), in, o)
		for _, most := range []int{1, 7} {
			o.Draft = gemma4.Draft{Always: true, Most: most, Match: 2}
			if d := write(t, newSession(t, m, options), in, o).differs(want); d != "" {
				t.Errorf("%s, lookup of %d: %s", name, most, d)
			}
			o.Draft.Match, o.Draft.Guess = -1, oracle(in[0].Tokens, want.tokens, uint64(most))
			if d := write(t, newSession(t, m, options), in, o).differs(want); d != "" {
				t.Errorf("%s, drafts of %d: %s", name, most, d)
			}
		}
	}
}

// TestWindowsPassPagesAsInPlainDecoding: what sliding layers give up is told, and the same, wherever drafts end.
func TestWindowsPassPagesAsInPlainDecoding(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	in := prompt(m, question)
	o := forTokens(m, 330, 3)
	o.Sampling.Suppress = m.Tokenizer().Ends()
	histories := []int64{-1, 70_000, 0}
	if testing.Short() {
		histories = histories[:1]
	}
	for _, history := range histories {
		run := func(o gemma4.GenerateOptions) (w writing, evicted gemma4.EvictInfo) {
			trace := &gemma4.Trace{Evict: func(i gemma4.EvictInfo) {
				evicted.Positions, evicted.Bytes = evicted.Positions+i.Positions, evicted.Bytes+i.Bytes
			}}
			return write(t, newSession(t, m, gemma4.SessionOptions{History: history, Trace: trace}), in, o), evicted
		}
		o.Draft = gemma4.Draft{Off: true}
		want, gone := run(o)
		if history < 0 && gone.Positions == 0 {
			t.Error("nothing was given up")
		}
		for _, most := range []int{2, 7} {
			o.Draft = gemma4.Draft{Always: true, Most: most, Match: -1, Guess: oracle(in[0].Tokens, want.tokens, uint64(most))}
			got, evicted := run(o)
			if d := got.differs(want); d != "" || evicted != gone {
				t.Errorf("history %d, drafts of %d: %s; gave up %+v, expected %+v", history, most, d, evicted, gone)
			}
		}
	}
}

// TestATracePanicsAtTheEndOfDrafts: where windows pass a page when what was drafted is given up, the generation has ended all the same.
func TestATracePanicsAtTheEndOfDrafts(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	first := prompt(m, strings.Repeat(question, 8))[0].Tokens
	o := forTokens(m, 60, 3)
	o.Sampling.Suppress = m.Tokenizer().Ends()
	o.Draft.Off = true
	all := write(t, newSession(t, m, gemma4.SessionOptions{}), []gemma4.Input{{Tokens: first}}, o)
	o.Draft = gemma4.Draft{Always: true, Match: -1, Guess: oracle(first, all.tokens, 0)}
	panics := 0
	for n := 20; n < 50; n++ {
		s := newSession(t, m, gemma4.SessionOptions{History: -1, Trace: &gemma4.Trace{Evict: func(gemma4.EvictInfo) { panic("evicted") }}})
		var got []int32
		func() {
			defer func() {
				if recover() != nil {
					panics++
				}
			}()
			for tok, err := range s.Generate(ctx, []gemma4.Input{{Tokens: first}}, o) {
				if err != nil {
					t.Error(err)
				}
				if got = append(got, tok.ID); len(got) == n {
					break
				}
			}
		}()
		if r, streams := s.Result(), m.Stats().Streams; r.Generated != len(got) || streams != 0 {
			t.Errorf("%d tokens: the result has %d, and %d streams go on", len(got), r.Generated, streams)
		}
	}
	if panics == 0 {
		t.Error("nothing panicked")
	}
}

// TestDraftsOfChosenIDs: a drafter may be held to ids of the caller's, which change nothing of the text.
func TestDraftsOfChosenIDs(t *testing.T) {
	drafter := gemma4.Companion{Bytes: nano.Drafter()}
	whole := openNano(t, gemma4.Loader{Drafter: drafter})
	in := prompt(whole, question)
	o := gemma4.GenerateOptions{Sampling: sampler.Overrides{Temperature: new(0.0)}, Draft: gemma4.Draft{Always: true, Match: -1}}
	want := write(t, newSession(t, whole, gemma4.SessionOptions{}), in, o)
	var ids []int32 // all but the last token
	for id := range int32(whole.Config().Vocabulary) {
		if id != want.tokens[len(want.tokens)-2].ID {
			ids = append(ids, id)
		}
	}
	few := openNano(t, gemma4.Loader{Drafter: drafter, DraftIDs: ids})
	got := write(t, newSession(t, few, gemma4.SessionOptions{}), in, o)
	if len(got.tokens) != len(want.tokens) || got.tokens[len(got.tokens)-2].ID != want.tokens[len(want.tokens)-2].ID {
		t.Errorf("%d tokens instead of %d", len(got.tokens), len(want.tokens))
	}
	if a, b := got.result.Drafts, want.result.Drafts; len(a) == 0 || len(b) == 0 || a[0].Accepted >= b[0].Accepted {
		t.Errorf("%+v of few ids, %+v of all", a, b)
	}
	if _, err := (gemma4.Loader{Drafter: drafter, DraftIDs: []int32{5, 4}}).OpenBytes(nano.GGUF()); err == nil ||
		!strings.Contains(err.Error(), "id 4 at place 1") {
		t.Errorf("ids that do not ascend: %v", err)
	}
}

// TestNothingIsGuessedAmongFewTokens: where a grammar allows few, a step without guesses multiplies the head for these alone.
func TestNothingIsGuessedAmongFewTokens(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	for text, guessed := range map[string]bool{`([abc]{3} ){9}`: false, `(?s).{40,80}`: true} {
		asked := 0
		o := gemma4.GenerateOptions{Grammar: expression(t, m, text), Sampling: draws(1, 3), Draft: gemma4.Draft{
			Match: -1, Alone: true, Guess: func([]int32, int) []int32 { asked++; return []int32{300} },
		}}
		for range 3 { // the first steps tell what one costs
			generate(t, newSession(t, m, gemma4.SessionOptions{}), prompt(m, question), o)
		}
		if asked > 0 != guessed {
			t.Errorf("%s: Guess was asked %d times", text, asked)
		}
	}
}
