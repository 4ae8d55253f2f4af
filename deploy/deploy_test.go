//go:build unix

package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// balancer is a program with the configuration that is shipped for it.
type balancer struct {
	program, file string
	command       func(dir, file string) []string
}

var balancers = []balancer{
	{"nginx", "nginx/nginx.conf", func(dir, file string) []string {
		return []string{"-p", dir, "-c", file, "-e", "stderr", "-g", "daemon off;"}
	}},
	{"haproxy", "haproxy/haproxy.cfg", func(dir, file string) []string { return []string{"-f", file, "-db"} }},
}

// each runs a test with every balancer that is installed.
func each(t *testing.T, test func(t *testing.T, b balancer)) {
	for _, b := range balancers {
		t.Run(b.program, func(t *testing.T) {
			if _, err := exec.LookPath(b.program); err != nil {
				t.Skipf("%s is not installed", b.program)
			}
			test(t, b)
		})
	}
}

// start runs the balancer in front of three addresses, and returns its URL. Only the addresses of the configuration are replaced.
func (b balancer) start(t *testing.T, replicas []string) string {
	t.Helper()
	text, err := os.ReadFile(b.file)
	if err != nil {
		t.Fatal(err)
	}
	own := free(t)
	for shipped, used := range map[string]string{
		"127.0.0.1:8080": own, "127.0.0.1:8081": replicas[0], "127.0.0.1:8082": replicas[1], "127.0.0.1:8083": replicas[2],
	} {
		if !bytes.Contains(text, []byte(shipped)) {
			t.Fatalf("%s has no %s", b.file, shipped)
		}
		text = bytes.ReplaceAll(text, []byte(shipped), []byte(used))
	}
	dir := t.TempDir()
	file := filepath.Join(dir, filepath.Base(b.file))
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, b.program, b.command(dir, file)...)
	healthy(t, "http://"+own)
	return "http://" + own
}

// run starts a program, which ends with the test.
func run(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(program, args...)
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(10*time.Second, func() { c.Process.Kill() })
		c.Wait()
		kill.Stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(program), &said)
		}
	})
	return c
}

// port is the last that [free] gave away. The first is any, as other tests may look for some at the same time.
var port atomic.Int32

func init() { port.Store(20000 + rand.Int32N(10000)) }

// free returns an address that nobody listens on, for a program that is to. It is none of those that systems give to whoever asks for any.
func free(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", port.Add(1))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// healthy waits until a server says that it is.
func healthy(t *testing.T, url string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if res, err := http.Get(url + "/health"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not become healthy", url)
		}
	}
}

// reply is an answer as far as it came.
type reply struct {
	status int
	header http.Header
	text   string
	err    error
}

// post sends a request. What has arrived of its answer is added to got, if that is set.
func post(url, body string, got *atomic.Int64, fields ...string) (a reply) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "POST", url, strings.NewReader(body))
	if err != nil {
		return reply{err: err}
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return reply{err: err}
	}
	defer res.Body.Close()
	a.status, a.header = res.StatusCode, res.Header
	var text bytes.Buffer
	for buf := make([]byte, 4096); a.err == nil; {
		var n int
		n, a.err = res.Body.Read(buf)
		text.Write(buf[:n])
		if got != nil {
			got.Add(int64(n))
		}
	}
	if a.err == io.EOF {
		a.err = nil
	}
	a.text = text.String()
	return a
}

// content is what an answer says, streamed or not, and whether it came to its end.
func content(text string) (said string, whole bool) {
	type message struct{ Content string }
	type body struct {
		Choices []struct{ Message, Delta message }
	}
	var b body
	if json.Unmarshal([]byte(text), &b) == nil && len(b.Choices) == 1 {
		return b.Choices[0].Message.Content, true
	}
	for line := range strings.Lines(text) {
		var b body
		if data, ok := strings.CutPrefix(line, "data: "); ok && json.Unmarshal([]byte(data), &b) == nil && len(b.Choices) == 1 {
			said += b.Choices[0].Delta.Content
		}
	}
	return said, strings.HasSuffix(text, "data: [DONE]\n\n")
}

// letters is how long the answer to long is: that takes a while.
const letters = 2000

func long(stream bool) string {
	return fmt.Sprintf(`{"messages":[{"role":"user","content":"Tell me of the moon."}],"stream":%v,"temperature":1,"seed":5,`+
		`"max_tokens":%d,"grammar":"root ::= [a-z]{%[2]d}"}`, stream, letters)
}

const capital = `{"messages":[{"role":"user","content":"What is the capital of France?"}],"temperature":0}`

// flight is a number of requests at once.
type flight struct {
	url     string
	running sync.WaitGroup
	mu      sync.Mutex
	whole   int      // answers with the text that they are to have
	cut     int      // streams that broke off
	wrong   []string // anything else
}

// launch asks for answers in one piece and, when replicas write them, for streams, of a given text, and waits until they have begun too.
// So that each replica has some of both: balancers look at how many it has.
func launch(t *testing.T, url string, replicas []string, want string, streams, pieces int) *flight {
	t.Helper()
	f := &flight{url: url}
	ask := func(stream bool, got *atomic.Int64) {
		f.running.Go(func() {
			a := post(url+"/v1/chat/completions", long(stream), got)
			said, whole := content(a.text)
			f.mu.Lock()
			defer f.mu.Unlock()
			switch {
			case a.err == nil && a.status == http.StatusOK && whole && said == want:
				f.whole++
			case stream && a.err != nil && !whole && strings.HasPrefix(want, said):
				f.cut++
			default:
				f.wrong = append(f.wrong, fmt.Sprintf("stream %v: %d %v %.300s", stream, a.status, a.err, a.text))
			}
		})
	}
	end := time.Now().Add(time.Minute)
	for range pieces {
		ask(false, nil)
	}
	for running := 0; running < pieces; time.Sleep(time.Millisecond) {
		f.mu.Lock()
		running = f.whole // those that have come to their ends already, while this was held up
		f.mu.Unlock()
		for _, r := range replicas {
			running += int(gauges(t, "http://"+r)["gemma4_requests_running"])
		}
		if time.Now().After(end) {
			t.Fatal("answers do not begin")
		}
	}
	begun := make([]atomic.Int64, streams) // bytes of each
	for i := range begun {
		ask(true, &begun[i])
	}
	for i := range begun {
		for ; begun[i].Load() < 2000; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("streams do not begin")
			}
		}
	}
	return f
}

// answered sends a number of short requests, one after another, each of which has to be answered.
func answered(t *testing.T, url string, requests int) {
	t.Helper()
	for range requests {
		began := time.Now()
		a := post(url+"/v1/chat/completions", capital, nil)
		if said, _ := content(a.text); a.err != nil || said != "The capital of France is Paris." {
			t.Errorf("a new request: %d %v %s", a.status, a.err, a.text)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("a new request took %v", took)
		}
	}
}

// Of three replicas one is killed and one drained, each while all of them write answers.
func TestReplicasMayDieAndDrain(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the command and starts replicas")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "gemma4")
	each(t, func(t *testing.T, b balancer) {
		if out, err := exec.Command("go", "build", "-o", program, "../cmd/gemma4").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		var replicas []*exec.Cmd
		var addresses []string
		for range 3 {
			addresses = append(addresses, free(t))
			replicas = append(replicas, run(t, program, "serve", "-addr", addresses[len(addresses)-1]))
		}
		for _, a := range addresses {
			healthy(t, "http://"+a)
		}
		url := b.start(t, addresses)
		want, _ := content(post("http://"+addresses[0]+"/v1/chat/completions", long(false), nil).text)
		if len(want) != letters {
			t.Fatalf("a long answer has %d letters, want %d", len(want), letters)
		}

		f := launch(t, url, addresses, want, 6, 3)
		replicas[0].Process.Kill()
		answered(t, url, 12)
		f.running.Wait()
		// The balancer spreads nine requests evenly, so three are with the one that dies. Its streams break off; a balancer can give
		// what it sent nothing of to another replica.
		if f.cut > 3 || f.whole != 9-f.cut || len(f.wrong) > 0 {
			t.Errorf("one killed: of 6 streams and 3 other answers %d came whole, %d streams broke off; and %q", f.whole, f.cut, f.wrong)
		}
		if f.cut == 0 {
			t.Error("no stream broke off: none was with the replica that was killed")
		}

		f = launch(t, url, addresses[1:], want, 4, 2)
		replicas[1].Process.Signal(syscall.SIGTERM)
		answered(t, url, 12)
		f.running.Wait()
		if f.whole != 6 {
			t.Errorf("one drained: of 6 answers %d came whole, %d streams broke off; and %q", f.whole, f.cut, f.wrong)
		}
		if err := replicas[1].Wait(); err != nil {
			t.Errorf("the drained replica ended with %v", err)
		}
		answered(t, url, 3)
	})
}

// mock is a replica that says who it is, or that it cannot answer.
type mock struct {
	name   string
	status atomic.Int64 // of its answers
	asked  atomic.Int64
	busy   atomic.Bool  // it takes two seconds to say that it is well
	late   atomic.Int64 // times that it has said so then
}

func (m *mock) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/health" {
		if m.busy.Load() {
			time.Sleep(2 * time.Second)
			m.late.Add(1)
		}
		return
	}
	m.asked.Add(1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if status := int(m.status.Load()); status != http.StatusOK {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
	}
	fmt.Fprintf(w, "%s %d", m.name, len(body))
}

// mocks starts three of them behind a balancer.
func mocks(t *testing.T, b balancer) (url string, all []*mock) {
	var addresses []string
	for _, name := range []string{"a", "b", "c"} {
		m := &mock{name: name}
		m.status.Store(http.StatusOK)
		s := httptest.NewServer(m)
		t.Cleanup(s.Close)
		all, addresses = append(all, m), append(addresses, s.Listener.Addr().String())
	}
	return b.start(t, addresses), all
}

func TestConversationsStayWithTheirReplica(t *testing.T) {
	each(t, func(t *testing.T, b balancer) {
		url, all := mocks(t, b)
		idle := func(m *mock) bool { return m.asked.Load() == 0 }
		for id := 0; id < 20 || id < 10_000 && slices.ContainsFunc(all, idle); id++ { // where one is hashed to depends on the ports
			first := ""
			for range 5 {
				a := post(url, "{}", nil, "X-Conversation-Id", fmt.Sprint("conversation ", id))
				if first == "" {
					first = a.text
				}
				if a.err != nil || a.status != http.StatusOK || a.text != first {
					t.Errorf("conversation %d: %d %v %q after %q", id, a.status, a.err, a.text, first)
				}
			}
		}
		for _, m := range all {
			if idle(m) {
				t.Errorf("no conversation is with %s", m.name)
			}
		}
	})
}

func TestBusyReplicasAreStillThere(t *testing.T) {
	each(t, func(t *testing.T, b balancer) {
		if b.program == "nginx" {
			t.Skip("nginx asks nobody whether he is well")
		}
		url, all := mocks(t, b)
		for _, m := range all {
			m.busy.Store(true)
		}
		for _, m := range all {
			for end := time.Now().Add(time.Minute); m.late.Load() < 2; time.Sleep(10 * time.Millisecond) { // one for each backend
				if time.Now().After(end) {
					t.Fatalf("nobody asks %s whether it is well", m.name)
				}
			}
		}
		for _, fields := range [][]string{nil, {"X-Conversation-Id", "1"}} {
			if a := post(url, "{}", nil, fields...); a.err != nil || a.status != http.StatusOK {
				t.Errorf("%q: %d %v %s", fields, a.status, a.err, a.text)
			}
		}
	})
}

// 100 kB is the body of an agent with many tools.
func TestRequestsThatAReplicaRefusesGoToAnother(t *testing.T) {
	each(t, func(t *testing.T, b balancer) {
		url, all := mocks(t, b)
		body, conversation := strings.Repeat("x", 100_000), []string{"X-Conversation-Id", "7"}
		first := post(url, body, nil, conversation...)
		for _, m := range all {
			if strings.HasPrefix(first.text, m.name) {
				m.status.Store(http.StatusServiceUnavailable)
			}
		}
		for range 6 {
			a := post(url, body, nil, conversation...)
			if a.err != nil || a.status != http.StatusOK || a.text == first.text || !strings.HasSuffix(a.text, " 100000") {
				t.Errorf("the replica of a conversation refuses: %d %v %s", a.status, a.err, a.text)
			}
		}
		all[0].status.Store(http.StatusServiceUnavailable)
		all[1].status.Store(http.StatusServiceUnavailable)
		all[2].status.Store(http.StatusOK)
		for range 6 {
			if a := post(url, body, nil); a.err != nil || a.text != "c 100000" {
				t.Errorf("two of three refuse: %d %v %s", a.status, a.err, a.text)
			}
		}
		for _, m := range all {
			m.status.Store(http.StatusTooManyRequests)
		}
		for range 6 { // each time: being full is no failure to remember
			if a := post(url, body, nil); a.err != nil || a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") != "7" {
				t.Errorf("all are full: %d %v %s, want 429 with Retry-After", a.status, a.err, a.text)
			}
		}
		all[2].status.Store(http.StatusOK)
		if b.program == "nginx" { // HAProxy 2.6 does not know 429 among the reasons to ask another one
			if a := post(url, body, nil); a.err != nil || a.text != "c 100000" {
				t.Errorf("two of three are full: %d %v %s", a.status, a.err, a.text)
			}
		}
	})
}

// Files of Kubernetes and llm-d are YAML, and name each other and the server's endpoints as they are.
func TestManifestsFitTogether(t *testing.T) {
	if err := exec.Command("python3", "-c", "import yaml").Run(); err != nil {
		t.Skip("python3 with yaml is not installed")
	}
	read := func(file string) (all []map[string]any) {
		out, err := exec.Command("python3", "-c",
			"import json, sys, yaml; json.dump(list(yaml.safe_load_all(open(sys.argv[1]))), sys.stdout)", file).Output()
		if err == nil {
			err = json.Unmarshal(out, &all)
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		return all
	}
	// at follows names and numbers into a value.
	at := func(v any, path ...any) any {
		for _, p := range path {
			switch p := p.(type) {
			case string:
				m, _ := v.(map[string]any)
				v = m[p]
			case int:
				l, _ := v.([]any)
				if p >= len(l) {
					return nil
				}
				v = l[p]
			}
		}
		return v
	}
	kinds := map[string]map[string]any{}
	for _, file := range []string{"kubernetes/gemma4.yaml", "kubernetes/inference-pool.yaml"} {
		for _, o := range read(file) {
			kinds[o["kind"].(string)] = o
		}
	}
	labels := at(kinds["Deployment"], "spec", "template", "metadata", "labels")
	pod := at(kinds["Deployment"], "spec", "template", "spec")
	container := at(pod, "containers", 0)
	picker := at(kinds["ConfigMap"], "data", "config.yaml")
	pool, route := kinds["InferencePool"], kinds["HTTPRoute"]
	for what, pair := range map[string][2]any{
		"the Deployment's labels":  {at(kinds["Deployment"], "spec", "selector", "matchLabels"), labels},
		"the Service's labels":     {at(kinds["Service"], "spec", "selector"), labels},
		"the budget's labels":      {at(kinds["PodDisruptionBudget"], "spec", "selector", "matchLabels"), labels},
		"the policy's labels":      {at(kinds["NetworkPolicy"], "spec", "podSelector", "matchLabels"), labels},
		"the pool's labels":        {at(pool, "spec", "selector", "matchLabels"), labels},
		"the pool's port":          {at(pool, "spec", "targetPorts", 0, "number"), at(container, "ports", 0, "containerPort")},
		"the Service's port":       {at(kinds["Service"], "spec", "ports", 0, "targetPort"), at(container, "ports", 0, "name")},
		"the route's pool":         {at(route, "spec", "rules", 0, "backendRefs", 0, "name"), at(pool, "metadata", "name")},
		"the pool's picker":        {at(pool, "spec", "endpointPickerRef", "name"), at(kinds["ConfigMap"], "metadata", "name")},
		"the readiness probe":      {at(container, "readinessProbe", "httpGet", "path"), "/health"},
		"the volume":               {at(container, "volumeMounts", 0, "name"), at(pod, "volumes", 0, "name")},
		"the picker's kind":        {strings.Contains(fmt.Sprint(picker), "kind: EndpointPickerConfig"), true},
		"llm-d's kind":             {at(read("llm-d/config.yaml")[0], "kind"), "EndpointPickerConfig"},
		"llm-d's second endpoint":  {at(read("llm-d/endpoints.yaml")[0], "endpoints", 1, "port"), "8080"},
		"llm-d's way of discovery": {at(read("llm-d/config.yaml")[0], "dataLayer", "discovery", "pluginRef"), "file-discovery"},
	} {
		if pair[0] == nil || !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: %v, want %v", what, pair[0], pair[1])
		}
	}
	grace, _ := at(pod, "terminationGracePeriodSeconds").(float64)
	sleep, _ := at(container, "lifecycle", "preStop", "sleep", "seconds").(float64)
	var drain time.Duration
	args, _ := at(container, "args").([]any)
	for _, a := range args {
		if text, ok := strings.CutPrefix(a.(string), "-drain="); ok {
			var err error
			if drain, err = time.ParseDuration(text); err != nil {
				t.Error(err)
			}
		}
	}
	if drain == 0 || grace <= sleep+drain.Seconds() {
		t.Errorf("a pod has %v s to end in, of which %v pass before it drains for %v", grace, sleep, drain)
	}
}

func TestUnitsAreValid(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	dir := t.TempDir()
	var files []string
	for _, name := range []string{"gemma4.service", "gemma4.socket"} {
		text, err := os.ReadFile(filepath.Join("systemd", name))
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte("/usr/local/bin/gemma4"), []byte("/bin/sh")) // a program that is there
		files = append(files, filepath.Join(dir, name))
		if err := os.WriteFile(files[len(files)-1], text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("systemd-analyze", append([]string{"verify"}, files...)...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
