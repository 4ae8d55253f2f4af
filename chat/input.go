package chat

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/gogemma/gemma4/internal/jinja"
)

// input is a conversation as templates see it.
type input struct {
	messages  []any // of object
	tools     any   // []any of object, or nil
	variables object
	thinking  bool
	generate  bool
}

// newInput checks a conversation and makes the values of it, for a template that knows so much.
func newInput(c Conversation, knows knowledge) (*input, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	messages, err := attach(c.Messages)
	if err != nil {
		return nil, err
	}
	if messages, err = knows.fold(messages); err != nil {
		return nil, err
	}
	in := &input{thinking: c.Thinking, generate: !c.NoGenerationPrompt}
	for i, m := range messages {
		if i == 0 && !knows.systemParts && (m.Role == "system" || m.Role == "developer") {
			m = m.joined()
		}
		d, err := m.object()
		if err != nil {
			return nil, fmt.Errorf("chat: message of role %s: %w", m.Role, err)
		}
		in.messages = append(in.messages, d)
	}
	if in.variables, err = c.variables(); err != nil {
		return nil, err
	}
	if len(c.Tools) > 0 {
		var tools []any
		for i, t := range c.Tools {
			d, err := t.object()
			if err != nil {
				return nil, fmt.Errorf("chat: tool %d: %w", i, err)
			}
			tools = append(tools, d)
		}
		in.tools = tools
	}
	return in, nil
}

// joined returns the message with its parts of text as one, joined as templates join them, trimmed.
func (m Message) joined() Message {
	var text strings.Builder
	for _, p := range m.Parts {
		text.WriteString(strings.TrimFunc(p.Text, isSpace))
	}
	if len(m.Parts) > 0 {
		m.Content, m.Parts = text.String(), nil
	}
	return m
}

// object makes the value of a message. Empty fields are left out, but content is always there. Roles and the types of parts
// are the program's own words.
func (m Message) object() (object, error) {
	var content any = m.Content
	if len(m.Parts) > 0 {
		var parts []any
		for _, p := range m.Parts {
			var part object
			part.Put("type", jinja.Safe(p.Type))
			if p.Type == "text" {
				part.Put("text", p.Text)
			}
			parts = append(parts, part)
		}
		content = parts
	}
	role := pick(m.model(), "assistant", m.Role) // by which name templates know the model
	var d object
	d.Put("role", jinja.Safe(role))
	d.Put("content", content)
	if m.Reasoning != "" {
		d.Put("reasoning", m.Reasoning)
		d.Put("reasoning_content", m.Reasoning)
	}
	if len(m.ToolCalls) > 0 {
		var calls []any
		for _, c := range m.ToolCalls {
			arguments, err := decodeObject(c.arguments())
			if err != nil {
				return nil, err
			}
			var function, call object
			function.Put("name", c.Name)
			function.Put("arguments", arguments)
			if c.ID != "" {
				call.Put("id", c.ID)
			}
			call.Put("type", "function")
			call.Put("function", function)
			calls = append(calls, call)
		}
		d.Put("tool_calls", calls)
	}
	if len(m.ToolResponses) > 0 {
		var responses []any
		for _, r := range m.ToolResponses {
			v, err := decodeJSON(r.Response)
			if err != nil {
				return nil, err
			}
			var response object
			response.Put("name", r.Name)
			response.Put("response", v)
			responses = append(responses, response)
		}
		d.Put("tool_responses", responses)
	}
	if m.ToolCallID != "" {
		d.Put("tool_call_id", m.ToolCallID)
	}
	if m.Name != "" {
		d.Put("name", m.Name)
	}
	return d, nil
}

// object makes the value of a tool.
func (t Tool) object() (object, error) {
	var function, d object
	function.Put("name", t.Name)
	function.Put("description", t.Description)
	if len(t.Parameters) > 0 {
		parameters, err := decodeObject(t.Parameters)
		if err != nil {
			return nil, err
		}
		function.Put("parameters", parameters)
	}
	if len(t.Response) > 0 {
		response, err := decodeObject(t.Response)
		if err != nil {
			return nil, err
		}
		function.Put("response", response)
	}
	d.Put("type", "function")
	d.Put("function", function)
	return d, nil
}

// isSpace reports what Python's str.strip removes, as templates do.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }
