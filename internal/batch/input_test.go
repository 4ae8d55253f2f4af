package batch

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestLinesThatAreNoRequestsAreNamed(t *testing.T) {
	good := line("a")
	for _, test := range []struct{ text, want string }{
		{"", "there is no request in it"},
		{"\n \n", "there is no request in it"},
		{good + "\n\n" + good, `line 3: custom_id "a" is that of line 1`},
		{good + "\nnonsense", "line 2: it is no JSON: column 2: invalid character 'o' in literal null"},
		{good[:40], "line 1: it ends before its object of JSON does, which has to stand in one line"},
		{"[\n" + good + "\n]", "does, which has to stand in one line; line 3: it is no JSON: column 1"},
		{"[" + good + "]", "line 1: it is a JSON array, expected an object"},
		{"7", "line 1: it is a JSON number, expected an object"},
		{strings.Replace(good, `"a"`, `7`, 1), "line 1: custom_id is a JSON number"},
		{strings.Replace(good, `"a"`, `""`, 1), "line 1: there is no custom_id"},
		{strings.Replace(good, `custom_id`, `id`, 1), "line 1: there is no custom_id"},
		{strings.Replace(good, `POST`, `GET`, 1), `line 1: the method is "GET", expected POST`},
		{strings.Replace(good, `/v1/chat`, `/v2/chat`, 1), `line 1: the url is "/v2/chat/completions", expected one of /v1/chat`},
		{strings.Replace(good, `"body"`, `"input"`, 1), "line 1: there is no body that is an object"},
		{strings.Replace(good, `{"user":"a"}`, `"{}"`, 1), "line 1: there is no body that is an object"},
		{strings.Replace(good, `{"user":"a"}`, `{"stream":true}`, 1), `line 1: the body asks for "stream": true, and a file`},
		{strings.Repeat("x\n", 20), "; and 15 lines more"},
	} {
		f := newFiles(t, test.text, "")
		_, err := Open(f.in, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "batch: "+f.in+": ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want %q", test.text, err, test.want)
		}
	}
	for _, good := range []string{
		"\ufeff" + good, "  " + good + "  \r\n", strings.Replace(good, `{"user":"a"}`, ` {"stream":false}`, 1),
		strings.Replace(good, "{", `{"more":[{}],`, 1),
	} {
		if in, err := Open(newFiles(t, good, "").in, nil); err != nil || in.Requests != 1 {
			t.Errorf("%q: %v", good, err)
		} else {
			in.Close()
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := Open(t.TempDir(), nil); err == nil {
		t.Error("a folder is a file of requests")
	}
}

func TestAnInputThatCannotBeCopiedIsNamed(t *testing.T) {
	for _, name := range []string{"TMPDIR", "TMP", "TEMP"} {
		t.Setenv(name, filepath.Join(t.TempDir(), "none"))
	}
	_, err := Open("-", strings.NewReader(requests(1)))
	if err == nil || !strings.HasPrefix(err.Error(), "batch: a temporary copy of standard input: ") || !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestAnInputThatIsChangedMeanwhileIsAnError(t *testing.T) {
	f := newFiles(t, requests(9), "")
	in, err := Open(f.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	write(t, f.in, strings.Replace(requests(9), "POST", "post", 5))
	var b bytes.Buffer
	_, err = to(echo).Run(t.Context(), in, Stream(&b))
	if err == nil || !strings.Contains(err.Error(), "has been changed meanwhile: line 1: ") {
		t.Error(err)
	}
}

var lineCount = flag.Int("lines", 10000, "requests of the file that TestMemory runs")

// TestMemoryIsThatOfTheRequestsBeingAsked runs a file of many lines; what grows with it is a note of each custom_id, while it is checked.
func TestMemoryIsThatOfTheRequestsBeingAsked(t *testing.T) {
	f := newFiles(t, "", "")
	w, err := os.Create(f.in)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("long ", 200)
	for i := range *lineCount {
		fmt.Fprintf(w, `{"custom_id":"r%d","method":"POST","url":"/v1/completions","body":{"prompt":%q}}`+"\n", i, long)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	begin := time.Now()
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
	checked, opened := heap()-before, time.Since(begin)
	var mu sync.Mutex
	n, most := 0, int64(0)
	b := to(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock() // so that the others make no garbage while it is measured
		defer mu.Unlock()
		io.Copy(io.Discard, r.Body)
		if n++; n == *lineCount*3/4 {
			most = heap() - before
		}
		fmt.Fprintf(w, `{"text":%q}`, long)
	})
	p, err := b.Run(t.Context(), in, out)
	if err != nil || p.Answered != *lineCount {
		t.Errorf("%+v, %v", p, err)
	}
	t.Logf("%d lines, %d MB: checked in %v, with %d bytes a line; run in %v, with %d bytes in all", *lineCount, in.size>>20, opened,
		checked/int64(*lineCount), p.Elapsed, most)
	if per := checked / int64(*lineCount); per > 100 {
		t.Errorf("%d bytes are kept of a line while it is checked", per)
	}
	if most > 1<<20+int64(*lineCount)/2 {
		t.Errorf("%d bytes are kept during the run", most)
	}
}
