package gemma4_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/nano"
)

const perplexityText = `Remember this. The code of Mia is 4821. The code of Leo is 7730. What is the code of Leo?`

func perplexitySession(t *testing.T, context int) (*gemma4.Model, *gemma4.Session) {
	t.Helper()
	m, err := nano.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	s, err := m.NewSession(gemma4.SessionOptions{Context: context, Cache: gemma4.CacheF32})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return m, s
}

// nats returns −ln softmax(logits)[id], in the simplest way.
func nats(logits []float32, id int32) float64 {
	sum, top := 0.0, float64(slices.Max(logits))
	for _, x := range logits {
		sum += math.Exp(float64(x) - top)
	}
	return math.Log(sum) - (float64(logits[id]) - top)
}

func TestPerplexityIsItsFormula(t *testing.T) {
	for _, window := range []int{1, 7, 16, 512} {
		m, s := perplexitySession(t, window)
		ids := m.Tokenizer().Encode(perplexityText, false)
		var want []float64
		for text := range slices.Chunk(ids, window) {
			s.Rewind(0)
			read := append([]int32{m.Tokenizer().BOS()}, text[:len(text)-1]...)
			err := s.AllLogits(t.Context(), read, func(i int, logits []float32) error {
				want = append(want, nats(logits, text[i]))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		mean, square := 0.0, 0.0
		for _, x := range want {
			mean += x / float64(len(want))
		}
		for _, x := range want {
			square += (x - mean) * (x - mean)
		}
		stderr := math.Sqrt(square/float64(len(want)-1)) / math.Sqrt(float64(len(want)))

		calls := 0
		got, err := s.Perplexity(t.Context(), m.Tokenizer().WithBOS(ids), func(done, total int) {
			if calls++; done != calls || total != len(ids) {
				t.Fatalf("call %d of progress says %d of %d", calls, done, total)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if calls != len(ids) || got.Tokens != len(ids) || len(want) != len(ids) {
			t.Errorf("window %d: %d tokens, %d calls of progress; want %d", window, got.Tokens, calls, len(ids))
		}
		if math.Abs(got.Mean-mean) > 1e-6 || math.Abs(got.StdErr-stderr) > 1e-6 || math.Abs(got.Value()/math.Exp(mean)-1) > 1e-6 {
			t.Errorf("window %d: %+v, want mean %v, standard error %v", window, got, mean, stderr)
		}
		if s.Len() != 0 {
			t.Errorf("window %d: the session still holds %d positions", window, s.Len())
		}
	}
}

func TestPerplexityOfSenseIsBelowThatOfNonsense(t *testing.T) {
	m, s := perplexitySession(t, 512)
	sense := m.Tokenizer().Encode(perplexityText, false)
	nonsense := slices.Clone(sense)
	slices.Reverse(nonsense)
	a, err := s.Perplexity(t.Context(), sense, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Perplexity(t.Context(), nonsense, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a.Value() > b.Value()/4 {
		t.Errorf("sense %v, nonsense %v", a, b)
	}
}

func TestPerplexityStopsWithItsContextAndKeepsWhatItHas(t *testing.T) {
	m, s := perplexitySession(t, 8)
	ids := m.Tokenizer().Encode(perplexityText, false)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got, err := s.Perplexity(ctx, ids, func(done, _ int) {
		if done == 10 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || got.Tokens < 10 || got.Tokens > 16 {
		t.Errorf("%+v, error %v", got, err)
	}
	if _, err := s.Perplexity(t.Context(), ids, nil); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestPerplexityNamesWhatItCannotForetell(t *testing.T) {
	m, s := perplexitySession(t, 8)
	bos := m.Tokenizer().BOS()
	for _, test := range []struct {
		ids  []int32
		want string
	}{
		{nil, "no token"},
		{[]int32{bos}, "no token"},
		{[]int32{5, -1}, "token 1 is -1"},
		{[]int32{5, 6, 1 << 30}, "token 2 is 1073741824, which is outside the vocabulary of 2048"},
	} {
		if _, err := s.Perplexity(t.Context(), test.ids, nil); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: error %v, want %q", test.ids, err, test.want)
		}
	}
	if p, err := s.Perplexity(t.Context(), []int32{300}, nil); err != nil || p.Tokens != 1 || p.StdErr != 0 {
		t.Errorf("a single token: %+v, %v", p, err)
	}
	s.Close()
	if _, err := s.Perplexity(t.Context(), []int32{5}, nil); !errors.Is(err, gemma4.ErrClosed) {
		t.Errorf("closed session: %v", err)
	}
}
