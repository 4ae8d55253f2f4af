package gemma4_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/internal/synth"
)

// agent is a program that works with tools: each of its requests is its whole conversation.
type agent struct {
	gemma4.Request
	before []int32 // the prompt of its last request
	read   int     // positions that were read since the first,
	behind int     // and those behind what each prompt has in common with the one before
}

// ask hands in the conversation, and counts what is read of it.
func (a *agent) ask(t *testing.T, m *gemma4.Model, q *gemma4.Queue) {
	t.Helper()
	c := gemma4.Request(a.Request)
	r := collect(t, q, c).Result
	chat := newChat(t, m, c.ChatOptions)
	defer chat.Close()
	chat.Messages = c.Messages
	now, n := ids(t, chat), 0
	if r.Prompt+r.Reused != len(now) {
		t.Fatalf("%d positions read and %d reused of a prompt of %d", r.Prompt, r.Reused, len(now))
	}
	for n < min(len(now), len(a.before)) && now[n] == a.before[n] {
		n++
	}
	if a.before != nil {
		a.read += r.Prompt
		a.behind += len(now) - n
	}
	a.before = now
}

// work adds what a turn of the agent brings: a call with its thought and what the tool returns, and every few turns an answer and the next
// question.
func (a *agent) work(i int) {
	call := chat.Call{ID: fmt.Sprint("call_", i), Name: "get_weather", Arguments: json.RawMessage(fmt.Sprintf(`{"city":"Town %d"}`, i))}
	m := chat.Message{Role: "assistant", ToolCalls: []chat.Call{call}}
	if a.Thinking {
		m.Reasoning = fmt.Sprintf("I look at town %d, too.", i)
	}
	a.Messages = append(a.Messages, m,
		chat.Message{Role: "tool", ToolCallID: call.ID, Content: fmt.Sprintf("%d degrees. ", i) + strings.Repeat("Some wind. ", i%7)})
	if i%6 == 5 {
		a.Messages = append(a.Messages, chat.Message{Role: "assistant", Content: fmt.Sprintf("Town %d is best.", i)},
			user("And which is the next best one, if %d is out of the question?", i))
	}
}

// TestAnAgentsTurnsReadWhatIsNewInThem takes agents with tools through 32 turns on one cache, in turn, with others between them whose
// conversations come and go. The windows of sliding layers have long moved past the turns before.
func TestAnAgentsTurnsReadWhatIsNewInThem(t *testing.T) {
	c, err := synth.Parse("micro-e:q8_0")
	if err != nil {
		t.Fatal(err)
	}
	c.Context, c.Window = 8192, 100
	m, err := gemma4.OpenBytes(synth.Bytes(c))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	prefixes := gemma4.NewPrefixCache(1 << 28)
	defer prefixes.Close()
	q := newQueue(t, m, gemma4.QueueOptions{Prefixes: prefixes})
	agents := map[string]*agent{}
	for name, template := range templates {
		for _, thinking := range []bool{false, true} {
			a, name := &agent{}, fmt.Sprintf("%s, thinking %t", name, thinking)
			a.Template, a.Thinking, a.System = template, thinking, "You work with tools: "+name
			a.Tools, a.MaxTokens, a.Sampling = []chat.Tool{weather, multiply}, 1, greedy
			a.Messages = []chat.Message{user("Where is it warm?")}
			agents[name] = a
		}
	}
	for i := range 33 {
		for name, a := range agents {
			if i > 0 {
				a.work(i)
			}
			a.ask(t, m, q)
			if len(a.before) < 12*c.Window && i == 32 {
				t.Fatalf("%s: only %d positions", name, len(a.before))
			}
		}
		other := asking(fmt.Sprintf("Tell me about %d. ", i) + strings.Repeat("Go on. ", i))
		other.MaxTokens = 1
		collect(t, q, other)
	}
	for name, a := range agents {
		t.Logf("%s: %d positions read, %d behind the common beginnings, of prompts of up to %d", name, a.read, a.behind, len(a.before))
		if float64(a.read) > 1.05*float64(a.behind) {
			t.Errorf("%s: %d positions read, %d lie behind the common beginnings", name, a.read, a.behind)
		}
	}
}

// TestAnEmptyThoughtThatTheConversationDropsCostsNoMore: prompts of large models end in one, which the next prompt does not have, so that
// this begins within the old one, wherever the windows' pages end there.
func TestAnEmptyThoughtThatTheConversationDropsCostsNoMore(t *testing.T) {
	c, err := synth.Parse("micro-e:q8_0")
	if err != nil {
		t.Fatal(err)
	}
	const page = 128
	c.Context, c.Window = 1024, 100
	m, err := gemma4.OpenBytes(synth.Bytes(c))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	prefixes := gemma4.NewPrefixCache(1 << 28)
	defer prefixes.Close()
	q := newQueue(t, m, gemma4.QueueOptions{Prefixes: prefixes})
	a := newChat(t, m, gemma4.ChatOptions{Template: chat.Builtin()})
	tested := 0
	for n := range page {
		r := asking(fmt.Sprintf("%d. ", n) + strings.Repeat("a ", 300+n))
		r.ChatOptions.Template, r.MaxTokens = chat.Builtin(), 1
		a.Messages = r.Messages
		before := ids(t, a)
		if (len(before)-c.Window+1)%page > 3 { // its last positions have the same pages
			continue
		}
		collect(t, q, r)
		if again := collect(t, q, r).Result; again.Prompt != 1 {
			t.Errorf("of the same prompt of %d positions %d are read again", len(before), again.Prompt)
		}
		r.Messages = append(r.Messages, chat.Message{Role: "assistant", Content: "Yes."}, user("And now?"))
		a.Messages = r.Messages
		now, same := ids(t, a), 0
		for same < len(before) && now[same] == before[same] {
			same++
		}
		if r := collect(t, q, r).Result; same == len(before) || r.Reused != same {
			t.Errorf("%d of %d positions in common, %d reused", same, len(before), r.Reused)
		}
		tested++
	}
	if tested == 0 {
		t.Fatalf("no prompt whose last positions lie on both sides of a page's end")
	}
}
