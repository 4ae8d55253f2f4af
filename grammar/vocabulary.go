package grammar

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/gogemma/gemma4/tokenizer"
)

// A Vocabulary is a tokenizer's vocabulary, arranged so that all tokens that may come next are found together: build it once for each
// tokenizer. It takes some 20 MB for 262144 tokens. It keeps the grammars made for it by what they were made of, so that the same schema or
// the same tools are compiled once: those, and what is found out about them, take up to 64 MB more, or a part of a small machine's memory.
// It may be used from several goroutines.
type Vocabulary struct {
	tokenizer *tokenizer.Tokenizer
	size      int
	texts     []string // by id: the bytes of a token, "" for one that is not text
	order     []int32  // the ids of those with bytes, by bytes
	all       *trie
	slices    [sliceKinds]slice
	ends      []int32 // ids that end a text
	thoughts  func() (*thoughts, error)
	cache     *cache
}

// A trie holds texts as a tree in one list: a node for each byte, before those that follow it.
type trie struct {
	nodes []trieNode
	ids   []int32 // of the tokens that end at the nodes, in their order
	depth int
}

type trieNode struct {
	skip  int32 // the next node that does not lie below this one
	first int32 // in ids, of the tokens that end here
	n     uint8
	b     byte
	depth uint8
}

// longest is the most bytes that a token of a vocabulary has for it to be of use here.
const longest = 255

// NewVocabulary arranges a tokenizer's vocabulary. Tokens that mean more than their text, unused ones and those that are suppressed are not
// text: a grammar reaches the former by name only.
func NewVocabulary(t *tokenizer.Tokenizer) *Vocabulary {
	v := &Vocabulary{tokenizer: t, size: t.Size(), cache: newCache()}
	v.texts = make([]string, v.size)
	out := map[int32]bool{}
	for _, id := range t.Suppressed() {
		out[id] = true
	}
	markup := map[string]bool{}
	for _, text := range t.Markup() {
		markup[text] = true
	}
	type entry struct {
		head uint64 // the first bytes
		id   int32
	}
	entries := make([]entry, 0, v.size)
	d := t.NewDecoder(true)
	for id := range int32(v.size) {
		if t.IsEnd(id) && t.Text(id) != "<|tool_response>" { // which only follows calls
			v.ends = append(v.ends, id)
		}
		text := t.Text(id)
		switch kind := t.Kind(id); {
		case text == "" || out[id] || kind == tokenizer.Unused:
			continue
		case kind == tokenizer.Byte:
			b, _ := t.Byte(id)
			text = string([]byte{b})
		case kind == tokenizer.Unknown || kind == tokenizer.Control ||
			text[0] == '<' && markup[text] || text[len(text)-1] == '>' && markup[text]:
			continue
		default:
			text = d.Next(id)
		}
		if len(text) > longest {
			continue
		}
		v.texts[id] = text
		var head [8]byte
		copy(head[:], text)
		entries = append(entries, entry{binary.BigEndian.Uint64(head[:]), id})
	}
	slices.SortFunc(entries, func(a, b entry) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		if c := strings.Compare(v.texts[a.id], v.texts[b.id]); c != 0 {
			return c
		}
		return int(a.id) - int(b.id)
	})
	v.order = make([]int32, len(entries))
	for i, e := range entries {
		v.order[i] = e.id
	}
	var wait sync.WaitGroup
	wait.Go(v.slice)
	v.all = v.trie(nil)
	wait.Wait()
	v.thoughts = sync.OnceValues(func() (*thoughts, error) { return newThoughts(v) })
	return v
}

// Tokenizer returns what the vocabulary was made from.
func (v *Vocabulary) Tokenizer() *tokenizer.Tokenizer { return v.tokenizer }

// trie builds the tree of the tokens that are not left out.
func (v *Vocabulary) trie(out []uint64) *trie {
	t := new(trie)
	t.nodes = make([]trieNode, 0, 9*len(v.order)/4)
	t.ids = make([]int32, 0, len(v.order))
	var path [longest]int32 // the open nodes
	before, depth := "", 0
	closeTo := func(d int) {
		for ; depth > d; depth-- {
			t.nodes[path[depth-1]].skip = int32(len(t.nodes))
		}
	}
	for _, id := range v.order {
		if out != nil && out[id>>6]>>(id&63)&1 == 1 {
			continue
		}
		text := v.texts[id]
		common := 0
		for common < min(len(text), len(before)) && text[common] == before[common] {
			common++
		}
		closeTo(common)
		for ; depth < len(text); depth++ {
			path[depth] = int32(len(t.nodes))
			t.nodes = append(t.nodes, trieNode{b: text[depth], depth: uint8(depth), first: int32(len(t.ids))})
		}
		if n := &t.nodes[path[depth-1]]; n.n < 255 {
			n.n++
			t.ids = append(t.ids, id)
		}
		t.depth = max(t.depth, depth)
		before = text
	}
	closeTo(0)
	return t
}

// find returns the node with a byte among those from i to end that follow one text, or end.
func (t *trie) find(i, end int, b byte) int {
	for i < end && t.nodes[i].b != b {
		i = int(t.nodes[i].skip)
	}
	return i
}

// below returns the tokens that begin with the text of a node.
func (t *trie) below(i int) []int32 {
	end := len(t.ids)
	if skip := int(t.nodes[i].skip); skip < len(t.nodes) {
		end = int(t.nodes[skip].first)
	}
	return t.ids[t.nodes[i].first:end]
}

// sliceKinds is the number of slices, one for each kind of characters.
const sliceKinds = 4

// kinds are the kinds of characters that tokens are sorted by, the wider first.
var kinds = [sliceKinds]runes{
	anyRune.without(runes{space, space}),
	jsonRunes,
	{'0', '9', 'A', 'Z', '_', '_', 'a', 'z'},
	{'a', 'z'},
}

// jsonRunes are the characters that stand for themselves in a string of JSON.
var jsonRunes = runes{' ', '!', '#', '[', ']', maxRune}.without(runes{space, space})

// maxChars is the number of characters up to which slices tell lengths apart.
const maxChars = 16

// A slice holds the tokens that are made of characters of one kind, by their number: those that may follow wherever that many may.
type slice struct {
	length [maxChars + 2][]uint64 // the tokens of at most that many characters; the last, of any number
	rest   func() *trie           // of all other tokens
}

// long returns the tokens of more than maxChars characters.
func (s *slice) long() (ids []int32) {
	for w, word := range s.length[maxChars+1] {
		for word &^= s.length[maxChars][w]; word != 0; word &= word - 1 {
			ids = append(ids, int32(w<<6+bits.TrailingZeros64(word)))
		}
	}
	return ids
}

// slice sorts the tokens into the slices.
func (v *Vocabulary) slice() {
	var of [128]uint8 // a bit for each kind
	kindsOf := func(c rune) (bits uint8) {
		for i, kind := range kinds {
			if kind.has(c) {
				bits |= 1 << i
			}
		}
		return bits
	}
	for c := range of {
		of[c] = kindsOf(rune(c))
	}
	words := (v.size + 63) / 64
	for i := range v.slices {
		for n := range v.slices[i].length {
			v.slices[i].length[n] = make([]uint64, words)
		}
		v.slices[i].rest = sync.OnceValue(func() *trie { return v.trie(v.slices[i].length[maxChars+1]) })
	}
	for _, id := range v.order {
		n, bits := 0, uint8(1<<sliceKinds-1)
		for i, c := range v.texts[id] {
			if n++; c < 128 {
				bits &= of[c]
			} else if _, size := utf8.DecodeRuneInString(v.texts[id][i:]); size == 1 {
				bits = 0
			} else {
				bits &= kindsOf(c)
			}
		}
		for i := range v.slices {
			if bits>>i&1 == 1 {
				v.slices[i].length[min(n, maxChars+1)][id>>6] |= 1 << (id & 63)
			}
		}
	}
	for i := range v.slices {
		for n := 1; n < maxChars+2; n++ {
			for w, shorter := range v.slices[i].length[n-1] {
				v.slices[i].length[n][w] |= shorter
			}
		}
	}
}
