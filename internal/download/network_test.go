package download

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// network is one in this process's memory: its connections wait for nothing but each other, so that tests in a bubble wait for no clock.
type network struct {
	t         *testing.T
	transport *http.Transport
	mu        sync.Mutex
	hosts     map[string]chan net.Conn // by host:port
	dials     int
}

func newNetwork(t *testing.T) *network {
	n := &network{t: t, hosts: map[string]chan net.Conn{}}
	n.transport = &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		n.mu.Lock()
		n.dials++
		host := n.hosts[address]
		n.mu.Unlock()
		if host == nil {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: fmt.Errorf("nobody is at %s", address)}
		}
		here, there := net.Pipe()
		select {
		case host <- there:
			return here, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	t.Cleanup(n.transport.CloseIdleConnections)
	return n
}

func (n *network) client() *http.Client { return &http.Client{Transport: n.transport} }

// serve has a handler answer at host:port, until the test ends. With names, that is by TLS, with a certificate for them that clients trust.
func (n *network) serve(address string, h http.Handler, names ...string) {
	l := &listener{address: address, conns: make(chan net.Conn), over: make(chan struct{})}
	n.mu.Lock()
	n.hosts[address] = l.conns
	n.mu.Unlock()
	var answering sync.WaitGroup
	server := &http.Server{ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		answering.Add(1)
		defer answering.Done()
		h.ServeHTTP(w, q)
	})}
	if names != nil {
		c := certificate(n.t, names)
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{c}}
		if n.transport.TLSClientConfig == nil {
			n.transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
		}
		n.transport.TLSClientConfig.RootCAs.AddCert(c.Leaf)
		go server.ServeTLS(l, "", "")
	} else {
		go server.Serve(l)
	}
	n.t.Cleanup(func() {
		n.transport.CloseIdleConnections()
		server.Close()
		answering.Wait()
	})
}

// certificate returns one that its owner has signed.
func certificate(t *testing.T, names []string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// listener hands on the ends of pipes.
type listener struct {
	address string
	conns   chan net.Conn
	over    chan struct{}
	once    sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.over:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.over) })
	return nil
}

func (l *listener) Addr() net.Addr { return address(l.address) }

type address string

func (a address) Network() string { return "pipe" }
func (a address) String() string  { return string(a) }

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

// quiet is where servers tell of handshakes that fail.
var quiet = log.New(io.Discard, "", 0)

// folder returns one for the test, in memory where there is such a place: all that a part has is put onto the disk again and again.
func folder(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "download")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
