// Program schema answers in JSON that a JSON schema allows, whatever the model is inclined to; the schema is a file.
//
//	go run ./examples/schema examples/schema/person.json "Make JSON: Olga is 44 years old and lives in Rome."
//
// prints {"name": "Olga", "age": 44, "city": "Rome"}; with -m FILE another model answers.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/nano"
)

var file = flag.String("m", "", "GGUF `file` of a model (default: the embedded one)")

func main() {
	if flag.Parse(); flag.NArg() != 2 || flag.Arg(1) == "" {
		log.Fatal("usage: schema [-m FILE] SCHEMA QUESTION")
	}
	schema := must(os.ReadFile(flag.Arg(0)))
	m := must(nano.OpenOr(*file)) // or gemma4.Open(*file)
	defer m.Close()
	g := must(grammar.Schema(m.Vocabulary(), schema, grammar.SchemaOptions{}))
	c := must(m.NewChat(gemma4.ChatOptions{GenerateOptions: gemma4.GenerateOptions{Grammar: g, MaxTokens: 200}}))
	fmt.Println(must(c.Answer(context.Background(), flag.Arg(1))).Content)
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
