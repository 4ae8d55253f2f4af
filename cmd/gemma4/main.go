// Command gemma4 runs Google's Gemma 4 models: it answers, holds conversations, measures, and looks into files.
//
//	go run ./cmd/gemma4 run "What is the capital of France?"
//	go run ./cmd/gemma4 help
package main

import (
	"os"

	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
)

func main() { os.Exit(tool().Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// tool has the commands in the order of the overview; those of one group stand together.
func tool() *cli.Tool {
	return &cli.Tool{
		Name:  "gemma4",
		About: "gemma4 runs Google's Gemma 4 models from GGUF files. Without a file it runs nano, the small model that it comes with.",
		Commands: []cli.Command{
			runCommand(),
			seeCommand(),
			listenCommand(),
			serveCommand(),
			batchCommand(),
			pullCommand(),
			listCommand(),
			showCommand(),
			rmCommand(),
			inspectCommand(),
			quantizeCommand(),
			tokenizeCommand(),
			fitCommand(),
			benchCommand(),
			perplexityCommand(),
			versionCommand(),
		},
		Notes: `
examples:
  gemma4 run "What is the capital of France?"
  gemma4 run -m e2b
  gemma4 run -m gemma-4-E2B-it-Q4_K_M.gguf
  gemma4 see picture.png "How many shapes are there?"
  cat notes.txt | gemma4 run -m gemma-4-E2B-it-Q4_K_M.gguf "Summarise this."

environment:
  GEMMA4_CPU   portable, avx2, avx512, bf16, amx, neon, dotprod or i8mm: the fastest kernels that may be used
  GEMMA4_HOME  the folder of the models that pull fetches
  NO_COLOR     not empty: no dimmed text

exit status: 0 success, 1 failure, 2 wrong command line, 130 interrupted by Ctrl-C. Errors go to standard error.

gemma4 COMMAND -h explains a command and its flags.`,
	}
}
