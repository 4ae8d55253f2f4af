package main

import "os"

func Example() {
	os.Args = []string{"tools", "What is 12 times 34?"}
	main()
	// Output:
	// 12 × 34 = 408
	// 12 times 34 is 408.
}
