package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/nano"
)

// fuzzJSON sends anything to an endpoint: it answers in JSON, with what is wrong if that is the client's doing, and never panics.
func fuzzJSON(f *testing.F, path string, seeds ...string) {
	m, err := nano.Open()
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { m.Close() })
	s, err := New(m, Options{Queue: gemma4.QueueOptions{Context: 64, MaxTime: 10 * time.Second}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	for _, text := range seeds {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(text))
		r.Host = "localhost"
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		for line := range strings.Lines(w.Body.String()) {
			if !json.Valid([]byte(line)) {
				t.Fatalf("status %d: %q", w.Code, line)
			}
		}
	})
}

func FuzzEmbeddings(f *testing.F) {
	fuzzJSON(f, "/v1/embeddings", `{"input":"x"}`, `{"input":["x","y"],"encoding_format":"base64","dimensions":3}`,
		`{"input":[[1,2],[3]]}`, `{"input":[]}`, `{"input":{}}`, `[`)
}

func FuzzDecide(f *testing.F) {
	fuzzJSON(f, "/v1/decide", `{"prompt":"x","options":["a","b"],"open":true}`, `{"prompt":[1],"options":[{"label":"a","text":"b"},"c"]}`,
		`{"messages":[{"role":"user","content":"x"}],"options":["a","b"],"normalize":false}`, `{"options":"x"}`)
}

func FuzzTokenize(f *testing.F) {
	fuzzJSON(f, "/tokenize", `{"content":"x <bos>","with_pieces":true}`, `{"prompt":"x","return_token_strs":true}`,
		`{"messages":[{"role":"user","content":"x"}]}`, `{"content":1}`)
}

func FuzzOllamaChat(f *testing.F) {
	fuzzJSON(f, "/api/chat", question+`}`,
		`{"messages":[{"role":"user","content":"x"}],"options":{"num_predict":4,"seed":1}`+tellsWeather+`}`,
		`{"messages":[{"role":"tool","content":"x"}],"stream":false}`,
		`{"format":{"type":"integer"},"think":true,"messages":[{"role":"user"}]}`)
}

func FuzzOllamaGenerate(f *testing.F) {
	fuzzJSON(f, "/api/generate", `{"prompt":"x","options":{"num_predict":4}}`, `{"raw":true,"prompt":"<bos>x","stream":false}`,
		`{"system":"x","format":"json"}`, `{"keep_alive":0}`)
}
