package gemma4

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/chat"
)

// ChatOptions say how a conversation is held. The zero value is a good choice.
type ChatOptions struct {
	SessionOptions
	GenerateOptions
	// System is the instruction that stands before the conversation, if any.
	System string
	// Tools are what the model may call. Calls come as Tokens of the kind [chat.ToolCall]; answer them with messages of the
	// role "tool" in the next [Chat.Send].
	Tools []chat.Tool
	// Thinking lets the model think before it answers. Thoughts come as Tokens of the kind [chat.Thought].
	Thinking bool
}

// Chat is a conversation with the model. It keeps what was read between turns and reads only what is new. It serves one
// goroutine at a time.
type Chat struct {
	// Options may be changed between turns, except for the session's.
	Options ChatOptions
	// Messages is the conversation so far, without the system instruction of Options. It may be changed between turns.
	Messages []chat.Message

	m      *Model
	s      *Session
	markup map[int32]bool
	calls  int
}

// NewChat begins a conversation.
func (m *Model) NewChat(o ChatOptions) (*Chat, error) {
	s, err := m.NewSession(o.SessionOptions)
	if err != nil {
		return nil, err
	}
	c := &Chat{Options: o, m: m, s: s, markup: map[int32]bool{}}
	for _, text := range m.markup {
		if id, ok := m.tok.ID(text); ok {
			c.markup[id] = true
		}
	}
	return c, nil
}

// Session returns the session that holds the conversation as the model has read it.
func (c *Chat) Session() *Session { return c.s }

// Result returns how the last answer went.
func (c *Chat) Result() Result { return c.s.Result() }

// Fork returns a conversation that goes on from here on its own, with the same options. The two share the memory of what they have in
// common.
func (c *Chat) Fork() (*Chat, error) {
	s, err := c.s.Fork()
	if err != nil {
		return nil, err
	}
	f := *c
	f.s = s
	f.Messages = slices.Clone(c.Messages)
	for i := range f.Messages {
		m := &f.Messages[i]
		m.Parts, m.ToolCalls = slices.Clone(m.Parts), slices.Clone(m.ToolCalls)
		for j := range m.ToolCalls {
			m.ToolCalls[j].Arguments = slices.Clone(m.ToolCalls[j].Arguments)
		}
	}
	return &f, nil
}

// Close gives the conversation's memory back.
func (c *Chat) Close() error { return c.s.Close() }

// Ask says something and yields the answer as it is written. See [Chat.Send].
func (c *Chat) Ask(ctx context.Context, text string) iter.Seq2[Token, error] {
	return c.Send(ctx, chat.Message{Role: "user", Content: text})
}

// Send adds messages to the conversation and yields the model's answer as it is written: pieces of thought and text, and
// tool calls. What is in a message is text, whatever it looks like: no marker of the chat format is made of it.
//
// When the answer has ended it is added to c.Messages, also if the loop was left early or ctx ended, as far as it came. If
// nothing could be read because of an error, the new messages are taken back.
func (c *Chat) Send(ctx context.Context, messages ...chat.Message) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		before := len(c.Messages)
		c.Messages = append(c.Messages, messages...)
		ids, err := c.Prompt(ctx)
		if err != nil {
			c.Messages = c.Messages[:before]
			yield(Token{ID: held}, err)
			return
		}
		answer, failed := c.answer(ctx, ids, yield)
		if failed && answer.Content == "" && answer.Reasoning == "" && len(answer.ToolCalls) == 0 {
			c.Messages = c.Messages[:before]
			return
		}
		c.Messages = append(c.Messages, answer)
	}
}

// Prompt returns the ids of the conversation so far, as the model reads it before it answers.
func (c *Chat) Prompt(ctx context.Context) ([]int32, error) {
	conversation := chat.Conversation{Messages: c.Messages, Tools: c.Options.Tools, Thinking: c.Options.Thinking}
	if c.Options.System != "" {
		system := chat.Message{Role: "system", Content: c.Options.System}
		conversation.Messages = append([]chat.Message{system}, c.Messages...)
	}
	for i, m := range conversation.Messages {
		for _, p := range m.Parts {
			if p.Type != "text" {
				return nil, fmt.Errorf("gemma4: message %d has a part of type %q: this version reads text only", i, p.Type)
			}
		}
	}
	prompt, err := c.m.template.Render(ctx, conversation, c.m.markup)
	if err != nil {
		return nil, wrap(err)
	}
	return c.m.tok.WithBOS(c.m.tok.EncodeLiteral(prompt.Text, prompt.Literal)), nil
}

// answer generates one answer, hands its events over and returns them as a message.
func (c *Chat) answer(ctx context.Context, ids []int32, yield func(Token, error) bool) (message chat.Message, failed bool) {
	o := c.Options.GenerateOptions
	stop := stopper{strings: o.Stop}
	o.Stop, o.Markup = nil, true
	var parser chat.Parser
	var events []chat.Event
	stopped, left := "", false

	// emit hands the events of a token over; text is held back while it may begin a stop string.
	emit := func(tok Token, from []chat.Event) bool {
		if len(from) == 0 && tok.ID != held {
			from = []chat.Event{{}} // every token is seen
		}
		for i, e := range from {
			if e.Kind == chat.Text && e.Err == nil {
				e.Text, stopped = stop.push(e.Text)
			} else if stop.rest != "" {
				e.Text, stop.rest = stop.rest+e.Text, ""
			}
			if e.Call != nil { // unique in the conversation
				c.calls++
				e.Call.ID = fmt.Sprintf("call_%d", c.calls)
			}
			events = append(events, e)
			tok.Event = e
			if i > 0 {
				tok.ID, tok.Top = held, nil
			}
			if left = !yield(tok, nil); left || stopped != "" {
				return false
			}
		}
		return true
	}
	n := c.s.Reuse(ids)
	for tok, err := range c.s.Generate(ctx, []Input{{Tokens: ids[n:]}}, o) {
		if err != nil {
			failed = true
			if !left {
				yield(tok, err)
				left = true
			}
			break
		}
		var from []chat.Event
		text := tok.Text
		if name := c.m.tok.Text(tok.ID); c.markup[tok.ID] && strings.HasSuffix(text, name) {
			from = append(parser.Push(text[:len(text)-len(name)], false), parser.Push(name, true)...)
		} else {
			from = parser.Push(text, false)
		}
		if !emit(tok, from) {
			break
		}
	}
	if !left && stopped == "" {
		end := parser.Close()
		if stop.rest != "" {
			rest := stop.rest
			stop = stopper{}
			end = append([]chat.Event{{Kind: chat.Text, Text: rest}}, end...)
		}
		emit(Token{ID: held}, end)
	}
	if stopped != "" {
		c.s.stopped(stopped)
	}
	return chat.Answer(events), failed
}
