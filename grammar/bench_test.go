package grammar

import "testing"

func BenchmarkNewVocabulary(b *testing.B) {
	t := real(b).tokenizer
	for b.Loop() {
		NewVocabulary(t)
	}
}
