// Program hear answers a question that was spoken.
//
//	go run ./examples/hear examples/hear/question.wav
//
// prints "The opposite of 'dry' is 'wet'."; with -task Transcribe. it prints "What is the opposite of dry?". With -m FILE another model
// listens, by the projector (mmproj-….gguf) beside it.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/media/sound"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/sampler"
)

var (
	file = flag.String("m", "", "GGUF `file` of a model (default: the embedded one)")
	task = flag.String("task", "", "`what` to do with what is said (default: answer it)")
)

func main() {
	flag.Parse()
	if flag.NArg() != 1 || flag.Arg(0) == "" {
		log.Fatal("usage: hear [-m FILE] [-task WHAT] SOUND")
	}
	clip, err := sound.ReadFile(flag.Arg(0), sound.Options{})
	check(err)
	m, err := nano.OpenOr(*file) // or gemma4.Open(*file)
	check(err)
	defer m.Close()
	likeliest := gemma4.GenerateOptions{Sampling: sampler.Overrides{Temperature: new(0.0)}}
	c, err := m.NewChat(gemma4.ChatOptions{GenerateOptions: likeliest})
	check(err)
	parts := []chat.Part{chat.AudioPart(clip.Samples)}
	if *task != "" {
		parts = []chat.Part{chat.TextPart(*task), parts[0]} // as the models know it, the text first
	}
	for tok, err := range c.Say(context.Background(), parts...) {
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
