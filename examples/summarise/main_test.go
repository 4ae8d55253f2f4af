package main

import "os"

func Example() {
	os.Args = []string{"summarise", "-context", "100", "-task", "What is the code of Leo?", "notes.txt"}
	main()
	// Output: The code of Leo is 7730.
}
