package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gogemma/gemma4/internal/batch"
)

var batchTool = command("batch")

// questions writes a file of requests, whose ids are the questions.
func questions(t *testing.T, questions ...string) (in, out string) {
	t.Helper()
	var b strings.Builder
	for _, q := range questions {
		quoted, _ := json.Marshal(q)
		fmt.Fprintf(&b, `{"custom_id":%s,"method":"POST","url":"/v1/chat/completions","body":`+
			`{"messages":[{"role":"user","content":%[1]s}],"temperature":0}}`+"\n", quoted)
	}
	dir := t.TempDir()
	in = filepath.Join(dir, "in.jsonl")
	if err := os.WriteFile(in, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return in, filepath.Join(dir, "out.jsonl")
}

// batchAnswers reads lines of the output: custom_id to text.
func batchAnswers(t *testing.T, text string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for line := range strings.Lines(text) {
		var a struct {
			CustomID string `json:"custom_id"`
			Response struct {
				StatusCode int `json:"status_code"`
				Body       struct {
					Choices []struct{ Message struct{ Content string } }
				}
			}
		}
		if err := json.Unmarshal([]byte(line), &a); err != nil || a.Response.StatusCode != 200 || len(a.Response.Body.Choices) != 1 {
			t.Fatalf("%v: %s", err, line)
		}
		all[a.CustomID] = a.Response.Body.Choices[0].Message.Content
	}
	return all
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestBatchAnswersWithTheModel(t *testing.T) {
	in, out := questions(t, "What is the capital of France?", "What is 7 + 8?", "What is the capital of Japan?")
	want := map[string]string{
		"What is the capital of France?": "The capital of France is Paris.",
		"What is 7 + 8?":                 "7 + 8 = 15",
		"What is the capital of Japan?":  "The capital of Japan is Tokyo.",
	}
	o := batchTool.Call("", in, out)
	if o.Status != 0 || !strings.Contains(o.Errors, "gemma4 batch: 3 of 3 requests are answered; 3 in ") {
		t.Errorf("%+v", o)
	}
	text := readFile(t, out)
	if got := batchAnswers(t, text); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q", got)
	}
	o = batchTool.Call("", in, out)
	if o.Status != 0 || strings.Contains(o.Errors, "asking") || !strings.Contains(o.Errors, ": 3 answers stay\n") ||
		readFile(t, out) != text {
		t.Errorf("a second time: %+v", o)
	}
	if got := batchAnswers(t, batchTool.Good(t, readFile(t, in), "-parallel", "1", "-", "-")); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("standard input to output: %q", got)
	}
}

// TestBatchGoesOnAfterCtrlC presses it while a request is being answered.
func TestBatchGoesOnAfterCtrlC(t *testing.T) {
	in, out := questions(t, "a", "b", "c", "d", "e", "f", "g")
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var asked, broken atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if asked.Add(1) == 4 {
			if err := self.Signal(os.Interrupt); err != nil {
				broken.Store(1) // as on Windows
				return
			}
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, `{"choices":[{"message":{"content":""}}]}`)
	}))
	defer s.Close()
	args := []string{"-url", s.URL, "-parallel", "1", in, out}
	o := batchTool.Call("", args...)
	if broken.Load() != 0 {
		t.Skip("a program cannot press Ctrl-C here")
	}
	if o.Status != 130 || !strings.Contains(o.Errors, ": 3 of 7 requests are answered; 3 in ") ||
		!strings.HasSuffix(o.Errors, "; the same command goes on\n") {
		t.Errorf("%+v", o)
	}
	o = batchTool.Call("", args...)
	if n := len(batchAnswers(t, readFile(t, out))); o.Status != 0 || asked.Load() != 8 || n != 7 ||
		!strings.Contains(o.Errors, "3 answers stay\n") {
		t.Errorf("%+v, asked %d times", o, asked.Load())
	}
}

func TestBatchWithFailedRequestsFails(t *testing.T) {
	in, out := questions(t, "a", "b", "c")
	good := false
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(401)
		} else if body, _ := io.ReadAll(r.Body); !good && strings.Contains(string(body), `"b"`) {
			w.WriteHeader(400)
			fmt.Fprint(w, `{"error":{"message":"not this"}}`)
			return
		}
		fmt.Fprint(w, `{"choices":[{"message":{"content":""}}]}`)
	}))
	defer s.Close()
	args := []string{"-url", s.URL + "/v1", "-retry-failed=false", in, out}
	o := batchTool.Call("", args...)
	if o.Status != 1 || !strings.Contains(o.Errors, "/v1 wants another key: 401 Unauthorized") ||
		!strings.Contains(o.Errors, "; 0 of 3 requests are answered; the same command goes on\n") {
		t.Errorf("%+v", o)
	}
	t.Setenv("GEMMA4_KEY", "secret")
	for _, why := range []string{" (the last: b: 400 Bad Request: not this); 2 in ", "\n"} {
		o = batchTool.Call("", args...)
		if o.Status != 1 || !strings.Contains(o.Errors, "gemma4 batch: 2 of 3 requests are answered, 1 failed"+why) {
			t.Errorf("%+v", o)
		}
	}
	if !strings.Contains(o.Errors, "2 answers stay; 1 failures stay\n") {
		t.Errorf("%+v", o)
	}
	good = true
	o = batchTool.Call("", append([]string{"-retry-failed"}, append(args[:2:2], in, out)...)...)
	if o.Status != 0 || !strings.Contains(o.Errors, "2 answers stay; 1 failed requests are asked again\n") {
		t.Errorf("%+v", o)
	}
}

func TestBatchSaysWhatIsWrong(t *testing.T) {
	in, out := questions(t, "a", "a")
	fine, _ := questions(t, "a")
	for _, test := range []struct {
		status int
		want   string
		args   []string
	}{
		{2, "expected two files", []string{in}},
		{2, "expected two files", []string{in, out, out}},
		{2, "-parallel is at least 1", []string{"-parallel", "0", in, out}},
		{2, "-url has a model of its own: it goes without -ctx, -m", []string{"-url", "http://x", "-m", "y", "-ctx", "9", in, out}},
		{2, "-key: there is no -url for it", []string{"-key", "y", in, out}},
		{1, `batch: "x" is no base URL`, []string{"-url", "x", in, out}},
		{1, `batch: ` + in + `: line 2: custom_id "a" is that of line 1`, []string{in, out}},
		{1, "missing.jsonl", []string{filepath.Join(t.TempDir(), "missing.jsonl"), out}},
		{1, "is the input, too", []string{fine, fine}},
		{1, "nowhere", []string{fine, filepath.Join(t.TempDir(), "nowhere", "out.jsonl")}},
		{1, "missing.gguf", []string{"-m", "missing.gguf", fine, out}},
		{1, "the model's is", []string{"-ctx", "100000000", fine, out}},
	} {
		batchTool.Fails(t, test.status, test.want, "", test.args...)
	}
	batchTool.Fails(t, 1, "batch: standard input: line 1: it is no JSON", "x", "-", "-")
}

func TestBatchTellsHowFarItIs(t *testing.T) {
	for _, test := range []struct {
		p    batch.Progress
		want string
	}{
		{batch.Progress{Requests: 50, Running: 8}, "0 of 50"},
		{batch.Progress{Requests: 50, Before: 20, Answered: 9, Failed: 1, Generated: 300, Prompt: 900, Elapsed: 10 * time.Second},
			"30 of 50, 1 failed, 30 tokens/s, 20s left"},
		{batch.Progress{Requests: 2, Answered: 1, Prompt: 900, Elapsed: time.Minute, Running: 1, Waiting: 1, Trouble: "503 Service"},
			"1 of 2, 15 prompt tokens/s, 20s left, 1 wait: 503 Service"},
	} {
		if got := progressText(test.p); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
