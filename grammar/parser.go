package grammar

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// The parser is Earley's. A row is what may follow at a place of the text; its items lead back to the rows where their rules began. Rows
// never change and equal ones are the same pointer, so a text that comes back to where it was, after an element of a list, say, comes
// back to the same row and to all that is known about it.

// An item is a node of a rule that began at a row, after n repetitions where the rule counts them.
type item struct {
	node, n int32
	from    *row
}

// A row is a set of items, with what they expect. Its lists are sorted.
type row struct {
	id     uint64
	calls  []reach // where to go on after rules that begin here
	terms  []reach
	tokens []reach
	begin  *lexState // of the terminals
	end    bool      // the text may end here
	costs  map[int32]int32
}

// A reach is where a terminal, special token or rule leads.
type reach struct {
	what int32
	item
}

// A state is what is known between two bytes: the lexemes that have begun, with the rows that they began at, and the row of this place,
// if a lexeme may end here.
type state struct {
	flushes int
	threads []thread // by the rows' ids
	row     *row     // nil within a lexeme
	next    []*state // by class
	mask    *Mask
	cost    int32 // the fewest tokens to the end, and one more; 0 where it is not known
	dearest int32 // the most of them after any token of the mask, and one more
	err     error // a bound that was hit by what follows
}

type thread struct {
	lex  *lexState
	from *row
}

// nowhere is the state after what cannot be.
var nowhere = &state{mask: newMask(nil)}

// Bounds on a state: a text that gets beyond them is refused.
const (
	maxItems   = 100000
	maxThreads = 4096
)

// row returns the row of these items. Self stands for the row itself as where an item's rule began.
func (g *Grammar) row(kernel []item, self *row) *row {
	r := self
	items := append(g.items[:0], kernel...)
	seen := g.seen
	clear(seen)
	for _, x := range items {
		seen[x] = true
	}
	add := func(x item) {
		if !seen[x] {
			seen[x] = true
			items = append(items, x)
		}
	}
	for i := 0; i < len(items); i++ {
		if len(items) > maxItems {
			g.arena.fail("more than %d items at one place", maxItems)
			return nil
		}
		x := items[i]
		n := &g.net.nodes[x.node]
		switch {
		case n.final:
			if x.from == r {
				if n.rule == g.net.root {
					r.end = true
				}
				continue // callers have passed what may be empty
			}
			if n.rule == g.net.root {
				r.end = true
			}
			for _, c := range reaches(x.from.calls, n.rule) {
				add(c.item)
			}
			continue
		case n.counts:
			// Beyond what matters all counts are alike.
			most := n.max
			if most < 0 {
				most = n.min
			}
			add(item{n.eps[0], min(x.n+1, most), x.from})
			continue
		case n.loops:
			if n.max < 0 || x.n < n.max {
				add(item{n.eps[0], x.n, x.from})
			}
			if x.n >= n.min {
				add(item{n.eps[1], 0, x.from})
			}
			continue
		}
		for _, to := range n.eps {
			add(item{to, x.n, x.from})
		}
		for _, t := range n.terms {
			r.terms = append(r.terms, reach{t.what, item{t.to, x.n, x.from}})
		}
		for _, t := range n.tokens {
			r.tokens = append(r.tokens, reach{t.what, item{t.to, x.n, x.from}})
		}
		for _, c := range n.calls {
			r.calls = append(r.calls, reach{c.what, item{c.to, x.n, x.from}})
			add(item{g.net.start[c.what], 0, r})
			if g.net.nullable[c.what] {
				add(item{c.to, x.n, x.from})
			}
		}
	}
	g.items = items
	return g.internRow(r, items)
}

// internRow returns the row that is equal to r, if there is one.
func (g *Grammar) internRow(r *row, items []item) *row {
	essential := g.essential[:0]
	for _, x := range items {
		if n := &g.net.nodes[x.node]; x.from != r && len(n.terms)+len(n.calls)+len(n.tokens) > 0 {
			essential = append(essential, x)
		}
	}
	g.essential = essential
	slices.SortFunc(essential, compareItems)
	key := append(g.key[:0], 0)
	if r.end {
		key[0] = 1
	}
	for _, x := range essential {
		key = binary.AppendUvarint(key, uint64(x.node))
		key = binary.AppendUvarint(key, uint64(x.n))
		key = binary.AppendUvarint(key, x.from.id)
	}
	g.key = key
	if r.id != 0 {
		key[0] |= 2 // the first row is none that comes later
	}
	if old, ok := g.rows[string(key)]; ok {
		return old
	}
	g.rows[string(key)] = r
	if r.id == 0 {
		g.lastID++
		r.id = g.lastID
	}
	for _, list := range [][]reach{r.calls, r.terms, r.tokens} {
		slices.SortFunc(list, compareReach)
	}
	var terms []int32
	for i, t := range r.terms {
		if i == 0 || t.what != r.terms[i-1].what {
			terms = append(terms, t.what)
		}
	}
	if len(terms) > 0 {
		r.begin = g.lexBegin(terms)
	}
	g.arena.used += 200 + 2*len(key) + 32*(len(r.calls)+len(r.terms)+len(r.tokens))
	return r
}

func compareItems(a, b item) int {
	switch {
	case a.node != b.node:
		return int(a.node) - int(b.node)
	case a.n != b.n:
		return int(a.n) - int(b.n)
	case a.from.id < b.from.id:
		return -1
	case a.from.id > b.from.id:
		return 1
	}
	return 0
}

func compareReach(a, b reach) int {
	if a.what != b.what {
		return int(a.what) - int(b.what)
	}
	return compareItems(a.item, b.item)
}

// reaches returns those of a row's list that one terminal, special token or rule leads to.
func reaches(list []reach, what int32) []reach {
	i, _ := slices.BinarySearchFunc(list, what, func(x reach, what int32) int { return int(x.what) - int(what) })
	j := i
	for j < len(list) && list[j].what == what {
		j++
	}
	return list[i:j]
}

// first returns the state before any text.
func (g *Grammar) first() *state {
	if g.begin == nil {
		g.begin = nowhere
		g.lastID++
		self := &row{id: g.lastID}
		if r := g.row([]item{{g.net.start[g.net.root], 0, self}}, self); r != nil {
			g.begin = g.state(nil, r)
		}
	}
	return g.begin
}

// state returns the state of these threads and a row, or nowhere.
func (g *Grammar) state(threads []thread, r *row) *state {
	if r != nil && r.begin != nil {
		threads = append(threads, thread{r.begin, r})
	}
	if len(threads) == 0 && r == nil {
		return nowhere
	}
	if len(threads) > maxThreads {
		g.arena.fail("more than %d readings of one text", maxThreads)
		return nowhere
	}
	slices.SortFunc(threads, func(a, b thread) int {
		switch {
		case a.from.id != b.from.id && a.from.id < b.from.id, a.from.id == b.from.id && a.lex.id < b.lex.id:
			return -1
		case a == b:
			return 0
		}
		return 1
	})
	threads = slices.Compact(threads)
	key := g.key[:0]
	if r != nil {
		key = binary.AppendUvarint(key, r.id)
	} else {
		key = append(key, 0)
	}
	for _, t := range threads {
		key = binary.AppendUvarint(key, t.lex.id)
		key = binary.AppendUvarint(key, t.from.id)
	}
	g.key = key
	if s, ok := g.states[string(key)]; ok {
		return s
	}
	s := &state{flushes: g.flushes, threads: slices.Clone(threads), row: r}
	g.states[string(key)] = s
	g.arena.used += 250 + 2*len(key) + 16*len(threads)
	return s
}

// next follows a byte of a class.
func (g *Grammar) next(s *state, class uint8) *state {
	if s.next == nil || s.flushes != g.flushes {
		if len(s.threads) == 0 {
			return nowhere
		}
		s.next, s.flushes = make([]*state, g.classes), g.flushes
		g.arena.used += 8 * g.classes
	}
	if to := s.next[class]; to != nil {
		return to
	}
	if g.arena.used > g.told+g.memory.cache.step {
		g.remember()
		return g.next(s, class)
	}
	threads, kernel := g.threads[:0], g.kernel[:0]
	for _, t := range s.threads {
		step := g.lexNext(t.lex, class)
		s.err = cmp.Or(s.err, step.err)
		if step.to != nil {
			threads = append(threads, thread{step.to, t.from})
		}
		for _, term := range step.ends {
			for _, x := range reaches(t.from.terms, term) {
				kernel = append(kernel, x.item)
			}
		}
	}
	g.threads, g.kernel = threads, kernel
	to := g.enter(s, threads, kernel)
	s.next[class] = to
	return to
}

// enter returns the state that follows s with these threads and a kernel.
func (g *Grammar) enter(s *state, threads []thread, kernel []item) *state {
	g.arena.err = nil
	to := g.state(threads, g.after(kernel))
	s.err = cmp.Or(s.err, g.arena.err)
	return to
}

// after returns the row of a kernel, or nil if there is none or nothing can follow it.
func (g *Grammar) after(kernel []item) *row {
	if len(kernel) == 0 {
		return nil
	}
	r := g.row(kernel, new(row))
	if r == nil || len(r.terms)+len(r.tokens) == 0 && !r.end {
		return nil
	}
	return r
}

// accept follows a special token.
func (g *Grammar) accept(s *state, token int32) *state {
	var kernel []item
	if s.row != nil {
		for _, x := range reaches(s.row.tokens, token) {
			kernel = append(kernel, x.item)
		}
	}
	return g.enter(s, nil, kernel)
}

// follow follows bytes.
func (g *Grammar) follow(s *state, text string) *state {
	for i := 0; i < len(text) && s != nowhere; i++ {
		s = g.next(s, g.class[text[i]])
	}
	return s
}
