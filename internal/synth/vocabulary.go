package synth

import (
	"fmt"
	"strings"
)

// MinVocabulary is the least number of tokens: the special ones, single characters and bytes, and a few more.
const MinVocabulary = 512

// Token types of tokenizer.ggml.token_type.
const (
	kindNormal  = 1
	kindUnknown = 2
	kindControl = 3
	kindUser    = 4
	kindByte    = 6
)

// special are the tokens that Gemma 4's vocabulary has below id 107; the ids between them are <unusedN>.
var special = [...]struct {
	id   int
	text string
	kind int32
}{
	{0, "<pad>", kindControl}, {1, "<eos>", kindControl}, {2, "<bos>", kindControl}, {3, "<unk>", kindUnknown},
	{4, "<mask>", kindUser}, {5, "[multimodal]", kindUser},
	{46, "<|tool>", kindControl}, {47, "<tool|>", kindControl}, {48, "<|tool_call>", kindUser}, {49, "<tool_call|>", kindUser},
	{50, "<|tool_response>", kindUser}, {51, "<tool_response|>", kindUser}, {52, `<|"|>`, kindUser},
	{98, "<|think|>", kindControl}, {100, "<|channel>", kindUser}, {101, "<channel|>", kindUser},
	{105, "<|turn>", kindControl}, {106, "<turn|>", kindControl},
}

// media are the tokens around and in place of images and sounds, with their ids in the full vocabulary.
var media = [...]struct {
	id   int
	text string
}{
	{255999, "<|image>"}, {256000, "<|audio>"}, {258880, "<|image|>"}, {258881, "<|audio|>"}, {258882, "<image|>"}, {258883, "<audio|>"},
	{258884, "<|video|>"},
}

// The layout between the special tokens and the fillers. Bytes are where Gemma has them; smaller vocabularies keep the media tokens before
// them.
const (
	firstNewlines = 107 // runs of one to three
	firstSpace    = 110 // U+2581, then the printable ASCII characters
	firstMerged   = firstSpace + 1 + 94
	firstMedia    = firstByte - len(media)
	firstByte     = 238
)

// merges are enough to write a little English.
var merges = [...]string{"\n \n", "\n\n \n", "t h", "th e", "i n", "e r", "a n", "▁ the", "▁ a", "o n", "e s", "in g", "o r", "an d"}

// vocabulary returns n tokens and their types.
func vocabulary(n int) (tokens []string, kinds []int32) {
	tokens, kinds = make([]string, n), make([]int32, n)
	set := func(id int, text string, kind int32) { tokens[id], kinds[id] = text, kind }
	for id := range firstNewlines {
		set(id, fmt.Sprintf("<unused%d>", id-6), kindUser)
	}
	for _, s := range special {
		set(s.id, s.text, s.kind)
	}
	for i, run := range []string{"\n", "\n\n", "\n\n\n"} {
		set(firstNewlines+i, run, kindUser)
	}
	set(firstSpace, "▁", kindNormal)
	for c := '!'; c <= '~'; c++ {
		set(firstSpace+1+int(c-'!'), string(c), kindNormal)
	}
	id := firstMerged
	for _, m := range merges[2:] {
		left, right, _ := strings.Cut(m, " ")
		set(id, left+right, kindNormal)
		id++
	}
	for i, m := range media {
		if media[len(media)-1].id < n {
			set(m.id, m.text, kindControl)
		} else {
			set(firstMedia+i, m.text, kindControl)
		}
	}
	for b := range 256 {
		set(firstByte+b, fmt.Sprintf("<0x%02X>", b), kindByte)
	}
	filler := 0
	for id := range tokens {
		if kinds[id] == 0 {
			set(id, word(filler), kindNormal)
			filler++
		}
	}
	return tokens, kinds
}

// word makes up the i-th filler: three or more syllables, every other word with a space before it. No two are the same.
func word(i int) string {
	const consonants, vowels = "bdfghjklmnprstvz", "aeiou"
	var b []byte
	if i%2 == 0 {
		b = append(b, "▁"...)
	}
	for n := 0; n < 3 || i > 0; n++ {
		b = append(b, consonants[i%len(consonants)])
		i /= len(consonants)
		b = append(b, vowels[i%len(vowels)])
		i /= len(vowels)
	}
	return string(b)
}

// setTokenizer writes the keys tokenizer.*.
func (c Config) setTokenizer(set func(key string, v any)) {
	tokens, kinds := vocabulary(c.Vocabulary)
	scores := make([]float32, len(tokens)) // not used by this kind of tokenizer
	set("tokenizer.ggml.model", "gemma4")
	set("tokenizer.ggml.tokens", tokens)
	set("tokenizer.ggml.scores", scores)
	set("tokenizer.ggml.token_type", kinds)
	set("tokenizer.ggml.merges", merges[:])
	set("tokenizer.ggml.bos_token_id", uint32(2))
	set("tokenizer.ggml.eos_token_id", uint32(1))
	set("tokenizer.ggml.unknown_token_id", uint32(3))
	set("tokenizer.ggml.padding_token_id", uint32(0))
	set("tokenizer.ggml.add_bos_token", true)
	set("tokenizer.ggml.add_space_prefix", false)
	if c.Suppress != nil {
		set("tokenizer.ggml.suppress_tokens", c.Suppress)
	}
	if c.ChatTemplate != "" {
		set("tokenizer.chat_template", c.ChatTemplate)
	}
}
