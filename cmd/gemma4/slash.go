package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
)

// errBye ends a conversation.
var errBye = errors.New("bye")

// slash is a command within a conversation.
type slash struct {
	names string // separated by spaces
	arg   string // what may follow, in brackets where it need not; empty: nothing
	does  string
	run   func(t *talk, ctx context.Context, arg string) error
}

func slashes() []slash {
	return []slash{
		{"help ?", "", "this list", (*talk).listCommands},
		{"bye quit exit", "", "leave; so do Ctrl-D, and Ctrl-C twice on an empty line", (*talk).bye},
		{"clear", "", "forget the conversation", (*talk).clear},
		{"undo", "", "forget the last turn", (*talk).undo},
		{"regenerate", "", "forget the last answer, and answer again", (*talk).regenerate},
		{"think", "[on|off]", "thinking before answers", (*talk).think},
		{"system", "[TEXT]", "the instruction before the conversation, or none", (*talk).system},
		{"set", "[NAME VALUE]", "change a flag (temp, seed, n, budget …), or list them", (*talk).set},
		{"lora", "[NAME …|off]", "answer with these adapters of -lora, or list them", (*talk).lora},
		{"show", "[WHAT]", "model, session, system, tools, messages or template", (*talk).show},
		{"image", "FILE", "a picture for the next message; so is a file that is dropped here", (*talk).image},
		{"audio", "FILE", "a sound for it", (*talk).audio},
		{"video", "FILE", "a video for it", (*talk).video},
		{"save", "FILE", "save the conversation in a file", (*talk).saveAs},
		{"load", "FILE", "go on with the conversation of a file", (*talk).load},
	}
}

// command runs what begins with a slash.
func (t *talk) command(ctx context.Context, text string) error {
	name, arg, _ := strings.Cut(strings.TrimSpace(text[1:]), " ")
	arg = strings.TrimSpace(arg)
	for _, c := range slashes() {
		names := strings.Fields(c.names)
		if !slices.Contains(names, name) {
			continue
		}
		switch {
		case arg != "" && c.arg == "":
			return fmt.Errorf("/%s takes no argument", name)
		case arg == "" && c.arg != "" && c.arg[0] != '[':
			return fmt.Errorf("/%s needs an argument: /%s %s", name, name, c.arg)
		}
		return c.run(t, ctx, arg)
	}
	return fmt.Errorf("/%s is not a command; /help lists them, and a space before the line makes text of it", name)
}

func (t *talk) listCommands(context.Context, string) error {
	for _, c := range slashes() {
		t.note("/%-20s %s", strings.TrimSpace(strings.ReplaceAll(c.names, " ", ", /")+" "+c.arg), c.does)
	}
	t.note("A line that begins with a space is never a command.\n%s begins a text of several lines, and ends it.", fence)
	return nil
}

func (t *talk) bye(context.Context, string) error { return errBye }

func (t *talk) clear(context.Context, string) error {
	t.chat.Messages, t.calls, t.results, t.parts = nil, nil, nil, nil
	return t.save()
}

// lastTurn returns where the last turn of the user begins, or −1.
func (t *talk) lastTurn() int {
	messages := t.chat.Messages
	for i := len(messages) - 1; i >= 0; i-- {
		if messages[i].Role == "user" {
			return i
		}
	}
	return -1
}

func (t *talk) undo(context.Context, string) error {
	i := t.lastTurn()
	if i < 0 {
		return errors.New("there is no turn to undo")
	}
	t.note("(forgotten: %s%.60q)", about(t.chat.Messages[i]), t.chat.Messages[i].Text())
	t.chat.Messages, t.calls, t.results = t.chat.Messages[:i:i], nil, nil
	return t.save()
}

// regenerate answers again what stands before the last answer: a question, or what tools returned.
func (t *talk) regenerate(ctx context.Context, _ string) error {
	messages := t.chat.Messages
	end := len(messages)
	for end > 0 && messages[end-1].Role == "assistant" {
		end--
	}
	begin := end
	for begin > 0 && messages[begin-1].Role != "assistant" && messages[begin-1].Role == messages[end-1].Role {
		begin--
	}
	if begin == end {
		return errors.New("there is no answer to give again")
	}
	if t.sampling.Seed != nil {
		t.note("(a seed gives the same answer again; /set seed changes it)")
	}
	again := slices.Clone(messages[begin:end])
	t.chat.Messages, t.calls, t.results = messages[:begin:begin], nil, nil
	err := t.turn(ctx, again...)
	if len(t.chat.Messages) == begin { // nothing came of it
		t.chat.Messages = messages
	}
	return err
}

func (t *talk) think(_ context.Context, arg string) error {
	if arg == "" {
		arg = map[bool]string{true: "off", false: "on"}[t.options.Thinking]
	}
	if err := t.change("think", arg); err != nil {
		return err
	}
	t.note("thinking: %v", t.options.Thinking)
	return nil
}

// lora lists the adapters, or has the model answer with some of them from now on.
func (t *talk) lora(_ context.Context, arg string) error {
	if len(t.adapters) == 0 {
		return errors.New("there is no adapter: -lora FILE opens one when the program starts")
	}
	if arg == "" {
		for i, a := range t.adapters {
			use := ""
			if slices.Contains(t.options.Adapters, t.opened[i]) {
				use = ", in use"
			}
			t.note("%s: %s, scale %g, rank %d%s", a.name, a.Path, a.Scale, t.opened[i].Rank, use)
		}
		return nil
	}
	var use []gemma4.Scaled
	for name := range strings.FieldsSeq(arg) {
		if arg == "off" {
			break
		}
		i := slices.IndexFunc(t.adapters, func(a adapter) bool { return a.name == name })
		if i < 0 {
			return fmt.Errorf("there is no adapter %s; /lora lists them", name)
		}
		use = append(use, t.opened[i])
	}
	t.options.Adapters = use
	t.apply()
	return nil
}

func (t *talk) system(_ context.Context, arg string) error { return t.change("system", arg) }

// settings are the flags that may change within a conversation, as /set lists them.
func settings() []string {
	return []string{"temp", "top-k", "top-p", "min-p", "typical", "repeat-penalty", "frequency-penalty", "presence-penalty", "seed",
		"n", "think", "think-tokens", "thoughts", "stats", "system", "full", "tool-choice", "budget"}
}

func (t *talk) set(_ context.Context, arg string) error {
	if arg == "" {
		o := t.chat.Options
		s, seed := t.m.Sampling().With(o.Sampling), "another one each time"
		if o.Sampling.Seed != nil {
			seed = fmt.Sprint(s.Seed)
		}
		values := []any{s.Temperature, s.TopK, s.TopP, s.MinP, s.Typical, s.RepeatPenalty, s.FrequencyPenalty, s.PresencePenalty, seed,
			o.MaxTokens, o.Thinking, o.ThinkTokens, t.thoughts, t.stats, o.System, o.Full, choice(o.Calls),
			cmp.Or(t.files.budget.String(), "280, in a video 70")}
		for i, name := range settings() {
			t.note("%-18s %v", name, values[i])
		}
		return nil
	}
	name, value, _ := strings.Cut(arg, " ")
	name = strings.TrimLeft(name, "-")
	if !slices.Contains(settings(), name) {
		return fmt.Errorf("/set %s: expected one of %s", name, strings.Join(settings(), ", "))
	}
	return t.change(name, strings.TrimSpace(value))
}

// change gives a flag another value.
func (t *talk) change(name, value string) error {
	if cli.IsBool(t.Lookup(name)) {
		if v, ok := map[string]string{"on": "true", "off": "false"}[value]; ok {
			value = v
		} else {
			return fmt.Errorf("/%s is on or off, not %q", name, value)
		}
	}
	if err := t.Change(name, value); err != nil {
		return fmt.Errorf("/set %s: %w", name, err)
	}
	t.apply()
	return t.save()
}

func (t *talk) image(ctx context.Context, arg string) error {
	return t.attach(ctx, picture, file(arg), true)
}
func (t *talk) audio(ctx context.Context, arg string) error {
	return t.attach(ctx, audio, file(arg), true)
}
func (t *talk) video(ctx context.Context, arg string) error {
	return t.attach(ctx, video, file(arg), true)
}

// file returns the path that an argument is: as it is typed, or as a terminal writes that of a file which is dropped.
func file(arg string) string {
	path := home(arg)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if first, rest, ok := word(arg); ok && strings.TrimSpace(rest) == "" {
		return home(place(first))
	}
	return path
}

func (t *talk) saveAs(_ context.Context, file string) error {
	if err := t.chat.Save(file); err != nil {
		return err
	}
	if file == t.file {
		t.left, _ = os.Stat(file)
	}
	t.note("(%s holds %d messages)", file, len(t.chat.Messages))
	return nil
}

func (t *talk) load(_ context.Context, file string) error {
	if err := t.restore(file); err != nil {
		return err
	}
	t.note("(%s holds %d messages)", file, len(t.chat.Messages))
	return t.save()
}

func (t *talk) show(_ context.Context, what string) error {
	switch what {
	case "":
		t.showModel()
		t.showSession()
	case "model":
		t.showModel()
	case "session":
		t.showSession()
	case "system":
		t.note("%s", t.chat.Options.System)
	case "tools":
		for _, tool := range t.chat.Options.Tools {
			t.note("%s: %s", tool.Name, tool.Description)
		}
	case "messages":
		for _, m := range t.chat.Messages {
			t.showMessage(m)
		}
	case "template":
		own, _ := t.m.Info().Metadata.Text("tokenizer.chat_template")
		t.note("%s", cmp.Or(t.templateText, strings.TrimSpace(own), "(the file has none: the built-in one is used)"))
	default:
		return fmt.Errorf("/show %s: expected model, session, system, tools, messages or template", what)
	}
	return nil
}

func (t *talk) showModel() {
	info := t.m.Info()
	t.note("model %s: %s parameters in %s, context %d", modelName(info), count(info.Parameters), cli.Bytes(info.Bytes), info.Context)
	for _, f := range info.Formats {
		t.note("  %-8v %4d tensors, %s", f.Format, f.Tensors, cli.Bytes(f.Bytes))
	}
	t.note("%s", t.runsOn(info))
}

func (t *talk) showSession() {
	s := t.chat.Session()
	t.note("session: %d messages, %d of %d positions read, %s of keys and values in %v", len(t.chat.Messages), s.Len(), s.Context(),
		cli.Bytes(s.CacheBytes()), t.options.Cache)
	if t.file != "" {
		t.note("kept in %s", t.file)
	}
}

func (t *talk) showMessage(m chat.Message) {
	if m.Reasoning != "" {
		t.note("[thought] %s", m.Reasoning)
	}
	for _, c := range m.ToolCalls {
		t.note("[call] %s(%s)", c.Name, c.Arguments)
	}
	if text := about(m) + m.Text(); text != "" || len(m.ToolCalls) == 0 {
		t.note("%s: %s", m.Role, text)
	}
}
