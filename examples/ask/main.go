// Program ask asks a model a question and prints the answer while it is written: all that it takes to use gemma4.
//
//	go run ./examples/ask "What is the capital of France?"
//
// prints "The capital of France is Paris."; with -m FILE another model answers.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/nano"
)

var file = flag.String("m", "", "GGUF `file` of a model (default: the embedded one)")

func main() {
	flag.Parse()
	question := strings.Join(flag.Args(), " ")
	if question == "" {
		log.Fatal("usage: ask [-m FILE] QUESTION…")
	}
	m, err := nano.OpenOr(*file) // or gemma4.Open(*file)
	check(err)
	defer m.Close()
	c, err := m.NewChat(gemma4.ChatOptions{})
	check(err)
	for tok, err := range c.Ask(context.Background(), question) {
		check(err)
		fmt.Print(tok.Text)
	}
	fmt.Println()
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
