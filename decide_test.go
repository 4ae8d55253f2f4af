package gemma4_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/sampler"
)

// written returns the log-probability of a text behind what a session holds, which a fork writes.
func written(t *testing.T, m *gemma4.Model, s *gemma4.Session, option string, open bool) float64 {
	t.Helper()
	f, err := s.Fork()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ids, logits, sum := m.Tokenizer().Encode(option, false), f.Logits(nil), 0.0
	rows, err := f.Write(ctx, ids...)
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		sum += sampler.NewLogProbs(logits).Of(id)
		logits = rows[i*len(logits) : (i+1)*len(logits)]
	}
	if open {
		return sum
	}
	return sum + ended(m, logits)
}

// ended returns the logarithm of the probability that a text ends.
func ended(m *gemma4.Model, logits []float32) float64 {
	p, top, sum := sampler.NewLogProbs(logits), math.Inf(-1), 0.0
	for id := range int32(m.Tokenizer().Size()) {
		if m.Tokenizer().IsEnd(id) {
			top = max(top, p.Of(id))
		}
	}
	for _, id := range m.Tokenizer().Ends() {
		sum += math.Exp(p.Of(id) - top)
	}
	return top + math.Log(sum)
}

// sentences returns texts of up to n words, in which some begin like others, and some are the beginning of others.
func sentences(r *rand.Rand, count, n int) []string {
	words := strings.Fields("New York City is the old capital of all that we know, and of more")
	seen := map[string]bool{}
	var list []string
	for len(list) < count {
		var s string
		if len(list) > 0 && r.IntN(2) == 0 { // another's beginning
			fields := strings.SplitAfter(list[r.IntN(len(list))], " ")
			s = strings.Join(fields[:1+r.IntN(len(fields))], "")
		}
		for range r.IntN(n + 1) {
			if s = strings.TrimSpace(s) + " "; s == " " {
				s = ""
			}
			s += words[r.IntN(len(words))]
		}
		if s = strings.TrimSpace(s); s != "" && !seen[s] {
			seen[s] = true
			list = append(list, s)
		}
	}
	return list
}

func TestDecideGivesWhatWritingEachOptionGives(t *testing.T) {
	models := map[string]*gemma4.Model{"nano": openNano(t, gemma4.Loader{})}
	for _, spec := range []string{"micro-e:f32", "micro-e4:q4_0", "micro-dense:q8_0", "micro-moe:q4_0"} {
		models[spec] = openSynthetic(t, spec)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for name, m := range models {
		long := 150 // words; those of the synthetic vocabulary are spelt
		if name != "nano" {
			long = 40
		}
		for _, test := range []struct {
			what    string
			prompt  int // positions
			options []string
		}{
			{"one token each", 5, []string{"a", "b", "c"}},
			{"one option", 30, []string{"the capital of France"}},
			{"one the beginning of another", 90, []string{"New York City", "New", "New York", "Old York"}},
			{"more than go at once", 40, sentences(r, 70, 2)},
			{"longer than go at once, across pages", 100, sentences(r, 3, long)},
		} {
			for _, open := range []bool{false, true} {
				s := newSession(t, m, gemma4.SessionOptions{})
				text := words(3+test.prompt, 5)
				for i := range text {
					text[i] %= int32(m.Tokenizer().Size())
				}
				if err := s.Read(ctx, gemma4.Input{Tokens: text[:3]}); err != nil {
					t.Fatal(err)
				}
				before, in := look(s), gemma4.Input{Tokens: text[3:]}
				odds, err := s.Decide(ctx, []gemma4.Input{in}, test.options, gemma4.DecideOptions{Open: open})
				if err != nil {
					t.Fatal(err)
				}
				after := look(s)
				if after.ops <= before.ops {
					t.Errorf("%s, %s: Ops do not count what was decided", name, test.what)
				}
				if after.ops = before.ops; fmt.Sprint(after) != fmt.Sprint(before) {
					t.Errorf("%s, %s: the session has changed", name, test.what)
				}
				if err := s.Read(ctx, in); err != nil {
					t.Fatal(err)
				}
				again, err := s.Decide(ctx, nil, test.options, gemma4.DecideOptions{Open: open})
				if err != nil || !slices.Equal(again, odds) {
					t.Errorf("%s, %s: other odds when the prompt was read before: %v", name, test.what, err)
				}
				sum := 0.0
				for i, o := range test.options {
					if odds[i].Option != o {
						t.Errorf("%s, %s: %+v in the place of %.20q", name, test.what, odds[i], o)
					}
					if want := written(t, m, s, o, open); odds[i].LogProb != want {
						t.Errorf("%s, %s, open %v: %.20q has %v, written %v", name, test.what, open, o, odds[i].LogProb, want)
					}
					sum += math.Exp(odds[i].LogProb - odds[0].LogProb)
				}
				for i := range odds {
					if want := math.Exp(odds[i].LogProb-odds[0].LogProb) / sum; math.Abs(odds[i].Prob-want) > 1e-9 {
						t.Errorf("%s, %s: a share of %v, want %v", name, test.what, odds[i].Prob, want)
					}
				}
			}
		}
	}
}

// TestDecideDecodesEachBeginningOnce counts what goes through the model, and what memory is left.
func TestDecideDecodesEachBeginningOnce(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	for _, open := range []bool{false, true} {
		for _, options := range [][]string{{"New York City", "New", "New York", "Old"}, sentences(rand.New(rand.NewPCG(2, 2)), 80, 5)} {
			read, decoded, steps := 0, 0, 0
			s := newSession(t, m, gemma4.SessionOptions{Trace: &gemma4.Trace{
				Prefill: func(i gemma4.PrefillInfo) { read += i.Positions },
				Step:    func(i gemma4.StepInfo) { decoded += i.Positions; steps++ },
			}})
			if _, err := s.Decide(ctx, prompt(m, question), options, gemma4.DecideOptions{Open: open}); err != nil {
				t.Fatal(err)
			}
			beginnings := map[string]bool{}
			for _, o := range options {
				ids := m.Tokenizer().Encode(o, false)
				for n := range ids {
					if n+1 < len(ids) || !open {
						beginnings[fmt.Sprint(ids[:n+1])] = true
					}
				}
			}
			if want := len(prompt(m, question)[0].Tokens); read != want || decoded != len(beginnings) || steps > 2+decoded/32 {
				t.Errorf("open %v: %d positions read, %d decoded in %d steps, want %d, and %d once each", open, read, decoded, steps, want,
					len(beginnings))
			}
		}
	}
}

// TestChatDecidesBetweenWholeAnswers compares with a prefill of each answer, whose arithmetic differs a little.
func TestChatDecidesBetweenWholeAnswers(t *testing.T) {
	m := openNano(t, gemma4.Loader{Exact: true})
	read := 0
	o := gemma4.ChatOptions{System: "Be brief.", Thinking: true}
	o.Trace = &gemma4.Trace{Prefill: func(i gemma4.PrefillInfo) { read += i.Positions }}
	c := newChat(t, m, o)
	ask(t, m, c, user("What is the capital of Japan?"))
	messages, result := slices.Clone(c.Messages), c.Result()
	options := []string{"The capital of France is Paris.", "The capital of France is", "<|channel>", "<turn|>", "<table>"}
	odds, err := c.Decide(ctx, options, user("What is the capital of France?"))
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(c.Messages) != fmt.Sprint(messages) || !reflect.DeepEqual(c.Result(), result) {
		t.Error("the conversation has changed")
	}
	if odds[0].Prob < 0.99 {
		t.Errorf("%v", odds)
	}
	plain := newChat(t, m, gemma4.ChatOptions{System: "Be brief."})
	plain.Messages = append(messages, user("What is the capital of France?"))
	text := ids(t, plain)
	for i, option := range options {
		s := newSession(t, m, gemma4.SessionOptions{})
		answer, sum := m.Tokenizer().EncodeLiteral(option, []int{0}), 0.0
		if err := s.AllLogits(ctx, append(text, answer...), func(j int, logits []float32) error {
			switch k := j - len(text) + 1; {
			case k == len(answer):
				sum += ended(m, logits)
			case k >= 0:
				sum += sampler.NewLogProbs(logits).Of(answer[k])
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if math.Abs(odds[i].LogProb-sum) > 1e-3*math.Abs(sum)+1e-4 {
			t.Errorf("%q has %v, read as a whole %v", option, odds[i].LogProb, sum)
		}
	}

	// A second question reads what is new in it.
	read = 0
	if _, err := c.Decide(ctx, options, user("What is the capital of Italy?")); err != nil || read > 20 {
		t.Errorf("%d positions read for a second question: %v", read, err)
	}
	c.Messages = append(c.Messages, user("What is the capital of France?"))
	again, err := c.Decide(ctx, options)
	if err != nil || !slices.Equal(again, odds) {
		t.Errorf("%v of the conversation as it stands, %v of a message more: %v", again, odds, err)
	}
}

func TestDecideRefusesWhatItCannotDecide(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	s := newSession(t, m, gemma4.SessionOptions{Context: 40})
	in := []gemma4.Input{{Tokens: words(36, 1)}}
	long := "Paris"
	for len(m.Tokenizer().Encode(long, false)) < 5 {
		long += " and"
	}
	for _, test := range []struct {
		options []string
		prompt  []gemma4.Input
		want    string
	}{
		{nil, in, "no options"},
		{[]string{"a", ""}, in, "option 1 is empty"},
		{[]string{"a", "b\xff"}, in, `option 1 is empty or not UTF-8: "b\xff"`},
		{[]string{"a", "b", "c", "b"}, in, `options 1 and 3 are the same: "b"`},
		{[]string{"a", long}, in, "option 1, "},
		{[]string{"a"}, nil, "nothing to continue"},
	} {
		_, err := s.Decide(ctx, test.prompt, test.options, gemma4.DecideOptions{})
		if err == nil || !strings.Contains(err.Error(), test.want) || s.Len() != 0 {
			t.Errorf("%q: %v, want %s", test.options, err, test.want)
		}
		if e, ok := errors.AsType[*gemma4.ContextError](err); ok != (test.want == "option 1, ") || ok && (e.Need != 41 || e.Limit != 40) {
			t.Errorf("%q: %+v", test.options, e)
		}
	}
	if _, err := s.Decide(ctx, in, []string{"a", long}, gemma4.DecideOptions{Open: true}); err != nil {
		t.Errorf("what just fits: %v", err)
	}
	c := newChat(t, m, gemma4.ChatOptions{SessionOptions: gemma4.SessionOptions{Context: 40}})
	if _, err := c.Decide(ctx, []string{"a"}, chat.Message{Role: "user", Parts: []chat.Part{{Type: "image"}}}); err == nil {
		t.Error("a picture was read")
	}
	if _, err := c.Decide(ctx, []string{"a"}, user("%s", strings.Repeat(long, 8))); err == nil || len(c.Messages) != 0 {
		t.Errorf("%v, %d messages", err, len(c.Messages))
	}
	s.Close()
	if _, err := s.Decide(ctx, in, []string{"a"}, gemma4.DecideOptions{}); !errors.Is(err, gemma4.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// TestDecideEndsAnywhere and leaves the session as it was: with its context, when the session is closed in a callback, and by a panic.
func TestDecideEndsAnywhere(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	options := sentences(rand.New(rand.NewPCG(3, 3)), 12, 4)
	in := prompt(m, " and of more")
	s, st := begun(t, m, gemma4.SessionOptions{Batch: 3})
	want, err := s.Decide(ctx, in, options, gemma4.DecideOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cancelled := 0
	for checks := 0; ; checks += 1 + checks/8 {
		s, st := begun(t, m, gemma4.SessionOptions{Batch: 3})
		odds, err := s.Decide(endsAfter(checks), in, options, gemma4.DecideOptions{})
		if err == nil {
			if !slices.Equal(odds, want) {
				t.Error("other odds the second time")
			}
			break
		}
		cancelled++
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		st.check(t, m, "cancelled", s)
	}
	if cancelled < 10 {
		t.Errorf("cancelled at %d places", cancelled)
	}
	st.check(t, m, "not cancelled", s)

	var steps int
	trace := &gemma4.Trace{Step: func(gemma4.StepInfo) { steps++; panic("step") }}
	s = newSession(t, m, gemma4.SessionOptions{Trace: trace})
	if v := panics(func() { s.Decide(ctx, in, options, gemma4.DecideOptions{}) }); v != "step" || s.Len() != 0 {
		t.Errorf("%v, %d positions", v, s.Len())
	}
	trace.Step = nil
	if odds, err := s.Decide(ctx, in, options, gemma4.DecideOptions{}); err != nil || len(odds) != len(options) {
		t.Error(err)
	}
	for _, progress := range []bool{true, false} {
		var s *gemma4.Session
		o := gemma4.SessionOptions{Trace: &gemma4.Trace{Step: func(gemma4.StepInfo) { s.Close() }}}
		if progress {
			o.Progress = func(int, int) { s.Close() }
		}
		s = newSession(t, m, o)
		if _, err := s.Decide(ctx, in, options, gemma4.DecideOptions{}); !errors.Is(err, gemma4.ErrClosed) {
			t.Errorf("closed meanwhile: %v", err)
		}
	}
}

func TestDecideGivesTheSameInCompany(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	prefixes := gemma4.NewPrefixCache(1 << 30)
	defer prefixes.Close()
	decide := func(i int) ([]gemma4.Likelihood, error) {
		s, err := m.NewSession(gemma4.SessionOptions{Prefixes: prefixes})
		if err != nil {
			return nil, err
		}
		defer s.Close()
		options := sentences(rand.New(rand.NewPCG(uint64(i), 4)), 5+i, 4)
		return s.Decide(ctx, []gemma4.Input{{Tokens: append(words(40, 7), words(5+i, uint64(i))...)}}, options, gemma4.DecideOptions{})
	}
	var wants [][]gemma4.Likelihood
	for i := range 8 {
		odds, err := decide(i)
		if err != nil {
			t.Fatal(err)
		}
		wants = append(wants, odds)
	}
	if prefixes.Stats().Hits == 0 {
		t.Error("nobody begins with what another has read")
	}
	var wg sync.WaitGroup
	for i := range wants {
		wg.Go(func() {
			if odds, err := decide(i); err != nil || !slices.Equal(odds, wants[i]) {
				t.Errorf("%d: others in company: %v", i, err)
			}
		})
		wg.Go(func() {
			generate(t, newSession(t, m, gemma4.SessionOptions{}), prompt(m, question), gemma4.GenerateOptions{MaxTokens: 20})
		})
	}
	wg.Wait()
}
