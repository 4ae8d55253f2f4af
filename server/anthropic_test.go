package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// say returns the body of a request for a message: messages as JSON, and other fields.
func say(messages string, fields ...string) string {
	return `{"max_tokens":200,"temperature":0,"messages":[` + messages + "]" + strings.Join(append([]string{""}, fields...), ",") + "}"
}

// user returns a message that asks a question.
func user(text string) string { return `{"role":"user","content":` + quoted(text) + "}" }

// Tools of tests, in the shape of messages.
const (
	weatherSchema = `{"name":"get_weather","description":"Get the weather","input_schema":{"type":"object",` +
		`"properties":{"city":{"type":"string"}},"required":["city"]}}`
	emptySchema = `{"name":"go","input_schema":{"type":"object","properties":{},"additionalProperties":false}}`
	thinks1024  = `"thinking":{"type":"enabled","budget_tokens":1024}`
)

// streamedMessage puts a message together from the events of a stream, as Anthropic's clients do, and checks their order.
func streamedMessage(t *testing.T, text string) string {
	t.Helper()
	var m map[string]any
	var blocks []any
	var input string
	open, stopped := false, false
	for i, e := range events(t, text) {
		v := fields(t, e.data)
		if v["type"] != e.name || stopped || m == nil && e.name != "message_start" {
			t.Fatalf("event %d is %s: %s", i, e.name, e.data)
		}
		if n, ok := v["index"]; ok && (n != float64(len(blocks)) || open != (e.name != "content_block_start")) {
			t.Fatalf("event %d is out of its order: %s", i, e.data)
		}
		delta, _ := v["delta"].(map[string]any)
		switch e.name {
		case "ping":
		case "message_start":
			m = v["message"].(map[string]any)
			if len(m["content"].([]any)) != 0 || m["usage"].(map[string]any)["input_tokens"] == 0.0 {
				t.Errorf("the message begins with %s", e.data)
			}
		case "content_block_start":
			open, input = true, ""
			m["block"] = v["content_block"]
		case "content_block_delta":
			block := m["block"].(map[string]any)
			switch delta["type"] {
			case "text_delta":
				block["text"] = block["text"].(string) + delta["text"].(string)
			case "thinking_delta":
				block["thinking"] = block["thinking"].(string) + delta["thinking"].(string)
			case "signature_delta":
				block["signature"] = delta["signature"]
			case "input_json_delta":
				input += delta["partial_json"].(string)
				block["input"] = fields(t, input)
			default:
				t.Fatalf("event %d: %s", i, e.data)
			}
		case "content_block_stop":
			open = false
			blocks = append(blocks, m["block"])
			delete(m, "block")
		case "message_delta":
			m["stop_reason"], m["stop_sequence"], m["usage"] = delta["stop_reason"], delta["stop_sequence"], v["usage"]
		case "message_stop":
			stopped = true
		default:
			t.Fatalf("event %d is %s: %s", i, e.name, e.data)
		}
	}
	if !stopped || open {
		t.Fatalf("the stream has no end: %s", text)
	}
	m["content"] = blocks
	return asJSON(t, m)
}

func TestMessageIsTheSameStreamedAndWhole(t *testing.T) {
	_, url := serve(t, Options{})
	_, other := serveModel(t, random(t), Options{})
	hot := `"temperature":1.5,"top_k":0,"top_p":1,"seed":`
	for name, x := range map[string]struct{ url, body, want string }{
		"text":       {url, say(user(capital)), `"text":"` + paris + `"`},
		"thought":    {url, say(user(capital), thinks1024), `"thinking":"I know this one."`},
		"adaptive":   {url, say(user(capital), `"thinking":{"type":"adaptive"}`), `"thinking":"I know this one."`},
		"no thought": {url, say(user(capital), `"thinking":{"type":"disabled"}`), `"content":[{"text":"` + paris},
		"call":       {url, say(user(weather), `"tools":[`+weatherSchema+`]`), `"stop_reason":"tool_use"`},
		"stop":       {url, say(user(capital), `"stop_sequences":[" is"]`), `"stop_reason":"stop_sequence","stop_sequence":" is"`},
		"cut":        {url, say(user(capital), `"max_tokens":3`), `"stop_reason":"max_tokens"`},
		"cut short":  {url, say(user(capital), `"max_tokens":3`, thinks1024), `"content":[{"text":"","type":"text"}]`},
		"prefill":    {url, say(user(capital) + `,{"role":"assistant","content":"The capital of"}`), `"text":" France is Paris."`},
		"schema": {url, say(user(capital), `"output_config":{"format":{"type":"json_schema","schema":{"type":"object",`+
			`"properties":{"a":{"enum":["x"]}},"required":["a"],"additionalProperties":false}}}`), `{\"a\": \"x\"}`},
		"calls": {other, several(t, other), `"name":"go"`},
		"one call": {other, say(user("Go."), hot+"3", `"tool_choice":{"type":"any","disable_parallel_tool_use":true}`,
			`"tools":[`+emptySchema+"]"), `"stop_reason":"tool_use"`},
		"random": {other, say(user("Go."), hot+"1", `"max_tokens":40`, thinks1024), `"usage"`},
	} {
		status, text := post(t, x.url+"/v1/messages", x.body)
		if status != 200 || !strings.Contains(asJSON(t, fields(t, text)), x.want) {
			t.Errorf("%s: status %d: %s", name, status, text)
			continue
		}
		_, stream := post(t, x.url+"/v1/messages", x.body[:len(x.body)-1]+`,"stream":true}`)
		if a, b := plain(asJSON(t, fields(t, text))), plain(streamedMessage(t, stream)); a != b {
			t.Errorf("%s: whole\n%s\nstreamed\n%s", name, a, b)
		}
		if n := strings.Count(text, `"tool_use","id"`); name == "calls" && n < 2 || name == "one call" && n != 1 {
			t.Errorf("%s: %d calls: %s", name, n, text)
		}
	}
}

// several returns a request that a model with random weights answers with several calls: which one it is, roundings decide.
func several(t *testing.T, url string) string {
	t.Helper()
	for seed := range 30 {
		body := say(user("Go."), `"temperature":1.5,"top_k":0,"top_p":1,"max_tokens":80`, fmt.Sprintf(`"seed":%d`, seed),
			`"tool_choice":{"type":"any"}`, `"tools":[`+emptySchema+"]")
		if _, text := post(t, url+"/v1/messages", body); strings.Count(text, `"tool_use","id"`) > 1 {
			return body
		}
	}
	t.Fatal("no request is answered with several calls")
	return ""
}

func TestEventsOfAMessage(t *testing.T) {
	_, url := serve(t, Options{Names: []string{"gemma"}})
	var all strings.Builder
	for _, body := range []string{
		say(user(capital), thinks1024),
		say(user(weather), `"tools":[`+weatherSchema+`]`),
		say(user(capital), `"stop_sequences":["of"]`),
	} {
		_, text := post(t, url+"/v1/messages?beta=true", body[:len(body)-1]+`,"stream":true}`)
		fmt.Fprintf(&all, "%s\n\n%s\n", body, plain(text))
	}
	checkGolden(t, "messages", all.String())
}

// prompts returns what the model reads of a request, without waiting for the model.
func prompts(t testing.TB, s *Server, path, body string) (string, error) {
	t.Helper()
	c := &call{s: s, w: httptest.NewRecorder(), r: httptest.NewRequest("POST", path, strings.NewReader(body))}
	var r gemma4.Request
	var err error
	if path == "/v1/messages" {
		r, err = c.request(new(messagesRequest))
	} else {
		r, err = c.request(new(responsesRequest))
	}
	if err != nil {
		return "", err
	}
	ids, err := c.render(chat.Conversation{Messages: r.Messages, Tools: r.Tools, Thinking: r.Thinking, Continue: r.Continue})
	if err != nil {
		return "", err
	}
	return s.m.Tokenizer().Decode(ids, true), nil
}

// TestConversationsMakeThePromptThatTheModelHasWritten is row 17 of the complaints, too: what tools returned stands behind their calls,
// with their names.
func TestConversationsMakeThePromptThatTheModelHasWritten(t *testing.T) {
	s, _ := serve(t, Options{})
	text, err := os.ReadFile("testdata/prompts.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name, Path, Prompt string
		Body               json.RawMessage
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for _, x := range cases {
		got, err := prompts(t, s, x.Path, string(x.Body))
		if err != nil || got != x.Prompt {
			t.Errorf("%s: %v\n got %q\nwant %q", x.Name, err, got, x.Prompt)
		}
	}
}

func TestWrongMessagesAndResponsesAreTold(t *testing.T) {
	_, url := serve(t, Options{Names: []string{"gemma"}, Strict: true, MaxBody: 100_000})
	const invalid = "invalid_request_error"
	long := say(user(strings.Repeat("word ", 5000)))
	for _, x := range []struct {
		path, body   string
		status       int
		kind, says   string
		param, field string // of OpenAI's shape
	}{
		{"messages", `{`, 400, invalid, "no JSON", "", ""},
		{"messages", `{"max_tokens":5}`, 400, invalid, "messages", "", ""},
		{"messages", `{"messages":[{"role":"user","content":"x"}]}`, 400, invalid, "max_tokens", "", ""},
		{"messages", say(user("x"), `"model":"other"`), 404, "not_found_error", "other", "", ""},
		{"messages", `{"max_tokens":"5"}`, 400, invalid, "max_tokens", "", ""},
		{"messages", say(`{"role":"tool","content":"x"}`), 400, invalid, "messages[0].role", "", ""},
		{"messages", say(`{"role":"user","content":[{"type":"image","source":{}}]}`), 400, invalid,
			"messages[0].content[0].source.type", "", ""},
		{"messages", say(`{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"document"}]}]}`), 400,
			invalid, "messages[0].content[0].content[0]", "", ""},
		{"messages", say(`{"role":"user","content":[{"type":"tool_result","tool_use_id":"a"}]}`), 400, invalid,
			"messages[0].content[0].tool_use_id", "", ""},
		{"messages", say(user("x") + `,{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":"no"}]}`), 400,
			invalid, "messages[1].content[0].input", "", ""},
		{"messages", say(user("x"), `"tool_choice":{"type":"tool","name":"f"}`), 400, invalid, "tool_choice", "", ""},
		{"messages", say(user("x"), `"tools":[{"name":"f","input_schema":{"type":"object","properties":3}}]`), 400, invalid,
			"tool 0: properties", "", ""},
		{"messages", say(user("x"), `"thinking":{"type":"some"}`), 400, invalid, "thinking.type", "", ""},
		{"messages", say(user("x"), `"stop_sequences":[""]`), 400, invalid, "stop_sequences[0]", "", ""},
		{"messages", long, 400, invalid, "prompt is too long: 5010 tokens > 4096 maximum", "", ""},
		{"messages", say(user(strings.Repeat("x", 100_000))), 413, "request_too_large", "100000", "", ""},
		{"messages/count_tokens", `{"messages":[]}`, 400, invalid, "messages", "", ""},

		{"responses", `{"input":3}`, 400, invalid, "input", "input", ""},
		{"responses", `{}`, 400, invalid, "input", "input", ""},
		{"responses", respond(`[]`), 400, invalid, "input", "input", ""},
		{"responses", respond(`"x"`, `"previous_response_id":"resp_1"`), 400, invalid, "stored", "previous_response_id", ""},
		{"responses", respond(`"x"`, `"conversation":"conv_1"`), 400, invalid, "stored", "conversation", ""},
		{"responses", respond(`"x"`, `"background":true`), 400, invalid, "background", "background", ""},
		{"responses", respond(`[{"role":"user","content":[{"type":"input_image","image_url":"x"}]}]`), 400, invalid, "is no URL",
			"input[0].content[0]", ""},
		{"responses", respond(`[{"type":"item_reference","id":"x"}]`), 400, invalid, "stored", "input[0]", ""},
		{"responses", respond(`[{"type":"odd"}]`), 400, invalid, "odd", "input[0].type", ""},
		{"responses", respond(`[{"type":"function_call_output","call_id":"x","output":""}]`), 400, invalid, "x",
			"input[0].call_id", ""},
		{"responses", respond(`[{"type":"function_call","call_id":"x","name":"f","arguments":"{"}]`), 400, invalid, "{",
			"input[0].arguments", ""},
		{"responses", respond(`[{"type":"reasoning","encrypted_content":"gemma4:!"}]`), 400, invalid, "written",
			"input[0].encrypted_content", ""},
		{"responses", respond(`"x"`, `"text":{"format":{"type":"json_schema","name":"x","strict":true,"schema":{"contains":{}}}}`), 400,
			invalid, "contains", "text.format.schema", ""},
		{"responses", respond(`"x"`, `"max_output_tokens":0`), 400, invalid, "max_output_tokens", "max_output_tokens", ""},
		{"responses", respond(`"x"`, `"truncation":"some"`), 400, invalid, "truncation", "truncation", ""},
		{"responses", respond(`"x"`, `"reasoning":{"effort":3}`), 400, invalid, "effort", "reasoning.effort", ""},
		{"responses", respond(quoted(strings.Repeat("word ", 5000))), 400, invalid, "maximum context length is 4096", "input",
			"context_length_exceeded"},
		{"responses/input_tokens", `{}`, 400, invalid, "input", "input", ""},
	} {
		status, text := post(t, url+"/v1/"+x.path, x.body)
		v := fields(t, text)
		e, _ := v["error"].(map[string]any)
		says, _ := e["message"].(string)
		if status != x.status || e["type"] != x.kind || !strings.Contains(says, x.says) {
			t.Errorf("%s %.100s: status %d: %s", x.path, x.body, status, text)
		}
		if strings.HasPrefix(x.path, "messages") {
			if v["type"] != "error" || !strings.HasPrefix(fmt.Sprint(v["request_id"]), "req_") {
				t.Errorf("%s %.100s: not in Anthropic's shape: %s", x.path, x.body, text)
			}
		} else if param, _ := e["param"].(string); param != x.param || x.field != "" && e["code"] != x.field {
			t.Errorf("%s %.100s: param %q, expected %q: %s", x.path, x.body, param, x.param, text)
		}
	}
}

func TestToolsThroughMessagesAndResponses(t *testing.T) {
	_, url := serve(t, Options{})
	_, text := post(t, url+"/v1/messages", say(user(weather),
		`"tools":[`+weatherSchema+`,{"type":"web_search_20250305","name":"web_search"}]`))
	m := fields(t, text)
	used := m["content"].([]any)[0].(map[string]any)
	result := `{"role":"user","content":[{"type":"tool_result","tool_use_id":` + quoted(used["id"].(string)) +
		`,"content":"{\"temperature\": 17, \"sky\": \"sunny\"}"}]}`
	_, text = post(t, url+"/v1/messages", say(user(weather)+`,{"role":"assistant","content":`+asJSON(t, m["content"])+"},"+result,
		`"tools":[`+weatherSchema+`]`))
	if got := fields(t, text)["content"].([]any)[0].(map[string]any)["text"]; got != sunny {
		t.Errorf("messages: %q: %s", got, text)
	}

	_, text = post(t, url+"/v1/responses", respond(quoted(weather),
		`"tools":[`+weatherTool+`,{"type":"web_search"},{"type":"custom","name":"x"}]`))
	r := fields(t, text)
	input := append([]any{map[string]string{"role": "user", "content": weather}}, r["output"].([]any)...)
	input = append(input, map[string]any{"type": "function_call_output", "call_id": r["output"].([]any)[0].(map[string]any)["call_id"],
		"output": `{"temperature": 17, "sky": "sunny"}`})
	_, text = post(t, url+"/v1/responses", respond(asJSON(t, input), `"tools":[`+weatherTool+`]`))
	if got := fields(t, text)["output_text"]; got != sunny {
		t.Errorf("responses: %q: %s", got, text)
	}
}

func TestPromptsAreCountedBeforeTheyAreRead(t *testing.T) {
	_, url := serve(t, Options{})
	body := say(user(weather), `"tools":[`+weatherSchema+`]`)
	_, text := post(t, url+"/v1/messages", body)
	usage := fields(t, text)["usage"].(map[string]any)
	_, text = post(t, url+"/v1/messages/count_tokens", `{`+strings.TrimPrefix(body, `{"max_tokens":200,`))
	if n := fields(t, text)["input_tokens"]; n != usage["input_tokens"] || n == 0.0 {
		t.Errorf("messages: %v tokens, the prompt had %v", n, usage["input_tokens"])
	}
	body = respond(quoted(capital), `"instructions":"Be short."`)
	_, text = post(t, url+"/v1/responses", body)
	usage = fields(t, text)["usage"].(map[string]any)
	_, text = post(t, url+"/v1/responses/input_tokens", body)
	if v := fields(t, text); v["input_tokens"] != usage["input_tokens"] || v["object"] != "response.input_tokens" {
		t.Errorf("responses: %s, the prompt had %v", text, usage["input_tokens"])
	}
}

func TestFullQueueIsOverloadedForAnthropicsClients(t *testing.T) {
	s, url := serveBlocked(t, Options{Queue: gemma4.QueueOptions{Slots: 1, Waiting: -1}})
	for _, stream := range []string{"", `"stream":true`} {
		w := httptest.NewRecorder()
		body := say(user("x"), `"metadata":{}`)
		if stream != "" {
			body = say(user("x"), stream)
		}
		s.ServeHTTP(w, httptest.NewRequest("POST", "http://localhost/v1/messages", strings.NewReader(body)))
		if w.Code != 529 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"overloaded_error"`) {
			t.Errorf("status %d, %v: %s", w.Code, w.Header(), w.Body)
		}
	}
	if status, text := post(t, url+"/v1/responses", respond(`"x"`)); status != 429 || !strings.Contains(text, `"queue_full"`) {
		t.Errorf("status %d: %s", status, text)
	}
}

func TestSilentMessagesPing(t *testing.T) {
	s, url := serve(t, Options{Ping: time.Millisecond, Queue: gemma4.QueueOptions{Slots: 1}})
	in, out, done := make(chan bool), make(chan bool), make(chan error)
	go func() {
		done <- s.q.Do(t.Context(), gemma4.ChatOptions{}, func(context.Context, *gemma4.Chat) error {
			close(in)
			<-out
			return nil
		})
	}()
	<-in
	resp, err := http.Post(url+"/v1/messages", "application/json", strings.NewReader(say(user(capital), `"stream":true`)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var begun strings.Builder
	for r := bufio.NewScanner(io.TeeReader(resp.Body, &begun)); r.Text() != "event: ping"; { // while the request waits in line
		if !r.Scan() {
			t.Fatalf("no ping: %s", begun.String())
		}
	}
	close(out)
	rest, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	text := begun.String() + string(rest)
	if !strings.HasPrefix(text, "event: message_start\n") || !strings.Contains(text, "event: ping\ndata: {\"type\":\"ping\"}\n\n") {
		t.Errorf("%s", text)
	}
	streamedMessage(t, text)
}

func TestStreamsThatBreakOffSayWhy(t *testing.T) {
	_, url := serve(t, Options{Queue: gemma4.QueueOptions{MaxTime: time.Nanosecond}})
	_, text := post(t, url+"/v1/messages", say(user(capital), `"stream":true`))
	list := events(t, text)
	if last := list[len(list)-1]; last.name != "error" || !strings.Contains(last.data, `{"type":"error","error":{"type":"timeout_error"`) {
		t.Errorf("messages: %s", text)
	}
	_, text = post(t, url+"/v1/responses", respond(quoted(capital), `"stream":true`))
	list = events(t, text)
	var e struct {
		Response struct {
			Status string
			Error  struct{ Code, Message string }
		}
	}
	last := list[len(list)-1]
	if err := json.Unmarshal([]byte(last.data), &e); err != nil {
		t.Fatal(err)
	}
	if r := e.Response; last.name != "response.failed" || r.Status != "failed" || r.Error.Code != "timeout" || r.Error.Message == "" {
		t.Errorf("responses: %s", text)
	}
}
