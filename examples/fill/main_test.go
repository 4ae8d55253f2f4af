package main

import "os"

func Example() {
	os.Args = []string{"fill", "Olga is 44 years old and lives in Rome."}
	main()
	// Output:
	// {Name: Age:0 City:}
	// {Name:Olga Age:0 City:}
	// {Name:Olga Age:44 City:}
	// {Name:Olga Age:44 City:Rome}
}
