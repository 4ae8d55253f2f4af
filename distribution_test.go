package gemma4_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/sampler"
)

// many opens a small model with random weights and so many tokens that masks of most of them list none.
func many(t testing.TB) *gemma4.Model {
	t.Helper()
	c, err := synth.Parse("micro-e:q8_0")
	if err != nil {
		t.Fatal(err)
	}
	c.Vocabulary = 3 * grammar.MaxIDs / 2
	m, err := gemma4.OpenBytes(synth.Bytes(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// A possible is an answer by its tokens, of which the last ends it, with its probability and how often it came.
type possible struct {
	ids []int32
	p   float64
	n   int
}

// possibilities returns the answers to a prompt under a grammar with their exact probabilities, and the sum of those of the rare ones that
// it leaves out: by the logits of the whole head behind each beginning, and by what the grammar says of each token, without masks.
func possibilities(t *testing.T, m *gemma4.Model, g *grammar.Grammar, in []gemma4.Input, o sampler.Options) (
	all []*possible, rare float64) {
	t.Helper()
	s := newSession(t, m, gemma4.SessionOptions{})
	if err := s.Read(ctx, in...); err != nil {
		t.Fatal(err)
	}
	length, begin := s.Len(), s.Logits(nil)
	vocabulary := len(begin)
	var extend func(state grammar.State, ids []int32, p float64)
	extend = func(state grammar.State, ids []int32, p float64) {
		for _, id := range state.Forced() {
			if m.Tokenizer().IsEnd(id) {
				break
			}
			state, _ = state.Accept(id)
			ids = append(slices.Clone(ids), id)
		}
		logits := slices.Clone(begin)
		if len(ids) > 0 {
			rewind(t, s, length)
			written, err := s.Write(ctx, ids...)
			if err != nil {
				t.Fatal(err)
			}
			logits = written[len(written)-vocabulary:]
		}
		after := map[int32]grammar.State{}
		for id := range int32(vocabulary) {
			if next, ok := state.Accept(id); ok {
				after[id] = next
			} else {
				logits[id] = float32(math.Inf(-1))
			}
		}
		naive, err := sampler.New(vocabulary, o)
		if err != nil {
			t.Fatal(err)
		}
		best, err := naive.Sample(logits, 0)
		if err != nil {
			t.Fatal(err)
		}
		for id, next := range after {
			q := naive.Probability(id)
			if o.Temperature == 0 {
				q = map[bool]float64{true: 1}[id == best]
			}
			switch {
			case q == 0:
			case p*q < 1e-4:
				rare += p * q
			case m.Tokenizer().IsEnd(id):
				all = append(all, &possible{ids: append(slices.Clone(ids), id), p: p * q})
			default:
				extend(next, append(slices.Clone(ids), id), p*q)
			}
		}
	}
	extend(g.Start(), nil, 1)
	return all, rare
}

// TestAnswersComeAsOftenAsTheModelSays counts whole answers of several tokens, some of them forced, some drawn from few rows of the head,
// some from most of a vocabulary that is larger than masks list, and compares that with their exact probabilities.
func TestAnswersComeAsOftenAsTheModelSays(t *testing.T) {
	small, large := openNano(t, gemma4.Loader{}), many(t)
	n := max(150, *samples)
	for _, c := range []struct {
		name string
		m    *gemma4.Model
		g    *grammar.Grammar
		topK int
	}{
		{"objects", small, schema(t, small, `{"type":"object","properties":{"city":{"enum":["Oslo","Rome","Paris"]},"n":{"type":"integer",
			"minimum":-2,"maximum":12},"ok":{"type":"boolean"}},"required":["city","ok"],"additionalProperties":false}`), 0},
		{"the likeliest", small, expression(t, small, `[a-e]{3,4}`), 3},
		{"most tokens", large, expression(t, large, ` ?[a-z]{6}`), 3},
	} {
		for _, temperature := range []float64{0, 0.7, 1} {
			if testing.Short() && temperature != 1 {
				continue
			}
			in := prompt(c.m, "<bos>What")
			overrides := sampler.Overrides{Temperature: &temperature, TopK: &c.topK, TopP: new(1.0)}
			all, rare := possibilities(t, c.m, c.g, in, c.m.Sampling().With(overrides))
			sum := rare
			for _, o := range all {
				sum += o.p
			}
			if math.Abs(sum-1) > 1e-9 {
				t.Fatalf("%s, temperature %g: the probabilities of %d answers sum to %g", c.name, temperature, len(all), sum)
			}
			rest, few := rare*float64(n), 0
			r := rand.New(rand.NewPCG(1, 2))
			s := newSession(t, c.m, gemma4.SessionOptions{})
			for i := range n {
				rewind(t, s, 0)
				o := gemma4.GenerateOptions{Grammar: c.g, Sampling: overrides}
				o.Sampling.Seed = new(r.Uint64())
				if i%8 == 7 {
					o.LogProbs = 1 // no shortcuts
				}
				var ids []int32
				for _, tok := range steps(t, s, in, o) {
					if tok.ID >= 0 {
						ids = append(ids, tok.ID)
					}
				}
				ids = append(ids, s.Result().EndID)
				switch at := slices.IndexFunc(all, func(o *possible) bool { return slices.Equal(o.ids, ids) }); {
				case at >= 0:
					all[at].n++
				case rare > 0:
					few++
				default:
					t.Fatalf("%s, temperature %g: %q has probability 0", c.name, temperature, c.m.Tokenizer().Decode(ids, true))
				}
				if temperature == 0 && i == 9 {
					break
				}
			}
			if temperature == 0 {
				continue // there was one, and it came
			}
			chi, freedom := 0.0, -1
			add := func(got int, want float64) {
				chi += (float64(got) - want) * (float64(got) - want) / want
				freedom++
			}
			for _, o := range all {
				if want := o.p * float64(n); want >= 5 {
					add(o.n, want)
				} else {
					rest, few = rest+want, few+o.n
				}
			}
			if rest > 5 {
				add(few, rest)
			} else if few > int(rest)+12 {
				t.Errorf("%s, temperature %g: %d rare answers, want %.1f", c.name, temperature, few, rest)
			}
			if limit := float64(freedom) + 5*math.Sqrt(2*float64(freedom)); freedom < 1 || chi > limit {
				t.Errorf("%s, temperature %g: chi-square %.1f of %d answers, want at most %.1f", c.name, temperature, chi, len(all), limit)
			}
			t.Logf("%s, temperature %g: %d answers, chi-square %.1f of %d degrees of freedom", c.name, temperature, len(all), chi, freedom)
		}
	}
}
