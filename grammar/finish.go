package grammar

import "slices"

// Texts end in time: the fewest tokens from each state to an end are known, so tokens that lead too far away can be left out.

// never is more tokens than there are.
const never = 1 << 28

// Left returns the fewest tokens in which the text can be brought to an end, without one that ends it. It is exact for what the grammar
// forces and never too low to be kept.
func (s State) Left() int {
	if s.or != nil {
		return min(s.alone().Left(), s.or.Left())
	}
	later := 0
	if s.then != nil {
		later = s.then.Left()
	}
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	return later + int(s.g.cost(s.s))
}

// MaskWithin returns those tokens of [State.Mask] after which the text can still be brought to an end in n tokens, this one among them.
// Where n is less than [State.Left], they are those that lead there fastest. So who takes each token from MaskWithin, with n one less each
// time, ends in time.
func (s State) MaskWithin(n int) *Mask {
	if s.or != nil {
		n = max(n, s.Left())
		switch one := s.alone(); {
		case one.Left() > n:
			return s.or.MaskWithin(n)
		case s.or.Left() > n:
			return one.MaskWithin(n)
		default:
			return s.g.union(one.MaskWithin(n), s.or.MaskWithin(n))
		}
	}
	if s.then != nil {
		n -= s.then.Left()
	}
	g := s.g
	g.mu.Lock()
	defer g.mu.Unlock()
	most := int32(max(min(n, never), int(g.cost(s.s)))) - 1
	if most == never-1 {
		most = never // no token leads to an end that could be lived to see, so any will do
	}
	if s.s.dearest > 0 && s.s.dearest-1 <= most {
		return g.mask(s.s)
	}
	set := g.set()
	dearest := int32(0)
	cheap := func(after *state) bool {
		cost := g.cost(after)
		dearest = max(dearest, cost)
		return cost <= most
	}
	put := func(id int32, after *state) {
		if cheap(after) {
			set[id>>6] |= 1 << (id & 63)
		}
	}
	g.walk(g.sliceWithin(s.s, set, cheap), s.s, put)
	g.markers(s.s, put)
	s.s.dearest = dearest + 1
	return newMask(set)
}

// sliceWithin adds to the set the tokens of a slice whose characters all lead to one state after another, where it is cheap, and returns
// the trie of the other tokens.
func (g *Grammar) sliceWithin(s *state, set []uint64, cheap func(*state) bool) *trie {
kinds:
	for kind := range g.vocabulary.slices {
		sl := &g.vocabulary.slices[kind]
		add := func(from, to int) { // tokens of more than from and at most to characters
			for w := range set {
				set[w] |= sl.length[to][w] &^ sl.length[from][w]
			}
		}
		at, n := g.afterChar(s, kind), 1
		if at == nowhere {
			continue
		}
		if at == nil {
			if most := g.mostly(s, kind); most != nil {
				if cheap(most) {
					add(0, maxChars+1)
				}
				g.walkAround(most, s, set, cheap)
				return sl.rest()
			}
			continue
		}
		for n <= maxChars {
			next := g.afterChar(at, kind)
			switch {
			case next == nil:
				clear(set)
				continue kinds
			case next == at: // and so on
				if cheap(at) {
					add(n-1, maxChars+1)
				}
				return sl.rest()
			}
			if cheap(at) {
				add(n-1, n)
			}
			if at, n = next, n+1; next == nowhere {
				return sl.rest()
			}
		}
		for _, id := range sl.long() {
			if after := g.follow(s, g.vocabulary.texts[id]); after != nowhere && cheap(after) {
				set[id>>6] |= 1 << (id & 63)
			}
		}
		return sl.rest()
	}
	return g.vocabulary.all
}

// mostly returns a state that some characters of a kind lead to, and that all of them keep, or nil.
func (g *Grammar) mostly(s *state, kind int) *state {
	var seen []*state
	for _, x := range g.kinds[kind].edges {
		for b := range g.bytes(x) {
			to := g.next(s, g.class[b])
			if x.to != g.arena.empty || to == nowhere || slices.Contains(seen, to) {
				continue
			}
			if g.afterChar(to, kind) == to {
				return to
			}
			if seen = append(seen, to); len(seen) > 8 {
				return nil
			}
		}
	}
	return nil
}

// walkAround sets right, in a set of tokens that all lead to one state, those that do not come by it.
func (g *Grammar) walkAround(most, s *state, set []uint64, cheap func(*state) bool) {
	t := g.vocabulary.all
	var path [longest + 1]*state
	path[0] = s
	for i := 0; i < len(t.nodes); {
		n := &t.nodes[i]
		to := g.next(path[n.depth], g.class[n.b])
		ids := t.ids[n.first:][:n.n]
		if to == nowhere {
			ids = t.below(i)
		}
		if to != most {
			for _, id := range ids {
				if set[id>>6] &^= 1 << (id & 63); to != nowhere && cheap(to) {
					set[id>>6] |= 1 << (id & 63)
				}
			}
		}
		if to == most || to == nowhere {
			i = int(n.skip)
			continue
		}
		path[n.depth+1] = to
		i++
	}
}

// afterChar returns the state after a character of a kind, or nil if some of them lead elsewhere than others.
func (g *Grammar) afterChar(s *state, kind int) *state {
	var all *state
	var visit func(at *state, e *expr) bool
	visit = func(at *state, e *expr) bool {
		for _, x := range e.edges {
			for b := range g.bytes(x) {
				to := g.next(at, g.class[b])
				if to != nowhere && x.to != g.arena.empty {
					if !visit(to, x.to) {
						return false
					}
					continue
				}
				if all != nil && to != all {
					return false
				}
				all = to
			}
		}
		return true
	}
	if !visit(s, g.kinds[kind]) {
		return nil
	}
	return all
}

// cost returns the fewest tokens to an end.
func (g *Grammar) cost(s *state) int32 {
	if s == over {
		return 0
	}
	if s.cost != 0 {
		return s.cost - 1
	}
	if g.costs == nil {
		g.price()
	}
	least := int32(never)
	if s.row != nil {
		if s.row.end {
			least = 0
		}
		for _, x := range s.row.tokens {
			least = min(least, 1+g.costOf(x.item))
		}
	}
	for _, t := range s.threads {
		for _, x := range t.lex.lexemes {
			within := g.spelled(x.e)
			for _, to := range reaches(t.from.terms, x.term) {
				least = min(least, within+g.costOf(to.item))
			}
		}
	}
	if s != nowhere {
		s.cost = least + 1
	}
	return least
}

// costOf returns the fewest tokens from an item to the end of the text.
func (g *Grammar) costOf(x item) int32 {
	return min(never, g.toEnd(x)+g.costAfter(x.from, g.net.nodes[x.node].rule))
}

// toEnd returns the fewest tokens from an item to the end of its rule.
func (g *Grammar) toEnd(x item) int32 {
	n := &g.net.nodes[x.node]
	cost := int64(g.costs[x.node])
	if loop := g.net.loops[n.rule]; loop >= 0 && !n.final {
		l := &g.net.nodes[loop]
		missing := l.min - x.n
		if !n.loops {
			missing-- // what the item is in
		} else {
			cost = 0
		}
		cost += int64(max(missing, 0)) * int64(g.costs[l.eps[0]])
	}
	return int32(min(cost, never))
}

// costAfter returns the fewest tokens from the end of a rule that began at a row.
func (g *Grammar) costAfter(r *row, rule int32) int32 {
	if rule == g.net.root {
		return 0
	}
	if r.costs == nil {
		r.costs = map[int32]int32{}
		outer := make([]int32, len(r.calls)) // after the rules that call, where they began before
		for i, c := range r.calls {
			outer[i] = never
			if c.from != r {
				outer[i] = g.costAfter(c.from, g.net.nodes[c.node].rule)
			}
			r.costs[c.what] = never
		}
		for changed := true; changed; {
			changed = false
			for i, c := range r.calls {
				after := outer[i]
				if of := g.net.nodes[c.node].rule; c.from == r && of == g.net.root {
					after = 0
				} else if c.from == r {
					after = r.costs[of]
				}
				if cost := g.toEnd(c.item) + after; cost < r.costs[c.what] {
					r.costs[c.what], changed = cost, true
				}
			}
		}
	}
	if cost, ok := r.costs[rule]; ok {
		return cost
	}
	return never
}

// spelled returns the fewest tokens that write the shortest string of an expression.
func (g *Grammar) spelled(e *expr) int32 {
	if e.cost == 0 {
		e.cost = 1 + g.vocabulary.fewest(g.arena.shortest(e))
	}
	return e.cost - 1
}

// fewest returns the fewest tokens that write a text.
func (v *Vocabulary) fewest(text string) int32 {
	if text == "" {
		return 0
	}
	best := make([]int32, len(text)+1) // to the end, from each byte
	for at := len(text) - 1; at >= 0; at-- {
		best[at] = never
		t := v.all
		i, end := 0, len(t.nodes)
		for d := at; d < len(text); d++ {
			if i = t.find(i, end, text[d]); i == end {
				break
			}
			if t.nodes[i].n > 0 {
				best[at] = min(best[at], 1+best[d+1])
			}
			end = int(t.nodes[i].skip)
			i++
		}
	}
	return best[0]
}

// price finds the fewest tokens from each node to the end of its rule; within a repetition that counts, to the end of that one.
func (g *Grammar) price() {
	nodes := g.net.nodes
	g.costs = make([]int32, len(nodes))
	for i := range g.costs {
		g.costs[i] = never
	}
	alternate(len(nodes), func(i int) bool {
		n := &nodes[i]
		cost := int32(never)
		switch {
		case n.final || n.counts:
			cost = 0
		case n.loops:
			cost = int32(min(never, int64(n.min)*int64(g.costs[n.eps[0]])))
		}
		if !n.loops && !n.counts {
			for _, to := range n.eps {
				cost = min(cost, g.costs[to])
			}
		}
		for _, t := range n.terms {
			cost = min(cost, g.spelled(g.net.terms[t.what])+g.costs[t.to])
		}
		for _, t := range n.tokens {
			cost = min(cost, 1+g.costs[t.to])
		}
		for _, c := range n.calls {
			cost = min(cost, g.costs[g.net.start[c.what]]+g.costs[c.to])
		}
		if cost >= g.costs[i] {
			return false
		}
		g.costs[i] = cost
		return true
	})
}
