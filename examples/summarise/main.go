// Program summarise makes a short text of one that is longer than the context: it reads parts, each with the summary of those before it.
//
//	go run ./examples/summarise -context 100 -task "What is the code of Ada?" examples/summarise/notes.txt
//
// prints "The code of Ada is 1956.", from a text of 198 tokens: the embedded model can do no more. With -m FILE and no -task another one
// summarises.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/nano"
)

var (
	file = flag.String("m", "", "GGUF `file` of a model (default: the embedded one)")
	size = flag.Int("context", 4096, "`tokens` that the model holds at a time")
	task = flag.String("task", "Summarise this in at most ten sentences.", "`what` to do with the text")
)

func main() {
	flag.Parse()
	text, err := os.ReadFile(flag.Arg(0))
	check(err)
	m, err := nano.OpenOr(*file) // or gemma4.Open(*file)
	check(err)
	defer m.Close()
	c, err := m.NewChat(gemma4.ChatOptions{SessionOptions: gemma4.SessionOptions{Context: *size}, Full: gemma4.FullError})
	check(err)
	defer c.Close()
	part := max(1, c.Session().Context()/2)         // half of the context is for the text, and of the rest
	c.Options.MaxTokens = c.Session().Context() / 8 // a quarter each for the summary so far, the new one, and the task
	c.Options.Sampling.Temperature = new(0.0)       // what the text says, and no variations on it
	tok, summary := m.Tokenizer(), ""
	for ids := tok.Encode(string(text), false); len(ids) > 0; {
		n := min(part, len(ids))
		for n < len(ids) && n > part/2+1 && !strings.ContainsAny(tok.Text(ids[n-1]), ".!?\n") {
			n-- // to where a sentence or line ends
		}
		c.Messages = nil
		answer, err := c.Answer(context.Background(), strings.TrimSpace(summary+"\n"+tok.Decode(ids[:n], false))+"\n"+*task)
		check(err)
		summary, ids = answer.Content, ids[n:]
	}
	fmt.Println(summary)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
