// Command chat holds a conversation with the model at the terminal.
//
//	go run ./examples/chat
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/examples/internal/cli"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

const about = `
A conversation with the model: one line, one turn. It also works with lines from a pipe. Ctrl-C stops the answer, twice
at the prompt it ends the program, and so does the end of the input. Thoughts are shown dimmed, tool calls as
[call] name(arguments): the next line is then what the tool returns. With -session the conversation is kept in a file after
every turn and goes on where it was; the system instruction, the tools and thinking are kept, too. /help lists the commands.`

const help = `/help          this list
/clear         forget the conversation
/think         thinking before answers: on or off
/system TEXT   the instruction before the conversation; without TEXT: none
/quit          the end; so are Ctrl-D, and Ctrl-C twice
A line that begins with a space is never a command.`

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := cli.New("chat", "[flags]", about, stdin, stdout, stderr)
	model, session, sampling := p.ModelFlags(), p.SessionFlags(), p.SamplingFlags()
	n := p.Count("n", "most `tokens` per answer (default: as many as the context holds)")
	system := p.String("system", "", "`instruction` that stands before the conversation")
	think := p.Bool("think", false, "let the model think before it answers")
	file := p.String("session", "", "`file` that keeps the conversation")
	var full gemma4.Full
	p.TextVar(&full, "full", gemma4.FullStop, "`policy` when the context is full: stop the answer, drop the oldest turns, or end with an error")
	tools := p.String("tools", "", "JSON `file` with the tools that the model may call, an array as in the OpenAI API")

	return p.Run(args, func() error {
		if p.NArg() > 0 {
			return cli.Wrong("unexpected argument %q: what you say comes on standard input", p.Arg(0))
		}
		o := gemma4.ChatOptions{SessionOptions: *session, System: *system, Thinking: *think, Full: full}
		if *tools != "" {
			text, err := os.ReadFile(*tools)
			if err != nil {
				return err
			}
			if err := json.Unmarshal(text, &o.Tools); err != nil {
				return fmt.Errorf("%s: %w", *tools, err)
			}
		}
		m, err := model.Open()
		if err != nil {
			return err
		}
		defer m.Close()
		o.GenerateOptions = gemma4.GenerateOptions{Sampling: sampling.Overrides, MaxTokens: *n}
		t := &talk{Program: p, file: *file, interactive: cli.IsTerminal(stdin), interrupts: make(chan os.Signal, 1)}
		if err := t.begin(m, o); err != nil {
			return err
		}
		defer t.chat.Close()
		signal.Notify(t.interrupts, os.Interrupt)
		defer signal.Stop(t.interrupts)
		if t.interactive {
			t.note("%s; /help lists the commands", m.Info().Name)
			if n := len(t.chat.Messages); n > 0 {
				t.note("%s holds %d messages", *file, n)
			}
		}
		return t.hold()
	})
}

// talk is a running conversation.
type talk struct {
	*cli.Program
	chat        *gemma4.Chat
	file        string // that keeps it, may be empty
	interactive bool   // somebody sits at the keyboard
	interrupts  chan os.Signal
	calls       []chat.Call    // whose answers are awaited
	results     []chat.Message // the answers so far
}

// begin goes on with the conversation in the file, or begins a new one.
func (t *talk) begin(m *gemma4.Model, o gemma4.ChatOptions) (err error) {
	if t.file != "" {
		t.chat, err = m.RestoreChat(t.file, o)
		if err == nil && len(t.chat.Messages) > 0 {
			t.calls = t.chat.Messages[len(t.chat.Messages)-1].ToolCalls
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if t.chat, err = m.NewChat(o); err != nil {
		return err
	}
	return t.save() // what cannot be kept is known before anything is said
}

func (t *talk) save() error {
	if t.file == "" {
		return nil
	}
	return t.chat.Save(t.file)
}

// note tells the user something that is no part of the conversation.
func (t *talk) note(format string, args ...any) {
	fmt.Fprintln(t.Err, cli.Printable(fmt.Sprintf(format, args...)))
}

// hold takes lines until they end. What fails in a turn ends it only if nobody is there to react.
func (t *talk) hold() error {
	lines, done := make(chan string), make(chan struct{})
	defer close(done)
	scanner := bufio.NewScanner(t.In)
	scanner.Buffer(nil, 64<<20)
	go func() {
		defer close(lines)
		for scanner.Scan() {
			select {
			case lines <- scanner.Text():
			case <-done:
				return
			}
		}
	}()
	for presses := 0; presses < 2; {
		t.prompt()
		select {
		case <-t.interrupts:
			if presses++; presses == 1 {
				t.note("\nCtrl-C again, or /quit, ends the program")
			}
		case line, ok := <-lines:
			if presses = 0; line == "/quit" {
				return nil
			}
			if !ok {
				if t.interactive {
					t.note("") // the shell's prompt on a line of its own
				}
				return scanner.Err()
			}
			if err := t.line(line); err != nil && !t.interactive {
				return err
			} else if err != nil {
				t.Complain(err)
			}
		}
	}
	t.note("")
	return nil
}

// prompt says whose turn it is.
func (t *talk) prompt() {
	switch {
	case !t.interactive:
	case len(t.calls) > 0:
		fmt.Fprintf(t.Err, "%s returns> ", cli.Printable(t.calls[0].Name))
	default:
		fmt.Fprint(t.Err, "> ")
	}
}

// line takes a command, a turn, or what a tool returns.
func (t *talk) line(line string) error {
	command, rest, _ := strings.Cut(line, " ")
	switch {
	case command == "/help":
		t.note("%s", help)
	case command == "/clear":
		t.chat.Messages, t.calls, t.results = nil, nil, nil
		return t.save()
	case command == "/think":
		t.chat.Options.Thinking = !t.chat.Options.Thinking
		t.note("thinking: %v", t.chat.Options.Thinking)
		return t.save()
	case command == "/system":
		t.chat.Options.System = strings.TrimSpace(rest)
		return t.save()
	case strings.HasPrefix(command, "/"):
		t.note("%s is no command; /help lists them", command)
	case strings.TrimSpace(line) == "":
	case len(t.calls) > 0:
		t.results = append(t.results, chat.Message{Role: "tool", ToolCallID: t.calls[0].ID, Name: t.calls[0].Name, Content: line})
		if t.calls = t.calls[1:]; len(t.calls) == 0 {
			results := t.results
			t.results = nil
			return t.turn(results...)
		}
	default:
		return t.turn(chat.Message{Role: "user", Content: line})
	}
	return nil
}

// turn adds messages and prints the answer. Ctrl-C stops it.
func (t *talk) turn(messages ...chat.Message) (err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-t.interrupts:
			cancel()
		case <-ctx.Done():
		}
	}()
	t.calls, err = t.Answer(t.chat.Send(ctx, messages...), cli.ShowThoughts)
	r := t.chat.Result()
	if r.Dropped > 0 {
		t.note("(the context was full: the oldest %d messages are forgotten)", r.Dropped)
	}
	switch {
	case errors.Is(err, context.Canceled):
		t.note("(stopped)")
		return t.save()
	case err != nil:
		return err
	case r.Reason != gemma4.ReasonEnd:
		t.note("(ended by: %v)", r.Reason)
	}
	return t.save()
}
