package gemma4_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/grammar"
)

type resident struct {
	Name string `json:"name"`
	Age  int    `json:"age" minimum:"0" maximum:"150"`
	City string `json:"city"`
}

const olga = "Make JSON: Olga is 44 years old and lives in Rome."

func TestGenerateFillsAType(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	c := newChat(t, m, gemma4.ChatOptions{})
	if p, err := gemma4.Generate[resident](ctx, c, olga); err != nil || p != (resident{"Olga", 44, "Rome"}) {
		t.Errorf("%+v, %v", p, err)
	}
	if n := len(c.Messages); n != 2 || c.Messages[1].Content != `{"name": "Olga", "age": 44, "city": "Rome"}` {
		t.Errorf("the conversation is %+v", c.Messages)
	}
	if n, err := gemma4.Generate[uint8](ctx, c, "What is 12 plus 34?"); err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if c.Options.Grammar != nil {
		t.Error("the grammar has outlived its answer")
	}
	if a, err := c.Answer(ctx, "What is the capital of France?"); err != nil || a.Content != "The capital of France is Paris." {
		t.Errorf("the conversation goes on with %+v, %v", a, err)
	}
}

func TestGenerateSeqYieldsWhatIsCertain(t *testing.T) {
	c := newChat(t, openNano(t, gemma4.Loader{}), gemma4.ChatOptions{})
	var got []resident
	for p, err := range gemma4.GenerateSeq[resident](ctx, c, olga) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, p)
	}
	want := []resident{{}, {Name: "Olga"}, {"Olga", 44, ""}, {"Olga", 44, "Rome"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	for range gemma4.GenerateSeq[resident](ctx, c, olga) {
		break
	}
	if r := c.Result(); r.Reason != gemma4.ReasonBreak || len(c.Messages) != 4 {
		t.Errorf("a loop that was left: %+v, %d messages", r, len(c.Messages))
	}
}

func TestGenerateTellsWhatThereWas(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	c := newChat(t, m, gemma4.ChatOptions{GenerateOptions: gemma4.GenerateOptions{Stop: []string{`"city`}}})
	p, err := gemma4.Generate[resident](ctx, c, olga)
	var partial *gemma4.PartialError
	if !errors.As(err, &partial) || partial.Text != `{"name": "Olga", "age": 44, ` || p != (resident{Name: "Olga", Age: 44}) ||
		!strings.Contains(err.Error(), "stop string") {
		t.Errorf("cut off: %+v, %v", p, err)
	}
	c.Options.Stop, c.Options.MaxTokens = nil, 5
	if p, err = gemma4.Generate[resident](ctx, c, olga); !errors.As(err, &partial) || !strings.Contains(err.Error(), "(length)") {
		t.Errorf("with too few tokens for any: %+v, %v", p, err)
	}
	c.Options.MaxTokens = 0
	cancelled, cancel := context.WithCancel(ctx)
	defer cancel()
	for p, err = range gemma4.GenerateSeq[resident](cancelled, c, olga) {
		if p.Name == "Olga" {
			cancel()
		}
	}
	if !errors.As(err, &partial) || !errors.Is(err, context.Canceled) || p.Name != "Olga" {
		t.Errorf("cancelled: %+v, %v", p, err)
	}
	before := len(c.Messages)
	_, err = gemma4.Generate[resident](cancelled, c, olga)
	if !errors.Is(err, context.Canceled) || errors.As(err, &partial) || len(c.Messages) != before {
		t.Errorf("before there is anything: %v, %d messages", err, len(c.Messages)-before)
	}
	if _, err := gemma4.Generate[struct{ C []chan int }](ctx, c, olga); err == nil || !strings.Contains(err.Error(), ".C[]: ") {
		t.Errorf("a type that cannot be: %v", err)
	}
	type endless struct {
		Next []endless `minItems:"1"`
	}
	if _, err := gemma4.Generate[endless](ctx, c, olga); err == nil || !strings.HasPrefix(err.Error(), "gemma4: grammar: schema: ") {
		t.Errorf("a type that has no end: %v", err)
	}
	c.Messages = nil
	r, err := gemma4.Generate[refusal](ctx, c, olga)
	if !errors.As(err, &partial) || !errors.Is(err, errRefused) || !bool(r.First) ||
		!strings.HasPrefix(partial.Text, `{"First": true, "Text": "`) {
		t.Errorf("a type that refuses the answer: %+v, %v", r, err)
	}
	c = newChat(t, m, gemma4.ChatOptions{Tools: []chat.Tool{multiply}, Calls: required})
	if _, err = gemma4.Generate[resident](ctx, c, olga); err == nil || !strings.Contains(err.Error(), `"multiply", which has no function`) {
		t.Errorf("a call that nobody runs: %v", err)
	}
}

type refusal struct {
	First yes
	Text  refused
}

type yes bool

func (yes) Enum() []yes { return []yes{true} }

type refused struct{}

var errRefused = errors.New("never")

func (*refused) UnmarshalText([]byte) error { return errRefused }

func TestGenerateIsWholeWhereTokensRunOut(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	c := newChat(t, m, gemma4.ChatOptions{GenerateOptions: gemma4.GenerateOptions{MaxTokens: 40}})
	type long struct {
		Words []string `json:"words" minItems:"1"`
		Last  bool     `json:"last"`
	}
	c.Options.Sampling.Bias = map[int32]float32{}
	for _, text := range []string{`"`, `",`, `"]`, `"}`} { // a model that never ends a string
		if id, ok := m.Tokenizer().ID(text); ok {
			c.Options.Sampling.Bias[id] = -100
		}
	}
	if v, err := gemma4.Generate[long](ctx, c, "Make JSON."); err != nil || len(v.Words) == 0 || c.Result().Reason != gemma4.ReasonLength {
		t.Errorf("%+v, %v, %v", v, err, c.Result().Reason)
	}
}

func TestGenerateThinksBefore(t *testing.T) {
	c := newChat(t, openNano(t, gemma4.Loader{}), gemma4.ChatOptions{Thinking: true})
	c.Options.ThinkTokens, c.Options.MaxTokens = 20, 100
	if p, err := gemma4.Generate[resident](ctx, c, olga); err != nil || p.Name == "" {
		t.Errorf("%+v, %v", p, err)
	}
	if !strings.HasPrefix(c.Messages[1].Content, `{"name": "`) {
		t.Errorf("%+v", c.Messages[1])
	}
}

var required = grammar.CallOptions{Choice: grammar.Required}

func TestGenerateLetsToolsBeCalledFirst(t *testing.T) {
	called := 0
	tools := []chat.Tool{multiplying(t, func(a, b int) { called++ })}
	c := newChat(t, openNano(t, gemma4.Loader{}), gemma4.ChatOptions{Tools: tools, Calls: required})
	p, err := gemma4.Generate[resident](ctx, c, olga)
	if err != nil || called == 0 || len(c.Messages) < 4 {
		t.Errorf("%+v, %v; %d calls, %d messages", p, err, called, len(c.Messages))
	}
	if c.Options.Calls.Choice != grammar.Required {
		t.Error("the choice of calls was changed for good")
	}
}

func TestSchemaOf(t *testing.T) {
	got, err := gemma4.SchemaOf[resident]()
	want := `{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150},` +
		`"city":{"type":"string"}},"required":["name","age","city"],"additionalProperties":false}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	_, err = gemma4.SchemaOf[map[complex64]int]()
	if err == nil || !strings.HasPrefix(err.Error(), "gemma4: schema of map[complex64]int: ") {
		t.Error(err)
	}
}
