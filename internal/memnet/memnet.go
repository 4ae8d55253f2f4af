// Package memnet is a network in a process's memory, for tests: its connections wait for nothing but each other, so that in a bubble of
// testing/synctest the hosts' waits and time limits take no time.
package memnet

import (
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
	"sync"
	"testing"
	"time"
)

// Network is what its clients reach hosts by, and nobody else.
type Network struct {
	Transport *http.Transport

	t     *testing.T
	mu    sync.Mutex
	hosts map[string]chan net.Conn // by host:port
	dials int
}

// New returns a network without hosts. It ends with the test.
func New(t *testing.T) *Network {
	n := &Network{t: t, hosts: map[string]chan net.Conn{}}
	n.Transport = &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
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
	t.Cleanup(n.Transport.CloseIdleConnections)
	return n
}

// Client returns a client of the network.
func (n *Network) Client() *http.Client { return &http.Client{Transport: n.Transport} }

// Dials returns how often somebody has wanted a connection.
func (n *Network) Dials() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

// Serve has a handler answer at host:port, until the test ends, which waits for what it is at then. With names, that is by TLS, with a
// certificate for them that clients trust.
func (n *Network) Serve(address string, h http.Handler, names ...string) {
	l := &listener{address: address, conns: make(chan net.Conn), over: make(chan struct{})}
	n.mu.Lock()
	n.hosts[address] = l.conns
	n.mu.Unlock()
	var answering sync.WaitGroup
	ended := false
	server := &http.Server{ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		n.mu.Lock()
		if ended { // a request that nobody waits for any more, nor for its answer
			n.mu.Unlock()
			panic(http.ErrAbortHandler)
		}
		answering.Add(1)
		n.mu.Unlock()
		defer answering.Done()
		h.ServeHTTP(w, q)
	})}
	if names != nil {
		c := certificate(n.t, names)
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{c}}
		if n.Transport.TLSClientConfig == nil {
			n.Transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
		}
		n.Transport.TLSClientConfig.RootCAs.AddCert(c.Leaf)
		go server.ServeTLS(l, "", "")
	} else {
		go server.Serve(l)
	}
	n.t.Cleanup(func() {
		n.Transport.CloseIdleConnections()
		server.Close()
		n.mu.Lock()
		ended = true
		n.mu.Unlock()
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

// quiet is where servers tell of handshakes that fail.
var quiet = log.New(io.Discard, "", 0)
