package gemma4

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"
	"strings"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/grammar"
)

// ChatOptions say how a conversation is held. The zero value is a good choice.
type ChatOptions struct {
	SessionOptions
	// GenerateOptions hold for every answer. Its Grammar is that of the answer's text: with Tools the answer is calls or such a text, and
	// with Thinking the thought before it is free.
	GenerateOptions
	// System is the instruction that comes before the conversation, if any.
	System string
	// Tools are what the model may call. Calls come in Token.Call, with the kind [chat.ToolCall]; what the tools return goes into messages
	// of role tool in the next [Chat.Send], or [Chat.Run] calls the functions that [Tool] has made tools of. What the model writes is held
	// to the form of calls and to the tools' schemas. Of those, keywords that cannot be enforced are an error if the tool is Strict, else
	// they are left out and named in Result.Loosened. A call that nests deep is brought to its end, before the 64 levels that are read.
	Tools []chat.Tool
	// Calls says whether an answer must call tools or may not, and which and how many. It holds for every answer, those to what tools have
	// returned, too: where a call is required, [Chat.Run] requires the first one alone.
	Calls grammar.CallOptions
	// FreeCalls lets the model write what it likes, calls too, which are then read as well as they can be: see [chat.Parser].
	FreeCalls bool
	// Rounds bounds the answers of one [Chat.Run] whose calls are run; 0: 10.
	Rounds int
	// Thinking lets the model think before it answers. Thoughts come as Tokens of the kind [chat.Thought].
	Thinking bool
	// Continue says that the last message, an assistant's without calls, is the beginning of the answer, with which the model goes on, such
	// as one that was stopped. What it says is text, whatever it looks like; a thought without text after it is gone on with. Tokens and
	// Result are of what is new alone, and so are Stop and the bounds, but a Grammar is that of the text as a whole. [Chat.Send] without
	// messages continues the last of Chat.Messages, which becomes the whole answer.
	Continue bool
	// Template replaces the file's template, or the one built in for files without; nil keeps it.
	Template *chat.Template
	// Variables are for the template, beside those that every template has: see [chat.Conversation].
	Variables map[string]any
	// Full says what happens when the conversation fills the context.
	Full Full
	// Override makes [Model.RestoreChat] take System, Tools and Thinking from these options, even if empty, instead of from the file.
	Override bool
}

// Full is what a [Chat] does when its context is full.
type Full int

const (
	// FullStop ends an answer that finds no more room, with [ReasonContext]. A question that does not fit is a [ContextError].
	FullStop Full = iota
	// FullDrop drops the oldest exchanges from Chat.Messages, each a user's message with all that follows up to the next, until a quarter
	// of the context is free, even in the middle of an answer. System messages before the first exchange stay, and so do Options.System and
	// Tools. Reading resumes after the longest beginning that is still the same. Result.Dropped counts the dropped messages. If the last
	// exchange alone does not fit, FullDrop is FullStop. Pictures that not even the model's own context would hold together are a
	// [ContextError].
	FullDrop
	// FullError ends an answer that finds no more room with a [ContextError].
	FullError
)

var fullNames = [...]string{FullStop: "stop", FullDrop: "drop", FullError: "error"}

// String returns the name that MarshalText gives, or Full(9) for an unknown number.
func (f Full) String() string {
	if f < 0 || int(f) >= len(fullNames) {
		return fmt.Sprintf("Full(%d)", int(f))
	}
	return fullNames[f]
}

// MarshalText returns stop, drop or error. An unknown number is an error.
func (f Full) MarshalText() ([]byte, error) { return []byte(f.String()), f.check() }

func (f Full) check() error {
	if f < 0 || int(f) >= len(fullNames) {
		return fmt.Errorf("gemma4: unknown policy %d for a full context", int(f))
	}
	return nil
}

// UnmarshalText accepts stop, drop and error, so that a Full can be a flag ([flag.TextVar]).
func (f *Full) UnmarshalText(text []byte) error {
	i := slices.Index(fullNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("unknown policy %q, expected stop, drop or error", text)
	}
	*f = Full(i)
	return nil
}

// Chat is a conversation with the model. It keeps what the model has read and reads only what is new.
//
// It gives one answer at a time: until the loop over it has ended, another Ask or Send, in the loop's body or on another goroutine, gets
// [ErrBusy] and leaves Messages as they are. The same holds for Fork, Save and all other methods that do more than look. Close never waits,
// and ends the answer.
type Chat struct {
	// Options may be changed between answers, except that of SessionOptions only Progress, Trace and Adapters may: the session was made
	// with the others, and once they are changed the next answer is an error. With other Adapters the conversation is read again.
	Options ChatOptions
	// Messages is the conversation so far, without the system instruction of Options. It may be changed between answers.
	Messages []chat.Message

	m       *Model
	s       *Session
	markup  map[int32]bool
	calls   int // so far, to number them
	dropped int // messages, for the running answer
	saved   savedChat
}

// NewChat begins a conversation. Options that no answer could follow are an error.
func (m *Model) NewChat(o ChatOptions) (*Chat, error) {
	if err := o.check(m); err != nil {
		return nil, err
	}
	plain := o
	plain.Continue = false
	if err := plain.conversation([]chat.Message{{Role: "user"}}).Validate(); err != nil {
		return nil, fmt.Errorf("gemma4: %w", err)
	}
	if _, err := o.template(m); err != nil {
		return nil, err
	}
	if _, _, err := o.obey(m, chat.Text, ""); err != nil {
		return nil, err
	}
	s, err := m.NewSession(o.SessionOptions)
	if err != nil {
		return nil, err
	}
	c := newChat(o, m)
	c.s = s
	return c, nil
}

// newChat returns a chat without a session.
func newChat(o ChatOptions, m *Model) *Chat {
	c := &Chat{Options: o, m: m, markup: map[int32]bool{}}
	for _, text := range m.markup {
		if id, ok := m.tok.ID(text); ok {
			c.markup[id] = true
		}
	}
	return c
}

// check reports the first option that makes no sense in any answer of the model. What goes into the prompt is the template's to check.
func (o ChatOptions) check(m *Model) error {
	if err := o.Full.check(); err != nil {
		return err
	}
	if o.Markup {
		return errors.New("gemma4: Markup is not for a chat, which reads control tokens: Session.Generate shows them")
	}
	if o.Rounds < 0 {
		return fmt.Errorf("gemma4: Rounds %d, expected 0 or more", o.Rounds)
	}
	return o.GenerateOptions.checkFor(m)
}

// conversation returns what a template renders for messages.
func (o ChatOptions) conversation(messages []chat.Message) chat.Conversation {
	if o.System != "" {
		messages = slices.Concat([]chat.Message{{Role: "system", Content: o.System}}, messages)
	}
	return chat.Conversation{Messages: messages, Tools: o.Tools, Thinking: o.Thinking, Continue: o.Continue, Variables: o.Variables}
}

// check reports the first option that makes no sense, or whose change has no effect. Other adapters are the session's from here on.
func (c *Chat) check() error {
	was, now := c.s.options, c.Options.SessionOptions
	for _, f := range []struct {
		name    string
		changed bool
	}{
		{"Context", was.Context != now.Context},
		{"Cache", was.Cache != now.Cache},
		{"Batch", was.Batch != now.Batch},
		{"History", was.History != now.History},
		{"Memory", was.Memory != now.Memory},
		{"Prefixes", was.Prefixes != now.Prefixes},
		{"Group", was.Group != now.Group},
	} {
		if f.changed {
			return fmt.Errorf("gemma4: %s of the chat's Options was changed: its session keeps what it was made with, "+
				"another needs another chat", f.name)
		}
	}
	if err := c.Options.check(c.m); err != nil || slices.Equal(was.Adapters, now.Adapters) {
		return err
	}
	return c.s.adapt(now.Adapters, false)
}

// template returns the template to render with.
func (o ChatOptions) template(m *Model) (*chat.Template, error) {
	if o.Template != nil {
		return o.Template, nil
	}
	if m.templateErr != nil {
		return nil, fmt.Errorf("%w (ChatOptions.Template can be another)", m.templateErr)
	}
	return m.template, nil
}

// Session returns the session that holds the conversation as the model has read it.
func (c *Chat) Session() *Session { return c.s }

// Result returns how the last answer went.
func (c *Chat) Result() Result { return c.s.Result() }

// Fork returns a second conversation that continues from here, with the same options. The two share the memory of what they have in common.
func (c *Chat) Fork() (*Chat, error) {
	if err := c.s.begin(); err != nil {
		return nil, err
	}
	defer c.s.end()
	s, err := c.s.fork()
	if err != nil {
		return nil, err
	}
	f := *c
	f.s, f.saved = s, savedChat{}
	f.Messages = slices.Clone(c.Messages)
	for i := range f.Messages {
		m := &f.Messages[i]
		m.Parts, m.ToolCalls, m.ToolResponses = slices.Clone(m.Parts), slices.Clone(m.ToolCalls), slices.Clone(m.ToolResponses)
		for j := range m.ToolCalls {
			m.ToolCalls[j].Arguments = slices.Clone(m.ToolCalls[j].Arguments)
		}
	}
	return &f, nil
}

// Close gives the conversation's memory back, as [Session.Close] does. Messages stay.
func (c *Chat) Close() error { return c.s.Close() }

// Ask says something and yields the answer as it is written. See [Chat.Send].
func (c *Chat) Ask(ctx context.Context, text string) iter.Seq2[Token, error] {
	return c.Send(ctx, chat.Message{Role: "user", Content: text})
}

// Say says something that is more than text, in the order of the parts, and yields the answer as it is written. The models were made for
// pictures before the text that is about them, and for sounds behind it. See [Chat.Send].
//
//	for tok, err := range c.Say(ctx, chat.ImagePart(photo), chat.TextPart("What is this?")) {
func (c *Chat) Say(ctx context.Context, parts ...chat.Part) iter.Seq2[Token, error] {
	return c.Send(ctx, chat.Message{Role: "user", Parts: parts})
}

// Send adds messages to the conversation and yields the model's answer as it is written: pieces of thought and text, and tool calls. What
// a message says is text, whatever it looks like: it never becomes a marker of the chat format.
//
// The answer is added to c.Messages when it has ended, or as much of it as there was if the loop is left early or ctx ends. If an error
// keeps the model from answering, the new messages are taken back. An answer that was stopped goes on, if Options.Continue is set:
//
//	c.Options.Continue = true
//	for tok, err := range c.Send(ctx) {
func (c *Chat) Send(ctx context.Context, messages ...chat.Message) iter.Seq2[Token, error] {
	return c.s.iterate(func(yield func(Token) bool) error { return c.send(ctx, messages, yield) })
}

// send is Send for a call that has claimed the session.
func (c *Chat) send(ctx context.Context, messages []chat.Message, yield func(Token) bool) (err error) {
	before := c.Messages
	c.Messages = append(c.Messages, messages...)
	c.dropped = 0
	c.s.options.Progress, c.s.options.Trace = c.Options.Progress, c.Options.Trace
	prompt, err := c.whole(ctx, before)
	if err != nil {
		c.s.setResult(Result{Reason: reasonOf(err)})
		return err
	}
	var said []chat.Event
	ended := false
	defer func() { // also when a callback panics
		answer := chat.Answer(said)
		if (err != nil || !ended && len(said) == 0) && answer.Content == "" && answer.Reasoning == "" && len(answer.ToolCalls) == 0 {
			c.Messages = before
			return
		}
		c.keep(answer)
		r := c.s.Result()
		r.Dropped, r.Calls = c.dropped, len(answer.ToolCalls)
		c.s.setResult(r)
	}()
	err = c.answer(ctx, prompt, func(t Token) bool {
		said = append(said, t.Event)
		return yield(t)
	})
	ended = true
	return err
}

// whole returns the conversation as far as it is to be read, old messages dropped if they have to be. With an error the messages are those
// before, and also when an image panics, which may be code of the user.
func (c *Chat) whole(ctx context.Context, before []chat.Message) (prompt words, err error) {
	done := false
	defer func() {
		if !done {
			c.Messages = before
		}
	}()
	if err = c.check(); err == nil {
		prompt, err = c.prompt(ctx)
	}
	if limit := c.s.limit; err == nil && c.Options.Full == FullDrop && len(prompt.ids) > limit {
		prompt, err = c.drop(ctx, prompt, 0, limit)
	}
	done = err == nil
	return prompt, err
}

// keep adds an answer to the conversation, or what is new of one to its beginning.
func (c *Chat) keep(answer chat.Message) {
	if !c.Options.Continue {
		c.Messages = append(c.Messages, answer)
		return
	}
	last := len(c.Messages) - 1
	whole := c.Messages[last]
	whole.Content, whole.Parts = whole.Text()+answer.Content, nil
	whole.Reasoning += answer.Reasoning
	whole.ToolCalls = answer.ToolCalls
	c.Messages = append(slices.Clip(c.Messages[:last]), whole) // the caller's slice stays as it was
}

// drop drops as many of the oldest exchanges as it takes for three quarters of the context to hold the rest and the tokens generated so
// far, or all but the last one, and returns the new prompt. If there is nothing to drop it returns the old one.
func (c *Chat) drop(ctx context.Context, prompt words, generated, limit int) (words, error) {
	exchanges, kept := c.exchanges()
	if len(exchanges) < 2 {
		return prompt, nil
	}
	var err error
	try := func(first int) (messages []chat.Message) {
		messages = slices.Concat(c.Messages[:kept], c.Messages[exchanges[first]:])
		if err == nil {
			prompt, err = c.words(ctx, messages)
		}
		return messages
	}
	from := 1 + sort.Search(len(exchanges)-2, func(i int) bool {
		try(1 + i)
		return err != nil || len(prompt.ids)+generated <= limit/4*3
	})
	messages := try(from)
	if err != nil {
		return words{}, err
	}
	c.dropped += len(c.Messages) - len(messages)
	c.s.m.log.Debug("messages dropped", "messages", len(c.Messages)-len(messages))
	c.Messages = messages
	return prompt, nil
}

// exchanges returns where in Messages the exchanges begin, and how many messages before them stay whatever is dropped.
func (c *Chat) exchanges() (begin []int, kept int) {
	for i, m := range c.Messages {
		switch {
		case m.Role == "user":
			begin = append(begin, i)
		case len(begin) == 0 && (m.Role == "system" || m.Role == "developer"):
			kept = i + 1
		case len(begin) == 0:
			begin = append(begin, i)
		}
	}
	return begin, kept
}

// makeRoom returns what an answer does that finds no more room, nil if it can only end.
func (c *Chat) makeRoom(ctx context.Context) makeRoom {
	if exchanges, _ := c.exchanges(); c.Options.Full == FullStop || c.Options.Full == FullDrop && len(exchanges) < 2 {
		return nil
	}
	return func(generated int) (prompt []Input, next makeRoom, err error) {
		limit := c.s.limit
		if c.Options.Full == FullError {
			return nil, nil, wrap(&ContextError{Need: limit + 1, Limit: limit})
		}
		shorter, err := c.drop(ctx, words{}, generated, limit)
		if n := len(shorter.ids); n+generated < limit {
			prompt = c.m.inputs(shorter, n)
		}
		return prompt, c.makeRoom(ctx), err
	}
}

// Read reads the conversation so far, up to the end of its last turn, and no answer: what is said next has only itself to be read. With
// SessionOptions.Prefixes the same holds for every other conversation that begins alike, which so need not wait for the first one's
// instruction and tools:
//
//	c.Messages = messages
//	err := c.Read(ctx)
func (c *Chat) Read(ctx context.Context) error {
	if err := c.s.begin(); err != nil {
		return err
	}
	defer c.s.end()
	c.s.options.Progress, c.s.options.Trace = c.Options.Progress, c.Options.Trace
	if err := c.check(); err != nil {
		return err
	}
	prompt, err := c.prompt(ctx)
	if err != nil {
		return err
	}
	end := len(prompt.ids)
	for end > 0 && !c.m.tok.IsEnd(prompt.ids[end-1]) {
		end--
	}
	if end == 0 { // a format without turns
		end = len(prompt.ids)
	}
	in := c.m.inputs(prompt, end)
	if c.s.hasRead(in) {
		return nil
	}
	_, err = c.s.read(ctx, c.s.reuse(in, false))
	return err
}

// Prompt returns the tokens of the conversation so far, as the model reads them before it answers, or goes on with its answer
// (ChatOptions.Continue). Those of a picture, a sound or a video stand for its embeddings, one for each, or for all of them where it is not
// there.
func (c *Chat) Prompt(ctx context.Context) ([]int32, error) {
	messages, err := c.m.prepared(c.Messages, true, c.m.graph.Context)
	if err != nil {
		return nil, err
	}
	w, err := c.words(ctx, messages)
	return w.ids, err
}

// prompt returns the conversation as the model reads it. Its pictures become what the model sees of them, in c.Messages as well.
func (c *Chat) prompt(ctx context.Context) (words, error) {
	messages, err := c.m.prepared(c.Messages, false, c.room())
	if err != nil {
		return words{}, err
	}
	c.Messages = messages
	return c.words(ctx, messages)
}

// room returns how many positions the conversation may have before old messages are dropped.
func (c *Chat) room() int {
	switch {
	case c.Options.Full == FullDrop:
		return c.m.graph.Context
	case c.s != nil:
		return c.s.limit
	}
	return cmp.Or(c.Options.Context, c.m.graph.Context) // of a request in a queue
}

// words is Prompt for messages that are prepared.
func (c *Chat) words(ctx context.Context, messages []chat.Message) (words, error) {
	template, err := c.Options.template(c.m)
	if err != nil {
		return words{}, err
	}
	return c.m.render(ctx, template, c.Options.conversation(messages))
}

// Prompt returns the tokens of a conversation, as the model reads them before it answers: those of [Chat.Prompt] for a conversation that is
// nobody's chat. It does not wait for the model.
func (m *Model) Prompt(ctx context.Context, c chat.Conversation) ([]int32, error) {
	template, err := ChatOptions{}.template(m)
	if err == nil {
		c.Messages, err = m.prepared(c.Messages, true, m.graph.Context)
	}
	if err != nil {
		return nil, err
	}
	w, err := m.render(ctx, template, c)
	return w.ids, err
}

// render returns a conversation whose messages are prepared as the model reads it.
func (m *Model) render(ctx context.Context, template *chat.Template, c chat.Conversation) (words, error) {
	media, err := m.media(c.Messages)
	if err != nil {
		return words{}, err
	}
	return m.renderWith(ctx, template, c, media)
}

// renderWith is render for a conversation whose media are known.
func (m *Model) renderWith(ctx context.Context, template *chat.Template, c chat.Conversation, media []medium) (words, error) {
	prompt, err := template.Render(ctx, c, slices.Concat(m.markup, m.lacking))
	if err != nil {
		return words{}, fmt.Errorf("gemma4: %w", err)
	}
	if prompt, err = placed(prompt, media); err == nil {
		err = m.knows(prompt)
	}
	if err != nil {
		return words{}, err
	}
	return m.spread(m.encode(prompt), media), nil
}

// encode returns the tokens of a prompt.
func (m *Model) encode(prompt chat.Prompt) []int32 {
	at, _ := slices.BinarySearch(prompt.Literal, prompt.Answer)
	ids := m.tok.EncodeLiteral(prompt.Text[:prompt.Answer], prompt.Literal[:at])
	if i := slices.Index(ids, m.tok.BOS()); i > 0 && strings.TrimSpace(m.tok.Decode(ids[:i], true)) == "" {
		ids = ids[i:] // some templates leave white space before it
	}
	ids = m.tok.WithBOS(ids)
	if prompt.Answer == len(prompt.Text) {
		return ids
	}
	literal := slices.Clone(prompt.Literal[at:])
	for i := range literal {
		literal[i] -= prompt.Answer
	}
	return append(ids, m.tok.EncodeLiteral(prompt.Text[prompt.Answer:], literal)...)
}

// knows returns an error for a marker that the template has written but the file's vocabulary has only as text, or not at all.
func (m *Model) knows(p chat.Prompt) error {
	for _, marker := range m.lacking {
		for at := 0; ; at++ {
			i := strings.Index(p.Text[at:], marker)
			if i < 0 {
				break
			}
			if at += i; slices.Contains(p.Literal, at) {
				continue
			}
			is := "is no token"
			if id, ok := m.tok.ID(marker); ok {
				is = fmt.Sprintf("has tokenizer.ggml.token_type %d, expected 3 or 4", m.tok.Kind(id))
			}
			return fmt.Errorf("gemma4: the chat template writes %s, which the model would read as text: in the file's vocabulary it %s "+
				"(ChatOptions.Template can be another)", marker, is)
		}
	}
	return nil
}

// answer generates an answer and hands on its events.
func (c *Chat) answer(ctx context.Context, prompt words, yield func(Token) bool) error {
	o := c.Options.GenerateOptions
	t := teller{stop: stopper{strings: o.Stop}, calls: &c.calls, yield: yield}
	o.Stop, o.Markup, o.Grammar = nil, true, nil // they are looked after here
	parser := c.parser(prompt.ids)
	begin, loosened, err := c.begin(parser.Within())
	if err != nil {
		c.s.setResult(Result{Reason: ReasonError})
		return err
	}
	c.m.logLoosened(loosened)
	rest := c.m.inputs(prompt, len(prompt.ids))
	if c.s.hasRead(rest) {
		rest = nil
	} else {
		rest = c.s.reuse(rest, c.dropped > 0)
	}
	err = c.s.generate(ctx, rest, o, begin, c.makeRoom(ctx), func(tok Token) bool {
		text, marker := c.cut(tok.ID, tok.Text)
		return t.tell(tok, append(parser.Push(text, false), parser.Push(marker, true)...))
	})
	r := c.s.Result()
	r.Loosened = loosened
	if err == nil && !t.left && t.found == "" {
		var events []chat.Event
		if r.Reason == ReasonEnd || r.Whole { // whichever token it was, a call that it ends is whole
			events = parser.Push("<turn|>", true)
		}
		t.end(append(events, parser.Close()...))
	}
	if err != nil && !t.left {
		t.end(nil)
	}
	if t.found != "" {
		r.Reason, r.Stop, r.Whole = ReasonStop, t.found, false
	}
	c.s.setResult(r)
	return err
}

// begin returns the state from which the answer goes on with what its prompt leaves open, as obey does.
func (c *Chat) begin(open chat.Kind) (begin *grammar.State, loosened []string, err error) {
	said := ""
	if c.Options.Continue {
		said = c.Messages[len(c.Messages)-1].Text()
	}
	begin, loosened, err = c.Options.obey(c.m, open, said)
	if n := c.Options.MaxTokens; err == nil && n > 0 && c.Options.Calls.Choice == grammar.Required && begin.Left() > n {
		err = fmt.Errorf("gemma4: MaxTokens %d is too few for a call: the shortest has %d tokens", n, begin.Left())
	}
	return begin, loosened, err
}

// parser returns a parser of the answer to a prompt, which continues what the prompt leaves open.
func (c *Chat) parser(prompt []int32) *chat.Parser {
	p := new(chat.Parser)
	from := 0
	if turn, ok := c.m.tok.ID("<|turn>"); ok {
		from = max(0, len(prompt)-1)
		for ; from > 0 && prompt[from] != turn; from-- {
		}
	}
	text := c.m.tok.NewDecoder(true)
	for _, id := range prompt[from:] {
		piece, marker := c.cut(id, text.Next(id))
		p.Prompt(piece, false)
		p.Prompt(marker, true)
	}
	return p
}

// cut splits the text that a token adds into the token's marker, if it is one, and the text before that, which earlier tokens have held
// back.
func (c *Chat) cut(id int32, s string) (text, marker string) {
	if c.markup[id] {
		marker = c.m.tok.Text(id)
		if text, ok := strings.CutSuffix(s, marker); ok {
			return text, marker
		}
	}
	return s, ""
}

// teller hands on the events of an answer, in their order. Text is held back while it may begin a stop string.
type teller struct {
	stop  stopper
	found string // the stop string, which ends the answer
	left  bool   // the caller has left the loop
	calls *int   // so far in the conversation, to number them
	yield func(Token) bool
}

// tell hands on a token with its events and reports whether the answer continues.
func (t *teller) tell(tok Token, events []chat.Event) bool {
	told := false
	send := func(e chat.Event) bool {
		if told {
			tok.ID, tok.LogProb, tok.Top = noID, 0, nil
		}
		told = true
		tok.Event = e
		t.left = !t.yield(tok)
		return !t.left && t.found == ""
	}
	for _, e := range events {
		if e.Kind == chat.Text && e.Err == nil {
			e.Text, t.found = t.stop.push(e.Text)
		} else if rest := t.stop.rest; rest != "" { // it can no longer become a stop string
			t.stop.rest = ""
			if !send(chat.Event{Text: rest}) {
				return false
			}
		}
		if e.Call != nil { // unique in the conversation
			*t.calls++
			e.Call.ID = fmt.Sprintf("call_%d", *t.calls)
		}
		if !send(e) {
			return false
		}
	}
	return told || tok.ID == noID || send(chat.Event{}) // every token is handed on
}

// end hands on the last events, and the text that is held back.
func (t *teller) end(events []chat.Event) {
	if t.tell(Token{ID: noID}, events) && t.stop.rest != "" {
		rest := t.stop.rest
		t.stop = stopper{}
		t.tell(Token{ID: noID}, []chat.Event{{Text: rest}})
	}
}
