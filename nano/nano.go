// Package nano is a trained Gemma 4 of 7 million parameters in 4.5 MB, embedded in the program that imports it: for demos,
// for trying this project out, and for tests that want a real model without a download.
//
// It has everything that E2B has, only smaller: per-layer embeddings, sliding and global layers, shared keys and values, the chat
// format with thoughts and tool calls. It knows the capitals of 55 countries, sums to 20, 29 words in five languages,
// opposites, a dozen facts; it finds codes and numbers in a text, turns a sentence into JSON and calls the tools get_weather,
// get_time, multiply and send_mail. Everything else it answers with nonsense.
//
// The weights are Apache-2.0, made for this project.
package nano

import (
	_ "embed"

	"github.com/gogemma/gemma4"
)

//go:embed nano-q4_0.gguf
var file []byte

// GGUF returns the model's file. The bytes are shared: do not change them.
func GGUF() []byte { return file }

// Open opens the model.
func Open() (*gemma4.Model, error) { return gemma4.OpenBytes(file) }

// OpenOr opens the model in a GGUF file, or this one if path is empty: for programs that can be tried without a file.
func OpenOr(path string) (*gemma4.Model, error) {
	if path == "" {
		return Open()
	}
	return gemma4.Open(path)
}
