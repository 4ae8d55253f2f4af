package grammar

import (
	"encoding/binary"
	"slices"
)

// The lexer follows all terminals that are expected at one place at once, and commits itself to none: where a terminal may end, the
// parser goes on behind it while the lexer goes on within it.

// A lexeme is a terminal that has begun and what is left of it.
type lexeme struct {
	term int32
	e    *expr
}

// A lexState is the set of lexemes that may have begun at a place, after the bytes since. Equal ones are the same pointer until a flush.
type lexState struct {
	id      uint64
	flushes int
	lexemes []lexeme // by terminal
	next    []*lexStep
	depths  [sliceKinds]depths
}

// A lexStep is what one byte makes of a lexState.
type lexStep struct {
	to   *lexState // nil when no lexeme goes on
	ends []int32   // terminals that may end here, ascending
	err  error     // the bound that was hit, if lexemes are missing
}

func (g *Grammar) lexState(lexemes []lexeme) *lexState {
	key := g.key[:0]
	for _, x := range lexemes {
		key = binary.AppendUvarint(key, uint64(x.term))
		key = binary.AppendUvarint(key, x.e.id)
	}
	g.key = key
	if l, ok := g.lexStates[string(key)]; ok {
		return l
	}
	g.lastID++
	l := &lexState{id: g.lastID, flushes: g.flushes, lexemes: slices.Clone(lexemes)}
	g.lexStates[string(key)] = l
	g.arena.used += 200 + 2*len(key) + 16*len(lexemes)
	return l
}

// lexBegin returns the lexer's state where these terminals are expected.
func (g *Grammar) lexBegin(terms []int32) *lexState {
	var lexemes []lexeme
	for _, t := range terms {
		lexemes = append(lexemes, lexeme{t, g.net.terms[t]})
	}
	return g.lexState(lexemes)
}

// lexNext follows a byte of a class.
func (g *Grammar) lexNext(l *lexState, class uint8) *lexStep {
	if l.next == nil || l.flushes != g.flushes {
		l.next, l.flushes = make([]*lexStep, g.classes), g.flushes
		g.arena.used += 8 * g.classes
	}
	if s := l.next[class]; s != nil {
		return s
	}
	step := new(lexStep)
	lexemes := g.lexemes[:0]
	g.arena.err = nil
	for _, x := range l.lexemes {
		e := g.arena.derive(x.e, g.example[class])
		if e == g.arena.none || e.boolean && !g.arena.isAlive(e) {
			continue
		}
		if e.nullable {
			step.ends = append(step.ends, x.term)
		}
		if e != g.arena.empty {
			lexemes = append(lexemes, lexeme{x.term, e})
		}
	}
	if g.lexemes = lexemes; len(lexemes) > 0 {
		step.to = g.lexState(lexemes)
	}
	step.err = g.arena.err
	l.next[class] = step
	g.arena.used += 40 + 4*len(step.ends)
	return step
}
