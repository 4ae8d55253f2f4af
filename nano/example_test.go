package nano_test

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"log"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
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

// It looks at a drawing, with the budget that it was trained for.
func ExampleOpen_picture() {
	drawing := image.NewRGBA(image.Rect(0, 0, 300, 300))
	blue := image.NewUniform(color.RGBA{R: 50, G: 80, B: 215, A: 255})
	draw.Draw(drawing, drawing.Bounds(), image.White, image.Point{}, draw.Src)
	draw.Draw(drawing, image.Rect(100, 80, 220, 200), blue, image.Point{}, draw.Src)

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
	picture := chat.ImagePart(drawing)
	picture.Budget = chat.LowBudget
	for tok, err := range c.Say(context.Background(), picture, chat.TextPart("What do you see?")) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(tok.Text)
	}
	// Output: A blue square.
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
