package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// fuzzConversation has everything a template can look at.
func fuzzConversation() Conversation {
	c := Conversation{Messages: []Message{
		{Role: "system", Content: "Be <b>brief</b>."},
		{Role: "user", Content: "a<|turn>b"},
		{Role: "assistant", Reasoning: "r", ToolCalls: []Call{
			{ID: "1", Name: "f", Arguments: json.RawMessage(`{"b": "<x>", "A": [1, 2.50, null, true], "<k>": {"o": 1e3}}`)},
		}},
		{Role: "tool", ToolCallID: "1", Content: "sunny\n21"},
		{Role: "assistant", Content: "<|channel>x<channel|>ok"},
		{Role: "user", Parts: []Part{{Type: "image"}, {Type: "text", Text: " é "}}},
	}}
	c.Tools = []Tool{{Name: "f", Description: "d", Parameters: json.RawMessage(
		`{"type": "object", "properties": {"b": {"type": "string", "enum": ["<x>"]}}, "required": ["b"]}`)}}
	return c
}

// FuzzRenderLiteral renders any texts, in every place of a conversation: the offsets are those of the texts' own
// characters, all of them, whichever renderer it is.
func FuzzRenderLiteral(f *testing.F) {
	f.Add("<|turn>model", "<turn|>", "{\"a\":\"<\"}", "<")
	f.Add("\uFDD0<", "\U000F0000", `{"<": [1, "<"]}`, "\uFDD0")
	f.Add("a", "b", "{}", "ab")
	f.Add("<|channel>x<channel|>", "[", `{"é": null}`, "[é")
	tpl := parseFile(f, "testdata/gemma.jinja")
	f.Fuzz(func(t *testing.T, text, name, arguments, markup string) {
		if name == "" {
			name = "f"
		}
		c := Conversation{Messages: []Message{
			{Role: "system", Content: text},
			{Role: "user", Content: name, Name: text},
			{Role: "assistant", Content: text},
			{Role: "user", Content: text},
			{Role: "assistant", Reasoning: text, ToolCalls: []Call{
				{ID: name, Name: name, Arguments: json.RawMessage(arguments)},
			}},
			{Role: "tool", ToolCallID: name, Content: text},
		}}
		plain, err := Builtin().Render(context.Background(), c, nil)
		if err != nil {
			return // not valid
		}
		var firsts []string
		for _, r := range markup {
			firsts = append(firsts, string(r)+"x")
		}
		var all [2]Prompt
		for i, tpl := range []*Template{Builtin(), tpl} {
			if all[i], err = tpl.Render(context.Background(), c, firsts); err != nil {
				t.Fatal(err)
			}
		}
		if all[0].Text != plain.Text || all[1].Text != plain.Text || !slices.Equal(all[0].Literal, all[1].Literal) {
			t.Fatalf("%q %v, own template %q %v, without marks %q", all[0].Text, all[0].Literal, all[1].Text, all[1].Literal,
				plain.Text)
		}
		// A template without any text of its own: every first character of markup is literal.
		bare, err := Parse("{% for m in messages %}{{ m.content }}{% endfor %}{{ messages[4].tool_calls[0].function }}")
		if err != nil {
			t.Fatal(err)
		}
		p := render(t, bare, c, []string{"<|turn>"})
		var want []int
		for i := range len(p.Text) {
			if p.Text[i] == '<' {
				want = append(want, i)
			}
		}
		if !slices.Equal(p.Literal, want) {
			t.Fatalf("%q: %v, want %v", p.Text, p.Literal, want)
		}
	})
}

// FuzzParser pushes any pieces: however text is cut, the events are those of the whole answer, of which nothing is lost.
func FuzzParser(f *testing.F) {
	for _, c := range goldenCases(f) {
		f.Add(c.Text, uint8(3), false)
	}
	f.Add(`<|tool_call>call:f{a:<|"|>x<|"|>,b:[1,{c:true}]}<tool_call|>`, uint8(1), false)
	f.Add("<|channel>thought\na\n<channel|>b<turn|>c", uint8(2), true)
	f.Add("<|tool_call><|tool_call>call:f{}<tool_call|><channel|><|\"|>", uint8(9), true)
	f.Fuzz(func(t *testing.T, text string, size uint8, inThought bool) {
		pieces, markup := cutAtMarkup(text)
		whole, small := Parser{InThought: inThought}, Parser{InThought: inThought}
		var a, b []Event
		for i, piece := range pieces {
			a = append(a, whole.Push(piece, markup[i])...)
			if markup[i] {
				b = append(b, small.Push(piece, true)...)
				continue
			}
			for from := 0; from < len(piece); from += int(size) + 1 {
				b = append(b, small.Push(piece[from:min(from+int(size)+1, len(piece))], false)...)
			}
		}
		a, b = append(a, whole.Close()...), append(b, small.Close()...)
		want := show(merge(wholeAnswer(pieces, markup, inThought)))
		if got := show(merge(a)); got != want {
			t.Fatalf("%q: %q, want %q", text, got, want)
		}
		if got := show(merge(b)); got != want {
			t.Fatalf("%q in pieces of %d: %q, want %q", text, int(size)+1, got, want)
		}
		for _, e := range a {
			if e.Kind == ToolCall && (!json.Valid(e.Call.Arguments) || e.Call.Name == "") {
				t.Fatalf("%q: call %q %q", text, e.Call.Name, e.Call.Arguments)
			}
		}
	})
}

// merge joins events of one kind that follow each other.
func merge(events []Event) []Event {
	var merged []Event
	for _, e := range events {
		if n := len(merged); n > 0 && e.Kind != ToolCall && merged[n-1].Kind == e.Kind && e.Err == nil && merged[n-1].Err == nil {
			merged[n-1].Text += e.Text
			continue
		}
		merged = append(merged, e)
	}
	return merged
}

// cutAtMarkup cuts text as ParseText does.
func cutAtMarkup(text string) (pieces []string, markup []bool) {
	find := newFinder(gemmaMarkup)
	from := 0
	for at := 0; at < len(text); {
		n := find.at(text[at:])
		if n == 0 {
			at++
			continue
		}
		if at > from {
			pieces, markup = append(pieces, text[from:at]), append(markup, false)
		}
		pieces, markup = append(pieces, text[at:at+n]), append(markup, true)
		at += n
		from = at
	}
	if from < len(text) {
		pieces, markup = append(pieces, text[from:]), append(markup, false)
	}
	return pieces, markup
}

// wholeAnswer splits an answer that is there from the beginning, piece by piece: what the parser must come to.
func wholeAnswer(pieces []string, markup []bool, thought bool) []Event {
	var events []Event
	add := func(k Kind, text string, err error) {
		if text != "" {
			events = append(events, Event{Kind: k, Text: text, Err: err})
		}
	}
	at := func(i int, texts ...string) bool {
		return i < len(pieces) && markup[i] && slices.Contains(texts, pieces[i])
	}
	over := func(i int) bool { return i == len(pieces) || at(i, turnClose, eos, responseOpen) }
	labelled := thought
	calls := 0
	for i := 0; ; {
		switch {
		case thought:
			from := i
			for !over(i) && !at(i, channelClose, callOpen) {
				i++
			}
			text := strings.Join(pieces[from:i], "")
			if !labelled {
				text = strings.TrimPrefix(text, thoughtLabel)
			}
			if !over(i) {
				text = strings.TrimSuffix(text, "\n")
			}
			add(Thought, text, nil)
			thought, labelled = false, false
			if at(i, channelClose) {
				i++
			}
		case over(i):
			return events
		case at(i, channelOpen):
			thought = true
			i++
		case at(i, callOpen):
			from := i
			size := len(callOpen)
			var marks []int
			for i++; !over(i) && !at(i, callOpen, callClose); i++ {
				if markup[i] {
					marks = append(marks, size)
				}
				size += len(pieces[i])
			}
			call, err := readCall(strings.Join(pieces[from:i], ""), marks)
			calls++
			if at(i, callClose) {
				i++
			} else if err == nil {
				err = &CallError{Offset: size, Expected: callClose, Found: "the end"}
			}
			if err != nil {
				add(Text, strings.Join(pieces[from:i], ""), err)
				continue
			}
			call.ID = fmt.Sprintf("call_%d", calls)
			events = append(events, Event{Kind: ToolCall, Call: call})
		default:
			add(Text, pieces[i], nil)
			i++
		}
	}
}
