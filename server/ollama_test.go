package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// homeAssistant reads a stream of /api/chat as Home Assistant's integration does: each line has a message, a role only counts at the
// beginning, arguments are objects, and nothing comes behind the line that is done.
type homeAssistant struct {
	content, thinking string
	calls             []ollamaFunction
	end               ollamaEnd
	lines             int
}

func readHomeAssistant(t testing.TB, stream string) (h homeAssistant) {
	t.Helper()
	done := false
	for s := bufio.NewScanner(strings.NewReader(stream)); s.Scan(); h.lines++ {
		var line struct {
			Model   string
			Created time.Time `json:"created_at"`
			Message *struct {
				Role, Content, Thinking string
				Calls                   []struct{ Function ollamaFunction } `json:"tool_calls"`
			}
			Done *bool
			ollamaEnd
		}
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatalf("%v in %s", err, s.Text())
		}
		if done || line.Message == nil || line.Done == nil || line.Message.Role != "assistant" || line.Created.IsZero() ||
			line.Model == "" {
			t.Fatalf("a line after the end, or without model, time, message, role or done: %s", s.Text())
		}
		h.content += line.Message.Content
		h.thinking += line.Message.Thinking
		for _, c := range line.Message.Calls {
			var arguments map[string]any
			if err := json.Unmarshal(c.Function.Arguments, &arguments); err != nil || arguments == nil || c.Function.Name == "" {
				t.Fatalf("arguments that are no object: %s", s.Text())
			}
			h.calls = append(h.calls, c.Function)
		}
		done, h.end = *line.Done, line.ollamaEnd
	}
	if !done {
		t.Fatalf("the stream does not end: %s", stream)
	}
	return h
}

// question is the beginning of a body with nano's question, answered by what is most likely.
const question = `{"model":"nano","options":{"temperature":0},"messages":[{"role":"user","content":"` + capital + `"}]`

const tellsWeather = `,"tools":[{"type":"function","function":{"name":"get_weather","description":"Weather in a city","parameters":` +
	`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}]`

// bodiesOfOllama are of /api/chat, without their ends.
var bodiesOfOllama = map[string]string{
	"a question": question,
	"a call": `{"options":{"temperature":0,"seed":1},"messages":[{"role":"user","content":"What is the weather in Oslo?"}]` +
		tellsWeather,
	"what a tool says": `{"options":{"temperature":0},"messages":[{"role":"user","content":"What is the weather in Oslo?"},` +
		`{"role":"assistant","content":"","tool_calls":[{"function":{"name":"get_weather","arguments":{"city":"Oslo"}}}]},` +
		`{"role":"tool","content":"{\"temperature\": 7, \"sky\": \"rain\"}"}]` + tellsWeather,
	"a schema": `{"options":{"temperature":0,"num_predict":40},"format":{"type":"object","properties":{"city":{"type":"string",` +
		`"maxLength":9},"big":{"type":"boolean"}},"required":["city","big"],"additionalProperties":false},` +
		`"messages":[{"role":"user","content":"` + capital + `"}]`,
	"thinking": `{"options":{"temperature":0,"num_predict":60},"think":"high","messages":[{"role":"user","content":"` + capital + `"}]`,
	"cut off":  `{"options":{"temperature":0,"num_predict":3},"messages":[{"role":"user","content":"` + capital + `"}]`,
	"stopped":  `{"options":{"temperature":0,"stop":["France"]},"messages":[{"role":"user","content":"` + capital + `"}]`,
}

func TestOllamaStreamsWhatItAnswersWhole(t *testing.T) {
	_, url := serve(t, Options{})
	for name, body := range bodiesOfOllama {
		status, stream := post(t, url+"/api/chat", body+`}`)
		if status != 200 {
			t.Fatalf("%s: status %d: %s", name, status, stream)
		}
		_, whole := post(t, url+"/api/chat", body+`,"stream":false}`)
		a, b := readHomeAssistant(t, stream), readHomeAssistant(t, whole)
		if b.lines != 1 || a.content != b.content || a.thinking != b.thinking || js(t, a.calls) != js(t, b.calls) ||
			a.end.Reason != b.end.Reason || a.end.Written != b.end.Written || a.end.Prompt != b.end.Prompt {
			t.Errorf("%s:\n%+v\n%+v", name, a, b)
		}
		if e := a.end; e.Total <= 0 || e.Prompt <= 0 || e.PromptTime <= 0 || e.Written <= 0 || e.Total < e.PromptTime+e.WritingTime {
			t.Errorf("%s: %+v", name, e)
		}
		switch {
		case name == "a question" && (a.content != paris || a.end.Reason != "stop" || a.lines < 3):
			t.Errorf("%+v", a)
		case name == "a call" && (len(a.calls) != 1 || string(a.calls[0].Arguments) != `{"city": "Oslo"}` && string(a.calls[0].Arguments) !=
			`{"city":"Oslo"}` || a.end.Reason != "stop"):
			t.Errorf("%s: %+v", name, a)
		case name == "a schema" && !json.Valid([]byte(a.content)):
			t.Errorf("%s: %s", name, a.content)
		case name == "cut off" && (a.end.Reason != "length" || a.end.Written != 3):
			t.Errorf("%s: %+v", name, a)
		case name == "stopped" && (a.content != "The capital of " || a.end.Reason != "stop"):
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// volatile is what differs between two answers.
var volatile = regexp.MustCompile(`"(created_at|id)":"[^"]*"|"[a-z_]*duration":\d+`)

// TestOllamaStreamsAreAsRecorded compares streams, but for times and ids, with what they were when somebody last looked:
//
//	go test ./server -run OllamaStreamsAreAsRecorded -update
func TestOllamaStreamsAreAsRecorded(t *testing.T) {
	_, url := serve(t, Options{Names: []string{"nano"}})
	for name, body := range bodiesOfOllama {
		if name == "thinking" { // what nano thinks differs between kernels
			continue
		}
		_, stream := post(t, url+"/api/chat", body+`}`)
		got := volatile.ReplaceAllStringFunc(stream, func(s string) string { return s[:strings.Index(s, ":")+1] + "0" })
		path := filepath.Join("testdata", "ollama", strings.ReplaceAll(name, " ", "_")+".ndjson")
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != strings.ReplaceAll(string(want), "\r\n", "\n") {
			t.Errorf("%s:\n%s\nrecorded:\n%s", name, got, want)
		}
	}
}

// lineOfOllama is a line as clients read it.
type lineOfOllama struct {
	Message  *json.RawMessage
	Response *string
	Done     bool
	Reason   string `json:"done_reason"`
}

func TestOllamaGenerates(t *testing.T) {
	_, url := serve(t, Options{})
	read := func(stream string) (text string, last lineOfOllama) {
		for s := bufio.NewScanner(strings.NewReader(stream)); s.Scan(); {
			last = lineOfOllama{}
			if err := json.Unmarshal(s.Bytes(), &last); err != nil || last.Response == nil || last.Message != nil {
				t.Fatalf("%v in %s", err, s.Text())
			}
			text += *last.Response
		}
		return text, last
	}
	for _, test := range []struct{ body, want, reason string }{
		{`{"prompt":"` + capital + `","options":{"temperature":0}`, paris, "stop"},
		{`{"prompt":"` + capital + `","system":"Be brief.","options":{"temperature":0,"num_predict":2}`, "The capital", "length"},
		{`{"raw":true,"prompt":"<|turn>user\n` + capital + `<turn|>\n<|turn>model\n","options":{"temperature":0}`, paris, "stop"},
	} {
		_, stream := post(t, url+"/api/generate", test.body+`}`)
		_, one := post(t, url+"/api/generate", test.body+`,"stream":false}`)
		text, last := read(stream)
		whole, end := read(one)
		if text != test.want || whole != test.want || !last.Done || !end.Done || last.Reason != test.reason || end.Reason != test.reason {
			t.Errorf("%s: %q and %q, %+v", test.body, text, whole, last)
		}
	}
}

// TestToolsThatAreNotNamedAreThoseOfTheirCalls: what the model reads is the same whether messages of tools say whose they are or not.
func TestToolsThatAreNotNamedAreThoseOfTheirCalls(t *testing.T) {
	s, _ := serve(t, Options{})
	prompt := func(tools ...string) []int32 {
		list := append([]string{`{"role":"user","content":"What is the weather in Oslo, and what time is it there?"}`,
			`{"role":"assistant","content":"","tool_calls":[{"function":{"name":"get_weather","arguments":{"city":"Oslo"}}},` +
				`{"function":{"name":"get_time","arguments":{"city":"Oslo"}}}]}`}, tools...)
		var all chat.Conversation
		for i, text := range list {
			m, err := (&call{s: s}).ollamaMessageOf(fmt.Sprintf("messages[%d]", i), json.RawMessage(text))
			if err != nil {
				t.Fatal(err)
			}
			all.Messages = append(all.Messages, m)
		}
		ids, err := s.m.Prompt(t.Context(), all)
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	want := prompt(`{"role":"tool","tool_name":"get_weather","content":"rain"}`,
		`{"role":"tool","tool_name":"get_time","content":"noon"}`)
	if got := prompt(`{"role":"tool","content":"rain"}`, `{"role":"tool","content":"noon"}`); !slices.Equal(got, want) {
		t.Errorf("without names %q\nwith names %q", s.m.Tokenizer().Decode(got, true), s.m.Tokenizer().Decode(want, true))
	}
}

func TestOllamaLoadsAndUnloadsNothing(t *testing.T) {
	_, url := serve(t, Options{})
	for _, test := range []struct{ path, body, reason string }{
		{"/api/chat", `{"model":"x","messages":[]}`, "load"},
		{"/api/chat", `{"model":"x","keep_alive":"5m"}`, "load"},
		{"/api/chat", `{"model":"x","messages":[],"keep_alive":0}`, "unload"},
		{"/api/generate", `{"model":"x","keep_alive":-1}`, "load"},
		{"/api/generate", `{"model":"x","prompt":"","keep_alive":"0s"}`, "unload"},
	} {
		var line lineOfOllama
		ask(t, url+test.path, test.body, &line)
		if !line.Done || line.Reason != test.reason || (line.Message == nil) == (line.Response == nil) {
			t.Errorf("%s: %+v", test.body, line)
		}
	}
}

func TestOllamaTellsOfTheModel(t *testing.T) {
	s, url := serve(t, Options{Names: []string{"family/nano:7m", "nano"}, Queue: gemma4.QueueOptions{Context: 2048}})
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r, err := http.NewRequestWithContext(t.Context(), method, url+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		want := "Ollama is running"
		if method == http.MethodHead {
			want = ""
		}
		if status, text := do(t, r, "Accept: application/json"); status != 200 || text != want {
			t.Errorf("%s /: %d %q", method, status, text)
		}
	}
	_, text := get(t, url+"/api/version")
	if v := fields(t, text)["version"].(string); !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(v) {
		t.Errorf("version %q", v)
	}
	for _, path := range []string{"/api/tags", "/api/ps"} {
		_, text := get(t, url+path)
		models := fields(t, text)["models"].([]any)
		for i, name := range []string{"family/nano:7m", "nano"} {
			m := models[i].(map[string]any)
			d := m["details"].(map[string]any)
			if m["name"] != name || m["model"] != name || m["size"] != float64(s.info.Bytes) || len(m["digest"].(string)) != 64 ||
				d["family"] != "gemma4" || d["format"] != "gguf" || d["quantization_level"] != "Q4_0" ||
				!strings.HasSuffix(d["parameter_size"].(string), "M") {
				t.Errorf("%s: %v", path, m)
			}
			if path == "/api/ps" && m["context_length"] != 2048.0 {
				t.Errorf("%v", m)
			}
		}
	}
	for _, body := range []string{`{"model":"nano"}`, `{"name":"nano","verbose":true}`} {
		var got struct {
			Template     string
			Info         map[string]any `json:"model_info"`
			Capabilities []string
			Details      ollamaDetails
		}
		ask(t, url+"/api/show", body, &got)
		if got.Info["general.architecture"] != "gemma4" || got.Info["gemma4.context_length"] != 2048.0 ||
			got.Info["gemma4.embedding_length"] != 256.0 || fmt.Sprint(got.Capabilities) != "[completion tools thinking vision audio]" ||
			got.Details.Family != "gemma4" {
			t.Errorf("%+v", got)
		}
	}
}

func TestOllamaEmbeds(t *testing.T) {
	_, url := serve(t, Options{Queue: gemma4.QueueOptions{Context: 64}})
	var got struct {
		Embeddings [][]float32
		Prompt     int `json:"prompt_eval_count"`
	}
	ask(t, url+"/api/embed", `{"input":["Paris","Rome"],"dimensions":64,"options":{"num_ctx":32}}`, &got)
	want := embed(t, url, `{"input":["Paris","Rome"],"dimensions":64}`)
	for i, v := range got.Embeddings {
		if js(t, v) != js(t, vector(t, want.Data[i].Embedding)) {
			t.Errorf("embedding %d is %v", i, v)
		}
	}
	if len(got.Embeddings) != 2 || got.Prompt != want.Usage.Prompt {
		t.Errorf("%d embeddings of %d tokens", len(got.Embeddings), got.Prompt)
	}
	var one struct{ Embedding []float32 }
	ask(t, url+"/api/embeddings", `{"prompt":"Rome"}`, &one)
	if whole := embed(t, url, `{"input":"Rome"}`); js(t, one.Embedding) != js(t, vector(t, whole.Data[0].Embedding)) {
		t.Errorf("%v", one.Embedding)
	}
	long := strings.Repeat("Paris ", 100)
	if status, text := post(t, url+"/api/embed", `{"input":"`+long+`"}`); status != 400 || !strings.Contains(text, "64 tokens") {
		t.Errorf("status %d: %s", status, text)
	}
	ask(t, url+"/api/embed", `{"input":"`+long+`","truncate":true}`, &got)
	if got.Prompt != 64 {
		t.Errorf("cut to %d tokens", got.Prompt)
	}
	ask(t, url+"/api/embed", `{"input":[]}`, &got)
	if len(got.Embeddings) != 0 {
		t.Errorf("embeddings of nothing: %v", got.Embeddings)
	}
}

func TestOllamaSaysWhatIsWrong(t *testing.T) {
	_, url := serve(t, Options{Strict: true, Names: []string{"nano"}, Queue: gemma4.QueueOptions{Context: 128}})
	user := `"messages":[{"role":"user","content":"x"}]`
	for _, test := range []struct {
		path, body string
		status     int
		words      string
	}{
		{"/api/chat", `{"model":"other",` + user + `}`, 404, "no model"},
		{"/api/chat", `{` + user + `,"options":{"num_ctx":129}}`, 400, "a context of 128"},
		{"/api/chat", `{` + user + `,"options":{"temperature":-1}}`, 400, "options.temperature"},
		{"/api/chat", `{` + user + `,"options":{"temperature":"hot"}}`, 400, "options.temperature"},
		{"/api/chat", `{` + user + `,"options":{"num_predict":"many"}}`, 400, "options.num_predict"},
		{"/api/chat", `{` + user + `,"format":"xml"}`, 400, "format"},
		{"/api/chat", `{` + user + `,"format":[1]}`, 400, "format"},
		{"/api/chat", `{` + user + `,"think":"hard"}`, 400, "think"},
		{"/api/chat", `{` + user + `,"think":3}`, 400, "think"},
		{"/api/chat", `{` + user + `,"tools":[{"type":"function","function":{}}]}`, 400, "tools[0]"},
		{"/api/chat", `{"messages":[{"role":"robot","content":"x"}]}`, 400, "messages[0].role"},
		{"/api/chat", `{"messages":[{"role":"user","content":3}]}`, 400, "messages[0].content"},
		{"/api/chat", `{"messages":[{"role":"user","content":"x","images":["aGk="]}]}`, 400, "messages[0].images"},
		{"/api/chat", `{"messages":[{"role":"tool","content":"x"}]}`, 400, "without a call"},
		{"/api/chat", `{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"no"}}]}]}`, 400,
			"messages[0].tool_calls[0].function.arguments"},
		{"/api/chat", `{"messages":[{"role":"user","content":"` + strings.Repeat("Paris ", 200) + `"}]}`, 400, "128 tokens"},
		{"/api/chat", `{`, 400, "no JSON"},
		{"/api/generate", `{"prompt":"x","suffix":"y"}`, 400, "suffix"},
		{"/api/generate", `{"prompt":"x","images":["aGk="]}`, 400, "images"},
		{"/api/generate", `{"prompt":"x","context":[1]}`, 400, "context"},
		{"/api/generate", `{"prompt":"x","template":"y"}`, 400, "template"},
		{"/api/generate", `{"raw":true,"prompt":"` + strings.Repeat("Paris ", 200) + `"}`, 400, "128 tokens"},
		{"/api/embed", `{"input":3}`, 400, "input"},
		{"/api/embed", `{"input":"x","options":{"num_ctx":129}}`, 400, "a context of 128"},
		{"/api/show", `{"model":"other"}`, 404, "no model"},
		{"/api/pull", `{"model":"x"}`, 501, "no other model"},
		{"/api/push", `{"model":"x"}`, 501, "no other model"},
		{"/api/create", `{"model":"x"}`, 501, "no other model"},
		{"/api/copy", `{"source":"x"}`, 501, "no other model"},
		{"/api/blobs/sha256:00", `x`, 501, "no other model"},
	} {
		status, text := post(t, url+test.path, test.body)
		var e map[string]string
		err := json.Unmarshal([]byte(text), &e)
		if err != nil || status != test.status || len(e) != 1 || !strings.Contains(e["error"], test.words) {
			t.Errorf("%s %.80s: status %d: %s; want %d, %q", test.path, test.body, status, text, test.status, test.words)
		}
	}
}

// TestAnOllamaStreamIsAliveAndSaysHowItFailed reads a stream whose model is at work for long: lines come that say nothing; and when the
// server closes, the last one says so.
func TestAnOllamaStreamIsAliveAndSaysHowItFailed(t *testing.T) {
	s, url := serveBlocked(t, Options{Ping: time.Millisecond})
	resp, err := http.Post(url+"/api/chat", "application/json", strings.NewReader(question+`}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); kind != "application/x-ndjson" {
		t.Errorf("content type %q", kind)
	}
	r := bufio.NewReader(resp.Body)
	for range 3 {
		line, err := r.ReadBytes('\n')
		if err != nil || !bytes.Contains(line, []byte(`"content":""`)) || !bytes.Contains(line, []byte(`"done":false`)) {
			t.Fatalf("%v: %s", err, line)
		}
	}
	go s.Close()
	rest, err := io.ReadAll(r)
	lines := bytes.Split(bytes.TrimSpace(rest), []byte("\n"))
	if last := lines[len(lines)-1]; err != nil || !bytes.HasPrefix(last, []byte(`{"error":"`)) {
		t.Errorf("%v: %s", err, last)
	}
}
