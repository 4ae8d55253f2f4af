package gemma4_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
)

// openWith opens a model that makes no sense, with a template in its file.
func openWith(t *testing.T, kind string, template any) *gemma4.Model {
	t.Helper()
	var change func(*gguf.Metadata, []gguf.Source) []gguf.Source
	if template != nil {
		change = with("tokenizer.chat_template", template)
	}
	m, err := gemma4.OpenBytes(altered(t, shape(kind), change))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// promptOf returns a chat's prompt as text.
func promptOf(t *testing.T, m *gemma4.Model, o gemma4.ChatOptions, ms ...chat.Message) string {
	t.Helper()
	c := newChat(t, m, o)
	c.Messages = ms
	return m.Tokenizer().Decode(ids(t, c), true)
}

func TestBrokenTemplateKeepsOnlyChatFromWorking(t *testing.T) {
	other, err := chat.Parse("{{ bos_token }}{{ messages[0].content }}{{ sign }}")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		template any
		want     string
	}{
		{"{% include 'x' %}", "gemma4: tokenizer.chat_template: chat: template: line 1"},
		{strings.Repeat("x", 1<<20+1), "gemma4: tokenizer.chat_template: chat: template: limit exceeded"},
		{uint8(1), "gemma4: gguf: bytes: metadata key tokenizer.chat_template: type uint8, expected string"},
	} {
		m := openWith(t, "dense", test.template)
		s := newSession(t, m, gemma4.SessionOptions{})
		if n := len(generate(t, s, prompt(m, "abc"), gemma4.GenerateOptions{MaxTokens: 3})); n == 0 && s.Result().Generated == 0 {
			t.Errorf("%s: nothing was generated: %+v", test.want, s.Result())
		}
		if _, err := m.NewChat(gemma4.ChatOptions{}); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
		o := gemma4.ChatOptions{Template: other, Variables: map[string]any{"sign": "!"}}
		if got := promptOf(t, m, o, user("ab")); got != "<bos>ab!" {
			t.Errorf("another template makes %q", got)
		}
		c := newChat(t, m, o)
		c.Options.Template = nil // may be changed, and then the file's is wanted
		if _, err := c.Prompt(ctx); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
}

// A file without a template, or with one of nothing but space, is read in the format of its kind of model.
func TestModelsWithoutTemplateHaveTheirOwnFormat(t *testing.T) {
	const thought = "<|channel>thought\n<channel|>"
	for kind, end := range map[string]string{"dense": thought, "moe": thought, "e": ""} {
		for _, template := range []any{nil, "", " \n\t"} {
			got := promptOf(t, openWith(t, kind, template), gemma4.ChatOptions{}, user("ab"))
			if got != "<bos><|turn>user\nab<turn|>\n<|turn>model\n"+end {
				t.Errorf("%s with the template %q: %q", kind, template, got)
			}
		}
	}
}

func TestSpaceBeforeBOSMakesNoSecondBOS(t *testing.T) {
	for _, test := range []struct{ template, content, want string }{
		{"\n{{ bos_token }}ab", "", "<bos>ab"},
		{"\n\n \t\r\n{{ bos_token }}ab", "", "<bos>ab"},
		{"\u00a0\u2003{{ bos_token }}ab", "", "<bos>ab"},
		{"\n{{ bos_token }}<|turn>{{ messages[0].content }}", "<bos><|turn>", "<bos><|turn><bos><|turn>"},
		{"\nab", "", "<bos>\nab"},
		{"\n{{ messages[0].content }}", "<bos>ab", "<bos>\n<bos>ab"}, // a user's text is no BOS
	} {
		m := openWith(t, "dense", test.template)
		c := newChat(t, m, gemma4.ChatOptions{})
		c.Messages = []chat.Message{user("%s", test.content)}
		got := ids(t, c)
		if text := m.Tokenizer().Decode(got, true); text != test.want {
			t.Errorf("%q: %q, want %q", test.template, text, test.want)
		}
		if bos := m.Tokenizer().BOS(); got[0] != bos || slices.Contains(got[1:], bos) {
			t.Errorf("%q: %v", test.template, got)
		}
	}
}

// opening is a template whose prompts end in a text.
func opening(t *testing.T, end string) *chat.Template {
	t.Helper()
	tpl, err := chat.Parse("{{ bos_token }}{% if enable_thinking %}<|turn>system\n{{ '<|think|>\n' }}<turn|>\n{{ '' }}{% endif %}" +
		"{% for m in messages %}<|turn>{{ m.role }}{{ '\n' ~ m.content }}<turn|>{{ '\n' }}{% endfor %}<|turn>model{{ '\n' }}" + end)
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

func TestAnswerBeginsInTheThoughtOfItsPrompt(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	for _, end := range []string{"", "<|channel>", "<|channel>thought{{ '\n' }}", "<|channel>thought{{ '\n' }}I know"} {
		c := newChat(t, m, gemma4.ChatOptions{Thinking: true, Template: opening(t, end)})
		text, thought, _ := answer(t, c, user("What is the capital of Peru?"))
		want := "I know this one."
		if strings.HasSuffix(end, "know") {
			want = " this one."
		}
		if text != "The capital of Peru is Lima." || thought != want || c.Messages[1].Reasoning != want {
			t.Errorf("after %q: thought %q, text %q", end, thought, text)
		}
	}
}

// A call that the end of the turn ends is whole; one that nothing ends is no call.
func TestEndOfTheTurnEndsACall(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	turn, ok := m.Tokenizer().ID("<turn|>")
	if !ok {
		t.Fatal("no end of turns")
	}
	for end, want := range map[string]string{`call:f{a:1}`: `{"a":1}`, `call:f{a:<|"|>x}`: ""} {
		o := gemma4.ChatOptions{Template: opening(t, "<|tool_call>"+end)}
		o.Sampling.Bias = map[int32]float32{turn: 1e6}
		c := newChat(t, m, o)
		var calls []chat.Call
		var kept string
		for tok, err := range c.Ask(ctx, "x") {
			if err != nil {
				t.Fatal(err)
			}
			if tok.Call != nil {
				calls = append(calls, *tok.Call)
			}
			if tok.Err != nil {
				kept += tok.Text
			}
		}
		switch {
		case want == "":
			if len(calls) > 0 || kept != "<|tool_call>"+end {
				t.Errorf("%s: %+v and %q", end, calls, kept)
			}
		case len(calls) != 1 || string(calls[0].Arguments) != want || !calls[0].Mended || kept != "":
			t.Errorf("%s: %+v and %q", end, calls, kept)
		}
	}
}

// Every revision of the template, given to a chat, makes the prompts that are recorded for it.
func TestChatsPromptsAreThoseOfTheRevisions(t *testing.T) {
	data, err := os.ReadFile("chat/testdata/revisions.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []json.RawMessage
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	m := openNano(t, gemma4.Loader{})
	right := 0
	for _, raw := range cases {
		var recorded struct {
			Name string
			Text map[string]string
		}
		var conversation chat.Conversation
		if err := errors.Join(json.Unmarshal(raw, &recorded), json.Unmarshal(raw, &conversation)); err != nil {
			t.Fatal(err)
		}
		for name, want := range recorded.Text {
			source, err := os.ReadFile(testdata.Shared(t, "golden", "chat", "revisions", name+".jinja"))
			if err != nil {
				t.Fatal(err)
			}
			template, err := chat.Parse(string(source))
			if err != nil {
				t.Fatal(err)
			}
			if conversation.NoGenerationPrompt { // which a chat always has: what follows the turns
				with := chat.Conversation{Messages: []chat.Message{user("x")}}
				p, err := template.Render(ctx, with, nil)
				if err != nil {
					t.Fatal(err)
				}
				want += strings.TrimPrefix(p.Text, "<bos><|turn>user\nx<turn|>\n")
			}
			o := gemma4.ChatOptions{Template: template, Tools: conversation.Tools, Thinking: conversation.Thinking}
			if got := promptOf(t, m, o, conversation.Messages...); got != want {
				t.Errorf("%s of %s:\n got %q\nwant %q", recorded.Name, name, got, want)
				continue
			}
			right++
		}
	}
	if t.Logf("%d of %d", right, 5*len(cases)); right != 5*39 {
		t.Errorf("%d prompts are as recorded, want %d", right, 5*39)
	}
}

func TestAContextThatEndsWhileAChatRendersIsNamed(t *testing.T) {
	ended, cancel := context.WithCancel(ctx)
	cancel()
	c := newChat(t, openNano(t, gemma4.Loader{}), gemma4.ChatOptions{})
	c.Messages = smallTalk(1)
	_, err := c.Prompt(ended)
	if !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "gemma4: chat: template: ") {
		t.Errorf("error %v", err)
	}
}

func TestStopStringsAreText(t *testing.T) {
	c := newChat(t, openNano(t, gemma4.Loader{}), gemma4.ChatOptions{})
	for _, stop := range []string{"", "\xa9", "a\xc3"} {
		c.Options.Stop = []string{"x", stop}
		var err error
		for _, err = range c.Ask(ctx, "x") {
		}
		if err == nil || !strings.Contains(err.Error(), "Stop[1]") {
			t.Errorf("%q: %v", stop, err)
		}
	}
}

func TestThePromptOfAConversationIsThatOfAChat(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	tool := chat.Tool{Name: "get_time", Description: "The time.", Parameters: []byte(`{"type":"object","properties":{}}`)}
	for _, conversation := range []chat.Conversation{
		{Messages: []chat.Message{user("What time is it?")}},
		{Messages: []chat.Message{user("What time is it?")}, Tools: []chat.Tool{tool}, Thinking: true},
	} {
		c := newChat(t, m, gemma4.ChatOptions{Tools: conversation.Tools, Thinking: conversation.Thinking})
		c.Messages = conversation.Messages
		want, err := c.Prompt(ctx)
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Prompt(ctx, conversation)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
		conversation.NoGenerationPrompt = true
		if got, err = m.Prompt(ctx, conversation); err != nil || len(got) >= len(want) || !slices.Equal(got, want[:len(got)]) {
			t.Errorf("without what opens an answer: %v, %v", got, err)
		}
	}
	if _, err := m.Prompt(ctx, chat.Conversation{}); err == nil {
		t.Error("a conversation without messages has a prompt")
	}
}
