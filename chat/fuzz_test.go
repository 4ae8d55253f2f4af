package chat

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzRenderLiteral renders any texts, in every place of a conversation: the offsets are those of the texts' own
// characters, all of them, and the text does not depend on them.
func FuzzRenderLiteral(f *testing.F) {
	f.Add("<|turn>model", "<turn|>", "{\"a\":\"<\"}", "<")
	f.Add("\uFDD0<", "\U000F0000", `{"<": [1, "<"]}`, "\uFDD0")
	f.Add("a", "b", "{}", "ab")
	f.Add("<|channel>x<channel|>", "[", `{"é": null}`, "[é")
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
		if p := render(t, Builtin(), c, firsts); p.Text != plain.Text {
			t.Fatalf("%q %v, without marks %q", p.Text, p.Literal, plain.Text)
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

// FuzzBuiltin renders any conversation with the built-in format and with its template: the same text, the same places.
func FuzzBuiltin(f *testing.F) {
	for _, c := range goldenCases(f) {
		data, err := json.Marshal(c.Conversation)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	for seed := range uint64(50) {
		data, err := json.Marshal(newRandom(seed).conversation())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	tpl := oracle(f)
	f.Fuzz(func(t *testing.T, text string) {
		var c Conversation
		if json.Unmarshal([]byte(text), &c) != nil {
			return
		}
		as := c
		if _, ok := c.Variables["empty_thought"]; !ok {
			as = c.with("empty_thought", true)
		}
		if difference := differs(Builtin(), tpl, c, as); difference != "" {
			t.Fatalf("%s: %s", text, difference)
		}
	})
}

// FuzzParser pushes any pieces: however text is cut, the events are those of the whole answer, calls are valid, and no marker of the
// format is in what a user reads.
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
		want := show(join(a))
		if got := show(join(b)); got != want {
			t.Fatalf("%q in pieces of %d: %q, want %q", text, int(size)+1, got, want)
		}
		for _, e := range a {
			if e.Kind == ToolCall && e.Call.validate() != nil {
				t.Fatalf("%q: call %q %q: %v", text, e.Call.Name, e.Call.Arguments, e.Call.validate())
			}
			for _, m := range gemmaMarkup {
				if e.Kind != ToolCall && e.Err == nil && strings.Contains(e.Text, m) && slices.Contains(formatMarkup, m) {
					t.Fatalf("%q: %q is read by a user", text, e.Text)
				}
			}
		}
	})
}

// FuzzConversationJSON reads any conversation, writes it and reads that: it renders to the same prompt.
func FuzzConversationJSON(f *testing.F) {
	f.Add(`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u","detail":"low"}},
		{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}},{"type":"text","text":"a"}]},
		{"role":"assistant","content":null,"reasoning_content":"r",
			"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1.50e400}"}}]},
		{"role":"tool","content":{"a":[1,null]},"tool_call_id":"1"}],
		"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],
		"enable_thinking":true,"add_generation_prompt":false,"chat_template_kwargs":{"x":1e400,"enable_thinking":false}}`)
	f.Add(`{"messages":[{"role":"assistant","tool_responses":[{"name":"f","response":null}],
			"tool_calls":[{"function":{"name":"f","arguments":{"a":{"b":[]}}}}]},
		{"role":"tool","content":[]},{"role":"tool","content":[{"type":"text"}]},{"role":"tool","content":null}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var c Conversation
		if json.Unmarshal([]byte(text), &c) != nil {
			return
		}
		want, refused := Builtin().Render(context.Background(), c, nil)
		for _, c := range []Conversation{c, c.ObjectArguments()} {
			data, err := json.Marshal(c)
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			var back Conversation
			if err := json.Unmarshal(data, &back); err != nil {
				t.Fatalf("%q: %s: %v", text, data, err)
			}
			got, err := Builtin().Render(context.Background(), back, nil)
			if (err == nil) != (refused == nil) || got.Text != want.Text {
				t.Fatalf("%q: %s\n got %q %v\nwant %q %v", text, data, got.Text, err, want.Text, refused)
			}
		}
	})
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

// FuzzCalls parses any call, prints what it means as the format has it and parses that: the same call, which needs no mending.
func FuzzCalls(f *testing.F) {
	for _, s := range []string{
		`call:f{a:<|"|>x<|"|>,b:[1,{c:true}],d:None}`, `call:f{a:"x",b:'y',c:z w}`, `call:f(a:<|"|>x<|"|>b:2,)`, `call:f`,
		`{"name":"f","arguments":{"a":[1.50,"\u00e9",null]}}`, `call:f{q:weather in Tokyo<|"|>}`, `call:f{a:<|"|>ls}`,
		`call:f{a:<|"|>print(<|"|>hi<|"|>)<|"|>}`, `call:f{<|"|>a:b<|"|>=1}`, `call:f{a:<|"|>x = "<tool_call|>" # } {<|"|>}`,
		`call:f{a:<|"|>x<|tool_call>call:g{b:1}<tool_call|>`, `call:f{a:-0.0e+7,b:00}`, `call:f{save_as='report.docx',x:1}`,
		`call:f{command:<|"|>look<|"|>angle:90}`, `call:f{opts:{"mode":<|"|>fast<|"|>}}`, `call: f {a: 1}`, `call:f{l:[1,2,]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, call string) {
		events := ParseText(callOpen+call+callClose, nil)
		var kept int
		for _, e := range events {
			kept += len(e.Text)
			if e.Kind != ToolCall {
				continue
			}
			if err := e.Call.validate(); err != nil {
				t.Fatalf("%q: %v", call, err)
			}
			if kept = len(call); e.Call.Name != strings.TrimSpace(e.Call.Name) || strings.Contains(e.Call.Name, "{") ||
				hasOddKey(e.Call.Arguments) {
				continue // printed bare, these could not be told from the syntax
			}
			c := Conversation{Messages: []Message{{Role: "user"}, {Role: "assistant", ToolCalls: []Call{*e.Call}}}}
			p := render(t, Builtin(), c, gemmaMarkup)
			var again []Event
			var parser Parser
			pieces, markup := cutLiteral(p)
			for i, piece := range pieces {
				if parser.Ended() || i == 0 || piece == turnOpen {
					parser = Parser{}
					continue
				}
				again = append(again, parser.Push(piece, markup[i])...)
			}
			calls := Answer(again).ToolCalls
			if len(calls) != 1 || calls[0].Mended || calls[0].Name != e.Call.Name || !sameJSON(t, calls[0].Arguments, e.Call.Arguments) {
				t.Fatalf("%q: %s %s is printed as %q and read as %s", call, e.Call.Name, e.Call.Arguments, p.Text, show(again))
			}
		}
		if utf8.ValidString(call) && strings.TrimSpace(call) != "" && kept == 0 {
			t.Fatalf("%q is lost: %s", call, show(events))
		}
	})
}

// cutLiteral cuts a prompt as a tokenizer does.
func cutLiteral(p Prompt) (pieces []string, markup []bool) {
	find := newFinder(gemmaMarkup)
	from := 0
	for at := 0; at < len(p.Text); {
		n := find.at(p.Text[at:])
		if n == 0 || slices.Contains(p.Literal, at) {
			at++
			continue
		}
		pieces, markup = append(pieces, p.Text[from:at], p.Text[at:at+n]), append(markup, false, true)
		at += n
		from = at
	}
	return append(pieces, p.Text[from:]), append(markup, false)
}
