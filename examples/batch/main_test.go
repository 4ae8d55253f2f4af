package main

import "os"

func Example() {
	os.Args = []string{"batch", "questions.txt"}
	main()
	// Output:
	// What is the capital of France?  The capital of France is Paris.
	// What is 7 + 8?  7 + 8 = 15
	// What is the capital of Japan?  The capital of Japan is Tokyo.
	// What is the opposite of 'wet'?  The opposite of 'wet' is 'dry'.
	// What is the capital of Kenya?  The capital of Kenya is Nairobi.
}
