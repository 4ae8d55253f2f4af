package batch

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// Handler is a transport to a handler in this process. A request ends when the handler returns.
type Handler struct{ http.Handler }

// RoundTrip implements [http.RoundTripper].
func (h Handler) RoundTrip(r *http.Request) (_ *http.Response, err error) {
	served := r.Clone(r.Context())
	served.RequestURI, served.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:0"
	if served.Host == "" {
		served.Host = r.URL.Host
	}
	if served.Body == nil {
		served.Body = http.NoBody
	}
	defer served.Body.Close()
	defer func() {
		if p := recover(); p != nil { // as a server does, whose client sees the connection end
			err = fmt.Errorf("batch: the handler gave up: %v", p)
		}
	}()
	w := &recorder{header: http.Header{}}
	h.ServeHTTP(w, served)
	if err := r.Context().Err(); err != nil { // what it wrote may be half of an answer
		return nil, err
	}
	w.WriteHeader(http.StatusOK)
	return &http.Response{
		Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// recorder keeps what a handler writes.
type recorder struct {
	header, sent http.Header
	status       int
	body         bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// Flush implements [http.Flusher].
func (w *recorder) Flush() { w.WriteHeader(http.StatusOK) }
