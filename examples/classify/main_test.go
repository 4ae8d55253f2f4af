package main

import "os"

func Example() {
	os.Args = []string{"classify", "What is 'cat' in French?", "Katze", "gatto", "chat"}
	main()
	// Output:
	// 100%  chat
	//   0%  Katze
	//   0%  gatto
}

// Of two answers that begin alike the one counts that ends where the model would end it.
func Example_beginning() {
	os.Args = []string{"classify", "Count from 5 to 9.", "5, 6, 7", "5, 6, 7, 8, 9", "5, 6, 7, 8, 9, 10"}
	main()
	// Unordered output:
	// 100%  5, 6, 7, 8, 9
	//   0%  5, 6, 7
	//   0%  5, 6, 7, 8, 9, 10
}
