package chat

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// random makes conversations and tools, valid but odd: text full of markup, schemas that are none.
type random struct{ *rand.Rand }

func newRandom(seed uint64) random { return random{rand.New(rand.NewPCG(seed, 0))} }

func (r random) chance(p float64) bool { return r.Float64() < p }

func choose[T any](r random, options ...T) T { return options[r.IntN(len(options))] }

func (r random) text(n int) string {
	var b strings.Builder
	for range r.IntN(n + 1) {
		b.WriteString(choose(r, "a", "Bb", "<|turn>", "model\n", "<channel|>", "<|channel>", "thought\n", " ", "\n", `<|"|>`,
			"é", "'", `"`, "{", "}", ",", "x<y", "  ", "<|tool_call>call:f{}", "\t", "0", "日本", "<", "\uFDD0", "\U000F0000", "<turn|>"))
	}
	return b.String()
}

func (r random) name() string {
	if s := r.text(3); s != "" {
		return s
	}
	return "f"
}

func (r random) key() string {
	return choose(r, "a", "B", "b", "A", "type", "properties", "required", "items", "enum", "description", "nullable",
		"response", r.text(2))
}

func quoted(s string) string {
	b, err := marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// value returns the JSON of any value.
func (r random) value(depth int) string {
	switch r.IntN(10 - min(depth, 3)) {
	default:
		return quoted(r.text(4))
	case 3:
		return choose(r, "0", "1", "-5", "9007199254740993", "123456789012345678901234567890", "1e3", "2.0", "1.50", "-0.25E+2")
	case 4:
		return choose(r, "true", "false")
	case 5:
		return "null"
	case 8:
		return r.list(func() string { return r.value(depth + 1) })
	case 9:
		return r.object(3, r.key, func() string { return r.value(depth + 1) })
	}
}

func (r random) list(item func() string) string {
	items := make([]string, r.IntN(4))
	for i := range items {
		items[i] = item()
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// object returns the JSON of an object with different keys.
func (r random) object(n int, key, item func() string) string {
	var entries []string
	seen := map[string]bool{}
	for range r.IntN(n + 1) {
		if k := key(); !seen[k] {
			seen[k] = true
			entries = append(entries, quoted(k)+": "+item())
		}
	}
	return "{" + strings.Join(entries, ", ") + "}"
}

// schema returns a JSON schema of which wild says how often a part of it is anything at all.
func (r random) schema(depth int, wild float64) string {
	if depth > 0 && r.chance(wild) {
		return r.value(depth)
	}
	var entries []string
	add := func(p float64, key string, v func() string) {
		if !r.chance(p) {
			return
		}
		if r.chance(wild) {
			v = func() string { return r.value(2) }
		}
		entries = append(entries, quoted(key)+": "+v())
	}
	name := func() string { return quoted(r.text(2)) }
	add(0.85, "type", func() string {
		return choose(r, `"string"`, `"object"`, `"array"`, `"integer"`, `"STRING"`, `"Object"`, `["string", "null"]`, `"number"`)
	})
	add(0.5, "description", func() string { return quoted(r.text(4)) })
	add(0.4, "enum", func() string { return r.list(name) })
	add(0.3, "nullable", func() string { return choose(r, "true", "false") })
	add(0.4, "required", func() string { return r.list(name) })
	if depth < 3 {
		add(0.5, "items", func() string { return r.schema(depth+1, wild) })
		add(0.6, "properties", func() string { return r.object(3, r.key, func() string { return r.schema(depth+1, wild) }) })
	}
	add(0.2, choose(r, "title", "default", "minimum", "anyOf"), func() string { return r.value(1) })
	r.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
	return "{" + strings.Join(entries, ", ") + "}"
}

func (r random) tool() Tool {
	t := Tool{Name: r.name(), Description: r.text(4)}
	wild := choose(r, 0, 0, 0.05, 0.3)
	if r.chance(0.8) {
		t.Parameters = json.RawMessage(r.schema(0, wild))
	}
	if r.chance(0.3) {
		t.Response = json.RawMessage(r.schema(0, wild))
	}
	return t
}

func (r random) parts(media bool) []Part {
	parts := make([]Part, 1+r.IntN(4))
	for i := range parts {
		if parts[i].Type = "text"; media && r.chance(0.4) {
			parts[i].Type = choose(r, "image", "audio", "video")
			continue
		}
		parts[i].Text = r.text(4)
	}
	return parts
}

func (r random) fill(m Message, media bool) Message {
	if r.chance(0.25) {
		m.Parts = r.parts(media)
	} else {
		m.Content = r.text(5)
	}
	return m
}

func (r random) conversation() Conversation {
	c := Conversation{Thinking: r.chance(0.3), NoGenerationPrompt: r.chance(0.2)}
	add := func(m Message) { c.Messages = append(c.Messages, m) }
	if r.chance(0.3) {
		add(r.fill(Message{Role: choose(r, "system", "developer")}, false))
	}
	for range 1 + r.IntN(6) {
		switch p := r.Float64(); {
		case p < 0.35 || len(c.Messages) == 0:
			add(r.fill(Message{Role: "user"}, true))
		case p < 0.42:
			add(Message{Role: choose(r, "system", "developer"), Content: r.text(4)})
		default:
			r.assistant(add)
		}
	}
	if r.chance(0.5) {
		for range 1 + r.IntN(3) {
			c.Tools = append(c.Tools, r.tool())
		}
	}
	return c
}

// assistant adds an answer, its calls, and answers to some of them.
func (r random) assistant(add func(Message)) {
	m := r.fill(Message{Role: choose(r, "assistant", "assistant", "model")}, true)
	if r.chance(0.4) {
		m.Reasoning = r.text(4)
	}
	if r.chance(0.4) {
		add(m)
		return
	}
	for range 1 + r.IntN(3) {
		call := Call{Name: r.name()}
		if r.chance(0.8) {
			call.ID = fmt.Sprintf("c%d", r.IntN(3))
		}
		if r.chance(0.9) {
			call.Arguments = json.RawMessage(r.object(3, r.key, func() string { return r.value(0) }))
		}
		m.ToolCalls = append(m.ToolCalls, call)
	}
	add(m)
	for range r.IntN(4) {
		answer := r.fill(Message{Role: "tool", ToolCallID: choose(r, m.ToolCalls...).ID}, false)
		if r.chance(0.3) {
			answer.Name = r.name()
		}
		add(answer)
	}
}
