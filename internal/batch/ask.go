package batch

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Between two tries of a request lies a second, and then twice as long each time, up to the limit. A server's Retry-After counts instead,
// up to a limit of its own.
const (
	firstWait  = time.Second
	longWait   = time.Minute
	retryAfter = 10 * time.Minute
)

var errTimeout = errors.New("batch: there was no answer in time")

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// ask asks until there is an answer, or none is to be expected. It returns nil if ctx ends first, or the run has to.
func (r *run) ask(ctx context.Context, q Request) *answer {
	r.running.Add(1)
	defer r.running.Add(-1)
	for try := 0; ; try++ {
		got, err := r.post(ctx, q)
		if err != nil && ctx.Err() != nil {
			return nil
		}
		if end := r.senseless(got, err); end != nil {
			r.stop(end)
			return nil
		}
		again := err != nil && err != errTimeout || busy(got.status)
		if err == nil {
			r.reached.Store(true)
			if !again && json.Valid(got.body) {
				r.lost.Store(0)
				return got.answer(q)
			}
		}
		if !again || try >= r.Retries {
			return r.giveUp(q, got, err)
		}
		r.trouble.Store(got.why(err))
		r.waiting.Add(1)
		err = r.sleep(ctx, pause(try, got.header, time.Now()))
		r.waiting.Add(-1)
		if err != nil {
			return nil
		}
	}
}

// senseless returns why no other request has to be asked after this result, nil if there is no reason.
func (r *run) senseless(got reply, err error) error {
	at := r.base.Redacted()
	var dial *net.OpError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &dial) && dial.Op == "dial" && !r.reached.Load(), // nobody has ever been there
		errors.As(err, &certificate), errors.As(err, &record):
		return fmt.Errorf("batch: %w", err)
	case got.status == http.StatusUnauthorized:
		return fmt.Errorf("batch: %s wants another key: %s", at, got.why(nil))
	case got.status/100 == 3:
		return fmt.Errorf("batch: %s sends requests on, to %s", at, got.header.Get("Location"))
	}
	return nil
}

// giveUp returns what is written of a request without a good answer, and ends the run if there are too many of these in a row.
func (r *run) giveUp(q Request, got reply, err error) *answer {
	a := newAnswer(q)
	switch {
	case err == errTimeout:
		a.Error = &failure{"request_timeout", fmt.Sprintf("there was no answer within %v", r.Timeout)}
	case err != nil:
		a.Error = &failure{"connection_error", err.Error()}
	case !json.Valid(got.body):
		a.Error = &failure{"invalid_response", fmt.Sprintf("the answer is no JSON of at most %d MiB: %s", MaxLine>>20, got.why(nil))}
	default:
		a = got.answer(q)
	}
	if r.lost.Add(1) > int64(r.Parallel) { // whoever says so first ends the run
		r.stop(fmt.Errorf("batch: %d requests in a row had to be given up, the last one for this: %s", r.Parallel+1, a.why()))
	}
	return a
}

// why says why there is no good answer.
func (a *answer) why() string {
	if a.Error != nil {
		return a.Error.Message
	}
	return reply{status: a.Response.StatusCode, body: a.Response.Body}.why(nil)
}

// post asks once.
func (r *run) post(ctx context.Context, q Request) (got reply, err error) {
	if r.Timeout > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeoutCause(ctx, r.Timeout, errTimeout)
		defer cancel()
	}
	defer func() {
		if err != nil && context.Cause(ctx) == errTimeout {
			err = errTimeout
		}
	}()
	u := r.base.JoinPath(strings.TrimPrefix(q.URL, "/v1"))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(q.Body))
	if err != nil {
		return got, err
	}
	h := request.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "gemma4-batch")
	if r.Key != "" {
		h.Set("Authorization", "Bearer "+r.Key)
	}
	if q.URL == "/v1/messages" {
		h.Set("Anthropic-Version", "2023-06-01")
		if r.Key != "" {
			h.Set("X-Api-Key", r.Key)
		}
	}
	response, err := r.client.Do(request)
	if err != nil {
		return got, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxLine))
	if err != nil {
		return got, fmt.Errorf("%s: %w", u.Redacted(), err)
	}
	return reply{response.StatusCode, response.Header, body}, nil
}

// answer makes a line of a reply.
func (g reply) answer(q Request) *answer {
	a := newAnswer(q)
	a.Response = &response{g.status, g.header.Get("X-Request-Id"), g.body}
	return a
}

// why returns err or, if there is none, the status and what the body says or begins with.
func (g reply) why(err error) string {
	if err != nil {
		return err.Error()
	}
	text := fmt.Sprintf("%d %s", g.status, http.StatusText(g.status))
	var e struct{ Error struct{ Message string } }
	if json.Unmarshal(g.body, &e) == nil && e.Error.Message != "" {
		return text + ": " + e.Error.Message
	}
	if body := strings.ToValidUTF8(string(bytes.TrimSpace(g.body[:min(200, len(g.body))])), ""); body != "" {
		return text + ": " + body
	}
	return text
}

// busy reports whether a status says that the same request can have another answer later.
func busy(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout, 529: // overloaded, at Anthropic
		return true
	}
	return false
}

// pause returns how long to wait before the next try.
func pause(try int, h http.Header, now time.Time) time.Duration {
	if after := h.Get("Retry-After"); after != "" {
		if s, err := strconv.ParseFloat(after, 64); err == nil && s >= 0 {
			return time.Duration(min(s, retryAfter.Seconds()) * float64(time.Second))
		}
		if t, err := http.ParseTime(after); err == nil {
			return min(max(0, t.Sub(now)), retryAfter)
		}
	}
	d := min(longWait, firstWait<<min(try, 10))
	return d/2 + rand.N(d/2) // those that were turned away together do not come back together
}

// sleep waits, or returns an error when ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// count adds an answer.
func (p *Progress) count(a *answer) {
	if a.failed() {
		p.Failed++
		p.Failure = a.CustomID + ": " + a.why()
		return
	}
	p.Answered++
	var u struct {
		Usage struct {
			Prompt     int64 `json:"prompt_tokens"`
			Input      int64 `json:"input_tokens"`
			Completion int64 `json:"completion_tokens"`
			Output     int64 `json:"output_tokens"`
		} `json:"usage"`
	}
	if json.Unmarshal(a.Response.Body, &u) == nil {
		p.Prompt += u.Usage.Prompt + u.Usage.Input
		p.Generated += u.Usage.Completion + u.Usage.Output
	}
}
