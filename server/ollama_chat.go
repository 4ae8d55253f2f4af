package server

import (
	"encoding/json"
	"fmt"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// ollamaChatRequest is the body of POST /api/chat.
type ollamaChatRequest struct {
	ollamaRequest
	Messages []json.RawMessage `json:"messages"`
	Tools    []json.RawMessage `json:"tools"`
}

// ollamaChat answers a conversation.
func (c *call) ollamaChat() error {
	var b ollamaChatRequest
	if err := c.read(&b); err != nil {
		return err
	}
	if len(b.Messages) == 0 {
		return c.loaded(&b.ollamaRequest)
	}
	r, err := b.request(c)
	if err != nil {
		return err
	}
	for i, text := range b.Messages {
		m, err := ollamaMessageOf(fmt.Sprintf("messages[%d]", i), text)
		if err != nil {
			return err
		}
		r.Messages = append(r.Messages, m)
	}
	if r.Tools, r.Calls, err = (toolbox{Tools: b.Tools}).read(c.s.log); err != nil {
		return err
	}
	return c.ollamaAnswer(&b.ollamaRequest, r)
}

// ollamaMessageOf reads a message of a conversation. What a tool has returned may come without the tool's name and the call's id: then it
// belongs to the next of the calls before it.
func ollamaMessageOf(path string, text json.RawMessage) (m chat.Message, err error) {
	var j struct {
		Role     string            `json:"role"`
		Content  string            `json:"content"`
		Thinking string            `json:"thinking"`
		Images   []json.RawMessage `json:"images"`
		Calls    []json.RawMessage `json:"tool_calls"`
		ToolName string            `json:"tool_name"`
		Name     string            `json:"name"`
		CallID   string            `json:"tool_call_id"`
	}
	if err := decodeAt(path, text, &j); err != nil {
		return m, err
	}
	if len(j.Images) > 0 {
		return m, unsupported(path+".images", "%s.images: this server reads text only", path)
	}
	m = chat.Message{Role: j.Role, Content: j.Content}
	switch j.Role {
	case "system", "user":
	case "assistant":
		m.Reasoning = j.Thinking
		for i, text := range j.Calls {
			call, err := toolCall(fmt.Sprintf("%s.tool_calls[%d]", path, i), text)
			if err != nil {
				return m, err
			}
			m.ToolCalls = append(m.ToolCalls, call)
		}
	case "tool":
		m.ToolCallID = j.CallID
		if m.Name = j.ToolName; m.Name == "" {
			m.Name = j.Name
		}
	default:
		return m, bad(path+".role", "%s.role is %.60q, expected system, user, assistant or tool", path, j.Role)
	}
	if why := valid(m); why != "" {
		return m, bad(path, "%s: %s", path, why)
	}
	return m, nil
}

// ollamaGenerateRequest is the body of POST /api/generate.
type ollamaGenerateRequest struct {
	ollamaRequest
	Prompt   string            `json:"prompt"`
	System   string            `json:"system"`
	Raw      bool              `json:"raw"`
	Suffix   string            `json:"suffix"`
	Template string            `json:"template"`
	Images   []json.RawMessage `json:"images"`
	Context  []json.RawMessage `json:"context"`
}

// ollamaGenerate answers one question, or continues a text as it stands.
func (c *call) ollamaGenerate() error {
	var b ollamaGenerateRequest
	if err := c.read(&b); err != nil {
		return err
	}
	for _, field := range []struct {
		name  string
		given bool
	}{{"suffix", b.Suffix != ""}, {"template", b.Template != ""}, {"images", len(b.Images) > 0}, {"context", len(b.Context) > 0}} {
		if field.given {
			return unsupported(field.name, "%s is not supported by this server", field.name)
		}
	}
	if b.Prompt == "" && b.System == "" {
		return c.loaded(&b.ollamaRequest)
	}
	r, err := b.request(c)
	if err != nil {
		return err
	}
	if b.Raw {
		tok := c.s.m.Tokenizer()
		ids := tok.WithBOS(tok.Encode(b.Prompt, true))
		if err := c.s.fits("prompt", ids, 0); err != nil {
			return err
		}
		r.Thinking, r.Prompt = false, []gemma4.Input{{Tokens: ids}}
		return c.ollamaAnswer(&b.ollamaRequest, r)
	}
	if b.System != "" {
		r.Messages = append(r.Messages, chat.Message{Role: "system", Content: b.System})
	}
	r.Messages = append(r.Messages, chat.Message{Role: "user", Content: b.Prompt})
	return c.ollamaAnswer(&b.ollamaRequest, r)
}
