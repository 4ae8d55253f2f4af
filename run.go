package gemma4

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/internal/cause"
)

// ErrRounds is wrapped by the error of a [Chat.Run] whose model goes on calling tools.
var ErrRounds = errors.New("gemma4: the rounds of calls are spent")

const defaultRounds = 10

// Run says something, runs the functions of the tools that the model calls, tells it what they return, and so on until it answers without
// calls. It yields the tokens of all answers as [Chat.Send] does: thoughts, calls, text. [Tool] makes tools with functions.
//
// The functions of an answer run one after the other, each once the answer has ended, on the goroutine of the loop and with its ctx. Their
// responses are added to c.Messages, and stay there if the next answer fails. The chat is busy while they run.
//
// A call may be asked for in a picture or by voice: parts go where the models were made for, pictures and videos before the text and sounds
// behind it. An empty text is left out then.
//
// An answer that calls a tool without a function ends the Run, with none of its calls run: they are in the last of c.Messages, and the next
// Send brings the responses. ChatOptions.Rounds bounds the answers that are followed by others; when they are spent the error wraps
// [ErrRounds]. A choice of calls in ChatOptions that requires them is about the first answer.
func (c *Chat) Run(ctx context.Context, text string, parts ...chat.Part) iter.Seq2[Token, error] {
	return c.s.iterate(func(yield func(Token) bool) error { return c.run(ctx, asked(text, parts), yield) })
}

// asked returns a user's message of a text and what belongs to it, in the order for which the models were made.
func asked(text string, parts []chat.Part) chat.Message {
	if len(parts) == 0 {
		return chat.Message{Role: "user", Content: text}
	}
	m := chat.Message{Role: "user"}
	if text != "" {
		m.Parts = append(m.Parts, chat.TextPart(text))
	}
	seen := 0
	for _, p := range parts {
		if p.Type == "image" || p.Type == "video" {
			m.Parts = slices.Insert(m.Parts, seen, p)
			seen++
		} else {
			m.Parts = append(m.Parts, p)
		}
	}
	return m
}

// run is Run for a call that has claimed the session.
func (c *Chat) run(ctx context.Context, message chat.Message, yield func(Token) bool) error {
	messages := []chat.Message{message}
	for round := 0; ; round++ {
		left := false
		err := c.send(ctx, messages, func(t Token) bool {
			left = !yield(t)
			return !left
		})
		if err != nil || left {
			return err
		}
		calls, ok := c.runnable()
		if !ok {
			return nil
		}
		if rounds := cmp.Or(c.Options.Rounds, defaultRounds); round == rounds {
			return fmt.Errorf("%w: %d, and the model wants more (ChatOptions.Rounds bounds them)", ErrRounds, rounds)
		}
		if c.Options.Calls.Choice == grammar.Required {
			c.Options.Calls.Choice = grammar.Auto
			if round == 0 {
				defer func() { c.Options.Calls.Choice = grammar.Required }()
			}
		}
		for _, call := range calls {
			c.Messages = append(c.Messages, c.call(ctx, call))
			if err := cause.Of(ctx); err != nil {
				return wrap(err)
			}
		}
		messages = nil
	}
}

// runnable returns the calls that the last message ends in, if there are any and all of them can be run here.
func (c *Chat) runnable() ([]chat.Call, bool) {
	calls := c.Messages[len(c.Messages)-1].ToolCalls
	for _, call := range calls {
		if i := c.tool(call.Name); i >= 0 && c.Options.Tools[i].Func == nil {
			return nil, false
		}
	}
	return calls, len(calls) > 0
}

func (c *Chat) tool(name string) int {
	return slices.IndexFunc(c.Options.Tools, func(t chat.Tool) bool { return t.Name == name })
}

// call runs a call and returns the message with its response.
func (c *Chat) call(ctx context.Context, call chat.Call) chat.Message {
	response, err := json.RawMessage(nil), errors.New("no tool has that name")
	if i := c.tool(call.Name); i >= 0 {
		response, err = c.Options.Tools[i].Func(ctx, call.Arguments)
	}
	m := chat.Message{Role: "tool", ToolCallID: call.ID, Name: call.Name}
	if err == nil {
		if json.Unmarshal(response, &m.Content) != nil || string(response) == "null" { // text is content
			m.Content, m.Response = "", response
		}
		err = chat.Conversation{Messages: []chat.Message{m}}.Validate()
	}
	if err != nil {
		m.Content = ""
		m.Response, _ = json.Marshal(map[string]string{"error": err.Error()})
	}
	return m
}
