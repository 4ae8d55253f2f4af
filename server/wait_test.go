package server

import (
	"context"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
)

// await returns when something holds, which it has to within a minute.
func await(t testing.TB, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("what was waited for does not come")
		}
	}
}

// serveBlocked returns a server whose slots are taken, by calls that wait until the test ends.
func serveBlocked(t testing.TB, o Options) (*Server, string) {
	t.Helper()
	s, url := serve(t, o)
	for range s.q.Stats().Slots {
		go s.q.Do(t.Context(), gemma4.ChatOptions{}, func(ctx context.Context, _ *gemma4.Chat) error {
			<-ctx.Done()
			return ctx.Err()
		})
	}
	await(t, func() bool { q := s.q.Stats(); return q.Running == q.Slots })
	return s, url
}
