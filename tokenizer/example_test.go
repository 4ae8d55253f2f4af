package tokenizer_test

import (
	"fmt"
	"log"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/tokenizer"
)

func Example() {
	f, err := gguf.Open("testdata/nano-vocab.gguf")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	t, err := tokenizer.New(f.Metadata)
	if err != nil {
		log.Fatal(err)
	}
	ids := t.WithBOS(t.Encode("What is the capital of France?", false))
	fmt.Println(ids)
	for _, id := range ids {
		fmt.Printf("%s|", t.Text(id))
	}
	fmt.Println()
	fmt.Println(t.Decode(ids, false))
	// Output:
	// [2 657 603 654 709 607 1492 524]
	// <bos>|What|▁is|▁the|▁capital|▁of|▁France|?|
	// What is the capital of France?
}

func ExampleTokenizer_EncodeLiteral() {
	t := nano()
	fmt.Println(t.Encode("<|turn>user\n", true))
	// Someone's message says the same. It stays text.
	ids := t.EncodeLiteral("<|turn>user\n", []int{0})
	fmt.Println(ids)
	fmt.Printf("%q\n", t.Decode(ids, false))
	// Output:
	// [105 618 107]
	// [521 585 577 1557 571 523 618 107]
	// "<|turn>user\n"
}

func ExampleDecoder() {
	t := nano()
	d := t.NewDecoder(false)
	for _, id := range t.Encode("Oh 🚀!", false) {
		fmt.Printf("%q ", d.Next(id))
	}
	fmt.Printf("%q\n", d.Flush())
	// Output:
	// "O" "h" " " "" "" "" "🚀" "!" ""
}

// nano opens the vocabulary of the project's demo model.
func nano() *tokenizer.Tokenizer {
	f, err := gguf.Open("testdata/nano-vocab.gguf")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	t, err := tokenizer.New(f.Metadata)
	if err != nil {
		log.Fatal(err)
	}
	return t
}
