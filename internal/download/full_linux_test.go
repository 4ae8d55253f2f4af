package download

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gogemma/gemma4/internal/memnet"
)

// A disk that becomes full is named, what has come stays, and the next call goes on when there is room.
func TestDiskFillsUp(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=2m"); err != nil {
		t.Skip("needs to mount a small disk: ", err)
	}
	defer unix.Unmount(disk, unix.MNT_DETACH)
	n := memnet.New(t)
	o := &origin{content: content(1 << 20)}
	other := filepath.Join(disk, "other")
	var fill sync.Once
	filled := make(chan struct{})
	o.evil = func(int, http.ResponseWriter, *http.Request) bool {
		if o.served.Load() > 400_000 {
			fill.Do(func() {
				if err := os.WriteFile(other, make([]byte, 2<<20), 0o666); !errors.Is(err, unix.ENOSPC) {
					t.Errorf("error %v", err)
				}
				close(filled)
			})
		}
		return false
	}
	n.Serve("hub.test:80", o)
	f := File{URL: "http://hub.test/file", Path: filepath.Join(disk, "file"), Size: 1 << 20, SHA256: sumOf(o.content)}
	options := Options{Client: n.Client(), piece: piece}

	twice := f
	twice.Path += "2"
	third := f
	third.Path += "3"
	err := Fetch(t.Context(), []File{f, twice, third}, options)
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "3 MB are missing, and 2 MB are free") || o.requests.Load() > 0 {
		t.Errorf("three files on a disk for two: %v, %d requests", err, o.requests.Load())
	}

	err = Fetch(t.Context(), []File{f}, options)
	if !errors.Is(err, ErrNoSpace) || !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "what has come stays") {
		t.Errorf("a disk that becomes full: %v", err)
	}
	<-filled
	there := held(&f)
	if there < 300_000 {
		t.Errorf("%d bytes are left", there)
	}
	if _, err := os.Stat(f.Path); err == nil {
		t.Error("there is a file")
	}
	elsewhere := memnet.New(t) // what was asked last may only now come to the other
	if err := Fetch(t.Context(), []File{f}, Options{Client: elsewhere.Client()}); !errors.Is(err, ErrNoSpace) || elsewhere.Dials() > 0 {
		t.Errorf("a disk that is full: %v, %d connections", err, elsewhere.Dials())
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	r := &receiver{RoundTripper: n.Transport, limit: -1}
	options.Client = &http.Client{Transport: r}
	if err := Fetch(t.Context(), []File{f}, options); err != nil {
		t.Fatal(err)
	}
	expect(t, f.Path, o.content)
	if r.bytes.Load() != f.Size-there {
		t.Errorf("%d bytes were fetched again, expected the missing %d", r.bytes.Load(), f.Size-there)
	}
}
