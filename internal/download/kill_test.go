package download

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// child is what this program does when a test has started it once more.
type child struct {
	File File
	Kill int64 // bytes that it receives before it kills itself; below 0: never
}

const childVariable = "DOWNLOAD_TEST_CHILD"

func TestMain(m *testing.M) {
	text := os.Getenv(childVariable)
	if text == "" {
		os.Exit(m.Run())
	}
	var c child
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		panic(err)
	}
	o := Options{piece: 128 << 10, every: 64 << 10}
	if c.Kill >= 0 {
		o.Client = &http.Client{Transport: &receiver{RoundTripper: http.DefaultTransport, limit: c.Kill}}
	}
	if err := Fetch(context.Background(), []File{c.File}, o); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// start starts this program as a child.
func (c child) start(t *testing.T, environment ...string) *exec.Cmd {
	t.Helper()
	text, _ := json.Marshal(c)
	program, err := os.Executable()
	if err != nil {
		t.Skip("this system does not tell where this program is: ", err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(append(os.Environ(), environment...), childVariable+"="+string(text))
	out := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Skip("this system starts no programs: ", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Log(out)
		}
	})
	return cmd
}

// receiver is a transport that counts what comes, and kills this process when it is to receive more than limit; below 0: never.
type receiver struct {
	http.RoundTripper
	limit int64
	bytes atomic.Int64
}

func (r *receiver) RoundTrip(q *http.Request) (*http.Response, error) {
	resp, err := r.RoundTripper.RoundTrip(q)
	if err == nil {
		resp.Body = &received{resp.Body, r}
	}
	return resp, err
}

type received struct {
	io.ReadCloser
	*receiver
}

func (r *received) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if all := r.bytes.Add(int64(n)); r.limit >= 0 && all > r.limit {
		me, _ := os.FindProcess(os.Getpid())
		me.Kill()
		select {}
	}
	return n, err
}

// A process that is killed at whatever moment leaves no file with the final name that is wrong, and what it has received but for the last
// moment is not fetched again.
func TestKilledFetchesGoOn(t *testing.T) {
	const size, moments = 4 << 20, 30
	want := content(size)
	server := httptest.NewServer(&origin{content: want})
	defer server.Close()
	f := File{URL: server.URL, Size: size, SHA256: sumOf(want)}
	for i := range moments {
		f.Path = filepath.Join(folder(t), "file")
		limit := int64(size * i / (moments - 1))
		if i == moments-1 {
			limit = size - 1
		}
		if err := (child{f, limit}).start(t).Wait(); err == nil {
			t.Fatalf("the process that was to be killed after %d bytes has ended well", limit)
		}
		if _, err := os.Stat(f.Path); err == nil {
			t.Fatalf("after %d bytes there is a file", limit)
		}
		r := &receiver{RoundTripper: http.DefaultTransport, limit: -1}
		o := Options{Client: &http.Client{Transport: r}, piece: 128 << 10, every: 64 << 10}
		if err := Fetch(t.Context(), []File{f}, o); err != nil {
			t.Fatalf("after %d bytes: %v", limit, err)
		}
		expect(t, f.Path, want)
		// What each stream had in its hands is lost, and what had come since the state was written, or was being written.
		const lost = 4*128<<10 + 2*64<<10
		if most := min(size, size-limit+lost); r.bytes.Load() > most {
			t.Errorf("killed after %d bytes: %d were fetched, expected %d at most", limit, r.bytes.Load(), most)
		}
	}
}

// While another process fetches a file nobody else does, and when it is killed somebody else can.
func TestLocksEndWithTheirProcess(t *testing.T) {
	want := content(large)
	o := &origin{content: want}
	asked := make(chan struct{})
	o.evil = func(n int, w http.ResponseWriter, q *http.Request) bool {
		if n == 0 {
			w.Header().Set("Content-Length", fmt.Sprint(large))
			w.Write(want[:large/2])
			http.NewResponseController(w).Flush()
			close(asked)
			<-q.Context().Done()
			return true
		}
		return false
	}
	server := httptest.NewServer(o)
	defer server.Close()
	f := File{URL: server.URL, Path: filepath.Join(folder(t), "file"), Size: large, SHA256: sumOf(want)}
	other := child{f, -1}.start(t)
	<-asked
	if err := Fetch(t.Context(), []File{f}, Options{}); !errors.Is(err, ErrBusy) {
		t.Errorf("error %v", err)
	}
	other.Process.Kill()
	other.Wait()
	if err := Fetch(t.Context(), []File{f}, Options{}); err != nil {
		t.Fatal(err)
	}
	expect(t, f.Path, want)
}

// Proxies are those of the usual variables.
func TestProxiesAreUsed(t *testing.T) {
	want := content(small)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.String() != "http://hub.test/file?key=1" {
			t.Errorf("the proxy is asked for %s", q.URL)
		}
		w.Write(want)
	}))
	defer proxy.Close()
	f := File{URL: "http://hub.test/file?key=1", Path: filepath.Join(folder(t), "file"), Size: small, SHA256: sumOf(want)}
	if err := (child{f, -1}).start(t, "HTTP_PROXY="+proxy.URL, "http_proxy="+proxy.URL, "NO_PROXY=", "no_proxy=").Wait(); err != nil {
		t.Fatal(err)
	}
	expect(t, f.Path, want)
}
