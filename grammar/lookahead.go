package grammar

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
)

// Patterns of ECMA 262 may look ahead, which package regexp/syntax does not know: (?=x) and (?!x) say how the text goes on, or how it does
// not. Each is read as one character that no text has, and becomes an intersection with what may follow it.

// firstMark is the first of the characters that stand for lookaheads; all after it are noncharacters or private.
const firstMark = 0x10FFF0

// A lookahead says what the text must go on with, or must not.
type lookahead struct {
	not bool
	re  *syntax.Regexp
}

// errAhead says that a lookahead stands where it cannot be enforced.
var errAhead = errors.New("a lookahead within what repeats")

// parseAhead reads a pattern with lookaheads. They are numbered by their marks.
func parseAhead(text string, marks *[]lookahead) (*syntax.Regexp, error) {
	var b strings.Builder
	class := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			b.WriteString(text[i : i+2])
			i++
			continue
		case c == '[':
			class = true
		case c == ']':
			class = false
		case !class && (strings.HasPrefix(text[i:], "(?<=") || strings.HasPrefix(text[i:], "(?<!")):
			return nil, errors.New("a lookbehind")
		case !class && (strings.HasPrefix(text[i:], "(?=") || strings.HasPrefix(text[i:], "(?!")):
			end := closing(text, i)
			if end < 0 {
				return nil, errors.New("missing )")
			}
			re, err := parseAhead(text[i+3:end], marks)
			if err != nil {
				return nil, err
			}
			if firstMark+len(*marks) > maxRune {
				return nil, errors.New("too many lookaheads")
			}
			// In a group, so that what repeats repeats nothing else.
			fmt.Fprintf(&b, `(\x{%X})`, firstMark+len(*marks))
			*marks = append(*marks, lookahead{text[i+2] == '!', re})
			i = end
			continue
		}
		b.WriteByte(text[i])
	}
	return syntax.Parse(fromECMA(b.String()), syntax.Perl)
}

// closing returns the place of the bracket that closes the one at a place, or -1.
func closing(text string, at int) int {
	class, depth := false, 0
	for i := at; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// An aheadPattern makes expressions of patterns with lookaheads.
type aheadPattern struct {
	pattern
	marks []lookahead
	rest  *expr // any text
}

// search returns the texts in which re matches anywhere.
func (p aheadPattern) search(re *syntax.Regexp) (*expr, error) {
	switch {
	case re.Op == syntax.OpCapture && !p.isMark(re):
		return p.search(re.Sub[0])
	case re.Op == syntax.OpAlternate:
		return p.each(re.Sub, p.search)
	case re.Op == syntax.OpBeginText || re.Op == syntax.OpConcat && re.Sub[0].Op == syntax.OpBeginText:
		return p.before(re, true, p.rest)
	}
	e, err := p.before(re, false, p.rest)
	return p.cat(p.rest, e), err
}

func (p aheadPattern) isMark(re *syntax.Regexp) bool {
	if re.Op != syntax.OpCapture || re.Sub[0].Op != syntax.OpLiteral {
		return false
	}
	n := re.Sub[0].Rune[0] - firstMark
	return n >= 0 && int(n) < len(p.marks)
}

// plain reports whether there are no lookaheads and anchors in re.
func (p aheadPattern) plain(re *syntax.Regexp) bool {
	return !p.isMark(re) && re.Op != syntax.OpBeginText && re.Op != syntax.OpEndText &&
		!slices.ContainsFunc(re.Sub, func(re *syntax.Regexp) bool { return !p.plain(re) })
}

// before returns the texts that begin with what re matches and go on with one of rest to their end; first tells whether they are whole
// texts.
func (p aheadPattern) before(re *syntax.Regexp, first bool, rest *expr) (*expr, error) {
	if p.plain(re) {
		e, err := p.whole(re, false, false)
		return p.cat(e, rest), err
	}
	switch re.Op {
	case syntax.OpBeginText:
		if first {
			return rest, nil
		}
		return p.none, errAnchor
	case syntax.OpEndText:
		if rest.nullable {
			return p.empty, nil
		}
		return p.none, nil
	case syntax.OpCapture:
		if !p.isMark(re) {
			return p.before(re.Sub[0], first, rest)
		}
		mark := p.marks[re.Sub[0].Rune[0]-firstMark]
		e, err := p.before(mark.re, first, p.rest)
		if mark.not {
			e = p.not(e)
		}
		return p.and(rest, e), err
	case syntax.OpConcat:
		leading := 0
		for leading < len(re.Sub) && (zeroWidth(re.Sub[leading]) || p.isMark(re.Sub[leading])) {
			leading++
		}
		for i, part := range slices.Backward(re.Sub) {
			var err error
			if rest, err = p.before(part, first && i <= leading, rest); err != nil {
				return p.none, err
			}
		}
		return rest, nil
	case syntax.OpAlternate:
		return p.each(re.Sub, func(re *syntax.Regexp) (*expr, error) { return p.before(re, first, rest) })
	case syntax.OpQuest:
		e, err := p.before(re.Sub[0], first, rest)
		return p.alt(e, rest), err
	}
	return p.none, errAhead
}
