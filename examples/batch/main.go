// Program batch answers many questions at once, one on each line of a file, in their order.
//
//	go run ./examples/batch examples/batch/questions.txt
//
// prints a line for each, "What is the capital of France?  The capital of France is Paris.", at several times the speed of one after the
// other; with -m FILE another model answers. For files of requests in OpenAI's format there is a command, gemma4 batch.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/nano"
)

var file = flag.String("m", "", "GGUF `file` of a model (default: the embedded one)")

func main() {
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: batch [-m FILE] QUESTIONS")
	}
	text, err := os.ReadFile(flag.Arg(0))
	check(err)
	questions := strings.Split(strings.TrimSpace(string(text)), "\n")
	m, err := nano.OpenOr(*file) // or gemma4.Open(*file)
	check(err)
	defer m.Close()
	q, err := m.NewQueue(gemma4.QueueOptions{Waiting: len(questions)}) // eight are answered at a time
	check(err)
	defer q.Close()
	answers := make([]chan string, len(questions))
	for i, question := range questions {
		pieces, err := q.Submit(context.Background(), gemma4.Request{Messages: []chat.Message{{Role: "user", Content: question}}})
		check(err)
		answers[i] = make(chan string, 1)
		go func() {
			choices, err := gemma4.CollectChoices(pieces)
			check(err)
			answers[i] <- choices[0].Message.Content
		}()
	}
	for i, question := range questions {
		fmt.Printf("%s  %s\n", question, <-answers[i])
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
