package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Encode returns the ids of a text, without BOS. With special it parses markup: tokens of the kinds [Unknown], [Control]
// and [UserDefined] stand for themselves. Without, only those of the kind UserDefined do. Any string can be encoded; bytes
// that are not UTF-8 become byte tokens.
func (t *Tokenizer) Encode(text string, special bool) []int32 {
	return t.encode(text, special, nil)
}

// EncodeLiteral is Encode with special, except that no markup token begins at the byte offsets in literal, which ascend: what stands there
// is text, even if it looks like markup. UserDefined tokens that are not markup ("\n\n", <table>) are still found there. Offsets outside
// the text do nothing. [Tokenizer.Markup] says what markup is.
func (t *Tokenizer) EncodeLiteral(text string, literal []int) []int32 {
	if !slices.IsSorted(literal) {
		literal = slices.Sorted(slices.Values(literal))
	}
	return t.encode(text, true, literal)
}

func (t *Tokenizer) encode(text string, special bool, literal []int) []int32 {
	e := encoder{t: t, ids: make([]int32, 0, len(text)/4+4)}
	start := 0
	for i := 0; i < len(text); {
		if b := int(text[i]); t.specials.first[b] == t.specials.first[b+1] {
			i++
			continue
		}
		for len(literal) > 0 && literal[0] < i {
			literal = literal[1:]
		}
		c := cut{special: special, literal: len(literal) > 0 && literal[0] == i}
		id, n := t.match(text[i:], c)
		if n == 0 {
			i++
			continue
		}
		e.piece(text[start:i])
		e.ids = append(e.ids, id)
		i += n
		start = i
	}
	e.piece(text[start:])
	return e.ids
}

// An encoder writes the ids of one text.
type encoder struct {
	t     *Tokenizer
	ids   []int32
	nodes []node
	queue queue
}

// A node is a symbol of the text that is being merged, in a doubly linked list.
type node struct {
	symbol     int32
	prev, next int32 // none at the ends
	start      int32 // where its text begins; it ends where the next node's begins
	rank       int32 // of the merge with the next node; none if there is no such merge, or the node was merged away
}

// piece encodes the text between special tokens: runs of newlines, and what lies between those.
func (e *encoder) piece(text string) {
	for text != "" {
		n := strings.IndexByte(text, '\n')
		switch n {
		case -1:
			e.text(text)
			return
		case 0:
			n = len(text) - len(strings.TrimLeft(text, "\n"))
			if id := e.t.symbols.find(text[:n]); e.t.written(id) {
				e.ids = append(e.ids, id)
			} else {
				e.text(text[:n])
			}
		default:
			e.text(text[:n])
		}
		text = text[n:]
	}
}

// maxStretch is where a stretch of text is cut even though something could merge across: offsets in it are 32 bits wide.
const maxStretch = 1 << 30

// text encodes text by merging, one stretch at a time, which no merge reaches beyond.
func (e *encoder) text(text string) {
	t := e.t
	start := 0
	var before rune
	for i, n := 0, 0; i < len(text); i += n {
		var r rune
		r, n = utf8.DecodeRuneInString(text[i:])
		symbol := int32(none)
		switch {
		case r == ' ':
			r = space
			fallthrough
		case r != utf8.RuneError || n > 1:
			symbol = t.runes.find(r)
		}
		if i > start && (symbol == none || !t.joints.has(before, r) || i-start >= maxStretch) {
			e.merge(text[start:i])
			start = i
		}
		if symbol == none {
			e.write(none, text[i:i+n])
			start = i + n
			continue
		}
		e.nodes = append(e.nodes, node{symbol: symbol, start: int32(i - start)})
		before = r
	}
	e.merge(text[start:])
}

// space is the character that stands for U+0020 in the vocabulary.
const space = '\u2581'

// merge merges the nodes of a stretch until no pair is left that has a rank, writes the result and forgets the nodes.
func (e *encoder) merge(text string) {
	nodes := e.nodes
	for i := range nodes {
		nodes[i].prev, nodes[i].next = int32(i-1), int32(i+1)
	}
	if len(nodes) > 0 {
		nodes[len(nodes)-1].next = none
	}
	for i := range nodes {
		e.pair(int32(i))
	}
	for len(e.queue) > 0 {
		i, rank := e.queue.pop()
		n := &nodes[i]
		if n.rank != rank {
			continue // the pair that was entered is gone
		}
		gone := &nodes[n.next]
		n.symbol, n.next, gone.rank = e.t.merges.list[rank].into, gone.next, none
		if n.next != none {
			nodes[n.next].prev = i
		}
		e.pair(i)
		if n.prev != none {
			e.pair(n.prev)
		}
	}
	for i := int32(0); int(i) < len(nodes) && i != none; i = nodes[i].next {
		end := len(text)
		if next := nodes[i].next; next != none {
			end = int(nodes[next].start)
		}
		e.write(nodes[i].symbol, text[nodes[i].start:end])
	}
	e.nodes = nodes[:0]
}

// pair looks up the merge of a node with the next one and enters it in the queue.
func (e *encoder) pair(i int32) {
	n := &e.nodes[i]
	n.rank = none
	if n.symbol == none || n.next == none || e.nodes[n.next].symbol == none {
		return
	}
	if n.rank = e.t.merges.find(n.symbol, e.nodes[n.next].symbol); n.rank != none {
		e.queue.push(i, n.rank)
	}
}

// write writes a symbol as its token, or its text as bytes.
func (e *encoder) write(symbol int32, text string) {
	if e.t.written(symbol) {
		e.ids = append(e.ids, symbol)
		return
	}
	for i := range len(text) {
		if text[i] != ' ' {
			e.ids = append(e.ids, e.t.bytes[text[i]])
			continue
		}
		for _, b := range []byte(string(space)) {
			e.ids = append(e.ids, e.t.bytes[b])
		}
	}
}
