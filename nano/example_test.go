package nano_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/sampler"
)

func ExampleOpen() {
	m, err := nano.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	c, err := m.NewChat(gemma4.ChatOptions{GenerateOptions: gemma4.GenerateOptions{Sampling: sampler.Overrides{Temperature: new(0.0)}}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for _, question := range []string{"What is 12 + 7?", "What is 'moon' in Italian?",
		"Make JSON: Olga is 44 years old and lives in Rome."} {
		answer, err := c.Answer(context.Background(), question)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(answer.Content)
		c.Messages = nil // each question by itself
	}
	// Output:
	// 12 + 7 = 19
	// luna
	// {"name": "Olga", "age": 44, "city": "Rome"}
}

// The file is a GGUF like any other, for anything that reads those.
func ExampleGGUF() {
	f, err := gguf.OpenBytes(nano.GGUF())
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	layers, err := f.Metadata.Int("gemma4.block_count")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(layers, "layers,", len(f.Tensors), "tensors")
	// Output: 8 layers, 130 tensors
}
