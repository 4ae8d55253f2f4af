// Program tools lets a model multiply: a tool is declared, called by the model and answered, until the model needs no more calls.
//
//	go run ./examples/tools "What is 12 times 34?"
//
// prints `multiply {"a":12,"b":34}: 408` and "12 times 34 is 408."; with -m FILE another model answers.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/nano"
)

var file = flag.String("m", "", "GGUF `file` of a model (default: the embedded one)")

func main() {
	if flag.Parse(); flag.NArg() != 1 || flag.Arg(0) == "" {
		log.Fatal("usage: tools [-m FILE] QUESTION")
	}
	m := must(nano.OpenOr(*file)) // or gemma4.Open(*file)
	defer m.Close()
	c := must(m.NewChat(gemma4.ChatOptions{Tools: []chat.Tool{{Name: "multiply", Description: "Multiplies.", Parameters: json.RawMessage(
		`{"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"]}`)}}}))
	messages := []chat.Message{{Role: "user", Content: flag.Arg(0)}}
	for range 5 { // no model calls for ever
		answer := must(gemma4.Collect(c.Send(context.Background(), messages...)))
		if len(answer.ToolCalls) == 0 {
			fmt.Println(answer.Content)
			return
		}
		messages = nil
		for _, call := range answer.ToolCalls {
			result := run(call)
			fmt.Printf("%s %s: %s\n", call.Name, call.Arguments, result)
			messages = append(messages, chat.Message{Role: "tool", ToolCallID: call.ID, Content: result})
		}
	}
	log.Fatal("no answer after 5 rounds of calls")
}

func run(call chat.Call) string {
	var v struct{ A, B int }
	if err := json.Unmarshal(call.Arguments, &v); err != nil || call.Name != "multiply" {
		return "error: only multiply with two integers is there" // for the model to read
	}
	return fmt.Sprint(v.A * v.B)
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
