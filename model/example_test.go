package model_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/sampler"
	"github.com/gogemma/gemma4/tokenizer"
)

// open opens the embedded model: its graph, on the portable kernels, and its vocabulary.
func open() (*gguf.File, *model.Model, *tokenizer.Tokenizer) {
	f, err := gguf.OpenBytes(nano.GGUF())
	check(err)
	m, err := model.New(f, model.Options{})
	check(err)
	t, err := tokenizer.New(f.Metadata)
	check(err)
	return f, m, t
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// question is a turn of the user and the beginning of the answer.
func question(t *tokenizer.Tokenizer, text string) []int32 {
	return t.WithBOS(t.Encode("<|turn>user\n"+text+"<turn|>\n<|turn>model\n<|channel>thought\n<channel|>", true))
}

// A prompt is prefilled, and the likeliest tokens are decoded, one at a time.
func Example() {
	f, m, t := open()
	defer f.Close()
	defer m.Close()
	s, err := m.NewSequence(model.SequenceOptions{})
	check(err)
	defer s.Close()
	ctx, p := context.Background(), m.NewPass()
	prompt := question(t, "What is the capital of Norway?")
	c := model.Chunk{Sequence: s, Input: []model.Input{{Tokens: prompt}}, Want: func(pos int) bool { return pos == len(prompt)-1 }}
	check(p.Read(ctx, &c))
	logits := c.Logits
	for {
		id := sampler.TopLogProbs(logits, 1)[0].ID
		if t.IsEnd(id) {
			break
		}
		fmt.Print(t.Decode([]int32{id}, false))
		logits, err = p.Write(ctx, s, id)
		check(err)
	}
	fmt.Println()
	fmt.Println(s.Len(), "positions")
	// Output:
	// The capital of Norway is Oslo.
	// 27 positions
}

// Two texts go through the layers together, and each gets the bits that it would get alone.
func ExamplePass_Decode() {
	f, m, t := open()
	defer f.Close()
	defer m.Close()
	ctx, p := context.Background(), m.NewPass()
	var chunks []*model.Chunk
	for _, text := range []string{"What is the capital of Norway?", "What is the capital of Japan?"} {
		s, err := m.NewSequence(model.SequenceOptions{})
		check(err)
		defer s.Close()
		prompt := question(t, text)
		last := len(prompt) - 1
		chunks = append(chunks,
			&model.Chunk{Sequence: s, Input: []model.Input{{Tokens: prompt}}, Want: func(pos int) bool { return pos >= last }})
	}
	answers := make([]string, len(chunks))
	check(p.Prefill(ctx, chunks...))
	for range 7 {
		for i, c := range chunks {
			check(c.Err)
			id := sampler.TopLogProbs(c.Logits, 1)[0].ID
			answers[i] += t.Decode([]int32{id}, false)
			c.Input = []model.Input{{Tokens: []int32{id}}}
		}
		check(p.Decode(ctx, chunks...))
	}
	fmt.Printf("%q\n", answers)
	// Output:
	// ["The capital of Norway is Oslo." "The capital of Japan is Tokyo."]
}

// The shape of a model is what its file says.
func ExampleReadConfig() {
	f, err := gguf.OpenBytes(nano.GGUF())
	check(err)
	defer f.Close()
	c, err := model.ReadConfig(f.Metadata)
	check(err)
	fmt.Println("width", c.Width, "window", c.Window)
	for i, l := range c.Layers {
		fmt.Printf("layer %d: sliding %t, %d heads of %d, keys and values of layer %d\n", i, l.Sliding, l.Heads, l.HeadDim, l.Source)
	}
	// Output:
	// width 256 window 64
	// layer 0: sliding true, 4 heads of 64, keys and values of layer 0
	// layer 1: sliding true, 4 heads of 64, keys and values of layer 1
	// layer 2: sliding true, 4 heads of 64, keys and values of layer 2
	// layer 3: sliding false, 4 heads of 128, keys and values of layer 3
	// layer 4: sliding true, 4 heads of 64, keys and values of layer 2
	// layer 5: sliding true, 4 heads of 64, keys and values of layer 2
	// layer 6: sliding true, 4 heads of 64, keys and values of layer 2
	// layer 7: sliding false, 4 heads of 128, keys and values of layer 3
}
