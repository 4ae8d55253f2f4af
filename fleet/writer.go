package fleet

import (
	"context"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
)

// writer is the http.ResponseWriter of a request that came by NATS: what is written up to a flush becomes an event.
type writer struct {
	ctx    context.Context // of the request: once it has ended, nobody is to see what a handler still says
	conn   *nats.Conn
	reply  string
	try    uint64
	seq    int
	header http.Header
	status int         // 0 before the first write,
	head   http.Header // and the header as it was then
	told   bool        // they are on their way
	buf    []byte
	err    error // of the last flush
}

func (w *writer) Header() http.Header { return w.header }

func (w *writer) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status, w.head = status, w.header.Clone()
	}
}

func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	most := int(w.conn.MaxPayload() / 2) // base64 makes four bytes of three, and the header needs room as well
	for rest := p; len(rest) > 0; {
		n := min(len(rest), most-len(w.buf))
		w.buf, rest = append(w.buf, rest[:n]...), rest[n:]
		if len(w.buf) == most {
			w.Flush()
		}
	}
	return len(p), w.err
}

// Flush sends what was written, unless the request has ended.
func (w *writer) Flush() {
	if w.err = w.ctx.Err(); w.err != nil {
		w.buf = w.buf[:0] // or a long Write would try for ever
		return
	}
	w.err = w.conn.Publish(w.reply, encoded(w.next(part)))
}

// FlushError is Flush for [http.ResponseController].
func (w *writer) FlushError() error {
	w.Flush()
	return w.err
}

// SetReadDeadline and SetWriteDeadline let handlers have them: the body has been read, and NATS takes any answer.
func (w *writer) SetReadDeadline(time.Time) error  { return nil }
func (w *writer) SetWriteDeadline(time.Time) error { return nil }

// next makes an event of what was written.
func (w *writer) next(k kind) event {
	w.WriteHeader(http.StatusOK)
	w.seq++
	e := event{Kind: k, Try: w.try, Seq: w.seq, Data: w.buf}
	w.buf = w.buf[:0]
	if !w.told {
		e.Status, e.Header, w.told = w.status, w.head, true
	}
	return e
}
