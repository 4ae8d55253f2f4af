package hub

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gogemma/gemma4/internal/download"
	"github.com/gogemma/gemma4/internal/memnet"
)

// A store whose disk is too small refuses before it begins; one whose disk becomes full keeps what has come, and the next pull goes on.
func TestDiskFillsUpByBothProtocols(t *testing.T) {
	t.Setenv("HF_HOME", t.TempDir())
	const size = 20 << 20
	content := strings.Repeat("0123456789abcdef", size/16)
	for _, p := range protocols {
		disk := t.TempDir()
		if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=24m"); err != nil {
			t.Skip("needs to mount a small disk: ", err)
		}
		defer unix.Unmount(disk, unix.MNT_DETACH)
		other := filepath.Join(disk, "other")
		fill := func(bytes int) { os.WriteFile(other, make([]byte, bytes), 0o666) }

		n := memnet.New(t)
		n.Serve("hub.test:80", p.host(t, content, "http://cdn.test/file"))
		var once sync.Once
		filled := make(chan struct{})
		n.Serve("cdn.test:80", http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			once.Do(func() {
				fill(16 << 20)
				close(filled)
			})
			give(w, q, content)
		}))
		h := &Hub{Home: filepath.Join(disk, "store"), Endpoint: "http://hub.test", Registry: "http://hub.test", Token: "secret",
			Client: n.Client(), Caches: []Cache{}, Names: map[string]string{}}
		fill(8 << 20)
		_, err := h.Pull(t.Context(), p.name, With{})
		if !errors.Is(err, download.ErrNoSpace) || !strings.Contains(err.Error(), "20 MB are missing") {
			t.Errorf("a disk that is too small: %v", err)
		}
		select {
		case <-filled:
			t.Error("it was asked for bytes that do not fit")
		default:
		}
		os.Remove(other)
		_, err = h.Pull(t.Context(), p.name, With{})
		if !errors.Is(err, download.ErrNoSpace) || !strings.Contains(err.Error(), "what has come stays") {
			t.Errorf("a disk that becomes full: %v", err)
		}
		<-filled
		if m, err := h.Find(t.Context(), p.name); !errors.Is(err, ErrNotFound) {
			t.Errorf("found %+v, %v", m, err)
		}
		nothingWrong(t, h, content)
		os.Remove(other)
		m, err := h.Pull(t.Context(), p.name, With{})
		holds(t, m, err, content)
	}
}
