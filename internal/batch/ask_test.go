package batch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogemma/gemma4/internal/memnet"
)

func TestAServersErrorIsAnAnswer(t *testing.T) {
	f := newFiles(t, requests(4), "")
	p, err := f.run(t, t.Context(), to(func(w http.ResponseWriter, r *http.Request) {
		if user(r) == "r2" {
			w.WriteHeader(400)
			fmt.Fprint(w, `{"error":{"message":"no"}}`)
			return
		}
		echo(w, r)
	}))
	if a := f.answers(t)["r2"]; err != nil || p.Answered != 3 || p.Failed != 1 || a.Response.StatusCode != 400 || a.Error != nil ||
		string(a.Response.Body) != `{"error":{"message":"no"}}` {
		t.Errorf("%+v, %v, %+v", p, err, a)
	}
}

// TestABusyServerIsAskedAgainWhenItSays looks at the times of tries.
func TestABusyServerIsAskedAgainWhenItSays(t *testing.T) {
	f := newFiles(t, requests(1), "")
	for _, test := range []struct {
		status     int
		retryAfter string
		seconds    []float64 // between tries; of those without a good Retry-After they are the most, and half of them the least
	}{
		{429, "7", []float64{7, 7}},
		{503, "0.5", []float64{0.5}},
		{529, "86400", []float64{600}},
		{503, "Sat, 01 Jan 2000 00:01:00 GMT", []float64{60}}, // a bubble's time begins at 0:00
		{504, "", []float64{1, 2, 4, 8, 16, 32, 60, 60}},
		{502, "soon", []float64{1, 2, 4}},
		{408, "-1", []float64{1}},
		{500, "NaN", []float64{1}},
	} {
		os.Remove(f.out)
		synctest.Test(t, func(t *testing.T) {
			var tries []time.Time
			b := to(func(w http.ResponseWriter, r *http.Request) {
				if tries = append(tries, time.Now()); len(tries) > len(test.seconds) {
					echo(w, r)
					return
				}
				if test.retryAfter != "" {
					w.Header().Set("Retry-After", test.retryAfter)
				}
				w.WriteHeader(test.status)
			})
			b.sleep, b.Retries = nil, len(test.seconds)
			var waited Progress
			b.Progress = func(p Progress) {
				if p.Waiting > 0 {
					waited = p
				}
			}
			if p, err := f.run(t, t.Context(), b); err != nil || p.Answered != 1 || len(tries) != len(test.seconds)+1 {
				t.Errorf("%d: %+v, %v, %d tries", test.status, p, err, len(tries))
			}
			exact := regexp.MustCompile("^[0-9S]").MatchString(test.retryAfter)
			for i, most := range test.seconds {
				if d := tries[i+1].Sub(tries[i]).Seconds(); d > most || d < most/2 || exact && d != most {
					t.Errorf("%d %s: %v seconds between tries %d and %d", test.status, test.retryAfter, d, i, i+1)
				}
			}
			why := fmt.Sprint(test.status, " ")
			if test.seconds[0] > 1 && (waited.Waiting != 1 || !strings.HasPrefix(waited.Trouble, why)) {
				t.Errorf("%d: nobody is told: %+v", test.status, waited)
			}
		})
	}
}

func TestAnInterruptEndsAWait(t *testing.T) {
	f := newFiles(t, requests(3), "")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		b := to(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "500")
			w.WriteHeader(429)
		})
		b.sleep = nil
		begin := time.Now()
		p, err := f.run(t, ctx, b)
		if d := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || d != time.Minute || p.Answered+p.Failed != 0 {
			t.Errorf("%+v, %v after %v", p, err, d)
		}
	})
	if text := f.text(t); text != "" {
		t.Errorf("%s", text)
	}
}

// TestConnectionsThatAreLostAreMadeAgain cuts connections before the answer and within it.
func TestConnectionsThatAreLostAreMadeAgain(t *testing.T) {
	f := newFiles(t, requests(20), "")
	var mu sync.Mutex
	tries := map[string]int{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := user(r)
		mu.Lock()
		tries[id]++
		n := tries[id]
		mu.Unlock()
		switch n {
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"half":`)
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintf(w, `{"of":%q}`, id)
	}))
	defer s.Close()
	p, err := f.run(t, t.Context(), Batch{URL: s.URL, Retries: 2, sleep: atOnce})
	if err != nil || p.Answered != 20 || len(f.answers(t)) != 20 {
		t.Errorf("%+v, %v", p, err)
	}
	os.Remove(f.out)
	clear(tries)
	p, err = f.run(t, t.Context(), Batch{URL: s.URL, Retries: 1, Parallel: 20, sleep: atOnce})
	if a := f.answers(t)["r7"]; err != nil || p.Failed != 20 || a.Response != nil || a.Error.Code != "connection_error" ||
		!strings.Contains(a.Error.Message, "EOF") {
		t.Errorf("%+v, %v, %+v", p, err, a.Error)
	}
}

func TestAServerThatStallsIsLeft(t *testing.T) {
	f := newFiles(t, requests(3), "")
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(t)
		n.Serve("h:80", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if user(r) == "r1" {
				w.WriteHeader(200) // and then nothing
				w.(http.Flusher).Flush()
				<-r.Context().Done()
				return
			}
			fmt.Fprint(w, "{}")
		}))
		p, err := f.run(t, t.Context(), Batch{URL: "http://h", Transport: n.Transport, Retries: 9, Timeout: time.Minute, sleep: atOnce})
		if a := f.answers(t)["r1"]; err != nil || p.Failed != 1 || p.Answered != 2 || p.Elapsed != time.Minute || a.Error == nil ||
			a.Error.Code != "request_timeout" || a.Error.Message != "there was no answer within 1m0s" {
			t.Errorf("%+v, %v, %+v", p, err, a.Error)
		}
	})
}

func TestWhatIsNoJSONIsNoAnswer(t *testing.T) {
	f := newFiles(t, requests(3), "")
	p, err := f.run(t, t.Context(), to(func(w http.ResponseWriter, r *http.Request) {
		switch user(r) {
		case "r1":
			fmt.Fprint(w, "data: {}\n\ndata: [DONE]\n\n")
		case "r2":
			w.WriteHeader(502)
			fmt.Fprint(w, "<html>Bad Gateway</html>")
		case "r3":
			panic("a fault of the handler")
		}
	}))
	all := f.answers(t)
	for id, want := range map[string]failure{
		"r1": {"invalid_response", "the answer is no JSON of at most 256 MiB: 200 OK: data: {}\n\ndata: [DONE]"},
		"r2": {"invalid_response", "the answer is no JSON of at most 256 MiB: 502 Bad Gateway: <html>Bad Gateway</html>"},
		"r3": {"connection_error", `Post "http://localhost/v1/chat/completions": batch: the handler gave up: a fault of the handler`},
	} {
		if a := all[id]; err != nil || p.Failed != 3 || a.Response != nil || a.Error == nil || *a.Error != want {
			t.Errorf("%s: %+v, %v, %+v", id, p, err, a.Error)
		}
	}
}

// TestARunThatMakesNoSenseEnds early, with an error that says why, and next to nothing in the output.
func TestARunThatMakesNoSenseEnds(t *testing.T) {
	status := func(status int, header, value string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(header, value)
			w.WriteHeader(status)
			fmt.Fprint(w, `{"error":{"message":"of the server"}}`)
		}
	}
	nobody := memnet.New(t).Transport
	secure := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	const parallel, inARow = 4, "batch: 5 requests in a row had to be given up, the last one for this: "
	for _, test := range []struct {
		b     Batch
		lines int
		want  string
	}{
		{to(status(401, "", "")), 0, "batch: http://localhost/v1 wants another key: 401 Unauthorized: of the server"},
		{to(status(301, "Location", "/elsewhere")), 0, "batch: http://localhost/v1 sends requests on, to /elsewhere"},
		{to(status(503, "", "")), parallel + 1, inARow + "503 Service Unavailable: of the server"},
		{to(func(http.ResponseWriter, *http.Request) { panic("x") }), parallel + 1, inARow + "Post"},
		{to(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }), parallel + 1, inARow + "the answer is no JSON"},
		{Batch{URL: "http://h", Transport: nobody, Retries: 9}, 0,
			"batch: Post \"http://h/v1/chat/completions\": dial tcp: nobody is at h:80"},
		{Batch{URL: secure.URL, Retries: 9}, 0, "certificate"},
	} {
		f := newFiles(t, requests(500), "")
		test.b.Parallel = parallel
		p, err := f.run(t, t.Context(), test.b)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
		if n := len(f.answers(t)); n < test.lines || n > test.lines+parallel || n != p.Failed {
			t.Errorf("%v: %d lines, %+v", err, n, p)
		}
	}
}

func TestAServerThatGoesAwayForAWhileLosesNothing(t *testing.T) {
	f := newFiles(t, requests(40), "")
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		b := to(func(w http.ResponseWriter, r *http.Request) {
			if d := time.Since(begin); d > 10*time.Second && d < 70*time.Second {
				panic(http.ErrAbortHandler)
			}
			time.Sleep(4 * time.Second)
			echo(w, r)
		})
		b.sleep, b.Retries = nil, 8
		if p, err := f.run(t, t.Context(), b); err != nil || p.Answered != 40 {
			t.Errorf("%+v, %v", p, err)
		}
	})
}
