package grammar

import "slices"

// A body is what a rule says may follow: bytes, special tokens, other rules, and sequences, choices and repetitions of bodies. Bodies may
// be shared.
type body struct {
	kind     bodyKind
	e        *expr
	token    int32
	rule     int32
	list     []*body
	min, max int32
}

type bodyKind uint8

const (
	bodyBytes bodyKind = iota
	bodyToken
	bodyRule
	bodySeq
	bodyChoice
	bodyRepeat
)

// Bounds on a grammar.
const (
	maxStates = 4 << 20
	maxDepth  = 50000 // of bodies within bodies
	maxSize   = 90 << 20
)

func bytesBody(e *expr) *body     { return &body{kind: bodyBytes, e: e} }
func tokenBody(token int32) *body { return &body{kind: bodyToken, token: token} }
func ruleBody(rule int32) *body   { return &body{kind: bodyRule, rule: rule} }
func choice(list ...*body) *body  { return &body{kind: bodyChoice, list: list} }
func repeat(b *body, min, max int32) *body {
	return &body{kind: bodyRepeat, list: []*body{b}, min: min, max: max}
}

// seq joins bytes that follow each other.
func (a *arena) seq(list ...*body) *body {
	var joined []*body
	var run []*expr // joined at once, from the end: what is joined to a long one is no longer than that
	flush := func() {
		if len(run) > 0 {
			joined, run = append(joined, bytesBody(a.cat(run...))), nil
		}
	}
	for _, b := range list {
		parts := []*body{b}
		if b.kind == bodySeq {
			parts = b.list
		}
		for _, b := range parts {
			if b.kind == bodyBytes {
				run = append(run, b.e)
				continue
			}
			flush()
			joined = append(joined, b)
		}
	}
	flush()
	if len(joined) == 1 {
		return joined[0]
	}
	return &body{kind: bodySeq, list: joined}
}

// A node is a state of the network that a rule becomes.
type node struct {
	rule   int32
	final  bool // the rule may end here
	counts bool // coming here is one more repetition: goes on with eps, which loops
	loops  bool // decides whether to repeat: eps[0] is the repetition, eps[1] what follows
	min    int32
	max    int32 // < 0 is no bound
	eps    []int32
	terms  []arc
	calls  []arc
	tokens []arc
}

// An arc leads to another node of a rule by a terminal, special token or rule.
type arc struct{ what, to int32 }

// A network is a grammar ready to be parsed with: rules as automata over terminals, special tokens and rules.
type network struct {
	nodes    []node
	start    []int32 // by rule
	final    []int32 // by rule
	nullable []bool  // by rule
	loops    []int32 // by rule: the node that loops where the rule is a repetition that counts, else -1
	terms    []*expr // by terminal
	root     int32
}

// A builder makes a network of the bodies of rules.
type builder struct {
	*arena
	bodies []*body // by rule; nil until it is known

	net   network
	term  map[*expr]int32
	links []int32 // for the eps of nodes, which take them from here
	arcs  []arc   // for their terms and calls
	entry map[place]int32
	depth int
}

type place struct {
	b    *body
	to   int32
	rule int32
}

func newBuilder() *builder {
	return &builder{arena: newArena(), term: map[*expr]int32{}, entry: map[place]int32{}}
}

// rule makes a new rule, the body of which may be set later.
func (b *builder) rule(body *body) int32 {
	b.bodies = append(b.bodies, body)
	return int32(len(b.bodies) - 1)
}

// build makes the network that begins with a body.
func (b *builder) build(root *body) (*network, error) {
	b.net.root = b.rule(root)
	b.findNullable()
	for r := int32(0); int(r) < len(b.bodies); r++ { // counted repetitions add rules
		b.buildRule(r)
		if b.err != nil {
			return nil, b.err
		}
	}
	b.prune()
	return &b.net, nil
}

// alternate calls f with all numbers below n, upwards and downwards in turn, until none changes anything.
func alternate(n int, f func(i int) (changed bool)) {
	for up, changed := true, true; changed; up = !up {
		changed = false
		for i := range n {
			if !up {
				i = n - 1 - i
			}
			if f(i) {
				changed = true
			}
		}
	}
}

// prune removes the edges from which no rule comes to its end, so that no text is begun that cannot be ended.
func (b *builder) prune() {
	n := &b.net
	live := make([]bool, len(n.nodes))
	leads := func(x *node) bool {
		switch {
		case x.final || x.counts:
			return true
		case x.loops:
			return x.min == 0 || live[x.eps[0]]
		}
		return slices.ContainsFunc(x.eps, func(to int32) bool { return live[to] }) ||
			slices.ContainsFunc(x.terms, func(t arc) bool { return live[t.to] && b.isAlive(n.terms[t.what]) }) ||
			slices.ContainsFunc(x.tokens, func(t arc) bool { return live[t.to] }) ||
			slices.ContainsFunc(x.calls, func(c arc) bool { return live[c.to] && live[n.start[c.what]] })
	}
	alternate(len(n.nodes), func(i int) bool {
		if live[i] || !leads(&n.nodes[i]) {
			return false
		}
		live[i] = true
		return true
	})
	for i := range n.nodes {
		x := &n.nodes[i]
		if x.loops {
			if !live[x.eps[0]] {
				*x = node{rule: x.rule, eps: x.eps[1:]}
				n.loops[x.rule] = -1
			}
			continue
		}
		x.eps = slices.DeleteFunc(x.eps, func(to int32) bool { return !live[to] })
		x.terms = slices.DeleteFunc(x.terms, func(t arc) bool { return !live[t.to] || !b.isAlive(n.terms[t.what]) })
		x.tokens = slices.DeleteFunc(x.tokens, func(t arc) bool { return !live[t.to] })
		x.calls = slices.DeleteFunc(x.calls, func(c arc) bool { return !live[c.to] || !live[n.start[c.what]] })
	}
}

// findNullable finds the rules that may be empty.
func (b *builder) findNullable() {
	b.net.nullable = make([]bool, len(b.bodies))
	for changed := true; changed; {
		changed = false
		memo := map[*body]bool{}
		for r, body := range b.bodies {
			if !b.net.nullable[r] && b.isNullable(body, memo) {
				b.net.nullable[r], changed = true, true
			}
		}
	}
}

func (b *builder) isNullable(x *body, memo map[*body]bool) bool {
	if known, ok := memo[x]; ok {
		return known
	}
	memo[x] = false
	is := func(y *body) bool { return b.isNullable(y, memo) }
	var ok bool
	switch x.kind {
	case bodyBytes:
		ok = x.e.nullable
	case bodyRule:
		ok = b.net.nullable[x.rule]
	case bodySeq:
		ok = !slices.ContainsFunc(x.list, func(y *body) bool { return !is(y) })
	case bodyChoice:
		ok = slices.ContainsFunc(x.list, is)
	case bodyRepeat:
		ok = x.min == 0 || is(x.list[0])
	}
	memo[x] = ok
	return ok
}

func (b *builder) node(n node) int32 {
	if len(b.net.nodes) >= maxStates {
		b.fail("the rules have more than %d states", maxStates)
		return 0
	}
	if b.size += 150; b.size > maxSize {
		b.fail("the grammar takes more than %d MB", maxSize>>20)
		return 0
	}
	b.net.nodes = append(b.net.nodes, n)
	return int32(len(b.net.nodes) - 1)
}

func (b *builder) buildRule(r int32) {
	final := b.node(node{rule: r, final: true})
	start := b.node(node{rule: r})
	if b.err != nil { // there are no nodes
		return
	}
	b.net.start = append(b.net.start, start)
	b.net.final = append(b.net.final, final)
	b.net.loops = append(b.net.loops, -1)
	x := b.bodies[r]
	if x.kind != bodyRepeat || x.max <= 1 && x.min <= 1 || x.list[0].kind == bodyBytes {
		b.net.nodes[start].eps = []int32{b.enter(x, r, final)}
		return
	}
	// A repetition with bounds: what is repeated comes back to count.
	n := x.min
	if b.isNullable(x.list[0], map[*body]bool{}) {
		if n = 0; x.max > 64 {
			b.fail("a repetition, up to %d times, of what may be empty", x.max)
			return
		}
	}
	loop := b.node(node{rule: r, loops: true, min: n, max: x.max})
	count := b.node(node{rule: r, counts: true, min: n, max: x.max, eps: []int32{loop}})
	again := b.enter(x.list[0], r, count)
	b.net.nodes[loop].eps = []int32{again, final}
	b.net.nodes[start].eps = []int32{loop}
	b.net.loops[r] = loop
}

// enter returns the node at which a body begins that goes on to another node.
func (b *builder) enter(x *body, rule, to int32) int32 {
	if b.err != nil {
		return to
	}
	key := place{x, to, rule}
	if n, ok := b.entry[key]; ok {
		return n
	}
	if b.depth++; b.depth > maxDepth {
		b.fail("bodies nested deeper than %d", maxDepth)
		return to
	}
	n := b.enterNew(x, key)
	b.depth--
	b.entry[key] = n
	return n
}

// enterNew returns the node of a body that has none yet.
func (b *builder) enterNew(x *body, key place) int32 {
	rule, to := key.rule, key.to
	var n int32
	switch x.kind {
	case bodyBytes:
		switch x.e {
		case b.empty:
			n = to
		case b.none:
			n = b.node(node{rule: rule})
		default:
			n = b.node(node{rule: rule, terms: b.arc(b.terminal(x.e), to)})
			if x.e.nullable {
				b.net.nodes[n].eps = b.eps(to)
			}
		}
	case bodyToken:
		n = b.node(node{rule: rule, tokens: []arc{{x.token, to}}})
	case bodyRule:
		if x.rule == rule && to == b.net.final[rule] {
			n = b.net.start[rule] // what follows the rule is what follows itself
			break
		}
		n = b.node(node{rule: rule, calls: b.arc(x.rule, to)})
	case bodySeq:
		n = to
		for _, y := range slices.Backward(x.list) {
			n = b.enter(y, rule, n)
		}
	case bodyChoice:
		n = b.node(node{rule: rule})
		b.entry[key] = n
		eps := b.eps(make([]int32, len(x.list))...)
		for i, y := range x.list {
			eps[i] = b.enter(y, rule, to)
		}
		b.net.nodes[n].eps = eps
	case bodyRepeat:
		n = b.repeat(x, rule, to)
	}
	return n
}

func (b *builder) repeat(x *body, rule, to int32) int32 {
	once := x.list[0]
	switch {
	case x.max == 0:
		return to
	case once.kind == bodyBytes:
		return b.enter(bytesBody(b.arena.repeat(once.e, x.min, x.max)), rule, to)
	case x.min == 0 && x.max == 1:
		return b.node(node{rule: rule, eps: []int32{b.enter(once, rule, to), to}})
	case x.min == 1 && x.max == 1:
		return b.enter(once, rule, to)
	case x.min <= 1 && x.max < 0:
		again := b.node(node{rule: rule})
		first := b.enter(once, rule, again)
		b.net.nodes[again].eps = []int32{first, to}
		if x.min == 0 {
			return again
		}
		return first
	}
	r := b.rule(x)
	b.net.nullable = append(b.net.nullable, b.isNullable(x, map[*body]bool{}))
	return b.enter(ruleBody(r), rule, to)
}

// eps returns a list of nodes. Grammars have many short ones, so they share memory.
func (b *builder) eps(to ...int32) []int32 {
	if len(b.links)+len(to) > cap(b.links) {
		b.links = make([]int32, 0, max(4096, len(to)))
	}
	n := len(b.links)
	b.links = append(b.links, to...)
	return b.links[n:len(b.links):len(b.links)]
}

// arc returns a list of one arc.
func (b *builder) arc(what, to int32) []arc {
	if len(b.arcs) == cap(b.arcs) {
		b.arcs = make([]arc, 0, 1024)
	}
	n := len(b.arcs)
	b.arcs = append(b.arcs, arc{what, to})
	return b.arcs[n : n+1 : n+1]
}

func (b *builder) terminal(e *expr) int32 {
	t, ok := b.term[e]
	if !ok {
		t = int32(len(b.net.terms))
		b.term[e] = t
		b.net.terms = append(b.net.terms, e)
	}
	return t
}

// flatten makes bytes of the bodies and rules that need no parser: those that do not lead back to themselves and have no special tokens.
func (b *builder) flatten() {
	const open, done = 1, 2
	state := make([]uint8, len(b.bodies))
	var flat func(x *body) *body
	visit := func(r int32) {
		if state[r] == 0 {
			state[r] = open
			b.bodies[r] = flat(b.bodies[r])
			state[r] = done
		}
	}
	flat = func(x *body) *body {
		switch x.kind {
		case bodyRule:
			if visit(x.rule); state[x.rule] == done && b.bodies[x.rule].kind == bodyBytes {
				return b.bodies[x.rule]
			}
			return x
		case bodySeq, bodyChoice, bodyRepeat:
		default:
			return x
		}
		list := make([]*body, len(x.list))
		exprs := make([]*expr, len(x.list))
		for i, y := range x.list {
			if list[i] = flat(y); list[i].kind == bodyBytes && exprs != nil {
				exprs[i] = list[i].e
			} else {
				exprs = nil
			}
		}
		switch {
		case x.kind == bodySeq:
			return b.seq(list...)
		case x.kind == bodyChoice && exprs != nil:
			return bytesBody(b.alt(exprs...))
		case x.kind == bodyRepeat && exprs != nil:
			return bytesBody(b.arena.repeat(exprs[0], x.min, x.max))
		}
		return &body{kind: x.kind, list: list, min: x.min, max: x.max}
	}
	for r := range b.bodies {
		visit(int32(r))
	}
}
