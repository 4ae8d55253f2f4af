package gemma4_test

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// stream yields events, then an error if there is one.
func stream(err error, events ...chat.Event) iter.Seq2[gemma4.Token, error] {
	return func(yield func(gemma4.Token, error) bool) {
		for _, e := range events {
			if !yield(gemma4.Token{Event: e}, nil) {
				return
			}
		}
		if err != nil {
			yield(gemma4.Token{ID: -1}, err)
		}
	}
}

func TestCollectMakesAMessageOfTokens(t *testing.T) {
	broken, malformed := errors.New("broken"), &chat.CallError{}
	text, thought := chat.Event{Text: "a"}, chat.Event{Kind: chat.Thought, Text: "so"}
	call := chat.Event{Kind: chat.ToolCall, Call: &chat.Call{ID: "call_1", Name: "f"}}
	bad := chat.Event{Text: "call:f", Err: malformed}
	for name, c := range map[string]struct {
		tokens iter.Seq2[gemma4.Token, error]
		want   chat.Message
		err    error
	}{
		"nothing": {stream(nil), chat.Message{}, nil},
		"text":    {stream(nil, text, chat.Event{}, text), chat.Message{Content: "aa"}, nil},
		"thought and calls": {stream(nil, thought, thought, text, call, call),
			chat.Message{Content: "a", Reasoning: "soso", ToolCalls: []chat.Call{*call.Call, *call.Call}}, nil},
		"an error at once":      {stream(broken), chat.Message{}, broken},
		"an error on the way":   {stream(broken, thought, text), chat.Message{Content: "a", Reasoning: "so"}, broken},
		"a malformed call":      {stream(nil, bad, text), chat.Message{Content: "call:fa"}, malformed},
		"a worse error":         {stream(broken, bad), chat.Message{Content: "call:f"}, broken},
		"two kinds of mistakes": {stream(nil, bad, chat.Event{Err: broken}), chat.Message{Content: "call:f"}, broken},
	} {
		got, err := gemma4.Collect(c.tokens)
		c.want.Role = "assistant"
		if !reflect.DeepEqual(got, c.want) || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%s: %+v (%v), want %+v (%v)", name, got, err, c.want, c.err)
		}
	}
}

func TestAnswerIsTheMessageThatTheChatKeeps(t *testing.T) {
	c := newChat(t, openNano(t, gemma4.Loader{}), gemma4.ChatOptions{Thinking: true})
	got, err := c.Answer(ctx, "How much is 2 + 3?")
	if err != nil || len(c.Messages) != 2 || !reflect.DeepEqual(got, c.Messages[1]) || got.Content == "" {
		t.Errorf("%+v, %v; the chat keeps %+v", got, err, c.Messages)
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if got, err := c.Answer(stopped, "And 3 + 4?"); !errors.Is(err, context.Canceled) || got.Content != "" || len(c.Messages) != 2 {
		t.Errorf("%+v, %v; the chat keeps %+v", got, err, c.Messages)
	}
}
