package batch

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestALineThatWasCutShortIsCutOff cuts the output at each byte, as a program that is killed may leave it.
func TestALineThatWasCutShortIsCutOff(t *testing.T) {
	f := newFiles(t, requests(2), "")
	if _, err := f.run(t, t.Context(), to(echo)); err != nil {
		t.Fatal(err)
	}
	whole := f.text(t)
	first := strings.Index(whole, "\n") + 1
	in, err := Open(f.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for end := range len(whole) + 1 {
		for _, zeros := range []string{"", "\x00\x00\x00"} {
			write(t, f.out, whole[:end]+zeros)
			out, err := Resume(f.out, in, false)
			if err != nil {
				t.Fatalf("%d bytes: %v", end, err)
			}
			out.Close()
			want, answers := whole[:0], 0
			if end >= first-1 && (end > first-1 || zeros == "") {
				want, answers = whole[:first], 1
			}
			if end >= len(whole)-1 && (end > len(whole)-1 || zeros == "") {
				want, answers = whole, 2
			}
			if got := f.text(t); got != want || out.Answered != answers {
				t.Fatalf("%d bytes and %d zeros: %d answers in %q", end, len(zeros), out.Answered, got)
			}
		}
	}
}

func TestWhatIsNoOutputStaysAsItIs(t *testing.T) {
	good := `{"custom_id":"r1","response":{"status_code":200}}` + "\n"
	for _, test := range []struct{ text, want string }{
		{requests(2), "line 1: it has no custom_id with a response or an error"},
		{"my notes", "line 1: it is no JSON: column 1"},
		{`{"name":"config"`, "line 1: it ends before its object"},
		{`{"name":"config"}`, "line 1: it has no custom_id"},
		{"[1,\n2]\n", "line 1: it ends before its object"},
		{good + "{\"id\":\"batch_req_1\n" + good, "line 2: it is no JSON: column 19"},
		{good + `{"custom_id":"r2"`, "line 2: it ends before its object"}, // another program's, perhaps
		{good + `{"custom_id":"r2","response":null,"error":null}`, "line 2: it has no"},
	} {
		f := newFiles(t, requests(2), test.text)
		in, err := Open(f.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Resume(f.out, in, false); err == nil || !strings.Contains(err.Error(), "batch: "+f.out+": "+test.want) {
			t.Errorf("%q: %v, want %q", test.text, err, test.want)
		}
		if got := f.text(t); got != test.text {
			t.Errorf("%q has become %q", test.text, got)
		}
		in.Close()
	}
	f := newFiles(t, requests(2), "")
	in, err := Open(f.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := Resume(f.in, in, false); err == nil || !strings.Contains(err.Error(), "is the input, too") {
		t.Errorf("the input as output: %v", err)
	}
	if _, err := Resume(t.TempDir(), in, false); err == nil {
		t.Error("a folder as output")
	}
}

func TestFailedRequestsAreAskedAgainAndTheirLinesReplaced(t *testing.T) {
	const (
		good    = `{"custom_id":"r2","response":{"status_code":200,"body":{}},"error":null}` + "\n"
		bad     = `{"custom_id":"r1","response":{"status_code":400,"body":{}},"error":null}` + "\n"
		lost    = `{"custom_id":"r3","response":null,"error":{"code":"connection_error"}}` + "\n"
		foreign = `{"custom_id":"x","response":{"status_code":400,"body":{}},"error":null}` + "\n"
	)
	for _, before := range []string{good + bad + foreign + lost, bad + lost + good + strings.TrimSpace(foreign)} {
		f := newFiles(t, requests(4), before)
		in, err := Open(f.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := Resume(f.out, in, true)
		text := f.text(t)
		if err != nil || kept.Answered != 3 || kept.Failed != 2 || kept.Foreign != 1 ||
			strings.TrimSpace(text) != strings.TrimSpace(before) {
			t.Errorf("kept: %+v, %v, %s", kept, err, text)
		}
		kept.Close()
		in.Close()
		p, err := f.run(t, t.Context(), to(echo))
		if err != nil || p.Before != 1 || p.Answered != 3 {
			t.Errorf("%+v, %v", p, err)
		}
		if text := f.text(t); !strings.HasPrefix(text, good+foreign) {
			t.Errorf("%s", text)
		}
		all := f.answers(t)
		for _, id := range []string{"r1", "r2", "r3", "r4"} {
			if a := all[id]; a.failed() || len(all) != 5 {
				t.Errorf("%s of %d: %+v", id, len(all), a)
			}
		}
		if left, err := filepath.Glob(f.out + "*"); err != nil || len(left) != 1 {
			t.Errorf("left: %q, %v", left, err)
		}
	}
}

func TestOnlyOneProgramWritesTheOutput(t *testing.T) {
	for _, disturb := range []func(path string) error{
		os.Remove,
		func(path string) error { return os.WriteFile(path, []byte("mine"), 0o666) },
		func(path string) error { return os.Rename(path, path+".old") },
	} {
		f := newFiles(t, requests(9), "")
		var once sync.Once
		b := to(func(w http.ResponseWriter, r *http.Request) {
			once.Do(func() {
				if err := disturb(f.out); err != nil {
					t.Skip(err) // where open files cannot be removed
				}
			})
			echo(w, r)
		})
		b.Parallel = 1
		p, err := f.run(t, t.Context(), b)
		if err == nil || err.Error() != "batch: "+f.out+" has been changed by another program meanwhile" || p.Answered != 0 {
			t.Errorf("%+v, %v", p, err)
		}
	}
}

func TestAnOutputThatCannotBeWrittenEndsTheRun(t *testing.T) {
	f := newFiles(t, requests(100), "")
	in, err := Open(f.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	r, w := io.Pipe()
	r.CloseWithError(io.ErrShortWrite)
	if p, err := to(echo).Run(t.Context(), in, Stream(w)); !errors.Is(err, io.ErrShortWrite) || p.Answered != 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestAnOutputThatDoesNotReachTheDiskIsAnError(t *testing.T) {
	f := newFiles(t, requests(3), "")
	in, err := Open(f.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := Resume(f.out, in, false)
	if err != nil {
		t.Fatal(err)
	}
	b := to(echo)
	b.Progress = func(p Progress) {
		if p.Answered == p.Requests {
			out.Close()
		}
	}
	if p, err := b.Run(t.Context(), in, out); !errors.Is(err, os.ErrClosed) || p.Answered != 3 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestAStreamGetsLinesAndADeviceIsNotReplaced(t *testing.T) {
	in, err := Open("-", strings.NewReader(requests(5)))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := to(echo).Run(t.Context(), in, Stream(&b)); err != nil || strings.Count(b.String(), "\n") != 5 {
		t.Errorf("%v, %q", err, b.String())
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(in.file.Name()); err == nil {
		t.Errorf("%s is left", in.file.Name())
	}
	f := newFiles(t, requests(3), "")
	f.out = os.DevNull
	if p, err := f.run(t, t.Context(), to(echo)); err != nil || p.Answered != 3 {
		t.Errorf("%+v, %v", p, err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Errorf("%v, %v", info, err)
	}
}

func TestALinkToTheOutputStaysOne(t *testing.T) {
	f := newFiles(t, requests(1), `{"custom_id":"r1","response":{"status_code":500}}`+"\n")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(f.out, link); err != nil {
		t.Skip(err)
	}
	if p, err := (files{f.in, link}).run(t, t.Context(), to(echo)); err != nil || p.Answered != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 || len(f.answers(t)) != 1 {
		t.Errorf("%v, %v", info, err)
	}
}
