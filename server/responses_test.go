package server

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/internal/synth"
)

// respond returns the body of a request for a response: input as JSON, and other fields.
func respond(input string, fields ...string) string {
	return `{"input":` + input + `,"temperature":0` + strings.Join(append([]string{""}, fields...), ",") + "}"
}

// quoted returns a string as JSON.
func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// The tools of tests, in the shape of responses.
const (
	weatherTool = `{"type":"function","name":"get_weather","description":"Get the weather","parameters":{"type":"object",` +
		`"properties":{"city":{"type":"string"}},"required":["city"]}}`
	noArguments = `{"type":"function","name":"go","parameters":{"type":"object","properties":{},"additionalProperties":false}}`
	weather     = "What is the weather in Paris?"
	sunny       = "It is sunny in Paris, 17 degrees."
)

// random opens a small model with random weights: whatever may come comes, sooner or later.
func random(t testing.TB) *gemma4.Model {
	t.Helper()
	c, err := synth.Parse("micro-e:q8_0")
	if err != nil {
		t.Fatal(err)
	}
	m, err := gemma4.OpenBytes(synth.Bytes(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// streamedResponse puts a response together from the events of a stream, as clients do, and checks their order.
func streamedResponse(t *testing.T, text string) string {
	t.Helper()
	var last map[string]any
	var items []any
	var said string
	open := ""
	for i, e := range events(t, text) {
		v := fields(t, e.data)
		if v["type"] != e.name || v["sequence_number"] != float64(i) {
			t.Fatalf("event %d is %s: %s", i, e.name, e.data)
		}
		if id, ok := v["item_id"]; ok && id != open {
			t.Fatalf("event %d is of item %v within %q: %s", i, id, open, e.data)
		}
		switch e.name {
		case "response.output_item.added":
			if open != "" || v["output_index"] != float64(len(items)) {
				t.Fatalf("event %d begins an item within %q: %s", i, open, e.data)
			}
			open, said = v["item"].(map[string]any)["id"].(string), ""
		case "response.output_text.delta", "response.reasoning_text.delta", "response.function_call_arguments.delta":
			said += v["delta"].(string)
		case "response.output_text.done", "response.reasoning_text.done":
			if v["text"] != said {
				t.Errorf("streamed %q, done is %v", said, v["text"])
			}
		case "response.function_call_arguments.done":
			if v["arguments"] != said {
				t.Errorf("streamed %q, done is %v", said, v["arguments"])
			}
		case "response.output_item.done":
			items, open = append(items, v["item"]), ""
		case "response.completed", "response.incomplete", "response.failed":
			last = v["response"].(map[string]any)
		default:
			if last != nil {
				t.Errorf("%s behind the end", e.name)
			}
		}
	}
	if last == nil || open != "" {
		t.Fatalf("the stream has no end: %s", text)
	}
	if a, b := asJSON(t, items), asJSON(t, last["output"]); a != b {
		t.Errorf("items were %s, the response says %s", a, b)
	}
	return asJSON(t, last)
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// schema is a form for answers, as text of responses has it.
const schema = `"text":{"format":{"type":"json_schema","name":"x","strict":true,"schema":{"type":"object","properties":` +
	`{"a":{"enum":["x","y"]},"b":{"type":"boolean"}},"required":["a","b"],"additionalProperties":false}}}`

func TestResponseIsTheSameStreamedAndWhole(t *testing.T) {
	_, url := serve(t, Options{})
	_, other := serveModel(t, random(t), Options{})
	for name, x := range map[string]struct{ url, body, want string }{
		"text":    {url, respond(quoted(capital)), `"output_text":"` + paris + `"`},
		"thought": {url, respond(quoted(capital), `"reasoning":{"effort":"high"}`), `"reasoning_text"`},
		"call":    {url, respond(quoted(weather), `"tools":[`+weatherTool+`]`), `"arguments":"{\"city\":\"Paris\"}"`},
		"cut":     {url, respond(quoted(capital), `"max_output_tokens":3`), `"incomplete_details":{"reason":"max_output_tokens"}`},
		"cut short": {url, respond(quoted(capital), `"max_output_tokens":3`, `"reasoning":{"effort":"low"}`),
			`"text":"","type":"output_text"`},
		"schema": {url, respond(quoted(capital), schema), `\"b\": `},
		"calls": {other, `{"input":"Go.","seed":3,"temperature":1.5,"top_k":0,"top_p":1,"max_output_tokens":80,` +
			`"tool_choice":"required","tools":[` + noArguments + "," + weatherTool + `]}`, `"name":"go"`},
		"random": {other, `{"input":"Go.","seed":1,"temperature":1.5,"top_k":0,"top_p":1,"max_output_tokens":40,` +
			`"reasoning":{"effort":"low"}}`, `"output_text"`},
	} {
		status, text := post(t, x.url+"/v1/responses", x.body)
		if status != 200 || !strings.Contains(asJSON(t, fields(t, text)), x.want) {
			t.Errorf("%s: status %d: %s", name, status, text)
		}
		_, stream := post(t, x.url+"/v1/responses", x.body[:len(x.body)-1]+`,"stream":true}`)
		if a, b := plain(asJSON(t, fields(t, text))), plain(streamedResponse(t, stream)); a != b {
			t.Errorf("%s: whole\n%s\nstreamed\n%s", name, a, b)
		}
	}
}

func TestEventsOfAResponse(t *testing.T) {
	_, url := serve(t, Options{Names: []string{"gemma"}})
	var all strings.Builder
	for _, body := range []string{
		respond(quoted(capital), `"reasoning":{"effort":"low"}`, `"include":["reasoning.encrypted_content"]`),
		respond(quoted(weather), `"tools":[`+weatherTool+`]`),
		respond(quoted(capital), `"max_output_tokens":2`),
	} {
		_, text := post(t, url+"/v1/responses", body[:len(body)-1]+`,"stream":true}`)
		fmt.Fprintf(&all, "%s\n\n%s\n", body, plain(text))
	}
	checkGolden(t, "responses", all.String())
}
