package gemma4

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/sampler"
)

// Perplexity tells how well a model predicts a text: the less each token surprises it, the smaller.
type Perplexity struct {
	Tokens int     // predicted
	Mean   float64 // negative log-likelihood of a token, in nats: Σ −ln p / Tokens
	StdErr float64 // standard error of Mean, 0 for a single token
}

// Value returns the perplexity, exp(Mean): as if each token had been one of that many equally likely ones.
func (p Perplexity) Value() float64 { return math.Exp(p.Mean) }

// ValueStdErr returns the standard error of Value, to first order Value · StdErr.
func (p Perplexity) ValueStdErr() float64 { return p.Value() * p.StdErr }

// String returns perplexity, nats per token and their standard errors, such as
// "perplexity 12.34 ± 0.56 (2.513 ± 0.045 nats per token, 1234 tokens)".
func (p Perplexity) String() string {
	return fmt.Sprintf("perplexity %.4f ± %.4f (%.5f ± %.5f nats per token, %d tokens)", p.Value(), p.ValueStdErr(), p.Mean, p.StdErr,
		p.Tokens)
}

// Perplexity measures how well the model predicts a text of ids, which need not begin with BOS. The session forgets what it held, both
// before and afterwards.
//
// The text is cut into windows of as many tokens as the session's context holds. Each is read from the start, after a BOS token, so that
// its token tᵢ is predicted from BOS, t₁ … tᵢ₋₁; and every token counts:
//
//	perplexity = exp(Σ −ln p(tᵢ | BOS, t₁ … tᵢ₋₁) / tokens)
//
// Other programs leave out the first half of each window and get smaller numbers. p is the model's own distribution, untouched by
// sampling options.
//
// progress, which may be nil, is called after each token. After an error, including the end of ctx, the result is that of the tokens
// predicted until then.
func (s *Session) Perplexity(ctx context.Context, ids []int32, progress func(done, total int)) (Perplexity, error) {
	return s.perplexity(ctx, ids, progress, nil)
}

// perplexity shows what goes into each product to observe, if that is not nil: see [model.Chunk].
func (s *Session) perplexity(ctx context.Context, ids []int32, progress func(done, total int), observe model.Observer) (Perplexity, error) {
	bos, vocabulary := s.m.tok.BOS(), s.m.Config().Vocabulary
	if len(ids) > 0 && ids[0] == bos {
		ids = ids[1:]
	}
	for i, id := range ids {
		if id < 0 || int(id) >= vocabulary {
			return Perplexity{}, fmt.Errorf("gemma4: token %d is %d, which is outside the vocabulary of %d", i, id, vocabulary)
		}
	}
	if err := s.claim(); err != nil {
		return Perplexity{}, err
	}
	defer s.release()
	defer s.rewind(0)
	s.observe = observe
	defer func() { s.observe = nil }()
	var sum statistics
	for at := 0; at < len(ids); {
		text := ids[at:min(at+s.limit, len(ids))]
		at += len(text)
		read := append([]int32{bos}, text[:len(text)-1]...)
		s.rewind(0)
		foretell := func(i int, logits []float32) error {
			nats := -sampler.NewLogProbs(logits).Of(text[i])
			if math.IsNaN(nats) {
				return fmt.Errorf("the logits after position %d are not numbers", i)
			}
			sum.add(nats)
			if progress != nil {
				progress(at-len(text)+i+1, len(ids))
			}
			return nil
		}
		if err := s.inModel(func() error { return s.allLogits(ctx, read, foretell) }); err != nil {
			return sum.perplexity(), err
		}
	}
	if sum.n == 0 {
		return Perplexity{}, errors.New("gemma4: no token to predict")
	}
	return sum.perplexity(), nil
}

// statistics are mean and variance, by Welford's method: without a difference of large sums.
type statistics struct {
	n        int
	mean, m2 float64 // m2: sum of squared deviations from the mean
}

func (s *statistics) add(x float64) {
	s.n++
	d := x - s.mean
	s.mean += d / float64(s.n)
	s.m2 += d * (x - s.mean)
}

func (s *statistics) perplexity() Perplexity {
	p := Perplexity{Tokens: s.n, Mean: s.mean}
	if s.n > 1 {
		p.StdErr = math.Sqrt(s.m2 / float64(s.n-1) / float64(s.n))
	}
	return p
}
