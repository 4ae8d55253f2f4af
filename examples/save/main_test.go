package main

import (
	"log"
	"os"
	"path/filepath"
)

func Example() {
	folder, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	talk := filepath.Join(folder, "talk.gguf")
	for _, text := range []string{"The code of Mia is 4821. The code of Leo is 7730. What is the code of Mia?",
		"What is the code of Leo?"} {
		os.Args = []string{"save", "-talk", talk, text}
		main()
	}
	// Output:
	// The code of Mia is 4821.
	// The code of Leo is 7730.
}
