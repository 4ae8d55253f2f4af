package gguf_test

import (
	"os"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
)

func BenchmarkOpenVocabulary(b *testing.B) {
	path := testdata.Shared(b, "golden", "tokenizer", "gemma4-vocab.gguf")
	b.Run("mapped", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f, err := gguf.Open(path)
			if err != nil {
				b.Fatal(err)
			}
			f.Close()
		}
	})
	b.Run("read", func(b *testing.B) {
		file, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := gguf.OpenReaderAt(gguf.Part{Name: path, ReaderAt: file, Size: info.Size()}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bytes", func(b *testing.B) {
		data, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := gguf.OpenBytes(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("copy", func(b *testing.B) { // of as many bytes: what opening cannot go below
		data, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			copy(make([]byte, len(data)), data)
		}
	})
	b.Run("strings", func(b *testing.B) {
		f, err := gguf.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		b.ReportAllocs()
		for b.Loop() {
			for _, key := range []string{"tokenizer.ggml.tokens", "tokenizer.ggml.merges"} {
				if _, err := f.Metadata.Strings(key); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
