//go:build unix

package main

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/server"
)

// pipes is a listener at which each end of a pipe that is sent to it arrives.
type pipes struct {
	net.Listener
	arriving chan net.Conn
	over     chan struct{}
	close    sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.arriving:
		return c, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.close.Do(func() { close(p.over) })
	return nil
}

// TestServeEndsWithoutWaitingForSilentConnections has connections that were opened, and on which nothing was asked, keep no server alive.
// The standard library waits for them for 5 s, here of the bubble.
func TestServeEndsWithoutWaitingForSilentConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := nano.OpenText()
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		s, err := server.New(m, server.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		l := &pipes{arriving: make(chan net.Conn), over: make(chan struct{})}
		v := &service{m: m, drain: time.Minute}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- v.serve(ctx, l, s) }()
		here, there := net.Pipe()
		defer here.Close()
		l.arriving <- there
		synctest.Wait() // until the server listens to it
		began := time.Now()
		stop()
		if err := <-ended; err != nil || time.Since(began) > time.Second {
			t.Errorf("it took %v to end: %v", time.Since(began), err)
		}
	})
}

// TestServeTakesTheSocketOfAKilledServer has an address at which nobody listens any more be free, and one at which somebody does not.
func TestServeTakesTheSocketOfAKilledServer(t *testing.T) {
	addr := "unix:" + filepath.Join(t.TempDir(), "socket")
	first := startServe(t, gemma4Process(t, "serve", "-addr", addr))
	if out, err := gemma4Process(t, "serve", "-addr", addr).CombinedOutput(); err == nil || !strings.Contains(string(out), "in use") {
		t.Errorf("%s while another listens: %v", out, err)
	}
	first.Process.Kill()
	first.Wait()
	startServe(t, gemma4Process(t, "serve", "-addr", addr))
}
