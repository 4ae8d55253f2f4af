package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestGuardLetsInWhomAServerWould(t *testing.T) {
	h := Guard(Options{Keys: []string{"secret"}, Hosts: []string{"ai.example.org"}, Origins: []string{"https://page.example.org"}},
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "inside") }))
	for _, c := range []struct {
		method, path, host, origin, key string
		status                          int
		text                            string
	}{
		{"POST", "/v1/completions", "localhost", "", "secret", 200, "inside"},
		{"POST", "/v1/completions", "ai.example.org:8080", "https://page.example.org", "secret", 200, "inside"},
		{"POST", "/v1/completions", "localhost", "", "", 401, `"type":"authentication_error"`},
		{"POST", "/v1/messages", "localhost", "", "wrong", 401, `"type":"error"`},
		{"POST", "/v1/completions", "evil.example.org", "", "secret", 403, "host_not_allowed"},
		{"POST", "/v1/completions", "localhost", "https://evil.example.org", "secret", 403, "origin_not_allowed"},
		{"GET", "/health", "localhost", "", "", 200, "inside"},
		{"GET", "/", "localhost", "", "", 200, "inside"},
		{"GET", "/v1/models", "localhost", "", "", 401, ""},
		{"OPTIONS", "/v1/completions", "localhost", "https://page.example.org", "", 204, ""},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Host = c.host
		for name, value := range map[string]string{"Origin": c.origin, "X-Api-Key": c.key} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.text) {
			t.Errorf("%s %s at %s from %q with key %q: %d %s, want %d %s", c.method, c.path, c.host, c.origin, c.key, w.Code, w.Body,
				c.status, c.text)
		}
	}
}
