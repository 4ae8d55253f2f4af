// Package nanotest shows how code that uses a model is tested with the embedded one: [Parse] takes any model, its test gives it nano.
//
//	go test -v ./examples/nanotest
//
// prints that the tests have passed, in a fraction of a second and without a download.
package nanotest

import (
	"context"
	"fmt"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/sampler"
)

// Person is what a sentence says of somebody.
type Person struct {
	Name string `json:"name"`
	Age  int    `json:"age"`
	City string `json:"city"`
}

// Parse reads a sentence such as "Olga is 44 years old and lives in Rome."
func Parse(ctx context.Context, m *gemma4.Model, sentence string) (p Person, err error) {
	c, err := m.NewChat(gemma4.ChatOptions{GenerateOptions: gemma4.GenerateOptions{
		Sampling: sampler.Overrides{Temperature: new(0.0)}, MaxTokens: 100,
	}})
	if err != nil {
		return p, err
	}
	defer c.Close()
	if p, err = gemma4.Generate[Person](ctx, c, "Make JSON: "+sentence); err != nil {
		return p, err
	}
	if !strings.Contains(sentence, p.Name) || !strings.Contains(sentence, p.City) {
		return p, fmt.Errorf("nanotest: the model made up %+v", p)
	}
	return p, nil
}
