package gemma4_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/sampler"
)

type factors struct {
	A int `json:"a"`
	B int `json:"b"`
}

// multiplying returns a tool that multiplies and tells what.
func multiplying(t *testing.T, tell func(a, b int)) chat.Tool {
	return toolOf(t, "multiply", func(_ context.Context, in factors) (int, error) {
		tell(in.A, in.B)
		return in.A * in.B, nil
	})
}

func toolOf[In, Out any](t *testing.T, name string, f func(context.Context, In) (Out, error)) chat.Tool {
	t.Helper()
	tool, err := gemma4.Tool(name, "Does "+name+".", f)
	if err != nil {
		t.Fatal(err)
	}
	return tool
}

func TestRunCallsAndAnswers(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	var called []string
	c := newChat(t, m, gemma4.ChatOptions{Tools: []chat.Tool{
		toolOf(t, "get_time", func(context.Context, struct{}) (string, error) { return "12:00", nil }),
		multiplying(t, func(a, b int) { called = append(called, fmt.Sprint(a, "*", b)) }),
		toolOf(t, "get_weather", func(context.Context, struct{ City string }) (map[string]any, error) { return nil, nil }),
	}})
	answer, err := gemma4.Collect(c.Run(ctx, "What is 12 times 34?"))
	if err != nil || answer.Content != "12 times 34 is 408." || !slices.Equal(called, []string{"12*34"}) || len(answer.ToolCalls) != 1 {
		t.Errorf("%+v, %v; called %q", answer, err, called)
	}
	var roles []string
	for _, m := range c.Messages {
		roles = append(roles, m.Role)
	}
	if !slices.Equal(roles, []string{"user", "assistant", "tool", "assistant"}) || string(c.Messages[2].Response) != "408" {
		t.Errorf("the conversation is %+v", c.Messages)
	}
	answer, err = gemma4.Collect(c.Run(ctx, "What is the capital of France?"))
	if err != nil || answer.Content != "The capital of France is Paris." {
		t.Errorf("a question without calls: %+v, %v", answer, err)
	}
}

// respond runs a tool that must be called and returns its response.
func respond[Out any](t *testing.T, f func(context.Context, factors) (Out, error)) chat.Message {
	t.Helper()
	c := newChat(t, openNano(t, gemma4.Loader{}), gemma4.ChatOptions{
		Tools: []chat.Tool{toolOf(t, "multiply", f)}, Calls: grammar.CallOptions{Choice: grammar.Required, Single: true}, Rounds: 1,
	})
	if _, err := gemma4.Collect(c.Run(ctx, "What is 2 times 3?")); err != nil && !errors.Is(err, gemma4.ErrRounds) {
		t.Fatal(err)
	}
	return c.Messages[2]
}

func TestFunctionsRespond(t *testing.T) {
	type result struct {
		Product int `json:"product"`
	}
	for name, got := range map[string]chat.Message{
		`{"product":6}`: respond(t, func(_ context.Context, in factors) (result, error) { return result{in.A * in.B}, nil }),
		`6`:             respond(t, func(_ context.Context, in factors) (*int, error) { n := in.A * in.B; return &n, nil }),
		`null`:          respond(t, func(_ context.Context, in factors) (*int, error) { return nil, nil }),
		`six`:           respond(t, func(_ context.Context, in factors) (string, error) { return "six", nil }),
		``:              respond(t, func(_ context.Context, in factors) (string, error) { return "", nil }),
		`["x"]`:         respond(t, func(_ context.Context, in factors) ([]string, error) { return []string{"x"}, nil }),
		`{"error":"no such \u003cnumber\u003e"}`: respond(t, func(context.Context, factors) (int, error) {
			return 0, errors.New("no such <number>")
		}),
		`{"error":"chat: message 0: response: JSON nested deeper than 64"}`: respond(t,
			func(context.Context, factors) (json.RawMessage, error) {
				return json.RawMessage(strings.Repeat("[", 70) + strings.Repeat("]", 70)), nil
			}),
		`{"error":"json: unsupported type: func()"}`: respond(t, func(context.Context, factors) (func(), error) { return nil, nil }),
	} {
		if got.Role != "tool" || got.Name != "multiply" || got.ToolCallID == "" || got.Content+string(got.Response) != name {
			t.Errorf("%+v, want the response %s", got, name)
		}
	}
}

func TestRunEnds(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	count := 0
	again := toolOf(t, "multiply", func(context.Context, factors) (int, error) { return 0, nil })
	t.Run("when the rounds are spent", func(t *testing.T) {
		var c *gemma4.Chat
		c = newChat(t, m, gemma4.ChatOptions{Rounds: 2, Calls: required, Tools: []chat.Tool{multiplying(t, func(int, int) {
			count++
			c.Options.Calls.Choice = grammar.Required // once more
		})}})
		c.Options.Calls.Single = true
		_, err := gemma4.Collect(c.Run(ctx, "What is 2 times 3?"))
		unanswered := len(c.Messages[len(c.Messages)-1].ToolCalls)
		if !errors.Is(err, gemma4.ErrRounds) || !strings.Contains(err.Error(), "ChatOptions.Rounds") || count != 2 || unanswered != 1 {
			t.Errorf("%v after %d calls", err, count)
		}
		if _, err := c.Answer(ctx, "What is the capital of France?"); err != nil {
			t.Errorf("the conversation does not go on: %v", err)
		}
		c.Options.Rounds = -1
		if _, err := c.Answer(ctx, "Hi"); err == nil {
			t.Error("negative rounds are taken")
		}
	})
	t.Run("with calls that have no function", func(t *testing.T) {
		c := newChat(t, m, gemma4.ChatOptions{Calls: required, Tools: []chat.Tool{multiply}})
		answer, err := gemma4.Collect(c.Run(ctx, "What is 2 times 3?"))
		if err != nil || len(answer.ToolCalls) == 0 || len(c.Messages) != 2 {
			t.Errorf("%+v, %v; %d messages", answer, err, len(c.Messages))
		}
	})
	t.Run("where the loop is left", func(t *testing.T) {
		c := newChat(t, m, gemma4.ChatOptions{Tools: []chat.Tool{again}, Calls: required})
		for tok := range c.Run(ctx, "What is 2 times 3?") {
			if tok.Kind == chat.ToolCall {
				break
			}
		}
		if len(c.Messages) != 2 || len(c.Messages[1].ToolCalls) != 1 {
			t.Errorf("%+v", c.Messages)
		}
	})
	t.Run("with ctx, which functions get", func(t *testing.T) {
		ctx, cancel := context.WithCancel(ctx)
		stop := toolOf(t, "multiply", func(inner context.Context, in factors) (int, error) {
			if inner != ctx {
				t.Error("another context")
			}
			cancel()
			return 7, nil
		})
		c := newChat(t, m, gemma4.ChatOptions{Tools: []chat.Tool{stop}, Calls: required})
		_, err := gemma4.Collect(c.Run(ctx, "What is 2 times 3?"))
		if !errors.Is(err, context.Canceled) || string(c.Messages[2].Response) != "7" {
			t.Errorf("%v, %+v", err, c.Messages)
		}
	})
	t.Run("with a panic", func(t *testing.T) {
		c := newChat(t, m, gemma4.ChatOptions{Calls: required, Tools: []chat.Tool{multiplying(t, func(int, int) { panic("mine") })}})
		func() {
			defer func() {
				if r := recover(); r != "mine" {
					t.Errorf("recovered %v", r)
				}
			}()
			gemma4.Collect(c.Run(ctx, "What is 2 times 3?"))
		}()
		c.Options.Calls = grammar.CallOptions{}
		if _, err := c.Answer(ctx, "What is the capital of France?"); err != nil {
			t.Errorf("the chat is not free again: %v", err)
		}
	})
}

func TestACallOfWhatIsNoToolIsToldSo(t *testing.T) {
	c := newChat(t, openNano(t, gemma4.Loader{}), gemma4.ChatOptions{Calls: required, Rounds: 1,
		Tools: []chat.Tool{multiplying(t, func(int, int) { t.Error("called") })}})
	for tok := range c.Run(ctx, "What is 2 times 3?") {
		if tok.Kind == chat.ToolCall {
			c.Options.Tools[0].Name = "divide"
		}
	}
	if r := string(c.Messages[2].Response); r != `{"error":"no tool has that name"}` {
		t.Errorf("the response is %s", r)
	}
}

func TestTheChatIsBusyWhileFunctionsRun(t *testing.T) {
	var c *gemma4.Chat
	ask := toolOf(t, "multiply", func(ctx context.Context, in factors) (string, error) {
		_, err := c.Answer(ctx, "Hi")
		return "", err
	})
	c = newChat(t, openNano(t, gemma4.Loader{}), gemma4.ChatOptions{Tools: []chat.Tool{ask}, Calls: required})
	gemma4.Collect(c.Run(ctx, "What is 2 times 3?"))
	if r := c.Messages[2].Response; !strings.Contains(string(r), gemma4.ErrBusy.Error()) {
		t.Errorf("the function got %s", r)
	}
}

func TestToolsOfTypesThatCannotBeAreErrors(t *testing.T) {
	for want, err := range map[string]error{
		"arguments in int, expected a struct or a map": second(gemma4.Tool("f", "", func(context.Context, int) (int, error) {
			return 0, nil
		})),
		".C: JSON cannot be read into chan int": second(gemma4.Tool("f", "", func(context.Context, struct{ C chan int }) (int, error) {
			return 0, nil
		})),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), `gemma4: tool "f": `) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestFunctionsAreGivenWhatTheyAskFor(t *testing.T) {
	tool := multiplying(t, func(int, int) {})
	for arguments, want := range map[string]string{
		`{"a":2,"b":3}`:        "",
		`{"a":2,"b":3,"c":4}`:  `arguments: json: unknown field "c"`,
		`{"a":"x","b":3}`:      "arguments: json: cannot unmarshal string",
		`{"a":2,"b":3}{"a":2}`: "arguments: more than one value",
		`{"a":2,"b":3`:         "arguments: unexpected EOF",
	} {
		out, err := tool.Func(ctx, json.RawMessage(arguments))
		if want == "" && (err != nil || string(out) != "6") || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: %s, %v; want %q", arguments, out, err, want)
		}
	}
}

// Whatever the model writes as arguments is what the function's type takes.
func TestArgumentsDecodeAtAnyTemperature(t *testing.T) {
	type deep struct {
		Text  string         `json:"text" maxLength:"30"`
		Few   string         `json:"few" enum:"a,b c,<&>"`
		Small int8           `json:"small"`
		Big   uint64         `json:"big"`
		Ratio float32        `json:"ratio"`
		When  time.Time      `json:"when"`
		Bytes []byte         `json:"bytes" maxLength:"20"`
		Keys  map[uint8]bool `json:"keys,omitempty"`
		Kids  []deepKid      `json:"kids" maxItems:"2"`
		None  *string        `json:"none" maxLength:"5"`
	}
	n := 0
	c := newChat(t, openNano(t, gemma4.Loader{}), gemma4.ChatOptions{Calls: required, Rounds: 1,
		GenerateOptions: gemma4.GenerateOptions{MaxTokens: 300, Sampling: sampler.Overrides{
			Temperature: new(1.5), TopK: new(0), TopP: new(1.0), MinP: new(0.0), Seed: new(uint64(1)),
		}},
		Tools: []chat.Tool{toolOf(t, "record", func(_ context.Context, in deep) (string, error) { n++; return "", nil })}})
	for seed := range uint64(4) {
		c.Messages, c.Options.Sampling.Seed = nil, &seed
		_, err := gemma4.Collect(c.Run(ctx, "Call it."))
		if err != nil && !errors.Is(err, gemma4.ErrRounds) {
			t.Fatal(err)
		}
		for _, m := range c.Messages {
			if m.Role == "tool" && m.Response != nil {
				t.Errorf("%s: %s", c.Messages[1].ToolCalls[0].Arguments, m.Response)
			}
		}
	}
	if n < 4 {
		t.Errorf("%d calls", n)
	}
}

type deepKid struct {
	Kids []deepKid `json:"kids,omitempty"`
}
