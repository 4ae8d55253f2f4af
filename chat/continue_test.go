package chat_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/chat"
)

// TestABegunAnswerStandsBehindTheOpening looks at what templates of both kinds leave open, and how an answer goes on with that.
func TestABegunAnswerStandsBehindTheOpening(t *testing.T) {
	const turn, empty = "<turn|>\n<|turn>model\n", "<|channel>thought\n<channel|>"
	asked := []chat.Message{{Role: "user", Content: "Hi"}}
	called := append(asked[:1:1], chat.Message{Role: "assistant", ToolCalls: []chat.Call{{Name: "f"}}},
		chat.Message{Role: "tool", Content: "1"})
	const answered = "response:f{value:<|\"|>1<|\"|>}<tool_response|>"
	for _, c := range []struct {
		name           string
		template       *chat.Template
		thinking       bool
		before         []chat.Message
		thought, text  string
		opening, begun string
	}{
		{"edge", chat.BuiltinEdge(), false, asked, "", "Well, ", turn, "Well, "},
		{"edge, thinking", chat.BuiltinEdge(), true, asked, "", "Well", turn, "Well"},
		{"edge, in the thought", chat.BuiltinEdge(), true, asked, "Hm\n", "", turn, "<|channel>thought\nHm\n"},
		{"edge, behind the thought", chat.BuiltinEdge(), true, asked, "Hm", "Well", turn, "<|channel>thought\nHm\n<channel|>Well"},
		{"large", chat.Builtin(), false, asked, "", "\nWell", turn + empty, "\nWell"},
		{"large, thinking", chat.Builtin(), true, asked, "", "Well", turn, "Well"},
		{"large, a thought though it does not think", chat.Builtin(), false, asked, "Hm", "", turn + "<|channel>thought\n", "Hm"},
		{"large, behind that", chat.Builtin(), false, asked, "Hm", "Well", turn + "<|channel>thought\n", "Hm\n<channel|>Well"},
		{"nothing", chat.Builtin(), false, asked, "", "", turn + empty, ""},
		{"behind a response", chat.BuiltinEdge(), false, called, "", "Well", answered, "Well"},
		{"behind a response, in the thought", chat.Builtin(), true, called, "Hm", "", answered + "<|channel>thought\n", "Hm"},
		{"behind a response, without the thought", chat.Builtin(), true, called, "", "Well", answered + "<|channel>thought\n",
			"<channel|>Well"},
	} {
		for _, parts := range []bool{false, true} {
			m := chat.Message{Role: "assistant", Reasoning: c.thought, Content: c.text}
			if parts {
				m.Content, m.Parts = "", []chat.Part{{Type: "text", Text: c.text}}
			}
			p, err := c.template.Render(context.Background(), chat.Conversation{Messages: append(c.before[:len(c.before):len(c.before)], m),
				Thinking: c.thinking, Continue: true, NoGenerationPrompt: parts}, chat.Markup())
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			if !strings.HasSuffix(p.Text[:p.Answer], c.opening) || p.Text[p.Answer:] != c.begun {
				t.Errorf("%s: %q and then %q, expected %q and %q", c.name, p.Text[:p.Answer], p.Text[p.Answer:], c.opening, c.begun)
			}
		}
	}
}

func TestTextOfABegunAnswerIsNoMarkup(t *testing.T) {
	c := chat.Conversation{Continue: true, Messages: []chat.Message{{Role: "user", Content: "Hi"},
		{Role: "assistant", Reasoning: "<channel|>", Content: "<turn|>"}}}
	p, err := chat.BuiltinEdge().Render(context.Background(), c, chat.Markup())
	if err != nil {
		t.Fatal(err)
	}
	if want := "<|channel>thought\n<channel|>\n<channel|><turn|>"; p.Text[p.Answer:] != want {
		t.Errorf("%q, expected %q", p.Text[p.Answer:], want)
	}
	thought := p.Answer + len("<|channel>thought\n")
	for _, at := range []int{thought, thought + len("<channel|>\n<channel|>")} {
		if !slices.Contains(p.Literal, at) {
			t.Errorf("offset %d is not among the literal ones %v", at, p.Literal)
		}
	}
	// A question that ends like an opening is none.
	plain, err := chat.Parse("{{ messages[0].content }}")
	if err != nil {
		t.Fatal(err)
	}
	c.Messages = []chat.Message{{Role: "user", Content: "<|channel>thought\n"}, {Role: "assistant", Content: "A"}}
	if p, err = plain.Render(context.Background(), c, chat.Markup()); err != nil || p.Text != "<|channel>thought\nA" {
		t.Errorf("%q, %v", p.Text, err)
	}
}

func TestOnlyTextAndThoughtsOfTheModelCanBeContinued(t *testing.T) {
	hi := chat.Message{Role: "user", Content: "Hi"}
	for _, c := range []struct {
		messages []chat.Message
		want     string
	}{
		{[]chat.Message{hi}, "message 0: role user, expected role assistant"},
		{[]chat.Message{hi, {Role: "assistant", ToolCalls: []chat.Call{{Name: "f"}}}}, "message 1: tool_calls in the last message"},
		{[]chat.Message{hi, {Role: "model",
			Parts: []chat.Part{{Type: "image", URL: "https://example.com/a.png"}}}}, "message 1: part 0: type image in the last message"},
		{[]chat.Message{{Role: "assistant", Content: "A"}}, "no message before the answer to continue"},
		{nil, "no messages"},
	} {
		_, err := chat.Builtin().Render(context.Background(), chat.Conversation{Messages: c.messages, Continue: true}, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, expected %q", err, c.want)
		}
	}
}

func TestJSONSaysWhetherTheLastMessageGoesOn(t *testing.T) {
	var c chat.Conversation
	data := `{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"We"}],"continue_final_message":true}`
	if err := c.UnmarshalJSON([]byte(data)); err != nil || !c.Continue {
		t.Fatalf("%+v, %v", c, err)
	}
	if b, err := c.MarshalJSON(); err != nil || string(b) != data {
		t.Errorf("%s, %v, expected %s", b, err, data)
	}
}

func TestAThoughtThatGoesOnRepeatsNoLineBreak(t *testing.T) {
	var p chat.Parser
	p.Prompt("<|channel>", true)
	p.Prompt("thought\nfirst\n", false)
	events := append(p.Push("second", false), p.Push("<channel|>", true)...)
	if m := chat.Answer(append(events, p.Close()...)); m.Reasoning != "second" {
		t.Errorf("%q, expected %q", m.Reasoning, "second")
	}
}
