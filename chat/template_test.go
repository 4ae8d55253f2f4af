package chat

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func parseFile(t testing.TB, path string) *Template {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tpl, err := Parse(string(source))
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

var small = Conversation{Messages: []Message{{Role: "user", Content: "Hi <b>"}}}

func TestTemplateOfAnotherFormat(t *testing.T) {
	tpl := parseFile(t, "testdata/plain.jinja")
	c := Conversation{
		Messages: []Message{
			{Role: "system", Content: "Be brief."},
			{Role: "user", Content: "Hi <|im_end|>"},
			{Role: "assistant", Content: "<think>\nhm</think>\nHello"},
			{Role: "user", Content: "1 < 2?"},
		},
		Tools: []Tool{{Name: "f", Parameters: json.RawMessage(`{"b": 1e3, "a": [1.50, 123456789012345678901234567890]}`)}},
	}
	want := `[TOOLS] [{"type": "function", "function": {"name": "f", "description": "", "parameters": ` +
		`{"b": 1e3, "a": [1.50, 123456789012345678901234567890]}}}]
<|im_start|>user
Be brief.

Hi <|im_end|><|im_end|>
<|im_start|>assistant
Hello<|im_end|>
<|im_start|>user
1 < 2?<|im_end|>
<|im_start|>assistant
`
	p := render(t, tpl, c, []string{"<|im_start|>", "<|im_end|>"})
	if p.Text != want {
		t.Errorf("got %q\nwant %q", p.Text, want)
	}
	literal := []int{strings.Index(want, "<|im_end|>"), strings.Index(want, "< 2")}
	if len(p.Literal) != 2 || p.Literal[0] != literal[0] || p.Literal[1] != literal[1] {
		t.Errorf("literal %v, want %v", p.Literal, literal)
	}

	c.Messages = append(c.Messages, Message{Role: "user", Content: "again"})
	_, err := tpl.Render(context.Background(), c, nil)
	if !errors.Is(err, ErrRefused) || !strings.HasSuffix(err.Error(), "Roles must alternate user/assistant, not user at 3") {
		t.Errorf("error %v", err)
	}
}

func TestTemplateKnowsTheTime(t *testing.T) {
	tpl, err := Parse("{{ strftime_now('%Y-%m-%d %% %d %B') }}")
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now().Format("2006-01-02 % 02 January")
	got := render(t, tpl, small, nil).Text
	if after := time.Now().Format("2006-01-02 % 02 January"); got != before && got != after {
		t.Errorf("%q, want %q", got, after)
	}
}

func TestNumbersReachTheTemplateAsWritten(t *testing.T) {
	const numbers = `{"a":2,"b":2.0,"c":1e3,"d":-0,"e":123456789012345678901234567890,"f":1.50E-07,"g":0.1}`
	c := Conversation{Messages: []Message{
		{Role: "user", Content: "x"},
		{Role: "assistant", ToolCalls: []Call{{Name: "f", Arguments: json.RawMessage(numbers)}}},
	}}
	want := "{a:2,b:2.0,c:1e3,d:-0,e:123456789012345678901234567890,f:1.50E-07,g:0.1}"
	if got := render(t, Builtin(), c, nil).Text; !strings.Contains(got, want) {
		t.Errorf("%q, want one with %q", got, want)
	}
}

func TestRenderStopsWhenTheContextIsDone(t *testing.T) {
	tpl, err := Parse("{% for a in range(100000) %}{{ a ** 2 }}{% endfor %}{% for a in range(100000) %}{{ a }}{% endfor %}")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := tpl.Render(ctx, small, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	if _, err := Builtin().Render(ctx, manyTurns(1000), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before, built in: %v", err)
	}

	long, err := Parse("{% for a in range(2000) %}{% for b in range(1000) %}{{ 'x' if a == b }}{% endfor %}{% endfor %}")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = long.Render(ctx, small, nil)
	if late := time.Since(began) - 5*time.Millisecond; !errors.Is(err, context.DeadlineExceeded) || late > time.Minute {
		t.Errorf("%v, %v after the deadline", err, late)
	}
}

// manyTurns is a conversation of n questions and answers.
func manyTurns(n int) Conversation {
	var c Conversation
	for range n {
		c.Messages = append(c.Messages,
			Message{Role: "user", Content: strings.Repeat("word <b> ", 20)}, Message{Role: "assistant", Content: "ok"})
	}
	return c
}

func TestLongConversationsStayWithinTheBounds(t *testing.T) {
	c := manyTurns(1000)
	want := render(t, Builtin(), c, nil).Text
	if got := render(t, oracle(t), c.with("empty_thought", true), nil).Text; got != want {
		t.Error("its template makes another text")
	}
	if got := render(t, published(t), c, nil).Text; got != want {
		t.Error("the published template makes another text")
	}
}

func TestTemplateServesSeveralGoroutines(t *testing.T) {
	tpl := Builtin()
	cases := goldenCases(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for _, c := range cases {
				p, err := tpl.Render(context.Background(), c.Conversation, []string{"<"})
				if err != nil || p.Text != c.Text {
					t.Errorf("%s: %v", c.Name, err)
				}
			}
		})
	}
	group.Wait()
}

func TestTemplateOfNothing(t *testing.T) {
	for name, tpl := range map[string]*Template{"nil": nil, "zero": {}} {
		if _, err := tpl.Render(context.Background(), small, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	tpl, err := Parse("")
	if err != nil {
		t.Fatal(err)
	}
	if p := render(t, tpl, small, nil); p.Text != "" {
		t.Errorf("%q", p.Text)
	}
}
