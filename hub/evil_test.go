package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogemma/gemma4/internal/memnet"
)

// A protocol is how a hub tells of one model, whose file is on another host.
type protocol struct {
	name   string // of the model
	listed string // the path of what tells of it
	host   func(t *testing.T, content, file string) http.Handler
}

// protocols are those that a Hub speaks. Both hubs want a token, which no other host may see, and send on to file for the model's bytes.
var protocols = []protocol{
	{"org/a", "/api/models/org/a/tree/main", func(t *testing.T, content, file string) http.Handler {
		sha, _ := hashes(content)
		list, err := json.Marshal([]listed{{"file", "a-Q8_0.gguf", int64(len(content)), strings.Repeat("0", 40),
			&listedLFS{sha, int64(len(content)), 134}}})
		if err != nil {
			t.Fatal(err)
		}
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			switch {
			case q.Header.Get("Authorization") != "Bearer secret":
				w.WriteHeader(http.StatusUnauthorized)
			case strings.HasPrefix(q.URL.Path, "/api/"):
				w.Write(list)
			default:
				w.Header().Set("X-Repo-Commit", commit(0))
				w.Header().Set("X-Linked-Etag", `"`+sha+`"`)
				w.Header().Set("Location", file+"?signature=x")
				w.WriteHeader(http.StatusFound)
			}
		})
	}},
	{"ollama:a", "/v2/library/a/manifests/latest", func(t *testing.T, content, file string) http.Handler {
		manifest := aManifest(t, "model", content)
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			switch {
			case q.URL.Path == "/token":
				fmt.Fprint(w, `{"token":"secret"}`)
			case q.Header.Get("Authorization") != "Bearer secret":
				w.Header().Set("Www-Authenticate", `Bearer realm="http://`+q.Host+`/token"`)
				w.WriteHeader(http.StatusUnauthorized)
			case strings.Contains(q.URL.Path, "/manifests/"):
				fmt.Fprint(w, manifest)
			default:
				http.Redirect(w, q, file+"?signature=x", http.StatusTemporaryRedirect)
			}
		})
	}},
}

// A fault is what a host answers in place of a file.
type fault func(w http.ResponseWriter, q *http.Request, content string)

// give answers as a host should.
func give(w http.ResponseWriter, q *http.Request, content string) {
	http.ServeContent(w, q, "", time.Time{}, strings.NewReader(content))
}

// cut loses the connection after n bytes of a body; without ranges where whole is set.
func cut(n int, whole bool) fault {
	return func(w http.ResponseWriter, q *http.Request, content string) {
		if whole {
			q.Header.Del("Range")
		}
		give(&cutWriter{w, n}, q, content)
	}
}

type cutWriter struct {
	http.ResponseWriter
	left int
}

func (c *cutWriter) Write(p []byte) (int, error) {
	if len(p) <= c.left {
		c.left -= len(p)
		return c.ResponseWriter.Write(p)
	}
	c.ResponseWriter.Write(p[:c.left])
	http.NewResponseController(c.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}

// raw answers with bytes of its own, and loses the connection.
func raw(text string) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		c.Write([]byte(text))
		c.Close()
	}
}

// answers answers with a status and headers.
func answers(status int, headers ...string) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
	}
}

// Whatever the host of a file does, by both protocols: there is never a wrong file, and the call, or the next one when the host has become
// good, has the right one.
func TestEvilHostsByBothProtocols(t *testing.T) {
	t.Setenv("HF_HOME", t.TempDir())
	const size = 9 << 20 // two ranges
	content := strings.Repeat("0123456789abcdef", size/16)
	wrong := strings.Repeat("0123456789abcdeF", size/16)
	wait := func(d time.Duration) [2]time.Duration { return [2]time.Duration{d, d} }
	for _, c := range []struct {
		name  string
		fault fault
		times int // that it happens
		err   string
		took  [2]time.Duration // at least and at most
	}{
		{"before headers", raw(""), 2, "", wait(3 * time.Second)},
		{"in headers", raw("HTTP/1.1 206 Partial Con"), 2, "", wait(3 * time.Second)},
		{"after the first byte", cut(1, false), 2, "", [2]time.Duration{time.Second, 3 * time.Second}},
		{"in the middle", cut(3<<20, false), 2, "", [2]time.Duration{0, 3 * time.Second}}, // 0 if somebody else has taken the rest
		{"at the last byte of a range", cut(8<<20-1, false), 1, "", [2]time.Duration{0, time.Second}},
		{"no ranges", cut(1<<30, true), 1 << 30, "", wait(0)},
		{"no ranges, cut", cut(size-1, true), 1, "", wait(time.Second)},
		{"no ranges, cut for ever", cut(size/2, true), 1 << 30, "was lost", wait(31 * time.Second)},
		{"short", func(w http.ResponseWriter, q *http.Request, c string) { give(w, q, c[1:]) }, 1 << 30, "expected", wait(3 * time.Second)},
		{"long", func(w http.ResponseWriter, q *http.Request, c string) { give(w, q, c+"x") }, 1 << 30, "expected", wait(3 * time.Second)},
		{"other bytes", func(w http.ResponseWriter, q *http.Request, _ string) { give(w, q, wrong) }, 1 << 30, "SHA-256", wait(0)},
		{"a page", answers(200, "Content-Type", "text/html"), 1 << 30, "a page to read", wait(3 * time.Second)},
		{"429", answers(429, "Retry-After", "7"), 1, "", wait(7 * time.Second)},
		{"429 with a limit", answers(429, "RateLimit", `"resolvers";r=0;t=55`), 1, "", wait(55 * time.Second)},
		{"503", answers(503, "Retry-After", "9"), 2, "", wait(18 * time.Second)},
		{"503 for ever", answers(503), 1 << 30, "503", wait(31 * time.Second)},
		{"410", answers(410), 1 << 30, "410", wait(0)},
		{"a stall", func(w http.ResponseWriter, q *http.Request, _ string) { <-q.Context().Done() }, 1, "", wait(31 * time.Second)},
		{"sent in a circle", answers(302, "Location", "http://cdn.test/a"), 1 << 30, "redirects more than", wait(0)},
		{"sent to a third host", answers(302, "Location", "http://third.test/a"), 1 << 30, "", wait(0)},
		{"sent back with a secret", answers(302, "Location", "http://hub.test/back"), 1 << 30, "401", wait(0)},
		{"sent to a certificate that does not fit", answers(302, "Location", "https://third.test/a"), 1 << 30,
			"the certificate of third.test does not fit", wait(0)},
		{"sent to a file of this machine", answers(302, "Location", "file:///etc/passwd"), 1 << 30, "no URL of http or https", wait(0)},
	} {
		for _, p := range protocols {
			t.Run(c.name+"/"+p.name, func(t *testing.T) {
				home := inMemory(t)
				synctest.Test(t, func(t *testing.T) {
					n := memnet.New(t)
					var times atomic.Int64
					times.Store(int64(c.times))
					n.Serve("hub.test:80", p.host(t, content, "http://cdn.test/file"))
					host := func(faults bool) http.Handler {
						return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
							if q.Header.Get("Authorization") != "" {
								t.Error("another host has seen the token")
							}
							if faults && times.Add(-1) >= 0 {
								c.fault(w, q, content)
								return
							}
							give(w, q, content)
						})
					}
					n.Serve("cdn.test:80", host(true))
					n.Serve("third.test:80", host(false))
					n.Serve("third.test:443", host(false), "other.test")
					h := &Hub{Home: home, Endpoint: "http://hub.test", Registry: "http://hub.test", Token: "secret", Client: n.Client(),
						Caches: []Cache{}, Names: map[string]string{}}
					begin := time.Now()
					m, err := h.Pull(t.Context(), p.name, With{})
					if took := time.Since(begin); took < c.took[0] || took > c.took[1] {
						t.Errorf("it took %v, expected %v", took, c.took)
					}
					if c.err == "" {
						holds(t, m, err, content)
						return
					}
					if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "signature") {
						t.Errorf("error %v, expected %q", err, c.err)
					}
					if m, err := h.Find(t.Context(), p.name); !errors.Is(err, ErrNotFound) {
						t.Errorf("found %+v, %v", m, err)
					}
					nothingWrong(t, h, content)
					times.Store(0)
					m, err = h.Pull(t.Context(), p.name, With{})
					holds(t, m, err, content)
				})
			})
		}
	}
}

// Hubs that are busy when they are asked about a model are asked again when they want to be, and lost connections are made anew.
func TestEvilHubsByBothProtocols(t *testing.T) {
	t.Setenv("HF_HOME", t.TempDir())
	const content = "weights"
	for _, c := range []struct {
		name  string
		fault fault
		took  time.Duration
	}{
		{"before headers", raw(""), time.Second}, {"in headers", raw("HTTP/1.1 200 O"), time.Second},
		{"in the body", raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{"), time.Second},
		{"429", answers(429, "Retry-After", "7"), 7 * time.Second}, {"503", answers(503, "Retry-After", "9"), 9 * time.Second},
		{"429 with a limit", answers(429, "RateLimit", `"api";r=0;t=55`), 55 * time.Second}, {"502", answers(502), time.Second},
	} {
		for _, p := range protocols {
			t.Run(c.name+"/"+p.name, func(t *testing.T) {
				home := inMemory(t)
				synctest.Test(t, func(t *testing.T) {
					n := memnet.New(t)
					good := p.host(t, content, "http://cdn.test/file")
					var asked atomic.Int64
					n.Serve("hub.test:80", http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
						if q.URL.Path == p.listed && asked.Add(1) == 1 {
							c.fault(w, q, content)
							return
						}
						good.ServeHTTP(w, q)
					}))
					n.Serve("cdn.test:80", http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { give(w, q, content) }))
					h := &Hub{Home: home, Endpoint: "http://hub.test", Registry: "http://hub.test", Token: "secret", Client: n.Client(),
						Caches: []Cache{}, Names: map[string]string{}}
					begin := time.Now()
					m, err := h.Pull(t.Context(), p.name, With{})
					holds(t, m, err, content)
					if took := time.Since(begin); took != c.took {
						t.Errorf("it took %v, expected %v", took, c.took)
					}
				})
			})
		}
	}
}

// A pull that is killed while a file comes, at 30 moments told by what was sent, leaves no wrong file, and the next one finishes it.
func TestKilledInTheMiddleByBothProtocols(t *testing.T) {
	t.Setenv("HF_HOME", t.TempDir())
	const size = 9 << 20 // two ranges
	content := strings.Repeat("0123456789abcdef", size/16)
	moments := 30
	if testing.Short() {
		moments = 6
	}
	for _, p := range protocols {
		var left atomic.Int64
		var victim atomic.Pointer[os.Process]
		cdn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			give(&killWriter{w, &left, &victim}, q, content)
		}))
		defer cdn.Close()
		server := httptest.NewServer(p.host(t, content, cdn.URL+"/file"))
		defer server.Close()
		for i := range moments {
			home := inMemory(t)
			program, err := os.Executable()
			if err != nil {
				t.Skip("this system does not tell where this program is: ", err)
			}
			cmd := exec.Command(program)
			cmd.Env = append(os.Environ(), "HUB_TEST_PULLS="+p.name, "HUB_TEST_HOME="+home, "HUB_TEST_AT="+server.URL, "HF_TOKEN=secret")
			victim.Store(nil)
			left.Store(int64(size * (i + 1) / moments)) // at last all, so that it is killed while it gives the file its name
			if err := cmd.Start(); err != nil {
				t.Skip("this system starts no programs: ", err)
			}
			victim.Store(cmd.Process)
			cmd.Wait()
			h := &Hub{Home: home, Endpoint: server.URL, Registry: server.URL, Token: "secret", Caches: []Cache{},
				Names: map[string]string{}}
			if m, err := h.Find(t.Context(), p.name); err == nil {
				holds(t, m, err, content)
			}
			nothingWrong(t, h, content)
			left.Store(1 << 62)
			m, err := h.Pull(t.Context(), p.name, With{})
			holds(t, m, err, content)
			for _, f := range inStore(t, h) {
				if strings.Contains(f, ".part") {
					t.Errorf("moment %d: %s is left", i, f)
				}
			}
			os.RemoveAll(home)
		}
	}
}

// inMemory returns a folder for the test that lies in memory, where there is such a place.
func inMemory(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "hub")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// killWriter kills a process when so many bytes have been written.
type killWriter struct {
	http.ResponseWriter
	left   *atomic.Int64
	victim *atomic.Pointer[os.Process]
}

func (k *killWriter) Write(p []byte) (int, error) {
	n, err := k.ResponseWriter.Write(p)
	if k.left.Add(-int64(n)) <= 0 {
		http.NewResponseController(k.ResponseWriter).Flush()
		for k.victim.Load() == nil { // it was started a moment ago
			runtime.Gosched()
		}
		k.victim.Load().Kill()
	}
	return n, err
}

// holds fails unless a model has one file, of that content.
func holds(t *testing.T, m *Model, err error, content string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(m.Files[0]); err != nil || string(text) != content || len(m.Files) != 1 || m.Bytes != int64(len(content)) {
		t.Fatalf("%d files, the first has %d bytes, %v; expected %d others", len(m.Files), len(text), err, len(content))
	}
}

// nothingWrong fails if a file of the store has a final name and not that content.
func nothingWrong(t *testing.T, h *Hub, content string) {
	t.Helper()
	for _, f := range inStore(t, h) {
		path := filepath.Join(h.Home, filepath.FromSlash(f))
		if text, err := os.ReadFile(path); strings.HasSuffix(f, ".gguf") && (err != nil || string(text) != content) {
			t.Errorf("%s has %d bytes, %v", f, len(text), err)
		}
	}
}
