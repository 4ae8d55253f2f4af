package main

import (
	"log"
	"os"
)

func Example() {
	in, typed, err := os.Pipe()
	if err != nil {
		log.Fatal(err)
	}
	typed.WriteString("The code of Mia is 4821. The code of Leo is 7730. What is the code of Mia?\nWhat is the code of Leo?\n")
	typed.Close()
	os.Args, os.Stdin = []string{"chat"}, in
	main()
	// Output:
	// > The code of Mia is 4821.
	// > The code of Leo is 7730.
	// >
}
