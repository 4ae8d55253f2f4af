package main

import "os"

func Example() {
	os.Args = []string{"batch", "questions.txt"}
	main()
	// Output:
	// What is the capital of France?  The capital of France is Paris.
	// What is 7 + 8?  7 + 8 = 15
	// What is the capital of Japan?  The capital of Japan is Tokyo.
	// Count from 5 to 9.  5, 6, 7, 8, 9
	// What is the capital of Kenya?  The capital of Kenya is Nairobi.
}
