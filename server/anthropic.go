package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/media/fetch"
)

// anthropic is the protocol of Anthropic's clients.
var anthropic = protocol{
	status: func(f *failure) int {
		if f.status == http.StatusTooManyRequests {
			return statusOverloaded
		}
		return f.status
	},
	failure: func(f *failure, request string) any {
		type body struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		}
		message := f.message
		if f.code == "context_length_exceeded" && f.need > 0 { // what clients look for
			message = fmt.Sprintf("prompt is too long: %d tokens > %d maximum", f.need, f.limit)
		}
		kind := anthropicKinds[f.status]
		if kind == "" {
			kind = "api_error"
		}
		return struct {
			Type    string `json:"type"`
			Error   body   `json:"error"`
			Request string `json:"request_id"`
		}{"error", body{kind, message}, request}
	},
	event: "error",
	ping:  "event: ping\ndata: {\"type\":\"ping\"}\n\n",
}

// statusOverloaded is how Anthropic's servers say that they are too busy.
const statusOverloaded = 529

// anthropicKinds are Anthropic's types of errors by status.
var anthropicKinds = map[int]string{
	http.StatusBadRequest:            "invalid_request_error",
	http.StatusUnauthorized:          "authentication_error",
	http.StatusForbidden:             "permission_error",
	http.StatusNotFound:              "not_found_error",
	http.StatusMethodNotAllowed:      "invalid_request_error",
	http.StatusRequestTimeout:        "timeout_error",
	http.StatusRequestEntityTooLarge: "request_too_large",
	http.StatusUnsupportedMediaType:  "invalid_request_error",
	http.StatusServiceUnavailable:    "overloaded_error",
	http.StatusGatewayTimeout:        "timeout_error",
	statusOverloaded:                 "overloaded_error",
}

// messagesRequest is the body of POST /v1/messages. What it does not name is ignored, as betas that this server does not have are.
type messagesRequest struct {
	sampling
	Model         string            `json:"model"`
	MaxTokens     *whole            `json:"max_tokens"`
	System        json.RawMessage   `json:"system"`
	Messages      []json.RawMessage `json:"messages"`
	Tools         []json.RawMessage `json:"tools"`
	ToolChoice    *messagesChoice   `json:"tool_choice"`
	StopSequences []string          `json:"stop_sequences"`
	Thinking      *messagesThinking `json:"thinking"`
	Output        struct {
		Format json.RawMessage `json:"format"`
	} `json:"output_config"`
	OutputFormat json.RawMessage `json:"output_format"` // as betas had it
	Stream       bool            `json:"stream"`
}

// messagesChoice says what the model may call: auto, any, none or the tool of a name.
type messagesChoice struct {
	Type   string `json:"type"`
	Name   string `json:"name"`
	Single bool   `json:"disable_parallel_tool_use"`
}

// messagesThinking says whether the model thinks: enabled, adaptive or disabled.
type messagesThinking struct {
	Type   string `json:"type"`
	Budget *whole `json:"budget_tokens"` // at most
}

// request makes one for the queue.
func (b *messagesRequest) request(c *call) (r gemma4.Request, err error) {
	if err := c.known(b.Model); err != nil {
		return r, err
	}
	var h history
	if err := h.system(b.System); err != nil {
		return r, err
	}
	if len(b.Messages) == 0 {
		return r, bad("messages", "messages: at least one is expected")
	}
	for i, text := range b.Messages {
		if err := h.turn(c, fmt.Sprintf("messages[%d]", i), text); err != nil {
			return r, err
		}
	}
	b.Messages = nil // pictures are large
	r.Messages = h.messages
	if last, ok := h.last(); ok && len(last.ToolCalls) == 0 && len(h.messages) > 1 {
		r.Continue = true // their answers go on with what the conversation ends in
	}
	if r.Tools, r.Calls, err = b.tools(c); err != nil {
		return r, err
	}
	if r.Grammar, err = b.form(c); err != nil {
		return r, err
	}
	if r.Sampling, err = b.overrides(c.s.m.Tokenizer().Size(), c.s.context); err != nil {
		return r, err
	}
	for i, s := range b.StopSequences {
		if s == "" {
			return r, bad(fmt.Sprintf("stop_sequences[%d]", i), "stop_sequences[%d] is empty", i)
		}
	}
	r.Stop = b.StopSequences
	r.RepeatGuard = r.Grammar != nil
	if t := b.Thinking; t != nil {
		switch t.Type {
		case "enabled", "adaptive":
			r.Thinking = true
		case "disabled":
		default:
			return r, bad("thinking.type", "thinking.type is %.60q, expected enabled, adaptive or disabled", t.Type)
		}
		if t.Budget != nil && r.Thinking {
			if r.ThinkTokens = int(*t.Budget); r.ThinkTokens < 1 {
				return r, bad("thinking.budget_tokens", "thinking.budget_tokens is %d, expected 1 or more", r.ThinkTokens)
			}
		}
	}
	return r, nil
}

// tools returns the tools and what of them may be called. Those with a type of their own, which are for services elsewhere, are left out,
// as the log is told.
func (b *messagesRequest) tools(c *call) (tools []chat.Tool, calls grammar.CallOptions, err error) {
	for i, text := range b.Tools {
		path := fmt.Sprintf("tools[%d]", i)
		var t struct {
			Type        string          `json:"type"`
			Name        string          `json:"name"`
			Description string          `json:"description"`
			Schema      json.RawMessage `json:"input_schema"`
			Strict      bool            `json:"strict"`
		}
		if err := decodeAt(path, text, &t); err != nil {
			return nil, calls, err
		}
		if t.Type != "" && t.Type != "custom" {
			c.s.log.Info("tool left out", "path", path, "type", t.Type)
			continue
		}
		tool := chat.Tool{Name: t.Name, Description: t.Description, Strict: t.Strict}
		if present(t.Schema) {
			tool.Parameters = t.Schema
		}
		tools = append(tools, tool)
	}
	if err := checkTools("tools", tools); err != nil || b.ToolChoice == nil {
		return tools, calls, err
	}
	const param = "tool_choice"
	switch choice := b.ToolChoice; choice.Type {
	case "auto", "none":
		calls, err = chosen(param, choice.Type, nil, tools)
	case "any":
		calls, err = chosen(param, "required", nil, tools)
	case "tool":
		calls, err = chosen(param, "required", []string{choice.Name}, tools)
	default:
		err = bad(param+".type", "%s.type is %.60q, expected auto, any, tool or none", param, choice.Type)
	}
	calls.Single = b.ToolChoice.Single && len(tools) > 0
	return tools, calls, err
}

// form returns the grammar of the answer's text, nil for any.
func (b *messagesRequest) form(c *call) (*grammar.Grammar, error) {
	param, text := "output_config.format", b.Output.Format
	if !present(text) {
		param, text = "output_format", b.OutputFormat
	}
	if !present(text) {
		return nil, nil
	}
	return c.s.metrics.compiled(formatGrammar(c.s.m.Vocabulary, param, text))
}

// messages answers a conversation, as Anthropic's messages do.
func (c *call) messages() error {
	var b messagesRequest
	r, err := c.request(&b)
	if err != nil {
		return err
	}
	if b.MaxTokens == nil || *b.MaxTokens < 1 {
		return bad("max_tokens", "max_tokens: expected a number of tokens, 1 or more")
	}
	r.MaxTokens = int(*b.MaxTokens)
	w := newMessageWriter(c)
	if b.Stream { // their clients are told how long the prompt is before it has been read
		if w.Usage.Input, err = c.promptTokens(r); err != nil {
			return err
		}
	}
	pieces, err := c.answers(r)
	if err != nil {
		return err
	}
	if b.Stream {
		if err := w.begin(c.events()); err != nil {
			return err
		}
	}
	for d, err := range c.deltas(pieces, "toolu_") {
		if err == nil {
			err = w.add(d)
		}
		if err != nil {
			return err
		}
	}
	if b.Stream {
		return nil
	}
	return c.json(http.StatusOK, w.answerMessage)
}

// messageTokens tells how many tokens the prompt of a request has.
func (c *call) messageTokens() error {
	var b messagesRequest
	r, err := c.request(&b)
	if err != nil {
		return err
	}
	n, err := c.promptTokens(r)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, map[string]int{"input_tokens": n})
}

// billing begins a part of the system's text that Claude Code puts before all others and changes with every request, which would make all
// that follows new to the model.
const billing = "x-anthropic-billing-header:"

// system adds the instruction: a string, or blocks of text.
func (h *history) system(text json.RawMessage) error {
	if !present(text) {
		return nil
	}
	list, err := blocks("system", text)
	if err != nil {
		return err
	}
	var texts []string
	for i, b := range list {
		if b.Type != "text" {
			return bad(fmt.Sprintf("system[%d].type", i), "system[%d] is of type %.60q, expected text", i, b.Type)
		}
		if !strings.HasPrefix(b.Text, billing) {
			texts = append(texts, b.Text)
		}
	}
	if said := paragraphs(texts...); said != "" {
		h.say("system", said)
	}
	return nil
}

// block is a part of a message.
type block struct {
	Type     string          `json:"type"`
	Text     string          `json:"text"`
	Thinking string          `json:"thinking"`
	ID       string          `json:"id"`          // of a call,
	Name     string          `json:"name"`        // the tool's,
	Input    json.RawMessage `json:"input"`       // and the arguments
	CallID   string          `json:"tool_use_id"` // of what a tool returned
	Content  json.RawMessage `json:"content"`
	IsError  bool            `json:"is_error"`
	Source   *source         `json:"source"` // of a picture
	Budget   json.RawMessage `json:"budget"`
}

// source is where a picture is.
type source struct {
	Type string `json:"type"` // base64 or url
	Data string `json:"data"`
	URL  string `json:"url"`
}

// image returns the picture of a block.
func (c *call) image(path string, b block) (p chat.Part, err error) {
	if err := c.s.lacks(path, "image"); err != nil {
		return p, err
	}
	p.Type = "image"
	switch at := path + ".source"; {
	case b.Source == nil:
		return p, bad(at, "%s is missing", at)
	case b.Source.Type == "base64":
		if p.Data, err = fetch.Base64(b.Source.Data); err != nil {
			return p, bad(at+".data", "%s.data: %v", at, err)
		}
	case b.Source.Type == "url":
		if p.URL = b.Source.URL; p.URL == "" {
			return p, bad(at+".url", "%s.url is missing", at)
		}
	case b.Source.Type == "file":
		return p, unsupported(at, "%s is of type file: no files are stored here, send the picture itself", at)
	default:
		return p, bad(at+".type", "%s.type is %.60q, expected base64 or url", at, b.Source.Type)
	}
	if p.Budget, err = budget(path+".budget", b.Budget); err != nil {
		return p, err
	}
	return p, c.fetch(path, &p)
}

// blocks reads content: a string, or an array of blocks.
func blocks(path string, text json.RawMessage) (list []block, err error) {
	if text[0] == '"' {
		b := block{Type: "text"}
		err := decodeAt(path, text, &b.Text)
		return []block{b}, err
	}
	var raw []json.RawMessage
	if err := decodeAt(path, text, &raw); err != nil {
		return nil, bad(path, "%s: %s, expected a string or an array of blocks", path, jsonKind(text))
	}
	for i, text := range raw {
		var b block
		if err := decodeAt(fmt.Sprintf("%s[%d]", path, i), text, &b); err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	return list, nil
}

// turn adds a message. What tools returned comes before what the user says with it, whatever its place in the message.
func (h *history) turn(c *call, path string, text json.RawMessage) error {
	var m struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	}
	if err := decodeAt(path, text, &m); err != nil {
		return err
	}
	if !slices.Contains([]string{"user", "assistant", "system"}, m.Role) {
		return bad(path+".role", "%s.role is %.60q, expected user or assistant", path, m.Role)
	}
	path += ".content"
	if !present(m.Content) {
		return bad(path, "%s is missing: expected a string or an array of blocks", path)
	}
	list, err := blocks(path, m.Content)
	if err != nil {
		return err
	}
	var parts []chat.Part
	say := func() error {
		said := saying(m.Role, parts)
		if parts == nil {
			return nil
		}
		parts = nil
		return h.add(path, said)
	}
	for i, b := range list {
		path := fmt.Sprintf("%s[%d]", path, i)
		if b.Type != "text" && m.Role == "assistant" {
			if err := say(); err != nil {
				return err
			}
		}
		switch {
		case b.Type == "text":
			parts = append(parts, chat.TextPart(b.Text))
		case b.Type == "image" && m.Role == "user":
			p, err := c.image(path, b)
			if err != nil {
				return err
			}
			parts = append(parts, p)
		default:
			if err := h.block(c, path, m.Role, b); err != nil {
				return err
			}
		}
	}
	return say()
}

// block adds a block that is no text.
func (h *history) block(c *call, path, role string, b block) (err error) {
	switch {
	case b.Type == "thinking" && role == "assistant":
		if b.Thinking != "" {
			h.think(b.Thinking)
		}
	case b.Type == "redacted_thinking" && role == "assistant": // nobody can read it
	case b.Type == "tool_use" && role == "assistant":
		called := chat.Call{ID: b.ID, Name: b.Name}
		if called.Arguments, err = readArguments(path+".input", b.Input); err != nil {
			return err
		}
		if err := valid(chat.Message{Role: "assistant", ToolCalls: []chat.Call{called}}); err != "" {
			return bad(path, "%s: %s", path, err)
		}
		h.call(called)
	case b.Type == "tool_result" && role == "user":
		return h.result(c, path, b)
	case slices.Contains([]string{"document", "search_result", "container_upload"}, b.Type):
		return unsupported(path, "%s is of type %s: this server reads text and image", path, b.Type)
	case strings.HasPrefix(b.Type, "server_tool_") || strings.HasPrefix(b.Type, "mcp_tool_") || strings.HasSuffix(b.Type, "_tool_result"):
		c.s.log.Info("block left out", "request", c.id, "path", path, "type", b.Type)
	default:
		return bad(path+".type", "%s.type is %.60q, which no message of role %s has", path, b.Type, role)
	}
	return nil
}

// result adds what a tool returned. The model is told of an error as gemma4.Chat.Run tells it.
func (h *history) result(c *call, path string, b block) error {
	m := chat.Message{ToolCallID: b.CallID}
	if present(b.Content) {
		list, err := blocks(path+".content", b.Content)
		if err != nil {
			return err
		}
		var parts []chat.Part
		for i, inner := range list {
			path := fmt.Sprintf("%s.content[%d]", path, i)
			switch inner.Type {
			case "text":
				parts = append(parts, chat.TextPart(inner.Text))
			case "image":
				p, err := c.image(path, inner)
				if err != nil {
					return err
				}
				parts = append(parts, p)
			default:
				return unsupported(path, "%s is of type %.60q: this server reads text and image", path, inner.Type)
			}
		}
		said := saying("tool", parts)
		m.Content, m.Parts = said.Content, said.Parts
	}
	if b.IsError {
		var texts []string
		pictures := slices.DeleteFunc(m.Parts, func(p chat.Part) bool {
			texts = append(texts, p.Text)
			return p.Type == "text"
		})
		text, err := json.Marshal(map[string]string{"error": paragraphs(append(texts, m.Content)...)})
		if err != nil {
			return err
		}
		if m.Content, m.Response, m.Parts = "", text, nil; len(pictures) > 0 {
			m.Response, m.Parts = nil, append([]chat.Part{chat.TextPart(string(text))}, pictures...)
		}
	}
	if !h.respond(m) {
		return bad(path+".tool_use_id", "%s.tool_use_id is %.60q, which no tool_use before it has", path, b.CallID)
	}
	return nil
}
