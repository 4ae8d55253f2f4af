package gemma4

import (
	"context"
	"strings"

	"github.com/gogemma/gemma4/internal/imatrix"
	"github.com/gogemma/gemma4/tensor"
)

// Importance says how much the columns of a model's matrices matter: the sums of the squares of what they are multiplied with, while the
// model reads texts ([Session.Importance]). Who quantises the model by it (package quantize) puts the errors where they do least harm. The
// zero value is empty. It serves one session at a time.
type Importance struct {
	sums   imatrix.Collector
	chunks int
	size   int // of a chunk, that of the last text
}

// Importance measures a text as [Session.Perplexity] does, in windows of the session's context, and adds to i what goes into the matrices
// of the layers, for each expert what that expert is given. Other programs take windows of 512 tokens. The sums are the same, to the bit,
// with any number of threads. After an error i holds those of what was read.
func (s *Session) Importance(ctx context.Context, ids []int32, i *Importance, progress func(done, total int)) (Perplexity, error) {
	experts := s.m.Config().Experts
	p, err := s.perplexity(ctx, ids, progress, func(w *tensor.Tensor, x []float32, n int) {
		switch {
		case !strings.HasPrefix(w.Name, "blk."):
		case strings.HasSuffix(w.Name, "_exps.weight"):
			i.sums.Add(w.Name, w.Row/w.Rows(), experts, x, n)
		case w.Row == 0: // keys and values of a fused matrix have the queries' input
			i.sums.Add(w.Name, 0, 1, x, n)
		}
	})
	i.chunks += (p.Tokens + s.limit - 1) / s.limit
	i.size = s.limit
	return p, err
}

// WriteFile writes the importance to path as GGUF, as other programs read it: NAME.in_sum2 and NAME.counts for each matrix, and what the
// texts are called. It appears at path when it is complete.
func (i *Importance) WriteFile(path string, texts ...string) error {
	m := i.sums.Matrix()
	m.Datasets, m.Chunks, m.ChunkSize = texts, i.chunks, i.size
	return wrap(m.WriteFile(path))
}
