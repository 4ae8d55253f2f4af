package gemma4_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/grammar"
)

// tool declares a function.
func tool(name, parameters string) chat.Tool {
	return chat.Tool{Name: name, Parameters: json.RawMessage(parameters)}
}

var (
	weather = tool("get_weather",
		`{"type":"object","properties":{"city":{"type":"string","description":"City name"}},"required":["city"]}`)
	multiply = tool("multiply",
		`{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"]}`)
)

func TestCallsThatNoAnswerCouldMakeAreErrors(t *testing.T) {
	m, other := openNano(t, gemma4.Loader{}), openNano(t, gemma4.Loader{})
	strict := tool("odd", `{"type":"object","properties":{"x":{"type":"array","uniqueItems":true}}}`)
	strict.Strict = true
	required := grammar.CallOptions{Choice: grammar.Required}
	text := func(m *gemma4.Model) gemma4.GenerateOptions {
		return gemma4.GenerateOptions{Grammar: schema(t, m, `{}`)}
	}
	tools := []chat.Tool{weather}
	for name, test := range map[string]struct {
		o    gemma4.ChatOptions
		want string
	}{
		"required without tools": {gemma4.ChatOptions{Calls: required}, "there are no tools"},
		"a tool that is not declared": {gemma4.ChatOptions{Tools: tools, Calls: grammar.CallOptions{Only: []string{"nobody"}}},
			`no tool is named "nobody"`},
		"an unknown choice":                {gemma4.ChatOptions{Tools: tools, Calls: grammar.CallOptions{Choice: 9}}, "unknown choice 9"},
		"a schema that cannot be enforced": {gemma4.ChatOptions{Tools: []chat.Tool{strict}}, `tool "odd": uniqueItems at #/properties/x`},
		"a name that no call can have": {gemma4.ChatOptions{Tools: []chat.Tool{tool("a{b", "")}},
			"cannot be written in a call (FreeCalls"},
		"free calls that must be made": {gemma4.ChatOptions{Tools: tools, FreeCalls: true, Calls: required}, "FreeCalls"},
		"free calls beside a grammar":  {gemma4.ChatOptions{Tools: tools, FreeCalls: true, GenerateOptions: text(m)}, "FreeCalls"},
		"a grammar of another model":   {gemma4.ChatOptions{GenerateOptions: text(other)}, "vocabulary of another model"},
	} {
		_, err := m.NewChat(test.o)
		if err == nil || !strings.HasPrefix(err.Error(), "gemma4: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		c := newChat(t, m, gemma4.ChatOptions{})
		session := c.Options.SessionOptions
		c.Options = test.o
		c.Options.SessionOptions = session
		if _, err := c.Answer(ctx, "What is 2 + 3?"); err == nil || !strings.Contains(err.Error(), test.want) || len(c.Messages) > 0 {
			t.Errorf("%s, before an answer: %v, want %q; %d messages", name, err, test.want, len(c.Messages))
		}
	}
	if _, err := m.NewChat(gemma4.ChatOptions{Tools: []chat.Tool{tool("a{b", ""), strict}, FreeCalls: true}); err != nil {
		t.Errorf("free calls: %v", err)
	}
}

func TestACallThatThePromptLeavesOpenIsRefusedUnlessCallsAreFree(t *testing.T) {
	template, err := chat.Parse("{{ bos_token }}{{ messages[0].content }}<|turn>model\n<|tool_call>call:")
	if err != nil {
		t.Fatal(err)
	}
	c := newChat(t, openNano(t, gemma4.Loader{}), gemma4.ChatOptions{Tools: []chat.Tool{weather}, Template: template})
	if _, err := c.Answer(ctx, "Hello"); err == nil || !strings.Contains(err.Error(), "leaves a call open") || len(c.Messages) > 0 ||
		c.Result().Reason != gemma4.ReasonError {
		t.Errorf("%v, %d messages, %+v", err, len(c.Messages), c.Result())
	}
	c.Options.FreeCalls, c.Options.MaxTokens = true, 5
	if _, err := c.Answer(ctx, "Hello"); err != nil && !errors.As(err, new(*chat.CallError)) {
		t.Errorf("free calls: %v", err)
	}
}

func TestCallsAreAsTheOptionsSayAndTheResultToo(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	o := func(choice grammar.Choice, only ...string) grammar.CallOptions {
		return grammar.CallOptions{Choice: choice, Only: only}
	}
	single := o(grammar.Required, "multiply")
	single.Single = true
	for name, test := range map[string]struct {
		calls grammar.CallOptions
		free  bool
		want  []string // the names of what is called
	}{
		"auto":                        {o(grammar.Auto), false, []string{"get_weather"}},
		"free":                        {o(grammar.Auto), true, []string{"get_weather"}},
		"none":                        {o(grammar.None), false, nil},
		"required":                    {o(grammar.Required), false, []string{"get_weather"}},
		"required of one":             {o(grammar.Required, "multiply"), false, []string{"multiply"}},
		"required of one, and single": {single, false, []string{"multiply"}},
	} {
		c := newChat(t, m, gemma4.ChatOptions{Tools: []chat.Tool{weather, multiply}, Calls: test.calls, FreeCalls: test.free})
		c.Options.MaxTokens = 200
		text, _, calls := answer(t, c, user("What is the weather in Oslo?"))
		var names []string
		for _, call := range calls {
			if names = append(names, call.Name); call.Mended || !json.Valid(call.Arguments) {
				t.Errorf("%s: call %+v", name, call)
			}
		}
		r := c.Result()
		if !slices.Equal(names, test.want) || r.Calls != len(calls) || (text == "") != (len(calls) > 0) ||
			strings.ContainsAny(text, "<|>") {
			t.Errorf("%s: %q calls %q, want %q; %+v", name, text, names, test.want, r)
		}
		if name != "auto" {
			continue
		}
		text, _, calls = answer(t, c, chat.Message{Role: "tool", Content: "rainy, 9 degrees"})
		if r := c.Result(); text != "It is rainy in Oslo, 9 degrees." || len(calls)+r.Calls > 0 {
			t.Errorf("%s, after the tool's response: %q with %d calls, %+v", name, text, len(calls), r)
		}
	}
}

func TestWithToolsAndAGrammarAnAnswerIsCallsOrTheGrammarsText(t *testing.T) {
	m := wild(t)
	open, _ := m.Tokenizer().ID("<|tool_call>")
	for _, calls := range []grammar.CallOptions{{}, {Choice: grammar.Required}, {Choice: grammar.None}} {
		o := gemma4.ChatOptions{Tools: []chat.Tool{weather, multiply}, Calls: calls}
		o.Grammar = schema(t, m, `{"enum":["yes","no"]}`)
		c := newChat(t, m, o)
		for seed := range 6 {
			c.Messages, c.Options.Sampling, c.Options.MaxTokens = nil, hot(seed), 80
			c.Options.Process = func(generated []int32, logits []float32) {
				if len(generated) == 0 && seed%2 == 0 {
					logits[open] = 1000
				}
			}
			s := say(t, c, user("Is it?"))
			text := s.Content == `"yes"` || s.Content == `"no"`
			want := calls.Choice == grammar.Required || calls.Choice == grammar.Auto && seed%2 == 0
			if want != (s.Calls > 0) || want == text || want && s.Content != "" {
				t.Errorf("%+v, seed %d: %q with %d calls", calls, seed, s.Content, s.Calls)
			}
		}
	}
}

func TestBeforeTextOrCallsAThoughtMayComeButNeedNot(t *testing.T) {
	m := wild(t)
	open, _ := m.Tokenizer().ID("<|channel>")
	for _, thinking := range []bool{false, true} {
		for seed := range 4 {
			c := newChat(t, m, gemma4.ChatOptions{Tools: []chat.Tool{weather}, Thinking: thinking})
			c.Options.Sampling, c.Options.MaxTokens, c.Options.ThinkTokens = hot(seed), 80, 20
			c.Options.Process = func(generated []int32, logits []float32) {
				if len(generated) == 0 {
					logits[open] = map[bool]float32{true: 1000, false: -1000}[seed%2 == 0]
				}
			}
			s := say(t, c, user("Is it?"))
			if want := thinking && seed%2 == 0; want != (s.ids[0] == open) || want != (s.Reasoning != "") {
				t.Errorf("thinking %v, seed %d: %+v", thinking, seed, s.Message)
			}
		}
	}
}

func TestCallsAreWholeWhenThereIsNoMoreRoom(t *testing.T) {
	m := wild(t)
	long := tool("note", `{"type":"object","properties":{"text":{"type":"string"},"more":{"type":"array","items":{"type":"string"}}},
		"required":["text","more"],"additionalProperties":false}`)
	long.Description = "Takes a note."
	for _, full := range []gemma4.Full{gemma4.FullStop, gemma4.FullDrop} {
		for _, before := range []int{0, 2} { // exchanges that may be dropped
			for seed := range 3 {
				o := gemma4.ChatOptions{Tools: []chat.Tool{long}, Full: full, Calls: grammar.CallOptions{Choice: grammar.Required}}
				o.Context, o.Sampling = 400, hot(seed)
				c := newChat(t, m, o)
				c.Messages = smallTalk(before)
				s := say(t, c, user("Take a long note."))
				if s.Calls == 0 || s.Reason != gemma4.ReasonEnd && s.Reason != gemma4.ReasonContext || full == gemma4.FullStop && !s.Whole {
					t.Errorf("%v behind %d exchanges, seed %d: %+v", full, before, seed, s.Result)
				}
			}
		}
	}
	c := newChat(t, m, gemma4.ChatOptions{Tools: []chat.Tool{long}, Calls: grammar.CallOptions{Choice: grammar.Required}})
	for n, ok := 1, false; !ok; n++ { // no call is broken off
		c.Messages, c.Options.MaxTokens = nil, n
		switch answer, err := c.Answer(ctx, "Take a note."); {
		case err != nil && (!strings.Contains(err.Error(), "too few for a call") || len(c.Messages) > 0 || answer.Content != ""):
			t.Errorf("%d tokens: %v, %+v", n, err, answer)
		case err == nil:
			if ok = true; len(answer.ToolCalls) != 1 || n < 10 || c.Result().Generated > n {
				t.Errorf("%d tokens: %+v, %+v", n, answer, c.Result())
			}
		}
	}
}

func TestKeywordsThatAreNotEnforcedAreNamedInTheResultAndOnceInTheLog(t *testing.T) {
	j := &journal{least: slog.LevelWarn}
	m := openNano(t, gemma4.Loader{Logger: slog.New(j)})
	odd := tool("odd", `{"type":"object","properties":{"x":{"type":"array","uniqueItems":true},"y":{"contains":{}}}}`)
	want := []string{"odd: uniqueItems at #/properties/x", "odd: contains at #/properties/y"}
	for range 2 {
		c := newChat(t, m, gemma4.ChatOptions{Tools: []chat.Tool{weather, odd}})
		for range 2 {
			answer(t, c, user("What is the capital of France?"))
			if got := c.Result().Loosened; !slices.Equal(got, want) {
				t.Errorf("not enforced: %q, want %q", got, want)
			}
		}
		c.Options.Tools = []chat.Tool{weather}
		if answer(t, c, user("What is 2 + 3?")); c.Result().Loosened != nil {
			t.Errorf("not enforced: %q", c.Result().Loosened)
		}
	}
	if got := j.take(t, "keywords of schemas not enforced")["keywords"]; !slices.Equal(got.([]string), want) || len(j.lines) > 0 {
		t.Errorf("the log is told of %q, and %v", got, j.lines)
	}
}

// TestCallsNestNoDeeperThanIsRead: of a model that opens one bracket after another calls are whole, and shallow enough to be read.
func TestCallsNestNoDeeperThanIsRead(t *testing.T) {
	m := wild(t)
	for name, parameters := range map[string]string{
		"tree": `{"type":"object","properties":{"children":{"type":"array","items":{"$ref":"#"}},"last":{"type":"boolean"}},
			"required":["children","last"]}`,
		"any value": `{"type":"object","properties":{"children":{}},"required":["children"]}`,
	} {
		c := newChat(t, m, gemma4.ChatOptions{Tools: []chat.Tool{tool("f", parameters)}})
		c.Options.Calls.Choice = grammar.Required
		c.Options.Process = func(generated []int32, logits []float32) {
			for id := range logits {
				if text := m.Tokenizer().Text(int32(id)); text == "[" || text == "{" {
					logits[id] += 1000
				}
			}
		}
		c.Options.Sampling, c.Options.MaxTokens = hot(1), 3000
		if s := say(t, c, user("Go.")); len(s.ToolCalls) == 0 || !s.Whole || s.Generated < 100 {
			t.Errorf("%s: %+v", name, s.Result)
		} else if text := string(s.ToolCalls[0].Arguments); strings.Count(text, "[") < 20 {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// TestNamesOfToolsAreWrittenAsTheyAre, whatever they look like, and those that no call can have are refused.
func TestNamesOfToolsAreWrittenAsTheyAre(t *testing.T) {
	m := wild(t)
	for name, ok := range map[string]bool{
		"call": true, "null": true, "погода": true, `a"b'c`: true, "a b": true, "call:x": true, "a,b": true, "}": true, "[": true,
		"1": true, "<|tool_call>": false, "a{b": false, " a": false, "": false, "a\xffb": false, "\u2581a": false,
		strings.Repeat("long", 200): true,
	} {
		c, err := m.NewChat(gemma4.ChatOptions{Tools: []chat.Tool{weather, tool(name, "")}, Calls: grammar.CallOptions{
			Choice: grammar.Required, Only: []string{name}, Single: true}})
		if err != nil {
			if ok {
				t.Errorf("%q: %v", name, err)
			}
			continue
		}
		s := say(t, c, user("Go."))
		if len(s.ToolCalls) != 1 || s.ToolCalls[0].Name != name {
			t.Errorf("%q: %+v", name, s.ToolCalls)
		}
		say(t, c, chat.Message{Role: "tool", ToolCallID: s.ToolCalls[0].ID, Content: "done"}) // the template writes it
		c.Close()
	}
}
