package quantize_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/quantize"
)

// answered asks a model what nano was made for and returns how many of the answers are right to the letter.
func answered(t *testing.T, m *gemma4.Model) (right, asked int) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testdata.Root(t), "nano", "testdata", "questions.json"))
	if err != nil {
		t.Fatal(err)
	}
	var questions []struct{ Prompt, Answer string }
	if err := json.Unmarshal(b, &questions); err != nil {
		t.Fatal(err)
	}
	for i, q := range questions {
		if testing.Short() && i%5 != 0 {
			continue
		}
		s, err := m.NewSession(gemma4.SessionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		o := gemma4.GenerateOptions{MaxTokens: 200, Markup: true}
		o.Sampling.Temperature = new(0.0)
		var text strings.Builder
		for tok, err := range s.Generate(t.Context(), []gemma4.Input{{Tokens: m.Tokenizer().Encode(q.Prompt, true)}}, o) {
			if err != nil {
				t.Fatal(err)
			}
			text.WriteString(tok.Text)
		}
		if s.Result().Reason == gemma4.ReasonEnd {
			text.WriteString(m.Tokenizer().Text(s.Result().EndID))
		}
		s.Close()
		if asked++; text.String() == q.Answer {
			right++
		}
	}
	return right, asked
}

func TestNanoAnswersInEveryType(t *testing.T) {
	in := testdata.Shared(t, "nano", "nano-f32.gguf")
	for _, kind := range quantize.Types() {
		data, _ := file(t, in, quantize.Options{Type: kind})
		m, err := gemma4.Loader{}.OpenBytes(data)
		if err != nil {
			t.Fatal(err)
		}
		if right, asked := answered(t, m); right != asked {
			t.Errorf("%v: %d of %d answers are right", kind, right, asked)
		}
		m.Close()
	}
}
