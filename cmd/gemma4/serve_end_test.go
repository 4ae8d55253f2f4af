//go:build unix

package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
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

// piped is a server in a bubble that is reached by pipes, so that who sends waits for who receives.
type piped struct {
	*pipes
	client *http.Client
	said   strings.Builder // on standard error
	stop   func()          // what a signal does
	ended  chan error
}

// servePiped starts serving nano.
func servePiped(t *testing.T) *piped {
	m, err := nano.OpenText()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	s, err := server.New(m, server.Options{Queue: gemma4.QueueOptions{Slots: 2, Buffer: 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	p := &piped{pipes: &pipes{arriving: make(chan net.Conn), over: make(chan struct{})}, ended: make(chan error, 1)}
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return p.dial(), nil }}
	t.Cleanup(transport.CloseIdleConnections)
	p.client = &http.Client{Transport: transport}
	v := &service{Program: cli.New("gemma4", serveCommand(), nil, io.Discard, &p.said), m: m, drain: time.Minute}
	ctx, stop := context.WithCancel(t.Context())
	p.stop = stop
	go func() { p.ended <- v.serve(ctx, p.pipes, s) }()
	return p
}

// dial returns the other end of a pipe.
func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.arriving <- there
	return here
}

// TestServeEndsWithoutWaitingForSilentConnections has connections that were opened, and on which nothing was asked, keep no server alive.
// The standard library waits for them for 5 s, here of the bubble.
func TestServeEndsWithoutWaitingForSilentConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := servePiped(t)
		defer p.dial().Close()
		synctest.Wait() // until the server listens to it
		began := time.Now()
		p.stop()
		if err := <-p.ended; err != nil || time.Since(began) > time.Second {
			t.Errorf("it took %v to end: %v", time.Since(began), err)
		}
	})
}

// TestTerminationLetsRunningAnswersEnd: what is being written ends as it would have, nothing new begins. The answer waits for its reader.
func TestTerminationLetsRunningAnswersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := servePiped(t)
		get := func() (*http.Response, error) { return p.client.Get("http://localhost/health") }
		ask := func(body string) (*http.Response, error) {
			return p.client.Post("http://localhost/v1/chat/completions", "application/json", strings.NewReader(body))
		}
		resp, err := ask(`{"messages":[{"role":"user","content":"hi"}],"stream":true,
			"response_format":{"type":"json_schema","schema":{"type":"string","minLength":300}}}`)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() && !strings.Contains(lines.Text(), `"content":"`) { // until it has begun to write
		}
		p.stop()
		synctest.Wait()
		if said := p.said.String(); said != "shutting down: 1 answers have 1m0s to end\n" {
			t.Errorf("%q", said)
		}
		for what, request := range map[string]func() (*http.Response, error){
			"health": get, "a question": func() (*http.Response, error) { return ask(capitalOfFrance) },
		} {
			refused, err := request()
			if err != nil {
				t.Fatal(what, err)
			}
			if refused.Body.Close(); refused.StatusCode != http.StatusServiceUnavailable || refused.Header.Get("Retry-After") == "" {
				t.Error(what, refused.Status)
			}
		}
		last := ""
		for lines.Scan() {
			if lines.Text() != "" {
				last = lines.Text()
			}
		}
		if last != "data: [DONE]" || lines.Err() != nil {
			t.Errorf("the stream ends in %q, %v", last, lines.Err())
		}
		if err := <-p.ended; err != nil {
			t.Error(err)
		}
	})
}

// TestServeTakesTheSocketOfAKilledServer has an address at which nobody listens any more be free, and one at which somebody does not.
func TestServeTakesTheSocketOfAKilledServer(t *testing.T) {
	t.Chdir(t.TempDir()) // whose path may be longer than one of a socket
	const addr = "unix:socket"
	first := startServe(t, gemma4Process(t, "serve", "-addr", addr))
	if out, err := gemma4Process(t, "serve", "-addr", addr).CombinedOutput(); err == nil || !strings.Contains(string(out), "in use") {
		t.Errorf("%s while another listens: %v", out, err)
	}
	first.Process.Kill()
	first.Wait()
	startServe(t, gemma4Process(t, "serve", "-addr", addr))
}
