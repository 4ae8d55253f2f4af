package chat

import (
	"fmt"
	"slices"

	"github.com/gogemma/gemma4/internal/jinja"
)

// values makes the variables of a template: those of the conversation's own choice, and those of every conversation.
func (in *input) values() (object, error) {
	all := slices.Clone(in.variables)
	var messages []any
	for _, m := range in.messages {
		o, err := m.object()
		if err != nil {
			return nil, fmt.Errorf("message of role %s: %w", m.Role, err)
		}
		messages = append(messages, o)
	}
	all.Put("messages", messages)
	var tools any // none without
	if len(in.tools) > 0 {
		var list []any
		for i, t := range in.tools {
			o, err := t.object()
			if err != nil {
				return nil, fmt.Errorf("tool %d: %w", i, err)
			}
			list = append(list, o)
		}
		tools = list
	}
	all.Put("tools", tools)
	all.Put("add_generation_prompt", in.generate)
	all.Put("enable_thinking", in.thinking)
	all.Put("bos_token", jinja.Safe(bos))
	all.Put("eos_token", jinja.Safe(eos))
	return all, nil
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
