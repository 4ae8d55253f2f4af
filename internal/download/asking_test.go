package download

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestContentRanges(t *testing.T) {
	for _, c := range []struct {
		text           string
		from, to, size int64
		ok             bool
	}{
		{"bytes 0-0/1", 0, 1, 1, true}, {"bytes 5-9/*", 5, 10, -1, true}, {"bytes 5-9/10", 5, 10, 10, true},
		{text: ""}, {text: "bytes"}, {text: "bytes 0-0"}, {text: "bytes */5"}, {text: "bytes 1-0/5"}, {text: "bytes 0-5/5"},
		{text: "bytes 0-4/-1"},
		{text: "bytes -1-4/5"}, {text: "bytes 0-4/99999999999999999999"}, {text: "bytes 0-1125899906842624/*"}, {text: "items 0-1/2"},
		{text: "bytes 0 - 1/2"}, {text: "bytes=0-1/2"}, {text: "bytes 0-1/2/3"}, {text: "bytes 0-9223372036854775807/*"},
	} {
		from, to, size, ok := parseRange(c.text)
		if ok != c.ok || ok && (from != c.from || to != c.to || size != c.size) {
			t.Errorf("%q: [%d, %d) of %d, %v", c.text, from, to, size, ok)
		}
	}
}

func TestWaitsThatServersAskFor(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        time.Duration
	}{
		{"RateLimit", `"resolvers";r=0;t=55`, 55 * time.Second}, {"RateLimit", `"resolvers";r=1;t=55`, 0},
		{"RateLimit", `"a";r=0;t=5, "b";r=0;t=7,"c";r=3;t=99`, 7 * time.Second}, {"RateLimit", ` "a" ; t=5 ; r=0`, 5 * time.Second},
		{"RateLimit", `"a";r=0`, 0}, {"RateLimit", `"a";r=0;t=-9`, 0}, {"RateLimit", `"a";r=0;t=99999999999`, 0},
		{"RateLimit", ";;=,=;r=0;t", 0}, {"RateLimit", `"a";r=0;t=100000`, longest},
		{"Retry-After", "7", 7 * time.Second}, {"Retry-After", "-7", 0}, {"Retry-After", "7.5", 0}, {"Retry-After", "soon", 0},
		{"Retry-After", "Mon, 30 Nov 2026 10:01:00 GMT", time.Minute}, {"Retry-After", "Mon, 30 Nov 2026 09:01:00 GMT", 0},
		{"Retry-After", "Monday, 30-Nov-26 10:00:30 GMT", 30 * time.Second},
	} {
		h := http.Header{"Date": {"Mon, 30 Nov 2026 10:00:00 GMT"}}
		h.Set(c.name, c.value)
		if got := max(limit(h), retryAfter(h)); got != c.want {
			t.Errorf("%s: %s asks to wait %v, expected %v", c.name, c.value, got, c.want)
		}
	}
}

// What a server says is one line of text, and short.
func TestWhatServersSay(t *testing.T) {
	for _, c := range []struct{ kind, text, want string }{
		{"", "", ""}, {"", "\n\n  no such file  \r\nmore", "no such file"}, {"text/html", "no such file", ""}, {"", "<html>", ""},
		{"application/json", `{"error":"Repository not found"}`, `{"error":"Repository not found"}`},
		{"", "a\x1b]0;title\x07b\u202ec", "a ]0;title b c"}, {"", "\xff\xfe", ""},
		{"", strings.Repeat("é", 300), strings.Repeat("é", 199) + "…"},
		{"", strings.Repeat(" ", 1<<20) + "x", ""},
	} {
		resp := &http.Response{Header: http.Header{"Content-Type": {c.kind}}}
		resp.Body = &body{io.NopCloser(strings.NewReader(c.text)), nil}
		if got := said(resp); got != c.want {
			t.Errorf("%.50q is said as %q, expected %q", c.text, got, c.want)
		}
	}
}
