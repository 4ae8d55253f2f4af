package gemma4_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/sampler"
)

const person = `{"type":"object","properties":{"name":{"type":"string","maxLength":12},"age":{"type":"integer","minimum":0,"maximum":150},
	"city":{"enum":["Oslo","Rome","Paris"]},"tags":{"type":"array","items":{"type":"string","maxLength":5},"maxItems":3},
	"married":{"type":"boolean"}},"required":["name","age","city","tags","married"],"additionalProperties":false}`

// schema makes a grammar of a JSON schema for a model.
func schema(t testing.TB, m *gemma4.Model, text string) *grammar.Grammar {
	t.Helper()
	g, err := grammar.Schema(m.Vocabulary(), []byte(text), grammar.SchemaOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// expression makes a grammar of a regular expression for a model.
func expression(t testing.TB, m *gemma4.Model, text string) *grammar.Grammar {
	t.Helper()
	g, err := grammar.Regexp(m.Vocabulary(), text)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// isPerson says why a text is none that the schema allows.
func isPerson(text string) error {
	var v struct {
		Name, City *string
		Age        *int
		Tags       *[]string
		Married    *bool
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	if v.Name == nil || v.City == nil || v.Age == nil || v.Tags == nil || v.Married == nil ||
		!slices.Contains([]string{"Oslo", "Rome", "Paris"}, *v.City) || *v.Age < 0 || *v.Age > 150 || len(*v.Tags) > 3 {
		return errors.New("not the schema: " + text)
	}
	return nil
}

// draws overrides temperature and seed.
func draws(temperature float64, seed uint64) sampler.Overrides {
	return sampler.Overrides{Temperature: &temperature, Seed: &seed}
}

func TestTextObeysItsGrammar(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	g := schema(t, m, person)
	s := newSession(t, m, gemma4.SessionOptions{})
	for seed := range uint64(30) {
		rewind(t, s, 0)
		text := generate(t, s, prompt(m, question), gemma4.GenerateOptions{Grammar: g, Sampling: draws(float64(seed%4)/2, seed)})
		if err := isPerson(text); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		if r := s.Result(); r.Reason != gemma4.ReasonEnd || !r.Whole || r.Forced < 20 || r.Forced >= r.Generated {
			t.Errorf("seed %d: %+v: %s", seed, r, text)
		}
	}
}

func TestGrammarOfAnotherVocabularyIsAnError(t *testing.T) {
	m, other := openNano(t, gemma4.Loader{}), openNano(t, gemma4.Loader{})
	s := newSession(t, m, gemma4.SessionOptions{})
	for _, err := range s.Generate(ctx, prompt(m, question), gemma4.GenerateOptions{Grammar: schema(t, other, person)}) {
		if err == nil || !strings.Contains(err.Error(), "Model.Vocabulary") {
			t.Fatalf("%v", err)
		}
	}
	if r := s.Result(); r.Reason != gemma4.ReasonError || s.Len() != 0 {
		t.Errorf("%+v, %d positions", r, s.Len())
	}
}

// steps returns the tokens of a generation.
func steps(t testing.TB, s *gemma4.Session, in []gemma4.Input, o gemma4.GenerateOptions) (tokens []gemma4.Token) {
	t.Helper()
	for tok, err := range s.Generate(ctx, in, o) {
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, tok)
	}
	return tokens
}

// TestShortcutsChangeNoToken compares generations that multiply the head for few tokens, write forced text at once and, at temperature 0,
// try the most likely token, with such that do none of it: log-probabilities need all logits, of every token, and a processor's sampler
// draws from a mask. Afterwards the sessions hold the same text with the same logits.
func TestShortcutsChangeNoToken(t *testing.T) {
	small, large := openNano(t, gemma4.Loader{}), many(t) // whose masks may be too large to list
	for _, g := range []*grammar.Grammar{
		schema(t, small, person), schema(t, small, `{"type":"object"}`), expression(t, small, `[A-Z][a-z ]{5,40}[.!]`),
		schema(t, large, `{"type":"array","items":{"type":"string"}}`), schema(t, large, `{"type":"string","maxLength":30}`),
		expression(t, large, `([a-f ]{2,9}|[g-z ]{2,30}|!)*`),
	} {
		m := small
		if g.Vocabulary() == large.Vocabulary() {
			m = large
		}
		marker, _ := m.Tokenizer().ID("<|channel>")
		for seed := range uint64(8) {
			o := gemma4.GenerateOptions{Grammar: g, Sampling: draws(float64(seed%2)*1.2, seed), MaxTokens: 100}
			if seed >= 4 {
				o.Sampling.RepeatPenalty, o.Sampling.TopK = new(1.2), new(20)
				o.Sampling.Bias = map[int32]float32{300: 3, 400: -2, marker: 9} // what is likely is often refused
			}
			s, single := newSession(t, m, gemma4.SessionOptions{}), newSession(t, m, gemma4.SessionOptions{})
			got := steps(t, s, prompt(m, question), o)
			o.LogProbs, o.Process = 1, func([]int32, []float32) {}
			want := steps(t, single, prompt(m, question), o)
			same := func(a, b gemma4.Token) bool { return a.ID == b.ID && a.Text == b.Text }
			if !slices.EqualFunc(got, want, same) {
				t.Fatalf("seed %d:\n%v, without shortcuts\n%v", seed, got, want)
			}
			for _, tok := range want {
				if tok.ID >= 0 && (len(tok.Top) != 1 || !(tok.LogProb <= tok.Top[0].LogProb)) {
					t.Errorf("seed %d: %+v has no probability", seed, tok)
				}
			}
			if a, b := s.Logits(nil), single.Logits(nil); len(a) == 0 || !slices.Equal(a, b) {
				t.Errorf("seed %d: the logits behind the text differ", seed)
			}
			a, b := s.Result(), single.Result()
			if a.Reason != b.Reason || a.Forced != b.Forced || a.Whole != b.Whole || a.EndID != b.EndID ||
				a.Reason == gemma4.ReasonLength && a.Generated < 90 { // ended though there was room
				t.Errorf("seed %d: %+v, without shortcuts %+v", seed, a, b)
			}
		}
	}
}

// TestForcedTextIsDecodedTogether, a few tokens at a time, and none of it needs the head.
func TestForcedTextIsDecodedTogether(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	g := expression(t, m, `The capital of France is Paris, and that of Norway is Oslo, which nobody ever forgets\. (Yes|No)`)
	var decoded []int
	forced := 0
	s := newSession(t, m, gemma4.SessionOptions{Trace: &gemma4.Trace{
		Step: func(i gemma4.StepInfo) { decoded = append(decoded, i.Positions) },
		Mask: func(i gemma4.MaskInfo) {
			if i.Forced {
				forced++
			} else if i.Allowed == 0 {
				t.Errorf("%+v", i)
			}
		},
	}})
	text := generate(t, s, prompt(m, question), gemma4.GenerateOptions{Grammar: g})
	r := s.Result()
	if !strings.HasPrefix(text, "The capital of France is Paris, and") || r.Forced < 20 || forced != r.Forced {
		t.Errorf("%q, %+v, %d forced", text, r, forced)
	}
	sum := 0
	for _, n := range decoded {
		sum += n
	}
	if decoded[0] != 16 || decoded[1] < 8 || sum != r.Generated || len(decoded) > 4 {
		t.Errorf("decoded %v of %d tokens, %d forced", decoded, r.Generated, r.Forced)
	}
}

// TestLogitsUnderAGrammar are those of the tokens that it allows, where a token is at hand, and all in the end. In a bubble no mask is
// late, however busy the machine: the clock stands still while it is made.
func TestLogitsUnderAGrammar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := openNano(t, gemma4.Loader{})
		g := expression(t, m, `(A|B|C|D){20}`)
		s := newSession(t, m, gemma4.SessionOptions{})
		n := 0
		for tok, err := range s.Generate(ctx, prompt(m, question), gemma4.GenerateOptions{Grammar: g, Sampling: draws(1, 1)}) {
			if err != nil {
				t.Fatal(err)
			}
			logits := s.Logits(nil)
			finite := 0
			for _, x := range logits {
				if !math.IsInf(float64(x), -1) {
					finite++
				}
			}
			if n++; n == 1 { // it is chosen from those of the prompt
				continue
			}
			if finite > 40 || logits[tok.ID] < -1e30 {
				t.Errorf("token %d: %d of %d logits", n, finite, len(logits))
			}
		}
		logits := s.Logits(nil)
		if slices.Contains(logits, float32(math.Inf(-1))) || len(logits) != m.Config().Vocabulary {
			t.Error("after the end some logits are missing")
		}
	})
}

// TestDistributionUnderAGrammarIsTheConditionalOne counts which of a few texts are drawn, with the whole head and with few rows of it, and
// with penalties and top-k, and compares that with the probabilities computed from the logits.
func TestDistributionUnderAGrammarIsTheConditionalOne(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	r := rand.New(rand.NewPCG(5, 5))
	g := expression(t, m, `~[a-h]`) // no token is both
	x, _ := m.Tokenizer().ID("~")
	behind, _ := g.Start().Accept(x)
	letters := behind.Mask().IDs()
	for _, c := range []struct {
		name string
		o    sampler.Overrides
		all  bool
	}{
		{"few", sampler.Overrides{TopK: new(0), TopP: new(1.0)}, false},
		{"all", sampler.Overrides{TopK: new(0), TopP: new(1.0)}, true},
		{"penalties", sampler.Overrides{TopK: new(0), TopP: new(1.0), RepeatPenalty: new(1.5), PresencePenalty: new(0.4),
			Bias: map[int32]float32{letters[2]: 1.5}}, false},
		{"top-k", sampler.Overrides{TopK: new(4), TopP: new(1.0)}, false},
	} {
		s := newSession(t, m, gemma4.SessionOptions{})
		in := prompt(m, "<bos>")
		// The logits behind ~, and what they come to under the options.
		if err := s.Read(ctx, in...); err != nil {
			t.Fatal(err)
		}
		logits, err := s.Write(ctx, x)
		if err != nil {
			t.Fatal(err)
		}
		options := m.Sampling().With(c.o)
		options.Temperature = 3
		naive, err := sampler.New(len(logits), options)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range append(slices.Clone(in[0].Tokens), x) {
			naive.Accept(id)
		}
		masked := slices.Repeat([]float32{float32(math.Inf(-1))}, len(logits))
		for _, id := range letters {
			masked[id] = logits[id]
		}
		if _, err := naive.Sample(masked, 0); err != nil {
			t.Fatal(err)
		}
		n := 800
		if testing.Short() {
			n = 300
		}
		counts := map[int32]int{}
		for range n {
			rewind(t, s, 0)
			o := gemma4.GenerateOptions{Grammar: g, Sampling: c.o, MaxTokens: 2}
			o.Sampling.Temperature, o.Sampling.Seed = new(3.0), new(r.Uint64())
			if c.all {
				o.LogProbs = 1
			}
			tokens := steps(t, s, in, o)
			counts[tokens[1].ID]++
		}
		chi, freedom := 0.0, -1
		for _, id := range letters {
			p := naive.Probability(id)
			if p == 0 && counts[id] > 0 {
				t.Errorf("%s: id %d was drawn %d times", c.name, id, counts[id])
			}
			if p > 0 {
				d := float64(counts[id]) - float64(n)*p
				chi += d * d / (float64(n) * p)
				freedom++
			}
		}
		if limit := float64(freedom) + 5*math.Sqrt(2*float64(freedom)); freedom < 3 || chi > limit {
			t.Errorf("%s: chi-square %.1f over %.1f: %v", c.name, chi, limit, counts)
		}
	}
}

// TestTextIsWholeWhateverTheLimit: from the shortest text on, every number of tokens gives one that the schema allows.
func TestTextIsWholeWhateverTheLimit(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	g := schema(t, m, person)
	least := g.Start().Left()
	if least < 10 {
		t.Fatalf("%d tokens", least)
	}
	in := prompt(m, question)
	steered := map[gemma4.Reason]int{}
	for n := 1; n < least+40; n++ {
		for _, context := range []bool{false, true} {
			o := gemma4.GenerateOptions{Grammar: g, Sampling: draws(1.5, uint64(n))}
			so := gemma4.SessionOptions{}
			if context {
				so.Context = len(in[0].Tokens) + n
			} else {
				o.MaxTokens = n
			}
			s := newSession(t, m, so)
			text := generate(t, s, in, o)
			r := s.Result()
			err := isPerson(text)
			if r.Generated > n || r.Whole != (err == nil) || !r.Whole && n >= least {
				t.Errorf("%d tokens of at least %d: %+v: %v", n, least, r, err)
			}
			if r.Reason == gemma4.ReasonEnd && (r.EndID == 0 || n < least) {
				t.Errorf("%d tokens: %+v", n, r)
			}
			steered[r.Reason]++
		}
	}
	if steered[gemma4.ReasonLength] < least || steered[gemma4.ReasonContext] < least || steered[gemma4.ReasonEnd] == 0 {
		t.Errorf("reasons: %v", steered)
	}
}

// TestThoughtsAreBounded, whoever opens them, with and without a grammar.
func TestThoughtsAreBounded(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	tok := m.Tokenizer()
	open, _ := tok.ID("<|channel>")
	shut, _ := tok.ID("<channel|>")
	turn := "<bos><|turn>user\nWhat is the capital of France?<turn|>\n<|turn>model\n"
	thinking := map[int32]float32{open: 1000, shut: -1000}
	for _, c := range []struct {
		name, prompt string
		bias         map[int32]float32
		g            *grammar.Grammar
	}{
		{"prompt", turn + "<|channel>thought\n", thinking, nil},
		{"model", turn, thinking, nil},
		{"none", turn, map[int32]float32{open: -1000}, nil},
	} {
		for _, most := range []int{1, 5, 20} {
			for _, logProbs := range []int{0, 2} {
				s := newSession(t, m, gemma4.SessionOptions{})
				o := gemma4.GenerateOptions{ThinkTokens: most, MaxTokens: most + 30, LogProbs: logProbs, Sampling: draws(1, 4)}
				o.Sampling.Bias = c.bias
				var ids []int32
				for _, tok := range steps(t, s, prompt(m, c.prompt), o) {
					if tok.ID >= 0 {
						ids = append(ids, tok.ID)
					}
				}
				want := most
				if c.name == "model" {
					want = most + 1
				}
				at := slices.Index(ids, shut)
				if c.name == "none" && at >= 0 || c.name != "none" && at != want {
					t.Errorf("%s, %d tokens: the thought ends at %d: %v", c.name, most, at, ids)
				}
				if i := slices.Index(ids[at+1:], open); i >= 0 && c.name != "none" {
					t.Errorf("%s, %d tokens: another thought begins: %v", c.name, most, ids)
				}
			}
		}
	}
	// A chat's answer is held to a grammar behind its thought.
	chat := newChat(t, m, gemma4.ChatOptions{Thinking: true, GenerateOptions: gemma4.GenerateOptions{
		Grammar: schema(t, m, person), ThinkTokens: 12, MaxTokens: 300,
		Sampling: sampler.Overrides{Temperature: new(1.0), Seed: new(uint64(3)), Bias: map[int32]float32{shut: -1000}},
	}})
	message, err := gemma4.Collect(chat.Ask(ctx, "Who?"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(tok.Encode(message.Reasoning, false)); n == 0 || n > 12 {
		t.Errorf("a thought of %d tokens: %q", n, message.Reasoning)
	}
	if err := isPerson(message.Content); err != nil {
		t.Error(err)
	}
}

// TestAConstrainedGenerationCanBeLeft at any token, by a break, a panic or its context, and goes on as if it had been whole.
func TestAConstrainedGenerationCanBeLeft(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	g := schema(t, m, person)
	o := gemma4.GenerateOptions{Grammar: g, Sampling: draws(0.8, 9)}
	all := steps(t, newSession(t, m, gemma4.SessionOptions{}), prompt(m, question), o)
	for n := range len(all) - 1 {
		if testing.Short() && n%4 != 0 {
			continue
		}
		for name, leave := range map[string]func(cancel func()) bool{
			"break":  func(func()) bool { return false },
			"panic":  func(func()) bool { panic("left") },
			"cancel": func(cancel func()) bool { cancel(); return true },
		} {
			s := newSession(t, m, gemma4.SessionOptions{})
			var ids []int32
			func() {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				defer func() { recover() }()
				for tok, err := range s.Generate(ctx, prompt(m, question), o) {
					if err != nil {
						if !errors.Is(err, context.Canceled) {
							t.Error(err)
						}
						break
					}
					if tok.ID >= 0 {
						ids = append(ids, tok.ID)
					}
					if len(ids) > n && !leave(cancel) {
						break
					}
				}
			}()
			if len(ids) <= n || ids[n] != all[n].ID {
				t.Fatalf("%s at %d: %v", name, n, ids)
			}
			// The session holds what it has yielded; what follows, and what followed any place in it, is what a new one gives.
			f, err := s.Fork()
			if err != nil {
				t.Fatal(err)
			}
			back := max(0, s.Len()-1-n%4)
			rewind(t, s, back)
			for _, s := range []*gemma4.Session{f, s} {
				if err := s.Read(ctx); err != nil {
					t.Fatal(err)
				}
				fresh := newSession(t, m, gemma4.SessionOptions{})
				if err := fresh.Read(ctx, prompt(m, question)...); err != nil {
					t.Fatal(err)
				}
				want := fresh.Logits(nil)
				if n := s.Len() - fresh.Len(); n > 0 {
					logits, err := fresh.Write(ctx, ids[:n]...)
					if err != nil {
						t.Fatal(err)
					}
					want = logits[len(logits)-len(want):]
				} else if n < 0 {
					continue
				}
				if got := s.Logits(nil); len(got) > 0 && !slices.Equal(got, want) || len(got) == 0 && s == f {
					t.Fatalf("%s at %d: after %d positions the logits are not those of the text", name, n, s.Len())
				}
			}
			f.Close()
			s.Close()
		}
	}
}

// TestProcessorsSeeTheTokensAndChangeTheLogits of a copy, before the grammar.
func TestProcessorsSeeTheTokensAndChangeTheLogits(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	e, _ := m.Tokenizer().ID("e")
	for name, g := range map[string]*grammar.Grammar{
		"free": nil, "few": expression(t, m, `[a-e]{10}`), "many": expression(t, m, `(?s).{10,20}`),
	} {
		s := newSession(t, m, gemma4.SessionOptions{})
		var seen [][]int32
		o := gemma4.GenerateOptions{Grammar: g, MaxTokens: 10, Sampling: draws(1, 1), Process: func(generated []int32, logits []float32) {
			seen = append(seen, slices.Clone(generated))
			logits[e] += 1000
		}}
		var ids []int32
		for _, tok := range steps(t, s, prompt(m, question), o) {
			if tok.ID >= 0 {
				ids = append(ids, tok.ID)
			}
		}
		for i, id := range ids {
			if id != e || !slices.Equal(seen[i], ids[:i]) {
				t.Errorf("%s: token %d is %d, after %v", name, i, id, seen[i])
			}
		}
		if logits := s.Logits(nil); len(ids) != 10 || logits[e] > 500 {
			t.Errorf("%s: %d tokens; the session's own logit is %g", name, len(ids), logits[e])
		}
	}
}

// TestALoopEndsAnAnswer, and under a grammar its text is whole.
func TestALoopEndsAnAnswer(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	a, _ := m.Tokenizer().ID("a")
	o := gemma4.GenerateOptions{RepeatGuard: true, MaxTokens: 900, Sampling: sampler.Overrides{Bias: map[int32]float32{a: 1000}}}
	s := newSession(t, m, gemma4.SessionOptions{})
	generate(t, s, prompt(m, question), o)
	if r := s.Result(); r.Reason != gemma4.ReasonRepeat || r.Generated < 512 || r.Generated > 600 {
		t.Errorf("%+v", r)
	}
	rewind(t, s, 0)
	o.Grammar = schema(t, m, `{"type":"object","properties":{"x":{"type":"string"},"y":{"type":"integer"}},"required":["x","y"]}`)
	text := generate(t, s, prompt(m, question), o)
	if r := s.Result(); r.Reason != gemma4.ReasonRepeat || !r.Whole || !json.Valid([]byte(text)) || r.Generated > 620 {
		t.Errorf("%+v: %s", r, text)
	}
	rewind(t, s, 0)
	o.Grammar, o.RepeatGuard = nil, false
	generate(t, s, prompt(m, question), o)
	if r := s.Result(); r.Reason != gemma4.ReasonLength {
		t.Errorf("without the guard: %+v", r)
	}
}

// TestConstrainedTextsSharePasses: at the same time, some with grammars that they share and some without, each is what it is alone, also
// where others are left in the middle.
func TestConstrainedTextsSharePasses(t *testing.T) {
	m := openNano(t, gemma4.Loader{Threads: 2})
	object := schema(t, m, person)
	grammars := []*grammar.Grammar{nil, object, expression(t, m, `([A-Z][a-z]{2,8} ){3,9}`), object, expression(t, m, `(?s).{40,80}`)}
	options := func(i int) gemma4.GenerateOptions {
		return gemma4.GenerateOptions{
			Grammar: grammars[i%len(grammars)], Sampling: draws(float64(i%3)/2, uint64(i)), MaxTokens: 60, LogProbs: i % 7 / 6,
		}
	}
	const n = 20
	var alone [n]string
	for i := range n {
		alone[i] = generate(t, newSession(t, m, gemma4.SessionOptions{}), prompt(m, question), options(i))
	}
	var wait sync.WaitGroup
	for i := range n {
		for _, most := range []int{1000, i} {
			s := newSession(t, m, gemma4.SessionOptions{})
			wait.Go(func() {
				text, left := "", most
				for tok, err := range s.Generate(ctx, prompt(m, question), options(i)) {
					if err != nil {
						t.Error(err)
					}
					text += tok.Text
					if left--; left < 0 {
						break
					}
				}
				if most > n && text != alone[i] || !strings.HasPrefix(alone[i], text) {
					t.Errorf("text %d: %q, alone %q", i, text, alone[i])
				}
			})
		}
	}
	wait.Wait()
	if stats := m.Stats(); stats.Masks < 100 || stats.ForcedTokens < 100 || stats.Decode.Sessions <= stats.Decode.Passes {
		t.Errorf("%+v", stats)
	}
}

// TestAConstrainedTokenAllocatesNothing once its grammar has seen the states: neither where the head is multiplied for few tokens nor for
// all.
func TestAConstrainedTokenAllocatesNothing(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	for name, g := range map[string]*grammar.Grammar{
		"few": expression(t, m, `[0-9]*`), "all": expression(t, m, `(?s).*`), "greedy": expression(t, m, `(?s)[^~]*`), "none": nil,
	} {
		o := gemma4.GenerateOptions{Grammar: g, Sampling: draws(1, 1), RepeatGuard: true}
		if name == "greedy" {
			o.Sampling.Temperature = new(0.0)
		}
		o.Sampling.Bias = map[int32]float32{}
		for id := range int32(m.Tokenizer().Size()) {
			if m.Tokenizer().IsEnd(id) {
				o.Sampling.Bias[id] = -1000
			}
		}
		s := newSession(t, m, gemma4.SessionOptions{})
		next, stop := iter.Pull2(s.Generate(ctx, prompt(m, question), o))
		step := func() {
			if _, err, more := next(); err != nil || !more {
				t.Fatal(name, err)
			}
		}
		for range 150 {
			step()
		}
		least := math.Inf(1) // pages are taken now and then, the text grows, and the race detector empties pools at random
		for range 20 {
			least = min(least, testing.AllocsPerRun(1, step))
		}
		if stop(); least != 0 {
			t.Errorf("%s: %v allocations per token", name, least)
		}
	}
}

// TestAFullContextDropsMessagesInTheMiddleOfForcedText and the answers still obey their grammar.
func TestAFullContextDropsMessagesInTheMiddleOfForcedText(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	dropped := 0
	for context := 150; context < 182; context += 3 {
		c := newChat(t, m, gemma4.ChatOptions{Full: gemma4.FullDrop, SessionOptions: gemma4.SessionOptions{Context: context},
			GenerateOptions: gemma4.GenerateOptions{Grammar: schema(t, m, person), Sampling: draws(0.5, uint64(context))}})
		for i := range 3 {
			message, err := gemma4.Collect(c.Ask(ctx, "Who is it?"))
			r := c.Result()
			if err != nil || r.Reason != gemma4.ReasonEnd || !r.Whole {
				t.Errorf("context %d, question %d: %v, %+v", context, i, err, r)
			}
			if err := isPerson(message.Content); err != nil {
				t.Errorf("context %d, question %d: %v", context, i, err)
			}
			dropped += r.Dropped
		}
		c.Close()
	}
	if dropped < 10 {
		t.Errorf("%d messages dropped", dropped)
	}
}

// TestAConstrainedAnswerCanBeSavedAndForked behind any of its tokens, in the middle of forced text, too.
func TestAConstrainedAnswerCanBeSavedAndForked(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	path := filepath.Join(t.TempDir(), "chat")
	for _, o := range []gemma4.ChatOptions{
		{Tools: []chat.Tool{weather}, Calls: grammar.CallOptions{Choice: grammar.Required}},
		{GenerateOptions: gemma4.GenerateOptions{Grammar: schema(t, m, person)}},
	} {
		o.Sampling = draws(0, 0)
		for n := 1; n < 40; n += 3 {
			c := newChat(t, m, o)
			left := n
			for _, err := range c.Ask(ctx, "What is the weather in Oslo?") {
				if left--; err != nil || left == 0 {
					break
				}
			}
			for range 2 { // the second time a segment is added, which ends in the middle, too
				if err := c.Save(path); err != nil {
					t.Fatal(err)
				}
				restored, err := m.RestoreChat(path, o)
				if err != nil {
					t.Fatalf("behind %d tokens: %v", n, err)
				}
				fork, err := c.Fork()
				if err != nil {
					t.Fatal(err)
				}
				if restored.Session().Len() != c.Session().Len() {
					t.Errorf("behind %d tokens: %d positions, want %d", n, restored.Session().Len(), c.Session().Len())
				}
				var answers [2]string
				for i, c := range []*gemma4.Chat{fork, restored} {
					answer, err := gemma4.Collect(c.Ask(ctx, "And in Rome?"))
					answers[i] = fmt.Sprint(answer, err)
					c.Close()
				}
				if answers[0] != answers[1] {
					t.Errorf("behind %d tokens: restored\n%s, forked\n%s", n, answers[1], answers[0])
				}
				left = n + 2
				for _, err := range c.Ask(ctx, "And in Paris?") {
					if left--; err != nil || left == 0 {
						break
					}
				}
			}
			c.Close()
		}
	}
}

// TestOddOptionsEndInAnErrorOrInWhatTheGrammarAllows, with small masks and such that list no tokens.
func TestOddOptionsEndInAnErrorOrInWhatTheGrammarAllows(t *testing.T) {
	never := float32(math.Inf(-1))
	all := func(x float32) func([]int32, []float32) {
		return func(_ []int32, logits []float32) {
			for i := range logits {
				logits[i] = x
			}
		}
	}
	for _, m := range []*gemma4.Model{openNano(t, gemma4.Loader{}), many(t)} {
		a, _ := m.Tokenizer().ID("a")
		b, _ := m.Tokenizer().ID("b")
		object, text := schema(t, m, person), expression(t, m, `(?s).{1,400}`)
		for name, test := range map[string]struct {
			o    gemma4.GenerateOptions
			want string // the text, or what an error says
			err  bool
		}{
			"NaN under a mask": {gemma4.GenerateOptions{Grammar: object, Process: all(float32(math.NaN()))}, "NaN", true},
			"NaN":              {gemma4.GenerateOptions{Grammar: text, Process: all(float32(math.NaN()))}, "NaN", true},
			"nothing likely":   {gemma4.GenerateOptions{Grammar: text, Process: all(never)}, "no id can be picked", true},
			"one is likely": {gemma4.GenerateOptions{Grammar: expression(t, m, `[ab]`), Process: func(ids []int32, logits []float32) {
				if len(ids) == 0 {
					all(never)(ids, logits)
					logits[b] = -9e9
				}
			}}, "b", false},
			"what is forced is unlikely": {gemma4.GenerateOptions{Grammar: expression(t, m, `aab`), Sampling: sampler.Overrides{
				Bias: map[int32]float32{a: never}}}, "aab", false},
			"no text":            {gemma4.GenerateOptions{Grammar: expression(t, m, ``), MaxTokens: 1, LogProbs: 1 << 30}, "", false},
			"stop within a key":  {gemma4.GenerateOptions{Grammar: object, Stop: []string{`ame":`}}, `{"n`, false},
			"stop that is begun": {gemma4.GenerateOptions{Grammar: expression(t, m, `abc`), Stop: []string{"bcd"}}, "abc", false},
			"one token":          {gemma4.GenerateOptions{Grammar: expression(t, m, `a+`), MaxTokens: 1}, "a", false},
			"any number of tokens": {gemma4.GenerateOptions{Grammar: expression(t, m, `a`), MaxTokens: math.MaxInt,
				ThinkTokens: math.MaxInt, RepeatGuard: true}, "a", false},
			"fewer than none": {gemma4.GenerateOptions{Grammar: object, ThinkTokens: -1}, "negative", true},
		} {
			for _, temperature := range []float64{0, 1.5} {
				test.o.Sampling.Temperature = &temperature
				s := newSession(t, m, gemma4.SessionOptions{})
				var got strings.Builder
				var failed error
				for tok, err := range s.Generate(ctx, prompt(m, question), test.o) {
					got.WriteString(tok.Text)
					failed = err
				}
				if test.err != (failed != nil) || test.err && !strings.Contains(failed.Error(), test.want) ||
					!test.err && got.String() != test.want {
					t.Errorf("%s, temperature %g: %q, %v, want %q", name, temperature, got.String(), failed, test.want)
				}
				if r := s.Result(); test.err != (r.Reason == gemma4.ReasonError) {
					t.Errorf("%s, temperature %g: %+v", name, temperature, r)
				}
			}
		}
	}
}
