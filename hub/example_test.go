package hub_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/hub"
)

// A model is fetched by its name, unless it is on this machine, and opened.
func Example() {
	m, err := new(hub.Hub).Pull(context.Background(), "e2b", hub.With{Projector: true})
	if err != nil {
		log.Fatal(err)
	}
	model, err := gemma4.Open(m.Files...)
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
}

// What has to be on this machine already is only looked for.
func ExampleHub_Find() {
	h := hub.Hub{Home: "testdata/none", Caches: []hub.Cache{}}
	_, err := h.Find(context.Background(), "e2b")
	fmt.Println(errors.Is(err, hub.ErrNotFound))
	// Output: true
}
