package grammar

import (
	"iter"
	"math/bits"
	"slices"
)

// A Mask says which tokens may come next. It never changes.
type Mask struct {
	ids  []int32  // ascending, if they are few
	bits []uint64 // else
	n    int
}

// MaxIDs is the number of tokens up to which a mask lists them.
const MaxIDs = 8192

// Len returns how many tokens may come next.
func (m *Mask) Len() int { return m.n }

// Has reports whether a token may come next.
func (m *Mask) Has(id int32) bool {
	if m.bits == nil {
		_, ok := slices.BinarySearch(m.ids, id)
		return ok
	}
	return id >= 0 && int(id>>6) < len(m.bits) && m.bits[id>>6]>>(id&63)&1 == 1
}

// IDs returns the tokens, ascending, if they are [MaxIDs] at most, else nil. It is not to be changed.
func (m *Mask) IDs() []int32 { return m.ids }

// Bits returns the tokens, 64 to a word from the lowest bit on, if they are more than [MaxIDs], else nil. It is not to be changed.
func (m *Mask) Bits() []uint64 { return m.bits }

// All calls yield with each token, ascending.
func (m *Mask) All(yield func(int32) bool) {
	for _, id := range m.ids {
		if !yield(id) {
			return
		}
	}
	for w, word := range m.bits {
		for ; word != 0; word &= word - 1 {
			if !yield(int32(w<<6 + bits.TrailingZeros64(word))) {
				return
			}
		}
	}
}

func newMask(set []uint64) *Mask {
	m := new(Mask)
	for _, word := range set {
		m.n += bits.OnesCount64(word)
	}
	if m.n > MaxIDs {
		m.bits = slices.Clone(set)
		return m
	}
	m.ids = make([]int32, 0, m.n)
	for w, word := range set {
		for ; word != 0; word &= word - 1 {
			m.ids = append(m.ids, int32(w<<6+bits.TrailingZeros64(word)))
		}
	}
	return m
}

// union returns the tokens of both masks.
func (g *Grammar) union(a, b *Mask) *Mask {
	g.mu.Lock()
	defer g.mu.Unlock()
	set := g.set()
	for _, m := range []*Mask{a, b} {
		for w, word := range m.bits {
			set[w] |= word
		}
		for _, id := range m.ids {
			set[id>>6] |= 1 << (id & 63)
		}
	}
	return newMask(set)
}

// mask returns the state's mask.
func (g *Grammar) mask(s *state) *Mask {
	if s.mask == nil {
		set := g.set()
		t := g.slice(s, set)
		g.walk(t, s, func(id int32, _ *state) { set[id>>6] |= 1 << (id & 63) })
		g.markers(s, func(id int32, _ *state) { set[id>>6] |= 1 << (id & 63) })
		s.mask = newMask(set)
		g.arena.used += 80 + 4*len(s.mask.ids) + 8*len(s.mask.bits)
	}
	return s.mask
}

// set returns an empty set of tokens, which is used again.
func (g *Grammar) set() []uint64 {
	if g.scratch == nil {
		g.scratch = make([]uint64, (g.vocabulary.size+63)/64)
	}
	clear(g.scratch)
	return g.scratch
}

// walk calls f with every token of a trie that may follow, and the state after it.
func (g *Grammar) walk(t *trie, s *state, f func(id int32, after *state)) {
	if s == nowhere || len(s.threads) == 0 {
		return
	}
	var path [longest + 1]*state
	path[0] = s
	for i := 0; i < len(t.nodes); {
		n := &t.nodes[i]
		at, class := path[n.depth], g.class[n.b]
		var to *state
		if at.next != nil && at.flushes == g.flushes {
			to = at.next[class]
		}
		if to == nil {
			to = g.next(at, class)
		}
		if at.err != nil {
			s.err = at.err
		}
		if to == nowhere {
			i = int(n.skip)
			continue
		}
		for _, id := range t.ids[n.first : n.first+int32(n.n)] {
			f(id, to)
		}
		path[n.depth+1] = to
		i++
	}
}

// markers calls f with every special token that may follow, and those that end the text where it may end.
func (g *Grammar) markers(s *state, f func(id int32, after *state)) {
	if s.row == nil {
		return
	}
	for i, x := range s.row.tokens {
		if i == 0 || s.row.tokens[i-1].what != x.what {
			if to := g.accept(s, x.what); to != nowhere {
				f(x.what, to)
			}
		}
	}
	if s.row.end {
		for _, id := range g.ends {
			f(id, over)
		}
	}
}

// slice adds to the set the tokens of the widest slice that is known to follow wholly, and returns the trie of the others.
func (g *Grammar) slice(s *state, set []uint64) *trie {
	for kind := range g.vocabulary.slices {
		least, most := 0, 0
		for _, t := range s.threads {
			least = max(least, g.widthOf(t.lex, kind))
		}
		if least == 0 {
			g.budget = maxChars * 2
			for _, t := range s.threads {
				least = max(least, g.least(t.lex, kind, maxChars+1))
			}
			if g.budget < 0 {
				least = 0
			}
		}
		if least == 0 {
			continue
		}
		if least <= maxChars {
			g.budget = maxChars * 4
			for _, t := range s.threads {
				most = max(most, g.mostOf(t.lex, kind))
			}
		}
		if least > maxChars || least == most {
			sl := &g.vocabulary.slices[kind]
			copy(set, sl.length[least])
			return sl.rest()
		}
	}
	return g.vocabulary.all
}

// widthOf returns a number of characters so that every text of that many may follow, as far as the form of a lexeme shows it.
func (g *Grammar) widthOf(l *lexState, kind int) int {
	width := 0
	for _, x := range l.lexemes {
		width = max(width, g.width(x.e, kind))
	}
	return width
}

func (g *Grammar) width(e *expr, kind int) int {
	switch e.op {
	case opCat:
		return g.width(e.a, kind)
	case opRepeat:
		if e.max != 0 && g.holdsKind(e.a, kind) {
			if e.max < 0 {
				return maxChars + 1
			}
			return int(min(e.max, maxChars+1))
		}
	case opAnd:
		// What is without end stays so without a few strings.
		for _, x := range e.list {
			if !(x.op == opNot && x.a.finite()) && !(x.op == opRepeat && x.max < 0 && g.holdsKind(x.a, kind)) {
				return 0
			}
		}
		return maxChars + 1
	case opAlt:
		width := 0
		for _, x := range e.list {
			width = max(width, g.width(x, kind))
		}
		return width
	}
	return 0
}

// finite reports whether an expression is a tree of single strings.
func (e *expr) finite() bool {
	switch e.op {
	case opNone, opEmpty, opText:
		return true
	case opBranch:
		return !slices.ContainsFunc(e.edges, func(x edge) bool { return !x.to.finite() })
	case opAlt:
		return !slices.ContainsFunc(e.list, func(x *expr) bool { return !x.finite() })
	}
	return false
}

// holdsKind reports whether an expression holds every character of a kind, and nothing longer that begins with one.
func (g *Grammar) holdsKind(e *expr, kind int) bool {
	if e.holds>>kind&1 == 0 {
		var covers func(e, char *expr) bool
		covers = func(e, char *expr) bool {
			if char == g.arena.empty {
				return e == g.arena.empty
			}
			for _, x := range char.edges {
				for b := range g.bytes(x) {
					if !covers(g.arena.derive(e, b), x.to) {
						return false
					}
				}
			}
			return true
		}
		e.holds |= 1 << kind
		if covers(e, g.kinds[kind]) {
			e.holds |= 1 << (kind + sliceKinds)
		}
	}
	return e.holds>>(kind+sliceKinds)&1 == 1
}

// bytes returns the bytes of an edge, the first of each class.
func (g *Grammar) bytes(x edge) iter.Seq[byte] {
	return func(yield func(byte) bool) {
		for b := int(x.lo); b <= int(x.hi); b++ {
			if (b == int(x.lo) || g.class[b] != g.class[b-1]) && !yield(byte(b)) {
				return
			}
		}
	}
}

// mostOf returns a number of characters so that no longer text may follow.
func (g *Grammar) mostOf(l *lexState, kind int) int {
	most := 0
	for _, x := range l.lexemes {
		n := int32(0)
		e := x.e
		if e.op == opCat && e.a.op == opRepeat && e.a.max >= 0 && g.holdsKind(e.a.a, kind) {
			n, e = e.a.max, e.b
		}
		if e.nullable || g.begins(e, kind) {
			return g.most(l, kind, maxChars+1)
		}
		most = max(most, int(min(n, maxChars+1)))
	}
	return most
}

// begins reports whether a string of e may begin as a character of a kind does.
func (g *Grammar) begins(e *expr, kind int) bool {
	for _, x := range g.kinds[kind].edges {
		for b := range g.bytes(x) {
			if g.arena.derive(e, b) != g.arena.none {
				return true
			}
		}
	}
	return false
}

// depths say how many characters of a kind may follow at a state of the lexer.
type depths struct {
	known       bool
	stuck, ends bool        // after one character: some lead nowhere, some end a lexeme
	after       []*lexState // after one character, each once
	least, most int8
	leastTo     int8 // least was counted up to here
	mostTo      int8
}

// chars finds what one character of a kind leads to.
func (g *Grammar) chars(l *lexState, kind int) *depths {
	d := &l.depths[kind]
	if d.known {
		return d
	}
	if g.budget--; g.budget < 0 {
		return &depths{stuck: true, ends: true}
	}
	d.known = true
	var visit func(l *lexState, e *expr)
	visit = func(l *lexState, e *expr) {
		for _, x := range e.edges {
			for b := range g.bytes(x) {
				step := g.lexNext(l, g.class[b])
				d.ends = d.ends || len(step.ends) > 0
				switch {
				case step.to == nil:
					d.stuck = true
				case x.to != g.arena.empty:
					visit(step.to, x.to)
				case !slices.Contains(d.after, step.to):
					d.after = append(d.after, step.to)
				}
			}
		}
	}
	visit(l, g.kinds[kind])
	return d
}

// least returns a number of characters, up to a limit, so that every text of that many may follow. When the budget is spent it means
// nothing.
func (g *Grammar) least(l *lexState, kind, limit int) int {
	if limit == 0 || g.budget < 0 {
		return 0
	}
	d := g.chars(l, kind)
	if d.stuck {
		return 0
	}
	if limit <= int(d.leastTo) {
		return min(int(d.least), limit)
	}
	n := limit
	for _, to := range d.after {
		n = min(n, 1+g.least(to, kind, limit-1))
	}
	if g.budget >= 0 {
		d.least, d.leastTo = int8(n), int8(limit)
	}
	return n
}

// most returns a number of characters, up to a limit, so that no longer text may follow.
func (g *Grammar) most(l *lexState, kind, limit int) int {
	if limit == 0 || g.budget < 0 {
		return limit
	}
	d := g.chars(l, kind)
	if d.ends {
		return limit
	}
	if limit <= int(d.mostTo) {
		return min(int(d.most), limit)
	}
	n := 0
	for _, to := range d.after {
		n = max(n, 1+g.most(to, kind, limit-1))
	}
	if g.budget >= 0 {
		d.most, d.mostTo = int8(n), int8(limit)
	}
	return n
}
