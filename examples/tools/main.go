// Program tools lets a model multiply: it calls a Go function, reads what that returns, and answers.
//
//	go run ./examples/tools "What is 12 times 34?"
//
// prints "12 × 34 = 408" and "12 times 34 is 408."; with -m FILE another model answers.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/nano"
)

// factors are the arguments, as the model is told of them.
type factors struct {
	A int32 `json:"a"`
	B int32 `json:"b"`
}

// multiply is the tool. An error would be told to the model.
func multiply(_ context.Context, f factors) (int64, error) {
	product := int64(f.A) * int64(f.B)
	fmt.Printf("%d × %d = %d\n", f.A, f.B, product)
	return product, nil
}

var file = flag.String("m", "", "GGUF `file` of a model (default: the embedded one)")

func main() {
	if flag.Parse(); flag.NArg() != 1 || flag.Arg(0) == "" {
		log.Fatal("usage: tools [-m FILE] QUESTION")
	}
	m := must(nano.OpenOr(*file)) // or gemma4.Open(*file)
	defer m.Close()
	tools := []chat.Tool{must(gemma4.Tool("multiply", "Multiplies.", multiply))}
	c := must(m.NewChat(gemma4.ChatOptions{Tools: tools}))
	for tok, err := range c.Run(context.Background(), flag.Arg(0)) {
		fmt.Print(must(tok, err).Text)
	}
	fmt.Println()
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
