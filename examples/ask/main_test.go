package main

import "os"

func Example() {
	os.Args = []string{"ask", "What is the capital of France?"}
	main()
	// Output: The capital of France is Paris.
}
