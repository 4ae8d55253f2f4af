package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCompanionsComeAlongWhenAskedAndStay(t *testing.T) {
	s, h := serve(t, edge())
	ctx := t.Context()
	m, err := h.Pull(ctx, "org/edge", With{Projector: true})
	check(t, m, err, "four bits", "senses")
	m, err = h.Pull(ctx, "org/edge:q4_k_m", With{Drafter: true}) // the projector is not lost
	check(t, m, err, "four bits", "senses", "guesses")
	m, err = h.Find(ctx, "org/edge")
	check(t, m, err, "four bits", "senses", "guesses")
	if filepath.Dir(m.Projector) != filepath.Dir(m.Files[0]) || filepath.Dir(m.Drafter) != filepath.Dir(m.Files[0]) {
		t.Errorf("not side by side: %+v", m)
	}
	was := s.bytes
	m, err = h.Pull(ctx, "org/edge:Q8_0", With{Projector: true})
	check(t, m, err, "eight bits, so more", "senses")
	if s.bytes-was != int64(len("eight bits, so more")) {
		t.Errorf("%d bytes fetched: the projector was there", s.bytes-was)
	}
	if err := h.Remove("org/edge:Q4_K_M"); err != nil {
		t.Fatal(err)
	}
	m, err = h.Find(ctx, "org/edge") // what is left of the repository
	check(t, m, err, "eight bits, so more", "senses")
	if _, err := os.Stat(filepath.Join(filepath.Dir(m.Projector), "mtp-edge-Q8_0.gguf")); err == nil {
		t.Error("the drafter that only the other one had is still there")
	}
	files := s.repos["org/edge"].commits[0]
	delete(files, "mtp-edge-Q8_0.gguf")
	_, err = h.Pull(ctx, "org/edge", With{Drafter: true})
	says(t, err, "has no drafter", "org/edge")
	delete(files, "mmproj-edge-Q8_0.gguf")
	m, err = h.Pull(ctx, "org/edge:Q8_0", With{})
	check(t, m, err, "eight bits, so more", "sharper senses")
	if got := inStore(t, h); len(got) != 3+3 { // folders; the model, its record and the projector
		t.Errorf("the store has %q", got)
	}
	delete(files, "mmproj-edge-bf16.gguf")
	m, err = h.Pull(ctx, "org/edge:Q8_0", With{})
	check(t, m, err, "eight bits, so more")
}

func TestAllPartsOfASplitFileAreOfOneCommit(t *testing.T) {
	s, h := serve(t, edge())
	x := s.repos["org/edge"]
	moved := false
	s.hook = func(w http.ResponseWriter, r *http.Request) bool { // between the listing and the first file
		if r.Method == http.MethodHead && !moved {
			moved = true
			x.commits = append(x.commits, map[string]string{
				"BF16/edge-BF16-00001-of-00002.gguf": "a new half", "BF16/edge-BF16-00002-of-00002.gguf": "and its other half",
			})
		}
		return false
	}
	s.store = func(w http.ResponseWriter, r *http.Request) bool { // and while they are fetched
		x.commits = append(x.commits, map[string]string{
			"BF16/edge-BF16-00001-of-00002.gguf": "never asked for", "BF16/edge-BF16-00002-of-00002.gguf": "nor this",
		})
		return false
	}
	for _, name := range []string{"org/edge:BF16", "org/edge@" + commit(1), "org/edge:BF16/edge-BF16-00002-of-00002.gguf@" + commit(1)} {
		m, err := h.Pull(t.Context(), name, With{})
		check(t, m, err, "a new half", "and its other half")
		if m != nil && m.Revision != commit(1) {
			t.Errorf("revision %s", m.Revision)
		}
	}
	m, err := h.Pull(t.Context(), "org/edge@refs/pr/0", With{})
	check(t, m, err, "four bits")
	delete(x.commits[0], "BF16/edge-BF16-00002-of-00002.gguf")
	_, err = h.Pull(t.Context(), "org/edge:BF16@"+commit(0), With{})
	says(t, err, "edge-BF16-00001-of-00002.gguf is part 1 of 2", "no edge-BF16-00002-of-00002.gguf")
}

func TestAMovedBranchIsFetchedByPullAndNotByFind(t *testing.T) {
	s, h := serve(t, edge())
	ctx := t.Context()
	if _, err := h.Pull(ctx, "org/edge:BF16", With{Projector: true}); err != nil {
		t.Fatal(err)
	}
	x := s.repos["org/edge"]
	x.commits = append(x.commits, map[string]string{ // of the same sizes
		"BF16/edge-BF16-00001-of-00002.gguf": "ONE half", "BF16/edge-BF16-00002-of-00002.gguf": "the OTHER half",
		"mmproj-edge-bf16.gguf": "sharper senses",
	})
	m, err := h.Find(ctx, "org/edge:BF16")
	check(t, m, err, "one half", "the other half", "sharper senses")

	failing := true
	s.store = func(w http.ResponseWriter, r *http.Request) bool {
		bad := failing && strings.Contains(r.URL.Path, "00002-of")
		if bad {
			w.WriteHeader(http.StatusGone)
		}
		return bad
	}
	if _, err := h.Pull(ctx, "org/edge:BF16", With{}); err == nil {
		t.Fatal("no error")
	}
	m, err = h.Find(ctx, "org/edge:BF16") // the old one, whole
	check(t, m, err, "one half", "the other half", "sharper senses")
	failing = false
	was := s.bytes
	m, err = h.Pull(ctx, "org/edge:BF16", With{})
	check(t, m, err, "ONE half", "the OTHER half", "sharper senses")
	if got := s.bytes - was; got != int64(len("the OTHER half")) {
		t.Errorf("%d bytes were fetched, some again", got)
	}
	m, err = h.Find(ctx, "org/edge:BF16")
	check(t, m, err, "ONE half", "the OTHER half", "sharper senses")
	if m.Revision != commit(1) {
		t.Errorf("revision %s", m.Revision)
	}
	if err := h.Remove("org/edge:BF16"); err != nil || len(inStore(t, h)) > 0 {
		t.Errorf("removed, %v, the store still has %q", err, inStore(t, h))
	}
}

func TestANameMeansWhatItMeantWhenItWasLastAskedFor(t *testing.T) {
	s, h := serve(t, map[string]*repo{"org/x": {commits: []map[string]string{{"old-Q8_0.gguf": "old"}}}})
	m, err := h.Pull(t.Context(), "org/x", With{})
	check(t, m, err, "old")
	x := s.repos["org/x"]
	x.commits = append(x.commits, map[string]string{"new-Q8_0.gguf": "new", "old-Q8_0.gguf": "old"})
	m, err = h.Pull(t.Context(), "org/x", With{})
	check(t, m, err, "new")
	for name, want := range map[string]string{"org/x": "new", "org/x:Q8_0": "new", "org/x:old-Q8_0.gguf": "old"} {
		m, err = h.Find(t.Context(), name)
		check(t, m, err, want)
	}
}

func TestARepositoryThatRefusesSaysWhatToDo(t *testing.T) {
	s, h := serve(t, edge())
	ctx := t.Context()
	files := edge()["org/edge"].commits
	s.repos["org/gated"] = &repo{commits: files, gated: true}
	s.repos["org/private"] = &repo{commits: files, private: true}
	s.repos["org/pictures"] = &repo{commits: []map[string]string{{"mmproj-x-F16.gguf": "x"}}}
	s.renamed["org/before"] = "org/edge"
	pull := func(name string) error {
		_, err := h.Pull(ctx, name, With{})
		return err
	}
	for _, test := range []struct {
		name  string
		texts []string
	}{
		{"org/gated", []string{"accept its licence", s.URL + "/org/gated", "HF_TOKEN"}},
		{"org/private", []string{"no repository", s.URL + "/org/private", "HF_TOKEN"}},
		{"org/none", []string{"no repository"}},
		{"org/edge@v7", []string{"no revision v7"}},
		{"org/edge:Q5_K_M", []string{"no file has Q5_K_M", "there are BF16, Q4_K_M, Q8_0"}},
		{"org/edge:edge-Q4.gguf", []string{"no file has edge-Q4.gguf", "edge-Q4_K_M.gguf, edge-Q8_0.gguf"}},
		{"org/pictures", []string{"no GGUF file of a model"}},
	} {
		says(t, pull(test.name), test.texts...)
	}
	h.Token = "wrong"
	says(t, pull("org/private"), "your token")
	says(t, pull("org/gated"), "account of your token")
	h.Token = ""
	t.Setenv("HUGGING_FACE_HUB_TOKEN", "secret")
	for _, name := range []string{"org/gated", "org/private", "org/before"} {
		m, err := h.Pull(ctx, name, With{})
		check(t, m, err, "four bits")
	}
	t.Setenv("HUGGING_FACE_HUB_TOKEN", "")
	if err := os.WriteFile(filepath.Join(os.Getenv("HF_HOME"), "token"), []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := h.Pull(ctx, "org/private:Q8_0", With{})
	check(t, m, err, "eight bits, so more")
}

func TestAHubThatIsBusyIsAskedAgain(t *testing.T) {
	s, h := serve(t, edge())
	var pauses []time.Duration
	h.sleep = func(_ context.Context, d time.Duration) error { pauses = append(pauses, d); return nil }
	answers := []func(h http.Header) int{
		func(h http.Header) int { h.Set("RateLimit", `"api";r=0;t=55`); h.Set("Retry-After", "7"); return 429 },
		func(h http.Header) int { h.Set("Retry-After", "3"); return 503 },
		func(h http.Header) int {
			h.Set("Retry-After", time.Now().UTC().Add(-time.Hour).Format(http.TimeFormat))
			return 429
		},
	}
	s.hook = func(w http.ResponseWriter, r *http.Request) bool {
		if len(answers) == 0 {
			return false
		}
		status := answers[0](w.Header())
		answers = answers[1:]
		w.WriteHeader(status)
		return true
	}
	m, err := h.Pull(t.Context(), "org/edge", With{})
	check(t, m, err, "four bits")
	if !slices.Equal(pauses, []time.Duration{55 * time.Second, 3 * time.Second, 0}) {
		t.Errorf("waited %v", pauses)
	}
	for _, header := range [][2]string{
		{"Retry-After", "86400"}, {"Retry-After", "never"}, {"RateLimit", `"api";r=0;t=99999999999999999999`},
	} {
		s.hook = func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set(header[0], header[1])
			w.WriteHeader(429)
			return true
		}
		n := len(s.asked)
		_, err = h.Pull(t.Context(), "org/edge", With{})
		says(t, err, "is busy", "Too Many Requests")
		if len(s.asked) > n+maxTries {
			t.Errorf("%v: asked %d times", header, len(s.asked)-n)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	h.sleep = nil
	s.hook = func(w http.ResponseWriter, r *http.Request) bool { stop(); w.WriteHeader(503); return true }
	if _, err := h.Pull(ctx, "org/edge", With{}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestListingsOfStrangersAreBoundedAndLeadNowhere(t *testing.T) {
	sha, _ := hashes("four bits")
	lfs := func(path string, size int64, oid string) listed {
		return listed{Type: "file", Path: path, Size: size, LFS: &listedLFS{oid, size, 1}}
	}
	var evil []listed
	for _, path := range []string{
		"../Q4_K_M.gguf", "/etc/Q4_K_M.gguf", `..\Q4_K_M.gguf`, `a\Q4_K_M.gguf`, "C:Q4_K_M.gguf", "a/../../Q4_K_M.gguf", "a\x00Q4_K_M.gguf",
		"a//Q4_K_M.gguf", "./Q4_K_M.gguf", "con.Q4_K_M.gguf", "NUL.gguf", "a\nQ4_K_M.gguf", "-Q4_K_M.gguf", ".Q4_K_M.gguf",
		strings.Repeat("a", 300) + "-Q4_K_M.gguf", "a/com1.Q4_K_M.gguf", "a\u202e/\x1b[2JQ4_K_M.gguf", "",
	} {
		evil = append(evil, lfs(path, 9, sha))
	}
	for _, test := range []struct {
		name string
		list func(s *server, w http.ResponseWriter, all []listed) any
		want string // of the error; "": the model is fetched
	}{
		{"names that lead elsewhere", func(_ *server, _ http.ResponseWriter, all []listed) any { return append(evil, all...) }, ""},
		{"only such", func(*server, http.ResponseWriter, []listed) any { return evil }, "no GGUF file"},
		{"pages without end", func(s *server, w http.ResponseWriter, all []listed) any {
			w.Header().Set("Link", "<"+s.URL+`/api/models/org/edge/tree/main?again>; rel="next"`)
			return all[:1]
		}, "more than 100 pages"},
		{"files without end", func(*server, http.ResponseWriter, []listed) any {
			return slices.Repeat([]listed{lfs("x.gguf", 1, sha)}, maxFiles+1)
		}, "more than 10000 GGUF files"},
		{"a next page on another host", func(s *server, w http.ResponseWriter, all []listed) any {
			w.Header().Set("Link", "<"+s.cdn.URL+`/x>; rel="next"`)
			return all
		}, "is elsewhere"},
		{"a giant", func(*server, http.ResponseWriter, []listed) any {
			return strings.Repeat(" ", maxAnswer)
		}, "more than 8388608 bytes"},
		{"no list", func(*server, http.ResponseWriter, []listed) any { return map[string]string{"error": "x"} }, "the listing of"},
		{"nested too deeply", func(_ *server, w http.ResponseWriter, _ []listed) any {
			return json.RawMessage(strings.Repeat("[", 9000) + strings.Repeat("]", 9000))
		}, "the listing of"},
		{"no hash", func(*server, http.ResponseWriter, []listed) any {
			return []listed{lfs("edge-Q4_K_M.gguf", 9, "md5")}
		}, "no size or hash"},
		{"no size", func(*server, http.ResponseWriter, []listed) any {
			return []listed{lfs("edge-Q4_K_M.gguf", -5, sha)}
		}, "no size or hash"},
		{"a file that is none", func(*server, http.ResponseWriter, []listed) any {
			return []listed{{Type: "directory", Path: "edge-Q4_K_M.gguf"}}
		}, "no GGUF file"},
		{"the size of another", func(*server, http.ResponseWriter, []listed) any {
			return []listed{lfs("edge-Q4_K_M.gguf", 8, sha)}
		}, "8"},
		{"the hash of another", func(*server, http.ResponseWriter, []listed) any {
			return []listed{lfs("edge-Q4_K_M.gguf", 9, strings.Repeat("a", 64))}
		}, "SHA-256"},
		{"gone since", func(*server, http.ResponseWriter, []listed) any {
			return []listed{lfs("Q4_K_M.gguf", 9, sha)}
		}, "no file Q4_K_M.gguf"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, h := serve(t, edge())
			s.list = func(w http.ResponseWriter, all []listed) bool {
				json.NewEncoder(w).Encode(test.list(s, w, all))
				return true
			}
			m, err := h.Pull(t.Context(), "org/edge", With{})
			if test.want == "" {
				check(t, m, err, "four bits")
			} else {
				says(t, err, test.want)
				for _, f := range inStore(t, h) {
					if strings.HasSuffix(f, ".gguf") || strings.HasSuffix(f, ".json") {
						t.Errorf("the store has %s", f)
					}
				}
			}
			s.list = nil // a hub that has come to its senses
			m, err = h.Pull(t.Context(), "org/edge", With{})
			check(t, m, err, "four bits")
			if parent, _ := os.ReadDir(filepath.Dir(h.Home)); len(parent) > 1 {
				t.Errorf("beside the store there is %v", parent)
			}
		})
	}
}

func TestAListingOfSeveralPagesIsRead(t *testing.T) {
	s, h := serve(t, edge())
	s.pageSize = 2
	m, err := h.Pull(t.Context(), "org/edge:Q8_0", With{Projector: true, Drafter: true})
	check(t, m, err, "eight bits, so more", "senses", "guesses")
	s.repos["org/small"] = &repo{noLFS: true, commits: []map[string]string{{"x.gguf": "small"}}}
	m, err = h.Pull(t.Context(), "org/small", With{})
	check(t, m, err, "small")
}

func TestFilesOfOneNameInSeveralFoldersDoNotMeet(t *testing.T) {
	_, h := serve(t, map[string]*repo{"org/x": {commits: []map[string]string{{
		"Q8_0/model.gguf": "eight", "Q6_K/Model.gguf": "six", "mtp/draft-Q8_0.gguf": "guesses",
	}}}})
	m, err := h.Pull(t.Context(), "org/x:Q6_K", With{})
	check(t, m, err, "six")
	m, err = h.Pull(t.Context(), "org/x:Q8_0", With{Drafter: true})
	check(t, m, err, "eight", "guesses")
	if filepath.Base(m.Files[0]) != "Q8_0_model.gguf" || filepath.Base(m.Drafter) != "mtp-draft-Q8_0.gguf" {
		t.Errorf("got %+v", m)
	}
	m, err = h.Find(t.Context(), "org/x:Q6_K/model.gguf")
	check(t, m, err, "six")
}

func TestAFetchThatWasInterruptedGoesOn(t *testing.T) {
	s, h := serve(t, edge())
	ctx, stop := context.WithCancel(t.Context())
	var told []string
	h.Progress = func(m *Model, done, total int64) {
		if told = append(told, fmt.Sprint(done, " of ", total, " ", m.Name)); len(told) > 1 && done == total {
			stop()
		}
	}
	s.store = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "00002-of") {
			stop()
			w.Header().Set("Content-Length", "14")
			w.Write([]byte("the"))
			return true
		}
		return false
	}
	if _, err := h.Pull(ctx, "org/edge:BF16", With{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if told[0] != "0 of 22 org/edge:BF16" {
		t.Errorf("first told %q", told[0])
	}
	if _, err := h.Find(t.Context(), "org/edge:BF16"); !errors.Is(err, ErrNotFound) {
		t.Errorf("found half of it: %v", err)
	}
	s.store, h.Progress = nil, nil
	was := s.bytes
	m, err := h.Pull(t.Context(), "org/edge:BF16", With{})
	check(t, m, err, "one half", "the other half")
	if s.bytes-was > int64(len("the other half")) {
		t.Errorf("%d bytes, some again", s.bytes-was)
	}
}

func TestRemoveTakesWhatUnfinishedFetchesHaveLeftAndNothingElse(t *testing.T) {
	s, h := serve(t, edge())
	m, err := h.Pull(t.Context(), "org/edge:Q8_0", With{})
	check(t, m, err, "eight bits, so more")
	folder := filepath.Dir(m.Files[0])
	for _, name := range []string{"mine.txt", "mine-Q4_K_M.gguf"} { // a person's own
		if err := os.WriteFile(filepath.Join(folder, name), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.repos["org/edge"].commits = append(s.repos["org/edge"].commits, map[string]string{"edge-Q4_K_M.gguf": "four bits",
		"edge-Q8_0.gguf": "EIGHT BITS, SO MORE", "mtp-edge-Q8_0.gguf": "guesses"})
	for _, name := range []string{"org/edge:Q4_K_M", "org/edge:Q8_0"} {
		ctx, stop := context.WithCancel(t.Context())
		s.store = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "mtp") {
				return false
			}
			stop()
			<-r.Context().Done() // an answer could be there before the end is noticed
			return true
		}
		if _, err := h.Pull(ctx, name, With{Drafter: true}); err == nil {
			t.Fatalf("%s: no error", name)
		}
	}
	names := func() (list []string) {
		entries, _ := os.ReadDir(folder)
		for _, e := range entries {
			if !strings.Contains(e.Name(), ".part") {
				list = append(list, e.Name())
			}
		}
		return list
	}
	want := []string{"edge-Q4_K_M.gguf", "edge-Q4_K_M.gguf.json.new", "edge-Q8_0.gguf", "edge-Q8_0.gguf.json", "edge-Q8_0.gguf.json.new",
		"edge-Q8_0.gguf.new", "mine-Q4_K_M.gguf", "mine.txt"}
	if got := names(); !slices.Equal(got, want) {
		t.Errorf("before there are %q, want %q", got, want)
	}
	_, err = h.List()
	says(t, err, "not all here: org/edge:Q4_K_M, org/edge:Q8_0;")
	if err := h.Remove("org/edge:Q4_K_M"); err != nil {
		t.Error(err)
	}
	if got, want := names(), slices.Delete(want, 0, 2); !slices.Equal(got, want) {
		t.Errorf("left %q, want %q", got, want)
	}
	m, err = h.Find(t.Context(), "org/edge:Q8_0")
	check(t, m, err, "eight bits, so more")
	if err := h.Remove("org/edge:Q8_0"); err != nil {
		t.Error(err)
	}
	entries, _ := os.ReadDir(folder)
	if got := names(); !slices.Equal(got, []string{"mine-Q4_K_M.gguf", "mine.txt"}) || len(entries) != 2 {
		t.Errorf("left %q of %d", got, len(entries))
	}
	if _, err := h.List(); err != nil {
		t.Error(err)
	}
	says(t, h.Remove("org/edge:Q8_0"), "not in the store")
	says(t, h.Remove(filepath.Join(folder, "mine-Q4_K_M.gguf")), "is a file")
}

func TestARecordThatWasMadeUpLeadsNowhere(t *testing.T) {
	_, h := serve(t, edge())
	m, err := h.Pull(t.Context(), "org/edge", With{})
	check(t, m, err, "four bits")
	outside := filepath.Join(h.Home, "precious")
	if err := os.WriteFile(outside, []byte("four bits"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := m.Files[0] + recordEnd
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{`../../../precious`, outside, `..\\precious`, `.`, ``, `edge-Q4_K_M.gguf/../x`} {
		made := strings.Replace(string(text), `"file": "edge-Q4_K_M.gguf"`, `"file": `+string(must(json.Marshal(file))), 1)
		if err := os.WriteFile(path, []byte(made), 0o600); err != nil || made == string(text) {
			t.Fatal(err)
		}
		if err := h.Remove("org/edge"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", file, err)
		}
		if _, err := h.List(); err == nil {
			t.Errorf("%s: the list does not tell", file)
		}
		if _, err := os.Stat(outside); err != nil {
			t.Fatal(err)
		}
	}
	for _, broken := range []string{
		"", "{", "[]", `{"files":[]}`, `{"files":[{"role":"drafter","file":"x"}]}`, strings.Repeat(" ", maxRecord+1),
	} {
		if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := h.Pull(t.Context(), "org/edge", With{}) // mends it
		check(t, m, err, "four bits")
	}
}

func must[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}

func TestWhatAnotherProgramHasIsUsedWhereItIs(t *testing.T) {
	s, h := serve(t, edge())
	cache := t.TempDir()
	h.Caches = []Cache{{hubProgram, cache}}
	repository := filepath.Join(cache, "models--org--edge")
	for path, content := range map[string]string{
		"snapshots/" + commit(7) + "/edge-Q4_K_M.gguf": "four bits", "refs/old": commit(7), // of another commit
	} {
		path = filepath.Join(repository, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := h.Pull(t.Context(), "org/edge", With{})
	check(t, m, err, "four bits")
	m, err = h.Pull(t.Context(), "org/edge", With{Projector: true})
	check(t, m, err, "four bits", "senses")
	if s.bytes != int64(len("senses")) || !strings.HasPrefix(m.Files[0], cache) || m.Place != hubProgram {
		t.Errorf("%d bytes fetched, %+v", s.bytes, m)
	}
	m, err = h.Find(t.Context(), "org/edge")
	check(t, m, err, "four bits", "senses")
	if err := h.Remove("org/edge"); err != nil || len(inStore(t, h)) > 0 {
		t.Errorf("removed, %v, the store still has %q", err, inStore(t, h))
	}
	if _, err := os.Stat(m.Files[0]); err != nil {
		t.Errorf("what is another's was removed: %v", err)
	}
}

func TestOfflineNothingIsAsked(t *testing.T) {
	s, h := serve(t, edge())
	m, err := h.Pull(t.Context(), "org/edge", With{})
	check(t, m, err, "four bits")
	n := len(s.asked)
	for _, value := range []string{"1", "on", "YES", "True"} {
		t.Setenv("HF_HUB_OFFLINE", value)
		m, err = h.Pull(t.Context(), "org/edge", With{})
		check(t, m, err, "four bits")
		_, err = h.Pull(t.Context(), "org/edge:Q8_0", With{})
		says(t, err, "not on this machine", "HF_HUB_OFFLINE")
	}
	t.Setenv("HF_HUB_OFFLINE", "0")
	h.Offline = true
	_, err = h.Pull(t.Context(), "org/edge:Q8_0", With{})
	says(t, err, "not on this machine")
	_, err = h.Pull(t.Context(), "org/edge", With{Projector: true})
	says(t, err, "not all that is to come along", "HF_HUB_OFFLINE")
	if len(s.asked) != n {
		t.Errorf("asked %q", s.asked[n:])
	}
}

func TestTheNetworksFaultsAreTriedAgainWhereThatHelps(t *testing.T) {
	s, h := serve(t, edge())
	cut := 2
	s.hook = func(w http.ResponseWriter, r *http.Request) bool { // before the answer, then within it
		if cut--; cut < 0 {
			return false
		}
		w.Header().Set("Content-Length", "100")
		if cut == 0 {
			w.Write([]byte("[{"))
			w.(http.Flusher).Flush()
		}
		panic(http.ErrAbortHandler)
	}
	m, err := h.Pull(t.Context(), "org/edge", With{})
	check(t, m, err, "four bits")

	asked := 0
	h.Token = "secret"
	s.hook = func(w http.ResponseWriter, r *http.Request) bool {
		asked++
		http.Redirect(w, r, s.cdn.URL+r.URL.Path, http.StatusFound) // which would tell if it saw the token
		return true
	}
	_, err = h.Pull(t.Context(), "org/edge:Q8_0", With{})
	says(t, err, "redirect to another host")
	s.hook = func(w http.ResponseWriter, r *http.Request) bool {
		asked++
		http.Redirect(w, r, r.URL.String()+"&x", http.StatusFound)
		return true
	}
	_, err = h.Pull(t.Context(), "org/edge:Q8_0", With{})
	says(t, err, "10 redirects")
	if asked > 20 {
		t.Errorf("asked %d times", asked)
	}

	asked = 0
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	h.Endpoint = secure.URL
	tries := 0
	h.sleep = func(context.Context, time.Duration) error { tries++; return nil }
	_, err = h.Pull(t.Context(), "org/edge:Q8_0", With{})
	says(t, err, "asking "+strings.TrimPrefix(secure.URL, "https://"), "certificate", "SSL_CERT_FILE")
	if asked+tries > 0 {
		t.Errorf("a certificate that nobody vouches for: %d requests, %d tries", asked, tries)
	}
	h.Endpoint = "http://127.0.0.1:1" // nobody; a port that was given up may be another program's
	_, err = h.Pull(t.Context(), "org/edge:Q8_0", With{})
	says(t, err, "asking 127.0.0.1")
}

func TestAnAddressThatIsNoneIsRefused(t *testing.T) {
	_, h := serve(t, edge())
	for _, endpoint := range []string{"ftp://x", "x", "http://", "http://user:secret@x", "http://x?y", "://"} {
		h.Endpoint = endpoint
		_, err := h.Pull(t.Context(), "org/edge", With{})
		says(t, err, "address of a hub")
	}
	h.Endpoint = "http://.."
	_, err := h.Pull(t.Context(), "org/edge", With{})
	says(t, err, "no folder in the store")
}

func TestNothingIsWrittenWhereNothingHasChanged(t *testing.T) {
	_, h := serve(t, edge())
	m, err := h.Pull(t.Context(), "org/edge", With{Projector: true})
	check(t, m, err, "four bits", "senses")
	record := m.Files[0] + recordEnd
	was := must(os.Stat(record))
	m, err = h.Pull(t.Context(), "org/edge", With{})
	check(t, m, err, "four bits", "senses")
	if !os.SameFile(was, must(os.Stat(record))) {
		t.Error("the record was written again: a store that is for reading only could not be used")
	}
	m, err = h.Pull(t.Context(), "org/edge", With{Drafter: true})
	check(t, m, err, "four bits", "senses", "guesses")
	if os.SameFile(was, must(os.Stat(record))) {
		t.Error("the record does not tell of the drafter")
	}
}

func TestWithoutAStoreThereAreStillTheCaches(t *testing.T) {
	_, h := serve(t, nil)
	model := aModel(t, "cached")
	h.Caches = []Cache{{studioProgram, plant(t, map[string]string{"o/r/a-Q8_0.gguf": model})}}
	for _, home := range []string{"", filepath.Join(h.Caches[0].Dir, "o", "r", "a-Q8_0.gguf")} { // none, and a file
		h.Home = home
		for _, name := range []string{"HOME", "USERPROFILE", "home", "XDG_DATA_HOME", "LocalAppData"} {
			t.Setenv(name, "")
		}
		h.Names = map[string]string{}
		m, err := h.Find(t.Context(), "o/r")
		check(t, m, err, model)
		all, err := h.List()
		want := "GEMMA4_HOME"
		if home != "" {
			want = "a-Q8_0.gguf"
		}
		says(t, err, want)
		if len(all) != 1 || all[0].Name != "o/r:Q8_0" {
			t.Errorf("listed %+v", all)
		}
		_, err = h.Find(t.Context(), "o/other")
		says(t, err, "is not on this machine")
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("the error is %v", err)
		}
	}
}
