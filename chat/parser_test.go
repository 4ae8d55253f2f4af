package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/internal/python"
	"time"
)

// show writes events in short: thoughts in parentheses, calls in brackets, those mended with a tilde, errors behind an exclamation mark.
func show(events []Event) string {
	var b strings.Builder
	for _, e := range events {
		switch {
		case e.Kind == ToolCall:
			fmt.Fprintf(&b, "[%s%s %s %s]", e.Call.ID, pick(e.Call.Mended, "~", ""), e.Call.Name, e.Call.Arguments)
		case e.Kind == Thought:
			fmt.Fprintf(&b, "(%s)", e.Text)
		case e.Err != nil:
			fmt.Fprintf(&b, "%s!%v!", e.Text, e.Err)
		default:
			b.WriteString(e.Text)
		}
	}
	return b.String()
}

func TestParserSplitsAnswers(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"text", "Hello\n", "Hello\n"},
		{"end of turn", "Hello<turn|>\n", "Hello"},
		{"end of text", "Hello<eos>more", "Hello"},
		{"waits for a tool", "<|tool_call>call:f{}<tool_call|><|tool_response>x", "[call_1 f {}]"},
		{"thought", "<|channel>thought\nHm.\n<channel|>Hello<turn|>", "(Hm.)Hello"},
		{"empty thought", "<|channel>thought\n<channel|>Hello", "Hello"},
		{"thought of an empty line", "<|channel>thought\n\n<channel|>Hello", "Hello"},
		{"thought of two lines", "<|channel>thought\na\n\nb\n\n<channel|>Hello", "(a\n\nb\n)Hello"},
		{"thought without a line break at its end", "<|channel>thought\nHm.<channel|>Hello", "(Hm.)Hello"},
		{"thought of another label", "<|channel>final\nHm.\n<channel|>Hello", "(final\nHm.)Hello"},
		{"thought of half a label", "<|channel>thou<channel|>Hello", "(thou)Hello"},
		{"two thoughts", "<|channel>thought\na\n<channel|>b<|channel>thought\nc\n<channel|>d", "(a)b(c)d"},
		{"thought cut off", "<|channel>thought\nHm.\n", "(Hm.\n)"},
		{"label cut off", "<|channel>though", "(though)"},
		{"turn ends in the thought", "<|channel>thought\nHm.\n<turn|>", "(Hm.\n)"},
		{"call ends the thought", "<|channel>thought\nHm.\n<|tool_call>call:f{}<tool_call|>", "(Hm.)[call_1~ f {}]"},
		{"markup in a thought", "<|channel>thought\na<|channel>b<|\"|>c<|image|>\n<channel|>d", "(ab\"c)d"},
		{"thought in a thought", "<|channel>thought\na\n<|channel>thought\nb\n<channel|>c<channel|>d", "(ab)cd"},
		{"close without a thought", "a<channel|>b", "ab"},
		{"close without a call", "a<tool_call|>b", "ab"},
		{"close of a call in a thought", "<|channel>thought\na<tool_call|>b\n<channel|>c", "(ab)c"},
		{"markup in text", "<bos>a<|image|>b<|\"|>c<|turn>d<tool_response|>e<|tool><tool|><|think|>", "ab\"cde"},

		{"call", `<|tool_call>call:get_weather{city:<|"|>Paris<|"|>,days:2}<tool_call|>`,
			`[call_1 get_weather {"city":"Paris","days":2}]`},
		{"calls between text", `a<|tool_call>call:f{}<tool_call|>b<|tool_call>call:g{x:1}<tool_call|>c`,
			`a[call_1 f {}]b[call_2 g {"x":1}]c`},
		{"numbers as written", `<|tool_call>call:f{a:2,b:2.0,c:1e3,d:-0,e:123456789012345678901234567890,f:1.50E-07}<tool_call|>`,
			`[call_1 f {"a":2,"b":2.0,"c":1e3,"d":-0,"e":123456789012345678901234567890,"f":1.50E-07}]`},
		{"words", `<|tool_call>call:f{a:true,b:false,c:null,d:None}<tool_call|>`,
			`[call_1 f {"a":true,"b":false,"c":null,"d":null}]`},
		{"keys in the order written", `<|tool_call>call:f{b:1,a:2,B:3}<tool_call|>`, `[call_1 f {"b":1,"a":2,"B":3}]`},
		{"quoted keys", `<|tool_call>call:f{<|"|>a:b<|"|>:1,<|"|><|"|>:2}<tool_call|>`, `[call_1~ f {"a:b":1,"":2}]`},
		{"odd keys", `<|tool_call>call:f{a b:1,c's:2,é<x>:3}<tool_call|>`, `[call_1 f {"a b":1,"c's":2,"é<x>":3}]`},
		{"nested", `<|tool_call>call:f{o:{p:{},q:[]},l:[1,[<|"|>x<|"|>,{y:true}]]}<tool_call|>`,
			`[call_1 f {"o":{"p":{},"q":[]},"l":[1,["x",{"y":true}]]}]`},
		{"anything in a string", "<|tool_call>call:f{a:<|\"|>{x:[1,\n\t\"y\\\"],}:'<b> é\x01<|image|><|channel><|\"|>}<tool_call|>",
			`[call_1 f {"a":"{x:[1,\n\t\"y\\\"],}:'<b> é\u0001<|image|><|channel>"}]`},
		{"space", "<|tool_call> call: f {\n a : 1 ,\tb : [ 1 , 2 ] , c : { } , d : <|\"|> x <|\"|> } \n<tool_call|>",
			`[call_1~ f {"a":1,"b":[1,2],"c":{},"d":" x "}]`},
		{"markers in a string", `<|tool_call>call:f{a:<|"|>x<|tool_call>call:g{}<tool_call|>{<tool_call|>y<|"|>}<tool_call|>z`,
			`[call_1 f {"a":"x<|tool_call>call:g{}<tool_call|>{<tool_call|>y"}]z`},
		{"keys that come again", `<|tool_call>call:f{a:1,b:{x:1,x:{y:2}},c:[{z:1,z:2,z:3}],b:{w:1,w:2},a:4,a:5,d:6}<tool_call|>`,
			`[call_1 f {"c":[{"z":3}],"b":{"w":2},"a":5,"d":6}]`},
		{"odd name", "<|tool_call>call:my tool-2.b:c{}<tool_call|>", "[call_1 my tool-2.b:c {}]"},
	}
	for _, test := range tests {
		if got := show(ParseText(test.text, nil)); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

// What models write beside the format; ~ is a call that was mended.
func TestCallsAreMendedWhereTheyAreWithoutDoubt(t *testing.T) {
	tests := []struct{ call, want string }{
		{`call:f{a:"x"}`, `{"a":"x"}`},
		{`call:f{a:"x, y}",b:"\u00e9\n"}`, `{"a":"x, y}","b":"é\n"}`},
		{`call:f{a:'it's',b:'x'}`, `{"a":"it's","b":"x"}`},
		{`call:f{a:'c:\new'}`, `{"a":"c:\\new"}`},
		{`call:f{a:["x",'y',z]}`, `{"a":["x","y","z"]}`},
		{`call:f{'a':1,"b":2,<|"|>c<|"|>:3}`, `{"a":1,"b":2,"c":3}`},
		{`call:f{a=1,b="x"}`, `{"a":1,"b":"x"}`},
		{`call:f{a=12:30}`, `{"a":"12:30"}`},
		{`call:f{a:http://x.org/y?b=1&c=2}`, `{"a":"http://x.org/y?b=1&c=2"}`},
		{`call:f{a:1 2,b:01,c:-Infinity,d:1.}`, `{"a":"1 2","b":"01","c":"-Infinity","d":"1."}`},
		{`call:f{a:True,b:[False,None]}`, `{"a":true,"b":[false,null]}`},
		{`call:f{q:Tokyo, Japan<|"|>}`, `{"q":"Tokyo, Japan"}`},
		{`call:f{n:5,q:weather in Tokyo<|"|>,m:6}`, `{"n":5,"q":"weather in Tokyo","m":6}`},
		{`call:f{q:5<|"|>}`, `{"q":"5"}`},
		{`call:f{a:<|"|>x<|"|>b:<|"|>y<|"|> c:1}`, `{"a":"x","b":"y","c":1}`},
		{`call:f{a:<|"|>x<|"|> , b:1 , }`, `{"a":"x","b":1}`},
		{`call:f{a:[1,2,],}`, `{"a":[1,2]}`},
		{`call:f(a:1,b:<|"|>x)<|"|>)`, `{"a":1,"b":"x)"}`},
		{`call:f()`, `{}`},
		{`call:f`, `{}`},
		{` call: f `, `{}`},
		{`{"name":"f","arguments":{"a": [1, 2.50]}}`, `{"a": [1, 2.50]}`},
		{`{"name":"f"}`, `{}`},
		{`call:f{a:<|"|>say <|"|>hi<|"|> now<|"|>,b:1}`, `{"a":"say \"hi\" now","b":1}`},
		{`call:f{a:[<|"|>x]}`, `{"a":["x"]}`},
		{`call:f{a:{b:<|"|>x} }`, `{"a":{"b":"x"}}`},
		{`call:f{a:<|"|>f() { return }}`, `{"a":"f() { return }"}`},
		{`call:f{a:1,b:2,<|"|>a<|"|>:3,}`, `{"b":2,"a":3}`},
	}
	for _, test := range tests {
		if got, want := show(ParseText(callOpen+test.call+callClose, nil)), "[call_1~ f "+test.want+"]"; got != want {
			t.Errorf("%s: %s, want %s", test.call, got, want)
		}
	}
	// What follows a call ends it, but never one whose string is open.
	for _, end := range []string{turnClose, eos, responseOpen, callOpen + "call:g{}" + callClose} {
		got := show(ParseText(callOpen+"call:f{a:1}"+end, nil))
		if !strings.HasPrefix(got, `[call_1~ f {"a":1}]`) || strings.Contains(end, "g") != strings.HasSuffix(got, "[call_2 g {}]") {
			t.Errorf("before %s: %s", end, got)
		}
		if got := show(ParseText(callOpen+`call:f{a:<|"|>x}`+end, nil)); !strings.Contains(got, "!") {
			t.Errorf("open before %s: %s", end, got)
		}
	}
}

func TestMalformedCallsAreTextWithAnError(t *testing.T) {
	deep := strings.Repeat("{a:", 70) + "1" + strings.Repeat("}", 70)
	tests := []struct{ name, call, want string }{
		{"empty", ``, `byte 12: expected call:, found the end`},
		{"no word", `f{}`, `byte 12: expected call:, found 'f'`},
		{"no name", `call:{}`, `byte 17: expected the name of a function, found '{'`},
		{"space in a name", `call:f g`, `byte 17: expected the name of a function, found 'f'`},
		{"markup as a name", `call:<|"|>f<|"|>{}`, `byte 17: expected the name of a function, found <|"|>`},
		{"open", `call:f{`, `byte 19: expected a key, found the end`},
		{"no colon", `call:f{a}`, `byte 20: expected :, found '}'`},
		{"no value", `call:f{a:}`, `byte 21: expected a value, found '}'`},
		{"no value before another", `call:f{a:,b:1}`, `byte 21: expected a value, found ','`},
		{"cut in a value", `call:f{a:`, `byte 21: expected a value, found the end`},
		{"no comma", `call:f{a:1 b:2}`, `byte 21: expected a value, found "1 b:2}"`},
		{"no key", `call:f{,}`, `byte 19: expected a key, found ','`},
		{"bare word to the end", `call:f{a:Paris`, `byte 21: expected a value, found 'P'`},
		{"bracket in a bare word", `call:f{a:x[1]}`, `byte 21: expected a value, found "x[1]}"`},
		{"two values in one", `call:f{a:x,b:y<|"|>}`, `byte 21: expected a value, found "x,b:y"`},
		{"list of bare words", `call:f{a:[x,y<|"|>]}`, `byte 22: expected a value, found "x,y"`},
		{"broken JSON string", `call:f{a:"x}`, `byte 21: expected a value, found "\"x}"`},
		{"open list", `call:f{a:[1}`, `byte 22: expected a value, found '1'`},
		{"open object", `call:f{a:{b:1}`, `byte 26: expected a comma or }, found the end`},
		{"other bracket", `call:f(a:1}`, `byte 21: expected a value, found '1'`},
		{"more behind it", `call:f{}}`, `byte 20: expected <tool_call|>, found '}'`},
		{"markup as a value", `call:f{a:<|image|>}`, `byte 21: expected a value, found markup`},
		{"markup in a value", `call:f{a:1<|image|>}`, `byte 21: expected a value, found '1'`},
		{"too deep", `call:f{a:` + deep + `}`, `expected nesting to 64 at most, found more`},
		{"JSON of another kind", `{"name":"f","arguments":[1]}`, `byte 12: expected call:, found '{'`},
	}
	for _, test := range tests {
		for _, end := range []string{"<tool_call|>", "", "<turn|>", "<|tool_call>call:g{}<tool_call|>"} {
			events := ParseText("before "+callOpen+test.call+end+"", nil)
			if len(events) < 2 || events[0].Text != "before " {
				t.Errorf("%s: %s", test.name, show(events))
				continue
			}
			e := events[1]
			want := callOpen + test.call
			if end == callClose {
				want += callClose
			}
			var where *CallError
			if e.Kind != Text || e.Text != want || !errors.As(e.Err, &where) || !strings.HasSuffix(e.Err.Error(), test.want) {
				t.Errorf("%s before %q: %q %v, want %q", test.name, end, e.Text, e.Err, test.want)
			}
			if strings.HasPrefix(end, callOpen) && show(events[2:]) != "[call_2 g {}]" {
				t.Errorf("%s: the next call became %s", test.name, show(events[2:]))
			}
		}
	}
}

// A conversation never gets stuck on its own answer: what comes out as a call, as written or mended, goes into the next prompt.
func TestNumbersOfCallsStayWithinWhatRenderTakes(t *testing.T) {
	for _, form := range []string{"call:f{a:%s}", "call:f{a:[{b:%s}]}", "call:f{ a: %s }", `{"name":"f","arguments":{"a":%s}}`} {
		for _, digits := range []int{maxDigits, maxDigits + 1, 1500} {
			text := callOpen + fmt.Sprintf(form, strings.Repeat("1", digits)) + callClose
			events := ParseText(text, nil)
			c := Conversation{Messages: []Message{{Role: "user"}, Answer(events), {Role: "user"}}}
			if _, err := Builtin().Render(t.Context(), c, nil); err != nil {
				t.Errorf("%s, %d digits: the next prompt: %v", form, digits, err)
			}
			e := events[0]
			var where *CallError
			switch good := digits <= maxDigits; {
			case len(events) != 1, good != (e.Kind == ToolCall && e.Err == nil), !good && !(errors.As(e.Err, &where) && e.Text == text):
				t.Errorf("%s, %d digits: %d events, first of kind %v, error %v", form, digits, len(events), e.Kind, e.Err)
			}
		}
	}
}

// A string that is never closed takes the markers behind it for text, until it is clear that they are none.
func TestOpenStringsLoseNothing(t *testing.T) {
	const broken, end = `<|tool_call>call:f{a:<|"|>x`, `<tool_call|>`
	for text, want := range map[string]string{
		broken + `<|tool_call>call:g{a:<|"|>y}<tool_call|>`:               broken + `![call_2~ g {"a":"y"}]`,
		broken + `<|tool_call>call:g{a:<|"|>y<|"|>,b:<|"|>z}<tool_call|>`: broken + `![call_2~ g {"a":"y","b":"z"}]`,
		broken + `<tool_call|>y`:                                          broken + `<tool_call|>!y`,
		broken + `<tool_call|>y<|tool_call>call:g{}<tool_call|>z`:         broken + `<tool_call|>!y[call_2 g {}]z`,
		broken + `<|tool_call>call:g{a:1}<tool_call|>z`:                   broken + `![call_2 g {"a":1}]z`,
		broken + end + broken + end + `<|tool_call>call:g{}<tool_call|>`:  broken + end + "!" + broken + end + "![call_3 g {}]",
		broken + `<|tool_call>call:g{a:<|"|>y<|"|>}<tool_call|><turn|>`:   broken + `![call_2 g {"a":"y"}]`,
	} {
		var got strings.Builder
		for _, e := range ParseText(text, nil) {
			if e.Err != nil {
				got.WriteString(e.Text + "!")
			} else {
				got.WriteString(show([]Event{e}))
			}
		}
		if got.String() != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got.String(), want)
		}
	}
}

// The calls in drift.json are what models write, with what they mean.
func TestDriftingCalls(t *testing.T) {
	data, err := os.ReadFile("testdata/drift.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Text, Thought string
		Calls         []struct {
			Name      string
			Arguments json.RawMessage
		}
		Mended, Error bool
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	right := 0
	for _, c := range cases {
		ok := true
		fail := func(format string, args ...any) {
			ok = false
			t.Errorf("%s: "+format, append([]any{c.Text}, args...)...)
		}
		events := ParseText(c.Text, nil)
		var failed error
		mended := false
		for _, e := range events {
			if e.Err != nil {
				failed = e.Err
				if e.Text != c.Text {
					fail("the text kept is %q", e.Text)
				}
			}
			mended = mended || e.Call != nil && e.Call.Mended
		}
		m := Answer(events)
		if (failed != nil) != c.Error || mended != c.Mended || m.Reasoning != c.Thought || len(m.ToolCalls) != len(c.Calls) {
			fail("%s, error %v, mended %t, thought %q", show(events), failed, mended, m.Reasoning)
		}
		for i, call := range c.Calls {
			if i < len(m.ToolCalls) && (m.ToolCalls[i].Name != call.Name || !sameJSON(t, m.ToolCalls[i].Arguments, call.Arguments)) {
				fail("%s %s", m.ToolCalls[i].Name, m.ToolCalls[i].Arguments)
			}
		}
		if want := show(events); !everySplit(c.Text, func(got []Event) bool { return show(join(got)) == want }) {
			fail("other pieces are read otherwise")
		}
		if ok {
			right++
		}
	}
	t.Logf("%d of %d", right, len(cases))
}

// everySplit pushes a text in two pieces, cut anywhere, and character by character.
func everySplit(text string, right func([]Event) bool) bool {
	pieces, markup := cutAtMarkup(text)
	for _, step := range []int{0, 1} {
		for at := range text {
			var p Parser
			var events []Event
			from := 0
			for i, piece := range pieces {
				switch cut := at - from; {
				case markup[i]:
					events = append(events, p.Push(piece, true)...)
				case step == 1:
					for _, c := range piece {
						events = append(events, p.Push(string(c), false)...)
					}
				case cut > 0 && cut < len(piece):
					events = append(append(events, p.Push(piece[:cut], false)...), p.Push(piece[cut:], false)...)
				default:
					events = append(events, p.Push(piece, false)...)
				}
				from += len(piece)
			}
			if !right(append(events, p.Close()...)) {
				return false
			}
		}
	}
	return true
}

func TestParserGoesOnWithWhatThePromptLeavesOpen(t *testing.T) {
	for _, test := range []struct{ prompt, answer, want string }{
		{"<bos><|turn>user\nx<turn|>\n<|turn>model\n", "a<turn|>", "a"},
		{"<|turn>model\n<|channel>thought\n<channel|>", "a<turn|>", "a"},
		{"<|turn>model\n<|channel>thought\n", "Hm.\n<channel|>a", "(Hm.)a"},
		{"<|turn>model\n<|channel>thought\nWell", " then\n<channel|>a", "( then)a"},
		{"<|turn>model\n<|channel>", "thought\nHm.\n<channel|>a", "(Hm.)a"},
		{`<|turn>model
<|tool_call>call:f{}<tool_call|><|tool_response>response:f{a:<|"|>x<|"|>}<tool_response|>`, "a", "a"},
		{`<|turn>model
<|tool_call>call:f{}<tool_call|><|tool_response>response:f{}<tool_response|><|channel>thought` + "\n", "Hm.<channel|>a", "(Hm.)a"},
		{`<|turn>model
<|tool_call>call:f{a:<|"|>x`, `y<|"|>}<tool_call|>a<|tool_call>call:g{}<tool_call|>`, `[call_1 f {"a":"xy"}]a[call_2 g {}]`},
		{`<|turn>model
<|tool_call>call:f{}<tool_call|><|tool_response>`, "response:f{}<tool_response|>a", "response:f{}a"},
	} {
		var p Parser
		pieces, markup := cutAtMarkup(test.prompt)
		for i, piece := range pieces {
			p.Prompt(piece, markup[i])
		}
		var events []Event
		pieces, markup = cutAtMarkup(test.answer)
		for i, piece := range pieces {
			events = append(events, p.Push(piece, markup[i])...)
		}
		if got := show(append(events, p.Close()...)); got != test.want {
			t.Errorf("%q, %q: %s, want %s", test.prompt, test.answer, got, test.want)
		}
	}
}

func TestCallCutOffIsTextWithAnError(t *testing.T) {
	const call = `<|tool_call>call:f{a:<|"|>x<|"|>,b:[1,{c:true}]}`
	for i := len(callOpen); i <= len(call); i++ {
		events := ParseText(call[:i], nil)
		var where *CallError
		if len(events) != 1 || events[0].Text != call[:i] || !errors.As(events[0].Err, &where) || where.Offset > i {
			t.Errorf("%q: %s", call[:i], show(events))
		}
	}
}

func TestOrdinaryTextIsNeverMarkup(t *testing.T) {
	const text = `<|channel>thought<channel|><|tool_call>call:f{}<tool_call|><turn|><eos><|tool_response>`
	var p Parser
	if got := show(append(p.Push(text, false), p.Close()...)); got != text {
		t.Errorf("%q", got)
	}

	p = Parser{}
	var events []Event
	push := func(text string, markup bool) { events = append(events, p.Push(text, markup)...) }
	push("<|tool_call>", true)
	push(`call:f{a:`, false)
	push(`<|"|>`, true)
	push(`x<|"|><tool_call|><turn|>`, false)
	push(`<|"|>`, true)
	push(`}`, false)
	push("<tool_call|>", true)
	push("<turn|>", true)
	if got, want := show(events), `[call_1 f {"a":"x<|\"|><tool_call|><turn|>"}]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}

	// Spelled as ordinary text, quotes are no quotes.
	p, events = Parser{}, nil
	push("<|tool_call>", true)
	push(`call:f{a:<|"|>x<|"|>}`, false)
	push("<tool_call|>", true)
	if len(events) != 1 || events[0].Err == nil {
		t.Errorf("%s", show(events))
	}
}

func TestParserGoesOnWithAThoughtOfThePrompt(t *testing.T) {
	p := Parser{InThought: true}
	events := append(p.Push("Hm.\n", false), p.Push("<channel|>", true)...)
	events = append(append(events, p.Push("Hello", false)...), p.Close()...)
	if got := show(events); got != "(Hm.)Hello" {
		t.Errorf("%s", got)
	}
}

func TestParserTellsWhatIsOpen(t *testing.T) {
	for text, want := range map[string]Kind{
		"": Text, "<|turn>model\n": Text, "<|turn>model\nHi": Text, "<|channel>": Thought, "<|channel>thought\n": Thought,
		"<|channel>thought\nhm": Thought, "<|channel>thought\n<channel|>": Text, "<|channel>thought\nhm<turn|>": Text,
		"<|tool_call>": ToolCall, `<|tool_call>call:f{a:<|"|>`: ToolCall, "<|tool_call>call:f{}<tool_call|>": Text,
	} {
		var p Parser
		find := newFinder(Markup())
		for rest := text; rest != ""; {
			n := find.at(rest)
			p.Prompt(rest[:max(n, 1)], n > 0)
			rest = rest[max(n, 1):]
		}
		if got := p.Within(); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	if p := (Parser{InThought: true}); p.Within() != Thought {
		t.Errorf("%v", p.Within())
	}
}

func TestThoughtsAndTextAreStreamed(t *testing.T) {
	var p Parser
	steps := []struct {
		piece  string
		markup bool
		want   string
	}{
		{"<|channel>", true, ""}, {"th", false, ""}, {"ought", false, ""}, {"\nSo", false, "(So)"}, {" it", false, "( it)"},
		{"\n", false, ""}, {"is", false, "(\nis)"}, {"\n", false, ""}, {"<channel|>", true, ""}, {"Hel", false, "Hel"},
		{"lo\n", false, "lo\n"}, {"<|tool_call>", true, ""}, {"call:f{}", false, ""}, {"<tool_call|>", true, "[call_1 f {}]"},
		{"!", false, "!"}, {"<turn|>", true, ""}, {"more", false, ""},
	}
	for i, s := range steps {
		if got := show(p.Push(s.piece, s.markup)); got != s.want {
			t.Errorf("piece %d, %q: %q, want %q", i, s.piece, got, s.want)
		}
		if p.Ended() != (i >= len(steps)-2) {
			t.Errorf("piece %d: ended %t", i, p.Ended())
		}
	}
	if events := p.Close(); events != nil {
		t.Errorf("%s after the end", show(events))
	}
	if events := p.Close(); events != nil || !p.Ended() {
		t.Errorf("%s after Close", show(events))
	}
}

// The model's turns of a golden text, parsed, are the messages that it was made of.
func TestGoldenCasesParseBack(t *testing.T) {
	for _, c := range goldenCases(t) {
		var want []Message
		for _, m := range c.Conversation.Messages {
			if m.Role == "assistant" {
				m.Role = "assistant"
				want = append(want, m)
			}
		}
		var got []Message
		for _, turn := range strings.Split(c.Text, "<|turn>model\n")[1:] {
			turn, _, _ = strings.Cut(turn, "<|turn>")
			// A turn goes on behind the answers of its tools.
			for _, piece := range strings.Split(turn, responseClose) {
				if m := Answer(ParseText(piece, nil)); m.Content+m.Reasoning != "" || len(m.ToolCalls) > 0 {
					got = append(got, m)
				}
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d messages, want %d", c.Name, len(got), len(want))
			continue
		}
		for i := range got {
			// Thoughts in the content of a message are dropped when it is rendered, and so is reasoning without a call.
			want[i].Content = Answer(ParseText(want[i].Content, nil)).Content
			if len(want[i].ToolCalls) == 0 {
				want[i].Reasoning = ""
			}
			if got[i].Content != want[i].Content || got[i].Reasoning != want[i].Reasoning {
				t.Errorf("%s: message %d is %+v, want %+v", c.Name, i, got[i], want[i])
			}
			if len(got[i].ToolCalls) != len(want[i].ToolCalls) {
				t.Errorf("%s: message %d has %d calls", c.Name, i, len(got[i].ToolCalls))
				continue
			}
			for j, call := range got[i].ToolCalls {
				if other := want[i].ToolCalls[j]; call.Name != other.Name || !sameJSON(t, call.Arguments, other.Arguments) {
					t.Errorf("%s: call %s %s, want %s %s", c.Name, call.Name, call.Arguments, other.Name, other.Arguments)
				}
			}
		}
	}
}

// sameJSON compares JSON with its numbers as written.
func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var values [2]any
	for i, text := range [][]byte{a, b} {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&values[i]); err != nil {
			t.Fatal(err)
		}
	}
	return reflect.DeepEqual(values[0], values[1])
}

// A call with arguments of any kind survives the way to the model and back.
func TestRenderedCallsParseBack(t *testing.T) {
	for seed := range uint64(500) {
		r := newRandom(seed)
		arguments := json.RawMessage(r.object(4, func() string { return choose(r, "a", "b c", "type", "Ä-1", "x.y") },
			func() string { return r.value(0) }))
		if bytes.Contains(arguments, []byte(`""`)) || bytes.ContainsAny(arguments, "<") || hasOddKey(arguments) {
			continue // a bare key of syntax, or empty, cannot be told from the syntax
		}
		c := Conversation{Messages: []Message{
			{Role: "user"}, {Role: "assistant", ToolCalls: []Call{{Name: "f", Arguments: arguments}}},
		}}
		_, turn, _ := strings.Cut(render(t, Builtin(), c, nil).Text, turnOpen+"model\n")
		m := Answer(ParseText(turn, nil))
		if len(m.ToolCalls) != 1 || !sameJSON(t, m.ToolCalls[0].Arguments, arguments) {
			t.Fatalf("seed %d: %s became %+v", seed, arguments, m)
		}
	}
}

func hasOddKey(object []byte) bool {
	d, err := decodeObject(object)
	return err != nil || oddKey(d)
}

func oddKey(v any) bool {
	switch v := v.(type) {
	case object:
		for _, e := range v {
			if e.Key == "" || strings.ContainsAny(e.Key, ":,{}[]") || strings.TrimFunc(e.Key, python.IsSpace) != e.Key || oddKey(e.Value) {
				return true
			}
		}
	case []any:
		for _, item := range v {
			if oddKey(item) {
				return true
			}
		}
	}
	return false
}

func TestParserTakesLinearTime(t *testing.T) {
	const n = 1 << 20
	long := map[string]string{
		"text":     strings.Repeat("a<b ", n/4),
		"pieces":   strings.Repeat("text of <bos>", n/5),
		"quotes":   callOpen + "call:f{a:" + strings.Repeat(quote, n/5) + "}" + callClose,
		"keys":     callOpen + "call:f{" + strings.Repeat("a", n) + callClose,
		"commas":   callOpen + "call:f{a:[" + strings.Repeat("1,", n/2) + "1]}" + callClose,
		"braces":   callOpen + "call:f" + strings.Repeat("{a:", n/3) + callClose,
		"calls":    strings.Repeat(callOpen+"call:f{a:1", n/22),
		"thoughts": strings.Repeat("<|channel>thought\n\n\n<channel|>", n/31),
		"lines":    "<|channel>thought" + strings.Repeat("\n", n),
		"numbers":  callOpen + "call:f{a:[ " + strings.Repeat("1,", n/4) + strings.Repeat(" ", n/2) + quote,
		"words": callOpen + "call:f{a:[ " + strings.Repeat("x,", n/4) + "{k:" + strings.Repeat(" ", n/2) + quote + quote + "}]}" +
			callClose,
		"mended": callOpen + "call:f{a:" + strings.Repeat(quote+"x", n/6) + quote + "}" + callClose,
		"single": callOpen + "call:f{a:" + strings.Repeat("' ", n/2) + "}" + callClose,
		"held":   callOpen + "call:f{a:" + quote + strings.Repeat("}"+callClose, n/13),
		"inner":  callOpen + "call:f{a:" + quote + strings.Repeat(callOpen+quote, n/17),
		"odd":    strings.Repeat(callOpen+"{"+quote+callClose+"x", n/30),
	}
	for name, text := range long {
		began := time.Now()
		var p Parser
		size := 0
		for _, e := range ParseText(text, nil) {
			size += len(e.Text)
		}
		for i := 0; i < len(text); i += 7 { // in small pieces, too
			p.Push(text[i:min(i+7, len(text))], i == 0)
		}
		p.Close()
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%s: %d bytes took %v", name, len(text), took)
		}
	}
}

func TestAnswerIsTheAssistantsMessage(t *testing.T) {
	m := Answer(ParseText("<|channel>thought\nHm.\n<channel|>Let me see. <|tool_call>call:f{a:1}<tool_call|><|tool_response>", nil))
	want := Message{Role: "assistant", Content: "Let me see. ", Reasoning: "Hm.",
		ToolCalls: []Call{{ID: "call_1", Name: "f", Arguments: json.RawMessage(`{"a":1}`)}}}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("%+v, want %+v", m, want)
	}
}

func TestParseTextTakesTheLongestMarkup(t *testing.T) {
	events := ParseText("a<turn|>>b", []string{"<turn|>", "<turn|>>", ""})
	if got := show(events); got != "a<turn|>>b" {
		t.Errorf("%q", got)
	}
}

func TestKindsHaveNames(t *testing.T) {
	if got := fmt.Sprint(Text, Thought, ToolCall, Kind(9)); got != "text thought tool call kind 9" {
		t.Errorf("%s", got)
	}
}
