package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4/hub"
)

func TestRateIsThatOfTheLastSeconds(t *testing.T) {
	var r rate
	at := time.Unix(0, 0)
	if got := r.at(at, 500); got != 0 { // of a fetch that goes on
		t.Errorf("at first %v", got)
	}
	done := int64(500)
	for i := range 100 {
		step := int64(10)
		if i >= 80 {
			step = 1000
		}
		at, done = at.Add(time.Second), done+step
		got := r.at(at, done)
		if want := float64(step); got != want && (i < 80 || i > 91) {
			t.Errorf("after %d s: %v, want %v", i+1, got, want)
		}
	}
	if got := r.at(at.Add(time.Second), 5); got != 0 {
		t.Errorf("of a file that starts anew: %v", got)
	}
	for d, want := range map[time.Duration]string{
		0: "0 s", 59 * time.Second: "59 s", 5 * time.Minute: "5 min", 3*time.Hour + 20*time.Minute: "3 h 20 min",
	} {
		if got := left(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestWithoutATerminalAFetchIsALineForEachTenth(t *testing.T) {
	var errors bytes.Buffer
	p := New("x", Command{Name: "test"}, nil, &bytes.Buffer{}, &errors)
	tell := p.fetching()
	m := &hub.Model{Name: "org/x:Q4_0", Source: "https://example.com/org/x"}
	for done := range int64(1001) {
		tell(m, done, 1000)
	}
	lines := strings.Split(strings.TrimSpace(errors.String()), "\n")
	if len(lines) != 11 || lines[0] != "x test: fetching org/x:Q4_0, 1.0 kB, from https://example.com/org/x" ||
		!strings.HasPrefix(lines[9], "x test: 900 B of 1.0 kB (90%), ") || lines[10] != "x test: 1.0 kB of 1.0 kB (100%)" {
		t.Errorf("got %q", lines)
	}
}

func TestCompanionsThatHaveNoNameAreGiven(t *testing.T) {
	for _, test := range []struct {
		place, model, projector string
		given                   bool
	}{
		{"store", "/s/o/r/a.gguf", "/s/o/r/mmproj-a.gguf", true},
		{"ollama", "/b/sha256-01", "/b/sha256-02", true},
		{"huggingface", "/h/a.gguf", "/h/mtp/mmproj-a.gguf", true},
		{"huggingface", "/h/a.gguf", "/h/mmproj-a.gguf", false}, // found beside it, and left if it does not fit
		{"lmstudio", "/l/a.gguf", "", false},
	} {
		var f ModelFlags
		f.companions(&hub.Model{Place: test.place, Files: []string{test.model}, Projector: test.projector})
		if got := f.Loader.Projector.Path; (got == test.projector) != (test.given || test.projector == "") || !test.given && got != "" {
			t.Errorf("%+v: given %q", test, got)
		}
		f = ModelFlags{}
		f.Loader.Projector.Path = "mine.gguf"
		f.companions(&hub.Model{Place: test.place, Files: []string{test.model}, Projector: test.projector})
		if got := f.Loader.Projector.Path; got != "mine.gguf" {
			t.Errorf("%+v: given %q in place of mine", test, got)
		}
	}
}
