package gemma4_test

import (
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// TestResultCountsTheTokensOfThoughts counts them by the markers among the tokens that come.
func TestResultCountsTheTokensOfThoughts(t *testing.T) {
	m := wild(t)
	open, _ := m.Tokenizer().ID("<|channel>")
	shut, _ := m.Tokenizer().ID("<channel|>")
	call, _ := m.Tokenizer().ID("<|tool_call>")
	in, past := 0, 0 // answers that were cut within a thought, and that went on behind one
	for seed := range 12 {
		for _, o := range []gemma4.ChatOptions{
			{Thinking: true},
			{Thinking: true, Tools: []chat.Tool{weather}},
			{Thinking: true, Continue: true},
		} {
			o.Sampling, o.MaxTokens = hot(seed), 1+7*seed
			if seed%2 == 0 {
				o.ThinkTokens = 10
			}
			o.Sampling.Bias = map[int32]float32{open: 9, shut: 5}
			c := newChat(t, m, o)
			c.Messages = []chat.Message{user("Hi")}
			thinks := false
			if o.Continue {
				c.Messages = append(c.Messages, chat.Message{Role: "assistant", Reasoning: "Well,"})
				thinks = true
			}
			want := 0
			for tok, err := range c.Send(ctx) {
				if err != nil {
					t.Fatal(err)
				}
				switch {
				case tok.ID < 0:
				case thinks && tok.ID == call:
					thinks = false
				case thinks && tok.ID == shut:
					thinks = false
					want++
					past++
				case thinks || tok.ID == open:
					thinks = true
					want++
				}
			}
			if r := c.Result(); r.Thought != want || r.Thought > r.Generated {
				t.Errorf("seed %d, %d tools, continue %t: %d tokens of thoughts, not %d", seed, len(o.Tools), o.Continue, r.Thought, want)
			}
			if thinks {
				in++
			}
			c.Close()
		}
	}
	if in < 3 || past < 3 {
		t.Errorf("%d answers were cut within a thought and %d thoughts ended, expected a few of each", in, past)
	}
}
