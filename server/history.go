package server

import (
	"slices"
	"strings"

	"github.com/gogemma/gemma4/chat"
)

// history is a conversation, put together from what protocols take apart: a thought, a text and calls are an item each.
//
// What the model says stays in the order in which it was said: messages of the model that follow each other share one turn.
type history struct{ messages []chat.Message }

// last returns the last message, if the model has said it.
func (h *history) last() (m *chat.Message, ok bool) {
	if len(h.messages) == 0 {
		return nil, false
	}
	m = &h.messages[len(h.messages)-1]
	return m, m.Role == "assistant"
}

// say adds a text. Those of the system that come before all others are one, for a template knows one.
func (h *history) say(role, text string) {
	switch m, ok := h.last(); {
	case role == "assistant" && text == "":
		return
	case role == "assistant" && ok && m.Content == "" && len(m.ToolCalls) == 0: // it has thought
		m.Content = text
		return
	case (role == "system" || role == "developer") && len(h.messages) == 1 && h.messages[0].Role == "system":
		h.messages[0].Content = paragraphs(h.messages[0].Content, text)
		return
	case role == "developer" && len(h.messages) == 0:
		role = "system"
	}
	h.messages = append(h.messages, chat.Message{Role: role, Content: text})
}

// add adds a message: what somebody says: a text, or what the user shows and says with it.
func (h *history) add(path string, m chat.Message) error {
	if len(m.Parts) == 0 {
		h.say(m.Role, m.Content)
		return nil
	}
	if m.Role != "user" {
		return bad(path, "%s: a message of role %s has text only", path, m.Role)
	}
	h.messages = append(h.messages, m)
	return nil
}

// think adds a thought of the model, which comes before what it leads to.
func (h *history) think(text string) {
	if m, ok := h.last(); ok && m.Content == "" && len(m.ToolCalls) == 0 {
		m.Reasoning = paragraphs(m.Reasoning, text)
		return
	}
	h.messages = append(h.messages, chat.Message{Role: "assistant", Reasoning: text})
}

// call adds a call of the model.
func (h *history) call(c chat.Call) {
	if m, ok := h.last(); ok && m.Content == "" {
		m.ToolCalls = append(m.ToolCalls, c)
		return
	}
	h.messages = append(h.messages, chat.Message{Role: "assistant", ToolCalls: []chat.Call{c}})
}

// respond adds what a tool returned, behind the last call of that id, wherever it is. It reports false if there is none.
func (h *history) respond(m chat.Message) bool {
	for i, said := range slices.Backward(h.messages) {
		if !slices.ContainsFunc(said.ToolCalls, func(c chat.Call) bool { return c.ID == m.ToolCallID }) {
			continue
		}
		for i++; i < len(h.messages) && h.messages[i].Role == "tool"; i++ {
		}
		m.Role = "tool"
		h.messages = slices.Insert(h.messages, i, m)
		return true
	}
	return false
}

// saying returns a message that says parts: if all are text, as one.
func saying(role string, parts []chat.Part) chat.Message {
	m := chat.Message{Role: role}
	for _, p := range parts {
		last := len(m.Parts) - 1
		if p.Type == "text" && last >= 0 && m.Parts[last].Type == "text" {
			m.Parts[last].Text = paragraphs(m.Parts[last].Text, p.Text)
		} else {
			m.Parts = append(m.Parts, p)
		}
	}
	if len(m.Parts) == 1 && m.Parts[0].Type == "text" {
		m.Content, m.Parts = m.Parts[0].Text, nil
	}
	return m
}

// paragraphs puts texts together that clients send as several, with a blank line between.
func paragraphs(texts ...string) string {
	texts = slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return s == "" })
	return strings.Join(texts, "\n\n")
}
