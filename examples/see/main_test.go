package main

import "os"

func Example() {
	os.Args = []string{"see", "shapes.png", "What do you see?"}
	main()
	// Output: A yellow triangle and a red triangle.
}
