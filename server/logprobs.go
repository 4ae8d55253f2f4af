package server

import (
	"fmt"
	"unicode/utf8"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/tokenizer"
)

// logprobs are the probabilities of an answer's tokens as OpenAI's chat completions tell them.
type logprobs struct {
	Content []tokenLogprob `json:"content"`
	Refusal []tokenLogprob `json:"refusal"`
}

type tokenLogprob struct {
	logprob
	Top []logprob `json:"top_logprobs"`
}

// logprob is a token and the natural logarithm of its probability. Bytes are the token's own, which may be a part of a character.
type logprob struct {
	Token   string  `json:"token"`
	Bytes   []int   `json:"bytes"`
	LogProb float64 `json:"logprob"`
}

// least is what stands for a probability of 0, whose logarithm JSON does not have.
const least = -9999

func newLogprob(tok *tokenizer.Tokenizer, id int32, p float64) logprob {
	text := tokenBytes(tok, id)
	l := logprob{Token: string(text), Bytes: make([]int, len(text)), LogProb: max(p, least)}
	if p != p {
		l.LogProb = least
	}
	for i, b := range text {
		l.Bytes[i] = int(b)
	}
	if !utf8.Valid(text) {
		l.Token = "bytes:"
		for _, b := range text {
			l.Token += fmt.Sprintf(`\x%02x`, b)
		}
	}
	return l
}

// tokenBytes returns what a token adds to a text.
func tokenBytes(tok *tokenizer.Tokenizer, id int32) []byte {
	if b, ok := tok.Byte(id); ok {
		return []byte{b}
	}
	return []byte(tok.Decode([]int32{id}, true))
}

// logprobsOf returns the probabilities of tokens, each with those of the top most likely ones.
func logprobsOf(tok *tokenizer.Tokenizer, tokens []gemma4.Token, top int) *logprobs {
	l := &logprobs{Content: make([]tokenLogprob, 0, len(tokens))}
	quote, known := tok.ID(`<|"|>`)
	of := func(id int32, p float64) logprob {
		one := newLogprob(tok, id, p)
		if known && id == quote { // chat.Parser has it stand for one
			one.Token, one.Bytes = `"`, []int{'"'}
		}
		return one
	}
	for _, t := range tokens {
		one := tokenLogprob{of(t.ID, t.LogProb), make([]logprob, 0, top)}
		for _, c := range t.Top[:min(top, len(t.Top))] {
			one.Top = append(one.Top, of(c.ID, c.LogProb))
		}
		l.Content = append(l.Content, one)
	}
	return l
}
