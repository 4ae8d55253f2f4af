// Command gemma4 runs Google's Gemma 4 models: it answers, holds conversations, measures, and looks into files.
//
//	go run ./cmd/gemma4 run "What is the capital of France?"
//	go run ./cmd/gemma4 help
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

func main() { os.Exit(dispatch(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// command is one of gemma4's: a function of its arguments and streams to an exit status.
type command struct {
	name, does string
	run        func(args []string, stdin io.Reader, stdout, stderr io.Writer) int
}

func commands() []command {
	return []command{
		{"run", "answer a prompt, or hold a conversation", runRun},
		{"inspect", "show what is in a GGUF file", runInspect},
		{"tokenize", "cut text into tokens, or make text of tokens", runTokenize},
		{"perplexity", "measure how well a model foretells a text", runPerplexity},
		{"bench", "measure how fast models read and write", runBench},
		{"version", "show version, commit, kernels and cores", runVersion},
		{"help", "explain a command", runHelp},
	}
}

// dispatch runs the command that args begin with.
func dispatch(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, help())
		return 2
	}
	name := strings.TrimLeft(args[0], "-")
	if name != args[0] { // -h, --help, -version: only what is asked before there is a command
		switch name {
		case "h":
			name = "help"
		case "help", "version":
		default:
			name = args[0]
		}
	}
	for _, c := range commands() {
		if c.name == name {
			return c.run(args[1:], stdin, stdout, stderr)
		}
	}
	fmt.Fprintf(stderr, "gemma4: %q is no command\nusage: gemma4 COMMAND …\ngemma4 help lists the commands\n", args[0])
	return 2
}

func help() string {
	var b strings.Builder
	b.WriteString("gemma4 runs Google's Gemma 4 models from GGUF files. Without a file it runs the small model that it comes with.\n\n" +
		"usage: gemma4 COMMAND [flags] …\n\ncommands:\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-12s%s\n", c.name, c.does)
	}
	b.WriteString(`
examples:
  gemma4 run "What is the capital of France?"
  gemma4 run -m gemma-4-E2B-it-Q4_K_M.gguf
  cat notes.txt | gemma4 run -m gemma-4-E2B-it-Q4_K_M.gguf "Summarise this."

gemma4 COMMAND -h explains a command and its flags. GEMMA4_CPU=portable|avx2|avx512|amx|neon|dotprod|i8mm caps the kernels.
`)
	return b.String()
}

func runHelp(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] != "help" {
		return dispatch([]string{args[0], "-h"}, stdin, stdout, stderr)
	}
	if _, err := io.WriteString(stdout, help()); err != nil {
		fmt.Fprintln(stderr, "gemma4 help:", err)
		return 1
	}
	return 0
}
