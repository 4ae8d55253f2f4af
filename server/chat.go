package server

import (
	"encoding/json"
	"iter"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/sampler"
)

// chatRequest is the body of POST /v1/chat/completions.
type chatRequest struct {
	Model         string          `json:"model"`
	Messages      json.RawMessage `json:"messages"`
	Stream        bool            `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	MaxTokens   int      `json:"max_tokens"`
	Temperature *float64 `json:"temperature"`
	Seed        *uint64  `json:"seed"`
}

// request makes one for the queue.
func (b *chatRequest) request(text []byte) (r gemma4.Request, err error) {
	var conversation chat.Conversation
	if err := decode(text, &conversation); err != nil {
		return r, err
	}
	r.Messages, r.Tools = conversation.Messages, conversation.Tools
	r.MaxTokens = b.MaxTokens
	r.Sampling = sampler.Overrides{Temperature: b.Temperature, Seed: b.Seed}
	return r, nil
}

// chat answers a conversation, as OpenAI's chat completions do.
func (c *call) chat() error {
	var text json.RawMessage
	if err := c.read(&text); err != nil {
		return err
	}
	var b chatRequest
	if err := decode(text, &b); err != nil {
		return err
	}
	if err := c.known(b.Model); err != nil {
		return err
	}
	r, err := b.request(text)
	if err != nil {
		return err
	}
	pieces, err := c.answers(r)
	if err != nil {
		return err
	}
	if b.Stream {
		return c.chatStream(b, pieces)
	}
	choices, err := gemma4.CollectChoices(pieces)
	if err != nil {
		return err
	}
	type choice struct {
		Index        int          `json:"index"`
		Message      chat.Message `json:"message"`
		FinishReason string       `json:"finish_reason"`
	}
	out := struct {
		ID      string   `json:"id"`
		Object  string   `json:"object"`
		Created int64    `json:"created"`
		Model   string   `json:"model"`
		Choices []choice `json:"choices"`
	}{newID("chatcmpl-"), "chat.completion", time.Now().Unix(), c.s.name(), nil}
	for i, answer := range choices {
		out.Choices = append(out.Choices, choice{i, answer.Message, "stop"})
	}
	return c.json(200, out)
}

// chatStream writes the answers as they come.
func (c *call) chatStream(b chatRequest, pieces iter.Seq2[gemma4.Piece, error]) error {
	type delta struct {
		Role    string `json:"role,omitempty"`
		Content string `json:"content,omitempty"`
	}
	type choice struct {
		Index        int     `json:"index"`
		Delta        delta   `json:"delta"`
		FinishReason *string `json:"finish_reason"`
	}
	type chunk struct {
		ID      string   `json:"id"`
		Object  string   `json:"object"`
		Created int64    `json:"created"`
		Model   string   `json:"model"`
		Choices []choice `json:"choices"`
	}
	head := chunk{ID: newID("chatcmpl-"), Object: "chat.completion.chunk", Created: time.Now().Unix(), Model: c.s.name()}
	st := c.events()
	put := func(ch choice) error {
		head.Choices = []choice{ch}
		return st.send("", head)
	}
	if err := put(choice{Delta: delta{Role: "assistant"}}); err != nil {
		return err
	}
	for p, err := range pieces {
		switch {
		case err != nil:
			return err
		case p.Result != nil:
			err = put(choice{Index: p.Choice, FinishReason: new("stop")})
		case p.Kind == chat.Text && p.Text != "":
			err = put(choice{Index: p.Choice, Delta: delta{Content: p.Text}})
		}
		if err != nil {
			return err
		}
	}
	return st.done()
}
