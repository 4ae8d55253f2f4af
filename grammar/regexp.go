package grammar

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"unicode"
)

// Regexp returns the grammar of the texts that a regular expression matches as a whole. The syntax is RE2's, as package regexp has it, with
// at most 1000 repetitions in {m,n}, also where they multiply, but without word boundaries, and ^ and $ only where they mean the ends of
// the text. Characters are written as UTF-8; U+2581, which the vocabulary cannot write, is none of them.
func Regexp(v *Vocabulary, expression string) (*Grammar, error) {
	g, err := v.cache.get(key{[]byte("regexp"), []byte(expression)}, func() (*Grammar, error) {
		b := newBuilder()
		e, err := b.regexp(expression)
		if err != nil {
			return nil, err
		}
		return v.grammar(b, bytesBody(e))
	})
	if err != nil {
		return nil, fmt.Errorf("grammar: regular expression: %w", err)
	}
	return g, nil
}

func (b *builder) regexp(expression string) (*expr, error) {
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return nil, err
	}
	e, err := pattern{b.arena, b.utf8}.whole(re, true, true)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return e, nil
}

// A pattern makes expressions of regular expressions, with characters spelled in one way.
type pattern struct {
	*arena
	char func(runes) *expr
}

// errAnchor says that an anchor stands where it cannot be enforced.
var errAnchor = errors.New("^ or $ within the expression")

// search returns the texts in which re matches anywhere.
func (p pattern) search(re *syntax.Regexp) (*expr, error) {
	rest := p.repeat(p.char(anyRune), 0, -1)
	switch re.Op {
	case syntax.OpCapture:
		return p.search(re.Sub[0])
	case syntax.OpAlternate:
		return p.each(re.Sub, p.search)
	case syntax.OpBeginText, syntax.OpEndText:
		return rest, nil
	}
	list := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		list = re.Sub
	}
	before, behind := rest, rest
	for len(list) > 0 && list[0].Op == syntax.OpBeginText {
		before, list = p.empty, list[1:]
	}
	for len(list) > 0 && list[len(list)-1].Op == syntax.OpEndText {
		behind, list = p.empty, list[:len(list)-1]
	}
	e, err := p.concat(list, before == p.empty, behind == p.empty)
	return p.cat(before, e, behind), err
}

func (p pattern) each(list []*syntax.Regexp, of func(*syntax.Regexp) (*expr, error)) (*expr, error) {
	all := make([]*expr, len(list))
	for i, re := range list {
		e, err := of(re)
		if err != nil {
			return p.none, err
		}
		all[i] = e
	}
	return p.alt(all...), nil
}

// concat returns the texts that the list matches as a whole; first and last tell whether the text begins and ends there.
func (p pattern) concat(list []*syntax.Regexp, first, last bool) (*expr, error) {
	from, to := 0, len(list)
	for from < to && zeroWidth(list[from]) {
		from++
	}
	for to > from && zeroWidth(list[to-1]) {
		to--
	}
	all := make([]*expr, len(list))
	for i, re := range list {
		e, err := p.whole(re, first && i <= from, last && i >= to-1)
		if err != nil {
			return p.none, err
		}
		all[i] = e
	}
	return p.cat(all...), nil
}

func zeroWidth(re *syntax.Regexp) bool {
	return re.Op == syntax.OpBeginText || re.Op == syntax.OpEndText || re.Op == syntax.OpEmptyMatch
}

// whole returns the texts that re matches as a whole.
func (p pattern) whole(re *syntax.Regexp, first, last bool) (*expr, error) {
	switch re.Op {
	case syntax.OpNoMatch:
		return p.none, nil
	case syntax.OpEmptyMatch:
		return p.empty, nil
	case syntax.OpLiteral:
		all := make([]*expr, len(re.Rune))
		for i, c := range re.Rune {
			set := runes{c, c}
			if re.Flags&syntax.FoldCase != 0 {
				for f := unicode.SimpleFold(c); f != c; f = unicode.SimpleFold(f) {
					set = append(set, f, f)
				}
			}
			all[i] = p.char(set.normal())
		}
		return p.cat(all...), nil
	case syntax.OpCharClass:
		return p.char(runes(re.Rune)), nil
	case syntax.OpAnyCharNotNL:
		return p.char(anyRune.without(runes{'\n', '\n', '\r', '\r', '\u2028', '\u2029'})), nil
	case syntax.OpAnyChar:
		return p.char(anyRune), nil
	case syntax.OpBeginText, syntax.OpEndText:
		if re.Op == syntax.OpBeginText && first || re.Op == syntax.OpEndText && last {
			return p.empty, nil
		}
		return p.none, errAnchor
	case syntax.OpCapture:
		return p.whole(re.Sub[0], first, last)
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		min, max := int32(re.Min), int32(re.Max)
		switch re.Op {
		case syntax.OpStar:
			min, max = 0, -1
		case syntax.OpPlus:
			min, max = 1, -1
		case syntax.OpQuest:
			min, max = 0, 1
		}
		e, err := p.whole(re.Sub[0], first && max == 1, last && max == 1)
		return p.repeat(e, min, max), err
	case syntax.OpConcat:
		return p.concat(re.Sub, first, last)
	case syntax.OpAlternate:
		return p.each(re.Sub, func(re *syntax.Regexp) (*expr, error) { return p.whole(re, first, last) })
	}
	return p.none, errors.New(re.String())
}
