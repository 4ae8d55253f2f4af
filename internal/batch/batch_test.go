package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// line returns a request whose body says who it is.
func line(id string) string {
	return fmt.Sprintf(`{"custom_id":%q,"method":"POST","url":"/v1/chat/completions","body":{"user":%q}}`, id, id)
}

// requests returns lines of n requests, r1, r2 …
func requests(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintln(&b, line(fmt.Sprint("r", i+1)))
	}
	return b.String()
}

// user returns who a request is.
func user(r *http.Request) string {
	var body struct{ User string }
	json.NewDecoder(r.Body).Decode(&body)
	return body.User
}

// echo answers with the user.
func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Request-Id", "req_1")
	fmt.Fprintf(w, "{\n  \"of\": %q, \"html\": \"<b>&</b>\",\n  \"usage\": {\"prompt_tokens\": 3, \"completion_tokens\": 2}\n}\n", user(r))
}

// files are an input and an output.
type files struct{ in, out string }

func newFiles(t *testing.T, in, out string) files {
	t.Helper()
	f := files{filepath.Join(t.TempDir(), "in.jsonl"), filepath.Join(t.TempDir(), "out.jsonl")}
	write(t, f.in, in)
	if out != "" {
		write(t, f.out, out)
	}
	return f
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func (f files) text(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(f.out)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// run runs the batch on the files, up to an error of the run.
func (f files) run(t *testing.T, ctx context.Context, b Batch) (Progress, error) {
	t.Helper()
	in, err := Open(f.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := Resume(f.out, in, false)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	return b.Run(ctx, in, out)
}

// answers reads the output, in which no custom_id may come twice.
func (f files) answers(t *testing.T) map[string]answer {
	t.Helper()
	all := map[string]answer{}
	for l := range strings.Lines(f.text(t)) {
		var a answer
		d := json.NewDecoder(strings.NewReader(l))
		d.DisallowUnknownFields()
		if err := d.Decode(&a); err != nil || !strings.HasSuffix(l, "\n") {
			t.Fatalf("%q: %v", l, err)
		}
		if _, ok := all[a.CustomID]; ok {
			t.Errorf("%s is answered twice", a.CustomID)
		}
		all[a.CustomID] = a
	}
	return all
}

// to returns a batch for a handler in this process, which does not wait between tries.
func to(h http.HandlerFunc) Batch {
	return Batch{URL: "http://localhost/v1", Transport: Handler{h}, Retries: 3, sleep: atOnce}
}

func atOnce(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func TestAnswersAreLinesOfOpenAIsFormat(t *testing.T) {
	f := newFiles(t, line("a\nb")+"\r\n\r\n"+strings.Replace(line("c"), "chat/completions", "messages", 1), "")
	var mu sync.Mutex
	var seen []string
	h := func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		h := r.Header
		seen = append(seen, fmt.Sprint(r.Method, " ", r.Host, r.RequestURI, h["Content-Type"], h["Authorization"], h["X-Api-Key"]))
		echo(w, r)
	}
	b := to(h)
	b.URL, b.Key, b.Parallel = "http://host/openai/v1/?version=1", "k", 1
	p, err := f.run(t, t.Context(), b)
	if err != nil || p.Answered != 2 || p.Requests != 2 || p.Prompt != 6 || p.Generated != 4 {
		t.Errorf("%+v, %v", p, err)
	}
	body := `{"of":"a\\nb","html":"<b>&</b>","usage":{"prompt_tokens":3,"completion_tokens":2}}`
	want := regexp.MustCompile(`^\{"id":"batch_req_[0-9a-f]{32}","custom_id":"a\\nb",` +
		`"response":\{"status_code":200,"request_id":"req_1","body":` + body + `\},"error":null\}` + "\n")
	if text := f.text(t); !want.MatchString(text) {
		t.Errorf("%s", text)
	}
	if want := []string{
		"POST host/openai/v1/chat/completions?version=1[application/json] [Bearer k] []",
		"POST host/openai/v1/messages?version=1[application/json] [Bearer k] [k]",
	}; !slices.Equal(seen, want) {
		t.Errorf("%q", seen)
	}
}

func TestManyAreAskedAtOnceAndNoMore(t *testing.T) {
	f := newFiles(t, requests(60), "")
	all := make(chan struct{})
	var now atomic.Int64
	var once sync.Once
	b := to(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		if n == 5 {
			once.Do(func() { close(all) })
		}
		if n > 5 {
			t.Errorf("%d at once", n)
		}
		<-all // until five are here
		echo(w, r)
	})
	b.Parallel = 5
	if p, err := f.run(t, t.Context(), b); err != nil || p.Answered != 60 {
		t.Errorf("%+v, %v", p, err)
	}
	for id, a := range f.answers(t) {
		if !strings.Contains(string(a.Response.Body), fmt.Sprintf("%q", id)) {
			t.Errorf("%s got %s", id, a.Response.Body)
		}
	}
}

// TestARunThatWasInterruptedGoesOn interrupts a run again and again. What has been answered is not asked again, and all is answered once.
func TestARunThatWasInterruptedGoesOn(t *testing.T) {
	f := newFiles(t, requests(50), "")
	answered := map[string]bool{}
	for runs := 1; ; runs++ {
		ctx, cancel := context.WithCancel(t.Context())
		var n atomic.Int64
		one, once := make(chan struct{}), sync.Once{}
		b := to(func(w http.ResponseWriter, r *http.Request) {
			id := user(r)
			if answered[id] { // written between runs only
				t.Errorf("%s is asked again", id)
			}
			if n.Add(1) > 7 {
				<-one // is written, so that runs come to an end; the others may be or not
				cancel()
				<-r.Context().Done()
				fmt.Fprint(w, `{"half":`)
				return
			}
			fmt.Fprint(w, "{}")
		})
		b.Progress = func(p Progress) {
			if p.Answered > 0 {
				once.Do(func() { close(one) })
			}
		}
		p, err := f.run(t, ctx, b)
		cancel()
		before := len(answered)
		for id := range f.answers(t) {
			answered[id] = true
		}
		if len(answered) != p.Before+p.Answered || p.Before != before || p.Failed != 0 {
			t.Fatalf("run %d: %+v, %d are answered, before %d", runs, p, len(answered), before)
		}
		if err == nil {
			if len(answered) != 50 || runs < 5 {
				t.Errorf("%d are answered after %d runs", len(answered), runs)
			}
			return
		}
		if !errors.Is(err, context.Canceled) || runs > 50 {
			t.Fatalf("run %d: %v", runs, err)
		}
	}
}

func TestBaseURLs(t *testing.T) {
	for url, want := range map[string]string{
		"http://h:8080":                        "http://h:8080/v1",
		"http://h:8080/":                       "http://h:8080/v1",
		"https://h/v1/":                        "https://h/v1",
		"https://h/v1beta/openai":              "https://h/v1beta/openai",
		"h:8080/v1":                            "is no base URL",
		"127.0.0.1:8080":                       "is no base URL",
		"":                                     "is no base URL",
		"ftp://h":                              "is no base URL",
		"http://h/v1/chat/completions":         "is one endpoint, expected what all have in common: http://h/v1",
		"https://a:secret@h/v1/completions?x=": "common: https://a:xxxxx@h/v1?x=",
	} {
		base, err := Batch{URL: url}.base()
		got := fmt.Sprint(base)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasSuffix(got, want) && (err == nil || !strings.Contains(got, want)) {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

func TestTimeLeft(t *testing.T) {
	for _, test := range []struct {
		p    Progress
		want time.Duration
	}{
		{Progress{Requests: 100, Elapsed: time.Minute}, 0},
		{Progress{Requests: 100, Running: 8, Elapsed: time.Minute}, 0},
		{Progress{Requests: 100, Before: 50, Answered: 9, Failed: 1, Elapsed: time.Minute}, 4 * time.Minute},
		{Progress{Requests: 100, Answered: 1, Running: 8, Elapsed: 5 * time.Second}, 95 * time.Second},
		{Progress{Requests: 100, Answered: 99, Running: 1, Elapsed: 199 * time.Second}, time.Second},
		{Progress{Requests: 2, Before: 1, Answered: 1, Elapsed: time.Second}, 0},
	} {
		if got := test.p.Left(); got != test.want {
			t.Errorf("%+v: %v, want %v", test.p, got, test.want)
		}
	}
}
