package validate

import (
	"encoding/json"
	"flag"
	"iter"
	"os"
	"slices"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/sampler"
	"github.com/gogemma/gemma4/tokenizer"
)

var answers = flag.Int("answers", 2, "answers of each model under each schema of testdata/schemas.json, by each of three ways")

// randomModel opens a small model with random weights.
func randomModel() (*gemma4.Model, error) {
	c, err := synth.Parse("micro-e:q8_0")
	if err != nil {
		return nil, err
	}
	c.Context = 32768
	return gemma4.OpenBytes(synth.Bytes(c))
}

// TestAnswersObey lets models answer under 60 schemas, in sessions, in chats and as arguments of calls, at a temperature at which anything
// comes, with room enough, and with as few tokens as the shortest answer has, or some more. Each answer is valid and in the layout of
// grammars.
func TestAnswersObey(t *testing.T) {
	text, err := os.ReadFile("testdata/schemas.json")
	if err != nil {
		t.Fatal(err)
	}
	var schemas map[string]json.RawMessage
	if err := json.Unmarshal(text, &schemas); err != nil || len(schemas) != 60 {
		t.Fatalf("%d schemas: %v", len(schemas), err)
	}
	for name, open := range map[string]func() (*gemma4.Model, error){"nano": nano.Open, "random": randomModel} {
		t.Run(name, func(t *testing.T) {
			m, err := open()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { m.Close() })
			for name, text := range schemas {
				t.Run(name, func(t *testing.T) {
					t.Parallel() // they share passes
					answersObey(t, m, text)
				})
			}
		})
	}
}

func answersObey(t *testing.T, m *gemma4.Model, text []byte) {
	const question, context = "Make JSON: Olga is 44 years old and lives in Rome.", 800
	reference, err := schema(text)
	if err != nil {
		t.Fatal(err)
	}
	g, err := grammar.Schema(m.Vocabulary(), text, grammar.SchemaOptions{})
	if err != nil {
		t.Fatal(err)
	}
	each := func(least int, layout bool, answer func(gemma4.GenerateOptions) (string, gemma4.Result, error)) {
		for i := range *answers {
			o := gemma4.GenerateOptions{Sampling: sampler.Overrides{
				Temperature: new(1.5), TopK: new(0), TopP: new(1.0), Seed: new(uint64(i)),
			}}
			if i%2 == 1 {
				o.MaxTokens = least + (i/2)*(i/2) // from the shortest on
			}
			text, r, err := answer(o)
			if err == nil {
				err = invalid(reference, text)
			}
			switch {
			case err != nil:
				t.Errorf("answer %d of at most %d tokens: %.300q: %v, %+v", i, o.MaxTokens, text, err, r)
			case layout && parse(text).String() != text:
				t.Errorf("answer %d: %s is not in the layout of\n%s", i, text, parse(text))
			case !r.Whole || o.MaxTokens > 0 && r.Generated > o.MaxTokens ||
				r.Reason != gemma4.ReasonEnd && r.Reason != gemma4.ReasonLength && r.Reason != gemma4.ReasonContext:
				t.Errorf("answer %d of at most %d tokens: %+v", i, o.MaxTokens, r)
			}
		}
	}
	each(g.Start().Left(), true, func(o gemma4.GenerateOptions) (string, gemma4.Result, error) {
		s, err := m.NewSession(gemma4.SessionOptions{Context: context})
		if err != nil {
			return "", gemma4.Result{}, err
		}
		defer s.Close()
		o.Grammar = g
		text, _, err := read(t, m, s.Generate(t.Context(), []gemma4.Input{{Tokens: m.Tokenizer().Encode(question, true)}}, o))
		return text, s.Result(), err
	})
	ask := func(o gemma4.ChatOptions) (text string, calls []*chat.Call, r gemma4.Result, err error) {
		o.Context = context
		c, err := m.NewChat(o)
		if err != nil {
			return "", nil, r, err
		}
		defer c.Close()
		text, calls, err = read(t, m, c.Ask(t.Context(), question))
		return text, calls, c.Result(), err
	}
	each(g.Start().Left(), true, func(o gemma4.GenerateOptions) (string, gemma4.Result, error) {
		o.Grammar = g
		text, _, r, err := ask(gemma4.ChatOptions{GenerateOptions: o})
		return text, r, err
	})
	if text[0] != '{' {
		return // no schema of arguments
	}
	tool := chat.Tool{Name: "f", Parameters: text, Strict: true}
	o := grammar.CallOptions{Choice: grammar.Required, Single: true}
	calls, err := grammar.Calls(m.Vocabulary(), []grammar.Tool{{Name: tool.Name, Parameters: text, Strict: true}}, o)
	if err != nil {
		t.Log("no call: ", err) // of an array, or with keys that calls cannot have
		return
	}
	each(calls.Start().Left(), false, func(g gemma4.GenerateOptions) (string, gemma4.Result, error) {
		text, calls, r, err := ask(gemma4.ChatOptions{GenerateOptions: g, Tools: []chat.Tool{tool}, Calls: o})
		if err != nil || text != "" || len(calls) != 1 || calls[0].Mended {
			t.Errorf("%q and %d calls: %v", text, len(calls), err)
			return "", r, err
		}
		return string(calls[0].Arguments), r, nil
	})
}

// read takes an answer: its text, without a control token, and its calls.
func read(t *testing.T, m *gemma4.Model, answer iter.Seq2[gemma4.Token, error]) (text string, calls []*chat.Call, err error) {
	var control []int32
	for tok, err := range answer {
		if err != nil {
			return text, calls, err
		}
		if tok.ID >= 0 && (m.Tokenizer().Kind(tok.ID) == tokenizer.Control ||
			slices.Contains(chat.Markup(), m.Tokenizer().Text(tok.ID))) {
			control = append(control, tok.ID)
		}
		text += tok.Text
		if tok.Call != nil {
			calls = append(calls, tok.Call)
		}
	}
	if len(control) > 0 && len(calls) == 0 {
		t.Errorf("control tokens %v in %q", control, text)
	}
	return text, calls, nil
}
