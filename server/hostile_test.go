package server

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
)

// TestFormsTooLargeAreRefusedAsTheClients has forms that no machine could follow refused with status 400,
// and those that only never end cut off.
func TestFormsTooLargeAreRefusedAsTheClients(t *testing.T) {
	_, url := serve(t, Options{})
	for form, want := range map[string]int{
		`"grammar":"root ::= \"a\"{1000000000}"`:                      http.StatusBadRequest,
		`"json_schema":{"type":"string","minLength":1000000000}`:      http.StatusBadRequest,
		`"json_schema":{"type":"array","minItems":1000000000}`:        http.StatusOK,
		`"structured_outputs":{"choice":[` + choices(20000) + `"x"]}`: http.StatusOK,
	} {
		body := `{"messages":[{"role":"user","content":"Hi"}],"max_tokens":3,` + form + `}`
		if status, text := post(t, url+"/v1/chat/completions", body); status != want {
			t.Errorf("%.60s: %d %.200s, want %d", form, status, text, want)
		}
	}
}

// choices is a list of so many texts.
func choices(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"c%d",`, i)
	}
	return b.String()
}

// TestBodiesThatNeverComeEnd has the connection of a client that is refused, and whose body does not come, end in time.
func TestBodiesThatNeverComeEnd(t *testing.T) {
	_, url := serve(t, Options{BodyTime: 100 * time.Millisecond})
	for host, want := range map[string]string{"evil.example": "403 Forbidden", "localhost": "408 Request Timeout"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(time.Minute))
		fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\n\r\n", host)
		text, err := io.ReadAll(conn)
		if first, _, _ := strings.Cut(string(text), "\r\n"); err != nil || first != "HTTP/1.1 "+want {
			t.Errorf("%s: %q, %v, want %s and the end", host, first, err, want)
		}
		if strings.Contains(string(text), "127.0.0.1") {
			t.Errorf("%s: told of an address: %s", host, text)
		}
	}
}

// TestClientsThatReadNothingAreGivenUp has an answer that nobody reads end in time, whole as it is.
func TestClientsThatReadNothingAreGivenUp(t *testing.T) {
	s, _ := serve(t, Options{Queue: gemma4.QueueOptions{Stall: 100 * time.Millisecond}, MaxBody: 1 << 20})
	ours, theirs := net.Pipe() // holds nothing back: what is not read blocks
	defer theirs.Close()
	ended := make(chan error, 1)
	h := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r)
		ended <- nil
	})}
	go h.Serve(&oneListener{conn: ours})
	defer h.Close()
	fmt.Fprint(theirs, "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("the answer goes on")
	}
}

// oneListener accepts one connection.
type oneListener struct {
	conn net.Conn
	once sync.Once
}

func (l *oneListener) Accept() (conn net.Conn, err error) {
	err = net.ErrClosed
	l.once.Do(func() { conn, err = l.conn, nil })
	return conn, err
}

func (l *oneListener) Close() error   { return nil }
func (l *oneListener) Addr() net.Addr { return l.conn.LocalAddr() }
