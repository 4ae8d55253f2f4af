package fleet

import (
	"fmt"
	"net/http"
	"strings"
)

// fault is what a client is told when no worker's answer gets to it.
type fault struct {
	status  int
	message string
}

func anthropic(path string) bool { return strings.HasPrefix(path, "/v1/messages") }
func ollama(path string) bool    { return strings.HasPrefix(path, "/api/") }

// body is the fault in the shape of the protocol that a path belongs to.
func (f *fault) body(path string) []byte {
	kind, of := "server_error", "api_error" // OpenAI's word, and Anthropic's
	switch f.status {
	case http.StatusBadRequest:
		kind, of = "invalid_request_error", "invalid_request_error"
	case http.StatusRequestEntityTooLarge:
		kind, of = "invalid_request_error", "request_too_large"
	case http.StatusTooManyRequests:
		kind, of = "rate_limit_error", "overloaded_error"
	case http.StatusServiceUnavailable:
		kind, of = "unavailable_error", "overloaded_error"
	}
	switch {
	case anthropic(path):
		return encoded(map[string]any{"type": "error", "error": map[string]any{"type": of, "message": f.message}})
	case ollama(path):
		return encoded(map[string]any{"error": f.message})
	}
	return encoded(map[string]any{"error": map[string]any{"message": f.message, "type": kind, "param": nil, "code": f.status}})
}

// write answers a request of which nothing was sent.
func (f *fault) write(w http.ResponseWriter, path string) {
	w.Header().Set("Content-Type", "application/json")
	status := f.status
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "10")
	}
	if status == http.StatusTooManyRequests && anthropic(path) {
		status = 529
	}
	w.WriteHeader(status)
	w.Write(f.body(path))
}

// event is the fault as the end of a stream, after a number of events.
func (f *fault) event(path string, events int) string {
	body := f.body(path)
	switch {
	case ollama(path):
		return string(body) + "\n"
	case anthropic(path):
		return fmt.Sprintf("event: error\ndata: %s\n\n", body)
	case strings.HasSuffix(path, "/responses"):
		return fmt.Sprintf("event: error\ndata: %s\n\n", encoded(map[string]any{
			"type": "error", "code": "server_error", "message": f.message, "param": nil, "sequence_number": events,
		}))
	}
	return fmt.Sprintf("data: %s\n\n", body)
}

// streams reports whether an answer is sent on while it is written: then it cannot be taken back.
func streams(h http.Header) bool {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return kind == "text/event-stream" || kind == "application/x-ndjson"
}
