package grammar_test

import (
	"fmt"
	"log"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/tokenizer"
)

func exampleTokenizer() *tokenizer.Tokenizer {
	f, err := gguf.Open("../tokenizer/testdata/nano-vocab.gguf")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	tok, err := tokenizer.New(f.Metadata)
	if err != nil {
		log.Fatal(err)
	}
	return tok
}

// The place of the model is taken by a function that chooses the first token that it may.
func Example() {
	tok := exampleTokenizer()
	schema := []byte(`{"type":"object","properties":{"city":{"enum":["Oslo","Rome"]},"sunny":{"type":"boolean"}},
		"required":["city","sunny"],"additionalProperties":false}`)
	best := func(mask *grammar.Mask) int32 {
		for id := range mask.All {
			return id
		}
		return -1
	}

	v := grammar.NewVocabulary(tok)                              // once for each tokenizer
	g, err := grammar.Schema(v, schema, grammar.SchemaOptions{}) // once for each schema
	if err != nil {
		log.Fatal(err)
	}
	var answer []int32
	s := g.Start()
	for {
		ids := s.Forced() // what must follow, without asking the model
		if len(ids) == 0 {
			mask := s.Mask() // the tokens that may follow
			if mask.Len() == 0 {
				break // the last token has ended the text
			}
			ids = []int32{best(mask)}
		}
		for _, id := range ids {
			s, _ = s.Accept(id)
		}
		answer = append(answer, ids...)
	}
	if err := s.Err(); err != nil { // a bound keeps the text from going on
		log.Fatal(err)
	}
	fmt.Println(tok.Decode(answer, false))
	// Output: {"city": "Oslo", "sunny": false}
}

func ExampleRegexp() {
	// A vocabulary is made once from the model's tokenizer.
	g, err := grammar.Regexp(grammar.NewVocabulary(exampleTokenizer()), `yes|no`)
	if err != nil {
		fmt.Println(err)
		return
	}
	s, ok := g.Start().AcceptText("ye")
	fmt.Println(ok, s.CanEnd())
	s, ok = s.AcceptText("s")
	fmt.Println(ok, s.CanEnd())
	_, ok = s.AcceptText("!")
	fmt.Println(ok)
	// Output:
	// true false
	// true true
	// false
}
