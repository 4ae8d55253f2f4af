package server

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/internal/synth"
)

// agent is what a program sends that works with tools, in the shape of Claude Code or Codex CLI: its last request, which has all turns.
type agent struct {
	path    string
	body    map[string]any
	history string // the field that has the turns
	most    string // the field that bounds the answer
}

func agents(t testing.TB) []*agent {
	t.Helper()
	list := []*agent{{"/v1/messages", nil, "messages", "max_tokens"}, {"/v1/responses", nil, "input", "max_output_tokens"}}
	for i, name := range []string{"claude-code", "codex"} {
		text, err := os.ReadFile("testdata/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &list[i].body); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// requests returns the bodies of all turns, the first one first. Each has another billing header, and asks for an answer of few tokens.
func (a *agent) requests(t testing.TB, tokens int) (bodies []string) {
	t.Helper()
	all := a.body[a.history].([]any)
	for n := 1; n <= len(all); n++ {
		last := all[n-1].(map[string]any)
		if n < len(all) && last["type"] != "function_call_output" && (last["role"] != "user" || all[n].(map[string]any)["role"] == "user") {
			continue // the model is not asked
		}
		body := asJSON(t, with(a.body, a.history, all[:n], a.most, tokens))
		bodies = append(bodies, strings.Replace(body, "cch=00000", fmt.Sprintf("cch=%05x", n*7919), 1))
	}
	return bodies
}

// with returns a copy of an object with other values of some fields.
func with(object map[string]any, fields ...any) map[string]any {
	next := map[string]any{}
	for name, v := range object {
		next[name] = v
	}
	for i := 0; i < len(fields); i += 2 {
		next[fields[i].(string)] = fields[i+1]
	}
	return next
}

// cached returns what the last event of a stream says of the prompt: how many tokens it has, and how many of them were read before.
func cached(t testing.TB, text string) (prompt, cached int) {
	t.Helper()
	for _, e := range events(t, text) {
		var v struct {
			Usage *struct {
				Input int `json:"input_tokens"`
				Read  int `json:"cache_read_input_tokens"`
			}
			Response struct {
				Usage *struct {
					Input   int `json:"input_tokens"`
					Details struct {
						Cached int `json:"cached_tokens"`
					} `json:"input_tokens_details"`
				}
			}
		}
		if err := json.Unmarshal([]byte(e.data), &v); err != nil {
			t.Fatal(err)
		}
		if u := v.Usage; u != nil {
			prompt, cached = u.Input+u.Read, u.Read
		}
		if u := v.Response.Usage; u != nil {
			prompt, cached = u.Input, u.Details.Cached
		}
	}
	return prompt, cached
}

// TestComplaint20AgentsReadWhatIsNew, and row 19: a header that changes with every request makes the model read all of the prompt again, or
// a window does. Their tools have what has broken grammars, too: no properties, strings of a million letters.
func TestComplaint20AgentsReadWhatIsNew(t *testing.T) {
	c, err := synth.Parse("micro-e:q8_0")
	if err != nil {
		t.Fatal(err)
	}
	c.Context = 16384
	m, err := gemma4.OpenBytes(synth.Bytes(c))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	prefixes := gemma4.NewPrefixCache(256 << 20)
	defer prefixes.Close()
	s, url := serveModel(t, m, Options{Queue: gemma4.QueueOptions{Prefixes: prefixes}})
	for _, a := range agents(t) {
		before := ""
		bodies := a.requests(t, 4)
		if len(bodies) != 8 {
			t.Errorf("%s: %d turns, expected 8", a.path, len(bodies))
		}
		if testing.Short() {
			bodies = bodies[:2]
		}
		for i, body := range bodies {
			text, err := prompts(t, s, a.path, body)
			if err != nil {
				t.Fatal(err)
			}
			_, stream := post(t, url+a.path, body)
			prompt, reused := cached(t, stream)
			if prompt == 0 {
				t.Fatalf("%s, turn %d: no usage: %.2000s", a.path, i+1, stream)
			}
			common := 0
			for common < min(len(before), len(text)) && before[common] == text[common] {
				common++
			}
			behind := len(m.Tokenizer().Encode(text[common:], true))
			if i > 0 && (reused < prompt*95/100 || float64(prompt-reused) > 1.05*float64(behind)) {
				t.Errorf("%s, turn %d: of %d tokens %d were read, of which %d are new", a.path, i+1, prompt, prompt-reused, behind)
			}
			t.Logf("%s, turn %d: %d tokens, %d of them known", a.path, i+1, prompt, reused)
			before = text
		}
	}
}

// said is an answer through one of the two protocols.
type said struct {
	thought, text    string
	calls            []string // names
	end              string   // stop_reason, or the status
	tokens, thinking int
}

// sayThrough sends a request and returns the answer. It looks at what every answer has: the same streamed and whole, no text of control
// tokens, and a count of its tokens.
func sayThrough(t *testing.T, url, path, body string) (a said) {
	t.Helper()
	status, text := post(t, url+path, body)
	_, stream := post(t, url+path, body[:len(body)-1]+`,"stream":true}`)
	if status != 200 {
		t.Fatalf("status %d: %s", status, text)
	}
	put := streamedMessage
	if path == "/v1/responses" {
		put = streamedResponse
	}
	if x, y := plain(asJSON(t, fields(t, text))), plain(put(t, stream)); x != y {
		t.Errorf("whole %s\nstreamed %s", x, y)
	}
	var v struct {
		StopReason string `json:"stop_reason"`
		Status     string
		Content    []struct{ Type, Text, Thinking, Name string }
		Output     []struct {
			Type, Name string
			Content    []struct{ Text string }
		}
		Usage struct {
			Input   int `json:"input_tokens"`
			Output  int `json:"output_tokens"`
			Details struct {
				Thinking  int `json:"thinking_tokens"`
				Reasoning int `json:"reasoning_tokens"`
			} `json:"output_tokens_details"`
		}
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	for _, b := range v.Content {
		a.text, a.thought = a.text+b.Text, a.thought+b.Thinking
		if b.Type == "tool_use" {
			a.calls = append(a.calls, b.Name)
		}
	}
	for _, item := range v.Output {
		switch item.Type {
		case "function_call":
			a.calls = append(a.calls, item.Name)
		case "reasoning":
			a.thought += item.Content[0].Text
		case "message":
			a.text += item.Content[0].Text
		}
	}
	a.end, a.tokens, a.thinking = v.StopReason+v.Status, v.Usage.Output, v.Usage.Details.Thinking+v.Usage.Details.Reasoning
	for _, marker := range chat.Markup() {
		if strings.Contains(a.text+a.thought, marker) {
			t.Errorf("%s in the text %q or the thought %q", marker, a.text, a.thought)
		}
	}
	if v.Usage.Input == 0 || a.tokens == 0 || a.thought != "" && a.thinking == 0 {
		t.Errorf("tokens are not counted: %s", text)
	}
	return a
}

// bothWays runs a test through both protocols with a model with random weights, which may write anything, and three seeds.
func bothWays(t *testing.T, messages, responses string, check func(t *testing.T, a said)) {
	_, url := serveModel(t, random(t), Options{})
	for seed := range 3 {
		hot := fmt.Sprintf(`,"seed":%d,"temperature":1.5,"top_k":0,"top_p":1`, seed)
		check(t, sayThrough(t, url, "/v1/messages", messages[:len(messages)-1]+hot+"}"))
		check(t, sayThrough(t, url, "/v1/responses", responses[:len(responses)-1]+hot+"}"))
	}
}

// TestComplaintRequiredCallsAreMade is row 4: a call is required, and the answer has none.
func TestComplaintRequiredCallsAreMade(t *testing.T) {
	bothWays(t, say(user("Go."), `"max_tokens":60`, `"tool_choice":{"type":"tool","name":"go"}`,
		`"tools":[`+weatherSchema+","+emptySchema+"]"),
		respond(`"Go."`, `"max_output_tokens":60`, `"tool_choice":{"type":"function","name":"go"}`,
			`"tools":[`+weatherTool+","+noArguments+"]"),
		func(t *testing.T, a said) {
			if len(a.calls) == 0 || a.calls[0] != "go" || a.text != "" || a.tokens < 60 && a.end != "tool_use" && a.end != "completed" {
				t.Errorf("%+v", a)
			}
		})
}

// TestComplaintThoughtsAfterResultsAreNoText is rows 8 and 9: behind what a tool has returned, thoughts and markers come as text.
func TestComplaintThoughtsAfterResultsAreNoText(t *testing.T) {
	thoughts := 0
	bothWays(t, say(user("Go.")+`,{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"go","input":{}}]},`+
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"Done."}]}`, `"max_tokens":40`, thinks1024,
		`"tools":[`+emptySchema+"]"),
		respond(`[{"role":"user","content":"Go."},{"type":"function_call","call_id":"a","name":"go","arguments":"{}"},`+
			`{"type":"function_call_output","call_id":"a","output":"Done."}]`, `"max_output_tokens":40`, `"reasoning":{"effort":"low"}`,
			`"tools":[`+noArguments+"]"),
		func(t *testing.T, a said) {
			if a.thought != "" { // the template has opened it
				thoughts++
			}
		})
	if thoughts != 6 {
		t.Errorf("%d of 6 answers have a thought", thoughts)
	}
}

// TestComplaintAThoughtThatTakesAllTokensIsFollowedByAnEmptyText is row 10.
func TestComplaintAThoughtThatTakesAllTokensIsFollowedByAnEmptyText(t *testing.T) {
	_, url := serve(t, Options{})
	for _, a := range []said{
		sayThrough(t, url, "/v1/messages", say(user(capital), `"max_tokens":5`, thinks1024)),
		sayThrough(t, url, "/v1/responses", respond(quoted(capital), `"max_output_tokens":5`, `"reasoning":{"effort":"low"}`)),
	} {
		if a.text != "" || a.thought == "" || a.tokens != 5 || a.thinking != 5 || a.end != "max_tokens" && a.end != "incomplete" {
			t.Errorf("%+v", a)
		}
	}
}

// FuzzMessages reads bodies: each is a prompt, or an error that is the client's.
func FuzzMessages(f *testing.F) { fuzzBodies(f, "/v1/messages") }

// FuzzResponses is FuzzMessages for responses.
func FuzzResponses(f *testing.F) { fuzzBodies(f, "/v1/responses") }

func fuzzBodies(f *testing.F, path string) {
	s, _ := serve(f, Options{})
	for _, a := range agents(f) {
		if a.path == path {
			f.Add(asJSON(f, a.body))
		}
	}
	text, err := os.ReadFile("testdata/prompts.json")
	if err != nil {
		f.Fatal(err)
	}
	var cases []struct {
		Path string
		Body json.RawMessage
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		f.Fatal(err)
	}
	for _, x := range cases {
		if x.Path == path {
			f.Add(string(x.Body))
		}
	}
	f.Add(say(user("x"), `"tool_choice":{"type":"tool","name":"go"}`, `"tools":[`+emptySchema+"]", `"stop_sequences":["x"]`, thinks1024))
	f.Add(respond(`"x"`, `"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"go"}]}`, `"tools":[`+
		noArguments+"]", schema))
	f.Fuzz(func(t *testing.T, body string) {
		if _, err := prompts(t, s, path, body); err != nil {
			if f := failureOf(err); f.status >= 500 || f.message == "" {
				t.Errorf("%v", err)
			}
		}
	})
}
