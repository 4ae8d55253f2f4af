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
	c := model.Chunk{Sequence: f.seq, Input: []Input{{Tokens: ids}}, Want: every, NoLogits: true}
	if err := s.prefill(ctx, c, func(int) {
		for i, h := range s.job.chunk.Hidden {
			sum[i%width] += float64(h)
		}
	}); err != nil {
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
