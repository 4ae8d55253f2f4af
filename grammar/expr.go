package grammar

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// An expr is a regular set of byte strings. Equal ones are the same pointer while the arena that made them remembers them. None holds no
// string, empty holds the empty one.
type expr struct {
	op       op
	nullable bool // holds the empty string
	boolean  bool // and or not is within: whether it holds any string takes a search
	life     life
	holds    uint8  // by kind: whether it is known if every character is held, and four bits higher, if so
	least    int32  // bytes of any string, where it is known; no string has fewer
	id       uint64 // by order of making
	a, b     *expr
	text     string  // of text
	list     []*expr // of alt and and, by id
	edges    []edge  // of branch, ascending
	min, max int32   // of repeat; max < 0 is no bound
	short    *string // the least of the shortest strings, once it was asked for
	cost     int32   // tokens of short, 0 before
}

type op uint8

const (
	opNone     op = iota
	opEmpty       // the empty string
	opText        // one string
	opBranch      // a byte, then what its edge says
	opCat         // a, then b
	opAlt         // one of list
	opAnd         // all of list
	opNot         // not a
	opRepeat      // a, min to max times
	opMultiple    // digits of a number that is a multiple
)

type life uint8

const (
	unknown life = iota
	alive
	dead
)

// An edge leads on with the bytes lo … hi.
type edge struct {
	lo, hi byte
	to     *expr
}

// exprKey is what makes an expression itself.
type exprKey struct {
	op       op
	a, b     uint64
	min, max int32
	list     string
}

// An arena makes expressions and remembers those it made: the ones of the grammar for good, those derived from them until it is flushed.
type arena struct {
	none, empty, all *expr

	kept, made map[exprKey]*expr
	sealed     bool // everything made from now on may be forgotten
	derived    map[derivation]*expr
	lastID     uint64
	used       int   // bytes, about, of what may be forgotten
	size       int   // bytes, about, of what is kept
	err        error // the first bound that was hit; once the grammar is made, by the step that is being taken
}

type derivation struct {
	of *expr
	by byte
}

// maxText bounds what a grammar may force, in bytes: no context holds more, and the way to the end of a text is searched in memory.
const maxText = 4 << 20

// maxAlternatives bounds an expression; what is derived from a grammar within its bounds and is larger than that is refused.
const maxAlternatives = 4096

func newArena() *arena {
	a := &arena{kept: map[exprKey]*expr{}, made: map[exprKey]*expr{}, derived: map[derivation]*expr{}}
	a.none = a.intern(&expr{op: opNone, life: dead})
	a.empty = a.intern(&expr{op: opEmpty, nullable: true})
	a.all = a.intern(&expr{op: opNot, a: a.none, nullable: true, boolean: true, life: alive})
	return a
}

// seal ends the making of a grammar.
func (a *arena) seal() { a.sealed = true }

// flush forgets what was derived.
func (a *arena) flush() {
	a.made, a.derived, a.used = map[exprKey]*expr{}, map[derivation]*expr{}, 0
}

// fail notes a bound that was hit: what depends on it is refused, never let through.
func (a *arena) fail(format string, values ...any) {
	if a.err == nil {
		a.err = fmt.Errorf("%w: "+format, append([]any{ErrLimit}, values...)...)
	}
}

func (a *arena) intern(e *expr) *expr {
	key := exprKey{op: e.op, min: e.min, max: e.max}
	if e.a != nil {
		key.a = e.a.id
	}
	if e.b != nil {
		key.b = e.b.id
	}
	key.list = e.text
	if len(e.list)+len(e.edges) > 0 {
		var text []byte
		for _, x := range e.list {
			text = binary.AppendUvarint(text, x.id)
		}
		for _, x := range e.edges {
			text = binary.AppendUvarint(append(text, x.lo, x.hi), x.to.id)
		}
		key.list = string(text)
	}
	if old, ok := a.kept[key]; ok {
		return old
	}
	if old, ok := a.made[key]; ok {
		return old
	}
	a.lastID++
	e.id, e.least = a.lastID, e.fewest()
	if !a.sealed && e.least > maxText {
		a.fail("a text of more than %d bytes at least", maxText)
		return a.none
	}
	if !a.sealed && a.size > maxSize {
		a.fail("the grammar takes more than %d MB", maxSize>>20)
		return a.none
	}
	if size := 280 + 2*len(key.list) + 24*len(e.edges) + 8*len(e.list); a.sealed {
		a.made[key] = e
		a.used += size
	} else {
		a.kept[key] = e
		a.size += size
	}
	return e
}

// fewest returns how many bytes no string of e is shorter than, as far as its parts tell.
func (e *expr) fewest() int32 {
	n := int64(0)
	switch e.op {
	case opText:
		n = int64(len(e.text))
	case opBranch:
		n = 1 + int64(slices.MinFunc(e.edges, func(x, y edge) int { return int(x.to.least - y.to.least) }).to.least)
	case opCat:
		n = int64(e.a.least) + int64(e.b.least)
	case opAlt:
		n = int64(slices.MinFunc(e.list, func(x, y *expr) int { return int(x.least - y.least) }).least)
	case opRepeat:
		n = int64(e.a.least) * int64(e.min)
	}
	return int32(min(n, maxText+1))
}

// literal returns the expression of one string.
func (a *arena) literal(s string) *expr {
	if s == "" {
		return a.empty
	}
	return a.intern(&expr{op: opText, text: s})
}

// head returns a text as a branch.
func (a *arena) head(e *expr) *expr {
	return a.branch([]edge{{e.text[0], e.text[0], a.literal(e.text[1:])}})
}

// literals returns the expression of any of these strings.
func (a *arena) literals(list []string) *expr {
	list = slices.Clone(list)
	slices.Sort(list)
	return a.sorted(slices.Compact(list), 0)
}

// sorted makes a tree of sorted strings that share their first bytes.
func (a *arena) sorted(list []string, depth int) *expr {
	if len(list) == 1 {
		return a.literal(list[0][depth:])
	}
	here := a.none
	if len(list) > 0 && len(list[0]) == depth {
		here, list = a.empty, list[1:]
	}
	var edges []edge
	for from := 0; from < len(list); {
		b, to := list[from][depth], from+1
		for to < len(list) && list[to][depth] == b {
			to++
		}
		edges = append(edges, edge{b, b, a.sorted(list[from:to], depth+1)})
		from = to
	}
	if len(edges) == 0 {
		return here
	}
	return a.alt(here, a.branch(edges))
}

// branch joins neighbours that lead to the same.
func (a *arena) branch(edges []edge) *expr {
	var joined []edge
	for _, e := range edges {
		if e.to == a.none {
			continue
		}
		if n := len(joined); n > 0 && joined[n-1].to == e.to && int(joined[n-1].hi)+1 == int(e.lo) {
			joined[n-1].hi = e.hi
			continue
		}
		joined = append(joined, e)
	}
	if len(joined) == 0 {
		return a.none
	}
	boolean := slices.ContainsFunc(joined, func(e edge) bool { return e.to.boolean })
	return a.intern(&expr{op: opBranch, edges: joined, boolean: boolean})
}

// span is any byte of lo … hi.
func (a *arena) span(lo, hi byte) *expr { return a.branch([]edge{{lo, hi, a.empty}}) }

func (a *arena) cat(list ...*expr) *expr {
	e := a.empty
	for _, x := range slices.Backward(list) {
		e = a.pair(x, e)
	}
	return e
}

func (a *arena) pair(x, y *expr) *expr {
	switch {
	case x == a.none || y == a.none:
		return a.none
	case x == a.empty:
		return y
	case y == a.empty:
		return x
	case x.op == opCat:
		return a.pair(x.a, a.pair(x.b, y))
	case x.op == opText && y.op == opText:
		return a.literal(x.text + y.text)
	case x.op == opText && y.op == opCat && y.a.op == opText:
		return a.pair(a.literal(x.text+y.a.text), y.b)
	}
	return a.intern(&expr{op: opCat, a: x, b: y, nullable: x.nullable && y.nullable, boolean: x.boolean || y.boolean})
}

func (a *arena) alt(list ...*expr) *expr {
	var flat, branches []*expr
	add := func(x *expr) {
		if x.op == opBranch || x.op == opText {
			branches = append(branches, x)
		} else {
			flat = append(flat, x)
		}
	}
	for _, x := range list {
		switch {
		case x == a.all:
			return x
		case x == a.none:
		case x.op == opAlt:
			for _, y := range x.list {
				add(y)
			}
		default:
			add(x)
		}
	}
	if len(branches) > 0 {
		flat = append(flat, a.merge(branches))
	}
	flat = sortExprs(flat)
	switch {
	case len(flat) == 0:
		return a.none
	case len(flat) == 1:
		return flat[0]
	case len(flat) > maxAlternatives && a.sealed:
		a.fail("more than %d alternatives at one place", maxAlternatives)
		return a.none
	}
	e := &expr{op: opAlt, list: flat}
	for _, x := range flat {
		e.nullable = e.nullable || x.nullable
		e.boolean = e.boolean || x.boolean
	}
	if e.nullable && flat[0] == a.empty && slices.ContainsFunc(flat[1:], func(x *expr) bool { return x.nullable }) {
		return a.alt(flat[1:]...)
	}
	return a.intern(e)
}

// merge makes one branch of several.
func (a *arena) merge(branches []*expr) *expr {
	branches = sortExprs(branches)
	if len(branches) == 1 {
		return branches[0]
	}
	if !slices.ContainsFunc(branches, func(x *expr) bool { return x.op != opText }) {
		texts := make([]string, len(branches))
		for i, x := range branches {
			texts[i] = x.text
		}
		return a.literals(texts)
	}
	for i, x := range branches {
		if x.op == opText {
			branches[i] = a.head(x)
		}
	}
	var edges []edge
	for b := 0; b < 256; {
		// From b to the next place where any of them changes, all of them lead on in one way.
		until := 256
		var to []*expr
		for _, x := range branches {
			i, _ := slices.BinarySearchFunc(x.edges, byte(b), func(e edge, b byte) int { return int(e.hi) - int(b) })
			if i == len(x.edges) {
				continue
			}
			if e := x.edges[i]; int(e.lo) > b {
				until = min(until, int(e.lo))
			} else {
				to = append(to, e.to)
				until = min(until, int(e.hi)+1)
			}
		}
		if len(to) > 0 {
			edges = append(edges, edge{byte(b), byte(until - 1), a.alt(to...)})
		}
		b = until
	}
	return a.branch(edges)
}

func sortExprs(list []*expr) []*expr {
	slices.SortFunc(list, func(x, y *expr) int {
		if x.id < y.id {
			return -1
		}
		if x.id > y.id {
			return 1
		}
		return 0
	})
	return slices.Compact(list)
}

func (a *arena) and(list ...*expr) *expr {
	var flat []*expr
	for _, x := range list {
		switch {
		case x == a.none:
			return x
		case x == a.all:
		case x.op == opAnd:
			flat = append(flat, x.list...)
		default:
			flat = append(flat, x)
		}
	}
	flat = sortExprs(flat)
	switch len(flat) {
	case 0:
		return a.all
	case 1:
		return flat[0]
	}
	nullable := !slices.ContainsFunc(flat, func(x *expr) bool { return !x.nullable })
	if slices.Contains(flat, a.empty) {
		if nullable {
			return a.empty
		}
		return a.none
	}
	return a.intern(&expr{op: opAnd, list: flat, nullable: nullable, boolean: true})
}

func (a *arena) not(x *expr) *expr {
	if x.op == opNot {
		return x.a
	}
	return a.intern(&expr{op: opNot, a: x, nullable: !x.nullable, boolean: true})
}

func (a *arena) repeat(x *expr, min, max int32) *expr {
	if x.nullable {
		min = 0
	}
	switch {
	case max == 0 || x == a.empty || x == a.none && min == 0:
		return a.empty
	case x == a.none:
		return x
	case min == 1 && max == 1:
		return x
	case min == 0 && max == 1:
		return a.alt(a.empty, x)
	case x.op == opRepeat && x.min == 0 && x.max < 0 && min <= 1:
		return x
	}
	return a.intern(&expr{op: opRepeat, a: x, min: min, max: max, nullable: min == 0, boolean: x.boolean})
}

// derive returns what may follow the byte b in the strings of e that begin with it.
func (a *arena) derive(e *expr, b byte) *expr {
	switch e.op {
	case opNone, opEmpty:
		return a.none
	case opText:
		if e.text[0] == b {
			return a.literal(e.text[1:])
		}
		return a.none
	case opBranch:
		i, _ := slices.BinarySearchFunc(e.edges, b, func(e edge, b byte) int { return int(e.hi) - int(b) })
		if i < len(e.edges) && e.edges[i].lo <= b {
			return e.edges[i].to
		}
		return a.none
	case opMultiple:
		return a.deriveMultiple(e, b)
	}
	key := derivation{e, b}
	if d, ok := a.derived[key]; ok {
		return d
	}
	if a.err != nil { // the step is refused, whatever this is
		return a.none
	}
	var d *expr
	switch e.op {
	case opCat:
		d = a.pair(a.derive(e.a, b), e.b)
		if e.a.nullable {
			d = a.alt(d, a.derive(e.b, b))
		}
	case opAlt, opAnd:
		list := make([]*expr, len(e.list))
		for i, x := range e.list {
			list[i] = a.derive(x, b)
		}
		if e.op == opAlt {
			d = a.alt(list...)
		} else {
			d = a.and(list...)
		}
	case opNot:
		d = a.not(a.derive(e.a, b))
	case opRepeat:
		more := e.max
		if more > 0 {
			more--
		}
		d = a.pair(a.derive(e.a, b), a.repeat(e.a, max(e.min-1, 0), more))
	}
	if a.err == nil { // else d may lack what was refused
		a.derived[key] = d
		a.used += 60
	}
	return d
}

// matches reports whether e holds s.
func (a *arena) matches(e *expr, s string) bool {
	for i := 0; i < len(s); i++ {
		e = a.derive(e, s[i])
	}
	return e.nullable
}

// bytesOf calls f with the bounds of every run of bytes that any part of e tells from the others.
func (e *expr) bytesOf(seen map[*expr]bool, f func(lo, hi byte)) {
	if e == nil || seen[e] {
		return
	}
	seen[e] = true
	e.firstOf(f, false)
	for i := 1; i < len(e.text); i++ {
		f(e.text[i], e.text[i])
	}
	for _, x := range e.edges {
		x.to.bytesOf(seen, f)
	}
	for _, x := range e.list {
		x.bytesOf(seen, f)
	}
	e.a.bytesOf(seen, f)
	e.b.bytesOf(seen, f)
}

// firstOf calls f with the bounds of every run of bytes that e tells from the others at its beginning; deep, those of its parts too.
func (e *expr) firstOf(f func(lo, hi byte), deep bool) {
	switch e.op {
	case opText:
		f(e.text[0], e.text[0])
		return
	case opBranch:
		for _, x := range e.edges {
			f(x.lo, x.hi)
		}
		return
	case opMultiple:
		for b := byte('0'); b <= '9'; b++ {
			f(b, b)
		}
		f('.', '.')
		return
	}
	if !deep {
		return
	}
	for _, x := range e.list {
		x.firstOf(f, true)
	}
	if e.a != nil {
		e.a.firstOf(f, true)
	}
	if e.b != nil && e.a.nullable {
		e.b.firstOf(f, true)
	}
}

// maxSearch bounds the expressions that a search looks at.
const maxSearch = 20000

// isAlive reports whether e holds any string. For intersections and complements that takes a search for one; what a search within its
// bounds does not find counts as not there.
func (a *arena) isAlive(e *expr) bool {
	if e.life != unknown {
		return e.life == alive
	}
	ok := true
	switch {
	case e.nullable || !e.boolean:
	case e.op == opCat:
		ok = a.isAlive(e.a) && a.isAlive(e.b)
	case e.op == opAlt:
		ok = slices.ContainsFunc(e.list, a.isAlive)
	case e.op == opRepeat:
		ok = a.isAlive(e.a)
	default:
		_, ok = a.search(e, func(x *expr) bool { return x.life == alive })
		return ok
	}
	if ok {
		e.life = alive
	} else if a.err == nil {
		e.life = dead
	}
	return ok
}

// search looks for the least of the shortest strings that lead from e to an expression that holds the empty string, or that is a goal. It
// marks what it learns about the life of expressions.
func (a *arena) search(e *expr, goal func(*expr) bool) (string, bool) {
	type step struct {
		e    *expr
		from int
		by   byte
	}
	steps := []step{{e: e, from: -1}}
	seen := map[*expr]bool{e: true}
	for i := 0; i < len(steps); i++ {
		at := steps[i].e
		if at.nullable || goal(at) {
			var path []byte
			for ; i >= 0; i = steps[i].from {
				steps[i].e.life = alive
				if steps[i].from >= 0 {
					path = append(path, steps[i].by)
				}
			}
			slices.Reverse(path)
			return string(path), true
		}
		if at.life == dead {
			continue
		}
		if len(steps) > maxSearch {
			a.fail("whether a string meets all of its conditions takes more than %d steps", maxSearch)
			return "", false
		}
		for _, b := range a.firsts(at) {
			if d := a.derive(at, b); d != a.none && !seen[d] {
				seen[d] = true
				steps = append(steps, step{d, i, b})
			}
		}
	}
	if a.err == nil { // else a bound may have hidden a string
		for _, s := range steps {
			s.e.life = dead
		}
	}
	return "", false
}

// firsts returns the bytes worth trying: the first of each run that e treats alike.
func (a *arena) firsts(e *expr) []byte {
	var starts [257]bool
	starts[0] = true
	e.firstOf(func(lo, hi byte) { starts[lo], starts[int(hi)+1] = true, true }, true)
	var list []byte
	for b := range 256 {
		if starts[b] {
			list = append(list, byte(b))
		}
	}
	return list
}

// shortest returns the least of the shortest strings of e, which must hold one.
func (a *arena) shortest(e *expr) string {
	if e.short != nil {
		return *e.short
	}
	var s string
	switch e.op {
	case opText:
		s = e.text
	case opBranch:
		first := true
		for _, x := range e.edges {
			if t := string([]byte{x.lo}) + a.shortest(x.to); a.isAlive(x.to) && (first || less(t, s)) {
				s, first = t, false
			}
		}
	case opCat:
		var all strings.Builder
		rest := e
		for ; rest.op == opCat; rest = rest.b { // what is left of a long one is not kept at each of its places
			all.WriteString(a.shortest(rest.a))
		}
		s = all.String() + a.shortest(rest)
	case opAlt:
		first := true
		for _, x := range e.list {
			if t := a.shortest(x); a.isAlive(x) && (first || less(t, s)) {
				s, first = t, false
			}
		}
	case opRepeat:
		s = strings.Repeat(a.shortest(e.a), int(e.min))
	case opAnd, opNot, opMultiple:
		s, _ = a.search(e, func(*expr) bool { return false })
	}
	e.short = &s
	if a.sealed {
		a.used += len(s)
	}
	return s
}

// less orders by length first.
func less(a, b string) bool { return len(a) < len(b) || len(a) == len(b) && a < b }
