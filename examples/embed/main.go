// Program embed prints how near texts are to the first: the cosine of their embeddings, the means of the model's last hidden states.
// Gemma 4 was not trained to make embeddings: these tell subjects and kinds of sentences apart, but a model made for it does better.
//
//	go run ./examples/embed "What is 7 + 8?" "What is 2 + 3?" "The code of Mia is 4821."
//
// prints "0.9  What is 2 + 3?" and "0.4  The code of Mia is 4821."; with -m FILE another model compares.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"math"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/nano"
)

var file = flag.String("m", "", "GGUF `file` of a model (default: the embedded one)")

func main() {
	flag.Parse()
	m, err := nano.OpenOr(*file) // or gemma4.Open(*file)
	check(err)
	defer m.Close()
	s, err := m.NewSession(gemma4.SessionOptions{})
	check(err)
	defer s.Close()
	var first []float32
	for i, text := range flag.Args() {
		v, err := s.Embed(context.Background(), m.Tokenizer().WithBOS(m.Tokenizer().Encode(text, false)))
		check(err)
		if i == 0 {
			first = v
			continue
		}
		fmt.Printf("%.1f  %s\n", cosine(first, v), text)
	}
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(aa*bb)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
