package main

import "os"

func Example() {
	os.Args = []string{"hear", "question.wav"}
	main()
	// Output: The opposite of 'dry' is 'wet'.
}

func Example_transcribe() {
	os.Args = []string{"hear", "-task", "Transcribe.", "question.wav"}
	main()
	// Output: What is the opposite of dry?
}
