package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// server is a hub of Hugging Face's protocol on the loopback device, and a second host to which it sends for files, as the public one does.
type server struct {
	*httptest.Server
	cdn *httptest.Server

	mu       sync.Mutex
	repos    map[string]*repo // by OWNER/REPO
	renamed  map[string]string
	pageSize int
	token    string                                             // that private and gated repositories want
	hook     func(w http.ResponseWriter, r *http.Request) bool  // answers in place of the server
	store    func(w http.ResponseWriter, r *http.Request) bool  // the same for the other host
	list     func(w http.ResponseWriter, entries []listed) bool // changes a listing
	asked    []string                                           // methods and paths
	leaked   []string                                           // tokens that the other host has seen
	bytes    int64                                              // of files that were asked for
}

type repo struct {
	commits []map[string]string // contents by path; the last one is main
	gated   bool
	private bool
	noLFS   bool
}

type listed struct {
	Type string     `json:"type"`
	Path string     `json:"path"`
	Size int64      `json:"size"`
	OID  string     `json:"oid"`
	LFS  *listedLFS `json:"lfs,omitempty"`
}

type listedLFS struct {
	OID         string `json:"oid"`
	Size        int64  `json:"size"`
	PointerSize int    `json:"pointerSize"`
}

// serve starts a hub with repositories, and returns it and a way to it that has an empty store and knows no caches.
func serve(t *testing.T, repos map[string]*repo) (*server, *Hub) {
	t.Helper()
	t.Setenv("HF_HOME", t.TempDir())
	s := &server{repos: repos, renamed: map[string]string{}, pageSize: 1000, token: "secret"}
	s.cdn = httptest.NewServer(http.HandlerFunc(s.serveFile))
	s.Server = httptest.NewServer(http.HandlerFunc(s.serveHub))
	t.Cleanup(func() {
		s.Close()
		s.cdn.Close()
		if len(s.leaked) > 0 {
			t.Errorf("the other host was shown %q", s.leaked)
		}
	})
	return s, &Hub{
		Home: filepath.Join(t.TempDir(), "store"), Endpoint: s.URL, Caches: []Cache{},
		sleep: func(context.Context, time.Duration) error { return nil },
	}
}

// commit returns the name of a repository's i-th commit.
func commit(i int) string { return fmt.Sprintf("%040x", i+1) }

func hashes(content string) (sha256Hex, gitHex string) {
	a := sha256.Sum256([]byte(content))
	b := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(content), content))
	return hex.EncodeToString(a[:]), hex.EncodeToString(b[:])
}

func (s *server) serveHub(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.Method+" "+r.URL.EscapedPath())
	if s.hook != nil && s.hook(w, r) {
		return
	}
	refuse := func(status int, code, message string) {
		w.Header().Set("X-Error-Code", code)
		w.Header().Set("X-Error-Message", message)
		w.WriteHeader(status)
	}
	rest, api := strings.CutPrefix(r.URL.EscapedPath(), "/api/models/")
	parts := strings.SplitN(strings.TrimPrefix(rest, "/"), "/", 5)
	if len(parts) < 4 {
		refuse(404, "", "")
		return
	}
	name := parts[0] + "/" + parts[1]
	if to := s.renamed[name]; to != "" {
		http.Redirect(w, r, strings.Replace(r.URL.RequestURI(), name, to, 1), http.StatusTemporaryRedirect)
		return
	}
	x := s.repos[name]
	allowed := r.Header.Get("Authorization") == "Bearer "+s.token
	switch {
	case x == nil || x.private && !allowed:
		refuse(401, "RepoNotFound", "Repository not found")
		return
	case x.gated && !allowed && !api:
		refuse(403, "GatedRepo", "Access to model is restricted")
		return
	}
	at := len(x.commits) - 1
	if parts[3] != "main" {
		at = -1
		for i := range x.commits {
			if commit(i) == parts[3] || fmt.Sprintf("refs%%2Fpr%%2F%d", i) == parts[3] {
				at = i
			}
		}
		if at < 0 {
			refuse(404, "RevisionNotFound", "Invalid rev id")
			return
		}
	}
	if api {
		s.serveList(w, r, x, at)
		return
	}
	content, ok := x.commits[at][parts[4]]
	if !ok {
		refuse(404, "EntryNotFound", "Entry not found")
		return
	}
	sha, git := hashes(content)
	w.Header().Set("X-Repo-Commit", commit(at))
	if x.noLFS {
		w.Header().Set("ETag", `W/"`+git+`"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
		return
	}
	w.Header().Set("X-Linked-Etag", `"`+sha+`"`)
	w.Header().Set("X-Linked-Size", fmt.Sprint(len(content)))
	w.Header().Set("Location", fmt.Sprintf("%s/%s/%d/%s?signature=x", s.cdn.URL, name, at, parts[4]))
	w.WriteHeader(http.StatusFound)
}

func (s *server) serveList(w http.ResponseWriter, r *http.Request, x *repo, at int) {
	all := []listed{{Type: "directory", Path: "BF16"}, {Type: "file", Path: "README.md", Size: 3, OID: strings.Repeat("1", 40)}}
	var paths []string
	for path := range x.commits[at] {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		content := x.commits[at][path]
		sha, git := hashes(content)
		e := listed{Type: "file", Path: path, Size: int64(len(content)), OID: git}
		if !x.noLFS {
			e.OID, e.LFS = strings.Repeat("0", 40), &listedLFS{sha, e.Size, 134}
		}
		all = append(all, e)
	}
	if s.list != nil && s.list(w, all) {
		return
	}
	var from int
	fmt.Sscan(r.URL.Query().Get("cursor"), &from)
	to := min(from+s.pageSize, len(all))
	if to < len(all) {
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?recursive=true&cursor=%d>; rel="next"`, s.URL, r.URL.EscapedPath(), to))
	}
	json.NewEncoder(w).Encode(all[from:to])
}

func (s *server) serveFile(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token := r.Header.Get("Authorization"); token != "" {
		s.leaked = append(s.leaked, token)
	}
	if s.store != nil && s.store(w, r) {
		return
	}
	parts := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 4)
	var at int
	fmt.Sscan(parts[2], &at)
	content := s.repos[parts[0]+"/"+parts[1]].commits[at][parts[3]]
	s.bytes += int64(len(content))
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
}

// edge has what repositories usually have: two quantisations, companions, a split one, and what is none of these.
func edge() map[string]*repo {
	return map[string]*repo{"org/edge": {commits: []map[string]string{{
		"edge-Q4_K_M.gguf": "four bits", "edge-Q8_0.gguf": "eight bits, so more", "mmproj-edge-Q8_0.gguf": "senses",
		"mmproj-edge-bf16.gguf": "sharper senses", "mtp-edge-Q8_0.gguf": "guesses", "edge-imatrix.gguf": "importance",
		"BF16/edge-BF16-00001-of-00002.gguf": "one half", "BF16/edge-BF16-00002-of-00002.gguf": "the other half",
	}}}}
}

// check checks the contents of a model's files.
func check(t *testing.T, m *Model, err error, contents ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	files := m.Files
	for _, companion := range []string{m.Projector, m.Drafter} {
		if companion != "" {
			files = append(slices.Clip(files), companion)
		}
	}
	var got []string
	var size int64
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(content))
		size += int64(len(content))
	}
	if !slices.Equal(got, contents) || size != m.Bytes {
		t.Errorf("%s: got %q of %d bytes, want %q", m.Name, got, m.Bytes, contents)
	}
}

// inStore returns all files below the store.
func inStore(t *testing.T, h *Hub) (files []string) {
	t.Helper()
	filepath.WalkDir(h.Home, func(path string, e os.DirEntry, err error) error {
		if err == nil && path != h.Home {
			rel, _ := filepath.Rel(h.Home, path)
			files = append(files, filepath.ToSlash(rel))
		}
		return nil
	})
	return files
}

func says(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got error %v, want %q in it", err, text)
		}
	}
	if err != nil && (!strings.HasPrefix(err.Error(), "hub: ") || strings.Count(err.Error(), "hub: ") > 1) {
		t.Errorf("the error begins with its package, once: %v", err)
	}
}

func TestProgramsWithoutModelsByNameLinkNoNetwork(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command to ask")
	}
	out, err := exec.Command(goTool, "list", "-deps", "github.com/gogemma/gemma4").Output()
	if err != nil || !strings.Contains(string(out), "github.com/gogemma/gemma4/gguf\n") {
		t.Fatalf("no list: %v, %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line == "net/http" || line == "github.com/gogemma/gemma4/hub" {
			t.Errorf("the root package links %s", line)
		}
	}
}

func TestAModelIsFetchedOnceAndThenFound(t *testing.T) {
	s, h := serve(t, edge())
	ctx := t.Context()
	if _, err := h.Find(ctx, "org/edge"); !errors.Is(err, ErrNotFound) {
		t.Errorf("before: %v", err)
	}
	m, err := h.Pull(ctx, "org/edge", With{})
	check(t, m, err, "four bits")
	if m.Name != "org/edge:Q4_K_M" || m.Source != s.URL+"/org/edge" || m.Revision != commit(0) || m.Place != "store" {
		t.Errorf("got %+v", m)
	}
	was := s.bytes
	for _, name := range []string{"org/edge", "org/edge:q4_k_m", "org/edge:edge-Q4_K_M.gguf"} {
		m, err = h.Pull(ctx, name, With{})
		check(t, m, err, "four bits")
		n := len(s.asked)
		m, err = h.Find(ctx, name)
		check(t, m, err, "four bits")
		if len(s.asked) != n {
			t.Errorf("Find asks %q", s.asked[n:])
		}
	}
	if s.bytes != was {
		t.Errorf("what is there was fetched again: %d bytes", s.bytes-was)
	}
	if _, err := h.Find(ctx, "org/edge:Q8_0"); !errors.Is(err, ErrNotFound) {
		t.Errorf("another quantisation: %v", err)
	}
	host := strings.ReplaceAll(strings.TrimPrefix(s.URL, "http://"), ":", "_")
	want := []string{host, host + "/org", host + "/org/edge", host + "/org/edge/edge-Q4_K_M.gguf", host + "/org/edge/edge-Q4_K_M.gguf.json"}
	if got := inStore(t, h); !slices.Equal(got, want) {
		t.Errorf("the store has %q, want %q", got, want)
	}
	all, err := h.List()
	if err != nil || len(all) != 1 || all[0].Name != "org/edge:Q4_K_M" {
		t.Errorf("listed %+v, %v", all, err)
	}
	if err := h.Remove("org/edge"); err != nil || len(inStore(t, h)) > 0 {
		t.Errorf("removed, %v, the store still has %q", err, inStore(t, h))
	}
	says(t, h.Remove("org/edge"), "not in the store")
}
