package chat

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// responsesIn returns what a prompt holds of responses of tools.
func responsesIn(text string) string {
	return strings.Join(regexp.MustCompile(`response:[^<]*(?:<\|"\|>[^<]*)*`).FindAllString(text, -1), " ")
}

// asToolResponses returns messages of role tool as tool_responses, which have neither ids nor parts: nil where the messages have.
func asToolResponses(t *testing.T, messages []Message) (all []ToolResponse) {
	t.Helper()
	for _, m := range messages {
		if m.ToolCallID != "" || len(m.Parts) > 0 {
			return nil
		}
		r, err := m.response(true)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ToolResponse{Name: m.Name, Response: r})
	}
	return all
}

// Every way to send a response finds the call that it answers, in every format that templates know.
func TestResponsesAreAttachedToTheirCalls(t *testing.T) {
	two := `{"id":"1","function":{"name":"f","arguments":{}}},{"id":"2","function":{"name":"g","arguments":{}}}`
	none := `{"function":{"name":"f","arguments":{}}},{"function":{"name":"g","arguments":{}}}`
	same := `{"id":"1","function":{"name":"w","arguments":{"city":"Oslo"}}},{"id":"2","function":{"name":"w","arguments":{"city":"Rome"}}}`
	text := func(name, s string) string { return "response:" + name + `{value:<|"|>` + s + `<|"|>}` }
	for _, test := range []struct{ name, calls, answers, want string }{
		{"by id", two, `{"role":"tool","tool_call_id":"2","content":"x"}`, text("g", "x")},
		{"by id, of another name", two, `{"role":"tool","tool_call_id":"1","name":"h","content":"x"}`, text("f", "x")},
		{"by order", two, `{"role":"tool","content":"x"},{"role":"tool","content":"y"}`, text("f", "x") + " " + text("g", "y")},
		{"by name", two, `{"role":"tool","name":"g","content":"x"}`, text("g", "x")},
		{"by order, of no call's name", two, `{"role":"tool","name":"h","content":"x"}`, text("f", "x")},
		{"by order beside an id", two, `{"role":"tool","tool_call_id":"1","content":"x"},{"role":"tool","content":"y"}`,
			text("f", "x") + " " + text("g", "y")},
		{"by order before an id", two, `{"role":"tool","content":"x"},{"role":"tool","tool_call_id":"1","content":"y"}`,
			text("g", "x") + " " + text("f", "y")},
		{"calls without ids", none, `{"role":"tool","content":"x"},{"role":"tool","content":"y"}`, text("f", "x") + " " + text("g", "y")},
		{"ids that the calls have not", none, `{"role":"tool","tool_call_id":"9","content":"x"}`, text("f", "x")},
		{"one id for two calls", strings.ReplaceAll(two, `"2"`, `"1"`),
			`{"role":"tool","tool_call_id":"1","content":"x"},{"role":"tool","tool_call_id":"1","content":"y"}`,
			text("f", "x") + " " + text("g", "y")},
		{"one function in another order", same, `{"role":"tool","tool_call_id":"2","content":"Rome"},` +
			`{"role":"tool","tool_call_id":"1","content":"Oslo"}`,
			text("w", "Oslo") + " " + text("w", "Rome")},
		{"by name before an id", same, `{"role":"tool","name":"w","content":"Rome"},{"role":"tool","tool_call_id":"1","content":"Oslo"}`,
			text("w", "Oslo") + " " + text("w", "Rome")},
		{"one function twice and another", same + `,{"id":"3","function":{"name":"f","arguments":{}}}`,
			`{"role":"tool","tool_call_id":"2","content":"Rome"},{"role":"tool","tool_call_id":"3","content":"x"},` +
				`{"role":"tool","tool_call_id":"1","content":"Oslo"}`,
			text("w", "Oslo") + " " + text("f", "x") + " " + text("w", "Rome")},
		{"more answers than calls", two,
			`{"role":"tool","content":"x"},{"role":"tool","content":"y"},{"role":"tool","name":"h","content":"z"}`,
			text("f", "x") + " " + text("g", "y") + " " + text("h", "z")},
		{"an object", two, `{"role":"tool","tool_call_id":"2","content":{"b":[1,null],"a":"x"}}`, `response:g{a:<|"|>x<|"|>,b:[1,null]}`},
		{"a number", two, `{"role":"tool","tool_call_id":"2","content":2.50}`, `response:g{value:2.50}`},
		{"a list", two, `{"role":"tool","tool_call_id":"2","content":[1,{"type":"x"}]}`, `response:g{value:[1,{type:<|"|>x<|"|>}]}`},
		{"an object beside text", two, `{"role":"tool","tool_call_id":"2","content":{"a":1}},` +
			`{"role":"tool","content":[{"type":"text","text":"x"}]}`,
			`response:g{a:1} ` + text("f", "x")},
	} {
		for name, tpl := range map[string]*Template{
			"built-in": Builtin(), "first": revision(t, "first"), "published": published(t), "july-large": revision(t, "july-large"),
		} {
			source := `{"messages":[{"role":"user","content":"?"},{"role":"assistant","tool_calls":[` + test.calls + `]},` + test.answers +
				`]}`
			var c Conversation
			if err := json.Unmarshal([]byte(source), &c); err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
			want := test.want
			if name == "first" && test.name == "an object beside text" {
				want = strings.ReplaceAll(want, `value:<|"|>x<|"|>`, `value:[{text:<|"|>x<|"|>,type:<|"|>text<|"|>}]`) // as recorded
			}
			if name == "published" {
				want = strings.ReplaceAll(want, "null", "None")
			}
			if name == "first" {
				want = strings.ReplaceAll(want, "null", "None")
			}
			if got := responsesIn(render(t, tpl, c, nil).Text); got != want {
				t.Errorf("%s, %s:\n got %s\nwant %s", test.name, name, got, want)
			}
			// The same as tool_responses of the message that calls.
			with := asToolResponses(t, c.Messages[2:])
			if with != nil {
				c.Messages = slices.Clone(c.Messages[:2])
				c.Messages[1].ToolResponses = with
				if got := responsesIn(render(t, tpl, c, nil).Text); got != want {
					t.Errorf("%s as tool_responses, %s:\n got %s\nwant %s", test.name, name, got, want)
				}
			}
		}
	}
}

// The content of a message that holds the answers follows them, in every revision, and is not taken for what the next one says.
func TestContentFollowsToolResponses(t *testing.T) {
	c := Conversation{Messages: []Message{
		{Role: "user", Content: "?"},
		{Role: "assistant", ToolCalls: []Call{{Name: "f"}}, ToolResponses: []ToolResponse{{Response: []byte(`1`)}}, Content: "It is 1."},
		{Role: "assistant", Content: "More."},
	}}
	for _, name := range []string{"first", "july-large", "unsloth-edge"} {
		_, got, _ := strings.Cut(render(t, revision(t, name), c, nil).Text, responseClose)
		if !strings.HasPrefix(got, "It is 1.") || !strings.Contains(got, "More.") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A template that knows neither role nor list gets text.
func TestResponsesReachOtherTemplatesAsText(t *testing.T) {
	tpl, err := Parse("{% for m in messages %}{{ m.role }}:{{ m.name }}:{{ m.content }} {% endfor %}")
	if err != nil {
		t.Fatal(err)
	}
	c := Conversation{Messages: []Message{{Role: "assistant", ToolCalls: []Call{{Name: "f"}, {Name: "g"}},
		ToolResponses: []ToolResponse{{Name: "g", Response: []byte(`{"a": 1}`)}, {Response: []byte(`"x"`)}}}}}
	if got := render(t, tpl, c, nil).Text; got != `assistant:: tool:g:{"a": 1} tool:f:x ` {
		t.Errorf("%q", got)
	}
}

// The parts of a message reach the template as parts, a system's too unless the template takes its content for a string.
func TestPartsReachTheTemplateAsParts(t *testing.T) {
	parts := []Part{{Type: "text", Text: " a "}, {Type: "text", Text: "b\n"}}
	c := Conversation{Messages: []Message{{Role: "system", Parts: parts}, {Role: "user", Parts: parts}}}
	for _, test := range [][2]string{
		{"{% for m in messages %}{% for p in m.content %}[{{ p.text }}]{% endfor %}{% endfor %}", "[ a ][b\n][ a ][b\n]"},
		{"{{ messages[0].content | trim }}{{ messages[1].content | length }}", "ab2"},
		{"{{ messages[0]['content'] is string }}{{ messages[0].content | length }}", "False2"},
		{"{% if messages[0].content is string %}{{ messages[0]['content'] }}{% else %}{{ messages[0].content[1].text }}{% endif %}", "b\n"},
	} {
		source, want := test[0], test[1]
		tpl, err := Parse(source)
		if err != nil {
			t.Fatal(err)
		}
		if got := render(t, tpl, c, nil).Text; got != want {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
	for want, tpl := range map[string]*Template{
		"<bos><|turn>system\na b <turn|>": Builtin(), "<bos><|turn>system\nab<turn|>": published(t),
	} {
		if got := render(t, tpl, c, nil).Text; !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestPartsSurviveJSON(t *testing.T) {
	for _, part := range []string{
		`{"type":"text","text":""}`, `{"type":"text","text":"a<b"}`,
		`{"type":"image"}`, `{"type":"audio"}`, `{"type":"video"}`,
		`{"type":"image_url","image_url":{"url":"https://example.com/a.png?b=1&c=2"}}`,
		`{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo=","detail":"high"}}`,
		`{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}}`,
		`{"type":"audio_url","audio_url":{"url":"x"}}`, `{"type":"video_url","video_url":{"url":"y"}}`,
	} {
		want := `{"role":"user","content":[` + part + `]}`
		var m Message
		if err := json.Unmarshal([]byte(want), &m); err != nil {
			t.Errorf("%s: %v", part, err)
			continue
		}
		got, err := marshal(m)
		if err != nil || string(got) != want {
			t.Errorf("%s %v, want %s", got, err, want)
		}
		c := Conversation{Messages: []Message{m}}
		render(t, Builtin(), c, nil)
	}
	var p Part
	if err := json.Unmarshal([]byte(`{"type":"image_url","image_url":"u"}`), &p); err != nil || p.URL != "u" {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []string{`{"type":"image_url"}`, `{"type":"input_audio"}`, `{"type":"input_audio","input_audio":{"data":"?"}}`} {
		if err := json.Unmarshal([]byte(bad), &p); err == nil {
			t.Errorf("%s: %+v", bad, p)
		}
	}
}

func TestVariablesReachTheTemplate(t *testing.T) {
	tpl, err := Parse("{{ bos_token }}{{ a.b[0] }}{{ s }}{{ messages | length }}")
	if err != nil {
		t.Fatal(err)
	}
	c := Conversation{Messages: []Message{{Role: "user"}},
		Variables: map[string]any{"a": map[string]any{"b": []int{7}}, "s": "<|turn>"}}
	if p := render(t, tpl, c, gemmaMarkup); p.Text != "<bos>7<|turn>1" || !slices.Equal(p.Literal, []int{6}) {
		t.Errorf("%+v", p)
	}
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var again Conversation
	if err := json.Unmarshal(data, &again); err != nil || render(t, tpl, again, nil).Text != "<bos>7<|turn>1" {
		t.Errorf("%s: %+v, %v", data, again, err)
	}
	err = json.Unmarshal([]byte(`{"messages":[],"chat_template_kwargs":{"enable_thinking":true}}`), &again)
	if err != nil || !again.Thinking {
		t.Errorf("%+v, %v", again, err)
	}
	for _, v := range []map[string]any{{"messages": 1}, {"bos_token": ""}, {"x": func() {}}} {
		c.Variables = v
		if _, err := tpl.Render(t.Context(), c, nil); err == nil {
			t.Errorf("%v: no error", v)
		}
	}
}

// A request may hold as many calls and answers as its size allows.
func TestManyResponsesTakeLinearTime(t *testing.T) {
	const n = 50000
	m := Message{Role: "assistant"}
	messages := []Message{{Role: "user"}, m}
	for i := range n {
		messages[1].ToolCalls = append(messages[1].ToolCalls, Call{ID: fmt.Sprint(i % (n / 2)), Name: "f"})
		messages = append(messages, Message{Role: "tool", ToolCallID: fmt.Sprint((n - i) % (n / 2))})
	}
	began := time.Now()
	if _, err := attach(messages); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("took %v", took)
	}
}
