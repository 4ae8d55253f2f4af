package chat

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/internal/testdata"
)

func TestBuiltinAgreesWithThePublishedTemplate(t *testing.T) {
	tpl := published(t)
	n, failed := 3000, 0
	if testing.Short() {
		n = 300
	}
	for seed := range uint64(n) {
		c := newRandom(seed).conversation()
		want, wantErr := tpl.Render(context.Background(), c, []string{"<|turn>"})
		got, err := Builtin().Render(context.Background(), c, []string{"<|turn>"})
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("seed %d: %v, want %v", seed, err, wantErr)
		}
		if err != nil {
			failed++
			continue
		}
		if got.Text != want.Text || !slices.Equal(got.Literal, want.Literal) {
			t.Fatalf("seed %d:\n got %q %v\nwant %q %v", seed, got.Text, got.Literal, want.Text, want.Literal)
		}
	}
	if failed > n/10 {
		t.Errorf("%d of %d conversations could not be rendered", failed, n)
	}
}

// What both renderers make of odd schemas is the published template's own.
func TestBuiltinRendersOddSchemas(t *testing.T) {
	tests := []struct{ name, parameters, response, want string }{
		{"nothing", ``, ``, `declaration:f{description:<|"|><|"|>}`},
		{"empty", `{}`, ``, `declaration:f{description:<|"|><|"|>}`},
		{"no type", `{"title": "x"}`, ``, `,parameters:{}<tool|>`}, // the brace of the schema is missing
		{"no properties", `{"type": "object", "properties": {}}`, ``, `,parameters:{type:<|"|>OBJECT<|"|>}}`},
		{"keys in order", `{"type": "object", "properties": {"b": {}, "A": {}, "a": {}}}`, ``,
			`properties:{A:{type:<|"|><|"|>},a:{type:<|"|><|"|>},b:{type:<|"|><|"|>}},`},
		{"names of schema keys", `{"type": "object", "properties": {"type": {}, "title": {}}}`, ``,
			`properties:{title:{type:<|"|><|"|>}},`},
		{"two types", `{"type": "object", "properties": {"a": {"type": ["string", "null"]}}}`, ``,
			`a:{type:<|"|>['STRING', 'NULL']<|"|>}`},
		{"types of items", `{"type": "object", "properties": {"a": {"type": "array", "items": {"type": ["string", "null"]}}}}`, ``,
			`a:{items:{type:[<|"|>STRING<|"|>,<|"|>NULL<|"|>]},type:<|"|>ARRAY<|"|>}`},
		{"items of objects", `{"properties": {"a": {"type": "array", "items": {"type": "object", "default": {"k": [1, null]},
			"properties": {"b": {"type": "integer"}}, "required": ["b"]}}}}`, ``,
			`a:{items:{default:{<|"|>k<|"|>:[1,None]},properties:{b:{type:<|"|>INTEGER<|"|>}},required:[<|"|>b<|"|>],` +
				`type:<|"|>OBJECT<|"|>},type:<|"|>ARRAY<|"|>}`},
		{"object without properties", `{"properties": {"a": {"type": "object", "title": {"type": "string", "enum": ["x"]}}}}`, ``,
			`a:{properties:{title:{enum:[<|"|>x<|"|>],type:<|"|>STRING<|"|>}},type:<|"|>OBJECT<|"|>}`},
		{"response", `{"type": "object"}`, `{"type": "object", "description": "d"}`,
			`,response:{description:<|"|>d<|"|>,type:<|"|>OBJECT<|"|>}}`},
		{"response of another type", `{"type": "object"}`, `{"type": "string"}`, `,response:{}<tool|>`},
		{"a number as enum", `{"properties": {"a": {"type": "string", "enum": 5, "nullable": 1}}}`, ``,
			`a:{enum:5,nullable:true,type:<|"|>STRING<|"|>}`},
		{"text as required", `{"required": "ab", "type": "object"}`, ``, `required:[<|"|>a<|"|>,<|"|>b<|"|>],`},
	}
	for _, test := range tests {
		c := Conversation{
			Messages: []Message{{Role: "user", Content: "x"}},
			Tools:    []Tool{{Name: "f", Parameters: json.RawMessage(test.parameters), Response: json.RawMessage(test.response)}},
		}
		if got := render(t, Builtin(), c, nil).Text; !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want one with %q", test.name, got, test.want)
		}
	}
	for _, parameters := range []string{`{"properties": [1]}`, `{"required": 1}`} {
		c := Conversation{
			Messages: []Message{{Role: "user", Content: "x"}}, Tools: []Tool{{Name: "f", Parameters: json.RawMessage(parameters)}},
		}
		if _, err := Builtin().Render(context.Background(), c, nil); err == nil {
			t.Errorf("%s: no error", parameters)
		}
	}
}

func TestBuiltinResolvesTheNameOfACall(t *testing.T) {
	answer := func(calls []Call, m Message) string {
		m.Role, m.Content = "tool", "ok"
		c := Conversation{Messages: []Message{{Role: "user"}, {Role: "assistant", ToolCalls: calls}, m}}
		text := render(t, Builtin(), c, nil).Text
		_, rest, _ := strings.Cut(text, "response:")
		name, _, _ := strings.Cut(rest, "{")
		return name
	}
	two := []Call{{ID: "1", Name: "f"}, {ID: "2", Name: "g"}}
	tests := []struct {
		calls []Call
		m     Message
		want  string
	}{
		{two, Message{ToolCallID: "1"}, "f"},
		{two, Message{ToolCallID: "2"}, "g"},
		{two, Message{ToolCallID: "1", Name: "h"}, "f"},
		{two, Message{Name: "h"}, "h"},
		{[]Call{{Name: "f"}}, Message{}, "f"},
		{[]Call{{Name: "f"}, {Name: "g"}}, Message{}, "g"},
		{[]Call{{ID: "1", Name: "f"}, {ID: "1", Name: "g"}}, Message{ToolCallID: "1"}, "g"},
	}
	for _, test := range tests {
		if got := answer(test.calls, test.m); got != test.want {
			t.Errorf("%+v: %q, want %q", test.m, got, test.want)
		}
	}
}

func TestSystemPartsAreJoined(t *testing.T) {
	c := Conversation{Messages: []Message{
		{Role: "system", Parts: []Part{{Type: "text", Text: " a "}, {Type: "text", Text: "b\n"}}}, {Role: "user", Content: "x"},
	}}
	if got := render(t, Builtin(), c, nil).Text; !strings.HasPrefix(got, "<bos><|turn>system\nab<turn|>\n") {
		t.Errorf("%q", got)
	}
}

// question is a conversation of the embedded model's, whose file has no template.
type question struct {
	Conversation
	Prompt, Answer string
}

func (q *question) UnmarshalJSON(data []byte) error {
	var texts struct{ Prompt, Answer string }
	if err := json.Unmarshal(data, &texts); err != nil {
		return err
	}
	q.Prompt, q.Answer = texts.Prompt, texts.Answer
	return json.Unmarshal(data, &q.Conversation)
}

func TestNanoQuestions(t *testing.T) {
	data, err := os.ReadFile(testdata.Shared(t, "nano", "questions.json"))
	if err != nil {
		t.Fatal(err)
	}
	var questions []question
	if err := json.Unmarshal(data, &questions); err != nil {
		t.Fatal(err)
	}
	calls, thoughts := 0, 0
	for i, q := range questions {
		if got := render(t, Builtin(), q.Conversation, nil).Text; got != q.Prompt {
			t.Errorf("question %d:\n got %q\nwant %q", i, got, q.Prompt)
		}
		m := Answer(ParseText(q.Answer, nil))
		calls += len(m.ToolCalls)
		if m.Reasoning != "" {
			thoughts++
		}
		if strings.Contains(m.Content+m.Reasoning, "<") {
			t.Errorf("question %d: markup in %+v", i, m)
		}
	}
	if calls == 0 || thoughts == 0 {
		t.Errorf("%d calls, %d thoughts", calls, thoughts)
	}
}
