package gemma4

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/gogemma/gemma4/model"
)

// Embed returns the mean [width] of the model's last hidden states, normed as its head sees them, over the positions of ids, read after the
// session's text. The text stays as it was: a new session embeds ids alone, which begin with BOS as every text does; one that has read an
// instruction embeds them in its light. The result does not depend on SessionOptions.Batch.
//
// It is not of length 1, and not what the model was trained for: Gemma 4 was made to continue text. Cosines of such means tell subjects and
// kinds of sentences apart; a model trained for embeddings does so better.
//
// The text and ids together have to fit the context. While it runs, Embed takes memory for the keys and values of ids; no logits are
// computed.
func (s *Session) Embed(ctx context.Context, ids []int32) ([]float32, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	if len(ids) == 0 {
		return nil, errors.New("gemma4: no token to embed")
	}
	if err := s.flush(ctx); err != nil {
		return nil, err
	}
	f, err := s.fork()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	width := s.m.graph.Width
	sum := make([]float64, width)
	c := &model.Chunk{Sequence: f.seq, Input: []Input{{Tokens: ids}}, Want: func(int) bool { return true }, NoLogits: true}
	at, trace := f.seq.Len(), s.options.Trace
	began := trace.prefilling()
	c.Done = func() error {
		for i, h := range c.Hidden {
			sum[i%width] += float64(h)
		}
		n, done := f.seq.Len(), f.seq.Len()-s.seq.Len()
		trace.prefilled(began, n-at, n, len(ids)-done)
		err := s.progress(done, len(ids))
		at, began = n, trace.prefilling()
		return err
	}
	if err := s.inPass(func(p *model.Pass) error { return wrap(p.Read(ctx, c)) }); err != nil {
		return nil, err
	}
	mean := make([]float32, width)
	for i, x := range sum {
		if math.IsNaN(x) {
			return nil, fmt.Errorf("gemma4: value %d of the hidden states is NaN", i)
		}
		mean[i] = float32(x / float64(len(ids)))
	}
	return mean, nil
}
