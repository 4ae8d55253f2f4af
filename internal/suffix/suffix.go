// Package suffix finds where the end of a growing text of ids occurred before, and what came next there.
//
// An [Automaton] is the suffix automaton of its text (Blumer et al., "The smallest automaton recognizing the subwords of a text", 1985): a
// state is a set of substrings that end at the same places, of which the longest is kept; its link leads to the longest of their suffixes
// that ends elsewhere too. The state of the whole text therefore links to the longest suffix that occurred before, so that a match costs
// nothing. A text of n ids has at most 2n states, and at most n transitions beyond the first of each state, which lies in the state; an id
// costs constant time on average, whatever the text, and no allocation beyond the doubling of what holds the states.
//
// An id takes 30 to 60 bytes in texts of people and programs, 84 at most, and what slices keep in hand for growth: 256K ids are 8 to 24 MB,
// and about 50 ms of one core.
package suffix

import (
	"math/bits"
	"math/rand/v2"
)

// An Automaton is a text of ids and an index of all its substrings. It is made by [New], grows by [Automaton.Add] and cannot shrink other
// than to nothing. It is for one goroutine, and for at most 2³⁰ ids: who feeds it bounds them.
type Automaton struct {
	text   []int32 // ids, and one negative number of its own for each break, so that no substring across it occurs twice
	states []state // 0: the empty string
	edges  []edge  // all transitions but the first of each state
	table  []int32 // open addressing over edges: 1 + the edge's index, 0 for none; a power of two, at most half full
	seed   uint64  // against texts made to collide
	breaks int32   // so many so far

	last   int32 // the state of the whole text
	length int32 // of the match
	end    int32 // of its earlier occurrence
}

// A state is a set of substrings that have the same ends.
type state struct {
	length int32 // of the longest of them
	link   int32 // the state of its longest suffix that has more ends, -1 for the empty string
	end    int32 // where one of the occurrences ends, a late one
	id, to int32 // the first transition; to 0: none, since no transition leads to the empty string
	edges  int32 // 1 + the index of the newest of the others, 0 for none
}

// An edge is a transition: state from, extended by id, is in state to. The edges of a state are a list.
type edge struct {
	from, id, to int32
	next         int32 // 1 + the index of the next older one of the same state, 0 for none
}

// New returns an automaton of the empty text.
func New() *Automaton {
	a := &Automaton{seed: rand.Uint64()}
	a.Reset()
	return a
}

// Reset makes the text empty, and keeps the memory.
func (a *Automaton) Reset() {
	clear(a.table)
	a.text, a.edges = a.text[:0], a.edges[:0]
	a.states = append(a.states[:0], state{link: -1})
	a.breaks, a.last, a.length, a.end = 0, 0, 0, 0
}

// Len returns the length of the text: its ids, and one for each break that separates them.
func (a *Automaton) Len() int { return len(a.text) }

// Add appends an id to the text. An id below 0 is none: it is a [Automaton.Break].
func (a *Automaton) Add(id int32) {
	if id < 0 {
		a.Break()
		return
	}
	a.extend(id)
}

// Break ends a text that what follows does not continue: nothing matches across it. Several at once, or one before all text, are as one or
// none.
func (a *Automaton) Break() {
	if n := len(a.text); n == 0 || a.text[n-1] < 0 {
		return
	}
	a.breaks++
	a.extend(-a.breaks)
}

// Match returns the length of the longest suffix of the text that occurred before, and the end of such an occurrence: the text before end
// ends in it, and the id at end came next. Both are 0 where the last id is new, and after a break. The occurrence may overlap the suffix.
//
// Of several occurrences it is a late one, since what a text said last it says next: the latest of those where the suffix was what then
// matched, or one of the next three shorter suffixes that have ends of their own. That costs constant time, and is the latest of all but in
// rare cases; to be so always, each id would have to be told to every suffix of the text.
func (a *Automaton) Match() (length, end int) { return int(a.length), int(a.end) }

// Continue appends to dst what came after the match, n ids at most: fewer before a break, none if nothing matches. Where it arrives at the
// end of the text, it goes on with what it appended: a loop goes on as a loop.
func (a *Automaton) Continue(dst []int32, n int) []int32 {
	if a.length == 0 {
		return dst
	}
	from := len(dst)
	for i := int(a.end); len(dst)-from < n; i++ {
		id := int32(0)
		if i < len(a.text) {
			id = a.text[i]
		} else {
			id = dst[from+i-len(a.text)]
		}
		if id < 0 {
			break
		}
		dst = append(dst, id)
	}
	return dst
}

// recent is how many states learn of a new end: the match, and the next shorter suffixes.
const recent = 4

// extend appends id to the text, as in the paper, and keeps what matches.
func (a *Automaton) extend(id int32) {
	a.text = append(a.text, id)
	end := int32(len(a.text))
	cur := int32(len(a.states))
	a.states = append(a.states, state{length: end, end: end})
	p := a.last
	a.last = cur

	var to *int32
	for p >= 0 {
		if to = a.transition(p, id); to != nil {
			break
		}
		a.connect(p, id, cur)
		p = a.states[p].link
	}
	match := int32(0)
	if p >= 0 {
		match = *to
		if length := a.states[p].length + 1; a.states[match].length != length {
			match = a.split(p, id, match, length)
		}
	}
	a.states[cur].link = match

	a.length, a.end = a.states[match].length, a.states[match].end
	for range recent {
		if match <= 0 {
			break
		}
		a.states[match].end = end
		match = a.states[match].link
	}
}

// split parts from state q its substrings of at most length ids, which are about to have one end more: those that p and its suffixes reach
// by id. It returns their state.
func (a *Automaton) split(p, id, q, length int32) int32 {
	short := int32(len(a.states))
	s := a.states[q]
	others := s.edges
	s.length, s.edges = length, 0
	a.states = append(a.states, s)
	for others != 0 {
		e := a.edges[others-1]
		a.connect(short, e.id, e.to)
		others = e.next
	}
	a.states[q].link = short
	for p >= 0 {
		to := a.transition(p, id)
		if *to != q {
			break
		}
		*to = short
		p = a.states[p].link
	}
	return short
}

// transition returns where state s keeps what id leads to, nil if that is nowhere. It holds until the next connect.
func (a *Automaton) transition(s, id int32) *int32 {
	st := &a.states[s]
	if st.to == 0 {
		return nil
	}
	if st.id == id {
		return &st.to
	}
	if st.edges == 0 {
		return nil
	}
	for i := a.slot(s, id); ; i++ {
		at := a.table[i&(len(a.table)-1)]
		if at == 0 {
			return nil
		}
		if e := &a.edges[at-1]; e.from == s && e.id == id {
			return &e.to
		}
	}
}

// connect gives state s a transition by id, which it has none by yet.
func (a *Automaton) connect(s, id, to int32) {
	st := &a.states[s]
	if st.to == 0 {
		st.id, st.to = id, to
		return
	}
	a.edges = append(a.edges, edge{from: s, id: id, to: to, next: st.edges})
	st.edges = int32(len(a.edges))
	if 2*len(a.edges) <= len(a.table) {
		a.enter(st.edges)
		return
	}
	a.table = make([]int32, max(64, 2*len(a.table)))
	for at := range a.edges {
		a.enter(int32(at) + 1)
	}
}

// enter puts edge at-1 into the table, which has room.
func (a *Automaton) enter(at int32) {
	e := a.edges[at-1]
	i := a.slot(e.from, e.id)
	for a.table[i&(len(a.table)-1)] != 0 {
		i++
	}
	a.table[i&(len(a.table)-1)] = at
}

// slot returns where in the table the search for a transition begins.
func (a *Automaton) slot(s, id int32) int {
	high, low := bits.Mul64((uint64(uint32(s))<<32|uint64(uint32(id)))^a.seed, 0x9e3779b97f4a7c15)
	return int((high ^ low) & uint64(len(a.table)-1))
}
