package tokenizer

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// naive is the rules of the tokenizer taken literally: maps of strings, and every step looks at everything. It shares no code with the
// package and takes time with the square of the text.
type naive struct {
	texts []string
	kinds []int64
	ids   map[string]int32
	ranks map[string]int   // by "left right"
	bytes map[string]int32 // by digits, one more than the id
}

func newNaive(v *vocabulary) *naive {
	n := &naive{kinds: slices.Clone(v.kinds), ids: map[string]int32{}, ranks: map[string]int{}, bytes: map[string]int32{}}
	for id, text := range v.tokens {
		n.texts = append(n.texts, text)
		if _, ok := n.ids[text]; !ok {
			n.ids[text] = int32(id)
		}
		if m := byteToken.FindStringSubmatch(text); m != nil {
			n.kinds[id] = 6
			if digits := strings.ToUpper(m[1]); n.bytes[digits] == 0 {
				n.bytes[digits] = int32(id) + 1
			}
		}
	}
	for rank, m := range v.merges {
		if _, ok := n.ranks[m]; !ok {
			n.ranks[m] = rank
		}
	}
	return n
}

var byteToken = regexp.MustCompile(`^<0x([0-9A-Fa-f]{2})>$`)

func (n *naive) markup(id int32) bool {
	text := n.texts[id]
	switch n.kinds[id] {
	case 2, 3:
		return true
	case 4:
		return strings.HasPrefix(text, "<|") || strings.HasSuffix(text, "|>")
	}
	return false
}

func (n *naive) encode(text string, special bool, literal []int) []int32 {
	ids := []int32{}
	piece := ""
	for i := 0; i < len(text); {
		found := int32(-1)
		for end := i + 1; end <= len(text) && end <= i+maxSpecial; end++ {
			id, ok := n.ids[text[i:end]]
			if !ok || n.markup(id) && slices.Contains(literal, i) {
				continue
			}
			if k := n.kinds[id]; k == 4 || special && (k == 2 || k == 3) {
				found = id
			}
		}
		if found < 0 {
			piece += text[i : i+1]
			i++
			continue
		}
		ids = append(append(ids, n.piece(piece)...), found)
		piece = ""
		i += len(n.texts[found])
	}
	return append(ids, n.piece(piece)...)
}

// piece cuts out runs of newlines.
func (n *naive) piece(text string) []int32 {
	var ids []int32
	for text != "" {
		end := 1
		for end < len(text) && (text[end] == '\n') == (text[0] == '\n') {
			end++
		}
		if id, ok := n.ids[text[:end]]; ok && text[0] == '\n' && !n.markup(id) {
			ids = append(ids, id)
		} else {
			ids = append(ids, n.merge(text[:end])...)
		}
		text = text[end:]
	}
	return ids
}

func (n *naive) merge(text string) []int32 {
	var symbols []string
	for len(text) > 0 {
		_, size := utf8.DecodeRuneInString(text)
		symbols = append(symbols, strings.ReplaceAll(text[:size], " ", "▁"))
		text = text[size:]
	}
	for {
		best, at := math.MaxInt, -1
		for i := 0; i+1 < len(symbols); i++ {
			if rank, ok := n.ranks[symbols[i]+" "+symbols[i+1]]; ok && rank < best {
				best, at = rank, i
			}
		}
		if at < 0 {
			break
		}
		symbols = slices.Replace(symbols, at, at+2, symbols[at]+symbols[at+1])
	}
	var ids []int32
	for _, s := range symbols {
		// Markup and byte tokens are never written for text that merely reads like them.
		if id, ok := n.ids[s]; ok && !n.markup(id) && n.kinds[id] != 6 {
			ids = append(ids, id)
			continue
		}
		for _, b := range []byte(s) {
			ids = append(ids, n.byte(b))
		}
	}
	return ids
}

func (n *naive) byte(b byte) int32 { return n.bytes[fmt.Sprintf("%02X", b)] - 1 }
