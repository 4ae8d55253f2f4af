package server

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/internal/synth"
)

// What users of other servers complained about, a test for each row of a list, through chat completions: go test ./server -run Complaint.
// Each answer is asked for whole and as a stream, and has to keep the rules of converse.

// roomy opens a model with random weights and a context of 131072.
func roomy(t testing.TB) *gemma4.Model {
	t.Helper()
	c, err := synth.Parse("micro-e:q8_0")
	if err != nil {
		t.Fatal(err)
	}
	c.Context = 131072
	m, err := gemma4.OpenBytes(synth.Bytes(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// function returns a tool with a schema of its arguments.
func function(name, schema string) string {
	return `{"type":"function","function":{"name":` + quoted(name) + `,"parameters":` + schema + `}}`
}

// constant returns a tool whose only argument is a text.
func constant(name, text string) string {
	return function(name, `{"type":"object","properties":{"text":{"const":`+quoted(text)+`}},"required":["text"]}`)
}

const mustCallOnce = `"tool_choice":"required","parallel_tool_calls":false`

// text of a call's only argument.
func argument(t testing.TB, s chatAnswer) string {
	t.Helper()
	var v struct{ Text string }
	if len(s.Calls) != 1 || json.Unmarshal(s.Calls[0].Arguments, &v) != nil || s.Content != nil {
		t.Fatalf("%+v", s)
	}
	return v.Text
}

// unending returns the bias under which no answer ends by itself.
func unending(s *Server) string {
	var pairs []string
	for _, id := range s.m.Tokenizer().Ends() {
		pairs = append(pairs, fmt.Sprintf(`"%d":-100`, id))
	}
	return `"logit_bias":{` + strings.Join(pairs, ",") + `}`
}

func TestComplaint01CallsNeedNoRepair(t *testing.T) {
	_, url := serveModel(t, random(t), Options{})
	for seed := range 3 {
		s := converse(t, url, chatBody(user("x"), hotly(seed), bothTools, `"tool_choice":"required","max_tokens":80`))
		for _, c := range s.Calls {
			var v struct {
				A, B *json.Number
				City *string
			}
			err := json.Unmarshal(c.Arguments, &v)
			if err != nil || (v.City == nil) != (c.Name == "multiply") || (v.A == nil) != (v.B == nil) {
				t.Errorf("%v: %+v", err, c)
			}
		}
		if len(s.Calls) == 0 || s.Content != nil {
			t.Errorf("%+v", s)
		}
	}
}

func TestComplaint02LongArgumentsComeBackByteForByte(t *testing.T) {
	const line = "func f(s string) { return \"{\\\"a\\\": [1, '}']}\" } // <|tool call|> `x` <|\"|> é 日\n\t{[(\"\\\n"
	text := strings.Repeat(line, 8000/len(line))
	if testing.Short() {
		text = text[:10*len(line)]
	}
	_, url := serveModel(t, roomy(t), Options{})
	_, stream := post(t, url+"/v1/chat/completions", chatBody(user("x"), hotly(1), `"tools":[`+constant("write", text)+"]", mustCallOnce,
		`"stream":true`))
	if got := argument(t, streamedChats(t, stream)[0]); got != text {
		t.Errorf("%d of %d bytes come back", len(got), len(text))
	}
}

func TestComplaint03DelimitersStayOutOfValues(t *testing.T) {
	_, url := serveModel(t, random(t), Options{})
	for _, text := range []string{`<|"|>, not a token<tool_call|>`, `{"a": "b", "c": [1, "}"]}`} {
		s := converse(t, url, chatBody(user("x"), hotly(1), `"tools":[`+constant("f", text)+"]", mustCallOnce))
		if got := argument(t, s); got != text {
			t.Errorf("%q, want %q", got, text)
		}
	}
}

func TestComplaint04RequiredCallsAreMade(t *testing.T) {
	_, url := serveModel(t, random(t), Options{})
	for seed := range 2 {
		for _, choice := range []string{`"required"`, `{"type":"function","function":{"name":"multiply"}}`} {
			s := converse(t, url, chatBody(user("x"), hotly(seed), bothTools, `"parallel_tool_calls":false,"tool_choice":`+choice))
			if len(s.Calls) != 1 || s.Finish != "tool_calls" || len(choice) > 12 && s.Calls[0].Name != "multiply" {
				t.Errorf("%s: %+v", choice, s)
			}
		}
	}
}

func TestComplaint05CallsOfOneToolAreNumbered(t *testing.T) {
	s, url := serveModel(t, random(t), Options{})
	got := converse(t, url, chatBody(user("x"), cold, `"tools":[`+constant("f", "x")+"]", `"tool_choice":"required","max_tokens":60`,
		unending(s)))
	if len(got.Calls) < 2 || got.Calls[0].ID == got.Calls[1].ID {
		t.Errorf("%+v", got)
	}
}

// Row 6 is that the first delta of a call has its id, type and name, and the others do not: [chatAnswer.call] looks at each.
func TestComplaint06FirstDeltaOfACallIsWhole(t *testing.T) {
	_, url := serve(t, Options{})
	if s := converse(t, url, chatBody(user("What is 12 times 7? Use the tool."), cold, bothTools)); len(s.Calls) != 1 {
		t.Errorf("%+v", s)
	}
}

func TestComplaint07CallsThatComeAtOnceAreRead(t *testing.T) {
	_, url := serveModel(t, random(t), Options{}) // all of the call is forced
	if got := argument(t, converse(t, url, chatBody(user("x"), `"tools":[`+constant("now", "UTC")+"]", mustCallOnce))); got != "UTC" {
		t.Errorf("%q", got)
	}
}

// behindATool is a conversation in which a tool has returned something.
var behindATool = user("How is the weather in Oslo?") + `,{"role":"assistant","content":null,"reasoning_content":"I must ask.",` +
	`"tool_calls":[` +
	`{"id":"1","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Oslo\"}"}}]},` +
	`{"role":"tool","tool_call_id":"1","content":"rainy"}`

func TestComplaint08ThoughtsBehindToolsAreNoText(t *testing.T) {
	_, url := serveModel(t, random(t), Options{})
	thoughts := 0
	for seed := range 4 {
		s := converse(t, url, chatBody(behindATool, hotly(seed), bothTools, `"reasoning_effort":"high","max_tokens":60`))
		if s.Reasoning != "" {
			thoughts++
		}
	}
	if thoughts == 0 {
		t.Error("no thoughts")
	}
}

func TestComplaint09ControlTokensNeverReachTheText(t *testing.T) {
	_, url := serveModel(t, random(t), Options{})
	for seed := range 2 {
		for _, fields := range []string{bothTools, bothTools + `,"tool_choice":"none"`, `"reasoning_effort":"low"`,
			`"response_format":{"type":"json_schema","schema":{"type":"string"}}`} {
			converse(t, url, chatBody(user("x"), hotly(seed), fields, `"max_tokens":60`))
		}
	}
}

func TestComplaint10ContentIsAlwaysThere(t *testing.T) {
	_, url := serve(t, Options{})
	s := converse(t, url, chatBody(user("What is 2 + 3?"), cold, `"reasoning_effort":"low","max_tokens":4`))
	if s.text() != "" || s.Finish != "length" || s.Usage.Details.Reasoning != 4 {
		t.Errorf("%+v", s)
	}
}

func TestComplaint11SchemasHoldInEveryThinkingMode(t *testing.T) {
	_, url := serveModel(t, random(t), Options{})
	const form = `"response_format":{"type":"json_schema","json_schema":{"strict":true,"schema":{"type":"object","properties":` +
		`{"name":{"type":"string","maxLength":8},"age":{"type":"integer"}},"required":["name","age"],"additionalProperties":false}}}`
	for i, mode := range []string{`"reasoning_effort":"none"`, `"reasoning_effort":"low"`,
		`"chat_template_kwargs":{"enable_thinking":true}`, `"reasoning_effort":"high","reasoning_budget":5`} {
		s := converse(t, url, chatBody(user("x"), hotly(i), form, mode, `"max_tokens":100`))
		var person struct {
			Name *string
			Age  *json.Number
		}
		err := json.Unmarshal([]byte(s.text()), &person)
		if err != nil || person.Name == nil || person.Age == nil || (i > 0) != (s.Usage.Details.Reasoning > 0) {
			t.Errorf("%s: %v: %+v", mode, err, s)
		}
	}
}

// TestComplaint12NothingComesBeforeThoughtOrValue reads streams of whatever the model draws.
func TestComplaint12NothingComesBeforeThoughtOrValue(t *testing.T) {
	_, url := serveModel(t, random(t), Options{})
	const form = `"response_format":{"type":"json_schema","schema":{"type":"array","items":{"type":"boolean"},"maxItems":2}}`
	for seed := range 4 {
		for _, mode := range []string{`"reasoning_effort":"none"`, `"reasoning_effort":"low","reasoning_budget":9`} {
			body := chatBody(user("Which?"), hotly(seed), form, mode, `"max_tokens":60`, `"stream":true`)
			status, text := post(t, url+"/v1/chat/completions", body)
			thought, value := strings.Index(text, `"reasoning_content":"`), strings.Index(text, `"content":"[`)
			if thinks := thought >= 0; status != 200 || value < thought || thinks == strings.Contains(mode, "none") ||
				strings.Contains(text[:max(0, value)], `"content":"`) {
				t.Errorf("%s: status %d: %s", body, status, text)
			}
		}
	}
}

func TestComplaint13NothingFollowsTheValue(t *testing.T) {
	_, url := serveModel(t, random(t), Options{})
	const form = `"response_format":{"type":"json_schema","schema":{"const":{"a":1,"b":[1,2]}}}`
	for _, mode := range []string{`"reasoning_effort":"none"`, `"reasoning_effort":"low","reasoning_budget":9`} {
		if s := converse(t, url, chatBody(user("x"), hotly(1), form, mode)); s.text() != `{"a": 1, "b": [1, 2]}` || s.Finish != "stop" {
			t.Errorf("%s: %+v", mode, s)
		}
	}
}

func TestComplaint14WhatCannotBeEnforcedIsRefused(t *testing.T) {
	_, url := serve(t, Options{})
	strict := func(schema string) string {
		return `"response_format":{"type":"json_schema","json_schema":{"strict":true,"schema":` + schema + `}}`
	}
	const tool = `{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":"object","properties":` +
		`{"x":{"not":{"multipleOf":3}}}}}}`
	refuses(t, url+"/v1/chat/completions", []refusal{
		{chatBody(user("x"), strict(`{"properties":{"a":{"contains":{}}}}`)), 400, "response_format.json_schema.schema",
			"contains at #/properties/a"},
		{chatBody(user("x"), strict(`{"type":"string","pattern":"(a)\\1"}`)), 400, "response_format.json_schema.schema", "pattern at #"},
		{chatBody(user("x"), `"tools":[`+tool+`]`), 400, "", `tool "f": not at #/properties/x`},
		{chatBody(user("x"), `"stream":true,"tools":[`+tool+`]`), 400, "", `tool "f": not at #/properties/x`},
	})
}

func TestComplaint15LargeBoundsAndManyToolsWork(t *testing.T) {
	_, url := serveModel(t, roomy(t), Options{})
	var tools []string
	for i := range 60 {
		tools = append(tools, function(fmt.Sprintf("tool_%d", i),
			`{"type":"object","properties":{"empty":{"type":"object","properties":{}},`+
				`"any":{},"text":{"type":"string","maxLength":1000000}},"required":["empty"]}`))
	}
	_, text := post(t, url+"/v1/chat/completions", chatBody(user("x"), cold, `"tools":[`+strings.Join(tools, ",")+`]`, mustCallOnce,
		`"max_tokens":60`))
	if s := wholeChats(t, text)[0]; len(s.Calls) != 1 || !strings.HasPrefix(s.Calls[0].Name, "tool_") {
		t.Errorf("%+v", s)
	}
}

// template returns the prompt of a body.
func template(t testing.TB, url, body string) string {
	t.Helper()
	status, text := post(t, url+"/apply-template", body)
	prompt, ok := fields(t, text)["prompt"].(string)
	if status != 200 || !ok {
		t.Fatalf("status %d: %s", status, text)
	}
	return prompt
}

// TestComplaint16TheTemplatesBeginningIsNoPartOfTheAnswer: behind what a tool has returned the model's turn goes on, which had begun with
// the call; and the template opens thoughts.
func TestComplaint16TheTemplatesBeginningIsNoPartOfTheAnswer(t *testing.T) {
	_, url := serveModel(t, random(t), Options{})
	turns := []string{user("Is it?"), user("Is it?") + `,{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function",` +
		`"function":{"name":"look","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"It is."}`}
	for i, turn := range turns {
		for _, mode := range []string{`"reasoning_effort":"none"`, `"reasoning_effort":"low","reasoning_budget":9`} {
			s := converse(t, url, chatBody(turn, hotly(i), mode, `"response_format":{"type":"regex","regex":"yes|no"}`))
			if s.text() != "yes" && s.text() != "no" || s.Finish != "stop" {
				t.Errorf("%s, %s: %+v", turn, mode, s)
			}
		}
	}
}

func TestComplaint17ResultsFindTheirCalls(t *testing.T) {
	_, url := serve(t, Options{})
	calls := func(content, first, second string) string {
		return user("x") + `,{"role":"assistant","content":` + content + `,"tool_calls":[` +
			`{"id":"1","type":"function","function":{"name":"get_weather","arguments":` + first + `}},` +
			`{"id":"2","type":"function","function":{"name":"multiply","arguments":` + second + `}}]}`
	}
	const first, second = `"{\"city\":\"Oslo\"}"`, `"{\"a\":2,\"b\":3}"`
	results := func(messages ...string) string { return "," + strings.Join(messages, ",") }
	want := template(t, url, chatBody(calls("null", first, second)+results(`{"role":"tool","tool_call_id":"1","content":"rainy"}`,
		`{"role":"tool","tool_call_id":"2","content":"6"}`), bothTools))
	for name, messages := range map[string]string{
		"without ids": calls("null", first, second) + results(`{"role":"tool","content":"rainy"}`, `{"role":"tool","content":"6"}`),
		"by name": calls("null", first, second) + results(`{"role":"tool","name":"get_weather","content":"rainy"}`,
			`{"role":"tool","name":"multiply","content":"6"}`),
		"empty content": calls(`""`, first, second) + results(`{"role":"tool","tool_call_id":"1","content":"rainy"}`,
			`{"role":"tool","tool_call_id":"2","content":"6"}`),
		"parts": calls("null", first, second) + results(`{"role":"tool","tool_call_id":"1","content":[{"type":"text","text":"rainy"}]}`,
			`{"role":"tool","tool_call_id":"2","content":"6"}`),
		"objects": calls("null", `{"city":"Oslo"}`, `{"a":2,"b":3}`) + results(`{"role":"tool","tool_call_id":"1","content":"rainy"}`,
			`{"role":"tool","tool_call_id":"2","content":"6"}`),
	} {
		if got := template(t, url, chatBody(messages, bothTools)); got != want || !strings.Contains(got, "rainy") {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

func TestComplaint18PromptIsThatOfTheTemplate(t *testing.T) {
	s, url := serve(t, Options{})
	body := chatBody(behindATool+","+user(capital)+`,{"role":"assistant","content":"z"},`+user("And then 4711?"), cold, bothTools)
	prompt := template(t, url, body)
	want := len(s.m.Tokenizer().Encode(prompt, true))
	if got := converse(t, url, body).Usage.Prompt; got != want || !strings.Contains(prompt, "rainy") || !strings.Contains(prompt, "4711?") {
		t.Errorf("%d tokens of a prompt with %d: %s", got, want, prompt)
	}
	round := user("What is 12 times 7? Use the tool.") + `,{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":` +
		`{"name":"multiply","arguments":"{\"a\":12,\"b\":7}"}}]},{"role":"tool","tool_call_id":"1","content":"84"}`
	if s := converse(t, url, chatBody(round, cold, bothTools)); !strings.Contains(s.text(), "84") {
		t.Errorf("the end of the result is lost: %+v", s)
	}
}

func TestComplaint28OneLongStreamEndsAlone(t *testing.T) {
	s, url := serve(t, Options{Queue: gemma4.QueueOptions{Context: 64, Slots: 3}})
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			if got := converse(t, url, chatBody(user("Go on."), cold, unending(s))); got.Finish != "length" || got.Usage.Total != 64 {
				t.Errorf("%+v", got)
			}
		})
	}
	if got := converse(t, url, chatBody(user(capital), cold)); got.text() != paris {
		t.Errorf("%+v", got)
	}
	all.Wait()
}

func TestComplaint29NoPromptIsCutShort(t *testing.T) {
	_, url := serve(t, Options{Queue: gemma4.QueueOptions{Context: 300}})
	_, text := get(t, url+"/v1/models")
	if !strings.Contains(text, `"max_model_len":300`) {
		t.Error(text)
	}
	refuses(t, url+"/v1/chat/completions", []refusal{{chatBody(user(strings.Repeat("word ", 300))), 400, "messages", "300 tokens"}})
	if got := converse(t, url, chatBody(user(strings.Repeat("word ", 200)), cold, `"max_tokens":1`)); got.Usage.Prompt < 200 {
		t.Errorf("%+v", got)
	}
}

func TestComplaint30UsageIsToldOnEveryPath(t *testing.T) {
	_, url := serve(t, Options{})
	for _, path := range []string{"chat/completions", "completions"} {
		body := `{"messages":[` + user(capital) + `],"prompt":"The capital of France is","temperature":0,"max_tokens":3`
		var first string
		for _, fields := range []string{"}", `,"stream":true}`, `,"stream":true,"stream_options":{"include_usage":true}}`} {
			_, text := post(t, url+"/v1/"+path, body+fields)
			at := strings.LastIndex(text, `"usage":{`)
			if at < 0 || strings.Count(text, `"usage"`) != 1 {
				t.Fatalf("%s: %s", path, text)
			}
			numbers, _, _ := strings.Cut(text[at:], `,"prompt_tokens_details"`)
			if first == "" {
				first = numbers
			}
			if numbers != first || !strings.Contains(numbers, `"completion_tokens":`) || strings.Contains(numbers, `:0`) {
				t.Errorf("%s: %s, at first %s", path, numbers, first)
			}
		}
	}
}

func TestComplaint31ThinkingIsOffUnlessAskedFor(t *testing.T) {
	_, url := serve(t, Options{})
	for fields, on := range map[string]bool{
		`"user":"x"`: false, `"reasoning_effort":"none"`: false, `"reasoning_effort":"minimal"`: true, `"reasoning_effort":"high"`: true,
		`"chat_template_kwargs":{"enable_thinking":false},"reasoning_effort":"high"`: false,
		`"chat_template_kwargs":{"enable_thinking":true},"reasoning_effort":"none"`:  true,
		`"chat_template_kwargs":{}`: false, `"chat_template_kwargs":{"enable_thinking":null}`: false, `"reasoning_budget":0`: false,
	} {
		if s := converse(t, url, chatBody(user("What is 2 + 3?"), cold, `"max_tokens":16`, fields)); (s.Reasoning != "") != on {
			t.Errorf("%s: %+v", fields, s)
		}
	}
}

func TestComplaint33StreamsComeInSmallPieces(t *testing.T) {
	_, url := serve(t, Options{})
	pieces := func(fields ...string) (list []string) {
		_, text := post(t, url+"/v1/chat/completions", chatBody(user(capital), append(fields, cold, `"stream":true`)...))
		for _, e := range events(t, text) {
			var chunk chatChunk
			if json.Unmarshal([]byte(e.data), &chunk) == nil && len(chunk.Choices) == 1 && chunk.Choices[0].Delta.Content != nil {
				list = append(list, *chunk.Choices[0].Delta.Content)
			}
		}
		return list
	}
	free := pieces()
	if len(free) < 6 || strings.Join(free, "") != paris {
		t.Errorf("%q", free)
	}
	if far := pieces(`"stop":["zzz"]`); !slices.Equal(far, free) {
		t.Errorf("held back behind a stop string that never begins: %q", far)
	}
	if near := pieces(`"stop":[" is Rome"]`); strings.Join(near, "") != paris || len(near) < len(free)-2 {
		t.Errorf("held back for longer than it may be one: %q", near)
	}
}
