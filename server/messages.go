package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/media/fetch"
)

// conversation reads a conversation in the shape of OpenAI's chat completions. Errors name the place, as messages[2].content[0].
func (c *call) conversation(param string, list []json.RawMessage) (out []chat.Message, err error) {
	if len(list) == 0 {
		return nil, bad(param, "%s: at least one is expected", param)
	}
	for i, text := range list {
		m, err := c.message(fmt.Sprintf("%s[%d]", param, i), text)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func (c *call) message(path string, text json.RawMessage) (m chat.Message, err error) {
	var j struct {
		Role             string            `json:"role"`
		Content          json.RawMessage   `json:"content"`
		Refusal          string            `json:"refusal"`
		Reasoning        string            `json:"reasoning"`
		ReasoningContent string            `json:"reasoning_content"`
		ToolCalls        []json.RawMessage `json:"tool_calls"`
		ToolCallID       string            `json:"tool_call_id"`
		Name             string            `json:"name"`
	}
	if err := decodeAt(path, text, &j); err != nil {
		return m, err
	}
	m.Role = j.Role
	switch j.Role {
	case "system", "developer", "user":
	case "assistant", "model":
		if m.Reasoning = j.ReasoningContent; m.Reasoning == "" {
			m.Reasoning = j.Reasoning
		}
	case "tool":
		m.ToolCallID, m.Name = j.ToolCallID, j.Name
	case "function":
		return m, unsupported(path+".role", "%s.role is function, which tools have replaced: expected role tool", path)
	default:
		return m, bad(path+".role", "%s.role is %.60q, expected system, developer, user, assistant or tool", path, j.Role)
	}
	if err := c.content(&m, path+".content", j.Content); err != nil {
		return m, err
	}
	if m.Content == "" && len(m.Parts) == 0 && j.Refusal != "" {
		m.Content = j.Refusal
	}
	for i, text := range j.ToolCalls {
		c, err := toolCall(fmt.Sprintf("%s.tool_calls[%d]", path, i), text)
		if err != nil {
			return m, err
		}
		m.ToolCalls = append(m.ToolCalls, c)
	}
	if err := valid(m); err != "" {
		return m, bad(path, "%s: %s", path, err)
	}
	return m, nil
}

// content reads what a message says: a string, null, or parts. What a tool returns may be any JSON.
func (c *call) content(m *chat.Message, path string, text json.RawMessage) error {
	text = bytes.TrimSpace(text)
	switch {
	case !present(text):
	case text[0] == '"':
		return decodeAt(path, text, &m.Content)
	case m.Role == "tool" && !isParts(text):
		m.Response = text
	default:
		var list []json.RawMessage
		if err := decodeAt(path, text, &list); err != nil {
			return bad(path, "%s: %s, expected a string or an array of parts", path, jsonKind(text))
		}
		for i, text := range list {
			p, err := c.part(fmt.Sprintf("%s[%d]", path, i), text)
			if err != nil {
				return err
			}
			m.Parts = append(m.Parts, p)
		}
	}
	return nil
}

// partTypes are those of parts in OpenAI's protocols: its chat completions', its responses', and by analogy.
var partTypes = []string{"text", "input_text", "output_text", "reasoning_text", "summary_text", "refusal",
	"image_url", "input_image", "input_audio", "audio_url", "video_url", "file", "input_file", "image", "audio", "video"}

// isParts reports whether what a tool returns is a list of parts, not a value of its own.
func isParts(text json.RawMessage) bool {
	var list []struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(text, &list) != nil {
		return false
	}
	for _, p := range list {
		if !slices.Contains(partTypes, p.Type) {
			return false
		}
	}
	return len(list) > 0
}

// where is where a picture, a sound or a video is: an object, or its URL alone.
type where struct {
	URL    string `json:"url"`
	Detail string `json:"detail"`
}

// UnmarshalJSON reads either.
func (w *where) UnmarshalJSON(text []byte) error {
	if text[0] == '"' {
		return json.Unmarshal(text, &w.URL)
	}
	type plain where
	return json.Unmarshal(text, (*plain)(w))
}

// part reads a part of a message, and gets what it only names.
func (c *call) part(path string, text json.RawMessage) (p chat.Part, err error) {
	var j struct {
		Type    string `json:"type"`
		Text    string `json:"text"`
		Refusal string `json:"refusal"`
		Image   *where `json:"image_url"`
		Audio   *where `json:"audio_url"`
		Video   *where `json:"video_url"`
		Input   *struct {
			Data   string `json:"data"`
			Format string `json:"format"` // which the data tells
		} `json:"input_audio"`
		Detail string          `json:"detail"`
		Budget json.RawMessage `json:"budget"`
	}
	if err := decodeAt(path, text, &j); err != nil {
		return p, err
	}
	var at *where
	field := j.Type
	switch j.Type {
	case "text", "input_text", "output_text", "reasoning_text", "summary_text":
		return chat.TextPart(j.Text), nil
	case "refusal":
		return chat.TextPart(j.Refusal), nil
	case "image_url":
		p.Type, at = "image", j.Image
	case "input_image":
		p.Type, at, field = "image", j.Image, "image_url"
	case "audio_url":
		p.Type, at = "audio", j.Audio
	case "video_url":
		p.Type, at = "video", j.Video
	case "input_audio":
		if p.Type = "audio"; j.Input != nil {
			at = &where{URL: j.Input.Data}
		}
	case "":
		return p, bad(path+".type", "%s.type is missing", path)
	default:
		return p, unsupported(path, "%s is of type %.60s: this server reads text, image_url, input_image, input_audio, audio_url and "+
			"video_url", path, j.Type)
	}
	if err := c.s.lacks(path, p.Type); err != nil {
		return p, err
	}
	if at == nil || at.URL == "" {
		return p, bad(path+"."+field, "%s.%s is missing", path, field)
	}
	if p.URL, p.Detail = at.URL, at.Detail; p.Detail == "" {
		p.Detail = j.Detail
	}
	if j.Type == "input_audio" && !strings.HasPrefix(at.URL, "data:") {
		p.URL = ""
		if p.Data, err = fetch.Base64(at.URL); err != nil {
			return p, bad(path+".input_audio.data", "%s.input_audio.data: %v", path, err)
		}
	}
	if p.Budget, err = budget(path+".budget", j.Budget); err != nil {
		return p, err
	}
	if !slices.Contains([]string{"", "auto", "low", "high"}, p.Detail) {
		return p, bad(path+".detail", "%s: detail is %.60q, expected auto, low or high", path, p.Detail)
	}
	return p, c.fetch(path, &p)
}

// budget reads the most tokens that a picture may become, which no protocol but this server's has: a number, or a name.
func budget(field string, text json.RawMessage) (b chat.Budget, err error) {
	if present(text) {
		if err = json.Unmarshal(text, &b); err != nil {
			err = bad(field, "%s: %s", field, strings.TrimPrefix(err.Error(), "unknown "))
		}
	}
	return b, err
}

// toolCall reads a call that an assistant's message has made.
func toolCall(path string, text json.RawMessage) (c chat.Call, err error) {
	var j struct {
		ID       string `json:"id"`
		Type     string `json:"type"`
		Function *struct {
			Name      string          `json:"name"`
			Arguments json.RawMessage `json:"arguments"`
		} `json:"function"`
	}
	if err := decodeAt(path, text, &j); err != nil {
		return c, err
	}
	switch {
	case j.Type != "function" && j.Type != "":
		return c, unsupported(path+".type", "%s.type is %.60q, expected function", path, j.Type)
	case j.Function == nil || j.Function.Name == "":
		return c, bad(path+".function.name", "%s.function.name is missing", path)
	}
	c = chat.Call{ID: j.ID, Name: j.Function.Name}
	path += ".function.arguments"
	if c.Arguments, err = readArguments(path, j.Function.Arguments); err != nil {
		return c, err
	}
	if err := valid(chat.Message{Role: "assistant", ToolCalls: []chat.Call{c}}); err != "" {
		if _, after, ok := strings.Cut(err, ": arguments: "); ok {
			err = after
		}
		return c, bad(path, "%s: %s", path, err)
	}
	return c, nil
}

// readArguments reads the arguments of a call: an object, or a string that holds one. None are nil.
func readArguments(path string, text json.RawMessage) (json.RawMessage, error) {
	if text = bytes.TrimSpace(text); !present(text) {
		return nil, nil
	}
	if text[0] == '"' {
		var inner string
		if err := decodeAt(path, text, &inner); err != nil {
			return nil, err
		}
		text = bytes.TrimSpace([]byte(inner))
	}
	if len(text) == 0 {
		return nil, nil
	}
	if !json.Valid(text) || text[0] != '{' {
		return nil, bad(path, "%s: %.60q is no JSON object", path, text)
	}
	return text, nil
}

// valid returns why a message can be no part of a prompt; empty: it can.
func valid(m chat.Message) string {
	if err := (chat.Conversation{Messages: []chat.Message{m}}).Validate(); err != nil {
		return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "chat: message 0: "), "chat: ")
	}
	return ""
}

// arguments returns the arguments of a call, an object.
func arguments(c *chat.Call) string {
	if len(c.Arguments) == 0 {
		return "{}"
	}
	return string(c.Arguments)
}
