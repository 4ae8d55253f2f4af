package server

import (
	"encoding/json"
	"iter"
	"net/http"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// chatRequest is the body of POST /v1/chat/completions.
type chatRequest struct {
	Messages    []json.RawMessage `json:"messages"`
	Logprobs    bool              `json:"logprobs"`
	TopLogprobs *whole            `json:"top_logprobs"`
	Continue    bool              `json:"continue_final_message"`
	Generation  *bool             `json:"add_generation_prompt"`
	Functions   json.RawMessage   `json:"functions"`
	Prediction  *prediction       `json:"prediction"`
	generating
	toolbox
	thoughts

	pictures, sounds int // positions of the prompt
}

// usage returns that of answers.
func (b *chatRequest) usage(answers []*answer) *usage {
	u := countOf(answers).usage()
	u.PromptDetails.Images, u.PromptDetails.Audio = b.pictures, b.sounds
	if b.Prediction != nil { // how much is guessed otherwise depends on the clock, and answers do not
		u.Details.predicted(answers)
	}
	return u
}

// request makes one for the queue.
func (b *chatRequest) request(c *call) (r gemma4.Request, err error) {
	top := -1
	if b.Logprobs {
		if top = b.TopLogprobs.or(0); top < 0 {
			return r, bad("top_logprobs", "top_logprobs is %d, expected 0 to %d", top, mostTop)
		}
	}
	if r, err = b.generating.request(c, top); err != nil {
		return r, err
	}
	if r.Messages, err = c.conversation("messages", b.Messages); err != nil {
		return r, err
	}
	if present(b.Functions) {
		return r, unsupported("functions", "functions: tools have replaced them")
	}
	if r.Tools, r.Calls, err = b.toolbox.read(c.s.log); err != nil {
		return r, err
	}
	if r.Thinking, r.ThinkTokens, r.Variables, err = b.thoughts.read(); err != nil {
		return r, err
	}
	if r.Draft.Texts, err = b.Prediction.texts(c.s); err != nil {
		return r, err
	}
	r.Continue = b.Continue
	if b.Generation != nil && *b.Generation == b.Continue {
		return r, bad("add_generation_prompt", "add_generation_prompt and continue_final_message are both %t: one of them is to hold",
			b.Continue)
	}
	return r, nil
}

// head is what all of an answer's parts in OpenAI's completions have in common.
type head struct {
	ID          string `json:"id"`
	Object      string `json:"object"`
	Created     int64  `json:"created"`
	Model       string `json:"model"`
	Fingerprint string `json:"system_fingerprint"`
}

func (c *call) head(prefix, object string) head {
	return head{newID(prefix), object, time.Now().Unix(), c.name(), c.fingerprint()}
}

// chatMessage is an answer as a message.
type chatMessage struct {
	Role      string      `json:"role"`
	Content   *string     `json:"content"` // null with calls alone
	Reasoning string      `json:"reasoning_content,omitempty"`
	ToolCalls []chat.Call `json:"tool_calls,omitempty"`
	Refusal   *string     `json:"refusal"`
}

func (a *answer) chatMessage() chatMessage {
	m := a.message()
	out := chatMessage{Role: "assistant", Reasoning: m.Reasoning, ToolCalls: m.ToolCalls}
	if m.Content != "" || len(m.ToolCalls) == 0 {
		out.Content = &m.Content
	}
	return out
}

// chat answers a conversation, as OpenAI's chat completions do.
func (c *call) chat() error {
	var b chatRequest
	r, err := c.request(&b)
	if err != nil {
		return err
	}
	b.Messages = nil // pictures are large
	if b.pictures, b.sounds, err = c.sensed(r); err != nil {
		return err
	}
	f := follow(&r)
	pieces, err := c.answers(r)
	if err != nil {
		return err
	}
	deltas := c.deltas(pieces, "call_")
	if b.Stream {
		return c.chatStream(&b, r.N, f, deltas)
	}
	return c.chatWhole(&b, deltas)
}

// chatWhole writes the answers when they have ended.
func (c *call) chatWhole(b *chatRequest, deltas iter.Seq2[delta, error]) error {
	type choice struct {
		Index        int         `json:"index"`
		Message      chatMessage `json:"message"`
		Logprobs     *logprobs   `json:"logprobs"`
		FinishReason string      `json:"finish_reason"`
	}
	out := struct {
		head
		Choices []choice `json:"choices"`
		Usage   *usage   `json:"usage"`
		Timings *timings `json:"timings"`
	}{head: c.head("chatcmpl-", "chat.completion")}
	answers, tokens, err := collect(deltas)
	if err != nil {
		return err
	}
	for i, a := range answers {
		ch := choice{Index: i, Message: a.chatMessage(), FinishReason: a.finish()}
		if b.Logprobs {
			ch.Logprobs = logprobsOf(c.s.m.Tokenizer(), tokens[i], b.TopLogprobs.or(0))
		}
		out.Choices = append(out.Choices, ch)
	}
	out.Usage, out.Timings = b.usage(answers), timingsOf(answers[0].result)
	return c.json(http.StatusOK, out)
}

// chatChunk is an event of a stream.
type chatChunk struct {
	head
	Choices  []chunkChoice `json:"choices"`
	Usage    *usage        `json:"usage,omitempty"`
	Timings  *timings      `json:"timings,omitempty"`
	Progress *progress     `json:"prompt_progress,omitempty"`
}

type chunkChoice struct {
	Index        int       `json:"index"`
	Delta        chatDelta `json:"delta"`
	Logprobs     *logprobs `json:"logprobs"`
	FinishReason *string   `json:"finish_reason"`
}

type chatDelta struct {
	Role      string      `json:"role,omitempty"`
	Content   *string     `json:"content,omitempty"`
	Reasoning string      `json:"reasoning_content,omitempty"`
	ToolCalls []toolDelta `json:"tool_calls,omitempty"`
}

// toolDelta is one call, or a part of it: first all but the arguments, then these.
type toolDelta struct {
	Index    int           `json:"index"`
	ID       string        `json:"id,omitempty"`
	Type     string        `json:"type,omitempty"`
	Function functionDelta `json:"function"`
}

type functionDelta struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

// chatStream writes the answers as they come.
func (c *call) chatStream(b *chatRequest, n int, f *follower, deltas iter.Seq2[delta, error]) error {
	st, head := c.events(), c.head("chatcmpl-", "chat.completion.chunk")
	for i := range n {
		if err := st.send("", chatChunk{head: head, Choices: []chunkChoice{{Index: i, Delta: chatDelta{Role: "assistant"}}}}); err != nil {
			return err
		}
	}
	stop := func() {}
	if b.ReturnProgress {
		stop = f.tell(func(p progress) { st.send("", chatChunk{head: head, Choices: []chunkChoice{{}}, Progress: &p}) })
		defer func() { stop() }()
	}
	answers, left := make([]*answer, n), n
	for d, err := range deltas {
		if stop(); err != nil {
			return err
		}
		answers[d.choice] = d.answer
		f.tick()
		choices := b.choices(c, d)
		for i, ch := range choices {
			chunk := chatChunk{head: head, Choices: []chunkChoice{ch}}
			if last := i == len(choices)-1; last && d.ended {
				chunk.Timings = timingsOf(d.result)
				if left--; left == 0 && !b.StreamOptions.IncludeUsage {
					chunk.Usage = b.usage(answers)
				}
			} else if last && b.TimingsPerToken {
				chunk.Timings = f.timings(d.written)
			}
			if err := st.send("", chunk); err != nil {
				return err
			}
		}
	}
	if b.StreamOptions.IncludeUsage {
		chunk := chatChunk{head: head, Choices: []chunkChoice{}, Usage: b.usage(answers), Timings: timingsOf(answers[0].result)}
		if err := st.send("", chunk); err != nil {
			return err
		}
	}
	return st.done()
}

// choices returns what the events of a stream say of a delta, in their order.
func (b *chatRequest) choices(c *call, d delta) (list []chunkChoice) {
	add := func(delta chatDelta) *chunkChoice {
		list = append(list, chunkChoice{Index: d.choice, Delta: delta})
		return &list[len(list)-1]
	}
	text := func() {
		ch := add(chatDelta{Content: &d.Text})
		if b.Logprobs {
			ch.Logprobs = logprobsOf(c.s.m.Tokenizer(), d.tokens, b.TopLogprobs.or(0))
		}
	}
	switch {
	case d.Call != nil:
		add(chatDelta{ToolCalls: []toolDelta{{d.call, d.Call.ID, "function", functionDelta{d.Call.Name, ""}}}})
		add(chatDelta{ToolCalls: []toolDelta{{Index: d.call, Function: functionDelta{Arguments: arguments(d.Call)}}}})
	case d.Kind == chat.Thought && d.Text != "":
		add(chatDelta{Reasoning: d.Text})
	case d.Kind == chat.Text && d.Text != "", b.Logprobs && len(d.tokens) > 0:
		text()
	case d.ended && d.calls == 0 && d.message().Content == "": // there is always content, or a call
		text()
	}
	if d.ended {
		add(chatDelta{}).FinishReason = new(d.finish())
	}
	return list
}
