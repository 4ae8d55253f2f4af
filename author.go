package gemma4

import (
	"context"
	"iter"
	"time"
)

// author writes an answer.
type author struct {
	s       *Session
	chat    *Chat   // nil: it continues a text
	text    []Input // of the request, as far as it has not been read
	options GenerateOptions
	read    int           // positions that were read before there were several authors
	took    time.Duration // that
}

// prefill reads the text before it is answered.
func (a *author) prefill(ctx context.Context) error {
	if err := a.s.begin(); err != nil {
		return err
	}
	defer a.s.end()
	began := time.Now()
	reused, err := a.s.read(ctx, a.text)
	a.text, a.read, a.took = nil, a.s.Len()-reused, time.Since(began)
	return err
}

// tokens returns the answer.
func (a *author) tokens(ctx context.Context) iter.Seq2[Token, error] {
	if a.chat != nil {
		return a.chat.Send(ctx)
	}
	return a.s.Generate(ctx, a.text, a.options)
}
