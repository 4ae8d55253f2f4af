package grammar

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// GBNF returns the grammar that a text in llama.cpp's dialect of BNF describes, by its rule named root:
//
//	root  ::= "yes" | "no" reason?   # a comment
//	reason ::= ", because " [^.\n]{1,80} "."
//
// There are strings and classes with the escapes \n \t \r \\ \" \[ \] \- \^ \xHH \uHHHH \UHHHHHHHH, a point for any character,
// groups, and the repetitions * + ? {m} {m,} {m,n}. <[ID]> and <TEXT> are tokens, by number and by text: the only way to special
// ones. A rule ends at the end of its line, unless a bracket is open or | stands at its end. Rules may call themselves in any way.
// Errors begin with line and column.
func GBNF(v *Vocabulary, text string) (*Grammar, error) {
	g, err := v.cache.get(key{[]byte("GBNF"), []byte(text)}, func() (*Grammar, error) {
		p := &gbnfParser{builder: newBuilder(), vocabulary: v, text: text, rules: map[string]int32{}}
		return p.grammar()
	})
	if err != nil {
		return nil, fmt.Errorf("grammar: GBNF: %w", err)
	}
	return g, nil
}

// maxGBNF bounds the text, maxGroups the brackets within brackets.
const (
	maxGBNF   = 4 << 20
	maxGroups = 500
)

type gbnfParser struct {
	*builder
	vocabulary *Vocabulary
	text       string
	pos        int
	rules      map[string]int32
	used       []gbnfUse // names by rule, where they were first used
	depth      int
}

type gbnfUse struct {
	name string
	pos  int
}

// at adds line and column to an error about a place.
func (p *gbnfParser) at(pos int, err error) error {
	line := 1 + strings.Count(p.text[:pos], "\n")
	column := 1 + utf8.RuneCountInString(p.text[strings.LastIndexByte(p.text[:pos], '\n')+1:pos])
	return fmt.Errorf("%d:%d: %w", line, column, err)
}

func (p *gbnfParser) missing(what string) error {
	found := "the end"
	if p.pos < len(p.text) {
		r, _ := utf8.DecodeRuneInString(p.text[p.pos:])
		found = strconv.QuoteRune(r)
	}
	return p.at(p.pos, fmt.Errorf("expected %s, found %s", what, found))
}

func (p *gbnfParser) grammar() (*Grammar, error) {
	if len(p.text) > maxGBNF {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrLimit, len(p.text), maxGBNF)
	}
	if !utf8.ValidString(p.text) {
		return nil, errors.New("invalid UTF-8")
	}
	for p.space(true); p.pos < len(p.text); p.space(true) {
		if err := p.definition(); err != nil {
			return nil, err
		}
	}
	for r, use := range p.used {
		if p.bodies[r] == nil {
			return nil, p.at(use.pos, fmt.Errorf("rule %s is not defined", use.name))
		}
	}
	root, ok := p.rules["root"]
	if !ok {
		return nil, errors.New("rule root is not defined")
	}
	p.flatten()
	return p.vocabulary.grammar(p.builder, ruleBody(root))
}

// space passes blanks and comments, and line breaks where they mean nothing.
func (p *gbnfParser) space(lines bool) {
	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; {
		case c == ' ' || c == '\t' || lines && (c == '\n' || c == '\r'):
			p.pos++
		case c == '#':
			if n := strings.IndexAny(p.text[p.pos:], "\r\n"); n >= 0 {
				p.pos += n
			} else {
				p.pos = len(p.text)
			}
		default:
			return
		}
	}
}

func (p *gbnfParser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

func (p *gbnfParser) accept(s string) bool {
	if strings.HasPrefix(p.text[p.pos:], s) {
		p.pos += len(s)
		return true
	}
	return false
}

func (p *gbnfParser) name() string {
	start := p.pos
	for isName(p.peek()) {
		p.pos++
	}
	return p.text[start:p.pos]
}

func isName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// ruleOf returns the rule of a name.
func (p *gbnfParser) ruleOf(name string, pos int) int32 {
	r, ok := p.rules[name]
	if !ok {
		r = p.rule(nil)
		p.rules[name] = r
		p.used = append(p.used, gbnfUse{name, pos})
	}
	return r
}

func (p *gbnfParser) definition() error {
	pos := p.pos
	name := p.name()
	if name == "" {
		return p.missing("the name of a rule")
	}
	r := p.ruleOf(name, pos)
	if p.bodies[r] != nil {
		return p.at(pos, fmt.Errorf("rule %s is defined twice", name))
	}
	if p.space(false); !p.accept("::=") {
		return p.missing("::=")
	}
	p.space(true)
	x, err := p.alternatives(false)
	if err != nil {
		return err
	}
	p.bodies[r] = x
	if c := p.peek(); c != 0 && c != '\n' && c != '\r' {
		return p.missing("the end of the line")
	}
	return nil
}

func (p *gbnfParser) alternatives(lines bool) (*body, error) {
	var list []*body
	for {
		x, err := p.sequence(lines)
		if err != nil {
			return nil, err
		}
		list = append(list, x)
		if p.space(lines); !p.accept("|") {
			break
		}
		p.space(true)
	}
	if len(list) == 1 {
		return list[0], nil
	}
	return choice(list...), nil
}

func (p *gbnfParser) sequence(lines bool) (*body, error) {
	var list []*body
	for {
		p.space(lines)
		x, err := p.item()
		if err != nil {
			return nil, err
		}
		if x == nil {
			return p.seq(append([]*body{bytesBody(p.empty)}, list...)...), nil
		}
		for again := true; again; {
			p.space(lines)
			if x, again, err = p.repetition(x); err != nil {
				return nil, err
			}
		}
		list = append(list, x)
	}
}

// item returns nil where none begins.
func (p *gbnfParser) item() (*body, error) {
	pos := p.pos
	switch c := p.peek(); {
	case p.accept(`"`):
		var text []rune
		for !p.accept(`"`) {
			r, err := p.char()
			if err != nil {
				return nil, err
			}
			if r == space {
				return nil, p.at(pos, fmt.Errorf("the vocabulary cannot write %q", r))
			}
			text = append(text, r)
		}
		return bytesBody(p.literal(string(text))), nil
	case p.accept("["):
		return p.class()
	case p.accept("."):
		return bytesBody(p.utf8(anyRune)), nil
	case p.accept("("):
		if p.depth++; p.depth > maxGroups {
			return nil, p.at(pos, fmt.Errorf("%w: brackets nested deeper than %d", ErrLimit, maxGroups))
		}
		x, err := p.alternatives(true)
		if err != nil {
			return nil, err
		}
		p.depth--
		if p.space(true); !p.accept(")") {
			return nil, p.missing(")")
		}
		return x, nil
	case c == '<':
		return p.token()
	case isName(c):
		name := p.name()
		return ruleBody(p.ruleOf(name, pos)), nil
	}
	return nil, nil
}

// token reads <TEXT> or <[ID]>.
func (p *gbnfParser) token() (*body, error) {
	pos := p.pos
	n := strings.IndexByte(p.text[pos:], '>')
	if n < 0 {
		return nil, p.missing("a token, <TEXT> or <[ID]>")
	}
	text := p.text[pos : pos+n+1]
	p.pos += n + 1
	if number, ok := strings.CutPrefix(text, "<["); ok {
		id, err := strconv.ParseInt(strings.TrimSuffix(number, "]>"), 10, 32)
		if err != nil || int(id) >= p.vocabulary.size || id < 0 {
			return nil, p.at(pos, fmt.Errorf("%s: expected the number of a token below %d", text, p.vocabulary.size))
		}
		return p.tokenOf(int32(id)), nil
	}
	id, ok := p.vocabulary.tokenizer.ID(text)
	if !ok {
		return nil, p.at(pos, fmt.Errorf("%s is no token of the vocabulary", text))
	}
	return p.tokenOf(id), nil
}

// tokenOf returns a special token, or the bytes of another.
func (p *gbnfParser) tokenOf(id int32) *body {
	if text := p.vocabulary.texts[id]; text != "" {
		return bytesBody(p.literal(text))
	}
	return tokenBody(id)
}

func (p *gbnfParser) class() (*body, error) {
	start := p.pos
	not := p.accept("^")
	var set runes
	for !p.accept("]") {
		lo, err := p.char()
		if err != nil {
			return nil, err
		}
		hi := lo
		if p.peek() == '-' && !strings.HasPrefix(p.text[p.pos:], "-]") {
			p.pos++
			if hi, err = p.char(); err != nil {
				return nil, err
			}
		}
		if hi < lo {
			return nil, p.at(start, fmt.Errorf("class from %q to %q is empty", lo, hi))
		}
		set = append(set, lo, hi)
	}
	if set = set.normal(); not {
		set = anyRune.without(set)
	}
	return bytesBody(p.utf8(set)), nil
}

// char reads a character of a string or class.
func (p *gbnfParser) char() (rune, error) {
	pos := p.pos
	if pos == len(p.text) {
		return 0, p.missing("a character")
	}
	r, n := utf8.DecodeRuneInString(p.text[pos:])
	if p.pos += n; r != '\\' {
		return r, nil
	}
	c := p.peek()
	p.pos++
	digits := 0
	switch c {
	case 'n':
		return '\n', nil
	case 't':
		return '\t', nil
	case 'r':
		return '\r', nil
	case '\\', '"', '[', ']', '-', '^':
		return rune(c), nil
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	}
	if end := p.pos + digits; digits > 0 && end <= len(p.text) {
		if x, err := strconv.ParseUint(p.text[p.pos:end], 16, 32); err == nil && x <= maxRune && utf8.ValidRune(rune(x)) {
			p.pos = end
			return rune(x), nil
		}
	}
	p.pos = min(p.pos, len(p.text))
	return 0, p.at(pos, errors.New("no such escape"))
}

// repetition reads what repeats x, if anything does.
func (p *gbnfParser) repetition(x *body) (*body, bool, error) {
	pos := p.pos
	switch {
	case p.accept("*"):
		return repeat(x, 0, -1), true, nil
	case p.accept("+"):
		return repeat(x, 1, -1), true, nil
	case p.accept("?"):
		return repeat(x, 0, 1), true, nil
	case !p.accept("{"):
		return x, false, nil
	}
	p.space(true)
	least, ok := p.number()
	if !ok {
		return nil, false, p.missing("a number of repetitions")
	}
	most := least
	if p.space(true); p.accept(",") {
		p.space(true)
		if most, ok = p.number(); !ok {
			most = -1
		}
	}
	if p.space(true); !p.accept("}") {
		return nil, false, p.missing("}")
	}
	if most >= 0 && most < least {
		return nil, false, p.at(pos, fmt.Errorf("{%d,%d}: more at least than at most", least, most))
	}
	return repeat(x, least, most), true, nil
}

func (p *gbnfParser) number() (int32, bool) {
	start := p.pos
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.pos++
	}
	n, err := strconv.ParseInt(p.text[start:p.pos], 10, 64)
	if err != nil {
		return 0, false
	}
	return int32(min(n, math.MaxInt32)), true
}
