package fleet

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/server"
)

// staff starts workers with a nano each, and a server that has one alone.
func staff(t *testing.T, url string, workers int, beat time.Duration) (hands []*hand, alone *httptest.Server) {
	t.Helper()
	open := func() *server.Server {
		m, err := nano.Open()
		if err != nil {
			t.Fatal(err)
		}
		s, err := server.New(m, server.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close(); m.Close() })
		return s
	}
	alone = httptest.NewServer(open())
	t.Cleanup(alone.Close)
	for range workers {
		s := open()
		hands = append(hands, hire(t, url, Worker{Slots: 2, Beat: beat}, func(_ *hand, w http.ResponseWriter, r *http.Request) {
			s.ServeHTTP(w, r)
		}))
	}
	return hands, alone
}

// asked is a request of which the answer's bytes are certain.
type asked struct {
	path, body string
	status     int
}

// questions are requests of every kind: whole and streamed, with tools, and such that are refused.
func questions() (all []asked) {
	ask := func(path, format string, args ...any) {
		all = append(all, asked{path, fmt.Sprintf(format, args...), http.StatusOK})
	}
	for i, stream := range []bool{false, true} {
		for j, country := range []string{"France", "Italy", "Spain", "Japan"} {
			ask("/v1/chat/completions", `{"messages":[{"role":"user","content":"What is the capital of %s?"}],"stream":%v,"temperature":1,`+
				`"seed":%d,"max_tokens":20}`, country, stream, 7*i+j)
		}
	}
	tools := `"tools":[{"type":"function","function":{"name":"get_weather","description":"Tells the weather.","parameters":` +
		`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}]`
	for _, stream := range []bool{false, true} {
		ask("/v1/chat/completions", `{"messages":[{"role":"user","content":"What is the weather in Rome?"}],"stream":%v,"temperature":0,`+
			`"max_tokens":60,%s}`, stream, tools)
	}
	for _, stream := range []bool{false, true} {
		ask("/v1/completions", `{"prompt":"What is","stream":%v,"temperature":0,"max_tokens":12,"logprobs":2}`, stream)
		ask("/v1/responses", `{"input":"What is 12 + 7?","stream":%v,"temperature":0}`, stream)
		ask("/v1/messages", `{"messages":[{"role":"user","content":"What is 12 + 7?"}],"stream":%v,"temperature":0,"max_tokens":20}`,
			stream)
	}
	ask("/v1/embeddings", `{"input":["the moon","the sun"]}`)
	ask("/v1/embeddings", `{"input":"the moon","encoding_format":"base64"}`)
	ask("/v1/messages/count_tokens", `{"messages":[{"role":"user","content":"What is 12 + 7?"}]}`)
	ask("/tokenize", `{"content":"What is 12 + 7?"}`)
	return append(all,
		asked{"/v1/messages", `{"messages":[],"max_tokens":5}`, http.StatusBadRequest},
		asked{"/v1/responses", `{"input":7}`, http.StatusBadRequest},
		asked{"/v1/chat/completions", `{"messages":[`, http.StatusBadRequest},
		asked{"/v1/chat/completions", `{"messages":7}`, http.StatusBadRequest},
		asked{"/v1/chat/completions", ``, http.StatusBadRequest},
		asked{"/v1/nothing", `{}`, http.StatusNotFound},
	)
}

// What differs from answer to answer: names that are drawn, times, how much of the prompt a slot had already read, and signs of life.
var differing = []*regexp.Regexp{
	regexp.MustCompile(`"(id|call_id|item_id|tool_call_id|response_id|request_id)":"[^"]*"`),
	regexp.MustCompile(`"(created|created_at|completed_at)":("[^"]*"|[0-9.]+)`),
	regexp.MustCompile(`"(cached_tokens|cache_read_input_tokens|input_tokens|[a-z_]*_duration)":[0-9]+`),
	regexp.MustCompile(`"timings":\{[^}]*\}`),
	regexp.MustCompile(`(?m)^:.*\n\n`),
}

// plain is an answer without what differs.
func plain(text string) string {
	for _, d := range differing {
		text = d.ReplaceAllString(text, "")
	}
	return text
}

func TestFleetAnswersAsOneServerDoes(t *testing.T) {
	url := broker(t)
	hands, alone := staff(t, url, 3, Beat)
	gateway := front(t, url, &Gateway{})
	all := questions()
	want := make([]string, len(all))
	for i, q := range all {
		status, text := post(t, alone.URL+q.path, q.body)
		if status != q.status {
			t.Fatalf("%s %s alone: %d %s, want %d", q.path, q.body, status, text, q.status)
		}
		want[i] = plain(text)
	}
	const requests, clients = 200, 8
	numbers := make(chan int)
	var running sync.WaitGroup
	for range clients {
		running.Go(func() {
			for n := range numbers {
				i := n % len(all)
				if status, text := post(t, gateway.URL+all[i].path, all[i].body); status != all[i].status || plain(text) != want[i] {
					t.Errorf("request %d: %s %s: %d\n%s\nalone\n%s", n, all[i].path, all[i].body, status, plain(text), want[i])
				}
			}
		})
	}
	for n := range requests {
		numbers <- n
	}
	close(numbers)
	running.Wait()
	var total int64
	for i, h := range hands {
		n := h.served.Load()
		if total += n; n < requests/9 {
			t.Errorf("worker %d has served %d of %d requests", i, n, requests)
		}
	}
	if total != requests {
		t.Errorf("the workers have served %d requests, of %d", total, requests)
	}
	if status, _, text := do(t, http.MethodGet, gateway.URL+"/v1/models", ""); status != http.StatusOK || !json.Valid([]byte(text)) {
		t.Errorf("/v1/models: %d %s", status, text)
	}
	emptied(t, url)
}

// Workers die while they answer: who asked for a whole answer gets it, who streams gets it or is told.
func TestEveryRequestIsAnsweredOnceThoughAWorkerDies(t *testing.T) {
	url := broker(t)
	hands, alone := staff(t, url, 3, 2*pulse)
	gateway := front(t, url, &Gateway{Beat: 2 * pulse})
	ask := func(stream bool) asked {
		return asked{"/v1/chat/completions", fmt.Sprintf(`{"messages":[{"role":"user","content":"Tell me of the moon."}],"stream":%v,`+
			`"temperature":1.5,"seed":3,"max_tokens":100}`, stream), http.StatusOK}
	}
	var want [2]string
	for i, stream := range []bool{false, true} {
		_, text := post(t, alone.URL+ask(stream).path, ask(stream).body)
		want[i] = plain(text)
	}
	var running sync.WaitGroup
	for i := range 24 {
		running.Go(func() {
			stream := i % 2
			status, text := post(t, gateway.URL+"/v1/chat/completions", ask(stream == 1).body)
			got := plain(text)
			if before, _, cut := strings.Cut(got, `data: {"error":`); cut && stream == 1 && strings.HasPrefix(want[1], before) {
				return
			}
			if status != http.StatusOK || got != want[stream] {
				t.Errorf("request %d: %d\n%s\nalone\n%s", i, status, got, want[stream])
			}
		})
		if i == 12 {
			for hands[0].served.Load() == 0 { // in the middle of its first answers
				if t.Failed() {
					break
				}
				time.Sleep(time.Millisecond)
			}
			hands[0].kill()
		}
	}
	running.Wait()
	emptied(t, url)
}
