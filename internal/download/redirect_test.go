package download

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogemma/gemma4/internal/memnet"
)

const token = "Bearer secret"

// Headers go to the host of the URL, and nowhere else, however a server sends on.
func TestHeadersStayAtTheirHost(t *testing.T) {
	for _, c := range []struct {
		name, url string
		sendOn    []string // where each host sends on to, from the URL's
		with      int      // how many hosts of the way may see the headers
	}{
		{"no redirect", "https://hub.test/file", nil, 1},
		{"relative", "https://hub.test/file", []string{"/other"}, 2},
		{"the same host", "https://hub.test/file", []string{"https://HUB.test/other"}, 2},
		{"the same port, written", "https://hub.test/file", []string{"https://hub.test:443/other"}, 2},
		{"another host", "https://hub.test/file", []string{"https://cdn.test/file"}, 1},
		{"another host, without a scheme", "https://hub.test/file", []string{"//cdn.test/file"}, 1},
		{"a host below it", "https://hub.test/file", []string{"https://cdn.hub.test/file"}, 1},
		{"another port", "https://hub.test/file", []string{"https://hub.test:8443/file"}, 1},
		{"from https to http", "https://hub.test/file", []string{"http://hub.test/file"}, 1},
		{"from http to https", "http://hub.test/file", []string{"https://hub.test/file"}, 1},
		{"from https to http at its port", "https://hub.test/file", []string{"http://hub.test:443/file"}, 1},
		{"there and back", "https://hub.test/file", []string{"https://cdn.test/file", "https://hub.test/last"}, 1},
		{"relative, then elsewhere", "https://hub.test/file", []string{"/other", "https://cdn.test/file", "/more"}, 2},
		{"a name and a password elsewhere", "https://hub.test/file", []string{"https://me:word@cdn.test/file"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := folder(t)
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New(t)
				want := content(small)
				var step, others atomic.Int64
				var handler http.HandlerFunc
				handler = func(w http.ResponseWriter, q *http.Request) {
					i := int(step.Add(1)) - 1
					got := q.Header.Get("Authorization") == token && q.Header.Get("X-Key") == "secret"
					if any := q.Header.Get("Authorization")+q.Header.Get("X-Key") != ""; i < c.with && !got || i >= c.with && any {
						t.Errorf("request %d to %s has %q", i, q.Host, q.Header)
					}
					if q.Header.Get("Accept-Encoding") != "identity" || q.Header.Get("Referer") != "" {
						t.Errorf("request %d to %s has %q", i, q.Host, q.Header)
					}
					if i < len(c.sendOn) {
						if strings.HasPrefix(c.sendOn[i], "http://hub.test:443") { // where there is no TLS from now on
							n.Serve("hub.test:443", handler)
						}
						w.Header().Set("Location", c.sendOn[i])
						w.WriteHeader([]int{302, 307, 308, 301, 303}[i])
						return
					}
					others.Add(1)
					w.Write(want)
				}
				names := []string{"hub.test", "cdn.test", "cdn.hub.test"}
				for _, at := range []string{"hub.test:443", "hub.test:8443", "cdn.test:443", "cdn.hub.test:443", "HUB.test:443"} {
					n.Serve(at, handler, names...)
				}
				n.Serve("hub.test:80", handler)
				f := File{URL: c.url, Path: filepath.Join(dir, "file"), Size: small, SHA256: sumOf(want),
					Header: http.Header{"Authorization": {token}, "x-key": {"secret"}}}
				err := Fetch(t.Context(), []File{f}, Options{Client: n.Client(), Retries: -1})
				if err != nil {
					t.Fatal(err)
				}
				expect(t, f.Path, want)
			})
		})
	}
}

// A name and a password in a URL are for its host, as headers are, and stand in no error.
func TestPasswordsInURLs(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(t)
		n.Serve("hub.test:80", http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if name, word, _ := q.BasicAuth(); name != "me" || word != "secret" {
				t.Errorf("%q, %q", name, word)
			}
			http.Redirect(w, q, "http://cdn.test/file", http.StatusFound)
		}))
		n.Serve("cdn.test:80", http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if h := q.Header.Get("Authorization"); h != "" {
				t.Errorf("the other host gets %q", h)
			}
			w.WriteHeader(404)
		}))
		f := File{URL: "http://me:secret@hub.test/file", Path: filepath.Join(dir, "file"), Size: -1}
		err := Fetch(t.Context(), []File{f}, Options{Client: n.Client()})
		var status *StatusError
		if !errors.As(err, &status) || status.Status != 404 || status.URL != "http://cdn.test/file" ||
			strings.Contains(err.Error(), "secret") {
			t.Errorf("error %v", err)
		}
	})
}

// Redirects that lead nowhere are errors, at once.
func TestRedirectsEnd(t *testing.T) {
	for _, c := range []struct{ location, err string }{
		{"/file", "redirects more than 10 times"},
		{"", "redirects more than 10 times"}, // to itself
		{"ftp://hub.test/file", "no URL of http or https"},
		{"file:///etc/passwd", "no URL of http or https"},
		{"http://", "no URL of http or https"},
		{"http://hub.test:port/secret", "no URL of http or https"},
		{"::secret::", "no URL of http or https"},
		{"javascript:secret", "no URL of http or https"},
	} {
		dir := folder(t)
		synctest.Test(t, func(t *testing.T) {
			n := memnet.New(t)
			n.Serve("hub.test:80", http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				w.Header().Set("Location", c.location)
				w.WriteHeader(http.StatusFound)
			}))
			begin := time.Now()
			f := File{URL: "http://hub.test/file", Path: filepath.Join(dir, "file"), Size: small}
			err := Fetch(t.Context(), []File{f}, Options{Client: n.Client()})
			if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "secret") || time.Since(begin) > 0 {
				t.Errorf("%q: error %v after %v", c.location, err, time.Since(begin))
			}
		})
	}
}

// A certificate that does not fit is final, and the error says whose.
func TestCertificatesMustFit(t *testing.T) {
	for _, c := range []struct{ name, trusted, names string }{
		{"another name", "yes", "other.test"}, {"an unknown authority", "", "hub.test"},
	} {
		dir := folder(t)
		synctest.Test(t, func(t *testing.T) {
			n := memnet.New(t)
			o := &origin{content: content(small)}
			n.Serve("hub.test:443", o, c.names)
			if c.trusted == "" {
				n.Transport.TLSClientConfig = nil
			}
			f := File{URL: "https://hub.test/file", Path: filepath.Join(dir, "file"), Size: small,
				Header: http.Header{"Authorization": {token}}}
			err := Fetch(t.Context(), []File{f}, Options{Client: n.Client()})
			if err == nil || !strings.Contains(err.Error(), "the certificate of hub.test does not fit") || n.Dials() != 1 ||
				o.requests.Load() > 0 {
				t.Errorf("%s: error %v, %d connections, %d requests", c.name, err, n.Dials(), o.requests.Load())
			}
		})
	}
}

// Where a URL redirects to is asked for all ranges, until it has expired: then the URL is asked again, and nothing is lost.
func TestSignedURLsExpire(t *testing.T) {
	for _, code := range []int{400, 401, 403, 404, 410} {
		dir := folder(t)
		synctest.Test(t, func(t *testing.T) {
			n := memnet.New(t)
			o := &origin{content: content(large)}
			var signatures atomic.Int64
			n.Serve("hub.test:80", http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				http.Redirect(w, q, fmt.Sprintf("http://cdn.test/signed?signature=%d", signatures.Add(1)), http.StatusFound)
			}))
			o.evil = func(n int, w http.ResponseWriter, q *http.Request) bool {
				if n%4 == 3 && q.URL.Query().Get("signature") == fmt.Sprint(signatures.Load()) {
					w.WriteHeader(code)
					return true
				}
				return false
			}
			n.Serve("cdn.test:80", o)
			f := File{URL: "http://hub.test/file", Path: filepath.Join(dir, "file"), Size: large, SHA256: sumOf(o.content)}
			begin := time.Now()
			if err := Fetch(t.Context(), []File{f}, Options{Client: n.Client(), Streams: 1, piece: piece}); err != nil {
				t.Fatal(err)
			}
			expect(t, f.Path, o.content)
			if signatures.Load() > 5 || o.sent() != large || time.Since(begin) > 0 {
				t.Errorf("%d: signed %d times, %d bytes sent, after %v", code, signatures.Load(), o.sent(), time.Since(begin))
			}

			// One that has expired as soon as it was given is an error.
			o.evil = func(_ int, w http.ResponseWriter, q *http.Request) bool { w.WriteHeader(code); return true }
			f.Path += "2"
			err := Fetch(t.Context(), []File{f}, Options{Client: n.Client()})
			var status *StatusError
			if !errors.As(err, &status) || status.Status != code || status.URL != "http://cdn.test/signed" {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A host that says that it has nothing left is not asked until it has.
func TestRateLimitsAreKept(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(t)
		o := &origin{content: content(large)}
		begin := time.Now()
		var asked []time.Duration
		n.Serve("hub.test:80", http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			asked = append(asked, time.Since(begin))
			w.Header().Set("RateLimit", `"resolvers";r=0;t=40`)
			http.Redirect(w, q, "http://cdn.test/signed", http.StatusFound)
		}))
		n.Serve("cdn.test:80", o)
		var files []File
		for i := range 3 {
			files = append(files, File{URL: "http://hub.test/file", Path: filepath.Join(dir, fmt.Sprint(i)), Size: large,
				SHA256: sumOf(o.content)})
		}
		if err := Fetch(t.Context(), files, Options{Client: n.Client(), piece: piece}); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(asked) != "[0s 40s 1m20s]" {
			t.Errorf("asked after %v", asked)
		}
	})
}
