package fleet

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// pulse is the beat of tests in which somebody dies: three of them, and a worker counts as dead. All others have [Beat]: a busy machine may
// stand still for a while.
const pulse = time.Second

// broker starts a NATS server with JetStream on a free port, and returns its address.
func broker(t *testing.T) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(90 * time.Second) {
		t.Fatal("the broker does not start")
	}
	return s.ClientURL()
}

func dial(t *testing.T, url string, options ...nats.Option) *nats.Conn {
	t.Helper()
	c, err := nats.Connect(url, append(options, nats.MaxReconnects(-1), nats.Timeout(90*time.Second))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// hand is a worker in a test.
type hand struct {
	conn   *nats.Conn
	served atomic.Int64  // requests that reached its handler
	finish chan bool     // for a handler that waits
	quit   func()        // has it drain
	done   chan struct{} // closed when Run has returned
	err    error         // what Run has returned
}

// kill cuts a worker off, as a power cut would.
func (h *hand) kill() { h.conn.Close() }

// hire starts a worker and waits until it takes requests. Its fields are set but for Handler, Model and Log; Conn may be.
func hire(t *testing.T, url string, w Worker, answer func(h *hand, w http.ResponseWriter, r *http.Request)) *hand {
	t.Helper()
	if w.Conn == nil {
		w.Conn = dial(t, url)
	}
	h := &hand{conn: w.Conn, finish: make(chan bool), done: make(chan struct{})}
	ctx, quit := context.WithCancel(t.Context())
	h.quit = quit
	w.Model = "nano"
	w.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.served.Add(1)
		answer(h, w, r)
	})
	ready := make(chan bool)
	w.Log = slog.New(slog.NewTextHandler(said(func(line string) {
		if strings.Contains(line, "worker ready") {
			close(ready)
		}
	}), nil))
	go func() {
		defer close(h.done)
		h.err = w.Run(ctx)
	}()
	t.Cleanup(func() { quit(); <-h.done })
	select {
	case <-ready:
	case <-h.done:
		t.Fatalf("the worker ended with %v", h.err)
	}
	if err := h.conn.FlushTimeout(90 * time.Second); err != nil { // then NATS knows of it
		t.Fatal(err)
	}
	return h
}

// said is what takes the lines of a log.
type said func(line string)

func (s said) Write(line []byte) (int, error) {
	s(string(line))
	return len(line), nil
}

// front starts a gateway.
func front(t *testing.T, url string, g *Gateway) *httptest.Server {
	t.Helper()
	g.Conn, g.Model = dial(t, url), "nano"
	s := httptest.NewServer(g)
	t.Cleanup(s.Close)
	return s
}

// post sends a request and returns status and body.
func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	status, _, text := do(t, "POST", url, body)
	return status, text
}

// ask sends a request, and returns where the body of its answer will come.
func ask(t *testing.T, url string) <-chan string {
	got := make(chan string, 1)
	go func() {
		_, body := post(t, url, "")
		got <- body
	}()
	return got
}

func do(t *testing.T, method, url, body string) (int, http.Header, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return 0, nil, ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return res.StatusCode, res.Header, string(text)
}

// wait waits for a channel.
func wait[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(90 * time.Second):
		t.Fatal(what + " does not come")
	}
	return v
}

// say writes and flushes an event.
func say(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/event-stream")
	io.WriteString(w, text)
	w.(http.Flusher).Flush()
}

// queued is how many requests lie in the queue.
func queued(t *testing.T, url, stream string) uint64 {
	t.Helper()
	js, err := jetstream.New(dial(t, url))
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// emptied waits until nothing lies in the queue.
func emptied(t *testing.T, url string) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); queued(t, url, workStream) > 0; {
		if time.Now().After(end) {
			t.Fatalf("%d requests stay in the queue", queued(t, url, workStream))
		}
		time.Sleep(pulse / 10)
	}
}

func TestAnswersAreThoseOfTheHandler(t *testing.T) {
	url := broker(t)
	long := strings.Repeat("0123456789abcdef", 200_000) // more than a message may have
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Method+" "+r.RequestURI+" "+r.Header.Get("Anthropic-Version")+r.Header.Get("Authorization"))
		switch r.URL.Path {
		case "/echo":
			w.Write(body)
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 100 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				w.(http.Flusher).Flush()
			}
		case "/long":
			io.WriteString(w, long)
		case "/longevents":
			say(w, "data: "+long+"\n\n")
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		case "/nothing":
		case "/late":
			w.WriteHeader(http.StatusTeapot)
			w.Header().Set("X-Late", "1")
			w.WriteHeader(http.StatusOK)
			io.WriteString(w, "short and stout")
		default:
			http.NotFound(w, r)
		}
	})
	hire(t, url, Worker{Slots: 2}, func(_ *hand, w http.ResponseWriter, r *http.Request) { handler(w, r) })
	gateway, alone := front(t, url, &Gateway{}), httptest.NewServer(handler)
	defer alone.Close()
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/echo?a=b&c=%2F", "\x00\xff no JSON"}, {"POST", "/events", ""}, {"GET", "/events", ""}, {"POST", "/long", ""},
		{"POST", "/longevents", ""}, {"GET", "/long", ""}, {"POST", "/empty", ""}, {"POST", "/nothing", ""}, {"POST", "/late", ""},
		{"POST", "/unknown", ""}, {"DELETE", "/unknown", ""}, {"HEAD", "/echo", ""},
	} {
		t.Run(c.method+c.path, func(t *testing.T) {
			status, header, body := do(t, c.method, gateway.URL+c.path, c.body)
			wantStatus, wantHeader, want := do(t, c.method, alone.URL+c.path, c.body)
			if status != wantStatus || body != want {
				t.Errorf("%d, %d bytes %.40q; alone %d, %d bytes %.40q", status, len(body), body, wantStatus, len(want), want)
			}
			for _, name := range []string{"Content-Type", "X-Seen", "X-Late"} {
				if got, want := header.Get(name), wantHeader.Get(name); got != want {
					t.Errorf("%s: %q, alone %q", name, got, want)
				}
			}
		})
	}
	emptied(t, url)
}

// The first worker that has the request dies of it; what it had said by then differs.
func TestDeadWorkersRequestGoesToAnother(t *testing.T) {
	const role = `data: {"choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}]}` + "\n\n"
	const gone = "the worker that was answering has gone"
	for _, c := range []struct{ path, first, answer, want string }{
		{"/v1/chat/completions", "", `{"a":1}`, `{"a":1}`},
		{"/v1/embeddings", "half of a JSON", `{"a":1}`, `{"a":1}`},
		{"/v1/chat/completions", ":\n\n", "data: 1\n\ndata: 2\n\n", ":\n\ndata: 1\n\ndata: 2\n\n"},
		{"/v1/chat/completions", role, "data: 2\n\n", "data: 2\n\n"},
		{"/v1/messages", "event: message_start\ndata: {}\n\n", "data: 2\n\n", "data: 2\n\n"},
		{"/v1/responses", "event: response.created\ndata: {}\n\n", "data: 2\n\n", "data: 2\n\n"},
		{"/v1/chat/completions", "data: 1\n\n", "data: 1\n\ndata: 2\n\n",
			"data: 1\n\n" + `data: {"error":{"code":502,"message":"` + gone + `","param":null,"type":"server_error"}}` + "\n\n"},
		{"/v1/messages", "event: a\ndata: 1\n\n", "data: 1\n\n", "event: a\ndata: 1\n\nevent: error\ndata: " +
			`{"error":{"message":"` + gone + `","type":"api_error"},"type":"error"}` + "\n\n"},
		{"/v1/responses", "data: 1\n\ndata: 2\n\n", "data: 1\n\n", "data: 1\n\ndata: 2\n\nevent: error\ndata: " +
			`{"code":"server_error","message":"` + gone + `","param":null,"sequence_number":2,"type":"error"}` + "\n\n"},
		{"/api/chat", "{}\n", "{}\n{}\n", "{}\n" + `{"error":"` + gone + `"}` + "\n"},
	} {
		t.Run(fmt.Sprintf("%s %.5q", c.path, c.first), func(t *testing.T) {
			t.Parallel()
			url := broker(t)
			write := func(w http.ResponseWriter, text string) {
				switch {
				case text == "":
					return
				case c.path == "/api/chat":
					w.Header().Set("Content-Type", "application/x-ndjson")
				case strings.Contains(text, "data:") || text[0] == ':':
					w.Header().Set("Content-Type", "text/event-stream")
				}
				io.WriteString(w, text)
				w.(http.Flusher).Flush()
			}
			var once sync.Once
			seen := make(chan string, 1)
			answer := func(h *hand, w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				dies := false
				once.Do(func() { dies = true })
				if dies {
					write(w, c.first)
					h.conn.Flush()
					h.kill()
					return
				}
				seen <- string(body)
				write(w, c.answer)
			}
			hands := []*hand{hire(t, url, Worker{Beat: 2 * pulse}, answer), hire(t, url, Worker{Beat: 2 * pulse}, answer)}
			status, got := post(t, front(t, url, &Gateway{Beat: pulse}).URL+c.path, "question")
			if status != http.StatusOK || got != c.want {
				t.Errorf("%d\n%s\nwant\n%s", status, got, c.want)
			}
			if strings.HasSuffix(c.want, c.answer) {
				one, two := hands[0].served.Load(), hands[1].served.Load()
				if body := wait(t, "the second worker's request", seen); body != "question" || one != 1 || two != 1 {
					t.Errorf("the second worker was asked %q, the workers %d and %d times", body, one, two)
				}
			}
			emptied(t, url)
		})
	}
}

func TestRequestThatKillsWorkersIsGivenUp(t *testing.T) {
	url := broker(t)
	for range 3 {
		hire(t, url, Worker{Tries: 2, Beat: pulse}, func(h *hand, w http.ResponseWriter, r *http.Request) { h.kill() })
	}
	status, body := post(t, front(t, url, &Gateway{}).URL+"/v1/completions", "poison")
	if want := "2 workers have begun with the request and not ended"; status != http.StatusBadGateway || !strings.Contains(body, want) {
		t.Errorf("%d %s, want %d and %q", status, body, http.StatusBadGateway, want)
	}
	emptied(t, url)
	if n := queued(t, url, deadStream); n != 1 {
		t.Errorf("%d requests among the dead, want 1", n)
	}
}

// temp takes the next request of the queue as a worker would.
func temp(t *testing.T, url string) jetstream.Msg {
	t.Helper()
	js, err := jetstream.New(dial(t, url))
	if err != nil {
		t.Fatal(err)
	}
	queue, err := js.Consumer(t.Context(), workStream, "nano")
	if err != nil {
		t.Fatal(err)
	}
	m, err := queue.Next(jetstream.FetchMaxWait(90 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Workers had the request and could not tell its gateway that they begin.
func TestDeliveriesAreNoBeginnings(t *testing.T) {
	url := broker(t)
	began := make(chan bool, 2)
	h := hire(t, url, Worker{Tries: 2}, func(h *hand, w http.ResponseWriter, r *http.Request) {
		began <- true
		if r.URL.Path == "/busy" {
			<-h.finish
		}
		io.WriteString(w, "fine")
	})
	gateway := front(t, url, &Gateway{})
	busy := ask(t, gateway.URL+"/busy")
	wait(t, "the handler", began)
	got := ask(t, gateway.URL+"/v1/completions")
	for range 2 {
		temp(t, url).Nak()
	}
	h.finish <- true
	for _, c := range []<-chan string{busy, got} {
		if body := wait(t, "the answer", c); body != "fine" {
			t.Error(body)
		}
	}
	emptied(t, url)
}

// Workers that do not reach a gateway give its requests up. It may be there all the same.
func TestRequestThatIsGivenUpIsMissed(t *testing.T) {
	for name, begins := range map[string]bool{"before it was begun": false, "in the middle": true} {
		t.Run(name, func(t *testing.T) {
			url := broker(t)
			began := make(chan bool, 1)
			h := hire(t, url, Worker{}, func(h *hand, w http.ResponseWriter, r *http.Request) {
				began <- true
				<-h.finish
			})
			g := &Gateway{Beat: pulse}
			other, gateway := front(t, url, &Gateway{}), front(t, url, g)
			busy := make(chan int, 1)
			go func() {
				status, _ := post(t, other.URL+"/v1/completions", "")
				busy <- status
			}()
			wait(t, "the handler", began)
			got := ask(t, gateway.URL+"/v1/completions")
			m := temp(t, url)
			var r request
			if err := json.Unmarshal(m.Data(), &r); err != nil {
				t.Fatal(err)
			}
			tell := func(e event) {
				if _, err := g.Conn.Request(r.Reply, encoded(e), 90*time.Second); err != nil {
					t.Fatal(err)
				}
			}
			tell(event{Kind: beat}) // of no delivery: now it knows that the queue has its request
			if begins {
				tell(event{Kind: begin, Try: 1})
			} else if err := g.Conn.ForceReconnect(); err != nil {
				t.Fatal(err)
			}
			if err := m.DoubleAck(t.Context()); err != nil {
				t.Fatal(err)
			}
			if body := wait(t, "the answer", got); !strings.Contains(body, "given up") {
				t.Error(body)
			}
			h.finish <- true
			if status := wait(t, "the other answer", busy); status != http.StatusOK {
				t.Errorf("the other answer has status %d", status)
			}
		})
	}
}

func TestHandlerThatPanicsEndsItsAnswerOnly(t *testing.T) {
	url := broker(t)
	h := hire(t, url, Worker{}, func(_ *hand, w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/whole":
			panic("oh")
		case "/stream":
			say(w, "data: 1\n\n")
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "fine")
	})
	gateway := front(t, url, &Gateway{})
	for path, want := range map[string]string{
		"/whole":  "the worker broke off",
		"/stream": "data: 1\n\ndata: {\"error\"",
		"/else":   "fine",
	} {
		if _, body := post(t, gateway.URL+path, ""); !strings.Contains(body, want) {
			t.Errorf("%s: %s, want %q", path, body, want)
		}
	}
	if n := h.served.Load(); n != 3 {
		t.Errorf("%d requests reached the handler, want 3", n)
	}
	emptied(t, url)
}

func TestClientThatLeavesCancels(t *testing.T) {
	url := broker(t)
	began, ended := make(chan bool, 2), make(chan error, 2)
	h := hire(t, url, Worker{}, func(_ *hand, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			say(w, "data: 1\n\n")
		}
		began <- true
		<-r.Context().Done()
		ended <- context.Cause(r.Context())
	})
	gateway := front(t, url, &Gateway{})
	for _, path := range []string{"/whole", "/stream"} {
		leaves := func(ctx context.Context, path string) <-chan error {
			left := make(chan error, 1)
			r, err := http.NewRequestWithContext(ctx, "POST", gateway.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				res, err := http.DefaultClient.Do(r)
				if err == nil {
					_, err = io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
				left <- err
			}()
			return left
		}
		ctx, leave := context.WithCancel(t.Context())
		first := leaves(ctx, path)
		wait(t, "the handler", began)
		others, leaveBehind := context.WithCancel(t.Context())
		behind := leaves(others, "/behind") // has no slot
		for queued(t, url, workStream) < 2 {
			time.Sleep(pulse / 10)
		}
		leaveBehind()
		for queued(t, url, workStream) > 1 { // or there is a slot before the gateway knows
			time.Sleep(pulse / 10)
		}
		leave()
		if err := wait(t, "the handler's end", ended); !errors.Is(err, errGone) {
			t.Errorf("%s: the handler's context ended with %v, want %v", path, err, errGone)
		}
		for _, c := range []<-chan error{first, behind} {
			if err := wait(t, "the client's end", c); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", path, err)
			}
		}
		emptied(t, url)
	}
	if n := h.served.Load(); n != 2 {
		t.Errorf("%d requests reached the handler, want the 2 that had begun when their clients left", n)
	}
}

// A client leaves as soon as a worker has begun: the gateway's word comes right after its reply.
func TestClientThatLeavesAtTheBeginningCancels(t *testing.T) {
	url := broker(t)
	ended := make(chan error, 1)
	hire(t, url, Worker{Beat: time.Hour}, func(_ *hand, w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		ended <- context.Cause(r.Context())
	})
	gateway := dial(t, url)
	r := request{ID: "1", Method: "POST", Path: "/v1/completions", Reply: gateway.NewInbox()}
	if _, err := gateway.Subscribe(r.Reply, func(m *nats.Msg) {
		m.Respond(nil)
		gateway.Publish(cancelSubject+r.ID, nil)
	}); err != nil {
		t.Fatal(err)
	}
	if err := gateway.Publish(workSubject+"nano", encoded(r)); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, "the handler's end", ended); !errors.Is(err, errGone) {
		t.Errorf("%v, want %v", err, errGone)
	}
	emptied(t, url)
}

func TestWorkerStopsWhenItsGatewayIsDead(t *testing.T) {
	url := broker(t)
	began, ended := make(chan bool, 1), make(chan error, 1)
	hire(t, url, Worker{Beat: pulse}, func(_ *hand, w http.ResponseWriter, r *http.Request) {
		began <- true
		<-r.Context().Done()
		ended <- context.Cause(r.Context())
	})
	g := &Gateway{}
	gateway := front(t, url, g)
	go func() {
		if res, err := http.Post(gateway.URL+"/v1/completions", "", nil); err == nil {
			res.Body.Close()
		}
	}()
	wait(t, "the handler", began)
	g.Conn.Close()
	if err := wait(t, "the handler's end", ended); !errors.Is(err, errGone) {
		t.Errorf("%v, want %v", err, errGone)
	}
	emptied(t, url)
}

func TestWritesEndWithTheRequest(t *testing.T) {
	url := broker(t)
	began, ended := make(chan bool), make(chan error, 1)
	hire(t, url, Worker{}, func(_ *hand, w http.ResponseWriter, r *http.Request) {
		began <- true
		<-r.Context().Done()
		_, err := w.Write(make([]byte, 5<<20)) // more than one message of NATS takes
		ended <- err
	})
	gateway := front(t, url, &Gateway{})
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		r, _ := http.NewRequestWithContext(ctx, http.MethodPost, gateway.URL+"/v1/completions", nil)
		if res, err := http.DefaultClient.Do(r); err == nil {
			res.Body.Close()
		}
	}()
	wait(t, "the handler", began)
	leave()
	if err := wait(t, "the end of a write", ended); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
}

// A reader that is slower than its answer keeps no slot; one that takes nothing is cut off.
func TestSlowReadersKeepNoSlot(t *testing.T) {
	url := broker(t)
	event := "data: " + strings.Repeat("x", 10_000) + "\n\n"
	const events = 1000 // 10 MB: more than sockets hold
	written := make(chan bool, 2)
	hire(t, url, Worker{}, func(_ *hand, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/quick" {
			return
		}
		for range events {
			say(w, event)
		}
		written <- true
	})
	gateway, hasty := front(t, url, &Gateway{Stall: time.Minute}), &Gateway{Stall: time.Second}
	front(t, url, hasty)
	ended := make(chan bool, 1)
	cutting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hasty.ServeHTTP(w, r)
		ended <- true
	}))
	defer cutting.Close()
	slow := func(s *httptest.Server) (*bufio.Reader, net.Conn) {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		fmt.Fprintf(c, "POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
		return bufio.NewReader(c), c
	}
	reader, _ := slow(gateway)
	wait(t, "all of an answer nobody reads", written)
	if status, _ := post(t, gateway.URL+"/quick", ""); status != http.StatusOK {
		t.Errorf("another request: status %d", status)
	}
	res, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range events {
		got := make([]byte, len(event))
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != event {
			t.Fatalf("event %d: %.20q %v", i, got, err)
		}
		if i%100 == 0 {
			time.Sleep(20 * time.Millisecond) // slow, but not for as long as Stall
		}
	}
	_, dead := slow(cutting)
	wait(t, "the end of a reader that takes nothing", ended)
	dead.SetReadDeadline(time.Now().Add(time.Minute))
	n, err := io.Copy(io.Discard, dead)
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() || n >= int64(events*len(event)) {
		t.Errorf("a reader that took nothing got %d bytes and %v, want the connection's end before all %d", n, err, events*len(event))
	}
	emptied(t, url)
}

func TestDrainingWorkerFinishesItsAnswers(t *testing.T) {
	url := broker(t)
	began := make(chan *hand, 4)
	answer := func(h *hand, w http.ResponseWriter, r *http.Request) {
		began <- h
		select {
		case <-h.finish: // its own: two of them wait at a time
			io.WriteString(w, "finished")
		case <-r.Context().Done():
			io.WriteString(w, "nobody may see this")
		}
	}
	gateway := front(t, url, &Gateway{})
	first := hire(t, url, Worker{}, answer)
	one := ask(t, gateway.URL+"/v1/completions")
	wait(t, "the first request", began)
	first.quit()
	second := hire(t, url, Worker{Drain: pulse}, answer)
	two := ask(t, gateway.URL+"/v1/completions")
	if h := wait(t, "the second request", began); h != second {
		t.Error("a worker that drains has begun with a request")
	}
	first.finish <- true
	if got := wait(t, "the first answer", one); got != "finished" {
		t.Errorf("the first answer is %q", got)
	}
	wait(t, "the first worker's end", first.done)
	if first.err != nil {
		t.Errorf("the first worker ended with %v", first.err)
	}
	third := hire(t, url, Worker{}, answer)
	second.quit() // and two is not finished in time
	if h := wait(t, "the second request again", began); h != third {
		t.Error("the request went to another worker than the one that is there")
	}
	third.finish <- true
	if got := wait(t, "the second answer", two); got != "finished" {
		t.Errorf("the second answer is %q", got)
	}
	emptied(t, url)
}

// The last worker drains: it takes no requests, but that which it has begun with is not lost.
func TestTheLastWorkerFinishesItsAnswers(t *testing.T) {
	url := broker(t)
	began := make(chan bool, 1)
	h := hire(t, url, Worker{Beat: 4 * pulse}, func(h *hand, w http.ResponseWriter, r *http.Request) {
		began <- true
		<-h.finish
		io.WriteString(w, "finished")
	})
	gateway := front(t, url, &Gateway{Beat: 3 * pulse}) // between two beats of the worker it looks for others
	got := ask(t, gateway.URL+"/v1/completions")
	wait(t, "the handler", began)
	h.quit()
	time.Sleep(4 * pulse)
	if status, body := post(t, gateway.URL+"/v1/completions", ""); status != http.StatusServiceUnavailable {
		t.Errorf("another request: %d %s", status, body)
	}
	h.finish <- true
	if got := wait(t, "the answer", got); got != "finished" {
		t.Errorf("the answer is %q", got)
	}
	wait(t, "the worker's end", h.done)
	emptied(t, url)
}

// gate is a connection from which nothing is read while it is shut.
type gate struct {
	net.Conn
	shut sync.Mutex
}

func (g *gate) Dial(network, address string) (c net.Conn, err error) {
	g.Conn, err = net.Dial(network, address)
	return g, err
}

func (g *gate) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	g.shut.Lock()
	defer g.shut.Unlock()
	return n, err
}

// What needs no slot came to a worker before NATS knew that it was leaving.
func TestWorkerThatLeavesAnswersWhatHadCome(t *testing.T) {
	url := broker(t)
	began := make(chan bool, 1)
	g := &gate{}
	h := hire(t, url, Worker{Beat: time.Minute, Conn: dial(t, url, nats.SetCustomDialer(g))},
		func(h *hand, w http.ResponseWriter, r *http.Request) {
			began <- true
			<-h.finish
			io.WriteString(w, "finished")
		})
	gateway := dial(t, url)
	answer := make(chan string, 1)
	sub, err := gateway.Subscribe(gateway.NewInbox(), func(m *nats.Msg) {
		m.Respond(nil)
		answer <- string(m.Data)
	})
	if err != nil {
		t.Fatal(err)
	}
	g.shut.Lock()
	r := request{ID: "1", Method: "GET", Path: "/v1/models", Reply: sub.Subject}
	if err := gateway.Publish(getSubject+"nano", encoded(r)); err != nil {
		t.Fatal(err)
	}
	if err := gateway.FlushTimeout(90 * time.Second); err != nil { // then it is on its way
		t.Fatal(err)
	}
	h.quit()
	for err = nil; !errors.Is(err, nats.ErrNoResponders); _, err = gateway.Request(getSubject+"nano", nil, pulse/10) {
	}
	g.shut.Unlock()
	wait(t, "the handler", began)
	select {
	case <-h.done:
		t.Fatal("the worker has ended before its answer")
	case <-time.After(pulse / 2):
	}
	h.finish <- true
	wait(t, "the worker's end", h.done)
	if got := wait(t, "the answer", answer); !strings.Contains(got, `"kind":"end"`) {
		t.Errorf("%s, want an end", got)
	}
}

func TestRequestsWithoutWorkersFailAtOnce(t *testing.T) {
	url := broker(t)
	g := &Gateway{}
	gateway := front(t, url, g)
	shapes := map[string]string{
		"/v1/chat/completions": `{"error":{"code":503,"message":"no worker is there for nano","param":null,"type":"unavailable_error"}}`,
		"/v1/messages":         `{"error":{"message":"no worker is there for nano","type":"overloaded_error"},"type":"error"}`,
		"/api/chat":            `{"error":"no worker is there for nano"}`,
	}
	fails := func() {
		t.Helper()
		for path, want := range shapes {
			status, header, body := do(t, "POST", gateway.URL+path, "{}")
			if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || body != want {
				t.Errorf("%s: %d, Retry-After %q, %s; want 503 and %s", path, status, header.Get("Retry-After"), body, want)
			}
		}
		for _, path := range []string{"/health", "/v1/models"} {
			if status, _, _ := do(t, "GET", gateway.URL+path, ""); status != http.StatusServiceUnavailable {
				t.Errorf("%s: %d, want 503", path, status)
			}
		}
	}
	fails()
	h := hire(t, url, Worker{}, func(_ *hand, w http.ResponseWriter, r *http.Request) { io.WriteString(w, "fine") })
	for _, path := range []string{"/health", "/v1/models", "/metrics"} {
		if status, _, body := do(t, "GET", gateway.URL+path, ""); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	h.quit()
	<-h.done
	fails()
	hire(t, url, Worker{}, func(_ *hand, w http.ResponseWriter, r *http.Request) {})
	g.Drain()
	if status, _, _ := do(t, "GET", gateway.URL+"/health", ""); status != http.StatusServiceUnavailable {
		t.Errorf("/health of a gateway that drains: %d", status)
	}
	if status, _ := post(t, gateway.URL+"/v1/completions", ""); status != http.StatusOK {
		t.Errorf("a request to a gateway that drains: %d", status)
	}
	g.Conn.Close()
	if status, _ := post(t, gateway.URL+"/v1/completions", ""); status != http.StatusServiceUnavailable {
		t.Errorf("a request to a gateway without NATS: %d", status)
	}
}

// All workers die while requests wait: who streams has been sent comments, and is told in the stream.
func TestRequestsThatLoseAllWorkersFail(t *testing.T) {
	url := broker(t)
	began := make(chan bool, 1)
	h := hire(t, url, Worker{}, func(_ *hand, w http.ResponseWriter, r *http.Request) {
		began <- true
		<-r.Context().Done()
	})
	gateway := front(t, url, &Gateway{Beat: pulse})
	busy := ask(t, gateway.URL+"/v1/completions")
	wait(t, "the handler", began)
	res, err := http.Post(gateway.URL+"/v1/chat/completions", "", strings.NewReader(`{"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	reader := bufio.NewReader(res.Body)
	if line, err := reader.ReadString('\n'); line != ":\n" || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("a stream that waits begins with %q %v", line, err)
	}
	h.kill()
	rest, err := io.ReadAll(reader)
	if want := `data: {"error":{"code":503,"message":"no worker is there for nano"`; err != nil || !strings.Contains(string(rest), want) {
		t.Errorf("%q %v, want %s", rest, err, want)
	}
	if got := wait(t, "the other answer", busy); !strings.Contains(got, "no worker is there") {
		t.Error(got)
	}
	emptied(t, url)
}

// A stream that had to wait has status 200 when its worker refuses it.
func TestErrorOfAStreamThatWaitedComesInTheStream(t *testing.T) {
	url := broker(t)
	began, finish := make(chan bool, 2), make(chan bool, 2)
	hire(t, url, Worker{}, func(_ *hand, w http.ResponseWriter, r *http.Request) {
		began <- true
		<-finish
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":{"message":"no such field"}}`)
	})
	gateway := front(t, url, &Gateway{Beat: pulse})
	first := make(chan int, 1)
	go func() {
		status, _ := post(t, gateway.URL+"/v1/completions", "")
		first <- status
	}()
	wait(t, "the handler", began)
	res, err := http.Post(gateway.URL+"/v1/messages", "", strings.NewReader(`{"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	finish <- true
	finish <- true
	body, err := io.ReadAll(res.Body)
	want := "event: error\ndata: {\"error\":{\"message\":\"no such field\",\"type\":\"invalid_request_error\"},\"type\":\"error\"}\n\n"
	if got := strings.ReplaceAll(string(body), ":\n\n", ""); err != nil || got != want {
		t.Errorf("%q %v, want %q", got, err, want)
	}
	if status := wait(t, "the first answer", first); status != http.StatusBadRequest {
		t.Errorf("the first answer has status %d", status)
	}
}

func TestFullQueueSaysTryLater(t *testing.T) {
	url := broker(t)
	began, finish := make(chan bool, 3), make(chan bool)
	hire(t, url, Worker{Waiting: 2}, func(_ *hand, w http.ResponseWriter, r *http.Request) {
		began <- true
		<-finish
	})
	gateway := front(t, url, &Gateway{})
	var clients sync.WaitGroup
	for range 2 {
		clients.Go(func() { post(t, gateway.URL+"/v1/completions", "") })
	}
	wait(t, "the handler", began)
	for queued(t, url, workStream) < 2 {
		time.Sleep(pulse / 10)
	}
	for path, want := range map[string]int{"/v1/completions": http.StatusTooManyRequests, "/v1/messages": 529} {
		if status, header, body := do(t, "POST", gateway.URL+path, ""); status != want || header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
	}
	_, _, text := do(t, "GET", gateway.URL+"/metrics", "")
	for _, want := range []string{`gemma4_requests_running{model="nano"} 1`, `gemma4_requests_waiting{model="nano"} 1`} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	close(finish)
	clients.Wait()
	emptied(t, url)
}

func TestRequestThatWaitsTooLongIsTakenBack(t *testing.T) {
	url := broker(t)
	began, finish := make(chan bool, 1), make(chan bool)
	h := hire(t, url, Worker{}, func(_ *hand, w http.ResponseWriter, r *http.Request) {
		began <- true
		<-finish
	})
	first := make(chan int, 1)
	go func() {
		status, _ := post(t, front(t, url, &Gateway{}).URL+"/v1/completions", "")
		first <- status
	}()
	wait(t, "the handler", began)
	status, body := post(t, front(t, url, &Gateway{Beat: pulse, Wait: 2 * pulse}).URL+"/v1/completions", "")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "no worker has had a slot") {
		t.Errorf("%d %s", status, body)
	}
	close(finish)
	if status := wait(t, "the first answer", first); status != http.StatusOK || h.served.Load() != 1 {
		t.Errorf("the first answer has status %d, the handler saw %d requests", status, h.served.Load())
	}
	emptied(t, url)
}

func TestBodyThatNATSCannotCarryIsRefused(t *testing.T) {
	url := broker(t)
	hire(t, url, Worker{}, func(_ *hand, w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	gateway := front(t, url, &Gateway{})
	const most = (1<<20 - 16<<10) / 4 * 3
	status, body := post(t, gateway.URL+"/v1/completions", strings.Repeat("x", most))
	if status != http.StatusOK || body != fmt.Sprint(most) {
		t.Errorf("%d bytes: %d %.100s", most, status, body)
	}
	status, body = post(t, gateway.URL+"/v1/completions", strings.Repeat("x", most+1))
	if want := fmt.Sprintf("larger than max_payload of NATS allows, %d bytes", most); status != http.StatusRequestEntityTooLarge ||
		!strings.Contains(body, want) {
		t.Errorf("%d %s, want %q", status, body, want)
	}
	r, err := http.NewRequest("POST", gateway.URL+"/v1/completions", bytes.NewReader(make([]byte, most)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", strings.Repeat("x", 17<<10))
	res, err := http.DefaultClient.Do(r)
	if err != nil || res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("long headers: %v %v", res, err)
	}
}

func TestModelsNamesAreChecked(t *testing.T) {
	for _, name := range []string{"", "a.b", "*", ">", "a b", "ü"} {
		if err := (&Worker{Model: name}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "name") {
			t.Errorf("%q: %v", name, err)
		}
		w := httptest.NewRecorder()
		(&Gateway{Model: name}).ServeHTTP(w, httptest.NewRequest("GET", "/health", nil))
		if w.Code != http.StatusInternalServerError {
			t.Errorf("%q: %d", name, w.Code)
		}
	}
}
