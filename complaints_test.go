package gemma4_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/sampler"
)

// What users of other programs complained about in calls and constrained answers of Gemma 4, a test for each: go test . -run Complaint.
// The models have random weights, drawn from at a high temperature: whatever may come comes, sooner or later.

var samples = flag.Int("samples", 3, "how many answers the tests of complaints draw in each case")

// wild opens a small model with random weights and a context of 32768.
func wild(t testing.TB) *gemma4.Model {
	t.Helper()
	c, err := synth.Parse("micro-e:q8_0")
	if err != nil {
		t.Fatal(err)
	}
	c.Context = 32768
	m, err := gemma4.OpenBytes(synth.Bytes(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// hot draws from all tokens.
func hot(seed int) sampler.Overrides {
	return sampler.Overrides{Temperature: new(1.5), TopK: new(0), TopP: new(1.0), Seed: new(uint64(seed))}
}

// said is an answer and its tokens.
type said struct {
	ids []int32
	chat.Message
	gemma4.Result
}

// say lets a chat answer and looks at what every answer has: no text of control tokens, no broken or mended calls, the same message
// whether it is streamed or collected, and a result that says how many calls there are.
func say(t testing.TB, c *gemma4.Chat, messages ...chat.Message) (s said) {
	t.Helper()
	var events []chat.Event
	for tok, err := range c.Send(ctx, messages...) {
		if err != nil {
			t.Fatal(err)
		}
		if tok.ID >= 0 {
			s.ids = append(s.ids, tok.ID)
		}
		if tok.Err != nil || tok.Call != nil && tok.Call.Mended {
			t.Errorf("a call that is broken or mended: %+v (%v)", tok.Event, tok.Err)
		}
		events = append(events, tok.Event)
	}
	s.Message, s.Result = chat.Answer(events), c.Result()
	if kept := c.Messages[len(c.Messages)-1]; fmt.Sprint(kept) != fmt.Sprint(s.Message) {
		t.Errorf("the chat keeps %+v, streamed were %+v", kept, s.Message)
	}
	if s.Result.Calls != len(s.ToolCalls) {
		t.Errorf("%d calls, the result says %d", len(s.ToolCalls), s.Result.Calls)
	}
	for _, text := range chat.Markup() {
		if strings.Contains(s.Content+s.Reasoning, text) {
			t.Errorf("%s in the text %q or the thought %q", text, s.Content, s.Reasoning)
		}
	}
	return s
}

// hundred are 100 tools, and for each a check of its arguments.
func hundred() (tools []chat.Tool, valid map[string]func(arguments []byte) bool) {
	valid = map[string]func([]byte) bool{}
	for i := range 100 {
		name := fmt.Sprintf("tool_%d", i)
		tools = append(tools, tool(name, fmt.Sprintf(`{"type":"object","properties":{"text":{"type":"string","maxLength":%d},
			"n":{"type":"integer","minimum":%d,"maximum":100},"k":{"enum":["a","b",%d]},
			"list":{"type":"array","items":{"type":["boolean","null"]},"maxItems":3},
			"inner":{"type":"object","properties":{"x":{"type":"number"}},"required":["x"],"additionalProperties":false}},
			"required":["text","k"],"additionalProperties":false}`, i, -i, i)))
		valid[name] = func(arguments []byte) bool {
			var v struct {
				Text  *string `json:"text"`
				N     *int    `json:"n"`
				K     any     `json:"k"`
				List  []*bool `json:"list"`
				Inner *struct {
					X *float64 `json:"x"`
				} `json:"inner"`
			}
			d := json.NewDecoder(bytes.NewReader(arguments))
			d.DisallowUnknownFields()
			return d.Decode(&v) == nil && v.Text != nil && utf8.RuneCountInString(*v.Text) <= i &&
				(v.N == nil || *v.N >= -i && *v.N <= 100) && (v.K == "a" || v.K == "b" || v.K == float64(i)) && len(v.List) <= 3 &&
				(v.Inner == nil || v.Inner.X != nil)
		}
	}
	return tools, valid
}

// TestComplaintCallsNeedNoRepair is row 1: calls without their quotes, which heuristics then mend.
func TestComplaintCallsNeedNoRepair(t *testing.T) {
	m := wild(t)
	tools, valid := hundred()
	c := newChat(t, m, gemma4.ChatOptions{Tools: tools})
	for name, calls := range map[string]grammar.CallOptions{
		"auto": {}, "required": {Choice: grammar.Required}, "named": {Choice: grammar.Required, Only: []string{"tool_42"}},
	} {
		n := 0
		for i := range *samples {
			c.Messages, c.Options.Calls, c.Options.MaxTokens, c.Options.Sampling = nil, calls, 250, hot(i)
			s := say(t, c, user("Do it."))
			for _, call := range s.ToolCalls {
				n++
				if check := valid[call.Name]; check == nil || !check(call.Arguments) || name == "named" && call.Name != "tool_42" {
					t.Errorf("%s, seed %d: %s does not take %s", name, i, call.Name, call.Arguments)
				}
			}
			if name != "auto" && (len(s.ToolCalls) == 0 || s.Content != "") {
				t.Errorf("%s, seed %d: %+v", name, i, s)
			}
		}
		if n == 0 && *samples >= 50 { // of a few, which the kernels' roundings decide, none may call
			t.Errorf("%s: no calls in %d answers", name, *samples)
		}
		t.Logf("%s: %d calls in %d answers", name, n, *samples)
	}
}

// code is text with all that could end a string.
func code(n int) string {
	const line = "func f(s string) { return \"{\\\"a\\\": [1, '}']}\" } // <|tool call|> `x` <|\"|> é 日\n\t{[(\"\\\n"
	return strings.ToValidUTF8(strings.Repeat(line, 1+n/len(line))[:n], "")
}

// TestComplaintALongStringComesBackByteForByte is row 2: long arguments of several lines that end in an error of the parser.
func TestComplaintALongStringComesBackByteForByte(t *testing.T) {
	text := code(20000)
	if testing.Short() {
		text = code(2000)
	}
	m := wild(t)
	check := func(s said, text string) {
		t.Helper()
		var arguments struct{ Content string }
		if len(s.ToolCalls) != 1 || json.Unmarshal(s.ToolCalls[0].Arguments, &arguments) != nil || arguments.Content != text {
			t.Errorf("%d bytes in %d calls do not come back: %.200s", len(text), len(s.ToolCalls), s.Content)
		}
	}
	quoted, _ := json.Marshal(text)
	c := newChat(t, m, gemma4.ChatOptions{Calls: grammar.CallOptions{Choice: grammar.Required, Single: true}, Tools: []chat.Tool{
		tool("write_file", `{"type":"object","properties":{"content":{"const":`+string(quoted)+`}},"required":["content"]}`)}})
	check(say(t, c, user("Write it.")), text)
	// The same where the model could write anything, and is told what.
	text = code(1500)
	var letters []int
	for i := range text {
		letters = append(letters, i)
	}
	tok := m.Tokenizer()
	told := slices.Concat(tok.Encode("<|tool_call>call:write_file{content:<|\"|>", true), tok.EncodeLiteral(text, letters),
		tok.Encode("<|\"|>}<tool_call|><turn|>", true))
	c = newChat(t, m, gemma4.ChatOptions{Tools: []chat.Tool{
		tool("write_file", `{"type":"object","properties":{"content":{"type":"string"}}}`)}})
	c.Options.Process = func(generated []int32, logits []float32) { logits[told[len(generated)]] = 1e6 }
	check(say(t, c, user("Write it.")), text)
}

// TestComplaintDelimitersStayOutOfValues is row 3: <|"|> in values, and JSON in a string that is taken apart.
func TestComplaintDelimitersStayOutOfValues(t *testing.T) {
	const text, inner = `<|"|>, not a token<tool_call|>`, `{"a": "b", "c": [1, "}"]}`
	quotedText, _ := json.Marshal(text)
	quotedInner, _ := json.Marshal(inner)
	c := newChat(t, wild(t), gemma4.ChatOptions{Calls: grammar.CallOptions{Choice: grammar.Required, Single: true}, Tools: []chat.Tool{
		tool("f", fmt.Sprintf(`{"type":"object","properties":{"text":{"const":%s},"json":{"const":%s},"free":{"type":"string"}},
			"required":["text","json","free"]}`, quotedText, quotedInner))}})
	for seed := range *samples {
		c.Messages, c.Options.Sampling, c.Options.MaxTokens = nil, hot(seed), 200
		s := say(t, c, user("Call f."))
		var arguments struct{ Text, JSON, Free string }
		if len(s.ToolCalls) != 1 || json.Unmarshal(s.ToolCalls[0].Arguments, &arguments) != nil || arguments.Text != text ||
			arguments.JSON != inner || strings.Contains(arguments.Free, `<|"|>`) {
			t.Errorf("seed %d: %+v", seed, s.Message)
		}
	}
}

// TestComplaintRequiredCallsAreMade is row 4: a required or named call that is not made, and a reason to finish that claims calls where
// there are none.
func TestComplaintRequiredCallsAreMade(t *testing.T) {
	m := wild(t)
	for _, calls := range []grammar.CallOptions{
		{Choice: grammar.Required}, {Choice: grammar.Required, Single: true}, {Choice: grammar.Required, Only: []string{"multiply"}},
		{Choice: grammar.None}, {},
	} {
		c := newChat(t, m, gemma4.ChatOptions{Tools: []chat.Tool{weather, multiply}, Calls: calls})
		for seed := range *samples {
			c.Messages, c.Options.Sampling, c.Options.MaxTokens = nil, hot(seed), 60 // which may come in the middle of a call
			n := say(t, c, user("What is 2 + 3?")).Result.Calls
			if calls.Choice == grammar.Required && n == 0 || calls.Choice == grammar.None && n > 0 || calls.Single && n > 1 {
				t.Errorf("%+v: %d calls", calls, n)
			}
		}
	}
}

// TestComplaintCallsThatComeAtOnceAreRead is row 7: a call that comes in one step is lost, or leaks as text.
func TestComplaintCallsThatComeAtOnceAreRead(t *testing.T) {
	m := wild(t)
	// All of this call is forced.
	c := newChat(t, m, gemma4.ChatOptions{Calls: grammar.CallOptions{Choice: grammar.Required, Single: true}, Tools: []chat.Tool{
		tool("now", `{"type":"object","properties":{"zone":{"const":"UTC"}},"required":["zone"]}`)}})
	s := say(t, c, user("What time is it?"))
	if len(s.ToolCalls) != 1 || s.ToolCalls[0].Name != "now" || string(s.ToolCalls[0].Arguments) != `{"zone":"UTC"}` || s.Content != "" {
		t.Errorf("%+v", s.Message)
	}
	// However the text between its tokens is cut, the parser reads the same.
	const text = `call:now{zone:`
	for cuts := range 1 << len(text) {
		var p chat.Parser
		events := p.Push("<|tool_call>", true)
		from := 0
		for i := 1; i <= len(text); i++ {
			if i == len(text) || cuts>>i&1 == 1 {
				events = append(events, p.Push(text[from:i], false)...)
				from = i
			}
		}
		events = append(events, p.Push(`<|"|>`, true)...)
		events = append(events, p.Push("UTC", false)...)
		events = append(events, p.Push(`<|"|>`, true)...)
		events = append(events, p.Push("}", false)...)
		events = append(append(events, p.Push("<tool_call|>", true)...), p.Close()...)
		if len(events) != 1 || events[0].Call == nil || string(events[0].Call.Arguments) != `{"zone":"UTC"}` {
			t.Fatalf("cut at %b: %+v", cuts, events)
		}
	}
}

// TestComplaintThoughtsBehindToolsAreNoText is row 8: after what a tool returns, the thought lands in the content.
func TestComplaintThoughtsBehindToolsAreNoText(t *testing.T) {
	m := wild(t)
	shut, _ := m.Tokenizer().ID("<channel|>")
	thoughts := 0
	for seed := range *samples {
		c := newChat(t, m, gemma4.ChatOptions{Tools: []chat.Tool{weather}, Thinking: true})
		c.Messages = []chat.Message{user("How is the weather in Oslo?"), {Role: "assistant", Reasoning: "I must ask.",
			ToolCalls: []chat.Call{{ID: "1", Name: "get_weather", Arguments: []byte(`{"city":"Oslo"}`)}}}}
		c.Options.Sampling, c.Options.MaxTokens = hot(seed), 150
		s := say(t, c, chat.Message{Role: "tool", ToolCallID: "1", Content: "rainy"})
		end := slices.Index(s.ids, shut)
		if end < 0 {
			end = len(s.ids)
		}
		if s.Reasoning != "" {
			thoughts++
		}
		if want := strings.TrimSuffix(m.Tokenizer().Decode(s.ids[:end], false), "\n"); s.Reasoning != want {
			t.Errorf("seed %d: the thought is %q, want %q", seed, s.Reasoning, want)
		}
	}
	if thoughts == 0 {
		t.Error("no thoughts")
	}
}

// TestComplaintControlTokensNeverReachTheText is row 9: <|tool_call> in the content, half of the time.
func TestComplaintControlTokensNeverReachTheText(t *testing.T) {
	m := wild(t)
	for _, o := range []gemma4.ChatOptions{
		{Tools: []chat.Tool{weather, multiply}},
		{Tools: []chat.Tool{weather, multiply}, Thinking: true},
		{Tools: []chat.Tool{weather, multiply}, Calls: grammar.CallOptions{Choice: grammar.None}},
		{GenerateOptions: gemma4.GenerateOptions{Grammar: schema(t, m, `{"type":"string"}`)}},
		{Tools: []chat.Tool{weather}, GenerateOptions: gemma4.GenerateOptions{Grammar: schema(t, m, `{"type":"string"}`)}},
	} {
		c := newChat(t, m, o)
		for seed := range *samples {
			c.Messages, c.Options.Sampling, c.Options.MaxTokens = nil, hot(seed), 150
			say(t, c, user("What is 2 + 3?"))
		}
	}
}

// thinkings are chats that think in all ways, with a template that says what the prompt has of the answer.
func thinkings() map[string]gemma4.ChatOptions {
	own := func(begin string) *chat.Template {
		t, err := chat.Parse("{{ bos_token }}{% for m in messages %}<|turn>{{ m.role }}\n{{ m.content }}<turn|>\n{% endfor %}" +
			"<|turn>model\n" + begin)
		if err != nil {
			panic(err)
		}
		return t
	}
	return map[string]gemma4.ChatOptions{
		"thinking":                            {Thinking: true},
		"not thinking":                        {},
		"with the empty thought of a prompt":  {Template: chat.Builtin()},
		"thinking, with large models' format": {Template: chat.Builtin(), Thinking: true},
		"thinking as the prompt began":        {Template: own("<|channel>thought{{ '\\n' }}"), Thinking: true},
		"thinking unasked as it began":        {Template: own("<|channel>thought{{ '\\n' }}")},
		"behind a text":                       {Template: own("Sure: ")},
	}
}

// TestComplaintASchemaHoldsInEveryThinkingMode is row 11: the format is ignored without thinking, and fences come with little of it. It is
// row 16, too: a grammar that is held against the beginning of the turn that the prompt has.
func TestComplaintASchemaHoldsInEveryThinkingMode(t *testing.T) {
	m := wild(t)
	g := schema(t, m, `{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0}},
		"required":["name","age"],"additionalProperties":false}`)
	for name, o := range thinkings() {
		o.Grammar = g
		c := newChat(t, m, o)
		for seed := range *samples {
			c.Messages, c.Options.Sampling, c.Options.MaxTokens = nil, hot(seed), 120
			s := say(t, c, user("Who are you?"))
			var person struct {
				Name *string
				Age  *json.Number
			}
			d := json.NewDecoder(strings.NewReader(s.Content))
			d.DisallowUnknownFields()
			if err := d.Decode(&person); err != nil || person.Name == nil || person.Age == nil || d.More() {
				t.Errorf("%s, seed %d: %v: %q after %q", name, seed, err, s.Content, s.Reasoning)
			}
		}
	}
}

// TestComplaintThePromptsBeginningIsNoPartOfTheAnswer is row 16: a schema fails where the prompt has begun the model's turn.
func TestComplaintThePromptsBeginningIsNoPartOfTheAnswer(t *testing.T) {
	m := wild(t)
	g, err := grammar.Regexp(m.Vocabulary(), "yes|no")
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range thinkings() {
		o.Grammar, o.MaxTokens = g, 80
		o.Sampling = hot(1)
		if s := say(t, newChat(t, m, o), user("Is it?")); s.Content != "yes" && s.Content != "no" {
			t.Errorf("%s: %q", name, s.Content)
		}
	}
}

// TestComplaintNothingComesBeforeThoughtOrValue is row 12: text before the thought, which escapes the schema.
func TestComplaintNothingComesBeforeThoughtOrValue(t *testing.T) {
	m := wild(t)
	open, _ := m.Tokenizer().ID("<|channel>")
	g := schema(t, m, `{"type":"array","items":{"type":"boolean"}}`)
	for name, o := range thinkings() {
		o.Grammar = g
		c := newChat(t, m, o)
		for seed := range *samples {
			c.Messages, c.Options.Sampling, c.Options.MaxTokens = nil, hot(seed), 80
			s := say(t, c, user("Which?"))
			thinks := o.Thinking && !strings.Contains(name, "began")
			first := m.Tokenizer().Decode(s.ids[:1], true)
			if thinks != (s.ids[0] == open) || !thinks && s.Reasoning == "" && first[0] != '[' {
				t.Errorf("%s, seed %d: begins with %q", name, seed, first)
			}
		}
	}
}

// TestComplaintNothingFollowsTheValue is row 13: the thought is skipped, the JSON comes again, and white space without end.
func TestComplaintNothingFollowsTheValue(t *testing.T) {
	m := wild(t)
	for text, fits := range map[string]func(string) bool{
		`{"const":{"a":1,"b":[1,2]}}`:                     func(s string) bool { return s == `{"a": 1, "b": [1, 2]}` },
		`{"enum":["yes","no"]}`:                           func(s string) bool { return s == `"yes"` || s == `"no"` },
		`{"type":"array","items":{"enum":[true,null,1]}}`: regexp.MustCompile(`^\[((true|null|1)(, (true|null|1))*)?\]$`).MatchString,
	} {
		for _, thinking := range []bool{false, true} {
			c := newChat(t, m, gemma4.ChatOptions{Thinking: thinking, GenerateOptions: gemma4.GenerateOptions{Grammar: schema(t, m, text)}})
			thoughts := 0
			for seed := range *samples {
				c.Messages, c.Options.Sampling, c.Options.MaxTokens = nil, hot(seed), 80
				s := say(t, c, user("Which?"))
				if !fits(s.Content) {
					t.Errorf("%s, seed %d: %q", text, seed, s.Content)
				}
				if s.Reasoning != "" {
					thoughts++
				}
			}
			if thinking != (thoughts > 0) {
				t.Errorf("%s: %d thoughts, thinking %v", text, thoughts, thinking)
			}
		}
	}
}

// TestComplaintWhatCannotBeEnforcedIsRefused is row 14: a grammar that fails leaves the answer free.
func TestComplaintWhatCannotBeEnforcedIsRefused(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	strict := tool("f", `{"type":"object","properties":{"x":{"not":{"multipleOf":3}}}}`)
	strict.Strict = true
	c := newChat(t, m, gemma4.ChatOptions{})
	for _, tools := range [][]chat.Tool{{strict}, {weather, strict}} {
		c.Options.Tools = tools
		if _, err := c.Answer(ctx, "What is 2 + 3?"); err == nil || !strings.Contains(err.Error(), `tool "f": not at #/properties/x`) ||
			len(c.Messages) > 0 || c.Session().Len() > 0 {
			t.Errorf("%v; %d messages, %d positions", err, len(c.Messages), c.Session().Len())
		}
		if _, err := m.NewChat(c.Options); err == nil {
			t.Error("a chat with it begins")
		}
	}
	for text, want := range map[string]string{
		`{"properties":{"a":{"type":"array","contains":{}}}}`: "contains at #/properties/a",
		`{"$ref":"https://example.org/other"}`:                "$ref at #",
		`{"type":"string","pattern":"(a)\\1"}`:                "pattern at #",
		`{"type":`:                                            "byte 8",
	} {
		if g, err := grammar.Schema(m.Vocabulary(), []byte(text), grammar.SchemaOptions{}); err == nil || g != nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// TestComplaintLargeBoundsAndManyToolsCompile is row 15: maxLength of 2000, 58 tools and empty objects are too much.
func TestComplaintLargeBoundsAndManyToolsCompile(t *testing.T) {
	m := wild(t)
	var tools []chat.Tool
	size := 0
	for i := range 100 {
		var properties []string
		for j := range 30 {
			properties = append(properties, fmt.Sprintf(`"property_%d":{"type":["string","null"],"maxLength":1000000,"description":"%s"}`,
				j, strings.Repeat("what it is, at length ", 5)))
		}
		text := `{"type":"object","properties":{"empty":{"type":"object","properties":{}},"any":{},"free":{"type":"object"},` +
			strings.Join(properties, ",") + `},"required":["empty"]}`
		size += len(text)
		tools = append(tools, tool(fmt.Sprintf("tool_%d", i), text))
	}
	if size < 500_000 {
		t.Fatalf("%d bytes", size)
	}
	template, err := chat.Parse("{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}<|turn>model\n") // which leaves tools out
	if err != nil {
		t.Fatal(err)
	}
	m.Vocabulary()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	c := newChat(t, m, gemma4.ChatOptions{Tools: tools, Template: template, Calls: grammar.CallOptions{Choice: grammar.Required}})
	if d := time.Since(began); d > time.Minute { // a tenth of a second on a machine that does nothing else
		t.Errorf("100 tools with %d bytes of schemas took %v", size, d)
	}
	c.Options.Sampling, c.Options.MaxTokens = hot(1), 200
	if s := say(t, c, user("Call one.")); len(s.ToolCalls) == 0 {
		t.Errorf("%+v", s)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := int64(after.HeapAlloc) - int64(before.HeapAlloc); n > 100<<20 {
		t.Errorf("%d bytes are in use", n)
	}
}
