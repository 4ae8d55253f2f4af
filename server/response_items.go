package server

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/chat"
)

// responseItem is an item of a response's input.
type responseItem struct {
	Type             string          `json:"type"`
	Role             string          `json:"role"`
	Content          json.RawMessage `json:"content"`
	Summary          json.RawMessage `json:"summary"`
	EncryptedContent string          `json:"encrypted_content"`
	CallID           string          `json:"call_id"`
	Name             string          `json:"name"`
	Arguments        json.RawMessage `json:"arguments"`
	Input            string          `json:"input"` // of a custom tool
	Output           json.RawMessage `json:"output"`
}

// hosted are items that tell what tools of other servers have done, which means nothing to this one's model.
var hosted = []string{"web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_list_tools", "mcp_call",
	"mcp_approval_request", "mcp_approval_response", "local_shell_call", "local_shell_call_output", "computer_call", "computer_call_output",
	"tool_search_call", "tool_search_output", "compaction"}

// items adds the input of a response: a string, or items.
func (h *history) items(c *call, input json.RawMessage) error {
	const param = "input"
	if input[0] == '"' {
		m, err := c.spoken("user", param, input)
		h.say("user", m.Content)
		return err
	}
	var list []json.RawMessage
	if err := decodeAt(param, input, &list); err != nil {
		return bad(param, "%s: %s, expected a string or an array of items", param, jsonKind(input))
	}
	for i, text := range list {
		if err := h.item(c, fmt.Sprintf("%s[%d]", param, i), text); err != nil {
			return err
		}
	}
	return nil
}

// item adds an item of the input.
func (h *history) item(c *call, path string, text json.RawMessage) error {
	var item responseItem
	if err := decodeAt(path, text, &item); err != nil {
		return err
	}
	if item.Type == "" && item.Role != "" {
		item.Type = "message"
	}
	switch item.Type {
	case "message":
		return h.message(c, path, item)
	case "reasoning":
		return h.reasoning(c, path, item)
	case "custom_tool_call":
		item.Arguments, _ = json.Marshal(map[string]string{"input": item.Input})
		return h.called(path, item)
	case "function_call":
		return h.called(path, item)
	case "function_call_output", "custom_tool_call_output":
		m, err := c.spoken("user", path+".output", item.Output)
		if m.ToolCallID = item.CallID; err == nil && !h.respond(m) {
			err = bad(path+".call_id", "%s.call_id is %.60q, which no call before it has", path, item.CallID)
		}
		return err
	case "item_reference":
		return unsupported(path, "%s is of type item_reference: nothing is stored here, send the item itself", path)
	}
	if !slices.Contains(hosted, item.Type) {
		return bad(path+".type", "%s.type is %.60q, expected message, function_call, function_call_output or reasoning", path, item.Type)
	}
	c.s.log.Info("item left out", "request", c.id, "path", path, "type", item.Type)
	return nil
}

// message adds what somebody says.
func (h *history) message(c *call, path string, item responseItem) error {
	if !slices.Contains([]string{"system", "developer", "user", "assistant"}, item.Role) {
		return bad(path+".role", "%s.role is %.60q, expected system, developer, user or assistant", path, item.Role)
	}
	m, err := c.spoken(item.Role, path+".content", item.Content)
	if err != nil {
		return err
	}
	return h.add(path, m)
}

// called adds a call that the model has made.
func (h *history) called(path string, item responseItem) (err error) {
	c := chat.Call{ID: item.CallID, Name: item.Name}
	if c.Arguments, err = readArguments(path+".arguments", item.Arguments); err != nil {
		return err
	}
	h.call(c)
	if err := valid(chat.Message{Role: "assistant", ToolCalls: []chat.Call{c}}); err != "" {
		return bad(path, "%s: %s", path, err)
	}
	return nil
}

// thoughtMark begins the encrypted_content of this server's own thoughts. Nothing in it is encrypted: it takes a thought through clients
// that give back nothing else of it.
const thoughtMark = "gemma4:"

// wrapped returns a thought as encrypted_content.
func wrapped(thought string) string {
	return thoughtMark + base64.StdEncoding.EncodeToString([]byte(thought))
}

// reasoning adds a thought: its text, or what this server has wrapped it in, or a summary. What another server has encrypted is left out.
func (h *history) reasoning(c *call, path string, item responseItem) error {
	thought, err := c.words(path+".content", item.Content)
	if code, ours := strings.CutPrefix(item.EncryptedContent, thoughtMark); err == nil && thought == "" && ours {
		var text []byte
		if text, err = base64.StdEncoding.DecodeString(code); err != nil {
			return bad(path+".encrypted_content", "%s.encrypted_content is not what this server has written: %v", path, err)
		}
		thought = strings.ToValidUTF8(string(text), "\uFFFD")
	}
	if err == nil && thought == "" {
		thought, err = c.words(path+".summary", item.Summary)
	}
	if thought != "" {
		h.think(thought)
	}
	return err
}

// spoken returns the message of somebody who says a string, or parts.
func (c *call) spoken(role, path string, text json.RawMessage) (m chat.Message, err error) {
	if err := c.content(&m, path, text); err != nil || len(m.Parts) == 0 {
		m.Role = role
		return m, err
	}
	return saying(role, m.Parts), nil
}

// words returns what a string, or parts of text, say.
func (c *call) words(path string, text json.RawMessage) (string, error) {
	m, err := c.spoken("", path, text)
	if err == nil && len(m.Parts) > 0 {
		err = bad(path, "%s: expected text", path)
	}
	return m.Content, err
}
