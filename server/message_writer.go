package server

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// answerMessage is an answer as Anthropic's messages tell it, whole or so far.
type answerMessage struct {
	ID           string        `json:"id"`
	Type         string        `json:"type"`
	Role         string        `json:"role"`
	Model        string        `json:"model"`
	Content      []answerBlock `json:"content"`
	StopReason   *string       `json:"stop_reason"`
	StopSequence *string       `json:"stop_sequence"`
	Usage        messageUsage  `json:"usage"`
}

// messageUsage counts tokens; those of the prompt that need not be read are not among Input.
type messageUsage struct {
	Input         int             `json:"input_tokens"`
	CacheCreation int             `json:"cache_creation_input_tokens"`
	CacheRead     int             `json:"cache_read_input_tokens"`
	Output        int             `json:"output_tokens"`
	OutputDetails thinkingDetails `json:"output_tokens_details"`
}

type thinkingDetails struct {
	Thinking int `json:"thinking_tokens"`
}

// answerBlock is a thought, a text or a call.
type answerBlock struct {
	Type      string          `json:"type"`
	Text      *string         `json:"text,omitempty"`
	Thinking  *string         `json:"thinking,omitempty"`
	Signature *string         `json:"signature,omitempty"`
	ID        string          `json:"id,omitempty"`
	Name      string          `json:"name,omitempty"`
	Input     json.RawMessage `json:"input,omitempty"`
}

// messageEvent is an event of a stream.
type messageEvent struct {
	Type    string         `json:"type"`
	Message *answerMessage `json:"message,omitempty"`
	Index   *int           `json:"index,omitempty"`
	Block   *answerBlock   `json:"content_block,omitempty"`
	Delta   any            `json:"delta,omitempty"`
	Usage   *messageUsage  `json:"usage,omitempty"`
}

// blockDelta is what is added to a block.
type blockDelta struct {
	Type      string  `json:"type"`
	Text      *string `json:"text,omitempty"`
	Thinking  *string `json:"thinking,omitempty"`
	Signature *string `json:"signature,omitempty"`
	JSON      *string `json:"partial_json,omitempty"`
}

// messageWriter makes a message of what an answer adds, and tells each step where it is streamed: the whole and the stream cannot differ.
type messageWriter struct {
	answerMessage
	st   *stream // nil: the message is told at its end
	open bool    // the last block is being written,
	text strings.Builder
}

func newMessageWriter(c *call) *messageWriter {
	return &messageWriter{answerMessage: answerMessage{ID: newID("msg_"), Type: "message", Role: "assistant", Model: c.name(),
		Content: []answerBlock{}}}
}

// begin begins a stream.
func (w *messageWriter) begin(st *stream) error {
	w.st = st
	return w.tell(messageEvent{Type: "message_start", Message: &w.answerMessage})
}

// tell sends an event, where there is a stream.
func (w *messageWriter) tell(e messageEvent) error {
	if w.st == nil {
		return nil
	}
	return w.st.send(e.Type, e)
}

// add adds what a piece of the answer says.
func (w *messageWriter) add(d delta) error {
	switch {
	case d.ended:
		return w.end(d.answer)
	case d.Call != nil:
		return w.call(*d.Call)
	case d.Text == "":
		return nil
	}
	change := blockDelta{Type: "text_delta", Text: &d.Text}
	b := answerBlock{Type: "text", Text: new("")}
	if d.Kind == chat.Thought {
		change = blockDelta{Type: "thinking_delta", Thinking: &d.Text}
		b = answerBlock{Type: "thinking", Thinking: new(""), Signature: new("")}
	}
	if err := w.within(b); err != nil {
		return err
	}
	w.text.WriteString(d.Text)
	return w.change(change)
}

// within sees to it that a block of a type is being written.
func (w *messageWriter) within(b answerBlock) error {
	if n := len(w.Content); w.open && w.Content[n-1].Type == b.Type {
		return nil
	}
	return w.beginBlock(b)
}

// call adds a call, which comes whole.
func (w *messageWriter) call(c chat.Call) error {
	if err := w.beginBlock(answerBlock{Type: "tool_use", ID: c.ID, Name: c.Name, Input: json.RawMessage("{}")}); err != nil {
		return err
	}
	input := arguments(&c)
	w.last().Input = json.RawMessage(input)
	if err := w.change(blockDelta{Type: "input_json_delta", JSON: &input}); err != nil {
		return err
	}
	return w.endBlock()
}

// last returns the block that is being written.
func (w *messageWriter) last() *answerBlock { return &w.Content[len(w.Content)-1] }

// change tells what is added to the block.
func (w *messageWriter) change(d blockDelta) error {
	return w.tell(messageEvent{Type: "content_block_delta", Index: new(len(w.Content) - 1), Delta: d})
}

// beginBlock begins a block, behind the one that is being written.
func (w *messageWriter) beginBlock(b answerBlock) error {
	if err := w.endBlock(); err != nil {
		return err
	}
	w.Content, w.open = append(w.Content, b), true
	return w.tell(messageEvent{Type: "content_block_start", Index: new(len(w.Content) - 1), Block: &b})
}

// endBlock ends the block that is being written, if there is one.
func (w *messageWriter) endBlock() error {
	if !w.open {
		return nil
	}
	w.open = false
	said := w.text.String()
	w.text.Reset()
	switch b := w.last(); b.Type {
	case "text":
		b.Text = &said
	case "thinking":
		b.Thinking, b.Signature = &said, new(signature(said))
		if err := w.change(blockDelta{Type: "signature_delta", Signature: b.Signature}); err != nil {
			return err
		}
	}
	return w.tell(messageEvent{Type: "content_block_stop", Index: new(len(w.Content) - 1)})
}

// signature returns what stands for a thought's signature: clients leave out a thought without one when they give an answer back. Nobody
// looks at it.
func signature(thought string) string {
	sum := sha256.Sum256([]byte(thought))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// end ends the message. One that has only thought says so with an empty text.
func (w *messageWriter) end(a *answer) error {
	if !slices.ContainsFunc(w.Content, func(b answerBlock) bool { return b.Type != "thinking" }) {
		if err := w.within(answerBlock{Type: "text", Text: new("")}); err != nil {
			return err
		}
	}
	if err := w.endBlock(); err != nil {
		return err
	}
	reason := map[string]string{"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}[a.finish()]
	if r := a.result; r.Reason == gemma4.ReasonStop {
		reason, w.StopSequence = "stop_sequence", &r.Stop
	}
	w.StopReason = &reason
	n := countOf([]*answer{a})
	w.Usage = messageUsage{Input: n.prompt - n.cached, CacheRead: n.cached, Output: n.written, OutputDetails: thinkingDetails{n.thought}}
	if err := w.tell(messageEvent{Type: "message_delta", Usage: &w.Usage, Delta: struct {
		StopReason   *string `json:"stop_reason"`
		StopSequence *string `json:"stop_sequence"`
	}{w.StopReason, w.StopSequence}}); err != nil {
		return err
	}
	if w.st == nil {
		return nil
	}
	return w.st.last("message_stop", messageEvent{Type: "message_stop"})
}
