package gemma4_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/sampler"
)

const person = `{"type":"object","properties":{"name":{"type":"string","maxLength":12},"age":{"type":"integer","minimum":0,"maximum":150},
	"city":{"enum":["Oslo","Rome","Paris"]},"tags":{"type":"array","items":{"type":"string","maxLength":5},"maxItems":3},
	"married":{"type":"boolean"}},"required":["name","age","city","tags","married"],"additionalProperties":false}`

// schema makes a grammar of a JSON schema for a model.
func schema(t testing.TB, m *gemma4.Model, text string) *grammar.Grammar {
	t.Helper()
	g, err := grammar.Schema(m.Vocabulary(), []byte(text), grammar.SchemaOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestTextObeysItsGrammar(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	g := schema(t, m, person)
	s := newSession(t, m, gemma4.SessionOptions{})
	for seed := range uint64(20) {
		rewind(t, s, 0)
		text := generate(t, s, prompt(m, question), gemma4.GenerateOptions{
			Grammar: g, Sampling: sampler.Overrides{Temperature: new(float64(seed%4) / 2), Seed: new(seed)},
		})
		var v struct {
			Name, City *string
			Age        *int
			Tags       *[]string
			Married    *bool
		}
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&v); err != nil || v.Name == nil || v.City == nil || v.Age == nil || v.Tags == nil || v.Married == nil {
			t.Errorf("seed %d: %v: %s", seed, err, text)
		}
		if r := s.Result(); r.Reason != gemma4.ReasonEnd {
			t.Errorf("seed %d: %v: %s", seed, r.Reason, text)
		}
	}
}

func TestGrammarOfAnotherVocabularyIsAnError(t *testing.T) {
	m, other := openNano(t, gemma4.Loader{}), openNano(t, gemma4.Loader{})
	s := newSession(t, m, gemma4.SessionOptions{})
	for _, err := range s.Generate(ctx, prompt(m, question), gemma4.GenerateOptions{Grammar: schema(t, other, person)}) {
		if err == nil || !strings.Contains(err.Error(), "Model.Vocabulary") {
			t.Fatalf("%v", err)
		}
	}
	if r := s.Result(); r.Reason != gemma4.ReasonError || s.Len() != 0 {
		t.Errorf("%+v, %d positions", r, s.Len())
	}
}
