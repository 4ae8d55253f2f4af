package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
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
// Its JSON has the keys messages, tools, enable_thinking, add_generation_prompt (true where it is missing), continue_final_message and
// chat_template_kwargs. A struct that embeds a Conversation is read as one, by its UnmarshalJSON: decode what else is in a
// request into a struct of its own.
type Conversation struct {
	Messages []Message // at least one
	Tools    []Tool    // that the model may call
	// Thinking asks the model to think before it answers.
	Thinking bool
	// NoGenerationPrompt leaves out the opening of the model's next turn.
	NoGenerationPrompt bool
	// Continue says that the last message, an assistant's without calls, is the beginning of the answer: its thought and text stand behind
	// the opening of the turn, which stays open, whatever NoGenerationPrompt says. A thought without text after it stays open, too.
	Continue bool
	// Variables are for the template, besides those that [Parse] names, such as preserve_thinking, which keeps the thoughts of
	// earlier messages that called tools. A value is what json.Marshal takes. A template that does not know a variable ignores it.
	Variables map[string]any
}

// Message is what one role says in a conversation, or the response of a tool.
//
// Its JSON is that of the OpenAI chat API: content is a string or a list of parts, in a tool's message also any other value;
// reasoning may also be called reasoning_content.
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
	// ToolResponses are the responses to ToolCalls, where they do not come in messages of role tool.
	ToolResponses []ToolResponse
	// ToolCallID says, in a tool's message, which call it answers. Without it, the call is the next of its Name, else the next.
	ToolCallID string
	// Name is the tool's name where ToolCallID does not give it away.
	Name string
	// Response is what a tool returns as a JSON value, in place of Content and Parts.
	Response json.RawMessage
}

func (m Message) model() bool { return m.Role == "assistant" || m.Role == "model" }

func (m Message) system() bool { return m.Role == "system" || m.Role == "developer" }

// Text returns the content, or all text of the parts.
func (m Message) Text() string {
	if len(m.Parts) == 0 {
		return m.Content
	}
	var text strings.Builder
	for _, p := range m.Parts {
		text.WriteString(p.Text)
	}
	return text.String()
}

// ToolResponse is the response to a call: the next of its name, else the next.
type ToolResponse struct {
	Name     string          `json:"name"`     // of the function
	Response json.RawMessage `json:"response"` // any JSON value
}

// Call is one tool call.
type Call struct {
	ID   string // which tells calls of a conversation apart; it may be empty
	Name string // of the function
	// Arguments is a JSON object; its numbers keep the form in which they are written. Empty means {}.
	Arguments json.RawMessage
	// Mended says that the model did not keep to the format, and that the call is the only thing it can have meant.
	Mended bool

	object bool // MarshalJSON writes Arguments as an object
}

// ObjectArguments returns a copy of which MarshalJSON writes the arguments as an object, not as a string.
func (c Call) ObjectArguments() Call {
	c.object = true
	return c
}

// ObjectArguments returns a copy with [Call.ObjectArguments] of all calls.
func (m Message) ObjectArguments() Message {
	m.ToolCalls = slices.Clone(m.ToolCalls)
	for i, c := range m.ToolCalls {
		m.ToolCalls[i] = c.ObjectArguments()
	}
	return m
}

// ObjectArguments returns a copy with [Call.ObjectArguments] of all calls.
func (c Conversation) ObjectArguments() Conversation {
	c.Messages = slices.Clone(c.Messages)
	for i, m := range c.Messages {
		c.Messages[i] = m.ObjectArguments()
	}
	return c
}

type conversationJSON struct {
	Messages            []Message      `json:"messages"`
	Tools               []Tool         `json:"tools,omitempty"`
	EnableThinking      bool           `json:"enable_thinking,omitempty"`
	AddGenerationPrompt *bool          `json:"add_generation_prompt,omitempty"`
	Continue            bool           `json:"continue_final_message,omitempty"`
	Variables           map[string]any `json:"chat_template_kwargs,omitempty"`
}

// MarshalJSON writes the conversation with the keys that [Conversation] names.
func (c Conversation) MarshalJSON() ([]byte, error) {
	j := conversationJSON{Messages: c.Messages, Tools: c.Tools, EnableThinking: c.Thinking, Continue: c.Continue, Variables: c.Variables}
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
		Messages  []json.RawMessage `json:"messages"`
		Tools     []json.RawMessage `json:"tools"`
		Variables json.RawMessage   `json:"chat_template_kwargs"`
	}
	if err := unmarshal(data, &j); err != nil {
		return fmt.Errorf("chat: conversation: %w", err)
	}
	next := Conversation{
		Thinking:           j.EnableThinking,
		NoGenerationPrompt: j.AddGenerationPrompt != nil && !*j.AddGenerationPrompt,
		Continue:           j.Continue,
	}
	if len(j.Variables) > 0 {
		d := json.NewDecoder(bytes.NewReader(j.Variables))
		d.UseNumber()
		if err := d.Decode(&next.Variables); err != nil {
			return fmt.Errorf("chat: conversation: chat_template_kwargs: %w", jsonError(err))
		}
		if thinking, ok := next.Variables["enable_thinking"].(bool); ok { // as other servers are asked for it
			next.Thinking = thinking
			delete(next.Variables, "enable_thinking")
		}
	}
	for i, raw := range j.Messages {
		var m Message
		if err := unmarshal(raw, &m); err != nil {
			return fmt.Errorf("chat: message %d: %w", i, inner(err))
		}
		next.Messages = append(next.Messages, m)
	}
	for i, raw := range j.Tools {
		var t Tool
		if err := unmarshal(raw, &t); err != nil {
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
	ToolResponses    []ToolResponse  `json:"tool_responses,omitempty"`
	ToolCallID       string          `json:"tool_call_id,omitempty"`
	Name             string          `json:"name,omitempty"`
}

// MarshalJSON writes the message in the shape of the OpenAI chat API.
func (m Message) MarshalJSON() ([]byte, error) {
	var content any = m.Content
	switch {
	case m.Parts != nil:
		content = m.Parts
	case len(m.Response) > 0:
		content = m.Response
	}
	raw, err := marshal(content)
	if err != nil {
		return nil, err
	}
	return marshal(messageJSON{
		Role: m.Role, Content: raw, Reasoning: m.Reasoning,
		ToolCalls: m.ToolCalls, ToolResponses: m.ToolResponses, ToolCallID: m.ToolCallID, Name: m.Name,
	})
}

// UnmarshalJSON reads a message in the shape of the OpenAI chat API; keys that it does not know are ignored.
func (m *Message) UnmarshalJSON(data []byte) error {
	if err := validText("JSON", string(data)); err != nil {
		return fmt.Errorf("chat: message: %w", err)
	}
	var j messageJSON
	if err := unmarshal(data, &j); err != nil {
		return fmt.Errorf("chat: message: %w", inner(err))
	}
	next := Message{
		Role: j.Role, Reasoning: j.Reasoning,
		ToolCalls: j.ToolCalls, ToolResponses: j.ToolResponses, ToolCallID: j.ToolCallID, Name: j.Name,
	}
	if next.Reasoning == "" {
		next.Reasoning = j.ReasoningContent
	}
	switch content := bytes.TrimSpace(j.Content); {
	case len(content) == 0 || string(content) == "null" && next.Role != "tool":
	case content[0] == '"':
		if err := unmarshal(content, &next.Content); err != nil {
			return fmt.Errorf("chat: message: content: %w", err)
		}
	case next.Role == "tool" && !isParts(content):
		next.Response = bytes.Clone(content)
	case content[0] == '[':
		next.Parts = []Part{}
		if err := unmarshal(content, &next.Parts); err != nil {
			return fmt.Errorf("chat: message: content: %w", inner(err))
		}
	default:
		return errors.New("chat: message: content: expected a string or a list of parts")
	}
	*m = next
	return nil
}

// isParts reports whether a tool's content, not a string, is a list of parts: objects with a type.
func isParts(content []byte) bool {
	var parts []struct{ Type string }
	if json.Unmarshal(content, &parts) != nil {
		return false
	}
	for _, p := range parts {
		if !slices.Contains(partTypes, p.Type) {
			return false
		}
	}
	return len(parts) > 0
}

type callJSON struct {
	ID       string       `json:"id,omitempty"`
	Type     string       `json:"type"`
	Function functionCall `json:"function"`
	Mended   bool         `json:"mended,omitempty"`
}

type functionCall struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

// MarshalJSON writes the call in the shape of the OpenAI chat API, with the arguments as a string that holds an object; see
// [Call.ObjectArguments].
func (c Call) MarshalJSON() ([]byte, error) {
	arguments := c.arguments()
	if !c.object {
		var err error
		if arguments, err = marshal(string(arguments)); err != nil {
			return nil, err
		}
	}
	return marshal(callJSON{
		ID: c.ID, Type: "function", Mended: c.Mended,
		Function: functionCall{Name: c.Name, Arguments: arguments},
	})
}

// UnmarshalJSON reads a call in the shape of the OpenAI chat API. The arguments are an object or, as that API itself
// sends them, a string that holds one.
func (c *Call) UnmarshalJSON(data []byte) error {
	var j callJSON
	if err := unmarshal(data, &j); err != nil {
		return fmt.Errorf("chat: tool call: %w", err)
	}
	arguments := bytes.TrimSpace(j.Function.Arguments)
	if len(arguments) > 0 && arguments[0] == '"' {
		var text string
		if err := unmarshal(arguments, &text); err != nil {
			return fmt.Errorf("chat: tool call %.60q: arguments: %w", j.Function.Name, err)
		}
		arguments = bytes.TrimSpace([]byte(text))
	}
	next := Call{ID: j.ID, Name: j.Function.Name, Mended: j.Mended}
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

// Validate reports the first message, tool or variable that no template could render faithfully. [Template.Render] begins with it, and then
// checks that responses of tools belong to calls.
func (c Conversation) Validate() error {
	_, err := c.check()
	return err
}

// check is Validate, and returns the values of Variables.
func (c Conversation) check() (object, error) {
	if len(c.Messages) == 0 {
		return nil, errors.New("chat: conversation: no messages, expected at least one")
	}
	for i, m := range c.Messages {
		if err := m.validate(); err != nil {
			return nil, fmt.Errorf("chat: message %d: %w", i, err)
		}
	}
	if last := len(c.Messages) - 1; c.Continue {
		if err := c.Messages[last].begins(); err != nil {
			return nil, fmt.Errorf("chat: message %d: %w", last, err)
		}
		if last == 0 {
			return nil, errors.New("chat: conversation: no message before the answer to continue, expected at least one")
		}
	}
	for i, t := range c.Tools {
		if err := t.validate(); err != nil {
			return nil, fmt.Errorf("chat: tool %d: %w", i, err)
		}
		if slices.ContainsFunc(c.Tools[:i], func(before Tool) bool { return before.Name == t.Name }) {
			return nil, fmt.Errorf("chat: tool %d: another one is named %.60q, too", i, t.Name)
		}
	}
	return c.variables()
}

// begins returns an error for a message that is not the beginning of an answer.
func (m Message) begins() error {
	if !m.model() {
		return fmt.Errorf("role %s, expected role assistant in the last message of a conversation to Continue", m.Role)
	}
	if len(m.ToolCalls) > 0 {
		return errors.New("tool_calls in the last message of a conversation to Continue, expected text or a thought alone")
	}
	for i, p := range m.Parts {
		if p.Type != "text" {
			return fmt.Errorf("part %d: type %s in the last message of a conversation to Continue, expected text", i, p.Type)
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
	if len(m.Response) > 0 {
		if m.Role != "tool" || m.Content != "" || len(m.Parts) > 0 {
			return errors.New("a response beside content, or in a message of another role than tool")
		}
		if err := validJSON(m.Response); err != nil {
			return fmt.Errorf("response: %w", err)
		}
	}
	for i, r := range m.ToolResponses {
		if err := validText("name", r.Name); err != nil {
			return fmt.Errorf("tool response %d: %w", i, err)
		}
		if err := validJSON(r.Response); err != nil {
			return fmt.Errorf("tool response %d: %w", i, err)
		}
	}
	if len(m.ToolResponses) > 0 && len(m.ToolCalls) == 0 {
		return errors.New("tool_responses without tool_calls")
	}
	if !m.model() {
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

func validJSON(data json.RawMessage) error {
	_, err := decodeJSON(data)
	return err
}

// variables makes the values of Variables.
func (c Conversation) variables() (object, error) {
	if len(c.Variables) == 0 {
		return nil, nil
	}
	for _, name := range []string{"messages", "tools", "add_generation_prompt", "enable_thinking", "bos_token", "eos_token"} {
		if _, ok := c.Variables[name]; ok {
			return nil, fmt.Errorf("chat: variable %s: the conversation itself says that", name)
		}
	}
	data, err := marshal(c.Variables)
	if err != nil {
		return nil, fmt.Errorf("chat: variables: %w", err)
	}
	d, err := decodeObject(data)
	if err != nil {
		return nil, fmt.Errorf("chat: variables: %w", err)
	}
	return d, nil
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
	for _, prefix := range []string{"chat: message: ", "chat: tool: ", "chat: part: ", "chat: "} {
		if text, ok := strings.CutPrefix(err.Error(), prefix); ok {
			return errors.New(text)
		}
	}
	return err
}

// unmarshal is json.Unmarshal with errors for those who wrote the JSON.
func unmarshal(data []byte, v any) error { return jsonError(json.Unmarshal(data, v)) }

// jsonError tells of a value of the wrong type without this package's types, which nobody outside knows.
func jsonError(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err
	}
	expected := "an object"
	switch wrong.Type.Kind() {
	case reflect.String:
		expected = "a string"
	case reflect.Bool:
		expected = "true or false"
	case reflect.Slice:
		if expected = "a list"; wrong.Type.Elem().Kind() == reflect.Uint8 {
			expected = "a string of base64"
		}
	}
	where := strings.TrimPrefix(wrong.Field, "conversationJSON.")
	if where != "" {
		where += ": "
	}
	return fmt.Errorf("%sa JSON %s, expected %s", where, wrong.Value, expected)
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
