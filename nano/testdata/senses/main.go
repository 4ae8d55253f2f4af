// Program senses also sees and hears.
package main

import "github.com/gogemma/gemma4/nano"

func main() {
	m, err := nano.Open()
	if err != nil {
		panic(err)
	}
	m.Close()
}
