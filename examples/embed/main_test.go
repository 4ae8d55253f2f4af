package main

import "os"

func Example() {
	os.Args = []string{"embed", "What is 7 + 8?", "What is 2 + 3?", "The code of Mia is 4821."}
	main()
	// Output:
	// 0.9  What is 2 + 3?
	// 0.4  The code of Mia is 4821.
}
