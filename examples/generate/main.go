// Command generate answers one prompt.
//
//	go run ./examples/generate "What is the capital of France?"
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/examples/internal/cli"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

const about = `
Answers one prompt, given as arguments or on standard input. The answer goes to standard output, tokens per second and
the seed to standard error. With -raw the prompt is continued as it is, with a BOS token in front; markup such as
<|turn> is parsed then. Thoughts (-think) are shown dimmed on a terminal and left out elsewhere. Ctrl-C stops.`

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := cli.New("generate", "[flags] [prompt]", about, stdin, stdout, stderr)
	model, session, sampling := p.ModelFlags(), p.SessionFlags(), p.SamplingFlags()
	n := p.Count("n", "most `tokens` to generate (default: as many as the context holds)")
	raw := p.Bool("raw", false, "no chat template: continue the prompt as it is")
	system := p.String("system", "", "`instruction` that stands before the prompt")
	think := p.Bool("think", false, "let the model think before it answers")

	return p.Run(args, func() error {
		if *raw && (*system != "" || *think) {
			return cli.Wrong("-raw has no turns: -system and -think do not go with it")
		}
		prompt, err := p.Input()
		if err != nil {
			return err
		}
		if strings.TrimSpace(prompt) == "" {
			return errors.New("the prompt is empty: give it as an argument or on standard input")
		}
		m, err := model.Open()
		if err != nil {
			return err
		}
		defer m.Close()
		o := gemma4.GenerateOptions{Sampling: sampling.Overrides, MaxTokens: *n}
		c, err := m.NewChat(gemma4.ChatOptions{SessionOptions: *session, GenerateOptions: o, System: *system, Thinking: *think})
		if err != nil {
			return err
		}
		defer c.Close()

		ctx, stop := cli.Interruptible()
		defer stop()
		answer := c.Ask(ctx, prompt)
		if *raw {
			tok := m.Tokenizer()
			ids := tok.WithBOS(tok.Encode(prompt, true))
			answer = c.Session().Generate(ctx, []gemma4.Input{{Tokens: ids}}, o)
		}
		thoughts := cli.HideThoughts
		if p.Terminal() {
			thoughts = cli.ShowThoughts
		}
		_, err = p.Answer(answer, thoughts)
		if r := c.Result(); err == nil || errors.Is(err, context.Canceled) {
			fmt.Fprintf(stderr, "prompt %d tokens, %.1f tokens/s; answer %d tokens, %.1f tokens/s; seed %d; ended by: %v\n",
				r.Prompt, r.PromptSpeed(), r.Generated, r.GenerateSpeed(), r.Seed, r.Reason)
		}
		return err
	})
}
