package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxJSONDepth bounds how deep the arguments of a call and the schema of a tool may nest.
const maxJSONDepth = 64

// maxDigits bounds the length of a number in them.
const maxDigits = 1000

// Conversation is what a template renders: the messages so far and how to ask for the next one.
//
// Its JSON has the keys messages, tools, enable_thinking and add_generation_prompt (true where it is missing).
type Conversation struct {
	Messages []Message
	Tools    []Tool
	// Thinking asks the model to think before it answers.
	Thinking bool
	// NoGenerationPrompt leaves out the opening of the model's next turn.
	NoGenerationPrompt bool
}

// Message is one turn of a conversation, or the answer of a tool.
//
// Its JSON is that of the OpenAI chat API: content is a string or a list of parts, reasoning may also be called
// reasoning_content.
type Message struct {
	// Role is system, developer, user, assistant (also written model) or tool.
	Role string
	// Content is the text. A message has either Content or Parts.
	Content string
	// Parts mixes text with images, sounds and videos, in their order.
	Parts []Part
	// Reasoning is the thought that led to an assistant's tool calls.
	Reasoning string
	// ToolCalls are the calls that an assistant's message ends in.
	ToolCalls []Call
	// ToolCallID says, in a tool's message, which call it answers.
	ToolCallID string
	// Name is the tool's name where ToolCallID does not give it away.
	Name string
}

// Part is one piece of a message. Type is text, image, audio or video; Text is empty for all but text.
type Part struct {
	Type string `json:"type"`
	Text string `json:"text,omitempty"`
}

// Call is one tool call.
type Call struct {
	ID   string
	Name string
	// Arguments is a JSON object; its numbers keep the form in which they are written. Empty means {}.
	Arguments json.RawMessage
}

type conversationJSON struct {
	Messages            []Message `json:"messages"`
	Tools               []Tool    `json:"tools,omitempty"`
	EnableThinking      bool      `json:"enable_thinking,omitempty"`
	AddGenerationPrompt *bool     `json:"add_generation_prompt,omitempty"`
}

// MarshalJSON writes the conversation with the keys that [Conversation] names.
func (c Conversation) MarshalJSON() ([]byte, error) {
	j := conversationJSON{Messages: c.Messages, Tools: c.Tools, EnableThinking: c.Thinking}
	if j.Messages == nil {
		j.Messages = []Message{}
	}
	if c.NoGenerationPrompt {
		j.AddGenerationPrompt = new(bool)
	}
	return marshal(j)
}

// UnmarshalJSON reads the keys that [Conversation] names; other keys are ignored. An error names the message or the
// tool.
func (c *Conversation) UnmarshalJSON(data []byte) error {
	if err := validText("JSON", string(data)); err != nil {
		return fmt.Errorf("chat: conversation: %w", err)
	}
	var j struct {
		conversationJSON
		Messages []json.RawMessage `json:"messages"`
		Tools    []json.RawMessage `json:"tools"`
	}
	if err := json.Unmarshal(data, &j); err != nil {
		return fmt.Errorf("chat: conversation: %w", err)
	}
	next := Conversation{
		Thinking:           j.EnableThinking,
		NoGenerationPrompt: j.AddGenerationPrompt != nil && !*j.AddGenerationPrompt,
	}
	for i, raw := range j.Messages {
		var m Message
		if err := json.Unmarshal(raw, &m); err != nil {
			return fmt.Errorf("chat: message %d: %w", i, inner(err))
		}
		next.Messages = append(next.Messages, m)
	}
	for i, raw := range j.Tools {
		var t Tool
		if err := json.Unmarshal(raw, &t); err != nil {
			return fmt.Errorf("chat: tool %d: %w", i, inner(err))
		}
		next.Tools = append(next.Tools, t)
	}
	*c = next
	return nil
}

type messageJSON struct {
	Role             string          `json:"role"`
	Content          json.RawMessage `json:"content,omitempty"`
	Reasoning        string          `json:"reasoning,omitempty"`
	ReasoningContent string          `json:"reasoning_content,omitempty"`
	ToolCalls        []Call          `json:"tool_calls,omitempty"`
	ToolCallID       string          `json:"tool_call_id,omitempty"`
	Name             string          `json:"name,omitempty"`
}

// MarshalJSON writes the message in the shape of the OpenAI chat API.
func (m Message) MarshalJSON() ([]byte, error) {
	var content any = m.Content
	if m.Parts != nil {
		content = m.Parts
	}
	raw, err := marshal(content)
	if err != nil {
		return nil, err
	}
	return marshal(messageJSON{
		Role: m.Role, Content: raw, Reasoning: m.Reasoning,
		ToolCalls: m.ToolCalls, ToolCallID: m.ToolCallID, Name: m.Name,
	})
}

// UnmarshalJSON reads a message in the shape of the OpenAI chat API; keys that it does not know are ignored.
func (m *Message) UnmarshalJSON(data []byte) error {
	if err := validText("JSON", string(data)); err != nil {
		return fmt.Errorf("chat: message: %w", err)
	}
	var j messageJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return fmt.Errorf("chat: message: %w", inner(err))
	}
	next := Message{
		Role: j.Role, Reasoning: j.Reasoning,
		ToolCalls: j.ToolCalls, ToolCallID: j.ToolCallID, Name: j.Name,
	}
	if next.Reasoning == "" {
		next.Reasoning = j.ReasoningContent
	}
	switch content := bytes.TrimSpace(j.Content); {
	case len(content) == 0 || string(content) == "null":
	case content[0] == '"':
		if err := json.Unmarshal(content, &next.Content); err != nil {
			return fmt.Errorf("chat: message: content: %w", err)
		}
	case content[0] == '[':
		next.Parts = []Part{}
		if err := json.Unmarshal(content, &next.Parts); err != nil {
			return fmt.Errorf("chat: message: content: %w", err)
		}
	default:
		return errors.New("chat: message: content: expected a string or a list of parts")
	}
	*m = next
	return nil
}

type callJSON struct {
	ID       string       `json:"id,omitempty"`
	Type     string       `json:"type"`
	Function functionCall `json:"function"`
}

type functionCall struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

// MarshalJSON writes the call in the shape of the OpenAI chat API, with the arguments as an object.
func (c Call) MarshalJSON() ([]byte, error) {
	return marshal(callJSON{
		ID: c.ID, Type: "function",
		Function: functionCall{Name: c.Name, Arguments: c.arguments()},
	})
}

// UnmarshalJSON reads a call in the shape of the OpenAI chat API. The arguments are an object or, as that API itself
// sends them, a string that holds one.
func (c *Call) UnmarshalJSON(data []byte) error {
	var j callJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return fmt.Errorf("chat: tool call: %w", err)
	}
	arguments := bytes.TrimSpace(j.Function.Arguments)
	if len(arguments) > 0 && arguments[0] == '"' {
		var text string
		if err := json.Unmarshal(arguments, &text); err != nil {
			return fmt.Errorf("chat: tool call %.60q: arguments: %w", j.Function.Name, err)
		}
		arguments = bytes.TrimSpace([]byte(text))
	}
	next := Call{ID: j.ID, Name: j.Function.Name}
	if len(arguments) > 0 && string(arguments) != "null" {
		next.Arguments = bytes.Clone(arguments)
	}
	if _, err := decodeObject(next.arguments()); err != nil {
		return fmt.Errorf("chat: tool call %.60q: arguments: %w", next.Name, err)
	}
	*c = next
	return nil
}

// arguments returns the JSON of the arguments, {} for none.
func (c Call) arguments() json.RawMessage {
	if len(bytes.TrimSpace(c.Arguments)) == 0 {
		return json.RawMessage("{}")
	}
	return c.Arguments
}

// validate reports the first thing in the conversation that no template could render faithfully, by its message.
func (c Conversation) validate() error {
	if len(c.Messages) == 0 {
		return errors.New("chat: conversation: no messages, expected at least one")
	}
	var calls []Call // of the assistant's message that tool messages answer
	for i, m := range c.Messages {
		if err := m.validate(); err != nil {
			return fmt.Errorf("chat: message %d: %w", i, err)
		}
		if m.Role != "tool" {
			calls = m.ToolCalls
			continue
		}
		switch known := slices.ContainsFunc(calls, func(c Call) bool { return c.ID == m.ToolCallID }); {
		case len(calls) == 0:
			return fmt.Errorf("chat: message %d: a tool's answer without a call, expected an assistant message with "+
				"tool_calls before it", i)
		case !known && m.ToolCallID != "":
			return fmt.Errorf("chat: message %d: tool_call_id %.60q, expected the id of a call in the assistant message "+
				"before it", i, m.ToolCallID)
		case !known && m.Name == "":
			return fmt.Errorf("chat: message %d: a tool's answer without tool_call_id or name", i)
		}
	}
	for i, t := range c.Tools {
		if err := t.validate(); err != nil {
			return fmt.Errorf("chat: tool %d: %w", i, err)
		}
	}
	return nil
}

func (m Message) validate() error {
	switch m.Role {
	case "system", "developer", "user", "assistant", "model", "tool":
	default:
		return fmt.Errorf("role %.60q, expected system, developer, user, assistant or tool", m.Role)
	}
	for _, s := range []struct{ field, text string }{
		{"content", m.Content}, {"reasoning", m.Reasoning}, {"tool_call_id", m.ToolCallID}, {"name", m.Name},
	} {
		if err := validText(s.field, s.text); err != nil {
			return err
		}
	}
	if m.Content != "" && len(m.Parts) > 0 {
		return errors.New("both content and parts, expected one of them")
	}
	for i, p := range m.Parts {
		if err := p.validate(m.Role); err != nil {
			return fmt.Errorf("part %d: %w", i, err)
		}
	}
	if assistant := m.Role == "assistant" || m.Role == "model"; !assistant {
		if len(m.ToolCalls) > 0 {
			return fmt.Errorf("tool_calls in a message of role %s, expected role assistant", m.Role)
		}
		if m.Reasoning != "" {
			return fmt.Errorf("reasoning in a message of role %s, expected role assistant", m.Role)
		}
	}
	if m.Role != "tool" && m.ToolCallID != "" {
		return fmt.Errorf("tool_call_id in a message of role %s, expected role tool", m.Role)
	}
	for i, c := range m.ToolCalls {
		if err := c.validate(); err != nil {
			return fmt.Errorf("tool call %d: %w", i, err)
		}
	}
	return nil
}

func (p Part) validate(role string) error {
	switch p.Type {
	case "text":
		return validText("text", p.Text)
	case "image", "audio", "video":
	default:
		return fmt.Errorf("type %.60q, expected text, image, audio or video", p.Type)
	}
	if p.Text != "" {
		return fmt.Errorf("text in a part of type %s", p.Type)
	}
	if role == "system" || role == "developer" || role == "tool" {
		return fmt.Errorf("type %s in a message of role %s, expected text", p.Type, role)
	}
	return nil
}

func (c Call) validate() error {
	if c.Name == "" {
		return errors.New("no name")
	}
	if err := validText("id", c.ID); err != nil {
		return err
	}
	if err := validText("name", c.Name); err != nil {
		return err
	}
	if _, err := decodeObject(c.arguments()); err != nil {
		return fmt.Errorf("%.60q: arguments: %w", c.Name, err)
	}
	return nil
}

func validText(field, text string) error {
	if utf8.ValidString(text) {
		return nil
	}
	i := 0
	for i < len(text) {
		r, n := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && n <= 1 {
			break
		}
		i += n
	}
	return fmt.Errorf("%s: invalid UTF-8 at byte %d", field, i)
}

// inner takes the package's own prefix off an error that is about to get a better one.
func inner(err error) error {
	for _, prefix := range []string{"chat: message: ", "chat: tool: ", "chat: "} {
		if text, ok := strings.CutPrefix(err.Error(), prefix); ok {
			return errors.New(text)
		}
	}
	return err
}

// marshal is json.Marshal that leaves <, > and & as they are.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
