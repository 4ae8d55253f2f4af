package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
)

func runCommand() cli.Command {
	return cli.Command{
		Name:  "run",
		Group: "answers",
		Does:  "answer a prompt, or hold a conversation",
		Args:  "[flags] [prompt]",
		About: `
Answers a prompt, the arguments joined by spaces. A text from a pipe or a file on standard input stands before it; with "-" as
the prompt it is the prompt. Without a prompt it holds a conversation: at a terminal with a line editor, else one line, one
turn. /help lists what else can be said there.

The answer goes to standard output, everything else to standard error. Thoughts (-think) are shown dimmed, tool calls as
[call] name(arguments): what is said next is what the tool returns. Ctrl-C stops an answer, clears a line, and leaves on an
empty one when it is pressed twice. With -session the conversation is kept in a file after every turn and goes on where it
was; the instruction, the tools and thinking are kept, too; what another program has written there meanwhile is never replaced.
With -raw the prompt is continued as it is, with a BOS token in front; markup such as <|turn> is parsed then.`,
		Examples: `
gemma4 run "What is the capital of France?"
gemma4 run -m gemma-4-E2B-it-Q4_K_M.gguf
cat notes.txt | gemma4 run -m model.gguf -temp 0 "Summarise this."
gemma4 run -m model.gguf -session talk.gguf -memory 2GB -think
gemma4 run -m model.gguf -raw -n 100 "Once upon a time"`,
		Define: defineRun,
	}
}

func defineRun(p *cli.Program) func() error {
	t := &talk{Program: p}
	t.model = p.ModelFlags()
	session := p.SessionFlags("as many as the model's, taken as they are needed")
	t.sampling = p.SamplingFlags()
	p.Group("chat")
	var tools, template string
	p.StringVar(&t.options.System, "system", "", "`instruction` that stands before the conversation")
	p.BoolVar(&t.options.Thinking, "think", false, "let the model think before it answers")
	p.FileVar(&tools, "tools", "JSON `file` with the tools that the model may call, an array as in the OpenAI API")
	p.ChoiceVar(&t.options.Full, "full", gemma4.FullStop,
		"`policy` when the context is full: stop the answer, drop the oldest turns, or end with an error", "stop", "drop", "error")
	p.FileVar(&t.file, "session", "`file` that keeps the conversation")
	p.FileVar(&template, "template", "`file` with a chat template that takes the place of the model's")
	p.Func("var", "`NAME=JSON` for the template, such as preserve_thinking=true; may be repeated", t.variable)
	raw := p.Bool("raw", false, "no chat template: continue the prompt as it is")
	history := p.String("history", historyFile(), "`file` that keeps what was typed for the arrow keys; empty: none")
	p.Values("history", cli.Values{Files: "*"})
	p.Group("output")
	t.most = p.Count("n", "most `tokens` per answer (default: as many as the context holds)")
	p.BoolVar(&t.thoughts, "thoughts", p.Terminal(), "show thoughts (default: where the output is a terminal)")
	p.BoolVar(&t.stats, "stats", false, "show tokens per second of prefill and decode, the seed and the reason of the end after each answer")

	return func() error {
		if *raw && (t.options.System != "" || t.options.Thinking || t.file != "" || tools != "" || template != "") {
			return cli.Wrong("-raw has no turns: -system, -think, -session, -tools and -template do not go with it")
		}
		t.options.SessionOptions = *session
		if template != "" {
			if err := t.readTemplate(template); err != nil {
				return err
			}
		}
		if tools != "" {
			text, err := os.ReadFile(tools)
			if err != nil {
				return err
			}
			if err := json.Unmarshal(text, &t.options.Tools); err != nil {
				return fmt.Errorf("%s: expected a JSON array of tools, as in the OpenAI API: %w", tools, err)
			}
		}
		if p.NArg() == 0 && !*raw {
			return t.open(func() error { return t.converse(*history) })
		}
		prompt, err := t.question()
		if err != nil {
			return err
		}
		if strings.TrimSpace(prompt) == "" {
			return errors.New("the prompt is empty: give it as an argument or on standard input")
		}
		return t.open(func() error {
			ctx, stop := cli.Interruptible()
			defer stop()
			if *raw {
				return t.raw(ctx, prompt)
			}
			if err := t.begin(); err != nil {
				return err
			}
			return t.line(ctx, prompt, true)
		})
	}
}

// historyFile returns where the history is kept unless the user says otherwise, nowhere if there is no home.
func historyFile() string {
	folder, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(folder, "gemma4", "history")
}

// question returns the prompt: the arguments behind what stands on standard input, unless that is a keyboard.
func (t *talk) question() (string, error) {
	words := t.Args()
	if len(words) == 0 || len(words) == 1 && words[0] == "-" {
		return t.Text()
	}
	prompt := strings.Join(words, " ")
	if cli.IsTerminal(t.In) {
		return prompt, nil
	}
	text, err := t.Text()
	if text = strings.TrimRight(text, "\r\n"); text == "" {
		return prompt, err
	}
	return text + "\n\n" + prompt, err
}

// raw continues a text that is no conversation.
func (t *talk) raw(ctx context.Context, prompt string) error {
	tok := t.m.Tokenizer()
	ids := tok.WithBOS(tok.Encode(prompt, true))
	s, err := t.m.NewSession(t.options.SessionOptions)
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = t.Answer(s.Generate(ctx, []gemma4.Input{{Tokens: ids}}, t.generation()), false)
	t.statistics(s.Result(), err)
	return err
}

// variable takes a variable for the template.
func (t *talk) variable(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" || !json.Valid([]byte(value)) {
		return errors.New(`expected NAME=JSON, such as preserve_thinking=true or city="\"Oslo\""`)
	}
	if t.options.Variables == nil {
		t.options.Variables = map[string]any{}
	}
	t.options.Variables[name] = json.RawMessage(value)
	return nil
}

func (t *talk) readTemplate(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if t.options.Template, err = chat.Parse(string(text)); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if !bytes.Contains(text, []byte("messages")) { // any text is a template
		return fmt.Errorf("%s: is no chat template: it does not mention messages", file)
	}
	t.templateText = string(text)
	return nil
}
