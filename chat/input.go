package chat

import (
	"fmt"
	"strings"
)

// input is a conversation as templates see it.
type input struct {
	messages  *list // of *dict
	tools     value // *list of *dict, or nil
	variables *dict
	thinking  bool
	generate  bool
	size      int // bytes of all text and of all numbers, marked
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
	in := &input{messages: &list{}, thinking: c.Thinking, generate: !c.NoGenerationPrompt}
	for i, m := range messages {
		if i == 0 && !knows.systemParts && (m.Role == "system" || m.Role == "developer") {
			m = m.joined()
		}
		d, err := m.dict()
		if err != nil {
			return nil, fmt.Errorf("chat: message of role %s: %w", m.Role, err)
		}
		in.messages.items = append(in.messages.items, d)
	}
	if in.variables, err = c.variables(); err != nil {
		return nil, err
	}
	if len(c.Tools) > 0 {
		tools := &list{}
		for i, t := range c.Tools {
			d, err := t.dict()
			if err != nil {
				return nil, fmt.Errorf("chat: tool %d: %w", i, err)
			}
			tools.items = append(tools.items, d)
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

// dict makes the value of a message. Empty fields are left out, but content is always there.
func (m Message) dict() (*dict, error) {
	d := newDict()
	d.put("role", pick(m.model(), "assistant", m.Role)) // by which name templates know the model
	if len(m.Parts) == 0 {
		d.put("content", m.Content)
	} else {
		parts := &list{}
		for _, p := range m.Parts {
			part := newDict()
			part.put("type", p.Type)
			if p.Type == "text" {
				part.put("text", p.Text)
			}
			parts.items = append(parts.items, part)
		}
		d.put("content", parts)
	}
	if m.Reasoning != "" {
		d.put("reasoning", m.Reasoning)
		d.put("reasoning_content", m.Reasoning)
	}
	if len(m.ToolCalls) > 0 {
		calls := &list{}
		for _, c := range m.ToolCalls {
			arguments, err := decodeObject(c.arguments())
			if err != nil {
				return nil, err
			}
			function := newDict()
			function.put("name", c.Name)
			function.put("arguments", arguments)
			call := newDict()
			if c.ID != "" {
				call.put("id", c.ID)
			}
			call.put("type", "function")
			call.put("function", function)
			calls.items = append(calls.items, call)
		}
		d.put("tool_calls", calls)
	}
	if len(m.ToolResponses) > 0 {
		responses := &list{}
		for _, r := range m.ToolResponses {
			v, err := decodeJSON(r.Response)
			if err != nil {
				return nil, err
			}
			response := newDict()
			response.put("name", r.Name)
			response.put("response", v)
			responses.items = append(responses.items, response)
		}
		d.put("tool_responses", responses)
	}
	if m.ToolCallID != "" {
		d.put("tool_call_id", m.ToolCallID)
	}
	if m.Name != "" {
		d.put("name", m.Name)
	}
	return d, nil
}

// dict makes the value of a tool.
func (t Tool) dict() (*dict, error) {
	function := newDict()
	function.put("name", t.Name)
	function.put("description", t.Description)
	if len(t.Parameters) > 0 {
		parameters, err := decodeObject(t.Parameters)
		if err != nil {
			return nil, err
		}
		function.put("parameters", parameters)
	}
	if len(t.Response) > 0 {
		response, err := decodeObject(t.Response)
		if err != nil {
			return nil, err
		}
		function.put("response", response)
	}
	d := newDict()
	d.put("type", "function")
	d.put("function", function)
	return d, nil
}

// marked marks all text of the conversation, but not the roles of messages and the types of parts: these are the
// program's own words.
func (in *input) marked(markup []string, used map[rune]bool) (*marks, error) {
	all := map[rune]bool{}
	for r := range used {
		all[r] = true
	}
	collect(in.messages, all)
	collect(in.tools, all)
	collect(in.variables, all)
	m, err := newMarks(markup, all)
	if err != nil {
		return nil, err
	}
	m.apply(in.messages)
	m.apply(in.tools)
	for i, v := range in.variables.values { // their names are the template's
		in.variables.values[i] = m.apply(v)
	}
	for _, message := range in.messages.items {
		d := message.(*dict)
		m.unmark(d, "role")
		content, _ := d.get("content")
		if parts, ok := content.(*list); ok {
			for _, part := range parts.items {
				m.unmark(part.(*dict), "type")
			}
		}
	}
	in.size = weigh(in.messages) + weigh(in.tools) + weigh(in.variables)
	return m, nil
}

// unmark makes the text at a key plain again.
func (m *marks) unmark(d *dict, key string) {
	if v, ok := d.get(key); ok {
		d.put(key, m.plain(v.(string)))
	}
}

// collect adds the runes of all text that could be taken for marks.
func collect(v value, used map[rune]bool) {
	switch v := v.(type) {
	case string:
		if hasMarkLead(v) {
			for _, r := range v {
				if mayBeMark(r) {
					used[r] = true
				}
			}
		}
	case *list:
		for _, item := range v.items {
			collect(item, used)
		}
	case *dict:
		for i, k := range v.keys {
			collect(k, used)
			collect(v.values[i], used)
		}
	}
}

// weigh returns the bytes of all text and numbers in a value.
func weigh(v value) int {
	n := 0
	switch v := v.(type) {
	case string:
		n = len(v)
	case number:
		n = len(v)
	case *list:
		for _, item := range v.items {
			n += weigh(item)
		}
	case *dict:
		for i, k := range v.keys {
			n += len(k) + weigh(v.values[i])
		}
	}
	return n
}
