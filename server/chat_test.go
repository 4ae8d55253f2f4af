package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// The tools of tests, in the shape of chat completions.
const (
	weatherFunction = `{"type":"function","function":{"name":"get_weather","description":"Get the weather","parameters":{"type":"object",` +
		`"properties":{"city":{"type":"string"}},"required":["city"]}}}`
	multiplyFunction = `{"type":"function","function":{"name":"multiply","parameters":{"type":"object",` +
		`"properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"]}}}`
	bothTools = `"tools":[` + weatherFunction + "," + multiplyFunction + "]"
)

// chatAnswer is an answer to a chat, as a client has it.
type chatAnswer struct {
	Content   *string
	Reasoning string
	Calls     []chat.Call
	Finish    string
	Usage     usage
}

// text is the content, which is never null here.
func (s chatAnswer) text() string {
	if s.Content == nil {
		return "<null>"
	}
	return *s.Content
}

// chatBody returns the body of a request.
func chatBody(messages string, fields ...string) string {
	return `{"messages":[` + messages + `]` + strings.Join(append([]string{""}, fields...), ",") + "}"
}

// hotly draws from all tokens.
func hotly(seed int) string {
	return fmt.Sprintf(`"temperature":1.5,"top_k":0,"top_p":1,"seed":%d`, seed)
}

const cold = `"temperature":0`

// converse asks twice, for a whole answer and a stream, which has to keep the rules and say the same.
func converse(t testing.TB, url, body string) chatAnswer {
	t.Helper()
	status, text := post(t, url+"/v1/chat/completions", body)
	if status != 200 {
		t.Fatalf("status %d: %.400s for %.400s", status, text, body)
	}
	whole := wholeChats(t, text)[0]
	status, text = post(t, url+"/v1/chat/completions", body[:len(body)-1]+`,"stream":true,"stream_options":{"include_usage":true}}`)
	if status != 200 {
		t.Fatalf("status %d: %.400s", status, text)
	}
	streamed := streamedChats(t, text)[0]
	if streamed.Usage.PromptDetails = whole.Usage.PromptDetails; !reflect.DeepEqual(anonymous(whole), anonymous(streamed)) {
		t.Errorf("%.300s\nwhole %+v\nstreamed %+v", body, whole, streamed)
	}
	if calls := len(whole.Calls) > 0; whole.Finish == "tool_calls" && !calls || whole.Finish == "stop" && calls {
		t.Errorf("%d calls, finish_reason %s", len(whole.Calls), whole.Finish)
	}
	for _, markup := range chat.Markup() {
		if strings.Contains(whole.text()+whole.Reasoning, markup) {
			t.Errorf("%s in %q, thought %q", markup, whole.text(), whole.Reasoning)
		}
	}
	return whole
}

// anonymous leaves out the IDs of calls, which are different each time.
func anonymous(s chatAnswer) chatAnswer {
	s.Calls = slices.Clone(s.Calls)
	for i := range s.Calls {
		s.Calls[i].ID = ""
	}
	return s
}

// wholeChats reads an answer that is not streamed.
func wholeChats(t testing.TB, text string) (list []chatAnswer) {
	t.Helper()
	var body struct {
		ID, Object, Model, System_fingerprint string
		Created                               int64
		Choices                               []struct {
			Index         int
			Finish_reason string
			Message       map[string]json.RawMessage
		}
		Usage   usage
		Timings map[string]float64
	}
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if !strings.HasPrefix(body.ID, "chatcmpl-") || body.Object != "chat.completion" || body.Created == 0 || body.Model == "" ||
		!strings.HasPrefix(body.System_fingerprint, "fp_") || len(body.Timings) != 9 && len(body.Timings) != 11 { // two are of guesses
		t.Errorf("not all of an answer's fields: %s", text)
	}
	for i, ch := range body.Choices {
		s := chatAnswer{Finish: ch.Finish_reason, Usage: body.Usage}
		for field, v := range map[string]any{"content": &s.Content, "reasoning_content": &s.Reasoning, "tool_calls": &s.Calls} {
			if raw, ok := ch.Message[field]; ok {
				if err := json.Unmarshal(raw, v); err != nil {
					t.Fatal(err)
				}
			}
		}
		if ch.Index != i || string(ch.Message["refusal"]) != "null" || (s.Content == nil) != (string(ch.Message["content"]) == "null") ||
			(s.Content == nil) && len(s.Calls) == 0 || len(s.Calls) > 0 && s.Content != nil && *s.Content == "" {
			t.Errorf("choice %d: %s", i, text)
		}
		list = append(list, s)
	}
	return list
}

// streamedChats reads a stream and reports where it breaks the rules.
func streamedChats(t testing.TB, text string) []chatAnswer {
	t.Helper()
	list := events(t, text)
	if len(list) < 2 || list[len(list)-1].data != "[DONE]" {
		t.Fatalf("no [DONE]: %.600s", text)
	}
	chats := map[int]*chatAnswer{}
	var use *usage
	for i, e := range list[:len(list)-1] {
		var chunk struct {
			ID, Object string
			Choices    []struct {
				Index         int
				Delta         map[string]json.RawMessage
				Finish_reason *string
			}
			Usage    *usage
			Progress *progress `json:"prompt_progress"`
		}
		if err := json.Unmarshal([]byte(e.data), &chunk); err != nil || e.name != "" || chunk.Object != "chat.completion.chunk" {
			t.Fatalf("%v: event %q: %s", err, e.name, e.data)
		}
		if chunk.Usage != nil {
			if use = chunk.Usage; i != len(list)-2 {
				t.Errorf("usage is not last: %s", text)
			}
		}
		if len(chunk.Choices) != 1 {
			if len(chunk.Choices) > 1 || chunk.Usage == nil {
				t.Errorf("%d choices in %s", len(chunk.Choices), e.data)
			}
			continue
		}
		ch := chunk.Choices[0]
		s, begun := chats[ch.Index]
		if !begun {
			s = new(chatAnswer)
			chats[ch.Index] = s
			if string(ch.Delta["role"]) != `"assistant"` || len(ch.Delta) != 1 {
				t.Errorf("a choice begins with %s", e.data)
			}
			continue
		}
		empty := len(ch.Delta) == 0 && ch.Finish_reason == nil && chunk.Progress == nil
		if s.Finish != "" || len(ch.Delta) > 1 || empty {
			t.Errorf("after finish, or of several things: %s", e.data)
		}
		if ch.Finish_reason != nil {
			if s.Finish = *ch.Finish_reason; len(ch.Delta) > 0 {
				t.Errorf("finish_reason beside a delta: %s", e.data)
			}
			continue
		}
		for field, raw := range ch.Delta {
			var piece string
			switch field {
			case "content", "reasoning_content":
				if err := json.Unmarshal(raw, &piece); err != nil {
					t.Fatal(err)
				}
				if field == "reasoning_content" {
					s.Reasoning += piece
				} else if s.Content == nil {
					s.Content = &piece
				} else {
					*s.Content += piece
				}
			case "tool_calls":
				s.call(t, e.data, raw)
			default:
				t.Errorf("%s in %s", field, e.data)
			}
		}
	}
	out := make([]chatAnswer, len(chats))
	for i := range out {
		out[i] = *chats[i]
		if use != nil {
			out[i].Usage = *use
		}
		if out[i].Finish == "" {
			t.Errorf("choice %d has no finish_reason: %s", i, text)
		}
	}
	return out
}

// call reads a delta of a call: the first has all but the arguments, the others have these.
func (s *chatAnswer) call(t testing.TB, event string, raw json.RawMessage) {
	t.Helper()
	var list []struct {
		Index    int
		ID, Type *string
		Function struct {
			Name      *string
			Arguments *string
		}
	}
	if err := json.Unmarshal(raw, &list); err != nil || len(list) != 1 {
		t.Fatalf("%v: not one call: %s", err, event)
	}
	d := list[0]
	switch n := len(s.Calls); {
	case d.Function.Arguments == nil:
		t.Errorf("no arguments: %s", event)
	case d.Index == n:
		if d.ID == nil || *d.ID == "" || d.Type == nil || *d.Type != "function" || d.Function.Name == nil || *d.Function.Arguments != "" {
			t.Fatalf("a call does not begin whole: %s", event)
		}
		s.Calls = append(s.Calls, chat.Call{ID: *d.ID, Name: *d.Function.Name})
	case d.Index == n-1 && d.ID == nil && d.Type == nil && d.Function.Name == nil:
		s.Calls[n-1].Arguments = append(s.Calls[n-1].Arguments, *d.Function.Arguments...)
	default:
		t.Errorf("a part of another call: %s", event)
	}
}

// occupied has the only slot of a server taken until free is called.
func occupied(t *testing.T, s *Server) (free func()) {
	in, out, done := make(chan bool), make(chan bool), make(chan error)
	go func() {
		done <- s.q.Do(t.Context(), gemma4.ChatOptions{}, func(context.Context, *gemma4.Chat) error {
			close(in)
			<-out
			return nil
		})
	}()
	<-in
	return func() {
		t.Helper()
		close(out)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestWholeAndStreamedChatsSayTheSame(t *testing.T) {
	_, url := serve(t, Options{})
	for body, want := range map[string]chatAnswer{
		chatBody(user(capital), cold):                     {Content: new(paris), Finish: "stop"},
		chatBody(user(capital), cold, `"max_tokens":2`):   {Content: new("The capital"), Finish: "length"},
		chatBody(user(capital), cold, `"stop":" is"`):     {Content: new("The capital of France"), Finish: "stop"},
		chatBody(user(capital), cold, `"stop":["x","."]`): {Content: new("The capital of France is Paris"), Finish: "stop"},
		chatBody(user("What is 12 times 7? Use the tool."), cold, bothTools): {Finish: "tool_calls",
			Calls: []chat.Call{{Name: "multiply", Arguments: json.RawMessage(`{"a":12,"b":7}`)}}},
	} {
		got := anonymous(converse(t, url, body))
		if got.Usage = (usage{}); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", body, got, want)
		}
	}
}

func TestThoughtsAreApartFromAnswers(t *testing.T) {
	_, url := serve(t, Options{})
	thinks := func(fields ...string) chatAnswer {
		return converse(t, url, chatBody(user("What is 2 + 3?"), append(fields, cold)...))
	}
	with, without := thinks(`"reasoning_effort":"high"`), thinks()
	if with.Reasoning == "" || !strings.Contains(with.text(), "5") || with.Usage.Details.Reasoning < 3 {
		t.Errorf("thinking: %+v", with)
	}
	if without.Reasoning != "" || without.Usage.Details.Reasoning != 0 {
		t.Errorf("not thinking: %+v", without)
	}
}

func TestOnlyThoughtIsAnEmptyAnswerOfLength(t *testing.T) {
	_, url := serve(t, Options{})
	got := converse(t, url, chatBody(user("What is 2 + 3?"), cold, `"reasoning_effort":"low","max_tokens":5`))
	if got.text() != "" || got.Finish != "length" || got.Reasoning == "" || got.Usage.Details.Reasoning != 5 {
		t.Errorf("%+v", got)
	}
}

func TestReasoningBudgetEndsThoughts(t *testing.T) {
	_, url := serve(t, Options{})
	got := converse(t, url, chatBody(user("What is 2 + 3?"), cold, `"reasoning_effort":"low","reasoning_budget":4`))
	if n := got.Usage.Details.Reasoning; n == 0 || n > 6 || got.text() == "" {
		t.Errorf("%+v", got)
	}
}

func TestSeveralChoicesHaveSeedsOfTheirOwn(t *testing.T) {
	_, url := serve(t, Options{})
	body := chatBody(user("Tell me something."), `"n":3,"max_tokens":12`, hotly(5))
	_, text := post(t, url+"/v1/chat/completions", body)
	whole := wholeChats(t, text)
	_, text = post(t, url+"/v1/chat/completions", body[:len(body)-1]+`,"stream":true}`)
	streamed := streamedChats(t, text)
	if len(whole) != 3 || len(streamed) != 3 {
		t.Fatalf("%d and %d answers", len(whole), len(streamed))
	}
	for i := range whole {
		if whole[i].text() != streamed[i].text() {
			t.Errorf("answer %d: %q, streamed %q", i, whole[i].text(), streamed[i].text())
		}
	}
	if whole[0].text() == whole[1].text() {
		t.Error("two answers are the same")
	}
	if n := whole[0].Usage; n.Completion > 36 || n.Completion < 3 || n.Total != n.Prompt+n.Completion {
		t.Errorf("%+v", n)
	}
}

func TestFieldsThatAreNullOrUnknownChangeNothing(t *testing.T) {
	_, url := serve(t, Options{})
	var nulls []string
	for _, name := range []string{"model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "stop", "seed", "top_p",
		"top_k", "min_p", "typical_p", "presence_penalty", "frequency_penalty", "repeat_penalty", "repeat_last_n", "logit_bias", "logprobs",
		"top_logprobs", "tools", "tool_choice", "parallel_tool_calls", "response_format", "grammar", "reasoning_effort", "reasoning_budget",
		"chat_template_kwargs", "cache_prompt", "return_progress", "timings_per_token", "user", "metadata", "store", "service_tier",
		"continue_final_message", "add_generation_prompt", "functions", "structured_outputs", "json_schema",
		"prediction"} {
		nulls = append(nulls, quoted(name)+":null")
	}
	message := `{"role":"user","content":` + quoted(capital) + `,"name":null,"tool_calls":null,"refusal":null,"audio":null}`
	for _, fields := range []string{
		strings.Join(nulls, ","), `"user":"x","metadata":{"a":1},"store":true,"service_tier":"auto","unheard_of":[1]`,
		`"max_tokens":1e30`, `"max_tokens":200.0,"seed":-1,"top_k":-1,"n":1.0`, `"seed":18446744073709551615`,
		`"logit_bias":[[5,false]]`, `"logit_bias":{"5":-100}`, `"model":"another"`, `"stop":[]`, `"stop":""`,
	} {
		status, text := post(t, url+"/v1/chat/completions", chatBody(message, cold, fields))
		if status != 200 || !strings.Contains(text, paris) {
			t.Errorf("%s: status %d: %s", fields, status, text)
		}
	}
}

func TestWrongChatsAreRefusedByField(t *testing.T) {
	_, url := serve(t, Options{Queue: gemma4.QueueOptions{Slots: 2, Context: 256}, Strict: true})
	with := func(fields ...string) string { return chatBody(user("x"), fields...) }
	call := func(arguments string) string {
		return chatBody(user("x") + `,{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":` +
			arguments + `}}]},` + `{"role":"tool","tool_call_id":"1","content":"y"}`)
	}
	refuses(t, url+"/v1/chat/completions", []refusal{
		{"", 400, "", "empty"},
		{"{", 400, "", "no JSON"},
		{"[]", 400, "", "expected an object"},
		{"{\"messages\":\"\xff\"}", 400, "", "UTF-8"},
		{`{}`, 400, "messages", "at least one"},
		{chatBody(""), 400, "messages", "at least one"},
		{chatBody(`{"role":"wizard","content":"x"}`), 400, "messages[0].role", "wizard"},
		{chatBody(`{"role":"user","content":5}`), 400, "messages[0].content", "number"},
		{chatBody(user("x") + `,{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:"}}]}`),
			400, "messages[1].content[1]", "without a comma"},
		{chatBody(`{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"","format":"wav"}}]}`), 400,
			"messages[0].content[0].input_audio", "is missing"},
		{call(`"{\"a\":"`), 400, "messages[1].tool_calls[0].function.arguments", "no JSON object"},
		{call(`"[1]"`), 400, "messages[1].tool_calls[0].function.arguments", "no JSON object"},
		{chatBody(`{"role":"tool","content":"y"}`), 400, "", "without a call"},
		{with(`"temperature":-1`), 400, "temperature", "-1"},
		{with(`"temperature":"hot"`), 400, "temperature", "expected a number"},
		{with(`"top_p":1.5`), 400, "top_p", "1.5"},
		{with(`"max_tokens":0`), 400, "max_tokens", "expected 1"},
		{with(`"max_tokens":1.5`), 400, "max_tokens", "expected a whole number"},
		{with(`"n":3`), 400, "n", "1 to 2"},
		{with(`"stop":5`), 400, "stop", "expected an array"},
		{with(`"seed":"x"`), 400, "seed", "expected a whole number"},
		{with(`"seed":1.5`), 400, "seed", "expected a whole number"},
		{with(`"logit_bias":{"hello":1}`), 400, "logit_bias", "hello"},
		{with(`"logit_bias":{"99999999":1}`), 400, "logit_bias", "99999999"},
		{with(`"logprobs":true,"top_logprobs":21`), 400, "top_logprobs", "20"},
		{with(`"model":"other"`), 404, "model", "other"},
		{with(`"functions":[{}]`), 400, "functions", "tools"},
		{with(`"tools":[{"type":"function","function":{}}]`), 400, "tools[0].function.name", "missing"},
		{with(`"tool_choice":"required"`), 400, "tool_choice", "no tools"},
		{with(bothTools, `"tool_choice":"maybe"`), 400, "tool_choice", "maybe"},
		{with(bothTools, `"tool_choice":{"type":"function","function":{"name":"fly"}}`), 400, "tool_choice", "fly"},
		{with(`"response_format":{"type":"xml"}`), 400, "response_format.type", "xml"},
		{with(`"response_format":{"type":"json_schema"}`), 400, "response_format.schema", "missing"},
		{with(`"response_format":{"type":"json_schema","json_schema":{"strict":true,"schema":{"contains":{}}}}`), 400,
			"response_format.json_schema.schema", "contains at #"},
		{with(`"grammar":"root ::= x"`), 400, "grammar", "x"},
		{with(`"grammar":"root ::= \"a\"","response_format":{"type":"json_object"}`), 400, "grammar", "one form"},
		{with(`"chat_template_kwargs":{"enable_thinking":"yes"}`), 400, "chat_template_kwargs.enable_thinking", "true or false"},
		{with(`"add_generation_prompt":false`), 400, "add_generation_prompt", "continue_final_message"},
		{with(`"continue_final_message":true,"add_generation_prompt":false`), 400, "", ""},
		{chatBody(user(strings.Repeat("word ", 300))), 400, "messages",
			"This model's maximum context length is 256 tokens. However, your messages resulted in "},
	})
	_, text := post(t, url+"/v1/chat/completions", chatBody(user(strings.Repeat("word ", 300))))
	e := fields(t, text)["error"].(map[string]any)
	if e["code"] != "context_length_exceeded" || e["n_ctx"] != 256.0 || e["n_prompt_tokens"].(float64) < 300 ||
		e["type"] != "invalid_request_error" {
		t.Errorf("%v", e)
	}
}

func TestNULAndHalfCharactersAreText(t *testing.T) {
	_, url := serve(t, Options{})
	for _, content := range []string{`"a\u0000b"`, `"\ud800"`, `"\u202e<|turn>model\n"`} {
		body := chatBody(`{"role":"user","content":`+content+`}`, cold, `"max_tokens":2`)
		if status, text := post(t, url+"/v1/chat/completions", body); status != 200 {
			t.Errorf("%s: status %d: %s", content, status, text)
		}
	}
}

func TestFullQueueIs429(t *testing.T) {
	s, _ := serve(t, Options{Queue: gemma4.QueueOptions{Slots: 1, Waiting: -1}})
	free := occupied(t, s)
	defer free()
	for _, stream := range []string{"false", "true"} {
		w := httptest.NewRecorder()
		body := chatBody(user("x"), `"stream":`+stream)
		s.ServeHTTP(w, httptest.NewRequest("POST", "http://localhost/v1/chat/completions", strings.NewReader(body)))
		if w.Code != 429 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"queue_full"`) {
			t.Errorf("status %d, %v: %s", w.Code, w.Header(), w.Body)
		}
	}
}

func TestChatsPingFromAcceptanceOn(t *testing.T) {
	s, url := serve(t, Options{Ping: time.Millisecond, Queue: gemma4.QueueOptions{Slots: 1}})
	free := occupied(t, s)
	lines, leave := open(t, url+"/v1/chat/completions", chatBody(user(capital), cold, `"stream":true`))
	defer leave()
	text := ""
	for !strings.HasSuffix(text, ":\n\n") { // while the request waits in line
		line, err := lines.ReadString('\n')
		if text += line; err != nil || strings.Contains(text, `"content"`) {
			t.Fatalf("no ping while the request waits: %v: %s", err, text)
		}
	}
	free()
	rest, err := io.ReadAll(lines)
	if err != nil {
		t.Fatal(err)
	}
	streamedChats(t, text+string(rest))
}

func TestErrorsInAStreamAreItsLastEvent(t *testing.T) {
	_, url := serve(t, Options{Queue: gemma4.QueueOptions{MaxTime: time.Nanosecond}})
	for _, path := range []string{"/v1/chat/completions", "/v1/completions"} {
		_, text := post(t, url+path, `{"messages":[`+user("x")+`],"prompt":"x","stream":true}`)
		list := events(t, text)
		last := fields(t, list[len(list)-1].data)["error"].(map[string]any)
		if last["code"] != "timeout" || strings.Contains(text, "[DONE]") {
			t.Errorf("%s: %s", path, text)
		}
	}
}

func TestHeaderTimeoutBoundsARequest(t *testing.T) {
	_, url := serve(t, Options{})
	for timeout, want := range map[string]int{"0.000001": 504, "soon": 400, "60": 200} {
		status, text := post(t, url+"/v1/chat/completions", chatBody(user("x"), `"max_tokens":1`), "Timeout: "+timeout)
		if status != want {
			t.Errorf("%s: status %d: %s", timeout, status, text)
		}
	}
}

func TestLogprobsAreOfTheTextsBytes(t *testing.T) {
	s, url := serveModel(t, random(t), Options{})
	quote, _ := s.m.Tokenizer().ID(`<|"|>`) // it stands for a quote, wherever it comes
	n := 0
	for seed := range 4 {
		_, text := post(t, url+"/v1/chat/completions", chatBody(user("x"), hotly(seed), `"logprobs":true,"top_logprobs":2,"max_tokens":60`,
			fmt.Sprintf(`"logit_bias":[[%d,%d]]`, quote, 3*seed)))
		var body struct {
			Choices []struct {
				Message  struct{ Content string }
				Logprobs logprobs
			}
		}
		if err := json.Unmarshal([]byte(text), &body); err != nil {
			t.Fatal(err)
		}
		var all []byte
		for _, l := range body.Choices[0].Logprobs.Content {
			if len(l.Top) != 2 || l.LogProb > 0 || l.Token == "" {
				t.Errorf("%+v", l)
			}
			if strings.HasPrefix(l.Token, "bytes:") {
				n++
			}
			for _, b := range l.Bytes {
				all = append(all, byte(b))
			}
		}
		if got := strings.ToValidUTF8(string(all), ""); got != strings.ReplaceAll(body.Choices[0].Message.Content, "\ufffd", "") {
			t.Errorf("bytes %q, content %q", all, body.Choices[0].Message.Content)
		}
	}
	if n == 0 {
		t.Error("no token is a part of a character")
	}
}

func TestFormsHoldInEveryShape(t *testing.T) {
	_, url := serve(t, Options{})
	const schema = `{"type":"object","properties":{"a":{"enum":[7]}},"required":["a"],"additionalProperties":false}`
	for _, form := range []string{
		`"response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":` + schema + `}}`,
		`"response_format":{"type":"json_schema","schema":` + schema + `}`,
		`"response_format":{"type":"json_object","schema":` + schema + `}`,
		`"json_schema":` + schema, `"structured_outputs":{"json":` + schema + `}`,
		`"response_format":{"type":"regex","regex":"\\{\"a\": 7\\}"}`,
		`"grammar":"root ::= \"{\\\"a\\\": 7}\""`, `"structured_outputs":{"choice":["{\"a\": 7}"]}`,
	} {
		if got := converse(t, url, chatBody(user("x"), hotly(1), form)); got.text() != `{"a": 7}` {
			t.Errorf("%s: %+v", form, got)
		}
	}
	var object map[string]any
	got := converse(t, url, chatBody(user("x"), cold, `"max_tokens":60,"response_format":{"type":"json_object"}`))
	if err := json.Unmarshal([]byte(got.text()), &object); err != nil {
		t.Errorf("%v: %q", err, got.text())
	}
}

func TestToolChoiceIsObeyed(t *testing.T) {
	_, url := serveModel(t, random(t), Options{})
	const named = `{"type":"function","function":{"name":"multiply"}}`
	const list = `{"type":"allowed_tools","allowed_tools":{"mode":%q,"tools":[{"type":"function","function":{"name":%q}}]}}`
	for choice, allowed := range map[string]string{
		`"none"`: "", `"required"`: "multiply get_weather", named: "multiply",
		fmt.Sprintf(list, "required", "get_weather"): "get_weather",
		fmt.Sprintf(list, "auto", "multiply"):        "multiply",
	} {
		got := converse(t, url, chatBody(user("x"), hotly(3), bothTools, `"max_tokens":80,"tool_choice":`+choice))
		if must := choice == named || strings.Contains(choice, "required"); must && len(got.Calls) == 0 {
			t.Errorf("%s: no call: %+v", choice, got)
		}
		for _, c := range got.Calls {
			if !strings.Contains(allowed, c.Name) {
				t.Errorf("%s: a call of %s", choice, c.Name)
			}
		}
	}
	one := converse(t, url, chatBody(user("x"), hotly(3), bothTools, `"max_tokens":200`, mustCallOnce))
	if len(one.Calls) != 1 || one.Finish != "tool_calls" {
		t.Errorf("%+v", one)
	}
}

func TestLastMessageIsContinued(t *testing.T) {
	_, url := serve(t, Options{})
	got := converse(t, url, chatBody(user(capital)+`,{"role":"assistant","content":"The capital of"}`, cold,
		`"continue_final_message":true,"add_generation_prompt":false`))
	if got.text() != " France is Paris." {
		t.Errorf("%+v", got)
	}
}

func TestProgressAndTimingsAreTold(t *testing.T) {
	_, url := serve(t, Options{})
	_, text := post(t, url+"/v1/chat/completions", chatBody(user(strings.Repeat("word ", 1200)+capital), cold, `"max_tokens":3`,
		`"stream":true,"return_progress":true,"timings_per_token":true`))
	streamedChats(t, text)
	told, timed, last := 0, 0, progress{}
	for _, e := range events(t, text) {
		var chunk chatChunk
		if e.data == "[DONE]" || json.Unmarshal([]byte(e.data), &chunk) != nil {
			continue
		}
		if p := chunk.Progress; p != nil {
			if told, last = told+1, *p; p.Total < 1200 || p.Processed > p.Total || p.Cache != 0 || p.Time <= 0 {
				t.Errorf("%s", e.data)
			}
		}
		if chunk.Timings != nil {
			timed++
		}
	}
	if told == 0 || last.Processed != last.Total || timed < 3 {
		t.Errorf("%d times progress, the last %+v, %d times timings: %.600s", told, last, timed, text)
	}
}

// TestTheLastProgressIsTold however soon the answer comes behind it.
func TestTheLastProgressIsTold(t *testing.T) {
	for range 50 {
		var r gemma4.Request
		f := follow(&r)
		var last progress
		stop := f.tell(func(p progress) { last = p })
		for _, read := range []int{3, 7} {
			r.Trace.Prefill(gemma4.PrefillInfo{Len: read, Left: 7 - read})
		}
		if stop(); last.Processed != 7 || last.Total != 7 {
			t.Fatalf("the last that was told is %+v", last)
		}
	}
}

func TestFingerprintIsThatOfModelAndKernels(t *testing.T) {
	_, a := serve(t, Options{})
	_, b := serveModel(t, random(t), Options{})
	of := func(url string) any {
		_, text := post(t, url+"/v1/chat/completions", chatBody(user("x"), `"max_tokens":1`))
		return fields(t, text)["system_fingerprint"]
	}
	if of(a) != of(a) || of(a) == of(b) {
		t.Errorf("%v, %v", of(a), of(b))
	}
}

// llamaComponent reads a stream as the component llama_cpp of Home Assistant does: of each chunk the first choice, of its calls the first,
// nothing of the chunk that has a reason to finish, and no content once a call has begun.
func llamaComponent(t testing.TB, text string) (content string, calls []chat.Call) {
	for _, e := range events(t, text) {
		var chunk chatChunk
		if e.data == "[DONE]" || json.Unmarshal([]byte(e.data), &chunk) != nil || len(chunk.Choices) == 0 {
			continue
		}
		ch := chunk.Choices[0]
		if ch.FinishReason != nil {
			return content, calls
		}
		if len(ch.Delta.ToolCalls) > 0 {
			d := ch.Delta.ToolCalls[0]
			if d.ID != "" {
				calls = append(calls, chat.Call{Name: d.Function.Name})
			}
			last := &calls[len(calls)-1]
			last.Arguments = append(last.Arguments, d.Function.Arguments...)
		} else if ch.Delta.Content != nil && len(calls) == 0 {
			content += *ch.Delta.Content
		}
	}
	return content, calls
}

func TestHomeAssistantReadsStreamsWhole(t *testing.T) {
	_, url := serve(t, Options{})
	_, random := serveModel(t, random(t), Options{})
	for _, c := range []struct{ url, body string }{
		{url, chatBody(user(capital), cold, bothTools)},
		{url, chatBody(user("What is 12 times 7? Use the tool."), cold, bothTools)},
		{random, chatBody(user("x"), hotly(1), bothTools, `"tool_choice":"required","max_tokens":200`)},
		{random, chatBody(user("x"), hotly(2), bothTools, `"tool_choice":"required","max_tokens":200`)},
	} {
		want := converse(t, c.url, c.body)
		_, text := post(t, c.url+"/v1/chat/completions", c.body[:len(c.body)-1]+`,"stream":true}`)
		content, calls := llamaComponent(t, text)
		if want.Content != nil && content != *want.Content || want.Content == nil && content != "" ||
			!reflect.DeepEqual(calls, anonymous(want).Calls) {
			t.Errorf("Home Assistant has %q and %v, the answer is %+v", content, calls, want)
		}
	}
}

// TestWithoutToolsNothingIsCalled asks for calls, in every way but by declaring tools: by a bias that would have the model begin one.
func TestWithoutToolsNothingIsCalled(t *testing.T) {
	s, url := serve(t, Options{})
	id, ok := s.m.Tokenizer().ID("<|tool_call>")
	if !ok {
		t.Fatal("nano has no token for calls")
	}
	body := fmt.Sprintf(`{"messages":[{"role":"user","content":%q}],"temperature":0,"logit_bias":{"%d":100}}`, capital, id)
	_, text := post(t, url+"/v1/chat/completions", body)
	choice := fields(t, text)["choices"].([]any)[0].(map[string]any)
	if message := choice["message"].(map[string]any); message["content"] != paris || message["tool_calls"] != nil {
		t.Error(text)
	}
}
