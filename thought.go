package gemma4

import (
	"math"
	"slices"

	"github.com/gogemma/gemma4/tokenizer"
)

// thought counts the tokens of thoughts.
type thought struct {
	most       int      // between the markers; 0: any number
	n          int      // that have come,
	all        int      // with the markers
	in         bool     // the text is within one
	open, shut int32    // the tokens around them
	call       int32    // ends them, too
	others     []uint64 // with most: a bit for each token but open
}

// newThought returns the state of a text whose last turn may have opened one.
func newThought(tok *tokenizer.Tokenizer, text []identity, most int) thought {
	open, ok1 := tok.ID("<|channel>")
	shut, ok2 := tok.ID("<channel|>")
	turn, ok3 := tok.ID("<|turn>")
	call, ok4 := tok.ID("<|tool_call>")
	t := thought{open: noID, shut: noID, call: noID}
	if !ok1 || !ok2 {
		return t
	}
	if t.open, t.shut = open, shut; ok4 {
		t.call = call
	}
	if t.most = most; most > 0 {
		t.others = slices.Repeat([]uint64{math.MaxUint64}, (tok.Size()+63)/64)
		t.others[open>>6] &^= 1 << (open & 63)
	}
	for _, x := range slices.Backward(text) {
		id, ok := x.Token()
		if !ok {
			continue
		}
		if t.in = id == open; t.in || id == shut || id == t.call || ok3 && id == turn {
			break
		}
	}
	return t
}

// accept counts a token.
func (t *thought) accept(id int32) {
	switch {
	case t.in && id == t.call:
		t.in = false
	case t.in && id == t.shut:
		t.in = false
		t.all++
	case t.in:
		t.n++
		t.all++
	case id == t.open:
		t.in = true
		t.all++
	}
}

// spent reports whether no more tokens of thoughts may come.
func (t *thought) spent() bool { return t.most > 0 && t.n >= t.most }

// allowed returns a bit for each token that may come where there is no grammar, nil for all: once they are spent, no thought is opened.
func (t *thought) allowed() []uint64 {
	if t.spent() {
		return t.others
	}
	return nil
}
