package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/grammar"
)

// statusGone is what logs tell of a client that has left, as nginx writes it.
const statusGone = 499

// failure is what a client is told of an error.
type failure struct {
	status  int
	kind    string // in OpenAI's words; empty: what the status means
	message string
	param   string // the field of the request that is wrong, as messages[2].content
	code    string // for programs, such as context_length_exceeded
	retry   time.Duration
	need    int // with context_length_exceeded: positions of the prompt,
	limit   int // and those that a request may have
}

func (f *failure) Error() string { return "server: " + f.message }

// bad returns a failure that is the client's: something is wrong with a field of the request.
func bad(param, format string, args ...any) *failure {
	return &failure{status: http.StatusBadRequest, param: param, message: fmt.Sprintf(format, args...)}
}

// unsupported returns a failure for what other servers may do.
func unsupported(param, format string, args ...any) *failure {
	f := bad(param, format, args...)
	f.code = "unsupported"
	return f
}

// refused returns the failure for a request that the queue does not take: what it does not know by name is the client's.
func refused(err error) error {
	if f := failureOf(err); f.status != http.StatusInternalServerError {
		return f
	}
	return bad("", "%v", err)
}

// failureOf returns what a client is told of an error.
func failureOf(err error) *failure {
	var (
		known  *failure
		long   *gemma4.ContextError
		memory *gemma4.MemoryError
		full   *gemma4.QueueFullError
	)
	switch {
	case errors.As(err, &known):
		copied := *known
		return &copied
	case errors.As(err, &full):
		return &failure{status: http.StatusTooManyRequests, code: "queue_full", message: err.Error(), retry: full.Retry}
	case errors.As(err, &long):
		return &failure{status: http.StatusBadRequest, param: "messages", code: "context_length_exceeded", need: long.Need,
			limit: long.Limit, message: fmt.Sprintf(
				"This model's maximum context length is %d tokens. However, your messages resulted in %d tokens.",
				long.Limit, long.Need)}
	case errors.As(err, &memory):
		return &failure{status: http.StatusBadRequest, code: "context_length_exceeded", message: err.Error(), need: memory.Context,
			limit: memory.Fits}
	case errors.Is(err, gemma4.ErrClosed), errors.Is(err, errDraining):
		return &failure{status: http.StatusServiceUnavailable, code: "draining", message: "the server is shutting down",
			retry: 5 * time.Second}
	case errors.Is(err, errLoading):
		return &failure{status: http.StatusServiceUnavailable, code: "loading", message: "Loading model", retry: time.Second}
	case errors.Is(err, gemma4.ErrWaited):
		return &failure{status: http.StatusServiceUnavailable, code: "queue_timeout", message: err.Error(),
			retry: time.Second}
	case errors.Is(err, gemma4.ErrOverdue), errors.Is(err, context.DeadlineExceeded):
		return &failure{status: http.StatusGatewayTimeout, kind: "timeout_error", code: "timeout", message: err.Error()}
	case errors.Is(err, grammar.ErrLimit):
		return &failure{status: http.StatusBadRequest, code: "grammar_too_large", message: err.Error()}
	case errors.Is(err, gemma4.ErrStalled):
		return &failure{status: http.StatusRequestTimeout, kind: "timeout_error", code: "stalled", message: err.Error()}
	}
	return &failure{status: http.StatusInternalServerError, message: err.Error()}
}

// protocol says how a family of clients is told what went wrong.
type protocol struct {
	status  func(f *failure) int
	failure func(f *failure, request string) any // the body
	event   string                               // the name of the event with that body in a stream
	ping    string                               // in a silent stream of events; empty: a comment, which clients ignore
}

// openAI is the protocol of OpenAI's clients, and what endpoints without a protocol speak.
var openAI = protocol{
	status: func(f *failure) int { return f.status },
	failure: func(f *failure, _ string) any {
		type body struct {
			Message string  `json:"message"`
			Type    string  `json:"type"`
			Param   *string `json:"param"`
			Code    any     `json:"code"`
			Need    int     `json:"n_prompt_tokens,omitempty"`
			Limit   int     `json:"n_ctx,omitempty"`
		}
		b := body{Message: f.message, Type: cmp.Or(f.kind, kinds[f.status], "server_error"), Need: f.need, Limit: f.limit, Code: f.status}
		if f.param != "" {
			b.Param = &f.param
		}
		if f.code != "" {
			b.Code = f.code
		}
		return map[string]any{"error": b}
	},
}

// kinds are OpenAI's types of errors by status.
var kinds = map[int]string{
	http.StatusBadRequest:            "invalid_request_error",
	http.StatusUnauthorized:          "authentication_error",
	http.StatusForbidden:             "permission_error",
	http.StatusNotFound:              "not_found_error",
	http.StatusMethodNotAllowed:      "invalid_request_error",
	http.StatusRequestEntityTooLarge: "invalid_request_error",
	http.StatusUnsupportedMediaType:  "invalid_request_error",
	http.StatusTooManyRequests:       "rate_limit_error",
	http.StatusNotImplemented:        "not_supported_error",
	http.StatusServiceUnavailable:    "unavailable_error",
}

// jsonType names a Go type as JSON knows it.
func jsonType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Pointer:
		return jsonType(t.Elem())
	}
	return "a whole number"
}
