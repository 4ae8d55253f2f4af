package chat

import (
	"fmt"
	"unicode/utf8"
)

// writer writes a prompt and keeps apart which of it is markup of the format and which is text of the conversation.
type writer struct {
	b       []byte
	literal []span // of b, the text of the conversation
	err     error  // the first
}

// span is a part of a text, by its offsets in bytes.
type span struct{ from, to int }

// markup writes what is the format's own.
func (w *writer) markup(texts ...string) {
	for _, s := range texts {
		w.b = append(w.b, s...)
	}
}

// text writes what the conversation says.
func (w *writer) text(s string) {
	if s == "" {
		return
	}
	from := len(w.b)
	w.b = append(w.b, s...)
	if last := len(w.literal) - 1; last >= 0 && w.literal[last].to == from {
		w.literal[last].to = len(w.b)
		return
	}
	w.literal = append(w.literal, span{from, len(w.b)})
}

// fail keeps the error, if it is the first, that a value is of another type than expected.
func (w *writer) fail(field string, v any, expected string) {
	if w.err == nil {
		w.err = fmt.Errorf("%s: a JSON %s, expected %s", field, kindOf(v), expected)
	}
}

// places returns where in a prompt the tokenizer must begin no token of markup: where text of the conversation has a character with
// which some markup begins, and where markup begins before such text but takes some of it to be complete.
func places(prompt string, literal []span, markup []string) []int {
	if len(literal) == 0 || len(markup) == 0 {
		return nil
	}
	var found []int
	find := newFinder(markup)
	first := map[rune]bool{} // of those beyond ASCII
	for _, m := range markup {
		if r, _ := utf8.DecodeRuneInString(m); r >= utf8.RuneSelf {
			first[r] = true
		}
	}
	for i := range len(prompt) {
		if i == literal[0].to {
			if literal = literal[1:]; len(literal) == 0 {
				break
			}
		}
		switch next := literal[0].from; {
		case len(find.lengths[prompt[i]]) == 0:
		case i < next:
			if i+find.at(prompt[i:]) > next {
				found = append(found, i)
			}
		default:
			if r, _ := utf8.DecodeRuneInString(prompt[i:]); r < utf8.RuneSelf || first[r] {
				found = append(found, i)
			}
		}
	}
	return found
}
