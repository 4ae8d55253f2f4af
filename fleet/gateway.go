package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// Gateway is an http.Handler that has its requests answered by the workers of a model, with the paths, the answers and the errors of their
// handlers. /health says whether there are workers; /metrics counts the requests of the whole fleet. It lets anybody in.
type Gateway struct {
	Conn  *nats.Conn
	Model string        // as the workers have it
	Beat  time.Duration // as the workers have it; 0: [Beat]
	Wait  time.Duration // how long a request may wait for a worker that begins; 0: ten minutes
	Stall time.Duration // how long a client may take nothing of what it is sent; 0: 30 seconds

	draining atomic.Bool
}

// Drain lets /health fail, so that balancers send requests elsewhere. Those that still come are answered.
func (g *Gateway) Drain() { g.draining.Store(true) }

// unread is how many bytes of an answer may wait for its client.
const unread = 64 << 20

// queueFull is JetStream's code of a stream that has room for no more messages of a subject.
const queueFull = 10077

func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := g.serve(w, r); err != nil {
		err.write(w, r.URL.Path)
	}
}

// serve answers a request, or returns why it was not begun.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) *fault {
	if err := checkModel(g.Model); err != nil {
		return &fault{http.StatusInternalServerError, err.Error()}
	}
	health := r.URL.Path == "/health" || r.URL.Path == "/v1/health"
	switch {
	case health && g.draining.Load():
		return &fault{http.StatusServiceUnavailable, "the gateway is shutting down"}
	case !g.Conn.IsConnected():
		return &fault{http.StatusServiceUnavailable, "the gateway has no connection to its workers"}
	case !g.workers(r.Context()):
		return g.alone()
	case health:
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"status":"ok"}`)
		return nil
	case r.URL.Path == "/metrics":
		return g.metrics(w, r)
	}
	most := (g.Conn.MaxPayload() - 16<<10) / 4 * 3 // base64 makes four bytes of three, and there are other fields
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return &fault{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than max_payload of NATS allows, %d bytes", most)}
	} else if err != nil {
		return &fault{http.StatusBadRequest, "the body did not arrive: " + err.Error()}
	}
	in := request{ID: nuid.Next(), Method: r.Method, Path: r.URL.RequestURI(), Header: http.Header{}, Body: body, Reply: g.Conn.NewInbox()}
	for _, name := range passed {
		if v := r.Header.Values(name); len(v) > 0 {
			in.Header[name] = v
		}
	}
	return g.forward(w, r, in)
}

// workers reports whether there are any: NATS knows.
func (g *Gateway) workers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(g.Beat, Beat))
	defer cancel()
	_, err := g.Conn.RequestWithContext(ctx, getSubject+g.Model, nil)
	return !errors.Is(err, nats.ErrNoResponders)
}

func (g *Gateway) alone() *fault {
	return &fault{http.StatusServiceUnavailable, "no worker is there for " + g.Model}
}

// forward publishes a request and relays its answer.
func (g *Gateway) forward(w http.ResponseWriter, r *http.Request, in request) *fault {
	data := encoded(in)
	if int64(len(data)) > g.Conn.MaxPayload()-1<<10 {
		return &fault{http.StatusRequestEntityTooLarge, "address and headers are longer than max_payload of NATS allows"}
	}
	answer, err := g.Conn.SubscribeSync(in.Reply)
	if err != nil {
		return &fault{http.StatusServiceUnavailable, err.Error()}
	}
	defer answer.Unsubscribe()
	answer.SetPendingLimits(-1, unread)
	a := &relay{
		g: g, w: w, path: r.URL.Path, queued: r.Method == http.MethodPost, pings: wantsEvents(r.URL.Path, in.Body),
		reconnects: g.Conn.Stats().Reconnects,
	}
	js, err := jetstream.New(g.Conn)
	var ack *jetstream.PubAck
	if err == nil && a.queued {
		ack, err = js.Publish(context.WithoutCancel(r.Context()), workSubject+g.Model, data) // or who leaves meanwhile leaves it there
	} else if err == nil {
		err = g.Conn.PublishRequest(getSubject+g.Model, in.Reply, data)
	}
	if full := (*jetstream.APIError)(nil); errors.As(err, &full) && full.ErrorCode == queueFull {
		return &fault{http.StatusTooManyRequests, "the queue of " + g.Model + " is full"}
	} else if err != nil {
		return &fault{http.StatusServiceUnavailable, "the request cannot be queued: " + err.Error()}
	}
	a.kept = func(ctx context.Context) bool {
		ctx, cancel := context.WithTimeout(ctx, cmp.Or(g.Beat, Beat))
		defer cancel()
		s, err := js.Stream(ctx, workStream)
		if err == nil {
			_, err = s.GetMsg(ctx, ack.Sequence)
		}
		return !errors.Is(err, jetstream.ErrMsgNotFound)
	}
	over, bad := a.run(r.Context(), answer)
	if !over {
		answer.Unsubscribe() // whoever begins with it finds nobody; whoever has begun is told; if nobody has, nobody will
		g.Conn.Publish(cancelSubject+in.ID, nil)
		if a.queued {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), missed*cmp.Or(g.Beat, Beat))
			defer cancel()
			if s, err := js.Stream(ctx, workStream); err == nil {
				s.DeleteMsg(ctx, ack.Sequence)
			}
		}
	}
	if bad != nil && a.sent {
		a.write([]byte(bad.event(a.path, a.events)))
		return nil
	}
	return bad
}

// metrics tells what the queue knows, by the names that servers have for it.
func (g *Gateway) metrics(w http.ResponseWriter, r *http.Request) *fault {
	js, err := jetstream.New(g.Conn)
	var queue jetstream.Consumer
	if err == nil {
		queue, err = js.Consumer(r.Context(), workStream, g.Model)
	}
	if err != nil {
		return &fault{http.StatusServiceUnavailable, "the queue does not answer: " + err.Error()}
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	info, line := queue.CachedInfo(), "# HELP %[1]s %[2]s\n# TYPE %[1]s gauge\n%[1]s{model=%[3]q} %[4]d\n"
	fmt.Fprintf(w, line, "gemma4_requests_running", "Requests that workers are answering.", g.Model, info.NumAckPending)
	fmt.Fprintf(w, line, "gemma4_requests_waiting", "Requests that wait for a worker.", g.Model, info.NumPending)
	return nil
}

// events are the ends of paths whose answers may be server-sent events.
var events = regexp.MustCompile(`/(completions|responses|messages)$`)

// wantsEvents reports whether a request asks for server-sent events, which may have comments while it waits.
func wantsEvents(path string, body []byte) bool {
	var v struct{ Stream bool }
	return events.MatchString(path) && json.Unmarshal(body, &v) == nil && v.Stream
}
