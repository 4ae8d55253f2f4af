package grammar

import (
	"log"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/tokenizer"
)

func exampleVocabulary() *Vocabulary {
	f, err := gguf.Open("../tokenizer/testdata/nano-vocab.gguf")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	t, err := tokenizer.New(f.Metadata)
	if err != nil {
		log.Fatal(err)
	}
	return NewVocabulary(t)
}
