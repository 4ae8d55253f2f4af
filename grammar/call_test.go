package grammar

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/chat"
)

// A writer feeds a state with text and markers.
type writer struct {
	testing.TB
	v *Vocabulary
	s State
}

// write takes text with markers in it, and reports whether all of it is allowed.
func (w *writer) write(text string) bool {
	for _, id := range w.v.tokenizer.Encode(text, true) {
		var ok bool
		if w.s, ok = w.s.Accept(id); !ok {
			return false
		}
	}
	return true
}

func allowed(t testing.TB, g *Grammar, text string) bool {
	w := writer{t, g.vocabulary, g.Start()}
	return w.write(text) && w.s.CanEnd()
}

var weather = Tool{Name: "get_weather", Strict: true, Parameters: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"},
	"days":{"type":"integer","minimum":1,"maximum":14},"units":{"enum":["C","F"]},
	"tags":{"type":"array","items":{"type":"string"}}},"required":["city"]}`)}

func TestCalls(t *testing.T) {
	v := small(t)
	clock := Tool{Name: "clock"}
	open := Tool{Name: "any", Parameters: json.RawMessage(`{"type":"object"}`)}
	tools := []Tool{weather, clock, open}
	paris := `<|tool_call>call:get_weather{city:<|"|>Paris<|"|>}<tool_call|>`
	all := `<|tool_call>call:get_weather{city:<|"|>a "b" {c}` + "\n" +
		`<|"|>,days:14,units:<|"|>C<|"|>,tags:[<|"|>x<|"|>,<|"|><|"|>]}<tool_call|>`
	now, free := `<|tool_call>call:clock{}<tool_call|>`, `<|tool_call>call:any{a:1,b_2:{c:[null,true,<|"|>s<|"|>]}}<tool_call|>`
	for _, c := range []struct {
		o       CallOptions
		yes, no []string
	}{
		{CallOptions{}, []string{"", "Hello!", paris, "Let me see. " + paris + all + now, free, now + "<|tool_response>", all},
			[]string{paris + "text", "text<|tool_response>",
				`<|tool_call>call:get_weather{}<tool_call|>`, `<|tool_call>call:nobody{}<tool_call|>`,
				`<|tool_call>call:get_weather{city:"Paris"}<tool_call|>`,
				`<|tool_call>call:get_weather{city:<|"|>P<|"|>,days:15}<tool_call|>`,
				`<|tool_call>call:get_weather{city:<|"|>P<|"|>, days:1}<tool_call|>`,
				`<|tool_call>call:get_weather{city:<|"|>P<|"|>,x:1}<tool_call|>`,
				`<|tool_call>call:clock{}`, `<|tool_call>`, `<|turn>`, `<|channel>thought` + "\n<channel|>"}},
		{CallOptions{Single: true}, []string{"", "a" + paris}, []string{paris + now}},
		{CallOptions{Choice: Required}, []string{paris, now + now}, []string{"", "Hello!", "Hello!" + paris}},
		{CallOptions{Choice: Required, Only: []string{"clock"}, Single: true},
			[]string{now, now + "<|tool_response>"}, []string{"", paris, now + now}},
		{CallOptions{Choice: None}, []string{"", "Hello!"}, []string{paris}},
	} {
		g := must(Calls(v, tools, c.o))(t)
		for i, list := range [][]string{c.yes, c.no} {
			for _, text := range list {
				if allowed(t, g, text) != (i == 0) {
					t.Errorf("%+v: %q is allowed: %v", c.o, text, i == 1)
				}
			}
		}
		walkRandomly(g, rand.New(rand.NewPCG(1, 2)), 30, func(s State) { checkMask(t, "calls", s) })
		checkEnds(t, "calls", g, rand.New(rand.NewPCG(3, 4)))
	}
}

func TestNamedCallIsForced(t *testing.T) {
	v := small(t)
	g := must(Calls(v, []Tool{weather}, CallOptions{Choice: Required, Only: []string{"get_weather"}}))(t)
	s, got := g.Start(), ""
	for ids := s.Forced(); len(ids) > 0; ids = s.Forced() {
		for _, id := range ids {
			got += strings.ReplaceAll(v.tokenizer.Text(id), "\u2581", " ")
			s, _ = s.Accept(id)
		}
	}
	if want := `<|tool_call>call:get_weather{city:<|"|>`; got != want {
		t.Errorf("forced %q, want %q", got, want)
	}
}

// TestLongStringArgumentComesBack writes 20 kB of code as an argument and reads it with the parser of chat.
func TestLongStringArgumentComesBack(t *testing.T) {
	v := small(t)
	g := must(Calls(v, []Tool{weather}, CallOptions{}))(t)
	code := strings.Repeat("func f(s string) { return \"{\\\"a\\\": [1, '}']}\" } // <|tool call|> `x`\n\t{[(\"\\\n", 270)[:20000]
	w := writer{t, v, g.Start()}
	if !w.write(`<|tool_call>call:get_weather{city:<|"|>`) {
		t.Fatal("the beginning is refused")
	}
	var ok bool
	if w.s, ok = w.s.AcceptText(code); !ok || !w.write(`<|"|>}<tool_call|>`) || !w.s.CanEnd() {
		t.Fatal("the string is refused")
	}
	events := chat.ParseText(`<|tool_call>call:get_weather{city:<|"|>`+code+`<|"|>}<tool_call|>`, nil)
	var arguments struct{ City string }
	if len(events) != 1 || events[0].Call == nil || json.Unmarshal(events[0].Call.Arguments, &arguments) != nil || arguments.City != code {
		t.Fatal("the string does not come back")
	}
}

// TestRandomCallsParse declares 100 tools and lets tokens fall at random.
func TestRandomCallsParse(t *testing.T) {
	v := small(t)
	var tools []Tool
	for i := range 100 {
		tools = append(tools, Tool{Name: fmt.Sprintf("tool_%d", i), Parameters: json.RawMessage(fmt.Sprintf(`{"type":"object","properties":{
			"p%d":{"type":"string","maxLength":%d},"n":{"type":"integer","minimum":%d},
			"o":{"type":"object","properties":{"k":{"enum":["a","b",%d]}}},
			"l":{"type":"array","items":{"type":["number","null","boolean"]},"maxItems":3},
			"f":{"format":"binary","x-foreign":1,"contains":{}}},
			"required":["p%d"]}`, i, i+1, -i, i, i))})
	}
	r := rand.New(rand.NewPCG(5, 6))
	for _, o := range []CallOptions{{}, {Choice: Required}, {Choice: Required, Only: []string{"tool_7"}}} {
		g := must(Calls(v, tools, o))(t)
		if len(g.Loosened()) == 0 || !strings.HasSuffix(g.Loosened()[0], ": contains at #/properties/f") {
			t.Errorf("loosened: %q", g.Loosened())
		}
		calls := 0
		for range 40 {
			text := sample(g, r, 60)
			var p chat.Parser
			for _, e := range append(text(&p), p.Close()...) {
				switch {
				case e.Err != nil:
					t.Fatalf("%q: %v", e.Text, e.Err)
				case e.Call != nil:
					if calls++; e.Call.Mended || !json.Valid(e.Call.Arguments) || o.Only != nil && e.Call.Name != "tool_7" {
						t.Fatalf("call %+v", e.Call)
					}
				}
			}
		}
		if calls == 0 || o.Choice == Required && calls < 40 {
			t.Errorf("%+v: %d calls", o, calls)
		}
	}
}

// sample lets tokens fall at random, n of them or a few more, and returns what pushes them to a parser.
func sample(g *Grammar, r *rand.Rand, n int) func(*chat.Parser) []chat.Event {
	s := g.Start()
	var ids []int32
	for n = max(n, s.Left()); n > 0; n-- {
		list := slices.Collect(s.MaskWithin(n).All)
		if len(list) == 0 {
			break
		}
		// Special tokens are rare among so many.
		var special []int32
		for _, id := range list {
			if g.vocabulary.texts[id] == "" {
				special = append(special, id)
			}
		}
		if len(special) > 0 && r.IntN(4) == 0 {
			list = special
		}
		id := list[r.IntN(len(list))]
		ids = append(ids, id)
		s, _ = s.Accept(id)
	}
	return func(p *chat.Parser) (events []chat.Event) {
		d := g.vocabulary.tokenizer.NewDecoder(true)
		for _, id := range ids {
			text, special := d.Next(id), g.vocabulary.texts[id] == ""
			if !special {
				events = append(events, p.Push(text, false)...)
				continue
			}
			events = append(events, p.Push(text, true)...)
		}
		return events
	}
}

// TestBareKeysAreThoseThatChatReads tries all keys of up to three characters. The parser takes < and > too, where they begin no marker.
func TestBareKeysAreThoseThatChatReads(t *testing.T) {
	plain := strings.NewReplacer("<", "a", ">", "a")
	keys := []string{""}
	for len(keys[0]) < 3 {
		var longer []string
		for _, key := range keys {
			for _, c := range "aé$ :,{}[]=<>\"'\t\u00a0" {
				longer = append(longer, key+string(c))
			}
		}
		keys = longer
		for _, key := range keys {
			var arguments map[string]int
			events := chat.ParseText("<|tool_call>call:f{"+key+":1}<tool_call|>", nil)
			read := len(events) == 1 && events[0].Call != nil && !events[0].Call.Mended &&
				json.Unmarshal(events[0].Call.Arguments, &arguments) == nil && len(arguments) == 1 && arguments[key] == 1
			if read != isBare(plain.Replace(key)) || isBare(key) && !read {
				t.Errorf("key %q is bare: %v, read: %v", key, isBare(key), read)
			}
		}
	}
}

func TestThoughtComesFirst(t *testing.T) {
	v := small(t)
	g := must(Schema(v, []byte(`{"enum":["yes","no"]}`), SchemaOptions{}))(t)
	for _, begun := range []bool{false, true} {
		s, err := g.StartThought(begun)
		if err != nil {
			t.Fatal(err)
		}
		w := writer{t, v, s}
		if !begun {
			if open, _ := v.tokenizer.ID("<|channel>"); !slices.Equal(w.s.Forced(), []int32{open}) {
				t.Errorf("forced %v, want %d", w.s.Forced(), open)
			}
			w.write("<|channel>thought\n")
		}
		if w.s.Mask().Len() < 500 || w.s.CanEnd() || !w.s.InThought() {
			t.Errorf("a thought of %d tokens, can end %v, in thought %v", w.s.Mask().Len(), w.s.CanEnd(), w.s.InThought())
		}
		for _, end := range v.ends {
			if w.s.Mask().Has(end) {
				t.Errorf("token %d ends the text in its thought", end)
			}
		}
		if left := w.s.Left(); left != 1+g.Start().Left() {
			t.Errorf("%d tokens left, want %d", left, 1+g.Start().Left())
		}
		if !w.write("no \"json\" here\n<channel|>") || w.s.InThought() || w.s.CanEnd() {
			t.Error("the thought does not lead to the answer")
		}
		if !w.write(`"yes"`) || !w.s.CanEnd() {
			t.Error("the answer is refused")
		}
	}
}

// TestFirstTokenDecides puts together what an answer with thought, calls and a schema may be.
func TestFirstTokenDecides(t *testing.T) {
	v := small(t)
	text := must(Schema(v, []byte(`{"enum":["yes","no"]}`), SchemaOptions{}))(t)
	calls := must(Calls(v, []Tool{weather}, CallOptions{Choice: Required}))(t)
	both := calls.Start().Or(text.Start())
	thought, err := both.AfterThought(false)
	if err != nil {
		t.Fatal(err)
	}
	const say, think, paris = `"yes"`, "<|channel>thought\nhm<channel|>", `<|tool_call>call:get_weather{city:<|"|>Paris<|"|>}<tool_call|>`
	for _, c := range []struct {
		name    string
		s       State
		yes, no []string
	}{
		{"calls or text", both, []string{say, paris, paris + paris}, []string{"", "hello", say + paris, paris + say, think + say}},
		{"a thought before", thought, []string{think + say, think + paris}, []string{say, paris, think, think + think + say}},
		{"a thought or none", both.Or(thought), []string{say, paris, think + say, think + paris}, []string{think, "hello"}},
		{"a thought or text", thought.Or(text.Start()), []string{say, think + say, think + paris}, []string{paris, ""}},
	} {
		for i, list := range [][]string{c.yes, c.no} {
			for _, s := range list {
				w := writer{t, v, c.s}
				if (w.write(s) && w.s.CanEnd()) != (i == 0) {
					t.Errorf("%s: %q is allowed: %v", c.name, s, i == 1)
				}
			}
		}
		left := 1 << 20 // of the shortest
		for _, s := range c.yes {
			left = min(left, len(v.tokenizer.Encode(s, true)))
		}
		if got := c.s.Left(); got > left || got < left/3 {
			t.Errorf("%s: %d tokens left, a text of %d is allowed", c.name, got, left)
		}
		var mask []int32
		for id := range int32(v.size) {
			if _, ok := c.s.Accept(id); ok {
				mask = append(mask, id)
			}
		}
		for _, m := range []*Mask{c.s.Mask(), c.s.MaskWithin(1000)} {
			if got := slices.Collect(m.All); !slices.Equal(got, mask) {
				t.Errorf("%s: the mask is %v, want %v", c.name, got, mask)
			}
		}
		if forced := c.s.Forced(); len(forced) > 0 && len(mask) != 1 {
			t.Errorf("%s: %v is forced of %v", c.name, forced, mask)
		}
		for n := range 200 {
			s, ok := c.s, false
			for i := max(n, s.Left()); i > 0 && !s.CanEnd(); i-- {
				ids := slices.Collect(s.MaskWithin(i).All)
				if s, ok = s.Accept(ids[n%len(ids)]); !ok {
					t.Fatalf("%s: token %d of %v is refused", c.name, ids[n%len(ids)], ids)
				}
			}
			if !s.CanEnd() {
				t.Errorf("%s: no end in %d tokens", c.name, n)
			}
		}
	}
}

func TestWhatIsNoTool(t *testing.T) {
	v := small(t)
	for _, c := range []struct {
		tool Tool
		o    CallOptions
		want string
	}{
		{Tool{Name: "a{b"}, CallOptions{}, "cannot be written"},
		{Tool{Name: "a", Parameters: json.RawMessage(`{`)}, CallOptions{}, `tool "a": byte 1`},
		{Tool{Name: "a", Parameters: json.RawMessage(`{"type":"array"}`)}, CallOptions{Choice: Required}, "no text is allowed"},
		{Tool{Name: "a", Strict: true, Parameters: json.RawMessage(`{"properties":{"x":{"uniqueItems":true}}}`)}, CallOptions{},
			"uniqueItems at #/properties/x"},
		{Tool{Name: "a", Strict: true, Parameters: json.RawMessage(`{"properties":{"x:y":{}},"required":["x:y"]}`)}, CallOptions{},
			"cannot be written in a call"},
		{Tool{Name: "a"}, CallOptions{Only: []string{"a", "b"}}, `no tool is named "b"; there are "a"`},
	} {
		if _, err := Calls(v, []Tool{c.tool}, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.tool.Name, err, c.want)
		}
	}
}
