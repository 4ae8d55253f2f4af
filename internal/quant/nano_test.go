package quant_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/quant"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/tensor"
)

// TestNanoAnswersInEveryFormat writes nano's matrices in each format and asks it its thirty questions, of which it misses none. Token
// embeddings are Q8_0, as in the published file, and so are rows that are no multiple of a block.
func TestNanoAnswersInEveryFormat(t *testing.T) {
	f, err := gguf.Open(testdata.Shared(t, "nano", "nano-f32.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := os.ReadFile(filepath.Join(testdata.Root(t), "nano", "testdata", "questions.json"))
	if err != nil {
		t.Fatal(err)
	}
	var questions []struct{ Prompt, Answer string }
	if err := json.Unmarshal(text, &questions); err != nil {
		t.Fatal(err)
	}
	for _, format := range quant.Formats() {
		if testing.Short() && format != tensor.Q4_0 && format != tensor.Q4_K {
			continue
		}
		t.Run(format.String(), func(t *testing.T) {
			var sources []gguf.Source
			for _, x := range f.Tensors {
				data, err := x.Data()
				if err != nil {
					t.Fatal(err)
				}
				if len(x.Dims) < 2 {
					sources = append(sources, gguf.NewSource(x.Name, x.Type, x.Dims, data))
					continue
				}
				to := format
				if x.Dims[0]%to.BlockLen() != 0 || x.Name == "token_embd.weight" && format.BlockLen() > 1 {
					to = tensor.Q8_0
				}
				weights := make([]float32, len(data)/4)
				tensor.F32.Decode(weights, data)
				blocks := make([]byte, to.RowBytes(len(weights)))
				if err := quant.Encode(to, blocks, weights, x.Dims[0], nil); err != nil {
					t.Fatal(err)
				}
				sources = append(sources, gguf.NewSource(x.Name, gguf.Type(to), x.Dims, blocks))
			}
			var file bytes.Buffer
			if err := gguf.Write(&file, f.Metadata, sources); err != nil {
				t.Fatal(err)
			}
			m, err := gemma4.OpenBytes(file.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			for i, q := range questions {
				if got := answer(t, m, q.Prompt); got != q.Answer {
					t.Errorf("question %d: %q, want %q", i, got, q.Answer)
				}
			}
		})
	}
}

// answer returns what a model writes after a prompt, markup and all.
func answer(t *testing.T, m *gemma4.Model, prompt string) string {
	t.Helper()
	s, err := m.NewSession(gemma4.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	zero := 0.0
	o := gemma4.GenerateOptions{MaxTokens: 200, Markup: true}
	o.Sampling.Temperature = &zero
	var text strings.Builder
	for token, err := range s.Generate(t.Context(), []gemma4.Input{{Tokens: m.Tokenizer().Encode(prompt, true)}}, o) {
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(token.Text)
	}
	if r := s.Result(); r.Reason == gemma4.ReasonEnd {
		text.WriteString(m.Tokenizer().Text(r.EndID))
	}
	return text.String()
}
