package server

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestLoadLeavesNothingBehind sends requests of all kinds at once, whose clients leave at any time, read slowly, send what is no request,
// or never finish one. Each answer that is read to its end has the bytes that it has alone, and when all is over goroutines, slots and
// memory are back to where they were.
//
//	go test -race ./server -run LoadLeavesNothing -requests 1000
func TestLoadLeavesNothingBehind(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	list := make([]body, many(40))
	for i := range list {
		list[i] = randomBody(r)
	}
	s, url := serve(t, Options{Ping: quiet})
	alone := solo(t, url, list)
	http.DefaultClient.CloseIdleConnections()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	goroutines := runtime.NumGoroutine()

	var all sync.WaitGroup
	room := make(chan bool, 8)
	for i, b := range list {
		fate, delay := r.IntN(6), time.Duration(r.IntN(30))*time.Millisecond
		room <- true
		all.Go(func() {
			defer func() { <-room }()
			switch fate {
			case 0: // leaves at any time
				ctx, leave := context.WithTimeout(t.Context(), delay)
				defer leave()
				b.send(ctx, url)
			case 1: // reads slowly
				if text, err := b.slowly(url); err != nil || text != alone[b] {
					t.Errorf("request %d, read slowly: %v\n%s\nalone:\n%s", i, err, text, alone[b])
				}
			case 2: // sends half of a body, as if it were whole, or with the rest still to come
				half := body{b.path, b.text[:len(b.text)/2]}
				if text, err := half.send(t.Context(), url); err != nil || !strings.HasPrefix(text, "400") {
					t.Errorf("request %d, half of it: %v: %s", i, err, text)
				}
				header := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", b.path, len(b.text))
				raw(t, url, header+half.text, delay)
			case 3: // does not come to the end of its header
				raw(t, url, "POST "+b.path+" HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", delay)
			default:
				if text, err := b.send(t.Context(), url); err != nil || text != alone[b] {
					t.Errorf("request %d: %v\n%s\nalone:\n%s", i, err, text, alone[b])
				}
			}
		})
	}
	all.Wait()
	http.DefaultClient.CloseIdleConnections()
	await(t, func() bool {
		q := s.q.Stats()
		return q.Running == 0 && q.Waiting == 0 && q.Reserved == 0 && q.Used == 0 && runtime.NumGoroutine() <= goroutines
	})
	runtime.GC()
	runtime.ReadMemStats(&after)
	if more := int64(after.HeapAlloc) - int64(before.HeapAlloc); more > 16<<20 {
		t.Errorf("%d bytes more than before", more)
	}
}

// slowly is send for a client that reads a little at a time.
func (b body) slowly(url string) (string, error) {
	resp, err := http.Post(url+b.path, "application/json", strings.NewReader(b.text))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var text strings.Builder
	for {
		_, err := io.CopyN(&text, resp.Body, 512)
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Sprint(resp.StatusCode, " ", differs.ReplaceAllString(text.String(), "")), nil
}

// raw sends bytes, and leaves after a while.
func raw(t *testing.T, url, text string, after time.Duration) {
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		t.Error(err)
	}
	c.SetReadDeadline(time.Now().Add(after))
	io.Copy(io.Discard, c)
}
