package download

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// origin serves one file, and misbehaves where a test wants it to.
type origin struct {
	content []byte
	etag    string
	evil    func(n int, w http.ResponseWriter, q *http.Request) (answered bool) // n counts requests, from 0; nil: it is good

	requests atomic.Int64
	served   atomic.Int64 // bytes of bodies
	mu       sync.Mutex
	asked    []string // Range of each request
}

func (o *origin) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	n := int(o.requests.Add(1)) - 1
	o.mu.Lock()
	o.asked = append(o.asked, q.Header.Get("Range"))
	o.mu.Unlock()
	w = &counted{w, &o.served}
	o.mu.Lock()
	evil := o.evil
	o.mu.Unlock()
	if evil != nil && evil(n, w, q) {
		return
	}
	o.good(w, q)
}

// become has the origin serve something else from now on, and behave.
func (o *origin) become(content []byte, etag string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.content, o.etag, o.evil = content, etag, nil
}

func (o *origin) good(w http.ResponseWriter, q *http.Request) {
	o.mu.Lock()
	content, etag := o.content, o.etag
	o.mu.Unlock()
	if etag != "" {
		w.Header().Set("ETag", etag)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, q, "", time.Time{}, bytes.NewReader(content))
}

// sent returns how many bytes were sent, in a bubble.
func (o *origin) sent() int64 {
	synctest.Wait()
	return o.served.Load()
}

// ranges returns the Range of all requests, sorted.
func (o *origin) ranges() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := slices.Clone(o.asked)
	slices.Sort(all)
	return all
}

// counted counts bytes of bodies.
type counted struct {
	http.ResponseWriter
	bytes *atomic.Int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.bytes.Add(int64(n))
	return n, err
}

func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// cutAfter passes on that many bytes of a body, and then loses the connection.
type cutAfter struct {
	http.ResponseWriter
	left int
}

func (c *cutAfter) Write(p []byte) (int, error) {
	if len(p) > c.left {
		c.ResponseWriter.Write(p[:c.left])
		http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

// raw answers with the very bytes, and closes the connection.
func raw(w http.ResponseWriter, text string) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	io.WriteString(c, text)
	c.Close()
}

// folder returns one for the test, in memory where there is such a place: all that a part has is put onto the disk again and again.
func folder(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "download")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
