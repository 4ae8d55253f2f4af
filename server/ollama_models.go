package server

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/gogemma/gemma4/gguf"
)

// ollamaModel is the model as ollama's clients know it.
type ollamaModel struct {
	Name     string        `json:"name"`
	Model    string        `json:"model"`
	Modified time.Time     `json:"modified_at"`
	Size     int64         `json:"size"`
	Digest   string        `json:"digest"`
	Details  ollamaDetails `json:"details"`
}

type ollamaDetails struct {
	Parent       string   `json:"parent_model"`
	Format       string   `json:"format"`
	Family       string   `json:"family"`
	Families     []string `json:"families"`
	Parameters   string   `json:"parameter_size"`
	Quantization string   `json:"quantization_level"`
}

func (s *Server) ollamaDetails() ollamaDetails {
	d := ollamaDetails{Format: "gguf", Family: "gemma4", Families: []string{"gemma4"}, Parameters: size(s.info.Parameters)}
	if len(s.info.Formats) > 0 {
		d.Quantization = strings.ToUpper(s.info.Formats[0].Format.String())
	}
	return d
}

// size returns a number of parameters, as 4.6B or 7.1M.
func size(n int64) string {
	if n < 1e9 {
		return fmt.Sprintf("%.1fM", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1fB", float64(n)/1e9)
}

// ollamaModels returns the model under each of its names.
func (s *Server) ollamaModels() (list []ollamaModel) {
	for _, name := range s.names() {
		m := ollamaModel{name, name, s.began.UTC(), s.info.Bytes, "", s.ollamaDetails()}
		of := s.fingerprint
		if a, _ := s.named(name); a != nil {
			of, m.Details.Parent = a.fingerprint, strings.TrimSuffix(name, ":"+a.Name)
			m.Size += a.Scaled.Bytes
		}
		sum := sha256.Sum256([]byte(of))
		m.Digest = hex.EncodeToString(sum[:])
		list = append(list, m)
	}
	return list
}

// front answers at /: with a page for people, if there is one, and for programs with what they look for to find out who is there.
func (c *call) front() error {
	if c.s.o.Page != nil && strings.Contains(c.r.Header.Get("Accept"), "text/html") {
		c.w.Header().Add("Vary", "Accept")
		c.s.o.Page.ServeHTTP(c.w, c.r)
		return nil
	}
	h := c.w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	_, err := io.WriteString(c.w, "Ollama is running")
	return err
}

// ollamaVersion tells which version of ollama's protocol is spoken.
func (c *call) ollamaVersion() error {
	return c.json(http.StatusOK, map[string]string{"version": ollamaVersion})
}

// tags lists the model.
func (c *call) tags() error {
	return c.json(http.StatusOK, map[string]any{"models": c.s.ollamaModels()})
}

// running lists the model as one that is in memory, for ever.
func (c *call) running() error {
	type running struct {
		ollamaModel
		Expires time.Time `json:"expires_at"`
		VRAM    int64     `json:"size_vram"`
		Context int       `json:"context_length"`
	}
	list := []running{}
	for _, m := range c.s.ollamaModels() {
		list = append(list, running{m, time.Now().UTC().AddDate(100, 0, 0), 0, c.s.context})
	}
	return c.json(http.StatusOK, map[string]any{"models": list})
}

// show tells of the model what its file says. Its context is that which requests have here.
func (c *call) show() error {
	var b struct {
		Model string `json:"model"`
		Name  string `json:"name"` // as it was called once
	}
	if err := c.read(&b); err != nil {
		return err
	}
	if b.Model == "" {
		b.Model = b.Name
	}
	if err := c.known(b.Model); err != nil {
		return err
	}
	info := map[string]any{}
	file := c.s.info.Metadata
	for _, key := range file.Keys() {
		if key == "tokenizer.chat_template" {
			continue
		}
		v, _ := file.Value(key)
		info[key] = jsonValue(v)
	}
	info["general.architecture"], info["gemma4.context_length"] = "gemma4", c.s.context
	info["general.parameter_count"] = c.s.info.Parameters
	license, _ := file.Text("general.license")
	o, details := c.s.m.Sampling(), c.s.ollamaDetails()
	if c.adapter != nil {
		details.Parent = c.s.name()
	}
	return c.json(http.StatusOK, map[string]any{
		"license": license, "modelfile": "", "template": c.s.template(), "modified_at": c.s.began.UTC(), "details": details,
		"parameters":   fmt.Sprintf("temperature %v\ntop_k %v\ntop_p %v\n", o.Temperature, o.TopK, o.TopP),
		"model_info":   info,
		"capabilities": c.s.can,
	})
}

// template returns the chat template of the model's file, empty if it has none.
func (s *Server) template() string {
	text, _ := s.info.Metadata.Text("tokenizer.chat_template")
	return text
}

// jsonValue returns a value of metadata as JSON can write it. Lists, which are long, are left out, as ollama does.
func jsonValue(v any) any {
	switch x := v.(type) {
	case *gguf.Array:
		return nil
	case float32:
		return jsonValue(float64(x))
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Sprint(x)
		}
	}
	return v
}
