// Program weights opens the text weights by itself.
package main

import (
	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/nano"
)

func main() {
	m, err := gemma4.OpenBytes(nano.GGUF())
	if err != nil {
		panic(err)
	}
	m.Close()
}
