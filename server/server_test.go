package server

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/nano"
)

// capital is a question that nano answers, and its answer.
const capital, paris = "What is the capital of France?", "The capital of France is Paris."

// serve returns a server with nano on loopback, and its base URL.
func serve(t testing.TB, o Options) (*Server, string) {
	t.Helper()
	m, err := nano.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return serveModel(t, m, o)
}

// serveModel returns a server with a model on loopback, and its base URL.
func serveModel(t testing.TB, m *gemma4.Model, o Options) (*Server, string) {
	t.Helper()
	s, err := New(m, o)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); h.Close() })
	return s, h.URL
}

// post sends a body and returns the status and what comes back. Fields are header fields: "Name: value".
func post(t testing.TB, url, body string, fields ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	return do(t, r, fields...)
}

// get is post for GET.
func get(t testing.TB, url string, fields ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, r, fields...)
}

func do(t testing.TB, r *http.Request, fields ...string) (int, string) {
	t.Helper()
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if name == "Host" {
			r.Host = value
		}
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// event is one of a stream.
type event struct{ name, data string }

// events reads a stream of server-sent events; comments are left out.
func events(t testing.TB, text string) (list []event) {
	t.Helper()
	var e event
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		switch line := s.Text(); {
		case line == "":
			if e.data != "" {
				list = append(list, e)
			}
			e = event{}
		case strings.HasPrefix(line, ":"):
		case strings.HasPrefix(line, "event: "):
			e.name = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			e.data += line[len("data: "):]
		default:
			t.Fatalf("a line of a stream: %q", line)
		}
	}
	return list
}

// fields returns JSON as Go knows it.
func fields(t testing.TB, text string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func TestAQuestionIsAnswered(t *testing.T) {
	_, url := serve(t, Options{})
	body := `{"messages":[{"role":"user","content":"` + capital + `"}],"temperature":0`
	status, text := post(t, url+"/v1/chat/completions", body+"}")
	if status != 200 || !strings.Contains(text, paris) {
		t.Fatalf("status %d: %s", status, text)
	}
	status, text = post(t, url+"/v1/chat/completions", body+`,"stream":true}`)
	var got strings.Builder
	list := events(t, text)
	for _, e := range list[:len(list)-1] {
		delta := fields(t, e.data)["choices"].([]any)[0].(map[string]any)["delta"].(map[string]any)
		if s, ok := delta["content"].(string); ok {
			got.WriteString(s)
		}
	}
	if status != 200 || got.String() != paris || list[len(list)-1].data != "[DONE]" {
		t.Fatalf("status %d: %q", status, text)
	}
}
