package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/nano"
)

func open(t *testing.T) *gemma4.Model {
	m, err := nano.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// text joins the tokens of an answer, and returns the events that are none.
func text(events string) (text, others string) {
	for event := range strings.SplitSeq(strings.TrimSuffix(events, "\n\n"), "\n\n") {
		name, data, _ := strings.Cut(strings.TrimPrefix(event, "event: "), "\ndata: ")
		if name == "token" {
			text += strings.Trim(data, `"`)
		} else {
			others += name + " " + data
		}
	}
	return text, others
}

func TestClientsAtOnceGetTheirOwnAnswers(t *testing.T) {
	server := httptest.NewServer(answer(open(t)))
	defer server.Close()
	var clients sync.WaitGroup
	for country, city := range map[string]string{"France": "Paris", "Japan": "Tokyo", "Kenya": "Nairobi", "Peru": "Lima"} {
		clients.Go(func() {
			r, err := http.Get(server.URL + "/?q=" + url.QueryEscape("What is the capital of "+country+"?"))
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Body.Close()
			body, err := io.ReadAll(r.Body)
			got, end := text(string(body))
			if want := "The capital of " + country + " is " + city + "."; err != nil || got != want || end != `end "end of turn"` {
				t.Errorf("%s: %q, %s, %v; want %q", country, got, end, err, want)
			}
		})
	}
	clients.Wait()
}

// leaver is a client that leaves with the first token.
type leaver struct {
	*httptest.ResponseRecorder
	leave func()
}

func (l leaver) Flush() { l.leave() }

func TestAnswerStopsWhenTheClientLeaves(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := leaver{httptest.NewRecorder(), cancel}
	answer(open(t))(w, httptest.NewRequestWithContext(ctx, "GET", "/?q=What+is+the+capital+of+France?", nil))
	if got, end := text(w.Body.String()); got != "The" || end != `error "context canceled"` {
		t.Errorf("%q, %s", got, end)
	}
}
