// Program fill reads a person out of a sentence into a Go struct, and shows it while the model fills it.
//
//	go run ./examples/fill "Olga is 44 years old and lives in Rome."
//
// prints {Name:Olga Age:44 City:Rome} in its last line; with -m FILE another model reads.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/sampler"
)

// Person is what the model fills in, field by field.
type Person struct {
	Name string `json:"name"`
	Age  int    `json:"age" minimum:"0" maximum:"150"`
	City string `json:"city"`
}

var file = flag.String("m", "", "GGUF `file` of a model (default: the embedded one)")

func main() {
	if flag.Parse(); flag.NArg() != 1 || flag.Arg(0) == "" {
		log.Fatal("usage: fill [-m FILE] SENTENCE")
	}
	m := must(nano.OpenOr(*file)) // or gemma4.Open(*file)
	defer m.Close()
	c := must(m.NewChat(gemma4.ChatOptions{GenerateOptions: gemma4.GenerateOptions{
		Sampling: sampler.Overrides{Temperature: new(0.0)}, MaxTokens: 200,
	}}))
	for person, err := range gemma4.GenerateSeq[Person](context.Background(), c, "Make JSON: "+flag.Arg(0)) {
		must(person, err)
		fmt.Printf("%+v\n", person) // gemma4.Generate returns the last one alone
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
