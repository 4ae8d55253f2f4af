package server

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/media/fetch"
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
		m, err := c.ollamaMessageOf(fmt.Sprintf("messages[%d]", i), text)
		if err != nil {
			return err
		}
		r.Messages = append(r.Messages, m)
	}
	b.Messages = nil // pictures are large
	if r.Tools, r.Calls, err = (toolbox{Tools: b.Tools}).read(c.s.log); err != nil {
		return err
	}
	return c.ollamaAnswer(&b.ollamaRequest, r)
}

// ollamaMessageOf reads a message of a conversation. What a tool has returned may come without the tool's name and the call's id: then it
// belongs to the next of the calls before it.
func (c *call) ollamaMessageOf(path string, text json.RawMessage) (m chat.Message, err error) {
	var j struct {
		Role     string            `json:"role"`
		Content  string            `json:"content"`
		Thinking string            `json:"thinking"`
		Images   []json.RawMessage `json:"images"`
		Budget   json.RawMessage   `json:"budget"` // of each
		Calls    []json.RawMessage `json:"tool_calls"`
		ToolName string            `json:"tool_name"`
		Name     string            `json:"name"`
		CallID   string            `json:"tool_call_id"`
	}
	if err := decodeAt(path, text, &j); err != nil {
		return m, err
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
	return m, c.attach(&m, path+".", j.Images, j.Budget)
}

// attach adds pictures to a message, or sounds, whose bytes tell which they are. They come before its text. Fields of the body, images and
// budget, have a path that begins with prefix.
func (c *call) attach(m *chat.Message, prefix string, images []json.RawMessage, tokens json.RawMessage) error {
	if len(images) == 0 {
		return nil
	}
	most, err := budget(prefix+"budget", tokens)
	if err != nil {
		return err
	}
	for i, text := range images {
		path := fmt.Sprintf("%simages[%d]", prefix, i)
		var code string
		if err := decodeAt(path, text, &code); err != nil {
			return err
		}
		p := chat.Part{Type: "image", URL: code}
		if !strings.HasPrefix(code, "data:") {
			data, err := fetch.Base64(code)
			if err != nil {
				return bad(path, "%s: %v", path, err)
			}
			p = attachment(data)
		}
		if p.Type == "image" {
			p.Budget = most
		}
		if err := c.fetch(path, &p); err != nil {
			return err
		}
		m.Parts = append(m.Parts, p)
	}
	if m.Content != "" {
		m.Parts, m.Content = append(m.Parts, chat.TextPart(m.Content)), ""
	}
	if why := valid(*m); why != "" {
		return bad(prefix+"images", "%simages: %s", prefix, why)
	}
	return nil
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
	Budget   json.RawMessage   `json:"budget"` // of each
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
	}{{"suffix", b.Suffix != ""}, {"template", b.Template != ""}, {"context", len(b.Context) > 0}} {
		if field.given {
			return unsupported(field.name, "%s is not supported by this server", field.name)
		}
	}
	if b.Prompt == "" && b.System == "" && len(b.Images) == 0 {
		return c.loaded(&b.ollamaRequest)
	}
	r, err := b.request(c)
	if err != nil {
		return err
	}
	if b.Raw {
		if len(b.Images) > 0 {
			return unsupported("images", "images: a raw prompt has text only")
		}
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
	asked := chat.Message{Role: "user", Content: b.Prompt}
	if err := c.attach(&asked, "", b.Images, b.Budget); err != nil {
		return err
	}
	b.Images = nil
	r.Messages = append(r.Messages, asked)
	return c.ollamaAnswer(&b.ollamaRequest, r)
}
