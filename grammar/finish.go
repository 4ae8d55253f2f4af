package grammar

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
	set := g.set()
	put := func(id int32, after *state) {
		if g.cost(after) <= most {
			set[id>>6] |= 1 << (id & 63)
		}
	}
	g.walk(g.vocabulary.all, s.s, put)
	g.markers(s.s, put)
	return newMask(set)
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
