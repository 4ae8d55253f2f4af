package server

import (
	"encoding/json"
	"net/http"
	"unicode/utf8"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/tokenizer"
)

// tokenizeRequest is the body of POST /tokenize: llama.cpp's with Content, vLLM's with Prompt or messages.
type tokenizeRequest struct {
	Content      *string `json:"content"`
	AddSpecial   bool    `json:"add_special"`
	ParseSpecial *bool   `json:"parse_special"`
	WithPieces   bool    `json:"with_pieces"`

	Prompt           *string         `json:"prompt"`
	AddSpecialTokens *bool           `json:"add_special_tokens"`
	TokenStrings     bool            `json:"return_token_strs"`
	Messages         json.RawMessage `json:"messages"`
}

// tokenize answers with the ids of a text, or of a conversation as the model reads it. It does not wait for the model.
func (c *call) tokenize() error {
	var text json.RawMessage
	if err := c.read(&text); err != nil {
		return err
	}
	var b tokenizeRequest
	if err := decode(text, &b); err != nil {
		return err
	}
	tok := c.s.m.Tokenizer()
	switch {
	case b.Content != nil:
		ids := tok.Encode(*b.Content, b.ParseSpecial == nil || *b.ParseSpecial)
		if b.AddSpecial {
			ids = tok.WithBOS(ids)
		}
		if !b.WithPieces {
			return c.json(http.StatusOK, map[string]any{"tokens": ids})
		}
		pieces := make([]tokenPiece, len(ids))
		for i, id := range ids {
			pieces[i] = tokenPiece{id, piece(tok, id)}
		}
		return c.json(http.StatusOK, map[string]any{"tokens": pieces})
	case b.Prompt != nil:
		ids := tok.Encode(*b.Prompt, true)
		if b.AddSpecialTokens == nil || *b.AddSpecialTokens {
			ids = tok.WithBOS(ids)
		}
		return c.tokens(ids, b.TokenStrings)
	case len(b.Messages) > 0:
		ids, err := c.rendered(text)
		if err != nil {
			return err
		}
		return c.tokens(ids, b.TokenStrings)
	}
	return bad("content", "content is missing: the text (or prompt, or messages)")
}

// tokens answers with ids as vLLM does.
func (c *call) tokens(ids []int32, text bool) error {
	var list []string
	if text {
		list = make([]string, len(ids))
		for i, id := range ids {
			list[i] = c.s.m.Tokenizer().Text(id)
		}
	}
	return c.json(http.StatusOK, struct {
		Count       int      `json:"count"`
		MaxModelLen int      `json:"max_model_len"`
		Tokens      []int32  `json:"tokens"`
		Text        []string `json:"token_strs,omitempty"`
	}{len(ids), c.s.context, ids, list})
}

// tokenPiece is a token and what it adds to a text.
type tokenPiece struct {
	ID    int32 `json:"id"`
	Piece any   `json:"piece"` // a string, or the list of its bytes where these are no text by themselves
}

func piece(tok *tokenizer.Tokenizer, id int32) any {
	if b, ok := tok.Byte(id); ok {
		if b < utf8.RuneSelf {
			return string(rune(b))
		}
		return []int{int(b)}
	}
	return tok.Decode([]int32{id}, true)
}

// detokenize answers with the text of ids: as content for llama.cpp's clients, as prompt for vLLM's.
func (c *call) detokenize() error {
	var b struct {
		Tokens json.RawMessage `json:"tokens"`
	}
	if err := c.read(&b); err != nil {
		return err
	}
	if len(b.Tokens) == 0 {
		return bad("tokens", "tokens is missing: an array of ids")
	}
	ids, err := c.s.ids("tokens", b.Tokens)
	if err != nil {
		return err
	}
	text := c.s.m.Tokenizer().Decode(ids, true)
	return c.json(http.StatusOK, map[string]string{"content": text, "prompt": text})
}

// applyTemplate answers with a conversation as the model reads it.
func (c *call) applyTemplate() error {
	var text json.RawMessage
	if err := c.read(&text); err != nil {
		return err
	}
	ids, err := c.rendered(text)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, map[string]string{"prompt": c.s.m.Tokenizer().Decode(ids, true)})
}

// rendered returns the tokens of a body's conversation.
func (c *call) rendered(body json.RawMessage) ([]int32, error) {
	var conversation chat.Conversation
	if err := decode(body, &conversation); err != nil {
		return nil, err
	}
	if err := c.fetchAll(conversation.Messages); err != nil {
		return nil, err
	}
	return c.render(conversation)
}

// render returns the tokens of a conversation, as the model reads them. What is wrong with it is the client's error.
func (c *call) render(conversation chat.Conversation) ([]int32, error) {
	ids, err := c.s.m.Prompt(c.r.Context(), conversation)
	if err != nil {
		return nil, refused(err)
	}
	return ids, nil
}
