package grammar

import "unicode/utf8"

// maxForced bounds, about, the bytes that are forced at once.
const maxForced = 4096

// Forced returns the tokens that must come next, spelled as the tokenizer would: a stretch of text that has no alternative, or one special
// token. The last ones of a stretch are held back where a longer token could stand for them and for what may follow. It may be empty.
func (s State) Forced() []int32 {
	if s.or != nil {
		return nil // the first token decides
	}
	g := s.g
	g.mu.Lock()
	defer g.mu.Unlock()
	text, end := g.forcedText(s.s)
	if text == "" {
		if r := s.s.row; r != nil && len(s.s.threads) == 0 && !r.end && len(r.tokens) > 0 &&
			r.tokens[0].what == r.tokens[len(r.tokens)-1].what {
			return []int32{r.tokens[0].what}
		}
		return nil
	}
	literal := make([]int, len(text))
	for i := range literal {
		literal[i] = i
	}
	ids := g.vocabulary.tokenizer.EncodeLiteral(text, literal)
	at := s.s
	starts := make([]int, len(ids)) // in text
	n := 0
	for i, id := range ids {
		starts[i] = n
		n += len(g.vocabulary.texts[id])
		if at = g.token(at, id); g.vocabulary.texts[id] == "" || at == nowhere {
			return nil // a token that is not to be written
		}
	}
	for i, start := range starts {
		if len(text)-start < g.vocabulary.all.depth && g.spans(text[start:], end) {
			return ids[:i]
		}
	}
	return ids
}

// forcedText returns the whole characters that must come next, and the state after them.
func (g *Grammar) forcedText(s *state) (string, *state) {
	var text []byte
	whole, end := 0, s
	for len(text) < maxForced {
		b, to := g.only(s)
		if to == nil {
			break
		}
		text, s = append(text, b), to
		if r, size := utf8.DecodeRune(text[whole:]); r != utf8.RuneError || size > 1 {
			whole, end = len(text), s
		}
	}
	return string(text[:whole]), end
}

// only returns the one byte that may come next and the state after it, or nil where anything else may come, or the end.
func (g *Grammar) only(s *state) (b byte, after *state) {
	if r := s.row; r != nil && (r.end || len(r.tokens) > 0) {
		return 0, nil
	}
	for class := range g.classes {
		to := g.next(s, uint8(class))
		if to == nowhere {
			continue
		}
		if b = g.example[class]; after != nil || b < 255 && g.class[b+1] == uint8(class) { // a class is a run
			return 0, nil
		}
		after = to
	}
	return b, after
}

// spans reports whether a token begins with text and goes on with what may follow the state after it.
func (g *Grammar) spans(text string, after *state) bool {
	t := g.vocabulary.all
	i, end := 0, len(t.nodes)
	for d := range len(text) {
		if i = t.find(i, end, text[d]); i == end {
			return false
		}
		end = int(t.nodes[i].skip)
		i++
	}
	var path [longest + 1]*state
	path[len(text)] = after
	for i < end {
		n := &t.nodes[i]
		to := g.next(path[n.depth], g.class[n.b])
		if to == nowhere {
			i = int(n.skip)
			continue
		}
		if n.n > 0 {
			return true
		}
		path[n.depth+1] = to
		i++
	}
	return false
}
