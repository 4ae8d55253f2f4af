// Program see asks a model about a picture.
//
//	go run ./examples/see examples/see/shapes.png "What do you see?"
//
// prints "A yellow triangle and a red triangle."; with -m FILE another model looks, by the projector (mmproj-….gguf) beside it.
// The embedded one was made for a budget of 70 tokens; others see smaller things with more.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/media"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/sampler"
)

var (
	file   = flag.String("m", "", "GGUF `file` of a model (default: the embedded one)")
	budget = chat.LowBudget
)

func main() {
	flag.TextVar(&budget, "budget", budget, "`tokens` that the picture may take: 70, 140, 280, 560, 1120 or auto")
	flag.Parse()
	if flag.NArg() < 2 {
		log.Fatal("usage: see [-m FILE] [-budget TOKENS] PICTURE QUESTION…")
	}
	picture, err := media.OpenPicture(flag.Arg(0), media.Options{})
	check(err)
	m, err := nano.OpenOr(*file) // or gemma4.Open(*file)
	check(err)
	defer m.Close()
	likeliest := gemma4.GenerateOptions{Sampling: sampler.Overrides{Temperature: new(0.0)}}
	c, err := m.NewChat(gemma4.ChatOptions{GenerateOptions: likeliest})
	check(err)
	shown := chat.Part{Type: "image", Image: picture, Budget: budget}
	for tok, err := range c.Say(context.Background(), shown, chat.TextPart(strings.Join(flag.Args()[1:], " "))) {
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
