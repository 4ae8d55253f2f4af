package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/internal/machine"
)

// nanoKnows is what the embedded model was made for, said by a command.
const nanoKnows = `It is a toy: it knows the capitals of 55 countries, sums to 20, opposites,
30 words in five languages and a dozen facts, finds codes and numbers in a
text, writes JSON of a sentence and calls tools. Everything else it answers
with nonsense. It sees circles, squares, triangles and stars in drawings, and
hears its own questions. For more open a real model: gemma4 %s -m e2b
Try: What is the capital of Peru?  What is 12 + 7?  What is the opposite of 'wet'?`

// banner says who is there, and what for.
func (t *talk) banner() {
	info := t.m.Info()
	t.note("%s: %s parameters in %s", modelName(info), count(info.Parameters), cli.Bytes(info.Bytes))
	t.note("%s", t.runsOn(info))
	for _, c := range info.Companions {
		if t.model.Path == "" && c.File == "bytes" { // its own
			c.File = "its own " + c.Kind
		}
		t.note("%s", companion(c, t.model.Draft))
	}
	if t.model.Path == "" {
		t.note(nanoKnows, "run")
	}
	if n := len(t.chat.Messages); n > 0 {
		t.note("%s holds %d messages", t.file, n)
	}
	t.note("/help lists the commands")
}

// runsOn tells the kernels and the threads, and why so many.
func (t *talk) runsOn(info gemma4.Info) string {
	threads, why := machine.Threads()
	if t.model.Loader.Threads != 0 || info.Threads != threads {
		why = "as -threads says"
	}
	return fmt.Sprintf("%s kernels; threads: %d (%s)", info.Level, info.Threads, why)
}

// companion tells what became of a file that goes with the model, or was found beside it.
func companion(c gemma4.CompanionInfo, d gemma4.Draft) string {
	switch {
	case c.Left != nil:
		return fmt.Sprintf("%s left: %v", c.Kind, inFile(c.File, c.Left))
	case c.Kind == "projector":
		return fmt.Sprintf("senses: %s, by %s", c.About, c.File)
	case d.Off || d.Alone:
		return fmt.Sprintf("%s: %s, which -draft leaves out", c.Kind, c.File)
	}
	return fmt.Sprintf("drafts: %s, by %s", c.About, c.File)
}

// drafted tells how guessing ahead went, with a semicolon before each source.
func drafted(list []gemma4.DraftStats) (text string) {
	for _, d := range list {
		if d.Drafted > 0 {
			text += fmt.Sprintf("; %s %.1f tokens a pass, %.0f%% of %d guesses right", d.Source, d.PerPass(), 100*d.Acceptance(), d.Drafted)
		}
	}
	return text
}

// inFile names a file in an error about it, unless that does.
func inFile(file string, err error) error {
	if strings.Contains(err.Error(), file+": ") {
		return err
	}
	return fmt.Errorf("%s: %w", file, err)
}

func modelName(info gemma4.Info) string { return cmp.Or(info.Name, "a model without a name") }

// count writes a large number for people.
func count(n int64) string {
	switch x := float64(n); {
	case n >= 1e9:
		return fmt.Sprintf("%.1f billion", x/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f million", x/1e6)
	}
	return fmt.Sprint(n)
}
