//go:build unix

package main

import (
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestServeEndsWithoutWaitingForSilentConnections has connections that were opened, and on which nothing was asked, keep no server alive.
// The standard library waits for them for 5 s: a server that does so takes longer each time, a busy machine does not.
func TestServeEndsWithoutWaitingForSilentConnections(t *testing.T) {
	var took time.Duration
	for range 5 {
		if took = endBesideSilence(t); took < 4*time.Second {
			return
		}
	}
	t.Errorf("it took %v to end, each time", took)
}

// endBesideSilence returns what a server takes to end beside a connection on which nothing was asked.
func endBesideSilence(t *testing.T) time.Duration {
	s := serveProcess(t)
	addr := strings.TrimPrefix(s.url, "http://")
	silent, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	resp, err := http.Get(s.url + "/health") // accepted behind the silent one
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	began := time.Now()
	s.Process.Signal(syscall.SIGTERM)
	if err := s.Wait(); err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
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
