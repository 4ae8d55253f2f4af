package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// Decode returns the text of ids: U+2581 as a space, byte tokens joined into characters, everything else as it is in the vocabulary.
// Tokens of the kinds [Unknown] and [Control] are left out unless special is set. Ids outside the vocabulary have no text. The result is
// valid UTF-8: bytes that form no character become U+FFFD, one for each character that was begun and not finished, and one for each byte
// that begins none.
func (t *Tokenizer) Decode(ids []int32, special bool) string {
	var text strings.Builder
	d := t.NewDecoder(special)
	for _, id := range ids {
		text.WriteString(d.Next(id))
	}
	text.WriteString(d.Flush())
	return text.String()
}

// A Decoder turns ids into text one at a time. All that it returns, joined, is what [Tokenizer.Decode] returns at once.
type Decoder struct {
	t       *Tokenizer
	special bool
	pending [utf8.UTFMax]byte // the beginning of a character
	n       int
}

// NewDecoder returns a decoder. With special it also returns the texts of tokens of the kinds [Unknown] and [Control].
func (t *Tokenizer) NewDecoder(special bool) *Decoder {
	return &Decoder{t: t, special: special}
}

// Next returns the text that this id adds, in whole characters: "" while byte tokens have only begun one. The texts
// of tokens are slices of the vocabulary; nothing is allocated for them.
func (d *Decoder) Next(id int32) string {
	kind := d.t.Kind(id)
	if kind == Byte {
		return d.push(byteOf(d.t.Text(id)))
	}
	var text string
	if kind != 0 && (d.special || kind != Unknown && kind != Control) {
		if text = d.t.spaced.at(id); text == "" {
			text = d.t.Text(id)
		}
	}
	if d.n > 0 {
		return d.Flush() + text
	}
	return text
}

// Flush ends the text: it returns U+FFFD if a character was begun and not finished, else "". Afterwards the decoder is ready for another
// text.
func (d *Decoder) Flush() string {
	if d.n == 0 {
		return ""
	}
	d.n = 0
	return "\uFFFD"
}

// push adds a byte to the pending ones and returns what that completes.
func (d *Decoder) push(b byte) string {
	d.pending[d.n] = b
	d.n++
	begun := d.pending[:d.n]
	switch r, size := utf8.DecodeRune(begun); {
	case !utf8.FullRune(begun):
		return ""
	case r == utf8.RuneError && size == 1 && d.n == 1:
		return d.Flush()
	case r == utf8.RuneError && size == 1:
		return d.Flush() + d.push(b)
	case r == space:
		d.n = 0
		return " "
	default:
		d.n = 0
		return d.t.character(r)
	}
}

// character returns r as a string: the vocabulary's own where it has one.
func (t *Tokenizer) character(r rune) string {
	if symbol := t.runes.find(r); symbol != none {
		return t.symbols.at(symbol)
	}
	return string(r)
}
