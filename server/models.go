package server

import (
	"net/http"
	"strings"
)

// modelObject is a model as OpenAI's clients know it, with what other servers add.
type modelObject struct {
	ID          string    `json:"id"`
	Parent      string    `json:"parent,omitempty"` // the model without the adapter
	Object      string    `json:"object"`
	Created     int64     `json:"created"`
	OwnedBy     string    `json:"owned_by"`
	MaxModelLen int       `json:"max_model_len"`
	Meta        modelMeta `json:"meta"`
	// Capabilities are what the model can do here, in llama.cpp's words.
	Capabilities []string `json:"capabilities"`
}

type modelMeta struct {
	Context    int   `json:"n_ctx"`
	Trained    int   `json:"n_ctx_train"`
	Vocabulary int   `json:"n_vocab"`
	Width      int   `json:"n_embd"`
	Parameters int64 `json:"n_params"`
	Size       int64 `json:"size"`
}

// modelObject returns the model under one of its names, with an adapter or without.
func (s *Server) modelObject(name string) modelObject {
	parent := ""
	if a, _ := s.named(name); a != nil {
		parent = strings.TrimSuffix(name, ":"+a.Name)
	}
	return modelObject{ID: name, Parent: parent, Object: "model", Created: s.began.Unix(), OwnedBy: "gemma4", MaxModelLen: s.context,
		Meta: modelMeta{Context: s.context, Trained: s.info.Context, Vocabulary: s.m.Tokenizer().Size(), Width: s.m.Config().Width,
			Parameters: s.info.Parameters, Size: s.info.Bytes}, Capabilities: s.can}
}

// models lists the model under all its names.
func (c *call) models() error {
	data := []modelObject{}
	for _, name := range c.s.names() {
		data = append(data, c.s.modelObject(name))
	}
	return c.json(http.StatusOK, map[string]any{"object": "list", "data": data})
}

// model tells of the model under one name.
func (c *call) model() error {
	id := c.r.PathValue("id")
	if _, ours := c.s.named(id); !ours {
		return c.s.unknown(id)
	}
	return c.json(http.StatusOK, c.s.modelObject(id))
}
