package server

import (
	"testing"
	"time"
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
