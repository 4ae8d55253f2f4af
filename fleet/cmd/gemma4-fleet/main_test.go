package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// last is the port that [free] gave away. The first is any, as other tests may look for some at the same time.
var last = 20000 + rand.N(10000)

// free returns a port that nobody listens on, for a program that is to. It is none of those that systems give to whoever asks for any.
func free(t *testing.T) int {
	t.Helper()
	for range 100 {
		last++
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", last)); err == nil {
			l.Close()
			return last
		}
	}
	t.Fatal("no port is free")
	return 0
}

// start runs the command, which has to end well when the test does.
func start(t *testing.T, args ...string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, args) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("%s ended with %v", args[0], err)
		}
	})
}

// The gateway has NATS inside, where a password is needed, and a key; a file of requests goes through it as to any server.
func TestBatchGoesThroughAGatewayToAWorker(t *testing.T) {
	dir, port, web := t.TempDir(), free(t), free(t)
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := file("nats.conf", fmt.Sprintf("host: 127.0.0.1\nport: %d\njetstream { store_dir: %q }\n"+
		"authorization { user: board, password: word }", port, filepath.Join(dir, "store")))
	url, base := fmt.Sprintf("nats://board:word@127.0.0.1:%d", port), fmt.Sprintf("http://127.0.0.1:%d", web)
	start(t, "gateway", "-addr", fmt.Sprintf("127.0.0.1:%d", web), "-nats-config", config, "-nats", url,
		"-key-file", file("keys", "# ours\nsecret\n"))
	start(t, "worker", "-nats", url)
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if res, err := http.Get(base + "/health"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Now().After(end) {
			t.Fatal("the gateway does not become healthy")
		}
	}
	res, err := http.Post(base+"/v1/chat/completions", "application/json", strings.NewReader("{}"))
	if err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a key: %v %v", res, err)
	}
	res.Body.Close()

	var lines strings.Builder
	for i, country := range []string{"France", "Italy", "Spain"} {
		fmt.Fprintf(&lines, `{"custom_id":"%d","method":"POST","url":"/v1/chat/completions","body":{"model":"gemma4","temperature":0,`+
			`"messages":[{"role":"user","content":"What is the capital of %s?"}]}}`+"\n", i, country)
	}
	program, out := filepath.Join(dir, "gemma4"), filepath.Join(dir, "out.jsonl")
	if said, err := exec.Command("go", "build", "-C", "../../..", "-o", program, "./cmd/gemma4").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	batch := exec.Command(program, "batch", "-url", base+"/v1", file("in.jsonl", lines.String()), out)
	batch.Env = append(os.Environ(), "GEMMA4_KEY=secret")
	if said, err := batch.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		var line struct {
			ID       string `json:"custom_id"`
			Response struct {
				Body struct {
					Model   string
					Choices []struct{ Message struct{ Content string } }
				}
			}
		}
		if err := d.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if len(line.Response.Body.Choices) == 1 && line.Response.Body.Model == "gemma4" {
			answers[line.ID] = line.Response.Body.Choices[0].Message.Content
		}
	}
	for id, want := range map[string]string{"0": "Paris", "1": "Rome", "2": "Madrid"} {
		if !strings.Contains(answers[id], want) {
			t.Errorf("answer %s is %q, want %s in it:\n%s", id, answers[id], want, text)
		}
	}
}

func TestWrongCommandLinesSayWhy(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "expected worker or gateway"},
		{[]string{"serve"}, "expected worker or gateway"},
		{[]string{"gateway", "-addr", "0.0.0.0:0"}, "-key-file"},
		{[]string{"gateway", "-key-file", os.DevNull}, "holds no key"},
		{[]string{"gateway", "-addr", "127.0.0.1:0", "-nats-config", "missing.conf"}, "missing.conf"},
		{[]string{"worker", "-m", "missing.gguf"}, "missing.gguf"},
		{[]string{"worker", "-nkey", "missing.nk"}, "missing.nk"},
	} {
		if err := run(t.Context(), c.args); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.args, err, c.want)
		}
	}
}
