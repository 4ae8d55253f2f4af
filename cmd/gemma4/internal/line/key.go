package line

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// key is what was pressed, or text that was typed or pasted.
type key struct {
	code int
	text string
}

// Codes of keys: those below 128 are what terminals send.
const (
	ctrlA     = 1
	ctrlB     = 2
	ctrlC     = 3
	ctrlD     = 4
	ctrlE     = 5
	ctrlF     = 6
	ctrlG     = 7
	ctrlH     = 8
	ctrlJ     = 10
	ctrlK     = 11
	ctrlL     = 12
	enter     = 13
	ctrlN     = 14
	ctrlP     = 16
	ctrlR     = 18
	ctrlU     = 21
	ctrlW     = 23
	ctrlY     = 25
	ctrlZ     = 26
	escape    = 27
	backspace = 127
)

const (
	insert = 128 + iota // of text
	paste               // of text
	remove              // what is on the cursor
	wordLeft
	wordRight
	killLeft  // a word
	killRight // a word
	unknown
)

// sequences are what stands behind an escape, by the names that terminals of all kinds have for a key.
var sequences = map[string]int{
	"[A": ctrlP, "OA": ctrlP, "[B": ctrlN, "OB": ctrlN, "[C": ctrlF, "OC": ctrlF, "[D": ctrlB, "OD": ctrlB,
	"[H": ctrlA, "OH": ctrlA, "[1~": ctrlA, "[7~": ctrlA, "[F": ctrlE, "OF": ctrlE, "[4~": ctrlE, "[8~": ctrlE,
	"[3~": remove, "[1;5D": wordLeft, "[1;3D": wordLeft, "b": wordLeft, "[1;5C": wordRight, "[1;3C": wordRight, "f": wordRight,
	"\x7f": killLeft, "d": killRight,
}

const pasteBegin, pasteEnd = "\x1b[200~", "\x1b[201~"

// next returns the key that the input begins with and the bytes that it takes, 0 if there is more to come.
func next(input []byte) (k key, n int) {
	switch {
	case len(input) == 0 || !utf8.FullRune(input):
		return key{}, 0
	case input[0] == escape:
		return nextSequence(input)
	case input[0] >= ' ' && input[0] != backspace || input[0] == '\t':
		r, n := utf8.DecodeRune(input)
		return key{insert, string(r)}, n
	}
	return key{code: int(input[0])}, 1
}

// nextSequence does so behind an escape.
func nextSequence(input []byte) (k key, n int) {
	if len(input) < 2 || !utf8.FullRune(input[1:]) {
		return key{}, 0
	}
	_, size := utf8.DecodeRune(input[1:])
	n = 1 + size // Alt and a character
	switch {
	case input[1] == enter || input[1] == ctrlJ: // Alt-Enter
		return key{insert, "\n"}, 2
	case input[1] < ' ': // Esc, and another key
		return key{code: unknown}, 1
	case input[1] == 'O':
		n = 3
	case input[1] == '[':
		end := bytes.IndexFunc(input[2:], func(r rune) bool { return r < ' ' || r > '?' })
		if end < 0 {
			return key{}, 0
		}
		n = 3 + end
	}
	if len(input) < n {
		return key{}, 0
	}
	if string(input[:n]) == pasteBegin {
		end := bytes.Index(input[n:], []byte(pasteEnd))
		if end < 0 {
			return key{}, 0
		}
		return key{paste, strings.ToValidUTF8(string(input[n:n+end]), "�")}, n + end + len(pasteEnd)
	}
	if code, ok := sequences[string(input[1:n])]; ok {
		return key{code: code}, n
	}
	return key{code: unknown}, n
}
