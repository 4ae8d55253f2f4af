package server

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"time"

	"github.com/gogemma/gemma4"
)

// embeddingsRequest is the body of POST /v1/embeddings.
type embeddingsRequest struct {
	Model          string          `json:"model"`
	Input          json.RawMessage `json:"input"`
	EncodingFormat string          `json:"encoding_format"`
	Dimensions     *int            `json:"dimensions"`
}

// embeddings answers with a vector of length 1 for each text: see [gemma4.Session.Embed] for what it is.
func (c *call) embeddings() error {
	var b embeddingsRequest
	if err := c.read(&b); err != nil {
		return err
	}
	if err := c.known(b.Model); err != nil {
		return err
	}
	if b.EncodingFormat != "" && b.EncodingFormat != "float" && b.EncodingFormat != "base64" {
		return bad("encoding_format", "encoding_format %q: expected float or base64", b.EncodingFormat)
	}
	inputs, err := c.s.inputs("input", b.Input)
	if err != nil {
		return err
	}
	vectors, err := c.embed(inputs, b.Dimensions)
	if err != nil {
		return err
	}
	type embedding struct {
		Object    string `json:"object"`
		Index     int    `json:"index"`
		Embedding any    `json:"embedding"`
	}
	type usage struct {
		Prompt int `json:"prompt_tokens"`
		Total  int `json:"total_tokens"`
	}
	data := make([]embedding, len(vectors))
	for i, v := range vectors {
		data[i] = embedding{"embedding", i, v}
		if b.EncodingFormat == "base64" {
			data[i].Embedding = floatBytes(v)
		}
	}
	return c.json(http.StatusOK, struct {
		Object string      `json:"object"`
		Data   []embedding `json:"data"`
		Model  string      `json:"model"`
		Usage  usage       `json:"usage"`
	}{"list", data, c.name(), usage{c.prompt, c.prompt}})
}

// embed returns a vector for each text, of length 1 and of so many dimensions; nil: all. It holds a slot of the queue for as long as nobody
// waits for one, and at least for one text, so that many texts take turns with other requests.
func (c *call) embed(inputs []input, dimensions *int) ([][]float32, error) {
	if width := c.s.m.Config().Width; dimensions != nil && (*dimensions < 1 || *dimensions > width) {
		return nil, bad("dimensions", "dimensions is %d, expected 1 to %d", *dimensions, width)
	}
	var o gemma4.ChatOptions
	texts := make([][]int32, len(inputs))
	for i, in := range inputs {
		texts[i] = c.s.tokens(in)
		if err := c.s.fits(in.field, texts[i], 0); err != nil {
			return nil, err
		}
		o.Context = max(o.Context, len(texts[i]))
	}
	var vectors [][]float32
	turn := func(ctx context.Context, chat *gemma4.Chat) error {
		for {
			text := texts[len(vectors)]
			v, err := chat.Session().Embed(ctx, text)
			if err != nil {
				return err
			}
			c.prompt += len(text)
			if vectors = append(vectors, unit(v, dimensions)); len(vectors) == len(texts) || c.s.q.Stats().Waiting > 0 {
				return nil
			}
		}
	}
	for len(vectors) < len(texts) {
		err := c.do(o, turn)
		var full *gemma4.QueueFullError
		switch {
		case err == nil:
		case len(vectors) > 0 && errors.As(err, &full): // what has begun is not refused
			select {
			case <-time.After(full.Retry):
			case <-c.ctx.Done():
				return nil, context.Cause(c.ctx)
			}
		default:
			return nil, err
		}
	}
	return vectors, nil
}

// unit returns the first values of a vector, all if dimensions is nil, at length 1.
func unit(v []float32, dimensions *int) []float32 {
	if dimensions != nil {
		v = v[:*dimensions]
	}
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if sum == 0 {
		return v
	}
	for i, x := range v {
		v[i] = float32(float64(x) / math.Sqrt(sum))
	}
	return v
}

// floatBytes returns the bytes of a vector, little endian, in base64.
func floatBytes(v []float32) string {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(b)
}
