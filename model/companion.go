package model

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gogemma/gemma4/gguf"
)

// architecture checks what kind of file this is.
func architecture(f *gguf.File, expected ...string) error {
	arch, err := f.Metadata.Text("general.architecture")
	if err == nil && !slices.Contains(expected, arch) {
		err = fmt.Errorf("general.architecture is %.40q, expected %q", arch, expected[0])
	}
	return inModel(err)
}

// SameTokens returns an error that names the first difference if the vocabularies of two files are not one.
func SameTokens(a, b *gguf.Metadata) error {
	const key = "tokenizer.ggml.tokens"
	x, errX := a.Strings(key)
	y, errY := b.Strings(key)
	if err := errors.Join(errX, errY); err != nil {
		return inModel(err)
	}
	for id := range min(len(x), len(y)) {
		if x[id] != y[id] {
			return fmt.Errorf("model: %s[%d] is %.40q, expected %.40q", key, id, y[id], x[id])
		}
	}
	if len(x) != len(y) {
		return fmt.Errorf("model: %s has %d tokens, expected %d", key, len(y), len(x))
	}
	return nil
}

// inModel names the package in an error, if there is one.
func inModel(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("model: %w", err)
}
