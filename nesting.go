package gemma4

import "github.com/gogemma/gemma4/tokenizer"

// nesting counts the brackets that are open in a call. Package chat reads 64 levels, and templates write little more.
type nesting struct {
	tok               *tokenizer.Tokenizer
	begin, end, quote int32
	call, text        bool // in a call, and in a string of it
	depth             int
}

// deep is the depth from which a call is brought to its end, so that it stays within what is read.
const deep = 48

// newNesting returns the state before an answer.
func newNesting(tok *tokenizer.Tokenizer) nesting {
	id := func(marker string) int32 {
		if id, ok := tok.ID(marker); ok {
			return id
		}
		return -1
	}
	return nesting{tok: tok, begin: id("<|tool_call>"), end: id("<tool_call|>"), quote: id(`<|"|>`)}
}

// accept goes on behind a token.
func (n *nesting) accept(id int32) {
	switch {
	case id == n.begin, id == n.end:
		n.call, n.text, n.depth = id == n.begin, false, 0
	case !n.call:
	case id == n.quote:
		n.text = !n.text
	case !n.text:
		for _, c := range n.tok.Text(id) {
			switch c {
			case '{', '[':
				n.depth++
			case '}', ']':
				n.depth--
			}
		}
	}
}
