//go:build unix

package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/internal/fit"
	"github.com/gogemma/gemma4/nano"
)

// served is a process of gemma4 serve.
type served struct {
	*exec.Cmd
	url    string
	banner string    // what it said before that
	errors io.Reader // what it says then
}

// startServe starts a command that becomes gemma4 serve, and returns when it listens.
func startServe(t *testing.T, c *exec.Cmd) *served {
	t.Helper()
	s := &served{Cmd: c}
	out, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	lines := bufio.NewReader(out)
	for s.url == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("%v after %q", err, s.banner+line)
		}
		s.url, _ = strings.CutPrefix(strings.TrimSuffix(line, "\n"), "listening at ")
		if s.url+"\n" == line {
			s.url, s.banner = "", s.banner+line
		}
	}
	s.errors = lines
	return s
}

// serveProcess starts gemma4 serve with nano on a free port.
func serveProcess(t *testing.T, args ...string) *served {
	t.Helper()
	return startServe(t, gemma4Process(t, append([]string{"serve", "-addr", "127.0.0.1:0"}, args...)...))
}

// ask sends a body and returns the response.
func (s *served) ask(t *testing.T, client *http.Client, path, body string) *http.Response {
	t.Helper()
	resp, err := client.Post(s.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

const capitalOfFrance = `{"messages":[{"role":"user","content":"What is the capital of France?"}],"temperature":0}`

func TestServeTellsWhatItHasAndTakes(t *testing.T) {
	s := serveProcess(t, "-slots", "3", "-memory", "6MB", "-alias", "little", "-log", "json")
	want := regexp.MustCompile(`3 slots of [1-9]\d+ positions; keys and values take 6\.0 MB at most, beginnings of texts 1\.5 MB\n`)
	if !want.MatchString(s.banner) || !strings.Contains(s.banner, "7.0 million parameters") || !strings.Contains(s.banner, "It is a toy") ||
		!regexp.MustCompile(`(?m)^senses: images .*sounds `).MatchString(s.banner) ||
		!strings.Contains(s.banner, "gemma4 serve -m e2b") {
		t.Error(s.banner)
	}
	var answer struct{ Model string }
	if err := json.NewDecoder(s.ask(t, http.DefaultClient, "/v1/chat/completions", capitalOfFrance).Body).Decode(&answer); err != nil ||
		answer.Model != "little" {
		t.Errorf("%+v, %v", answer, err)
	}
	r, err := http.NewRequest(http.MethodGet, s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || !strings.HasPrefix(strings.ToLower(string(text)), "<!doctype html>") {
		t.Errorf("a browser finds %.80q, %v", text, err)
	}
	s.Process.Signal(syscall.SIGTERM)
	log, err := io.ReadAll(s.errors)
	if err != nil || !strings.Contains(string(log), `"endpoint":"POST /v1/chat/completions","status":200`) ||
		strings.Contains(string(log), "France") {
		t.Errorf("%v, log: %s", err, log)
	}
}

func TestServeKnowsWhatToTakeWhereTheSystemTellsNothing(t *testing.T) {
	m, err := nano.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	v := &service{m: m, session: &gemma4.SessionOptions{}, prefixes: -1}
	if err := v.memory(fit.Room{}); err != nil || v.options.Queue.Memory == 0 || v.options.Queue.Prefixes == nil || v.prefixes > 1<<30 {
		t.Errorf("%+v, %d bytes of beginnings, %v", v.options.Queue, v.prefixes, err)
	}
}

func TestServeHasAdaptersByName(t *testing.T) {
	poems := nanoAdapter(t, "poems.gguf", 1)
	s := serveProcess(t, "-lora", poems, "-lora", "law="+poems+":0.5", "-alias", "nano", "-log", "none")
	resp, err := http.Get(s.url + "/v1/models")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	for _, name := range []string{"nano", "nano:poems", "nano:law"} {
		if err != nil || !strings.Contains(string(text), `"id":"`+name+`"`) {
			t.Errorf("no model %s: %s, %v", name, text, err)
		}
	}
	if resp := s.ask(t, http.DefaultClient, "/v1/chat/completions", `{"model":"nano:prose","messages":[]}`); resp.StatusCode !=
		http.StatusNotFound {
		t.Errorf("an adapter that is not there: %s", resp.Status)
	}
}

func TestServeSpeaksTLSAndAsksForKeys(t *testing.T) {
	dir := t.TempDir()
	cert, key, keys := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "keys")
	fake := httptest.NewTLSServer(http.NotFoundHandler()) // it has a certificate
	defer fake.Close()
	private, err := x509.MarshalPKCS8PrivateKey(fake.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string][]byte{
		cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: fake.TLS.Certificates[0].Certificate[0]}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		keys: []byte("# those who may ask\nsecret\n\nother\n"),
	} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := serveProcess(t, "-tls-cert", cert, "-tls-key", key, "-key-file", keys, "-log", "none")
	if !strings.HasPrefix(s.url, "https://") {
		t.Fatal(s.url)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	if resp := s.ask(t, client, "/v1/chat/completions", capitalOfFrance); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a key: %s", resp.Status)
	}
	r, err := http.NewRequest(http.MethodPost, s.url+"/v1/chat/completions", strings.NewReader(capitalOfFrance))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer other")
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(text), "Paris") {
		t.Errorf("%s: %s", resp.Status, text)
	}
}

func TestServeTakesASocketOfSystemd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "gemma4")
	if err := os.Symlink(self, name); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" serve -addr example.org:1 -log none`, name)
	c.ExtraFiles = []*os.File{f}
	s := startServe(t, c)
	if s.url != "http://"+l.Addr().String() {
		t.Errorf("it listens at %s, the socket's address is %s", s.url, l.Addr())
	}
	if resp := s.ask(t, http.DefaultClient, "/v1/chat/completions", capitalOfFrance); resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
}

func TestServeRefusesWhatIsNotSafe(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "keys")
	none := filepath.Join(t.TempDir(), "none.json")
	for file, text := range map[string]string{empty: "# none\n", none: "{}\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GEMMA4_KEY", "")
	serve := command("serve")
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:80"} {
		serve.Fails(t, 1, "everybody on the network could ask", "", "-addr", addr)
	}
	serve.Fails(t, 2, "expected HOST:PORT", "", "-addr", "localhost")
	serve.Fails(t, 1, "holds no key", "", "-key-file", empty)
	serve.Fails(t, 2, "-tls-cert and -tls-key go together", "", "-tls-cert", empty)
	serve.Fails(t, 2, "expected text, json or none", "", "-log", "loud")
	serve.Fails(t, 1, "message", "", "-warm", none)
	serve.Fails(t, 1, "no such file", "", "-warm", filepath.Join(t.TempDir(), "none.json"))
	serve.Fails(t, 2, "-prefix-memory 0 does without", "", "-prefix-memory", "0", "-prefix-dir", t.TempDir())
	serve.Fails(t, 2, "unexpected argument", "", "please")
	serve.Fails(t, 1, "no such file", "", "-addr", "127.0.0.1:0", "-m", filepath.Join(t.TempDir(), "none.gguf"))
}

// TestWhatServeHasReadOutlivesIt starts a server that reads a conversation, and another one behind it that finds what was read.
func TestWhatServeHasReadOutlivesIt(t *testing.T) {
	dir := t.TempDir()
	folder, file := filepath.Join(dir, "prefixes"), filepath.Join(dir, "agent.json")
	instruction := `{"role":"system","content":"` + strings.Repeat("Answer questions about countries and their capitals. ", 30) + `"}`
	if err := os.WriteFile(file, []byte(`{"messages":[`+instruction+`]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	answers := map[string]bool{}
	for _, args := range [][]string{{"-warm", file}, nil} {
		s := serveProcess(t, append([]string{"-prefix-dir", folder, "-log", "none"}, args...)...)
		if args != nil {
			for line := ""; !strings.Contains(line, " is read: "); {
				var err error
				if line, err = s.errors.(*bufio.Reader).ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
		} else if !regexp.MustCompile(`prefixes keeps [1-9]\d* texts, `).MatchString(s.banner) {
			t.Error(s.banner)
		}
		var answer struct {
			Choices []struct{ Message struct{ Content string } }
			Usage   struct {
				Prompt  int `json:"prompt_tokens"`
				Details struct {
					Cached int `json:"cached_tokens"`
				} `json:"prompt_tokens_details"`
			}
		}
		resp := s.ask(t, http.DefaultClient, "/v1/chat/completions", `{"messages":[`+instruction+
			`,{"role":"user","content":"What is the capital of France?"}],"temperature":0}`)
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || len(answer.Choices) != 1 {
			t.Fatalf("%+v, %v", answer, err)
		}
		if u := answer.Usage; u.Details.Cached < u.Prompt-40 || u.Prompt < 200 {
			t.Errorf("%v: of %d tokens %d were known", args, u.Prompt, u.Details.Cached)
		}
		answers[answer.Choices[0].Message.Content] = true
		s.Process.Signal(syscall.SIGTERM)
		if err := s.Wait(); err != nil {
			t.Error(err)
		}
	}
	if len(answers) != 1 {
		t.Errorf("the answers differ: %v", answers)
	}
}
