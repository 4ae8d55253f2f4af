package fleet

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// relay is the answer to one request on its way to the client.
type relay struct {
	g      *Gateway
	w      http.ResponseWriter
	path   string
	queued bool // else the request went to a worker directly
	pings  bool // comments may be sent while it waits

	kept       func(context.Context) bool // whether the request is in the queue
	reconnects uint64                     // of the connection, before it was put there

	try    uint64 // the delivery that is being answered; 0: none yet
	begins int    // how many workers have begun
	seq    int    // of its last part
	status int
	header http.Header
	body   bytes.Buffer // what was written and is held back
	sent   bool         // the header has left
	begun  bool         // something of the answer has left
	events int          // how many have
}

// run relays until the answer is over, and returns false if its worker does not know that it is. The fault is for the client.
func (a *relay) run(ctx context.Context, answer *nats.Subscription) (over bool, bad *fault) {
	period, wait := cmp.Or(a.g.Beat, Beat), cmp.Or(a.g.Wait, 10*time.Minute)
	heard := time.Now()
	for {
		tick, cancel := context.WithTimeout(ctx, period)
		m, err := answer.NextMsgWithContext(tick)
		cancel()
		silence := time.Since(heard)
		switch {
		case ctx.Err() != nil:
			return false, nil
		case err == nil && len(m.Data) == 0: // nobody takes what needs no slot
			return true, a.g.alone()
		case err == nil:
			heard = time.Now()
			if over, known, bad := a.take(m); over {
				return known, bad
			}
		case errors.Is(err, nats.ErrSlowConsumer): // the gap will show
		case !errors.Is(err, context.DeadlineExceeded):
			return false, &fault{http.StatusServiceUnavailable, "the gateway has lost its connection to the workers"}
		case silence >= missed*period && (a.begun || !a.queued):
			return false, lost
		case silence >= wait:
			return false, &fault{http.StatusServiceUnavailable, fmt.Sprintf("no worker has had a slot for the request in %v", wait)}
		case a.queued && (a.try == 0 || silence >= missed*period) && !a.g.workers(ctx): // one that drains is none, but may yet answer
			return false, a.g.alone()
		case a.queued && (a.try > 0 && silence >= missed*period || a.g.Conn.Stats().Reconnects > a.reconnects) && !a.kept(ctx):
			if n, _, err := answer.Pending(); n > 0 && err == nil {
				continue // its end
			}
			return false, &fault{http.StatusServiceUnavailable, "the request was given up while the gateway could not be reached"}
		case a.pings:
			a.open(http.StatusOK, http.Header{
				"Content-Type": {"text/event-stream"}, "Cache-Control": {"no-store"}, "X-Accel-Buffering": {"no"},
			})
			a.write([]byte(":\n\n"))
		}
	}
}

// prelude is an event that servers write before the model has read the prompt. It is held back until there is an answer: another worker
// would begin with one of its own.
var prelude = regexp.MustCompile(`^(event: (message_start|response\.created|response\.in_progress)\n` +
	`|data: .*"delta":\{"role":"assistant"(,"content":(""|null))?\}).*\n\n$`)

var lost = &fault{http.StatusBadGateway, "the worker that was answering has gone"}

// take deals with an event. It reports whether the answer is over, and whether its worker knows.
func (a *relay) take(m *nats.Msg) (over, known bool, bad *fault) {
	var e event
	if err := json.Unmarshal(m.Data, &e); err != nil {
		return true, false, &fault{http.StatusBadGateway, "a worker says what the gateway does not understand: " + err.Error()}
	}
	switch {
	case e.Try < a.try: // from a worker that was taken for dead: without a reply it will give up
		return false, false, nil
	case e.Try > a.try && a.begun:
		return true, false, lost
	case e.Try > a.try:
		a.try, a.seq, a.header = e.Try, 0, nil
		a.body.Reset()
	}
	switch e.Kind {
	case begin:
		a.begins++
		m.Respond([]byte(strconv.Itoa(a.begins)))
		return false, false, nil
	case beat:
		m.Respond(nil)
		return false, false, nil
	}
	a.seq++
	if e.Status > 0 {
		a.status, a.header = e.Status, e.Header
	}
	if whole := !streams(a.header); whole {
		a.body.Write(e.Data)
		if e.Kind == part || e.Seq != a.seq && e.Fault == "" { // without a reply to its end all of it comes again
			return false, false, nil
		}
		m.Respond(nil)
		if e.Fault != "" {
			return true, true, &fault{http.StatusBadGateway, e.Fault}
		}
		return true, true, a.all()
	}
	if e.Seq != a.seq {
		return true, false, &fault{http.StatusBadGateway, "a part of the answer was lost on the way"}
	}
	a.open(a.status, a.header)
	if bytes.HasPrefix(e.Data, []byte(":")) { // a comment is no part of an answer
		a.write(e.Data)
		return false, false, nil
	}
	a.body.Write(e.Data)
	if e.Kind == part && (len(e.Data) == 0 || !a.begun && prelude.Match(e.Data)) {
		return false, false, nil
	}
	a.begun, a.events = true, a.events+bytes.Count(a.body.Bytes(), []byte("\n\n"))
	a.write(a.body.Bytes())
	a.body.Reset()
	if e.Fault != "" {
		return true, true, &fault{http.StatusBadGateway, e.Fault}
	}
	return e.Kind == end, true, nil
}

// all sends an answer that has come to its end before any of it was sent. If its header was, because the client had to wait for a stream,
// then what is no stream is an error.
func (a *relay) all() *fault {
	if a.sent {
		return &fault{a.status, message(a.body.Bytes())}
	}
	a.w.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
	a.open(a.status, a.header)
	a.write(a.body.Bytes())
	return nil
}

// open sends the header, once.
func (a *relay) open(status int, h http.Header) {
	if a.sent {
		return
	}
	a.sent = true
	for name, values := range h {
		a.w.Header()[name] = values
	}
	a.w.WriteHeader(status)
}

// write sends what the client is to have now. If it takes nothing for too long, its connection and with it the request's context end.
func (a *relay) write(data []byte) {
	control := http.NewResponseController(a.w)
	control.SetWriteDeadline(time.Now().Add(cmp.Or(a.g.Stall, 30*time.Second)))
	a.w.Write(data)
	control.Flush()
	control.SetWriteDeadline(time.Time{})
}

// message is what the body of an error says, in any protocol.
func message(body []byte) string {
	var v struct {
		Error struct{ Message string }
	}
	if json.Unmarshal(body, &v) == nil && v.Error.Message != "" {
		return v.Error.Message
	}
	return strings.TrimSpace(string(body))
}
