// Program classify chooses among answers by the probability that the model gives to each as a whole, of however many tokens it is.
//
//	go run ./examples/classify "What is 'cat' in French?" Katze gatto chat
//
// prints "100%  chat" and below it "0%" for the others; with -m FILE another model chooses.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"math"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/sampler"
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
	c.Messages = []chat.Message{{Role: "user", Content: flag.Arg(0)}}
	ctx := context.Background()
	prompt, err := c.Prompt(ctx)
	check(err)
	check(c.Session().Read(ctx, gemma4.Input{Tokens: prompt}))
	var scores []float32
	for _, answer := range flag.Args()[1:] {
		ids := m.Tokenizer().Encode(answer+"<turn|>", true) // its end counts: "New" does not win by "New York"
		s, err := c.Session().Fork()
		check(err)
		p := sampler.NewLogProbs(s.Logits(nil)).Of(ids[0])
		check(s.AllLogits(ctx, ids[:len(ids)-1], func(i int, logits []float32) error {
			p += sampler.NewLogProbs(logits).Of(ids[i+1])
			return nil
		}))
		check(s.Close())
		scores = append(scores, float32(p))
	}
	for _, best := range sampler.TopLogProbs(scores, len(scores)) { // the answers share all that they have
		fmt.Printf("%3.0f%%  %s\n", 100*math.Exp(best.LogProb), flag.Arg(1+int(best.ID)))
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
