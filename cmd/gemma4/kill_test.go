package main

import (
	"crypto/sha256"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gogemma/gemma4/nano"
)

// killer is a writer of answers that ends the process that reads them when it has got so many bytes.
type killer struct {
	http.ResponseWriter
	left *atomic.Int64
	end  func()
}

func (k *killer) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		left := k.left.Load()
		if left <= 0 {
			k.end()
			panic(http.ErrAbortHandler)
		}
		var m int
		m, err = k.ResponseWriter.Write(p[n:min(len(p), n+1<<14, n+int(left))])
		n += m
		k.left.Add(-int64(m))
		k.ResponseWriter.(http.Flusher).Flush()
	}
	return n, err
}

func TestAPullThatIsKilledLeavesNoWrongFileAndTheNextOneFinishes(t *testing.T) {
	moments := 30
	if testing.Short() {
		moments = 6
	}
	want := map[string][32]byte{"nano-Q8_0.gguf": sha256.Sum256(nano.GGUF()), "mtp-nano-Q8_0.gguf": sha256.Sum256(nano.Drafter())}
	total := len(nano.GGUF()) + len(nano.Drafter())
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var pull *exec.Cmd
	var starts sync.Mutex
	var left atomic.Int64
	var killed atomic.Int32
	store, _ := serveModels(t, func(w http.ResponseWriter) http.ResponseWriter {
		return &killer{w, &left, func() {
			starts.Lock()
			defer starts.Unlock()
			killed.Add(1) // before it ends, which is waited for
			if pull.Process.Kill() != nil {
				killed.Add(-1)
			}
		}}
	})
	// look checks what lies in the store under a name that is no part's, and returns whether the model is there whole.
	look := func() bool {
		seen := 0
		filepath.WalkDir(store, func(path string, e os.DirEntry, err error) error {
			sum, is := want[filepath.Base(path)]
			if err != nil || !is {
				return nil
			}
			content, err := os.ReadFile(path)
			if err != nil || sha256.Sum256(content) != sum {
				t.Errorf("%s has %d wrong bytes, %v", path, len(content), err)
			}
			seen++
			return nil
		})
		return seen == len(want)
	}
	for i := range moments {
		var said strings.Builder
		left.Store(int64(i * total / moments))
		starts.Lock()
		before := killed.Load()
		pull = exec.Command(self, "pull", "-with", "draft", "e2b")
		pull.Args[0], pull.Stderr = "gemma4", &said
		err := pull.Start()
		starts.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		if err = pull.Wait(); err == nil && !look() {
			t.Fatalf("it ended well, without the model: %s", &said)
		}
		if err != nil && killed.Load() == before {
			t.Fatalf("%v: %s", err, &said)
		}
		if i%3 == 2 { // from the start again, else from what is left
			if entries, _ := filepath.Glob(filepath.Join(store, "127*")); len(entries) > 0 {
				if err := os.RemoveAll(entries[0]); err != nil {
					t.Fatal(err)
				}
			}
		}
		look()
	}
	if n := killed.Load(); int(n) < moments*2/3 {
		t.Errorf("only %d of %d were killed", n, moments)
	}
	left.Store(1 << 30)
	out := command("pull").Good(t, "", "-with", "draft", "e2b")
	if !look() || strings.Count(out, "\n") != 2 {
		t.Errorf("the last one prints %q", out)
	}
	for _, end := range []string{"*.part*", "*.new*", ".record*"} {
		if rest, _ := filepath.Glob(filepath.Join(store, "*", "*", "*", end)); len(rest) > 0 {
			t.Errorf("left behind: %q", rest)
		}
	}
	t.Logf("%d of %d were killed", killed.Load(), moments)
}
