package tokenizer

import (
	"slices"
	"strings"
)

// Kind says what a token is for. The numbers are those of tokenizer.ggml.token_type.
type Kind uint8

// The kinds of tokens. Zero is no kind: that of an id outside the vocabulary.
const (
	Normal      Kind = 1 // text that merging makes
	Unknown     Kind = 2 // stands for what the vocabulary cannot write
	Control     Kind = 3 // markup: the beginning of a turn, the end of the text …
	UserDefined Kind = 4 // found in the text before any merging
	Unused      Kind = 5 // a reserved id
	Byte        Kind = 6 // one byte, written <0x00> … <0xFF>; known by that text, whatever number a file gives it
)

// String returns "normal", "control", …, or "no kind".
func (k Kind) String() string {
	switch k {
	case Normal:
		return "normal"
	case Unknown:
		return "unknown"
	case Control:
		return "control"
	case UserDefined:
		return "user-defined"
	case Unused:
		return "unused"
	case Byte:
		return "byte"
	}
	return "no kind"
}

// A Tokenizer holds a vocabulary. It never changes after [New].
type Tokenizer struct {
	kinds    []Kind  // by id
	symbols  symbols // texts: those of the tokens by id, then those that only merges know
	spaced   texts   // by id: the text with spaces for U+2581, empty where that is the text itself
	runes    runes   // character -> symbol
	merges   merges  // pair of symbols -> rank and result
	joints   joints  // pairs of characters that a merge may join
	specials specials

	bytes                      [256]int32 // byte -> its token
	bos, eos, unknown, padding int32      // -1 where the file names none
	ends                       []int32
	suppressed                 []int32
}

// none stands for no token and for no symbol.
const none = -1

// Size returns the number of tokens. Their ids are 0 … Size-1.
func (t *Tokenizer) Size() int { return len(t.kinds) }

// Text returns a token's text as it is in the file, with U+2581 for spaces and <0x41> for a byte, or "" if the
// vocabulary has no such id.
func (t *Tokenizer) Text(id int32) string {
	if !t.has(id) {
		return ""
	}
	return t.symbols.at(id)
}

// Kind returns a token's kind, or 0 if the vocabulary has no such id.
func (t *Tokenizer) Kind(id int32) Kind {
	if !t.has(id) {
		return 0
	}
	return t.kinds[id]
}

// Byte returns the byte that a token of the kind [Byte] stands for; it is not ok if the token is of another.
func (t *Tokenizer) Byte(id int32) (b byte, ok bool) {
	if t.Kind(id) != Byte {
		return 0, false
	}
	return byteOf(t.symbols.at(id)), true
}

// ID returns the token with exactly this text, as [Tokenizer.Text] gives it. Of several, it is the lowest id.
func (t *Tokenizer) ID(text string) (id int32, ok bool) {
	if id = t.symbols.find(text); t.has(id) {
		return id, true
	}
	return none, false
}

// BOS returns the token that begins every text: the one that the file names, else <bos>.
func (t *Tokenizer) BOS() int32 { return t.bos }

// EOS returns the token that ends every text, or -1 if the file names none. Generation also ends at others:
// [Tokenizer.IsEnd].
func (t *Tokenizer) EOS() int32 { return t.eos }

// Unknown returns the token for what cannot be written any other way, or -1 if the file names none. Encoding never needs it: byte
// tokens write everything.
func (t *Tokenizer) Unknown() int32 { return t.unknown }

// Padding returns the token that fills unused places, or -1 if the file names none.
func (t *Tokenizer) Padding() int32 { return t.padding }

// IsEnd reports whether generation ends at this token: <eos>, <turn|>, <|tool_response>, and what the file's metadata
// names as the end of a text, turn or message.
func (t *Tokenizer) IsEnd(id int32) bool { return slices.Contains(t.ends, id) }

// Ends returns the tokens that IsEnd is true of.
func (t *Tokenizer) Ends() []int32 { return slices.Clone(t.ends) }

// Suppressed returns the ids that generation must never pick (tokenizer.ggml.suppress_tokens), ascending, without those
// outside the vocabulary.
func (t *Tokenizer) Suppressed() []int32 { return slices.Clone(t.suppressed) }

// Markup returns the texts of all tokens that mean more than they say, by ascending id: those of the kinds [Unknown]
// and [Control], and those of the kind [UserDefined] that begin with "<|" or end in "|>", as <|channel> does.
func (t *Tokenizer) Markup() []string {
	var texts []string
	for id := range t.kinds {
		if t.markup(int32(id)) && t.symbols.at(int32(id)) != "" {
			texts = append(texts, t.symbols.at(int32(id)))
		}
	}
	return texts
}

// IsSpecial reports whether this text is cut out of text that is parsed for markup: whether it is a token of the kind [Unknown], [Control]
// or [UserDefined].
func (t *Tokenizer) IsSpecial(text string) bool {
	id, ok := t.ID(text)
	return ok && special(int64(t.kinds[id]))
}

// WithBOS returns ids with the BOS token in front unless they begin with it already. Gemma 4 needs it in front of every text, whatever a
// file's tokenizer.ggml.add_bos_token says. It does not change the slice it is given, and returns it if there is nothing to add.
func (t *Tokenizer) WithBOS(ids []int32) []int32 {
	if len(ids) > 0 && ids[0] == t.bos {
		return ids
	}
	return append(append(make([]int32, 0, 1+len(ids)), t.bos), ids...)
}

func (t *Tokenizer) has(id int32) bool { return id >= 0 && int(id) < len(t.kinds) }

// markup reports whether a token of the vocabulary is what [Tokenizer.Markup] describes.
func (t *Tokenizer) markup(id int32) bool {
	switch t.kinds[id] {
	case Unknown, Control:
		return true
	case UserDefined:
		text := t.symbols.at(id)
		return strings.HasPrefix(text, "<|") || strings.HasSuffix(text, "|>")
	}
	return false
}

// written reports whether merging may write this symbol as its token: it must be one, and neither markup nor a byte token, which would
// decode to a different text from the one it was made from.
func (t *Tokenizer) written(symbol int32) bool {
	return t.has(symbol) && t.kinds[symbol] != Byte && !t.markup(symbol)
}
