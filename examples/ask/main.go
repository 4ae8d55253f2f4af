// Program ask asks the embedded model a question: all that it takes to use gemma4.
//
//	go run ./examples/ask "What is the capital of France?"
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/nano"
)

func main() {
	m, err := nano.Open() // or gemma4.Open("gemma-4-E2B-it-Q4_K_M.gguf")
	check(err)
	c, err := m.NewChat(gemma4.ChatOptions{})
	check(err)
	for tok, err := range c.Ask(context.Background(), strings.Join(os.Args[1:], " ")) {
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
