package main

import "os"

func Example() {
	os.Args = []string{"summarise", "-context", "100", "-task", "What is the code of Ada?", "notes.txt"}
	main()
	// Output: The code of Ada is 1956.
}
