package server

import (
	"math"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// decision is the answer of /v1/decide.
type decision struct {
	Object  string
	Model   string
	Choice  string
	Options []struct {
		Index       int
		Label, Text string
		Probability float64
		LogProb     float64
	}
	Usage struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Details    struct {
			Cached int `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	}
}

func TestADecisionIsThatOfTheLibrary(t *testing.T) {
	for _, format := range []gemma4.CacheFormat{gemma4.CacheF16, gemma4.CacheQ4} { // which the server's option says
		t.Run(format.String(), func(t *testing.T) { decisionIsThatOfTheLibrary(t, format) })
	}
}

func decisionIsThatOfTheLibrary(t *testing.T, format gemma4.CacheFormat) {
	s, url := serve(t, Options{Cache: format})
	options := []string{"The capital of France is Paris.", "The capital of France is Rome.", "Paris"}
	var o gemma4.ChatOptions
	o.Cache = format
	c, err := s.m.NewChat(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	question := chat.Message{Role: "user", Content: capital}
	want, err := c.Decide(t.Context(), options, question)
	if err != nil {
		t.Fatal(err)
	}
	prompt, err := s.m.Prompt(t.Context(), chat.Conversation{Messages: []chat.Message{question}})
	if err != nil {
		t.Fatal(err)
	}
	body := map[string]any{"messages": []chat.Message{question}, "options": options}
	for _, raw := range []bool{false, true} {
		if raw {
			body["normalize"] = false
		}
		var got decision
		ask(t, url+"/v1/decide", js(t, body), &got)
		if got.Choice != options[0] || got.Model != s.name() || got.Usage.Prompt != len(prompt) || got.Usage.Completion != 0 {
			t.Errorf("%+v, prompt of %d", got, len(prompt))
		}
		for i, o := range got.Options {
			p := want[i].Prob
			if raw {
				p = math.Exp(want[i].LogProb)
			}
			if o.Index != i || o.Label != options[i] || o.Text != options[i] || o.LogProb != want[i].LogProb || o.Probability != p {
				t.Errorf("%+v, want %v and %v", o, want[i].LogProb, p)
			}
		}
	}
}

func TestADecisionAmongLabelsBehindAPrompt(t *testing.T) {
	s, url := serve(t, Options{})
	session, err := s.m.NewSession(gemma4.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	tok := s.m.Tokenizer()
	prompt := []gemma4.Input{{Tokens: tok.WithBOS(tok.Encode("The capital of France is", false))}}
	for _, open := range []bool{false, true} {
		want, err := session.Decide(t.Context(), prompt, []string{" Paris", " Rome"}, gemma4.DecideOptions{Open: open})
		if err != nil {
			t.Fatal(err)
		}
		var got decision
		ask(t, url+"/v1/decide", js(t, map[string]any{"prompt": "The capital of France is", "open": open,
			"options": []map[string]string{{"label": "p", "text": " Paris"}, {"label": "r", "text": " Rome"}}}), &got)
		if got.Choice != "p" || got.Options[1].Label != "r" || got.Options[1].Text != " Rome" {
			t.Errorf("%+v", got)
		}
		for i, o := range got.Options {
			if o.LogProb != want[i].LogProb || o.Probability != want[i].Prob {
				t.Errorf("open %v: %+v, want %+v", open, o, want[i])
			}
		}
	}
}

func TestADecisionWithTools(t *testing.T) {
	s, url := serve(t, Options{})
	question := chat.Message{Role: "user", Content: "What time is it in Oslo?"}
	c, err := s.m.NewChat(gemma4.ChatOptions{Tools: []chat.Tool{clock}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want, err := c.Decide(t.Context(), []string{"yes", "no"}, question)
	if err != nil {
		t.Fatal(err)
	}
	var got decision
	ask(t, url+"/v1/decide", js(t, map[string]any{"messages": []chat.Message{question}, "tools": []chat.Tool{clock},
		"options": []string{"yes", "no"}}), &got)
	for i, o := range got.Options {
		if o.LogProb != want[i].LogProb {
			t.Errorf("%+v, want %+v", o, want[i])
		}
	}
}

// TestADecisionReadsWhatIsNew: of a prompt whose beginning was read before, only the rest.
func TestADecisionReadsWhatIsNew(t *testing.T) {
	_, url := serve(t, Options{Queue: gemma4.QueueOptions{Prefixes: gemma4.NewPrefixCache(1 << 24)}})
	body := js(t, map[string]any{"options": []string{"yes", "no"}, "messages": []chat.Message{
		{Role: "system", Content: "You are a parrot that lives in a library and has read all of its books, some of them twice. Be brief."},
		{Role: "user", Content: capital}}})
	var first, second decision
	ask(t, url+"/v1/decide", body, &first)
	ask(t, url+"/v1/decide", body, &second)
	if n := second.Usage.Details.Cached; first.Usage.Details.Cached != 0 || n < second.Usage.Prompt/2 || n >= second.Usage.Prompt {
		t.Errorf("%+v, then %+v", first.Usage, second.Usage)
	}
	for i := range first.Options {
		if first.Options[i] != second.Options[i] {
			t.Errorf("%+v, then %+v", first.Options[i], second.Options[i])
		}
	}
}

func TestWrongDecisionsAreRefusedByField(t *testing.T) {
	_, url := serve(t, Options{Queue: gemma4.QueueOptions{Context: 64}})
	many := make([]string, 257)
	for i := range many {
		many[i] = string(rune('\u4e00' + i))
	}
	messages := `"messages":[{"role":"user","content":"x"}]`
	refuses(t, url+"/v1/decide", []refusal{
		{`{` + messages + `}`, 400, "options", "expected 2 to 256"},
		{`{` + messages + `,"options":["a"]}`, 400, "options", "expected 2 to 256"},
		{`{` + messages + `,"options":` + js(t, many) + `}`, 400, "options", "257"},
		{`{` + messages + `,"options":["a",""]}`, 400, "options[1]", "no text"},
		{`{` + messages + `,"options":["a",{"label":"b"}]}`, 400, "options[1]", "no text"},
		{`{` + messages + `,"options":["a b","c","a▁b"]}`, 400, "options[2]", "has the text of options[0]"},
		{`{` + messages + `,"options":["a",{"label":"c","text":3}]}`, 400, "options.text", "expected a string"},
		{`{` + messages + `,"options":"a"}`, 400, "options", "expected an array"},
		{`{"options":["a","b"]}`, 400, "messages", "one of them"},
		{`{` + messages + `,"prompt":"x","options":["a","b"]}`, 400, "messages", "one of them"},
		{`{"prompt":["x","y"],"options":["a","b"]}`, 400, "prompt", "expected one"},
		{`{"prompt":"x","options":["a","` + strings.Repeat("long ", 70) + `"]}`, 400, "prompt", "maximum context length is 64"},
		{`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,"}}]}],"options":["a","b"]}`, 400,
			"messages[0].content[0]", "image"},
		{`{"messages":[],"options":["a","b"]}`, 400, "", "no messages"},
	})
}
