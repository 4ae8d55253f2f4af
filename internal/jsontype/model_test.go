package jsontype_test

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/internal/jsontype"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/sampler"
)

// Whatever a model writes of a type's schema is read into the type.
func TestEveryAnswerDecodes(t *testing.T) {
	config, err := synth.Parse("micro-e:f32")
	if err != nil {
		t.Fatal(err)
	}
	config.Context = 2048
	for name, file := range map[string][]byte{"nano": nano.GGUF(), "random weights": synth.Bytes(config)} {
		m, err := gemma4.OpenBytes(file)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		r := rand.New(rand.NewPCG(3, 4))
		for i := range *jsontype.Count / 4 {
			typ := jsontype.RandomType(r, 3)
			schema, err := jsontype.Schema(typ)
			if err != nil {
				t.Fatal(err)
			}
			g, err := grammar.Schema(m.Vocabulary(), schema, grammar.SchemaOptions{})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			c, err := m.NewChat(gemma4.ChatOptions{GenerateOptions: gemma4.GenerateOptions{
				Grammar: g, MaxTokens: g.Start().Left() + r.IntN(200), Sampling: sampler.Overrides{
					Temperature: new(1.5), TopK: new(0), TopP: new(1.0), MinP: new(0.0), Seed: new(uint64(i)),
				},
			}})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			answer, err := c.Answer(t.Context(), "Make JSON.")
			c.Close()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			d := json.NewDecoder(strings.NewReader(answer.Content))
			d.DisallowUnknownFields()
			if err := d.Decode(reflect.New(typ).Interface()); err != nil {
				t.Errorf("%s: %v: %v after %v\n%s", name, typ, err, c.Result().Reason, answer.Content)
			}
		}
	}
}
