package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/line"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/internal/fit"
)

// talk is what happens between a user and a model.
type talk struct {
	*cli.Program
	model       *cli.ModelFlags
	adapters    []adapter       // of the flags
	opened      []gemma4.Scaled // likewise
	sampling    *cli.SamplingFlags
	options     gemma4.ChatOptions // as the user wants them
	most        *int               // tokens of an answer
	thinkTokens *int               // of a thought
	guard       bool               // against loops
	file        string             // that keeps the conversation, may be empty
	left        fs.FileInfo        // of the file as it was read or written last, nil if there was none
	updated     bool               // it has been
	kept        bool               // it has all that was said
	thoughts    bool               // are shown
	stats       bool               // are shown after an answer

	files attachments
	given []given     // on the command line, for the first message
	parts []chat.Part // of the next message: pictures, sounds and videos

	templateText string // of -template
	form         form
	grammar      *grammar.Grammar // of the form, may be nil

	m       *gemma4.Model
	chat    *gemma4.Chat
	lines   lines
	editor  *line.Editor   // the lines, if they can be edited
	calls   []chat.Call    // whose answers are awaited
	results []chat.Message // the answers so far
}

// given is a file that is named by a flag.
type given struct{ kind, path string }

// lines is where what the user says comes from.
type lines interface {
	// Read returns a line, io.EOF after the last. With line.ErrInterrupt the line is what stood there.
	Read(ctx context.Context, prompt string) (string, error)
}

// open opens the model for body, and closes what it leaves.
func (t *talk) open(body func() error) (err error) {
	room := machineRoom() // before the weights are read, if they are to be
	if t.m, err = t.model.Open(); err != nil {
		return err
	}
	defer t.m.Close()
	if err := t.warn(room); err != nil {
		return err
	}
	if len(t.adapters) == 0 {
		t.adapters = ownAdapters(t.model.Adapters)
	}
	if t.opened, err = openAdapters(t.m, t.adapters); err != nil {
		return err
	}
	t.options.Adapters = t.opened
	t.files.of(t.m, t.model.Path == "")
	t.files.note = t.note
	if t.grammar, err = t.form.compile(t.m); err != nil {
		return err
	}
	defer func() {
		if t.updated {
			err = cmp.Or(err, t.keep(t.merge))
		}
		if t.chat != nil {
			t.chat.Close()
		}
	}()
	return body()
}

// warn tells somebody whose conversation would swap. A single answer is taken to be short, unless a context is asked for.
func (t *talk) warn(room fit.Room) error {
	context := cmp.Or(t.options.Context, t.m.Info().Context)
	if t.options.Context == 0 && t.NArg() > 0 {
		context = min(context, shortAnswer)
	}
	text, err := swapping(t.m, t.options.SessionOptions, context, room)
	if text != "" {
		t.Note(text)
	}
	return err
}

// begin goes on with the conversation in the file, or begins a new one.
func (t *talk) begin() (err error) {
	if t.file != "" {
		given := t.options
		t.left, _ = os.Stat(t.file)
		if err := t.restore(t.file); err == nil {
			t.Visit(func(f *flag.Flag) { // what the user says now counts more than what the file holds
				switch f.Name {
				case "system":
					t.options.System = given.System
				case "think":
					t.options.Thinking = given.Thinking
				case "tools":
					t.options.Tools = given.Tools
				}
			})
			t.apply()
			return nil
		} else if errors.Is(err, gemma4.ErrOtherAdapters) {
			return fmt.Errorf("%w; name those with -lora, or begin anew with another -session file", err)
		} else if errors.Is(err, gemma4.ErrOtherModel) {
			return fmt.Errorf("%w; open that one with -m, or begin anew with another -session file", err)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w; the file stays as it is: begin anew with another -session file", err)
		}
	}
	t.options.GenerateOptions = t.generation()
	if t.chat, err = t.m.NewChat(t.options); err != nil {
		return err
	}
	return t.save() // what cannot be kept is known before anything is said
}

// attach reads a file for the next message. Somebody who talks is told what it is.
func (t *talk) attach(ctx context.Context, kind, path string, tell bool) error {
	part, err := t.files.read(ctx, kind, path)
	if err != nil {
		return err
	}
	t.parts = append(t.parts, part)
	if tell {
		hint := ""
		if part.Type == audio {
			hint = "; an empty line says it"
		}
		t.note("(%s is %s%s)", filepath.Base(path), t.files.describe(part), hint)
	}
	return nil
}

// attachGiven reads the files of the flags.
func (t *talk) attachGiven(ctx context.Context, tell bool) error {
	for _, g := range t.given {
		if err := t.attach(ctx, g.kind, g.path, tell); err != nil {
			return err
		}
	}
	return nil
}

// apply makes the conversation follow the options.
func (t *talk) apply() {
	o := &t.chat.Options
	o.GenerateOptions = t.generation()
	o.System, o.Thinking, o.Tools, o.Full = t.options.System, t.options.Thinking, t.options.Tools, t.options.Full
	o.Calls, o.FreeCalls, o.Adapters = t.options.Calls, t.options.FreeCalls, t.options.Adapters
}

func (t *talk) generation() gemma4.GenerateOptions {
	return gemma4.GenerateOptions{
		Sampling: t.sampling.Overrides, MaxTokens: *t.most, ThinkTokens: *t.thinkTokens, RepeatGuard: t.guard, Grammar: t.grammar,
		Draft: t.model.Draft,
	}
}

// restore takes the conversation of a file for this one, with the instruction, the tools and thinking of the file.
func (t *talk) restore(file string) error {
	o := t.options
	o.GenerateOptions, o.System, o.Thinking, o.Tools = t.generation(), "", false, nil
	c, err := t.m.RestoreChat(file, o)
	if err != nil {
		return err
	}
	if t.chat != nil {
		t.chat.Close()
	}
	t.chat, t.calls, t.results = c, nil, nil
	t.options.System, t.options.Thinking, t.options.Tools = c.Options.System, c.Options.Thinking, c.Options.Tools
	if n := len(c.Messages); n > 0 {
		t.calls = c.Messages[n-1].ToolCalls
	}
	return nil
}

// save keeps what the conversation has become in its file: the cost is that of what has changed.
func (t *talk) save() error {
	if t.file == "" {
		return nil
	}
	t.updated = true
	err := t.keep(t.chat.Update)
	t.kept = err == nil
	return err
}

// merge makes the segments of the file one. Where there is no room for that, nothing is lost that the file had already.
func (t *talk) merge(path string) error {
	err := t.chat.Save(path)
	if err != nil && t.kept {
		t.Complain(fmt.Errorf("%w; the conversation is kept, in a file that is larger than need be", err))
		return nil
	}
	return err
}

// keep writes the conversation to its file. Another one that a program has written there meanwhile is not lost: that is an error.
func (t *talk) keep(write func(path string) error) error {
	now, err := os.Stat(t.file)
	if err == nil && (t.left == nil || !os.SameFile(now, t.left) || now.Size() != t.left.Size() || !now.ModTime().Equal(t.left.ModTime())) {
		return fmt.Errorf("%s: another program has written to it, and this conversation is not kept there; /save FILE keeps it", t.file)
	}
	err = write(t.file)
	t.left, _ = os.Stat(t.file)
	return err
}

// note tells the user something that is no part of the conversation.
func (t *talk) note(format string, args ...any) {
	fmt.Fprintln(t.Err, cli.Printable(fmt.Sprintf(format, args...)))
}

// converse takes turns until they end.
func (t *talk) converse(history string) error {
	if err := t.begin(); err != nil {
		return err
	}
	ctx, stop := cli.Interruptible()
	defer stop()
	if cli.IsTerminal(t.In) {
		t.banner()
	}
	if err := t.attachGiven(ctx, true); err != nil {
		return err
	}
	in, screen := t.Keyboard()
	if in == nil {
		t.lines = newPipe(t.In, t.Err)
		return t.hold(ctx)
	}
	editor, restore, err := line.Open(in, screen)
	if err != nil {
		return err
	}
	defer restore()
	if history != "" {
		if editor.History, err = line.OpenHistory(history); err != nil {
			t.note("(the history is not kept: %v)", err)
		}
	}
	editor.Complete = completeLine
	t.lines, t.editor = editor, editor
	return t.hold(ctx)
}

// hold takes turns. What fails in one ends the program only if nobody is there to react.
func (t *talk) hold(ctx context.Context) error {
	for presses := 0; ; {
		text, literal, err := t.read(ctx)
		switch {
		case errors.Is(err, line.ErrInterrupt) && text != "":
			presses = 0
			continue
		case errors.Is(err, line.ErrInterrupt):
			if presses++; presses == 2 {
				return nil
			}
			t.note("Ctrl-C again, Ctrl-D or /bye ends the program")
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err == nil:
			err = t.line(ctx, text, literal)
		}
		presses = 0
		switch {
		case errors.Is(err, errBye):
			return nil
		case err != nil && (!cli.IsTerminal(t.In) || ctx.Err() != nil):
			return err
		case err != nil:
			t.Complain(err)
		}
	}
}

// fence stands before and behind a text of several lines.
const fence = `"""`

// read returns the next text: a line, or what stands between two fences, which is never a command.
func (t *talk) read(ctx context.Context) (text string, literal bool, err error) {
	text, err = t.lines.Read(ctx, t.prompt())
	said := text
	if text, literal = strings.CutPrefix(strings.TrimLeft(text, " \t"), fence); !literal || err != nil {
		t.remember(said, err)
		return said, false, err
	}
	for {
		if inner, closed := strings.CutSuffix(strings.TrimRight(text, " \t\r\n"), fence); closed {
			t.remember(said, nil)
			return inner, true, nil
		}
		next, err := t.lines.Read(ctx, ". ")
		switch {
		case errors.Is(err, line.ErrInterrupt):
			return said, true, err
		case errors.Is(err, io.EOF):
			return "", true, fmt.Errorf("a text begins with %s and has no end", fence)
		case err != nil:
			return "", true, err
		}
		text, said = text+"\n"+next, said+"\n"+next
	}
}

// remember adds a text to the history of the editor.
func (t *talk) remember(text string, err error) {
	if t.editor == nil || err != nil || strings.TrimSpace(text) == "" {
		return
	}
	if err := t.editor.History.Add(text); err != nil {
		t.note("(the history is not kept: %v)", err)
	}
}

// prompt says whose turn it is.
func (t *talk) prompt() string {
	if len(t.calls) > 0 {
		return cli.Printable(strings.ReplaceAll(t.calls[0].Name, "\n", " ")) + " returns> "
	}
	return "> "
}

// line takes a command, a turn, or what a tool returns.
func (t *talk) line(ctx context.Context, text string, literal bool) error {
	if !literal {
		paths, rest := dropped(text)
		for _, path := range paths {
			if err := t.attach(ctx, anyKind, path, true); err != nil {
				return err
			}
		}
		if len(paths) > 0 {
			text, literal = rest, true
		}
	}
	switch {
	case !literal && strings.HasPrefix(text, "/"):
		return t.command(ctx, text)
	case strings.TrimSpace(text) == "" && !spoken(t.parts):
		return nil
	case len(t.calls) == 0:
		parts := t.parts
		t.parts = nil
		return t.turn(ctx, message(parts, text))
	}
	t.results = append(t.results, chat.Message{Role: "tool", ToolCallID: t.calls[0].ID, Name: t.calls[0].Name, Content: text})
	if t.calls = t.calls[1:]; len(t.calls) > 0 {
		return nil
	}
	results := t.results
	t.results = nil
	return t.turn(ctx, results...)
}

// turn adds messages and prints the answer.
func (t *talk) turn(ctx context.Context, messages ...chat.Message) (err error) {
	t.kept = false
	answering, cancel := context.WithCancel(ctx)
	defer cancel()
	if t.editor != nil {
		defer t.editor.OnInterrupt(cancel)()
	}
	t.calls, err = t.Answer(t.chat.Send(answering, messages...), t.thoughts)
	r := t.chat.Result()
	if r.Dropped > 0 {
		t.note("(the context was full: the oldest %d messages are forgotten)", r.Dropped)
	}
	t.showLoosened(r.Loosened)
	t.statistics(r, err)
	switch stopped := errors.Is(err, context.Canceled); {
	case err != nil && !stopped:
		return err
	case stopped:
		t.note("(stopped)")
	case r.Reason != gemma4.ReasonEnd && !t.stats:
		t.note("(ended by: %v)", r.Reason)
	}
	if err := t.save(); err != nil {
		return err
	}
	return ctx.Err()
}

// statistics shows how an answer went, if that is asked for.
func (t *talk) statistics(r gemma4.Result, err error) {
	if !t.stats || err != nil && !errors.Is(err, context.Canceled) {
		return
	}
	t.note("(prompt %d tokens, %d of them known, prefill %.1f tokens/s; answer %d tokens, decode %.1f tokens/s%s; seed %d; ended by: %v)",
		r.Reused+r.Prompt, r.Reused, r.PromptSpeed(), r.Generated, r.GenerateSpeed(), drafted(r.Drafts), r.Seed, r.Reason)
}

// pipe is lines as they come, from a terminal too if it can no more.
type pipe struct {
	lines   chan string
	err     error     // valid when lines is closed
	prompts io.Writer // may be nil
}

func newPipe(r io.Reader, stderr io.Writer) *pipe {
	p := &pipe{lines: make(chan string)}
	if cli.IsTerminal(r) {
		p.prompts = stderr
	}
	go func() {
		defer close(p.lines)
		in := bufio.NewReader(r)
		for {
			text, err := in.ReadString('\n')
			if text != "" {
				p.lines <- strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
			}
			if err != nil {
				p.err = err
				return
			}
		}
	}()
	return p
}

func (p *pipe) Read(ctx context.Context, prompt string) (string, error) {
	if p.prompts != nil {
		io.WriteString(p.prompts, prompt)
	}
	text, ok := "", false
	select {
	case text, ok = <-p.lines:
	case <-ctx.Done():
	}
	switch {
	case ctx.Err() != nil: // also if there is a line: it is not to be taken any more
		return "", ctx.Err()
	case !ok:
		return "", p.err
	}
	return text, nil
}
