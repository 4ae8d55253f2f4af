package sampler_test

import (
	"fmt"

	"github.com/gogemma/gemma4/sampler"
)

func Example() {
	o := sampler.Default()
	o.Seed = 42
	o.RepeatPenalty = 1.5
	s, err := sampler.New(4, o)
	if err != nil {
		fmt.Println(err)
		return
	}
	logits := []float32{1, 5, 4.5, -2} // a model would write new ones after each id
	for position := range 6 {
		id, err := s.Sample(logits, position)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%d with probability %.2f\n", id, s.Probability(id))
		s.Accept(id)
	}
	// Output:
	// 1 with probability 0.62
	// 2 with probability 0.76
	// 1 with probability 0.55
	// 1 with probability 0.55
	// 0 with probability 0.05
	// 2 with probability 0.42
}

func ExampleTopLogProbs() {
	for _, c := range sampler.TopLogProbs([]float32{1, 5, 4.5, -2}, 2) {
		fmt.Printf("%d %.3f\n", c.ID, c.LogProb)
	}
	// Output:
	// 1 -0.486
	// 2 -0.986
}

// Each field that is set takes the place of the one below it; the others stay.
func ExampleOptions_With() {
	advised := sampler.Default()
	o := advised.With(sampler.Overrides{Temperature: new(0.7), Seed: new(uint64(42))})
	fmt.Println(o.Temperature, o.TopK, o.TopP, o.Seed)
	// Output: 0.7 64 0.95 42
}
