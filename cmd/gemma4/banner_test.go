package main

import (
	"errors"
	"testing"

	"github.com/gogemma/gemma4"
)

func TestBannerNamesTheFileOfACompanionOnce(t *testing.T) {
	for why, want := range map[string]string{
		"gguf: a/mmproj.gguf: is not a GGUF file": "projector left: gguf: a/mmproj.gguf: is not a GGUF file",
		"model: the width is 3, expected 2":       "projector left: a/mmproj.gguf: model: the width is 3, expected 2",
	} {
		if got := companion(gemma4.CompanionInfo{Kind: "projector", File: "a/mmproj.gguf", Left: errors.New(why)}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
