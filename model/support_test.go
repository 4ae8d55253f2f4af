package model

import (
	"context"
	"testing"
)

// session is a sequence and a pass of its own.
type session struct {
	*Sequence
	pass *Pass
}

func openSession(m *Model, o SequenceOptions) (*session, error) {
	s, err := m.NewSequence(o)
	return &session{s, m.NewPass()}, err
}

func newSession(t testing.TB, m *Model, o SequenceOptions) *session {
	t.Helper()
	s, err := openSession(m, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func (s *session) Read(ctx context.Context, in []Input, want func(pos int) bool, yield func(pos int, logits []float32) error) error {
	return s.pass.Read(ctx, &Chunk{Sequence: s.Sequence, Input: in, Want: want, Yield: yield})
}

func (s *session) Write(ctx context.Context, ids ...int32) ([]float32, error) {
	return s.pass.Write(ctx, s.Sequence, ids...)
}

func (s *session) Ops() int64 { return s.pass.Ops() }
