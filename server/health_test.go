package server

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
)

func TestHealthSaysWhenToSendRequestsElsewhere(t *testing.T) {
	s, url := serve(t, Options{Queue: gemma4.QueueOptions{Slots: 1, Waiting: -1}, Keys: []string{"secret"}})
	health := func(status int, code string, paths ...string) {
		t.Helper()
		for _, path := range paths {
			got, text := get(t, url+path)
			if got != status || !strings.Contains(text, code) {
				t.Errorf("%s: status %d: %s; want %d, %s", path, got, text, status, code)
			}
		}
	}
	plain, full := []string{"/health", "/v1/health"}, []string{"/health?fail_on_full=1", "/v1/health?fail_on_full=true"}
	health(200, `"ok"`, append(plain, full...)...)
	s.Loading(true)
	health(503, `"code":"loading"`, append(plain, full...)...)
	health(200, `"ok"`, "/livez")
	s.Loading(false)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		left <- s.q.Do(ctx, gemma4.ChatOptions{}, func(ctx context.Context, _ *gemma4.Chat) error { <-ctx.Done(); return nil })
	}()
	await(t, func() bool { return s.q.Stats().Running == 1 })
	health(200, `"ok"`, plain...)
	health(200, `"ok"`, "/health?fail_on_full=0")
	health(503, `"code":"queue_full"`, full...)
	leave()
	<-left
	health(200, `"ok"`, full...)
	s.Close()
	health(503, `"code":"draining"`, append(plain, full...)...)
	health(200, `"ok"`, "/livez")
	if status, _ := get(t, url+"/slots"); status != http.StatusUnauthorized {
		t.Errorf("/slots without a key: status %d", status)
	}
}

// TestALineBehindALargeRequestIsFull: slots are free, but not the memory that who waits needs.
func TestALineBehindALargeRequestIsFull(t *testing.T) {
	one, _ := serve(t, Options{Queue: gemma4.QueueOptions{Slots: 1, Memory: 1 << 20}})
	all := one.context // that fits into the memory
	s, url := serve(t, Options{Queue: gemma4.QueueOptions{Slots: 3, Waiting: 1, Memory: 1 << 20, Context: all}})
	var o gemma4.ChatOptions
	o.Context = all
	for range 2 {
		go s.q.Do(t.Context(), o, func(ctx context.Context, _ *gemma4.Chat) error { <-ctx.Done(); return nil })
	}
	await(t, func() bool { q := s.q.Stats(); return q.Running == 1 && q.Waiting == 1 })
	if status, text := get(t, url+"/health?fail_on_full=1"); status != 503 || !strings.Contains(text, "queue_full") {
		t.Errorf("status %d: %s", status, text)
	}
}

func TestSlotsTellWhatEachDoesWithoutText(t *testing.T) {
	s, url := serve(t, Options{Queue: gemma4.QueueOptions{Slots: 2, Context: 512}})
	slots := func(query string) (status int, list []map[string]any) {
		status, text := get(t, url+"/slots"+query)
		if err := json.Unmarshal([]byte(text), &list); err != nil && status == 200 {
			t.Fatal(err)
		}
		if strings.Contains(text, "France") {
			t.Errorf("a text is told: %s", text)
		}
		return status, list
	}
	status, list := slots("?fail_on_no_slot=1")
	if status != 200 || len(list) != 2 || list[1]["id"] != 1.0 || list[0]["state"] != "idle" || list[0]["is_processing"] != false ||
		list[0]["n_ctx"] != 512.0 {
		t.Errorf("status %d: %v", status, list)
	}
	ctx, leave := context.WithCancel(t.Context())
	prompt := gemma4.Input{Tokens: s.m.Tokenizer().WithBOS(s.m.Tokenizer().Encode(capital, false))}
	for range 2 {
		go s.q.Do(ctx, gemma4.ChatOptions{}, func(ctx context.Context, c *gemma4.Chat) error {
			err := c.Session().Read(ctx, prompt)
			<-ctx.Done()
			return err
		})
	}
	await(t, func() bool {
		q := s.q.Slots()
		return q[0].Read > 0 && q[1].Read > 0
	})
	status, list = slots("")
	if status != 200 || list[0]["is_processing"] != true || list[0]["state"] == "idle" || list[0]["age_seconds"].(float64) < 0 ||
		list[0]["n_prompt_tokens"] != float64(len(prompt.Tokens)) {
		t.Errorf("status %d: %v", status, list)
	}
	if status, _ = slots("?fail_on_no_slot=1"); status != 503 {
		t.Errorf("no slot is idle: status %d", status)
	}
	leave()
	await(t, func() bool { return s.q.Stats().Running == 0 })
	if status, _ = slots("?fail_on_no_slot=1"); status != 200 {
		t.Errorf("status %d", status)
	}
}

func TestPropsAndModelsTellWhatRequestsMayHave(t *testing.T) {
	s, url := serve(t, Options{Names: []string{"family/nano:7m", "nano"}, Queue: gemma4.QueueOptions{Slots: 3, Context: 1024}})
	_, text := get(t, url+"/props")
	p := fields(t, text)
	settings := p["default_generation_settings"].(map[string]any)
	params := settings["params"].(map[string]any)
	if p["total_slots"] != 3.0 || p["n_ctx"] != 1024.0 || settings["n_ctx"] != 1024.0 || p["model"] != "family/nano:7m" ||
		p["chat_template"] == nil || p["modalities"].(map[string]any)["vision"] != true ||
		p["modalities"].(map[string]any)["audio"] != true || p["build_info"] == "" ||
		params["temperature"] != s.m.Sampling().Temperature || strings.Contains(text, ".gguf") {
		t.Errorf("%s", text)
	}
	for _, path := range []string{"/v1/models", "/models"} {
		_, text := get(t, url+path)
		list := fields(t, text)["data"].([]any)
		for i, name := range []string{"family/nano:7m", "nano"} {
			_, one := get(t, url+path+"/"+name)
			if js(t, list[i]) != js(t, fields(t, one)) {
				t.Errorf("%s: in the list %v, by itself %s", name, list[i], one)
			}
			m := list[i].(map[string]any)
			meta := m["meta"].(map[string]any)
			if m["id"] != name || m["object"] != "model" || m["max_model_len"] != 1024.0 || meta["n_ctx"] != 1024.0 ||
				meta["n_ctx_train"] != float64(s.info.Context) ||
				js(t, m["capabilities"]) != `["completion","tools","thinking","vision","audio"]` {
				t.Errorf("%v", m)
			}
		}
		if status, text := get(t, url+path+"/family"); status != 404 || !strings.Contains(text, "model_not_found") {
			t.Errorf("status %d: %s", status, text)
		}
	}
	if status, text := get(t, url+"/version"); status != 200 || fields(t, text)["version"] == "" {
		t.Errorf("status %d: %s", status, text)
	}
}

func TestABrowserFindsThePage(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<!doctype html>")) })
	_, url := serve(t, Options{Page: page, Keys: []string{"secret"}})
	for accept, want := range map[string]string{"text/html,*/*;q=0.8": "<!doctype html>", "*/*": "Ollama is running"} {
		if status, text := get(t, url+"/", "Accept: "+accept); status != 200 || text != want {
			t.Errorf("%s: status %d: %s", accept, status, text)
		}
	}
}
