package main

import "os"

func Example() {
	os.Args = []string{"schema", "person.json", "Make JSON: Olga is 44 years old and lives in Rome."}
	main()
	// Output:
	// {"name": "Olga", "age": 44, "city": "Rome"}
}
