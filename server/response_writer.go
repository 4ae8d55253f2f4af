package server

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// response is an answer as OpenAI's responses tell it, whole or so far.
type response struct {
	ID                 string            `json:"id"`
	Object             string            `json:"object"`
	CreatedAt          int64             `json:"created_at"`
	Status             string            `json:"status"`
	Background         bool              `json:"background"`
	Error              *responseError    `json:"error"`
	Incomplete         *incomplete       `json:"incomplete_details"`
	Instructions       *string           `json:"instructions"`
	MaxOutputTokens    *whole            `json:"max_output_tokens"`
	Model              string            `json:"model"`
	Output             []*outputItem     `json:"output"`
	OutputText         string            `json:"output_text"`
	ParallelToolCalls  bool              `json:"parallel_tool_calls"`
	PreviousResponseID *string           `json:"previous_response_id"`
	Reasoning          json.RawMessage   `json:"reasoning"`
	Store              bool              `json:"store"`
	Temperature        float64           `json:"temperature"`
	Text               responseText      `json:"text"`
	ToolChoice         json.RawMessage   `json:"tool_choice"`
	Tools              []json.RawMessage `json:"tools"`
	TopP               float64           `json:"top_p"`
	Truncation         string            `json:"truncation"`
	Usage              *responseUsage    `json:"usage"`
	Metadata           json.RawMessage   `json:"metadata"`
}

type responseError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// incomplete says why a response has no end.
type incomplete struct {
	Reason string `json:"reason"`
}

type responseUsage struct {
	Input         int               `json:"input_tokens"`
	InputDetails  promptDetails     `json:"input_tokens_details"`
	Output        int               `json:"output_tokens"`
	OutputDetails completionDetails `json:"output_tokens_details"`
	Total         int               `json:"total_tokens"`
}

// responseText says which form texts have.
type responseText struct {
	Format json.RawMessage `json:"format"`
}

// outputItem is a thought, a text or a call.
type outputItem struct {
	ID        string        `json:"id"`
	Type      string        `json:"type"`
	Status    string        `json:"status"`
	Role      string        `json:"role,omitempty"`              // of a message
	Content   *[]outputPart `json:"content,omitempty"`           // of a message or a thought
	Summary   *[]outputPart `json:"summary,omitempty"`           // of a thought: empty, for the thought itself is told
	Encrypted string        `json:"encrypted_content,omitempty"` // of a thought, if it was asked for
	CallID    string        `json:"call_id,omitempty"`           // of a call
	Name      string        `json:"name,omitempty"`
	Arguments *string       `json:"arguments,omitempty"`
}

// outputPart is what an item says.
type outputPart struct {
	Type        string `json:"type"`
	Text        string `json:"text"`
	Annotations *[]any `json:"annotations,omitempty"`
	LogProbs    *[]any `json:"logprobs,omitempty"`
}

// responseEvent is an event of a stream.
type responseEvent struct {
	Type         string      `json:"type"`
	Sequence     int         `json:"sequence_number"`
	Response     *response   `json:"response,omitempty"`
	ItemID       string      `json:"item_id,omitempty"`
	OutputIndex  *int        `json:"output_index,omitempty"`
	Item         *outputItem `json:"item,omitempty"`
	ContentIndex *int        `json:"content_index,omitempty"`
	Part         *outputPart `json:"part,omitempty"`
	Delta        *string     `json:"delta,omitempty"`
	Text         *string     `json:"text,omitempty"`
	LogProbs     *[]any      `json:"logprobs,omitempty"`
	Name         string      `json:"name,omitempty"`
	Arguments    *string     `json:"arguments,omitempty"`
}

// responseWriter makes a response of what an answer adds, and tells each step where it is streamed: the whole and the stream cannot differ.
type responseWriter struct {
	response
	st   *stream // nil: the response is told at its end
	next int     // number of the next event
	wrap bool    // thoughts are told as encrypted_content, too
	item *outputItem
	text strings.Builder // of item; nil: none is being written
}

// newResponseWriter returns one for a request, as it was understood.
func newResponseWriter(c *call, b *responsesRequest, r gemma4.Request) *responseWriter {
	chosen := c.s.m.Sampling().With(r.Sampling)
	w := &responseWriter{wrap: slices.Contains(b.Include, "reasoning.encrypted_content")}
	w.response = response{
		ID: newID("resp_"), Object: "response", CreatedAt: time.Now().Unix(), Status: "in_progress", Instructions: b.Instructions,
		MaxOutputTokens: b.MaxOutputTokens, Metadata: or(b.Metadata, "{}"), Model: c.name(), Output: []*outputItem{},
		ParallelToolCalls: !r.Calls.Single, Reasoning: or(b.Reasoning, `{"effort":null,"summary":null}`), Temperature: chosen.Temperature,
		Text: responseText{or(b.Text.Format, `{"type":"text"}`)}, ToolChoice: or(b.Choice, `"auto"`), Tools: b.Tools, TopP: chosen.TopP,
		Truncation: cmp.Or(b.Truncation, "disabled"),
	}
	if w.Tools == nil {
		w.Tools = []json.RawMessage{}
	}
	return w
}

// or returns a field of a request, or what stands for it where it says nothing.
func or(text json.RawMessage, otherwise string) json.RawMessage {
	if present(text) {
		return text
	}
	return json.RawMessage(otherwise)
}

// begin begins a stream.
func (w *responseWriter) begin(st *stream) error {
	w.st = st
	if err := w.tell(responseEvent{Type: "response.created", Response: &w.response}); err != nil {
		return err
	}
	return w.tell(responseEvent{Type: "response.in_progress", Response: &w.response})
}

// tell sends an event, where there is a stream.
func (w *responseWriter) tell(e responseEvent) error { return w.tellBy((*stream).send, e) }

func (w *responseWriter) tellBy(send func(st *stream, event string, v any) error, e responseEvent) error {
	if w.st == nil {
		return nil
	}
	e.Sequence = w.next
	w.next++
	return send(w.st, e.Type, e)
}

// add adds what a piece of the answer says.
func (w *responseWriter) add(d delta) error {
	switch {
	case d.ended:
		return w.end(d.answer)
	case d.Call != nil:
		return w.call(*d.Call)
	case d.Text == "":
		return nil
	}
	if err := w.within(d.Kind); err != nil {
		return err
	}
	w.text.WriteString(d.Text)
	e := w.ofPart("delta")
	e.Delta = &d.Text
	return w.tell(e)
}

// within sees to it that a text or a thought is being written.
func (w *responseWriter) within(kind chat.Kind) error {
	item := &outputItem{ID: newID("msg_"), Type: "message", Role: "assistant", Content: new([]outputPart{})}
	part := outputPart{Type: "output_text", Annotations: &[]any{}, LogProbs: &[]any{}}
	if kind == chat.Thought {
		item = &outputItem{ID: newID("rs_"), Type: "reasoning", Summary: &[]outputPart{}, Content: new([]outputPart{})}
		part = outputPart{Type: "reasoning_text"}
	}
	if w.item != nil && w.item.Type == item.Type {
		return nil
	}
	if err := w.beginItem(item); err != nil {
		return err
	}
	*item.Content = append(*item.Content, part)
	e := w.ofItem("response.content_part.added")
	e.ContentIndex, e.Part = new(0), &part
	return w.tell(e)
}

// call adds a call, which comes whole.
func (w *responseWriter) call(c chat.Call) error {
	arguments := arguments(&c)
	item := &outputItem{ID: newID("fc_"), Type: "function_call", CallID: c.ID, Name: c.Name, Arguments: new("")}
	if err := w.beginItem(item); err != nil {
		return err
	}
	item.Arguments = &arguments
	e := w.ofItem("response.function_call_arguments.delta")
	e.Delta = &arguments
	if err := w.tell(e); err != nil {
		return err
	}
	e = w.ofItem("response.function_call_arguments.done")
	e.Name, e.Arguments = c.Name, &arguments
	if err := w.tell(e); err != nil {
		return err
	}
	return w.endItem("completed")
}

// beginItem begins an item of the output, behind the one that is being written.
func (w *responseWriter) beginItem(item *outputItem) error {
	if err := w.endItem("completed"); err != nil {
		return err
	}
	item.Status = "in_progress"
	w.Output, w.item = append(w.Output, item), item
	return w.tell(responseEvent{Type: "response.output_item.added", OutputIndex: new(len(w.Output) - 1), Item: item})
}

// endItem ends the item that is being written, if there is one.
func (w *responseWriter) endItem(status string) error {
	item := w.item
	if item == nil {
		return nil
	}
	if item.Content != nil {
		if err := w.endPart(&(*item.Content)[0]); err != nil {
			return err
		}
	}
	item.Status = status
	e := w.ofItem("response.output_item.done")
	e.ItemID, e.Item = "", item
	w.item = nil
	return w.tell(e)
}

// endPart ends what the item says.
func (w *responseWriter) endPart(part *outputPart) error {
	part.Text = w.text.String()
	w.text.Reset()
	if w.item.Type == "message" {
		w.OutputText += part.Text
	} else if w.wrap {
		w.item.Encrypted = wrapped(part.Text)
	}
	e := w.ofPart("done")
	e.Text = &part.Text
	if err := w.tell(e); err != nil {
		return err
	}
	e = w.ofItem("response.content_part.done")
	e.ContentIndex, e.Part = new(0), part
	return w.tell(e)
}

// ofItem returns an event of the item that is being written.
func (w *responseWriter) ofItem(name string) responseEvent {
	return responseEvent{Type: name, ItemID: w.item.ID, OutputIndex: new(len(w.Output) - 1)}
}

// ofPart returns an event of the text of that item.
func (w *responseWriter) ofPart(name string) responseEvent {
	part := (*w.item.Content)[0]
	e := w.ofItem("response." + part.Type + "." + name)
	e.ContentIndex, e.LogProbs = new(0), part.LogProbs
	return e
}

// end ends the response. One without text and calls says so with an empty message.
func (w *responseWriter) end(a *answer) error {
	if !slices.ContainsFunc(w.Output, func(i *outputItem) bool { return i.Type != "reasoning" }) {
		if err := w.within(chat.Text); err != nil {
			return err
		}
	}
	n := countOf([]*answer{a})
	details := completionDetails{Reasoning: n.thought}
	w.Usage = &responseUsage{n.prompt, promptDetails{Cached: n.cached}, n.written, details, n.prompt + n.written}
	w.Status = "completed"
	if a.finish() == "length" {
		w.Status, w.Incomplete = "incomplete", &incomplete{"max_output_tokens"}
	}
	if err := w.endItem(w.Status); err != nil {
		return err
	}
	return w.tellBy((*stream).last, responseEvent{Type: "response." + w.Status, Response: &w.response})
}

// fail tells at the end of a stream what went wrong.
func (w *responseWriter) fail(f *failure) error {
	w.Status, w.Error = "failed", &responseError{cmp.Or(f.code, "server_error"), f.message}
	return w.tellBy((*stream).last, responseEvent{Type: "response.failed", Response: &w.response})
}
