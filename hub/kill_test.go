package hub

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestMain runs the tests or, as the program that a test has started once more to kill it, pulls a model.
func TestMain(m *testing.M) {
	name := os.Getenv("HUB_TEST_PULLS")
	if name == "" {
		// What whoever runs the tests has set is nothing to them.
		for _, name := range []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "HF_ENDPOINT",
			"GEMMA4_HOME"} {
			os.Unsetenv(name)
		}
		os.Exit(m.Run())
	}
	h := &Hub{Home: os.Getenv("HUB_TEST_HOME"), Endpoint: os.Getenv("HUB_TEST_AT"), Registry: os.Getenv("HUB_TEST_AT"), Caches: []Cache{}}
	if _, err := h.Pull(context.Background(), name, With{true, true}); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A pull that is killed leaves a model that is whole or none, of one commit, and the next one finishes it.
func TestKilledPullsLeaveNoWrongModel(t *testing.T) {
	before := map[string]string{"a-Q8_0-00001-of-00002.gguf": "one", "a-Q8_0-00002-of-00002.gguf": "two", "mmproj-a-Q8_0.gguf": "eyes",
		"mtp-a-Q8_0.gguf": "guesses"}
	after := map[string]string{"a-Q8_0-00001-of-00002.gguf": "ONE", "a-Q8_0-00002-of-00002.gguf": "TWO", "mmproj-a-Q8_0.gguf": "EYES",
		"mtp-a-Q8_0.gguf": "GUESSES"}
	all := func(of map[string]string) []string {
		return []string{of["a-Q8_0-00001-of-00002.gguf"], of["a-Q8_0-00002-of-00002.gguf"], of["mmproj-a-Q8_0.gguf"], of["mtp-a-Q8_0.gguf"]}
	}
	s, h := serve(t, map[string]*repo{"org/a": {commits: []map[string]string{before}}})
	registry, cdn, _ := shop(t)
	type scene struct {
		name     string
		hub      *Hub
		old, now []string          // what the model's files have before and after
		count    func(then func()) // has then be called at each request
		prepare  func(h *Hub)
	}
	requests := func(then func()) {
		hook := func(http.ResponseWriter, *http.Request) bool { then(); return false }
		s.mu.Lock()
		defer s.mu.Unlock()
		s.hook, s.store = hook, hook
	}
	pull := func(h *Hub, name string) {
		t.Helper()
		if _, err := h.Pull(t.Context(), name, With{true, true}); err != nil {
			t.Fatal(err)
		}
	}
	commits := func(all ...map[string]string) {
		s.mu.Lock() // the last request of one that was killed may come late
		defer s.mu.Unlock()
		s.repos["org/a"].commits = all
	}
	scenes := []scene{
		{name: "org/a", hub: h, now: all(before), count: requests, prepare: func(*Hub) { commits(before) }},
		{name: "org/a", hub: h, old: all(before), now: all(after), count: requests, prepare: func(h *Hub) {
			commits(before)
			pull(h, "org/a")
			commits(before, after)
		}},
		{name: "ollama:gemma4:e2b", hub: &Hub{Registry: registry.URL}, old: []string{"weights", "eyes", "guesses"},
			now: []string{"WEIGHTS", "EYES", "guesses"}, count: func(then func()) {
				for _, r := range []*aRegistry{registry, cdn} {
					r.mu.Lock()
					r.each = then
					r.mu.Unlock()
				}
			}, prepare: func(h *Hub) {
				stock(t, registry, cdn, "model", "weights", "projector", "eyes", "draft", "guesses", "system", "Be brief.")
				pull(h, "ollama:gemma4:e2b")
				stock(t, registry, cdn, "model", "WEIGHTS", "projector", "EYES", "draft", "guesses")
			}},
	}
	for _, x := range scenes {
		address := x.hub.Endpoint + x.hub.Registry
		child := func(home string) *exec.Cmd {
			program, err := os.Executable()
			if err != nil {
				t.Skip("this system does not tell where this program is: ", err)
			}
			cmd := exec.Command(program)
			cmd.Env = append(os.Environ(), "HUB_TEST_PULLS="+x.name, "HUB_TEST_HOME="+home, "HUB_TEST_AT="+address)
			if err := cmd.Start(); err != nil {
				t.Skip("this system starts no programs: ", err)
			}
			t.Cleanup(func() { cmd.Process.Kill() })
			return cmd
		}
		step := 3
		switch {
		case testing.Short():
			step = 10
		case x.name == "org/a" && x.old != nil:
			step = 1
		}
		for i := 0; i < 30; i += step {
			h := &Hub{Home: filepath.Join(t.TempDir(), "store"), Endpoint: x.hub.Endpoint, Registry: x.hub.Registry, Caches: []Cache{},
				Names: map[string]string{}}
			x.count(func() {})
			x.prepare(h)
			// At the k-th request, and a little later: what the program then does with files takes no longer.
			k, later := int64(i/3), time.Duration(i%3*i%3)*time.Millisecond
			var asked atomic.Int64 // by two hosts, each with a lock of its own
			cmd := child(h.Home)
			x.count(func() {
				if asked.Add(1) == k+1 {
					go func() {
						time.Sleep(later)
						cmd.Process.Kill()
					}()
				}
			})
			cmd.Wait()
			x.count(func() {})
			m, err := h.Find(t.Context(), x.name)
			if err == nil {
				if got := contents(t, m); !slices.Equal(got, x.old) && !slices.Equal(got, x.now) {
					t.Errorf("moment %d of %s: the model has %q", i, x.name, got)
				}
			}
			if m, err = h.Pull(t.Context(), x.name, With{true, true}); err != nil {
				t.Fatalf("moment %d of %s: %v", i, x.name, err)
			}
			check(t, m, err, x.now...)
			for _, f := range inStore(t, h) {
				if strings.HasSuffix(f, ".part") || strings.HasSuffix(f, newEnd) {
					t.Errorf("moment %d of %s: there is still %s", i, x.name, f)
				}
			}
			if err := h.Remove(x.name); err != nil || len(inStore(t, h)) > 0 {
				t.Errorf("moment %d of %s: removed, %v, the store still has %q", i, x.name, err, inStore(t, h))
			}
		}
	}
}

// contents returns what is in a model's files.
func contents(t *testing.T, m *Model) (all []string) {
	t.Helper()
	for _, path := range slices.Concat(m.Files, []string{m.Projector, m.Drafter}) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	return all
}
