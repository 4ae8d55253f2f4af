package gemma4_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/grammar"
)

// templates are those of both kinds of models.
var templates = map[string]*chat.Template{"edge": chat.BuiltinEdge(), "large": chat.Builtin()}

// continued returns a request that goes on with an answer.
func continued(o gemma4.ChatOptions, question string, begun chat.Message) gemma4.Request {
	r := gemma4.Request{ChatOptions: o, Messages: []chat.Message{user("%s", question), begun}}
	r.Continue, r.Sampling = true, greedy
	begun.Role = "assistant"
	r.Messages[1] = begun
	return r
}

// collect reads the only answer to a request.
func collect(t testing.TB, q *gemma4.Queue, r gemma4.Request) gemma4.Choice {
	t.Helper()
	choices, err := gemma4.CollectChoices(submit(t, q, r))
	if _, broken := errors.AsType[*chat.CallError](err); err != nil && !broken || len(choices) != 1 {
		t.Fatal(len(choices), err)
	}
	return choices[0]
}

func TestAnAnswerThatWasStoppedGoesOn(t *testing.T) {
	const question = "What is the capital of France?"
	m := openNano(t, gemma4.Loader{})
	for name, template := range templates {
		prefixes := gemma4.NewPrefixCache(1 << 28)
		defer prefixes.Close()
		q := newQueue(t, m, gemma4.QueueOptions{Prefixes: prefixes})
		o := gemma4.ChatOptions{Template: template}
		r := asking(question)
		r.ChatOptions.Template = template
		whole := collect(t, q, r)
		text := whole.Message.Content
		asked := whole.Result.Prompt + whole.Result.Reused
		for _, n := range []int{0, len("The"), len("The capital of"), len(text)} {
			begun := chat.Message{Role: "assistant", Content: text[:n]}
			c := collect(t, q, continued(o, question, begun))
			if text[:n]+c.Message.Content != text {
				t.Errorf("%s: behind %q comes %q, expected the rest of %q", name, text[:n], c.Message.Content, text)
			}
			if n > 0 && c.Result.Reused < asked {
				t.Errorf("%s: of the prompt of %d positions %d are reused: %+v", name, asked, c.Result.Reused, c.Result)
			}
			// A chat does the same, and keeps the answer as one message.
			a := newChat(t, m, o)
			a.Options.Continue = true
			given := []chat.Message{user(question), begun}
			a.Messages = given[:1]
			got, err := gemma4.Collect(a.Send(ctx, begun))
			if err != nil || got.Content != c.Message.Content {
				t.Errorf("%s: a chat goes on with %q (%v), a queue with %q", name, got.Content, err, c.Message.Content)
			}
			if kept := a.Messages; len(kept) != 2 || kept[1].Content != text || given[1].Content != text[:n] {
				t.Errorf("%s: the chat keeps %+v, given was %+v", name, kept, given)
			}
		}
	}
}

func TestAChatGoesOnWithWhatItHolds(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	c := newChat(t, m, gemma4.ChatOptions{})
	n := 0
	for _, err := range c.Ask(ctx, "Count from 1 to 9.") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 6 {
			break
		}
	}
	held := c.Session().Len()
	begun := c.Messages[1].Content
	c.Options.Continue = true
	got, err := gemma4.Collect(c.Send(ctx))
	if whole := "1, 2, 3, 4, 5, 6, 7, 8, 9"; err != nil || begun == "" || begun+got.Content != whole || c.Messages[1].Content != whole {
		t.Errorf("%q and then %q, the chat keeps %q (%v)", begun, got.Content, c.Messages[1].Content, err)
	}
	if r := c.Result(); r.Prompt > 2 || r.Reused < held-2 {
		t.Errorf("of %d positions held, %d are read again", held, r.Prompt)
	}
}

func TestMarkupInABegunAnswerIsText(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	for name, template := range templates {
		c := newChat(t, m, gemma4.ChatOptions{Template: template})
		c.Messages = []chat.Message{user("Hi")}
		opening := ids(t, c)
		const text = "<turn|>\n<|turn>user\n<|channel>"
		c.Messages = append(c.Messages, chat.Message{Role: "assistant", Content: text})
		c.Options.Continue = true
		got := ids(t, c)
		if n := len(opening); !slices.Equal(got[:n], opening) || m.Tokenizer().Decode(got[n:], true) != text {
			t.Errorf("%s: %q, expected %q and %q", name, m.Tokenizer().Decode(got, true), m.Tokenizer().Decode(opening, true), text)
		}
		for _, marker := range chat.Markup() {
			if id, ok := m.Tokenizer().ID(marker); ok && slices.Contains(got[len(opening):], id) {
				t.Errorf("%s: the text has become %s", name, marker)
			}
		}
	}
}

func TestAThoughtThatWasStoppedGoesOn(t *testing.T) {
	m := wild(t)
	q := newQueue(t, m, gemma4.QueueOptions{Context: 512})
	for name, template := range templates {
		for _, thinking := range []bool{false, true} {
			o := gemma4.ChatOptions{Template: template, Thinking: thinking}
			o.ThinkTokens, o.MaxTokens = 5, 20
			r := continued(o, "Hi", chat.Message{Reasoning: "Well,"})
			r.Sampling = hot(1)
			c := collect(t, q, r)
			if got := c.Result.Thought; got < 2 || got > 6 { // <channel|> comes when five are spent, if not before
				t.Errorf("%s, thinking %t: %d tokens of the thought: %+v", name, thinking, got, c.Result)
			}
			if c.Message.Reasoning == "" || c.Result.Reason == gemma4.ReasonLength && c.Message.Content == "" {
				t.Errorf("%s, thinking %t: %+v, %+v, expected the rest of a thought and then text", name, thinking, c.Message, c.Result)
			}
		}
	}
}

func TestAGrammarHoldsForABegunAnswerAsAWhole(t *testing.T) {
	m := wild(t)
	g, err := grammar.Schema(m.Vocabulary(), json.RawMessage(`{"type":"object","properties":{"name":{"type":"string","maxLength":8},
		"age":{"type":"integer","minimum":1,"maximum":99}},"required":["name","age"],
		"additionalProperties":false}`), grammar.SchemaOptions{})
	if err != nil {
		t.Fatal(err)
	}
	q := newQueue(t, m, gemma4.QueueOptions{Context: 1024})
	for name, template := range templates {
		for _, thinking := range []bool{false, true} {
			for _, tools := range [][]chat.Tool{nil, {weather}} {
				o := gemma4.ChatOptions{Template: template, Thinking: thinking, Tools: tools}
				o.Grammar, o.MaxTokens, o.ThinkTokens = g, 100, 10
				const begun = `{"name": "A`
				r := continued(o, "Hi", chat.Message{Content: begun})
				r.Sampling = hot(2)
				c := collect(t, q, r)
				var v struct {
					Name string
					Age  int
				}
				whole := begun + c.Message.Content
				if err := json.Unmarshal([]byte(whole), &v); err != nil || v.Name[0] != 'A' || v.Age == 0 || !c.Result.Whole {
					t.Errorf("%s, thinking %t, %d tools: %q (%v), %+v", name, thinking, len(tools), whole, err, c.Result)
				}
				// Behind a thought that goes on, the answer begins.
				r.Messages[1] = chat.Message{Role: "assistant", Reasoning: "Hm"}
				if c = collect(t, q, r); len(c.Message.ToolCalls) == 0 && json.Unmarshal([]byte(c.Message.Content), &v) != nil {
					t.Errorf("%s, thinking %t, %d tools: behind the thought %+v", name, thinking, len(tools), c.Message)
				}
			}
		}
	}
	bad := continued(gemma4.ChatOptions{}, "Hi", chat.Message{Content: `{"name": 1`})
	bad.Grammar = g
	_, err = q.Submit(ctx, bad)
	if err == nil || !strings.Contains(err.Error(), `the answer to continue breaks its grammar from byte 9 on: "1"`) {
		t.Errorf("a beginning that the grammar does not allow: %v", err)
	}
}

func TestWhatCannotBeContinuedIsAnErrorAtOnce(t *testing.T) {
	q := newQueue(t, openNano(t, gemma4.Loader{}), gemma4.QueueOptions{})
	for _, c := range []struct {
		last chat.Message
		want string
	}{
		{user("and?"), "message 1: role user, expected role assistant"},
		{chat.Message{Role: "assistant", ToolCalls: []chat.Call{{Name: "f"}}}, "message 1: tool_calls in the last message"},
	} {
		r := asking("Hi")
		r.Messages, r.Continue = append(r.Messages, c.last), true
		if _, err := q.Submit(ctx, r); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, expected %q", err, c.want)
		}
	}
}
