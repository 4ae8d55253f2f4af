package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestNothingFollowsWhatEndsAStream(t *testing.T) {
	for name, end := range map[string]func(st *stream) error{
		"an event": func(st *stream) error { return st.last("message_stop", "the end") },
		"a line":   (*stream).done,
	} {
		w := httptest.NewRecorder()
		st := &stream{w: w, control: http.NewResponseController(w), stall: time.Minute, every: time.Hour, ping: []byte(": ping\n\n")}
		st.timer = time.AfterFunc(st.every, st.beat)
		defer st.end()
		st.beat()
		if err := st.send("message_delta", "text"); err != nil {
			t.Error(err)
		}
		if err := end(st); err != nil {
			t.Error(err)
		}
		before := w.Body.String()
		st.beat()
		if err := st.send("error", "too late"); err != nil {
			t.Error(err)
		}
		if after := w.Body.String(); after != before || !strings.HasPrefix(after, ": ping\n\nevent: message_delta\n") {
			t.Errorf("%s: %q, and then %q", name, before, strings.TrimPrefix(after, before))
		}
	}
}
