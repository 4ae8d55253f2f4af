// Program text only reads.
package main

import "github.com/gogemma/gemma4/nano"

func main() {
	m, err := nano.OpenText()
	if err != nil {
		panic(err)
	}
	m.Close()
}
