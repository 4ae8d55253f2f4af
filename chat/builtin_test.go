package chat

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// What becomes of odd schemas is the published template's own.
func TestBuiltinRendersOddSchemas(t *testing.T) {
	tests := []struct{ name, parameters, response, want string }{
		{"nothing", ``, ``, `declaration:f{description:<|"|><|"|>}`},
		{"empty", `{}`, ``, `declaration:f{description:<|"|><|"|>}`},
		{"no type", `{"title": "x"}`, ``, `,parameters:{}<tool|>`}, // the brace of the schema is missing
		{"no properties", `{"type": "object", "properties": {}}`, ``, `,parameters:{type:<|"|>OBJECT<|"|>}}`},
		{"keys in order", `{"type": "object", "properties": {"b": {}, "A": {}, "a": {}}}`, ``,
			`properties:{A:{type:<|"|><|"|>},a:{type:<|"|><|"|>},b:{type:<|"|><|"|>}},`},
		{"names of schema keys", `{"type": "object", "properties": {"type": {}, "title": {}}}`, ``,
			`properties:{title:{type:<|"|><|"|>},type:{type:<|"|><|"|>}},`},
		{"two types", `{"type": "object", "properties": {"a": {"type": ["string", "null"]}}}`, ``,
			`a:{type:<|"|>['STRING', 'NULL']<|"|>}`},
		{"types of items", `{"type": "object", "properties": {"a": {"type": "array", "items": {"type": ["string", "null"]}}}}`, ``,
			`a:{items:{type:[<|"|>STRING<|"|>,<|"|>NULL<|"|>]},type:<|"|>ARRAY<|"|>}`},
		{"items of objects", `{"properties": {"a": {"type": "array", "items": {"type": "object", "default": {"k": [1, null]},
			"properties": {"b": {"type": "integer"}}, "required": ["b"]}}}}`, ``,
			`a:{items:{default:{<|"|>k<|"|>:[1,null]},properties:{b:{type:<|"|>INTEGER<|"|>}},required:[<|"|>b<|"|>],` +
				`type:<|"|>OBJECT<|"|>},type:<|"|>ARRAY<|"|>}`},
		{"items of no schema", `{"properties": {"a": {"type": "array", "items": {}}}}`, ``, `a:{type:<|"|>ARRAY<|"|>}`},
		{"items with null", `{"properties": {"a": {"type": "array", "items": {"default": null, "type": "string"}}}}`, ``,
			`a:{items:{type:<|"|>STRING<|"|>},type:<|"|>ARRAY<|"|>}`},
		{"numbers that are nothing", `{"properties": {"a": {"nullable": 0.0, "description": 0, "enum": -0e7}}}`, ``, `a:{type:<|"|><|"|>}`},
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

// Keys that differ in capitals alone stay in their order, however many there are.
func TestBuiltinSortsKeysLikeATemplate(t *testing.T) {
	var arguments []string
	for i := range 40 {
		key := []byte("abcdef")
		for bit := range key {
			if i*7>>bit&1 == 1 {
				key[bit] -= 'a' - 'A'
			}
		}
		arguments = append(arguments, quoted(string(key))+":1")
	}
	c := Conversation{Messages: []Message{
		{Role: "user", Content: "x"},
		{Role: "assistant", ToolCalls: []Call{{Name: "f",
			Arguments: json.RawMessage("{" + strings.Join(arguments, ",") + `,"ab":2,"AZ":3,"É":4,"e\u0301":5}`)}}},
	}}
	if difference := differs(BuiltinEdge(), oracle(t), c, c); difference != "" {
		t.Error(difference)
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
	data, err := os.ReadFile("../nano/testdata/questions.json")
	if err != nil {
		t.Fatal(err)
	}
	var questions []question
	if err := json.Unmarshal(data, &questions); err != nil {
		t.Fatal(err)
	}
	calls, thoughts := 0, 0
	for i, q := range questions {
		// The prompts are older than the revision without the empty thought.
		want := strings.TrimSuffix(q.Prompt, "<|channel>thought\n<channel|>")
		if got := render(t, BuiltinEdge(), q.Conversation, nil).Text; got != want {
			t.Errorf("question %d:\n got %q\nwant %q", i, got, want)
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
