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

// TestWhatIsNotThereIsToldInTheProtocolsShape asks what no endpoint answers.
func TestWhatIsNotThereIsToldInTheProtocolsShape(t *testing.T) {
	_, url := serve(t, Options{})
	for _, c := range []struct {
		method, path string
		status       int
		allow, text  string
	}{
		{"GET", "/v1/chat/completions", 405, "POST, OPTIONS", `{"error":{"message":"/v1/chat/completions is not for GET`},
		{"DELETE", "/v1/models", 405, "GET, OPTIONS", `"type":"invalid_request_error"`},
		{"GET", "/v1/messages", 405, "POST, OPTIONS", `{"type":"error","error":{"type":"invalid_request_error"`},
		{"PUT", "/api/chat", 405, "POST, OPTIONS", `{"error":"/api/chat is not for PUT`},
		{"POST", "/v1/nothing", 404, "", `"type":"not_found_error"`},
		{"POST", "/v1/messages/nothing", 404, "", `{"type":"error","error":{"type":"not_found_error"`},
		{"GET", "/api/nothing", 404, "", `{"error":"there is no /api/nothing here"}`},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, url+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status || resp.Header.Get("Allow") != c.allow || !strings.Contains(string(text), c.text) {
			t.Errorf("%s %s: %s, allows %q: %s, want %d, %q, %s", c.method, c.path, resp.Status, resp.Header.Get("Allow"), text, c.status,
				c.allow, c.text)
		}
	}
}

// TestKeysComeAsClientsSendThem has keys count in either header, whatever the case of the scheme, and no other way.
func TestKeysComeAsClientsSendThem(t *testing.T) {
	_, url := serve(t, Options{Keys: []string{"secret"}})
	for field, want := range map[string]int{
		"Authorization: Bearer secret": 200, "Authorization: bearer secret": 200, "X-Api-Key: secret": 200,
		"Authorization: Basic secret": 401, "Authorization: secret": 401, "Authorization: Bearer secret2": 401, "X-Api-Key: ": 401,
	} {
		if status, text := get(t, url+"/v1/models", field); status != want {
			t.Errorf("%s: %d %s, want %d", field, status, text, want)
		}
	}
}

// TestFieldsThatAreNullSayNothing has decisions read as if the field were not there.
func TestFieldsThatAreNullSayNothing(t *testing.T) {
	_, url := serve(t, Options{})
	for body, want := range map[string]int{
		`{"messages":null,"prompt":"Paris or Rome?","options":["a","b"]}`:                 200,
		`{"messages":[{"role":"user","content":"Hi"}],"prompt":null,"options":["a","b"]}`: 200,
		`{"messages":null,"prompt":null,"options":["a","b"]}`:                             400,
	} {
		if status, text := post(t, url+"/v1/decide", body); status != want {
			t.Errorf("%s: %d %s, want %d", body, status, text, want)
		}
	}
}

// TestTooManyTextsAreRefused has a request ask for more vectors than are held.
func TestTooManyTextsAreRefused(t *testing.T) {
	_, url := serve(t, Options{})
	many := `{"input":["a"` + strings.Repeat(`,"a"`, mostInputs) + `]}`
	if status, text := post(t, url+"/v1/embeddings", many); status != 400 || !strings.Contains(text, "expected 2048 at most") {
		t.Errorf("%d texts: %d %s", mostInputs+1, status, text)
	}
}

func TestEncodedBodiesAreRefused(t *testing.T) {
	_, url := serve(t, Options{})
	for _, path := range []string{"/v1/chat/completions", "/v1/messages", "/api/chat"} {
		status, text := post(t, url+path, "\x1f\x8b", "Content-Encoding: gzip")
		if status != http.StatusUnsupportedMediaType || !strings.Contains(text, `encoded as \"gzip\"`) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
}
