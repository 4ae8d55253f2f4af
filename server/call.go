package server

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"reflect"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/media/fetch"
)

// call is a request on its way through an endpoint.
type call struct {
	s        *Server
	w        http.ResponseWriter
	r        *http.Request
	ctx      context.Context // of what is done for the request: that of r, or a part of its time
	endpoint string          // its pattern
	protocol protocol
	id       string // of the request, in logs and the header X-Request-Id
	group    string // for whom it is: requests of those who bring different keys take turns
	began    time.Time
	adapter  *Adapter // that it asks for; nil: the model alone

	fetcher *fetch.Fetcher // of what parts of the request only name; nil: none has
	large   bool           // it has a place among the large bodies

	stream *stream                // that was begun, if any
	failed func(f *failure) error // ends the stream in another way than the protocol does; nil: that will do
	status int                    // that was written; 0: none
	gone   bool                   // the client left before the end

	// What has come of it, for the log and the metrics.
	mu                        sync.Mutex // a call may have several requests answered
	prompt, reused, generated int
	reason                    string   // why the last answer ended, or what went wrong
	outcome                   string   // that, in the words of the metrics
	loosened                  []string // keywords of schemas that were not enforced
}

// run has an endpoint answer, and writes what goes wrong.
func (c *call) run(answer func(c *call) error) {
	c.w.Header().Set("X-Request-Id", c.id)
	c.w.Header().Set("Request-Id", c.id) // Anthropic's name for it
	defer func() {
		v := recover()
		if v != nil && v != http.ErrAbortHandler {
			c.s.log.Error("panic", "request", c.id, "endpoint", c.endpoint, "value", v, "stack", string(debug.Stack()))
			c.fail(errors.New("server: panic"))
		}
		c.stream.end()
		c.small()
		c.note()
		if v == http.ErrAbortHandler {
			panic(v)
		}
	}()
	if c.r.ContentLength != 0 { // who is refused before the body has come does not keep the connection, either
		http.NewResponseController(c.w).SetReadDeadline(time.Now().Add(c.s.o.BodyTime)) // where the connection has one
	}
	stop, err := c.limit()
	defer stop()
	if err == nil {
		err = c.admit()
	}
	if err == nil {
		err = answer(c)
	}
	if err != nil {
		c.fail(err)
	}
}

// limit has the call end after the time that the client wants to wait at most: seconds, in the header Timeout.
func (c *call) limit() (stop func(), err error) {
	c.ctx = c.r.Context()
	text := c.r.Header.Get("Timeout")
	if text == "" {
		return func() {}, nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds > 0) {
		return func() {}, bad("Timeout", "header Timeout is %.60q, expected a number of seconds", text)
	}
	var cancel context.CancelFunc
	c.ctx, cancel = context.WithTimeoutCause(c.ctx, time.Duration(min(seconds, 1e9)*float64(time.Second)), errTimeout)
	return cancel, nil
}

// note tells the log what has become of the call.
func (c *call) note() {
	status, outcome := cmp.Or(c.status, http.StatusOK), cmp.Or(c.outcome, "done")
	if c.gone && (status < 400 || status == statusGone) {
		status, outcome = statusGone, "cancelled"
	}
	c.s.metrics.count(c, outcome)
	c.s.log.Info("request", "id", c.id, "endpoint", c.endpoint, "status", status, "seconds", time.Since(c.began).Seconds(),
		"prompt", c.prompt, "cached", c.reused, "generated", c.generated, "reason", c.reason, "loosened", c.loosened)
}

// fail writes an error in the protocol's shape, as the last event of a stream if one was begun.
func (c *call) fail(err error) {
	if c.r.Context().Err() != nil && (c.stream != nil || errors.Is(err, context.Canceled)) { // nobody is there
		c.gone = true
		if c.reason = cmp.Or(c.reason, "gone"); c.status == 0 { // or somebody who has only closed one direction
			c.status = statusGone
			c.w.WriteHeader(statusGone)
		}
		return
	}
	f := failureOf(err)
	c.reason, c.outcome = "error: "+f.message, "rejected"
	if f.status >= 500 && f.status != http.StatusServiceUnavailable {
		c.outcome = "error"
		c.s.log.Warn("request failed", "id", c.id, "endpoint", c.endpoint, "error", err)
	}
	f.status = c.protocol.status(f)
	body := c.protocol.failure(f, c.id)
	switch {
	case c.stream != nil && c.failed != nil:
		c.failed(f)
		return
	case c.stream != nil:
		c.stream.last(c.protocol.event, body)
		return
	}
	if f.retry > 0 {
		c.w.Header().Set("Retry-After", fmt.Sprint(max(1, int64((f.retry+time.Second-1)/time.Second))))
	}
	c.json(f.status, body)
}

// json writes a whole answer.
func (c *call) json(status int, v any) error {
	text, err := marshal(v)
	if err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	c.status = status
	h.Set("Content-Length", strconv.Itoa(len(text)))
	control := http.NewResponseController(c.w)
	control.SetWriteDeadline(time.Now().Add(stallTime(c.s) + time.Duration(len(text))*10*time.Microsecond)) // where there is one
	defer control.SetWriteDeadline(time.Time{})
	c.w.WriteHeader(status)
	if _, err = c.w.Write(text); err == nil {
		control.Flush() // within that time
	}
	return err
}

// marshal writes JSON as it is, without escapes for HTML, and a line break.
func marshal(v any) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return []byte(b.String()), err
}

// read reads the body as JSON into v. A field of another type than it should have is an error that names it.
func (c *call) read(v any) error {
	if how := c.r.Header.Get("Content-Encoding"); how != "" && how != "identity" {
		return &failure{status: http.StatusUnsupportedMediaType, param: "Content-Encoding",
			message: fmt.Sprintf("the body is encoded as %.60q: it is read as it is", how)}
	}
	text, err := c.body()
	switch {
	case err != nil:
		return err
	case len(text) == 0:
		return bad("", "the body is empty: JSON is expected")
	case !utf8.Valid(text):
		return bad("", "the body is not UTF-8: %q is in it", invalid(text))
	}
	return decode(text, v)
}

// mostLarge is how many bodies above largeBody may be in memory at once, before they have become requests.
const (
	mostLarge = 4
	largeBody = 1 << 20
)

// body reads the body. If it is large, it waits for a place to hold it, which small gives back.
func (c *call) body() ([]byte, error) {
	control, in := http.NewResponseController(c.w), http.MaxBytesReader(c.w, c.r.Body, c.s.o.MaxBody)
	text, err := io.ReadAll(io.LimitReader(in, largeBody))
	if err == nil && len(text) == largeBody {
		select {
		case c.s.large <- struct{}{}: // also if the time is over by now
		default:
			wait := time.NewTimer(c.s.o.BodyTime)
			defer wait.Stop()
			select {
			case c.s.large <- struct{}{}:
			case <-wait.C:
				return nil, &failure{status: http.StatusServiceUnavailable, code: "busy", retry: time.Second,
					message: "too many large requests come at once"}
			case <-c.ctx.Done():
				return nil, context.Cause(c.ctx)
			}
		}
		c.large = true
		control.SetReadDeadline(time.Now().Add(c.s.o.BodyTime))
		rest := bytes.NewBuffer(text)
		if n := c.r.ContentLength; n > largeBody && n <= c.s.o.MaxBody {
			rest.Grow(int(n) - largeBody + bytes.MinRead)
		}
		_, err = rest.ReadFrom(in)
		text = rest.Bytes()
	}
	if err == nil {
		control.SetReadDeadline(time.Time{})
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, &failure{status: http.StatusRequestEntityTooLarge,
			message: fmt.Sprintf("the body is larger than %d bytes", large.Limit)}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &failure{status: http.StatusRequestTimeout, kind: "timeout_error", code: "timeout",
			message: fmt.Sprintf("the body took more than %v to arrive", c.s.o.BodyTime)}
	case err != nil:
		return nil, &failure{status: http.StatusBadRequest, message: "the body did not arrive: " + err.Error()}
	}
	return text, nil
}

// small says that nothing needs the body any more.
func (c *call) small() {
	if c.large {
		c.large = false
		<-c.s.large
	}
}

// request reads a body that is about a conversation, and returns what it asks for.
func (c *call) request(body interface {
	request(c *call) (gemma4.Request, error)
}) (r gemma4.Request, err error) {
	if err := c.read(body); err != nil {
		return r, err
	}
	return body.request(c)
}

// invalid returns the first bytes that are not UTF-8.
func invalid(text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 {
			break
		}
		text = text[n:]
	}
	return text[:min(len(text), utf8.UTFMax)]
}

// decode reads JSON into v.
func decode(text []byte, v any) error { return decodeAt("", text, v) }

// decodeAt is decode for what stands in a field of the body. Errors name the field within that, and are about it.
func decodeAt(param string, text []byte, v any) error {
	err := json.Unmarshal(text, v)
	var syntax *json.SyntaxError
	var other *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		before := text[:min(len(text), int(syntax.Offset))]
		return bad(param, "%s is no JSON: %v, in line %d, byte %d", cmp.Or(param, "the body"), err, 1+strings.Count(string(before), "\n"),
			syntax.Offset)
	case errors.As(err, &other):
		if field := fieldOf(reflect.TypeOf(v), other.Field); field != "" && param != "" {
			param += "." + field
		} else {
			param += field
		}
		return bad(param, "%s: %s, expected %s", cmp.Or(param, "the body"), other.Value, jsonType(other.Type))
	case err != nil:
		return bad(param, "%v", err)
	}
	return nil
}

// fieldOf returns the path of a field without the names of embedded structs, which are no part of JSON.
func fieldOf(t reflect.Type, path string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct {
		name, rest, _ := strings.Cut(path, ".")
		if f, ok := t.FieldByName(name); ok && f.Anonymous {
			return fieldOf(f.Type, rest)
		}
	}
	return path
}

// errTimeout ends what takes longer than the client wants to wait.
var errTimeout = &failure{status: http.StatusGatewayTimeout, kind: "timeout_error", code: "timeout",
	message: "the request takes longer than its header Timeout allows"}

// answers hands a request to the queue, and returns what the model writes. It notes what comes of it.
func (c *call) answers(r gemma4.Request) (iter.Seq2[gemma4.Piece, error], error) {
	c.small()
	pieces, err := c.answersWithin(c.ctx, r)
	if err != nil {
		return nil, refused(err)
	}
	return pieces, nil
}

// answersWithin is answers with a context of its own, and the error as the queue has it.
func (c *call) answersWithin(ctx context.Context, r gemma4.Request) (iter.Seq2[gemma4.Piece, error], error) {
	r.Group, r.Cache, r.Adapters, r.Trace = c.group, c.s.o.Cache, c.adapters(), c.s.metrics.traced(r.Trace)
	predicted := r.Draft.Texts
	r.Draft = c.s.o.Draft
	r.Draft.Texts = append(slices.Clip(r.Draft.Texts), predicted...)
	if len(r.Messages) > 0 && len(r.Tools) == 0 { // nobody would answer a call
		r.Sampling.Suppress = append(slices.Clip(r.Sampling.Suppress), c.s.calls...)
	}
	pieces, err := c.s.q.Submit(ctx, r)
	if err != nil {
		return nil, err
	}
	watch := stopwatch{m: c.s.metrics, began: c.began}
	return func(yield func(gemma4.Piece, error) bool) {
		for p, err := range pieces {
			if err == nil {
				c.count(p, &watch)
			}
			if !yield(p, err) {
				return
			}
		}
	}, nil
}

// do has f use the model in a slot of the queue, for what is no answer, on the terms that answers have.
func (c *call) do(o gemma4.ChatOptions, f func(context.Context, *gemma4.Chat) error) error {
	c.small()
	o.Group, o.Cache, o.Adapters = c.group, c.s.o.Cache, c.adapters()
	asked := time.Now()
	return c.s.q.Do(c.ctx, o, func(ctx context.Context, chat *gemma4.Chat) error {
		c.s.metrics.queue.Observe(time.Since(asked).Seconds())
		return f(ctx, chat)
	})
}

// count notes a piece of an answer.
func (c *call) count(p gemma4.Piece, w *stopwatch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.ID >= 0 {
		c.generated++
		w.token(p.Choice)
	}
	if p.Result == nil {
		return
	}
	if p.Choice == 0 {
		c.prompt += p.Result.Prompt + p.Result.Reused
		c.reused += p.Result.Reused
	}
	c.s.metrics.answered(*p.Result, p.Choice == 0)
	c.reason, c.loosened = p.Result.Reason.String(), p.Result.Loosened
	switch r := p.Result; {
	case r.Reason == gemma4.ReasonLength || r.Reason == gemma4.ReasonContext:
		c.outcome = "length"
	case r.Calls > 0:
		c.outcome = "tool_calls"
	default:
		c.outcome = "stop"
	}
}

// newID returns a name that nothing else has.
func newID(prefix string) string { return prefix + strings.ToLower(rand.Text()) }

// systemFingerprint returns what decides the bytes of answers, beside the request: the model, the kernels and this program.
func systemFingerprint(model, level string) string {
	version := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	sum := sha256.Sum256([]byte(model + "\n" + level + "\n" + version))
	return "fp_" + hex.EncodeToString(sum[:6])
}
