package server

import (
	"encoding/json"
	"net/http"
	"time"
)

// ollamaEmbedRequest is the body of POST /api/embed.
type ollamaEmbedRequest struct {
	Model      string          `json:"model"`
	Input      json.RawMessage `json:"input"`
	Dimensions *int            `json:"dimensions"`
	Options    json.RawMessage `json:"options"`
	// Truncate asks that what does not fit is cut off. Unlike ollama, nothing is unless this says so.
	Truncate bool `json:"truncate"`
}

// ollamaEmbed answers with a vector of length 1 for each text.
func (c *call) ollamaEmbed() error {
	var b ollamaEmbedRequest
	if err := c.read(&b); err != nil {
		return err
	}
	if err := c.known(b.Model); err != nil {
		return err
	}
	if _, err := c.ollamaOptions(b.Options); err != nil {
		return err
	}
	vectors := [][]float32{}
	if text := string(b.Input); present(b.Input) && text != `""` && text != "[]" { // otherwise the model is to be loaded
		inputs, err := c.s.inputs("input", b.Input)
		if err != nil {
			return err
		}
		if b.Truncate {
			for i := range inputs {
				ids := c.s.tokens(inputs[i])
				inputs[i].ids = ids[:min(len(ids), c.s.context)]
			}
		}
		if vectors, err = c.embed(inputs, b.Dimensions); err != nil {
			return err
		}
	}
	return c.json(http.StatusOK, struct {
		Model      string        `json:"model"`
		Embeddings [][]float32   `json:"embeddings"`
		Total      time.Duration `json:"total_duration"`
		Load       time.Duration `json:"load_duration"`
		Prompt     int           `json:"prompt_eval_count"`
	}{c.name(), vectors, time.Since(c.began), 0, c.prompt})
}

// ollamaEmbedding is ollamaEmbed as it once was, for one text.
func (c *call) ollamaEmbedding() error {
	var b struct {
		Model   string          `json:"model"`
		Prompt  string          `json:"prompt"`
		Options json.RawMessage `json:"options"`
	}
	if err := c.read(&b); err != nil {
		return err
	}
	if err := c.known(b.Model); err != nil {
		return err
	}
	if _, err := c.ollamaOptions(b.Options); err != nil {
		return err
	}
	vector := []float32{}
	if b.Prompt != "" {
		vectors, err := c.embed([]input{{field: "prompt", text: b.Prompt}}, nil)
		if err != nil {
			return err
		}
		vector = vectors[0]
	}
	return c.json(http.StatusOK, map[string]any{"embedding": vector})
}
