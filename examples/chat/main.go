// Program chat talks at the terminal: answers are printed while they are written, Ctrl-C stops one, Ctrl-D ends the program.
//
//	go run ./examples/chat
//
// prints "The capital of Japan is Tokyo." when asked "What is the capital of Japan?"; with -m FILE another model answers.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/nano"
)

var file = flag.String("m", "", "GGUF `file` of a model (default: the embedded one)")

func main() {
	flag.Parse()
	m, err := nano.OpenOr(*file) // or gemma4.Open(*file)
	check(err)
	defer m.Close()
	c, err := m.NewChat(gemma4.ChatOptions{Full: gemma4.FullDrop}) // a full context drops the oldest turns
	check(err)
	defer c.Close()
	in := bufio.NewScanner(os.Stdin)
	for fmt.Print("> "); in.Scan(); fmt.Print("\n> ") {
		check(answer(c, in.Text()))
	}
	check(in.Err())
}

// answer prints the answer, or as much of it as there is when Ctrl-C comes.
func answer(c *gemma4.Chat, question string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for tok, err := range c.Ask(ctx, question) {
		if err != nil && ctx.Err() == nil {
			return err
		}
		fmt.Print(tok.Text)
	}
	return nil
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
