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
		c := gemma4.CompanionInfo{Kind: "projector", File: "a/mmproj.gguf", Left: errors.New(why)}
		if got := companion(c, gemma4.Draft{}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestBannerTellsWhetherADrafterIsUsed(t *testing.T) {
	c := gemma4.CompanionInfo{Kind: "drafter", File: "a/mtp.gguf", About: "4 layers of width 256"}
	const left = "drafter: a/mtp.gguf, which -draft leaves out"
	for _, test := range []struct {
		draft gemma4.Draft
		want  string
	}{
		{gemma4.Draft{}, "drafts: 4 layers of width 256, by a/mtp.gguf"},
		{gemma4.Draft{Off: true}, left},
		{gemma4.Draft{Alone: true}, left},
	} {
		if got := companion(c, test.draft); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

func TestGuessesOfEachSourceAreTold(t *testing.T) {
	got := drafted([]gemma4.DraftStats{{Source: "lookup", Passes: 10, Drafted: 40, Accepted: 30}, {Source: "drafter"}})
	if want := "; lookup 4.0 tokens a pass, 75% of 40 guesses right"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
