// Program classify chooses among answers by the probability that the model gives to each as a whole, of however many tokens it is.
//
//	go run ./examples/classify "What is 'cat' in French?" Katze gatto chat
//
// prints "100%  chat" and below it "0%" for the others; with -m FILE another model chooses.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log"
	"slices"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/nano"
)

var file = flag.String("m", "", "GGUF `file` of a model (default: the embedded one)")

func main() {
	flag.Parse()
	if flag.NArg() < 2 {
		log.Fatal("usage: classify [-m FILE] QUESTION ANSWER…")
	}
	m, err := nano.OpenOr(*file) // or gemma4.Open(*file)
	check(err)
	defer m.Close()
	c, err := m.NewChat(gemma4.ChatOptions{})
	check(err)
	defer c.Close()
	answers, err := c.Decide(context.Background(), flag.Args()[1:], chat.Message{Role: "user", Content: flag.Arg(0)})
	check(err)
	slices.SortFunc(answers, func(a, b gemma4.Likelihood) int { return cmp.Compare(b.LogProb, a.LogProb) })
	for _, a := range answers {
		fmt.Printf("%3.0f%%  %s\n", 100*a.Prob, a.Option)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
