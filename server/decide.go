package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// mostOptions is how many a decision may have.
const mostOptions = 256

// decideRequest is the body of POST /v1/decide: messages with tools, or a prompt.
type decideRequest struct {
	Model    string          `json:"model"`
	Messages json.RawMessage `json:"messages"`
	Prompt   json.RawMessage `json:"prompt"`
	// Options are what the model chooses among: texts, or objects of a label and a text.
	Options []option `json:"options"`
	// Normalize says whether the probabilities add up to 1; otherwise they are those of the texts themselves.
	Normalize *bool `json:"normalize"`
	// Open lets the text of a prompt go on behind an option. Otherwise an option is all that the model says.
	Open bool `json:"open"`
}

// option is a text that the model may say, and what the client calls it.
type option struct {
	Label string `json:"label"`
	Text  string `json:"text"`
}

// UnmarshalJSON reads a text, which is its own label, or an object.
func (o *option) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte(`"`)) {
		err := json.Unmarshal(data, &o.Text)
		o.Label = o.Text
		return err
	}
	type plain option
	return json.Unmarshal(data, (*plain)(o))
}

// texts returns the options' texts, or what is wrong with them.
func (b *decideRequest) texts() ([]string, error) {
	if n := len(b.Options); n < 2 || n > mostOptions {
		return nil, bad("options", "options: %d of them, expected 2 to %d", n, mostOptions)
	}
	texts, seen := make([]string, len(b.Options)), map[string]int{}
	for i := range b.Options {
		o := &b.Options[i]
		field := fmt.Sprintf("options[%d]", i)
		if o.Text == "" || !utf8.ValidString(o.Text) {
			return nil, bad(field, "%s has no text", field)
		}
		same := strings.ReplaceAll(o.Text, "\u2581", " ") // the tokens of both are the same
		if before, ok := seen[same]; ok {
			return nil, bad(field, "%s has the text of options[%d]: %.40q", field, before, o.Text)
		}
		seen[same], texts[i] = i, o.Text
		if o.Label == "" {
			o.Label = o.Text
		}
	}
	return texts, nil
}

// decide answers with the probabilities that the model says each of several texts: exactly, without drawing any, for the price of reading
// the prompt.
func (c *call) decide() error {
	var text json.RawMessage
	if err := c.read(&text); err != nil {
		return err
	}
	var b decideRequest
	if err := decode(text, &b); err != nil {
		return err
	}
	if err := c.known(b.Model); err != nil {
		return err
	}
	options, err := b.texts()
	if err != nil {
		return err
	}
	var prompt []int32
	var conversation chat.Conversation
	field := "messages"
	switch asked := present(b.Messages); {
	case asked == present(b.Prompt):
		return bad("messages", "a decision has messages or a prompt, one of them")
	case asked:
		if err := decode(text, &conversation); err != nil {
			return err
		}
		if err := c.fetchAll(conversation.Messages); err != nil {
			return err
		}
		conversation.Thinking = false
		if prompt, err = c.render(conversation); err != nil {
			return err
		}
	default:
		field = "prompt"
		in, err := c.s.inputs(field, b.Prompt)
		if err != nil {
			return err
		}
		if len(in) > 1 {
			return bad(field, "prompt: %d texts, expected one", len(in))
		}
		prompt = c.s.tokens(in[0])
	}
	longest := 0
	for _, o := range options {
		longest = max(longest, len(c.s.m.Tokenizer().EncodeLiteral(o, everywhere(o))))
	}
	if err := c.s.fits(field, prompt, longest); err != nil {
		return err
	}
	read := 0
	o := gemma4.ChatOptions{Tools: conversation.Tools, Variables: conversation.Variables, Continue: conversation.Continue}
	o.Context = len(prompt) + longest
	o.Trace = &gemma4.Trace{Prefill: func(i gemma4.PrefillInfo) { read += i.Positions }}
	var likelihoods []gemma4.Likelihood
	if err := c.do(o, func(ctx context.Context, chat *gemma4.Chat) (err error) {
		if field == "messages" {
			likelihoods, err = chat.Decide(ctx, options, conversation.Messages...)
		} else {
			likelihoods, err = chat.Session().Decide(ctx, []gemma4.Input{{Tokens: prompt}}, options, gemma4.DecideOptions{Open: b.Open})
		}
		return err
	}); err != nil {
		return err
	}
	c.prompt, c.reused = len(prompt), len(prompt)-read
	return c.json(http.StatusOK, c.decision(b, likelihoods))
}

// decision returns the body of an answer.
func (c *call) decision(b decideRequest, likelihoods []gemma4.Likelihood) any {
	type weighed struct {
		Index int `json:"index"`
		option
		Probability float64 `json:"probability"`
		LogProb     float64 `json:"logprob"` // of the whole text
	}
	list, best := make([]weighed, len(likelihoods)), 0
	for i, l := range likelihoods {
		list[i] = weighed{i, b.Options[i], l.Prob, max(l.LogProb, -math.MaxFloat64)}
		if b.Normalize != nil && !*b.Normalize {
			list[i].Probability = math.Exp(l.LogProb)
		}
		if l.LogProb > likelihoods[best].LogProb {
			best = i
		}
	}
	return map[string]any{
		"id": newID("decision-"), "object": "decision", "created": time.Now().Unix(), "model": c.name(),
		"system_fingerprint": c.fingerprint(), "choice": list[best].Label, "options": list,
		"usage": map[string]any{"prompt_tokens": c.prompt, "completion_tokens": 0, "total_tokens": c.prompt,
			"prompt_tokens_details": map[string]int{"cached_tokens": c.reused}},
	}
}

// everywhere returns all places of a text, none of which begins markup.
func everywhere(text string) []int {
	all := make([]int, len(text))
	for i := range all {
		all[i] = i
	}
	return all
}
