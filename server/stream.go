package server

import (
	"bytes"
	"cmp"
	"net/http"
	"sync"
	"time"
)

// stream is an answer that is written piece by piece: as server-sent events, or as lines of JSON.
//
// A nil stream is one that was not begun.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration // how long one write may take
	every   time.Duration // of silence between pings
	ping    []byte
	lines   bool // of JSON, instead of events

	mu    sync.Mutex
	timer *time.Timer // until the next ping; nil: the first event comes before any
	ended bool
	err   error // of the first write that failed: the client has gone
}

// events begins a stream of server-sent events. Between them it pings, and from now on where pings are comments; where they are events, the
// first is the protocol's own.
func (c *call) events() *stream {
	return c.begin("text/event-stream", []byte(cmp.Or(c.protocol.ping, ":\n\n")), false)
}

// lines begins a stream of lines of JSON. A ping is such a line, too; without one there is none.
func (c *call) lines(ping []byte) *stream { return c.begin("application/x-ndjson", ping, true) }

func (c *call) begin(contentType string, ping []byte, lines bool) *stream {
	h := c.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx passes on what there is
	c.status = http.StatusOK
	c.w.WriteHeader(http.StatusOK)
	st := &stream{w: c.w, control: http.NewResponseController(c.w), stall: stallTime(c.s), every: c.s.o.Ping, ping: ping, lines: lines}
	c.stream = st
	st.mu.Lock()
	defer st.mu.Unlock()
	st.write(nil)
	if lines || c.protocol.ping == "" {
		st.timer = time.AfterFunc(st.every, st.beat)
	}
	return st
}

// send writes an event with JSON as its data. Its name may be empty, and means nothing where lines are written. The error is that of the
// connection, also if an earlier write has failed.
func (st *stream) send(event string, v any) error {
	return st.marshal(event, v, false)
}

// last is send for what ends the stream: behind it comes nothing more, and no ping.
func (st *stream) last(event string, v any) error { return st.marshal(event, v, true) }

func (st *stream) marshal(event string, v any, last bool) error {
	text, err := marshal(v) // ends in a line break, and has no other
	if err != nil {
		return err
	}
	return st.raw(event, text, last)
}

// raw writes an event with a line of data as it stands.
func (st *stream) raw(event string, line []byte, last bool) error {
	var b bytes.Buffer
	if !st.lines {
		if event != "" {
			b.WriteString("event: " + event + "\n")
		}
		b.WriteString("data: ")
	}
	b.Write(bytes.TrimRight(line, "\n"))
	b.WriteByte('\n')
	if !st.lines {
		b.WriteByte('\n')
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	err := st.write(b.Bytes())
	if st.timer == nil {
		st.timer = time.AfterFunc(st.every, st.beat)
	}
	st.ended = st.ended || last
	return err
}

// done writes the line by which OpenAI's streams end.
func (st *stream) done() error { return st.raw("", []byte("[DONE]"), true) }

// write writes bytes and has them sent.
func (st *stream) write(b []byte) error {
	if st.err != nil || st.ended {
		return st.err
	}
	st.control.SetWriteDeadline(time.Now().Add(st.stall)) // where the connection has one
	if _, st.err = st.w.Write(b); st.err == nil {
		st.err = st.control.Flush()
	}
	if st.timer != nil {
		st.timer.Reset(st.every)
	}
	return st.err
}

// beat pings.
func (st *stream) beat() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.ping) > 0 {
		st.write(st.ping)
	}
}

// end ends the stream: nothing is written from now on.
func (st *stream) end() {
	if st == nil {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.ended = true
	if st.timer != nil {
		st.timer.Stop()
	}
	st.control.SetWriteDeadline(time.Time{})
}

// stallTime is how long a client may take nothing before it is given up.
func stallTime(s *Server) time.Duration {
	if s.o.Queue.Stall > 0 {
		return s.o.Queue.Stall
	}
	return 30 * time.Second
}
