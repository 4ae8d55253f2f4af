package hub_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/hub"
)

// A model is found by its name, fetched if it is not on this machine, and opened.
func Example() {
	open := func(ctx context.Context, name string) (*gemma4.Model, error) {
		m, err := new(hub.Hub).Pull(ctx, name, hub.With{Projector: true})
		if err != nil {
			return nil, err
		}
		return gemma4.Open(m.Files...)
	}
	_, err := open(context.Background(), "no-model")
	fmt.Println(err != nil)
	// Output: true
}

// What has to be on the machine already is only looked for.
func ExampleHub_Find() {
	h := hub.Hub{Home: "testdata/none", Caches: []hub.Cache{}}
	_, err := h.Find(context.Background(), "e2b")
	fmt.Println(errors.Is(err, hub.ErrNotFound))
	// Output: true
}
