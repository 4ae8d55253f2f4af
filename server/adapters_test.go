package server

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/nano"
)

// adapterOfNano opens an adapter of random numbers beside all matrices of nano's layers.
func adapterOfNano(t testing.TB, m *gemma4.Model, seed uint64) gemma4.Scaled {
	t.Helper()
	f, err := gguf.OpenBytes(nano.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	path := filepath.Join(t.TempDir(), "adapter.gguf")
	if err := synth.WriteBeside(path, f, seed); err != nil {
		t.Fatal(err)
	}
	a, err := m.OpenAdapter(path)
	if err != nil {
		t.Fatal(err)
	}
	return a.At(1)
}

// serveAdapters returns a server of nano with adapters a1, a2 …, and its URL.
func serveAdapters(t *testing.T, n int, o Options) (*Server, string) {
	t.Helper()
	m, err := nano.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	o.Names = []string{"nano", "toy"}
	for i := range n {
		o.Adapters = append(o.Adapters, Adapter{Name: fmt.Sprintf("a%d", i+1), Scaled: adapterOfNano(t, m, uint64(i))})
	}
	return serveModel(t, m, o)
}

// saidBy asks a question of a model and returns the content of the answer.
func saidBy(t *testing.T, url, model, question string) string {
	t.Helper()
	status, text := post(t, url+"/v1/chat/completions", fmt.Sprintf(
		`{"model":%q,"messages":[{"role":"user","content":%q}],"temperature":0,"max_tokens":12,"logprobs":true,"top_logprobs":2}`,
		model, question))
	if status != http.StatusOK {
		t.Errorf("%s: status %d: %s", model, status, text)
		return ""
	}
	v := fields(t, text)
	choice := v["choices"].([]any)[0].(map[string]any)
	return fmt.Sprint(v["model"], " ", v["system_fingerprint"], " ", choice["message"], choice["logprobs"])
}

// Requests with different adapters, and without any, that are answered together have the bytes of each alone.
func TestEightAdaptersAtOnceAnswerAsEachAlone(t *testing.T) {
	_, url := serveAdapters(t, 8, Options{Queue: gemma4.QueueOptions{Slots: 9, Prefixes: gemma4.NewPrefixCache(16 << 20)}})
	models := []string{"nano"}
	for i := range 8 {
		models = append(models, fmt.Sprintf("nano:a%d", i+1))
	}
	alone, seen := map[string]string{}, map[string]string{}
	for _, m := range models {
		alone[m] = saidBy(t, url, m, capital)
		if !strings.HasPrefix(alone[m], m+" fp_") {
			t.Errorf("%s calls itself %.60s", m, alone[m])
		}
		_, answer, _ := strings.Cut(alone[m], " fp_")
		if before := seen[answer[12:]]; before != "" {
			t.Errorf("%s answers as %s does", m, before)
		}
		seen[answer[12:]] = m
	}
	for range 3 {
		var together sync.WaitGroup
		for _, m := range models {
			together.Go(func() {
				if got := saidBy(t, url, m, capital); got != alone[m] {
					t.Errorf("%s with others: %s\nalone: %s", m, got, alone[m])
				}
			})
		}
		together.Wait()
	}
}

// asModel are bodies for all endpoints that answer as a model, which stands for %s.
var asModel = map[string]string{
	"/v1/chat/completions": `{"model":%q,"messages":[{"role":"user","content":"Hi"}],"max_tokens":4,"temperature":0}`,
	"/v1/completions":      `{"model":%q,"prompt":"Hi","max_tokens":4,"temperature":0}`,
	"/v1/responses":        `{"model":%q,"input":"Hi","max_output_tokens":4,"temperature":0}`,
	"/v1/messages":         `{"model":%q,"messages":[{"role":"user","content":"Hi"}],"max_tokens":4,"temperature":0}`,
	"/v1/embeddings":       `{"model":%q,"input":"Hi"}`,
	"/v1/decide":           `{"model":%q,"prompt":"Hi","options":["a","b"]}`,
	"/api/chat": `{"model":%q,"messages":[{"role":"user","content":"Hi"}],"stream":false,
		"options":{"num_predict":4,"temperature":0}}`,
	"/api/generate": `{"model":%q,"prompt":"Hi","stream":false,"options":{"num_predict":4,"temperature":0}}`,
	"/api/embed":    `{"model":%q,"input":"Hi"}`,
}

// essence is what an answer says: not when, by which name and in which time.
func essence(t *testing.T, text string) string {
	v := fields(t, text)
	for _, key := range []string{"id", "model", "created", "created_at", "system_fingerprint", "timings", "usage", "total_duration",
		"load_duration", "prompt_eval_duration", "eval_duration"} {
		delete(v, key)
	}
	if list, ok := v["output"].([]any); ok {
		return fmt.Sprint(list[0].(map[string]any)["content"])
	}
	return fmt.Sprint(v)
}

func TestAllEndpointsTakeAModelWithAnAdapter(t *testing.T) {
	_, url := serveAdapters(t, 1, Options{})
	for path, body := range asModel {
		plain := ""
		for _, x := range []struct{ model, want string }{
			{"nano", "nano"}, {"toy", "nano"}, {"nano:latest", "nano"}, {"gpt-5", "nano"}, {"gpt:5", "nano"},
			{"nano:a1", "nano:a1"}, {"toy:a1", "nano:a1"}, {"other:a1", "nano:a1"},
		} {
			status, text := post(t, url+path, fmt.Sprintf(body, x.model))
			if status != http.StatusOK {
				t.Errorf("%s for %s: status %d: %s", path, x.model, status, text)
				continue
			}
			if got := fields(t, text)["model"]; got != x.want {
				t.Errorf("%s for %s: it calls itself %v", path, x.model, got)
			}
			if said := essence(t, text); plain == "" {
				plain = said
			} else if (said == plain) != (x.want == "nano") {
				t.Errorf("%s for %s: %s\nthe model alone: %s", path, x.model, said, plain)
			}
		}
	}
}

func TestUnknownAdaptersAreModelsThatAreNotFound(t *testing.T) {
	_, loose := serveAdapters(t, 2, Options{})
	_, strict := serveAdapters(t, 2, Options{Strict: true})
	for path, body := range asModel {
		for _, x := range []struct {
			url, model string
			status     int
		}{
			{loose, "nano:a3", http.StatusNotFound}, {loose, "toy:", http.StatusOK}, {loose, "gpt:a3", http.StatusOK},
			{strict, "nano:a3", http.StatusNotFound}, {strict, "gpt:a1", http.StatusNotFound}, {strict, "nano:a2", http.StatusOK},
			{strict, "nano:a1:a2", http.StatusNotFound},
		} {
			status, text := post(t, x.url+path, fmt.Sprintf(body, x.model))
			if status != x.status {
				t.Errorf("%s for %s: status %d: %s", path, x.model, status, text)
			}
			if status == http.StatusNotFound && !strings.Contains(strings.ReplaceAll(text, `\"`, "'"),
				"there is no model '"+x.model+"' here, but 'nano', 'nano:a1', 'nano:a2', 'toy', 'toy:a1', 'toy:a2'") {
				t.Errorf("%s for %s: %s", path, x.model, text)
			}
		}
	}
	_, text := post(t, loose+"/v1/messages", fmt.Sprintf(asModel["/v1/messages"], "nano:b"))
	if !strings.Contains(text, "not_found_error") {
		t.Errorf("in Anthropic's protocol: %s", text)
	}
}

func TestAdaptersAreListedBesideTheModel(t *testing.T) {
	_, url := serveAdapters(t, 2, Options{})
	_, text := get(t, url+"/v1/models")
	var ids, parents []string
	for _, m := range fields(t, text)["data"].([]any) {
		m := m.(map[string]any)
		ids, parents = append(ids, fmt.Sprint(m["id"])), append(parents, fmt.Sprint(m["parent"]))
	}
	if got := fmt.Sprint(ids, parents); got != "[nano nano:a1 nano:a2 toy toy:a1 toy:a2] [<nil> nano nano <nil> toy toy]" {
		t.Errorf("models: %s", got)
	}
	if status, text := get(t, url+"/v1/models/nano:a2"); status != http.StatusOK || fields(t, text)["parent"] != "nano" {
		t.Errorf("status %d: %s", status, text)
	}
	if status, text := get(t, url+"/v1/models/nano:a3"); status != http.StatusNotFound || !strings.Contains(text, "nano:a2") {
		t.Errorf("status %d: %s", status, text)
	}
	digests := map[any]string{}
	_, text = get(t, url+"/api/tags")
	for _, m := range fields(t, text)["models"].([]any) {
		m := m.(map[string]any)
		name, parent := fmt.Sprint(m["name"]), fmt.Sprint(m["details"].(map[string]any)["parent_model"])
		if base, adapter, _ := strings.Cut(name, ":"); adapter != "" && parent != base || adapter == "" && parent != "" {
			t.Errorf("%s comes from %q", name, parent)
		}
		if before := digests[m["digest"]]; before != "" && before[len(before)-2:] != name[len(name)-2:] && strings.Contains(name, ":") {
			t.Errorf("%s and %s have one digest", name, before)
		}
		digests[m["digest"]] = name
	}
	if len(digests) != 3 {
		t.Errorf("%d digests of a model and two adapters", len(digests))
	}
	if status, text := post(t, url+"/api/show", `{"model":"nano:a1"}`); status != http.StatusOK || !strings.Contains(text,
		`"parent_model":"nano"`) {
		t.Errorf("status %d: %.200s", status, text)
	}
	if _, text := get(t, url+"/props"); fmt.Sprint(fields(t, text)["adapters"]) != "[a1 a2]" {
		t.Errorf("props: %v", fields(t, text)["adapters"])
	}
}

func TestMetricsTellTheAdapterOfRequests(t *testing.T) {
	_, url := serveAdapters(t, 2, Options{})
	saidBy(t, url, "nano:a2", "Hi")
	saidBy(t, url, "nano", "Hi")
	_, text := get(t, url+"/metrics")
	_, values := samples(t, text)
	for _, model := range []string{"nano", "nano:a2"} {
		name := `gemma4_requests_total{endpoint="/v1/chat/completions",model="` + model + `",reason="length"}`
		other := strings.Replace(name, "length", "stop", 1)
		if values[name]+values[other] != 1 {
			t.Errorf("%s is %v", name, values[name])
		}
	}
}

func TestASlotTellsItsAdapter(t *testing.T) {
	s, url := serveAdapters(t, 2, Options{Queue: gemma4.QueueOptions{Slots: 2}})
	o := gemma4.ChatOptions{SessionOptions: gemma4.SessionOptions{Adapters: []gemma4.Scaled{s.o.Adapters[1].Scaled}}}
	if err := s.q.Do(t.Context(), o, func(context.Context, *gemma4.Chat) error {
		if _, text := get(t, url+"/slots"); strings.Count(text, `"adapter":"a2"`) != 1 || strings.Count(text, `"adapter"`) != 1 {
			t.Errorf("slots: %s", text)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestAServerRefusesAdaptersThatCannotBeAskedFor(t *testing.T) {
	m, err := nano.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	other, err := nano.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	a := adapterOfNano(t, m, 1)
	for name, list := range map[string][]Adapter{
		"no name": {{"", a, "", ""}}, "a colon": {{"a:b", a, "", ""}}, "a blank": {{"a b", a, "", ""}}, "a tag": {{"latest", a, "", ""}},
		"twice": {{"a", a, "", ""}, {"a", a, "", ""}}, "nothing": {{Name: "a"}},
		"another model's": {{"a", adapterOfNano(t, other, 1), "", ""}},
	} {
		if s, err := New(m, Options{Adapters: list}); err == nil || !strings.HasPrefix(err.Error(), "server: ") {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				s.Close()
			}
		}
	}
}
