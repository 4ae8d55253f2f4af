//go:build unix

package hub

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Nobody writes to these pipes: whoever opens one waits for ever.
func TestPipesAreNotWaitedFor(t *testing.T) {
	_, h := serve(t, edge())
	m, err := h.Pull(t.Context(), "org/edge", With{})
	check(t, m, err, "four bits")
	commits := "models--o--r/snapshots/" + commit(1) + "/"
	cache := plant(t, map[string]string{commits + "a-Q8_0.gguf": aModel(t, "a"), "models--o--r/refs/v1": commit(1)})
	h.Caches = []Cache{{hubProgram, cache}, {llamaProgram, cache}, {studioProgram, cache}, {ollamaProgram, cache}}
	for _, path := range []string{
		filepath.Join(h.Home, "names.txt"), filepath.Join(filepath.Dir(m.Files[0]), "other.gguf.json"),
		filepath.Join(cache, "o_r-GGUF_a.gguf"),
		filepath.Join(cache, "models--o--r/refs/main"), filepath.Join(cache, commits, "b-Q4_K_M.gguf"), filepath.Join(cache, "manifests"),
	} {
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Skip("this system makes no pipes: ", err)
		}
	}
	_, err = h.Find(t.Context(), "org/edge")
	says(t, err, "names.txt", "no file")
	h.Names = map[string]string{}
	m, err = h.Find(t.Context(), "org/edge")
	check(t, m, err, "four bits")
	m, err = h.Find(t.Context(), "o/r")
	check(t, m, err, aModel(t, "a"))
	if all, err := h.List(); len(all) != 2 {
		t.Errorf("listed %+v, %v", all, err)
	}
	m, err = h.Pull(t.Context(), "org/edge", With{})
	check(t, m, err, "four bits")

}
