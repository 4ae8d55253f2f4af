package server

import (
	"encoding/json"
	"net/http"

	"github.com/gogemma/gemma4"
)

// responsesRequest is the body of POST /v1/responses.
type responsesRequest struct {
	sampling
	toolbox
	Model           string          `json:"model"`
	Input           json.RawMessage `json:"input"`
	Instructions    *string         `json:"instructions"`
	Text            responseText    `json:"text"`
	MaxOutputTokens *whole          `json:"max_output_tokens"`
	Reasoning       json.RawMessage `json:"reasoning"`
	Include         []string        `json:"include"`
	Truncation      string          `json:"truncation"`
	Metadata        json.RawMessage `json:"metadata"`
	Stream          bool            `json:"stream"`

	// What needs a memory of earlier requests, which this server does not have.
	PreviousResponseID string          `json:"previous_response_id"`
	Conversation       json.RawMessage `json:"conversation"`
	Prompt             json.RawMessage `json:"prompt"`
	Background         bool            `json:"background"`
}

// request makes one for the queue.
func (b *responsesRequest) request(c *call) (r gemma4.Request, err error) {
	if err := c.known(b.Model); err != nil {
		return r, err
	}
	switch {
	case b.PreviousResponseID != "":
		return r, unsupported("previous_response_id", "previous_response_id: nothing is stored here, send the whole conversation as input")
	case present(b.Conversation):
		return r, unsupported("conversation", "conversation: none is stored here, send the whole of it as input")
	case present(b.Prompt):
		return r, unsupported("prompt", "prompt: no templates are stored here, send instructions and input")
	case b.Background:
		return r, unsupported("background", "background: answers come while the client waits, at once or as a stream")
	case !present(b.Input):
		return r, bad("input", "input is missing: expected a string or an array of items")
	}
	var h history
	if b.Instructions != nil && *b.Instructions != "" {
		h.say("system", *b.Instructions)
	}
	if err := h.items(c, b.Input); err != nil {
		return r, err
	}
	if r.Messages = h.messages; len(r.Messages) == 0 {
		return r, bad("input", "input has no items: at least one is expected")
	}
	if r.Tools, r.Calls, err = b.toolbox.read(c.s.log); err != nil {
		return r, err
	}
	if present(b.Text.Format) {
		if r.Grammar, err = c.s.metrics.compiled(formatGrammar(c.s.m.Vocabulary, "text.format", b.Text.Format)); err != nil {
			return r, err
		}
	}
	if r.Sampling, err = b.overrides(c.s.m.Tokenizer().Size(), c.s.context); err != nil {
		return r, err
	}
	switch b.Truncation {
	case "auto":
		r.Full = gemma4.FullDrop
	case "", "disabled":
	default:
		return r, bad("truncation", "truncation is %.60q, expected auto or disabled", b.Truncation)
	}
	if b.MaxOutputTokens != nil {
		if r.MaxTokens = int(*b.MaxOutputTokens); r.MaxTokens < 1 {
			return r, bad("max_output_tokens", "max_output_tokens is %d, expected 1 or more", r.MaxTokens)
		}
	}
	var reasoning struct {
		Effort string `json:"effort"`
	}
	if present(b.Reasoning) {
		err = decodeAt("reasoning", b.Reasoning, &reasoning)
	}
	r.Thinking = thinks(reasoning.Effort)
	r.RepeatGuard = r.MaxTokens == 0 || r.Grammar != nil
	return r, err
}

// responses answers a conversation, as OpenAI's responses do.
func (c *call) responses() error {
	var b responsesRequest
	r, err := c.request(&b)
	if err != nil {
		return err
	}
	b.Input = nil // pictures are large
	pieces, err := c.answers(r)
	if err != nil {
		if f := failureOf(err); f.param == "messages" {
			f.param = "input" // as they are called here
			return f
		}
		return err
	}
	w := newResponseWriter(c, &b, r)
	if b.Stream {
		c.failed = w.fail
		if err := w.begin(c.events()); err != nil {
			return err
		}
	}
	for d, err := range c.deltas(pieces, "call_") {
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
	return c.json(http.StatusOK, w.response)
}

// responseTokens tells how many tokens the prompt of a response has.
func (c *call) responseTokens() error {
	var b responsesRequest
	r, err := c.request(&b)
	if err != nil {
		return err
	}
	n, err := c.promptTokens(r)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, map[string]any{"object": "response.input_tokens", "input_tokens": n})
}

// promptTokens returns how many tokens a request's prompt has.
func (c *call) promptTokens(r gemma4.Request) (int, error) {
	ids, err := c.render(conversationOf(r))
	return len(ids), err
}
