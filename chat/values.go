package chat

import (
	"slices"

	"github.com/gogemma/gemma4/internal/jinja"
)

// values makes the variables of a template: those of the conversation's own choice, and those of every conversation.
func (in *input) values() object {
	all := slices.Clone(in.variables)
	var messages []any
	for _, x := range in.exchanges {
		messages = append(messages, x.object())
		for _, m := range x.responses {
			messages = append(messages, m.object())
		}
	}
	all.Put("messages", messages)
	var tools any // none without
	if len(in.tools) > 0 {
		var list []any
		for _, t := range in.tools {
			list = append(list, t.object())
		}
		tools = list
	}
	all.Put("tools", tools)
	all.Put("add_generation_prompt", in.generate)
	all.Put("enable_thinking", in.thinking)
	all.Put("bos_token", jinja.Safe(bos))
	all.Put("eos_token", jinja.Safe(eos))
	return all
}

// object makes the value of a message. Empty fields are left out, but content is always there. Roles and the types of parts
// are the program's own words.
func (m Message) object() object {
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
			var function, call object
			function.Put("name", c.Name)
			function.Put("arguments", decoded(c.arguments()))
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
			var response object
			response.Put("name", r.Name)
			response.Put("response", decoded(r.Response))
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
	return d
}

// object makes the value of a tool.
func (t Tool) object() object {
	var function, d object
	function.Put("name", t.Name)
	function.Put("description", t.Description)
	if len(t.Parameters) > 0 {
		function.Put("parameters", decoded(t.Parameters))
	}
	if len(t.Response) > 0 {
		function.Put("response", decoded(t.Response))
	}
	d.Put("type", "function")
	d.Put("function", function)
	return d
}
