package gemma4_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/sampler"
)

func user(format string, args ...any) chat.Message {
	return chat.Message{Role: "user", Content: fmt.Sprintf(format, args...)}
}

var small = [][2]string{
	{"What is the capital of France?", "The capital of France is Paris."},
	{"What is 2 + 3?", "2 + 3 = 5"},
	{"What is the capital of Japan?", "The capital of Japan is Tokyo."},
	{"What is 12 + 7?", "12 + 7 = 19"},
	{"What is the opposite of 'wet'?", "The opposite of 'wet' is 'dry'."},
	{"Count from 5 to 9.", "5, 6, 7, 8, 9"},
	{"What is 'dog' in German?", "Hund"},
	{"What is 20 - 8?", "20 - 8 = 12"},
	{"Which country has the capital Ottawa?", "Ottawa is the capital of Canada."},
}

// smallTalk returns n turns.
func smallTalk(n int) (ms []chat.Message) {
	for i := range n {
		turn := small[i%len(small)]
		ms = append(ms, user("%s", turn[0]), chat.Message{Role: "assistant", Content: turn[1]})
	}
	return ms
}

// rereads is the format of large models. Their prompts end in an empty thought that the conversation does not keep, so that answers are
// prefilled when their turn is over, as a new chat prefills them; otherwise they stay as they were decoded, in other arithmetic.
var rereads = chat.Builtin()

// ask lets a chat answer and compares the answer, to the bit, with that of a new chat with the same messages.
func ask(t *testing.T, m *gemma4.Model, c *gemma4.Chat, ms ...chat.Message) string {
	t.Helper()
	got, _, _ := answer(t, c, ms...)
	o := c.Options
	o.Full, o.SessionOptions = gemma4.FullStop, gemma4.SessionOptions{Cache: o.Cache}
	fresh := newChat(t, m, o)
	defer fresh.Close()
	fresh.Messages = slices.Clone(c.Messages[:len(c.Messages)-1])
	want, _, _ := answer(t, fresh)
	r := c.Result()
	again := r.Prompt+r.Reused > c.Session().Context() // turns were dropped within the answer: its beginning was prefilled, not decoded
	if got != want || !again && !slices.Equal(c.Session().Logits(nil), fresh.Session().Logits(nil)) {
		t.Errorf("%+v: %q, a new chat says %q", r, got, want)
	}
	return got
}

func TestFullChatDropsItsOldestTurns(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	lead := chat.Message{Role: "system", Content: "You are Nano. Be brief, and be friendly to everybody who asks you something."}
	all, between := 0, 0
	for _, test := range []struct {
		name  string
		limit int
		o     gemma4.ChatOptions
		lead  []chat.Message
	}{
		{"instruction in the options", 256, gemma4.ChatOptions{System: lead.Content}, nil},
		{"instruction as a message", 256, gemma4.ChatOptions{}, []chat.Message{lead}},
		{"instruction that the windows have left long ago", 900, gemma4.ChatOptions{System: lead.Content}, nil},
		{"no instruction", 256, gemma4.ChatOptions{}, nil},
		{"thinking", 256, gemma4.ChatOptions{System: lead.Content, Thinking: true}, nil},
	} {
		limit, turns := test.limit, test.limit/10
		if limit > 256 && testing.Short() {
			continue
		}
		test.o.Context, test.o.Full, test.o.MaxTokens, test.o.Template = limit, gemma4.FullDrop, 60, rereads
		c := newChat(t, m, test.o)
		c.Messages = slices.Clone(test.lead)
		first, err := c.Prompt(ctx)
		if err != nil && test.lead != nil {
			t.Fatal(err)
		}
		shifts, last := 0, -2
		for i := range turns {
			before := len(c.Messages)
			ask(t, m, c, user("What is %d + %d?", 1+i/10, i%10))
			r := c.Result()
			if test.o.Thinking && r.Thought == 0 {
				t.Fatalf("%s: turn %d: no thought, so that the answer stays as it was decoded", test.name, i)
			}
			if len(c.Messages) != before+2-r.Dropped {
				t.Errorf("%s: %d messages of %d and two more after dropping %d", test.name, len(c.Messages), before, r.Dropped)
			}
			if r.Dropped == 0 {
				continue
			}
			shifts++
			if last == i-1 || r.Dropped%2 != 0 {
				t.Errorf("%s: turn %d: %d messages are dropped, after those of turn %d", test.name, i, r.Dropped, last)
			}
			last = i
			if n := c.Session().Len(); n > limit/4*3+30 { // and the rest of the answer
				t.Errorf("%s: turn %d: the conversation is %d tokens long after dropping", test.name, i, n)
			}
			if r.Prompt+r.Reused <= limit { // not within the answer
				between++
				if r.Reused < min(len(first), 20) {
					t.Errorf("%s: turn %d: the instruction is read again: %+v", test.name, i, r)
				}
			}
			if !slices.EqualFunc(c.Messages[:len(test.lead)], test.lead, func(a, b chat.Message) bool { return a.Content == b.Content }) ||
				c.Messages[len(test.lead)].Role != "user" {
				t.Errorf("%s: turn %d: the conversation begins with %+v", test.name, i, c.Messages[0])
			}
		}
		if shifts < 2 {
			t.Errorf("%s: turns were dropped %d times in %d turns", test.name, shifts, turns)
		}
		all += shifts
	}
	if between == 0 || between == all {
		t.Errorf("turns were dropped %d times, %d times between answers", all, between)
	}
}

// TestDroppingReadsWrittenAnswersAgain: an answer that is still in place after the shift was decoded by the old session, but a new one
// would prefill it.
func TestDroppingReadsWrittenAnswersAgain(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	channel, ok := m.Tokenizer().ID("<|channel>")
	if !ok {
		t.Fatal("no thoughts")
	}
	o := gemma4.ChatOptions{Thinking: true, Full: gemma4.FullDrop} // the prompt ends where answers begin
	o.Context, o.Sampling = 90, sampler.Overrides{Temperature: new(0.0), Suppress: []int32{channel}}
	c := newChat(t, m, o)
	shifts := 0
	for range 8 {
		answer(t, c, user("What is the capital of Peru?"))
		if c.Result().Dropped == 0 || c.Result().Prompt+c.Result().Reused > o.Context {
			continue
		}
		shifts++
		fresh := newChat(t, m, o)
		fresh.Messages = slices.Clone(c.Messages[:len(c.Messages)-1])
		answer(t, fresh)
		if !slices.Equal(c.Session().Logits(nil), fresh.Session().Logits(nil)) {
			t.Errorf("%+v: not what a new chat gives", c.Result())
		}
	}
	if shifts == 0 {
		t.Error("no turns were dropped")
	}
}

// ids returns what a chat reads next.
func ids(t *testing.T, c *gemma4.Chat) []int32 {
	t.Helper()
	ids, err := c.Prompt(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// endless is greedy and never ends a turn.
func endless(m *gemma4.Model) sampler.Overrides {
	o := greedy
	for id := range int32(m.Tokenizer().Size()) {
		if m.Tokenizer().IsEnd(id) {
			o.Suppress = append(o.Suppress, id)
		}
	}
	return o
}

func TestAnswerGoesOnWhenTheContextIsFull(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	const limit, most = 200, 230
	o := gemma4.ChatOptions{System: "Be brief.", Full: gemma4.FullDrop}
	o.Context, o.Sampling, o.MaxTokens = limit, endless(m), most
	c := newChat(t, m, o)
	c.Messages = smallTalk(5)
	var got []int32
	var shifts []int // tokens generated when turns were dropped
	messages := len(c.Messages) + 1
	for tok, err := range c.Send(ctx, user("Count from 5 to 9.")) {
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Messages) != messages {
			messages = len(c.Messages)
			shifts = append(shifts, len(got))
		}
		if tok.ID >= 0 {
			got = append(got, tok.ID)
		}
	}
	r := c.Result()
	if r.Reason != gemma4.ReasonContext || len(shifts) < 2 || messages != 1 || r.Dropped != 10 || r.Generated != len(got) {
		t.Fatalf("%+v after %v, %d messages left", r, shifts, messages)
	}
	if n := c.Session().Len(); n != limit {
		t.Errorf("%d positions in a context of %d", n, limit)
	}
	// From the last time on it is what a new session makes of the remaining messages and the answer so far.
	fresh := newChat(t, m, o)
	fresh.Messages = c.Messages[:1]
	prompt := append(ids(t, fresh), got[:shifts[len(shifts)-1]]...)
	var want []int32
	s := newSession(t, m, gemma4.SessionOptions{Context: limit})
	for tok, err := range s.Generate(ctx, []gemma4.Input{{Tokens: prompt}}, gemma4.GenerateOptions{Sampling: o.Sampling}) {
		if err != nil {
			t.Fatal(err)
		}
		if tok.ID >= 0 {
			want = append(want, tok.ID)
		}
	}
	if rest := got[shifts[len(shifts)-1]:]; !slices.Equal(rest, want) || !slices.Equal(s.Logits(nil), c.Session().Logits(nil)) {
		t.Errorf("goes on with %v, a new session with %v", rest, want)
	}
	if text := m.Tokenizer().Decode(got, false); c.Messages[1].Content != text {
		t.Errorf("the message is %q, the answer was %q", c.Messages[1].Content, text)
	}
}

func TestFullChatStopsOrFails(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	var full *gemma4.ContextError
	for _, policy := range []gemma4.Full{gemma4.FullStop, gemma4.FullDrop, gemma4.FullError} {
		o := gemma4.ChatOptions{Full: policy}
		o.Context, o.Sampling = 64, endless(m)
		c := newChat(t, m, o)
		var err error
		n := 0
		for _, e := range c.Ask(ctx, "What is 2 + 3?") {
			err = e
			n++
		}
		if failed := errors.As(err, &full); failed != (policy == gemma4.FullError) || err != nil && !failed {
			t.Errorf("%v: an answer that fills the context ends with %v", policy, err)
		}
		if r := c.Result().Reason; policy != gemma4.FullError && r != gemma4.ReasonContext {
			t.Errorf("%v: it ends by %v", policy, r)
		}
		if len(c.Messages) != 2 || c.Messages[1].Content == "" || n < 20 {
			t.Errorf("%v: %d tokens, the messages are %+v", policy, n, c.Messages)
		}
		c.Messages = smallTalk(1)
		for _, err := range c.Ask(ctx, strings.Repeat("a long question ", 50)) {
			if !errors.As(err, &full) {
				t.Errorf("%v: a question beyond the context: %v", policy, err)
			}
		}
		if len(c.Messages) != 2 || c.Result().Dropped != 0 {
			t.Errorf("%v: %d messages after a refused question, %d dropped", policy, len(c.Messages), c.Result().Dropped)
		}
		var back gemma4.Full
		if text, err := policy.MarshalText(); err != nil || back.UnmarshalText(text) != nil || back != policy {
			t.Errorf("%v as text is %q and comes back as %v", policy, text, back)
		}
	}
	if _, err := m.NewChat(gemma4.ChatOptions{Full: 3}); err == nil {
		t.Error("policy 3 was accepted")
	}
}

// TestToolTurnsAreDroppedWhole: a call and its answers go with the message that they belong to.
func TestToolTurnsAreDroppedWhole(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	o := gemma4.ChatOptions{Full: gemma4.FullDrop, Template: rereads,
		Tools: []chat.Tool{{Name: "get_weather", Description: "Weather in a city.",
			Parameters: []byte(`{"type":"object","properties":{"city":{"type":"string","description":"City name"}},"required":["city"]}`)}}}
	o.Context = 300
	c := newChat(t, m, o)
	for i, city := range []string{"Oslo", "Rome", "Paris", "Lima", "Oslo", "Rome"} {
		id := fmt.Sprint("c", i)
		c.Messages = append(c.Messages, user("What is the weather in %s?", city),
			chat.Message{Role: "assistant", ToolCalls: []chat.Call{
				{ID: id, Name: "get_weather", Arguments: []byte(`{"city":"` + city + `"}`)}}},
			chat.Message{Role: "tool", ToolCallID: id, Content: "rainy, 9 degrees"},
			chat.Message{Role: "assistant", Content: "It is rainy in " + city + ", 9 degrees."})
	}
	before := len(c.Messages)
	if n := len(ids(t, c)); n <= o.Context {
		t.Fatalf("%d tokens fit", n)
	}
	ask(t, m, c, user("What is the weather in Lima?"))
	if r := c.Result(); r.Dropped == 0 || r.Dropped%4 != 0 || len(c.Messages) != before-r.Dropped+2 || c.Messages[0].Role != "user" {
		t.Errorf("%d messages are dropped, %d are left: %+v", r.Dropped, len(c.Messages), c.Messages[0])
	}
	if calls := c.Messages[len(c.Messages)-1].ToolCalls; len(calls) != 1 || string(calls[0].Arguments) != `{"city":"Lima"}` {
		t.Errorf("calls are %+v", calls)
	}
}

// TestChangingTheLastTurnsReadsOnlyThem: the windows have moved past the turns before, which still are not read again.
func TestChangingTheLastTurnsReadsOnlyThem(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	question := func(i int) chat.Message {
		return user("Remember this. The code of Mia is %d. The code of Leo is %d. The code of Ada is %d. What is the code of Leo?",
			1000+7*i, 2000+11*i, 3000+13*i)
	}
	for _, test := range []struct {
		history int64
		turns   int // that can be taken back
	}{{0, 2}, {1 << 20, 9}} {
		c := newChat(t, m,
			gemma4.ChatOptions{System: "Be brief.", Template: rereads, SessionOptions: gemma4.SessionOptions{History: test.history}})
		for i := range 10 {
			answer(t, c, question(i))
		}
		if n := c.Session().Len(); n < 8*m.Config().Window {
			t.Fatalf("ten turns have only %d positions", n)
		}
		for back := range test.turns + 1 {
			for _, change := range []string{"edit", "regenerate"} {
				fork, err := c.Fork()
				if err != nil {
					t.Fatal(err)
				}
				old := ids(t, fork)
				messages := fork.Messages[:len(fork.Messages)-2*back]
				var next []chat.Message
				if fork.Messages = messages; change == "regenerate" {
					fork.Messages = messages[:len(messages)-1]
				} else {
					fork.Messages = messages[:len(messages)-2]
					next = []chat.Message{user("Remember this. The code of Ada is 4711. What is the code of Ada?")}
				}
				ask(t, m, fork, next...)
				asked := *fork
				asked.Messages = fork.Messages[:len(fork.Messages)-1]
				now := ids(t, &asked)
				same := 0 // up to the end of the last turn that is the same
				for i := range min(len(old), len(now)) {
					if old[i] != now[i] {
						break
					}
					if m.Tokenizer().IsEnd(old[i]) {
						same = i + 1
					}
				}
				if r := fork.Result(); r.Prompt+r.Reused != len(now) || r.Prompt > len(now)-same {
					t.Errorf("history %d, %s %d turns back: %d of %d positions read, %d were to be expected",
						test.history, change, back, r.Prompt, len(now), len(now)-same)
				}
				fork.Close()
			}
		}
	}
}

// TestNeedleIsFoundAtAnyDepth: a number in one of ten turns, some 400 tokens: as long as nano's training, six times its windows. The
// prompts are those that nano was trained with, which end in an empty thought.
func TestNeedleIsFoundAtAnyDepth(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	const turns = 10
	needle := []chat.Message{
		user("Remember this. The code of Mia is 4821. The code of Leo is 7730. The code of Ada is 1956. What is the code of Leo?"),
		{Role: "assistant", Content: "The code of Leo is 7730."}}
	var hay []chat.Message
	for i := range turns - 1 {
		turn := [][2]string{
			{"Remember this. The room of Finn is 2345. The room of Rosa is 9012. What is the room of Rosa?", "The room of Rosa is 9012."},
			small[1], small[0],
		}[i%3]
		hay = append(hay, user("%s", turn[0]), chat.Message{Role: "assistant", Content: turn[1]})
	}
	for _, f := range formats {
		p := gemma4.NewPrefixCache(16 << 20)
		defer p.Close()
		longest := 0
		for depth := range turns {
			text := slices.Concat(hay[:2*depth], needle, hay[2*depth:])
			find := func(how string, c *gemma4.Chat) {
				t.Helper()
				got, _, _ := answer(t, c, user("What is the code of Mia?"))
				if got != "The code of Mia is 4821." {
					t.Errorf("%v, needle in turn %d, %s: %q", f, depth+1, how, got)
				}
				r := c.Result()
				longest = max(longest, r.Reused+r.Prompt)
			}
			begin := func(p *gemma4.PrefixCache) *gemma4.Chat {
				c := newChat(t, m, gemma4.ChatOptions{
					SessionOptions: gemma4.SessionOptions{Cache: f, Prefixes: p, Batch: 100}, Template: chat.Builtin(),
				})
				c.Messages = slices.Clone(text)
				return c
			}
			find("read", begin(nil))
			find("shared", begin(p))
			find("shared again", begin(p))

			c := begin(nil)
			answer(t, c, user("What is 12 + 7?"))
			path := filepath.Join(t.TempDir(), "chat.gguf")
			if err := c.Save(path); err != nil {
				t.Fatal(err)
			}
			restored, err := m.RestoreChat(path, c.Options)
			if err != nil {
				t.Fatal(err)
			}
			find("restored", restored)
			restored.Close()
			fork, err := c.Fork()
			if err != nil {
				t.Fatal(err)
			}
			find("forked", fork)
			fork.Close()
			answer(t, c, user("What is 9 + 9?"))
			c.Messages = c.Messages[:len(text)]
			find("rewound", c)
			if r := c.Result(); r.Prompt > 60 {
				t.Errorf("%v, rewound: %d positions are read again", f, r.Prompt)
			}
		}
		if longest < 390 {
			t.Errorf("%v: the longest text has only %d positions", f, longest)
		}
	}
}

func TestOptionsThatWouldHaveNoEffectAreRefused(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	prefixes := gemma4.NewPrefixCache(1 << 20)
	defer prefixes.Close()
	good := gemma4.ChatOptions{GenerateOptions: gemma4.GenerateOptions{Sampling: greedy, MaxTokens: 1}}
	// An option of the session holds from the beginning, whichever it is.
	for _, f := range reflect.VisibleFields(reflect.TypeFor[gemma4.SessionOptions]()) {
		if f.Name == "Adapters" {
			continue // it takes effect: see TestChatsFollowTheirAdapters
		}
		c := newChat(t, m, good)
		calls := 0
		field := reflect.ValueOf(&c.Options.SessionOptions).Elem().FieldByIndex(f.Index)
		switch field.Kind() {
		case reflect.Int, reflect.Int64:
			field.SetInt(64)
			if f.Name == "Cache" {
				field.SetInt(int64(gemma4.CacheQ8))
			}
		case reflect.Pointer:
			if f.Name == "Trace" {
				field.Set(reflect.ValueOf(&gemma4.Trace{Prefill: func(gemma4.PrefillInfo) { calls++ }}))
			} else {
				field.Set(reflect.ValueOf(prefixes))
			}
		case reflect.Func:
			field.Set(reflect.ValueOf(func(int, int) { calls++ }))
		case reflect.String:
			field.SetString("other")
		}
		_, err := c.Answer(ctx, "What is the capital of Peru?")
		switch {
		case f.Name == "Progress", f.Name == "Trace": // they take effect
			if err != nil || calls == 0 {
				t.Errorf("%s was called %d times, %v", f.Name, calls, err)
			}
		case err == nil || !strings.HasPrefix(err.Error(), "gemma4: "+f.Name+" of the chat's Options was changed") || len(c.Messages) != 0:
			t.Errorf("%s: %v, %d messages", f.Name, err, len(c.Messages))
		}
		c.Options.SessionOptions = gemma4.SessionOptions{}
		if _, err := c.Answer(ctx, "What is the capital of Peru?"); err != nil {
			t.Errorf("%s as it was: %v", f.Name, err)
		}
	}
	for _, test := range []struct {
		change func(o *gemma4.ChatOptions)
		want   string
	}{
		{func(o *gemma4.ChatOptions) { o.Markup = true }, "gemma4: Markup is not for a chat"},
		{func(o *gemma4.ChatOptions) { o.Full = 7 }, "gemma4: unknown policy 7"},
		{func(o *gemma4.ChatOptions) { o.Stop = []string{"a", ""} }, "gemma4: Stop[1] is empty"},
		{func(o *gemma4.ChatOptions) { o.MaxTokens = -1 }, "gemma4: MaxTokens -1"},
		{func(o *gemma4.ChatOptions) { o.LogProbs = -1 }, "gemma4: MaxTokens 1, LogProbs -1"},
		{func(o *gemma4.ChatOptions) { o.Sampling.TopP = new(5.0) }, "gemma4: sampler: top-p is 5, want 0 to 1"},
		{func(o *gemma4.ChatOptions) { o.Sampling.Suppress = []int32{-1} }, "gemma4: sampler: suppressed id -1"},
		{func(o *gemma4.ChatOptions) { o.Tools = make([]chat.Tool, 1) }, "gemma4: chat: tool 0: no name"},
		{func(o *gemma4.ChatOptions) { o.System = "caf\xe9" }, "gemma4: chat: message 0: content: invalid UTF-8 at byte 3"},
		{func(o *gemma4.ChatOptions) { o.Variables = map[string]any{"tools": 1} }, "gemma4: chat: variable tools: "},
	} {
		o := good
		test.change(&o)
		if _, err := m.NewChat(o); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("NewChat: %v, want %q", err, test.want)
		}
		c := newChat(t, m, good)
		test.change(&c.Options)
		if _, err := c.Answer(ctx, "What is the capital of Peru?"); err == nil || !strings.HasPrefix(err.Error(), test.want) ||
			len(c.Messages) != 0 {
			t.Errorf("Answer: %v, want %q; %d messages", err, test.want, len(c.Messages))
		}
	}
	for _, err := range newSession(t, m, gemma4.SessionOptions{}).Generate(ctx, prompt(m, question),
		gemma4.GenerateOptions{Stop: []string{""}}) {
		if err == nil || !strings.HasPrefix(err.Error(), "gemma4: Stop[0] is empty") {
			t.Errorf("Generate: %v", err)
		}
	}
}

// Of the prompt, too, what a penalty is for must not come again.
func TestPenaltiesSeeThePrompt(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	in := prompt(m, question)
	written := func(o sampler.Overrides) (again int) {
		s := newSession(t, m, gemma4.SessionOptions{})
		if err := s.Read(ctx, gemma4.Input{Tokens: in[0].Tokens[:9]}); err != nil { // read before, or with the prompt: both count
			t.Fatal(err)
		}
		for tok, err := range s.Generate(ctx, []gemma4.Input{{Tokens: in[0].Tokens[9:]}},
			gemma4.GenerateOptions{Sampling: o, MaxTokens: 20, Markup: true}) {
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(in[0].Tokens, tok.ID) {
				again++
			}
		}
		return again
	}
	o := greedy
	if n := written(o); n < 3 {
		t.Fatalf("%d tokens of the prompt come again without a penalty", n)
	}
	o.PresencePenalty = new(1000.0)
	if n := written(o); n != 0 {
		t.Errorf("%d tokens of the prompt come again", n)
	}
}
