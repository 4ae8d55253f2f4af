// Program save says one thing in a conversation that is kept in a file, and goes on with it when it is run again.
//
//	go run ./examples/save "The code of Mia is 4821. The code of Leo is 7730. What is the code of Mia?"
//	go run ./examples/save "What is the code of Leo?"
//
// print "The code of Mia is 4821." and "The code of Leo is 7730."; with -talk FILE another conversation is kept, with -m FILE another model
// answers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/nano"
)

var (
	file = flag.String("m", "", "GGUF `file` of a model (default: the embedded one)")
	talk = flag.String("talk", "talk.gguf", "`file` that keeps the conversation")
)

func main() {
	flag.Parse()
	if flag.NArg() != 1 || flag.Arg(0) == "" {
		log.Fatal("usage: save [-talk FILE] [-m FILE] TEXT")
	}
	m, err := nano.OpenOr(*file) // or gemma4.Open(*file)
	check(err)
	defer m.Close()
	c, err := m.RestoreChat(*talk, gemma4.ChatOptions{})
	if errors.Is(err, fs.ErrNotExist) {
		c, err = m.NewChat(gemma4.ChatOptions{})
	}
	check(err)
	defer c.Close()
	for tok, err := range c.Ask(context.Background(), flag.Arg(0)) {
		check(err)
		fmt.Print(tok.Text)
	}
	fmt.Println()
	check(c.Update(*talk)) // appends this turn; a program that is killed before loses no other
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
