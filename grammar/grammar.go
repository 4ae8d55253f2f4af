package grammar

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
)

// ErrLimit is wrapped by errors about a grammar, or a state of one, that is larger than what this package works on.
var ErrLimit = errors.New("larger than supported")

// A Grammar says which texts are allowed. It may be used from several goroutines; what one finds out serves the others.
type Grammar struct {
	vocabulary *Vocabulary
	ends       []int32
	loosened   []string

	net     *network
	class   [256]uint8 // of bytes that the grammar treats alike: runs, ascending
	classes int
	example [256]byte // by class: its first
	kinds   [sliceKinds]*expr
	costs   []int32 // by node: see price; nil until they are asked for

	mu        sync.Mutex
	arena     *arena
	told      int // of arena.used, to memory
	memory    *memory
	flushes   int
	lastID    uint64
	lexStates map[string]*lexState
	rows      map[string]*row
	states    map[string]*state
	begin     *state // before any text; nil until it is asked for

	// Used again and again.
	key       []byte
	lexemes   []lexeme
	items     []item
	essential []item
	kernel    []item
	seen      map[item]bool
	threads   []thread
	scratch   []uint64
	budget    int // of states that a search for slices may look at
}

// grammar makes a grammar of the rules of a builder.
func (v *Vocabulary) grammar(b *builder, root *body) (*Grammar, error) {
	g := &Grammar{vocabulary: v, ends: v.ends, arena: b.arena, memory: &memory{cache: v.cache}, seen: map[item]bool{}, flushes: 1}
	runtime.AddCleanup(g, func(m *memory) { m.set(0) }, g.memory)
	for i := range g.kinds {
		g.kinds[i] = b.utf8(kinds[i])
	}
	net, err := b.build(root)
	if err != nil {
		return nil, err
	}
	g.net = net
	g.classify()
	b.seal()
	g.flush()
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.first(); s == nowhere || len(s.threads)+len(s.row.tokens) == 0 && !s.row.end {
		if b.err != nil {
			return nil, b.err
		}
		return nil, errors.New("no text is allowed")
	}
	return g, nil
}

// classify finds the bytes that no expression of the grammar tells apart.
func (g *Grammar) classify() {
	var starts [257]bool
	cut := func(lo, hi byte) { starts[lo], starts[int(hi)+1] = true, true }
	seen := map[*expr]bool{}
	for _, e := range g.net.terms {
		e.bytesOf(seen, cut)
	}
	for _, e := range g.kinds {
		e.bytesOf(seen, cut)
	}
	class := -1
	for b := range 256 {
		if b == 0 || starts[b] {
			class++
			g.example[class] = byte(b)
		}
		g.class[b] = uint8(class)
	}
	g.classes = class + 1
}

// flush forgets what was found out. States that are in use stay valid.
func (g *Grammar) flush() {
	g.flushes++
	g.arena.flush()
	g.told = 0
	g.memory.set(0)
	g.lexStates, g.rows, g.states, g.begin = map[string]*lexState{}, map[string]*row{}, map[string]*state{}, nil
}

// Vocabulary returns the vocabulary that the grammar was made for.
func (g *Grammar) Vocabulary() *Vocabulary { return g.vocabulary }

// Loosened names what the grammar does not enforce, as keyword and JSON pointer, where it was allowed not to.
func (g *Grammar) Loosened() []string { return slices.Clone(g.loosened) }

// Start returns the state before any text.
func (g *Grammar) Start() State {
	g.mu.Lock()
	defer g.mu.Unlock()
	return State{g: g, s: g.first()}
}

// A State is a place in a text that a grammar allows. It is a value: a copy is a fork, and an old one goes back.
type State struct {
	g    *Grammar
	s    *state
	then *State // where this one's text ends; nil for none
	or   *State // what may be begun instead; nil for nothing, and once a token has come
}

// Grammar returns the state's grammar: behind a thought that of what follows, of several the first.
func (s State) Grammar() *Grammar {
	if s.then != nil {
		return s.then.Grammar()
	}
	return s.g
}

// Mask returns the tokens that may come next. Where the text may end they include those that end it. It is empty after the end.
func (s State) Mask() *Mask {
	if s.or != nil {
		return s.g.union(s.alone().Mask(), s.or.Mask())
	}
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	return s.g.mask(s.s)
}

// Accept returns the state after a token, and whether it may come next. After one that ends the text nothing may come.
func (s State) Accept(id int32) (State, bool) {
	s.g.mu.Lock()
	to := s.g.token(s.s, id)
	s.g.mu.Unlock()
	switch {
	case to == nowhere && s.or != nil:
		return s.or.Accept(id)
	case s.then != nil && to.row != nil && to.row.end:
		return *s.then, true
	}
	return State{g: s.g, s: to, then: s.then}, to != nowhere
}

// token follows a token of any kind.
func (g *Grammar) token(s *state, id int32) *state {
	if id < 0 || int(id) >= g.vocabulary.size {
		return nowhere
	}
	if text := g.vocabulary.texts[id]; text != "" {
		return g.follow(s, text)
	}
	if to := g.accept(s, id); to != nowhere {
		return to
	}
	if s.row != nil && s.row.end {
		for _, end := range g.ends {
			if end == id {
				return over
			}
		}
	}
	return nowhere
}

// over is the state after the end.
var over = &state{mask: newMask(nil)}

// AcceptText returns the state after text without special tokens, and whether it may come next.
func (s State) AcceptText(text string) (State, bool) {
	s.g.mu.Lock()
	to := s.g.follow(s.s, text)
	s.g.mu.Unlock()
	if to == nowhere && s.or != nil {
		return s.or.AcceptText(text)
	}
	return State{g: s.g, s: to, then: s.then}, to != nowhere
}

// Err returns the bound of this package that was met behind this state, if one was: its mask then lacks tokens that the grammar allows, and
// may be empty where the text cannot end. It says nothing about other states of the grammar. An answer need not look at it before it comes
// to an empty mask: whatever masks allow obeys the grammar.
func (s State) Err() error {
	s.g.mu.Lock()
	err := s.s.err
	s.g.mu.Unlock()
	switch {
	case err != nil:
		return fmt.Errorf("grammar: %w", err)
	case s.or != nil:
		return s.or.Err()
	}
	return nil
}

// CanEnd reports whether the text may end here.
func (s State) CanEnd() bool {
	return s.s == over || s.s.row != nil && s.s.row.end || s.or != nil && s.or.CanEnd()
}
