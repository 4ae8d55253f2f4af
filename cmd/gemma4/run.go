package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
Answers a prompt: the arguments, joined by spaces. Text from a pipe or a file on standard input goes before it; if the prompt is
"-", that text is the prompt. Without a prompt it holds a conversation: with a line editor at a terminal, otherwise one turn per
line. /help lists the commands of a conversation.

Pictures and videos (-image, -video) go before the prompt, sounds (-audio) behind it; a sound without a prompt is what is said, and
answered. In a conversation they go with the first message; /image FILE, /audio FILE and /video FILE, or files dropped into the
terminal, with the next. A model that takes none of them is an error.

The answer goes to standard output, everything else to standard error. Thoughts (-think) are dimmed, and left out where no
terminal shows them. Ctrl-C stops an answer or clears the line; twice on an empty line it quits.

With -schema, -grammar or -regex every answer has that form, whatever the model is inclined to; a thought comes before it. It is a
failure if -n or a full context ends a single answer before its form ends. A keyword of a schema that cannot be enforced is an
error, unless -loose leaves it out.

Tools (-tools) are a list as in the OpenAI API: [{"type":"function","function":{"name":"get_weather","description":"…","parameters":
{a schema}}}]. They are called in the form and with the arguments that they declare; keywords of their schemas that cannot be
enforced are named on standard error, unless a tool is "strict": then they are an error. Each call is a line of JSON on standard
output, {"name":"get_weather","arguments":{"city":"Oslo"}}, and in a conversation the next line is taken for what the tool returns.

With -session the conversation is saved to a file after every turn and resumed from it, with its instruction, tools and thinking;
what another program has written there meanwhile is never overwritten. With -raw the prompt is continued as it stands, after a BOS
token, and markup such as <|turn> is parsed.`,
		Examples: `
gemma4 run "What is the capital of France?"
gemma4 run -m gemma-4-E2B-it-Q4_K_M.gguf
cat notes.txt | gemma4 run -m model.gguf -temp 0 "Summarise this."
gemma4 run -m gemma-4-E2B-it-Q4_K_M.gguf -image photo.jpg -budget high "What does the sign say?"
gemma4 run -m gemma-4-E2B-it-Q4_K_M.gguf -mmproj mmproj-F16.gguf -audio question.wav
gemma4 run -m model.gguf -session talk.gguf -memory 2GB -think
gemma4 run -m model.gguf -lora poems.gguf:0.8
gemma4 run -schema person.json "Make JSON: Olga is 44 years old and lives in Rome."
gemma4 run -tools tools.json -tool-choice required "What is 12 times 34?" | jq .arguments
gemma4 run -m model.gguf -raw -n 100 "Once upon a time"`,
		Define: defineRun,
	}
}

func defineRun(p *cli.Program) func() error {
	t := &talk{Program: p}
	t.model = p.ModelFlags()
	p.ProjectorFlag(t.model)
	p.DraftFlag(t.model)
	adapterFlag(p, &t.adapters, "with which the model answers, all of them together (default: those that it comes with)")
	p.Group("pictures and sounds")
	for _, kind := range []struct{ name, kind, what string }{
		{"image", picture, "picture: JPEG, PNG, GIF, WebP, BMP or TIFF"},
		{"audio", audio, "sound: WAV, MP3, FLAC or Opus"},
		{"video", video, "video: animated GIF or WebP, or Motion JPEG in AVI, MP4 or MOV; of longer ones 60 pictures are seen"},
	} {
		p.Func(kind.name, "`file` of a "+kind.what+"; may be repeated", func(path string) error {
			if path == "" {
				return errors.New("expected a file")
			}
			t.given = append(t.given, given{kind.kind, path})
			return nil
		})
		p.Values(kind.name, cli.Values{Files: "*"})
	}
	t.files.flags(p)
	session := p.SessionFlags("the model's, allocated as needed")
	t.sampling = p.SamplingFlags()
	p.Group("chat")
	var template string
	p.StringVar(&t.options.System, "system", "", "`instruction` before the conversation")
	p.BoolVar(&t.options.Thinking, "think", false, "let the model think before it answers")
	t.thinkTokens = p.Count("think-tokens", "maximum `tokens` per thought (default: those of the answer)")
	p.ChoiceVar(&t.options.Full, "full", gemma4.FullStop,
		"`policy` when the context is full: stop the answer, drop the oldest turns, or fail with an error", "stop", "drop", "error")
	p.FileVar(&t.file, "session", "`file` that the conversation is saved to and resumed from")
	p.FileVar(&template, "template", "`file` with a chat template to use instead of the model's")
	p.Func("var", "`NAME=JSON` for the template, such as preserve_thinking=true; may be repeated", t.variable)
	raw := p.Bool("raw", false, "no chat template: continue the prompt as it stands")
	history := p.String("history", historyFile(), "`file` that keeps what was typed, for the arrow keys; empty: none")
	p.Values("history", cli.Values{Files: "*"})
	t.formFlags()
	p.Group("output")
	t.most = p.Count("n", "maximum `tokens` per answer (default: what the context holds)")
	p.BoolVar(&t.guard, "repeat-guard", true, "end an answer that repeats itself and would never stop")
	p.BoolVar(&t.thoughts, "thoughts", p.Terminal(), "show thoughts (default: only if the output is a terminal)")
	p.BoolVar(&t.stats, "stats", false, "after each answer show the speed of prefill and decode, the seed, and why it ended")

	return func() error {
		if *raw {
			if err := t.noTurns(); err != nil {
				return err
			}
		}
		t.options.SessionOptions = *session
		if template != "" {
			if err := t.readTemplate(template); err != nil {
				return err
			}
		}
		if err := t.readForm(); err != nil {
			return err
		}
		says := slices.ContainsFunc(t.given, func(g given) bool { return g.kind == audio })
		if p.NArg() == 0 && !*raw && !says {
			return t.open(func() error { return t.converse(*history) })
		}
		if words := p.Args(); len(words) > 1 && len(t.given) == 0 && namesMedia(words[0]) {
			return cli.Wrong("%s is a file: name it with -image, -audio or -video, before the prompt", words[0])
		}
		if words := p.Args(); t.model.Path == "" && len(words) > 0 && namesModel(words[0]) {
			return cli.Wrong("%s is the name of a model: gemma4 run -m %[1]s runs it", words[0])
		}
		prompt, err := t.question(says)
		if err != nil {
			return err
		}
		if strings.TrimSpace(prompt) == "" && !says {
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
			if err := t.attachGiven(ctx, false); err != nil {
				return err
			}
			if len(t.calls) > 0 && len(t.parts) > 0 {
				return fmt.Errorf("%s: what the tool %s returns is expected next, and has no pictures and sounds", t.file, t.calls[0].Name)
			}
			return cmp.Or(t.line(ctx, prompt, true), t.formed(t.chat.Result()))
		})
	}
}

// namesModel reports whether the first word behind the command is meant as other programs have it there: as the name of a model.
func namesModel(word string) bool {
	if strings.ContainsAny(word, " \t\n") {
		return false
	}
	short, _, _ := strings.Cut(word, ":")
	_, repository, _ := strings.Cut(strings.ToLower(short), "/")
	return slices.Contains(cli.ShortNames(), strings.ToLower(short)) || strings.HasPrefix(word, "ollama:") ||
		strings.HasSuffix(strings.ToLower(word), ".gguf") || strings.HasSuffix(repository, "-gguf")
}

// noTurns refuses flags that are about turns.
func (t *talk) noTurns() error {
	var given []string
	t.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "audio", "free-calls", "full", "history", "image", "session", "system", "template", "think", "thoughts", "tool-choice",
			"tools", "var", "video":
			given = append(given, "-"+f.Name)
		}
	})
	if len(given) > 0 {
		return cli.Wrong("-raw has no turns: it goes without %s", strings.Join(given, ", "))
	}
	return nil
}

// historyFile returns where the history is kept unless the user says otherwise, nowhere if there is no home.
func historyFile() string {
	folder, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(folder, "gemma4", "history")
}

// question returns the prompt: the arguments behind what stands on standard input, unless that is a keyboard; none if a sound says it.
func (t *talk) question(says bool) (string, error) {
	words := t.Args()
	if len(words) == 0 && says {
		return "", nil
	}
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
	return cmp.Or(err, t.formed(s.Result()))
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
		return fmt.Errorf("%s: is not a chat template: it does not mention messages", file)
	}
	t.templateText = string(text)
	return nil
}
